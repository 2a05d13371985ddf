/* Which graphs an epoch has, in which order, and what the model is told of a batch of them. */
#include <stdlib.h>
#include <string.h>
#include "ci/curriculum.h"
#include "ci/random.h"
#include "train_priv.h"

static uint8_t label_of(const struct trainer *t, int64_t place) { return t->st->graph_label[t->train[place]]; }

/* The hardest benign graphs, as many as the epoch allows, and all attacks. */
static ci_rc choose_hard(struct trainer *t)
{
    ci_rc rc = CI_OK;
    int64_t n_benign = 0, n_attack = 0, n = 0;
    double *score = ci_new((size_t)t->n_train, sizeof *score);
    int64_t *place = ci_new((size_t)t->n_train, sizeof *place), *out = ci_new((size_t)t->n_train, sizeof *out);

    if (!score || !place || !out) CI_FAIL(CI_ENOMEM, "a curriculum of %lld graphs", (long long)t->n_train);
    t->n_epoch = 0;
    for (int64_t i = 0; i < t->n_train; i++) {
        if (label_of(t, i)) {
            n_attack++;
            continue;
        }
        score[n_benign] = t->difficulty[i];
        place[n_benign++] = i;
    }
    CI_TRY(ci_curriculum_hard(score, n_benign, n_attack, (int32_t)t->ck.at.epoch, t->conf->train.epochs, out, &n));
    for (int64_t i = 0; i < n; i++) t->chosen[t->n_epoch++] = place[out[i]];
    for (int64_t i = 0; i < t->n_train; i++)
        if (label_of(t, i)) t->chosen[t->n_epoch++] = i;
done:
    free(score);
    free(place);
    free(out);
    return rc;
}

static ci_rc choose_momentum(struct trainer *t)
{
    ci_rc rc = CI_OK;
    uint8_t *label = ci_new((size_t)t->n_train, 1);

    if (!label) CI_FAIL(CI_ENOMEM, "a curriculum of %lld graphs", (long long)t->n_train);
    for (int64_t i = 0; i < t->n_train; i++) label[i] = label_of(t, i);
    CI_TRY(ci_curriculum_momentum((uint32_t)t->conf->train.seed, label, t->difficulty, t->n_train, (int32_t)t->ck.at.epoch,
                                  t->conf->train.curriculum_tau, t->chosen, &t->n_epoch));
done:
    free(label);
    return rc;
}

ci_rc epoch_begin(struct trainer *t)
{
    ci_rc rc = CI_OK;
    const ci_conf *c = t->conf;
    int64_t bad = 0;

    if (strcmp(c->train.curriculum, "hard") == 0) {
        CI_TRY(choose_hard(t));
    } else if (strcmp(c->train.curriculum, "momentum") == 0) {
        CI_TRY(choose_momentum(t));
    } else {
        t->n_epoch = t->n_train;
        for (int64_t i = 0; i < t->n_train; i++) t->chosen[i] = i;
    }
    ci_permutation((uint32_t)c->train.seed, CI_RANDOM_SHUFFLE, (uint32_t)t->ck.at.epoch, (int32_t)t->n_epoch, t->order);
    for (int64_t i = 0; i < t->n_epoch; i++) t->graph[i] = t->train[t->chosen[t->order[i]]];
    t->n_batch = ci_batches_cut(t->st, t->graph, t->n_epoch, c->train.batch, c->train.batch_nodes, c->train.batch_edges, t->batch_first, &bad);
    if (t->n_batch < 0) {
        int64_t nodes, edges;
        ci_graphs_count(t->st, &t->graph[bad], 1, &nodes, &edges);
        CI_FAIL(CI_ECONF, "train.batch_nodes %lld, train.batch_edges %lld: graph %lld alone has %lld nodes and %lld edges; raise them",
                (long long)c->train.batch_nodes, (long long)c->train.batch_edges, (long long)t->graph[bad], (long long)nodes,
                (long long)edges);
    }
done:
    return rc;
}

