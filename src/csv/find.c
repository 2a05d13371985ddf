#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ci/arena.h"
#include "ci/graph.h"
#include "ci/json.h"
#include "ci/log.h"
#include "ci/sidecar.h"
#include "ci/sim.h"
#include "capture_priv.h"

/* A growing list of names. */
struct names {
    char **name;
    size_t n, cap;
};

static void names_release(struct names *l)
{
    for (size_t i = 0; i < l->n; i++) free(l->name[i]);
    free(l->name);
    *l = (struct names){0};
}

static ci_rc names_add(struct names *l, const char *name)
{
    ci_rc rc = CI_OK;

    CI_TRY(ci_grow((void **)&l->name, &l->cap, l->n + 1, sizeof *l->name));
    l->name[l->n] = strdup(name);
    if (!l->name[l->n]) CI_FAIL(CI_ENOMEM, "no memory for the name %s", name);
    l->n++;
done:
    return rc;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All names of a folder that begin with `head`, sorted; not those that begin with a dot. */
static ci_rc folder_list(const char *path, const char *head, struct names *out)
{
    ci_rc rc = CI_OK;
    DIR *dir = opendir(path);
    struct dirent *e;

    if (!dir) CI_FAIL(ci_rc_errno(errno), "%s: cannot list: %s", path, strerror(errno));
    for (errno = 0; (e = readdir(dir)); errno = 0) {
        if (e->d_name[0] == '.' || strncmp(e->d_name, head, strlen(head)) != 0) continue;
        CI_TRY(names_add(out, e->d_name));
    }
    if (errno) CI_FAIL(CI_EIO, "%s: cannot list: %s", path, strerror(errno));
    if (out->n) qsort(out->name, out->n, sizeof *out->name, by_bytes);
done:
    if (dir) closedir(dir);
    return rc;
}

/* `what` in the message says which setting names the folder. */
static ci_rc folder_check(const char *path, const char *what)
{
    ci_rc rc = CI_OK;
    struct stat s;

    if (stat(path, &s) != 0) {
        const int err = errno;
        if (err == ENOENT || err == ENOTDIR)
            CI_FAIL(CI_ENOENT, "%s: there is no such folder (%s)", path, what);
        CI_FAIL(ci_rc_errno(err), "%s: %s (%s)", path, strerror(err), what);
    }
    if (!S_ISDIR(s.st_mode)) CI_FAIL(CI_ENOENT, "%s: not a folder (%s)", path, what);
done:
    return rc;
}

static ci_rc folder_add(ci_plan *p, const char *name, ci_role role, const char *key)
{
    ci_rc rc = CI_OK;
    size_t cap = (size_t)p->n_folder;

    if (!name[0] || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        CI_FAIL(CI_ECONF, "%s: '%s' is not the name of a folder", key, name);
    if (strlen(name) >= CI_ITEM_MAX)
        CI_FAIL(CI_EDATA, "%s/%s: a name of more than %d bytes", p->root, name, CI_ITEM_MAX - 1);
    for (int32_t i = 0; i < p->n_folder; i++)
        if (strcmp(p->folder[i].name, name) == 0)
            CI_FAIL(CI_ECONF, "%s: '%s' is named twice in data.train and data.test", key, name);
    CI_TRY(ci_grow((void **)&p->folder, &cap, (size_t)p->n_folder + 1, sizeof *p->folder));
    p->folder[p->n_folder] = (ci_folder){.role = role};
    strcpy(p->folder[p->n_folder++].name, name);
done:
    return rc;
}

static ci_rc folders_configured(const ci_text_list *list, ci_role role, const char *key,
                                ci_plan *p)
{
    ci_rc rc = CI_OK;

    for (int32_t i = 0; i < list->n; i++) CI_TRY(folder_add(p, list->item[i], role, key));
done:
    return rc;
}

static ci_rc folders_present(const char *head, ci_role role, ci_plan *p)
{
    ci_rc rc = CI_OK;
    struct names found = {0};

    CI_TRY(folder_list(p->root, head, &found));
    for (size_t i = 0; i < found.n; i++) {
        char path[2 * CI_PATH_MAX];
        struct stat s;
        snprintf(path, sizeof path, "%s/%s", p->root, found.name[i]);
        if (stat(path, &s) == 0 && !S_ISDIR(s.st_mode)) continue;
        CI_TRY(folder_add(p, found.name[i], role, head));
    }
done:
    names_release(&found);
    return rc;
}

/* Whether the folder data.injected has captures that were made of this very set, all of them. */
static ci_rc injected_check(const ci_conf *conf)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX];
    ci_json *j = NULL;
    const char *state, *base;

    CI_TRY(ci_path_join(path, conf->data.injected, "manifest.json"));
    rc = ci_json_load(path, &j);
    if (rc == CI_ENOENT)
        CI_FAIL(CI_ENOENT, "data.injected: %s is not there: `canids sim` with these settings makes it, as does `canids run` with "
                "pipeline: sim,scan,build,train,eval", path);
    CI_TRY(rc);
    state = ci_json_get_str(j, "state");
    base = ci_json_get_str(j, "base");
    if (!state || strcmp(state, "SIMULATED") != 0 || !base || strcmp(base, conf->data.set) != 0)
        CI_FAIL(CI_EDATA, "data.injected: %s is not of attacks injected into %s: name another folder, which `canids sim` then makes",
                path, conf->data.set);
    if (!ci_json_get_bool(j, "complete"))
        CI_FAIL(CI_EDATA, "data.injected: %s: it was not finished: run `canids sim` again, with the settings that it had", path);
done:
    ci_json_free(&j);
    return rc;
}

