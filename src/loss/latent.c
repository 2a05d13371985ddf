/* The latent normal distribution of an autoencoder: its divergence from N(0,1), and samples of it. */
#include "loss_priv.h"

/* Loops over a constant number of elements are what compilers turn into vectors at -O2 too. */
enum { SOME = 16 };

/** exp of SOME numbers in [-80, 80], 2 ulp: ci_expf without fused steps, which is a call an element where the machine
 *  is not known to have them. */
static void exp_some(const float *x, float *y)
{
    for (int k = 0; k < SOME; k++) {
        const float t = x[k] * 1.44269504088896341f + 12582912.0f, n = t - 12582912.0f;
        const float r = (x[k] - n * 0.693359375f) + n * 2.12194440e-4f;
        float p = 1.9875691500e-4f;
        p = p * r + 1.3981999507e-3f;
        p = p * r + 8.3334519073e-3f;
        p = p * r + 4.1665795894e-2f;
        p = p * r + 1.6666665459e-1f;
        p = p * r + 5.0000001201e-1f;
        p = (p * (r * r) + r) + 1.0f;
        union { float f; uint32_t u; } bits = {.f = t};
        bits.u = (bits.u - 0x4B400000u + 127u) << 23;
        y[k] = p * bits.f;
    }
}

/** Up to SOME elements of logvar: clamped and halved where asked, exp of that, and 1 where the clamp let it pass. */
struct some { float v[SOME], e[SOME], pass[SOME]; };

static void some_load(const float *logvar, ci_lid n, float limit, float factor, struct some *s)
{
    memset(s->v, 0, sizeof s->v);
    memcpy(s->v, logvar, (size_t)n * sizeof *logvar);
    for (int k = 0; k < SOME; k++) {
        const float x = s->v[k], low = x < -limit ? -limit : x; /* NaN stays */
        s->v[k] = low > limit ? limit : low;
        s->pass[k] = s->v[k] == x ? 1.0f : 0.0f;
    }
    float arg[SOME];
    for (int k = 0; k < SOME; k++) arg[k] = s->v[k] * factor;
    exp_some(arg, s->e);
}

ci_rc ci_kl_normal(const float *mu, const float *logvar, ci_lid rows, ci_lid cols, double limit, double scale,
                   float *dmu, float *dlogvar, double *loss)
{
    ci_rc rc = CI_OK;
    const float slope = (float)scale, half = (float)(scale / 2);
    double sum = 0;
    struct some s;

    if (rows < 0 || cols < 1) CI_FAIL(CI_EARG, "divergence of %d rows of %d", rows, cols);
    if (!(limit > 0 && limit <= 80)) CI_FAIL(CI_EARG, "divergence with logvar clamped at %g: above 0, at most 80", limit);
    for (ci_lid i = 0; i < rows; i++) {
        const size_t at = (size_t)i * cols;
        double row = 0;
        for (ci_lid j = 0; j < cols; j += SOME) {
            const ci_lid n = CI_MIN((ci_lid)SOME, cols - j);
            some_load(logvar + at + j, n, (float)limit, 1, &s);
            for (ci_lid k = 0; k < n; k++) {
                const double m = mu[at + j + k];
                row += ((double)s.e[k] - 1 - s.v[k]) + m * m;
            }
            if (!dmu) continue;
            for (ci_lid k = 0; k < n; k++) {
                dmu[at + j + k] += slope * mu[at + j + k];
                dlogvar[at + j + k] += half * (s.e[k] - 1) * s.pass[k];
            }
        }
        if (!isfinite(row)) CI_FAIL(CI_ENUMERIC, "divergence from the normal distribution: %g in row %d of the shard", row, i);
        sum += row;
    }
    *loss = scale * 0.5 * sum;
done:
    return rc;
}

void ci_sample_normal(const float *mu, const float *logvar, const float *eps, ci_lid rows, ci_lid cols, double limit,
                      float *z)
{
    const size_t all = (size_t)rows * (size_t)cols;
    struct some s;

    for (size_t at = 0; at < all; at += SOME) {
        const ci_lid n = (ci_lid)CI_MIN((size_t)SOME, all - at);
        some_load(logvar + at, n, (float)limit, 0.5f, &s);
        for (ci_lid k = 0; k < n; k++) z[at + k] = mu[at + k] + eps[at + k] * s.e[k];
    }
}

void ci_sample_normal_backward(const float *logvar, const float *eps, const float *dz, ci_lid rows, ci_lid cols,
                               double limit, float *dmu, float *dlogvar)
{
    const size_t all = (size_t)rows * (size_t)cols;
    struct some s;

    for (size_t at = 0; at < all; at += SOME) {
        const ci_lid n = (ci_lid)CI_MIN((size_t)SOME, all - at);
        some_load(logvar + at, n, (float)limit, 0.5f, &s);
        for (ci_lid k = 0; k < n; k++) {
            dmu[at + k] += dz[at + k];
            dlogvar[at + k] += dz[at + k] * (eps[at + k] * (0.5f * s.e[k])) * s.pass[k];
        }
    }
}
