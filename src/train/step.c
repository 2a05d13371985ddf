/* One step: shards forward and backward, one integer sum, one pass of the optimiser. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/log.h"
#include "ci/optim.h"
#include "ci/schedule.h"
#include "ci/signal.h"
#include "ci/tick.h"
#include "train_priv.h"

/* Gradients of the shard under way into this thread's sums. */
static ci_rc gradient_add(struct trainer *t, struct worker *w)
{
    ci_rc rc = CI_OK;

    for (ci_lid i = 0; i < t->ck.n_tensor; i++) {
        const ci_param *p = &t->param[i];
        const ci_gid size = (ci_gid)p->rows * p->cols;
        const uint32_t bits = sum_add(w->grad + p->first, size, t->ck.exponent[i], w->sum + p->first);
        if (bits > w->largest[i]) w->largest[i] = bits;
        if (bits >= 0x7f800000u)
            CI_FAIL(CI_ENUMERIC, "the gradient of %s is not finite; a smaller train.lr or train.clip may help", p->name);
    }
done:
    return rc;
}

static ci_rc losses_add(struct trainer *t, struct worker *w, const double *loss)
{
    ci_rc rc = CI_OK;

    for (int k = 0; k < CI_TERM_COUNT; k++) {
        if (!(loss[k] < LOSS_MAX && loss[k] > -LOSS_MAX))
            CI_FAIL(CI_ENUMERIC, "the loss is %g; a smaller train.lr or train.clip may help", loss[k]);
        w->sum[t->ck.n + k] += (int64_t)(loss[k] * (double)(1LL << LOSS_BITS));
    }
done:
    return rc;
}

/* A loss that is not finite: the message becomes which weight is not, where one is. */
static ci_rc blamed(const struct trainer *t, ci_rc rc)
{
    if (rc == CI_ENUMERIC) ci_model_finite(t->model, t->ck.w, "weights");
    return rc;
}

static ci_rc backward(struct trainer *t, struct worker *w, const ci_model_pass *pass, ci_lid k)
{
    ci_rc rc = CI_OK;

    CI_TRY(blamed(t, ci_model_run(pass, 1, k)));
    CI_TRY(gradient_add(t, w));
    if (k == 0) CI_TRY(losses_add(t, w, ci_scratch_losses(pass->s)));
done:
    return rc;
}

/* Pass t->pass over one shard: forward ones, then backward ones; between the two nothing has to be known. */
static ci_rc shard_run(struct trainer *t, struct worker *w, struct slot *s, long shard)
{
    ci_rc rc = CI_OK;
    const ci_lid F = ci_model_cuts(t->model, 0);
    const int64_t from = t->first[shard], n = t->first[shard + 1] - from;

    if (t->pass == 0) {
        s->b = ci_packer_pack(s->lane.packer, t->batch + from, (ci_lid)n);
        s->aid = (ci_model_aid){.weight = t->weight ? t->weight + from : NULL};
        if (t->teacher.model) CI_TRY(teacher_ask(t, w, s));
    }
    const ci_model_pass pass = {.m = t->model, .w = t->ck.w, .wt = t->wt, .s = s->lane.scratch, .b = s->b, .step = &t->step,
                                .aid = &s->aid, .cuts = t->cuts, .grad = w->grad};
    if (t->pass <= F) CI_TRY(ci_model_run(&pass, 0, t->pass));
    if (t->pass >= F) CI_TRY(backward(t, w, &pass, t->pass - F));
done:
    return rc;
}

static ci_rc shards_job(void *arg, int thread)
{
    ci_rc rc = CI_OK;
    struct trainer *t = arg;
    struct worker *w = &t->worker[thread];
    struct slot own = {.lane = t->n_pass == 1 ? t->lane[thread] : (ci_lane){0}};
    long shard;

    if (t->pass == 0) {
        memset(w->sum, 0, (size_t)(t->ck.n + CI_TERM_COUNT) * sizeof *w->sum);
        memset(w->largest, 0, (size_t)t->ck.n_tensor * sizeof *w->largest);
    }
    while ((shard = atomic_fetch_add(&t->next, 1)) < t->end) {
        ci_tick();
        CI_TRY(shard_run(t, w, t->n_pass == 1 ? &own : &t->slot[shard - t->begin], shard));
    }
done:
    return rc;
}

ci_rc located(const struct trainer *t, ci_rc rc)
{
    char message[CI_MESSAGE_MAX];

    if (rc == CI_OK) return rc;
    snprintf(message, sizeof message, "step %lld, rank %d: %.3900s", (long long)t->ck.at.step + 1, t->comm->rank,
             ci_message());
    ci_message_set(message);
    return rc;
}

