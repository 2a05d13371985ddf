/** Graphs judged on the host, of what was computed on a device. */
#include <string.h>
#include "device_priv.h"

/** Rows of all shards of what is judged, on the host. */
struct heap {
    const ci_devmodel *dm;
    float *at[TENSOR_MAX];
};

static size_t place_all(const ci_devmodel *dm, struct heap *out)
{
    size_t used = 0;
    for (ci_lid t = 0; t < dm->m->n_tensor; t++) {
        out->at[t] = dm->judged[t] && dm->host ? dm->host + used : NULL;
        if (dm->judged[t]) used += (size_t)dm->room.most[dm->m->tensor[t].rows] * (size_t)dm->m->tensor[t].cols;
    }
    out->dm = dm;
    return used;
}

static ci_rc host_room(ci_devmodel *dm, struct heap *out)
{
    ci_rc rc = CI_OK;
    void *host = NULL;
    const size_t n = place_all(dm, out);
    if (!dm->host) {
        CI_TRY(ci_device_rc(&dm->device, dm->device.backend->runtime->host_alloc(dm->device.dev, CI_MAX(n, 1) * sizeof(float), &host)));
        dm->host = host;
    }
    place_all(dm, out);
done:
    return rc;
}

static ci_lid rows_in(const ci_batch *b, enum rows rows) { return ci_model_rows(rows, b->n_graph, b->n_node, b->n_edge, b->n_raw); }

/** Of all shards; `only` NULL: all that is judged, else the tensor of this name. */
static ci_rc fetch(const ci_devmodel *dm, const struct heap *h, const ci_batch *const *shard, ci_lid n_shard, const char *only)
{
    ci_rc rc = CI_OK;
    const ci_runtime *run = dm->device.backend->runtime;
    for (ci_lid t = 0; t < dm->m->n_tensor; t++) {
        const struct tensor *o = &dm->m->tensor[t];
        size_t n = 0;
        if (!dm->judged[t] || (only && strcmp(o->name, only))) continue;
        for (ci_lid i = 0; i < n_shard; i++) n += (size_t)rows_in(shard[i], o->rows) * (size_t)o->cols;
        if (n) CI_TRY(ci_device_rc(&dm->device, run->download(dm->device.dev, h->at[t], dm->value[t], n * sizeof(float))));
    }
    CI_TRY(ci_device_rc(&dm->device, run->sync(dm->device.dev, 0, "model.score")));
done:
    return rc;
}

/** Walks through the shards: where the rows of each begin. */
struct walk { size_t row[CI_ROWS_COUNT]; };

static void step_over(struct walk *w, const ci_batch *b)
{
    for (int k = 0; k < CI_ROWS_COUNT; k++) w->row[k] += (size_t)rows_in(b, (enum rows)k);
}

static void scratch_set(const struct heap *h, const struct walk *w, const ci_batch *b, ci_scratch *s)
{
    const ci_model *m = h->dm->m;
    for (ci_lid t = 0; t < m->n_tensor; t++) {
        const struct tensor *o = &m->tensor[t];
        const size_t cols = (size_t)o->cols;
        if (h->at[t]) memcpy(s->value[t], h->at[t] + w->row[o->rows] * cols, (size_t)rows_in(b, o->rows) * cols * sizeof(float));
    }
}

static ci_rc check(const ci_devmodel *dm, const ci_batch *const *shard, ci_lid n_shard, const ci_scratch *s)
{
    ci_rc rc = CI_OK;
    struct walk all = {{0}};
    for (ci_lid i = 0; i < n_shard; step_over(&all, shard[i++])) CI_TRY(ci_shard_check(dm->m, s, shard[i], ci_model_wants_raw(dm->m)));
    for (int k = 0; k < CI_ROWS_COUNT; k++)
        if (all.row[k] > (size_t)dm->room.most[k])
            CI_FAIL(CI_EARG, "shards of %zu graphs, %zu nodes, %zu edges and %zu raw in a model for %d, %d, %d and %d", all.row[0], all.row[1],
                    all.row[2], all.row[3], dm->room.most[0], dm->room.most[1], dm->room.most[2], dm->room.most[3]);
done:
    return rc;
}

struct judging {
    ci_devmodel *dm;
    const struct heap *heap;
    const ci_batch *const *shard;
    ci_lid n_shard;
    const float *w;
    ci_scratch *s;
    float *out;
};

/** What one pass says of each graph; mask NONE: the pass that saw all nodes. */
static ci_rc judge(const struct judging *j, ci_lid mask)
{
    ci_rc rc = CI_OK;
    const ci_model *m = j->dm->m;
    struct walk at = {{0}};
    for (ci_lid i = 0; i < j->n_shard; step_over(&at, j->shard[i++])) {
        const ci_batch *b = j->shard[i];
        float *out = j->out + at.row[PER_GRAPH] * (size_t)m->n_output;
        const struct pass p = {.m = m, .w = j->w, .s = j->s, .b = b, .mask = mask};
        if (!b->n_graph) continue;
        scratch_set(j->heap, &at, b, j->s);
        if (mask == NONE) CI_TRY(ci_score_seen(&p, out));
        else CI_TRY(ci_score_hidden(&p, mask, out));
        if (m->dim.kind == CI_VGAE && mask == (m->dim.masked ? CI_MASKS - 1 : NONE)) ci_score_close(&p, out);
    }
done:
    return rc;
}

static void messages(const struct judging *j, float *message)
{
    const ci_model *m = j->dm->m;
    size_t n = 0;
    for (ci_lid i = 0; i < j->n_shard; i++) n += 2 * (size_t)j->shard[i]->n_raw;
    for (ci_lid t = 0; n && t < m->n_tensor; t++)
        if (j->heap->at[t] && !strcmp(m->tensor[t].name, "message")) memcpy(message, j->heap->at[t], n * sizeof *message);
}

ci_rc ci_devmodel_score(ci_devmodel *dm, const ci_devmodel_pass *a, const ci_batch *const *shard, ci_lid n_shard, const float *w,
                        ci_scratch *s, float *out, float *message)
{
    ci_rc rc = CI_OK;
    const ci_model *m = dm->m;
    ci_k_batch b = *a->b;
    struct heap heap;
    struct devpass p;
    const struct judging j = {dm, &heap, shard, n_shard, w, s, out};

    b.training = 0;
    b.hide = NONE;
    s->n_graph = NONE; /* no backward pass follows */
    CI_TRY(check(dm, shard, n_shard, s));
    CI_TRY(host_room(dm, &heap));
    ci_device_pass(dm, a, &b, &p);
    CI_TRY(ci_device_forward(&p, m->n_record));
    CI_TRY(fetch(dm, &heap, shard, n_shard, NULL));
    CI_TRY(judge(&j, NONE));
    if (message) messages(&j, message);
    for (ci_lid k = 0; k < CI_MASKS && m->dim.kind == CI_VGAE && m->dim.masked; k++) {
        b.hide = k;
        CI_TRY(ci_device_forward(&p, m->n_recon));
        CI_TRY(fetch(dm, &heap, shard, n_shard, "recon"));
        CI_TRY(judge(&j, k));
    }
done:
    return rc;
}
