/* Where a detector could be run: recall at a false positive rate, precision at a recall, recall at a precision. */
#include <assert.h>
#include "metric_priv.h"

double ci_fpr_point(int i)
{
    static const double point[CI_FPR_POINTS] = {0.05, 0.01, 0.001};

    assert(i >= 0 && i < CI_FPR_POINTS);
    return point[i];
}

static void raise_to(double *highest, double v)
{
    if (v > *highest) *highest = v;
}

void ci_ranked_operating(const ranked *r, ci_operating *out)
{
    const double attacks = r->n_attack, benign = r->n - r->n_attack;
    int64_t tp = 0, fp = 0;

    *out = (ci_operating){0};
    for (int32_t k = 0; k < r->n; k++) {
        double recall, precision;

        tp += r->label[k];
        fp += !r->label[k];
        if (!r->last[k]) continue;
        recall = (double)tp / attacks;
        precision = (double)tp / (double)(tp + fp);
        for (int i = 0; i < CI_FPR_POINTS; i++)
            if ((double)fp / benign <= ci_fpr_point(i)) raise_to(&out->recall_at_fpr[i], recall);
        if (recall >= ci_recall_point) raise_to(&out->precision_at_recall, precision);
        if (precision >= ci_precision_point) raise_to(&out->recall_at_precision, recall);
    }
}

ci_rc ci_operating_compute(const double *score, const uint8_t *label, int64_t n, ci_operating *out)
{
    ci_rc rc = CI_OK;
    ranked r = {0};

    CI_TRY(ci_ranked_build(score, label, n, &r));
    if (!r.n_attack || r.n_attack == r.n)
        CI_FAIL(CI_EDATA, "%d windows, %d of them attacks: one class has no curve", r.n, r.n_attack);
    ci_ranked_operating(&r, out);
done:
    ci_ranked_release(&r);
    return rc;
}
