/* What all methods learn with: memory, draws, the optimiser. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/tick.h"
#include "fusion_priv.h"

static ci_rc fits(const ci_conf *conf, const ci_fusion_data *data, const ci_fusion *f)
{
    ci_rc rc = CI_OK;
    ci_lid widest = f->shape.state;

    for (int k = 0; k < f->n_net; k++)
        for (ci_lid i = 0; i <= f->net[k].n; i++) widest = CI_MAX(widest, f->net[k].dim[i]);
    if ((int64_t)conf->fusion.batch * widest > INT32_MAX)
        CI_FAIL(CI_ECONF, "fusion.batch: %d windows of %d columns are too many", conf->fusion.batch, widest);
    if (data->n_train < 1 || data->n_train > INT32_MAX || data->n_valid < 1)
        CI_FAIL(CI_EDATA, "%lld training and %lld validation states", (long long)data->n_train, (long long)data->n_valid);
    for (int64_t i = 0; i < (f->memory ? CI_MIN(f->at.seen, f->memory) : 0); i++)
        if (f->past_state[i] >= data->n_train) CI_FAIL(CI_EFORMAT, "window %d of %lld is remembered", f->past_state[i], (long long)data->n_train);
done:
    return rc;
}

ci_rc learner_init(struct learner *l, const ci_conf *conf, const ci_compute *at, const ci_fusion_data *data, ci_fusion *f)
{
    ci_rc rc = CI_OK;
    const size_t n = (size_t)data->n_train, S = (size_t)f->shape.state, R = (size_t)CI_MAX(CHUNK, conf->fusion.batch);
    const size_t draw = (size_t)CI_MAX(conf->fusion.sample, conf->fusion.batch), h = f->method == LINUCB ? (size_t)width(f) : 1;
    const size_t widest = CI_MAX((size_t)CI_MAX(f->shape.actions, EXPERTS), h);

    *l = (struct learner){.conf = conf, .data = data, .f = f};
    CI_TRY(fits(conf, data, f));
    l->x = ci_new(n, S * sizeof *l->x);
    l->fact = ci_new(n, sizeof *l->fact);
    l->order = ci_new(n, sizeof *l->order);
    l->grad = ci_new((size_t)f->n, sizeof *l->grad);
    l->xb = ci_new(R, S * sizeof *l->xb);
    l->label = ci_new(R, sizeof *l->label);
    l->q = ci_new(R, widest * sizeof *l->q);
    l->dq = ci_new(R, widest * sizeof *l->dq);
    l->p = ci_new(R, widest * sizeof *l->p);
    l->g = ci_new(R, widest * sizeof *l->g);
    l->mix = ci_new(R, sizeof *l->mix);
    l->word = ci_new(draw, sizeof *l->word);
    l->other = ci_new(draw, sizeof *l->other);
    l->pick = ci_new(draw, sizeof *l->pick);
    l->action = ci_new(draw, sizeof *l->action);
    l->reward = ci_new(draw, sizeof *l->reward);
    l->z = ci_new(CHUNK, h * sizeof *l->z);
    l->side = ci_new(CHUNK, h * sizeof *l->side);
    l->inverse = ci_new(h, h * sizeof *l->inverse);
    l->work = ci_new(h, sizeof *l->work);
    if (!l->x || !l->fact || !l->order || !l->grad || !l->xb || !l->label || !l->q || !l->dq || !l->p || !l->g || !l->mix ||
        !l->word || !l->other || !l->pick || !l->action || !l->reward || !l->z || !l->side || !l->inverse || !l->work)
        CI_FAIL(CI_ENOMEM, "%zu training states", n);
    for (int k = 0; k < f->n_net; k++) CI_TRY(tape_create(&f->net[k], (ci_lid)R, &l->tape[k]));
    if (at && at->device.dev && f->n_net > 0) CI_TRY(devnet_create(at, f, (ci_lid)R, l->tape, &l->dev));
    ci_fusion_standardise(&f->scale, data->train, data->n_train, l->x);
    ci_fusion_facts(&f->scale, data->train, data->n_train, l->fact);
done:
    return rc;
}

void learner_release(struct learner *l)
{
    void *const all[] = {l->x,    l->fact,  l->order, l->grad, l->xb,     l->label,  l->q, l->dq,   l->p,       l->g,
                         l->mix,  l->word,  l->other, l->pick, l->action, l->reward, l->z, l->side, l->inverse, l->work};

    for (size_t i = 0; i < CI_COUNT(all); i++) free(all[i]);
    for (int k = 0; k < NETS; k++) tape_release(&l->tape[k]);
    devnet_destroy(&l->dev);
    *l = (struct learner){0};
}

void words(const struct learner *l, int64_t at, enum use use, int32_t n, uint32_t *out)
{
    for (int32_t i = 0; i < n; i += 4) {
        const ci_u32x4 r = ci_philox((uint32_t)l->conf->train.seed, CI_RANDOM_FUSION, (uint32_t)at, (uint32_t)i / 4, use, 0);
        for (int32_t k = i; k < CI_MIN(i + 4, n); k++) out[k] = r.v[k - i];
    }
}

void pick(struct learner *l, int32_t n)
{
    words(l, l->f->at.episode, USE_PICK, n, l->word);
    for (int32_t i = 0; i < n; i++) l->pick[i] = (int32_t)ci_below(l->word[i], (uint32_t)l->data->n_train);
}

void gather(struct learner *l, const int32_t *state, ci_lid n)
{
    const size_t S = (size_t)l->f->shape.state;

    for (ci_lid i = 0; i < n; i++) memcpy(l->xb + (size_t)i * S, l->x + (size_t)state[i] * S, S * sizeof *l->x);
}

void judge_actions(struct learner *l, int32_t n)
{
    ci_fusion *f = l->f;

    for (int32_t i = 0; i < n; i++) {
        const int32_t at = l->pick[i];
        const int64_t slot = f->at.seen++ % f->memory;
        l->reward[i] = ci_fusion_reward(f->shape.legacy, l->fact[at], l->data->train_label[at], alpha_of(f, l->action[i]));
        f->past_state[slot] = at;
        f->past_action[slot] = l->action[i];
        f->past_reward[slot] = l->reward[i];
        f->at.reward_sum += (double)l->reward[i];
    }
    f->at.reward_n += n;
}

void replay(struct learner *l, int32_t n)
{
    const ci_fusion *f = l->f;
    const uint32_t known = (uint32_t)CI_MIN(f->at.seen, f->memory);

    words(l, f->at.step, USE_REPLAY, n, l->word);
    for (int32_t i = 0; i < n; i++) {
        const uint32_t slot = ci_below(l->word[i], known);
        l->pick[i] = f->past_state[slot];
        l->action[i] = f->past_action[slot];
        l->reward[i] = f->past_reward[slot];
    }
    gather(l, l->pick, n);
}

ci_rc adam(struct learner *l, double lr, double decay, double clip, double loss)
{
    ci_rc rc = CI_OK;
    ci_fusion *f = l->f;
    const ci_adam a = {.lr = lr, .beta1 = .9, .beta2 = .999, .eps = 1e-8, .decay = decay, .clip = clip, .decoupled = true};
    char message[256];

    ci_tick(); /* an episode may have a million steps, and the other ranks wait for its end */
    rc = l->dev ? devnet_told(l->dev) : CI_OK; /* first: a pass that failed has left NaN */
    if (rc == CI_OK && !isfinite(loss)) CI_FAIL(CI_ENUMERIC, "episode %lld, step %lld: the loss is %g; a smaller fusion.lr may help",
                                 (long long)f->at.episode + 1, (long long)f->at.step + 1, loss);
    if (rc == CI_OK)
        rc = l->dev ? devnet_adam(l->dev, &a, f->at.step + 1) : ci_adam_step(&a, f->at.step + 1, f->n, l->grad, f->w, f->m, f->v, NULL);
    snprintf(message, sizeof message, "%.200s", rc == CI_OK ? "" : ci_message());
    if (rc != CI_OK) CI_FAIL(rc, "episode %lld, step %lld: %s", (long long)f->at.episode + 1, (long long)f->at.step + 1, message);
    f->at.step++;
    f->at.loss_sum += loss;
    f->at.loss_n += 1;
done:
    return rc;
}

void follow(struct learner *l, float keep)
{
    ci_fusion *f = l->f;

    if (l->dev) {
        devnet_follow(l->dev, keep);
        return;
    }
    for (ci_gid i = 0; i < f->n; i++) f->target[i] = keep * f->target[i] + (1 - keep) * f->w[i];
}
