/* Device memory of a training: planned before the first step, said in one line, and taken; more of it between epochs alone. */
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/log.h"
#include "device_priv.h"

enum { SLACK = 16, PACKERS = 64, SHARE_ROWS = 8192 }; /* a sixteenth more than this epoch wants; shards that are judged at once */

/* Bytes of device memory. */
struct plan { size_t state, model, batch, pool, data, budget; };

static double mib(size_t bytes) { return (double)bytes / 1048576; }

/* The most that a rank has in a batch of the epoch that has begun; the same on every rank. */
static ci_rc epoch_need(struct trainer *t, struct rows *most)
{
    ci_rc rc = CI_OK;
    const int size = t->comm->size;

    for (int64_t b = 0; b < t->n_batch; b++) {
        CI_TRY(batch_cut(t, b));
        for (int r = 0; r < size; r++) {
            const int64_t begin = ci_part(t->n_shard, r, size), end = ci_part(t->n_shard, r + 1, size);
            struct rows mine = {0};
            rows_add(t->st, t->batch + t->first[begin], t->first[end] - t->first[begin], &mine);
            mine.shards = end - begin;
            rows_max(most, &mine);
        }
    }
done:
    return rc;
}

/* The largest shard of a list: what is judged, and what is brought to the device, goes by shards. */
static ci_rc shards_need(const struct trainer *t, const int64_t *graph, int64_t n, struct rows *most)
{
    ci_rc rc = CI_OK;
    int64_t bad = 0, n_shard, *first = ci_new((size_t)n + 1, sizeof *first);

    if (!first) CI_FAIL(CI_ENOMEM, "shards of %lld graphs", (long long)n);
    n_shard = ci_shards_cut(t->st, graph, n, t->conf->train.shard_rows, first, &bad);
    if (n_shard < 0)
        CI_FAIL(CI_ECONF, "train.shard_rows: %d is less than the nodes of graph %lld; set it to window.frames or more",
                t->conf->train.shard_rows, (long long)graph[bad]);
    for (int64_t k = 0; k < n_shard; k++) {
        struct rows one = {0};
        rows_add(t->st, graph + first[k], first[k + 1] - first[k], &one);
        rows_max(most, &one);
    }
done:
    free(first);
    return rc;
}

static ci_rc room_for(const struct rows *need, struct rows *out)
{
    ci_rc rc = CI_OK;

    for (int k = 0; k < CI_ROWS_COUNT; k++) {
        out->n[k] = CI_MAX(1, need->n[k] + need->n[k] / SLACK);
        if (out->n[k] > INT32_MAX / 2) CI_FAIL(CI_ECONF, "train.batch: %lld rows of one rank are more than a device is given at once; lower it", (long long)out->n[k]);
    }
    out->shards = CI_MAX(1, need->shards + need->shards / SLACK);
done:
    return rc;
}

static ci_devmodel_room room_of(const struct trainer *t, const struct rows *most, bool training)
{
    ci_devmodel_room r = {.most_shard = (ci_lid)most->shards, .n_rank = t->comm->size, .training = training, .precision = (ci_precision)t->at.precision};

    for (int k = 0; k < CI_ROWS_COUNT; k++) r.most[k] = (ci_lid)most->n[k];
    return r;
}

static ci_rc plan_sizes(struct trainer *t, struct plan *p)
{
    ci_rc rc = CI_OK;
    const struct desk *d = &t->device->desk;
    const ci_devmodel_room own = room_of(t, &d->most, true), its = room_of(t, &d->most, false);
    struct rows all = {0};
    struct pool pool;
    size_t teacher = 0;

    CI_TRY(ci_device_budget(&t->at.device, t->at.limit, &p->budget));
    p->state = state_lay(t, NULL);
    CI_TRY(ci_devmodel_bytes(t->model, kernels_of(&t->at), &own, &p->model));
    if (t->teacher.model) CI_TRY(ci_devmodel_bytes(t->teacher.model, kernels_of(&t->at), &its, &teacher));
    p->model += teacher;
    p->batch = batch_bytes(&d->shape, &d->most, d->weighted);
    pool_plan(&d->shape, &d->most, &pool);
    p->pool = pool.bytes;
    rows_add(t->st, t->train, t->n_train, &all);
    pool_plan(&d->shape, &all, &t->device->data);
    p->data = t->device->data.bytes;
done:
    return rc;
}

