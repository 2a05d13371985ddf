#!/bin/sh
# Part of `make bench`: parsing beside wc -l and DuckDB.
exec "${PYTHON:-/usr/bin/python3}" tools/bench_parse.py "$@"
