/* Writing a store: head first, then runs of graphs at the places that scan counted out. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ci/arena.h"
#include "store_priv.h"

static void writer_free(ci_store_writer *w)
{
    if (!w) return;
    free(w->id);
    free(w->map);
    free(w->room);
    free(w);
}

/* The small arrays, by rank 0 alone. */
static ci_rc head_write(ci_h5 *f, const ci_store_head *h)
{
    ci_rc rc = CI_OK;
    const int64_t C = h->n_capture, F = h->n_folder;
    char *text = ci_new((size_t)CI_MAX(C, F) + 1, CI_STORE_TEXT);
    int32_t *small = ci_new((size_t)CI_MAX(C, F) + 1, sizeof *small);
    int64_t *large = ci_new((size_t)C + 1, sizeof *large);

    if (!text || !small || !large) CI_FAIL(CI_ENOMEM, "%d captures", h->n_capture);
    for (int64_t i = 0; i < C; i++) memcpy(text + i * CI_STORE_TEXT, h->capture[i].path, CI_STORE_TEXT);
    CI_TRY(ci_h5_write(f, A_CAPTURE_PATH, 0, C, text));
    for (int64_t i = 0; i < C; i++) memcpy(text + i * (CI_XXH_HEX - 1), h->capture[i].hash, CI_XXH_HEX - 1);
    CI_TRY(ci_h5_write(f, A_CAPTURE_HASH, 0, C, text));
    for (int64_t i = 0; i < C; i++) small[i] = h->capture[i].folder;
    CI_TRY(ci_h5_write(f, A_CAPTURE_FOLDER, 0, C, small));
    for (int64_t i = 0; i < C; i++) small[i] = h->capture[i].attack;
    CI_TRY(ci_h5_write(f, A_CAPTURE_ATTACK, 0, C, small));
    for (int64_t i = 0; i < C; i++) large[i] = h->capture[i].rows;
    CI_TRY(ci_h5_write(f, A_CAPTURE_ROWS, 0, C, large));
    for (int64_t i = 0; i < C; i++) large[i] = h->capture[i].first_graph;
    large[C] = h->n_graph;
    CI_TRY(ci_h5_write(f, A_CAPTURE_GRAPH, 0, C + 1, large));
    for (int64_t i = 0; i < F; i++) memcpy(text + i * CI_STORE_TEXT, h->folder[i].name, CI_STORE_TEXT);
    CI_TRY(ci_h5_write(f, A_FOLDER_NAME, 0, F, text));
    for (int64_t i = 0; i < F; i++) small[i] = h->folder[i].role;
    CI_TRY(ci_h5_write(f, A_FOLDER_ROLE, 0, F, small));
    CI_TRY(ci_h5_write(f, A_ID_VALUE, 0, h->n_id, h->id));
    CI_TRY(ci_h5_write(f, A_ID_VOCAB, 0, h->n_id, h->vocab));
    CI_TRY(ci_h5_write(f, A_GRAPH_NODE, h->n_graph, 1, &h->n_node));
    CI_TRY(ci_h5_write(f, A_GRAPH_EDGE, h->n_graph, 1, &h->n_edge));
done:
    free(text);
    free(small);
    free(large);
    return rc;
}

static ci_rc writer_new(const ci_comm *comm, const char *path, const ci_store_head *h,
                        ci_store_writer **out)
{
    ci_rc rc = CI_OK;
    ci_store_writer *w = ci_new(1, sizeof *w);

    if (!w) CI_FAIL(CI_ENOMEM, "a store");
    w->comm = comm;
    w->set = ci_feature_set_find(h->set);
    if (!w->set || strcmp(h->set, "kd35") != 0)
        CI_FAIL(CI_ECONF, "features.set: \"%s\" has no layout in the store", h->set);
    w->id_kind = store_id_kind(h);
    w->local_kind = store_local_kind(h);
    w->n_id = h->n_id;
    w->id = ci_new((size_t)h->n_id, sizeof *w->id);
    if (!w->id) CI_FAIL(CI_ENOMEM, "%d identifiers", h->n_id);
    memcpy(w->id, h->id, (size_t)h->n_id * sizeof *w->id);
    w->n_array = ci_store_schema(h, w->array);
    strncpy(w->path, path, sizeof w->path - 1);
    CI_TRY(ci_commit_temp(path, w->temp));
    *out = w;
    w = NULL;
done:
    writer_free(w);
    return rc;
}

