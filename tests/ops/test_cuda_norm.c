/* Norms on a device against the processor's, shard by shard. */
#include "ci_test.h"
#include "cuda_test.h"
#include "ci/ops.h"

static const ci_ops *ops(void) { return ci_ops_get("generic"); }

/** A shard of more graphs than all blocks of it take at once. */
static struct cuda_shape shape(void)
{
    struct cuda_shape s = {.n_graph = 73, .n_shard = 4, .graphs = {2, 0, 70, 1}, .F = 1, .K = 1, .W = 1, .n_id = 5};
    for (int g = 0; g < s.n_graph; g++) s.node[g] = g % 5 == 1 ? 1 : 3 + 7 * (g % 3);
    return s;
}

/** Likewise of rows. */
static struct cuda_shape long_shape(void)
{
    return (struct cuda_shape){.n_graph = 3, .node = {2, 2100, 9}, .n_shard = 2, .graphs = {1, 2}, .F = 1, .K = 1, .W = 1, .n_id = 5};
}

/** A norm's tensors on both sides. */
struct norm {
    int cols;
    size_t rows, n, n_stat;
    float *x, *w, *b, *s, *dy, *dx, *stat, *y; /* host; dx as it is before backward, then as it should be */
    double *dw, *db, *ds;
    ci_k_norm a;
    ci_k_norm_back g;
};

static float *fresh(size_t n)
{
    float *v = calloc(n + 1, sizeof *v);
    assert_non_null(v);
    return v;
}

static struct norm norm_make(struct cuda *c, const struct cuda_batch *t, ci_rows rows, int cols, size_t n_stat, bool overwrite)
{
    const size_t D = (size_t)cols, n = (size_t)t->step.n[rows] * D;
    struct norm m = {.cols = cols, .rows = (size_t)t->step.n[rows], .n = n, .n_stat = n_stat, .x = cuda_floats(51, n), .w = cuda_floats(52, D),
                     .b = cuda_floats(53, D), .s = cuda_floats(54, D), .dy = cuda_floats(55, n), .dx = cuda_floats(56, n), .stat = fresh(n_stat),
                     .y = fresh(n), .dw = calloc(D, sizeof(double)), .db = calloc(D, sizeof(double)), .ds = calloc(D, sizeof(double))};
    assert_true(m.dw && m.db && m.ds);
    m.a = (ci_k_norm){.rows = rows, .cols = cols, .x = cuda_put(c, m.x, n * 4), .w = cuda_put(c, m.w, D * 4), .b = cuda_put(c, m.b, D * 4),
                      .s = cuda_put(c, m.s, D * 4), .stat = cuda_room(c, n_stat * 4), .y = cuda_room(c, n * 4)};
    m.g = (ci_k_norm_back){.dy = cuda_put(c, m.dy, n * 4), .dx = cuda_put(c, m.dx, n * 4), .overwrite = overwrite, .w = cuda_grad(c, D),
                           .b = cuda_grad(c, D), .s = cuda_grad(c, D)};
    if (overwrite) memset(m.dx, 0, n * sizeof *m.dx);
    return m;
}

static void norm_free(struct norm *m)
{
    void *own[] = {m->x, m->w, m->b, m->s, m->dy, m->dx, m->stat, m->y, m->dw, m->db, m->ds};
    for (size_t k = 0; k < CI_COUNT(own); k++) free(own[k]);
}

static void to_double(double *sum, float *g, int n)
{
    for (int d = 0; d < n; d++) {
        sum[d] += (double)g[d];
        g[d] = 0;
    }
}

static void gradients(struct cuda *c, const struct norm *m, bool scale)
{
    cuda_check_grad(c, "dw", m->g.w, m->dw, (size_t)m->cols, 1e-5);
    cuda_check_grad(c, "db", m->g.b, m->db, (size_t)m->cols, 1e-5);
    if (scale) cuda_check_grad(c, "ds", m->g.s, m->ds, (size_t)m->cols, 1e-5);
}

