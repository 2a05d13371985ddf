/* A fusion model's memory, its initial weights and its scores. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/tick.h"
#include "fusion_priv.h"

static const char *const names[METHODS] = {"dqn", "linucb", "mlp", "moe", "average"};

void ci_fusion_shape_of(const ci_conf *conf, ci_fusion_shape *out)
{
    *out = (ci_fusion_shape){
        .state = conf->fusion.state,
        .actions = conf->fusion.actions,
        .hidden = conf->fusion.hidden,
        .layers = conf->fusion.layers,
        .norm = strcmp(conf->fusion.norm, "layer") == 0,
        .legacy = strcmp(conf->fusion.reward, "legacy") == 0,
    };
    snprintf(out->method, sizeof out->method, "%.15s", conf->fusion.method);
}

static void net_add(ci_fusion *f, const char *name, bool norm, ci_lid hidden, const ci_lid *dim, ci_lid n)
{
    net_shape(&f->net[f->n_net++], name, f->n, norm, hidden, dim, n);
    f->n += f->net[f->n_net - 1].size;
}

static void nets_add(ci_fusion *f)
{
    const ci_fusion_shape *s = &f->shape;
    const ci_lid mlp[] = {s->state, 64, 32, 1}, gate[] = {s->state, 32, EXPERTS};
    ci_lid dim[NET_LAYERS + 1] = {s->state};

    for (ci_lid k = 1; k <= s->layers; k++) dim[k] = s->hidden;
    switch (f->method) {
    case DQN:
        dim[s->layers + 1] = s->actions;
        net_add(f, "q", s->norm, s->layers, dim, s->layers + 1);
        break;
    case LINUCB: net_add(f, "backbone", s->norm, s->layers, dim, s->layers); break;
    case MLP: net_add(f, "mlp", false, 2, mlp, 3); break;
    case MOE:
        for (int k = 0; k < EXPERTS; k++) {
            char name[16];
            snprintf(name, sizeof name, "expert%d", k);
            net_add(f, name, false, 2, mlp, 3);
        }
        net_add(f, "gate", false, 1, gate, 2);
        break;
    default: f->n = 1; break; /* average: one scalar */
    }
}

static ci_rc shape_check(ci_fusion *f)
{
    ci_rc rc = CI_OK;
    const ci_fusion_shape *s = &f->shape;

    for (f->method = DQN; f->method < METHODS; f->method++)
        if (strcmp(names[f->method], s->method) == 0) break;
    if (f->method == METHODS) CI_FAIL(CI_ECONF, "fusion.method: there is no \"%s\"", s->method);
    if (s->state != 15 && s->state != 18) CI_FAIL(CI_ECONF, "fusion.state: %d; 15 or 18 columns", s->state);
    if (s->actions < 2 || s->actions > 1001) CI_FAIL(CI_ECONF, "fusion.actions: %d; 2 to 1001", s->actions);
    if (s->hidden < 1 || s->hidden > 4096 || s->layers < 1 || s->layers > NET_LAYERS - 1)
        CI_FAIL(CI_ECONF, "fusion.hidden, fusion.layers: %d layers of %d columns", s->layers, s->hidden);
done:
    return rc;
}

/* Whatever this method has of arrays. */
static ci_rc room(ci_fusion *f)
{
    ci_rc rc = CI_OK;
    const size_t n = (size_t)f->n, arms = (size_t)f->shape.actions, memory = (size_t)f->memory;

    f->w = ci_new(n, sizeof *f->w);
    f->m = ci_new(n, sizeof *f->m);
    f->v = ci_new(n, sizeof *f->v);
    f->past_state = ci_new(memory, sizeof *f->past_state);
    f->past_action = ci_new(memory, sizeof *f->past_action);
    f->past_reward = ci_new(memory, sizeof *f->past_reward);
    if (!f->w || !f->m || !f->v || !f->past_state || !f->past_action || !f->past_reward)
        CI_FAIL(CI_ENOMEM, "a fusion model of %zu parameters", n);
    if (f->method == DQN && !(f->target = ci_new(n, sizeof *f->target))) CI_FAIL(CI_ENOMEM, "%zu parameters", n);
    if (f->method == LINUCB) {
        const size_t h = (size_t)width(f);
        f->inverse = ci_new(arms * h, h * sizeof *f->inverse);
        f->b = ci_new(arms, h * sizeof *f->b);
        f->theta = ci_new(arms, h * sizeof *f->theta);
        if (!f->inverse || !f->b || !f->theta) CI_FAIL(CI_ENOMEM, "%zu arms of %zu columns", arms, h);
        linucb_reset(f);
    }
    for (int k = 0; k < f->n_net; k++) CI_TRY(tape_create(&f->net[k], CHUNK, &f->tape[k]));
done:
    return rc;
}

