#!/bin/bash
# Each layout of the store: bytes a graph, graphs a second packed for training; kd35, S = 100 and S = 10, hcrl_sa where it
# is, else simulated.  The yardstick is each other: 3 alternating rounds, and that training takes some 20,000 graphs/s a core.
set -eu
cd "$(dirname "$0")/.." || exit 1
build=${CANIDS_BUILD:-build}
dir=$(mktemp -d "${BENCH_DIR:-$build}/pack.XXXXXX")
trap 'rm -rf "$dir"' EXIT
root=${CANIDS_SHARED:-../shared}/data
set=hcrl_sa
if [ ! -d "$root/$set" ]; then
    root=$dir/data
    set=sim
    "$build/canids" run --set data.root="$root" --set data.set=$set --set run.dir="$dir/sim" --set run.log=error --set sim.seconds=60 --set pipeline=sim
fi
for stride in 100 10; do
    for layout in compact float32 messages; do
        "$build/canids" run --set data.root="$root" --set data.set=$set --set run.dir="$dir/$layout$stride" --set run.log=error --set pipeline=scan,build \
            --set store.layout=$layout --set window.stride=$stride
    done
done
for _ in 1 2 3; do
    for stride in 100 10; do
        for layout in compact float32 messages; do
            store=$dir/$layout$stride/store.h5
            bytes=$("$build/canids" inspect --json "$store" | sed -n 's/.*"bytes_per_graph": *\([0-9]*\).*/\1/p')
            printf '%s, S = %-3d %-8s %6d bytes a graph, ' "$set" $stride $layout "$bytes"
            "$build/tools/bench_pack" "$store" 1
        done
    done
done
