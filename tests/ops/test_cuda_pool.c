/* Pooling and jumping knowledge on a device against the processor's, graph by graph and node by node. */
#include "ci_test.h"
#include "cuda_test.h"
#include "ci/ops.h"

enum { LAYERS = 8 };

static const ci_ops *ops(void) { return ci_ops_get("generic"); }

/** Graphs of more nodes than a block takes at once, and a shard of more than all of its blocks do. */
static struct cuda_shape shape(void)
{
    return (struct cuda_shape){.n_graph = 9, .node = {5, 1, 17, 150, 1, 7, 2, 2100, 3}, .n_shard = 5, .graphs = {3, 0, 2, 1, 3},
                               .F = 1, .K = 1, .W = 1, .n_id = 12};
}

static float *fresh(size_t n)
{
    float *v = calloc(n + 1, sizeof *v);
    assert_non_null(v);
    return v;
}

static void to_double(double *sum, float *g, int n)
{
    for (int d = 0; d < n; d++) {
        sum[d] += (double)g[d];
        g[d] = 0;
    }
}

/** Inputs of some columns each, with ties; gradients as they are before backward, 0 where they are written. */
struct layers { float *x[LAYERS], *dx[LAYERS]; const float *dev[LAYERS]; float *back[LAYERS]; };

static struct layers layers_make(struct cuda *c, int n, size_t rows, const int *cols, uint32_t overwrite)
{
    struct layers l = {0};
    for (int k = 0; k < n; k++) {
        const size_t size = rows * (size_t)cols[k];
        l.x[k] = cuda_floats(80 + (uint32_t)k, size);
        l.dx[k] = cuda_floats(90 + (uint32_t)k, size);
        for (size_t i = 0; i < size; i++)
            if (cuda_random_below(79, i, 3) == 0) l.x[k][i] = 0.75f;
        l.dev[k] = cuda_put(c, l.x[k], size * sizeof(float));
        l.back[k] = cuda_put(c, l.dx[k], size * sizeof(float));
        if (overwrite >> k & 1) memset(l.dx[k], 0, size * sizeof(float));
    }
    return l;
}

static void layers_free(struct layers *l, int n)
{
    for (int k = 0; k < n; k++) {
        free(l->x[k]);
        free(l->dx[k]);
    }
}

/* ---- pooling: the same bits, but for attention ---- */

static void pool_one(ci_k_pooling how, const float *x, int rows, int cols, float *y)
{
    if (how == CI_K_MEAN) ops()->mean(x, rows, cols, y);
    if (how == CI_K_SUM) ops()->pool_sum(x, rows, cols, y);
    if (how == CI_K_MAX) ops()->pool_max(x, rows, cols, y);
}

static void pool_one_back(ci_k_pooling how, const float *x, const float *y, const float *dy, int rows, int cols, float *dx)
{
    if (how == CI_K_MEAN) ops()->mean_backward(dy, rows, cols, 1, dx);
    if (how == CI_K_SUM) ops()->pool_sum_backward(dy, rows, cols, dx);
    if (how == CI_K_MAX) ops()->pool_max_backward(x, y, dy, rows, cols, dx);
}

static void pooled(struct cuda *c, const struct cuda_shape *s, ci_k_pooling how, uint32_t overwrite)
{
    enum { N = 3, WIDTH = 40 + 7 + 1 };
    static const int cols[N] = {40, 7, 1};
    struct cuda_batch t;
    cuda_batch_make(c, s, &t);
    const size_t rows = (size_t)t.all.n_node, n = (size_t)t.all.n_graph * WIDTH;
    struct layers l = layers_make(c, N, rows, cols, overwrite);
    float *y = fresh(n), *dy = cuda_floats(77, n);
    ci_k_pool_rows a = {.how = how, .n = N, .y = cuda_room(c, n * sizeof *y)};
    ci_k_pool_back g = {.dy = cuda_put(c, dy, n * sizeof *dy), .overwrite = overwrite};

    for (int k = 0; k < N; k++) {
        a.cols[k] = cols[k];
        a.x[k] = l.dev[k];
        g.dx[k] = l.back[k];
    }
    for (int i = 0; i < t.all.n_graph; i++)
        for (int k = 0, column = i * WIDTH; k < N; column += cols[k++]) {
            const int at = t.all.first[i] * cols[k], own = t.all.first[i + 1] - t.all.first[i];
            pool_one(how, l.x[k] + at, own, cols[k], y + column);
            pool_one_back(how, l.x[k] + at, y + column, dy + column, own, cols[k], l.dx[k] + at);
        }
    c->k->pool(c->d.dev, &t.dev, &a);
    cuda_check_bits(c, "pool", a.y, y, n);
    c->k->pool_back(c->d.dev, &t.dev, &a, &g);
    for (int k = 0; k < N; k++) cuda_check_bits(c, "pool's dx", l.back[k], l.dx[k], rows * (size_t)cols[k]);
    free(y);
    free(dy);
    layers_free(&l, N);
    cuda_batch_free(&t);
}

