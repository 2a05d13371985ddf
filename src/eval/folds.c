/* What fold models say of the captures that they have not seen, and the thresholds that follow. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/commit.h"
#include "ci/json.h"
#include "ci/log.h"
#include "ci/split.h"
#include "eval_priv.h"

#define BENIGN_SHARE 0.998 /* detection.md 2 */

/* One fold's windows among the pooled ones. */
struct fold {
    int64_t first, n, n_attack;
    int64_t epoch; /* of the weights */
    char weights[CI_SHA256_HEX];
};

/* Scores of all folds, one after the other. */
struct pool {
    ci_folds folds;
    struct fold *fold; /* (folds.n); owned */
    int64_t n, n_attack;
    double *score;     /* (graphs of the store); owned */
    uint8_t *label;    /* (graphs of the store); owned */
    const char *score_name;
    double t1, b998;   /* t1: NaN without attacks */
    struct frames frames; /* of models that judge frames */
    double frame_t1, frame_b998; /* NaN of models that do not */
};

static void pool_release(struct pool *p)
{
    ci_folds_release(&p->folds);
    free(p->fold);
    free(p->score);
    free(p->label);
    frames_release(&p->frames);
}

static ci_rc pool_init(struct pool *p, const ci_conf *conf, const ci_store *st)
{
    ci_rc rc = CI_OK;

    CI_TRY(ci_folds_find(st, conf, &p->folds));
    p->fold = ci_new((size_t)p->folds.n, sizeof *p->fold);
    p->score = ci_new((size_t)st->head.n_graph, sizeof *p->score);
    p->label = ci_new((size_t)st->head.n_graph, sizeof *p->label);
    if (!p->fold || !p->score || !p->label) CI_FAIL(CI_ENOMEM, "scores of %lld graphs", (long long)st->head.n_graph);
done:
    return rc;
}

/* The windows that fold k leaves out: recorded, and injected where such are learned from. */
static ci_rc left_out(const ci_store *st, const ci_conf *conf, const ci_folds *folds, int32_t k, struct scored *out)
{
    ci_rc rc = CI_OK;
    const bool injected = ci_injected_used(st, conf);

    out->graph = ci_new((size_t)st->head.n_graph, sizeof *out->graph);
    out->score = ci_new((size_t)st->head.n_graph, sizeof *out->score);
    if (!out->graph || !out->score) CI_FAIL(CI_ENOMEM, "%lld graphs", (long long)st->head.n_graph);
    for (int32_t i = 0; i < st->head.n_capture; i++) {
        const ci_store_capture *c = &st->head.capture[i];

        if (folds->of[i] != k || (!injected && st->head.folder[c->folder].role != 0)) continue;
        for (int64_t g = c->first_graph; g < c->first_graph + c->n_graph; g++)
            if (ci_store_warm(st, g)) out->graph[out->n++] = g;
    }
done:
    return rc;
}

static ci_rc frames_take(const ci_store *st, const struct scored *all, struct pool *p)
{
    ci_rc rc = CI_OK;

    for (int64_t i = 0; all->frame && i < all->n; i++) CI_TRY(frames_add(&p->frames, st, all, i));
done:
    return rc;
}

static ci_rc fold_judge(const ci_comm *comm, const ci_conf *conf, const ci_store *st, const char *store_sha, int32_t k, struct pool *p)
{
    ci_rc rc = CI_OK;
    ci_conf *of_fold = ci_new(1, sizeof *of_fold);
    struct scored all = {.odds = true};
    struct judge j = {0};
    struct fold *f = &p->fold[k];

    CI_TRY_ALL(comm, "folds.conf", of_fold && ci_conf_fold(conf, k, of_fold) ? CI_OK : ci_fail(CI_ECONF, __FILE__, __LINE__, "run.dir: %s is too long for its folds", conf->run.dir));
    strcpy(of_fold->eval.weights, "best");
    CI_TRY(judge_open(comm, of_fold, st, store_sha, &j));
    CI_TRY_ALL(comm, "folds.windows", left_out(st, conf, &p->folds, k, &all));
    if (all.n) CI_TRY(judge_score(comm, of_fold, st, &j, &all));
    if (all.n) p->score_name = all.score_name;
    *f = (struct fold){.first = p->n, .n = all.n, .epoch = judge_epoch(&j)};
    memcpy(f->weights, judge_weights(&j), sizeof f->weights);
    for (int64_t i = 0; i < all.n; i++, p->n++) {
        p->score[p->n] = all.score[i];
        p->label[p->n] = st->graph_label[all.graph[i]];
        f->n_attack += p->label[p->n];
    }
    p->n_attack += f->n_attack;
    CI_TRY_ALL(comm, "folds.frames", comm->rank == 0 ? frames_take(st, &all, p) : CI_OK); /* ten bytes a frame: once */
done:
    scored_release(&all);
    judge_release(&j);
    free(of_fold);
    return rc;
}

