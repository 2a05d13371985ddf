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

enum { BASE, MODEL, PRESET, AUXILIARY, NAMED, SET, MEMBER, N_LAYER };

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

static void layer_clear(ci_layer *l)
{
    l->source[0] = 0;
    set_defaults(&l->value);
    memset(l->place, 0, sizeof l->place);
}

/* A refused value leaves the default in its layer, so that the rest can still be checked. */
static void begin(struct reader *r)
{
    for (int k = 0; k < N_LAYER; k++) layer_clear(&r->layer[k]);
    snprintf(r->layer[SET].source, sizeof r->layer[SET].source, "--set");
}

static void refuse_choice_of_model(struct reader *r, int which)
{
    static const char *const keys[] = {"model.name", "model.scale", "model.auxiliary", "model.preset"};
    for (size_t k = 0; k < CI_COUNT(keys); k++) {
        const int row = ci_setting_find(keys[k]);
        char where[CI_WHERE_MAX];
        if (r->layer[which].place[row].line == 0) continue;
        ci_place_text(r->layer[which].source, r->layer[which].place[row], where);
        ci_faults_add(&r->faults, where, keys[k],
                      "this file is found by it; set it in another file or with --set");
    }
}

/* The files that the choice of model, preset and auxiliary names, over those of another model. */
static ci_rc read_model(struct reader *r, const char *folder)
{
    ci_rc rc = CI_OK;
    char name[3 * CI_TEXT_MAX + 32];
    const ci_conf chosen = r->conf;

    for (int k = MODEL; k <= AUXILIARY; k++) layer_clear(&r->layer[k]);
    snprintf(name, sizeof name, "models/%s/%s.yaml", chosen.model.name, chosen.model.scale);
    CI_TRY(read_shipped(r, MODEL, folder, name));
    if (strcmp(chosen.model.preset, "default") != 0) {
        snprintf(name, sizeof name, "presets/%s/%s_%s.yaml", chosen.model.preset, chosen.model.name, chosen.model.scale);
        CI_TRY(read_shipped(r, PRESET, folder, name));
    }
    snprintf(name, sizeof name, "auxiliaries/%s.yaml", chosen.model.auxiliary);
    CI_TRY(read_shipped(r, AUXILIARY, folder, name));
    for (int k = MODEL; k <= AUXILIARY; k++) refuse_choice_of_model(r, k);
done:
    return rc;
}

/* All of one model: its files, then the layers over them. */
static ci_rc resolve(struct reader *r, const char *folder)
{
    ci_rc rc = CI_OK;

    compose(r);
    if (*folder) CI_TRY(read_model(r, folder));
    compose(r);
done:
    return rc;
}

static const char *origin_of(const struct reader *r, const char *key)
{
    const char *origin = r->origin[ci_setting_find(key)];
    return *origin ? origin : "defaults";
}

/* Settings of member k as a layer above all others. */
static void member_layer(struct reader *r, const ci_conf *base, int32_t k)
{
    static const char *const keys[] = {"models", "seeds", "run.dir", "model.name", "model.scale", "model.auxiliary",
                                       "train.seed"};
    const ci_place place = {k / CI_MAX(1, base->seeds.n) / ci_member_ways(base) + 1, 0};
    ci_layer *l = &r->layer[MEMBER];

    layer_clear(l);
    snprintf(l->source, sizeof l->source, "models");
    if (!ci_member_settings(base, k, &l->value))
        ci_faults_add(&r->faults, origin_of(r, "run.dir"), "run.dir", "\"%s\" is too long: the folder of each model has to fit below it",
                      base->run.dir);
    for (size_t i = 0; i < CI_COUNT(keys); i++) l->place[ci_setting_find(keys[i])] = place;
    if (ci_member_ways(base) == 2) l->place[ci_setting_find("train.injected")] = place;
    /* What is said of all is not said of those whose name says otherwise: of these the defaults are wanted. */
    if (base->models.n && strcmp(l->value.model.auxiliary, "none") == 0) l->place[ci_setting_find("distill.alpha")] = place;
    if (base->models.n && strcmp(l->value.model.name, "gat") != 0) l->place[ci_setting_find("train.curriculum")] = place;
}

