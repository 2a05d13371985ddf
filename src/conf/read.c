/** Layers of settings, the later over the earlier, into one ci_conf. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "conf_priv.h"
#include "ci/arena.h"
#include "ci/types.h"

enum { BASE, MODEL, AUXILIARY, NAMED, SET, N_LAYER };

struct reader {
    ci_layer layer[N_LAYER];
    ci_faults faults;
    ci_conf conf;
    char origin[CI_SETTING_MAX][CI_WHERE_MAX];
    char bytes[CI_YAML_BYTES + 1];
};

static char origins[CI_SETTING_MAX][CI_WHERE_MAX];

const char *ci_conf_origin(int row) { return origins[row][0] ? origins[row] : "table"; }

static void set_defaults(ci_conf *c)
{
    memset(c, 0, sizeof *c); /* padding too: settings are compared and broadcast as bytes */
    for (int i = 0; i < ci_n_setting; i++) {
        const ci_setting *s = &ci_settings[i];
        ci_why why = {""};
        if (!ci_value_parse(s, s->init, strlen(s->init), false, c, &why)) abort();
    }
}

/* At most CI_YAML_BYTES + 1 bytes: one more than is allowed tells that there are too many. */
static ci_rc read_bytes(const char *path, char *bytes, size_t *out_n)
{
    ci_rc rc = CI_OK;
    size_t n = 0;
    ssize_t got = 1;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) CI_FAIL(ci_rc_errno(errno), "settings %s: %s", path, strerror(errno));
    while (got > 0 && n <= CI_YAML_BYTES) {
        got = read(fd, bytes + n, (size_t)CI_YAML_BYTES + 1 - n);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got < 0 && errno == EISDIR)
            CI_FAIL(CI_ECONF, "settings %s: a folder; name a YAML file", path);
        else if (got < 0)
            CI_FAIL(CI_EIO, "settings %s: %s", path, strerror(errno));
        else
            n += (size_t)got;
    }
    *out_n = n;
done:
    if (fd >= 0) close(fd);
    return rc;
}

static ci_rc read_file(struct reader *r, int which, const char *path)
{
    ci_rc rc = CI_OK;
    ci_layer *l = &r->layer[which];
    size_t n = 0;

    if (strlen(path) >= sizeof l->source)
        CI_FAIL(CI_ECONF, "settings file: a path of %zu bytes; at most %zu fit", strlen(path),
                sizeof l->source - 1);
    snprintf(l->source, sizeof l->source, "%s", path);
    CI_TRY(read_bytes(path, r->bytes, &n));
    if (n > CI_YAML_BYTES) {
        char where[CI_WHERE_MAX];
        ci_place_text(path, (ci_place){1, 1}, where);
        ci_faults_add(&r->faults, where, "",
                      "more than %d bytes; settings need few (the file is not read)",
                      CI_YAML_BYTES);
    } else {
        ci_yaml_read(r->bytes, n, l, &r->faults);
    }
done:
    return rc;
}

/* A file of config/ that the others presuppose: when it is missing, the settings are wrong. */
static ci_rc read_shipped(struct reader *r, int which, const char *folder, const char *name)
{
    char path[sizeof r->layer[0].source];
    const int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    ci_rc rc;

    if ((size_t)n >= sizeof path)
        return ci_fail(CI_ECONF, __FILE__, __LINE__, "%s: the path is too long", folder);
    rc = read_file(r, which, path);
    if (rc != CI_ENOENT) return rc;
    ci_faults_add(&r->faults, path, "",
                  "is missing; put it there, or point CANIDS_CONFIG to a complete config folder");
    return CI_OK;
}

