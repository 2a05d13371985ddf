/* Expected values: tests/oracle/metric_vectors.h, made with scikit-learn and numpy. */
#include "ci_test.h"

#include <math.h>
#include <string.h>

#include "ci/log.h"
#include "ci/metric.h"
#include "ci/types.h"
#include "oracle/metric_vectors.h"

/* A few roundings of numbers not above 1: sums of up to 80 terms in another order. */
static const double near = 1e-13;

static void assert_near(double got, double want, const char *name, const char *what)
{
    if (isnan(want) ? isnan(got) : fabs(got - want) <= near) return;
    print_error("%s %s: got %.17g, expected %.17g\n", name, what, got, want);
    fail();
}

static const ci_bootstrap no_bootstrap = {0};

static void scores__equal_scikit_learn(void **state)
{
    (void)state;
    for (size_t k = 0; k < CI_COUNT(metric_vectors); k++) {
        const struct metric_vector *v = &metric_vectors[k];
        ci_scores s;

        assert_int_equal(ci_scores_compute(v->score, v->label, NULL, v->n, v->threshold,
                                           no_bootstrap, &s), CI_OK);
        assert_int_equal(s.n, v->n);
        assert_int_equal(s.n_attack, v->tp + v->fn);
        assert_int_equal(s.at.tp, v->tp);
        assert_int_equal(s.at.fp, v->fp);
        assert_int_equal(s.at.tn, v->tn);
        assert_int_equal(s.at.fn, v->fn);
        assert_int_equal(s.one_class, isnan(v->auroc) ? 1 : 0);
        assert_near(s.auroc, v->auroc, v->name, "auroc");
        assert_near(s.ap, v->ap, v->name, "ap");
        assert_near(s.f1, v->f1, v->name, "f1");
        assert_near(s.mcc, v->mcc, v->name, "mcc");
        assert_near(s.fpr, v->fpr, v->name, "fpr");
        assert_near(s.accuracy, v->accuracy, v->name, "accuracy");
        assert_near(s.precision, v->precision, v->name, "precision");
        assert_near(s.recall, v->recall, v->name, "recall");
        assert_near(s.balanced_accuracy, v->balanced, v->name, "balanced accuracy");
    }
}

static void curve__refuses_one_class(void **state)
{
    int seen = 0;

    (void)state;
    for (size_t k = 0; k < CI_COUNT(metric_vectors); k++) {
        const struct metric_vector *v = &metric_vectors[k];
        const ci_rc want = isnan(v->auroc) ? CI_EDATA : CI_OK;
        double x = -7;

        assert_int_equal(ci_auroc(v->score, v->label, v->n, &x), want);
        assert_near(x, want ? -7 : v->auroc, v->name, "ci_auroc");
        x = -7;
        assert_int_equal(ci_average_precision(v->score, v->label, v->n, &x), want);
        assert_near(x, want ? -7 : v->ap, v->name, "ci_average_precision");
        assert_int_equal(ci_youden(v->score, v->label, v->n, &x, NULL), want);
        seen += want != CI_OK;
    }
    assert_int_equal(seen, 4);
    assert_int_equal(ci_auroc(NULL, NULL, 0, &(double){0}), CI_EDATA);
}

static void youden__is_in_the_middle_of_the_best_gap(void **state)
{
    (void)state;
    for (size_t k = 0; k < CI_COUNT(metric_vectors); k++) {
        const struct metric_vector *v = &metric_vectors[k];
        double t, j;

        if (isnan(v->youden)) continue;
        assert_int_equal(ci_youden(v->score, v->label, v->n, &t, &j), CI_OK);
        assert_near(t, v->youden, v->name, "threshold");
        assert_near(j, v->j, v->name, "J");
    }
}

static void youden__separates_neighbouring_doubles(void **state)
{
    const double high = nextafter(1, 2);
    const double score[2] = {1, high};
    const uint8_t label[2] = {0, 1};
    ci_counts c;
    double t;

    (void)state;
    assert_int_equal(ci_youden(score, label, 2, &t, NULL), CI_OK);
    assert_int_equal(ci_confusion(score, label, 2, t, &c), CI_OK);
    assert_int_equal(c.tp, 1);
    assert_int_equal(c.tn, 1);
}

static void youden__calls_nothing_an_attack_when_nothing_is_better(void **state)
{
    const double score[4] = {.5, .5, .5, .5};
    const uint8_t label[4] = {0, 1, 0, 1};
    ci_counts c;
    double t, j;

    (void)state;
    assert_int_equal(ci_youden(score, label, 4, &t, &j), CI_OK);
    assert_true(j == 0);
    assert_int_equal(ci_confusion(score, label, 4, t, &c), CI_OK);
    assert_int_equal(c.tp + c.fp, 0);
}

static void intervals__equal_numpy_over_the_same_draws(void **state)
{
    const ci_bootstrap boot = {BOOT_SEED, BOOT_BLOCK, BOOT_DRAWS};
    ci_scores s;

    (void)state;
    assert_int_equal(ci_scores_compute(boot_score, boot_label, boot_capture, BOOT_N,
                                       boot_threshold, boot, &s), CI_OK);
    assert_int_equal(s.n_block, BOOT_BLOCKS);
    assert_int_equal(s.draws, BOOT_KEPT);
    for (int m = 0; m < CI_METRIC_COUNT; m++) {
        assert_near(s.lo[m], boot_lo[m], ci_metric_name(m), "lo");
        assert_near(s.hi[m], boot_hi[m], ci_metric_name(m), "hi");
        assert_true(s.lo[m] < s.hi[m]);
        assert_true(s.lo[m] <= ci_scores_value(&s, m) && ci_scores_value(&s, m) <= s.hi[m]);
    }
}

