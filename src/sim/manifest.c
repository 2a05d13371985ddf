#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "ci/json.h"
#include "sim_priv.h"

static const char manifest_name[] = "manifest.json";

/* Goes up when the same settings make other bytes. */
enum { SIMULATOR = 4 };

/* What a first attempt leaves that died before its manifest was there. */
static bool is_trace(const char *name)
{
    static const char head[] = ".manifest.json.";

    return !strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, ".lock") || !strncmp(name, head, sizeof head - 1);
}

/* A folder without a manifest must be empty: it may be somebody's recordings. */
static ci_rc check_empty(const char *set)
{
    ci_rc rc = CI_OK;
    DIR *dir = opendir(set);
    const struct dirent *e;

    if (!dir && errno == ENOENT) return CI_OK;
    if (!dir) return ci_fail(errno == EACCES ? CI_EPERM : CI_ECREATE, __FILE__, __LINE__,
                             "%s: cannot open this folder: %s", set, strerror(errno));
    while ((e = readdir(dir)))
        if (!is_trace(e->d_name))
            CI_FAIL(CI_ECREATE, "%s: holds \"%s\", which no simulation wrote, and stays as it is; "
                    "choose another data.set or data.root", set, e->d_name);
done:
    closedir(dir);
    return rc;
}

/* The manifest of an earlier simulation, NULL when there is none. */
static ci_rc load_old(const char *set, const char *path, ci_json **out)
{
    ci_rc rc = ci_commit_check(path, NULL);
    const char *state;

    if (rc == CI_ENOENT) return check_empty(set);
    if (rc == CI_OK) rc = ci_json_load(path, out);
    if (rc != CI_OK) return rc;
    state = ci_json_get_str(*out, "state");
    if (state && !strcmp(state, "SIMULATED")) return CI_OK;
    return ci_fail(CI_ECREATE, __FILE__, __LINE__, "%s: this manifest is of no simulation, and "
                   "its folder stays as it is; choose another data.set or data.root", path);
}

static bool in_plan(const char *path, const recording *r, int32_t n)
{
    for (int32_t k = 0; k < n; k++)
        if (!strcmp(path, r[k].path)) return true;
    return false;
}

/* Only names that a simulation could have given are ever removed. */
static bool is_ours(const char *path)
{
    for (int k = 0; k < 6; k++) {
        const size_t n = strlen(ci_sim_folder[k]);

        if (!strncmp(path, ci_sim_folder[k], n) && path[n] == '/' && !strchr(path + n + 1, '/'))
            return true;
    }
    return false;
}

/* The i-th path of an old manifest that the new plan does not have; NULL when it has it. */
static const char *obsolete(const ci_json *old, size_t i, const recording *r, int32_t n)
{
    const char *path = ci_json_get_str(ci_json_at(ci_json_get(old, "files"), i), "path");

    return path && is_ours(path) && !in_plan(path, r, n) ? path : NULL;
}

static ci_json *settings(const ci_conf *conf, bool complete)
{
    ci_json *j = ci_json_object();

    ci_json_str(j, "state", "SIMULATED");
    ci_json_bool(j, "complete", complete);
    ci_json_int(j, "simulator", SIMULATOR);
    ci_json_int(j, "seed", conf->sim.seed);
    if (ci_sim_injects(conf)) {
        ci_json_str(j, "base", ci_sim_base_name(conf));
        ci_json_int(j, "copies", conf->sim.copies);
        return j;
    }
    ci_json_int(j, "vehicles", conf->sim.vehicles);
    ci_json_int(j, "ids_min", conf->sim.ids_min);
    ci_json_int(j, "ids_max", conf->sim.ids_max);
    ci_json_num(j, "extended", conf->sim.extended);
    ci_json_int(j, "bitrate", conf->sim.bitrate);
    ci_json_num(j, "seconds", conf->sim.seconds);
    ci_json_int(j, "asked_rows", conf->sim.rows);
    ci_json_num(j, "file_seconds", conf->sim.file_seconds);
    ci_json_num(j, "attack_share", conf->sim.attack_share);
    ci_json_str(j, "known", conf->sim.known);
    ci_json_str(j, "unknown", conf->sim.unknown);
    return j;
}

