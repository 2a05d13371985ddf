/* train and eval: once for each model of a run. */
#include <stdio.h>
#include <string.h>
#include "ci/commit.h"
#include "ci/eval.h"
#include "ci/fusion.h"
#include "ci/json.h"
#include "ci/train.h"
#include "run_priv.h"

/* Is the file a step also leaves still what it left? */
static bool output_there(const struct run *r, const char *name, struct verdict *v)
{
    char path[CI_PATH_MAX];

    if (ci_path_join(path, r->conf->run.dir, name) == CI_OK && ci_commit_check(path, NULL) == CI_OK) return true;
    snprintf(v->why, sizeof v->why, "%s is gone or damaged", name);
    return false;
}

/* Is the report that follows a student's training there, and of these weights? */
static bool report_there(const struct run *r, const char *weights, struct verdict *v)
{
    const ci_conf *c = r->conf;
    ci_json *j = NULL;
    char path[CI_PATH_MAX];
    const char *was = NULL;
    bool same;

    if (strcmp(c->model.name, "dqn") == 0 || !(c->distill.alpha > 0) || c->distill.cka < 2) return true;
    if (!output_there(r, "cka.json", v)) return false;
    if (ci_path_join(path, c->run.dir, "cka.json") == CI_OK && ci_json_load(path, &j) == CI_OK)
        was = ci_json_get_str(j, "student_weights_sha256");
    same = was && strcmp(was, weights) == 0;
    if (!same) snprintf(v->why, sizeof v->why, "cka.json is of other weights");
    ci_json_free(&j);
    return same;
}

/* Has a training of these settings on this store come to its end? */
static bool training_there(const struct run *r, struct verdict *v)
{
    struct kept last;
    char settings[CI_SHA256_HEX];
    const char *stale;
    bool same = false;

    snprintf(v->why, sizeof v->why, "there is no checkpoint yet");
    if (kept_read(r->conf, "last.h5", &last) != CI_OK) return false;
    kept_settings(r->conf, settings);
    if (strcmp(last.settings, settings) != 0 || strcmp(last.store, r->store_sha) != 0)
        snprintf(v->why, sizeof v->why, "last.h5 is of other settings or another store");
    else if (!last.finished)
        snprintf(v->why, sizeof v->why, "last.h5 is not the end that these settings lead to");
    else if ((stale = kept_stale(r->conf, &last)))
        snprintf(v->why, sizeof v->why, "%s that last.h5 was made from is another one now", stale);
    else
        same = output_there(r, "best.h5", v) && output_there(r, "metrics.jsonl", v) && report_there(r, last.weights, v);
    if (same) snprintf(v->why, sizeof v->why, "training with these settings on this store is finished");
    return same;
}

/* Of several models some may not have begun when --resume is said; those that have must go on. */
static ci_rc train_work(struct run *r, struct attempt *a)
{
    ci_rc rc = CI_OK;
    int64_t must = r->resume && (r->n_member == 0 || (r->comm->rank == 0 && member_begun(r)));

    (void)a;
    if (r->n_member) CI_TRY(ci_comm_bcast(r->comm, "run.train.resume", 0, &must, sizeof must));
    CI_TRY((strcmp(r->conf->model.name, "dqn") == 0 ? ci_fusion_train : ci_train)(r->comm, r->conf, r->store, r->store_sha, must));
done:
    return rc;
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
    same = same && !stale && output_there(r, "results.csv", v) && output_there(r, "scores.h5", v) &&
           (!r->conf->eval.explain || output_there(r, "explain.h5", v));
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