ci_rc ci_fusion_create(const ci_fusion_shape *shape, int32_t memory, const char *isa, ci_fusion **out)
{
    ci_rc rc = CI_OK;
    ci_fusion *f = ci_new(1, sizeof *f);

    *out = NULL;
    if (!f) CI_FAIL(CI_ENOMEM, "a fusion model");
    f->shape = *shape;
    f->at.best_episode = -1;
    CI_TRY(shape_check(f));
    f->memory = f->method <= LINUCB ? memory : 0;
    f->scale.state = shape->state;
    for (int k = 0; k < CI_FUSION_STATE; k++) f->scale.spread[k] = 1;
    f->ops = ci_ops_get(isa);
    if (!f->ops) CI_FAIL(CI_ECONF, "train.isa: this machine has no %s", isa);
    nets_add(f);
    CI_TRY(room(f));
    *out = f;
    f = NULL;
done:
    ci_fusion_destroy(&f);
    return rc;
}

void ci_fusion_destroy(ci_fusion **at)
{
    ci_fusion *f = *at;

    if (!f) return;
    for (int k = 0; k < f->n_net; k++) tape_release(&f->tape[k]);
    free(f->w);
    free(f->m);
    free(f->v);
    free(f->target);
    free(f->inverse);
    free(f->b);
    free(f->theta);
    free(f->past_state);
    free(f->past_action);
    free(f->past_reward);
    free(f);
    *at = NULL;
}

void ci_fusion_init(ci_fusion *f, uint32_t seed)
{
    for (int k = 0; k < f->n_net; k++) net_init(&f->net[k], seed, (uint32_t)(2 * NET_LAYERS * k), f->w);
    if (f->target) memcpy(f->target, f->w, (size_t)f->n * sizeof *f->w);
}

const ci_fusion_shape *ci_fusion_shape_get(const ci_fusion *f) { return &f->shape; }
ci_fusion_scale *ci_fusion_scale_get(ci_fusion *f) { return &f->scale; }
ci_fusion_progress *ci_fusion_progress_get(ci_fusion *f) { return &f->at; }
ci_fusion_of *ci_fusion_of_get(ci_fusion *f) { return &f->of; }
int64_t ci_fusion_size(const ci_fusion *f) { return f->n; }

void ci_fusion_weights(const ci_fusion *f, char out[CI_SHA256_HEX])
{
    ci_sha256 *s = ci_sha256_begin();

    out[0] = 0;
    if (!s) return;
    ci_sha256_add(s, f->w, (size_t)f->n * sizeof *f->w);
    if (f->theta) ci_sha256_add(s, f->theta, (size_t)f->shape.actions * (size_t)width(f) * sizeof *f->theta);
    ci_sha256_add(s, f->scale.mean, sizeof f->scale.mean);
    ci_sha256_add(s, f->scale.spread, sizeof f->scale.spread);
    ci_sha256_end(&s, out);
}

int32_t ci_fusion_policy_cols(const ci_fusion *f)
{
    return f->method <= LINUCB ? f->shape.actions : f->method == MOE ? EXPERTS : 0;
}

void action_values(const ci_fusion *f, struct tape *t, const float *x, ci_lid rows, float *q)
{
    const ci_lid actions = f->shape.actions;
    const float *y = net_forward(f->ops, &f->net[0], f->w, x, rows, NULL, t);

    if (f->method == DQN) memcpy(q, y, (size_t)rows * (size_t)actions * sizeof *q);
    else
        f->ops->gemm(&(ci_gemm){.M = rows, .N = actions, .K = width(f), .a = y, .a_row = width(f), .a_col = 1, .b = f->theta,
                                .b_row = actions, .c = q, .c_row = actions, .start = CI_GEMM_ZERO});
}

ci_lid largest(const float *q, ci_lid n, ci_lid from)
{
    ci_lid best = from;

    for (ci_lid i = 1; i < n; i++) {
        const ci_lid k = from + i < n ? from + i : from + i - n;
        if (q[k] > q[best]) best = k;
    }
    return best;
}

