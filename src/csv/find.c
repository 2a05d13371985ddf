#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ci/arena.h"
#include "ci/graph.h"
#include "ci/json.h"
#include "csv_priv.h"

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

/* All names of a folder that begin with `head` and end with `tail`, sorted; not those that begin
 * with a dot. */
static ci_rc folder_list(const char *path, const char *head, const char *tail, struct names *out)
{
    ci_rc rc = CI_OK;
    DIR *dir = opendir(path);
    struct dirent *e;

    if (!dir) CI_FAIL(ci_rc_errno(errno), "%s: cannot list: %s", path, strerror(errno));
    for (errno = 0; (e = readdir(dir)); errno = 0) {
        const size_t n = strlen(e->d_name), n_tail = strlen(tail);
        if (e->d_name[0] == '.' || n < n_tail || strcmp(e->d_name + n - n_tail, tail) != 0
            || strncmp(e->d_name, head, strlen(head)) != 0)
            continue;
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

    CI_TRY(folder_list(p->root, head, "", &found));
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

static ci_rc folders_find(const ci_conf *conf, ci_plan *p)
{
    ci_rc rc = CI_OK;

    if (conf->data.train.n == 0 && conf->data.test.n == 0) {
        CI_TRY(folders_present("train_", CI_TRAIN, p));
        if (p->n_folder == 0) CI_FAIL(CI_ENOENT, "%s: no folder train_* in it", p->root);
        CI_TRY(folders_present("test_", CI_TEST, p));
    } else {
        if (conf->data.train.n == 0)
            CI_FAIL(CI_ECONF, "data.train: empty while data.test names %d folders",
                    conf->data.test.n);
        CI_TRY(folders_configured(&conf->data.train, CI_TRAIN, "data.train", p));
        CI_TRY(folders_configured(&conf->data.test, CI_TEST, "data.test", p));
    }
done:
    return rc;
}

/* How the capture is laid out, from its first bytes; whether it is right is for the parser to say,
 * with all that is wrong in the file. */
static ci_rc layout_read(int fd, const char *path, ci_capture *c)
{
    ci_rc rc = CI_OK;
    char text[CI_LAYOUT_SAMPLE];
    ssize_t n;

    do
        n = pread(fd, text, sizeof text, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0) CI_FAIL(CI_EIO, "%s: cannot read: %s", path, strerror(errno));
    ci_layout_find(text, (size_t)n, CI_DIALECT_NONE, &c->layout);
    c->fault = c->layout.fault;
done:
    return rc;
}

static ci_rc capture_read(const char *path, ci_capture *c)
{
    ci_rc rc = CI_OK;
    struct stat s;
    int fd = -1;

    if (stat(path, &s) != 0) CI_FAIL(ci_rc_errno(errno), "%s: %s", path, strerror(errno));
    if (!S_ISREG(s.st_mode))
        CI_FAIL(CI_EDATA, "%s: %s, not a file", path, S_ISDIR(s.st_mode) ? "a folder" : "a device");
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) CI_FAIL(ci_rc_errno(errno), "%s: cannot open: %s", path, strerror(errno));
    c->bytes = s.st_size;
    CI_TRY(layout_read(fd, path, c));
done:
    if (fd >= 0) close(fd);
    return rc;
}

static ci_rc captures_of_folder(ci_plan *p, int32_t folder, size_t *cap)
{
    ci_rc rc = CI_OK;
    struct names found = {0};
    char dir[CI_PATH_MAX], path[CI_PATH_MAX];
    const char *name = p->folder[folder].name;

    CI_TRY(ci_path_join(dir, p->root, name));
    CI_TRY(folder_check(dir, p->folder[folder].role == CI_TRAIN ? "data.train" : "data.test"));
    CI_TRY(folder_list(dir, "", ".csv", &found));
    if (found.n == 0) CI_FAIL(CI_ENOENT, "%s: no *.csv in it", dir);
    for (size_t i = 0; i < found.n; i++) {
        ci_capture c = {.folder = folder, .same_as = -1};
        const int n = snprintf(c.path, sizeof c.path, "%s/%s", name, found.name[i]);
        if (n >= (int)sizeof c.path)
            CI_FAIL(CI_EDATA, "%s/%s: a name of %d bytes; %zu are the most", dir, found.name[i], n,
                    sizeof c.path - 1);
        CI_TRY(ci_grow((void **)&p->capture, cap, (size_t)p->n_capture + 1, sizeof c));
        c.attack_type = ci_attack_type(c.path);
        p->capture[p->n_capture] = c;
        CI_TRY(ci_plan_path(p, p->n_capture, path));
        CI_TRY(capture_read(path, &p->capture[p->n_capture++]));
    }
done:
    names_release(&found);
    return rc;
}

/* An empty file has one empty block, so that somebody says that it is empty. */
static ci_rc blocks_cut(ci_plan *p, int64_t block)
{
    ci_rc rc = CI_OK;
    int64_t n = 0;

    for (int32_t i = 0; i < p->n_capture; i++)
        n += CI_MAX(1, (p->capture[i].bytes + block - 1) / block);
    if (n > INT32_MAX)
        CI_FAIL(CI_ECONF, "data.block: %lld bytes make %lld blocks; choose a larger one",
                (long long)block, (long long)n);
    p->block = ci_new((size_t)n, sizeof *p->block);
    if (!p->block) CI_FAIL(CI_ENOMEM, "no memory for %lld blocks", (long long)n);
    for (int32_t i = 0; i < p->n_capture; i++) {
        ci_capture *c = &p->capture[i];
        int64_t offset = 0;
        c->first_block = p->n_block;
        do {
            const int64_t bytes = CI_MIN(block, c->bytes - offset);
            p->block[p->n_block++] = (ci_block){.capture = i, .offset = offset, .bytes = bytes};
            offset += bytes;
        } while (offset < c->bytes);
        c->n_block = p->n_block - c->first_block;
    }
done:
    return rc;
}

/* Simulated traffic must stay recognisable in whatever it leads to. */
static int32_t is_simulated(const char *root)
{
    char path[CI_PATH_MAX];
    ci_json *j = NULL;
    const char *state;
    int32_t yes = 0;

    if (ci_path_join(path, root, "manifest.json") == CI_OK && ci_json_load(path, &j) == CI_OK) {
        state = ci_json_get_str(j, "state");
        yes = state && strcmp(state, "SIMULATED") == 0;
    }
    ci_json_free(&j);
    return yes;
}

ci_rc ci_csv_find(const ci_conf *conf, ci_plan *out)
{
    ci_rc rc = CI_OK;
    ci_plan p = {.frames = conf->window.frames, .stride = conf->window.stride};
    const ci_feature_set *set = ci_feature_set_find(conf->features.set);
    size_t cap = 0;

    if (!set) CI_FAIL(CI_ECONF, "features.set: \"%s\" is unknown", conf->features.set);
    p.rows = ci_feature_rows(set, p.frames, strcmp(conf->features.compat, "reference") == 0);
    if (!conf->data.set[0]) CI_FAIL(CI_ECONF, "data.set: names no data set");
    if (conf->data.block < 1)
        CI_FAIL(CI_ECONF, "data.block: %lld bytes", (long long)conf->data.block);
    CI_TRY(folder_check(conf->data.root, "data.root"));
    CI_TRY(ci_path_join(p.root, conf->data.root, conf->data.set));
    CI_TRY(folder_check(p.root, "data.set"));
    p.simulated = is_simulated(p.root);
    CI_TRY(folders_find(conf, &p));
    for (int32_t i = 0; i < p.n_folder; i++) CI_TRY(captures_of_folder(&p, i, &cap));
    CI_TRY(blocks_cut(&p, conf->data.block));
    *out = p;
    p = (ci_plan){0};
done:
    ci_plan_release(&p);
    return rc;
}