/* About how many graphs of a batch would fit. */
static int32_t would_fit(const struct trainer *t, const struct plan *p)
{
    const size_t by_batch = p->model + p->batch + 2 * p->pool;

    return p->budget <= p->state ? 0 : (int32_t)((double)t->conf->train.batch * (double)(p->budget - p->state) / (double)by_batch);
}

/* Resident or streamed, on all ranks alike.  Collective. */
static ci_rc plan_choose(struct trainer *t, const struct plan *p, ci_rc mine)
{
    ci_rc rc = CI_OK;
    const char *how = t->conf->train.device_data;
    const size_t fixed = p->state + p->model + p->batch, resident = fixed + p->pool + p->data, stream = fixed + 2 * p->pool;
    int64_t lacks[2] = {resident > p->budget, stream > p->budget};

    CI_TRY_ALL(t->comm, "train.device.plan", mine);
    CI_TRY(ci_comm_max_i64(t->comm, "train.device.lacks", lacks, CI_COUNT(lacks)));
    t->device->resident = strcmp(how, "stream") != 0 && (!lacks[0] || strcmp(how, "resident") == 0);
    if (lacks[t->device->resident ? 0 : 1]) {
        mine = CI_OK;
        if ((t->device->resident ? resident : stream) > p->budget)
            mine = ci_fail(CI_ECONF, __FILE__, __LINE__, "rank %d: this training wants %.1f MiB of device memory (state %.1f, model %.1f, batch %.1f, data %.1f) and %.1f MiB may be "
                           "planned with: %s (about %d graphs would fit) or train.shard_rows, use more ranks, or raise train.device_memory",
                           t->comm->rank, mib(t->device->resident ? resident : stream), mib(p->state), mib(p->model), mib(p->batch),
                           mib(t->device->resident ? p->pool + p->data : 2 * p->pool), mib(p->budget), t->device->resident ? "write train.device_data: stream, lower train.batch then" : "lower train.batch",
                           would_fit(t, p));
        CI_TRY_ALL(t->comm, "train.device.room", mine);
    }
    ci_log(CI_INFO, "device memory: state %.1f MiB, model %.1f, batch %.1f, data %.1f %s, of %.1f that may be planned with; at most %lld graphs, %lld nodes, %lld edges, "
           "%lld shards a rank", mib(p->state), mib(p->model), mib(p->batch), mib(t->device->resident ? p->pool + p->data : 2 * p->pool),
           t->device->resident ? "resident" : "streamed", mib(p->budget), (long long)t->device->desk.most.n[CI_ROWS_GRAPH],
           (long long)t->device->desk.most.n[CI_ROWS_NODE], (long long)t->device->desk.most.n[CI_ROWS_EDGE], (long long)t->device->desk.most.shards);
done:
    return rc;
}

/* What hangs on the rows of a batch. */
static ci_rc batch_take(struct trainer *t)
{
    ci_rc rc = CI_OK;
    struct device_training *v = t->device;
    const ci_devmodel_room own = room_of(t, &v->desk.most, true), its = room_of(t, &v->desk.most, false);

    CI_TRY(desk_take(&v->desk, 2, v->resident ? 1 : 2));
    CI_TRY(ci_devmodel_create(&t->at.device, t->model, t->conf->train.group_drop > 0 ? t->st->set : NULL, &own, &v->desk.model));
    if (t->teacher.model) CI_TRY(ci_devmodel_create(&t->at.device, t->teacher.model, NULL, &its, &v->teacher));
done:
    return rc;
}

static void batch_drop(struct trainer *t)
{
    struct device_training *v = t->device;

    for (int k = 0; k < 2; k++) runtime_of(&t->at)->graph_destroy(&v->graph[k]);
    ci_devmodel_destroy(&v->desk.model);
    ci_devmodel_destroy(&v->teacher);
    desk_drop(&v->desk);
}

