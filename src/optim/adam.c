#include "ci/optim.h"
#include <math.h>

enum { PARTS = 8 };

double ci_norm(const float *v, ci_gid n)
{
    double part[PARTS] = {0};
    for (ci_gid i = 0; i < n; i++) part[i % PARTS] += (double)v[i] * v[i];
    return sqrt(((part[0] + part[4]) + (part[2] + part[6])) + ((part[1] + part[5]) + (part[3] + part[7])));
}

/** x^k by squaring: the same on every machine, as libm's pow need not be. */
static double power(double x, ci_gid k)
{
    double y = 1;
    for (; k; k >>= 1, x *= x)
        if (k & 1) y *= x;
    return y;
}

ci_rc ci_adam_step(const ci_adam *a, ci_gid t, ci_gid n, const float *g, float *w,
                   float *m, float *v, double *out_norm)
{
    ci_rc rc = CI_OK;
    const double norm = ci_norm(g, n);

    if (out_norm) *out_norm = norm;
    if (t < 1 || n < 0) CI_FAIL(CI_EARG, "Adam: step %lld on %lld parameters", (long long)t, (long long)n);
    if (!isfinite(norm)) CI_FAIL(CI_ENUMERIC, "norm of the gradient is %g", norm);
    const float scale = a->clip > 0 && norm + 1e-6 > a->clip ? (float)(a->clip / (norm + 1e-6)) : 1;
    const float rate = (float)(a->lr / (1 - power(a->beta1, t)));
    const float root = (float)sqrt(1 - power(a->beta2, t));
    const float b1 = (float)a->beta1, c1 = (float)(1 - a->beta1), b2 = (float)a->beta2, c2 = (float)(1 - a->beta2);
    const float decay = (float)a->decay, eps = (float)a->eps;
    for (ci_gid i = 0; i < n; i++) {
        const float d = g[i] * scale + decay * w[i];
        m[i] = b1 * m[i] + c1 * d;
        v[i] = b2 * v[i] + c2 * (d * d);
        w[i] -= rate * (m[i] / (sqrtf(v[i]) / root + eps));
    }
done:
    return rc;
}
