/* A fusion model as a file of flat arrays, and back, believing nothing. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ci/commit.h"
#include "ci/h5.h"
#include "fusion_priv.h"

enum { ARRAYS = 16, SCORES = 7, SETTINGS = 14 };

/* What a file says in numbers; written and read in this order. */
struct settings { const char *name; int64_t v; };

static void settings_of(const ci_fusion *f, struct settings out[SETTINGS])
{
    const struct settings s[SETTINGS] = {
        {"format_version", CI_FUSION_VERSION},  {"state", f->shape.state},
        {"actions", f->shape.actions},          {"hidden", f->shape.hidden},
        {"layers", f->shape.layers},            {"norm", f->shape.norm},
        {"legacy_reward", f->shape.legacy},     {"percentile", f->scale.percentile},
        {"memory", f->memory},                  {"episode", f->at.episode},
        {"step", f->at.step},                   {"seen", f->at.seen},
        {"best_episode", f->at.best_episode},   {"finished", f->at.finished},
    };

    memcpy(out, s, sizeof s);
}

/* One array of the file and where it is in memory. */
struct place { ci_array a; void *at; };

/* Which arrays a model has; score is work. */
static size_t places_of(ci_fusion *f, double score[SCORES], struct place out[ARRAYS])
{
    const int64_t h = f->method == LINUCB ? width(f) : 0, arms = f->shape.actions, d = f->scale.d, M = f->memory;
    const struct place all[] = {
        {{"weight", CI_TYPE_F32, f->n, 1, NULL, "parameters, net after net, layer after layer", NULL}, f->w},
        {{"moment1", CI_TYPE_F32, f->n, 1, NULL, "first moment of Adam", NULL}, f->m},
        {{"moment2", CI_TYPE_F32, f->n, 1, NULL, "second moment of Adam", NULL}, f->v},
        {{"state_mean", CI_TYPE_F64, f->shape.state, 1, NULL, "of each column of the training states", NULL}, f->scale.mean},
        {{"state_spread", CI_TYPE_F64, f->shape.state, 1, NULL, "of each column of the training states", NULL}, f->scale.spread},
        {{"share", CI_TYPE_F64, CI_FUSION_SHARES, 1, NULL, "errors of benign validation windows at even shares", NULL}, f->scale.share},
        {{"score", CI_TYPE_F64, SCORES, 1, NULL,
          "best validation AUROC and Youden-J, threshold, sums and counts of loss and of reward since validation", NULL}, score},
        {{"latent_mean", CI_TYPE_F64, d, 1, NULL, "over nodes of benign validation windows", NULL}, f->scale.latent_mean},
        {{"latent_spread", CI_TYPE_F64, d, 1, NULL, "over nodes of benign validation windows", NULL}, f->scale.latent_spread},
        {{"target", CI_TYPE_F32, f->target ? f->n : 0, 1, NULL, "parameters of the target network", NULL}, f->target},
        {{"inverse", CI_TYPE_F64, arms * h, h, NULL, "inverse matrix of each arm's ridge", NULL}, f->inverse},
        {{"b", CI_TYPE_F64, h ? arms : 0, h, NULL, "right side of each arm's ridge", NULL}, f->b},
        {{"theta", CI_TYPE_F32, h, arms, NULL, "solution of each arm's ridge", NULL}, f->theta},
        {{"past_state", CI_TYPE_I32, M, 1, NULL, "remembered training states, a ring", NULL}, f->past_state},
        {{"past_action", CI_TYPE_I32, M, 1, NULL, "what was chosen", NULL}, f->past_action},
        {{"past_reward", CI_TYPE_F32, M, 1, NULL, "what for", NULL}, f->past_reward},
    };
    size_t n = 0;

    for (size_t i = 0; i < CI_COUNT(all); i++)
        if (all[i].a.rows > 0) out[n++] = all[i];
    return n;
}

static void score_of(const ci_fusion *f, double v[SCORES])
{
    const ci_fusion_progress *p = &f->at;
    const double all[SCORES] = {p->best_auroc, p->best_j, p->threshold, p->loss_sum, p->loss_n, p->reward_sum, p->reward_n};

    memcpy(v, all, sizeof all);
}

