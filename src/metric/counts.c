#include <math.h>
#include "metric_priv.h"

ci_rc ci_confusion(const double *score, const uint8_t *label, int64_t n, double threshold,
                   ci_counts *out)
{
    ci_rc rc = CI_OK;
    ci_counts c = {0};

    if (n < 0 || n > INT32_MAX) CI_FAIL(CI_EARG, "%lld scores", (long long)n);
    if (!isfinite(threshold)) CI_FAIL(CI_ENUMERIC, "the threshold is %g", threshold);
    for (int64_t k = 0; k < n; k++) {
        const bool called = score[k] >= threshold;

        if (!isfinite(score[k]))
            CI_FAIL(CI_ENUMERIC, "score %lld of %lld is %g", (long long)k, (long long)n, score[k]);
        if (label[k] > 1) CI_FAIL(CI_EARG, "label %lld is %d", (long long)k, label[k]);
        if (label[k]) *(called ? &c.tp : &c.fn) += 1;
        else *(called ? &c.fp : &c.tn) += 1;
    }
    *out = c;
done:
    return rc;
}

static double ratio(int64_t part, int64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

double ci_accuracy(ci_counts c) { return ratio(c.tp + c.tn, c.tp + c.fp + c.tn + c.fn); }
double ci_precision(ci_counts c) { return ratio(c.tp, c.tp + c.fp); }
double ci_recall(ci_counts c) { return ratio(c.tp, c.tp + c.fn); }
double ci_fpr(ci_counts c) { return ratio(c.fp, c.fp + c.tn); }
double ci_f1(ci_counts c) { return ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn); }
double ci_specificity(ci_counts c) { return ratio(c.tn, c.tn + c.fp); }
double ci_fnr(ci_counts c) { return ratio(c.fn, c.fn + c.tp); }
double ci_balanced_accuracy(ci_counts c) { return (ci_recall(c) + ci_specificity(c)) / 2; }
double ci_macro_f1(ci_counts c) { return (ci_f1(c) + ratio(2 * c.tn, 2 * c.tn + c.fn + c.fp)) / 2; }

double ci_kappa(ci_counts c)
{
    const __int128 num = 2 * ((__int128)c.tp * c.tn - (__int128)c.fn * c.fp);
    const __int128 den = (__int128)(c.tp + c.fp) * (c.fp + c.tn) + (__int128)(c.tp + c.fn) * (c.fn + c.tn);

    return den ? (double)num / (double)den : 0;
}

double ci_mcc(ci_counts c)
{
    const __int128 num = (__int128)c.tp * c.tn - (__int128)c.fp * c.fn;
    const double called = sqrt((double)(c.tp + c.fp)) * sqrt((double)(c.tn + c.fn));
    const double there = sqrt((double)(c.tp + c.fn)) * sqrt((double)(c.tn + c.fp));

    return called > 0 && there > 0 ? (double)num / (called * there) : 0;
}