/* ---- graph norm: the same bits ---- */

static void graph_norm(struct cuda *c, const struct cuda_shape *shape_, int cols, bool overwrite)
{
    struct cuda_batch t;
    cuda_batch_make(c, shape_, &t);
    struct norm m = norm_make(c, &t, CI_ROWS_NODE, cols, (size_t)t.all.n_graph * 2 * (size_t)cols, overwrite);
    float *dw = fresh((size_t)cols), *db = fresh((size_t)cols), *ds = fresh((size_t)cols);

    ops()->graph_norm_forward(t.all.n_graph, t.all.first, cols, m.x, m.w, m.b, m.s, m.stat, m.y);
    c->k->graph_norm(c->d.dev, &t.dev, &m.a);
    cuda_check_bits(c, "graph norm", m.a.y, m.y, m.n);
    cuda_check_bits(c, "graph norm's statistics", m.a.stat, m.stat, m.n_stat);
    for (int g = 0; g < t.all.n_graph; g++) {
        const size_t at = (size_t)t.all.first[g] * (size_t)cols;
        const ci_lid own[2] = {0, t.all.first[g + 1] - t.all.first[g]};
        ops()->graph_norm_backward(1, own, cols, m.x + at, m.w, m.s, m.stat + (size_t)g * 2 * (size_t)cols, m.dy + at, m.dx + at, dw, db, ds);
        to_double(m.dw, dw, cols);
        to_double(m.db, db, cols);
        to_double(m.ds, ds, cols);
    }
    c->k->graph_norm_back(c->d.dev, &t.dev, &m.a, &m.g);
    cuda_check_bits(c, "graph norm's dx", m.g.dx, m.dx, m.n);
    gradients(c, &m, true);
    free(dw);
    free(db);
    free(ds);
    norm_free(&m);
    cuda_batch_free(&t);
}

static void graph_norms(struct cuda *c)
{
    const struct cuda_shape s = shape(), usual = cuda_usual(), none = cuda_nothing();
    graph_norm(c, &s, 37, false);
    graph_norm(c, &usual, 32, true);
    graph_norm(c, &none, 5, false);
}

/* ---- layer norm ---- */

static void layer_norm(struct cuda *c, const struct cuda_shape *shape_, ci_rows rows, int cols, bool overwrite)
{
    struct cuda_batch t;
    cuda_batch_make(c, shape_, &t);
    struct norm m = norm_make(c, &t, rows, cols, (size_t)t.step.n[rows] * 2, overwrite);
    float *dw = fresh((size_t)cols), *db = fresh((size_t)cols);

    ops()->layer_norm_forward((ci_lid)m.rows, cols, m.x, m.w, m.b, m.stat, m.y);
    c->k->layer_norm(c->d.dev, &t.dev, &m.a);
    cuda_check(c, "layer norm", m.a.y, m.y, m.n, 1e-5);
    for (size_t i = 0; i < m.rows; i++) {
        const size_t at = i * (size_t)cols;
        ops()->layer_norm_backward(1, cols, m.x + at, m.w, m.stat + 2 * i, m.dy + at, m.dx + at, dw, db);
        to_double(m.dw, dw, cols);
        to_double(m.db, db, cols);
    }
    c->k->layer_norm_back(c->d.dev, &t.dev, &m.a, &m.g);
    cuda_check(c, "layer norm's dx", m.g.dx, m.dx, m.n, 1e-5);
    gradients(c, &m, false);
    free(dw);
    free(db);
    norm_free(&m);
    cuda_batch_free(&t);
}

static void layer_norms(struct cuda *c)
{
    const struct cuda_shape s = shape(), large = long_shape(), usual = cuda_usual(), none = cuda_nothing();
    layer_norm(c, &s, CI_ROWS_NODE, 45, false);
    layer_norm(c, &large, CI_ROWS_NODE, 3, false);
    layer_norm(c, &usual, CI_ROWS_GRAPH, 300, true);
    layer_norm(c, &none, CI_ROWS_NODE, 5, false);
}

