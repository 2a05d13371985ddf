/** Graphs of a store into shards of a batch, one thread, as training packs them.
 *
 *      bench_pack STORE [SECONDS]
 *
 *  All graphs in order, 7 a shard (256 rows), again and again; the median of the passes is printed.  The checksum is over the first pass: runs that should agree can be compared. */
#include <stdio.h>
#include <stdlib.h>

#include "ci/arena.h"
#include "ci/batch.h"
#include "ci/comm.h"
#include "ci/hash.h"
#include "ci/log.h"

enum { SHARD = 7, PASSES_MAX = 4096 };

static void must(const ci_comm *comm, ci_rc rc)
{
    if (rc == CI_OK) return;
    fprintf(stderr, "bench_pack: %s\n", ci_message());
    ci_comm_abort(comm, ci_rc_exit(rc));
}

static uint64_t pass(ci_packer *p, const int64_t *graph, int64_t n, bool sum)
{
    uint64_t seen = 0;

    for (int64_t g = 0; g < n; g += SHARD) {
        const ci_batch *b = ci_packer_pack(p, graph + g, (ci_lid)CI_MIN(SHARD, n - g));
        if (!sum) continue;
        seen = seen * 31 + ci_xxh_of(b->x, (size_t)b->n_node * (size_t)b->n_feature * sizeof *b->x).lo;
        seen = seen * 31 + ci_xxh_of(b->e, (size_t)b->n_edge * (size_t)b->n_edge_feature * sizeof *b->e).lo;
        seen = seen * 31 + ci_xxh_of(b->in_src, (size_t)b->n_edge * sizeof *b->in_src).lo;
        seen = seen * 31 + ci_xxh_of(b->id, (size_t)b->n_node * sizeof *b->id).lo;
    }
    return seen;
}

static int by_value(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

int main(int argc, char **argv)
{
    ci_comm *comm = NULL;
    const double seconds = argc > 2 ? atof(argv[2]) : 5;
    ci_store *st = NULL;
    ci_scaler scaler;
    ci_packer *p = NULL;
    static double rate[PASSES_MAX];
    int passes = 0;
    int64_t *graph, n;
    uint64_t sum;
    double end;

    if (argc < 2 || ci_comm_start(&argc, &argv, &comm) != CI_OK) return 64;
    must(comm, ci_store_open(argv[1], &st));
    n = st->head.n_graph;
    graph = ci_new((size_t)n, sizeof *graph);
    for (int64_t g = 0; g < n; g++) graph[g] = g;
    must(comm, ci_scaler_fit(comm, st, graph, n, CI_SCALER_ZSCORE, &scaler));
    must(comm, ci_packer_create(st, &scaler, SHARD, SHARD * (st->head.frames + 1), false, &p));
    sum = pass(p, graph, n, true);
    end = ci_now_s() + seconds;
    while (passes < PASSES_MAX && (passes < 3 || ci_now_s() < end)) {
        const double begun = ci_now_s();
        pass(p, graph, n, false);
        rate[passes++] = (double)n / (ci_now_s() - begun);
    }
    qsort(rate, (size_t)passes, sizeof *rate, by_value);
    printf("pack: %.0f graphs/s (median of %d passes over %lld graphs; best %.0f), checksum %016llx\n", rate[passes / 2], passes,
           (long long)n, rate[passes - 1], (unsigned long long)sum);
    ci_packer_destroy(&p);
    ci_store_close(&st);
    free(graph);
    ci_comm_stop(&comm);
    return 0;
}
