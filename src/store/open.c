/* Reading a store: its head into memory, its columns mapped, its offsets checked. */
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "store_priv.h"

static ci_rc attributes_read(const ci_h5_view *v, const char *path, ci_store_head *h)
{
    ci_rc rc = CI_OK;
    char text[64] = "";
    int64_t n = 0;

    if (ci_h5_text(v, "format", text, sizeof text) != CI_OK || strcmp(text, "canids graph store") != 0)
        CI_FAIL(CI_EFORMAT, "%s: not a graph store of canids (format \"%s\")", path, text);
    CI_TRY(ci_h5_number(v, "format_version", &n));
    if (n != CI_STORE_VERSION)
        CI_FAIL(CI_EFORMAT, "%s: store of version %lld, this program reads %d; build it again", path,
                (long long)n, CI_STORE_VERSION);
    CI_TRY(ci_h5_text(v, "layout", text, sizeof text));
    while (h->layout < CI_MESSAGES && strcmp(text, ci_store_layout_name(h->layout)) != 0) h->layout++;
    if (strcmp(text, ci_store_layout_name(h->layout)) != 0) CI_FAIL(CI_EFORMAT, "%s: unknown layout \"%s\"", path, text);
    CI_TRY(ci_h5_text(v, "features", h->set, sizeof h->set));
    CI_TRY(ci_h5_text(v, "compat", text, sizeof text));
    h->compat = strcmp(text, "reference") == 0;
    CI_TRY(ci_h5_text(v, "source_sha256", h->source, sizeof h->source));
    CI_TRY(ci_h5_number(v, "window_frames", &n));
    h->frames = (int32_t)n;
    CI_TRY(ci_h5_number(v, "window_stride", &n));
    h->stride = (int32_t)n;
    CI_TRY(ci_h5_number(v, "vocabulary", &n));
    h->n_vocab = (int32_t)n;
    CI_TRY(ci_h5_number(v, "simulated", &n));
    h->simulated = n == 1;
    if (h->frames < 2 || h->frames > 65535 || h->stride < 1 || h->n_vocab < 0)
        CI_FAIL(CI_EFORMAT, "%s: windows of %d frames every %d, vocabulary of %d", path, h->frames,
                h->stride, h->n_vocab);
done:
    return rc;
}

static ci_rc past_read(const ci_h5_view *v, const char *path, ci_store_head *h)
{
    static const char *const past[] = {"none", "run", "guard", "both", "prefix", "profile"};
    ci_rc rc = CI_OK;
    bool known = false;

    if (h->layout == CI_MESSAGES) CI_FAIL(CI_EFORMAT, "%s: features %s in the layout messages", path, h->set);
    CI_TRY(ci_h5_text(v, "past", h->past, sizeof h->past));
    for (size_t i = 0; i < CI_COUNT(past); i++) known |= strcmp(h->past, past[i]) == 0;
    if (!known || strcmp(ci_feature_set_of("agnostic", h->past)->name, h->set) != 0)
        CI_FAIL(CI_EFORMAT, "%s: features %s of the past \"%s\"", path, h->set, h->past);
done:
    return rc;
}

static ci_rc captures_read(const ci_h5_view *v, ci_store_head *h)
{
    ci_rc rc = CI_OK;
    int64_t C, F;
    const char *path, *hash, *name;
    const int32_t *folder, *attack, *role;
    const int64_t *rows, *graph;

    CI_TRY(ci_h5_array(v, "capture_path", CI_TYPE_TEXT, -1, CI_STORE_TEXT, (const void **)&path, &C));
    CI_TRY(ci_h5_array(v, "folder_name", CI_TYPE_TEXT, -1, CI_STORE_TEXT, (const void **)&name, &F));
    CI_TRY(ci_h5_array(v, "capture_hash", CI_TYPE_TEXT, C, CI_XXH_HEX - 1, (const void **)&hash, NULL));
    CI_TRY(ci_h5_array(v, "capture_folder", CI_TYPE_I32, C, 1, (const void **)&folder, NULL));
    CI_TRY(ci_h5_array(v, "capture_attack", CI_TYPE_I32, C, 1, (const void **)&attack, NULL));
    CI_TRY(ci_h5_array(v, "capture_rows", CI_TYPE_I64, C, 1, (const void **)&rows, NULL));
    CI_TRY(ci_h5_array(v, "capture_graph", CI_TYPE_I64, C + 1, 1, (const void **)&graph, NULL));
    CI_TRY(ci_h5_array(v, "folder_role", CI_TYPE_I32, F, 1, (const void **)&role, NULL));
    h->capture = ci_new((size_t)C, sizeof *h->capture);
    h->folder = ci_new((size_t)F, sizeof *h->folder);
    if (!h->capture || !h->folder) CI_FAIL(CI_ENOMEM, "%lld captures", (long long)C);
    h->n_capture = (int32_t)C;
    h->n_folder = (int32_t)F;
    if (graph[0] != 0) CI_FAIL(CI_EFORMAT, "captures of the store are out of order: the first graph is %lld", (long long)graph[0]);
    for (int64_t i = 0; i < C; i++) {
        ci_store_capture *c = &h->capture[i];
        memcpy(c->path, path + i * CI_STORE_TEXT, CI_STORE_TEXT - 1);
        memcpy(c->hash, hash + i * (CI_XXH_HEX - 1), CI_XXH_HEX - 1);
        c->folder = folder[i];
        c->attack = attack[i];
        c->rows = rows[i];
        c->first_graph = graph[i];
        c->n_graph = graph[i + 1] - graph[i];
        if (c->folder < 0 || c->folder >= F || c->n_graph < 0 || c->rows < 0 || c->rows > (int64_t)1 << 48)
            CI_FAIL(CI_EFORMAT, "capture %lld of the store is out of order", (long long)i);
        h->n_frame += store_frames(c);
    }
    h->n_graph = graph[C];
    for (int64_t i = 0; i < F; i++) {
        memcpy(h->folder[i].name, name + i * CI_STORE_TEXT, CI_STORE_TEXT - 1);
        h->folder[i].role = role[i];
        if (role[i] < 0 || role[i] > 2) CI_FAIL(CI_EFORMAT, "folder %lld of the store has role %d", (long long)i, role[i]);
    }
done:
    return rc;
}

