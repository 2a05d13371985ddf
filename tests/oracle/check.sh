#!/bin/sh
# `make oracle`: every script here computes its vectors anew with --check and compares them with the committed ones.  The interpreter with
# NumPy and, for the model, PyTorch Geometric 2.4 is CANIDS_ORACLE_PYTHON (default /usr/bin/python3).
set -u
cd "$(dirname "$0")/../.." || exit 1
python=${CANIDS_ORACLE_PYTHON:-/usr/bin/python3}
rc=0
for script in tests/oracle/*_oracle.py; do
    echo "+ $script --check"
    "$python" "$script" --check || rc=1
done
exit $rc
