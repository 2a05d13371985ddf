/** What a build computes, without what it writes: blocks of a plan parsed and made into graphs, which are then forgotten.
 *
 *      mpirun -n N bench_build RUN_DIR ROUNDS
 *
 *  RUN_DIR holds plan.json of a scan (kd35).  Ranks share the blocks as a build does.  The time is from a barrier to a barrier,
 *  the median of the rounds; the graphs are counted and held against the plan. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ci/comm.h"
#include "ci/contract.h"
#include "ci/log.h"
#include "ci/table.h"
#include "ci/window.h"

static const ci_comm *world;

static void must(ci_rc rc)
{
    if (rc == CI_OK) return;
    fprintf(stderr, "bench_build: %s\n", ci_message());
    ci_comm_abort(world, ci_rc_exit(rc));
}

/* Graphs of this rank's blocks. */
static int64_t build(const ci_plan *p, ci_loader *l, ci_builder *b, ci_table *t, ci_graphs *g)
{
    const int32_t end = ci_plan_part(p, world->rank + 1, world->size);
    int64_t n = 0;

    for (int32_t i = ci_plan_part(p, world->rank, world->size); i < end; i++) {
        const ci_block *k = &p->block[i];
        const int64_t first = ci_window_at(k->first_row, p->stride);
        if (p->capture[k->capture].same_as >= 0 || k->graphs == 0) continue;
        must(ci_table_load(l, p, i, p->rows - 1, t));
        for (int64_t w = first; w < first + k->graphs; w++) {
            if (g->n_graph == g->cap_graph) ci_graphs_clear(g);
            must(ci_window_build(b, t, (ci_lid)(w * p->stride - t->first_row), g));
        }
        n += k->graphs;
    }
    return n;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    enum { MOST = 31 };
    ci_comm *comm = NULL;
    char path[CI_PATH_MAX];
    const int rounds = argc > 2 ? CI_MIN(CI_MAX(atoi(argv[2]), 1), MOST) : 3;
    double s[MOST];
    ci_conf conf;
    ci_contract contract;
    ci_plan p = {0};
    ci_loader *l = NULL;
    ci_builder *b = NULL;
    ci_table t = {0};
    ci_graphs g;
    const ci_feature_set *set = ci_feature_set_find("kd35");
    int64_t n = 0;

    if (ci_comm_start(&argc, &argv, &comm) != CI_OK) return 70;
    world = comm;
    must(ci_conf_read(NULL, NULL, 0, &conf));
    must(ci_contract_read(&conf, &contract));
    must(ci_path_join(path, argc > 1 ? argv[1] : ".", "plan.json"));
    must(ci_plan_read(path, &p));
    must(ci_builder_create(set, p.frames, false, &b));
    must(ci_graphs_init(&g, set, 256, p.rows, ci_builder_edges(b)));
    must(ci_loader_create(&contract, &l));
    for (int i = 0; i < rounds; i++) {
        double begun;
        must(ci_comm_barrier(comm, "bench.begin"));
        begun = ci_now_s();
        n = build(&p, l, b, &t, &g);
        must(ci_comm_sum_i64(comm, "bench.end", &n, 1));
        s[i] = ci_now_s() - begun;
    }
    if (n != p.graphs) must(ci_fail(CI_EINTERNAL, __FILE__, __LINE__, "%lld graphs of %lld", (long long)n, (long long)p.graphs));
    qsort(s, (size_t)rounds, sizeof *s, ascending);
    if (comm->rank == 0) printf("%.4f\n", s[rounds / 2]);
    ci_loader_destroy(&l);
    ci_builder_destroy(&b);
    ci_table_release(&t);
    ci_graphs_release(&g);
    ci_plan_release(&p);
    ci_comm_stop(&comm);
    return 0;
}
