/* Which captures are left out together. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/attack.h"
#include "ci/split.h"

enum { TRAIN = 0, TEST = 1, INJECTED = 2 };

static int32_t role_of(const ci_store *st, int32_t capture) { return st->head.folder[st->head.capture[capture].folder].role; }

bool ci_injected_used(const ci_store *st, const ci_conf *conf)
{
    if (strcmp(conf->train.injected, "with") != 0) return false;
    for (int32_t i = 0; i < st->head.n_capture; i++)
        if (role_of(st, i) == INJECTED) return true;
    return false;
}

/* b of "injected/mixed-kia-b007-c0002.csv"; 0 where the name has none. */
static long base_number(const char *path)
{
    const char *at = NULL;
    char *end;
    long b;

    for (const char *p = path; (p = strstr(p, "-b")); p++) at = p;
    if (!at) return 0;
    b = strtol(at + 2, &end, 10);
    return strncmp(end, "-c", 2) == 0 ? b : 0;
}

/* The capture that an injected one was made from. */
static ci_rc base_of(const ci_store *st, const ci_conf *conf, int32_t capture, int32_t *out)
{
    ci_rc rc = CI_OK;
    const char *path = st->head.capture[capture].path;
    long b = base_number(path);
    int32_t i = 0, mine, its;

    if (b < 1) CI_FAIL(CI_EDATA, "%s: the name does not end in -b<number>-c<number>.csv, so its base is not known; make data.injected again", path);
    for (; i < st->head.n_capture; i++)
        if (role_of(st, i) == TRAIN && --b == 0) break;
    if (i == st->head.n_capture)
        CI_FAIL(CI_EDATA, "%s: there is no training capture %ld that it could be made from; make data.injected again from data.train of now", path,
                base_number(path));
    mine = ci_conf_vehicle(conf, path);
    its = ci_conf_vehicle(conf, st->head.capture[i].path);
    if (mine >= 0 && mine != its)
        CI_FAIL(CI_EDATA, "%s: of vehicle %s, but training capture %ld is %s; make data.injected again from data.train of now", path,
                conf->data.vehicles.item[mine], base_number(path), st->head.capture[i].path);
    *out = i;
done:
    return rc;
}

/* What training captures of one fold have in common, -1: in none; less than `room`. */
static int32_t key_of(const ci_store *st, const ci_conf *conf, int32_t capture)
{
    if (strcmp(conf->split.folds, "vehicle") == 0) {
        const int32_t v = ci_conf_vehicle(conf, st->head.capture[capture].path);
        return v < 0 ? conf->data.vehicles.n : v;
    }
    if (strcmp(conf->split.folds, "attack") == 0) return st->head.capture[capture].attack ? st->head.capture[capture].attack : -1;
    return capture;
}

static void name_fill(const ci_store *st, const ci_conf *conf, int32_t key, char out[CI_STORE_TEXT])
{
    const char *name = st->head.capture[CI_MIN(key, st->head.n_capture - 1)].path;

    if (strcmp(conf->split.folds, "vehicle") == 0) name = key < conf->data.vehicles.n ? conf->data.vehicles.item[key] : "unknown vehicle";
    if (strcmp(conf->split.folds, "attack") == 0) name = ci_attack_name(key);
    snprintf(out, CI_STORE_TEXT, "%s", name);
}

/* Keys in ascending order become folds. */
static ci_rc number(const ci_store *st, const ci_conf *conf, ci_folds *f)
{
    ci_rc rc = CI_OK;
    const int32_t n = st->head.n_capture;
    int32_t most = -1, *fold = NULL;

    for (int32_t i = 0; i < n; i++) most = CI_MAX(most, f->of[i]);
    fold = ci_new((size_t)most + 2, sizeof *fold);
    f->name = ci_new((size_t)most + 2, sizeof *f->name);
    if (!fold || !f->name) CI_FAIL(CI_ENOMEM, "folds of %d captures", n);
    for (int32_t i = 0; i < n; i++)
        if (f->of[i] >= 0) fold[f->of[i]] = 1;
    for (int32_t key = 0; key <= most; key++) {
        if (!fold[key]) continue;
        name_fill(st, conf, key, f->name[f->n]);
        fold[key] = f->n++;
    }
    for (int32_t i = 0; i < n; i++)
        if (f->of[i] >= 0) f->of[i] = fold[f->of[i]];
    if (f->n < 2)
        CI_FAIL(CI_ECONF, "split.folds: %s gives %d fold%s of the %d captures, and two are needed; choose another%s", conf->split.folds, f->n,
                f->n == 1 ? "" : "s", n, strcmp(conf->split.folds, "vehicle") == 0 ? ", or name the vehicles in data.vehicles" : "");
    if (f->n > CI_FOLDS_MAX)
        CI_FAIL(CI_ECONF, "split.folds: %s gives %d folds, more than %d: each is a training; choose another", conf->split.folds, f->n, CI_FOLDS_MAX);
done:
    free(fold);
    return rc;
}

ci_rc ci_folds_find(const ci_store *st, const ci_conf *conf, ci_folds *out)
{
    ci_rc rc = CI_OK;
    const int32_t n = st->head.n_capture;
    ci_folds f = {0};

    f.of = ci_new((size_t)n, sizeof *f.of);
    if (!f.of) CI_FAIL(CI_ENOMEM, "folds of %d captures", n);
    for (int32_t i = 0; i < n; i++) f.of[i] = -1;
    if (strcmp(conf->split.folds, "none") != 0) {
        for (int32_t i = 0; i < n; i++)
            if (role_of(st, i) == TRAIN) f.of[i] = key_of(st, conf, i);
        CI_TRY(number(st, conf, &f));
        for (int32_t i = 0, base = 0; i < n; i++) {
            if (role_of(st, i) != INJECTED) continue;
            CI_TRY(base_of(st, conf, i, &base));
            f.of[i] = f.of[base];
        }
    }
    *out = f;
    f = (ci_folds){0};
done:
    ci_folds_release(&f);
    return rc;
}

void ci_folds_release(ci_folds *f)
{
    if (!f) return;
    free(f->of);
    free(f->name);
    *f = (ci_folds){0};
}