static ci_rc ids_read(const ci_h5_view *v, ci_store_head *h)
{
    ci_rc rc = CI_OK;
    const uint32_t *value;
    const int32_t *vocab;
    int64_t n;

    CI_TRY(ci_h5_array(v, "id_value", CI_TYPE_U32, -1, 1, (const void **)&value, &n));
    CI_TRY(ci_h5_array(v, "id_vocab", CI_TYPE_I32, n, 1, (const void **)&vocab, NULL));
    h->id = ci_new((size_t)n, sizeof *h->id);
    h->vocab = ci_new((size_t)n, sizeof *h->vocab);
    if (!h->id || !h->vocab) CI_FAIL(CI_ENOMEM, "%lld identifiers", (long long)n);
    h->n_id = (int32_t)n;
    memcpy(h->id, value, (size_t)n * sizeof *value);
    memcpy(h->vocab, vocab, (size_t)n * sizeof *vocab);
    for (int64_t i = 0; i < n; i++)
        if (vocab[i] < 0 || vocab[i] > h->n_vocab)
            CI_FAIL(CI_EFORMAT, "identifier %X has number %d of a vocabulary of %d", value[i],
                    vocab[i], h->n_vocab);
done:
    return rc;
}

static ci_rc built_map(ci_store *st)
{
    ci_rc rc = CI_OK;
    const ci_h5_view *v = st->view;
    ci_store_head *h = &st->head;
    const bool half = h->layout == CI_COMPACT;
    const ci_lid K = st->set->n_edge;
    const ci_type local = store_local_kind(h);
    const void *x;
    int64_t N, E;

    CI_TRY(ci_h5_array(v, "node_x", half ? CI_TYPE_F16 : CI_TYPE_F32, -1, st->set->n_node, &x, &N));
    CI_TRY(ci_h5_array(v, "node_id", store_id_kind(h), N, 1, &st->node_id, NULL));
    CI_TRY(ci_h5_array(v, "edge_src", local, -1, 1, &st->edge_src, &E));
    CI_TRY(ci_h5_array(v, "edge_dst", local, E, 1, &st->edge_dst, NULL));
    if (half) st->node_half = x;
    else st->node_x = x;
    if (store_exact(h, st->set)) {
        CI_TRY(ci_h5_array(v, "edge_iat", CI_TYPE_F32, E, 1, (const void **)&st->edge_iat, NULL));
        CI_TRY(ci_h5_array(v, "edge_freq", local, E, 1, &st->edge_freq, NULL));
        CI_TRY(ci_h5_array(v, "edge_byte", CI_TYPE_U8, E, 8, (const void **)&st->edge_byte, NULL));
        CI_TRY(ci_h5_array(v, "edge_bidir", CI_TYPE_U8, E, 1, (const void **)&st->edge_bidir, NULL));
    } else if (half) CI_TRY(ci_h5_array(v, "edge_x", CI_TYPE_F16, E, K, (const void **)&st->edge_half, NULL));
    else CI_TRY(ci_h5_array(v, "edge_x", CI_TYPE_F32, E, K, (const void **)&st->edge_x, NULL));
    h->n_node = N;
    h->n_edge = E;
done:
    return rc;
}

