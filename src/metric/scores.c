#include <assert.h>
#include <math.h>
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

ci_rc ci_scores_compute(const double *score, const uint8_t *label, const int32_t *capture,
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
    ratios_fill(&s);
    CI_TRY(ci_ranked_build(score, label, n, &r));
    s.n_attack = r.n_attack;
    s.one_class = !ci_ranked_areas(&r, NULL, NULL, &a);
    if (!s.one_class) {
        s.auroc = a.auroc;
        s.ap = a.ap;
        ci_ranked_operating(&r, &s.on);
        if (boot.draws) CI_TRY(ci_metric_intervals_fill(&r, score, label, capture, boot, &s));
    }
    *out = s;
done:
    ci_ranked_release(&r);
    return rc;
}
