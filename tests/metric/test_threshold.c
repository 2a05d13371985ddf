/* Thresholds of windows out of fold, against scikit-learn 1.2.1 and numpy 1.24.2, and windows that are too early to be judged, by hand. */
#include "ci_test.h"

#include <math.h>
#include "ci/metric.h"
#include "ci/types.h"

enum { N = 60 };
static double score[N];
static uint8_t label[N];

static void made(void)
{
    for (int k = 0; k < N; k++) {
        label[k] = k % 11 < 4;
        score[k] = k * 37 % 41 / 8.0 - 2 + label[k] * 1.25;
    }
    label[5] ^= 1;
    label[17] ^= 1;
    label[29] ^= 1;
}

/* f1_score at every threshold of precision_recall_curve: the best one is 0.625, the next score below it 0.375. */
static void most_f1__is_in_the_middle_of_the_best_gap(void **state)
{
    double t, f1;
    ci_counts c;

    (void)state;
    made();
    assert_int_equal(ci_most_f1(score, label, N, &t, &f1), CI_OK);
    assert_true(t == 0.5);
    assert_true(fabs(f1 - 0.7868852459016393) < 1e-15);
    assert_int_equal(ci_confusion(score, label, N, t, &c), CI_OK);
    assert_true(ci_f1(c) == f1);
}

static void most_f1__calls_all_attacks_where_that_is_best(void **state)
{
    const double low[4] = {-3, 1, 2, 1};
    const uint8_t is[4] = {1, 1, 0, 1};
    double t, f1;

    (void)state; /* all: 6/7; all but the lowest: 4/6; the highest alone: 0 */
    assert_int_equal(ci_most_f1(low, is, 4, &t, &f1), CI_OK);
    assert_true(t == -3 && f1 == 6.0 / 7);
}

static void most_f1__of_equal_cuts_is_the_highest(void **state)
{
    const double s[5] = {5, 4, 3, 2, 1};
    const uint8_t is[5] = {1, 0, 0, 0, 1};
    double t;

    (void)state; /* F1 of the cuts: 2/3, 2/4, 2/5, 2/6, 4/7 */
    assert_int_equal(ci_most_f1(s, is, 5, &t, NULL), CI_OK);
    assert_true(t == 4.5);
    assert_int_equal(ci_most_f1((double[]){4, 3, 2, 1}, (uint8_t[]){1, 0, 1, 0}, 4, &t, NULL), CI_OK); /* 2/3, 2/4, 4/5 */
    assert_true(t == 1.5);
    assert_int_equal(ci_most_f1((double[]){3, 2, 1}, (uint8_t[]){1, 0, 1}, 3, &t, NULL), CI_OK); /* 2/3, 1/2, 4/5 */
    assert_true(t == 1);
    assert_int_equal(ci_most_f1((double[]){4, 3, 2, 1}, (uint8_t[]){0, 1, 1, 0}, 4, &t, NULL), CI_OK); /* 0, 1/2, 4/5, 2/3 */
    assert_true(t == 1.5);
    assert_int_equal(ci_most_f1((double[]){6, 5, 4, 3, 2, 1}, (uint8_t[]){1, 0, 0, 1, 0, 1}, 6, &t, NULL), CI_OK); /* 2/4, 2/5, 2/6, 4/7, 4/8, 6/9 */
    assert_true(t == 1);
    assert_int_equal(ci_most_f1((double[]){4, 3, 2, 1}, (uint8_t[]){1, 0, 0, 1}, 4, &t, NULL), CI_OK); /* 2/3, 2/4, 2/5, 4/6: equal */
    assert_true(t == 3.5);
}

static void above_benign__is_numpys_quantile_and_a_hair(void **state)
{
    static const struct { double share, want; } quantile[] = {{.998, 2.992}, {.5, -.375}, {0, -2}, {1, 3}, {.9, 2.6}};
    double t;

    (void)state;
    made();
    for (size_t i = 0; i < CI_COUNT(quantile); i++) {
        assert_int_equal(ci_above_benign(score, label, N, quantile[i].share, &t), CI_OK);
        assert_true(t > quantile[i].want && t - quantile[i].want < 1e-14);
    }
    assert_int_equal(ci_above_benign((double[]){7, 9}, (uint8_t[]){0, 1}, 2, .998, &t), CI_OK); /* equal to it is not above it */
    assert_true(t == nextafter(7, 8));
}

static void thresholds__say_what_they_need(void **state)
{
    const uint8_t attacks[2] = {1, 1}, benign[2] = {0, 0};
    double t = -7;

    (void)state;
    assert_int_equal(ci_most_f1(score, attacks, 2, &t, NULL), CI_EDATA);
    assert_int_equal(ci_most_f1(score, benign, 2, &t, NULL), CI_EDATA);
    assert_int_equal(ci_most_f1(NULL, NULL, 0, &t, NULL), CI_EDATA);
    assert_int_equal(ci_above_benign(score, attacks, 2, .998, &t), CI_EDATA);
    assert_int_equal(ci_above_benign(score, benign, 2, 1.5, &t), CI_EARG);
    assert_int_equal(ci_above_benign((double[]){NAN}, benign, 1, .998, &t), CI_ENUMERIC);
    assert_true(t == -7);
}

/* Six windows, of which the last two are cold with high scores: an attack that is missed, a benign one that is called so. */
static void cold__windows_are_called_benign_and_not_ranked(void **state)
{
    const double s[6] = {.9, .8, .3, .1, .95, .99};
    const uint8_t is[6] = {1, 0, 1, 0, 1, 0}, cold[6] = {0, 0, 0, 0, 1, 1};
    ci_scores got, plain;

    (void)state;
    assert_int_equal(ci_scores_compute_cold(s, is, NULL, cold, 6, .5, (ci_bootstrap){1, 2, 50}, &got), CI_OK);
    assert_int_equal(ci_scores_compute(s, is, NULL, 4, .5, (ci_bootstrap){0}, &plain), CI_OK);
    assert_int_equal(got.n, 6);
    assert_int_equal(got.n_cold, 2);
    assert_int_equal(got.n_attack, 3);
    assert_int_equal(got.at.tp, 1);
    assert_int_equal(got.at.fp, 1);
    assert_int_equal(got.at.fn, 2);
    assert_int_equal(got.at.tn, 2);
    assert_true(got.accuracy == .5 && fabs(got.f1 - .4) < 1e-15 && fabs(got.fpr - 1. / 3) < 1e-15);
    assert_true(got.auroc == .75 && got.auroc == plain.auroc && got.ap == plain.ap);
    assert_int_equal(got.n_block, 3); /* two windows a block, the cold ones too */
    for (int m = 0; m < CI_METRIC_COUNT; m++) assert_true(got.lo[m] <= got.hi[m]);
    assert_int_equal(ci_scores_compute_cold(s, is, NULL, (uint8_t[]){1, 1, 1, 1, 1, 1}, 6, .5, (ci_bootstrap){1, 2, 50}, &got), CI_OK);
    assert_true(got.one_class && isnan(got.auroc) && got.at.fn == 3 && got.at.tn == 3);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(most_f1__is_in_the_middle_of_the_best_gap),
    cmocka_unit_test(most_f1__calls_all_attacks_where_that_is_best),
    cmocka_unit_test(most_f1__of_equal_cuts_is_the_highest),
    cmocka_unit_test(above_benign__is_numpys_quantile_and_a_hair),
    cmocka_unit_test(thresholds__say_what_they_need),
    cmocka_unit_test(cold__windows_are_called_benign_and_not_ranked),
};

CI_TEST_MAIN(tests)
