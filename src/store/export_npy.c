/* Arrays as NumPy's NPY files, format 1.0: a magic number, a Python dictionary, the bytes. */
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "export_priv.h"

const char *const export_npy_names[] = {
    "graph_capture.npy", "graph_row.npy",    "graph_label.npy",    "graph_node.npy",     "graph_edge.npy",
    "node_id.npy",       "node_x.npy",       "edge_src.npy",       "edge_dst.npy",       "edge_x.npy",
    "capture_path.npy",  "capture_hash.npy", "capture_folder.npy", "capture_attack.npy", "capture_rows.npy",
    "capture_graph.npy", "folder_name.npy",  "folder_role.npy",    "id_value.npy",       "id_vocab.npy",
    "graph_warm.npy",    "graph_window.npy", "edge_label.npy",     NULL}; /* the last three of streamed sets */

/* Open NAME.npy and write its head; cols 0: one dimension. */
static ci_rc begin(const char *folder, const char *name, const char *kind, int64_t rows, int64_t cols, struct export_file *f)
{
    ci_rc rc = CI_OK;
    unsigned char head[128];
    char file[64], shape[64], text[128];
    int n;

    snprintf(file, sizeof file, "%s.npy", name);
    if (cols) snprintf(shape, sizeof shape, "(%lld, %lld)", (long long)rows, (long long)cols);
    else snprintf(shape, sizeof shape, "(%lld,)", (long long)rows);
    n = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", kind, shape);
    memset(head, ' ', sizeof head); /* the bytes begin at a multiple of 64 */
    memcpy(head, "\x93NUMPY\x01\x00\x76\x00", 10); /* 0x76 = 118 bytes follow */
    memcpy(head + 10, text, (size_t)n);
    head[127] = '\n';
    CI_TRY(export_open(folder, file, f));
    CI_TRY(export_bytes(f, head, sizeof head));
done:
    return rc;
}

static ci_rc whole(const char *folder, const char *name, const char *kind, int64_t rows, size_t size, const void *v)
{
    ci_rc rc = CI_OK;
    struct export_file f = {0};

    CI_TRY(begin(folder, name, kind, rows, 0, &f));
    CI_TRY(export_bytes(&f, v, (size_t)rows * size));
    CI_TRY(export_close(&f));
done:
    export_drop(&f);
    return rc;
}

/* Texts of `width` bytes, `step` bytes from one to the next. */
static ci_rc texts(const char *folder, const char *name, int width, int64_t rows, const char *first, size_t step)
{
    ci_rc rc = CI_OK;
    struct export_file f = {0};
    char kind[16];

    snprintf(kind, sizeof kind, "|S%d", width);
    CI_TRY(begin(folder, name, kind, rows, 0, &f));
    for (int64_t i = 0; i < rows; i++) CI_TRY(export_bytes(&f, first + (size_t)i * step, (size_t)width));
    CI_TRY(export_close(&f));
done:
    export_drop(&f);
    return rc;
}

static ci_rc captures(const ci_store_head *h, const char *folder)
{
    ci_rc rc = CI_OK;
    const int64_t C = h->n_capture, F = h->n_folder;
    const ci_store_capture *c = h->capture;
    int32_t *small = ci_new((size_t)CI_MAX(C, F) + 1, sizeof *small);
    int64_t *large = ci_new((size_t)C + 1, sizeof *large);

    if (!small || !large) CI_FAIL(CI_ENOMEM, "%lld captures", (long long)C);
    CI_TRY(texts(folder, "capture_path", CI_STORE_TEXT, C, C ? c->path : NULL, sizeof *c));
    CI_TRY(texts(folder, "capture_hash", CI_XXH_HEX - 1, C, C ? c->hash : NULL, sizeof *c));
    for (int64_t i = 0; i < C; i++) small[i] = c[i].folder;
    CI_TRY(whole(folder, "capture_folder", "<i4", C, 4, small));
    for (int64_t i = 0; i < C; i++) small[i] = c[i].attack;
    CI_TRY(whole(folder, "capture_attack", "<i4", C, 4, small));
    for (int64_t i = 0; i < C; i++) large[i] = c[i].rows;
    CI_TRY(whole(folder, "capture_rows", "<i8", C, 8, large));
    for (int64_t i = 0; i < C; i++) large[i] = c[i].first_graph;
    large[C] = h->n_graph;
    CI_TRY(whole(folder, "capture_graph", "<i8", C + 1, 8, large));
    CI_TRY(texts(folder, "folder_name", CI_STORE_TEXT, F, F ? h->folder->name : NULL, sizeof *h->folder));
    for (int64_t i = 0; i < F; i++) small[i] = h->folder[i].role;
    CI_TRY(whole(folder, "folder_role", "<i4", F, 4, small));
done:
    free(small);
    free(large);
    return rc;
}