static ci_rc stream_map(ci_store *st)
{
    ci_rc rc = CI_OK;
    const ci_h5_view *v = st->view;
    const ci_store_head *h = &st->head;

    CI_TRY(ci_h5_array(v, "graph_window", CI_TYPE_F32, h->n_graph, st->set->n_window, (const void **)&st->graph_window, NULL));
    CI_TRY(ci_h5_array(v, "graph_warm", CI_TYPE_U8, h->n_graph, 1, (const void **)&st->graph_warm, NULL));
    CI_TRY(ci_h5_array(v, "edge_label", CI_TYPE_U8, h->n_edge, 1, (const void **)&st->edge_label, NULL));
done:
    return rc;
}

static ci_rc frames_map(ci_store *st)
{
    ci_rc rc = CI_OK;
    const ci_h5_view *v = st->view;
    ci_store_head *h = &st->head;
    const int64_t C = h->n_capture, M = h->n_frame;

    CI_TRY(ci_h5_array(v, "capture_frame", CI_TYPE_I64, C + 1, 1, (const void **)&st->capture_frame, NULL));
    CI_TRY(ci_h5_array(v, "frame_time", CI_TYPE_I64, M, 1, (const void **)&st->frame_time, NULL));
    CI_TRY(ci_h5_array(v, "frame_id", store_id_kind(h), M, 1, &st->frame_id, NULL));
    CI_TRY(ci_h5_array(v, "frame_data", CI_TYPE_U8, M, 8, (const void **)&st->frame_data, NULL));
    CI_TRY(ci_h5_array(v, "frame_len", CI_TYPE_U8, M, 1, (const void **)&st->frame_len, NULL));
    CI_TRY(ci_h5_array(v, "frame_label", CI_TYPE_U8, M, 1, (const void **)&st->frame_label, NULL));
    if ((uintptr_t)st->frame_data % sizeof(uint64_t) != 0) CI_FAIL(CI_EFORMAT, "array frame_data is not aligned to its rows");
    for (int64_t c = 0, at = 0; c <= C; at += c < C ? store_frames(&h->capture[c]) : 0, c++)
        if (st->capture_frame[c] != at)
            CI_FAIL(CI_EFORMAT, "capture %lld of the store begins at frame %lld, wanted %lld", (long long)c,
                    (long long)st->capture_frame[c], (long long)at);
    h->n_node = st->graph_node[h->n_graph]; /* nowhere in the file: there is nothing they could contradict */
    h->n_edge = st->graph_edge[h->n_graph];
done:
    return rc;
}

enum { FORGET = 65536 }; /* graphs that are looked at before their pages are let go: opening takes as little for any number */

static void forget(const ci_store *st, int64_t first)
{
    const ci_h5_view *v = st->view;
    const int64_t edge = st->graph_edge[first], end = st->graph_edge[first + FORGET];

    ci_h5_forget(v, st->graph_node + first, FORGET * (int64_t)sizeof *st->graph_node);
    ci_h5_forget(v, st->graph_edge + first, FORGET * (int64_t)sizeof *st->graph_edge);
    ci_h5_forget(v, st->graph_row + first, FORGET * (int64_t)sizeof *st->graph_row);
    ci_h5_forget(v, st->graph_capture + first, FORGET * (int64_t)sizeof *st->graph_capture);
    ci_h5_forget(v, st->graph_label + first, FORGET * (int64_t)sizeof *st->graph_label);
    if (!st->set->stream) return;
    ci_h5_forget(v, st->graph_warm + first, FORGET * (int64_t)sizeof *st->graph_warm);
    ci_h5_forget(v, st->edge_label + edge, end - edge);
}

static ci_rc labels_check(const ci_store *st, int64_t g)
{
    ci_rc rc = CI_OK;

    for (int64_t e = st->graph_edge[g]; e < st->graph_edge[g + 1]; e++)
        if (st->edge_label[e] > 1) CI_FAIL(CI_EFORMAT, "graph %lld of the store cannot be: edge_label %d", (long long)g, st->edge_label[e]);
done:
    return rc;
}