ci_rc ci_fusion_write(const ci_fusion *f, const char *path)
{
    ci_rc rc = CI_OK;
    ci_h5 *file = NULL;
    ci_fusion *read = NULL; /* what a reader would see of it */
    char temp[CI_PATH_MAX] = "";
    double score[SCORES];
    struct settings s[SETTINGS];
    struct place place[ARRAYS];
    ci_array array[ARRAYS];
    const size_t n = places_of((ci_fusion *)f, score, place);
    ci_attribute attribute[SETTINGS + 8] = {
        {"format", "canids fusion", 0},        {"method", f->shape.method, 0},   {"settings_sha256", f->of.settings, 0},
        {"store_tree_sha256", f->of.store, 0}, {"gat_sha256", f->of.gat, 0},     {"vgae_sha256", f->of.vgae, 0},
        {"gat", f->of.gat_dir, 0},             {"vgae", f->of.vgae_dir, 0},
    };

    score_of(f, score);
    settings_of(f, s);
    for (int i = 0; i < SETTINGS; i++) attribute[8 + i] = (ci_attribute){s[i].name, NULL, s[i].v};
    for (size_t i = 0; i < n; i++) array[i] = place[i].a;
    CI_TRY(ci_commit_temp(path, temp));
    CI_TRY(ci_h5_create(NULL, temp, array, n, attribute, CI_COUNT(attribute), &file));
    for (size_t i = 0; i < n; i++) CI_TRY(ci_h5_write(file, i, 0, array[i].rows, place[i].at));
    CI_TRY(ci_h5_finish(&file));
    CI_TRY(ci_fusion_load(temp, f->ops->name, &read));
    CI_TRY(ci_commit_publish(path, NULL, NULL));
done:
    ci_h5_abandon(&file);
    ci_fusion_destroy(&read);
    if (rc != CI_OK && temp[0]) unlink(temp);
    return rc;
}

static int64_t number(const struct settings *s, const char *name)
{
    while (strcmp(s->name, name) != 0) s++;
    return s->v;
}

static ci_rc head_read(const ci_h5_view *v, const char *path, struct settings s[SETTINGS], ci_fusion_shape *shape, ci_fusion_of *of)
{
    ci_rc rc = CI_OK;
    char format[64] = "";
    ci_fusion none = {0};

    if (ci_h5_text(v, "format", format, sizeof format) != CI_OK || strcmp(format, "canids fusion") != 0)
        CI_FAIL(CI_EFORMAT, "%s: not a fusion model of canids (format \"%s\")", path, format);
    settings_of(&none, s);
    for (int i = 0; i < SETTINGS; i++) {
        CI_TRY(ci_h5_number(v, s[i].name, &s[i].v));
        if (i == 0 && s[i].v != CI_FUSION_VERSION)
            CI_FAIL(CI_EFORMAT, "%s: fusion model of version %lld, this program reads %d; train again", path, (long long)s[i].v,
                    CI_FUSION_VERSION);
        if (s[i].v < -(strcmp(s[i].name, "best_episode") == 0) || (i < 9 && s[i].v > INT32_MAX)) CI_FAIL(CI_EFORMAT, "%s: %s is %lld", path, s[i].name, (long long)s[i].v);
    }
    CI_TRY(ci_h5_text(v, "method", shape->method, sizeof shape->method));
    CI_TRY(ci_h5_text(v, "settings_sha256", of->settings, sizeof of->settings));
    CI_TRY(ci_h5_text(v, "store_tree_sha256", of->store, sizeof of->store));
    CI_TRY(ci_h5_text(v, "gat_sha256", of->gat, sizeof of->gat));
    CI_TRY(ci_h5_text(v, "vgae_sha256", of->vgae, sizeof of->vgae));
    CI_TRY(ci_h5_text(v, "gat", of->gat_dir, sizeof of->gat_dir));
    CI_TRY(ci_h5_text(v, "vgae", of->vgae_dir, sizeof of->vgae_dir));
    shape->state = (int32_t)number(s, "state");
    shape->actions = (int32_t)number(s, "actions");
    shape->hidden = (int32_t)number(s, "hidden");
    shape->layers = (int32_t)number(s, "layers");
    shape->norm = number(s, "norm") > 0;
    shape->legacy = number(s, "legacy_reward") > 0;
done:
    return rc;
}

