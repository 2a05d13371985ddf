/* train and eval: once for each model of a run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/commit.h"
#include "ci/eval.h"
#include "ci/fusion.h"
#include "ci/json.h"
#include "ci/log.h"
#include "ci/train.h"
#include "run_priv.h"

/* Is the file a step also leaves still what it left? */
static bool output_there(const ci_conf *c, const char *name, struct verdict *v)
{
    char path[CI_PATH_MAX];

    if (ci_path_join(path, c->run.dir, name) == CI_OK && ci_commit_check(path, NULL) == CI_OK) return true;
    snprintf(v->why, sizeof v->why, "%s is gone or damaged", name);
    return false;
}

/* Is the report that follows a student's training there, and of these weights? */
static bool report_there(const ci_conf *c, const char *weights, struct verdict *v)
{
    ci_json *j = NULL;
    char path[CI_PATH_MAX];
    const char *was = NULL;
    bool same;

    if (strcmp(c->model.name, "dqn") == 0 || !(c->distill.alpha > 0) || c->distill.cka < 2) return true;
    if (!output_there(c, "cka.json", v)) return false;
    if (ci_path_join(path, c->run.dir, "cka.json") == CI_OK && ci_json_load(path, &j) == CI_OK)
        was = ci_json_get_str(j, "student_weights_sha256");
    same = was && strcmp(was, weights) == 0;
    if (!same) snprintf(v->why, sizeof v->why, "cka.json is of other weights");
    ci_json_free(&j);
    return same;
}

/* Has a training of these settings on this store come to its end? */
static bool trained_there(const struct run *r, const ci_conf *c, struct verdict *v)
{
    struct kept last;
    char settings[CI_SHA256_HEX];
    const char *stale;
    bool same = false;

    snprintf(v->why, sizeof v->why, "there is no checkpoint yet");
    if (kept_read(c, "last.h5", &last) != CI_OK) return false;
    kept_settings(c, settings);
    if (strcmp(last.settings, settings) != 0 || strcmp(last.store, r->store_sha) != 0)
        snprintf(v->why, sizeof v->why, "last.h5 is of other settings or another store");
    else if (!last.finished)
        snprintf(v->why, sizeof v->why, "last.h5 is not the end that these settings lead to");
    else if ((stale = kept_stale(c, &last)))
        snprintf(v->why, sizeof v->why, "%s that last.h5 was made from is another one now", stale);
    else
        same = output_there(c, "best.h5", v) && output_there(c, "metrics.jsonl", v) && report_there(c, last.weights, v);
    if (same) snprintf(v->why, sizeof v->why, "training with these settings on this store is finished");
    return same;
}

/* Have fold models been trained, and do the scores in folds.json come from those that are there? */
static bool folds_there(const struct run *r, struct verdict *v)
{
    ci_fold_thresholds *t = ci_new(1, sizeof *t);
    ci_conf *of_fold = ci_new(1, sizeof *of_fold);
    struct kept best;
    bool same = t && of_fold && ci_folds_read(r->conf, r->store_sha, t) == CI_OK;

    snprintf(v->why, sizeof v->why, "there are no scores of fold models with these settings on this store yet");
    for (int32_t k = 0; same && k < t->n; k++) {
        same = ci_conf_fold(r->conf, k, of_fold) && trained_there(r, of_fold, v);
        if (same && (kept_read(of_fold, "best.h5", &best) != CI_OK || strcmp(best.weights, t->weights[k]) != 0)) {
            snprintf(v->why, sizeof v->why, "best.h5 of fold %d is not the one that folds.json is of", k);
            same = false;
        }
    }
    free(t);
    free(of_fold);
    return same;
}

/* Folds, and the model that is used. */
static bool training_there(const struct run *r, struct verdict *v)
{
    return (!ci_conf_folded(r->conf) || folds_there(r, v)) && trained_there(r, r->conf, v);
}

/* The settings and the folder of fold k. */
static ci_rc fold_take(const struct run *r, int32_t k, ci_conf *out)
{
    ci_rc rc = CI_OK;

    if (!ci_conf_fold(r->conf, k, out)) CI_FAIL(CI_ECONF, "run.dir: %s is too long for its folds", r->conf->run.dir);
    if (r->comm->rank == 0) CI_TRY(settings_keep(out, true));
done:
    return rc;
}

/* One training, unless it is done: the model that is used, or that of a fold.  Of several some may not have begun when --resume
   is said; those that have must go on. */
static ci_rc train_one(struct run *r, const ci_conf *c, bool of_many)
{
    ci_rc rc = CI_OK;
    struct verdict v = {0};
    int64_t at[2] = {0, r->resume}; /* done; must go on */

    if (r->comm->rank == 0 && of_many) {
        at[0] = trained_there(r, c, &v);
        at[1] = r->resume && training_begun(c);
    }
    CI_TRY(ci_comm_bcast(r->comm, "run.train.at", 0, at, sizeof at));
    if (at[0]) goto done;
    CI_TRY((strcmp(c->model.name, "dqn") == 0 ? ci_fusion_train : ci_train)(r->comm, c, r->store, r->store_sha, at[1] != 0));
done:
    return rc;
}