/* ---- batch norm: sums of shards, their total, and what is made of it ---- */

static void check_doubles(struct cuda *c, const char *what, const double *dev, const double *want, size_t n, double tolerance)
{
    double *got = calloc(n + 1, sizeof *got);
    assert_non_null(got);
    cuda_get(c, got, dev, n * sizeof *got);
    cuda_record(c, got, n * sizeof *got);
    cuda_close(what, got, want, n, tolerance, 0);
    free(got);
}

/** Sums of each shard on the processor into `own`, and their total; backward where dy is given. */
static void shard_sums(const struct cuda_batch *t, const struct norm *m, bool backward, double *own, double *total)
{
    const int cols = m->cols;
    memset(total, 0, 2 * (size_t)cols * sizeof *total);
    for (int k = 0; k < t->n_shard; k++) {
        const size_t at = (size_t)t->first[CI_ROWS_NODE][k] * (size_t)cols;
        double *to = own + (size_t)k * 2 * (size_t)cols;
        if (backward) ops()->batch_norm_backward_sums(t->shard[k].n_node, cols, m->x + at, m->stat, m->stat + cols, m->dy + at, to);
        else ops()->batch_norm_sums(t->shard[k].n_node, cols, m->x + at, to);
        for (int d = 0; d < 2 * cols; d++) total[d] += to[d];
    }
}

static void batch_norm(struct cuda *c, const struct cuda_shape *shape_, int cols, bool overwrite)
{
    struct cuda_batch t;
    cuda_batch_make(c, shape_, &t);
    struct norm m = norm_make(c, &t, CI_ROWS_NODE, cols, 2 * (size_t)cols, overwrite);
    const size_t n = 2 * (size_t)cols, V = (size_t)t.n_shard, room = n * (size_t)t.dev.most_shard;
    double *own = calloc(V * n, sizeof *own), *total = calloc(n, sizeof *total);
    double *dev = cuda_room(c, room * sizeof *dev), *all = cuda_room(c, n * sizeof *all);
    const ci_k_cut cut = {.n = (int32_t)n, .own = dev, .all = dev, .total = all};

    assert_true(own && total);
    shard_sums(&t, &m, false, own, total);
    c->k->batch_norm_sums(c->d.dev, &t.dev, &m.a, dev);
    check_doubles(c, "batch norm's sums", dev, own, V * n, 1e-14);
    c->k->cut_total(c->d.dev, &t.dev, &cut);
    check_doubles(c, "batch norm's total", all, total, n, 1e-14);
    cuda_ok(c, c->r->upload(c->d.dev, all, total, n * sizeof *total)); /* so that what follows has the processor's bits */
    ci_batch_norm_close(cols, t.step.n_node, total, m.stat, m.stat + cols, NULL, NULL);
    c->k->batch_norm_close(c->d.dev, &t.dev, cols, all, m.a.stat);
    if (m.rows) cuda_check_bits(c, "batch norm's statistics", m.a.stat, m.stat, n);
    ops()->batch_norm_apply((ci_lid)m.rows, cols, m.x, m.stat, m.stat + cols, m.w, m.b, m.y);
    c->k->batch_norm(c->d.dev, &t.dev, &m.a);
    cuda_check_bits(c, "batch norm", m.a.y, m.y, m.n);

    shard_sums(&t, &m, true, own, total);
    c->k->batch_norm_back_sums(c->d.dev, &t.dev, &m.a, &m.g, dev);
    check_doubles(c, "batch norm's sums of dy", dev, own, V * n, 1e-14);
    memcpy(m.db, total, (size_t)cols * sizeof *total);
    memcpy(m.dw, total + cols, (size_t)cols * sizeof *total);
    gradients(c, &m, false);
    m.g.sum = cuda_put(c, total, n * sizeof *total);
    ops()->batch_norm_backward((ci_lid)m.rows, cols, t.step.n_node, m.x, m.stat, m.stat + cols, m.w, total, m.dy, m.dx);
    c->k->batch_norm_back(c->d.dev, &t.dev, &m.a, &m.g);
    cuda_check_bits(c, "batch norm's dx", m.g.dx, m.dx, m.n);
    free(own);
    free(total);
    norm_free(&m);
    cuda_batch_free(&t);
}

