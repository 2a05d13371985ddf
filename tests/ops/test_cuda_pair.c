/* Samples and what passes along raw edges on a device: every element has the bits of the processor's. */
#include "ci_test.h"
#include "../cuda_test.h"
#include "ci/loss.h"

static const int32_t columns[] = {1, 5, 16, 48};

static void each(struct cuda *c, void (*one)(struct cuda *c, struct cuda_batch *t, int32_t cols))
{
    const struct cuda_shape shapes[] = {cuda_usual(), cuda_nothing()};
    for (size_t s = 0; s < CI_COUNT(shapes); s++) {
        struct cuda_batch t;
        cuda_batch_make(c, &shapes[s], &t);
        for (size_t k = 0; k < CI_COUNT(columns); k++) one(c, &t, columns[k]);
        cuda_batch_free(&t);
    }
}

static float *copied(const float *v, size_t n)
{
    float *w = malloc((n + 1) * sizeof *w);
    assert_non_null(w);
    memcpy(w, v, n * sizeof *w);
    return w;
}

/* ---- samples ---- */

static void sample(struct cuda *c, struct cuda_batch *t, int32_t cols)
{
    const size_t n = (size_t)t->all.n_node * (size_t)cols;
    float *mu = cuda_floats(30, n), *logvar = cuda_floats(31, n), *dz = cuda_floats(32, n), *dmu = cuda_floats(33, n), *dlogvar = cuda_floats(34, n);
    float *eps = calloc(n + 1, sizeof *eps), *z = calloc(n + 1, sizeof *z);
    assert_true(eps && z);
    for (size_t i = 0; i < n; i++) logvar[i] *= 4; /* a quarter of them is clamped */
    t->step.seed = 5;
    t->step.epoch = 3;
    cuda_batch_step(c, t);
    for (int g = 0; g < t->all.n_graph; g++) {
        const int32_t first = t->all.first[g], rows = t->all.first[g + 1] - first;
        ci_normal(5, CI_RANDOM_LATENT, 3, (uint32_t)t->all.graph[g], 8, rows * cols, eps + (size_t)first * (size_t)cols);
    }
    ci_sample_normal(mu, logvar, eps, t->all.n_node, cols, 3, z);

    const ci_k_sample a = {.cols = cols, .operation = 8, .limit = 3, .mu = cuda_put(c, mu, n * sizeof *mu),
                           .logvar = cuda_put(c, logvar, n * sizeof *logvar), .eps = cuda_room(c, n * sizeof *eps), .z = cuda_room(c, n * sizeof *z)};
    c->k->sample(c->d.dev, &t->dev, &a);
    cuda_check(c, "eps", a.eps, eps, n, 0);
    cuda_check(c, "z", a.z, z, n, 0);

    float *dev_dz = cuda_put(c, dz, n * sizeof *dz), *dev_dmu = cuda_put(c, dmu, n * sizeof *dmu), *dev_dlogvar = cuda_put(c, dlogvar, n * sizeof *dlogvar);
    c->k->sample_back(c->d.dev, &t->dev, &a, dev_dz, dev_dmu, dev_dlogvar);
    ci_sample_normal_backward(logvar, eps, dz, t->all.n_node, cols, 3, dmu, dlogvar);
    cuda_check(c, "dmu", dev_dmu, dmu, n, 0);
    cuda_check(c, "dlogvar", dev_dlogvar, dlogvar, n, 0);

    ci_k_batch judged = t->dev;
    judged.training = 0;
    c->k->sample(c->d.dev, &judged, &a);
    cuda_check(c, "z without sampling", a.z, mu, n, 0);
    cuda_check(c, "eps without sampling", a.eps, eps, n, 0);
    free(mu), free(logvar), free(dz), free(dmu), free(dlogvar), free(eps), free(z);
}
static void samples(struct cuda *c) { each(c, sample); }
static void sample__has_the_bits_of_the_processor(void **state) { cuda_each_order(state, samples); }

/* ---- neighbours ---- */

static void neighbour(struct cuda *c, struct cuda_batch *t, int32_t cols)
{
    const ci_batch *b = &t->all;
    const size_t n = (size_t)b->n_node * (size_t)cols;
    float *z = cuda_floats(30, n), *dm = cuda_floats(31, n), *dz = cuda_floats(32, n), *m = calloc(n + 1, sizeof *m);
    float *work = calloc((size_t)b->n_node + 1, sizeof *work);
    assert_true(m && work);
    ci_neighbour_mean(z, b->n_node, cols, b->n_raw, b->raw_src, b->raw_dst, work, m);

    float *dev_z = cuda_put(c, z, n * sizeof *z), *dev_m = cuda_room(c, n * sizeof *m), *dev_dm = cuda_put(c, dm, n * sizeof *dm);
    float *dev_dz = cuda_put(c, dz, n * sizeof *dz);
    c->k->neighbour_mean(c->d.dev, &t->dev, cols, dev_z, dev_m);
    cuda_check(c, "m", dev_m, m, n, 0);
    ci_neighbour_mean_backward(dm, b->n_node, cols, b->n_raw, b->raw_src, b->raw_dst, work, dz);
    c->k->neighbour_mean_back(c->d.dev, &t->dev, cols, dev_dm, dev_dz);
    cuda_check(c, "dz", dev_dz, dz, n, 0);
    free(z), free(dm), free(dz), free(m), free(work);
}
static void neighbours(struct cuda *c) { each(c, neighbour); }
static void neighbour_mean__has_the_bits_of_the_processor(void **state) { cuda_each_order(state, neighbours); }

