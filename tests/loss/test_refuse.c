/* What the losses refuse, what no rows are, and that gradients are added to. */
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

enum { ROWS = 4, COLS = 3, ALL = ROWS * COLS };
static float x[ALL], y[ALL], d[ALL], d2[ALL];
static double loss;

static void inputs(void)
{
    oracle_fill(40, ALL, 1, x);
    oracle_fill(41, ALL, 1, y);
    memset(d, 0, sizeof d);
    memset(d2, 0, sizeof d2);
    loss = 7;
}

static void classify__refuses_what_makes_no_sense(void **state)
{
    (void)state;
    const ci_class_loss bad[] = {{.kind = 3}, {.kind = -1}, {.kind = CI_WEIGHTED_CE, .weight = {-1, 1}},
                                 {.kind = CI_WEIGHTED_CE, .weight = {1, NAN}}, {.kind = CI_FOCAL, .gamma = INFINITY}};
    const ci_class_loss ce = {.kind = CI_CE};
    const uint8_t label[2] = {0, 1};
    const float weight[2] = {1, NAN};
    inputs();
    for (size_t k = 0; k < CI_COUNT(bad); k++) assert_int_equal(ci_classify(&bad[k], x, label, NULL, 2, 1, d, &loss), CI_EARG);
    assert_int_equal(ci_classify(&ce, x, label, weight, 2, 1, d, &loss), CI_ENUMERIC);
    assert_true(loss == 7);
    assert_int_equal(ci_classify(&ce, x, label, NULL, 0, INFINITY, d, &loss), CI_ENUMERIC); /* a count of 0 nobody looked at */
}

static void distill__refuses_temperatures_and_logits(void **state)
{
    (void)state;
    const double bad[] = {0, -1, NAN, INFINITY};
    inputs();
    for (size_t k = 0; k < CI_COUNT(bad); k++) {
        assert_int_equal(ci_distill_logits(x, y, 3, bad[k], 1, d, &loss), CI_EARG);
        assert_non_null(strstr(ci_message(), "temperature"));
    }
    y[3] = NAN;
    assert_int_equal(ci_distill_logits(x, y, 3, 4, 1, d, &loss), CI_ENUMERIC);
    assert_non_null(strstr(ci_message(), "graph 1 of the shard"));
    assert_int_equal(ci_distill_logits(x, y, -1, 4, 1, d, &loss), CI_EARG);
    assert_true(loss == 7);
    assert_int_equal(ci_distill_logits(x, y, 0, 4, 1, d, &loss), CI_OK);
    assert_true(loss == 0);
    oracle_fill(41, ALL, 3e37f, y);
    oracle_fill(40, ALL, 3e37f, x);
    assert_int_equal(ci_distill_logits(x, y, 3, 4, 1, d, &loss), CI_OK);
    assert_true(isfinite(loss) && loss >= 0);
}

static void square__refuses_what_is_not_finite(void **state)
{
    (void)state;
    inputs();
    y[7] = NAN;
    assert_int_equal(ci_square_error(x, COLS, y, COLS, ROWS, COLS, 1, d, COLS, &loss, NULL), CI_ENUMERIC);
    assert_non_null(strstr(ci_message(), "in row 2 of the shard"));
    assert_int_equal(ci_square_error(x, COLS, y, COLS, -1, COLS, 1, d, COLS, &loss, NULL), CI_EARG);
    assert_int_equal(ci_square_error(x, COLS, y, COLS, ROWS, 0, 1, d, COLS, &loss, NULL), CI_EARG);
    assert_true(loss == 7);
    assert_int_equal(ci_square_error(x, COLS, y, COLS, 0, COLS, 1, d, COLS, &loss, NULL), CI_OK);
    assert_true(loss == 0);
}

