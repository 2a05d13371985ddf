/** When buffers live on a device, and where. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "device_priv.h"

enum { ALIGNED = 256 }; /* bytes */

/** Lives of a model that is only evaluated: values, until they are judged. */
static void evaluated(const ci_devmodel *dm, struct buffer *all)
{
    const ci_model *m = dm->m;
    for (ci_lid k = 0; k < m->n_record; k++) {
        const struct record *r = &m->record[k];
        for (ci_lid j = 0; j < r->n_in; j++) ci_life_reach(&all[2 * r->in[j]].life, k);
        if (r->out != NONE) ci_life_reach(&all[2 * r->out].life, k);
    }
    for (ci_lid t = 0; t < m->n_tensor; t++)
        if (dm->judged[t]) ci_life_reach(&all[2 * t].life, m->n_record);
}

/** Where the launch of a record is, there is what it looks at. */
static void moved(const ci_devmodel *dm, ci_lid k, struct buffer *all)
{
    const struct record *r = &dm->m->record[k];
    for (int back = 0; back < (dm->room.training ? 2 : 1); back++) {
        const ci_lid at = dm->order[back].at[k];
        if (back && dm->fused[k].gated) continue; /* has no launch */
        for (ci_lid j = 0; j < r->n_in; j++) {
            ci_life_reach(&all[2 * r->in[j]].life, at);
            if (back) ci_life_reach(&all[2 * r->in[j] + 1].life, at);
        }
        if (r->out == NONE) continue;
        ci_life_reach(&all[2 * r->out].life, at);
        if (back) ci_life_reach(&all[2 * r->out + 1].life, at);
    }
}

/** Launches that make more than one record are at the place of one of them; products that wait want their factors to the end. */
static void stretched(const ci_devmodel *dm, struct buffer *all)
{
    const ci_model *m = dm->m;
    const ci_lid end = 2 * m->n_record;
    for (ci_lid k = 0; k < m->n_record; k++) {
        const struct record *r = &m->record[k];
        moved(dm, k, all);
        const struct devkind *kind = &ci_device_kinds[r->kind];
        if (dm->fused[k].gates) ci_life_reach(&all[2 * r->out].life, dm->room.training ? end - 1 - k : k);
        if (!dm->room.training || !dm->grouped) continue;
        for (ci_lid j = 0; kind->products && j < r->n_in; j++) ci_life_reach(&all[2 * r->in[j]].life, end);
        if (r->kind == LINEAR || kind->sums) ci_life_reach(&all[2 * r->out + 1].life, end);
    }
}

static size_t floats(const ci_devmodel *dm, enum rows rows, int64_t cols)
{
    const size_t line = ALIGNED / sizeof(float);
    return ((size_t)dm->room.most[rows] * (size_t)cols + line - 1) / line * line;
}

static void tensors(const ci_devmodel *dm, struct buffer *all)
{
    const ci_model *m = dm->m;
    for (ci_lid t = 0; t < m->n_tensor; t++) {
        const struct tensor *o = &m->tensor[t];
        const struct life never = {2 * m->n_record, -1};
        all[2 * t] = (struct buffer){.life = dm->room.training ? o->value : never};
        all[2 * t + 1] = (struct buffer){.life = o->grad};
        if (dm->aux[t]) continue;
        if (dm->seen[t] == SEEN_TENSOR || dm->grouping) all[2 * t].size = floats(dm, o->rows, o->cols);
        if (dm->room.training) all[2 * t + 1].size = floats(dm, o->rows, o->grad_cols);
    }
    if (!dm->room.training) evaluated(dm, all);
}

static void records(const ci_devmodel *dm, const ci_kernels *k, struct buffer *all)
{
    const ci_model *m = dm->m;
    for (ci_lid i = 0; i < m->n_record; i++) {
        const struct record *r = &m->record[i];
        const struct devkind *kind = &ci_device_kinds[r->kind];
        const ci_lid back = dm->room.training ? 2 * m->n_record - 1 - i : i;
        const ci_lid last = kind->products && dm->grouped && dm->room.training ? 2 * m->n_record : back;
        struct space space[KEEP_OF] = {{0}};
        if (kind->space) kind->space(m, k, r, space);
        for (int j = 0; j < KEEP_OF; j++) {
            const bool work = j >= WORK0;
            struct buffer *b = &all[KEEP_OF * i + j];
            *b = (struct buffer){.life = {work ? back : i, last}};
            if (!work || dm->room.training) b->size = floats(dm, space[j].rows, space[j].cols);
        }
    }
}

/** The next piece behind what is taken; NULL while counting. */
static void *next(ci_devmodel *dm, size_t n, size_t item)
{
    char *at = dm->base ? dm->base + dm->bytes : NULL;
    dm->bytes += (n * item + ALIGNED - 1) / ALIGNED * ALIGNED;
    return at;
}

