#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include "ci/arena.h"
#include "metric_priv.h"

const char *ci_metric_name(ci_metric m)
{
    static const char *const name[CI_METRIC_COUNT] = {
        [CI_METRIC_AUROC] = "auroc", [CI_METRIC_AP] = "average_precision", [CI_METRIC_F1] = "f1",
        [CI_METRIC_MCC] = "mcc",     [CI_METRIC_FPR] = "fpr", [CI_METRIC_ACCURACY] = "accuracy"};

    assert(m >= 0 && m < CI_METRIC_COUNT);
    return name[m];
}

double ci_scores_value(const ci_scores *s, ci_metric m)
{
    const double value[CI_METRIC_COUNT] = {
        [CI_METRIC_AUROC] = s->auroc, [CI_METRIC_AP] = s->ap,   [CI_METRIC_F1] = s->f1,
        [CI_METRIC_MCC] = s->mcc,     [CI_METRIC_FPR] = s->fpr, [CI_METRIC_ACCURACY] = s->accuracy};

    assert(m >= 0 && m < CI_METRIC_COUNT);
    return value[m];
}

static void ratios_fill(ci_scores *s)
{
    s->f1 = ci_f1(s->at);
    s->mcc = ci_mcc(s->at);
    s->fpr = ci_fpr(s->at);
    s->accuracy = ci_accuracy(s->at);
    s->precision = ci_precision(s->at);
    s->recall = ci_recall(s->at);
    s->balanced_accuracy = ci_balanced_accuracy(s->at);
    s->specificity = ci_specificity(s->at);
    s->fnr = ci_fnr(s->at);
    s->macro_f1 = ci_macro_f1(s->at);
    s->kappa = ci_kappa(s->at);
}

/* The windows that are not cold, ranked, and what becomes of the others. */
static ci_rc ranked_warm(const double *score, const uint8_t *label, const uint8_t *cold, ci_scores *s, ranked *out)
{
    ci_rc rc = CI_OK;
    ranked r = {0};
    double *warm = ci_new((size_t)s->n, sizeof *warm);
    uint8_t *is = ci_new((size_t)s->n, 1);
    int32_t *of = ci_new((size_t)s->n, sizeof *of);
    int64_t n = 0;

    if (!warm || !is || !of) CI_FAIL(CI_ENOMEM, "%lld windows", (long long)s->n);
    s->at = (ci_counts){0};
    for (int64_t k = 0; k < s->n; k++) {
        if (cold[k]) {
            *(label[k] ? &s->at.fn : &s->at.tn) += 1;
            continue;
        }
        *(score[k] >= s->threshold ? label[k] ? &s->at.tp : &s->at.fp : label[k] ? &s->at.fn : &s->at.tn) += 1;
        warm[n] = score[k];
        is[n] = label[k];
        of[n++] = (int32_t)k;
    }
    s->n_cold = s->n - n;
    CI_TRY(ci_ranked_build(warm, is, n, &r));
    for (int32_t k = 0; k < r.n; k++) r.place[k] = of[r.place[k]];
    *out = r;
done:
    free(warm);
    free(is);
    free(of);
    return rc;
}

ci_rc ci_scores_compute(const double *score, const uint8_t *label, const int32_t *capture,
                        int64_t n, double threshold, ci_bootstrap boot, ci_scores *out)
{
    return ci_scores_compute_cold(score, label, capture, NULL, n, threshold, boot, out);
}

ci_rc ci_scores_compute_cold(const double *score, const uint8_t *label, const int32_t *capture, const uint8_t *cold,
                             int64_t n, double threshold, ci_bootstrap boot, ci_scores *out)
{
    ci_rc rc = CI_OK;
    ranked r = {0};
    ci_scores s = {.n = n, .threshold = threshold, .auroc = NAN, .ap = NAN};
    areas a;

    if (boot.draws < 0 || (boot.draws && boot.block < 1))
        CI_FAIL(CI_EARG, "%d draws of blocks of %d", boot.draws, boot.block);
    for (int m = 0; m < CI_METRIC_COUNT; m++) s.lo[m] = s.hi[m] = NAN;
    for (int i = 0; i < CI_FPR_POINTS; i++) s.on.recall_at_fpr[i] = NAN;
    s.on.precision_at_recall = s.on.recall_at_precision = NAN;
    CI_TRY(ci_confusion(score, label, n, threshold, &s.at));
    CI_TRY(cold ? ranked_warm(score, label, cold, &s, &r) : ci_ranked_build(score, label, n, &r));
    ratios_fill(&s);
    s.n_attack = s.at.tp + s.at.fn;
    s.one_class = !ci_ranked_areas(&r, NULL, NULL, &a);
    if (!s.one_class) {
        s.auroc = a.auroc;
        s.ap = a.ap;
        ci_ranked_operating(&r, &s.on);
        if (boot.draws) CI_TRY(ci_metric_intervals_fill(&r, score, label, capture, cold, boot, &s));
    }
    *out = s;
done:
    ci_ranked_release(&r);
    return rc;
}