/* ---- both ends of an edge ---- */

static void pair(struct cuda *c, struct cuda_batch *t, int32_t cols)
{
    const ci_batch *b = &t->all;
    const size_t d = (size_t)cols, n = (size_t)b->n_node * d, r = (size_t)b->n_raw * 2 * d;
    float *z = cuda_floats(30, n), *dy = cuda_floats(31, r), *dz = cuda_floats(32, n), *y = calloc(r + 1, sizeof *y);
    assert_non_null(y);
    for (size_t e = 0; e < (size_t)b->n_raw; e++)
        for (size_t k = 0; k < d; k++) {
            y[e * 2 * d + k] = z[(size_t)b->raw_src[e] * d + k];
            y[e * 2 * d + d + k] = z[(size_t)b->raw_dst[e] * d + k];
        }
    float *dev_z = cuda_put(c, z, n * sizeof *z), *dev_y = cuda_room(c, r * sizeof *y), *dev_dy = cuda_put(c, dy, r * sizeof *dy);
    float *dev_dz = cuda_put(c, dz, n * sizeof *dz);
    c->k->edge_pair(c->d.dev, &t->dev, cols, dev_z, dev_y);
    cuda_check(c, "y", dev_y, y, r, 0);
    for (size_t e = 0; e < (size_t)b->n_raw; e++) {
        for (size_t k = 0; k < d; k++) dz[(size_t)b->raw_src[e] * d + k] += dy[e * 2 * d + k];
        for (size_t k = 0; k < d; k++) dz[(size_t)b->raw_dst[e] * d + k] += dy[e * 2 * d + d + k];
    }
    c->k->edge_pair_back(c->d.dev, &t->dev, cols, dev_dy, dev_dz);
    cuda_check(c, "dz", dev_dz, dz, n, 0);
    free(z), free(dy), free(dz), free(y);
}
static void pairs(struct cuda *c) { each(c, pair); }
static void edge_pair__has_the_bits_of_the_processor(void **state) { cuda_each_order(state, pairs); }

static void add(struct cuda *c, struct cuda_batch *t, int32_t cols)
{
    const ci_batch *b = &t->all;
    const size_t d = (size_t)cols, n = (size_t)b->n_node * d, r = (size_t)b->n_raw * d;
    float *src = cuda_floats(30, n), *dst = cuda_floats(31, n), *y = cuda_floats(32, r);
    float *dev_src = cuda_put(c, src, n * sizeof *src), *dev_dst = cuda_put(c, dst, n * sizeof *dst), *dev_y = cuda_put(c, y, r * sizeof *y);
    float *dy = copied(y, r), *dev_dy = cuda_put(c, y, r * sizeof *y);

    for (size_t e = 0; e < (size_t)b->n_raw; e++)
        for (size_t k = 0; k < d; k++) y[e * d + k] = (y[e * d + k] + src[(size_t)b->raw_src[e] * d + k]) + dst[(size_t)b->raw_dst[e] * d + k];
    c->k->pair_add(c->d.dev, &t->dev, cols, dev_src, dev_dst, dev_y);
    cuda_check(c, "y", dev_y, y, r, 0);
    for (size_t e = 0; e < (size_t)b->n_raw; e++)
        for (size_t k = 0; k < d; k++) {
            src[(size_t)b->raw_src[e] * d + k] += dy[e * d + k];
            dst[(size_t)b->raw_dst[e] * d + k] += dy[e * d + k];
        }
    c->k->pair_add_back(c->d.dev, &t->dev, cols, dev_dy, dev_src, dev_dst);
    cuda_check(c, "dsrc", dev_src, src, n, 0);
    cuda_check(c, "ddst", dev_dst, dst, n, 0);
    free(src), free(dst), free(y), free(dy);
}
static void adds(struct cuda *c) { each(c, add); }
static void pair_add__has_the_bits_of_the_processor(void **state) { cuda_each_order(state, adds); }

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(sample__has_the_bits_of_the_processor),
    cmocka_unit_test(neighbour_mean__has_the_bits_of_the_processor),
    cmocka_unit_test(edge_pair__has_the_bits_of_the_processor),
    cmocka_unit_test(pair_add__has_the_bits_of_the_processor),
};
CI_TEST_MAIN(tests)