ci_rc ci_csv_injected_bases(const ci_conf *conf, const ci_plan *p)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX];
    ci_json *j = NULL;
    const ci_json *bases;
    size_t n = 0;

    if (!p->injected[0]) return CI_OK;
    CI_TRY(ci_path_join(path, conf->data.injected, "manifest.json"));
    CI_TRY(ci_json_load(path, &j));
    bases = ci_json_get(j, "base_files");
    for (int32_t i = 0; i < p->n_capture; i++) {
        const ci_capture *c = &p->capture[i];
        const char *base;

        if (p->folder[c->folder].role != CI_TRAIN || !ci_capture_used(c)) continue;
        base = ci_json_get_str(ci_json_at(bases, n++), "path");
        if (!base || strcmp(base, c->path) != 0)
            CI_FAIL(CI_EDATA, "data.injected: %s is of other training captures: number %zu is %s, and was %s; run `canids sim` with these settings, "
                    "or name another folder", path, n, c->path, base ? base : "none");
    }
    if (n != ci_json_len(bases))
        CI_FAIL(CI_EDATA, "data.injected: %s is of %zu training captures, and there are %zu; run `canids sim` with these settings, or name another folder",
                path, ci_json_len(bases), n);
done:
    ci_json_free(&j);
    return rc;
}

static ci_rc folder_injected(const ci_conf *conf, ci_plan *p)
{
    ci_rc rc = CI_OK;

    if (!conf->data.injected[0]) return CI_OK;
    CI_TRY(injected_check(conf));
    CI_TRY(ci_path_join(p->injected, conf->data.injected, CI_SIM_INJECTED));
    CI_TRY(folder_add(p, CI_INJECTED_NAME, CI_INJECTED, "data.injected"));
done:
    return rc;
}

/* \param [in] all  injected captures, too */
static ci_rc folders_find(const ci_conf *conf, bool all, ci_plan *p)
{
    ci_rc rc = CI_OK;

    if (conf->data.train.n == 0 && conf->data.test.n == 0) {
        CI_TRY(folders_present("train_", CI_TRAIN, p));
        if (p->n_folder == 0) CI_FAIL(CI_ENOENT, "%s: no folder train_* in it", p->root);
        if (all) CI_TRY(folder_injected(conf, p));
        CI_TRY(folders_present("test_", CI_TEST, p));
    } else {
        if (conf->data.train.n == 0)
            CI_FAIL(CI_ECONF, "data.train: empty while data.test names %d folders",
                    conf->data.test.n);
        CI_TRY(folders_configured(&conf->data.train, CI_TRAIN, "data.train", p));
        if (all) CI_TRY(folder_injected(conf, p));
        CI_TRY(folders_configured(&conf->data.test, CI_TEST, "data.test", p));
    }
done:
    return rc;
}

