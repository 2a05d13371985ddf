/* Where a run computes, and the state of a training that lies on a device. */
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/log.h"
#include "device_priv.h"

/* What kernels add to an element of the sums is of a graph, of PIECE_ROWS rows of a shard, or of more; once for each of the layers that share it. */
enum { PIECE_ROWS = 64, SHARED_MOST = 8 };

ci_rc ci_compute_open(const ci_comm *comm, const ci_conf *conf, ci_compute *out)
{
    ci_rc rc = CI_OK;
    const char *precision = conf->train.precision;

    *out = (ci_compute){.limit = (size_t)conf->train.device_memory << 20, .deadline = conf->comm.deadline_s,
                        .precision = strcmp(precision, "tf32") == 0 ? CI_TF32 : strcmp(precision, "bf16") == 0 ? CI_BF16 : CI_FP32};
    CI_TRY(ci_device_assign(comm, conf->train.device, &out->device));
    if (!out->device.dev) {
        if (out->precision == CI_TF32)
            CI_FAIL(CI_ECONF, "train.precision: tf32 is of devices alone, and this run computes on the CPU; write fp32 or bf16");
        goto done;
    }
    CI_TRY(ci_ring_start(comm, &out->device, out->deadline, &out->ring));
    if (out->ring.ring && comm->rank == 0) ci_log(CI_INFO, "sums over devices: %s", out->device.backend->ring->name);
done:
    if (rc != CI_OK) ci_compute_close(out);
    return rc;
}

void ci_compute_close(ci_compute *at)
{
    if (!at) return;
    ci_ring_stop(&at->ring);
    ci_device_close(&at->device);
    *at = (ci_compute){0};
}

/* ---- the state of a training ---- */

size_t state_lay(struct trainer *t, char *base)
{
    struct device_training *v = t->device;
    ci_k_optim *o = &v->optim;
    const size_t P = (size_t)t->ck.n, T = (size_t)t->ck.n_tensor;
    size_t at = 0;

    o->w = place(base, &at, P * sizeof *o->w);
    o->m = place(base, &at, P * sizeof *o->m);
    o->v = place(base, &at, P * sizeof *o->v);
    o->g = place(base, &at, P * sizeof *o->g);
    o->sum = place(base, &at, (P + CI_TERMS) * sizeof *o->sum);
    o->exponent = place(base, &at, T * sizeof *o->exponent);
    o->largest = place(base, &at, (T + 1) * sizeof *o->largest);
    o->agreed = place(base, &at, (T + CI_FLAGS) * sizeof *o->agreed);
    o->work = place(base, &at, (size_t)kernels_of(&t->at)->optim_work(t->ck.n) * sizeof *o->work);
    o->status = place(base, &at, sizeof *o->status);
    o->tensor = place(base, &at, T * sizeof *o->tensor);
    v->stats = place(base, &at, (size_t)t->ck.n_state * sizeof *v->stats);
    if (!t->teacher.model) return at;
    v->teacher_w = place(base, &at, (size_t)t->teacher.ck.n * sizeof *v->teacher_w);
    v->teacher_state = place(base, &at, (size_t)t->teacher.ck.n_state * sizeof *v->teacher_state);
    return at;
}

size_t said_lay(struct trainer *t, char *base)
{
    struct device_training *v = t->device;
    size_t at = 0;

    v->status = place(base, &at, sizeof *v->status);
    v->agreed = place(base, &at, ((size_t)t->ck.n_tensor + CI_FLAGS) * sizeof *v->agreed);
    v->loss = place(base, &at, CI_TERMS * sizeof *v->loss);
    return at;
}

static ci_rc put(const ci_compute *at, void *to, const void *from, size_t n, size_t item)
{
    return n == 0 ? CI_OK : device_rc(at, runtime_of(at)->upload(at->device.dev, to, from, n * item));
}

static ci_rc get(const ci_compute *at, void *to, const void *from, size_t n, size_t item)
{
    return n == 0 ? CI_OK : device_rc(at, runtime_of(at)->download(at->device.dev, to, from, n * item));
}

/* Units of the sums: as on the CPU, where a shard adds one number to an element, unless a batch may be so large that its pieces together
 * could wrap.  Of settings and store alone: the same on any number of ranks and in all of a training. */
static void sum_units(const struct trainer *t, ci_k_optim *o)
{
    const int64_t graphs = CI_MIN(t->conf->train.batch, 2 * t->n_train);
    int64_t rows = 0;

    for (int64_t i = 0; i < t->n_train; i++) {
        struct rows one = {0};
        rows_add(t->st, &t->train[i], 1, &one);
        rows = CI_MAX(rows, one.n[CI_ROWS_EDGE]); /* nodes and frames are among them */
    }
    o->sum_bits = sum_bits(SHARED_MOST * graphs * (1 + (rows + PIECE_ROWS - 1) / PIECE_ROWS));
    o->sum_aim = o->sum_bits - (SUM_BITS - SUM_AIM);
}