static void pools(struct cuda *c)
{
    const struct cuda_shape s = shape(), none = cuda_nothing();
    for (int how = CI_K_MEAN; how <= CI_K_MAX; how++) {
        pooled(c, &s, (ci_k_pooling)how, 5);
        pooled(c, &none, (ci_k_pooling)how, 0);
    }
}

static void attended(struct cuda *c, const struct cuda_shape *s, int cols, uint32_t overwrite)
{
    struct cuda_batch t;
    cuda_batch_make(c, s, &t);
    const size_t rows = (size_t)t.all.n_node, D = (size_t)cols, n = (size_t)t.all.n_graph * D;
    struct layers l = layers_make(c, 1, rows, &cols, overwrite);
    float *y = fresh(n), *p = fresh(rows), *dy = cuda_floats(76, n), *a = cuda_floats(75, D), *da = fresh(D), b = 0.25f, db = 0;
    double *sum = calloc(D, sizeof *sum);
    ci_k_pool_rows k = {.how = CI_K_ATTENTION, .n = 1, .cols = {cols}, .x = {l.dev[0]}, .a = cuda_put(c, a, D * sizeof *a), .b = cuda_put(c, &b, sizeof b),
                        .p = cuda_room(c, rows * sizeof *p), .y = cuda_room(c, n * sizeof *y)};
    ci_k_pool_back g = {.dy = cuda_put(c, dy, n * sizeof *dy), .dx = {l.back[0]}, .overwrite = overwrite, .a = cuda_grad(c, D)};

    assert_non_null(sum);
    for (int i = 0; i < t.all.n_graph; i++) {
        const size_t first = (size_t)t.all.first[i], at = first * D, to = (size_t)i * D;
        const int own = t.all.first[i + 1] - t.all.first[i];
        ops()->pool_attention(l.x[0] + at, a, &b, own, cols, p + first, y + to);
        ops()->pool_attention_backward(l.x[0] + at, a, p + first, dy + to, own, cols, l.dx[0] + at, da, &db);
        to_double(sum, da, cols);
    }
    c->k->pool(c->d.dev, &t.dev, &k);
    cuda_check(c, "pool by attention", k.y, y, n, 1e-5);
    cuda_check(c, "its probabilities", k.p, p, rows, 1e-5);
    c->k->pool_back(c->d.dev, &t.dev, &k, &g);
    cuda_check(c, "its dx", l.back[0], l.dx[0], rows * D, 1e-5);
    cuda_check_grad(c, "its da", g.a, sum, D, 1e-5);
    void *own[] = {y, p, dy, a, da, sum};
    for (size_t i = 0; i < CI_COUNT(own); i++) free(own[i]);
    layers_free(&l, 1);
    cuda_batch_free(&t);
}

static void attentions(struct cuda *c)
{
    const struct cuda_shape s = shape(), usual = cuda_usual(), none = cuda_nothing();
    attended(c, &s, 5, 0);
    attended(c, &usual, 270, 1);
    attended(c, &none, 5, 0);
}

/* ---- jumping knowledge ---- */

