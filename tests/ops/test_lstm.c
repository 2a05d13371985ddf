/* Jumping knowledge by LSTM, attention and maximum. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "ci/arena.h"
#include "prove.h"
#define CI_REAL double
#include "ops/ref/ref.h"

enum { L_MAX = 8 };

struct shape {
    ci_lstm_dim dim;
    ci_lid rows;
};

/** The L layers of x, which is one input. */
static void layers(const struct shape *s, double *x, double **out)
{
    for (ci_lid l = 0; l < s->dim.L; l++) out[l] = x + (size_t)l * s->rows * s->dim.D;
}

static void layers_f(const struct shape *s, float *x, float **out)
{
    for (ci_lid l = 0; l < s->dim.L; l++) out[l] = x + (size_t)l * s->rows * s->dim.D;
}

static ci_ref_lstm_w_double weights(double *const *in)
{
    return (ci_ref_lstm_w_double){in[1], in[2], in[3], in[4], in[5], in[6]};
}

static void lstm_forward(const void *shape, double *const *in, double *y)
{
    const struct shape *s = shape;
    double *x[L_MAX], *keep = ci_new((size_t)(s->rows * ci_lstm_keep(s->dim)), sizeof *keep);
    layers(s, in[0], x);
    ci_ref_lstm_forward_double(s->dim, s->rows, (const double *const *)x, weights(in), keep, y);
    free(keep);
}

static void lstm_backward(const void *shape, double *const *in, const double *dy, double *const *grad)
{
    const struct shape *s = shape;
    double *x[L_MAX], *dx[L_MAX], *keep = ci_new((size_t)(s->rows * ci_lstm_keep(s->dim)), sizeof *keep);
    double *y = ci_new((size_t)s->rows * s->dim.D, sizeof *y);
    layers(s, in[0], x);
    layers(s, grad[0], dx);
    ci_ref_lstm_forward_double(s->dim, s->rows, (const double *const *)x, weights(in), keep, y);
    ci_ref_lstm_backward_double(s->dim, s->rows, (const double *const *)x, weights(in), keep, dy,
                                (ci_ref_lstm_grad_double){dx, grad[1], grad[2], grad[3], grad[4], grad[5], grad[6]});
    free(keep);
    free(y);
}

/** Both directions of w (2, m, n) as (2, n, m). */
static float *transposed(const float *w, ci_lid m, ci_lid n)
{
    const size_t size = (size_t)m * n;
    float *t = ci_new(2 * size, sizeof *t);
    for (size_t d = 0; d < 2; d++)
        for (ci_lid i = 0; i < m; i++)
            for (ci_lid j = 0; j < n; j++) t[d * size + (size_t)j * m + i] = w[d * size + (size_t)i * n + j];
    return t;
}

static void lstm_kernel(const void *shape, const ci_ops *ops, float *const *in, float *y, const float *dy, float *const *grad)
{
    const struct shape *s = shape;
    float *x[L_MAX], *dx[L_MAX];
    float *keep = fill_f((size_t)(s->rows * ci_lstm_keep(s->dim)), 8), *work = fill_f((size_t)(s->rows * ci_lstm_work(s->dim)), 9);
    float *wt_ih = transposed(in[1], s->dim.D, 4 * s->dim.h), *wt_hh = transposed(in[2], s->dim.h, 4 * s->dim.h);
    const ci_lstm_w w = {in[1], in[2], in[3], in[4], in[5], in[6], wt_ih, wt_hh};
    layers_f(s, in[0], x);
    layers_f(s, grad[0], dx);
    ops->lstm_forward(s->dim, s->rows, (const float *const *)x, w, keep, y);
    ops->lstm_backward(s->dim, s->rows, (const float *const *)x, w, keep, dy, work,
                       (ci_lstm_grad){dx, grad[1], grad[2], grad[3], grad[4], grad[5], grad[6]});
    free(keep);
    free(work);
    free(wt_ih);
    free(wt_hh);
}