static bool same_text(const ci_json *m, const char *key, const char *value)
{
    const char *was = ci_json_get_str(m, key);

    return was && !strcmp(was, value);
}

/* Does the manifest say that these settings were simulated to the end? */
static bool same_settings(const ci_conf *conf, const ci_json *m)
{
    if (!ci_json_get_bool(m, "complete") || ci_json_get_int(m, "simulator") != SIMULATOR) return false;
    if (ci_json_get_int(m, "seed") != conf->sim.seed) return false;
    if (ci_sim_injects(conf))
        return same_text(m, "base", ci_sim_base_name(conf)) && ci_json_get_int(m, "copies") == conf->sim.copies;
    return !ci_json_get(m, "base") && ci_json_get_int(m, "vehicles") == conf->sim.vehicles && ci_json_get_int(m, "ids_min") == conf->sim.ids_min &&
           ci_json_get_int(m, "ids_max") == conf->sim.ids_max && ci_json_get_num(m, "extended") == conf->sim.extended &&
           ci_json_get_int(m, "bitrate") == conf->sim.bitrate && ci_json_get_num(m, "seconds") == conf->sim.seconds &&
           ci_json_get_int(m, "asked_rows") == conf->sim.rows &&
           ci_json_get_num(m, "file_seconds") == conf->sim.file_seconds &&
           ci_json_get_num(m, "attack_share") == conf->sim.attack_share && same_text(m, "known", conf->sim.known) &&
           same_text(m, "unknown", conf->sim.unknown);
}

/* All files of a list, below a folder. */
static bool same_files(const char *dir, const ci_json *files, bool committed)
{
    char path[CI_PATH_MAX], sha[CI_SHA256_HEX];
    bool same = true;

    for (size_t i = 0; same && i < ci_json_len(files); i++) {
        const ci_json *file = ci_json_at(files, i);
        const char *name = ci_json_get_str(file, "path"), *was = ci_json_get_str(file, "sha256");

        same = name && was && ci_path_join(path, dir, name) == CI_OK &&
               (committed ? ci_commit_check(path, sha) : ci_sha256_file(path, sha)) == CI_OK && !strcmp(sha, was);
    }
    return same;
}

bool ci_sim_true(const ci_conf *conf, const char *reading)
{
    char set[CI_PATH_MAX], base[CI_PATH_MAX], path[CI_PATH_MAX];
    ci_json *m = NULL;
    bool same = false;

    if (ci_sim_set(conf, set) == CI_OK && ci_path_join(base, conf->data.root, ci_sim_base_name(conf)) == CI_OK && ci_path_join(path, set, "manifest.json") == CI_OK && ci_commit_check(path, NULL) == CI_OK &&
        ci_json_load(path, &m) == CI_OK)
        same = same_settings(conf, m);
    same = same && same_files(set, ci_json_get(m, "files"), true);
    if (ci_sim_injects(conf))
        same = same && reading && same_text(m, "base_reading", reading) &&
               same_files(base, ci_json_get(m, "base_files"), false);
    ci_json_free(&m);
    return same;
}

/* Commits j with its files and frees both. */
static ci_rc commit(const char *path, ci_json *j, ci_json *files)
{
    ci_rc rc = CI_OK;
    char *text = NULL;
    size_t n;

    ci_json_put(j, "files", files);
    text = ci_json_text(j, true);
    if (!text) CI_FAIL(CI_ENOMEM, "%s", path);
    n = strlen(text);
    text[n] = '\n'; /* in the place of the final 0 */
    CI_TRY(ci_commit_bytes(path, text, n + 1));
done:
    free(text);
    ci_json_free(&j);
    return rc;
}

static ci_rc commit_started(const ci_conf *conf, const char *path, const recording *r, int32_t n,
                            const ci_json *old)
{
    ci_json *files = ci_json_array();
    const size_t n_old = old ? ci_json_len(ci_json_get(old, "files")) : 0;

    for (size_t k = 0; k < (size_t)n + n_old; k++) {
        const char *name = k < (size_t)n ? r[k].path : obsolete(old, k - (size_t)n, r, n);
        ci_json *file;

        if (!name) continue;
        file = ci_json_object();
        ci_json_str(file, "path", name);
        ci_json_add(files, file);
    }
    return commit(path, settings(conf, false), files);
}

