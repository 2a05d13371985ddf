#include "ci/optim.h"
#include <math.h>

/* Loops over a constant number of elements are what compilers turn into vectors at -O2 too. */
enum { PARTS = 8, BLOCK = 16 };

double ci_norm(const float *v, ci_gid n)
{
    double part[PARTS] = {0};
    ci_gid i = 0;
    for (; i + PARTS <= n; i += PARTS)
        for (int k = 0; k < PARTS; k++) part[k] += (double)v[i + k] * v[i + k];
    for (; i < n; i++) part[i % PARTS] += (double)v[i] * v[i];
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

struct factors { float scale, decay, keep, b1, c1, b2, c2, rate, root, eps; };

static inline __attribute__((always_inline)) void update(struct factors f, ci_gid n, const float *restrict g,
                                                         float *restrict w, float *restrict m, float *restrict v)
{
    for (ci_gid i = 0; i < n; i++) {
        const float d = g[i] * f.scale + f.decay * w[i];
        m[i] = f.b1 * m[i] + f.c1 * d;
        v[i] = f.b2 * v[i] + f.c2 * (d * d);
        w[i] = f.keep * w[i] - f.rate * (m[i] / (sqrtf(v[i]) / f.root + f.eps)); /* keep is 1 but for AdamW */
    }
}

ci_rc ci_adam_step(const ci_adam *a, ci_gid t, ci_gid n, const float *g, float *w, float *m,
                   float *v, double *out_norm)
{
    ci_rc rc = CI_OK;
    const double norm = ci_norm(g, n);
    ci_gid i = 0;

    if (out_norm) *out_norm = norm;
    if (t < 1 || n < 0) CI_FAIL(CI_EARG, "Adam: step %lld on %lld parameters", (long long)t, (long long)n);
    if (!isfinite(norm)) CI_FAIL(CI_ENUMERIC, "norm of the gradient is %g", norm);
    const struct factors f = {
        .scale = a->clip > 0 && norm + 1e-6 > a->clip ? (float)(a->clip / (norm + 1e-6)) : 1,
        .decay = a->decoupled ? 0 : (float)a->decay,
        .keep = a->decoupled ? (float)(1 - a->lr * a->decay) : 1,
        .b1 = (float)a->beta1,
        .c1 = (float)(1 - a->beta1),
        .b2 = (float)a->beta2,
        .c2 = (float)(1 - a->beta2),
        .rate = (float)(a->lr / (1 - power(a->beta1, t))),
        .root = (float)sqrt(1 - power(a->beta2, t)),
        .eps = (float)a->eps,
    };
    for (; i + BLOCK <= n; i += BLOCK) update(f, BLOCK, g + i, w + i, m + i, v + i);
    update(f, n - i, g + i, w + i, m + i, v + i);
done:
    return rc;
}