static ci_rc memory_take(struct trainer *t)
{
    ci_rc rc = CI_OK;
    struct device_training *v = t->device;
    void *at;

    CI_TRY(device_rc(&t->at, runtime_of(&t->at)->alloc(t->at.device.dev, state_lay(t, NULL), &at)));
    v->memory = at;
    state_lay(t, v->memory);
    CI_TRY(device_rc(&t->at, runtime_of(&t->at)->host_alloc(t->at.device.dev, said_lay(t, NULL), &at)));
    v->said = at;
    said_lay(t, v->said);
    if (v->resident) {
        CI_TRY(device_rc(&t->at, runtime_of(&t->at)->alloc(t->at.device.dev, v->data.bytes, &at)));
        v->data.at = at;
    }
    CI_TRY(batch_take(t));
    CI_TRY(desk_packers(&v->desk, &t->ck.scaler, t->conf->train.shard_rows, CI_MAX(t->n_thread, CI_MIN(PACKERS, SHARE_ROWS / t->conf->train.shard_rows))));
done:
    return rc;
}

static ci_rc need_all(struct trainer *t, struct rows *need)
{
    ci_rc rc = CI_OK;

    CI_TRY(epoch_begin(t));
    CI_TRY(epoch_need(t, need));
    CI_TRY(shards_need(t, t->train, t->n_train, need));
    CI_TRY(shards_need(t, t->split.valid, t->split.n_valid, need));
done:
    return rc;
}

ci_rc plan_make(struct trainer *t)
{
    ci_rc rc = CI_OK, mine;
    struct desk *d;
    struct rows need = {0};
    struct plan p = {0};

    t->device = ci_new(1, sizeof *t->device);
    CI_TRY_ALL(t->comm, "train.device.have", t->device ? CI_OK : ci_fail(CI_ENOMEM, __FILE__, __LINE__, "a training on a device"));
    d = &t->device->desk;
    *d = (struct desk){.at = &t->at, .st = t->st, .pool = t->pool, .shape = shape_of(t->st, t->model), .weighted = t->weight != NULL};
    mine = need_all(t, &need);
    if (mine == CI_OK) mine = room_for(&need, &d->most);
    if (mine == CI_OK) mine = plan_sizes(t, &p);
    CI_TRY(plan_choose(t, &p, mine));
    CI_TRY_ALL(t->comm, "train.device.take", memory_take(t));
done:
    return rc;
}

ci_rc plan_epoch(struct trainer *t)
{
    ci_rc rc = CI_OK, mine;
    struct device_training *v = t->device;
    struct rows need = v->desk.most, wanted = {0};

    for (int k = 0; k < 2; k++) v->staged[k].batch = -1;
    CI_TRY_ALL(t->comm, "train.device.need", epoch_need(t, &wanted));
    if (!rows_fit(&wanted, &v->desk.most)) { /* the same on every rank */
        rows_max(&need, &wanted);
        batch_drop(t);
        mine = room_for(&need, &v->desk.most);
        if (mine == CI_OK) mine = batch_take(t);
        if (mine == CI_OK) ci_log(CI_INFO, "device memory: epoch %lld has larger batches: %lld graphs, %lld nodes, %lld edges, %lld shards a rank",
                                  (long long)t->ck.at.epoch + 1, (long long)v->desk.most.n[CI_ROWS_GRAPH], (long long)v->desk.most.n[CI_ROWS_NODE],
                                  (long long)v->desk.most.n[CI_ROWS_EDGE], (long long)v->desk.most.shards);
        CI_TRY_ALL(t->comm, "train.device.more", mine);
        CI_TRY(located(t, step_warm(t))); /* larger grids take other kernels, which a capture should not be first to load */
    }
    if (!v->graph[0]) CI_TRY_ALL(t->comm, "train.device.capture", step_capture(t));
done:
    return rc;
}

void plan_drop(struct trainer *t)
{
    struct device_training *v = t->device;

    if (!v || !t->at.device.dev) return;
    batch_drop(t);
    desk_close(&v->desk);
    runtime_of(&t->at)->release(t->at.device.dev, v->data.at);
    runtime_of(&t->at)->release(t->at.device.dev, v->memory);
    runtime_of(&t->at)->host_release(t->at.device.dev, v->said);
    free(v->edge);
    free(v);
    t->device = NULL;
}