static ci_rc capture_add(ci_plan *p, int32_t folder, const char *name, ci_dialect format, size_t *cap)
{
    ci_rc rc = CI_OK;
    ci_capture c = {.folder = folder, .same_as = -1};
    char path[CI_PATH_MAX];
    bool is_capture = false;
    const int n = snprintf(c.path, sizeof c.path, "%s/%s", p->folder[folder].name, name);

    if (n >= (int)sizeof c.path)
        CI_FAIL(CI_EDATA, "%s/%s/%s: a name of %d bytes; %zu are the most", p->root,
                p->folder[folder].name, name, n, sizeof c.path - 1);
    c.attack_type = ci_attack_type(c.path);
    CI_TRY(ci_grow((void **)&p->capture, cap, (size_t)p->n_capture + 1, sizeof c));
    p->capture[p->n_capture] = c;
    CI_TRY(ci_plan_path(p, p->n_capture, path));
    CI_TRY(ci_capture_open(path, format, &p->capture[p->n_capture], &is_capture));
    if (is_capture)
        p->n_capture++;
    else /* a README is none; a log whose beginning is damaged is one that somebody will miss */
        ci_log(ci_capture_is_text(name) ? CI_INFO : CI_WARN, "%s: of no dialect that is known, left out", path);
done:
    return rc;
}

/* A side-car belongs to a capture beside it. */
static ci_rc sidecar_check(const char *dir, const char *name, const struct names *found)
{
    ci_rc rc = CI_OK;
    const size_t n = strlen(name) - strlen(CI_SIDECAR_END);

    for (size_t i = 0; i < found->n; i++)
        if (strlen(found->name[i]) == n && memcmp(found->name[i], name, n) == 0) goto done;
    CI_FAIL(CI_EDATA, "%s/%s: there is no capture %.*s beside it", dir, name, (int)n, name);
done:
    return rc;
}

static ci_rc captures_of_folder(ci_plan *p, int32_t folder, const char *only, ci_dialect format, size_t *cap)
{
    static const char *const key[] = {[CI_TRAIN] = "data.train", [CI_TEST] = "data.test", [CI_INJECTED] = "data.injected"};
    ci_rc rc = CI_OK;
    const ci_folder *f = &p->folder[folder];
    struct names found = {0};
    char dir[CI_PATH_MAX];
    const int32_t before = p->n_capture;

    if (f->role == CI_INJECTED) snprintf(dir, sizeof dir, "%s", p->injected);
    else CI_TRY(ci_path_join(dir, p->root, f->name));
    CI_TRY(folder_check(dir, key[f->role]));
    CI_TRY(folder_list(dir, "", &found));
    for (size_t i = 0; i < found.n; i++) {
        const ci_name_kind kind = ci_capture_name(found.name[i]);
        if (only && strcmp(found.name[i], only) != 0) continue;
        if (kind == CI_NAME_SIDECAR) CI_TRY(sidecar_check(dir, found.name[i], &found));
        if (kind == CI_NAME_CSV || kind == CI_NAME_MAYBE || (only && kind == CI_NAME_OTHER))
            CI_TRY(capture_add(p, folder, found.name[i], format, cap));
    }
    if (p->n_capture == before && only)
        CI_FAIL(CI_EDATA, "%s/%s is no capture of a dialect that is known; data.format (--format) names one", dir, only);
    if (p->n_capture == before) CI_FAIL(CI_ENOENT, "%s: no *.csv in it, nor a log that is known", dir);
done:
    names_release(&found);
    return rc;
}

