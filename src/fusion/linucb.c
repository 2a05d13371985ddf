/* A linear bandit on features that a network makes: a ridge regression an arm, chosen by its upper bound. */
#include <math.h>
#include <string.h>
#include "ci/tick.h"
#include "fusion_priv.h"

enum { REFRESH_EVERY = 50, REFRESH_STEPS = 5, LANES = 8 }; /* loops over a constant number become vectors at -O2 */

void linucb_reset(ci_fusion *f)
{
    const size_t h = (size_t)width(f), arms = (size_t)f->shape.actions;

    memset(f->inverse, 0, arms * h * h * sizeof *f->inverse);
    memset(f->b, 0, arms * h * sizeof *f->b);
    memset(f->theta, 0, arms * h * sizeof *f->theta);
    for (size_t a = 0; a < arms; a++)
        for (size_t i = 0; i < h; i++) f->inverse[(a * h + i) * h + i] = 1; /* lambda = 1 */
}

void linucb_theta(ci_fusion *f)
{
    const size_t h = (size_t)width(f), arms = (size_t)f->shape.actions;

    for (size_t a = 0; a < arms; a++)
        for (size_t i = 0; i < h; i++) {
            double sum = 0;
            for (size_t j = 0; j < h; j++) sum += f->inverse[(a * h + i) * h + j] * f->b[a * h + j];
            f->theta[i * arms + a] = (float)sum;
        }
}

/* y += s x */
static void add(double *y, double s, const double *x, ci_lid n)
{
    ci_lid i = 0;

    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) y[i + k] += s * x[i + k];
    for (; i < n; i++) y[i] += s * x[i];
}

void linucb_update(ci_lid h, double *inverse, double *b, const float *z, double r, double *v)
{
    double denominator = 1;

    memset(v, 0, (size_t)h * sizeof *v);
    for (ci_lid i = 0; i < h; i++)
        if (z[i] != 0) add(v, (double)z[i], inverse + (size_t)i * (size_t)h, h); /* A^-1 is symmetric */
    for (ci_lid i = 0; i < h; i++) denominator += (double)z[i] * v[i];
    for (ci_lid i = 0; i < h; i++) {
        add(inverse + (size_t)i * (size_t)h, -v[i] / denominator, v, h);
        b[i] += r * (double)z[i];
    }
}

/* Upper bounds theta z + sqrt(max(z^T A^-1 z, 0)) of all arms, rows (at most CHUNK) of features at l->z. */
static void bounds(struct learner *l, ci_lid rows)
{
    ci_fusion *f = l->f;
    const ci_lid h = width(f), arms = f->shape.actions;
    const size_t square = (size_t)h * (size_t)h;

    f->ops->gemm(&(ci_gemm){.M = rows, .N = arms, .K = h, .a = l->z, .a_row = h, .a_col = 1, .b = f->theta, .b_row = arms,
                            .c = l->q, .c_row = arms, .start = CI_GEMM_ZERO});
    for (ci_lid a = 0; a < arms; a++) {
        for (size_t i = 0; i < square; i++) l->inverse[i] = (float)f->inverse[(size_t)a * square + i];
        f->ops->gemm(&(ci_gemm){.M = rows, .N = h, .K = h, .a = l->z, .a_row = h, .a_col = 1, .b = l->inverse, .b_row = h,
                                .c = l->side, .c_row = h, .start = CI_GEMM_ZERO});
        for (ci_lid i = 0; i < rows; i++) {
            float part[LANES] = {0};
            const float *z = l->z + (size_t)i * (size_t)h, *y = l->side + (size_t)i * (size_t)h;
            ci_lid k = 0;
            for (; k + LANES <= h; k += LANES)
                for (int j = 0; j < LANES; j++) part[j] += z[k + j] * y[k + j];
            for (; k < h; k++) part[k % LANES] += z[k] * y[k];
            const float s = ((part[0] + part[4]) + (part[2] + part[6])) + ((part[1] + part[5]) + (part[3] + part[7]));
            l->q[(size_t)i * (size_t)arms + (size_t)a] += s > 0 ? sqrtf(s) : 0;
        }
    }
}

