/* Thresholds that scores give themselves. */
#include <math.h>
#include <stdlib.h>
#include "ci/arena.h"
#include "metric_priv.h"

/* The double in the middle of low < high; above low whatever the rounding. */
static double middle(double low, double high)
{
    const double m = low / 2 + high / 2;

    return m > low ? m : high;
}

ci_rc ci_youden(const double *score, const uint8_t *label, int64_t n, double *out_threshold,
                double *out_j)
{
    ci_rc rc = CI_OK;
    ranked r = {0};
    int64_t tp = 0, fp = 0, best = 0; /* J times attacks times benign windows, exactly */
    int64_t attacks, benign;
    int32_t cut = -1; /* the last window that is called an attack; none */

    CI_TRY(ci_ranked_build(score, label, n, &r));
    attacks = r.n_attack;
    benign = r.n - r.n_attack;
    if (!attacks || !benign)
        CI_FAIL(CI_EDATA, "%d windows, %d of them attacks: one class has no threshold", r.n,
                r.n_attack);
    for (int32_t k = 0; k + 1 < r.n; k++) {
        tp += r.label[k];
        fp += !r.label[k];
        if (r.last[k] && tp * benign - fp * attacks > best) {
            best = tp * benign - fp * attacks;
            cut = k;
        }
    }
    *out_threshold = cut < 0 ? nextafter(score[r.place[0]], INFINITY)
                             : middle(score[r.place[cut + 1]], score[r.place[cut]]);
    if (out_j) *out_j = (double)best / ((double)attacks * (double)benign);
done:
    ci_ranked_release(&r);
    return rc;
}

ci_rc ci_most_f1(const double *score, const uint8_t *label, int64_t n, double *out_threshold, double *out_f1)
{
    ci_rc rc = CI_OK;
    ranked r = {0};
    int64_t tp = 0, best_tp = 0, best_of = 1; /* F1 = 2 tp / (called + attacks), compared exactly */
    int32_t cut = -1;

    CI_TRY(ci_ranked_build(score, label, n, &r));
    if (!r.n_attack || r.n_attack == r.n)
        CI_FAIL(CI_EDATA, "%d windows, %d of them attacks: one class has no threshold", r.n, r.n_attack);
    for (int32_t k = 0; k < r.n; k++) {
        const int64_t of = (int64_t)k + 1 + r.n_attack;

        tp += r.label[k];
        if (!r.last[k] || tp * best_of <= best_tp * of) continue;
        best_tp = tp;
        best_of = of;
        cut = k;
    }
    *out_threshold = cut + 1 == r.n ? score[r.place[cut]] : middle(score[r.place[cut + 1]], score[r.place[cut]]);
    if (out_f1) *out_f1 = 2 * (double)best_tp / (double)best_of;
done:
    ci_ranked_release(&r);
    return rc;
}

ci_rc ci_above_benign(const double *score, const uint8_t *label, int64_t n, double share, double *out_threshold)
{
    ci_rc rc = CI_OK;
    ranked r = {0};
    double *benign = NULL;
    int32_t m = 0;

    CI_TRY(ci_ranked_build(score, label, n, &r));
    if (!(share >= 0 && share <= 1)) CI_FAIL(CI_EARG, "quantile %g", share);
    benign = ci_new((size_t)r.n + 1, sizeof *benign);
    if (!benign) CI_FAIL(CI_ENOMEM, "%d scores", r.n);
    for (int32_t k = r.n - 1; k >= 0; k--)
        if (!r.label[k]) benign[m++] = score[r.place[k]];
    if (m == 0) CI_FAIL(CI_EDATA, "%d windows, all of them attacks: no quantile of benign ones", r.n);
    *out_threshold = nextafter(ci_percentile(benign, m, share), INFINITY);
done:
    free(benign);
    ci_ranked_release(&r);
    return rc;
}
