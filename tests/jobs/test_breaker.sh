#!/bin/bash
# TIMEOUT: 60
# The batch script itself, with a program, a launcher and a scontrol of our own: what it passes on, counts and refuses.
set -u
tmp=$(mktemp -d "${TMPDIR:-/tmp}/jobs-XXXXXX")
trap 'rm -rf "$tmp"' EXIT
here=$(cd "$(dirname "$0")/../.." && pwd)
failed=0
mkdir "$tmp/bin"
# Ends with CODE; PROGRESS=1 commits something new each time; NAP=1 waits for USR1, then ends with 75.
cat >"$tmp/canids" <<'SH'
#!/bin/bash
run=${*: -1}
run=${run#run.dir=}
echo "$*" >>"$run/calls"
echo "$RANDOM $SECONDS $$" >"$run/.run.json.commit" # the record of attempts changes whenever one begins
[ "${PROGRESS:-0}" = 0 ] || echo "$RANDOM $SECONDS $$" >"$run/${IN:-.}/.last.h5.commit"
if [ "${NAP:-0}" = 1 ]; then
    trap 'exit 75' USR1
    echo up >"$run/up"
    for _ in $(seq 100); do sleep 0.1; done
    exit 1
fi
exit "${CODE:-75}"
SH
printf '#!/bin/sh\necho "$@" >>"%s/requeued"\n' "$tmp" >"$tmp/bin/scontrol"
chmod +x "$tmp/canids" "$tmp/bin/scontrol"
export PATH=$tmp/bin:$PATH CANIDS=$tmp/canids SLURM_JOB_ID=7 CANIDS_LAUNCH=env CANIDS_RUN=$tmp/run
: >"$tmp/c.yaml"

start() { # NAME=value ... : one start of the job; prints its exit code
    env "$@" bash "$here/jobs/canids.sbatch" "$tmp/c.yaml" --set train.epochs=3 >>"$tmp/log" 2>&1
    echo $?
}
requeues() { wc -l 2>/dev/null <"$tmp/requeued" || echo 0; }
check() { # name, got, expected
    if [ "$2" = "$3" ]; then echo "ok - jobs_canids__$1"; else
        echo "not ok - jobs_canids__$1"
        echo "# got '$2', expected '$3'"
        sed 's/^/# /' "$tmp/log"
        failed=1
    fi
}
: >"$tmp/requeued"

check "passes_the_settings_on" "$(start CODE=0; cat "$tmp/run/calls")" "0
run $tmp/c.yaml --set train.epochs=3 --set run.dir=$tmp/run"
check "does_not_queue_a_finished_run" "$(requeues)" 0
check "keeps_the_exit_code_of_a_failed_run" "$(start CODE=65) $(requeues)" "65 0"
check "queues_a_run_that_advanced" "$(for _ in 1 2 3 4 5; do start PROGRESS=1; done | tr '\n' ' ')$(requeues)" "75 75 75 75 75 5"
check "stops_after_3_starts_that_brought_nothing" "$(for _ in 1 2 3; do start PROGRESS=0; done | tr '\n' ' ')$(requeues)" "75 75 75 7"
check "progress_ends_the_count" "$(start PROGRESS=1) $(start PROGRESS=0) $(start PROGRESS=0) $(requeues)" "75 75 75 10"
mkdir -p "$tmp/run/gat_small/seed_42/fold_0"
check "progress_of_one_of_several_models_counts" "$(start IN=gat_small/seed_42 PROGRESS=1) $(start IN=gat_small/seed_42 PROGRESS=1) $(
    start IN=gat_small/seed_42 PROGRESS=1) $(requeues)" "75 75 75 13"
check "progress_of_a_fold_counts" "$(start IN=gat_small/seed_42/fold_0 PROGRESS=1) $(start IN=gat_small/seed_42/fold_0 PROGRESS=1) $(
    start IN=gat_small/seed_42/fold_0 PROGRESS=1) $(requeues)" "75 75 75 16"
check "names_the_job" "$(sort -u "$tmp/requeued")" "requeue 7"
check "names_a_task_of_an_array" "$(start PROGRESS=1 SLURM_ARRAY_JOB_ID=5 SLURM_ARRAY_TASK_ID=2) $(tail -n 1 "$tmp/requeued")" "75 requeue 5_2"

for sig in USR1 TERM; do
    rm -f "$tmp/run/up"
    NAP=1 PROGRESS=1 bash "$here/jobs/canids.sbatch" "$tmp/c.yaml" >>"$tmp/log" 2>&1 &
    job=$!
    for _ in $(seq 100); do [ -e "$tmp/run/up" ] && break; sleep 0.1; done
    kill -$sig $job
    wait $job
    check "hands_$sig""_to_the_ranks" $? 75