static void cuts(ci_devmodel *dm)
{
    const ci_model *m = dm->m;
    const size_t most = (size_t)dm->room.most_shard, ranks = (size_t)CI_MAX(dm->room.n_rank, 1);
    for (int back = 0; back < (dm->room.training ? 2 : 1); back++)
        for (ci_lid k = 0; k < m->n_cut[back]; k++) {
            const struct record *r = &m->record[m->cut[back][k].record];
            const size_t n = (size_t)m->cut[back][k].n, cols = (size_t)m->tensor[r->in[0]].cols;
            struct devcut *c = &dm->cut[back][k];
            c->sum.n = (int32_t)n;
            if (!back && r->kind == BATCH_NORM) c->stat = next(dm, 2 * cols, sizeof(float));
            if (!dm->room.training) continue;
            if (!back && r->kind == GAUSSIAN) c->coef = next(dm, (size_t)ci_gaussian_coef_size((ci_lid)cols), sizeof(double));
            c->sum.own = next(dm, most * n, sizeof(double));
            c->sum.all = ranks > 1 ? next(dm, ranks * most * n, sizeof(double)) : c->sum.own;
            c->sum.total = next(dm, n, sizeof(double));
        }
}

static void fixed(ci_devmodel *dm)
{
    const ci_model_dim *d = &dm->m->dim;
    dm->id = next(dm, (size_t)dm->room.most[CI_ROWS_NODE], sizeof *dm->id);
    dm->hidden = next(dm, (size_t)dm->room.most[CI_ROWS_NODE], 1);
    dm->group[0] = next(dm, (size_t)features(dm->m), 1);
    dm->group[1] = next(dm, (size_t)d->n_edge_feature, 1);
    dm->group[2] = next(dm, (size_t)d->n_window_feature, 1);
    cuts(dm);
}

ci_rc ci_device_plan(ci_devmodel *dm, const ci_kernels *k)
{
    ci_rc rc = CI_OK;
    const ci_model *m = dm->m;
    const ci_lid n_tensor = 2 * m->n_tensor, n = n_tensor + KEEP_OF * m->n_record;
    struct buffer *all = ci_new((size_t)n, sizeof *all);

    if (!all) CI_FAIL(CI_ENOMEM, "plan of %d buffers", n);
    tensors(dm, all);
    stretched(dm, all);
    records(dm, k, all + n_tensor);
    dm->bytes = 0;
    float *const base = next(dm, ci_buffers_place(all, n), sizeof *base);
    for (ci_lid j = 0; base && j < n; j++) {
        float *const at = all[j].size ? base + all[j].at : NULL;
        if (j >= n_tensor) dm->keep[(j - n_tensor) / KEEP_OF][(j - n_tensor) % KEEP_OF] = at;
        else if (j % 2) dm->grad[j / 2] = at;
        else dm->value[j / 2] = at;
    }
    fixed(dm);
done:
    free(all);
    return rc;
}

static void judged(ci_devmodel *dm)
{
    static const char *const gat[] = {"logit", "pooled", "message"}, *const vgae[] = {"recon", "mu", "logvar"};
    const ci_model *m = dm->m;
    for (ci_lid t = 0; t < m->n_tensor; t++)
        for (int k = 0; k < 3; k++)
            if (!strcmp(m->tensor[t].name, m->dim.kind == CI_GAT ? gat[k] : vgae[k])) dm->judged[t] = true;
    for (ci_lid k = 0; k < m->n_record; k++) {
        const struct record *r = &m->record[k];
        if (r->kind != ID_HEAD && r->kind != NEIGHBOUR_HEAD && r->kind != GAUSSIAN) continue;
        for (ci_lid j = 0; j < r->n_in; j++) dm->judged[r->in[j]] = true;
    }
}

static void describe(ci_devmodel *dm, const ci_model *m, const ci_devmodel_room *room)
{
    dm->m = m;
    dm->room = *room;
    dm->grouped = room->training;
    for (ci_lid k = 0; k < m->n_record; k++) {
        const struct record *r = &m->record[k];
        for (int j = 0; j < AUX_OF && r->aux[j] != NONE; j++) dm->aux[r->aux[j]] = true;
        if (r->kind == EDGE_INPUT) dm->seen[r->out] = SEEN_EDGE;
        if (r->kind == RAW_INPUT) dm->seen[r->out] = SEEN_RAW;
        if (r->kind == WINDOW_INPUT) dm->seen[r->out] = SEEN_WINDOW;
    }
    judged(dm);
    ci_device_fuse(dm);
    ci_device_order(dm);
}

