/** Training of one model on one core, as `key=value` words that tools/bench_train.py puts beside PyTorch Geometric.
 *
 *      bench_train gat|vgae small|large PRESET ROWS SECONDS [KEY=VALUE]
 *
 *  A batch of BATCH graphs (shard.h) in shards of at most ROWS nodes, whole batches until SECONDS have gone by; a model that is cut
 *  goes over all shards in each pass, as in training, the others through forward and backward shard by shard.  No optimiser step, no
 *  integer sum.  Seconds are of processor time of the thread.  The forward pass of evaluation is timed beside the matrix peak, both
 *  in turn; its operations are those of ci_model_flops. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/conf.h"
#include "ci/model.h"
#include "ci/ops.h"
#include "ci/train.h"
#include "peak.h"
#include "shard.h"

enum { BATCH = 256 };

struct bench {
    ci_conf conf;
    ci_model *m;
    ci_cuts *cuts;
    ci_model_step step;
    int n_shard, n_graph;
    ci_batch b[BATCH];
    ci_scratch *s[BATCH];
    float *w, *wt, *state, *grad;
    double loss;
};

static void must(ci_rc rc)
{
    if (rc == CI_OK) return;
    fprintf(stderr, "bench_train: %s\n", ci_message());
    exit(70);
}

/** The model that `canids train` makes of these settings. */
static void settle(struct bench *t, char **argv, const char *more)
{
    char set[3][CI_TEXT_MAX];
    const char *const sets[] = {set[0], set[1], set[2], more};
    ci_store st = {.set = ci_feature_set_find("kd35"), .head.n_vocab = SHARD_IDS};
    ci_model_dim dim;

    snprintf(set[0], sizeof set[0], "model.name=%s", argv[1]);
    snprintf(set[1], sizeof set[1], "model.scale=%s", argv[2]);
    snprintf(set[2], sizeof set[2], "model.preset=%s", argv[3]);
    must(ci_conf_read(NULL, sets, more ? 4 : 3, &t->conf));
    must(ci_train_dim(&t->conf, &st, NULL, &dim));
    must(ci_model_create(&dim, strcmp(t->conf.train.precision, "bf16") == 0 ? "bf16" : t->conf.train.isa, &t->m));
}

static void step_tell(struct bench *t)
{
    const ci_conf *c = &t->conf;
    ci_model_step *s = &t->step;
    const bool vgae = ci_model_dims(t->m)->kind == CI_VGAE;

    *s = (ci_model_step){.seed = 1, .dropout = (float)c->train.dropout, .unk_drop = (float)c->train.unk_drop, .mask = (float)c->train.mask,
                         .classify = {.kind = CI_FOCAL, .gamma = c->train.gamma}, .n_graph = t->n_graph, .graph_weight = t->n_graph,
                         .n_node = (ci_gid)t->n_graph * SHARD_NODES, .n_raw = (ci_gid)t->n_graph * SHARD_EDGES};
    s->weight[CI_TERM_TASK] = vgae ? c->train.recon : 1;
    s->weight[CI_TERM_ID] = c->train.id;
    s->weight[CI_TERM_NEIGHBOUR] = c->train.neighbour;
    s->weight[CI_TERM_KL] = c->train.kl;
    s->weight[CI_TERM_EDGE] = c->train.edge;
    for (int64_t g = 0; g < t->n_graph; g++) s->n_masked += ci_model_masked(t->m, s, g, SHARD_NODES);
}

static void batch_make(struct bench *t, int rows)
{
    const int per = rows / SHARD_NODES;

    if (per < 1) {
        fprintf(stderr, "bench_train: %d rows; a graph has %d\n", rows, SHARD_NODES);
        exit(64);
    }
    for (; t->n_graph < BATCH; t->n_shard++) {
        ci_batch *b = &t->b[t->n_shard];
        *b = shard_make(CI_MIN(per, BATCH - t->n_graph), t->n_graph);
        t->n_graph += b->n_graph;
        if (t->n_shard == 0 || ci_model_cuts(t->m, 0))
            must(ci_scratch_create(t->m, b->n_graph, b->n_node, b->n_edge, b->n_raw, &t->s[t->n_shard]));
        else t->s[t->n_shard] = t->s[0];
    }
}

