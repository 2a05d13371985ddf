/* Pooling, sigmoid, tanh, dropout without ReLU, and hashed rows of an embedding. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "ci/random.h"
#include "prove.h"
#define CI_REAL double
#include "ops/ref/ref.h"

enum { ROWS_MAX = 40 };

struct shape {
    ci_lid rows, cols;
};

static void rows_of(const struct shape *s, double *x, double **out)
{
    for (ci_lid i = 0; i < s->rows; i++) out[i] = x + (size_t)i * s->cols;
}

static void attention_forward(const void *shape, double *const *in, double *y)
{
    const struct shape *s = shape;
    double *x[ROWS_MAX], p[ROWS_MAX];
    rows_of(s, in[0], x);
    ci_ref_weighted_forward_double(s->rows, s->cols, (const double *const *)x, in[1], in[2], p, y);
}

static void attention_backward(const void *shape, double *const *in, const double *dy, double *const *grad)
{
    const struct shape *s = shape;
    double *x[ROWS_MAX], *dx[ROWS_MAX], p[ROWS_MAX], *y = fill_d((size_t)s->cols, 1);
    rows_of(s, in[0], x);
    rows_of(s, grad[0], dx);
    ci_ref_weighted_forward_double(s->rows, s->cols, (const double *const *)x, in[1], in[2], p, y);
    ci_ref_weighted_backward_double(s->rows, s->cols, (const double *const *)x, in[1], p, dy, dx, grad[1], grad[2]);
    free(y);
}

static void attention_kernel(const void *shape, const ci_ops *ops, float *const *in, float *y, const float *dy, float *const *grad)
{
    const struct shape *s = shape;
    float p[ROWS_MAX];
    ops->pool_attention(in[0], in[1], in[2], s->rows, s->cols, p, y);
    ops->pool_attention_backward(in[0], in[1], p, dy, s->rows, s->cols, grad[0], grad[1], grad[2]);
}

static void most_forward(const void *shape, double *const *in, double *y)
{
    const struct shape *s = shape;
    double *x[ROWS_MAX];
    rows_of(s, in[0], x);
    ci_ref_max_forward_double(s->rows, s->cols, (const double *const *)x, y);
}

static void most_backward(const void *shape, double *const *in, const double *dy, double *const *grad)
{
    const struct shape *s = shape;
    double *x[ROWS_MAX], *dx[ROWS_MAX];
    rows_of(s, in[0], x);
    rows_of(s, grad[0], dx);
    ci_ref_max_backward_double(s->rows, s->cols, 1, (const double *const *)x, dy, dx);
}

static void most_kernel(const void *shape, const ci_ops *ops, float *const *in, float *y, const float *dy, float *const *grad)
{
    const struct shape *s = shape;
    ops->pool_max(in[0], s->rows, s->cols, y);
    ops->pool_max_backward(in[0], y, dy, s->rows, s->cols, grad[0]);
}

static void sum_forward(const void *shape, double *const *in, double *y)
{
    const struct shape *s = shape;
    for (ci_lid d = 0; d < s->cols; d++) {
        y[d] = 0;
        for (ci_lid i = 0; i < s->rows; i++) y[d] += in[0][i * s->cols + d];
    }
}

static void sum_backward(const void *shape, double *const *in, const double *dy, double *const *grad)
{
    const struct shape *s = shape;
    (void)in;
    for (ci_lid i = 0; i < s->rows * s->cols; i++) grad[0][i] += dy[i % s->cols];
}

static void sum_kernel(const void *shape, const ci_ops *ops, float *const *in, float *y, const float *dy, float *const *grad)
{
    const struct shape *s = shape;
    ops->pool_sum(in[0], s->rows, s->cols, y);
    ops->pool_sum_backward(dy, s->rows, s->cols, grad[0]);
}

static void pools(prove q)
{
    const struct shape shapes[] = {{5, 11}, {1, 8}, {33, 97}, {0, 16}, {40, 1}};
    for (size_t k = 0; k < CI_COUNT(shapes); k++) {
        const size_t n = (size_t)shapes[k].cols;
        q.shape = &shapes[k];
        q.n_y = n;
        q.in[0] = (struct prove_input){"x", (size_t)shapes[k].rows * n, 0, 0};
        if (q.in[1].name) q.in[1].n = n;
        q.skip_differences = k == 2;
        prove_all(&q);
    }
}

static void pool__is_proven(void **state)
{
    (void)state;
    pools((prove){.forward = sum_forward, .backward = sum_backward, .kernel = sum_kernel});
    pools((prove){.forward = most_forward, .backward = most_backward, .kernel = most_kernel});
    pools((prove){.in = {[1] = {"a", 0, 0, 0}, [2] = {"b", 1, 0, 0}}, .forward = attention_forward,
                  .backward = attention_backward, .kernel = attention_kernel});
}

static void pool_max__shares_the_gradient_among_equal_nodes(void **state)
{
    (void)state;
    const ci_ops *ops = ci_ops_get("auto");
    const float x[6] = {1, 5, 4, 5, 4, 2}, dy[2] = {7, 8};
    float y[2], dx[6] = {0};
    ops->pool_max(x, 3, 2, y);
    ops->pool_max_backward(x, y, dy, 3, 2, dx);
    assert_true(y[0] == 4 && y[1] == 5);
    const float want[6] = {0, 4, 3.5f, 4, 3.5f, 0};
    assert_memory_equal(dx, want, sizeof dx);
}

/** Scores far apart: the softmax neither overflows nor leaves anything but the largest. */
static void pool_attention__takes_scores_of_any_size(void **state)
{
    (void)state;
    const ci_ops *ops = ci_ops_get("auto");
    const float x[3] = {300, -300, 299}, a[1] = {1}, b[1] = {1000};
    float p[3], y[1];
    ops->pool_attention(x, a, b, 3, 1, p, y);
    assert_true(fabsf(p[0] - 0.7310586f) < 1e-6f && p[1] == 0 && fabsf(y[0] - 299.7310586f) < 1e-3f);
}

