#!/bin/sh
# `make bench`: every tools/bench_*.sh, which prints figures beside their yardsticks.  An absent yardstick is a missed goal and is said so.
set -u
cd "$(dirname "$0")/.." || exit 1
echo "machine: $(nproc) cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), load $(cut -d' ' -f1-3 /proc/loadavg)"
rc=0
for script in tools/bench_*.sh; do
    [ -e "$script" ] || continue
    [ "$script" != tools/bench_gpu.sh ] || continue # make bench-gpu
    echo
    echo "== $script"
    bash "$script" || rc=1
done
exit $rc