done
rm -f "$tmp/run/up"
NAP=1 PROGRESS=1 setsid bash "$here/jobs/canids.sbatch" "$tmp/c.yaml" >>"$tmp/log" 2>&1 &
job=$!
for _ in $(seq 100); do [ -e "$tmp/run/up" ] && break; sleep 0.1; done
kill -TERM -- -$job
wait $job
check "TERM_to_its_whole_group_is_no_failure" $? 75
printf '#!/bin/sh\necho up >"%s/run/up"\nwhile :; do sleep 0.1; done\n' "$tmp" >"$tmp/deaf"
chmod +x "$tmp/deaf"
rm -f "$tmp/run/up"
CANIDS=$tmp/deaf bash "$here/jobs/canids.sbatch" "$tmp/c.yaml" >>"$tmp/log" 2>&1 &
job=$!
for _ in $(seq 100); do [ -e "$tmp/run/up" ] && break; sleep 0.1; done
kill -USR1 $job
wait $job
check "told_before_the_ranks_listen_it_is_queued_again" $? 75
check "refuses_a_missing_settings_file" "$(bash "$here/jobs/canids.sbatch" "$tmp/none.yaml" 2>/dev/null; echo $?)" 64

(cd "$here" && CODE=0 CANIDS_SEEDS="1 2" bash jobs/hcrl_sa_seeds.sbatch --set train.epochs=3) >>"$tmp/log" 2>&1
check "seeds_go_into_one_run" "$(tail -n 1 "$tmp/run/calls")" \
    "run ./jobs/../config/hcrl_sa.yaml --set seeds=[1,2] --set train.epochs=3 --set run.dir=$tmp/run"
(cd "$here" && CODE=0 CANIDS_SET=set_01 CANIDS_PAST=run bash jobs/hcrl_sa_agnostic.sbatch --set train.epochs=3) >>"$tmp/log" 2>&1
check "the_past_and_the_set_are_the_jobs" "$(tail -n 1 "$tmp/run/calls")" \
    "run ./jobs/../config/set_01_agnostic.yaml --set seeds=[42,123,777] --set features.past=run --set train.epochs=3 --set run.dir=$tmp/run"
gpu() { (cd "$here" && env "$@" CODE=0 bash jobs/gpu.sbatch "$tmp/c.yaml" --set train.epochs=3) >>"$tmp/log" 2>&1; }
rm -f "$tmp/run/calls"
gpu SLURM_GPUS_PER_NODE=a100:4 SLURM_NTASKS_PER_NODE=4
check "a_gpu_job_wants_gpus" "$? $(cat "$tmp/run/calls")" "0 run $tmp/c.yaml --set train.device=cuda --set train.epochs=3 --set run.dir=$tmp/run"
gpu SLURM_GPUS_PER_NODE=a100:4 SLURM_NTASKS_PER_NODE=8
check "a_gpu_job_is_one_rank_a_gpu" "$? $(wc -l <"$tmp/run/calls") $(tail -n 1 "$tmp/log")" "64 1 job: 8 ranks and 4 GPUs on a node; one rank a GPU: --ntasks-per-node=4"
printf '#!/bin/sh\necho "$@" >"%s/launched"\n' "$tmp" >"$tmp/bin/mpirun"
chmod +x "$tmp/bin/mpirun"
gpu -u CANIDS_LAUNCH SLURM_NTASKS=8
check "a_gpu_job_does_not_bind_a_rank_to_a_core" "$(cut -d' ' -f1-4 "$tmp/launched")" "--bind-to none -n 8"
: >"$tmp/d.yaml"
rm -rf "$tmp/runs"
task() {
    (cd "$here" && env -u CANIDS_RUN CODE=0 CANIDS_RUNS="$tmp/runs" CANIDS_SEEDS="${2:-}" SLURM_ARRAY_TASK_ID="$1" \
        bash jobs/array.sbatch "$tmp/c.yaml" "$tmp/d.yaml" --set train.epochs=3) >>"$tmp/log" 2>&1
}
task 0 && task 1
check "array_takes_a_data_set_a_task" "$(cd "$tmp/runs" && cat c/calls d/calls)" "run $tmp/c.yaml --set train.epochs=3 --set run.dir=$tmp/runs/c
run $tmp/d.yaml --set train.epochs=3 --set run.dir=$tmp/runs/d"
task 3 "4 5"
check "array_takes_a_seed_a_task" "$(cat "$tmp/runs/d-seed5/calls")" "run $tmp/d.yaml --set train.seed=5 --set train.epochs=3 --set run.dir=$tmp/runs/d-seed5"
task 4 "4 5"
check "array_refuses_a_task_too_many" $? 64
exit $failed
