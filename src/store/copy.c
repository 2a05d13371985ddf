/* Graphs from another store: every column as its bytes are, but for what speaks of the store around it. */
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "store_priv.h"

enum { FORGET = 2 << 20 }; /* bytes that were copied before their pages are let go of */

/* One for each graph, or one for each of its things: where these begin here and there, and how many are copied. */
struct run {
    int64_t from, to, n;
};

static bool begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

/* What belongs to graphs, not to the store: its columns are those of the same names in any store of its kind. */
static bool of_graphs(const char *name)
{
    return begins(name, "graph_") || begins(name, "node_") || begins(name, "edge_") || begins(name, "frame_");
}

/* The column whose width and values depend on the store's identifiers. */
static size_t ids_at(ci_store_layout layout)
{
    return layout == CI_MESSAGES ? A_FRAME_ID : A_NODE_ID;
}

/* Stored features that are numbers of the vocabulary mean something under the same one only. */
static bool same_numbers(const ci_store_head *a, const ci_store_head *b)
{
    const ci_feature_set *set = ci_feature_set_find(a->set);
    bool numbers = false;

    for (ci_lid k = 0; set && a->layout != CI_MESSAGES && k < set->n_node; k++) numbers |= set->node[k].scaling == CI_SCALE_INDEX;
    if (!numbers) return true;
    return a->n_id == b->n_id && memcmp(a->id, b->id, (size_t)a->n_id * sizeof *a->id) == 0 &&
           memcmp(a->vocab, b->vocab, (size_t)a->n_id * sizeof *a->vocab) == 0;
}

bool ci_store_alike(const ci_store_head *a, const ci_store_head *b)
{
    ci_array x[CI_STORE_ARRAYS], y[CI_STORE_ARRAYS];
    const size_t n = ci_store_schema(a, x);

    if (ci_store_schema(b, y) != n || a->layout != b->layout || strcmp(a->set, b->set) != 0 || strcmp(a->past, b->past) != 0 || a->compat != b->compat || a->frames != b->frames ||
        a->stride != b->stride || !same_numbers(a, b))
        return false;
    for (size_t i = 0; i < n; i++)
        if (strcmp(x[i].name, y[i].name) != 0 || (i != ids_at(a->layout) && (x[i].kind != y[i].kind || x[i].cols != y[i].cols)))
            return false;
    return true;
}

ci_rc ci_store_reuse(ci_store_writer *w, const ci_store *from)
{
    ci_rc rc = CI_OK;

    free(w->map);
    w->from = NULL;
    w->map = ci_new((size_t)from->head.n_id, sizeof *w->map);
    if (!w->map) CI_FAIL(CI_ENOMEM, "%d identifiers", from->head.n_id);
    for (int32_t i = 0; i < from->head.n_id; i++) w->map[i] = store_id_index(w, from->head.id[i]);
    w->from = from;
done:
    return rc;
}

static ci_rc column(const ci_store_writer *w, size_t i, const char **out)
{
    const ci_array *a = &w->array[i];
    const ci_type kind = i == ids_at(w->layout) ? store_id_kind(&w->from->head) : a->kind;

    return ci_h5_array(w->from->view, a->name, kind, -1, a->cols, (const void **)out, NULL);
}

/* Runs of short rows share pages, and the system maps some around each that is touched: none is let go of alone. */
static void looked(ci_store_writer *w, int64_t bytes)
{
    w->seen += bytes;
    if (w->seen < FORGET) return;
    ci_h5_forget_all(w->from->view);
    w->seen = 0;
}

static ci_rc copy_bytes(ci_store_writer *w, size_t i, const struct run *r)
{
    ci_rc rc = CI_OK;
    const int64_t row = w->array[i].cols * (int64_t)ci_type_bytes(w->array[i].kind), piece = CI_MAX(FORGET / row, 1);
    const char *there;

    CI_TRY(column(w, i, &there));
    for (int64_t at = 0; at < r->n; at += piece) {
        const int64_t n = CI_MIN(r->n - at, piece);
        CI_TRY(ci_h5_write(w->file, i, r->to + at, n, there + (r->from + at) * row));
        looked(w, n * row);
    }
done:
    return rc;
}

