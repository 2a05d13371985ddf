/* Losses of fusion and their gradients: means over a batch, sums in double in the order of the rows. */
#include <math.h>
#include <string.h>
#include "fusion_priv.h"

#define CLAMP 1e-7f /* of probabilities, as the reference has it; no gradient beyond */

double smooth_l1(const float *q, ci_lid cols, const int32_t *action, const float *wanted, ci_lid n, float *dq)
{
    double sum = 0;

    memset(dq, 0, (size_t)n * (size_t)cols * sizeof *dq);
    for (ci_lid i = 0; i < n; i++) {
        const size_t at = (size_t)i * (size_t)cols + (size_t)action[i];
        const float d = q[at] - wanted[i], a = fabsf(d);
        sum += (double)(a < 1 ? .5f * d * d : a - .5f);
        dq[at] = (a < 1 ? d : copysignf(1, d)) / (float)n;
    }
    return sum / n;
}

double bce_logit(const float *logit, const uint8_t *label, ci_lid n, float *dlogit)
{
    double sum = 0;

    for (ci_lid i = 0; i < n; i++) {
        const float z = label[i] ? -logit[i] : logit[i]; /* log(1 + exp z) */
        const float e = ci_expf(-fabsf(z));
        sum += (double)((z > 0 ? z : 0) + ci_logf(1 + e));
        dlogit[i] = (ci_sigmoidf(logit[i]) - (label[i] ? 1 : 0)) / (float)n;
    }
    return sum / n;
}

double bce(const float *p, const uint8_t *label, ci_lid n, float *dp)
{
    double sum = 0;

    for (ci_lid i = 0; i < n; i++) {
        const bool inside = p[i] >= CLAMP && p[i] <= 1 - CLAMP;
        const float clamped = p[i] < CLAMP ? CLAMP : p[i] > 1 - CLAMP ? 1 - CLAMP : p[i]; /* NaN stays */
        const float c = label[i] ? clamped : 1 - clamped;
        sum -= (double)(c > 0 ? ci_logf(c) : c);
        dp[i] = inside ? (label[i] ? -1 : 1) / c / (float)n : p[i] == p[i] ? 0 : p[i];
    }
    return sum / n;
}

/* dlogit (EXPERTS, n) is the gradient of the experts' logits, dgate (n, EXPERTS) of the gate's. */
double moe_loss(const float *p, const float *g, const float *mix, const uint8_t *label, ci_lid n, double balance,
                float *dlogit, float *dgate)
{
    double use[EXPERTS] = {0}, extra = 0;
    float slope[EXPERTS];
    double loss;

    for (ci_lid i = 0; i < n; i++)
        for (int k = 0; k < EXPERTS; k++) use[k] += (double)g[i * EXPERTS + k];
    for (int k = 0; k < EXPERTS; k++) {
        use[k] /= n;
        extra += balance * EXPERTS * use[k] * use[k];
        slope[k] = (float)(2 * balance * EXPERTS * use[k] / n);
    }
    loss = bce(mix, label, n, dgate); /* its first n floats: read back to front below */
    for (ci_lid i = n - 1; i >= 0; i--) {
        const float d = dgate[i], *pi = p + (size_t)i * EXPERTS, *gi = g + (size_t)i * EXPERTS;
        float share[EXPERTS], mean = 0;
        for (int k = 0; k < EXPERTS; k++) {
            share[k] = d * pi[k] + slope[k];
            mean += gi[k] * share[k];
            dlogit[(size_t)k * (size_t)n + (size_t)i] = d * gi[k] * pi[k] * (1 - pi[k]);
        }
        for (int k = 0; k < EXPERTS; k++) dgate[(size_t)i * EXPERTS + k] = gi[k] * (share[k] - mean);
    }
    return loss + extra;
}