static void sigmoid_forward(const void *shape, double *const *in, double *y)
{
    const struct shape *s = shape;
    for (ci_lid k = 0; k < s->cols; k++) y[k] = 1 / (1 + exp(-in[0][k]));
}

static void sigmoid_backward(const void *shape, double *const *in, const double *dy, double *const *grad)
{
    const struct shape *s = shape;
    for (ci_lid k = 0; k < s->cols; k++) {
        const double y = 1 / (1 + exp(-in[0][k]));
        grad[0][k] += dy[k] * y * (1 - y);
    }
}

static void sigmoid_kernel(const void *shape, const ci_ops *ops, float *const *in, float *y, const float *dy, float *const *grad)
{
    const struct shape *s = shape;
    memcpy(y, in[0], (size_t)s->cols * sizeof *y);
    ops->sigmoid(y, s->cols, y);
    ops->sigmoid_backward(y, dy, s->cols, grad[0]);
}

static void sigmoid__is_proven(void **state)
{
    (void)state;
    prove_all(&(prove){.in = {{"x", 203, 6, 0}}, .n_y = 203, .shape = &(struct shape){1, 203}, .forward = sigmoid_forward,
                       .backward = sigmoid_backward, .kernel = sigmoid_kernel});
}

/** Distance of got from the true value in units of the last place of the true value as a float. */
static double ulps(float got, double want)
{
    int e;
    frexp(want, &e);
    return want != 0 ? fabs((double)got - want) / ldexp(1, e - 24) : fabs((double)got);
}

static void sigmoid_and_tanh__are_within_their_bounds(void **state)
{
    (void)state;
    double worst[2] = {0};
    for (float x = -87; x < 87; x += 0.0013f) {
        worst[0] = fmax(worst[0], ulps(ci_sigmoidf(x), 1 / (1 + exp(-(double)x))));
        worst[1] = fmax(worst[1], ulps(ci_tanhf(x), tanh((double)x)));
    }
    for (float x = 1e-30f; x < 2; x *= 1.0007f) worst[1] = fmax(worst[1], ulps(ci_tanhf(x), tanh((double)x)));
    print_message("sigmoid: at most %.3f ulp, tanh: at most %.3f ulp\n", worst[0], worst[1]);
    assert_true(worst[0] <= 2.5 && worst[1] <= 4.5);
    assert_true(ci_tanhf(0) == 0 && fabsf(ci_tanhf(-200) + 1) < 3e-7f && fabsf(ci_tanhf(INFINITY) - 1) < 3e-7f && isnan(ci_tanhf(NAN)));
    assert_true(ci_sigmoidf(0) == .5f && ci_sigmoidf(-200) == 0 && ci_sigmoidf(INFINITY) == 1 && isnan(ci_sigmoidf(NAN)));
}

