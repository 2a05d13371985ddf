/** Frames a second, on one core, from a table in memory into graphs of `agnostic`, for each past, and into a profile alone; kd35's builder
 *  beside it in the same rounds.
 *
 *      bench_stream FILE.csv [W] [S]
 *      bench_stream --memory FILE.csv TIMES PAST    peak memory of a pass over the file, so many times in a row as one capture
 *
 *  Before it times anything it checks what is known without any column: how many windows there are and which are warm, that nodes are the
 *  distinct identifiers and edges W-1 a window, that `run` has learned every frame, and that who only learns knows the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "capture.h"
#include "ci/stream.h"
#include "ci/window.h"

enum { BATCH = 64, ROUNDS = 9, CHUNK = 65536 };

struct totals { ci_gid graphs, warm, nodes, edges; };

static void totals_take(ci_graphs *g, struct totals *s)
{
    if (s) {
        must(ci_graphs_check(g) == CI_OK, "graphs");
        s->graphs += g->n_graph;
        s->nodes += g->n_node;
        s->edges += g->n_edge;
        for (ci_lid i = 0; i < g->n_graph; i++) s->warm += g->warm[i];
    }
    ci_graphs_clear(g);
}

/** Rows [0, n) of a table; g NULL: learned alone. */
static void rows_push(ci_stream *st, const ci_table *t, ci_graphs *g, struct totals *s)
{
    ci_lid at = 0, taken;

    while (at < t->n) {
        must(ci_stream_push(st, t, at, t->n, g, &taken) == CI_OK, "push");
        at += taken;
        if (g) totals_take(g, s);
    }
}

static double once(ci_stream *st, const ci_table *t, ci_graphs *g, struct totals *s)
{
    const double start = cpu_s();

    must(ci_stream_begin(st, NULL) == CI_OK, "begin");
    rows_push(st, t, g, s);
    must(ci_stream_end(st) == CI_OK, "end");
    return cpu_s() - start;
}

