#define _GNU_SOURCE
/* Which rank has which device: all ranks tell what they see, then all come to the same verdict from the same table. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ci/arena.h"
#include "ci/log.h"
#include "ci/ring.h"
#include "comm_priv.h"

enum { BUS = sizeof((ci_dev_info *)0)->bus, HOST = 64, WHY = 384 };

/* What a rank tells; then as many bus ids as it sees devices. */
struct seen {
    int32_t host_first; /* the first rank of its host */
    int32_t n, mine;    /* devices, and the one that it takes */
    char host[HOST];
    char why[WHY];      /* that it sees none */
};

/* Of all ranks. */
struct table {
    int n_rank;
    const struct seen **rank;
    const char (**bus)[BUS];
};

/* Ranks of one host by what MPI says, not by its name: those of containers are often alike. */
static int host_first(const ci_comm *c)
{
    MPI_Group all, node;
    int zero = 0, first = MPI_UNDEFINED;

    if (MPI_Comm_group(c->state->all, &all) != MPI_SUCCESS) return 0;
    if (MPI_Comm_group(c->state->node, &node) == MPI_SUCCESS) {
        MPI_Group_translate_ranks(node, 1, &zero, all, &first);
        MPI_Group_free(&node);
    }
    MPI_Group_free(&all);
    return first == MPI_UNDEFINED ? 0 : first;
}

static const char *bus_of(const struct table *t, int rank)
{
    return t->bus[rank][t->rank[rank]->mine];
}

/* Different devices that the ranks of the host of `rank` see together, and how many ranks there are. */
static int devices_of_host(const struct table *t, int rank, int *out_ranks)
{
    int n = 0;

    *out_ranks = 0;
    for (int r = 0; r < t->n_rank; r++) {
        if (t->rank[r]->host_first != t->rank[rank]->host_first) continue;
        ++*out_ranks;
        for (int i = 0; i < t->rank[r]->n; i++) {
            bool known = false;
            for (int s = 0; s <= r && !known; s++)
                for (int j = 0; t->rank[s]->host_first == t->rank[rank]->host_first && j < (s < r ? t->rank[s]->n : i) && !known; j++)
                    known = strcmp(t->bus[r][i], t->bus[s][j]) == 0;
            n += !known;
        }
    }
    return n;
}

static ci_rc two_on_one(const struct table *t, int a, int b)
{
    int ranks;
    const int devices = devices_of_host(t, b, &ranks);

    if (ranks > devices)
        return ci_fail(CI_ECONF, __FILE__, __LINE__,
                       "host %s has %d ranks and %d device%s: ranks %d and %d would share %s: %d rank%s fit%s there, one a device (mpirun --map-by ppr:%d:node, "
                       "srun --ntasks-per-node=%d), or set train.device: cpu", t->rank[b]->host, ranks, devices, devices == 1 ? "" : "s", a, b, bus_of(t, b),
                       devices, devices == 1 ? "" : "s", devices == 1 ? "s" : "", devices, devices);
    return ci_fail(CI_ECONF, __FILE__, __LINE__,
                   "on host %s ranks %d and %d would share device %s though there are %d devices for %d ranks: the ranks see different ones "
                   "(CUDA_VISIBLE_DEVICES differs, or --gpus-per-task): let each rank see all of them, or only its own; %d ranks fit there", t->rank[b]->host, a, b,
                   bus_of(t, b), devices, ranks, devices);
}

static ci_rc some_without(const struct table *t, int with, int without)
{
    int n = 0;

    for (int r = 0; r < t->n_rank; r++) n += t->rank[r]->n > 0;
    return ci_fail(CI_ECONF, __FILE__, __LINE__,
                   "rank %d on host %s has a device and rank %d on host %s has none (%s): all compute on devices or none: %d of %d ranks fit where there are devices, "
                   "or set train.device: cpu", with, t->rank[with]->host, without, t->rank[without]->host, t->rank[without]->why, n, t->n_rank);
}

/* *out_any: the ranks have devices.  The same on every rank, with the same message. */
static ci_rc verdict(const struct table *t, bool must, bool *out_any)
{
    int with = -1, without = -1;

    for (int r = t->n_rank - 1; r >= 0; r--) *(t->rank[r]->n > 0 ? &with : &without) = r;
    *out_any = with >= 0;
    if (with < 0)
        return !must ? CI_OK : ci_fail(CI_ECONF, __FILE__, __LINE__, "train.device is cuda and host %s (rank %d) has no device: %s", t->rank[0]->host, 0, t->rank[0]->why);
    if (without >= 0) return some_without(t, with, without);
    for (int b = 1; b < t->n_rank; b++)
        for (int a = 0; a < b; a++)
            if (t->rank[a]->host_first == t->rank[b]->host_first && strcmp(bus_of(t, a), bus_of(t, b)) == 0) return two_on_one(t, a, b);
    return CI_OK;
}

