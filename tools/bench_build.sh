#!/bin/sh
# Part of `make bench`: captures to a written store, beside the disk and the computing alone.
exec "${PYTHON:-/usr/bin/python3}" tools/bench_build.py "$@"
