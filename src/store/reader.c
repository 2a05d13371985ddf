/* Graphs out of a store: columns as numbers, or frames built into a graph again. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/window.h"
#include "store_priv.h"

struct ci_reader {
    const ci_store *st;
    float by[128], edge_by[128]; /* compact: what a half times 2^log2_scale is multiplied with */
    int32_t *id;          /* (rows) */
    ci_graphs one;        /* room for a graph */
    ci_builder *builder;  /* messages */
    uint32_t *frame;      /* (rows) messages: identifiers of a window as indices; NULL where the file has them so */
    uint32_t *index;      /* (n_id) messages: 0, 1, 2, ... */
};

static ci_lid rows(const ci_store *st)
{
    return ci_feature_rows(st->set, st->head.frames, st->head.compat);
}

static ci_rc builder_make(ci_reader *r)
{
    ci_rc rc = CI_OK;
    const ci_store *st = r->st;

    CI_TRY(ci_builder_create(st->set, st->head.frames, st->head.compat, &r->builder));
    r->index = ci_new((size_t)st->head.n_id, sizeof *r->index);
    if (!r->index) CI_FAIL(CI_ENOMEM, "%d identifiers", st->head.n_id);
    for (int32_t i = 0; i < st->head.n_id; i++) r->index[i] = (uint32_t)i;
    ci_builder_number(r->builder, r->index, st->head.vocab, st->head.n_id);
    if (st->wide_id) goto done;
    r->frame = ci_new((size_t)rows(st), sizeof *r->frame);
    if (!r->frame) CI_FAIL(CI_ENOMEM, "windows of %d frames", rows(st));
done:
    return rc;
}

ci_rc ci_reader_create(const ci_store *st, ci_reader **out)
{
    ci_rc rc = CI_OK;
    ci_reader *r = ci_new(1, sizeof *r);

    *out = NULL;
    if (!r) CI_FAIL(CI_ENOMEM, "a reader");
    r->st = st;
    for (ci_lid k = 0; st->node_half && k < st->set->n_node; k++)
        r->by[k] = __builtin_ldexpf(1, -st->set->node[k].log2_scale);
    for (ci_lid k = 0; st->edge_half && k < st->set->n_edge; k++)
        r->edge_by[k] = __builtin_ldexpf(1, -st->set->edge[k].log2_scale);
    r->id = ci_new((size_t)rows(st), sizeof *r->id);
    if (!r->id) CI_FAIL(CI_ENOMEM, "windows of %d frames", rows(st));
    CI_TRY(ci_graphs_init(&r->one, st->set, 1, rows(st), rows(st)));
    if (st->head.layout == CI_MESSAGES) CI_TRY(builder_make(r));
    *out = r;
    r = NULL;
done:
    ci_reader_destroy(&r);
    return rc;
}

void ci_reader_destroy(ci_reader **reader)
{
    ci_reader *r = *reader;

    if (r) {
        ci_builder_destroy(&r->builder);
        ci_graphs_release(&r->one);
        free(r->id);
        free(r->frame);
        free(r->index);
    }
    free(r);
    *reader = NULL;
}

static void widen_local(const ci_store *st, const void *column, int64_t first, ci_lid n, ci_lid *out)
{
    if (st->wide_local)
        for (ci_lid i = 0; i < n; i++) out[i] = ((const uint16_t *)column)[first + i];
    else
        for (ci_lid i = 0; i < n; i++) out[i] = ((const uint8_t *)column)[first + i];
}

static const int32_t *ids(ci_reader *r, int64_t first, ci_lid n)
{
    if (r->st->wide_id) return (const int32_t *)r->st->node_id + first;
    for (ci_lid i = 0; i < n; i++) r->id[i] = ((const uint16_t *)r->st->node_id)[first + i];
    return r->id;
}

