/* The loops of every instruction set give the same bits, at sizes that fill no register too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "loss/loss_priv.h"
#include "oracle.h"

enum { ROWS = 37, D_MAX = 131, ALL = ROWS * D_MAX };
static const char *const isas[] = {"generic", "avx2", "avx512"};

/** Everything the loops compute of (ROWS, d) inputs, one after the other: n floats and n_sum doubles. */
struct results { float *f; double *sum; };
static float x[ALL], y[ALL], eps[ALL];

static struct results compute(const struct loss_loops *loops, ci_lid d)
{
    const size_t all = (size_t)ROWS * (size_t)d;
    const ci_lid size = ci_gaussian_sums_size(d), room = ci_gaussian_coef_size(d);
    struct results r = {calloc(7 * all, sizeof *r.f), calloc((size_t)(size + room) + ROWS + 1, sizeof *r.sum)};
    double *coef = r.sum + size;

    assert_true(r.f && r.sum);
    loops->gaussian_sums(x, ROWS, d, r.sum);
    loops->gaussian_sums(y, ROWS, d, r.sum + size / 2);
    assert_int_equal(loops->gaussian_close(r.sum, ROWS, d, 0.3, coef, coef + room), CI_OK);
    for (ci_lid i = 0; i < d * d; i++) assert_true(coef[i] == (double)(float)coef[i]); /* or else products were not exact */
    loops->gaussian_backward(coef, x, ROWS, d, r.f);
    loops->gaussian_backward(coef + d * d + d, y, ROWS, d, r.f + all);
    for (ci_lid i = 0; i < ROWS; i++) {
        const size_t at = (size_t)i * (size_t)d;
        coef[room + 1 + i] = loops->kl_row(x + at, y + at, d, 2, 0.7f, r.f + 2 * all + at, r.f + 3 * all + at);
    }
    loops->sample(x, y, eps, all, 2, r.f + 4 * all);
    loops->sample_backward(y, eps, x, all, 2, r.f + 5 * all, r.f + 6 * all);
    return r;
}

static void loops__have_the_same_bits(void **state)
{
    (void)state;
    static const ci_lid ds[] = {1, 2, 3, 7, 8, 15, 16, 17, 31, 40, 48, 64, 131};
    oracle_fill(60, ALL, 1, x);
    oracle_fill(61, ALL, 3, y);
    oracle_fill(62, ALL, 1, eps);
    for (size_t k = 0; k < CI_COUNT(ds); k++) {
        const ci_lid d = ds[k];
        const size_t n = 7 * (size_t)ROWS * (size_t)d;
        const size_t n_sum = (size_t)(ci_gaussian_sums_size(d) + ci_gaussian_coef_size(d)) + ROWS + 1;
        struct results first = compute(loss_loops("generic"), d);
        for (size_t i = 1; i < CI_COUNT(isas); i++) {
            if (!loss_loops(isas[i])) continue;
            struct results r = compute(loss_loops(isas[i]), d);
            assert_memory_equal(r.f, first.f, n * sizeof *r.f);
            assert_memory_equal(r.sum, first.sum, n_sum * sizeof *r.sum);
            free(r.f);
            free(r.sum);
        }
        free(first.f);
        free(first.sum);
    }
    assert_null(loss_loops("sse9"));
}

/* A row's sums and gradients are those of the row alone, wherever a batch is cut. */
static void gaussian__does_not_depend_on_where_rows_are_cut(void **state)
{
    (void)state;
    enum { D = 20, CUT = 18 };
    static float whole[ROWS * D], parts[ROWS * D];
    double sum[2 * (D + D * (D + 1) / 2)], loss, *coef = calloc((size_t)ci_gaussian_coef_size(D), sizeof *coef);
    const struct loss_loops *loops = loss_loops("auto");
    assert_non_null(coef);
    oracle_fill(60, ALL, 1, x);
    oracle_fill(61, ALL, 3, y);
    ci_gaussian_sums(x, y, ROWS, D, sum);
    assert_int_equal(ci_gaussian_close(sum, ROWS, D, 1, coef, &loss), CI_OK);
    loops->gaussian_backward(coef, x, ROWS, D, whole);
    loops->gaussian_backward(coef, x, CUT, D, parts);
    loops->gaussian_backward(coef, x + CUT * D, ROWS - CUT, D, parts + CUT * D);
    assert_memory_equal(whole, parts, sizeof whole);
    free(coef);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loops__have_the_same_bits),
        cmocka_unit_test(gaussian__does_not_depend_on_where_rows_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
