#!/bin/sh
# Simulate a few vehicles, then the whole job on 2 ranks: scan, build, train, eval, and the table of results.
set -eu
cd "$(dirname "$0")/.."
canids=${CANIDS_BUILD:-build}/canids
began=$(date +%s)
if [ "$(id -u)" -eq 0 ]; then # Open MPI refuses root unless it is told twice; in a demo there is nothing to protect
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
# 2 ranks on any machine, a single core too: they share cores, so that waiting ranks give way.
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1

echo "+ canids sim config/demo.yaml"
"$canids" sim config/demo.yaml
echo "+ mpirun -n 2 canids run config/demo.yaml"
mpirun -n 2 "$canids" run config/demo.yaml
echo "demo: $(($(date +%s) - began)) s"