static void lstm_case(ci_lid L, ci_lid D, ci_lid h, ci_lid rows)
{
    const struct shape s = {{L, D, h}, rows};
    const size_t n = (size_t)rows * D, H = (size_t)h;
    const float scale = 1 / sqrtf((float)h);
    const prove q = {.in = {{"x", n * (size_t)L, 0, 0}, {"w_ih", 8 * H * (size_t)D, scale, 0}, {"w_hh", 8 * H * H, scale, 0},
                            {"b_ih", 8 * H, scale, 0}, {"b_hh", 8 * H, scale, 0}, {"att_w", 2 * H, 0, 0}, {"att_b", 1, 0, 0}},
                     .n_y = n, .shape = &s, .forward = lstm_forward, .backward = lstm_backward, .kernel = lstm_kernel,
                     .skip_differences = n * H > 500};
    prove_all(&q);
}

static void lstm__is_proven(void **state)
{
    (void)state;
    lstm_case(3, 6, 9, 4);
    lstm_case(2, 5, 5, 3);
    lstm_case(1, 8, 4, 2); /* one layer: y is x, and no weight has a gradient */
    lstm_case(2, 16, 16, 1);
    lstm_case(2, 96, 96, 37);
    lstm_case(3, 40, 60, 130);
    lstm_case(2, 16, 16, 0);
}

static void attention_forward(const void *shape, double *const *in, double *y)
{
    const struct shape *s = shape;
    double *x[L_MAX], p[L_MAX];
    for (ci_lid i = 0; i < s->rows; i++) {
        layers(s, in[0] + (size_t)i * s->dim.D, x);
        ci_ref_weighted_forward_double(s->dim.L, s->dim.D, (const double *const *)x, in[1], in[2], p, y + (size_t)i * s->dim.D);
    }
}

static void attention_backward(const void *shape, double *const *in, const double *dy, double *const *grad)
{
    const struct shape *s = shape;
    double *x[L_MAX], *dx[L_MAX], p[L_MAX], *y = ci_new((size_t)s->dim.D, sizeof *y);
    for (ci_lid i = 0; i < s->rows; i++) {
        const size_t at = (size_t)i * s->dim.D;
        layers(s, in[0] + at, x);
        layers(s, grad[0] + at, dx);
        ci_ref_weighted_forward_double(s->dim.L, s->dim.D, (const double *const *)x, in[1], in[2], p, y);
        ci_ref_weighted_backward_double(s->dim.L, s->dim.D, (const double *const *)x, in[1], p, dy + at, dx, grad[1], grad[2]);
    }
    free(y);
}

static void attention_kernel(const void *shape, const ci_ops *ops, float *const *in, float *y, const float *dy, float *const *grad)
{
    const struct shape *s = shape;
    float *x[L_MAX], *dx[L_MAX], *p = fill_f((size_t)s->rows * s->dim.L, 5);
    layers_f(s, in[0], x);
    layers_f(s, grad[0], dx);
    ops->jk_attention_forward(s->dim.L, s->rows, s->dim.D, (const float *const *)x, in[1], in[2], p, y);
    ops->jk_attention_backward(s->dim.L, s->rows, s->dim.D, (const float *const *)x, in[1], p, dy, dx, grad[1], grad[2]);
    free(p);
}

static void most_forward(const void *shape, double *const *in, double *y)
{
    const struct shape *s = shape;
    double *x[L_MAX];
    layers(s, in[0], x);
    ci_ref_max_forward_double(s->dim.L, s->rows * s->dim.D, (const double *const *)x, y);
}

static void most_backward(const void *shape, double *const *in, const double *dy, double *const *grad)
{
    const struct shape *s = shape;
    double *x[L_MAX], *dx[L_MAX];
    layers(s, in[0], x);
    layers(s, grad[0], dx);
    ci_ref_max_backward_double(s->dim.L, s->rows * s->dim.D, 0, (const double *const *)x, dy, dx);
}

