#!/bin/sh
# Kernels, the LSTM beside the matrix peak, and training of all models beside PyTorch Geometric, on one core.
# CANIDS_BUILD is the build folder, CANIDS_ORACLE_PYTHON an interpreter with torch_geometric.
set -eu
cd "$(dirname "$0")/.."
tools=${CANIDS_BUILD:-build}/tools
[ -x "$tools/bench_ops" ] || { echo "bench_train: $tools/bench_ops is missing: make benches"; exit 1; }
"$tools/bench_ops"
"$tools/bench_lstm"
exec "${CANIDS_ORACLE_PYTHON:-${PYTHON:-/usr/bin/python3}}" tools/bench_train.py
