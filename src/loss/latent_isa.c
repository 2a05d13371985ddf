/* The latent normal distribution, some elements at a time. */
#include "ci/elementary32.h"
#include "loss_priv.h"

enum { SOME = 16 };

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
    for (int k = 0; k < SOME; k++) s->e[k] = ci_exp80f(arg[k]);
}

double CI_SYM(kl_row)(const float *mu, const float *logvar, ci_lid cols, float limit, float scale, float *dmu, float *dlogvar)
{
    d8 part = {0};
    struct some s;

    for (ci_lid j = 0; j < cols; j += SOME) {
        const ci_lid n = CI_MIN((ci_lid)SOME, cols - j);
        float m[SOME] = {0}; /* beyond n: mu 0, v 0, which add 0 */
        some_load(logvar + j, n, limit, 1, &s);
        memcpy(m, mu + j, (size_t)n * sizeof *m);
        for (int k = 0; k < SOME; k += PART) {
            const d8 mk = EIGHT(m + k);
            part += (EIGHT(s.e + k) - 1 - EIGHT(s.v + k)) + mk * mk;
        }
        if (!dmu) continue;
        for (ci_lid k = 0; k < n; k++) {
            dmu[j + k] += scale * m[k];
            dlogvar[j + k] += 0.5f * scale * (s.e[k] - 1) * s.pass[k];
        }
    }
    return eight((const double *)&part);
}

void CI_SYM(sample)(const float *mu, const float *logvar, const float *eps, size_t n_all, float limit, float *z)
{
    struct some s;

    for (size_t at = 0; at < n_all; at += SOME) {
        const ci_lid n = (ci_lid)CI_MIN((size_t)SOME, n_all - at);
        some_load(logvar + at, n, limit, 0.5f, &s);
        for (ci_lid k = 0; k < n; k++) z[at + k] = mu[at + k] + eps[at + k] * s.e[k];
    }
}

void CI_SYM(sample_backward)(const float *logvar, const float *eps, const float *dz, size_t n_all, float limit, float *dmu,
                             float *dlogvar)
{
    struct some s;

    for (size_t at = 0; at < n_all; at += SOME) {
        const ci_lid n = (ci_lid)CI_MIN((size_t)SOME, n_all - at);
        some_load(logvar + at, n, limit, 0.5f, &s);
        for (ci_lid k = 0; k < n; k++) {
            dmu[at + k] += dz[at + k];
            dlogvar[at + k] += dz[at + k] * (eps[at + k] * (0.5f * s.e[k])) * s.pass[k];
        }
    }
}
