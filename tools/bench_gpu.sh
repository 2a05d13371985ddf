#!/bin/sh
# `make bench-gpu`: training on this machine's device beside PyTorch Geometric on the same one; 78 without a device.
# CANIDS_BUILD is the build folder, CANIDS_ORACLE_PYTHON an interpreter with torch_geometric and torch.cuda.
cd "$(dirname "$0")/.." || exit 70
exec "${CANIDS_ORACLE_PYTHON:-${PYTHON:-/usr/bin/python3}}" tools/bench_gpu.py
