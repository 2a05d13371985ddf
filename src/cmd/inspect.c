/* What a store, a checkpoint, a fusion model or a profile is. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ci/arena.h"
#include "ci/ckpt.h"
#include "ci/commit.h"
#include "ci/fusion.h"
#include "ci/json.h"
#include "ci/profile.h"
#include "ci/store.h"
#include "cmd_priv.h"

static void folder_put(const ci_store *st, int32_t folder, ci_json *folders)
{
    ci_json *j = ci_json_object();
    int64_t graphs = 0, attacks = 0, nodes = 0, edges = 0;

    for (int32_t c = 0; c < st->head.n_capture; c++) {
        const ci_store_capture *k = &st->head.capture[c];
        const int64_t end = k->first_graph + k->n_graph;
        if (k->folder != folder) continue;
        graphs += k->n_graph;
        for (int64_t g = k->first_graph; g < end; g++) attacks += st->graph_label[g];
        nodes += st->graph_node[end] - st->graph_node[k->first_graph];
        edges += st->graph_edge[end] - st->graph_edge[k->first_graph];
    }
    ci_json_int(j, "graphs", graphs);
    ci_json_int(j, "attack_graphs", attacks);
    ci_json_int(j, "nodes", nodes);
    ci_json_int(j, "edges", edges);
    ci_json_put(folders, st->head.folder[folder].name, j);
}

static void store_put(const ci_store *st, ci_json *j)
{
    const ci_store_head *h = &st->head;
    ci_json *folders = ci_json_object();
    int64_t attacks = 0;

    for (int64_t g = 0; g < h->n_graph; g++) attacks += st->graph_label[g];
    ci_json_str(j, "kind", "store");
    ci_json_str(j, "layout", ci_store_layout_name(h->layout));
    ci_json_str(j, "features", h->set);
    ci_json_str(j, "compat", h->compat ? "reference" : "none");
    if (st->set->stream) {
        int64_t warm = 0;
        for (int64_t g = 0; g < h->n_graph; g++) warm += st->graph_warm[g];
        ci_json_str(j, "past", h->past);
        ci_json_int(j, "warm_graphs", warm);
    }
    ci_json_bool(j, "simulated", h->simulated);
    ci_json_int(j, "window_frames", h->frames);
    ci_json_int(j, "window_stride", h->stride);
    ci_json_int(j, "graphs", h->n_graph);
    ci_json_int(j, "attack_graphs", attacks);
    ci_json_int(j, "nodes", h->n_node);
    ci_json_int(j, "edges", h->n_edge);
    ci_json_num(j, "bytes_per_graph", h->n_graph ? (double)ci_store_bytes(h) / (double)h->n_graph : 0);
    ci_json_int(j, "vocabulary", h->n_vocab);
    ci_json_int(j, "captures", h->n_capture);
    ci_json_str(j, "source_sha256", h->source);
    for (int32_t f = 0; f < h->n_folder; f++) folder_put(st, f, folders);
    ci_json_put(j, "folders", folders);
}

static void ckpt_put(const ci_ckpt *c, ci_json *j)
{
    char weights[CI_SHA256_HEX];

    ci_ckpt_weights(c, weights);
    ci_json_str(j, "kind", "checkpoint");
    ci_json_str(j, "features", c->set);
    ci_json_int(j, "parameters", c->n);
    ci_json_int(j, "vocabulary", c->n_vocab);
    ci_json_int(j, "step", c->at.step);
    ci_json_int(j, "epochs_done", c->at.epoch);
    ci_json_int(j, "batches_done", c->at.batch);
    ci_json_bool(j, "finished", c->at.finished);
    ci_json_int(j, "best_epoch", c->at.best_epoch + 1);
    ci_json_num(j, "best_value", c->at.best_value);
    ci_json_num(j, "threshold", c->at.threshold);
    ci_json_str(j, "weights_sha256", weights);
    ci_json_str(j, "settings_sha256", c->settings);
    ci_json_str(j, "store_tree_sha256", c->store);
}

static void fusion_put(ci_fusion *f, ci_json *j)
{
    const ci_fusion_shape *s = ci_fusion_shape_get(f);
    const ci_fusion_progress *at = ci_fusion_progress_get(f);
    const ci_fusion_of *of = ci_fusion_of_get(f);
    char weights[CI_SHA256_HEX];

    ci_fusion_weights(f, weights);
    ci_json_str(j, "kind", "fusion");
    ci_json_str(j, "method", s->method);
    ci_json_int(j, "state", s->state);
    ci_json_int(j, "actions", s->actions);
    ci_json_str(j, "reward", s->legacy ? "legacy" : "minimal");
    ci_json_str(j, "anomaly", ci_fusion_scale_get(f)->percentile ? "percentile" : "moebius");
    ci_json_int(j, "parameters", ci_fusion_size(f));
    ci_json_int(j, "step", at->step);
    ci_json_int(j, "episodes_done", at->episode);
    ci_json_bool(j, "finished", at->finished);
    ci_json_int(j, "best_episode", at->best_episode + 1);
    ci_json_num(j, "best_auroc", at->best_auroc);
    ci_json_num(j, "threshold", at->threshold);
    ci_json_str(j, "weights_sha256", weights);
    ci_json_str(j, "settings_sha256", of->settings);
    ci_json_str(j, "store_tree_sha256", of->store);
    ci_json_str(j, "gat", of->gat_dir);
    ci_json_str(j, "gat_sha256", of->gat);
    ci_json_str(j, "vgae", of->vgae_dir);
    ci_json_str(j, "vgae_sha256", of->vgae);
}

/* The identity in a record is that of the bytes, or for what several ranks wrote that of their hashes: then the bytes
 * are read once more. */