static void weights_make(struct bench *t)
{
    t->w = numbers((size_t)ci_model_size(t->m), 7);
    t->grad = numbers((size_t)ci_model_size(t->m), 8);
    t->wt = numbers((size_t)ci_model_prepared_size(t->m), 9);
    t->state = numbers((size_t)ci_model_state_size(t->m), 9);
    ci_model_init(t->m, 1, t->w, t->state);
    ci_model_prepare(t->m, t->w, t->wt);
    must(ci_cuts_create(t->m, &t->cuts));
}

static void shard_run(struct bench *t, int i, int backward, ci_lid k)
{
    const ci_model_pass pass = {.m = t->m, .w = t->w, .wt = t->wt, .s = t->s[i], .b = &t->b[i], .step = &t->step, .cuts = t->cuts,
                                .grad = t->grad};
    must(ci_model_run(&pass, backward, k));
    for (int j = 0; backward && k == ci_model_cuts(t->m, 1) && j < CI_TERM_COUNT; j++) t->loss += ci_scratch_losses(t->s[i])[j];
}

static void cut_close(struct bench *t, int backward, ci_lid k)
{
    double loss[CI_TERM_COUNT] = {0}, sum[8192];
    ci_lid n = 0;

    for (int i = 0; i < t->n_shard; i++) {
        const double *own = ci_scratch_sums(t->m, t->s[i], backward, k, &n);
        if (n > (ci_lid)CI_COUNT(sum)) exit(70);
        for (ci_lid j = 0; j < n; j++) sum[j] = i ? sum[j] + own[j] : own[j];
    }
    must(ci_cuts_close(t->m, t->cuts, &t->step, backward, k, sum, loss));
    t->loss += loss[CI_TERM_NEIGHBOUR];
}

/** Pass by pass where the model is cut, see model.h; else all of it shard by shard. */
static void batch_run(struct bench *t)
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

/** GFLOP/s of the forward pass of evaluation; *out_share: of the peak. */
static double forward(struct bench *t, double *out_share)
{
    const double flop = ci_model_flops(t->m, SHARD_NODES, SHARD_NODES + SHARD_EDGES, SHARD_EDGES) * t->b[0].n_graph;
    const int loops = (int)(1e9 / flop) + 1;
    const ci_ops *ops = ci_ops_get(t->conf.train.isa);
    double best = 0, most = 0;

    for (int run = 0; run < 5; run++) {
        const double begun = thread_s();
        for (int k = 0; k < loops; k++) must(ci_model_forward(t->m, t->w, t->state, t->s[0], &t->b[0]));
        best = CI_MAX(best, flop * loops / (thread_s() - begun) / 1e9);
        most = CI_MAX(most, peak(ops->lanes));
    }
    *out_share = most > 0 ? best / most : 0;
    return best;
}

static void release(struct bench *t)
{
    for (int i = t->n_shard - 1; i >= 0; i--) { /* the first one's scratch may be everybody's */
        shard_release(&t->b[i]);
        if (i == 0 || t->s[i] != t->s[0]) ci_scratch_destroy(&t->s[i]);
    }
    ci_cuts_destroy(&t->cuts);
    ci_model_destroy(&t->m);
    free(t->w);
    free(t->wt);
    free(t->state);
    free(t->grad);
}

int main(int argc, char **argv)
{
    static struct bench t;
    double begun, spent, share = 0, speed = 0;
    int batches = 0;

    if (argc < 6 || argc > 7) {
        fprintf(stderr, "usage: bench_train gat|vgae small|large PRESET ROWS SECONDS [KEY=VALUE]\n");
        return 64;
    }
    settle(&t, argv, argc > 6 ? argv[6] : NULL);
    batch_make(&t, atoi(argv[4]));
    weights_make(&t);
    step_tell(&t);
    shard_run(&t, 0, 0, 0); /* touches memory */
    begun = thread_s();
    do {
        batch_run(&t);
        batches++;
        spent = thread_s() - begun;
    } while (spent < atof(argv[5]));
    if (ci_model_dims(t.m)->kind == CI_GAT) speed = forward(&t, &share);
    printf("rate=%.1f parameters=%lld dropout=%g unk_drop=%g mask=%g isa=%s shards=%d loss=%.6f forward_gflops=%.1f share=%.3f\n",
           t.n_graph * batches / spent, (long long)ci_model_size(t.m), (double)t.step.dropout, (double)t.step.unk_drop,
           (double)t.step.mask, ci_model_isa(t.m), t.n_shard, t.loss, speed, share);
    release(&t);
    return 0;
}
