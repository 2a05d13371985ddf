#!/bin/bash
# Messages a second into graphs of each feature set, one core, beside the same features in numpy (tests/oracle/kd*_oracle.py), which
# is what a research script would do.  The capture is a real one where ../shared has it, else the benchmark's synthetic bus.
set -eu
cd "$(dirname "$0")/.."
file=${BENCH_CAPTURE:-${CANIDS_SHARED:-../shared}/data/hcrl_sa/test_04_unknown_vehicle_unknown_attack/malfunction-spark.csv}
numpy() {
    "${PYTHON:-/usr/bin/python3}" - "$file" <<'PY'
import sys, time
sys.path.insert(0, "tests/oracle")
try:
    import kd11_oracle, kd35_oracle
except ImportError as e:
    sys.exit("  numpy: absent (%s): yardstick missed" % e)
rows = kd35_oracle.read(sys.argv[1])[:6000]
for name, graphs in (("kd35", kd35_oracle.graphs(rows, 100, 100)), ("kd11", kd11_oracle.graphs(rows, 100, 100, False, {}))):
    began = time.process_time()
    n = sum(1 for _ in graphs)
    print("  numpy, %s                            %8.4f M messages/s  (%d graphs)" % (name, len(rows) / (time.process_time() - began) / 1e6, n))
PY
}
bench=${CANIDS_BUILD:-build}/tools/bench_window
if [ -f "$file" ]; then
    "$bench" "$file" 100 100
    numpy || true
    "$bench" "$file" 100 100
else
    echo "no capture at hand: the synthetic bus, and no yardstick beside it"
    "$bench"
fi