/* Nodes and edges, a graph at a time, into all their files at once; with them what streamed sets have beside. */
static ci_rc graphs(const ci_store *st, const char *folder)
{
    enum { ID, X, SRC, DST, E, W, LABEL, FILES };
    const int files = st->set->stream ? FILES : W;
    ci_rc rc = CI_OK;
    const int64_t nodes = st->head.n_node, edges = st->head.n_edge;
    const size_t F = (size_t)st->set->n_node, K = (size_t)st->set->n_edge;
    struct export_file f[FILES] = {0};
    ci_reader *r = NULL;
    ci_graph_view v;

    CI_TRY(ci_reader_create(st, &r));
    CI_TRY(begin(folder, "node_id", "<i4", nodes, 0, &f[ID]));
    CI_TRY(begin(folder, "node_x", "<f4", nodes, (int64_t)F, &f[X]));
    CI_TRY(begin(folder, "edge_src", "<i4", edges, 0, &f[SRC]));
    CI_TRY(begin(folder, "edge_dst", "<i4", edges, 0, &f[DST]));
    CI_TRY(begin(folder, "edge_x", "<f4", edges, (int64_t)K, &f[E]));
    if (st->set->stream) {
        CI_TRY(whole(folder, "graph_warm", "|u1", st->head.n_graph, 1, st->graph_warm));
        CI_TRY(begin(folder, "graph_window", "<f4", st->head.n_graph, st->set->n_window, &f[W]));
        CI_TRY(begin(folder, "edge_label", "|u1", edges, 0, &f[LABEL]));
    }
    for (int64_t g = 0; g < st->head.n_graph; g++) {
        ci_store_graph(r, g, &v);
        if (st->set->stream) {
            CI_TRY(export_bytes(&f[W], v.w, (size_t)st->set->n_window * sizeof *v.w));
            CI_TRY(export_bytes(&f[LABEL], v.edge_label, (size_t)v.n_edge));
        }
        CI_TRY(export_bytes(&f[ID], v.id, (size_t)v.n_node * sizeof *v.id));
        CI_TRY(export_bytes(&f[X], v.x, (size_t)v.n_node * F * sizeof *v.x));
        CI_TRY(export_bytes(&f[SRC], v.src, (size_t)v.n_edge * sizeof *v.src));
        CI_TRY(export_bytes(&f[DST], v.dst, (size_t)v.n_edge * sizeof *v.dst));
        CI_TRY(export_bytes(&f[E], v.e, (size_t)v.n_edge * K * sizeof *v.e));
        export_forget(st, g);
    }
    for (int i = 0; i < files; i++) CI_TRY(export_close(&f[i]));
done:
    for (int i = 0; i < FILES; i++) export_drop(&f[i]);
    ci_reader_destroy(&r);
    return rc;
}

ci_rc export_npy(const ci_store *st, const char *folder)
{
    ci_rc rc = CI_OK;
    const ci_store_head *h = &st->head;

    CI_TRY(captures(h, folder));
    CI_TRY(whole(folder, "id_value", "<u4", h->n_id, 4, h->id));
    CI_TRY(whole(folder, "id_vocab", "<i4", h->n_id, 4, h->vocab));
    CI_TRY(whole(folder, "graph_capture", "<i4", h->n_graph, 4, st->graph_capture));
    CI_TRY(whole(folder, "graph_row", "<i8", h->n_graph, 8, st->graph_row));
    CI_TRY(whole(folder, "graph_label", "|u1", h->n_graph, 1, st->graph_label));
    CI_TRY(whole(folder, "graph_node", "<i8", h->n_graph + 1, 8, st->graph_node));
    CI_TRY(whole(folder, "graph_edge", "<i8", h->n_graph + 1, 8, st->graph_edge));
    CI_TRY(graphs(st, folder));
done:
    return rc;
}
