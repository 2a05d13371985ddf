#!/bin/bash
# TIMEOUT: 400
# Job templates on a throw-away Slurm, on simulated data; that for GPUs with two emulated ones; and a job that is told to stop, ends with
# 75, is queued again and reaches the weights of a job that nobody disturbed.
set -u
unset CANIDS_BACKEND
names="canids_job_completes array_does_a_data_set_a_task gpu_job_has_a_device_a_rank told_to_stop_it_ends_with_75_and_is_queued_again requeued_job_reaches_the_undisturbed_weights"
cd "$(dirname "$0")/../.." || exit 1
build=${CANIDS_BUILD:-build}
case $build in /*) ;; *) build=$PWD/$build ;; esac
skip() { # reason
    for n in $names; do echo "skip - slurm__$n: $1"; done
    exit 0
}
[ "$(id -u)" -eq 0 ] || skip "a throw-away Slurm needs root"
for x in munged slurmctld slurmd sbatch unshare; do command -v $x >/dev/null || skip "$x is not installed"; done
unshare --uts --mount --pid --fork true 2>/dev/null || skip "this machine gives no namespaces"
if [ ! -x "$build/canids" ]; then
    echo "not ok - slurm__canids_job_completes: $build/canids was not built"
    exit 1
fi

tmp=$(mktemp -d "${TMPDIR:-/tmp}/slurm-XXXXXX")
finish() {
    bash tests/jobs/slurm.sh stop "$tmp/slurm"
    rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 1' TERM INT
mkdir "$tmp/slurm"
bash tests/jobs/slurm.sh start "$tmp/slurm" >"$tmp/env" </dev/null || { echo "not ok - slurm__starts"; exit 1; }
# shellcheck disable=SC1091
. "$tmp/env"

verdict() { # status, name
    if [ "$1" -eq 0 ]; then echo "ok - slurm__$2"; else
        echo "not ok - slurm__$2"
        scontrol show job -o 2>&1 | grep -oE "^JobId=[^ ]*|JobState=.* Dependency|Restarts=[^ ]*|ExitCode=[^ ]*" | sed 's/^/# /'
        tail -n 12 "$tmp"/*.out "$tmp"/slurm/slurmd.*.log 2>/dev/null | sed 's/^/# /'
        exit 1 # what follows builds on it
    fi
}
field() { scontrol show job "$1" -o 2>/dev/null | grep -o " $2=[^ ]*" | head -n 1 | cut -d= -f2; }
reaches() { # job, states, seconds
    for _ in $(seq $(($3 * 5))); do
        case " $2 " in *" $(field "$1" JobState) "*) return 0 ;; esac
        sleep 0.2
    done
    return 1
}
sha() { sha256sum <"$1/best.h5"; }

# Settings: training long enough to be met in the middle of it.
settings() { # file, set
    cat >"$1" <<YAML
data:
  root: $tmp/data
  set: $2
sim:
  vehicles: 2
  seconds: 20
  ids_min: 20
  ids_max: 20
train:
  epochs: ${3:-4}
  patience: 1000
  threads: 1
eval:
  draws: 20
YAML
}
settings "$tmp/one.yaml" one 30
settings "$tmp/two.yaml" two
for set in one two; do
    if ! "$build/canids" sim "$tmp/$set.yaml" --set run.dir="$tmp/sim_$set" >"$tmp/sim.out" 2>&1; then
        verdict 1 "canids_job_completes"
        exit 1
    fi
done

export CANIDS=$build/canids
submit() { sbatch --parsable --ntasks=2 --mem-per-cpu=0 "$@"; }

calm=$(submit --output="$tmp/calm.out" jobs/canids.sbatch "$tmp/one.yaml" --set run.dir="$tmp/calm")
reaches "$calm" "COMPLETED FAILED CANCELLED TIMEOUT" 150
[ "$(field "$calm" JobState)" = COMPLETED ] && [ -s "$tmp/calm/results.json" ] && [ -s "$tmp/calm/best.h5" ]
verdict $? canids_job_completes

array=$(CANIDS_RUNS=$tmp/runs submit --array=0-1 --output="$tmp/array-%a.out" jobs/array.sbatch "$tmp/one.yaml" "$tmp/two.yaml" --set train.epochs=2)
for task in 0 1; do reaches "${array}_$task" "COMPLETED FAILED CANCELLED TIMEOUT" 100; done
[ "$(field "${array}_0" JobState)$(field "${array}_1" JobState)" = COMPLETEDCOMPLETED ] &&
    [ -s "$tmp/runs/one/results.json" ] && [ -s "$tmp/runs/two/results.json" ]
verdict $? array_does_a_data_set_a_task

# The emulated backend is this job's alone: with its one device no other run of two ranks would have one each.
cat >"$tmp/gpu.yaml" <<YAML
data: {root: $tmp/data, set: gpu}
sim: {vehicles: 2, seconds: 3, ids_min: 8, ids_max: 10}
window: {frames: 30, stride: 30}
model: {id_dim: 4, heads: 2, channels: 4, layers: 1, head_layers: 2, head_dim: 8}
train: {epochs: 1, batch: 24, shard_rows: 64, threads: 1}
pipeline: sim,scan,build,train
YAML
gpu=$(CANIDS_BACKEND=$build/tests/emu/libcanids_cuda.so CANIDS_EMU_DEVICES=2 sbatch --parsable --gpus-per-node=2 --ntasks-per-node=2 --cpus-per-task=1 \
    --mem-per-cpu=0 --output="$tmp/gpu.out" jobs/gpu.sbatch "$tmp/gpu.yaml" --set run.dir="$tmp/gpu")
reaches "$gpu" "COMPLETED FAILED CANCELLED TIMEOUT" 100
[ "$(field "$gpu" JobState)" = COMPLETED ] && [ -s "$tmp/gpu/best.h5" ] && grep -q "computes on 2 devices: emulated" "$tmp/gpu.out"
verdict $? gpu_job_has_a_device_a_rank

told=$(submit --output="$tmp/told.out" jobs/canids.sbatch "$tmp/one.yaml" --set run.dir="$tmp/told")
for _ in $(seq 500); do # in the middle of training: a few epochs are behind it
    [ "$(wc -l 2>/dev/null <"$tmp/told/metrics.jsonl")" -ge 4 ] 2>/dev/null && break
    sleep 0.1
done
scancel --batch --signal=USR1 "$told"
reaches "$told" "PENDING FAILED COMPLETED" 60
[ "$(field "$told" JobState)" = PENDING ] && [ "$(field "$told" Restarts)" = 1 ] && grep -q "exit 75, queued again" "$tmp/told.out"
verdict $? told_to_stop_it_ends_with_75_and_is_queued_again

# A node refuses a job in the second in which it was ended there ("already killed, do not launch").
for _ in $(seq 100); do
    compgen -G "$tmp/slurm/spool/*/job*" >/dev/null || break
    sleep 0.2
done
sleep 2
for _ in $(seq 20); do # Slurm holds a requeued job for two minutes unless it is told otherwise
    scontrol update jobid="$told" StartTime=now 2>/dev/null && break
    sleep 0.5
done
reaches "$told" "COMPLETED FAILED CANCELLED TIMEOUT" 150
[ "$(field "$told" JobState)" = COMPLETED ] && [ "$(grep -c "epoch 1:" "$tmp/told.out")" = 1 ] && [ "$(sha "$tmp/told")" = "$(sha "$tmp/calm")" ]
verdict $? requeued_job_reaches_the_undisturbed_weights
