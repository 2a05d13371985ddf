/* The folder of an export, its files and what they are. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ci/arena.h"
#include "ci/json.h"
#include "export_priv.h"

static const char note[] = "export.json";

ci_rc export_open(const char *folder, const char *name, struct export_file *out)
{
    ci_rc rc = CI_OK;
    char temp[CI_PATH_MAX];

    CI_TRY(ci_path_join(out->path, folder, name));
    CI_TRY(ci_commit_temp(out->path, temp));
    out->f = fopen(temp, "wb");
    if (!out->f) CI_FAIL(ci_rc_errno(errno) == CI_EPERM ? CI_EPERM : CI_ECREATE, "%s: %s", temp, strerror(errno));
done:
    return rc;
}

ci_rc export_bytes(struct export_file *f, const void *bytes, size_t n)
{
    ci_rc rc = CI_OK;

    if (n && fwrite(bytes, 1, n, f->f) != n) CI_FAIL(CI_EIO, "%s: %s", f->path, strerror(errno));
done:
    return rc;
}

ci_rc export_close(struct export_file *f)
{
    ci_rc rc = CI_OK;
    FILE *const open = f->f;

    f->f = NULL;
    if (fclose(open) != 0) CI_FAIL(CI_EIO, "%s: %s", f->path, strerror(errno));
    CI_TRY(ci_commit_publish(f->path, NULL, NULL));
done:
    if (rc != CI_OK) export_drop(f);
    return rc;
}

void export_drop(struct export_file *f)
{
    char temp[CI_PATH_MAX];

    if (f->f) fclose(f->f);
    if (f->path[0] && ci_commit_temp(f->path, temp) == CI_OK) unlink(temp);
    *f = (struct export_file){0};
}

void export_forget(const ci_store *st, int64_t g)
{
    if (g % 1024 == 1023) ci_h5_forget_all(st->view);
}

static bool among(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(name, *names) == 0) return true;
    return false;
}

static bool known(const char *name)
{
    return strcmp(name, note) == 0 || among(name, export_npy_names) || among(name, export_csv_names);
}

/* What an export or its commits leave: a file with its record, or the record and temporary files. */
static bool own(const char *folder, const char *name)
{
    static const char *const ends[] = {".commit", ".next", ".tmp"};
    char file[CI_PATH_MAX], path[CI_PATH_MAX];

    if (known(name)) { /* it came before the name of its record, which a crash may have kept at .next */
        for (size_t i = 0; i < 2; i++) {
            snprintf(file, sizeof file, ".%s%s", name, ends[i]);
            if (ci_path_join(path, folder, file) == CI_OK && access(path, F_OK) == 0) return true;
        }
        return false;
    }
    for (size_t i = 0; name[0] == '.' && i < CI_COUNT(ends); i++) {
        const size_t n = strlen(name), end = strlen(ends[i]);
        if (n < end + 1 || strcmp(name + n - end, ends[i]) != 0) continue;
        snprintf(file, sizeof file, "%.*s", (int)(n - end - 1), name + 1);
        if (known(file)) return true;
    }
    return false;
}

static ci_rc folder_check(const char *folder)
{
    ci_rc rc = CI_OK;
    DIR *d = NULL;

    CI_TRY(ci_make_dir(folder));
    d = opendir(folder);
    if (!d) CI_FAIL(ci_rc_errno(errno) == CI_EPERM ? CI_EPERM : CI_ECREATE, "%s: %s", folder, strerror(errno));
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || own(folder, e->d_name)) continue;
        CI_FAIL(CI_ECREATE, "%s has %s in it, which no export wrote: choose a folder that is empty or not there", folder, e->d_name);
    }
done:
    if (d) closedir(d);
    return rc;
}

static ci_rc remove_all(const char *folder, const char *const *names)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX];

    for (; *names; names++) {
        CI_TRY(ci_path_join(path, folder, *names));
        CI_TRY(ci_commit_remove(path));
    }
done:
    return rc;
}

/* The note first, so that a folder without it is never taken for a whole export. */
static ci_rc folder_clear(const char *folder)
{
    ci_rc rc = CI_OK;
    const char *const last[] = {note, NULL};

    CI_TRY(folder_check(folder));
    CI_TRY(remove_all(folder, last));
    CI_TRY(remove_all(folder, export_npy_names));
    CI_TRY(remove_all(folder, export_csv_names));
done:
    return rc;
}

static ci_json *columns(const ci_feature *f, ci_lid n)
{
    ci_json *a = ci_json_array();

    for (ci_lid i = 0; i < n; i++) {
        ci_json *j = ci_json_object();
        ci_json_str(j, "name", f[i].name);
        ci_json_str(j, "unit", f[i].unit);
        ci_json_str(j, "formula", f[i].formula);
        ci_json_add(a, j);
    }
    return a;
}

/* Files that only streamed sets have. */
static bool of_streams(const char *name)
{
    static const char *const names[] = {"graph_warm.npy", "graph_window.npy", "edge_label.npy", NULL};

    return among(name, names);
}

static ci_rc note_write(const ci_store *st, ci_export_kind kind, const char *folder)
{
    ci_rc rc = CI_OK;
    const ci_store_head *h = &st->head;
    const char *const *names = kind == CI_EXPORT_NPY ? export_npy_names : export_csv_names;
    ci_json *j = ci_json_object(), *files = ci_json_array();
    char path[CI_PATH_MAX], *text = NULL;

    ci_json_str(j, "what", "canids export");
    ci_json_int(j, "version", 1);
    ci_json_str(j, "features", h->set);
    ci_json_int(j, "features_version", st->set->version);
    ci_json_str(j, "compat", h->compat ? "reference" : "none");
    if (h->simulated) ci_json_str(j, "state", "SIMULATED");
    ci_json_int(j, "window_frames", h->frames);
    ci_json_int(j, "window_stride", h->stride);
    ci_json_int(j, "graphs", h->n_graph);
    ci_json_int(j, "nodes", h->n_node);
    ci_json_int(j, "edges", h->n_edge);
    ci_json_int(j, "vocabulary", h->n_vocab);
    ci_json_str(j, "source_sha256", h->source);
    for (; *names; names++)
        if (st->set->stream || !of_streams(*names)) ci_json_add_str(files, *names);
    ci_json_put(j, "files", files);
    ci_json_put(j, "node_columns", columns(st->set->node, st->set->n_node));
    ci_json_put(j, "edge_columns", columns(st->set->edge, st->set->n_edge));
    if (st->set->stream) {
        ci_json_str(j, "past", h->past);
        ci_json_put(j, "window_columns", columns(st->set->window, st->set->n_window));
    }
    text = ci_json_text(j, true);
    if (!text) CI_FAIL(CI_ENOMEM, "%s", folder);
    CI_TRY(ci_path_join(path, folder, note));
    CI_TRY(ci_commit_bytes(path, text, strlen(text)));
done:
    free(text);
    ci_json_free(&j);
    return rc;
}

ci_rc ci_export(const ci_store *st, ci_export_kind kind, const char *folder)
{
    ci_rc rc = CI_OK;

    CI_TRY(folder_clear(folder));
    CI_TRY(kind == CI_EXPORT_NPY ? export_npy(st, folder) : export_csv(st, folder));
    CI_TRY(note_write(st, kind, folder));
done:
    return rc;
}