static ci_rc arrays_read(const ci_h5_view *v, ci_fusion *f)
{
    ci_rc rc = CI_OK;
    double score[SCORES];
    struct place place[ARRAYS];
    const void *any;
    const size_t n = places_of(f, score, place);

    for (size_t i = 0; i < n; i++) {
        const ci_array *a = &place[i].a;
        CI_TRY(ci_h5_array(v, a->name, a->kind, a->rows, a->cols, &any, NULL));
        memcpy(place[i].at, any, (size_t)a->rows * (size_t)a->cols * ci_type_bytes(a->kind));
    }
    f->at.best_auroc = score[0];
    f->at.best_j = score[1];
    f->at.threshold = score[2];
    f->at.loss_sum = score[3];
    f->at.loss_n = score[4];
    f->at.reward_sum = score[5];
    f->at.reward_n = score[6];
done:
    return rc;
}

/* Values that would lead out of arrays, or to nothing. */
static ci_rc values_check(const ci_fusion *f, const char *path)
{
    ci_rc rc = CI_OK;

    for (int32_t k = 0; k < f->shape.state; k++)
        if (!isfinite(f->scale.mean[k]) || !(f->scale.spread[k] > 0) || !isfinite(f->scale.spread[k]))
            CI_FAIL(CI_EFORMAT, "%s: mean %g and spread %g of column %d", path, f->scale.mean[k], f->scale.spread[k], k);
    if (!isfinite(f->at.threshold)) CI_FAIL(CI_EFORMAT, "%s: the threshold is %g", path, f->at.threshold);
    for (int32_t i = 0; i < f->memory; i++)
        if (f->past_state[i] < 0 || f->past_action[i] < 0 || f->past_action[i] >= f->shape.actions)
            CI_FAIL(CI_EFORMAT, "%s: action %d of window %d is remembered", path, f->past_action[i], f->past_state[i]);
done:
    return rc;
}

ci_rc ci_fusion_read(const char *path, const char *isa, ci_fusion **out)
{
    ci_rc rc = CI_OK;

    *out = NULL;
    CI_TRY(ci_commit_check(path, NULL));
    CI_TRY(ci_fusion_load(path, isa, out));
done:
    return rc;
}

ci_rc ci_fusion_load(const char *path, const char *isa, ci_fusion **out)
{
    ci_rc rc = CI_OK;
    ci_h5_view *v = NULL;
    ci_fusion *f = NULL;
    ci_fusion_shape shape = {0};
    ci_fusion_of of = {0};
    struct settings s[SETTINGS];
    const void *any;
    int64_t d = 0;

    *out = NULL;
    CI_TRY(ci_h5_open(path, &v));
    CI_TRY(head_read(v, path, s, &shape, &of));
    rc = ci_fusion_create(&shape, (int32_t)CI_MAX(number(s, "memory"), 0), isa, &f);
    if (rc == CI_ECONF) CI_FAIL(CI_EFORMAT, "%s: a %s of %d columns and %d actions cannot be", path, shape.method, shape.state, shape.actions);
    CI_TRY(rc);
    f->of = of;
    if (shape.state == 18) CI_TRY(ci_h5_array(v, "latent_mean", CI_TYPE_F64, -1, 1, &any, &d));
    if (d > CI_FUSION_LATENT) CI_FAIL(CI_EFORMAT, "%s: %lld latent means", path, (long long)d);
    f->scale.d = (int32_t)d;
    f->scale.percentile = number(s, "percentile") > 0;
    f->at.episode = number(s, "episode");
    f->at.step = number(s, "step");
    f->at.seen = number(s, "seen");
    f->at.best_episode = number(s, "best_episode");
    f->at.finished = number(s, "finished");
    CI_TRY(arrays_read(v, f));
    CI_TRY(values_check(f, path));
    *out = f;
    f = NULL;
done:
    ci_fusion_destroy(&f);
    ci_h5_close(&v);
    return rc;
}
