/* From the outputs of two models to the state of a window, and what decisions take from it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "fusion_priv.h"

/* A column of a state: an output by its name, or what is made of several. */
enum made { NAMED, P0, P1, CONFIDENCE, RECON_SHARE, MAHALANOBIS };
struct column {
    enum made made;
    bool gat;
    const char *name; /* of NAMED, and of what RECON_SHARE is made of */
};

enum { STATE_G2 = 15, STATE_G4 = 18 };

static const struct column g2[STATE_G2] = {
    {NAMED, false, "recon"},   {NAMED, false, "neighbour"}, {NAMED, false, "id"},       {NAMED, false, "z_mean"},
    {NAMED, false, "z_std"},   {NAMED, false, "z_max"},     {NAMED, false, "z_min"},    {RECON_SHARE, false, "recon"},
    {P0, true, NULL},          {P1, true, NULL},            {NAMED, true, "emb_mean"},  {NAMED, true, "emb_std"},
    {NAMED, true, "emb_max"},  {NAMED, true, "emb_min"},    {CONFIDENCE, true, NULL},
};
static const struct column g4[STATE_G4] = {
    {CONFIDENCE, true, NULL},        {NAMED, true, "emb_mean"},   {NAMED, true, "emb_std"},
    {NAMED, true, "emb_max"},        {NAMED, true, "emb_min"},    {P0, true, NULL},
    {P1, true, NULL},                {NAMED, false, "affinity"},  {RECON_SHARE, false, "recon_masked"},
    {NAMED, false, "recon_masked"},  {MAHALANOBIS, false, NULL},  {NAMED, false, "kl"},
    {NAMED, false, "rayleigh"},      {NAMED, false, "recon_max"}, {NAMED, false, "node_mean"},
    {NAMED, false, "node_std"},      {NAMED, false, "z_max"},     {NAMED, false, "z_min"},
};

/* What makes w. */
struct part { float weight; int column; };
static const struct part w_g2[3] = {{.4f, 0}, {.35f, 1}, {.25f, 2}};
static const struct part w_g4[3] = {{.4f, 9}, {.3f, 10}, {.3f, 11}};

static ci_lid find(const ci_fusion_rows *r, const char *name)
{
    for (ci_lid k = 0; k < r->cols; k++)
        if (strcmp(r->name[k], name) == 0) return k;
    return -1;
}

static ci_rc column_of(const ci_fusion_rows *r, const char *name, ci_lid *out)
{
    ci_rc rc = CI_OK;

    *out = find(r, name);
    if (*out < 0) CI_FAIL(CI_EARG, "no output is named %s", name);
done:
    return rc;
}

/* mu_0 .. and mu2_0 .. stand side by side. */
static ci_rc latent_of(const ci_fusion_rows *r, ci_lid *mu, ci_lid *mu2, int32_t *d)
{
    ci_rc rc = CI_OK;

    CI_TRY(column_of(r, "mu_0", mu));
    CI_TRY(column_of(r, "mu2_0", mu2));
    *d = *mu2 - *mu;
    if (*d < 1 || *d > CI_FUSION_LATENT || *mu2 + *d > r->cols)
        CI_FAIL(CI_EARG, "%d latent means and %d of their squares; 1 to %d", *d, r->cols - *mu2, CI_FUSION_LATENT);
done:
    return rc;
}

static float mahalanobis(const ci_fusion_scale *s, const float *mu, const float *mu2)
{
    double sum = 0;

    for (int32_t k = 0; k < s->d; k++) {
        const double m = s->latent_mean[k], spread = fmax(s->latent_spread[k], 1e-3);
        sum += ((double)mu2[k] - 2 * m * (double)mu[k] + m * m) / (spread * spread);
    }
    return (float)sum;
}

/* Probability of an attack, and how sure the classifier is. */
static float probability(float logit0, float logit1) { return ci_sigmoidf(logit1 - logit0); }

static float confidence(float p0, float p1)
{
    const float entropy = -(p0 * ci_logf(p0 + 1e-8f) + p1 * ci_logf(p1 + 1e-8f));
    const float c = 1 - entropy / 0.69314718f;

    return c < 0 ? 0 : c > 1 ? 1 : c;
}

static float badness(const ci_fusion_scale *s, const float *state)
{
    const struct part *p = s->state == STATE_G2 ? w_g2 : w_g4;
    float w = 0;

    for (int i = 0; i < 3; i++) w += p[i].weight * state[p[i].column];
    return w < 0 ? 0 : w; /* the Gaussian neighbour loss may be negative */
}

/* Where the outputs are; without gat, those of the vgae alone. */
struct places { ci_lid of[CI_FUSION_STATE]; ci_lid logit0, logit1, mu, mu2; };