/* The sums of this rank's shards at the cut that pass t->pass ends in, one shard after the other. */
static ci_rc cut_put(const struct trainer *t, int back, ci_lid k, double **out, ci_lid *out_n)
{
    ci_rc rc = CI_OK;
    const size_t shards = (size_t)(t->end - t->begin);

    ci_scratch_sums(t->model, t->slot[0].lane.scratch, back, k, out_n);
    *out = ci_new(shards * (size_t)*out_n, sizeof **out);
    if (!*out) CI_FAIL(CI_ENOMEM, "sums of %zu shards", shards);
    for (size_t i = 0; i < shards; i++)
        memcpy(*out + i * (size_t)*out_n, ci_scratch_sums(t->model, t->slot[i].lane.scratch, back, k, out_n),
               (size_t)*out_n * sizeof **out);
done:
    return rc;
}

/* Losses of cuts are of the whole batch: they go into the sums once, and have to fit there. */
static ci_rc closed_fit(const struct trainer *t)
{
    ci_rc rc = CI_OK;

    for (int k = 0; k < CI_TERM_COUNT; k++)
        if (!(t->closed[k] < CLOSED_MAX && t->closed[k] > -CLOSED_MAX))
            CI_FAIL(CI_ENUMERIC, "the neighbour loss is %g; a smaller train.lr or train.clip may help", t->closed[k]);
done:
    return rc;
}

/* Behind a pass: what all shards of all ranks brought to the cut, in their order.  Collective. */
static ci_rc cut_close(struct trainer *t, ci_rc mine)
{
    ci_rc rc = CI_OK;
    const ci_lid F = ci_model_cuts(t->model, 0);
    const int back = t->pass >= F;
    const ci_lid k = back ? t->pass - F : t->pass;
    double *own = NULL, *all = NULL;
    size_t bytes = 0;
    ci_lid n = 0;

    if (mine == CI_OK) mine = cut_put(t, back, k, &own, &n);
    CI_TRY_ALL(t->comm, "train.step.pass", located(t, mine));
    CI_TRY(ci_comm_allgather(t->comm, "train.step.cut", own, (size_t)(t->end - t->begin) * (size_t)n * sizeof *own, (void **)&all,
                             &bytes, NULL));
    for (size_t i = 1; i < bytes / sizeof *all / (size_t)n; i++)
        for (ci_lid j = 0; j < n; j++) all[j] += all[i * (size_t)n + (size_t)j];
    CI_TRY(located(t, blamed(t, ci_cuts_close(t->model, t->cuts, &t->step, back, k, all, t->closed))));
    CI_TRY(located(t, closed_fit(t)));
done:
    free(own);
    free(all);
    return rc;
}

/* All passes over this rank's shards, by its threads.  Collective only where the model is cut; *out_mine: how this rank's last pass
 * went, of which the others do not know. */
static ci_rc shards_run(struct trainer *t, ci_rc *out_mine)
{
    ci_rc rc = CI_OK;

    t->begin = (long)ci_part(t->n_shard, t->comm->rank, t->comm->size);
    t->end = (long)ci_part(t->n_shard, t->comm->rank + 1, t->comm->size);
    memset(t->closed, 0, sizeof t->closed);
    *out_mine = CI_OK;
    for (t->pass = 0; t->pass < t->n_pass; t->pass++) {
        atomic_store(&t->next, t->begin);
        *out_mine = ci_pool_run(t->pool, shards_job, t);
        if (t->pass + 1 < t->n_pass) CI_TRY(cut_close(t, *out_mine));
    }
done:
    return rc;
}

/* Sums and maxima of the threads brought together; what cuts brought is everybody's, and counts once. */
static void threads_sum(struct trainer *t)
{
    const ci_lid T = t->ck.n_tensor;
    const ci_gid n = t->ck.n + CI_TERM_COUNT;

    memset(t->agreed, 0, (size_t)(T + AGREED_FLAGS) * sizeof *t->agreed);
    for (int k = 0; k < t->n_worker; k++) {
        const struct worker *w = &t->worker[k];
        if (k == 0) memcpy(t->sum, w->sum, (size_t)n * sizeof *t->sum);
        else
            for (ci_gid i = 0; i < n; i++) t->sum[i] = (int64_t)((uint64_t)t->sum[i] + (uint64_t)w->sum[i]);
        for (ci_lid i = 0; i < T; i++) t->agreed[i] = CI_MAX(t->agreed[i], (int64_t)w->largest[i]);
    }
    for (int k = 0; k < CI_TERM_COUNT && t->comm->rank == 0; k++)
        t->sum[t->ck.n + k] += (int64_t)(t->closed[k] * (double)(1LL << LOSS_BITS));
    for (ci_lid i = 0; i < T; i++)
        if (sum_overflows((uint32_t)t->agreed[i], t->ck.exponent[i])) t->agreed[T + FLAG_OVERFLOW] = 1;
}