/* The plan, which build reads, must name the files as they are. */
static ci_rc names_check(const ci_plan *p)
{
    ci_rc rc = CI_OK;

    const char *const root[] = {p->root, p->injected};

    for (int k = 0; k < 2; k++)
        if (!ci_json_keeps(root[k])) CI_FAIL(CI_EDATA, "%s: not UTF-8, so that plan.json cannot name it; rename the folder", root[k]);
    for (int32_t i = 0; i < p->n_capture; i++)
        if (!ci_json_keeps(p->capture[i].path))
            CI_FAIL(CI_EDATA, "%s/%s: not UTF-8, so that plan.json cannot name it; rename the file or its folder", p->root,
                    p->capture[i].path);
done:
    return rc;
}

/* One line for each dialect that there is. */
static void dialects_log(const ci_plan *p)
{
    int32_t n[CI_DIALECT_COUNT] = {0};

    for (int32_t i = 0; i < p->n_capture; i++) n[p->capture[i].layout.dialect]++;
    for (int d = 0; d < CI_DIALECT_COUNT; d++)
        if (n[d]) ci_log(CI_INFO, "dialect %s: captures %d", ci_dialect_name((ci_dialect)d), n[d]);
}

/* Simulated traffic must stay recognisable in whatever it leads to; of one that was not finished, some captures
   may be missing and others be those of an earlier one. */
static ci_rc simulated_look(const char *root, bool whole, int32_t *out)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX];
    ci_json *j = NULL;
    const char *state;

    *out = 0;
    if (ci_path_join(path, root, "manifest.json") != CI_OK || ci_json_load(path, &j) != CI_OK) return CI_OK;
    state = ci_json_get_str(j, "state");
    *out = state && strcmp(state, "SIMULATED") == 0;
    if (*out && whole && !ci_json_get_bool(j, "complete"))
        CI_FAIL(CI_EDATA, "%s: this simulation was not finished: run `canids sim` again, with the settings that it had", path);
done:
    ci_json_free(&j);
    return rc;
}

ci_rc ci_csv_list(const ci_conf *conf, const char *only, ci_plan *out)
{
    ci_rc rc = CI_OK;
    ci_plan p = {.frames = conf->window.frames, .stride = conf->window.stride};
    const ci_feature_set *set = ci_feature_set_of(conf->features.set, conf->features.past);
    size_t cap = 0;

    if (!set) CI_FAIL(CI_ECONF, "features.set: \"%s\" is unknown", conf->features.set);
    p.rows = ci_feature_rows(set, p.frames, strcmp(conf->features.compat, "reference") == 0);
    if (!conf->data.set[0]) CI_FAIL(CI_ECONF, "data.set: names no data set");
    CI_TRY(folder_check(conf->data.root, "data.root"));
    CI_TRY(ci_path_join(p.root, conf->data.root, conf->data.set));
    CI_TRY(folder_check(p.root, "data.set"));
    CI_TRY(simulated_look(p.root, !only, &p.simulated));
    CI_TRY(folders_find(conf, !only, &p));
    for (int32_t i = 0; i < p.n_folder; i++)
        CI_TRY(captures_of_folder(&p, i, only, ci_dialect_find(conf->data.format), &cap));
    CI_TRY(names_check(&p));
    dialects_log(&p);
    *out = p;
    p = (ci_plan){0};
done:
    ci_plan_release(&p);
    return rc;
}

ci_rc ci_csv_find(const ci_conf *conf, ci_plan *out)
{
    ci_rc rc = CI_OK;
    ci_plan p = {0};

    CI_TRY(ci_csv_list(conf, NULL, &p));
    for (int32_t i = 0; i < p.n_capture; i++)
        CI_TRY(ci_csv_measure(&p, i, conf->data.expand_max, &p.capture[i].bytes));
    CI_TRY(ci_csv_cut(&p, conf->data.block));
    *out = p;
    p = (ci_plan){0};
done:
    ci_plan_release(&p);
    return rc;
}