static ci_rc places_find(const ci_fusion_scale *s, const ci_fusion_rows *vgae, const ci_fusion_rows *gat, struct places *out)
{
    ci_rc rc = CI_OK;
    const struct column *c = s->state == STATE_G2 ? g2 : g4;
    int32_t d = 0;

    if (s->state != STATE_G2 && s->state != STATE_G4) CI_FAIL(CI_ECONF, "fusion.state: %d; 15 or 18 columns", s->state);
    for (int32_t k = 0; k < s->state; k++)
        if (c[k].name && (gat || !c[k].gat)) CI_TRY(column_of(c[k].gat ? gat : vgae, c[k].name, &out->of[k]));
    if (gat) CI_TRY(column_of(gat, "logit0", &out->logit0));
    if (gat) CI_TRY(column_of(gat, "logit1", &out->logit1));
    if (s->state == STATE_G4) CI_TRY(latent_of(vgae, &out->mu, &out->mu2, &d));
    if (gat && d != s->d) CI_FAIL(CI_EARG, "%d latent means, calibrated with %d", d, s->d);
done:
    return rc;
}

static float column_make(const ci_fusion_scale *s, const struct places *at, int32_t k, const float *v, const float *g)
{
    const struct column *c = s->state == STATE_G2 ? &g2[k] : &g4[k];
    float p1;

    switch (c->made) {
    case NAMED: return c->gat ? g[at->of[k]] : v[at->of[k]];
    case RECON_SHARE: return 1 / (1 + v[at->of[k]]);
    case MAHALANOBIS: return mahalanobis(s, v + at->mu, v + at->mu2);
    default: break;
    }
    p1 = probability(g[at->logit0], g[at->logit1]);
    if (c->made == P1) return p1;
    return c->made == P0 ? 1 - p1 : confidence(1 - p1, p1);
}

ci_rc ci_fusion_states(const ci_fusion_scale *s, const ci_fusion_rows *vgae, const ci_fusion_rows *gat, float *state)
{
    ci_rc rc = CI_OK;
    struct places at = {0};

    if (vgae->n != gat->n) CI_FAIL(CI_EARG, "outputs of %lld and of %lld windows", (long long)vgae->n, (long long)gat->n);
    CI_TRY(places_find(s, vgae, gat, &at));
    for (int64_t i = 0; i < vgae->n; i++)
        for (int32_t k = 0; k < s->state; k++) {
            const float x = column_make(s, &at, k, vgae->v + i * vgae->cols, gat->v + i * gat->cols);
            if (!isfinite(x)) CI_FAIL(CI_ENUMERIC, "column %d of the state of window %lld is %g", k, (long long)i, (double)x);
            state[i * s->state + k] = x;
        }
done:
    return rc;
}