static double kd35_once(ci_builder *b, const ci_table *t, ci_lid frames, ci_lid stride, ci_graphs *g)
{
    const double start = cpu_s();

    for (ci_lid r = 0; r + frames <= t->n; r += stride) {
        if (g->n_graph == g->cap_graph) ci_graphs_clear(g);
        must(ci_window_build(b, t, r, g) == CI_OK, "window");
    }
    return cpu_s() - start;
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

static void check(ci_stream *st, const ci_table *t, ci_graphs *g, ci_past past, ci_lid frames, ci_lid stride)
{
    const ci_gid n = ci_window_count(t->n, frames, stride), cold = (CI_STREAM_WARM + stride - 1) / stride;
    struct totals s = {0};
    size_t n_built, n_learned;
    void *built, *learned;

    once(st, t, g, &s);
    must(s.graphs == n, "number of windows");
    must(s.nodes == ids_in_windows(t, frames, stride), "number of nodes");
    must(s.edges == n * (frames - 1), "number of edges");
    must(s.warm == (past == CI_PAST_NONE ? n : CI_MAX(0, n - cold)), "number of warm windows");
    if (past == CI_PAST_NONE) return;
    must(past == CI_PAST_GUARD || ci_profile_tell(ci_stream_known(st)).n == t->n, "a frame was not learned, or twice");
    built = ci_profile_pack(ci_stream_known(st), &n_built);
    once(st, t, NULL, NULL);
    learned = ci_profile_pack(ci_stream_known(st), &n_learned);
    must(built && learned && n_built == n_learned && memcmp(built, learned, n_built) == 0, "who only learns knows something else");
    free(built);
    free(learned);
}

static void say(const char *what, const char *how, const ci_table *t, double best)
{
    printf("stream  %-5s %-7s %7.2f M frames/s  (rows %d / CPU seconds %.5f, best of %d)\n", what, how, t->n / best * 1e-6, t->n, best, ROUNDS);
}

static void bench(ci_past past, const ci_table *t, ci_lid frames, ci_lid stride)
{
    const ci_feature_set *const set = ci_feature_set_of("agnostic", ci_past_name(past)), *const kd35 = ci_feature_set_find("kd35");
    double build = 1e9, learn = 1e9, beside = 1e9;
    ci_builder *b;
    ci_stream *st;
    ci_graphs g, k;

    must(ci_stream_create(set, past, frames, stride, 0, &st) == CI_OK, "stream");
    must(ci_builder_create(kd35, frames, false, &b) == CI_OK, "builder");
    must(ci_graphs_init(&g, set, BATCH, frames, frames) == CI_OK && ci_graphs_init(&k, kd35, BATCH, frames, frames) == CI_OK, "graphs");
    check(st, t, &g, past, frames, stride);
    for (int i = 0; i < ROUNDS; i++) {
        const double s[3] = {once(st, t, &g, NULL), past == CI_PAST_NONE ? 0 : once(st, t, NULL, NULL), kd35_once(b, t, frames, stride, &k)};
        build = CI_MIN(build, s[0]);
        learn = CI_MIN(learn, s[1]);
        beside = CI_MIN(beside, s[2]);
    }
    say(ci_past_name(past), "graphs", t, build);
    if (past != CI_PAST_NONE) say(ci_past_name(past), "learned", t, learn);
    say("kd35", "beside", t, beside);
    ci_graphs_release(&g);
    ci_graphs_release(&k);
    ci_builder_destroy(&b);
    ci_stream_destroy(&st);
}

/** The file so many times, each behind the other in time, as one capture; a chunk of it in memory. */
static void memory(const char *path, int times, ci_past past)
{
    const ci_feature_set *const set = ci_feature_set_of("agnostic", ci_past_name(past));
    int64_t shift = 0, last = 0, first = 0;
    FILE *const f = fopen(path, "r");
    struct rusage used;
    ci_gid rows = 0;
    ci_table t = {0};
    ci_stream *st;
    ci_graphs g;

    must(f, path);
    must(ci_stream_create(set, past, 100, 100, 0, &st) == CI_OK && ci_stream_begin(st, NULL) == CI_OK, "stream");
    must(ci_graphs_init(&g, set, BATCH, 100, 100) == CI_OK, "graphs");
    for (int i = 0; i < times; i++, shift = last + 1000000 - first) {
        rewind(f);
        for (ci_lid n; (n = capture_next(f, CHUNK, &t)) > 0; rows += n) {
            if (rows == 0) first = t.t_ns[0];
            for (ci_lid r = 0; r < n; r++) t.t_ns[r] += shift;
            last = t.t_ns[n - 1];
            rows_push(st, &t, &g, NULL);
        }
    }
    must(ci_stream_end(st) == CI_OK, "end");
    getrusage(RUSAGE_SELF, &used);
    printf("stream  %-5s peak memory %6.1f MiB after %9lld frames, of it known %.2f MiB\n", ci_past_name(past), (double)used.ru_maxrss / 1024,
           (long long)rows, (double)ci_profile_tell(ci_stream_known(st)).bytes / 1048576);
    ci_graphs_release(&g);
    ci_stream_destroy(&st);
    ci_table_release(&t);
    fclose(f);
}

int main(int argc, char **argv)
{
    const ci_lid frames = argc > 2 ? atoi(argv[2]) : 100, stride = argc > 3 ? atoi(argv[3]) : frames;
    ci_table t = {0};

    if (argc == 5 && strcmp(argv[1], "--memory") == 0) {
        memory(argv[2], atoi(argv[3]), ci_past_of(argv[4]));
        return 0;
    }
    must(argc > 1 && capture_read(argv[1], &t), "the first argument is a capture of four columns");
    must(t.n >= frames && stride > 0, "W or S does not fit the rows");
    printf("stream  %s, %d rows, W %d, S %d\n", capture_name(argv[1]), t.n, frames, stride);
    for (ci_past past = CI_PAST_NONE; past <= CI_PAST_BOTH; past++) bench(past, &t, frames, stride);
    ci_table_release(&t);
    return 0;
}