double step_size(const struct trainer *t, int64_t batch)
{
    const ci_conf *c = t->conf;
    const char *kind = c->train.schedule;
    const ci_schedule s = {
        .kind = strcmp(kind, "cosine") == 0    ? CI_SCHEDULE_COSINE
                : strcmp(kind, "step") == 0    ? CI_SCHEDULE_STEP
                : strcmp(kind, "plateau") == 0 ? CI_SCHEDULE_PLATEAU
                                               : CI_SCHEDULE_NONE,
        .lr = c->train.lr, .lr_min = c->train.lr_min, .warmup = c->train.warmup, .t_max = c->train.schedule_epochs,
        .step_size = c->train.schedule_epochs ? c->train.schedule_epochs : 50, .gamma = c->train.schedule_gamma};

    return ci_schedule_lr(&s, (int32_t)t->ck.at.epoch, c->train.epochs, (double)(batch + 1) / (double)t->n_batch,
                          t->ck.at.plateau.drops);
}

static bool fast(const struct trainer *t) { return strcmp(t->conf->train.reduce, "fast") == 0; }

/* The gradient from integer sums. */
static void floats(struct trainer *t)
{
    for (ci_lid i = 0; i < t->ck.n_tensor; i++) {
        const ci_param *p = &t->param[i];
        sum_float(t->sum + p->first, (ci_gid)p->rows * p->cols, t->ck.exponent[i], t->g + p->first);
    }
}

/* Sums of all ranks: of integers, which have the same bits in any order; fast: this rank's as floats, half the bytes.  Losses are integers
 * in both.  Collective. */
static ci_rc ranks_sum(struct trainer *t)
{
    ci_rc rc = CI_OK;

    if (!fast(t)) {
        CI_TRY(ci_comm_sum_i64(t->comm, "train.step.sum", t->sum, (size_t)(t->ck.n + CI_TERM_COUNT)));
        goto done;
    }
    floats(t);
    CI_TRY(ci_comm_sum_f32(t->comm, "train.step.fast", t->g, (size_t)t->ck.n));
    CI_TRY(ci_comm_sum_i64(t->comm, "train.step.losses", t->sum + t->ck.n, CI_TERM_COUNT));
done:
    return rc;
}

static ci_rc update(struct trainer *t)
{
    ci_rc rc = CI_OK;
    const ci_conf *c = t->conf;
    const ci_adam adam = {step_size(t, t->ck.at.batch), c->train.beta1, c->train.beta2, c->train.eps, c->train.decay, c->train.clip,
                          strcmp(c->train.optimizer, "adamw") == 0};

    if (!fast(t)) floats(t);
    CI_TRY(ci_adam_step(&adam, t->ck.at.step + 1, t->ck.n, t->g, t->ck.w, t->ck.m, t->ck.v, NULL));
    if (t->cuts) ci_cuts_running(t->model, t->cuts, &t->step, t->ck.state);
done:
    return rc;
}

static void exponents_take(struct trainer *t)
{
    for (ci_lid i = 0; i < t->ck.n_tensor; i++)
        t->ck.exponent[i] = sum_exponent((uint32_t)t->agreed[i], t->ck.exponent[i]);
}

/* The batch under way, cut and with room for it.  Collective where memory may be wanted. */
static ci_rc prepare(struct trainer *t)
{
    ci_rc rc = CI_OK;
    ci_rc mine = batch_begin(t, t->ck.at.batch);

    if (t->n_pass > 1 && mine == CI_OK) {
        const int64_t n = ci_part(t->n_shard, t->comm->rank + 1, t->comm->size) - ci_part(t->n_shard, t->comm->rank, t->comm->size);
        mine = slots_have(t, (size_t)CI_MAX(n, 1));
    }
    if (t->n_pass > 1 || t->weight) CI_TRY_ALL(t->comm, "train.step.room", mine);
    CI_TRY(mine); /* without slots and weights no memory is taken: the same on every rank */
    ci_model_prepare(t->model, t->ck.w, t->wt);
done:
    return rc;
}

ci_rc step_run(struct trainer *t, int *out_signal)
{
    ci_rc rc = CI_OK;
    const ci_lid T = t->ck.n_tensor;
    int redo = t->ck.at.step == 0; /* no step before it has told the exponents */

    if (t->device) return device_step(t, out_signal);
    CI_TRY(prepare(t));
    for (int tries = 0;; tries++) {
        ci_rc mine;
        CI_TRY(shards_run(t, &mine));
        threads_sum(t);
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
    CI_TRY(ranks_sum(t));
    CI_TRY(located(t, update(t)));
    exponents_take(t);
    t->shards_done += t->end - t->begin;
    for (int k = 0; k < CI_TERM_COUNT; k++) t->ck.at.loss_sum += t->sum[t->ck.n + k];
    t->ck.at.step++;
    t->ck.at.batch++;
    *out_signal = (int)t->agreed[T + FLAG_SIGNAL];
done:
    return rc;
}
