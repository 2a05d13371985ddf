/* A step on a device: one graph of kernels, launched once; the next one's rows are packed while it runs.
 *
 * Ranks meet in the ring alone.  Whether one of them failed or was asked to stop goes with the agreed maxima, and what they then do
 * over MPI they do together, as all have the same status. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/log.h"
#include "ci/signal.h"
#include "ci/tick.h"
#include "device_priv.h"

enum { UPDATED, REDO, NOT_FINITE, RANK_FAILED };

/* What the teacher says of the batch, where training looks for it. */
static ci_rc teacher_pass(struct trainer *t, ci_devmodel_pass *p)
{
    ci_rc rc = CI_OK;
    struct device_training *v = t->device;
    const ci_devmodel_pass its = {.b = &v->desk.judge, .w = v->teacher_w, .state = v->teacher_state};
    ci_lid cols;

    if (!v->teacher) goto done;
    CI_TRY(ci_devmodel_forward(v->teacher, &its, false));
    if (t->teacher.ck.dim.kind == CI_GAT) {
        p->teacher_logit = ci_devmodel_tensor(v->teacher, "logit", &cols);
        goto done;
    }
    p->teacher_mu = ci_devmodel_tensor(v->teacher, "mu", &cols);
    p->teacher_recon = ci_devmodel_tensor(v->teacher, "recon", &cols);
done:
    return rc;
}

static ci_rc sums(const struct trainer *t)
{
    ci_rc rc = CI_OK;
    const ci_ring *ring = &t->at.ring;
    const ci_k_optim *o = &t->device->optim;

    CI_TRY(ci_ring_max_i64(ring, o->agreed, (size_t)o->n_tensor + CI_FLAGS));
    if (!o->fast) {
        CI_TRY(ci_ring_sum_i64(ring, o->sum, (size_t)o->n + CI_TERMS));
        goto done;
    }
    kernels_of(&t->at)->optim_float(t->at.device.dev, &t->device->desk.train, o);
    CI_TRY(ci_ring_sum_f32(ring, o->g, (size_t)o->n));
    CI_TRY(ci_ring_sum_i64(ring, o->sum + o->n, CI_TERMS));
done:
    return rc;
}

static ci_rc tell(const struct trainer *t)
{
    ci_rc rc = CI_OK;
    const struct device_training *v = t->device;
    const ci_k_optim *o = &v->optim;
    const ci_runtime *r = runtime_of(&t->at);
    ci_dev *const dev = t->at.device.dev;

    CI_TRY(device_rc(&t->at, r->download(dev, v->status, o->status, sizeof *o->status)));
    CI_TRY(device_rc(&t->at, r->download(dev, v->agreed, o->agreed, ((size_t)o->n_tensor + CI_FLAGS) * sizeof *o->agreed)));
    CI_TRY(device_rc(&t->at, r->download(dev, v->loss, o->sum + o->n, CI_TERMS * sizeof *o->sum)));
done:
    return rc;
}

/* All kernels of a step, of the batch whose head is there and whose graphs are fed by `feed`. */
static ci_rc enqueue(struct trainer *t, int feed)
{
    ci_rc rc = CI_OK;
    struct device_training *v = t->device;
    const struct desk *d = &v->desk;
    const ci_kernels *k = kernels_of(&t->at);
    ci_dev *const dev = t->at.device.dev;
    const ci_k_pool pool = pool_view(&d->shape, v->resident ? &v->data : &d->feed[feed].device);
    ci_devmodel_pass p = {.b = &d->train, .w = v->optim.w, .state = v->stats, .optim = &v->optim, .ring = &t->at.ring,
                          .classify = class_loss_of(t->conf), .temperature = t->conf->distill.temperature};

    k->optim_begin(dev, p.b, &v->optim);
    k->assemble(dev, p.b, &pool);
    CI_TRY(teacher_pass(t, &p));
    CI_TRY(ci_devmodel_train(d->model, &p));
    k->optim_agree(dev, p.b, &v->optim);
    CI_TRY(sums(t));
    k->optim_finish(dev, p.b, &v->optim);
    CI_TRY(ci_devmodel_running(d->model, &p, v->stats));
    CI_TRY(tell(t));
done:
    return rc;
}

