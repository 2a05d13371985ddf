/* Scoring on a device: parts of a rank's shards, each packed by its threads, message passing there, judged here. */
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/log.h"
#include "ci/tick.h"
#include "device_priv.h"

enum { PACKERS = 64, AT_ONCE = 8192 }; /* shards, and rows, that are judged at once */

static ci_rc part_score(struct desk *d, const float *w, ci_scratch *s, const struct run *r, float *out, float *message)
{
    ci_rc rc = CI_OK;
    struct feed *f = &d->feed[0];
    const ci_devmodel_pass p = {.b = &d->judge, .w = d->w, .state = d->state};
    const int64_t n = r->first[r->end] - r->first[r->begin];
    struct rows rows = {0};

    rows_add(d->st, r->graph + r->first[r->begin], n, &rows);
    CI_TRY(feed_pack(d, f, r, true));
    CI_TRY(feed_send(d, f, NULL, NULL, &rows, false));
    *f->host.step = (ci_k_step){.n_rank = 1, .all_shard = (int32_t)(r->end - r->begin), .keep = 1, .n_node = rows.n[CI_ROWS_NODE]};
    for (int64_t i = 0; i < n; i++) f->host.slot[i] = (int32_t)i;
    feed_head(d, f, r, f->edge, NULL);
    CI_TRY(feed_upload(d, f));
    const ci_k_pool pool = pool_view(&d->shape, &f->device);
    kernels_of(d->at)->assemble(d->at->device.dev, &d->judge, &pool);
    CI_TRY(ci_devmodel_score(d->model, &p, d->packed, (ci_lid)(r->end - r->begin), w, s, out, message));
done:
    return rc;
}

ci_rc desk_score(struct desk *d, const ci_model *m, const float *w, ci_scratch *s, const struct run *r, const struct judged *to)
{
    ci_rc rc = CI_OK;
    const double begun = ci_now_s();
    float *message = NULL;
    ci_lid K;

    ci_model_outputs(m, &K);
    if (to->frame) {
        message = ci_new((size_t)d->most.n[CI_ROWS_RAW], 2 * sizeof *message);
        if (!message) CI_FAIL(CI_ENOMEM, "logits of %lld frames", (long long)d->most.n[CI_ROWS_RAW]);
    }
    for (long k = r->begin; k < r->end;) {
        const struct run part = {r->graph, r->first, k, desk_part(d, r, k)};
        const int64_t from = r->first[k], end = r->first[part.end];
        ci_tick();
        CI_TRY(part_score(d, w, s, &part, to->out + K * (from - to->base), message));
        for (int64_t i = to->frame ? to->frame[from] : 0, first = i; to->frame && i < to->frame[end]; i++)
            to->odds[i - to->frame[to->base]] = message[2 * (i - first) + 1] - message[2 * (i - first)];
        k = part.end;
    }
done:
    ci_device_note(0, ci_now_s() - begun);
    free(message);
    return rc;
}

/* Rows of the largest part, of n_packer shards at most. */
static void parts_most(struct desk *d, const struct run *r)
{
    d->most = (struct rows){.n = {1, 1, 1, 1}, .shards = 1};
    for (long k = r->begin; k < r->end; k += d->n_packer) {
        const long end = CI_MIN(k + d->n_packer, r->end);
        struct rows sum = {0};
        rows_add(d->st, r->graph + r->first[k], r->first[end] - r->first[k], &sum);
        sum.shards = end - k;
        rows_max(&d->most, &sum);
    }
}

static ci_rc weights_put(struct desk *d, const ci_trained *e, float *at)
{
    ci_rc rc = CI_OK;
    const ci_runtime *r = runtime_of(d->at);
    ci_dev *const dev = d->at->device.dev;
    size_t used = 0;
    float *w = place((char *)at, &used, (size_t)e->ck.n * sizeof *w), *state = place((char *)at, &used, (size_t)e->ck.n_state * sizeof *w);

    CI_TRY(device_rc(d->at, r->upload(dev, w, e->ck.w, (size_t)e->ck.n * sizeof *w)));
    if (e->ck.n_state) CI_TRY(device_rc(d->at, r->upload(dev, state, e->ck.state, (size_t)e->ck.n_state * sizeof *w)));
    CI_TRY(device_rc(d->at, r->sync(dev, d->at->deadline, "score.weights")));
    d->w = w;
    d->state = state;
done:
    return rc;
}

ci_rc desk_judge(const ci_compute *at, const ci_trained *e, ci_pool *pool, const ci_store *st, int32_t rows, const struct run *r, struct desk *out)
{
    ci_rc rc = CI_OK;
    struct desk d = {.at = at, .st = st, .pool = pool, .shape = shape_of(st, e->model)};
    struct pool one;
    size_t weights = 0, model = 0, wanted = 0, budget = 0;
    ci_devmodel_room room = {.n_rank = 1, .precision = (ci_precision)at->precision};
    void *mine;

    *out = d;
    place(NULL, &weights, (size_t)e->ck.n * sizeof(float));
    place(NULL, &weights, (size_t)e->ck.n_state * sizeof(float));
    CI_TRY(ci_device_budget(&at->device, at->limit, &budget));
    for (d.n_packer = CI_MAX(1, CI_MIN(PACKERS, AT_ONCE / rows));; d.n_packer /= 2) {
        parts_most(&d, r);
        for (int k = 0; k < CI_ROWS_COUNT; k++) room.most[k] = (ci_lid)d.most.n[k];
        room.most_shard = (ci_lid)d.most.shards;
        CI_TRY(ci_devmodel_bytes(e->model, kernels_of(at), &room, &model));
        pool_plan(&d.shape, &d.most, &one);
        wanted = weights + model + one.bytes + batch_bytes(&d.shape, &d.most, false);
        if (wanted <= budget) break;
        if (d.n_packer == 1)
            CI_FAIL(CI_ECONF, "judging wants %.1f MiB of device memory for one shard, and %.1f MiB may be planned with: lower train.shard_rows, raise "
                    "train.device_memory, or set train.device: cpu", (double)wanted / 1048576, (double)budget / 1048576);
    }
    CI_TRY(desk_packers(&d, &e->ck.scaler, rows, CI_MAX(d.n_packer, ci_pool_size(pool))));
    CI_TRY(desk_take(&d, 1, 1));
    CI_TRY(device_rc(at, runtime_of(at)->alloc(at->device.dev, weights, &mine)));
    d.own = mine;
    CI_TRY(weights_put(&d, e, mine));
    CI_TRY(ci_devmodel_create(&at->device, e->model, NULL, &room, &d.model));
    ci_device_note((int64_t)wanted, 0);
    *out = d;
    d = (struct desk){0};
done:
    desk_close(&d);
    return rc;
}