/* t->ck to the device. */
static ci_rc state_put(struct trainer *t)
{
    ci_rc rc = CI_OK;
    const ci_conf *c = t->conf;
    const ci_compute *at = &t->at;
    struct device_training *v = t->device;
    ci_k_optim *o = &v->optim;
    const size_t P = (size_t)t->ck.n, T = (size_t)t->ck.n_tensor;
    ci_k_tensor *tensor = ci_new(T, sizeof *tensor);

    if (!tensor) CI_FAIL(CI_ENOMEM, "%zu tensors", T);
    for (size_t i = 0; i < T; i++) tensor[i] = (ci_k_tensor){t->param[i].first, (int64_t)t->param[i].rows * t->param[i].cols};
    o->n = t->ck.n;
    o->n_tensor = t->ck.n_tensor;
    o->fast = strcmp(c->train.reduce, "fast") == 0;
    sum_units(t, o);
    o->beta1 = c->train.beta1;
    o->beta2 = c->train.beta2;
    o->eps = c->train.eps;
    o->decay = c->train.decay;
    o->clip = c->train.clip;
    o->decoupled = strcmp(c->train.optimizer, "adamw") == 0;
    CI_TRY(put(at, o->w, t->ck.w, P, sizeof *o->w));
    CI_TRY(put(at, o->m, t->ck.m, P, sizeof *o->m));
    CI_TRY(put(at, o->v, t->ck.v, P, sizeof *o->v));
    CI_TRY(put(at, o->exponent, t->ck.exponent, T, sizeof *o->exponent));
    CI_TRY(put(at, v->stats, t->ck.state, (size_t)t->ck.n_state, sizeof *v->stats));
    CI_TRY(put(at, (void *)o->tensor, tensor, T, sizeof *tensor));
    if (t->teacher.model) {
        CI_TRY(put(at, v->teacher_w, t->teacher.ck.w, (size_t)t->teacher.ck.n, sizeof *v->teacher_w));
        CI_TRY(put(at, v->teacher_state, t->teacher.ck.state, (size_t)t->teacher.ck.n_state, sizeof *v->teacher_state));
    }
    CI_TRY(device_rc(at, runtime_of(at)->sync(at->device.dev, at->deadline, "train.device.state")));
    v->desk.w = o->w;
    v->desk.state = v->stats;
done:
    free(tensor);
    return rc;
}

ci_rc device_fetch(struct trainer *t)
{
    ci_rc rc = CI_OK;
    const ci_compute *at = &t->at;
    const size_t P = (size_t)t->ck.n;

    if (!t->device || !t->device->behind) goto done;
    const ci_k_optim *o = &t->device->optim;
    CI_TRY(get(at, t->ck.w, o->w, P, sizeof *o->w));
    CI_TRY(get(at, t->ck.state, t->device->stats, (size_t)t->ck.n_state, sizeof *t->ck.state));
    if (t->comm->rank == 0) { /* who writes checkpoints */
        CI_TRY(get(at, t->ck.m, o->m, P, sizeof *o->m));
        CI_TRY(get(at, t->ck.v, o->v, P, sizeof *o->v));
    }
    CI_TRY(get(at, t->ck.exponent, o->exponent, (size_t)t->ck.n_tensor, sizeof *o->exponent));
    CI_TRY(device_rc(at, runtime_of(at)->sync(at->device.dev, at->deadline, "train.device.fetch")));
    t->device->behind = false;
done:
    return rc;
}

static ci_rc bring(struct trainer *t)
{
    ci_rc rc = CI_OK;

    CI_TRY(state_put(t));
    if (t->device->resident) CI_TRY(data_fill(t));
done:
    return rc;
}

static void used_note(const struct trainer *t)
{
    size_t unused, used = 0;

    if (runtime_of(&t->at)->memory(t->at.device.dev, &unused, &used) == CI_OK) ci_device_note((int64_t)used, 0);
}

ci_rc device_begin(struct trainer *t)
{
    ci_rc rc = CI_OK;

    if (!t->at.device.dev || t->ck.at.finished) goto done;
    CI_TRY(plan_make(t));
    CI_TRY_ALL(t->comm, "train.device.bring", bring(t));
    CI_TRY(located(t, step_warm(t))); /* who fails here leaves for good: the others wait for its device, not for its word */
    used_note(t);
done:
    return rc;
}

ci_rc device_epoch(struct trainer *t)
{
    ci_rc rc = CI_OK;

    if (!t->device) goto done;
    CI_TRY(plan_epoch(t));
    used_note(t);
done:
    return rc;
}

void device_end(struct trainer *t)
{
    plan_drop(t);
    ci_compute_close(&t->at);
}
