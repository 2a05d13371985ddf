/* Writing a store: its head, and what makes it true.  put.c has what comes between. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ci/arena.h"
#include "store_priv.h"

static void writer_free(ci_store_writer *w)
{
    if (!w) return;
    free(w->id);
    free(w->frame);
    free(w->map);
    free(w->room);
    free(w);
}

/* The small arrays, by rank 0 alone. */
static ci_rc head_write(ci_h5 *f, const ci_store_head *h, const int64_t *frame)
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
    if (h->layout == CI_MESSAGES) CI_TRY(ci_h5_write(f, A_CAPTURE_FRAME, 0, C + 1, frame));
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
    if (!w->set) CI_FAIL(CI_ECONF, "features.set: \"%s\" is unknown", h->set);
    CI_TRY(ci_store_layout_of(ci_store_layout_name(h->layout), w->set, &w->layout));
    w->id_kind = store_id_kind(h);
    w->local_kind = store_local_kind(h);
    w->n_id = h->n_id;
    w->id = ci_new((size_t)h->n_id, sizeof *w->id);
    if (!w->id) CI_FAIL(CI_ENOMEM, "%d identifiers", h->n_id);
    memcpy(w->id, h->id, (size_t)h->n_id * sizeof *w->id);
    memset(w->standard, -1, sizeof w->standard);
    for (int32_t i = 0; i < h->n_id && h->id[i] < CI_COUNT(w->standard); i++) w->standard[h->id[i]] = i;
    w->n_capture = h->n_capture;
    w->frame = ci_new((size_t)h->n_capture + 1, sizeof *w->frame);
    if (!w->frame) CI_FAIL(CI_ENOMEM, "%d captures", h->n_capture);
    for (int32_t i = 0; i < h->n_capture; i++) w->frame[i + 1] = w->frame[i] + store_frames(&h->capture[i]);
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
    const ci_attribute attribute[] = { /* `past`, the last one, of streamed sets only */
        {"format", "canids graph store", 0},
        {"format_version", NULL, CI_STORE_VERSION},
        {"layout", ci_store_layout_name(h->layout), 0},
        {"features", h->set, 0},
        {"features_version", NULL, set ? set->version : 0},
        {"compat", h->compat ? "reference" : "none", 0},
        {"window_frames", NULL, h->frames},
        {"window_stride", NULL, h->stride},
        {"vocabulary", NULL, h->n_vocab},
        {"simulated", NULL, h->simulated},
        {"source_sha256", h->source, 0},
        {"title", "sliding-window graphs of CAN captures", 0},
        {"past", h->past, 0},
    };

    *out = NULL;
    CI_TRY_ALL(comm, "store.create.room", writer_new(comm, path, h, &w));
    CI_TRY(ci_h5_create(comm, w->temp, w->array, w->n_array, attribute, CI_COUNT(attribute) - !w->set->stream, &w->file));
    CI_TRY_ALL(comm, "store.create.head", comm->rank == 0 ? head_write(w->file, h, w->frame) : CI_OK);
    *out = w;
    w = NULL;
done:
    if (w && w->file) ci_store_abandon(&w);
    writer_free(w);
    return rc;
}

ci_rc ci_store_flush(ci_store_writer *w, bool end)
{
    if (end) {
        free(w->room);
        w->room = NULL;
        w->cap_room = 0;
    }
    return ci_h5_flush(w->file, end);
}

/* What a reader would say of it decides whether it becomes true. */
static ci_rc publish(const ci_store_writer *w, const ci_hashed *h, char out_sha[CI_SHA256_HEX])
{
    ci_rc rc = CI_OK;
    ci_store *st = NULL;

    CI_TRY(ci_store_open(w->temp, &st));
    CI_TRY(ci_commit_publish_hashed(w->path, h, out_sha));
done:
    ci_store_close(&st);
    return rc;
}

ci_rc ci_store_commit(ci_store_writer **writer, char out_sha[CI_SHA256_HEX])
{
    ci_rc rc = CI_OK;
    ci_store_writer *w = *writer;
    const ci_comm *comm = w->comm;
    ci_hashed hashed = {0};

    *writer = NULL;
    CI_TRY(ci_h5_finish_hashed(&w->file, &hashed));
    CI_TRY_ALL(comm, "store.commit.publish", comm->rank == 0 ? publish(w, &hashed, out_sha) : CI_OK);
    CI_TRY(ci_comm_bcast(comm, "store.commit.sha", 0, out_sha, CI_SHA256_HEX));
done:
    if (rc != CI_OK && comm->rank == 0) unlink(w->temp);
    ci_hashed_release(&hashed);
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