/* Kernels and sums are called once before they are captured: code comes to the device, and peers to each other, when first asked for. */
ci_rc step_warm(struct trainer *t)
{
    ci_rc rc = CI_OK;
    struct desk *d = &t->device->desk;
    struct feed *f = &d->feed[0];

    memset(f->head, 0, d->head_bytes);
    *f->host.step = (ci_k_step){.n_rank = t->comm->size, .redo = 1, .t = 1, .keep = 1, .n_node = 1};
    CI_TRY(feed_upload(d, f));
    CI_TRY(enqueue(t, 0));
    CI_TRY(ci_ring_sync(&t->at.ring, t->at.deadline, "train.device.warm"));
done:
    return rc;
}

ci_rc step_capture(struct trainer *t)
{
    ci_rc rc = CI_OK;
    struct device_training *v = t->device;
    const ci_runtime *r = runtime_of(&t->at);

    for (int k = 0; k < (v->resident ? 1 : 2); k++) {
        CI_TRY(device_rc(&t->at, r->capture_begin(t->at.device.dev)));
        const ci_rc asked = enqueue(t, k);
        const ci_rc ended = r->capture_end(t->at.device.dev, &v->graph[k]);
        CI_TRY(asked);
        CI_TRY(device_rc(&t->at, ended));
    }
    ci_log(CI_DEBUG, "a step is one launch of %d kernels", r->graph_kernels(v->graph[0]));
done:
    return rc;
}

/* ---- a step made ready ---- */

static ci_rc stage_fill(struct trainer *t, struct feed *f, struct staged *s)
{
    ci_rc rc = CI_OK;
    struct device_training *v = t->device;
    struct desk *d = &v->desk;
    ci_k_step *step = f->host.step;
    struct rows n = {0};

    CI_TRY(batch_begin(t, s->batch));
    const struct run r = {.graph = t->batch, .first = t->first, .begin = (long)ci_part(t->n_shard, t->comm->rank, t->comm->size),
                          .end = (long)ci_part(t->n_shard, t->comm->rank + 1, t->comm->size)};
    const int64_t from = r.first[r.begin], count = r.first[r.end] - from;
    ci_devmodel_step(t->model, &t->step, step);
    step->all_shard = (int32_t)t->n_shard;
    step->n_rank = t->comm->size;
    step->masked = t->step.n_masked > 0;
    step->n_node = t->step.n_node;
    for (int64_t i = 0; i < count; i++)
        f->host.slot[i] = v->resident ? (int32_t)t->chosen[t->order[t->batch - t->graph + from + i]] : (int32_t)i;
    if (!v->resident) {
        rows_add(t->st, r.graph + from, count, &n);
        CI_TRY(feed_pack(d, f, &r, false));
        CI_TRY(feed_send(d, f, NULL, NULL, &n, true));
    }
    feed_head(d, f, &r, v->resident ? v->edge : f->edge, t->weight);
    s->lr = step_size(t, s->batch);
    s->shards = r.end - r.begin;
done:
    return rc;
}

/* What goes wrong here is told at the step itself. */
static void stage(struct trainer *t, int feed, int64_t batch)
{
    struct staged *s = &t->device->staged[feed];
    struct feed *f = &t->device->desk.feed[feed];

    s->batch = batch;
    s->rc = stage_fill(t, f, s);
    if (s->rc == CI_OK) return;
    snprintf(s->message, sizeof s->message, "%s", ci_message());
    *f->host.step = (ci_k_step){.n_rank = t->comm->size, .keep = 1, .n_node = 1};
}

/* ---- the step ---- */

static ci_rc launch(struct trainer *t, bool redo)
{
    ci_rc rc = CI_OK;
    struct device_training *v = t->device;
    struct feed *f = &v->desk.feed[v->now];
    const struct staged *s = &v->staged[v->now];
    ci_k_step *step = f->host.step;

    step->redo = redo;
    step->failed = s->rc != CI_OK || t->late != CI_OK;
    step->signal = ci_signal_seen();
    step->t = (int32_t)(t->ck.at.step + 1);
    step->lr = s->lr;
    if (!v->resident) CI_TRY(device_rc(&t->at, runtime_of(&t->at)->after_ahead(t->at.device.dev)));
    CI_TRY(feed_upload(&v->desk, f));
    CI_TRY(device_rc(&t->at, runtime_of(&t->at)->launch(t->at.device.dev, v->graph[v->resident ? 0 : v->now])));
done:
    return rc;
}