/* Graphs are where the offsets say, and windows within their captures. */
static ci_rc graphs_check(ci_store *st)
{
    ci_rc rc = CI_OK;
    const ci_store_head *h = &st->head;
    const int64_t G = h->n_graph;
    const ci_lid rows = ci_feature_rows(st->set, h->frames, h->compat), most = ci_feature_edges(st->set, h->frames, h->compat);

    if (st->graph_node[0] != 0 || st->graph_node[G] != h->n_node || st->graph_edge[0] != 0 || st->graph_edge[G] != h->n_edge)
        CI_FAIL(CI_EFORMAT, "offsets of the store do not span its %lld nodes and %lld edges",
                (long long)h->n_node, (long long)h->n_edge);
    for (int64_t g = 0; g < G; g++) {
        const int64_t n = st->graph_node[g + 1] - st->graph_node[g];
        const int64_t edges = st->graph_edge[g + 1] - st->graph_edge[g];
        if (n < 1 || n > rows || edges < 0 || edges > most ||
            st->graph_capture[g] < 0 || st->graph_capture[g] >= h->n_capture || st->graph_label[g] > 1)
            CI_FAIL(CI_EFORMAT, "graph %lld of the store cannot be: %lld nodes in windows of %d frames",
                    (long long)g, (long long)n, h->frames);
        if (st->graph_row[g] < 0 || st->graph_row[g] > h->capture[st->graph_capture[g]].rows - rows)
            CI_FAIL(CI_EFORMAT, "graph %lld of the store begins at row %lld of a capture of %lld", (long long)g,
                    (long long)st->graph_row[g], (long long)h->capture[st->graph_capture[g]].rows);
        if (st->graph_warm && st->graph_warm[g] > 1)
            CI_FAIL(CI_EFORMAT, "graph %lld of the store cannot be: graph_warm %d", (long long)g, st->graph_warm[g]);
        if (st->edge_label) CI_TRY(labels_check(st, g));
        if (edges > st->max_edge) st->max_edge = (ci_lid)edges;
        if ((g + 1) % FORGET == 0) forget(st, g + 1 - FORGET);
    }
done:
    return rc;
}

static ci_rc columns_map(ci_store *st)
{
    ci_rc rc = CI_OK;
    const ci_h5_view *v = st->view;
    const ci_store_head *h = &st->head;
    const int64_t G = h->n_graph;

    CI_TRY(ci_h5_array(v, "graph_capture", CI_TYPE_I32, G, 1, (const void **)&st->graph_capture, NULL));
    CI_TRY(ci_h5_array(v, "graph_row", CI_TYPE_I64, G, 1, (const void **)&st->graph_row, NULL));
    CI_TRY(ci_h5_array(v, "graph_label", CI_TYPE_U8, G, 1, (const void **)&st->graph_label, NULL));
    CI_TRY(ci_h5_array(v, "graph_node", CI_TYPE_I64, G + 1, 1, (const void **)&st->graph_node, NULL));
    CI_TRY(ci_h5_array(v, "graph_edge", CI_TYPE_I64, G + 1, 1, (const void **)&st->graph_edge, NULL));
    st->wide_id = store_id_kind(h) == CI_TYPE_U32;
    st->wide_local = store_local_kind(h) == CI_TYPE_U16;
    CI_TRY(h->layout == CI_MESSAGES ? frames_map(st) : built_map(st));
    if (st->set->stream) CI_TRY(stream_map(st));
    CI_TRY(graphs_check(st));
done:
    return rc;
}

ci_rc ci_store_open(const char *path, ci_store **out)
{
    ci_rc rc = CI_OK;
    ci_store *st = ci_new(1, sizeof *st);
    int64_t version = 0;

    *out = NULL;
    if (!st) CI_FAIL(CI_ENOMEM, "%s", path);
    CI_TRY(ci_h5_open(path, &st->view));
    CI_TRY(attributes_read(st->view, path, &st->head));
    st->set = ci_feature_set_find(st->head.set);
    if (!st->set) CI_FAIL(CI_EFORMAT, "%s: unknown feature set \"%s\"", path, st->head.set);
    if (st->set->stream) CI_TRY(past_read(st->view, path, &st->head));
    CI_TRY(ci_h5_number(st->view, "features_version", &version));
    if (version != st->set->version)
        CI_FAIL(CI_EFORMAT, "%s: features %s of version %lld, this program computes %d; build it again", path,
                st->head.set, (long long)version, st->set->version);
    CI_TRY(captures_read(st->view, &st->head));
    CI_TRY(ids_read(st->view, &st->head));
    CI_TRY(columns_map(st));
    *out = st;
    st = NULL;
done:
    ci_store_close(&st);
    return rc;
}

void ci_store_close(ci_store **st)
{
    if (*st) {
        ci_store_head_release(&(*st)->head);
        ci_h5_close(&(*st)->view);
    }
    free(*st);
    *st = NULL;
}

ci_rc ci_store_open_all(const ci_comm *comm, const char *path, char out_sha[CI_SHA256_HEX],
                        ci_store **out)
{
    ci_rc rc = CI_OK;

    *out = NULL;
    CI_TRY(ci_h5_check(comm, path, out_sha));
    CI_TRY_ALL(comm, "store.open.map", ci_store_open(path, out));
done:
    if (rc != CI_OK) ci_store_close(out);
    return rc;
}
