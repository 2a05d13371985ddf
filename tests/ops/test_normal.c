/* Normal numbers: the polar method on the words that ops.h names, and its moments. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "ci/arena.h"
#include "ci/ops.h"

/** Pair `pair` of quad k in double, from the definition, logarithm and root in double. */
static void pair_by_definition(uint32_t k, int pair, double out[2])
{
    for (uint32_t attempt = 0;; attempt++) {
        const ci_u32x4 w = ci_philox(5, 77, 6, 7, 8, k + (attempt << 24));
        const double u = 2 * (double)(w.v[2 * pair] >> 8) / 16777216 - 1, v = 2 * (double)(w.v[2 * pair + 1] >> 8) / 16777216 - 1;
        const double s = (double)((float)(u * u) + (float)(v * v)); /* rounded to float: it decides, and log is steep at 1 */
        if (!(s > 0 && s < 1)) continue;
        out[0] = u * sqrt(-2 * log(s) / s);
        out[1] = v * sqrt(-2 * log(s) / s);
        return;
    }
}

static void normal__is_the_first_accepted_attempt_of_each_pair(void **state)
{
    (void)state;
    enum { COUNT = 4003 };
    float x[COUNT + 1];
    x[COUNT] = 3;
    ci_normal(5, 77, 6, 7, 8, COUNT, x);
    for (int i = 0; i < COUNT; i++) {
        double want[2];
        pair_by_definition((uint32_t)i / 4, i % 4 / 2, want);
        if (!(fabs((double)x[i] - want[i % 2]) <= 1e-6 * fmax(1, fabs(want[i % 2]))))
            fail_msg("element %d is %.9g, by definition %.9g", i, (double)x[i], want[i % 2]);
    }
    assert_true(x[COUNT] == 3); /* not written */
}

static void normal__does_not_depend_on_how_many_are_asked_for(void **state)
{
    (void)state;
    float all[101], some[101];
    ci_normal(1, 2, 3, 4, 5, 101, all);
    for (int n = 0; n <= 101; n++) {
        ci_normal(1, 2, 3, 4, 5, n, some);
        assert_memory_equal(some, all, (size_t)n * sizeof *all);
    }
}

static void normal__has_the_moments_and_tails(void **state)
{
    (void)state;
    enum { COUNT = 1 << 20 };
    float *x = ci_new(COUNT, sizeof *x);
    double m[5] = {0};
    int beyond = 0;
    assert_non_null(x);
    ci_normal(1, 2, 3, 4, 5, COUNT, x);
    for (int i = 0; i < COUNT; i++) {
        const double v = (double)x[i];
        m[1] += v / COUNT;
        m[2] += v * v / COUNT;
        m[3] += v * v * v / COUNT;
        m[4] += v * v * v * v / COUNT;
        beyond += fabs(v) > 3;
    }
    /* Four standard errors: 1, sqrt 2, sqrt 15, sqrt 96 over 2^10; 2,831 expected beyond three sigma, +- 53. */
    assert_true(fabs(m[1]) < 4.0 / 1024 && fabs(m[2] - 1) < 4 * 1.42 / 1024);
    assert_true(fabs(m[3]) < 4 * 3.9 / 1024 && fabs(m[4] - 3) < 4 * 9.8 / 1024);
    assert_true(abs(beyond - 2831) < 4 * 53);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normal__is_the_first_accepted_attempt_of_each_pair),
        cmocka_unit_test(normal__does_not_depend_on_how_many_are_asked_for),
        cmocka_unit_test(normal__has_the_moments_and_tails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
