#!/bin/bash
# The store's writing beside dd, on 1 and 2 ranks.  BENCH_DIR: where (build/); BENCH_GRAPHS: how many (65536, 283 MB).
set -eu
build=${CANIDS_BUILD:-build}
dir=${BENCH_DIR:-$build}
[ "$(id -u)" -ne 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_rmaps_base_oversubscribe=1
for n in 1 2; do
    mpirun -n "$n" "$build/tools/bench_store" "$dir" "${BENCH_GRAPHS:-65536}" "${BENCH_ROUNDS:-5}"
done