static void compose(struct reader *r)
{
    set_defaults(&r->conf);
    memset(r->origin, 0, sizeof r->origin);
    for (int k = 0; k < N_LAYER; k++)
        for (int i = 0; i < ci_n_setting; i++) {
            const ci_layer *l = &r->layer[k];
            const ci_setting *s = &ci_settings[i];
            if (l->place[i].line == 0) continue;
            memcpy((char *)&r->conf + s->at, (const char *)&l->value + s->at, s->size);
            ci_place_text(l->source, l->place[i], r->origin[i]);
        }
}

/* A refused value leaves the default in its layer, so that the rest can still be checked. */
static void begin(struct reader *r)
{
    for (int k = 0; k < N_LAYER; k++) set_defaults(&r->layer[k].value);
    snprintf(r->layer[SET].source, sizeof r->layer[SET].source, "--set");
}

static void refuse_choice_of_model(struct reader *r, int which)
{
    static const char *const keys[] = {"model.name", "model.scale", "model.auxiliary"};
    for (size_t k = 0; k < CI_COUNT(keys); k++) {
        const int row = ci_setting_find(keys[k]);
        char where[CI_WHERE_MAX];
        if (r->layer[which].place[row].line == 0) continue;
        ci_place_text(r->layer[which].source, r->layer[which].place[row], where);
        ci_faults_add(&r->faults, where, keys[k],
                      "this file is found by it; set it in another file or with --set");
    }
}

static ci_rc read_model(struct reader *r, const char *folder)
{
    ci_rc rc = CI_OK;
    char name[600];

    snprintf(name, sizeof name, "models/%s/%s.yaml", r->conf.model.name, r->conf.model.scale);
    CI_TRY(read_shipped(r, MODEL, folder, name));
    refuse_choice_of_model(r, MODEL);
    snprintf(name, sizeof name, "auxiliaries/%s.yaml", r->conf.model.auxiliary);
    CI_TRY(read_shipped(r, AUXILIARY, folder, name));
    refuse_choice_of_model(r, AUXILIARY);
done:
    return rc;
}

static const char *origin_of(const struct reader *r, const char *key)
{
    const char *origin = r->origin[ci_setting_find(key)];
    return *origin ? origin : "defaults";
}

/* Rules that no single row can state. */
static void check_together(struct reader *r)
{
    const ci_conf *c = &r->conf;

    if (c->sim.ids_min > c->sim.ids_max)
        ci_faults_add(&r->faults, origin_of(r, "sim.ids_min"), "sim.ids_min",
                      "%d is above sim.ids_max, %d; lower it or raise the other", c->sim.ids_min,
                      c->sim.ids_max);
    if (c->split.every > c->split.blocks)
        ci_faults_add(&r->faults, origin_of(r, "split.every"), "split.every",
                      "%d is above split.blocks, %d, and nothing would validate; lower it",
                      c->split.every, c->split.blocks);
    if (strcmp(c->inject.kind, "none") != 0 && c->inject.site[0] == 0)
        ci_faults_add(&r->faults, origin_of(r, "inject.kind"), "inject.kind",
                      "\"%s\" needs a place; set inject.site", c->inject.kind);
}

ci_rc ci_conf_read(const char *file, const char *const *set, size_t n, ci_conf *out)
{
    ci_rc rc = CI_OK;
    char folder[sizeof ((ci_layer *)0)->source];
    struct reader *r = ci_new(1, sizeof *r);

    if (!r) CI_FAIL(CI_ENOMEM, "reading the settings");
    snprintf(folder, sizeof folder, "%s", ci_conf_folder());
    begin(r);
    if (*folder) CI_TRY(read_shipped(r, BASE, folder, "defaults.yaml"));
    if (file) CI_TRY(read_file(r, NAMED, file));
    ci_set_read(set, n, &r->layer[SET], &r->faults);
    compose(r);
    if (*folder) CI_TRY(read_model(r, folder));
    compose(r);
    check_together(r);
    CI_TRY(ci_faults_fail(&r->faults));
    memcpy(origins, r->origin, sizeof origins);
    *out = r->conf;
done:
    free(r);
    return rc;
}