static ci_rc copy_offsets(ci_store_writer *w, size_t i, const struct run *graphs, const struct run *of)
{
    ci_rc rc = CI_OK;
    const char *there;
    int64_t *v;

    CI_TRY(column(w, i, &there));
    CI_TRY(store_room(w, (size_t)graphs->n * sizeof *v));
    v = w->room;
    for (int64_t k = 0; k < graphs->n; k++) v[k] = ((const int64_t *)there)[graphs->from + k] - of->from + of->to;
    CI_TRY(ci_h5_write(w->file, i, graphs->to, graphs->n, v));
done:
    return rc;
}

static ci_rc copy_capture(ci_store_writer *w, const struct run *graphs, int32_t capture)
{
    ci_rc rc = CI_OK;
    int32_t *v;

    CI_TRY(store_room(w, (size_t)graphs->n * sizeof *v));
    v = w->room;
    for (int64_t k = 0; k < graphs->n; k++) v[k] = capture;
    CI_TRY(ci_h5_write(w->file, A_GRAPH_CAPTURE, graphs->to, graphs->n, v));
done:
    return rc;
}

static ci_rc copy_ids(ci_store_writer *w, size_t i, const struct run *r)
{
    enum { PIECE = 1 << 16 }; /* a graph of a large stride has any number of frames behind it */
    ci_rc rc = CI_OK;
    const char *there;

    CI_TRY(column(w, i, &there));
    CI_TRY(store_room(w, (size_t)CI_MIN(r->n, PIECE) * 4));
    for (int64_t at = 0; at < r->n; at += PIECE) {
        const int64_t n = CI_MIN(r->n - at, PIECE);
        for (int64_t k = 0; k < n; k++) {
            const int32_t was = store_id(w->from, there, r->from + at + k);
            if (was < 0 || was >= w->from->head.n_id || w->map[was] < 0)
                CI_FAIL(CI_EDATA, "%s %lld of the previous store is an identifier that the data has not; scan again",
                        w->array[i].name, (long long)(r->from + at + k));
            if (w->id_kind == CI_TYPE_U16) ((uint16_t *)w->room)[k] = (uint16_t)w->map[was];
            else ((uint32_t *)w->room)[k] = (uint32_t)w->map[was];
        }
        CI_TRY(ci_h5_write(w->file, i, r->to + at, n, w->room));
        looked(w, 4 * n);
    }
done:
    return rc;
}

/* Frames from the row of graph `from` to that of the graph n behind it, or to the capture's end. */
static struct run frames_of(const ci_store_writer *w, int64_t from, int64_t n, int32_t capture)
{
    const ci_store *st = w->from;
    const int32_t was = st->graph_capture[from];
    const ci_store_capture *c = &st->head.capture[was];
    const int64_t k = from - c->first_graph, stride = st->head.stride;
    const int64_t first = k * stride, end = k + n == c->n_graph ? c->rows : (k + n) * stride;

    return (struct run){st->capture_frame[was] + first, w->frame[capture] + first, end - first};
}

static const struct run *run_of(const char *name, const struct run *graphs, const struct run *nodes, const struct run *edges,
                                const struct run *frames)
{
    return begins(name, "graph_") ? graphs : begins(name, "node_") ? nodes : begins(name, "edge_") ? edges : frames;
}

ci_rc ci_store_copy(ci_store_writer *w, int64_t from, int64_t n, int32_t capture, int64_t first_graph, int64_t first_node,
                    int64_t first_edge)
{
    ci_rc rc = CI_OK;
    const int64_t *node = w->from->graph_node, *edge = w->from->graph_edge;
    const struct run graphs = {from, first_graph, n}, nodes = {node[from], first_node, node[from + n] - node[from]},
                     edges = {edge[from], first_edge, edge[from + n] - edge[from]};
    struct run frames = {0, 0, 0};

    if (n == 0) goto done;
    if (w->layout == CI_MESSAGES) frames = frames_of(w, from, n, capture);
    for (size_t i = 0; i < w->n_array; i++) {
        const char *name = w->array[i].name;
        if (!of_graphs(name)) continue;
        if (i == A_GRAPH_CAPTURE) CI_TRY(copy_capture(w, &graphs, capture));
        else if (i == A_GRAPH_NODE) CI_TRY(copy_offsets(w, i, &graphs, &nodes));
        else if (i == A_GRAPH_EDGE) CI_TRY(copy_offsets(w, i, &graphs, &edges));
        else if (i == ids_at(w->layout)) CI_TRY(copy_ids(w, i, w->layout == CI_MESSAGES ? &frames : &nodes));
        else CI_TRY(copy_bytes(w, i, run_of(name, &graphs, &nodes, &edges, &frames)));
    }
done:
    return rc;
}