static ci_rc thresholds(const ci_conf *conf, struct pool *p)
{
    ci_rc rc = CI_OK;

    if (p->n_attack == p->n)
        CI_FAIL(CI_EDATA, "split.folds: %s: the %lld windows that folds leave out have no benign one among them", conf->split.folds, (long long)p->n);
    p->t1 = NAN;
    if (p->n_attack) CI_TRY(ci_most_f1(p->score, p->label, p->n, &p->t1, NULL));
    CI_TRY(ci_above_benign(p->score, p->label, p->n, BENIGN_SHARE, &p->b998));
    p->frame_t1 = p->frame_b998 = NAN;
    if (p->frames.n_attack) CI_TRY(ci_most_f1(p->frames.score, p->frames.label, p->frames.n, &p->frame_t1, NULL));
    if (p->frames.n) CI_TRY(ci_above_benign(p->frames.score, p->frames.label, p->frames.n, BENIGN_SHARE, &p->frame_b998));
done:
    return rc;
}

static ci_rc at_put(ci_json *j, const char *key, double threshold, const double *score, const uint8_t *label, int64_t n)
{
    ci_rc rc = CI_OK;
    ci_json *v = NULL;
    ci_counts c;

    if (!isfinite(threshold)) {
        ci_json_str(j, key, NULL);
        goto done;
    }
    CI_TRY(ci_confusion(score, label, n, threshold, &c));
    v = ci_json_object();
    ci_json_num(v, "f1", ci_f1(c));
    ci_json_num(v, "fpr", ci_fpr(c));
    ci_json_num(v, "recall", ci_recall(c));
    ci_json_put(j, key, v);
done:
    return rc;
}

/* What these windows' scores are worth at the pooled thresholds. */
static ci_rc worth_put(ci_json *j, const struct pool *p, int64_t first, int64_t n, int64_t n_attack)
{
    ci_rc rc = CI_OK;
    double auroc = NAN;

    ci_json_int(j, "n", n);
    ci_json_int(j, "attacks", n_attack);
    if (n_attack && n_attack < n) CI_TRY(ci_auroc(p->score + first, p->label + first, n, &auroc));
    ci_json_num(j, "auroc", auroc);
    CI_TRY(at_put(j, "t1", p->t1, p->score + first, p->label + first, n));
    CI_TRY(at_put(j, "b998", p->b998, p->score + first, p->label + first, n));
done:
    return rc;
}

/* Frames of all folds together. */
static ci_rc frames_put(ci_json *j, const struct pool *p)
{
    ci_rc rc = CI_OK;
    const struct frames *f = &p->frames;
    ci_json *v, *threshold;
    double auroc = NAN;

    if (!f->n) goto done;
    v = ci_json_object();
    threshold = ci_json_object();
    ci_json_put(j, "frames", v);
    ci_json_num(threshold, "t1", p->frame_t1);
    ci_json_num(threshold, "b998", p->frame_b998);
    ci_json_put(v, "threshold", threshold);
    ci_json_int(v, "n", f->n);
    ci_json_int(v, "attacks", f->n_attack);
    ci_json_int(v, "unlabelled", f->n_unknown);
    if (f->n_attack && f->n_attack < f->n) CI_TRY(ci_auroc(f->score, f->label, f->n, &auroc));
    ci_json_num(v, "auroc", auroc);
    CI_TRY(at_put(v, "t1", p->frame_t1, f->score, f->label, f->n));
    CI_TRY(at_put(v, "b998", p->frame_b998, f->score, f->label, f->n));
done:
    return rc;
}

