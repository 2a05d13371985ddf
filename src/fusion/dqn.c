/* The agent that learns what each weight is worth: a contextual bandit unless fusion.gamma says otherwise. */
#include <math.h>
#include <string.h>
#include "ci/tick.h"
#include "fusion_priv.h"

/* From fusion.epsilon to fusion.epsilon_end over all episodes. */
static float epsilon(const struct learner *l)
{
    const double from = l->conf->fusion.epsilon, to = l->conf->fusion.epsilon_end;
    const int32_t n = l->conf->fusion.episodes;

    return (float)(n > 1 ? from + (to - from) * (double)l->f->at.episode / (n - 1) : from);
}

static void choose(struct learner *l, int32_t n)
{
    ci_fusion *f = l->f;
    const ci_lid actions = f->shape.actions;
    const float random = epsilon(l);

    pick(l, n);
    for (int32_t from = 0; from < n; from += CHUNK) {
        const ci_lid rows = CI_MIN(CHUNK, n - from);
        ci_tick();
        gather(l, l->pick + from, rows);
        action_values(f, &l->tape[0], l->xb, rows, l->q);
        for (ci_lid i = 0; i < rows; i++) l->action[from + i] = largest(l->q + (size_t)i * (size_t)actions, actions, 0);
    }
    words(l, f->at.episode, USE_EXPLORE, n, l->word);
    words(l, f->at.episode, USE_ACTION, n, l->other);
    for (int32_t i = 0; i < n; i++)
        if (ci_unit(l->word[i]) < random) l->action[i] = (int32_t)ci_below(l->other[i], (uint32_t)actions);
}

/* r, and with a gamma the target network's opinion of what the online one would choose; s' = s, as the reference has it. */
static void wanted(struct learner *l, int32_t n, float *out)
{
    ci_fusion *f = l->f;
    const ci_lid actions = f->shape.actions;
    const float gamma = (float)l->conf->fusion.gamma, *theirs;

    for (int32_t i = 0; i < n; i++) out[i] = l->reward[i];
    if (!(gamma > 0)) return;
    action_values(f, &l->tape[0], l->xb, n, l->q);
    theirs = net_forward(f->ops, &f->net[0], f->target, l->xb, n, NULL, &l->tape[0]);
    for (int32_t i = 0; i < n; i++) {
        const size_t row = (size_t)i * (size_t)actions;
        out[i] += gamma * theirs[row + (size_t)largest(l->q + row, actions, 0)];
    }
}

static ci_rc step(struct learner *l)
{
    ci_rc rc = CI_OK;
    ci_fusion *f = l->f;
    const int32_t n = l->conf->fusion.batch;
    const struct drop drop = {(uint32_t)l->conf->train.seed, (uint32_t)f->at.step, (float)l->conf->fusion.dropout};
    const float *q;
    double loss;

    replay(l, n);
    wanted(l, n, l->mix);
    q = net_forward(f->ops, &f->net[0], f->w, l->xb, n, &drop, &l->tape[0]);
    loss = smooth_l1(q, f->shape.actions, l->action, l->mix, n, l->dq);
    memset(l->grad, 0, (size_t)f->n * sizeof *l->grad);
    net_backward(f->ops, &f->net[0], f->w, l->xb, n, &drop, &l->tape[0], l->dq, l->grad);
    CI_TRY(adam(l, l->conf->fusion.lr, l->conf->fusion.decay, 1, loss));
    follow(l, (float)l->conf->fusion.target);
done:
    return rc;
}

ci_rc dqn_episode(struct learner *l)
{
    ci_rc rc = CI_OK;

    choose(l, l->conf->fusion.sample);
    judge_actions(l, l->conf->fusion.sample);
    for (int32_t k = 0; k < l->conf->fusion.steps; k++) CI_TRY(step(l));
done:
    return rc;
}
