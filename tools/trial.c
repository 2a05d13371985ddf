#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "trial.h"

enum { SETS = 16 };

void trial_must(ci_rc rc)
{
    if (rc == CI_OK) return;
    fprintf(stderr, "bench: %s\n", ci_message());
    exit(70);
}

void trial_settle(trial *t, const char *name, const char *scale, const char *preset, const char *const *set, int n, bool device)
{
    char own[3][CI_TEXT_MAX];
    const char *sets[SETS] = {own[0], own[1], own[2]};
    ci_store st = {.set = ci_feature_set_find("kd35"), .head.n_vocab = SHARD_IDS};
    ci_model_dim dim;

    snprintf(own[0], sizeof own[0], "model.name=%s", name);
    snprintf(own[1], sizeof own[1], "model.scale=%s", scale);
    snprintf(own[2], sizeof own[2], "model.preset=%s", preset);
    for (int k = 0; k < n && k + 3 < SETS; k++) sets[k + 3] = set[k];
    trial_must(ci_conf_read(NULL, sets, CI_MIN(n + 3, SETS), &t->conf));
    trial_must(ci_train_dim(&t->conf, &st, NULL, &dim));
    trial_must(ci_model_create(&dim, device ? t->conf.train.isa : ci_train_kernels(&t->conf, NULL), &t->m));
}

ci_model_step trial_step(const trial *t, int n_graph)
{
    const ci_conf *c = &t->conf;
    const bool vgae = ci_model_dims(t->m)->kind == CI_VGAE;
    ci_model_step s = {.seed = 1, .dropout = (float)c->train.dropout, .unk_drop = (float)c->train.unk_drop, .mask = (float)c->train.mask,
                       .classify = {.kind = CI_FOCAL, .gamma = c->train.gamma}, .n_graph = n_graph, .graph_weight = n_graph,
                       .n_node = (ci_gid)n_graph * SHARD_NODES, .n_raw = (ci_gid)n_graph * SHARD_EDGES};

    s.weight[CI_TERM_TASK] = vgae ? c->train.recon : 1;
    s.weight[CI_TERM_ID] = c->train.id;
    s.weight[CI_TERM_NEIGHBOUR] = c->train.neighbour;
    s.weight[CI_TERM_KL] = c->train.kl;
    s.weight[CI_TERM_EDGE] = c->train.edge;
    for (int64_t g = 0; g < n_graph; g++) s.n_masked += ci_model_masked(t->m, &s, g, SHARD_NODES);
    return s;
}

static void batch_make(trial *t, int n_graph, int rows)
{
    const int per = rows / SHARD_NODES;

    if (per < 1) {
        fprintf(stderr, "bench: %d rows; a graph has %d\n", rows, SHARD_NODES);
        exit(64);
    }
    t->b = ci_new((size_t)n_graph, sizeof *t->b);
    t->s = ci_new((size_t)n_graph, sizeof *t->s);
    if (!t->b || !t->s) exit(70);
    for (; t->n_graph < n_graph; t->n_shard++) {
        ci_batch *b = &t->b[t->n_shard];
        *b = shard_make(CI_MIN(per, n_graph - t->n_graph), t->n_graph);
        t->n_graph += b->n_graph;
        if (t->n_shard == 0 || ci_model_cuts(t->m, 0))
            trial_must(ci_scratch_create(t->m, b->n_graph, b->n_node, b->n_edge, b->n_raw, &t->s[t->n_shard]));
        else t->s[t->n_shard] = t->s[0];
    }
}

void trial_make(trial *t, int n_graph, int rows)
{
    batch_make(t, n_graph, rows);
    t->w = numbers((size_t)ci_model_size(t->m), 7);
    t->grad = numbers((size_t)ci_model_size(t->m), 8);
    t->wt = numbers((size_t)ci_model_prepared_size(t->m), 9);
    t->state = numbers((size_t)ci_model_state_size(t->m), 9);
    ci_model_init(t->m, 1, t->w, t->state);
    ci_model_prepare(t->m, t->w, t->wt);
    trial_must(ci_cuts_create(t->m, &t->cuts));
    t->step = trial_step(t, t->n_graph);
}

static void shard_run(trial *t, int i, int backward, ci_lid k)
{
    const ci_model_pass pass = {.m = t->m, .w = t->w, .wt = t->wt, .s = t->s[i], .b = &t->b[i], .step = &t->step, .cuts = t->cuts,
                                .grad = t->grad};
    trial_must(ci_model_run(&pass, backward, k));
    for (int j = 0; backward && k == ci_model_cuts(t->m, 1) && j < CI_TERM_COUNT; j++) t->loss += ci_scratch_losses(t->s[i])[j];
}

void trial_forward(trial *t, int shard) { shard_run(t, shard, 0, 0); }

static void cut_close(trial *t, int backward, ci_lid k)
{
    double loss[CI_TERM_COUNT] = {0}, sum[8192];
    ci_lid n = 0;

    for (int i = 0; i < t->n_shard; i++) {
        const double *own = ci_scratch_sums(t->m, t->s[i], backward, k, &n);
        if (n > (ci_lid)CI_COUNT(sum)) exit(70);
        for (ci_lid j = 0; j < n; j++) sum[j] = i ? sum[j] + own[j] : own[j];
    }
    trial_must(ci_cuts_close(t->m, t->cuts, &t->step, backward, k, sum, loss));
    t->loss += loss[CI_TERM_NEIGHBOUR];
}

void trial_run(trial *t)
{
    const ci_lid F = ci_model_cuts(t->m, 0), B = ci_model_cuts(t->m, 1), passes = F + B + 1;

    t->loss = 0;
    memset(t->grad, 0, (size_t)ci_model_size(t->m) * sizeof *t->grad);
    for (ci_lid p = 0; p < passes; p++) {
        for (int i = 0; i < t->n_shard; i++) {
            if (p <= F) shard_run(t, i, 0, p);
            if (p >= F) shard_run(t, i, 1, p - F);
        }
        if (p + 1 < passes) cut_close(t, p >= F, p >= F ? p - F : p);
    }
}

void trial_release(trial *t)
{
    for (int i = t->n_shard - 1; i >= 0; i--) { /* the first one's scratch may be everybody's */
        shard_release(&t->b[i]);
        if (i == 0 || t->s[i] != t->s[0]) ci_scratch_destroy(&t->s[i]);
    }
    ci_cuts_destroy(&t->cuts);
    ci_model_destroy(&t->m);
    free(t->b);
    free(t->s);
    free(t->w);
    free(t->wt);
    free(t->state);
    free(t->grad);
    *t = (trial){0};
}