static void intervals__leave_out_draws_of_one_class(void **state)
{
    const double score[4] = {.1, .2, .8, .9};
    const uint8_t label[4] = {0, 0, 0, 1};
    ci_scores s;

    (void)state;
    assert_int_equal(ci_scores_compute(score, label, NULL, 4, .5, (ci_bootstrap){1, 2, 400}, &s),
                     CI_OK);
    assert_int_equal(s.n_block, 2);
    assert_true(s.draws > 240 && s.draws < 360); /* 3 of 4 draws take the second block */
    assert_true(s.lo[CI_METRIC_AUROC] == 1);
}

static void intervals__are_nan_without_draws_or_with_one_class(void **state)
{
    const double score[3] = {.1, .2, .8};
    const uint8_t label[3] = {0, 0, 1}, benign[3] = {0};
    ci_scores s;

    (void)state;
    assert_int_equal(ci_scores_compute(score, label, NULL, 3, .5, no_bootstrap, &s), CI_OK);
    assert_true(isnan(s.lo[CI_METRIC_F1]) && isnan(s.hi[CI_METRIC_AUROC]));
    assert_int_equal(ci_scores_compute(score, benign, NULL, 3, .5, (ci_bootstrap){1, 2, 9}, &s),
                     CI_OK);
    assert_true(s.one_class && isnan(s.lo[CI_METRIC_F1]) && isnan(s.auroc));
    assert_int_equal(s.at.fp, 1);
    assert_int_equal(ci_scores_compute(NULL, NULL, NULL, 0, .5, (ci_bootstrap){1, 2, 9}, &s),
                     CI_OK);
    assert_true(s.one_class && s.n == 0);
}

static void scores__refuse_what_cannot_be_ranked(void **state)
{
    double score[3] = {.1, NAN, .8};
    uint8_t label[3] = {0, 1, 1};
    double x;
    ci_counts c;
    ci_scores s;

    (void)state;
    assert_int_equal(ci_auroc(score, label, 3, &x), CI_ENUMERIC);
    assert_non_null(strstr(ci_message(), "score 1 of 3"));
    assert_int_equal(ci_confusion(score, label, 3, .5, &c), CI_ENUMERIC);
    assert_int_equal(ci_scores_compute(score, label, NULL, 3, .5, no_bootstrap, &s), CI_ENUMERIC);
    score[1] = INFINITY;
    assert_int_equal(ci_youden(score, label, 3, &x, NULL), CI_ENUMERIC);
    score[1] = .5;
    assert_int_equal(ci_confusion(score, label, 3, NAN, &c), CI_ENUMERIC);
    label[2] = 2;
    assert_int_equal(ci_average_precision(score, label, 3, &x), CI_EARG);
    assert_int_equal(ci_confusion(score, label, 3, .5, &c), CI_EARG);
    assert_int_equal(ci_auroc(score, label, -1, &x), CI_EARG);
    assert_int_equal(ci_auroc(score, label, (int64_t)1 << 31, &x), CI_EARG);
    label[2] = 1;
    assert_int_equal(ci_scores_compute(score, label, NULL, 3, .5, (ci_bootstrap){1, 0, 9}, &s),
                     CI_EARG);
    assert_int_equal(ci_scores_compute(score, label, NULL, 3, .5, (ci_bootstrap){1, 1, -9}, &s),
                     CI_EARG);
}

/* 1,000 draws of 4,000 scores; 2 s is the promise, with room for sanitizers and a busy machine. */
static void intervals__are_fast_enough(void **state)
{
    enum { N = 4000 };
    double *score = calloc(N, sizeof *score);
    uint8_t *label = calloc(N, 1);
    ci_scores s;
    double began;

    (void)state;
    assert_true(score && label);
    for (int k = 0; k < N; k++) {
        label[k] = k % 5 == 0;
        score[k] = k * 7919 % N + 600 * label[k];
    }
    began = ci_cpu_s();
    assert_int_equal(ci_scores_compute(score, label, NULL, N, 2000,
                                       (ci_bootstrap){1, 20, 1000}, &s), CI_OK);
    print_message("1,000 draws of %d scores: %.3f s\n", N, ci_cpu_s() - began);
    assert_true(ci_cpu_s() - began < 2);
    free(score);
    free(label);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(scores__equal_scikit_learn),
    cmocka_unit_test(curve__refuses_one_class),
    cmocka_unit_test(youden__is_in_the_middle_of_the_best_gap),
    cmocka_unit_test(youden__separates_neighbouring_doubles),
    cmocka_unit_test(youden__calls_nothing_an_attack_when_nothing_is_better),
    cmocka_unit_test(intervals__equal_numpy_over_the_same_draws),
    cmocka_unit_test(intervals__leave_out_draws_of_one_class),
    cmocka_unit_test(intervals__are_nan_without_draws_or_with_one_class),
    cmocka_unit_test(scores__refuse_what_cannot_be_ranked),
    cmocka_unit_test(intervals__are_fast_enough),
};

CI_TEST_MAIN(tests)
