#!/bin/bash
# Peak memory of scan and build on simulated captures, 1 time and 10 times as long; one rank.  The libraries' own share is
# that of a program that only starts MPI and HDF5 (canids inspect of a small store touches both).
set -eu
build=${CANIDS_BUILD:-build}
dir=$(mktemp -d "${BENCH_DIR:-$build}/memory.XXXXXX")
trap 'rm -rf "$dir"' EXIT
peak() { sed -n 's/.*"peak_kib": \([0-9]*\).*/\1/p' "$1/run.json" | tail -n 1; }
for times in 1 10; do
    "$build/canids" run --set data.root="$dir/data$times" --set data.set=sim --set run.dir="$dir/run$times" --set run.log=error \
        --set sim.seconds=$((40 * times)) --set pipeline=sim
    "$build/canids" scan --set data.root="$dir/data$times" --set data.set=sim --set run.dir="$dir/run$times" --set run.log=error
    scan=$(peak "$dir/run$times")
    "$build/canids" build --set data.root="$dir/data$times" --set data.set=sim --set run.dir="$dir/run$times" --set run.log=error
    eval "scan$times=$scan build$times=$(peak "$dir/run$times")"
    eval "bytes$times=$(du -sb "$dir/data$times" | cut -f1)"
done
"$build/canids" scan --set data.root="$dir/none" --set data.set=none --set run.dir="$dir/none" 2>/dev/null || true
libs=$(/usr/bin/env python3 - "$build/canids" <<'PY'
import os, resource, subprocess, sys
subprocess.run([sys.argv[1], "scan", "--set", "data.root=/nonexistent", "--set", "data.set=x", "--set", "run.dir=/nonexistent/x"],
               stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
PY
)
# shellcheck disable=SC2154
echo "peak memory of a rank, input $((bytes1 / 1000000)) MB and $((bytes10 / 1000000)) MB; started and nothing done: $((libs / 1024)) MiB"
# shellcheck disable=SC2154
echo "  scan   $((scan1 / 1024)) MiB  $((scan10 / 1024)) MiB"
# shellcheck disable=SC2154
echo "  build  $((build1 / 1024)) MiB  $((build10 / 1024)) MiB"
[ $((build10 - libs)) -le 65536 ] && [ $((scan10 - libs)) -le 65536 ] || echo "  MISSED: more than 64 MiB beyond the libraries"
