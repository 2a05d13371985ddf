#!/bin/bash
# Frames a second into graphs of `agnostic`, one core, for each features.past, and into a profile alone; beside it, in the same rounds,
# kd35's builder, which knows no past.  On a capture of the project's own simulator, and on a real one where ../shared has it.  Then the
# peak memory after one, two and four times the frames: of a stream alone, and of the whole step.
set -eu
cd "$(dirname "$0")/.."
build=${CANIDS_BUILD:-build}
dir=$(mktemp -d "${BENCH_DIR:-$build}/bench_stream.XXXXXX")
trap 'rm -rf "$dir"' EXIT
real=${BENCH_CAPTURE:-${CANIDS_SHARED:-../shared}/data/hcrl_sa/test_04_unknown_vehicle_unknown_attack/malfunction-spark.csv}
rows=${BENCH_ROWS:-400000}
sim() { # NAME ROWS [SETTING...]
    "$build/canids" sim --set data.root="$dir" --set data.set="$1" --set run.dir="$dir/run_$1" --set run.log=error --set sim.vehicles=2 --set sim.rows="$2"
}
sim one "$rows"
capture=$(find "$dir/one/train_02_with_attacks" -name 'fuzzing*.csv' | sort | head -n 1) # some 2,000 identifiers are known in the end
"$build/tools/bench_stream" "$(find "$dir/one/train_01_attack_free" -name '*.csv' | sort | head -n 1)" 100 100
"$build/tools/bench_stream" "$capture" 100 100
if [ -f "$real" ]; then "$build/tools/bench_stream" "$real" 100 100; else echo "no real capture at hand"; fi
for past in run guard both; do
    for times in 1 2 4; do "$build/tools/bench_stream" --memory "$capture" "$times" "$past"; done
done
peak() { sed -n 's/.*"peak_kib": \([0-9]*\).*/\1/p' "$1/run.json" | tail -n 1; }
for times in 1 2 4; do
    sim "set$times" $((rows * times / 4))
    for verb in scan build; do
        "$build/canids" $verb --set data.root="$dir" --set data.set="set$times" --set run.dir="$dir/run$times" --set run.log=error --set model.preset=agnostic
    done
    echo "canids build, guard: captures of $((rows * times / 4)) frames, $(($(stat -c %s "$dir/run$times/store.h5") / 1000000)) MB of graphs, peak memory of the rank $(($(peak "$dir/run$times") / 1024)) MiB"
done
