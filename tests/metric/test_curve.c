/* Expected values: tests/oracle/metric_vectors.h, made with scikit-learn and numpy. */
#include "ci_test.h"

#include <math.h>
#include <string.h>

#include "ci/metric.h"
#include "ci/types.h"
#include "oracle/metric_vectors.h"

static const double near = 1e-13; /* a few roundings of numbers not above 1 */

static void assert_near(double got, double want, const char *name, const char *what)
{
    if (isnan(want) ? isnan(got) : got == want || fabs(got - want) <= near) return;
    print_error("%s %s: got %.17g, expected %.17g\n", name, what, got, want);
    fail();
}

static void ratios__equal_scikit_learn(void **state)
{
    (void)state;
    for (size_t k = 0; k < CI_COUNT(metric_vectors); k++) {
        const struct metric_vector *v = &metric_vectors[k];
        ci_operating on;
        ci_scores s;

        assert_int_equal(ci_scores_compute(v->score, v->label, NULL, v->n, v->threshold, (ci_bootstrap){0}, &s), CI_OK);
        assert_near(s.specificity, v->more[0], v->name, "specificity");
        assert_near(s.fnr, v->more[1], v->name, "FNR");
        assert_near(s.macro_f1, v->more[2], v->name, "macro F1");
        assert_near(s.kappa, v->more[3], v->name, "kappa");
        for (int i = 0; i < CI_FPR_POINTS; i++) assert_near(s.on.recall_at_fpr[i], v->more[4 + i], v->name, "recall at FPR");
        assert_near(s.on.precision_at_recall, v->more[7], v->name, "precision at recall");
        assert_near(s.on.recall_at_precision, v->more[8], v->name, "recall at precision");
        assert_int_equal(ci_operating_compute(v->score, v->label, v->n, &on), s.one_class ? CI_EDATA : CI_OK);
        if (!s.one_class) assert_memory_equal(&on, &s.on, sizeof on);
    }
    assert_true(ci_fpr_point(0) == .05 && ci_fpr_point(1) == .01 && ci_fpr_point(2) == .001);
}

static const struct metric_vector *vector(const char *name)
{
    for (size_t k = 0; k < CI_COUNT(metric_vectors); k++)
        if (strcmp(metric_vectors[k].name, name) == 0) return &metric_vectors[k];
    fail_msg("no vector %s", name);
    return NULL;
}

static void curve__is_scikit_learns_thinned_by_the_smallest_triangle(void **state)
{
    (void)state;
    for (size_t k = 0; k < CI_COUNT(curve_vectors); k++) {
        const struct curve_vector *w = &curve_vectors[k];
        const struct metric_vector *v = vector(w->name);
        ci_curve c;

        assert_int_equal(ci_curve_compute(v->score, v->label, v->n, w->kind, v->threshold, w->max, &c), CI_OK);
        assert_int_equal(c.n_whole, w->n_whole);
        assert_int_equal(c.n, w->n);
        for (int32_t i = 0; i < c.n; i++) {
            assert_near(c.x[i], w->point[3 * i], w->name, "x");
            assert_near(c.y[i], w->point[3 * i + 1], w->name, "y");
            assert_near(c.threshold[i], w->point[3 * i + 2], w->name, "threshold");
        }
        ci_curve_release(&c);
        assert_null(c.x);
    }
}

/* 3,000 distinct scores to 200 points: every point is one of the whole curve, the operating point is among them, and the
   trapezoids below are the area there was, to 1e-4. */
static void curve__keeps_its_area_and_the_operating_point(void **state)
{
    enum { N = 3000, MAX = 200 };
    static double score[N];
    static uint8_t label[N];
    ci_curve whole, c;
    ci_counts at;
    double auroc, area = 0;
    int32_t w = 0, seen = 0;

    (void)state;
    for (int k = 0; k < N; k++) {
        label[k] = k % 5 == 0;
        score[k] = (k * 7919 % N + 600. * label[k] + k / 4e3) / 4000;
    }
    assert_int_equal(ci_auroc(score, label, N, &auroc), CI_OK);
    assert_int_equal(ci_confusion(score, label, N, .6, &at), CI_OK);
    assert_int_equal(ci_curve_compute(score, label, N, CI_CURVE_ROC, .6, N + 1, &whole), CI_OK);
    assert_int_equal(ci_curve_compute(score, label, N, CI_CURVE_ROC, .6, MAX, &c), CI_OK);
    assert_int_equal(whole.n, N + 1);
    assert_int_equal(c.n, MAX);
    for (int32_t i = 0; i < c.n; i++) {
        if (i) area += (c.x[i] - c.x[i - 1]) * (c.y[i] + c.y[i - 1]) / 2;
        while (w < whole.n && whole.threshold[w] != c.threshold[i]) w++;
        assert_true(w < whole.n && whole.x[w] == c.x[i] && whole.y[w] == c.y[i]);
        seen += c.x[i] == ci_fpr(at) && c.y[i] == ci_recall(at);
    }
    assert_int_equal(seen, 1);
    assert_true(c.x[0] == 0 && c.y[0] == 0 && c.x[MAX - 1] == 1 && c.y[MAX - 1] == 1);
    assert_true(fabs(area - auroc) < 1e-4);
    ci_curve_release(&whole);
    ci_curve_release(&c);
}

