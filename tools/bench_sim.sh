#!/bin/bash
# Simulated CSV a second on one core, beside the writing of the same bytes (bench_sim), beside a generator of frames as research
# scripts have them (Python), and the whole command with its read-back for verification on 1 and 2 ranks.
# BENCH_DIR: where (build/); BENCH_ROWS: frames of a capture (2000000).
set -eu
cd "$(dirname "$0")/.."
build=${CANIDS_BUILD:-build}
dir=$(mktemp -d "${BENCH_DIR:-$build}/bench_sim.XXXXXX")
trap 'rm -rf "$dir"' EXIT
rows=${BENCH_ROWS:-2000000}
[ "$(id -u)" -ne 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_rmaps_base_oversubscribe=1
"$build/tools/bench_sim" "$dir" "$rows" "${BENCH_ROUNDS:-5}"
"${PYTHON:-/usr/bin/python3}" - "$dir/python.csv" <<'PY'
import heapq, os, random, sys, time
began = time.process_time()
heap = [(random.random() * .1, random.randrange(1, 0x800), random.choice((.01, .02, .05, .1))) for _ in range(60)]
heapq.heapify(heap)
with open(sys.argv[1], "w") as f:
    for _ in range(200000):
        at, ident, period = heap[0]
        f.write("%.6f,%03X,%s,0\n" % (1600000000 + at, ident, random.getrandbits(64).to_bytes(8, "big").hex().upper()))
        heapq.heapreplace(heap, (at + period, ident, period))
spent = time.process_time() - began
print("  Python, a heap of 60 periodic identifiers, random payloads:  %6.1f MB/s" % (os.path.getsize(sys.argv[1]) / 1e6 / spent))
PY
for n in 1 2 1 2 1 2; do
    began=$(date +%s.%N)
    mpirun -n "$n" "$build/canids" sim --set data.root="$dir" --set data.set=whole --set run.dir="$dir/run" --set run.log=error \
        --set sim.vehicles=2 --set sim.rows=$((rows / 2)) --set sim.seed="$RANDOM"
    ended=$(date +%s.%N)
    bytes=$(cat "$dir"/whole/*/*.csv | wc -c)
    echo "$n $bytes $began $ended" | awk '{printf "  canids sim, %d rank: %7.1f MB in %5.2f s, start, hashes and two read-backs among them: %6.0f MB/s\n", $1, $2 / 1e6, $4 - $3, $2 / 1e6 / ($4 - $3)}'
done
