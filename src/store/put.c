/* Runs of graphs and of frames at the places that scan counted out. */
#include <string.h>
#include "ci/arena.h"
#include "ci/table.h"
#include "store_priv.h"

ci_rc store_room(ci_store_writer *w, size_t bytes)
{
    return ci_grow(&w->room, &w->cap_room, bytes, 1);
}

static ci_rc put_offsets(ci_store_writer *w, size_t array, int64_t at, int64_t base,
                         const ci_lid *first, ci_lid n)
{
    ci_rc rc = CI_OK;
    int64_t *v;

    CI_TRY(store_room(w, (size_t)n * sizeof *v));
    v = w->room;
    for (ci_lid i = 0; i < n; i++) v[i] = base + first[i];
    CI_TRY(ci_h5_write(w->file, array, at, n, v));
done:
    return rc;
}

static ci_rc put_capture(ci_store_writer *w, int32_t capture, int64_t at, ci_lid n)
{
    ci_rc rc = CI_OK;
    int32_t *v;

    CI_TRY(store_room(w, (size_t)n * sizeof *v));
    v = w->room;
    for (ci_lid i = 0; i < n; i++) v[i] = capture;
    CI_TRY(ci_h5_write(w->file, A_GRAPH_CAPTURE, at, n, v));
done:
    return rc;
}

int32_t store_id_index(const ci_store_writer *w, uint32_t id)
{
    int32_t lo = 0, hi = w->n_id;

    if (id < CI_COUNT(w->standard)) return w->standard[id];
    while (lo < hi) {
        const int32_t mid = lo + (hi - lo) / 2;
        if (w->id[mid] < id) lo = mid + 1;
        else hi = mid;
    }
    return lo < w->n_id && w->id[lo] == id ? lo : -1;
}

static ci_rc put_ids(ci_store_writer *w, size_t array, int64_t at, ci_lid n, const uint32_t *id)
{
    ci_rc rc = CI_OK;

    CI_TRY(store_room(w, (size_t)n * 4));
    for (ci_lid i = 0; i < n; i++) {
        const int32_t k = store_id_index(w, id[i]);
        if (k < 0) CI_FAIL(CI_EDATA, "identifier %X was not there when the data was scanned; scan again", id[i]);
        if (w->id_kind == CI_TYPE_U16) ((uint16_t *)w->room)[i] = (uint16_t)k;
        else ((uint32_t *)w->room)[i] = (uint32_t)k;
    }
    CI_TRY(ci_h5_write(w->file, array, at, n, w->room));
done:
    return rc;
}

/* A block of rows at a time, so that the scaled copy stays in cache. */
static ci_rc put_halves(ci_store_writer *w, size_t array, int64_t at, ci_lid rows, const float *v, const ci_feature *column, ci_lid F)
{
    enum { ROWS = 16 };
    ci_rc rc = CI_OK;
    float scaled[ROWS * 128], by[128];

    if (F > 128) CI_FAIL(CI_EINTERNAL, "%d columns", F);
    for (ci_lid k = 0; k < F; k++) by[k] = __builtin_ldexpf(1, column[k].log2_scale);
    CI_TRY(store_room(w, (size_t)rows * (size_t)F * 2));
    for (ci_lid r = 0; r < rows; r += ROWS) {
        const ci_lid n = CI_MIN(ROWS, rows - r);
        const float *x = v + (size_t)r * (size_t)F;
        for (ci_lid i = 0; i < n; i++)
            for (ci_lid k = 0; k < F; k++) scaled[i * F + k] = x[i * F + k] * by[k];
        ci_half_from_f32(scaled, (size_t)(n * F), (uint16_t *)w->room + (size_t)r * (size_t)F);
    }
    CI_TRY(ci_h5_write(w->file, array, at, rows, w->room));
done:
    return rc;
}

static ci_rc put_local(ci_store_writer *w, size_t array, int64_t at, ci_lid n, const ci_lid *v)
{
    ci_rc rc = CI_OK;

    CI_TRY(store_room(w, (size_t)n * 2));
    if (w->local_kind == CI_TYPE_U8)
        for (ci_lid i = 0; i < n; i++) ((uint8_t *)w->room)[i] = (uint8_t)v[i];
    else
        for (ci_lid i = 0; i < n; i++) ((uint16_t *)w->room)[i] = (uint16_t)v[i];
    CI_TRY(ci_h5_write(w->file, array, at, n, w->room));
done:
    return rc;
}

