/* Methods that learn the label itself: a network, a mixture of three, one weight. */
#include <math.h>
#include <string.h>
#include "ci/tick.h"
#include "fusion_priv.h"

#define AVERAGE_RATE 10 /* of fusion.lr: the reference has .01 for the one weight, .001 for networks */

static double mlp_gradient(struct learner *l, const uint8_t *label, ci_lid n, const struct drop *drop)
{
    ci_fusion *f = l->f;
    const float *logit = net_forward(f->ops, &f->net[0], f->w, l->xb, n, drop, &l->tape[0]);
    const double loss = bce_logit(logit, label, n, l->dq);

    net_backward(f->ops, &f->net[0], f->w, l->xb, n, drop, &l->tape[0], l->dq, l->grad);
    return loss;
}

static double moe_gradient(struct learner *l, const uint8_t *label, ci_lid n, const struct drop *drop)
{
    ci_fusion *f = l->f;
    double loss;

    mixture(f, l->tape, l->xb, n, drop, l->p, l->g, l->mix);
    loss = moe_loss(l->p, l->g, l->mix, label, n, l->conf->fusion.balance, l->dq, l->q);
    for (int k = 0; k < EXPERTS; k++)
        net_backward(f->ops, &f->net[k], f->w, l->xb, n, drop, &l->tape[k], l->dq + (size_t)k * (size_t)n, l->grad);
    net_backward(f->ops, &f->net[EXPERTS], f->w, l->xb, n, drop, &l->tape[EXPERTS], l->q, l->grad);
    return loss;
}

static double average_gradient(struct learner *l, const int32_t *state, const uint8_t *label, ci_lid n)
{
    const float s = ci_sigmoidf(l->f->w[0]);
    double loss, sum = 0;

    for (ci_lid i = 0; i < n; i++) {
        const ci_fusion_fact x = l->fact[state[i]];
        l->p[i] = (1 - s) * x.doubt + s * x.attack;
    }
    loss = bce(l->p, label, n, l->dq);
    for (ci_lid i = 0; i < n; i++)
        sum += (double)l->dq[i] * (double)(l->fact[state[i]].attack - l->fact[state[i]].doubt);
    l->grad[0] = (float)(sum * (double)(s * (1 - s)));
    return loss;
}

static ci_rc step(struct learner *l, const int32_t *state, ci_lid n)
{
    ci_rc rc = CI_OK;
    ci_fusion *f = l->f;
    const struct drop drop = {(uint32_t)l->conf->train.seed, (uint32_t)f->at.step, (float)l->conf->fusion.dropout};
    const double rate = l->conf->fusion.lr * (f->method == AVERAGE ? AVERAGE_RATE : 1);
    double loss;

    gather(l, state, n);
    for (ci_lid i = 0; i < n; i++) l->label[i] = l->data->train_label[state[i]];
    memset(l->grad, 0, (size_t)f->n * sizeof *l->grad);
    loss = f->method == MLP   ? mlp_gradient(l, l->label, n, &drop)
           : f->method == MOE ? moe_gradient(l, l->label, n, &drop)
                              : average_gradient(l, state, l->label, n);
    CI_TRY(adam(l, rate, 0, 0, loss));
done:
    return rc;
}

ci_rc supervised_epoch(struct learner *l)
{
    ci_rc rc = CI_OK;
    const int32_t n = (int32_t)l->data->n_train, batch = l->conf->fusion.batch;

    ci_permutation((uint32_t)l->conf->train.seed, CI_RANDOM_FUSION, (uint32_t)l->f->at.episode, n, l->order);
    for (int32_t from = 0; from < n; from += batch) {
        ci_tick();
        CI_TRY(step(l, l->order + from, CI_MIN(batch, n - from)));
    }
done:
    return rc;
}