static void batch_norms(struct cuda *c)
{
    const struct cuda_shape s = shape(), usual = cuda_usual(), none = cuda_nothing();
    batch_norm(c, &s, 40, false);
    batch_norm(c, &usual, 7, true);
    batch_norm(c, &none, 5, false);
}

static void known(struct cuda *c)
{
    const struct cuda_shape s = shape();
    struct cuda_batch t;
    enum { COLS = 9 };
    float state[2 * COLS], want[2 * COLS];
    cuda_batch_make(c, &s, &t);
    for (int d = 0; d < 2 * COLS; d++) {
        want[d] = state[d] = 1.5f + cuda_random(61, (size_t)d);
        if (d >= COLS) want[d] = 1.0f / sqrtf(state[d] + CI_NORM_EPS);
    }
    float *stat = cuda_room(c, sizeof state);
    c->k->batch_norm_known(c->d.dev, &t.dev, COLS, cuda_put(c, state, sizeof state), stat);
    cuda_check_bits(c, "running statistics", stat, want, 2 * COLS);
    cuda_batch_free(&t);
}

/** Eight shards of three ranks, two, three and three of them, room for four each. */
static void totals(struct cuda *c)
{
    enum { RANKS = 3, ROOM = 4, V = 8, N = 300 };
    static const int count[RANKS] = {2, 3, 3};
    const struct cuda_shape s = cuda_nothing();
    struct cuda_batch t;
    static double all[RANKS][ROOM][N], want[N];

    cuda_batch_make(c, &s, &t);
    t.dev.most_shard = ROOM;
    t.step.all_shard = V;
    t.step.n_rank = RANKS;
    cuda_batch_step(c, &t);
    memset(want, 0, sizeof want);
    for (int r = 0; r < RANKS; r++)
        for (int k = 0; k < ROOM; k++)
            for (int j = 0; j < N; j++) {
                all[r][k][j] = k < count[r] ? ldexp((double)cuda_random((uint32_t)(70 + r), (size_t)(k * N + j)), 10 * k) : (double)NAN;
                if (k < count[r]) want[j] += all[r][k][j];
            }
    double *total = cuda_room(c, sizeof want);
    const ci_k_cut cut = {.n = N, .all = cuda_put(c, all, sizeof all), .total = total};
    c->k->cut_total(c->d.dev, &t.dev, &cut);
    check_doubles(c, "a cut's total", total, want, N, 0);
    cuda_batch_free(&t);
}

static void graph_norm__has_the_bits_of_the_processor(void **state) { cuda_each_order(state, graph_norms); }
static void layer_norm__is_that_of_the_processor(void **state) { cuda_each_order(state, layer_norms); }
static void batch_norm__is_that_of_the_processor_in_phases(void **state) { cuda_each_order(state, batch_norms); }
static void batch_norm_known__takes_running_statistics(void **state) { cuda_each_order(state, known); }
static void cut_total__adds_shards_in_their_order(void **state) { cuda_each_order(state, totals); }

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(graph_norm__has_the_bits_of_the_processor), cmocka_unit_test(layer_norm__is_that_of_the_processor),
    cmocka_unit_test(batch_norm__is_that_of_the_processor_in_phases), cmocka_unit_test(batch_norm_known__takes_running_statistics),
    cmocka_unit_test(cut_total__adds_shards_in_their_order)};
CI_TEST_MAIN(tests)
