/* Elementary functions in double against those of long double. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "ci/elementary.h"

/** |a - b| in units in the last place of b. */
static double ulps(double a, long double b)
{
    const double at = (double)b;
    return (double)(fabsl((long double)a - b) / (nextafter(fabs(at), INFINITY) - fabs(at)));
}

static void exp__is_within_two_ulp(void **state)
{
    (void)state;
    for (double x = -708; x < 709; x += 0.0137) assert_true(ulps(ci_exp64(x), expl(x)) <= 2);
    for (double x = -1e-3; x < 1e-3; x += 1.7e-7) assert_true(ulps(ci_exp64(x), expl(x)) <= 2);
    assert_true(ci_exp64(0) == 1 && ci_exp64(-800) == 0 && isinf(ci_exp64(800)) && isnan(ci_exp64(NAN)));
    assert_true(ci_exp64(-INFINITY) == 0 && isinf(ci_exp64(INFINITY)));
}

static void log__is_within_two_ulp(void **state)
{
    (void)state;
    for (double x = 1e-300; x < 1e300; x *= 1.0137) assert_true(ulps(ci_log64(x), logl(x)) <= 2);
    for (double x = 0.5; x < 2; x += 1.3e-5) assert_true(ulps(ci_log64(x), logl(x)) <= 2);
    assert_true(ci_log64(1) == 0 && isinf(ci_log64(INFINITY)) && isnan(ci_log64(NAN)));
    for (double x = 1e-20; x < 1e20; x *= 1.0137) assert_true(ulps(ci_log1p64(x), log1pl(x)) <= 4);
    assert_true(ci_log1p64(0) == 0);
}

static void cospi__is_within_a_rounding_of_one(void **state)
{
    (void)state;
    for (double x = 0; x <= 1; x += 1.3e-5) assert_true(fabs((double)((long double)ci_cospi64(x) - cosl(3.14159265358979323846L * x))) < 4e-16);
    assert_true(ci_cospi64(0) == 1 && ci_cospi64(1) == -1 && fabs(ci_cospi64(0.5)) < 1e-16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp__is_within_two_ulp),
        cmocka_unit_test(log__is_within_two_ulp),
        cmocka_unit_test(cospi__is_within_a_rounding_of_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
