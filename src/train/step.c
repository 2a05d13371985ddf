/* One step: shards forward and backward, one integer sum, one pass of the optimiser. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/log.h"
#include "ci/loss.h"
#include "ci/optim.h"
#include "ci/random.h"
#include "ci/signal.h"
#include "ci/tick.h"
#include "train_priv.h"

void epoch_begin(struct trainer *t)
{
    const int32_t n = (int32_t)t->split.n_train;

    ci_permutation((uint32_t)t->conf->train.seed, CI_RANDOM_SHUFFLE, (uint32_t)t->ck.at.epoch, n, t->order);
    for (int32_t i = 0; i < n; i++) t->graph[i] = t->split.train[t->order[i]];
}

static ci_rc batch_cut(struct trainer *t)
{
    ci_rc rc = CI_OK;
    const int64_t begin = t->ck.at.batch * t->conf->train.batch;
    int64_t bad = 0;

    t->batch = t->graph + begin;
    t->n_batch_graph = CI_MIN(t->conf->train.batch, t->split.n_train - begin);
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

static ci_rc shard_run(struct trainer *t, struct worker *w, ci_lane *lane, long shard)
{
    ci_rc rc = CI_OK;
    const ci_conf *c = t->conf;
    const ci_model_step step = {(uint32_t)c->train.seed, (uint32_t)t->ck.at.epoch, (float)c->train.dropout,
                                (float)c->train.unk_drop};
    const int64_t from = t->first[shard], n = t->first[shard + 1] - from;
    const ci_batch *b = ci_packer_pack(lane->packer, t->batch + from, (ci_lid)n);
    const ci_class_loss kind = {.kind = CI_FOCAL, .gamma = c->train.gamma};
    double loss = 0;

    CI_TRY(ci_model_forward(t->model, t->ck.w, lane->scratch, b, &step, w->logit));
    memset(w->dlogit, 0, (size_t)b->n_graph * 2 * sizeof *w->dlogit);
    rc = ci_classify(&kind, w->logit, b->label, NULL, b->n_graph, 1 / (double)t->n_batch_graph, w->dlogit, &loss);
    if (rc == CI_ENUMERIC) ci_model_finite(t->model, t->ck.w, "weights"); /* tells which tensor it is, where it can */
    CI_TRY(rc);
    CI_TRY(ci_model_backward(t->model, t->ck.w, t->wt, lane->scratch, b, &step, w->dlogit, w->grad));
    for (ci_lid i = 0; i < t->ck.n_tensor; i++) {
        const ci_param *p = &t->param[i];
        const ci_gid size = (ci_gid)p->rows * p->cols;
        const uint32_t bits = sum_add(w->grad + p->first, size, t->ck.exponent[i], w->sum + p->first);
        if (bits > w->largest[i]) w->largest[i] = bits;
        if (bits >= 0x7f800000u)
            CI_FAIL(CI_ENUMERIC, "the gradient of %s is not finite; a smaller train.lr or train.clip may help", p->name);
    }
    if (!(loss < LOSS_MAX)) CI_FAIL(CI_ENUMERIC, "the loss is %g; a smaller train.lr or train.clip may help", loss);
    w->sum[t->ck.n] += (int64_t)(loss * (double)(1LL << LOSS_BITS));
done:
    return rc;
}

static ci_rc shards_job(void *arg, int thread)
{
    ci_rc rc = CI_OK;
    struct trainer *t = arg;
    struct worker *w = &t->worker[thread];
    long shard;

    memset(w->sum, 0, (size_t)(t->ck.n + 1) * sizeof *w->sum);
    memset(w->largest, 0, (size_t)t->ck.n_tensor * sizeof *w->largest);
    while ((shard = atomic_fetch_add(&t->next, 1)) < t->end) {
        ci_tick();
        CI_TRY(shard_run(t, w, &t->lane[thread], shard));
    }
done:
    return rc;
}

