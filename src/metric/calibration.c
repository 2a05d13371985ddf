/* Scores as probabilities: Brier score, reliability table, expected calibration error. */
#include <math.h>
#include "ci/types.h"
#include "metric_priv.h"

ci_rc ci_calibration_compute(const double *score, const uint8_t *label, int64_t n, ci_calibration *out)
{
    ci_rc rc = CI_OK;
    ci_calibration c = {0};

    if (n < 0 || n > INT32_MAX) CI_FAIL(CI_EARG, "%lld scores", (long long)n);
    for (int64_t k = 0; k < n; k++) {
        const double s = score[k], off = s - label[k];
        int b;

        if (!isfinite(s)) CI_FAIL(CI_ENUMERIC, "score %lld of %lld is %g", (long long)k, (long long)n, s);
        if (s < 0 || s > 1) CI_FAIL(CI_EARG, "score %lld is %g: not a probability", (long long)k, s);
        if (label[k] > 1) CI_FAIL(CI_EARG, "label %lld is %d", (long long)k, label[k]);
        b = (int)CI_MIN(floor(CI_CALIBRATION_BINS * s), CI_CALIBRATION_BINS - 1);
        c.n[b]++;
        c.n_attack[b] += label[k];
        c.mean[b] += s;
        c.brier += off * off;
    }
    for (int b = 0; b < CI_CALIBRATION_BINS; b++) {
        if (!c.n[b]) continue;
        c.ece += fabs((double)c.n_attack[b] - c.mean[b]) / (double)n;
        c.mean[b] /= (double)c.n[b];
    }
    if (n) c.brier /= (double)n;
    *out = c;
done:
    return rc;
}
