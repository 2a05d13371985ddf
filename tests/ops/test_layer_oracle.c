/* Norms, jumping knowledge and pooling against PyTorch (Geometric) in float64: tests/oracle/layer.txt, whose
 * inputs and numbering are layer_oracle.py's. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "ci/arena.h"
#include "ci/random.h"
#include "fill.h"

enum { SEED = 43, TEST = 100, PROJECT = 101, PROJECTIONS = 32, TENSORS = 10, N_GRAPH = 4, ROWS = 63, L_MAX = 3 };
static const ci_lid first[N_GRAPH + 1] = {0, 5, 6, 33, 63};
static FILE *oracle;
static const ci_ops *ops;
static int at_case;

static float element(uint32_t seed, uint32_t purpose, uint32_t tensor, size_t i)
{
    return 2 * ci_unit(ci_philox(seed, purpose, tensor, (uint32_t)(i / 4), 0, 0).v[i % 4]) - 1;
}

static float *zeros(size_t n)
{
    float *x = ci_new(n, sizeof *x);
    if (!x) abort();
    return x;
}

/** Input k of this case. */
static float *input(int k, size_t n, float scale)
{
    float *x = zeros(n);
    for (size_t i = 0; i < n; i++) x[i] = scale * element(SEED, TEST, (uint32_t)(100 * at_case + k), i);
    return x;
}

/** What a case computed, and the lines that say what it should be. */
struct tensor {
    const char *name;
    const float *v;
    size_t n;
};

/** An element may be off by 1e-5 of the largest, or of 1e-3 of the largest gradient; errors of n elements of
 *  random sign reach sqrt(n) times that in a norm or a projection. */
static void compare(const char *name, const struct tensor *t, int n_tensor)
{
    double want[TENSORS][2 + PROJECTIONS], most = 0;
    for (int k = 0; k < n_tensor; k++) {
        char whose[32], which[32];
        size_t n;
        assert_int_equal(fscanf(oracle, "%31s %31s %zu", whose, which, &n), 3);
        assert_string_equal(whose, name);
        assert_string_equal(which, t[k].name);
        assert_int_equal(n, t[k].n);
        for (int j = 0; j < 2 + PROJECTIONS; j++) assert_int_equal(fscanf(oracle, "%lf", &want[k][j]), 1);
        if (which[0] == 'd') most = fmax(most, want[k][0]);
    }
    for (int k = 0; k < n_tensor; k++) {
        double got[2 + PROJECTIONS] = {0}, tol = 1e-5 * fmax(want[k][0], 1e-3 * most);
        for (size_t i = 0; i < t[k].n; i++) {
            const double v = (double)t[k].v[i];
            got[0] = fmax(got[0], fabs(v));
            got[1] += v * v;
            for (int j = 0; j < PROJECTIONS; j++) got[2 + j] += v * (double)element((uint32_t)j, PROJECT, (uint32_t)k, i);
        }
        got[1] = sqrt(got[1]);
        for (int j = 0; j < 2 + PROJECTIONS; j++)
            if (!(fabs(got[j] - want[k][j]) <= (j ? tol * sqrt((double)t[k].n) : tol)))
                fail_msg("%s %s, number %d: %.9g, expected %.9g, tolerance %g", name, t[k].name, j, got[j], want[k][j], tol);
    }
}