static void jumped(struct cuda *c, const struct cuda_shape *s, int L, int D, uint32_t overwrite)
{
    struct cuda_batch t;
    int cols[LAYERS];
    for (int l = 0; l < L; l++) cols[l] = D;
    cuda_batch_make(c, s, &t);
    const ci_lid rows = t.all.n_node;
    const size_t n = (size_t)rows * (size_t)D;
    struct layers l = layers_make(c, L, (size_t)rows, cols, overwrite), m = layers_make(c, L, (size_t)rows, cols, overwrite);
    float *y = fresh(n), *p = fresh((size_t)rows * (size_t)L), *dy = cuda_floats(74, n), *a = cuda_floats(73, (size_t)D), *da = fresh((size_t)D), b = -0.5f, db = 0;
    double *sum = calloc((size_t)D, sizeof *sum);
    ci_k_jump k = {.L = L, .D = D, .a = cuda_put(c, a, (size_t)D * sizeof *a), .b = cuda_put(c, &b, sizeof b),
                   .p = cuda_room(c, (size_t)(rows * L) * sizeof *p), .y = cuda_room(c, n * sizeof *y)};
    ci_k_jump_back g = {.dy = cuda_put(c, dy, n * sizeof *dy), .overwrite = overwrite, .a = cuda_grad(c, (size_t)D)};

    assert_non_null(sum);
    memcpy(k.x, l.dev, sizeof k.x);
    memcpy(g.dx, l.back, sizeof g.dx);
    ops()->jk_attention_forward(L, rows, D, (const float *const *)l.x, a, &b, p, y);
    c->k->jk_attention(c->d.dev, &t.dev, &k);
    cuda_check(c, "layers by attention", k.y, y, n, 1e-5);
    cuda_check(c, "their probabilities", k.p, p, (size_t)(rows * L), 1e-5);
    for (int i = 0; i < rows; i++) {
        const float *x[LAYERS];
        float *dx[LAYERS];
        for (int q = 0; q < L; q++) {
            x[q] = l.x[q] + i * D;
            dx[q] = l.dx[q] + i * D;
        }
        ops()->jk_attention_backward(L, 1, D, x, a, p + i * L, dy + i * D, dx, da, &db);
        to_double(sum, da, D);
    }
    c->k->jk_attention_back(c->d.dev, &t.dev, &k, &g);
    for (int q = 0; q < L; q++) cuda_check(c, "their dx", l.back[q], l.dx[q], n, 1e-5);
    cuda_check_grad(c, "their da", g.a, sum, (size_t)D, 1e-5);

    memcpy(g.dx, m.back, sizeof g.dx);
    ops()->jk_max_forward(L, rows, D, (const float *const *)m.x, y);
    c->k->jk_max(c->d.dev, &t.dev, &k);
    cuda_check_bits(c, "the largest of layers", k.y, y, n);
    ops()->jk_max_backward(L, rows, D, (const float *const *)m.x, dy, m.dx);
    c->k->jk_max_back(c->d.dev, &t.dev, &k, &g);
    for (int q = 0; q < L; q++) cuda_check_bits(c, "its dx", m.back[q], m.dx[q], n);
    void *own[] = {y, p, dy, a, da, sum};
    for (size_t i = 0; i < CI_COUNT(own); i++) free(own[i]);
    layers_free(&l, L);
    layers_free(&m, L);
    cuda_batch_free(&t);
}

static void jumps(struct cuda *c)
{
    const struct cuda_shape s = shape(), usual = cuda_usual(), none = cuda_nothing();
    jumped(c, &s, 2, 3, 0);
    jumped(c, &usual, 8, 45, 0x55);
    jumped(c, &usual, 3, 300, 7);
    jumped(c, &none, 3, 4, 0);
}

static void pool__has_the_bits_of_the_processor(void **state) { cuda_each_order(state, pools); }
static void pool_attention__is_that_of_the_processor(void **state) { cuda_each_order(state, attentions); }
static void jk__is_that_of_the_processor(void **state) { cuda_each_order(state, jumps); }

static const struct CMUnitTest tests[] = {cmocka_unit_test(pool__has_the_bits_of_the_processor), cmocka_unit_test(pool_attention__is_that_of_the_processor),
                                          cmocka_unit_test(jk__is_that_of_the_processor)};
CI_TEST_MAIN(tests)
