/* Norms: references against central differences, kernels against references; batch norm in phases over shards. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "prove.h"
#define CI_REAL double
#include "ops/ref/ref.h"

struct shape {
    ci_lid n_graph, cols;
    const ci_lid *first; /**< graphs, or the shards of a batch */
};

static ci_lid rows_of(const struct shape *s) { return s->first[s->n_graph]; }

static void graph_forward(const void *shape, double *const *in, double *y)
{
    const struct shape *s = shape;
    ci_ref_graph_norm_forward_double(s->n_graph, s->first, s->cols, in[0], in[1], in[2], in[3], y);
}

static void graph_backward(const void *shape, double *const *in, const double *dy, double *const *grad)
{
    const struct shape *s = shape;
    ci_ref_graph_norm_backward_double(s->n_graph, s->first, s->cols, in[0], in[1], in[3], dy, grad[0], grad[1], grad[2], grad[3]);
}

static void graph_kernel(const void *shape, const ci_ops *ops, float *const *in, float *y, const float *dy, float *const *grad)
{
    const struct shape *s = shape;
    float *stat = fill_f((size_t)s->n_graph * 2 * s->cols, 9);
    ops->graph_norm_forward(s->n_graph, s->first, s->cols, in[0], in[1], in[2], in[3], stat, y);
    ops->graph_norm_backward(s->n_graph, s->first, s->cols, in[0], in[1], in[3], stat, dy, grad[0], grad[1], grad[2], grad[3]);
    free(stat);
}

static void graph_case(ci_lid n_graph, const ci_lid *first, ci_lid cols)
{
    const struct shape s = {n_graph, cols, first};
    const size_t rows = (size_t)rows_of(&s), n = (size_t)cols;
    const prove q = {.in = {{"x", rows * n, 0, 0}, {"w", n, 0, 0}, {"b", n, 0, 0}, {"s", n, 0, 0}}, .n_y = rows * n,
                     .shape = &s, .forward = graph_forward, .backward = graph_backward, .kernel = graph_kernel,
                     .skip_differences = rows * n > 600};
    prove_all(&q);
}

static void graph_norm__is_proven(void **state)
{
    (void)state;
    graph_case(3, (ci_lid[]){0, 5, 6, 13}, 11); /* a graph of one node between others */
    graph_case(1, (ci_lid[]){0, 2}, 1);
    graph_case(4, (ci_lid[]){0, 30, 30, 31, 60}, 97); /* one without nodes */
    graph_case(0, (ci_lid[]){0}, 8);
}

/** A graph of one node with s = 1: nothing is left of x, so y = b, and b alone has a gradient. */
static void graph_norm__of_one_node_is_its_bias(void **state)
{
    (void)state;
    const ci_lid first[2] = {0, 1};
    const ci_ops *ops = ci_ops_get("auto");
    float x[3] = {3, -4, 1e6f}, w[3] = {2, 2, 2}, b[3] = {.5f, -1, 7}, s[3] = {1, 1, 1}, stat[6], y[3], dy[3] = {1, 2, 3};
    float dx[3] = {0}, dw[3] = {0}, db[3] = {0}, ds[3] = {0};
    ops->graph_norm_forward(1, first, 3, x, w, b, s, stat, y);
    ops->graph_norm_backward(1, first, 3, x, w, s, stat, dy, dx, dw, db, ds);
    assert_memory_equal(y, b, sizeof y);
    assert_memory_equal(db, dy, sizeof db);
    for (int k = 0; k < 3; k++) assert_true(dx[k] == 0 && dw[k] == 0);
}

static void layer_forward(const void *shape, double *const *in, double *y)
{
    const struct shape *s = shape;
    ci_ref_layer_norm_forward_double(rows_of(s), s->cols, in[0], in[1], in[2], y);
}

static void layer_backward(const void *shape, double *const *in, const double *dy, double *const *grad)
{
    const struct shape *s = shape;
    ci_ref_layer_norm_backward_double(rows_of(s), s->cols, in[0], in[1], dy, grad[0], grad[1], grad[2]);
}

static void layer_kernel(const void *shape, const ci_ops *ops, float *const *in, float *y, const float *dy, float *const *grad)
{
    const struct shape *s = shape;
    float *stat = fill_f((size_t)rows_of(s) * 2, 9);
    ops->layer_norm_forward(rows_of(s), s->cols, in[0], in[1], in[2], stat, y);
    ops->layer_norm_backward(rows_of(s), s->cols, in[0], in[1], stat, dy, grad[0], grad[1], grad[2]);
    free(stat);
}

static void batch_forward(const void *shape, double *const *in, double *y)
{
    const struct shape *s = shape;
    ci_ref_batch_norm_forward_double(rows_of(s), s->cols, in[0], in[1], in[2], y);
}

