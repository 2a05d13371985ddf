#!/bin/sh
# Training of the small classifier on one core beside PyTorch Geometric on one thread, in turn, on the same shapes.
# CANIDS_BUILD is the build folder, CANIDS_ORACLE_PYTHON an interpreter with torch_geometric.
set -u
cd "$(dirname "$0")/.." || exit 1
bench=${CANIDS_BUILD:-build}/tools/bench_ops
[ -x "$bench" ] || { echo "bench_train: $bench is missing: make benches"; exit 1; }
pyg() {
    if [ -n "${CANIDS_ORACLE_PYTHON:-}" ] && "$CANIDS_ORACLE_PYTHON" -c 'import torch_geometric' 2>/dev/null; then
        "$CANIDS_ORACLE_PYTHON" tools/bench_pyg.py
    else
        echo "training, PyTorch Geometric: absent (set CANIDS_ORACLE_PYTHON): yardstick missed"
    fi
}
first=$(pyg)
"$bench" "$@" || exit 1
"$(dirname "$bench")/bench_lstm" || exit 1
second=$(pyg)
echo "$first"
echo "$second"