/* Features of `rows` gathered states, to l->z. */
static void features(struct learner *l, const int32_t *state, ci_lid rows)
{
    ci_fusion *f = l->f;

    gather(l, state, rows);
    memcpy(l->z, net_forward(f->ops, &f->net[0], f->w, l->xb, rows, NULL, &l->tape[0]),
           (size_t)rows * (size_t)width(f) * sizeof *l->z);
}

/* All arms are chosen before any ridge changes; where several are equal, chance says with which to begin. */
static void choose(struct learner *l, int32_t n)
{
    ci_fusion *f = l->f;
    const ci_lid arms = f->shape.actions;

    pick(l, n);
    words(l, f->at.episode, USE_ARM, n, l->word);
    for (int32_t from = 0; from < n; from += CHUNK) {
        const ci_lid rows = CI_MIN(CHUNK, n - from);
        ci_tick();
        features(l, l->pick + from, rows);
        bounds(l, rows);
        for (ci_lid i = 0; i < rows; i++)
            l->action[from + i] = largest(l->q + (size_t)i * (size_t)arms, arms,
                                          (ci_lid)ci_below(l->word[from + i], (uint32_t)arms));
    }
}

/* One sample after the other, each into the ridge of its arm. */
static void update(struct learner *l, int32_t n)
{
    ci_fusion *f = l->f;
    const ci_lid h = width(f);

    for (int32_t from = 0; from < n; from += CHUNK) {
        const ci_lid rows = CI_MIN(CHUNK, n - from);
        ci_tick();
        features(l, l->pick + from, rows);
        for (ci_lid i = 0; i < rows; i++) {
            const size_t a = (size_t)l->action[from + i];
            linucb_update(h, f->inverse + a * (size_t)h * (size_t)h, f->b + a * (size_t)h, l->z + (size_t)i * (size_t)h,
                          (double)l->reward[from + i], l->work);
        }
    }
    linucb_theta(f);
}

/* The backbone, by the squared error of what its features promised. */
static ci_rc refresh_step(struct learner *l)
{
    ci_rc rc = CI_OK;
    ci_fusion *f = l->f;
    const int32_t n = l->conf->fusion.batch;
    const ci_lid h = width(f), arms = f->shape.actions;
    const struct drop drop = {(uint32_t)l->conf->train.seed, (uint32_t)f->at.step, (float)l->conf->fusion.dropout};
    const float *z;
    double loss = 0;

    replay(l, n);
    z = net_forward(f->ops, &f->net[0], f->w, l->xb, n, &drop, &l->tape[0]);
    for (int32_t i = 0; i < n; i++) {
        const float *theta = f->theta + l->action[i], *zi = z + (size_t)i * (size_t)h;
        float said = 0;
        for (ci_lid k = 0; k < h; k++) said += zi[k] * theta[(size_t)k * (size_t)arms];
        const float d = said - l->reward[i];
        loss += (double)(d * d) / n;
        for (ci_lid k = 0; k < h; k++)
            l->dq[(size_t)i * (size_t)h + (size_t)k] = 2 * d / (float)n * theta[(size_t)k * (size_t)arms];
    }
    memset(l->grad, 0, (size_t)f->n * sizeof *l->grad);
    net_backward(f->ops, &f->net[0], f->w, l->xb, n, &drop, &l->tape[0], l->dq, l->grad);
    CI_TRY(adam(l, l->conf->fusion.lr, l->conf->fusion.decay, 1, loss));
done:
    return rc;
}

/* Every so often the features are made anew, and the ridges begin anew with them. */
ci_rc linucb_episode(struct learner *l)
{
    ci_rc rc = CI_OK;
    ci_fusion *f = l->f;
    const int32_t n = l->conf->fusion.sample;

    if (f->at.episode > 0 && f->at.episode % REFRESH_EVERY == 0) {
        for (int k = 0; k < REFRESH_STEPS; k++) CI_TRY(refresh_step(l));
        linucb_reset(f);
    }
    choose(l, n);
    judge_actions(l, n);
    update(l, n);
done:
    return rc;
}