static void batch_backward(const void *shape, double *const *in, const double *dy, double *const *grad)
{
    const struct shape *s = shape;
    ci_ref_batch_norm_backward_double(rows_of(s), s->cols, in[0], in[1], dy, grad[0], grad[1], grad[2]);
}

/** Shard by shard, as the ranks of a job do it. */
static void batch_kernel(const void *shape, const ci_ops *ops, float *const *in, float *y, const float *dy, float *const *grad)
{
    const struct shape *s = shape;
    const ci_lid cols = s->cols, rows = rows_of(s);
    double *part = fill_d((size_t)cols * 2, 1), *sum = calloc((size_t)cols * 2, sizeof *sum);
    float *mean = fill_f((size_t)cols, 1), *rstd = fill_f((size_t)cols, 1);
    for (ci_lid k = 0; k < s->n_graph; k++) {
        ops->batch_norm_sums(s->first[k + 1] - s->first[k], cols, in[0] + s->first[k] * cols, part);
        for (ci_lid d = 0; d < 2 * cols; d++) sum[d] += part[d];
    }
    ci_batch_norm_close(cols, rows, sum, mean, rstd, NULL, NULL);
    memset(sum, 0, (size_t)cols * 2 * sizeof *sum);
    for (ci_lid k = 0; k < s->n_graph; k++) {
        const ci_lid at = s->first[k] * cols, n = s->first[k + 1] - s->first[k];
        ops->batch_norm_apply(n, cols, in[0] + at, mean, rstd, in[1], in[2], y + at);
        ops->batch_norm_backward_sums(n, cols, in[0] + at, mean, rstd, dy + at, part);
        for (ci_lid d = 0; d < cols; d++) {
            grad[2][d] += (float)part[d];
            grad[1][d] += (float)part[cols + d];
        }
        for (ci_lid d = 0; d < 2 * cols; d++) sum[d] += part[d];
    }
    for (ci_lid k = 0; k < s->n_graph; k++) {
        const ci_lid at = s->first[k] * cols;
        ops->batch_norm_backward(s->first[k + 1] - s->first[k], cols, rows, in[0] + at, mean, rstd, in[1], sum, dy + at,
                                 grad[0] + at);
    }
    free(part);
    free(sum);
    free(mean);
    free(rstd);
}

static void rows_case(int batch, ci_lid n_shard, const ci_lid *first, ci_lid cols)
{
    const struct shape s = {n_shard, cols, first};
    const size_t rows = (size_t)rows_of(&s), n = (size_t)cols;
    const prove q = {.in = {{"x", rows * n, 0, 0}, {"w", n, 0, 0}, {"b", n, 0, 0}}, .n_y = rows * n, .shape = &s,
                     .forward = batch ? batch_forward : layer_forward, .backward = batch ? batch_backward : layer_backward,
                     .kernel = batch ? batch_kernel : layer_kernel, .skip_differences = rows * n > 600};
    prove_all(&q);
}

static void layer_norm__is_proven(void **state)
{
    (void)state;
    rows_case(0, 1, (ci_lid[]){0, 6}, 11);
    rows_case(0, 1, (ci_lid[]){0, 1}, 8);
    rows_case(0, 1, (ci_lid[]){0, 33}, 97);
    rows_case(0, 1, (ci_lid[]){0, 0}, 16);
}

static void batch_norm__in_shards_is_that_of_the_whole_batch(void **state)
{
    (void)state;
    rows_case(1, 3, (ci_lid[]){0, 5, 5, 17}, 11); /* a shard without rows takes part */
    rows_case(1, 1, (ci_lid[]){0, 4}, 1);
    rows_case(1, 4, (ci_lid[]){0, 1, 40, 41, 100}, 97);
}

static void batch_norm_close__keeps_running_statistics(void **state)
{
    (void)state;
    /* x = 1, 2, 3, 6: mean 3, variance 14/4, unbiased 14/3 */
    float mean, rstd, run_mean = 1, run_var = 2;
    ci_batch_norm_close(1, 4, (double[]){12, 50}, &mean, &rstd, &run_mean, &run_var);
    assert_true(mean == 3 && fabsf(rstd - 1 / sqrtf(3.5f + 1e-5f)) < 1e-7f);
    assert_true(fabsf(run_mean - 1.2f) < 1e-6f && fabsf(run_var - (1.8f + 1.4f / 3)) < 1e-6f);
    ci_batch_norm_close(1, 1, (double[]){3, 9}, &mean, &rstd, NULL, NULL); /* one row: no spread */
    assert_true(mean == 3 && fabsf(rstd * sqrtf(1e-5f) - 1) < 1e-6f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(graph_norm__is_proven),
        cmocka_unit_test(graph_norm__of_one_node_is_its_bias),
        cmocka_unit_test(layer_norm__is_proven),
        cmocka_unit_test(batch_norm__in_shards_is_that_of_the_whole_batch),
        cmocka_unit_test(batch_norm_close__keeps_running_statistics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