/* A model for each fold, and their scores of what each has not seen. */
static ci_rc train_folds(struct run *r)
{
    ci_rc rc = CI_OK;
    ci_folds folds = {0};
    ci_conf *of_fold = ci_new(1, sizeof *of_fold);

    CI_TRY_ALL(r->comm, "run.folds.find", of_fold ? ci_folds_find(r->store, r->conf, &folds) : ci_fail(CI_ENOMEM, __FILE__, __LINE__, "settings"));
    for (int32_t k = 0; k < folds.n; k++) {
        CI_TRY_ALL(r->comm, "run.folds.dir", fold_take(r, k, of_fold));
        ci_log(CI_INFO, "fold %d of %d: %s is left out", k, folds.n, folds.name[k]);
        CI_TRY(train_one(r, of_fold, true));
    }
    CI_TRY(ci_folds_judge(r->comm, r->conf, r->store, r->store_sha));
done:
    ci_folds_release(&folds);
    free(of_fold);
    return rc;
}

static ci_rc train_work(struct run *r, struct attempt *a)
{
    ci_rc rc = CI_OK;
    const bool folded = ci_conf_folded(r->conf);

    (void)a;
    if (folded) CI_TRY(train_folds(r));
    CI_TRY(train_one(r, r->conf, r->n_member || folded));
done:
    return rc;
}

/* Is the threshold that windows were judged by still that of the fold models? */
static bool threshold_there(const struct run *r, const char *was, struct verdict *v)
{
    char path[CI_PATH_MAX], sha[CI_SHA256_HEX];
    bool same;

    if (!ci_eval_folded(r->conf)) return true;
    same = was && ci_path_join(path, r->conf->run.dir, "folds.json") == CI_OK && ci_sha256_file(path, sha) == CI_OK && strcmp(sha, was) == 0;
    if (!same) snprintf(v->why, sizeof v->why, "the threshold of the fold models is another one now");
    return same;
}

/* Are the results of these weights, settings and this program? */
static bool results_there(const struct run *r, struct verdict *v)
{
    ci_json *j = NULL;
    struct kept judged;
    const char *stale = NULL;
    char path[CI_PATH_MAX], settings[CI_SHA256_HEX];
    bool same = false;

    snprintf(v->why, sizeof v->why, "there are no results yet");
    if (ci_path_join(path, r->conf->run.dir, "results.json") != CI_OK ||
        ci_commit_check(path, NULL) != CI_OK || ci_json_load(path, &j) != CI_OK)
        return false;
    ci_eval_settings(r->conf, settings);
    if (kept_read(r->conf, strcmp(r->conf->eval.weights, "last") == 0 ? "last.h5" : "best.h5", &judged) != CI_OK)
        snprintf(judged.weights, sizeof judged.weights, "none");
    else
        stale = kept_stale(r->conf, &judged);
    const char *was_settings = ci_json_get_str(j, "settings_sha256"), *was_code = ci_json_get_str(j, "code"),
               *was_weights = ci_json_get_str(j, "weights_sha256"), *was_store = ci_json_get_str(j, "store_tree_sha256");
    same = was_settings && was_code && was_weights && was_store && strcmp(was_settings, settings) == 0 &&
           strcmp(was_code, r->code) == 0 && strcmp(was_weights, judged.weights) == 0 && strcmp(was_store, r->store_sha) == 0;
    snprintf(v->why, sizeof v->why, same ? "the results are of these weights, settings and this program"
                          : "the weights, the settings or the program changed");
    if (stale) snprintf(v->why, sizeof v->why, "%s that the scores were made of is another one now", stale);
    same = same && !stale && output_there(r->conf, "results.csv", v) && output_there(r->conf, "scores.h5", v) &&
           (!r->conf->eval.explain || output_there(r->conf, "explain.h5", v)) && threshold_there(r, ci_json_get_str(j, "folds_sha256"), v);
    ci_json_free(&j);
    return same;
}

/* Whose table comes next. */
static void headline(const struct run *r)
{
    if (r->comm->rank == 0 && r->n_member) printf("%s%s\n\n", r->conf == r->member ? "" : "\n", member_name(r));
}

static ci_rc eval_work(struct run *r, struct attempt *a)
{
    (void)a;
    headline(r);
    return ci_eval(r->comm, r->conf, r->store, r->store_sha, r->code);
}

static ci_rc eval_skipped(struct run *r, const struct verdict *v)
{
    ci_rc rc = CI_OK;

    (void)v;
    headline(r);
    CI_TRY_ALL(r->comm, "run.eval.print", r->comm->rank == 0 ? ci_eval_print(r->conf->run.dir) : CI_OK);
done:
    return rc;
}

const struct step step_train = {"train", "run.train.verdict", true, store_have, training_there, train_work, NULL};
const struct step step_eval = {"eval", "run.eval.verdict", true, store_have, results_there, eval_work, eval_skipped};
