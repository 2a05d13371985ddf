#!/bin/bash
# A throw-away Slurm on this machine: munged, slurmctld and two nodes n1 n2, on loopback, below one folder.  Needs root.
#   slurm.sh start DIR    prints the line to eval; a failure stops what was started
#   slurm.sh stop DIR
# Each slurmd has its own host name, /dev/shm and process namespace: Open MPI then sees two real nodes, and ending the
# namespace's first process ends everything the node ran.
set -u
dir=${2:?usage: slurm.sh start|stop DIR}
nodes="n1 n2"
port=${SLURM_TEST_PORT:-$((20000 + $$ % 20000))}
host=$(hostname -s 2>/dev/null || uname -n)
export SLURM_CONF=$dir/slurm.conf

alive() { # a zombie is not: kill -0 would say so
    [ -s "$1" ] && [[ $(awk '{ print $3 }' "/proc/$(cat "$1" 2>/dev/null)/stat" 2>/dev/null) == [!Z] ]]
}

die() {
    echo "slurm.sh: $*" >&2
    tail -n 5 "$dir"/*.log >&2
    stop
    exit 1
}

settings() {
    cat <<CONF
ClusterName=canids
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool/%n
TmpFS=$dir/tmp/%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.%n.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SchedulerParameters=sched_interval=1,batch_sched_delay=0,defer_batch
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
JobRequeue=1
GresTypes=gpu
KillWait=10
MinJobAge=600
NodeName=n[1-2] NodeHostname=$host NodeAddr=127.0.0.1 Port=[$((port + 1))-$((port + 2))] CPUs=4 RealMemory=16000 Gres=gpu:2 State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
}

node() {
    mkdir -p "$dir/spool/$1" "$dir/tmp/$1"
    # shellcheck disable=SC2016
    setsid unshare --uts --mount --pid --fork --kill-child --mount-proc --propagation private sh -c '
        hostname "$1" && mount -t tmpfs -o mode=1777 tmpfs /dev/shm && mount --bind "$2/hosts" /etc/hosts &&
        { mountpoint -q /sys/fs/cgroup || mount -t tmpfs tmpfs /sys/fs/cgroup; } && exec slurmd -D -N "$1"' sh "$1" "$dir" \
        </dev/null >"$dir/$1.log" 2>&1 &
    echo $! >"$dir/node.$1.pid"
}

start() {
    mkdir -p "$dir"/{munge,state,spool,tmp} && chmod 755 "$dir" "$dir/munge"
    (umask 077 && head -c 128 /dev/urandom >"$dir/munge/key")
    printf '127.0.0.1 localhost %s %s\n' "$host" "$nodes" >"$dir/hosts"
    settings >"$SLURM_CONF"
    printf 'Name=gpu File=/dev/%s\n' null zero >"$dir/gres.conf" # two files that are no GPUs: they are counted and given to jobs
    munged --force --key-file="$dir/munge/key" --socket="$dir/munge/socket" --pid-file="$dir/munged.pid" \
        --log-file="$dir/munged.log" --seed-file="$dir/munge/seed" --num-threads=2 2>"$dir/munge.log" || die "munged"
    slurmctld -i -c >"$dir/start.log" 2>&1 || die "slurmctld"
    for n in $nodes; do node "$n"; done
    for _ in $(seq 300); do
        [ "$(sinfo -h -t idle -o %D 2>/dev/null)" = 2 ] && break
        for n in $nodes; do alive "$dir/node.$n.pid" || die "slurmd of $n"; done
        sleep 0.1
    done
    [ "$(sinfo -h -t idle -o %D 2>/dev/null)" = 2 ] || die "the nodes did not become idle"
    echo "export SLURM_CONF=$SLURM_CONF"
}

stop() {
    for pid in "$dir"/node.*.pid; do alive "$pid" && kill -9 "$(cat "$pid")"; done # unshare does not listen to TERM
    for pid in "$dir/slurmctld.pid" "$dir/munged.pid"; do
        alive "$pid" && kill "$(cat "$pid")"
        for _ in $(seq 50); do alive "$pid" || break; sleep 0.1; done
        alive "$pid" && kill -9 "$(cat "$pid")" 2>/dev/null
    done
    rm -f "$dir"/*.pid
}

case $1 in
start) start ;;
stop) stop ;;
*) exit 64 ;;
esac