static void most_kernel(const void *shape, const ci_ops *ops, float *const *in, float *y, const float *dy, float *const *grad)
{
    const struct shape *s = shape;
    float *x[L_MAX], *dx[L_MAX];
    layers_f(s, in[0], x);
    layers_f(s, grad[0], dx);
    ops->jk_max_forward(s->dim.L, s->rows, s->dim.D, (const float *const *)x, y);
    ops->jk_max_backward(s->dim.L, s->rows, s->dim.D, (const float *const *)x, dy, dx);
}

static void cheap_case(int most, ci_lid L, ci_lid D, ci_lid rows)
{
    const struct shape s = {{L, D, 0}, rows};
    const size_t n = (size_t)rows * D;
    const prove q = {.in = {{"x", n * (size_t)L, 0, 0}, {"a", (size_t)D, 0, most}, {"b", 1, 0, most}}, .n_y = n, .shape = &s,
                     .forward = most ? most_forward : attention_forward, .backward = most ? most_backward : attention_backward,
                     .kernel = most ? most_kernel : attention_kernel, .skip_differences = n > 200};
    prove_all(&q);
}

static void attention_and_maximum__are_proven(void **state)
{
    (void)state;
    for (int most = 0; most < 2; most++)
        for (ci_lid L = 1; L <= 3; L++) {
            cheap_case(most, L, 11, 5);
            cheap_case(most, L, 97, 33);
            cheap_case(most, L, 8, 1);
            cheap_case(most, L, 8, 0);
        }
}

static void maximum__of_equal_layers_is_the_first(void **state)
{
    (void)state;
    const ci_ops *ops = ci_ops_get("auto");
    const float a[3] = {1, 2, 3}, b[3] = {1, 5, 3}, *const x[2] = {a, b}, dy[3] = {7, 8, 9};
    float y[3], da[3] = {0}, db[3] = {0}, *const dx[2] = {da, db};
    ops->jk_max_forward(2, 1, 3, x, y);
    ops->jk_max_backward(2, 1, 3, x, dy, dx);
    assert_true(y[0] == 1 && y[1] == 5 && y[2] == 3);
    assert_true(da[0] == 7 && da[1] == 0 && da[2] == 9 && db[0] == 0 && db[1] == 8 && db[2] == 0);
}

/** A row of the LSTM does not depend on how many there are: what makes a shard's size free. */
static void lstm__row_does_not_depend_on_how_many_there_are(void **state)
{
    (void)state;
    enum { L = 2, D = 20, H = 20, ROWS = 70 };
    const ci_lstm_dim dim = {L, D, H};
    const ci_ops *ops = ci_ops_get("auto");
    float *x = fill_f(L * ROWS * D, 1), *w_ih = fill_f(8 * H * D, 2), *w_hh = fill_f(8 * H * H, 3), *b = fill_f(8 * H, 4);
    float *keep = fill_f((size_t)(ROWS * ci_lstm_keep(dim)), 5), all[ROWS * D], one[D];
    const ci_lstm_w w = {w_ih, w_hh, b, b, b, b, NULL, NULL};
    const float *const layer[L] = {x, x + ROWS * D};
    ops->lstm_forward(dim, ROWS, layer, w, keep, all);
    for (int i = 0; i < ROWS; i++) {
        const float *const row[L] = {layer[0] + i * D, layer[1] + i * D};
        ops->lstm_forward(dim, 1, row, w, keep, one);
        assert_memory_equal(one, all + i * D, sizeof one);
    }
    free(x);
    free(w_ih);
    free(w_hh);
    free(b);
    free(keep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lstm__is_proven),
        cmocka_unit_test(lstm__row_does_not_depend_on_how_many_there_are),
        cmocka_unit_test(attention_and_maximum__are_proven),
        cmocka_unit_test(maximum__of_equal_layers_is_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