static void norms__are_those_of_torch(void **state)
{
    (void)state;
    static const char *const names[] = {"graph_norm", "layer_norm", "batch_norm"};
    for (at_case = 0; at_case < 3; at_case++) {
        const size_t cols = 40 + (size_t)at_case, n = ROWS * cols;
        float *x = input(0, n, 1), *w = input(1, cols, 1), *b = input(2, cols, 1), *s = input(3, cols, 1), *dy = input(99, n, 1);
        float *y = zeros(n), *dx = zeros(n), *dw = zeros(cols), *db = zeros(cols), *ds = zeros(cols), *stat = zeros(2 * n);
        float *mean = zeros(cols), *var = zeros(cols);
        struct tensor t[] = {{"y", y, n}, {"dx", dx, n}, {"dweight", dw, cols}, {"dbias", db, cols}, {"dmean_scale", ds, cols}, {"", 0, 0}};
        if (at_case == 0) {
            ops->graph_norm_forward(N_GRAPH, first, (ci_lid)cols, x, w, b, s, stat, y);
            ops->graph_norm_backward(N_GRAPH, first, (ci_lid)cols, x, w, s, stat, dy, dx, dw, db, ds);
        } else if (at_case == 1) {
            ops->layer_norm_forward(ROWS, (ci_lid)cols, x, w, b, stat, y);
            ops->layer_norm_backward(ROWS, (ci_lid)cols, x, w, stat, dy, dx, dw, db);
        } else {
            const ci_lid cut[4] = {0, 6, 33, 63}, c = (ci_lid)cols; /* three shards */
            double part[2 * 42], sum[2][2 * 42] = {{0}};
            for (int k = 0; k < 3; k++) {
                ops->batch_norm_sums(cut[k + 1] - cut[k], c, x + cut[k] * c, part);
                for (ci_lid d = 0; d < 2 * c; d++) sum[0][d] += part[d];
            }
            for (ci_lid d = 0; d < c; d++) var[d] = 1;
            ci_batch_norm_close(c, ROWS, sum[0], stat, stat + c, mean, var);
            for (int k = 0; k < 3; k++) {
                const ci_lid at = cut[k] * c, m = cut[k + 1] - cut[k];
                ops->batch_norm_apply(m, c, x + at, stat, stat + c, w, b, y + at);
                ops->batch_norm_backward_sums(m, c, x + at, stat, stat + c, dy + at, part);
                for (ci_lid d = 0; d < c; d++) {
                    db[d] += (float)part[d];
                    dw[d] += (float)part[c + d];
                }
                for (ci_lid d = 0; d < 2 * c; d++) sum[1][d] += part[d];
            }
            for (int k = 0; k < 3; k++)
                ops->batch_norm_backward(cut[k + 1] - cut[k], c, ROWS, x + cut[k] * c, stat, stat + c, w, sum[1], dy + cut[k] * c,
                                         dx + cut[k] * c);
            t[4] = (struct tensor){"run_mean", mean, cols};
            t[5] = (struct tensor){"run_var", var, cols};
        }
        compare(names[at_case], t, at_case == 0 ? 5 : at_case == 1 ? 4 : 6);
        float *const all[] = {x, w, b, s, dy, y, dx, dw, db, ds, stat, mean, var};
        for (size_t k = 0; k < CI_COUNT(all); k++) free(all[k]);
    }
}

static float *transposed(const float *w, size_t m, size_t n)
{
    float *t = zeros(2 * m * n);
    for (size_t k = 0; k < 2 * m * n; k++) t[k / (m * n) * m * n + k % n * m + k / n % m] = w[k];
    return t;
}

static void lstm_case(const char *name, ci_lstm_dim dim, ci_lid rows)
{
    const size_t D = (size_t)dim.D, h = (size_t)dim.h, n = D * rows, n_ih = 8 * D * h, n_hh = 8 * h * h;
    const float scale = (float)(1 / sqrt((double)h));
    float *x[L_MAX], *dx[L_MAX];
    for (int l = 0; l < dim.L; l++) {
        x[l] = input(l, n, 1);
        dx[l] = zeros(n);
    }
    float *w_ih = input(10, n_ih, scale), *w_hh = input(11, n_hh, scale), *b_ih = input(12, 8 * h, scale), *b_hh = input(13, 8 * h, scale);
    float *att_w = input(14, 2 * h, 1), *att_b = input(15, 1, 1), *dy = input(99, n, 1), *y = zeros(n);
    float *wt_ih = transposed(w_ih, D, 4 * h), *wt_hh = transposed(w_hh, h, 4 * h);
    float *keep = zeros((size_t)(rows * ci_lstm_keep(dim))), *work = zeros((size_t)(rows * ci_lstm_work(dim)));
    float *dw_ih = zeros(n_ih), *dw_hh = zeros(n_hh), *db_ih = zeros(8 * h), *db_hh = zeros(8 * h), *datt_w = zeros(2 * h), *datt_b = zeros(1);
    const ci_lstm_w w = {w_ih, w_hh, b_ih, b_hh, att_w, att_b, wt_ih, wt_hh};
    ops->lstm_forward(dim, rows, (const float *const *)x, w, keep, y);
    ops->lstm_backward(dim, rows, (const float *const *)x, w, keep, dy, work,
                       (ci_lstm_grad){dx, dw_ih, dw_hh, db_ih, db_hh, datt_w, datt_b});
    struct tensor t[TENSORS] = {{"y", y, n}, {"d0x", dx[0], n}, {"d1x", dx[1], n}};
    if (dim.L == 3) t[3] = (struct tensor){"d2x", dx[2], n};
    memcpy(t + 1 + dim.L, (struct tensor[]){{"dw_ih", dw_ih, n_ih}, {"dw_hh", dw_hh, n_hh}, {"db_ih", db_ih, 8 * h},
                                            {"db_hh", db_hh, 8 * h}, {"datt_w", datt_w, 2 * h}}, 5 * sizeof *t);
    compare(name, t, 6 + dim.L);
    assert_true(datt_b[0] == 0);
    float *const all[] = {w_ih, w_hh, b_ih, b_hh, att_w, att_b, dy, y, wt_ih, wt_hh, keep, work, dw_ih, dw_hh, db_ih, db_hh, datt_w, datt_b};
    for (size_t k = 0; k < CI_COUNT(all); k++) free(all[k]);
    for (int l = 0; l < dim.L; l++) {
        free(x[l]);
        free(dx[l]);
    }
}

