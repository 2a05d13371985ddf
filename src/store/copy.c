/* Graphs from another store: every column as its bytes are, but for what speaks of the store around it. */
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "store_priv.h"

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
    return begins(name, "graph_") || begins(name, "node_") || begins(name, "edge_");
}

bool ci_store_alike(const ci_store_head *a, const ci_store_head *b)
{
    ci_array x[CI_STORE_ARRAYS], y[CI_STORE_ARRAYS];
    const size_t n = ci_store_schema(a, x);

    if (ci_store_schema(b, y) != n || strcmp(a->set, b->set) != 0 || a->compat != b->compat || a->frames != b->frames ||
        a->stride != b->stride)
        return false;
    for (size_t i = 0; i < n; i++)
        if (strcmp(x[i].name, y[i].name) != 0 || (i != A_NODE_ID && (x[i].kind != y[i].kind || x[i].cols != y[i].cols)))
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
    const ci_type kind = i == A_NODE_ID ? store_id_kind(&w->from->head) : a->kind;

    return ci_h5_array(w->from->view, a->name, kind, -1, a->cols, (const void **)out, NULL);
}

static ci_rc copy_bytes(ci_store_writer *w, size_t i, const struct run *r)
{
    ci_rc rc = CI_OK;
    const int64_t row = w->array[i].cols * (int64_t)ci_type_bytes(w->array[i].kind);
    const char *there;

    CI_TRY(column(w, i, &there));
    CI_TRY(ci_h5_write(w->file, i, r->to, r->n, there + r->from * row));
    ci_h5_forget(w->from->view, there + r->from * row, r->n * row);
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

static ci_rc copy_ids(ci_store_writer *w, const struct run *nodes)
{
    ci_rc rc = CI_OK;

    CI_TRY(store_room(w, (size_t)nodes->n * 4));
    for (int64_t k = 0; k < nodes->n; k++) {
        const int32_t was = ci_store_id(w->from, nodes->from + k);
        if (was < 0 || was >= w->from->head.n_id || w->map[was] < 0)
            CI_FAIL(CI_EDATA, "node %lld of the previous store has an identifier that the data has not; scan again",
                    (long long)(nodes->from + k));
        if (w->id_kind == CI_TYPE_U16) ((uint16_t *)w->room)[k] = (uint16_t)w->map[was];
        else ((uint32_t *)w->room)[k] = (uint32_t)w->map[was];
    }
    CI_TRY(ci_h5_write(w->file, A_NODE_ID, nodes->to, nodes->n, w->room));
done:
    return rc;
}

ci_rc ci_store_copy(ci_store_writer *w, int64_t from, int64_t n, int32_t capture, int64_t first_graph, int64_t first_node,
                    int64_t first_edge)
{
    ci_rc rc = CI_OK;
    const int64_t *node = w->from->graph_node, *edge = w->from->graph_edge;
    const struct run graphs = {from, first_graph, n}, nodes = {node[from], first_node, node[from + n] - node[from]},
                     edges = {edge[from], first_edge, edge[from + n] - edge[from]};

    if (n == 0) goto done;
    for (size_t i = 0; i < w->n_array; i++) {
        const char *name = w->array[i].name;
        if (!of_graphs(name)) continue;
        if (i == A_GRAPH_CAPTURE) CI_TRY(copy_capture(w, &graphs, capture));
        else if (i == A_GRAPH_NODE) CI_TRY(copy_offsets(w, i, &graphs, &nodes));
        else if (i == A_GRAPH_EDGE) CI_TRY(copy_offsets(w, i, &graphs, &edges));
        else if (i == A_NODE_ID) CI_TRY(copy_ids(w, &nodes));
        else CI_TRY(copy_bytes(w, i, begins(name, "graph_") ? &graphs : begins(name, "node_") ? &nodes : &edges));
    }
done:
    return rc;
}