/* Edge features of kd35: iat, eight byte differences, bidir, freq.  One pass over them all. */
static ci_rc put_exact(ci_store_writer *w, int64_t at, const ci_graphs *g)
{
    ci_rc rc = CI_OK;
    const size_t n = (size_t)g->n_edge, F = (size_t)w->set->n_edge;
    float *iat;
    uint16_t *freq;
    uint8_t *byte, *bidir, *narrow;

    CI_TRY(store_room(w, n * (4 + 2 + 8 + 1 + 1)));
    iat = w->room;
    freq = (uint16_t *)(iat + n);
    byte = (uint8_t *)(freq + n);
    bidir = byte + 8 * n;
    narrow = bidir + n;
    for (size_t i = 0; i < n; i++) {
        const float *e = g->e + i * F;
        iat[i] = e[0];
        for (size_t k = 0; k < 8; k++) byte[8 * i + k] = (uint8_t)(int)e[1 + k];
        bidir[i] = (uint8_t)(int)e[9];
        freq[i] = (uint16_t)(int)e[10];
        narrow[i] = (uint8_t)freq[i];
    }
    CI_TRY(ci_h5_write(w->file, A_EDGE_IAT, at, g->n_edge, iat));
    CI_TRY(ci_h5_write(w->file, A_EDGE_BYTE, at, g->n_edge, byte));
    CI_TRY(ci_h5_write(w->file, A_EDGE_BIDIR, at, g->n_edge, bidir));
    CI_TRY(ci_h5_write(w->file, A_EDGE_FREQ, at, g->n_edge, w->local_kind == CI_TYPE_U8 ? (void *)narrow : (void *)freq));
done:
    return rc;
}

ci_rc ci_store_put(ci_store_writer *w, int32_t capture, int64_t first_graph, int64_t first_node,
                   int64_t first_edge, const ci_graphs *g)
{
    ci_rc rc = CI_OK;

    if (g->n_graph == 0) goto done;
    CI_TRY(put_capture(w, capture, first_graph, g->n_graph));
    CI_TRY(ci_h5_write(w->file, A_GRAPH_ROW, first_graph, g->n_graph, g->row));
    CI_TRY(ci_h5_write(w->file, A_GRAPH_LABEL, first_graph, g->n_graph, g->attack));
    CI_TRY(put_offsets(w, A_GRAPH_NODE, first_graph, first_node, g->node_first, g->n_graph));
    CI_TRY(put_offsets(w, A_GRAPH_EDGE, first_graph, first_edge, g->edge_first, g->n_graph));
    if (w->layout == CI_MESSAGES) goto done;
    CI_TRY(put_ids(w, A_NODE_ID, first_node, g->n_node, g->id));
    CI_TRY(put_local(w, A_EDGE_SRC, first_edge, g->n_edge, g->src));
    CI_TRY(put_local(w, A_EDGE_DST, first_edge, g->n_edge, g->dst));
    if (w->set->stream) {
        CI_TRY(ci_h5_write(w->file, A_GRAPH_WINDOW, first_graph, g->n_graph, g->w));
        CI_TRY(ci_h5_write(w->file, A_GRAPH_WARM, first_graph, g->n_graph, g->warm));
        CI_TRY(ci_h5_write(w->file, A_EDGE_LABEL, first_edge, g->n_edge, g->edge_attack));
    }
    if (w->layout == CI_COMPACT) {
        CI_TRY(put_halves(w, A_NODE_X, first_node, g->n_node, g->x, w->set->node, w->set->n_node));
        if (w->set->stream) CI_TRY(put_halves(w, A_EDGE_X, first_edge, g->n_edge, g->e, w->set->edge, w->set->n_edge));
        else CI_TRY(put_exact(w, first_edge, g));
    } else {
        CI_TRY(ci_h5_write(w->file, A_NODE_X, first_node, g->n_node, g->x));
        CI_TRY(ci_h5_write(w->file, A_EDGE_X, first_edge, g->n_edge, g->e));
    }
done:
    return rc;
}

/* What ci_graphs_check is to graphs: a bug of ours ends here, not in a model. */
static ci_rc frames_check(const ci_table *t)
{
    ci_rc rc = CI_OK;

    for (ci_lid i = 0; i < t->n_own; i++)
        if (t->len[i] > 8 || t->attack[i] > 1 || (t->len[i] < 8 && t->data[i] >> 8 * t->len[i]))
            CI_FAIL(CI_EINTERNAL, "row %lld: length %d, data %016llX, label %d", (long long)(t->first_row + i), t->len[i],
                    (unsigned long long)t->data[i], t->attack[i]);
done:
    return rc;
}

ci_rc ci_store_put_frames(ci_store_writer *w, int32_t capture, const ci_table *t)
{
    ci_rc rc = CI_OK;
    int64_t at;

    if (w->layout != CI_MESSAGES || capture < 0 || capture >= w->n_capture)
        CI_FAIL(CI_EARG, "frames of capture %d in a store of layout %s", capture, ci_store_layout_name(w->layout));
    at = w->frame[capture] + t->first_row;
    if (t->first_row < 0 || at + t->n_own > w->frame[capture + 1])
        CI_FAIL(CI_EARG, "rows %lld to %lld of capture %d of %lld rows", (long long)t->first_row,
                (long long)(t->first_row + t->n_own), capture, (long long)(w->frame[capture + 1] - w->frame[capture]));
    CI_TRY(frames_check(t));
    CI_TRY(ci_h5_write(w->file, A_FRAME_TIME, at, t->n_own, t->t_ns));
    CI_TRY(put_ids(w, A_FRAME_ID, at, t->n_own, t->id));
    CI_TRY(ci_h5_write(w->file, A_FRAME_DATA, at, t->n_own, t->data)); /* byte k in bits 8k: little-endian words */
    CI_TRY(ci_h5_write(w->file, A_FRAME_LEN, at, t->n_own, t->len));
    CI_TRY(ci_h5_write(w->file, A_FRAME_LABEL, at, t->n_own, t->attack));
done:
    return rc;
}