static void halves(const uint16_t *half, ci_lid n, ci_lid F, const float *by, float *x)
{
    ci_half_to_f32(half, (size_t)n * (size_t)F, x);
    for (ci_lid i = 0; i < n; i++)
        for (ci_lid k = 0; k < F; k++) x[i * F + k] *= by[k];
}

/* The exact columns of kd35. */
static void exact(ci_reader *r, int64_t first, ci_lid n)
{
    const ci_store *st = r->st;
    float *e = r->one.e;

    for (ci_lid i = 0; i < n; i++, e += 11) {
        e[0] = st->edge_iat[first + i];
        for (int k = 0; k < 8; k++) e[1 + k] = st->edge_byte[8 * (first + i) + k];
        e[9] = st->edge_bidir[first + i];
        e[10] = (float)store_local(st, st->edge_freq, first + i);
    }
}

static void stored(ci_reader *r, int64_t g, ci_graph_view *v)
{
    const ci_store *st = r->st;
    const int64_t node = st->graph_node[g], edge = st->graph_edge[g];
    const ci_lid F = st->set->n_node, K = st->set->n_edge;

    widen_local(st, st->edge_src, edge, v->n_edge, r->one.src);
    widen_local(st, st->edge_dst, edge, v->n_edge, r->one.dst);
    v->id = ids(r, node, v->n_node);
    if (st->head.layout == CI_FLOAT32) {
        v->x = st->node_x + node * F;
        v->e = st->edge_x + edge * K;
        return;
    }
    halves(st->node_half + node * F, v->n_node, F, r->by, r->one.x);
    if (st->edge_half) halves(st->edge_half + edge * K, v->n_edge, K, r->edge_by, r->one.e);
    else exact(r, edge, v->n_edge);
}

/* Identifiers as their indices: in the same order, so that the graph is the same. */
static uint32_t *window_ids(ci_reader *r, int64_t at)
{
    if (r->st->wide_id) return (uint32_t *)(uintptr_t)r->st->frame_id + at;
    for (ci_lid i = 0; i < rows(r->st); i++) r->frame[i] = ((const uint16_t *)r->st->frame_id)[at + i];
    return r->frame;
}

static void built(ci_reader *r, int64_t g, ci_graph_view *v)
{
    const ci_store *st = r->st;
    const int64_t at = st->capture_frame[st->graph_capture[g]] + st->graph_row[g];
    const ci_table window = {.first_row = st->graph_row[g], .n_own = rows(st), .n = rows(st), .cap = rows(st),
                             .t_ns = (int64_t *)(uintptr_t)st->frame_time + at, .id = window_ids(r, at),
                             .data = (uint64_t *)(uintptr_t)st->frame_data + at,
                             .len = (uint8_t *)(uintptr_t)st->frame_len + at,
                             .attack = (uint8_t *)(uintptr_t)st->frame_label + at};
    ci_rc rc;

    ci_graphs_clear(&r->one);
    rc = ci_window_build(r->builder, &window, 0, &r->one);
    assert(rc == CI_OK && r->one.n_node == v->n_node && r->one.n_edge == v->n_edge); /* room was made, builds counted them */
    (void)rc;
    v->id = (const int32_t *)r->one.id;
}

void ci_store_graph(ci_reader *r, int64_t g, ci_graph_view *out)
{
    const ci_store *st = r->st;
    ci_graph_view v = {.n_node = (ci_lid)(st->graph_node[g + 1] - st->graph_node[g]),
                       .n_edge = (ci_lid)(st->graph_edge[g + 1] - st->graph_edge[g]),
                       .x = r->one.x, .src = r->one.src, .dst = r->one.dst, .e = r->one.e};

    if (st->head.layout == CI_MESSAGES) built(r, g, &v);
    else stored(r, g, &v);
    if (st->graph_window) v.w = st->graph_window + g * st->set->n_window;
    if (st->edge_label) v.edge_label = st->edge_label + st->graph_edge[g];
    *out = v;
}
