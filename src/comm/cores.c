#define _GNU_SOURCE
/* How many cores a rank may use: its share of those that its mask names. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ci/arena.h"
#include "ci/types.h"
#include "comm_priv.h"

/* What Open MPI's mpirun (4.1) hands on when its user said where ranks are to run. */
static int placed_by_user(void)
{
    static const char *const said[] = {"OMPI_MCA_hwloc_base_binding_policy", "OMPI_MCA_hwloc_base_cpu_set",
                                       "OMPI_MCA_hwloc_base_cpu_list", "OMPI_MCA_orte_rankfile",
                                       "OMPI_MCA_rmaps_base_cpus_per_rank"};
    const char *map = getenv("OMPI_MCA_rmaps_base_mapping_policy");

    for (size_t i = 0; i < CI_COUNT(said); i++)
        if (getenv(said[i])) return 1;
    return map && strcasestr(map, "pe=");
}

/* mpirun pins small jobs to one core a rank, unasked. */
static void widen(void)
{
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t set;

    CPU_ZERO(&set);
    for (long i = 0; i < CI_MIN(online, (long)CPU_SETSIZE); i++) CPU_SET((size_t)i, &set);
    sched_setaffinity(0, sizeof set, &set); /* a cpuset of the job still holds */
}

int comm_share(const void *masks, int n, int me)
{
    const cpu_set_t *mask = masks;
    cpu_set_t both;
    int users = 0;

    for (int i = 0; i < n; i++) {
        CPU_AND(&both, &mask[me], &mask[i]);
        users += i == me || CPU_COUNT(&both) > 0;
    }
    return CI_MAX(1, CPU_COUNT(&mask[me]) / users);
}

ci_rc ci_comm_cores(const ci_comm *c, const char *site, int *out)
{
    ci_rc rc = CI_OK;
    cpu_set_t mine, *all = ci_new((size_t)c->node_size, sizeof *all);
    MPI_Request request;
    int code;

    if (c->state->by_mpirun && !placed_by_user()) widen();
    CPU_ZERO(&mine);
    sched_getaffinity(0, sizeof mine, &mine); /* fails on more than 1024 cores: then one thread */
    CI_TRY(comm_agree(c, site, all ? CI_OK : ci_fail(CI_ENOMEM, __FILE__, __LINE__, "%d masks", c->node_size), 1));
    code = MPI_Iallgather(&mine, sizeof mine, MPI_BYTE, all, sizeof mine, MPI_BYTE, c->state->node, &request);
    CI_TRY(comm_finish(c, site, code, &request));
    *out = comm_share(all, c->node_size, c->node_rank);
done:
    free(all);
    return rc;
}