ci_rc ci_store_create(const ci_comm *comm, const char *path, const ci_store_head *h,
                      ci_store_writer **out)
{
    ci_rc rc = CI_OK;
    ci_store_writer *w = NULL;
    const ci_feature_set *set = ci_feature_set_find(h->set);
    const ci_attribute attribute[] = {
        {"format", "canids graph store", 0},
        {"format_version", NULL, CI_STORE_VERSION},
        {"features", h->set, 0},
        {"features_version", NULL, set ? set->version : 0},
        {"compat", h->compat ? "reference" : "none", 0},
        {"window_frames", NULL, h->frames},
        {"window_stride", NULL, h->stride},
        {"vocabulary", NULL, h->n_vocab},
        {"simulated", NULL, h->simulated},
        {"source_sha256", h->source, 0},
        {"title", "sliding-window graphs of CAN captures", 0},
    };

    *out = NULL;
    CI_TRY_ALL(comm, "store.create.room", writer_new(comm, path, h, &w));
    CI_TRY(ci_h5_create(comm, w->temp, w->array, w->n_array, attribute, CI_COUNT(attribute), &w->file));
    CI_TRY_ALL(comm, "store.create.head", comm->rank == 0 ? head_write(w->file, h) : CI_OK);
    *out = w;
    w = NULL;
done:
    if (w && w->file) ci_store_abandon(&w);
    writer_free(w);
    return rc;
}

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

    while (lo < hi) {
        const int32_t mid = lo + (hi - lo) / 2;
        if (w->id[mid] < id) lo = mid + 1;
        else hi = mid;
    }
    return lo < w->n_id && w->id[lo] == id ? lo : -1;
}

static ci_rc put_ids(ci_store_writer *w, int64_t at, const ci_graphs *g)
{
    ci_rc rc = CI_OK;

    CI_TRY(store_room(w, (size_t)g->n_node * 4));
    for (ci_lid i = 0; i < g->n_node; i++) {
        const int32_t k = store_id_index(w, g->id[i]);
        if (k < 0) CI_FAIL(CI_EDATA, "identifier %X was not there when the data was scanned; scan again", g->id[i]);
        if (w->id_kind == CI_TYPE_U16) ((uint16_t *)w->room)[i] = (uint16_t)k;
        else ((uint32_t *)w->room)[i] = (uint32_t)k;
    }
    CI_TRY(ci_h5_write(w->file, A_NODE_ID, at, g->n_node, w->room));
done:
    return rc;
}