/** Products wait for the end of the pass unless their factors do not fit. */
static ci_rc plan(ci_devmodel *dm, const ci_kernels *k)
{
    ci_rc rc = CI_OK;
    CI_TRY(ci_device_plan(dm, k));
    if (!dm->grouped || !dm->room.budget || dm->bytes <= dm->room.budget) goto done;
    dm->grouped = false;
    CI_TRY(ci_device_plan(dm, k));
done:
    return rc;
}

ci_rc ci_devmodel_bytes(const ci_model *m, const ci_kernels *k, const ci_devmodel_room *room, size_t *out)
{
    ci_rc rc = CI_OK;
    ci_devmodel *dm = ci_new(1, sizeof *dm);

    *out = 0;
    if (!dm) CI_FAIL(CI_ENOMEM, "plan of a model on a device");
    describe(dm, m, room);
    dm->grouping = room->training && m->dim.group_drop;
    CI_TRY(plan(dm, k));
    *out = dm->bytes;
done:
    free(dm);
    return rc;
}

static ci_rc take(ci_devmodel *dm)
{
    ci_rc rc = CI_OK;
    const ci_runtime *r = dm->device.backend->runtime;
    void *base = NULL;

    CI_TRY(plan(dm, dm->device.backend->kernels));
    rc = ci_device_rc(&dm->device, r->alloc(dm->device.dev, dm->bytes, &base));
    if (rc == CI_ENOMEM && dm->grouped) {
        dm->grouped = false;
        CI_TRY(ci_device_plan(dm, dm->device.backend->kernels));
        rc = ci_device_rc(&dm->device, r->alloc(dm->device.dev, dm->bytes, &base));
    }
    if (rc != CI_OK) goto done;
    dm->base = base;
    CI_TRY(ci_device_plan(dm, dm->device.backend->kernels));
done:
    return rc;
}

static ci_rc groups(ci_devmodel *dm, const ci_feature_set *set)
{
    ci_rc rc = CI_OK;
    const ci_model_dim *d = &dm->m->dim;
    const ci_feature *const column[3] = {set->node + d->x_first, set->edge, set->window};
    const ci_lid n[3] = {features(dm->m), set->n_edge, d->window ? set->n_window : 0};
    const ci_runtime *r = dm->device.backend->runtime;
    uint8_t *group[3] = {NULL, NULL, NULL};

    if (set->n_node != d->n_feature || set->n_edge != d->n_edge_feature || (d->window && set->n_window != d->n_window_feature))
        CI_FAIL(CI_EARG, "groups of %d, %d and %d columns for a model with %d, %d and %d", set->n_node, set->n_edge, set->n_window,
                d->n_feature, d->n_edge_feature, d->n_window_feature);
    for (int k = 0; k < 3; k++) {
        group[k] = ci_new((size_t)n[k] + 1, 1);
        if (!group[k]) CI_FAIL(CI_ENOMEM, "groups of %d columns", n[k]);
        for (ci_lid j = 0; j < n[k]; j++) group[k][j] = (uint8_t)column[k][j].group;
        if (n[k]) CI_TRY(ci_device_rc(&dm->device, r->upload(dm->device.dev, dm->group[k], group[k], (size_t)n[k])));
    }
    CI_TRY(ci_device_rc(&dm->device, r->sync(dm->device.dev, 0, "model.groups")));
done:
    for (int k = 0; k < 3; k++) free(group[k]);
    return rc;
}

ci_rc ci_devmodel_create(const ci_device *d, const ci_model *m, const ci_feature_set *set, const ci_devmodel_room *room,
                         ci_devmodel **out)
{
    ci_rc rc = CI_OK;
    ci_devmodel *dm = NULL;

    *out = NULL;
    if (room->precision != CI_FP32 && d->info.arch && d->info.arch < 80)
        CI_FAIL(CI_ECONF, "train.precision: %s needs a device of compute capability 8.0 or above, %s has %d.%d; write fp32",
                room->precision == CI_BF16 ? "bf16" : "tf32", d->info.name, d->info.arch / 10, d->info.arch % 10);
    dm = ci_new(1, sizeof *dm);
    if (!dm) CI_FAIL(CI_ENOMEM, "model on a device: %zu bytes", sizeof *dm);
    dm->device = *d;
    describe(dm, m, room);
    dm->grouping = room->training && m->dim.group_drop && set;
    CI_TRY(take(dm));
    if (dm->grouping) CI_TRY(groups(dm, set));
    *out = dm;
    dm = NULL;
done:
    ci_devmodel_destroy(&dm);
    return rc;
}

void ci_devmodel_destroy(ci_devmodel **dm)
{
    if (!dm || !*dm) return;
    const ci_runtime *r = (*dm)->device.backend->runtime;
    r->release((*dm)->device.dev, (*dm)->base);
    r->host_release((*dm)->device.dev, (*dm)->host);
    free(*dm);
    *dm = NULL;
}