/* This rank's shards, by its threads; sums and maxima of the threads brought together. */
static ci_rc shards_run(struct trainer *t)
{
    const ci_comm *c = t->comm;
    const ci_lid T = t->ck.n_tensor;
    const long begin = (long)ci_part(t->n_shard, c->rank, c->size);
    ci_rc rc;

    t->end = (long)ci_part(t->n_shard, c->rank + 1, c->size);
    atomic_store(&t->next, begin);
    rc = ci_pool_run(t->pool, shards_job, t);
    memset(t->agreed, 0, (size_t)(T + AGREED_FLAGS) * sizeof *t->agreed);
    for (int k = 0; k < t->n_thread; k++) {
        const struct worker *w = &t->worker[k];
        if (k == 0) memcpy(t->sum, w->sum, (size_t)(t->ck.n + 1) * sizeof *t->sum);
        else
            for (ci_gid i = 0; i <= t->ck.n; i++) t->sum[i] = (int64_t)((uint64_t)t->sum[i] + (uint64_t)w->sum[i]);
        for (ci_lid i = 0; i < T; i++) t->agreed[i] = CI_MAX(t->agreed[i], (int64_t)w->largest[i]);
    }
    for (ci_lid i = 0; i < T; i++)
        if (sum_overflows((uint32_t)t->agreed[i], t->ck.exponent[i])) t->agreed[T + FLAG_OVERFLOW] = 1;
    return rc;
}

/* A failure in words that say where: which step, on which rank. */
static ci_rc located(const struct trainer *t, ci_rc rc)
{
    char message[CI_MESSAGE_MAX];

    if (rc == CI_OK) return rc;
    snprintf(message, sizeof message, "step %lld, rank %d: %.3900s", (long long)t->ck.at.step + 1, t->comm->rank,
             ci_message());
    ci_message_set(message);
    return rc;
}

static ci_rc update(struct trainer *t)
{
    ci_rc rc = CI_OK;
    const ci_conf *c = t->conf;
    const ci_adam adam = {.lr = c->train.lr, .beta1 = c->train.beta1, .beta2 = c->train.beta2, .eps = c->train.eps,
                          .decay = c->train.decay, .clip = c->train.clip};

    for (ci_lid i = 0; i < t->ck.n_tensor; i++) {
        const ci_param *p = &t->param[i];
        sum_float(t->sum + p->first, (ci_gid)p->rows * p->cols, t->ck.exponent[i], t->g + p->first);
    }
    CI_TRY(ci_adam_step(&adam, t->ck.at.step + 1, t->ck.n, t->g, t->ck.w, t->ck.m, t->ck.v, NULL));
done:
    return rc;
}

static void exponents_take(struct trainer *t)
{
    for (ci_lid i = 0; i < t->ck.n_tensor; i++)
        t->ck.exponent[i] = sum_exponent((uint32_t)t->agreed[i], t->ck.exponent[i]);
}

ci_rc step_run(struct trainer *t, int *out_signal)
{
    ci_rc rc = CI_OK;
    const ci_lid T = t->ck.n_tensor;
    int redo = t->ck.at.step == 0; /* no step before it has told the exponents */

    CI_TRY(batch_cut(t));
    ci_model_prepare(t->model, t->ck.w, t->wt);
    for (int tries = 0;; tries++) {
        ci_rc mine = shards_run(t);
        if (mine == CI_OK && t->late != CI_OK) {
            mine = t->late;
            ci_message_set(t->late_message);
        }
        t->agreed[T + FLAG_FAILED] = mine != CI_OK;
        t->agreed[T + FLAG_SIGNAL] = ci_signal_seen();
        CI_TRY(ci_comm_max_i64(t->comm, "train.step.largest", t->agreed, (size_t)(T + AGREED_FLAGS)));
        if (t->agreed[T + FLAG_FAILED]) CI_TRY(ci_agree(t->comm, "train.step.verdict", located(t, mine)));
        if (!redo && !t->agreed[T + FLAG_OVERFLOW]) break;
        if (tries == 3) CI_FAIL(CI_ENUMERIC, "step %lld: gradients keep outgrowing their units", (long long)t->ck.at.step + 1);
        exponents_take(t);
        redo = 0;
    }
    CI_TRY(ci_comm_sum_i64(t->comm, "train.step.sum", t->sum, (size_t)(t->ck.n + 1)));
    CI_TRY(located(t, update(t)));
    exponents_take(t);
    t->shards_done += t->end - (long)ci_part(t->n_shard, t->comm->rank, t->comm->size);
    t->ck.at.loss_sum += t->sum[t->ck.n];
    t->ck.at.step++;
    t->ck.at.batch++;
    *out_signal = (int)t->agreed[T + FLAG_SIGNAL];
done:
    return rc;
}
