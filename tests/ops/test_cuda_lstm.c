/* Jumping knowledge by LSTM on a device: the bits of the processor's in y and dx, gradients of weights within 1e-5, and tf32 and bf16. */
#include "ci_test.h"
#include "cuda_test.h"
#include "ci/ops.h"

enum { L_MAX = 8 };

/* Parameters, inputs and gradients on the host; x, dx and y of all rows. */
struct host {
    ci_lstm_dim dim;
    int rows;
    float *x[L_MAX], *dx[L_MAX], *y, *dy, *w_ih, *w_hh, *b_ih, *b_hh, *att_w, *att_b, *wt_ih, *wt_hh;
    double *sum[5]; /* gradients of the first five, over shards */
};

static size_t size_of(ci_lstm_dim d, int tensor)
{
    const size_t h = (size_t)d.h, D = (size_t)d.D, n[5] = {8 * D * h, 8 * h * h, 8 * h, 8 * h, 2 * h};
    return n[tensor];
}

static float *scaled(uint32_t stream, size_t n, float by)
{
    float *v = cuda_floats(stream, n);
    for (size_t i = 0; i < n; i++) v[i] *= by;
    return v;
}

/** (2, rows, cols) turned into (2, cols, rows). */
static float *turned(const float *w, int rows, int cols)
{
    float *t = calloc(2 * (size_t)rows * (size_t)cols, sizeof *t);
    assert_non_null(t);
    for (int d = 0; d < 2; d++)
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < cols; c++) t[(d * cols + c) * rows + r] = w[(d * rows + r) * cols + c];
    return t;
}

static struct host host_make(ci_lstm_dim dim, int rows)
{
    struct host s = {.dim = dim, .rows = rows};
    const size_t n = (size_t)rows * (size_t)dim.D;
    for (int l = 0; l < dim.L; l++) {
        s.x[l] = cuda_floats(200 + (uint32_t)l, n);
        s.dx[l] = cuda_floats(220 + (uint32_t)l, n);
    }
    s.y = cuda_floats(240, n);
    s.dy = cuda_floats(241, n);
    s.w_ih = scaled(242, size_of(dim, 0), 0.4f);
    s.w_hh = scaled(243, size_of(dim, 1), 0.4f);
    s.b_ih = scaled(244, size_of(dim, 2), 0.4f);
    s.b_hh = scaled(245, size_of(dim, 3), 0.4f);
    s.att_w = scaled(246, size_of(dim, 4), 2.0f);
    s.att_b = cuda_floats(247, 1);
    s.wt_ih = turned(s.w_ih, dim.D, 4 * dim.h);
    s.wt_hh = turned(s.w_hh, dim.h, 4 * dim.h);
    for (int k = 0; k < 5; k++) {
        s.sum[k] = calloc(size_of(dim, k), sizeof(double));
        assert_non_null(s.sum[k]);
    }
    return s;
}

static void host_free(struct host *s)
{
    float *own[] = {s->y, s->dy, s->w_ih, s->w_hh, s->b_ih, s->b_hh, s->att_w, s->att_b, s->wt_ih, s->wt_hh};
    for (size_t i = 0; i < CI_COUNT(own); i++) free(own[i]);
    for (int k = 0; k < 5; k++) free(s->sum[k]);
    for (int l = 0; l < s->dim.L; l++) {
        free(s->x[l]);
        free(s->dx[l]);
    }
}

/** Both passes of one shard, its rows from `first` on. */
static void shard_on_processor(struct host *s, int first, int rows)
{
    const ci_ops *ops = ci_ops_get("generic");
    const ci_lstm_dim dim = s->dim;
    const ci_lstm_w w = {s->w_ih, s->w_hh, s->b_ih, s->b_hh, s->att_w, s->att_b, s->wt_ih, s->wt_hh};
    const size_t at = (size_t)first * (size_t)dim.D;
    float *keep = calloc((size_t)(ci_lstm_keep(dim) + ci_lstm_work(dim)) * (size_t)rows + 1, sizeof *keep), *grad[5], att_b = 0, *dx[L_MAX];
    const float *x[L_MAX];
    assert_non_null(keep);
    for (int l = 0; l < dim.L; l++) {
        x[l] = s->x[l] + at;
        dx[l] = s->dx[l] + at;
    }
    for (int k = 0; k < 5; k++) {
        grad[k] = calloc(size_of(dim, k), sizeof(float));
        assert_non_null(grad[k]);
    }
    ops->lstm_forward(dim, rows, x, w, keep, s->y + at);
    ops->lstm_backward(dim, rows, x, w, keep, s->dy + at, keep + (size_t)ci_lstm_keep(dim) * (size_t)rows,
                       (ci_lstm_grad){dx, grad[0], grad[1], grad[2], grad[3], grad[4], &att_b});
    for (int k = 0; k < 5; k++) {
        for (size_t i = 0; i < size_of(dim, k); i++) s->sum[k][i] += (double)grad[k][i];
        free(grad[k]);
    }
    free(keep);
}

static void check(struct cuda *c, const char *what, const float *dev, const float *want, size_t n, double tolerance)
{
    if (tolerance > 0) {
        cuda_check(c, what, dev, want, n, tolerance);
        return;
    }
    float *got = cuda_get_floats(c, dev, n);
    cuda_record(c, got, n * sizeof *got);
    for (size_t i = 0; i < n; i++)
        if (memcmp(&got[i], &want[i], sizeof *got)) fail_msg("%s: %zu of %zu is %.9g, not %.9g", what, i, n, (double)got[i], (double)want[i]);
    free(got);
}