static void jumping_knowledge_by_lstm__is_that_of_pyg(void **state)
{
    (void)state;
    at_case = 3;
    lstm_case("lstm_two", (ci_lstm_dim){2, 96, 96}, 30);
    at_case = 4;
    lstm_case("lstm_three", (ci_lstm_dim){3, 64, 96}, 40);
}

static void cheaper_jumping_knowledge__is_that_of_torch(void **state)
{
    (void)state;
    enum { L = 3, N = 20, D = 30 };
    for (at_case = 5; at_case < 7; at_case++) {
        float *x[L], *dx[L], *dy = input(99, N * D, 1), *a = input(10, D, 1), *b = input(11, 1, 1), *y = zeros(N * D);
        float *p = zeros(N * L), da[D] = {0}, db = 0;
        for (int l = 0; l < L; l++) {
            x[l] = input(l, N * D, 1);
            dx[l] = zeros(N * D);
        }
        const struct tensor t[] = {{"y", y, N * D}, {"d0x", dx[0], N * D}, {"d1x", dx[1], N * D}, {"d2x", dx[2], N * D}, {"da", da, D}};
        if (at_case == 5) {
            for (int i = 0; i < N; i++) memcpy(x[1] + i * D, x[0] + i * D, D / 2 * sizeof *a);
            ops->jk_max_forward(L, N, D, (const float *const *)x, y);
            ops->jk_max_backward(L, N, D, (const float *const *)x, dy, dx);
        } else {
            ops->jk_attention_forward(L, N, D, (const float *const *)x, a, b, p, y);
            ops->jk_attention_backward(L, N, D, (const float *const *)x, a, p, dy, dx, da, &db);
            assert_true(db == 0);
        }
        compare(at_case == 5 ? "jk_max" : "jk_attention", t, at_case == 5 ? 4 : 5);
        float *const all[] = {x[0], x[1], x[2], dx[0], dx[1], dx[2], dy, a, b, y, p};
        for (size_t k = 0; k < CI_COUNT(all); k++) free(all[k]);
    }
}

static void pooling__is_that_of_pyg(void **state)
{
    (void)state;
    enum { D = 50 };
    for (at_case = 7; at_case < 9; at_case++) {
        float *x = input(0, ROWS * D, 1), *a = input(1, D, 1), *b = input(2, 1, 1), *dy = input(99, N_GRAPH * D, 1);
        float *y = zeros(N_GRAPH * D), *dx = zeros(ROWS * D), p[ROWS], da[D] = {0}, db = 0;
        if (at_case == 8)
            for (int i = 0; i < ROWS * D; i++) x[i] = floorf(4 * x[i]) / 4 + 0.125f;
        for (int g = 0; g < N_GRAPH; g++) {
            const ci_lid at = first[g] * D, n = first[g + 1] - first[g];
            if (at_case == 7) {
                ops->pool_attention(x + at, a, b, n, D, p, y + g * D);
                ops->pool_attention_backward(x + at, a, p, dy + g * D, n, D, dx + at, da, &db);
            } else {
                ops->pool_max(x + at, n, D, y + g * D);
                ops->pool_max_backward(x + at, y + g * D, dy + g * D, n, D, dx + at);
            }
        }
        compare(at_case == 7 ? "pool_attention" : "pool_max",
                (struct tensor[]){{"y", y, N_GRAPH * D}, {"dx", dx, ROWS * D}, {"da", da, D}}, at_case == 7 ? 3 : 2);
        float *const all[] = {x, a, b, dy, y, dx};
        for (size_t k = 0; k < CI_COUNT(all); k++) free(all[k]);
    }
}

static int start(void **state)
{
    (void)state;
    ops = ci_ops_get("auto");
    oracle = fopen("tests/oracle/layer.txt", "r");
    return oracle && fscanf(oracle, "%*[^\n]") != EOF ? 0 : -1;
}

static int finish(void **state)
{
    (void)state;
    return oracle ? fclose(oracle) : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norms__are_those_of_torch),
        cmocka_unit_test(jumping_knowledge_by_lstm__is_that_of_pyg),
        cmocka_unit_test(cheaper_jumping_knowledge__is_that_of_torch),
        cmocka_unit_test(pooling__is_that_of_pyg),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
