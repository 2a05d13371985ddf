/* One row of logits: its loss, and its gradient in its place.  And the table of this instruction set. */
#include "loss_priv.h"

enum { BLOCK = 32 };

static float largest(const float *z, ci_lid n)
{
    float most[BLOCK], all = z[0];
    ci_lid q = 0;

    if (n >= BLOCK) {
        memcpy(most, z, sizeof most);
        for (q = BLOCK; q + BLOCK <= n; q += BLOCK)
            for (int k = 0; k < BLOCK; k++) most[k] = z[q + k] > most[k] ? z[q + k] : most[k];
        for (int k = 0; k < BLOCK; k++) all = most[k] > all ? most[k] : all;
    }
    for (; q < n; q++) all = z[q] > all ? z[q] : all;
    return all;
}

double CI_SYM(softmax_row)(const ci_ops *ops, float *z, ci_lid Q, int32_t target, double scale, int d)
{
    const float most = largest(z, Q);
    d8 part = {0};
    ci_lid q = 0;

    for (q = 0; q < Q; q++) z[q] -= most;
    const double at = z[target];
    ops->exp(z, Q, z);
    for (q = 0; q + PART <= Q; q += PART) part += EIGHT(z + q);
    for (; q < Q; q++) part[q % PART] += (double)z[q];
    const double sum = eight((const double *)&part);
    if (d) {
        const float factor = (float)(scale / sum);
        const double others = sum - z[target];
        for (q = 0; q < Q; q++) z[q] *= factor;
        z[target] = (float)(-scale * (others / sum));
    }
    return ci_log64(sum) - at;
}

/** Sums of one row: log(1 + exp z) = max(z, 0) + log(1 + exp -|z|), and the sum of such logarithms is the logarithm of a
 *  product, every factor of which is in (1, 2]: one logarithm for up to 31 blocks. */
struct entropy { d8 linear, product; double logs; int blocks; };

static void entropy_take_log(struct entropy *s)
{
    double all = 1;
    for (int k = 0; k < PART; k++) {
        all *= s->product[k];
        s->product[k] = 1;
    }
    s->logs += ci_log64(all);
    s->blocks = 0;
}

/** BLOCK logits in z: their entropy as for y = 0; e becomes exp -|z|. */
static void entropy_block(const ci_ops *ops, struct entropy *s, const float *z, float *e)
{
    for (int k = 0; k < BLOCK; k++) e[k] = -fabsf(z[k]);
    ops->exp(e, BLOCK, e);
    float up[BLOCK];
    for (int k = 0; k < BLOCK; k++) up[k] = z[k] > 0 ? z[k] : 0;
    for (int k = 0; k < BLOCK; k += PART) {
        s->linear += EIGHT(up + k);
        s->product *= 1 + EIGHT(e + k);
    }
    if (++s->blocks == 31) entropy_take_log(s);
}

double CI_SYM(multi_hot_row)(const ci_ops *ops, float *z, ci_lid Q, const int32_t *target, ci_lid n_target, float scale, int d)
{
    struct entropy s = {.product = (d8){0} + 1};
    float strange[BLOCK] = {0}; /* 0, or NaN once a logit was not finite, which max would hide */
    double hot = 0, bad = 0;
    ci_lid at = 0;

    for (ci_lid q = 0; q < Q; q += BLOCK) {
        const ci_lid n = CI_MIN((ci_lid)BLOCK, Q - q);
        float x[BLOCK], e[BLOCK], p[BLOCK];
        for (ci_lid k = n; k < BLOCK; k++) x[k] = -200; /* adds 0 and times 1 */
        memcpy(x, z + q, (size_t)n * sizeof *z);
        entropy_block(ops, &s, x, e);
        for (int k = 0; k < BLOCK; k++) strange[k] += x[k] - x[k];
        for (int k = 0; k < BLOCK; k++) p[k] = scale * ((x[k] > 0 ? 1.0f : e[k]) / (1 + e[k]));
        for (; at < n_target && target[at] < q + n; at++) {
            const ci_lid k = target[at] - q;
            hot += x[k];
            p[k] = -scale * ((x[k] > 0 ? e[k] : 1.0f) / (1 + e[k]));
        }
        if (d) memcpy(z + q, p, (size_t)n * sizeof *z);
    }
    entropy_take_log(&s);
    for (int k = 0; k < BLOCK; k++) bad += strange[k];
    return (eight((const double *)&s.linear) - hot) + s.logs + bad;
}

extern const struct loss_loops CI_SYM(loops);
const struct loss_loops CI_SYM(loops) = {
    .softmax_row = CI_SYM(softmax_row),
    .multi_hot_row = CI_SYM(multi_hot_row),
    .kl_row = CI_SYM(kl_row),
    .sample = CI_SYM(sample),
    .sample_backward = CI_SYM(sample_backward),
    .gaussian_sums = CI_SYM(gaussian_sums),
    .gaussian_close = CI_SYM(gaussian_close),
    .gaussian_backward = CI_SYM(gaussian_backward),
};