void mixture(const ci_fusion *f, struct tape *tape, const float *x, ci_lid rows, const struct drop *drop, float *p,
             float *g, float *mix)
{
    const float *logit[EXPERTS], *gate;

    for (int k = 0; k < EXPERTS; k++) logit[k] = net_forward(f->ops, &f->net[k], f->w, x, rows, drop, &tape[k]);
    gate = net_forward(f->ops, &f->net[EXPERTS], f->w, x, rows, drop, &tape[EXPERTS]);
    for (ci_lid i = 0; i < rows; i++) {
        const float *z = gate + (size_t)i * EXPERTS;
        float *pi = p + (size_t)i * EXPERTS, *gi = g + (size_t)i * EXPERTS;
        const float most = CI_MAX(z[0], CI_MAX(z[1], z[2]));
        float sum = 0;
        for (int k = 0; k < EXPERTS; k++) sum += gi[k] = ci_expf(z[k] - most);
        mix[i] = 0;
        for (int k = 0; k < EXPERTS; k++) {
            gi[k] /= sum;
            pi[k] = ci_sigmoidf(logit[k][i]);
            mix[i] += gi[k] * pi[k];
        }
        mix[i] = at_most_1(mix[i]);
    }
}

/* Scores of at most CHUNK rows; q is work of (CHUNK, actions), as much as 2 EXPERTS + 1 columns at least. */
static void chunk_score(ci_fusion *f, const float *x, const ci_fusion_fact *fact, ci_lid rows, float *q, double *score,
                        float *alpha, float *policy)
{
    const ci_lid cols = ci_fusion_policy_cols(f);
    const float *y = NULL, weight = f->method == AVERAGE ? ci_sigmoidf(f->w[0]) : 0;
    float *p = q + (size_t)rows * EXPERTS, *mix = p + (size_t)rows * EXPERTS; /* of moe; its gates are in q */

    if (f->method <= LINUCB) action_values(f, &f->tape[0], x, rows, q);
    if (f->method == MLP) y = net_forward(f->ops, &f->net[0], f->w, x, rows, NULL, &f->tape[0]);
    if (f->method == MOE) mixture(f, f->tape, x, rows, NULL, p, q, mix);
    for (ci_lid i = 0; i < rows; i++) {
        float a = NAN, s, all = 0;
        for (ci_lid k = 0; k < cols; k++) all += q[(size_t)i * (size_t)cols + (size_t)k];
        switch (f->method) {
        case DQN:
        case LINUCB:
            a = alpha_of(f, largest(q + (size_t)i * (size_t)cols, cols, 0));
            s = isfinite(all) ? fused(fact[i], a) : NAN; /* a choice among what is not finite is none */
            break;
        case MLP: s = ci_sigmoidf(y[i]); break;
        case MOE: s = mix[i]; break;
        default:
            a = weight;
            s = at_most_1((1 - a) * fact[i].doubt + a * fact[i].attack);
            break;
        }
        score[i] = (double)s;
        if (alpha) alpha[i] = a;
    }
    if (policy) memcpy(policy, q, (size_t)rows * (size_t)cols * sizeof *q);
}

ci_rc ci_fusion_score(ci_fusion *f, const float *state, int64_t n, double *score, float *alpha, float *policy)
{
    ci_rc rc = CI_OK;
    const int32_t S = f->shape.state, cols = ci_fusion_policy_cols(f);
    float *x = ci_new(CHUNK, (size_t)S * sizeof *x), *q = ci_new(CHUNK, (size_t)CI_MAX(cols, 2 * EXPERTS + 1) * sizeof *q);
    ci_fusion_fact *fact = ci_new(CHUNK, sizeof *fact);

    if (!x || !q || !fact) CI_FAIL(CI_ENOMEM, "%d states", CHUNK);
    for (int64_t from = 0; from < n; from += CHUNK) {
        const ci_lid rows = (ci_lid)CI_MIN(CHUNK, n - from);
        ci_tick();
        ci_fusion_standardise(&f->scale, state + from * S, rows, x);
        ci_fusion_facts(&f->scale, state + from * S, rows, fact);
        chunk_score(f, x, fact, rows, q, score + from, alpha ? alpha + from : NULL, policy ? policy + from * cols : NULL);
    }
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(score[i])) CI_FAIL(CI_ENUMERIC, "the score of window %lld is %g", (long long)i, score[i]);
done:
    free(x);
    free(q);
    free(fact);
    return rc;
}