/** most: 0, or how many rows grids are made for.  Row `overwritten` of x's gradients is written, not added to. */
static void one(struct cuda *c, const struct cuda_shape *shape, ci_lstm_dim dim, int most, ci_precision precision, double tolerance)
{
    static const char *const name[] = {"w_ih", "w_hh", "b_ih", "b_hh", "att_w"};
    struct cuda_batch t;
    cuda_batch_make(c, shape, &t);
    struct host s = host_make(dim, t.step.n[CI_ROWS_NODE]);
    ci_k_batch b = t.dev;
    if (most) b.most[CI_ROWS_NODE] = most;
    const size_t n = (size_t)s.rows * (size_t)dim.D, rows = (size_t)b.most[CI_ROWS_NODE];
    const int written = dim.L - 1;
    ci_k_gemm_grad out[CI_LSTM_PRODUCTS];
    int out_n = -1;
    ci_k_lstm a = {.dim = dim, .precision = precision, .keep = cuda_room(c, rows * (size_t)c->k->lstm_keep(dim) * sizeof(float)),
                   .y = cuda_room(c, n * sizeof(float)),
                   .w = {.w_ih = cuda_put(c, s.w_ih, size_of(dim, 0) * sizeof(float)), .w_hh = cuda_put(c, s.w_hh, size_of(dim, 1) * sizeof(float)),
                         .b_ih = cuda_put(c, s.b_ih, size_of(dim, 2) * sizeof(float)), .b_hh = cuda_put(c, s.b_hh, size_of(dim, 3) * sizeof(float)),
                         .att_w = cuda_put(c, s.att_w, size_of(dim, 4) * sizeof(float)), .att_b = cuda_put(c, s.att_b, sizeof(float))}};
    ci_k_grad grad[5];
    ci_k_lstm_back g = {.dy = cuda_put(c, s.dy, n * sizeof(float)), .work = cuda_room(c, rows * (size_t)c->k->lstm_work(dim) * sizeof(float)),
                        .overwrite = 1u << written, .out = out, .out_n = &out_n};
    for (int k = 0; k < 5; k++) grad[k] = cuda_grad(c, size_of(dim, k));
    g.w_ih = grad[0];
    g.w_hh = grad[1];
    g.b_ih = grad[2];
    g.b_hh = grad[3];
    g.att_w = grad[4];
    for (int l = 0; l < dim.L; l++) {
        a.x[l] = cuda_put(c, s.x[l], n * sizeof(float));
        g.dx[l] = cuda_put(c, s.dx[l], n * sizeof(float));
    }
    memset(s.dx[written], 0, n * sizeof(float));
    c->k->lstm(c->d.dev, &b, &a);
    c->k->lstm_back(c->d.dev, &b, &a, &g);
    assert_int_equal(out_n, 5 * dim.L - 2);
    c->k->gemm_grad(c->d.dev, &b, precision, out, out_n);

    for (int k = 0; k < t.n_shard; k++) shard_on_processor(&s, t.first[CI_ROWS_NODE][k], t.first[CI_ROWS_NODE][k + 1] - t.first[CI_ROWS_NODE][k]);
    check(c, "y", a.y, s.y, n, tolerance);
    for (int l = 0; l < dim.L; l++) check(c, "dx", g.dx[l], s.dx[l], n, tolerance);
    for (int k = 0; k < 5; k++) cuda_check_grad(c, name[k], grad[k], s.sum[k], size_of(dim, k), tolerance > 0 ? tolerance : 1e-5);
    host_free(&s);
    cuda_batch_free(&t);
}

static void each_shape(struct cuda *c)
{
    const struct cuda_shape shape = cuda_usual(), nothing = cuda_nothing();
    static const ci_lstm_dim dims[] = {{2, 24, 24}, {3, 13, 19}, {1, 7, 5}, {8, 3, 1}, {2, 1, 33}};
    for (size_t k = 0; k < CI_COUNT(dims); k++) one(c, &shape, dims[k], 0, CI_FP32, 0);
    one(c, &nothing, dims[1], 0, CI_FP32, 0);
}
static void large_tiles(struct cuda *c)
{
    const struct cuda_shape shape = cuda_usual();
    one(c, &shape, (ci_lstm_dim){2, 20, 20}, 128 * 132, CI_FP32, 0);
}
static void tensor_cores(struct cuda *c)
{
    const struct cuda_shape shape = cuda_usual();
    for (int how = CI_TF32; how <= CI_BF16; how++) {
        one(c, &shape, (ci_lstm_dim){3, 13, 19}, 0, (ci_precision)how, 1e-2);
        one(c, &shape, (ci_lstm_dim){2, 24, 24}, 128 * 132, (ci_precision)how, 1e-2);
    }
}
static void lstm__has_the_bits_of_the_processor(void **state) { cuda_each_order(state, each_shape); }
static void lstm__has_the_same_bits_in_large_tiles(void **state) { cuda_each_order(state, large_tiles); }
static void lstm__is_within_a_hundredth_by_tensor_cores(void **state) { cuda_each_order(state, tensor_cores); }

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(lstm__has_the_bits_of_the_processor),
    cmocka_unit_test(lstm__has_the_same_bits_in_large_tiles),
    cmocka_unit_test(lstm__is_within_a_hundredth_by_tensor_cores),
};
CI_TEST_MAIN(tests)
