/** Models and seeds of a run: what each member is, and which folders stand beside it. */
#include <stdio.h>
#include <string.h>
#include "conf_priv.h"
#include "ci/types.h"

static bool put(char out[CI_TEXT_MAX], const char *text, size_t n)
{
    memset(out, 0, CI_TEXT_MAX); /* to the end: settings are compared as bytes */
    if (n >= CI_TEXT_MAX) return false;
    memcpy(out, text, n);
    return true;
}

#define INJECTED "_injected" /* ends the name of a model that learned from such captures, where there is one that did not */

int32_t ci_member_ways(const ci_conf *base) { return base->models.n && base->data.injected[0] ? 2 : 1; }

int32_t ci_member_count(const ci_conf *base)
{
    return base->models.n || base->seeds.n ? CI_MAX(1, base->models.n) * ci_member_ways(base) * CI_MAX(1, base->seeds.n) : 0;
}

/* <name>_<scale>[_<auxiliary>][_injected] */
static void name_of(const char *name, const char *scale, const char *auxiliary, bool injected, char out[CI_ITEM_MAX])
{
    const bool none = strcmp(auxiliary, "none") == 0;
    snprintf(out, CI_ITEM_MAX, "%.8s_%.8s%s%.16s%s", name, scale, none ? "" : "_", none ? "" : auxiliary, injected ? INJECTED : "");
}

static void name_split(const char *name, ci_conf *out)
{
    const size_t n = strcspn(name, "_"), m = strcspn(name + n + 1, "_");
    const char *scale = name + n + 1, *rest = scale + m;

    put(out->model.name, name, n);
    put(out->model.scale, scale, m);
    put(out->model.auxiliary, *rest ? rest + 1 : "none", *rest ? strlen(rest + 1) : 4);
}

bool ci_member_settings(const ci_conf *base, int32_t k, ci_conf *out)
{
    const int32_t n_seed = CI_MAX(1, base->seeds.n), n_way = ci_member_ways(base);
    const bool injected = n_way == 2 && k / n_seed % 2 == 1;
    char name[CI_ITEM_MAX], dir[2 * CI_TEXT_MAX];
    int n;

    out->model = base->model;
    if (base->models.n) name_split(base->models.item[k / n_seed / n_way], out);
    if (n_way == 2) put(out->train.injected, injected ? "with" : "without", injected ? 4 : 7);
    name_of(out->model.name, out->model.scale, out->model.auxiliary, injected, name);
    out->train.seed = base->seeds.n ? base->seeds.item[k % n_seed] : base->train.seed;
    if (base->seeds.n)
        n = snprintf(dir, sizeof dir, "%s/%s/seed_%d", base->run.dir, name, out->train.seed);
    else
        n = snprintf(dir, sizeof dir, "%s/%s", base->run.dir, name);
    return put(out->run.dir, dir, (size_t)n);
}

const char *ci_conf_member_name(const ci_conf *base, const ci_conf *member)
{
    const size_t n = strlen(base->run.dir);

    return strncmp(base->run.dir, member->run.dir, n) == 0 && member->run.dir[n] == '/' ? member->run.dir + n + 1
                                                                                        : member->run.dir;
}

/* Where models stand beside each other, and what stands below each: "runs/x", "/seed_42"; and is the one of this folder one
   with injected captures? */
static void around(const char *dir, char out_before[CI_TEXT_MAX], char out_after[CI_TEXT_MAX], bool *out_injected)
{
    char path[CI_TEXT_MAX];
    char *slash;
    size_t n;

    snprintf(path, sizeof path, "%s", dir);
    while (path[1] && path[strlen(path) - 1] == '/') path[strlen(path) - 1] = 0;
    out_after[0] = 0;
    slash = strrchr(path, '/');
    if (slash && strncmp(slash, "/seed_", 6) == 0) {
        snprintf(out_after, CI_TEXT_MAX, "%s", slash);
        *slash = 0;
        slash = strrchr(path, '/');
    }
    n = strlen(path);
    *out_injected = n >= strlen(INJECTED) && strcmp(path + n - strlen(INJECTED), INJECTED) == 0;
    snprintf(out_before, CI_TEXT_MAX, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
}

static bool fill(const ci_conf *c, const char *name, const char *scale, const char *auxiliary, char out[CI_TEXT_MAX])
{
    char before[CI_TEXT_MAX], after[CI_TEXT_MAX], of[CI_ITEM_MAX], path[3 * CI_TEXT_MAX];
    bool injected;

    if (*out) return true;
    around(c->run.dir, before, after, &injected);
    name_of(name, scale, auxiliary, injected, of);
    return put(out, path, (size_t)snprintf(path, sizeof path, "%s/%s%s", before, of, after));
}

bool ci_member_beside(ci_conf *c)
{
    const bool dqn = strcmp(c->model.name, "dqn") == 0;
    bool fits = true;

    if (!dqn && c->distill.alpha > 0) fits = fill(c, c->model.name, "large", "none", c->distill.teacher);
    if (!dqn && strcmp(c->train.curriculum, "none") != 0)
        fits = fill(c, "vgae", c->model.scale, "none", c->train.difficulty) && fits;
    if (dqn) fits = fill(c, "vgae", c->model.scale, c->model.auxiliary, c->fusion.vgae) && fits;
    if (dqn) fits = fill(c, "gat", c->model.scale, c->model.auxiliary, c->fusion.gat) && fits;
    return fits;
}

bool ci_conf_folded(const ci_conf *c) { return strcmp(c->split.folds, "none") != 0 && c->split.fold < 0; }

static bool fold_of(char dir[CI_TEXT_MAX], int32_t k)
{
    char path[2 * CI_TEXT_MAX];

    return !*dir || put(dir, path, (size_t)snprintf(path, sizeof path, "%s/fold_%d", dir, k));
}

bool ci_conf_fold(const ci_conf *c, int32_t k, ci_conf *out)
{
    *out = *c;
    out->split.fold = k;
    put(out->eval.threshold, "auto", 4); /* t1 and b998 are of all folds together: with one of them a fold's file would not be read again */
    return fold_of(out->run.dir, k) && fold_of(out->distill.teacher, k) && fold_of(out->train.difficulty, k) &&
           fold_of(out->fusion.vgae, k) && fold_of(out->fusion.gat, k);
}