static ci_rc publish(const ci_conf *conf, const ci_store *st, const char *store_sha, const struct pool *p)
{
    ci_rc rc = CI_OK;
    ci_json *j = ci_json_object(), *threshold = ci_json_object(), *pooled = ci_json_object(), *folds = ci_json_array();
    char settings[CI_SHA256_HEX];

    trained_settings(conf, settings);
    ci_json_str(j, "folds", conf->split.folds);
    ci_json_str(j, "settings_sha256", settings);
    ci_json_str(j, "store_tree_sha256", store_sha);
    ci_json_str(j, "injected", injected_name(st, conf));
    ci_json_str(j, "score", p->score_name);
    ci_json_num(threshold, "t1", p->t1);
    ci_json_num(threshold, "b998", p->b998);
    ci_json_put(j, "threshold", threshold);
    ci_json_put(j, "pooled", pooled);
    ci_json_put(j, "results", folds);
    CI_TRY(worth_put(pooled, p, 0, p->n, p->n_attack));
    CI_TRY(frames_put(j, p));
    for (int32_t k = 0; k < p->folds.n; k++) {
        ci_json *f = ci_json_object();

        ci_json_add(folds, f);
        ci_json_int(f, "fold", k);
        ci_json_str(f, "name", p->folds.name[k]);
        ci_json_str(f, "weights_sha256", p->fold[k].weights);
        ci_json_int(f, "weights_epoch", p->fold[k].epoch);
        CI_TRY(worth_put(f, p, p->fold[k].first, p->fold[k].n, p->fold[k].n_attack));
    }
    CI_TRY(text_publish(ci_json_text(j, true), conf->run.dir, "folds.json"));
    ci_log(CI_INFO, "folds: %lld windows of %d folds (%s) judged by models that have not seen them, %lld attacks: t1 %.6f, b998 %.6f",
           (long long)p->n, p->folds.n, conf->split.folds, (long long)p->n_attack, p->t1, p->b998);
done:
    ci_json_free(&j);
    return rc;
}

ci_rc ci_folds_judge(const ci_comm *comm, const ci_conf *conf, const ci_store *st, const char *store_sha)
{
    ci_rc rc = CI_OK;
    struct pool p = {0};

    CI_TRY_ALL(comm, "folds.find", pool_init(&p, conf, st));
    for (int32_t k = 0; k < p.folds.n; k++) CI_TRY(fold_judge(comm, conf, st, store_sha, k, &p));
    CI_TRY_ALL(comm, "folds.thresholds", comm->rank == 0 ? thresholds(conf, &p) : CI_OK);
    CI_TRY_ALL(comm, "folds.write", comm->rank == 0 ? publish(conf, st, store_sha, &p) : CI_OK);
done:
    pool_release(&p);
    return rc;
}

static bool text_is(const ci_json *j, const char *key, const char *want)
{
    const char *text = ci_json_get_str(j, key);
    return text && strcmp(text, want) == 0;
}

ci_rc ci_folds_read(const ci_conf *conf, const char *store_sha, ci_fold_thresholds *out)
{
    ci_rc rc = CI_OK;
    ci_json *j = NULL;
    const ci_json *results;
    char path[CI_PATH_MAX], settings[CI_SHA256_HEX];

    *out = (ci_fold_thresholds){0};
    CI_TRY(ci_path_join(path, conf->run.dir, "folds.json"));
    CI_TRY(ci_commit_check(path, NULL));
    CI_TRY(ci_json_load(path, &j));
    trained_settings(conf, settings);
    if (!text_is(j, "settings_sha256", settings) || !text_is(j, "store_tree_sha256", store_sha))
        CI_FAIL(CI_ECONF, "%s is of models with other settings or of another store; train again", path);
    out->t1 = ci_json_get_num(ci_json_get(j, "threshold"), "t1");
    out->b998 = ci_json_get_num(ci_json_get(j, "threshold"), "b998");
    out->frame_t1 = ci_json_get_num(ci_json_get(ci_json_get(j, "frames"), "threshold"), "t1");
    out->frame_b998 = ci_json_get_num(ci_json_get(ci_json_get(j, "frames"), "threshold"), "b998");
    results = ci_json_get(j, "results");
    out->n = (int32_t)ci_json_len(results);
    if (out->n > CI_FOLDS_MAX) CI_FAIL(CI_EFORMAT, "%s: %d folds", path, out->n);
    for (int32_t k = 0; k < out->n; k++) {
        const char *weights = ci_json_get_str(ci_json_at(results, (size_t)k), "weights_sha256");
        strncpy(out->weights[k], weights ? weights : "", CI_SHA256_HEX - 1);
    }
    CI_TRY(ci_sha256_file(path, out->sha));
done:
    ci_json_free(&j);
    return rc;
}