/* Difficulty of the graphs of the batch decides which of them count. */
static ci_rc weigh(struct trainer *t)
{
    ci_rc rc = CI_OK;
    const int64_t n = t->n_batch_graph, begin = t->batch - t->graph;
    double *score = ci_new((size_t)n, sizeof *score), sum = 0;
    uint8_t *label = ci_new((size_t)n, 1);

    if (!score || !label) CI_FAIL(CI_ENOMEM, "a curriculum of %lld graphs", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        const int64_t place = t->chosen[t->order[begin + i]];
        score[i] = t->difficulty[place];
        label[i] = label_of(t, place);
    }
    CI_TRY(ci_curriculum_weight(score, label, n, (int32_t)t->ck.at.epoch, t->conf->train.epochs, t->weight));
    for (int64_t i = 0; i < n; i++) sum += (double)t->weight[i];
    t->step.graph_weight = CI_MAX(sum, 1);
done:
    free(score);
    free(label);
    return rc;
}

ci_class_loss class_loss_of(const ci_conf *c)
{
    return (ci_class_loss){
        .kind = strcmp(c->train.loss, "ce") == 0 ? CI_CE : strcmp(c->train.loss, "focal") == 0 ? CI_FOCAL : CI_WEIGHTED_CE,
        .gamma = c->train.gamma,
        .weight = {1, c->train.attack_weight}};
}

/* What is known of the batch before anybody computes. */
static ci_rc tell(struct trainer *t)
{
    ci_rc rc = CI_OK;
    const ci_conf *c = t->conf;
    const bool teacher = t->teacher.model != NULL;
    const double own = teacher ? 1 - c->distill.alpha : 1;
    ci_model_step *s = &t->step;

    *s = (ci_model_step){.seed = (uint32_t)c->train.seed, .epoch = (uint32_t)t->ck.at.epoch, .dropout = (float)c->train.dropout,
                         .unk_drop = (float)c->train.unk_drop, .mask = (float)c->train.mask,
                         .group_drop = (float)c->train.group_drop, .set = t->st->set,
                         .temperature = c->distill.temperature, .latent = c->distill.latent, .recon = c->distill.recon,
                         .n_graph = t->n_batch_graph, .graph_weight = (double)t->n_batch_graph};
    s->classify = class_loss_of(c);
    s->weight[CI_TERM_TASK] = own * (ci_model_dims(t->model)->kind == CI_VGAE ? c->train.recon : 1);
    s->weight[CI_TERM_ID] = own * c->train.id;
    s->weight[CI_TERM_NEIGHBOUR] = own * c->train.neighbour;
    s->weight[CI_TERM_KL] = own * c->train.kl;
    s->weight[CI_TERM_EDGE] = own * c->train.edge;
    s->weight[CI_TERM_MESSAGE] = own * c->train.message;
    s->weight[CI_TERM_TEACHER] = teacher ? c->distill.alpha : 0;
    ci_graphs_count(t->st, t->batch, t->n_batch_graph, &s->n_node, &s->n_raw);
    for (int64_t i = 0; i < t->n_batch_graph; i++) {
        int64_t nodes, edges;
        ci_graphs_count(t->st, &t->batch[i], 1, &nodes, &edges);
        s->n_masked += ci_model_masked(t->model, s, t->batch[i], (ci_lid)nodes);
    }
    if (s->classify.kind == CI_WEIGHTED_CE) {
        s->graph_weight = 0;
        for (int64_t i = 0; i < t->n_batch_graph; i++) s->graph_weight += s->classify.weight[t->st->graph_label[t->batch[i]] != 0];
    }
    if (t->weight) CI_TRY(weigh(t));
done:
    return rc;
}

ci_rc batch_cut(struct trainer *t, int64_t batch)
{
    ci_rc rc = CI_OK;
    const int64_t begin = t->batch_first[batch];
    int64_t bad = 0;

    t->batch = t->graph + begin;
    t->n_batch_graph = t->batch_first[batch + 1] - begin;
    t->n_shard = ci_shards_cut(t->st, t->batch, t->n_batch_graph, t->conf->train.shard_rows, t->first, &bad);
    if (t->n_shard < 0)
        CI_FAIL(CI_ECONF, "train.shard_rows: %d is less than the nodes of graph %lld; set it to window.frames or more",
                t->conf->train.shard_rows, (long long)t->batch[bad]);
    if (t->n_shard > SHARDS_MAX)
        CI_FAIL(CI_ECONF, "train.batch: %d graphs make %lld shards, at most %d; raise train.shard_rows",
                t->conf->train.batch, (long long)t->n_shard, SHARDS_MAX);
done:
    return rc;
}

ci_rc batch_begin(struct trainer *t, int64_t batch)
{
    ci_rc rc = CI_OK;

    CI_TRY(batch_cut(t, batch));
    CI_TRY(tell(t));
done:
    return rc;
}
