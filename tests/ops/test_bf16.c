/* Matrix products of operands in bf16: what is summed, how far that is from the exact product, and on what it does not depend. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "fill.h"

static const ci_ops *ops;

/** To nearest, ties to even, by the definition: eight bits of significand. */
static double rounded(float x)
{
    int e;
    const double m = frexp((double)x, &e) * 256; /* [128, 256) */
    return ldexp(nearbyint(m), e - 8);
}

static const int sizes[][3] = {{1, 1, 1}, {8, 2, 192}, {9, 96, 51}, {33, 17, 11}, {130, 50, 300}, {5, 49, 257}, {3, 3, 0}, {64, 192, 768}};

static void gemm__is_a_sum_of_rounded_factors(void **state)
{
    (void)state;
    for (size_t s = 0; ops && s < CI_COUNT(sizes); s++) {
        const int M = sizes[s][0], N = sizes[s][1], K = sizes[s][2];
        float *a = fill_f((size_t)(M * K), 1), *b = fill_f((size_t)(K * N), 2), *bias = fill_f((size_t)N, 3), *c = fill_f((size_t)(M * N), 4);
        double worst = 0;
        const ci_gemm g = {.M = M, .N = N, .K = K, .a = a, .a_row = K, .a_col = 1, .b = b, .b_row = N, .c = c, .c_row = N,
                           .start = CI_GEMM_BIAS, .bias = bias};
        ops->gemm(&g);
        for (int m = 0; m < M; m++)
            for (int n = 0; n < N; n++) {
                double near = (double)bias[n], exact = near, most = fabs(near);
                for (int k = 0; k < K; k++) {
                    near += rounded(a[m * K + k]) * rounded(b[k * N + n]);
                    exact += (double)a[m * K + k] * (double)b[k * N + n];
                    most += fabs((double)a[m * K + k] * (double)b[k * N + n]);
                }
                const double got = (double)c[m * N + n];
                if (!(fabs(got - near) <= 1.01 * K * 0x1p-23 * most))
                    fail_msg("%d %d %d: c[%d,%d] is %.9g, the rounded factors have %.9g", M, N, K, m, n, got, near);
                if (!(fabs(got - exact) <= (0x1p-7 + 0x1p-15 + K * 0x1p-23) * most))
                    fail_msg("%d %d %d: c[%d,%d] is %.9g, exactly %.9g", M, N, K, m, n, got, exact);
                worst = fmax(worst, fabs(got - exact) / most);
            }
        print_message("M %d N %d K %d: off by at most %.2g of the sum of |a b|\n", M, N, K, worst);
        free(a);
        free(b);
        free(bias);
        free(c);
    }
}

static void gemm__does_not_depend_on_rows_layout_or_start(void **state)
{
    (void)state;
    for (size_t s = 0; ops && s < CI_COUNT(sizes); s++) {
        const int M = sizes[s][0], N = sizes[s][1], K = sizes[s][2];
        const size_t n_c = (size_t)(M * N);
        float *a = fill_f((size_t)(M * K), 1), *at = fill_f((size_t)(M * K), 1), *b = fill_f((size_t)(K * N), 2);
        float *bias = fill_f((size_t)N, 3), *c = fill_f(n_c, 4), *other = fill_f(n_c, 4);
        for (int m = 0; m < M; m++)
            for (int k = 0; k < K; k++) at[k * M + m] = a[m * K + k];
        ci_gemm g = {.M = M, .N = N, .K = K, .a = a, .a_row = K, .a_col = 1, .b = b, .b_row = N, .c = c, .c_row = N,
                     .start = CI_GEMM_BIAS, .bias = bias};
        ops->gemm(&g);
        g.a = at;
        g.a_row = 1;
        g.a_col = M;
        g.c = other;
        ops->gemm(&g);
        assert_memory_equal(other, c, n_c * sizeof *c);
        g.start = CI_GEMM_ADD;
        for (int m = 0; m < M; m++) memcpy(other + m * N, bias, (size_t)N * sizeof *bias);
        ops->gemm(&g);
        assert_memory_equal(other, c, n_c * sizeof *c);
        for (int m = 0; m < M; m++) {
            const ci_gemm one = {.M = 1, .N = N, .K = K, .a = a + m * K, .a_row = K, .a_col = 1, .b = b, .b_row = N, .c = other, .c_row = N,
                                 .start = CI_GEMM_BIAS, .bias = bias};
            ops->gemm(&one);
            assert_memory_equal(other, c + m * N, (size_t)N * sizeof *c);
        }
        free(a);
        free(at);
        free(b);
        free(bias);
        free(c);
        free(other);
    }
}

static void get__has_the_other_kernels_of_avx512(void **state)
{
    (void)state;
    if (!ops) return;
    ci_ops same = *ci_ops_get("avx512");
    assert_true(ops->gemm != same.gemm && ops == ci_ops_get_bf16());
    same.name = ops->name;
    same.gemm = ops->gemm;
    assert_memory_equal(&same, ops, sizeof same);
}

static int start(void **state)
{
    (void)state;
    ops = ci_ops_get_bf16();
    if (!ops) printf("skip - bf16: this processor has no AVX512-BF16\n");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemm__is_a_sum_of_rounded_factors),
        cmocka_unit_test(gemm__does_not_depend_on_rows_layout_or_start),
        cmocka_unit_test(get__has_the_other_kernels_of_avx512),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