/* A block of nodes at a time, so that the scaled copy stays in cache. */
static ci_rc put_nodes(ci_store_writer *w, int64_t at, const ci_graphs *g)
{
    enum { ROWS = 16 };
    ci_rc rc = CI_OK;
    const ci_lid F = w->set->n_node;
    float scaled[ROWS * 128], by[128];

    if (F > 128) CI_FAIL(CI_EINTERNAL, "%d columns", F);
    for (ci_lid k = 0; k < F; k++) by[k] = __builtin_ldexpf(1, w->set->node[k].log2_scale);
    CI_TRY(store_room(w, (size_t)g->n_node * (size_t)F * 2));
    for (ci_lid r = 0; r < g->n_node; r += ROWS) {
        const ci_lid n = CI_MIN(ROWS, g->n_node - r);
        const float *x = g->x + (size_t)r * (size_t)F;
        for (ci_lid i = 0; i < n; i++)
            for (ci_lid k = 0; k < F; k++) scaled[i * F + k] = x[i * F + k] * by[k];
        ci_half_from_f32(scaled, (size_t)(n * F), (uint16_t *)w->room + (size_t)r * (size_t)F);
    }
    CI_TRY(ci_h5_write(w->file, A_NODE_X, at, g->n_node, w->room));
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

/* Edge features of kd35: iat, eight byte differences, bidir, freq. */
static ci_rc put_edges(ci_store_writer *w, int64_t at, const ci_graphs *g)
{
    ci_rc rc = CI_OK;
    const ci_lid n = g->n_edge, F = w->set->n_edge;
    float *iat;
    uint8_t *byte;

    CI_TRY(put_local(w, A_EDGE_SRC, at, n, g->src));
    CI_TRY(put_local(w, A_EDGE_DST, at, n, g->dst));
    CI_TRY(store_room(w, (size_t)n * 8));
    iat = w->room;
    for (ci_lid i = 0; i < n; i++) iat[i] = g->e[(size_t)i * (size_t)F];
    CI_TRY(ci_h5_write(w->file, A_EDGE_IAT, at, n, iat));
    byte = w->room;
    for (ci_lid i = 0; i < n; i++)
        for (ci_lid k = 0; k < 8; k++) byte[8 * i + k] = (uint8_t)g->e[(size_t)i * (size_t)F + 1 + (size_t)k];
    CI_TRY(ci_h5_write(w->file, A_EDGE_BYTE, at, n, byte));
    for (ci_lid i = 0; i < n; i++) byte[i] = (uint8_t)g->e[(size_t)i * (size_t)F + 9];
    CI_TRY(ci_h5_write(w->file, A_EDGE_BIDIR, at, n, byte));
    if (w->local_kind == CI_TYPE_U8)
        for (ci_lid i = 0; i < n; i++) byte[i] = (uint8_t)g->e[(size_t)i * (size_t)F + 10];
    else
        for (ci_lid i = 0; i < n; i++) ((uint16_t *)w->room)[i] = (uint16_t)g->e[(size_t)i * (size_t)F + 10];
    CI_TRY(ci_h5_write(w->file, A_EDGE_FREQ, at, n, w->room));
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
    CI_TRY(put_ids(w, first_node, g));
    CI_TRY(put_nodes(w, first_node, g));
    CI_TRY(put_edges(w, first_edge, g));
done:
    return rc;
}

/* What a reader would say of it decides whether it becomes true. */
static ci_rc publish(const ci_store_writer *w, char out_sha[CI_SHA256_HEX])
{
    ci_rc rc = CI_OK;
    ci_store *st = NULL;

    CI_TRY(ci_store_open(w->temp, &st));
    CI_TRY(ci_commit_publish(w->path, NULL, out_sha));
done:
    ci_store_close(&st);
    return rc;
}

ci_rc ci_store_commit(ci_store_writer **writer, char out_sha[CI_SHA256_HEX])
{
    ci_rc rc = CI_OK;
    ci_store_writer *w = *writer;
    const ci_comm *comm = w->comm;

    *writer = NULL;
    CI_TRY(ci_h5_finish(&w->file));
    CI_TRY_ALL(comm, "store.commit.publish", comm->rank == 0 ? publish(w, out_sha) : CI_OK);
    CI_TRY(ci_comm_bcast(comm, "store.commit.sha", 0, out_sha, CI_SHA256_HEX));
done:
    if (rc != CI_OK && comm->rank == 0) unlink(w->temp);
    writer_free(w);
    return rc;
}

void ci_store_abandon(ci_store_writer **w)
{
    if (!*w) return;
    ci_h5_abandon(&(*w)->file);
    if ((*w)->comm->rank == 0) unlink((*w)->temp);
    writer_free(*w);
    *w = NULL;
}