static void kl__refuses_what_is_not_finite(void **state)
{
    (void)state;
    const double bad[] = {0, -1, 81, NAN};
    inputs();
    for (size_t k = 0; k < CI_COUNT(bad); k++) assert_int_equal(ci_kl_normal(x, y, ROWS, COLS, bad[k], 1, d, d2, &loss), CI_EARG);
    y[10] = NAN;
    assert_int_equal(ci_kl_normal(x, y, ROWS, COLS, 10, 1, d, d2, &loss), CI_ENUMERIC);
    assert_non_null(strstr(ci_message(), "in row 3 of the shard"));
    inputs();
    x[0] = INFINITY;
    assert_int_equal(ci_kl_normal(x, y, ROWS, COLS, 10, 1, d, d2, &loss), CI_ENUMERIC);
    assert_int_equal(ci_kl_normal(x, y, 0, COLS, 10, 1, d, d2, &loss), CI_OK);
    assert_true(loss == 0);
}

static void gaussian__refuses_sums_that_are_not_finite(void **state)
{
    (void)state;
    double sum[18], coef[128];
    inputs();
    x[4] = NAN;
    ci_gaussian_sums(x, y, ROWS, COLS, sum);
    assert_int_equal(ci_gaussian_close(sum, ROWS, COLS, 1, coef, &loss), CI_ENUMERIC);
    inputs();
    y[4] = INFINITY;
    ci_gaussian_sums(x, y, ROWS, COLS, sum);
    assert_int_equal(ci_gaussian_close(sum, ROWS, COLS, 1, coef, &loss), CI_ENUMERIC);
    assert_non_null(strstr(ci_message(), "neighbour loss"));
    assert_int_equal(ci_gaussian_close(sum, ROWS, 0, 1, coef, &loss), CI_EARG);
    assert_int_equal(ci_gaussian_close(sum, -1, COLS, 1, coef, &loss), CI_EARG);
    assert_true(loss == 7);
    /* All rows the same: the covariance is 0, the identity keeps the loss finite, and equal sides have none. */
    inputs();
    for (int k = 0; k < ALL; k++) x[k] = y[k] = 0.5f;
    ci_gaussian_sums(x, y, ROWS, COLS, sum);
    assert_int_equal(ci_gaussian_close(sum, ROWS, COLS, 1, coef, &loss), CI_OK);
    assert_true(fabs(loss) < 1e-14);
}

/* Each twice over the same buffers: twice the gradient, exactly, as a sum of two equal floats is. */
static void gradients__are_added_to(void **state)
{
    (void)state;
    const ci_class_loss ce = {.kind = CI_CE};
    const uint8_t label[4] = {0, 1, 1, 0};
    float one[ALL], one2[ALL];
    double sum[18], coef[128];
    for (int which = 0; which < 6; which++) {
        inputs();
        if (which == 4) {
            ci_gaussian_sums(x, y, ROWS, COLS, sum);
            assert_int_equal(ci_gaussian_close(sum, ROWS, COLS, 1, coef, &loss), CI_OK);
        }
        for (int time = 0; time < 2; time++) {
            switch (which) {
            case 0: assert_int_equal(ci_classify(&ce, x, label, NULL, 4, 0.3, d, &loss), CI_OK); break;
            case 1: assert_int_equal(ci_distill_logits(x, y, 4, 2, 0.3, d, &loss), CI_OK); break;
            case 2: assert_int_equal(ci_square_error(x, COLS, y, COLS, ROWS, COLS, 0.3, d, COLS, &loss, NULL), CI_OK); break;
            case 3: assert_int_equal(ci_kl_normal(x, y, ROWS, COLS, 10, 0.3, d, d2, &loss), CI_OK); break;
            case 4: ci_gaussian_backward(coef, x, y, ROWS, COLS, d, d2); break;
            default: ci_sample_normal_backward(y, x, x, ROWS, COLS, 10, d, d2); break;
            }
            if (time == 0) {
                memcpy(one, d, sizeof d);
                memcpy(one2, d2, sizeof d2);
            }
        }
        assert_true(one[1] != 0);
        for (int k = 0; k < ALL; k++) assert_true(d[k] == 2 * one[k] && d2[k] == 2 * one2[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classify__refuses_what_makes_no_sense),
        cmocka_unit_test(distill__refuses_temperatures_and_logits),
        cmocka_unit_test(square__refuses_what_is_not_finite),
        cmocka_unit_test(kl__refuses_what_is_not_finite),
        cmocka_unit_test(gaussian__refuses_sums_that_are_not_finite),
        cmocka_unit_test(gradients__are_added_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