/* Mean and spread of the latent mean over the nodes of benign windows. */
static void latent_fit(const ci_fusion_rows *vgae, const uint8_t *label, const int32_t *nodes, ci_lid mu, ci_lid mu2, ci_fusion_scale *s)
{
    double n = 0;

    for (int64_t i = 0; i < vgae->n; i++) {
        const float *v = vgae->v + i * vgae->cols;
        const double weight = nodes ? (double)nodes[i] : 1;
        if (label[i]) continue;
        n += weight;
        for (int32_t k = 0; k < s->d; k++) {
            s->latent_mean[k] += weight * (double)v[mu + k];
            s->latent_spread[k] += weight * (double)v[mu2 + k];
        }
    }
    for (int32_t k = 0; k < s->d; k++) {
        const double m = s->latent_mean[k] / n, square = s->latent_spread[k] / n;
        s->latent_mean[k] = m;
        s->latent_spread[k] = sqrt(fmax(square - m * m, 0));
    }
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* w of benign windows, ascending; those at even shares are kept, between two windows linearly. */
static ci_rc shares_fit(const ci_fusion_rows *vgae, const uint8_t *label, const struct places *at, ci_fusion_scale *s)
{
    ci_rc rc = CI_OK;
    const struct part *p = s->state == STATE_G2 ? w_g2 : w_g4;
    double *w = ci_new((size_t)vgae->n, sizeof *w);
    float state[CI_FUSION_STATE] = {0};
    int64_t n = 0;

    if (!w) CI_FAIL(CI_ENOMEM, "%lld windows", (long long)vgae->n);
    for (int64_t i = 0; i < vgae->n; i++) {
        if (label[i]) continue;
        for (int k = 0; k < 3; k++) state[p[k].column] = column_make(s, at, p[k].column, vgae->v + i * vgae->cols, NULL);
        w[n] = (double)badness(s, state);
        if (!isfinite(w[n])) CI_FAIL(CI_ENUMERIC, "an error of window %lld is %g", (long long)i, w[n]);
        n++;
    }
    qsort(w, (size_t)n, sizeof *w, by_value);
    for (int k = 0; k < CI_FUSION_SHARES; k++) {
        const double place = (double)(n - 1) * k / (CI_FUSION_SHARES - 1);
        const int64_t low = (int64_t)place, high = CI_MIN(low + 1, n - 1);
        s->share[k] = w[low] + (w[high] - w[low]) * (place - (double)low);
    }
done:
    free(w);
    return rc;
}

ci_rc ci_fusion_calibrate(const ci_fusion_rows *vgae, const uint8_t *label, const int32_t *nodes, ci_fusion_scale *s)
{
    ci_rc rc = CI_OK;
    struct places at = {0};
    int64_t benign = 0;

    *s = (ci_fusion_scale){.state = s->state, .percentile = s->percentile};
    for (int k = 0; k < CI_FUSION_STATE; k++) s->spread[k] = 1;
    CI_TRY(places_find(s, vgae, NULL, &at));
    for (int64_t i = 0; i < vgae->n; i++) benign += label[i] == 0;
    if (!benign) CI_FAIL(CI_EDATA, "no benign window among %lld of validation", (long long)vgae->n);
    if (s->state == STATE_G4) {
        CI_TRY(latent_of(vgae, &at.mu, &at.mu2, &s->d));
        latent_fit(vgae, label, nodes, at.mu, at.mu2, s);
    }
    CI_TRY(shares_fit(vgae, label, &at, s));
done:
    return rc;
}

ci_rc ci_fusion_standard(const float *state, int64_t n, ci_fusion_scale *s)
{
    ci_rc rc = CI_OK;

    if (n < 1) CI_FAIL(CI_EARG, "%lld training states", (long long)n);
    for (int32_t k = 0; k < s->state; k++) {
        double sum = 0, square = 0;
        for (int64_t i = 0; i < n; i++) sum += (double)state[i * s->state + k];
        const double mean = sum / (double)n;
        for (int64_t i = 0; i < n; i++) {
            const double d = (double)state[i * s->state + k] - mean;
            square += d * d;
        }
        s->mean[k] = mean;
        s->spread[k] = fmax(sqrt(square / (double)n), 1e-6 * fmax(1, fabs(mean)));
    }
done:
    return rc;
}

void ci_fusion_standardise(const ci_fusion_scale *s, const float *state, int64_t n, float *x)
{
    for (int64_t i = 0; i < n; i++)
        for (int32_t k = 0; k < s->state; k++) {
            const double v = ((double)state[i * s->state + k] - s->mean[k]) / s->spread[k];
            x[i * s->state + k] = (float)(v < -10 ? -10 : v > 10 ? 10 : v);
        }
}

/* Share of the benign validation windows with a lower w, linear between those that are kept. */
static double share_of(const ci_fusion_scale *s, double w)
{
    int low = 0, high = CI_FUSION_SHARES - 1;

    if (w <= s->share[low]) return 0;
    if (w >= s->share[high]) return 1;
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (s->share[middle] < w) low = middle;
        else high = middle;
    }
    return (low + (w - s->share[low]) / (s->share[high] - s->share[low])) / (CI_FUSION_SHARES - 1);
}

void ci_fusion_facts(const ci_fusion_scale *s, const float *state, int64_t n, ci_fusion_fact *out)
{
    const bool old = s->state == STATE_G2;
    const int attack = old ? 9 : 6, sure = old ? 14 : 0, normal = old ? 7 : 8;

    for (int64_t i = 0; i < n; i++) {
        const float *v = state + i * s->state, w = badness(s, v);
        out[i] = (ci_fusion_fact){
            .anomaly = s->percentile ? (float)share_of(s, (double)w) : w / (1 + w),
            .attack = v[attack],
            .confidence = CI_MAX(v[normal], v[sure]),
            .doubt = 1 - v[normal],
        };
    }
}

float ci_fusion_reward(bool legacy, ci_fusion_fact f, uint8_t label, float alpha)
{
    const float score = fused(f, alpha), most = CI_MAX(f.anomaly, f.attack);
    const float agree = 1 - fabsf(f.anomaly - f.attack), even = .3f * (1 - 2 * fabsf(alpha - .5f));
    const bool called = score > .5f, right = called == (label != 0);

    if (!legacy) return called ? (right ? 3 : -1.5f) + .3f * f.attack : right ? 1.5f : -6;
    if (right) return 3 + agree + .5f * (label ? most : 1 - most) + .3f * f.confidence + even;
    return -3 - (1 - agree) - 1.5f * (called ? score : 1 - score) + even;
}
