#include "ci/loss.h"
#include <math.h>
#include "ci/ops.h"

/** q^k; k is 0 or at least 1 but for the exponent gamma - 1, which may be anything from 0. */
static float power(float q, double k)
{
    if (k == 0) return 1;
    if (k == 1) return q;
    if (k == 2) return q * q;
    return q < 1e-37f ? 0 : ci_expf((float)k * ci_logf(q));
}

/** One graph: cross entropy of the label's class, and the other class's probability. */
static void two_classes(const float *z, int t, float *c, float *q)
{
    const float d = z[!t] - z[t]; /* c = log(1 + exp d), without overflow on either side */
    const float e = ci_expf(d > 0 ? -d : d);
    const float u = 1 + e;
    *c = (d > 0 ? d : 0) + (ci_logf(u) + (e - (u - 1)) / u); /* the second term is what u has lost of e */
    *q = d > 0 ? 1 / u : e / u;
}

ci_rc ci_focal(const float *logit, const uint8_t *label, ci_lid n, double gamma, ci_gid n_global,
               float *dlogit, double *loss)
{
    ci_rc rc = CI_OK;
    double sum = 0;

    if (!(gamma == 0 || gamma >= 1)) CI_FAIL(CI_EARG, "focal loss with gamma %g: 0, or 1 and above", gamma);
    if (n_global < 1 || n < 0) CI_FAIL(CI_EARG, "focal loss of %d of %lld graphs", n, (long long)n_global);
    for (ci_lid i = 0; i < n; i++) {
        const float *z = logit + 2 * (size_t)i;
        const int t = label[i] != 0;
        float c, q;
        if (!isfinite(z[0]) || !isfinite(z[1]))
            CI_FAIL(CI_ENUMERIC, "loss: logits %g, %g of graph %d of the shard", (double)z[0], (double)z[1], i);
        two_classes(z, t, &c, &q);
        const float weight = power(q, gamma);
        const float slope = weight + (gamma > 0 ? (float)gamma * power(q, gamma - 1) * (1 - q) * c : 0);
        sum += (double)(weight * c);
        /* softmax - [k = t] is q for the other class, -q for the label's */
        dlogit[2 * i + !t] = slope * q / (float)n_global;
        dlogit[2 * i + t] = -dlogit[2 * i + !t];
    }
    *loss = sum / (double)n_global;
    if (!isfinite(*loss)) CI_FAIL(CI_ENUMERIC, "loss is %g", *loss);
done:
    return rc;
}

void ci_softmax_attack(const float *logit, ci_lid n, float *p)
{
    for (ci_lid i = 0; i < n; i++) {
        float c;
        two_classes(logit + 2 * (size_t)i, 0, &c, &p[i]); /* the other class of benign is attack */
    }
}