static void calibration__equals_numpy(void **state)
{
    int seen = 0;

    (void)state;
    for (size_t k = 0; k < CI_COUNT(metric_vectors); k++) {
        const struct metric_vector *v = &metric_vectors[k];
        ci_calibration c;
        int64_t n = 0, attacks = 0;

        assert_int_equal(ci_calibration_compute(v->score, v->label, v->n, &c), isnan(v->brier) ? CI_EARG : CI_OK);
        if (isnan(v->brier)) continue;
        assert_near(c.brier, v->brier, v->name, "Brier score");
        assert_near(c.ece, v->ece, v->name, "ECE");
        for (int b = 0; b < CI_CALIBRATION_BINS; b++) {
            n += c.n[b];
            attacks += c.n_attack[b];
            if (c.n[b]) assert_true(c.mean[b] >= b / 15. && c.mean[b] <= (b + 1) / 15.);
        }
        assert_int_equal(n, v->n);
        assert_int_equal(attacks, v->tp + v->fn);
        seen++;
    }
    assert_true(seen > 5);
}

/* By hand: 95 attacks, then a benign window, 4 attacks, 19 benign ones, an attack: recall .95, precision .99 and FPR .05 are met exactly. */
static void operating__takes_what_is_exactly_at_the_point(void **state)
{
    enum { N = 120 };
    double score[N];
    uint8_t label[N];
    ci_operating on;

    (void)state;
    for (int k = 0; k < N; k++) {
        score[k] = N - k;
        label[k] = k < 95 || (k > 95 && k < 100) || k == N - 1;
    }
    assert_int_equal(ci_operating_compute(score, label, N, &on), CI_OK);
    assert_true(on.precision_at_recall == 1);
    assert_true(on.recall_at_precision == .99);
    assert_true(on.recall_at_fpr[0] == .99);
    assert_true(on.recall_at_fpr[1] == .95 && on.recall_at_fpr[2] == .95);
}

static void curve__keeps_the_point_of_a_threshold_that_is_a_score(void **state)
{
    static const double score[] = {.9, .8, .7, .4, .3, .1};
    static const uint8_t label[] = {1, 1, 0, 1, 0, 0};
    ci_curve c;

    (void)state;
    assert_int_equal(ci_curve_compute(score, label, 6, CI_CURVE_ROC, .3, 3, &c), CI_OK);
    assert_int_equal(c.n, 3);
    assert_true(c.threshold[1] == .3);
    ci_curve_release(&c);
}

static void curve__refuses_what_has_none(void **state)
{
    double score[3] = {.1, .2, .8};
    uint8_t label[3] = {0, 0, 1}, benign[3] = {0};
    ci_calibration cal;
    ci_operating on;
    ci_curve c = {0};

    (void)state;
    assert_int_equal(ci_curve_compute(score, label, 3, CI_CURVE_PR, .5, 1, &c), CI_EARG);
    assert_int_equal(ci_curve_compute(score, benign, 3, CI_CURVE_PR, .5, 9, &c), CI_EDATA);
    assert_int_equal(ci_curve_compute(score, label, 3, CI_CURVE_ROC, NAN, 9, &c), CI_ENUMERIC);
    assert_int_equal(ci_operating_compute(score, benign, 3, &on), CI_EDATA);
    assert_int_equal(ci_calibration_compute(score, label, 0, &cal), CI_OK);
    assert_true(cal.brier == 0 && cal.ece == 0);
    score[1] = NAN;
    assert_int_equal(ci_curve_compute(score, label, 3, CI_CURVE_ROC, .5, 9, &c), CI_ENUMERIC);
    assert_int_equal(ci_operating_compute(score, label, 3, &on), CI_ENUMERIC);
    assert_int_equal(ci_calibration_compute(score, label, 3, &cal), CI_ENUMERIC);
    score[1] = .2;
    label[1] = 2;
    assert_int_equal(ci_calibration_compute(score, label, 3, &cal), CI_EARG);
    assert_null(c.x);
    ci_curve_release(&c);
    ci_curve_release(NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(ratios__equal_scikit_learn),
    cmocka_unit_test(curve__is_scikit_learns_thinned_by_the_smallest_triangle),
    cmocka_unit_test(curve__keeps_its_area_and_the_operating_point),
    cmocka_unit_test(calibration__equals_numpy),
    cmocka_unit_test(operating__takes_what_is_exactly_at_the_point),
    cmocka_unit_test(curve__keeps_the_point_of_a_threshold_that_is_a_score),
    cmocka_unit_test(curve__refuses_what_has_none),
};

CI_TEST_MAIN(tests)