/* What this rank tells, as bytes: to free(). */
static ci_rc look(const ci_comm *comm, void **out, size_t *out_n)
{
    const ci_backend *backend;
    void *library;
    struct seen me = {.host_first = host_first(comm)};
    struct seen *all = NULL;
    ci_rc rc = CI_OK;

    gethostname(me.host, sizeof me.host - 1);
    if (!ci_backend_find(&backend, &library, &me.n, me.why, sizeof me.why)) me.n = 0;
    all = ci_new(1, sizeof me + (size_t)me.n * BUS);
    if (!all) CI_FAIL(CI_ENOMEM, "%d devices", me.n);
    for (int i = 0; i < me.n; i++) {
        ci_dev_info info;
        if (backend->runtime->info(i, &info) != CI_OK) CI_FAIL(CI_ECONF, "%s", backend->runtime->message());
        memcpy((char *)(all + 1) + (size_t)i * BUS, info.bus, BUS);
    }
    me.mine = me.n > 0 ? comm->node_rank % me.n : 0;
    *all = me;
    *out_n = sizeof me + (size_t)me.n * BUS;
    *out = all;
    all = NULL;
done:
    free(all);
    return rc;
}

/* Which rank has which, as far as one line has room. */
static void tell(const struct table *t)
{
    char line[2048];
    int at = 0, r = 0;

    for (; r < t->n_rank && at < (int)sizeof line - 160; r++)
        at += snprintf(line + at, sizeof line - (size_t)at, "%srank %d %s on %s", r ? ", " : "", r, bus_of(t, r), t->rank[r]->host);
    if (r < t->n_rank) snprintf(line + at, sizeof line - (size_t)at, " and %d more", t->n_rank - r);
    ci_log(CI_INFO, "devices: %s", line);
}

/* A device that cannot be opened is none; with "auto" the ranks go on without when that is so for every one of them. */
static ci_rc open_all(const ci_comm *comm, const struct table *t, bool must, ci_device *out)
{
    const ci_rc mine = ci_device_open(t->rank[comm->rank]->mine, out);
    int64_t no = mine == CI_ECONF;
    char why[WHY];
    ci_rc rc = CI_OK;

    snprintf(why, sizeof why, "%s", mine == CI_OK ? "" : ci_message());
    CI_TRY(ci_comm_sum_i64(comm, "device.open.sum", &no, 1));
    if (no == comm->size && !must) {
        if (comm->rank == 0) ci_log(CI_INFO, "computes on the CPU: %s", why);
        goto done;
    }
    if (mine != CI_OK) ci_message_set(why);
    CI_TRY_ALL(comm, "device.open", mine);
    if (comm->rank == 0) {
        ci_log(CI_INFO, "computes on %d device%s: %s (sm_%d, %.1f GiB, %.1f free; CUDA %d.%d, driver %d.%d; backend %s: %s)", comm->size, comm->size == 1 ? "" : "s",
               out->info.name, out->info.arch, (double)out->info.bytes / (1 << 30), (double)out->info.free / (1 << 30), out->info.runtime / 1000,
               out->info.runtime % 1000 / 10, out->info.driver / 1000, out->info.driver % 1000 / 10, out->backend->name, out->backend->arch);
        tell(t);
    }
done:
    if (rc != CI_OK) ci_device_close(out);
    return rc;
}

ci_rc ci_device_assign(const ci_comm *comm, const char *want, ci_device *out)
{
    const bool must = strcmp(want, "cuda") == 0;
    void *mine = NULL;
    char *all = NULL;
    size_t n_mine = 0, n_all = 0, *first = NULL;
    struct table t = {.n_rank = comm->size};
    bool any = false;
    ci_rc rc = CI_OK;

    *out = (ci_device){0};
    if (strcmp(want, "cpu") == 0) return CI_OK;
    t.rank = ci_new((size_t)comm->size, sizeof *t.rank);
    t.bus = ci_new((size_t)comm->size, sizeof *t.bus);
    CI_TRY_ALL(comm, "device.look", t.rank && t.bus ? look(comm, &mine, &n_mine) : ci_fail(CI_ENOMEM, __FILE__, __LINE__, "%d ranks", comm->size));
    CI_TRY(ci_comm_allgather(comm, "device.assign", mine, n_mine, (void **)&all, &n_all, &first));
    for (int r = 0; r < comm->size; r++) {
        t.rank[r] = (const struct seen *)(all + first[r]); /* all sizes are multiples of 4 */
        t.bus[r] = (const char(*)[BUS])(t.rank[r] + 1);
    }
    CI_TRY(verdict(&t, must, &any));
    if (!any) {
        if (comm->rank == 0) ci_log(CI_INFO, "computes on the CPU: %s", t.rank[0]->why);
        goto done;
    }
    rc = open_all(comm, &t, must, out);
done:
    free(mine);
    free(all);
    free(first);
    free((void *)t.rank);
    free((void *)t.bus);
    return rc;
}