static void sigmoid__has_the_same_bits_in_every_build(void **state)
{
    (void)state;
    enum { COUNT = 20011 };
    static float x[COUNT], y[COUNT];
    const ci_ops *table[3];
    const size_t n_table = fill_tables(table);
    for (int i = 0; i < COUNT; i++) x[i] = -110.0f + 0.011f * (float)i;
    for (size_t t = 0; t < n_table; t++) {
        table[t]->sigmoid(x, COUNT, y);
        for (int i = 0; i < COUNT; i++) {
            const float want = ci_sigmoidf(x[i]);
            if (memcmp(&want, &y[i], sizeof want)) fail_msg("%s: sigmoid of %g is %a and %a", table[t]->name, (double)x[i], (double)y[i], (double)want);
        }
    }
}

static void dropout__drops_what_philox_says_and_keeps_the_sign(void **state)
{
    (void)state;
    enum { COUNT = 1003 };
    const ci_dropout drop = {.seed = 5, .epoch = 6, .operation = 7, .drop = 858993459u, .scale = 1.25f};
    const ci_ops *table[3];
    const size_t n_table = fill_tables(table);
    float *x = fill_f(COUNT, 1), got[COUNT];
    for (size_t t = 0; t < n_table; t++) {
        memcpy(got, x, sizeof got);
        table[t]->dropout(got, COUNT, NULL, 9);
        assert_memory_equal(got, x, sizeof got);
        table[t]->dropout(got, COUNT, &drop, 9);
        for (uint32_t i = 0; i < COUNT; i++)
            assert_true(got[i] == (ci_philox(5, CI_RANDOM_DROPOUT, 6, 9, 7, i / 4).v[i % 4] >= drop.drop ? x[i] * 1.25f : 0));
        memcpy(got, x, sizeof got);
        table[t]->dropout_backward(got, COUNT - 1, &drop, 9);
        for (uint32_t i = 0; i < COUNT - 1; i++)
            assert_true(got[i] == (ci_philox(5, CI_RANDOM_DROPOUT, 6, 9, 7, i / 4).v[i % 4] >= drop.drop ? x[i] * 1.25f : 0));
        assert_true(got[COUNT - 1] == x[COUNT - 1]);
    }
    free(x);
}

/** Expected values by Python: ((i * 2654435761 + 42 + p * 2**30) % b). */
static void hash_bucket__is_that_of_the_specification(void **state)
{
    (void)state;
    assert_int_equal(ci_hash_bucket(0, 0, 2048), 42);
    assert_int_equal(ci_hash_bucket(0, 1, 1000), 866);
    assert_int_equal(ci_hash_bucket(1, 0, 2048), 475);
    assert_int_equal(ci_hash_bucket(7, 1, 1000), 193);
    assert_int_equal(ci_hash_bucket(2147483647, 1, 257), 130);
    assert_int_equal(ci_hash_bucket(-5, 0, 1000), 237);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pool__is_proven),
        cmocka_unit_test(pool_max__shares_the_gradient_among_equal_nodes),
        cmocka_unit_test(pool_attention__takes_scores_of_any_size),
        cmocka_unit_test(sigmoid__is_proven),
        cmocka_unit_test(sigmoid_and_tanh__are_within_their_bounds),
        cmocka_unit_test(sigmoid__has_the_same_bits_in_every_build),
        cmocka_unit_test(dropout__drops_what_philox_says_and_keeps_the_sign),
        cmocka_unit_test(hash_bucket__is_that_of_the_specification),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