/* What this rank's own shards brought that is not finite; CI_OK: nothing. */
static ci_rc strange(struct trainer *t)
{
    ci_rc rc = CI_OK;
    const ci_k_optim *o = &t->device->optim;
    const size_t T = (size_t)t->ck.n_tensor;
    uint32_t *largest = ci_new(T + 1, sizeof *largest);

    if (!largest) CI_FAIL(CI_ENOMEM, "%zu tensors", T);
    CI_TRY(device_rc(&t->at, runtime_of(&t->at)->download(t->at.device.dev, largest, o->largest, (T + 1) * sizeof *largest)));
    CI_TRY(device_rc(&t->at, runtime_of(&t->at)->sync(t->at.device.dev, t->at.deadline, "train.step.strange")));
    if (largest[T]) {
        CI_TRY(device_fetch(t));
        CI_TRY(ci_model_finite(t->model, t->ck.w, "weights"));
        CI_FAIL(CI_ENUMERIC, "the loss is not finite, or beyond %g; a smaller train.lr or train.clip may help", LOSS_MAX);
    }
    for (size_t i = 0; i < T; i++)
        if (largest[i] >= 0x7f800000u)
            CI_FAIL(CI_ENUMERIC, "the gradient of %s is not finite; a smaller train.lr or train.clip may help", t->param[i].name);
done:
    free(largest);
    return rc;
}

/* Why this step is not made; all ranks come here.  Collective. */
static ci_rc verdict(struct trainer *t)
{
    ci_rc rc = CI_OK, mine;
    const struct staged *s = &t->device->staged[t->device->now];

    if (*t->device->status == NOT_FINITE) {
        mine = strange(t);
    } else {
        mine = s->rc != CI_OK ? s->rc : t->late;
        if (mine != CI_OK) ci_message_set(s->rc != CI_OK ? s->message : t->late_message);
    }
    CI_TRY_ALL(t->comm, "train.step.verdict", located(t, mine));
    CI_FAIL(CI_ENUMERIC, "step %lld: the norm of the gradient is not finite; a smaller train.lr or train.clip may help", (long long)t->ck.at.step + 1);
done:
    return rc;
}

static ci_rc wait(struct trainer *t)
{
    const double begun = ci_now_s();
    const ci_rc rc = ci_ring_sync(&t->at.ring, t->at.deadline, "train.step");

    ci_device_note(0, ci_now_s() - begun);
    return rc;
}

static bool ends_here(const struct trainer *t)
{
    return t->ck.at.batch + 1 >= t->n_batch || (t->conf->train.steps > 0 && t->ck.at.step + 1 >= t->conf->train.steps);
}

ci_rc device_step(struct trainer *t, int *out_signal)
{
    ci_rc rc = CI_OK;
    struct device_training *v = t->device;
    const int now = v->now, next = 1 - now;
    bool redo = t->ck.at.step == 0; /* no step before it has told the exponents */

    ci_tick();
    if (v->staged[now].batch != t->ck.at.batch) stage(t, now, t->ck.at.batch);
    for (int tries = 0;; tries++) {
        CI_TRY(located(t, launch(t, redo)));
        if (tries == 0 && !ends_here(t)) stage(t, next, t->ck.at.batch + 1);
        CI_TRY(located(t, wait(t)));
        if (*v->status == UPDATED) break;
        if (*v->status != REDO) CI_TRY(verdict(t));
        if (tries == 3) CI_FAIL(CI_ENUMERIC, "step %lld: gradients keep outgrowing their units", (long long)t->ck.at.step + 1);
        redo = false;
    }
    v->behind = true;
    t->shards_done += v->staged[now].shards;
    v->staged[now].batch = -1;
    v->now = next;
    for (int k = 0; k < CI_TERMS; k++) t->ck.at.loss_sum += v->loss[k];
    t->ck.at.step++;
    t->ck.at.batch++;
    *out_signal = (int)v->agreed[t->ck.n_tensor + CI_FLAG_SIGNAL];
done:
    return rc;
}