/* Only the first two, the training folders, when attacks are injected; one for data.injected. */
static ci_rc make_folders(const ci_conf *conf, const char *set)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX];

    for (int k = conf->data.injected[0] != 0; k < (ci_sim_injects(conf) ? 2 : 6); k++) {
        CI_TRY(ci_path_join(path, set, ci_sim_folder[k]));
        CI_TRY(ci_make_dir(path));
    }
done:
    return rc;
}

static ci_rc remove_obsolete(const char *set, const recording *r, int32_t n, const ci_json *old)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX];

    for (size_t k = 0; k < ci_json_len(ci_json_get(old, "files")); k++) {
        const char *name = obsolete(old, k, r, n);

        if (!name) continue;
        CI_TRY(ci_path_join(path, set, name));
        CI_TRY(ci_commit_remove(path));
    }
done:
    return rc;
}

ci_rc ci_sim_set_prepare(const ci_conf *conf, const char *set, const recording *r, int32_t n)
{
    ci_rc rc = CI_OK;
    ci_json *old = NULL;
    char path[CI_PATH_MAX];

    CI_TRY(ci_path_join(path, set, manifest_name));
    CI_TRY(load_old(set, path, &old));
    CI_TRY(ci_make_dir(set));
    CI_TRY(commit_started(conf, path, r, n, old));
    CI_TRY(make_folders(conf, set));
    if (old) CI_TRY(remove_obsolete(set, r, n, old));
done:
    ci_json_free(&old);
    return rc;
}

/* The captures that were injected into, by content: when they change, so must the set. */
static ci_rc base_files(const ci_conf *conf, const ci_sim_base *base, ci_json **out)
{
    ci_rc rc = CI_OK;
    ci_json *files = ci_json_array();
    char set[CI_PATH_MAX], path[CI_PATH_MAX], sha[CI_SHA256_HEX];

    CI_TRY(ci_path_join(set, conf->data.root, ci_sim_base_name(conf)));
    for (int32_t k = 0; k < base->n; k++) {
        ci_json *file = ci_json_object();

        ci_json_add(files, file);
        CI_TRY(ci_path_join(path, set, base->path[k]));
        CI_TRY(ci_sha256_file(path, sha));
        ci_json_str(file, "path", base->path[k]);
        ci_json_str(file, "sha256", sha);
    }
    *out = files;
    files = NULL;
done:
    ci_json_free(&files);
    return rc;
}

static ci_json *file_of(const ci_sim_base *base, const recording *r, const written *w)
{
    ci_json *file = ci_json_object();
    char car[16];

    if (!base) ci_sim_vehicle_name(r->vehicle, car);
    ci_json_str(file, "path", r->path);
    ci_json_str(file, "vehicle", base ? r->name : car);
    ci_json_str(file, "attack", ci_sim_attack_name(r->attack));
    if (base) ci_json_str(file, "base", base->path[r->base]);
    if (base) ci_json_int(file, "segment", base->segment[r->segment].number + 1);
    ci_json_int(file, "rows", w->rows);
    ci_json_int(file, "attack_rows", w->attack_rows);
    ci_json_int(file, "bytes", w->bytes);
    ci_json_str(file, "sha256", w->sha256);
    return file;
}

ci_rc ci_sim_set_finish(const ci_conf *conf, const char *set, const ci_sim_base *base, const recording *r,
                        const written *w, int32_t n)
{
    ci_rc rc = CI_OK;
    ci_json *files = NULL, *bases = NULL, *j;
    char path[CI_PATH_MAX];

    CI_TRY(ci_path_join(path, set, manifest_name));
    if (base) CI_TRY(base_files(conf, base, &bases));
    j = settings(conf, true);
    if (base) ci_json_str(j, "base_reading", base->reading);
    if (base) ci_json_put(j, "base_files", bases);
    files = ci_json_array();
    for (int32_t k = 0; k < n; k++) ci_json_add(files, file_of(base, &r[k], &w[k]));
    CI_TRY(commit(path, j, files));
done:
    return rc;
}