/* A folder left empty is the one beside: said, so that the settings that are kept name it. */
static void fill_beside(struct reader *r)
{
    static const char *const keys[] = {"distill.teacher", "train.difficulty", "fusion.vgae", "fusion.gat"};
    char was[CI_COUNT(keys)][CI_TEXT_MAX];

    for (size_t i = 0; i < CI_COUNT(keys); i++)
        memcpy(was[i], (const char *)&r->conf + ci_settings[ci_setting_find(keys[i])].at, CI_TEXT_MAX);
    if (!ci_member_beside(&r->conf))
        ci_faults_add(&r->faults, r->origin[ci_setting_find("run.dir")], "run.dir", "\"%s\" is too long: a folder beside it has to fit",
                      r->conf.run.dir);
    for (size_t i = 0; i < CI_COUNT(keys); i++) {
        const int row = ci_setting_find(keys[i]);
        if (strcmp(was[i], (const char *)&r->conf + ci_settings[row].at) != 0)
            snprintf(r->origin[row], sizeof r->origin[row], "beside run.dir");
    }
}

/* Members share what is prepared: their files may not set any of that apart. */
static void check_shared(struct reader *r, const ci_conf *base)
{
    static const char *const shared[] = {"pipeline", "data.", "run.memory", "run.log", "window.", "features.", "vocab.",
                                         "contract.", "store.", "comm.", "inject.", "sim."};

    for (int i = 0; i < ci_n_setting; i++)
        for (size_t k = 0; k < CI_COUNT(shared); k++) {
            const ci_setting *s = &ci_settings[i];
            if (strncmp(s->key, shared[k], strlen(shared[k])) != 0) continue;
            if (memcmp((const char *)base + s->at, (const char *)&r->conf + s->at, s->size) == 0) continue;
            ci_faults_add(&r->faults, origin_of(r, s->key), s->key,
                          "%s_%s has it otherwise than the other models of the run, which share captures and store; "
                          "set it in the file named or with --set", r->conf.model.name, r->conf.model.scale);
        }
}

static ci_rc read_members(struct reader *r, const char *folder, const ci_conf *base, ci_conf **out, int32_t *out_n)
{
    ci_rc rc = CI_OK;
    const int32_t n = ci_member_count(base);
    ci_conf *member = n ? ci_new((size_t)n, sizeof *member) : NULL;

    if (n && !member) CI_FAIL(CI_ENOMEM, "settings of %d models", n);
    for (int32_t k = 0; k < n; k++) {
        r->conf = *base;
        member_layer(r, base, k);
        CI_TRY(resolve(r, folder));
        fill_beside(r);
        check_shared(r, base);
        ci_conf_check(&r->conf, r->origin, true, &r->faults);
        member[k] = r->conf;
    }
    CI_TRY(ci_faults_fail(&r->faults));
    *out = member;
    *out_n = n;
    member = NULL;
done:
    free(member);
    return rc;
}

/* Sources that speak of all models, and what they say without any of `models`. */
static ci_rc read_base(struct reader *r, const char *folder, const char *file, const char *const *set, size_t n)
{
    ci_rc rc = CI_OK;

    begin(r);
    if (*folder) CI_TRY(read_shipped(r, BASE, folder, "defaults.yaml"));
    if (file) CI_TRY(read_file(r, NAMED, file));
    ci_set_read(set, n, &r->layer[SET], &r->faults);
    CI_TRY(resolve(r, folder));
done:
    return rc;
}

ci_rc ci_conf_read_all(const char *file, const char *const *set, size_t n, ci_conf *out, ci_conf **out_member,
                       int32_t *out_n)
{
    ci_rc rc = CI_OK;
    char folder[sizeof ((ci_layer *)0)->source];
    ci_conf *member = NULL, *base = ci_new(1, sizeof *base);
    int32_t n_member = 0;
    struct reader *r = ci_new(1, sizeof *r);

    if (!r || !base) CI_FAIL(CI_ENOMEM, "reading the settings");
    snprintf(folder, sizeof folder, "%s", ci_conf_folder());
    CI_TRY(read_base(r, folder, file, set, n));
    if (ci_member_count(&r->conf) == 0) fill_beside(r);
    ci_conf_check(&r->conf, r->origin, ci_member_count(&r->conf) == 0, &r->faults);
    *base = r->conf;
    memcpy(origins, r->origin, sizeof origins);
    CI_TRY(read_members(r, folder, base, &member, &n_member));
    *out = *base;
    if (out_member) {
        *out_member = member;
        *out_n = n_member;
        member = NULL;
    }
done:
    free(member);
    free(base);
    free(r);
    return rc;
}

ci_rc ci_conf_read(const char *file, const char *const *set, size_t n, ci_conf *out)
{
    return ci_conf_read_all(file, set, n, out, NULL, NULL);
}
