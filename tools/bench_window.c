/** Messages a second, on one core, from a table in memory into graphs of each feature set.
 *
 *      bench_window [FILE.csv] [W] [S]     a synthetic bus where there is no file
 *
 *  Before it times anything it checks what is known without any feature: how many windows there are,
 *  that every frame or pair is counted once and every edge has two ends, and that nodes are the distinct ids. */
#include <stdio.h>
#include <stdlib.h>

#include "capture.h"
#include "ci/window.h"

enum { BATCH = 64, SYNTHETIC = 400000 };

/** 48 identifiers, each with its own period; two counters, two slow bytes, the rest constant. */
static void synthetic_make(ci_table *t)
{
    int64_t due[48];

    for (int i = 0; i < 48; i++) due[i] = i * 37000;
    for (int n = 0; n < SYNTHETIC; n++) {
        int i = 0;
        for (int j = 1; j < 48; j++)
            if (due[j] < due[i]) i = j;
        const uint64_t slow = (uint64_t)(n / 4000 % 256), count = (uint64_t)(due[i] / 1000000 % 256);
        capture_put(t, (ci_frame){.t_ns = due[i], .id = 0x80 + 40u * (unsigned)i, .len = 8, .attack = n % 997 == 0,
                              .data = count | slow << 24 | UINT64_C(0x55AA000000000000)});
        due[i] += 10000000 + i % 6 * 10000000 + (int64_t)n * 7919 % 100000;
    }
}

static ci_gid ids_in_windows(const ci_table *t, ci_lid frames, ci_lid stride)
{
    ci_gid total = 0;

    for (ci_lid r = 0; r + frames <= t->n; r += stride)
        for (ci_lid i = r; i < r + frames; i++) {
            ci_lid j = i + 1;
            while (j < r + frames && t->id[j] != t->id[i]) j++;
            total += j == r + frames;
        }
    return total;
}

struct totals {
    ci_gid graphs, nodes, edges;
    double messages, ends, sum; /* frames or pairs by kd35's column 24, kd11's 0; kd35's degrees; all columns */
};

static void totals_add(const ci_graphs *g, struct totals *s)
{
    const ci_lid F = g->set->n_node, K = g->set->n_edge;

    s->graphs += g->n_graph;
    s->nodes += g->n_node;
    s->edges += g->n_edge;
    for (ci_lid v = 0; v < g->n_node && !g->set->merged; v++) {
        s->messages += (double)g->x[F * v + 24];
        s->ends += (double)g->x[F * v + 33] + (double)g->x[F * v + 34];
    }
    for (ci_lid i = 0; i < g->n_edge && g->set->merged; i++) s->messages += (double)g->e[K * i];
    for (ci_lid i = 0; i < F * g->n_node; i++) s->sum += (double)g->x[i];
    for (ci_lid i = 0; i < K * g->n_edge; i++) s->sum += (double)g->e[i];
}

static double once(ci_builder *b, const ci_table *t, ci_lid frames, ci_lid stride, ci_graphs *g, struct totals *s)
{
    const double start = cpu_s();

    ci_graphs_clear(g);
    for (ci_lid r = 0; r + frames <= t->n; r += stride) {
        if (g->n_graph == g->cap_graph) {
            if (s) totals_add(g, s);
            ci_graphs_clear(g);
        }
        must(ci_window_build(b, t, r, g) == CI_OK, "window");
    }
    if (s) totals_add(g, s);
    return cpu_s() - start;
}

/** What scan does: nodes and, where they vary, edges. */
static double count_only(ci_builder *b, const ci_table *t, ci_lid frames, ci_lid stride, struct totals s)
{
    const double start = cpu_s();
    uint8_t attack;

    for (ci_lid r = 0; r + frames <= t->n; r += stride) {
        const ci_lid n = ci_window_nodes(b, t, r, &attack);
        s.nodes -= n;
        s.edges -= ci_window_edges(b, t, r, n);
    }
    must(s.nodes == 0 && s.edges == 0, "counted nodes or edges differ from built ones");
    return cpu_s() - start;
}

static void bench(const ci_feature_set *set, const ci_table *t, ci_lid frames, ci_lid stride)
{
    struct totals s = {0};
    double best = 1e9, count = 1e9;
    ci_builder *b;
    ci_graphs g;

    must(ci_builder_create(set, frames, false, &b) == CI_OK, "builder");
    must(ci_graphs_init(&g, set, BATCH, frames, frames) == CI_OK, "graphs");
    once(b, t, frames, stride, &g, &s);
    must(s.graphs == ci_window_count(t->n, frames, stride), "number of windows");
    must(s.nodes == ids_in_windows(t, frames, stride), "number of nodes");
    must(s.messages == (double)s.graphs * (frames - set->merged), "a frame was lost or counted twice");
    must(set->merged || s.ends == 2. * (double)s.edges, "an edge has not two ends");
    for (int i = 0; i < 12; i++) {
        const double build = once(b, t, frames, stride, &g, NULL), only = count_only(b, t, frames, stride, s);
        best = CI_MIN(best, build);
        count = CI_MIN(count, only);
    }
    printf("window  %s graphs   %7.2f M messages/s  (rows %d / CPU seconds %.5f, best of 12)  %.1f k graphs/s, mean N %.2f, "
           "E %.2f, sum of all features %.9g\n", set->name, t->n / best * 1e-6, t->n, best, (double)s.graphs / best * 1e-3,
           (double)s.nodes / (double)s.graphs, (double)s.edges / (double)s.graphs, s.sum);
    printf("window  %s counted  %7.2f M messages/s  (nodes and edges, as scan does)\n", set->name, t->n / count * 1e-6);
    ci_graphs_release(&g);
    ci_builder_destroy(&b);
}

int main(int argc, char **argv)
{
    const char *const shared = getenv("CANIDS_SHARED");
    const ci_lid frames = argc > 2 ? atoi(argv[2]) : 100, stride = argc > 3 ? atoi(argv[3]) : frames;
    char path[4096];
    ci_table t = {0};
    bool real;

    snprintf(path, sizeof path, "%s/data/hcrl_sa/test_04_unknown_vehicle_unknown_attack/malfunction-spark.csv",
             shared ? shared : "../shared");
    if (argc > 1) snprintf(path, sizeof path, "%s", argv[1]);
    real = capture_read(path, &t);
    if (!real) synthetic_make(&t);
    must(t.n >= frames && stride > 0, "W or S does not fit the rows");
    printf("window  %s, %d rows, W %d, S %d\n", real ? capture_name(path) : "synthetic", t.n, frames, stride);
    for (size_t i = 0; ci_feature_set_at(i); i++)
        if (!ci_feature_set_at(i)->stream) bench(ci_feature_set_at(i), &t, frames, stride);
    ci_table_release(&t);
    return 0;
}