static ci_rc check(const char *path, ci_json *j)
{
    ci_rc rc = CI_OK;
    char identity[CI_SHA256_HEX], sha[CI_SHA256_HEX];

    CI_TRY(file_check(path, identity));
    CI_TRY(ci_sha256_file(path, sha));
    ci_json_str(j, "sha256", sha);
    if (identity[0] && strcmp(identity, sha) != 0) ci_json_str(j, "tree_sha256", identity);
done:
    return rc;
}

static bool begins_as_profile(const char *path)
{
    static const char magic[] = "canids profile";
    char begins[sizeof magic] = "";
    FILE *f = fopen(path, "rb");
    const bool read = f && fread(begins, 1, sizeof begins, f) == sizeof begins;

    if (f) fclose(f);
    return read && memcmp(begins, magic, sizeof magic) == 0;
}

static double seconds(double log2_ns) { return exp2(log2_ns) * 1e-9; }

static ci_rc profile_put(const char *path, ci_json *j)
{
    ci_rc rc = CI_OK;
    ci_profile *p = NULL;
    ci_profile_about a;
    ci_json *list = ci_json_array();

    CI_TRY(ci_profile_read(path, &p));
    a = ci_profile_tell(p);
    ci_json_str(j, "kind", "profile");
    ci_json_int(j, "version", CI_PROFILE_VERSION);
    ci_json_int(j, "window_frames", a.frames);
    ci_json_int(j, "window_stride", a.stride);
    ci_json_int(j, "frames", a.n);
    ci_json_int(j, "frames_dropped", a.dropped);
    ci_json_int(j, "windows", a.n_window);
    ci_json_int(j, "successions", a.n_edge);
    ci_json_int(j, "memory_bytes", a.bytes);
    ci_json_int(j, "identifiers", a.n_id);
    for (int32_t i = 0; i < a.n_id; i++) {
        ci_json *one = ci_json_object();
        char text[9];
        uint32_t id;
        int64_t n;
        double q01, median, q99;
        ci_profile_id(p, i, &id, &n, &q01, &median, &q99);
        snprintf(text, sizeof text, id >> 31 ? "%08X" : "%03X", (unsigned)(id & 0x7fffffff));
        ci_json_str(one, "id", text);
        ci_json_int(one, "frames", n);
        ci_json_num(one, "interval_s_q01", seconds(q01));
        ci_json_num(one, "interval_s_median", seconds(median));
        ci_json_num(one, "interval_s_q99", seconds(q99));
        ci_json_add(list, one);
    }
    ci_json_put(j, "ids", list);
    list = NULL;
done:
    ci_json_free(&list);
    ci_profile_destroy(&p);
    return rc;
}

static ci_rc read_it(const char *path, ci_json *j)
{
    ci_rc rc = CI_OK;
    ci_store *st = NULL;
    ci_ckpt c = {0};
    ci_fusion *f = NULL;
    char message[CI_MESSAGE_MAX], format[64] = "";
    ci_h5_view *v = NULL;

    CI_TRY(ci_h5_open(path, &v));
    if (ci_h5_text(v, "format", format, sizeof format) == CI_OK && strcmp(format, "canids checkpoint") == 0) {
        CI_TRY(ci_ckpt_load(path, &c));
        ckpt_put(&c, j);
    } else if (strcmp(format, "canids fusion") == 0) {
        CI_TRY(ci_fusion_load(path, "auto", &f));
        fusion_put(f, j);
    } else {
        CI_TRY(ci_store_open(path, &st));
        store_put(st, j);
    }
done:
    snprintf(message, sizeof message, "%s", ci_message());
    ci_ckpt_release(&c);
    ci_fusion_destroy(&f);
    ci_store_close(&st);
    ci_h5_close(&v);
    ci_message_set(message);
    return rc;
}

/* A run directory: its record. */
static ci_rc run_print(const struct options *o)
{
    ci_rc rc = CI_OK;
    ci_json *j = NULL;
    char path[CI_PATH_MAX], *text = NULL;

    CI_TRY(ci_path_join(path, o->file, "run.json"));
    if (access(path, F_OK) != 0) CI_FAIL(CI_ENOENT, "%s is a folder without run.json: no run of canids", o->file);
    CI_TRY(ci_json_load(path, &j));
    ci_json_str(j, "kind", "run");
    text = ci_json_text(j, !o->json);
    if (!text) CI_FAIL(CI_ENOMEM, "%s", o->file);
    printf("%s\n", text);
done:
    free(text);
    ci_json_free(&j);
    return rc;
}

static ci_rc print_it(const struct options *o)
{
    ci_rc rc = CI_OK;
    ci_json *j = ci_json_object();
    char *text = NULL;
    struct stat s;

    if (stat(o->file, &s) == 0 && S_ISDIR(s.st_mode)) {
        CI_TRY(run_print(o));
        goto done;
    }
    CI_TRY(check(o->file, j));
    CI_TRY(strcmp(o->verb, "profile") == 0 || begins_as_profile(o->file) ? profile_put(o->file, j) : read_it(o->file, j));
    if (stat(o->file, &s) == 0) ci_json_int(j, "bytes", s.st_size);
    text = ci_json_text(j, !o->json);
    if (!text) CI_FAIL(CI_ENOMEM, "%s", o->file);
    printf("%s\n", text);
done:
    free(text);
    ci_json_free(&j);
    return rc;
}

ci_rc verb_inspect(const struct options *o)
{
    return in_child(o, print_it);
}
