/* Losses and their gradients against PyTorch in float64 (tests/oracle/loss.txt). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "ci/loss.h"
#include "oracle.h"

enum { N = 9 };

static void classify__weights_classes_and_graphs_as_pytorch_does(void **state)
{
    (void)state;
    const ci_class_loss weighted = {.kind = CI_WEIGHTED_CE, .weight = {1, 5}}, plain = {.kind = CI_CE};
    float z[2 * N], d[2 * N] = {0}, u[N];
    int32_t word[N], in[N];
    uint8_t label[N];
    double sum = 0, loss, count = 0;
    oracle_fill(1, 2 * N, 3, z);
    oracle_below(2, N, 2, word);
    oracle_below(3, N, 2, in);
    for (int i = 0; i < N; i++) {
        label[i] = (uint8_t)word[i];
        u[i] = (float)in[i];
        sum += weighted.weight[label[i]];
        count += in[i];
    }
    assert_int_equal(ci_classify(&weighted, z, label, NULL, N, 1 / sum, d, &loss), CI_OK);
    oracle_value("weighted_ce", loss);
    oracle_same("weighted_ce.dlogit", d, 2 * N);
    memset(d, 0, sizeof d);
    assert_int_equal(ci_classify(&plain, z, label, u, N, 1 / fmax(count, 1), d, &loss), CI_OK);
    oracle_value("curriculum_ce", loss);
    oracle_same("curriculum_ce.dlogit", d, 2 * N);
}

static void distill__equals_pytorch(void **state)
{
    (void)state;
    const struct { const char *name, *ds; double temperature; float factor; } c[] = {{"distill", "distill.ds", 4, 6},
                                                                                    {"distill_cold", "distill_cold.ds", 1, 40}};
    for (size_t k = 0; k < CI_COUNT(c); k++) {
        float s[2 * N], t[2 * N], d[2 * N] = {0};
        double loss;
        oracle_fill(4, 2 * N, c[k].factor, s);
        oracle_fill(5, 2 * N, c[k].factor, t);
        assert_int_equal(ci_distill_logits(s, t, N, c[k].temperature, 0.7 / N, d, &loss), CI_OK);
        oracle_value(c[k].name, loss);
        oracle_same(c[k].ds, d, 2 * N);
    }
}

static void square__equals_pytorch_on_columns_of_wider_rows(void **state)
{
    (void)state;
    float y[6 * 5], t[6 * 8], d[6 * 5] = {0}, row[6];
    double loss;
    oracle_fill(6, 6 * 5, 1, y);
    oracle_fill(7, 6 * 8, 1, t);
    assert_int_equal(ci_square_error(y, 5, t + 3, 8, 6, 5, 0.3 / 30, d, 5, &loss, row), CI_OK);
    oracle_value("square", loss);
    oracle_same("square.dy", d, 30);
    oracle_same("square.row", row, 6);
}

static void latent__divergence_and_sample_equal_pytorch_where_clamped_too(void **state)
{
    (void)state;
    enum { ROWS = 5, COLS = 19, ALL = ROWS * COLS };
    float mu[ALL], lv[ALL], eps[ALL], dz[ALL], z[ALL], dmu[ALL] = {0}, dlv[ALL] = {0};
    double loss;
    oracle_fill(8, ALL, 1, mu);
    oracle_fill(9, ALL, 14, lv);
    oracle_fill(10, ALL, 1, eps);
    oracle_fill(11, ALL, 1, dz);
    assert_int_equal(ci_kl_normal(mu, lv, ROWS, COLS, 10, 0.01 / ALL, dmu, dlv, &loss), CI_OK);
    oracle_value("kl", loss);
    oracle_same("kl.dmu", dmu, ALL);
    oracle_same("kl.dlogvar", dlv, ALL);
    memset(dmu, 0, sizeof dmu);
    memset(dlv, 0, sizeof dlv);
    ci_sample_normal(mu, lv, eps, ROWS, COLS, 10, z);
    ci_sample_normal_backward(lv, eps, dz, ROWS, COLS, 10, dmu, dlv);
    oracle_same("sample.z", z, ALL);
    oracle_same("sample.dmu", dmu, ALL);
    oracle_same("sample.dlogvar", dlv, ALL);
}

static void gaussian__equals_pytorch_cut_into_three_shards(void **state)
{
    (void)state;
    enum { ROWS = 23, EDGES = 60, D_MAX = 11 };
    static const ci_lid first[4] = {0, 8, 15, 23};
    static const struct { const char *name, *dp, *dz, *m; ci_lid d; } c[] = {
        {"gaussian", "gaussian.dp", "gaussian.dz", "gaussian.m", 6},
        {"gaussian_wide", "gaussian_wide.dp", "gaussian_wide.dz", "gaussian_wide.m", 11}};
    int32_t shard[EDGES], a[EDGES], b[EDGES];
    oracle_below(21, EDGES, 3, shard);
    oracle_below(22, EDGES, 8, a);
    oracle_below(23, EDGES, 8, b);
    for (size_t k = 0; k < CI_COUNT(c); k++) {
        const ci_lid d = c[k].d, size = ci_gaussian_sums_size(d);
        const size_t all = (size_t)ROWS * (size_t)d;
        float p[ROWS * D_MAX], z[ROWS * D_MAX], m[ROWS * D_MAX], dp[ROWS * D_MAX] = {0}, dm[ROWS * D_MAX] = {0}, dz[ROWS * D_MAX] = {0}, work[ROWS];
        double *sum = calloc((size_t)size, sizeof *sum), *part = calloc((size_t)size, sizeof *part), loss;
        double *coef = calloc((size_t)ci_gaussian_coef_size(d), sizeof *coef);
        assert_true(sum && part && coef);
        oracle_fill(24, all, 2, p);
        oracle_fill(25, all, 2, z);
        for (int s = 0; s < 3; s++) {
            const ci_lid n = first[s + 1] - first[s];
            const size_t at = (size_t)first[s] * (size_t)d;
            ci_lid src[EDGES], dst[EDGES], n_edge = 0;
            for (int e = 0; e < EDGES; e++) {
                if (shard[e] != s) continue;
                src[n_edge] = CI_MIN(a[e] % n, 21 - first[s]);
                dst[n_edge++] = b[e] % n;
            }
            ci_neighbour_mean(z + at, n, d, n_edge, src, dst, work, m + at);
            ci_gaussian_sums(p + at, m + at, n, d, part);
            for (ci_lid i = 0; i < size; i++) sum[i] += part[i];
        }
        oracle_same(c[k].m, m, all);
        assert_int_equal(ci_gaussian_close(sum, ROWS, d, 0.1, coef, &loss), CI_OK);
        oracle_value(c[k].name, loss);
        for (int s = 0; s < 3; s++) {
            const ci_lid n = first[s + 1] - first[s];
            const size_t at = (size_t)first[s] * (size_t)d;
            ci_lid src[EDGES], dst[EDGES], n_edge = 0;
            for (int e = 0; e < EDGES; e++) {
                if (shard[e] != s) continue;
                src[n_edge] = CI_MIN(a[e] % n, 21 - first[s]);
                dst[n_edge++] = b[e] % n;
            }
            ci_gaussian_backward(coef, p + at, m + at, n, d, dp + at, dm + at);
            ci_neighbour_mean_backward(dm + at, n, d, n_edge, src, dst, work, dz + at);
        }
        oracle_same(c[k].dp, dp, all);
        oracle_same(c[k].dz, dz, all);
        free(sum);
        free(part);
        free(coef);
    }
}

static void gaussian__is_defined_from_two_rows_on(void **state)
{
    (void)state;
    float p[6], t[6], dp[6] = {0}, dt[6] = {0};
    double sum[18], coef[128], loss;
    oracle_fill(24, 6, 1, p);
    oracle_fill(25, 6, 1, t);
    assert_int_equal(ci_gaussian_sums_size(3), 18);
    assert_true(ci_gaussian_coef_size(3) <= 128);
    ci_gaussian_sums(p, t, 2, 3, sum);
    assert_int_equal(ci_gaussian_close(sum, 2, 3, 0.1, coef, &loss), CI_OK);
    ci_gaussian_backward(coef, p, t, 2, 3, dp, dt);
    oracle_value("gaussian_two", loss);
    oracle_same("gaussian_two.dp", dp, 6);
    oracle_same("gaussian_two.dt", dt, 6);
    for (ci_gid n = 0; n < 2; n++) {
        memset(dp, 0, sizeof dp);
        ci_gaussian_sums(p, t, (ci_lid)n, 3, sum);
        assert_int_equal(ci_gaussian_close(sum, n, 3, 0.1, coef, &loss), CI_OK);
        ci_gaussian_backward(coef, p, t, (ci_lid)n, 3, dp, dt);
        assert_true(loss == 0);
        for (int k = 0; k < 6; k++) assert_true(dp[k] == 0);
    }
}

static void anomaly__components_equal_pytorch(void **state)
{
    (void)state;
    enum { ROWS = 23, EDGES = 60 };
    static const ci_lid first[4] = {0, 8, 15, 23};
    int32_t shard[EDGES];
    ci_lid src[EDGES], dst[EDGES];
    float z[ROWS * 6], work[3 * ROWS];
    oracle_below(21, EDGES, 3, shard);
    oracle_below(22, EDGES, 8, src);
    oracle_below(23, EDGES, 8, dst);
    for (int e = 0; e < EDGES; e++) {
        const ci_lid from = first[shard[e]], n = first[shard[e] + 1] - from;
        src[e] = CI_MIN(from + src[e] % n, 21);
        dst[e] = from + dst[e] % n;
    }
    oracle_fill(25, ROWS * 6, 2, z);
    oracle_value("affinity", (double)ci_affinity(z, ROWS, 6, EDGES, src, dst, work));
    oracle_value("rayleigh", (double)ci_rayleigh(z, 6, 5, ROWS, EDGES, src, dst));
    assert_true(ci_affinity(z, 0, 6, 0, src, dst, work) == 0);
    assert_true(ci_affinity(z, 3, 6, 0, src, dst, work) == 1);
    assert_true(ci_rayleigh(z, 6, 5, 0, 0, src, dst) == 0);
}

static void cka__equals_its_formula_in_numpy(void **state)
{
    (void)state;
    enum { ROWS = 30, P = 5, Q = 8 };
    float x[ROWS * P], y[ROWS * Q], mix[P * Q];
    double got;
    oracle_fill(26, ROWS * P, 1, x);
    oracle_fill(27, ROWS * Q, 1, y);
    oracle_fill(28, P * Q, 1, mix);
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < Q; j++)
            for (int k = 0; k < P; k++) y[i * Q + j] += 2 * x[i * P + k] * mix[k * Q + j];
    oracle_same("cka_y.y", y, ROWS * Q);
    assert_int_equal(ci_cka(x, P, y, Q, ROWS, &got), CI_OK);
    oracle_value("cka", got);
    assert_int_equal(ci_cka(x, P, x, P, ROWS, &got), CI_OK);
    assert_true(fabs(got - 1) < 1e-12);
    memset(x, 0, sizeof x);
    assert_int_equal(ci_cka(x, P, y, Q, ROWS, &got), CI_OK);
    assert_true(got == 0);
    x[3] = NAN;
    assert_int_equal(ci_cka(x, P, y, Q, ROWS, &got), CI_ENUMERIC);
    assert_int_equal(ci_cka(x, P, y, Q, 0, &got), CI_EARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classify__weights_classes_and_graphs_as_pytorch_does),
        cmocka_unit_test(distill__equals_pytorch),
        cmocka_unit_test(square__equals_pytorch_on_columns_of_wider_rows),
        cmocka_unit_test(latent__divergence_and_sample_equal_pytorch_where_clamped_too),
        cmocka_unit_test(gaussian__equals_pytorch_cut_into_three_shards),
        cmocka_unit_test(gaussian__is_defined_from_two_rows_on),
        cmocka_unit_test(anomaly__components_equal_pytorch),
        cmocka_unit_test(cka__equals_its_formula_in_numpy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
