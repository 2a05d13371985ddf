/* Steps in order, each skipped when its work is there and true. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "ci/build.h"
#include "ci/commit.h"
#include "ci/eval.h"
#include "ci/json.h"
#include "ci/log.h"
#include "ci/scan.h"
#include "ci/signal.h"
#include "ci/sim.h"
#include "ci/train.h"
#include "step_priv.h"

struct run {
    const ci_comm *comm;
    const ci_conf *conf;
    const char *code;
    bool resume;
    bool planned;       /* plan is that of a scan in this process */
    ci_plan plan;
    ci_store *store;
    ci_rc checked;      /* what a look of all ranks at the store's bytes said, its hash, and why not */
    char checked_sha[CI_SHA256_HEX], checked_why[CI_MESSAGE_MAX];
    char previous[CI_SHA256_HEX]; /* hash of the store that the next one replaces; "": none, or not to be trusted */
    char store_sha[CI_SHA256_HEX];
    int lock;           /* rank 0: the run directory is ours; -1 elsewhere */
};

/* What rank 0 found of a step's work, told to all. */
struct verdict {
    int64_t skip;
    int64_t usable;          /* the store is not what is wanted, but its bytes are true */
    char why[512];
    char sha[CI_SHA256_HEX]; /* of the store, when it was found true */
};

/* freeze: the settings become those of the run; evaluation alone leaves them as training had them. */
static ci_rc dir_take(struct run *r, bool freeze)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX];
    char *text = NULL;

    CI_TRY(ci_make_dir(r->conf->run.dir));
    CI_TRY(ci_path_join(path, r->conf->run.dir, ".lock"));
    r->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (r->lock < 0) CI_FAIL(errno == EACCES ? CI_EPERM : CI_ECREATE, "%s: %s", path, strerror(errno));
    if (flock(r->lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        CI_FAIL(CI_ETEMP, "another run works in %s; wait for it, or set another run.dir", r->conf->run.dir);
    CI_TRY(ci_path_join(path, r->conf->run.dir, "resolved.yaml"));
    if (!freeze && ci_commit_check(path, NULL) == CI_OK) goto done;
    text = ci_conf_yaml(r->conf, false);
    if (!text) CI_FAIL(CI_ENOMEM, "%s", path);
    CI_TRY(ci_commit_bytes(path, text, strlen(text)));
done:
    free(text);
    return rc;
}

static bool sim_there(const struct run *r, struct verdict *v)
{
    char reading[CI_SHA256_HEX];
    const bool based = r->conf->sim.base[0], known = based && inject_reading(r->conf, reading) == CI_OK;
    const bool there = known == based && ci_sim_true(r->conf, based ? reading : NULL);

    snprintf(v->why, sizeof v->why, there ? "the captures of these settings are there and whole"
                                          : "there are no whole captures of these settings");
    return there;
}

static ci_rc sim_work(struct run *r, struct attempt *a)
{
    (void)a;
    return r->conf->sim.base[0] ? inject_do(r->comm, r->conf) : ci_sim(r->comm, r->conf);
}

static bool scan_there(const struct run *r, struct verdict *v)
{
    (void)r;
    snprintf(v->why, sizeof v->why, "the input is verified by reading it");
    return false;
}

static ci_rc scan_work(struct run *r, struct attempt *a)
{
    ci_rc rc = CI_OK;

    ci_plan_release(&r->plan);
    r->planned = false;
    CI_TRY(ci_scan(r->comm, r->conf, &r->plan));
    r->planned = true;
    a->unit = "rows";
    for (int32_t i = 0; i < r->plan.n_capture; i++) a->done += r->plan.capture[i].count.rows;
done:
    return rc;
}

/* The plan of an earlier scan, when this process has done none. */
static ci_rc plan_have(struct run *r)
{
    ci_rc rc = CI_OK, got = CI_OK;
    char path[CI_PATH_MAX] = "", settings[CI_SHA256_HEX];

    if (r->planned) goto done;
    if (r->comm->rank == 0) {
        got = ci_path_join(path, r->conf->run.dir, "plan.json");
        if (got == CI_OK) got = ci_plan_read(path, &r->plan);
        if (got == CI_ENOENT)
            got = ci_fail(CI_ENOENT, __FILE__, __LINE__, "%s is not there: run `canids scan` with these settings first", path);
        ci_scan_settings(r->conf, settings);
        if (got == CI_OK && strcmp(r->plan.settings, settings) != 0)
            got = ci_fail(CI_ECONF, __FILE__, __LINE__,
                          "%s was made with other data.*, window.*, features.*, vocab.* or contract.*: scan again, or set them as then",
                          path);
    }
    CI_TRY_ALL(r->comm, "run.plan.read", got);
    CI_TRY(ci_plan_bcast(r->comm, &r->plan));
    r->planned = true;
done:
    return rc;
}

/* Is a store with this head what the plan and the settings lead to? */
static bool store_fits(const struct run *r, const ci_store_head *h)
{
    char source[CI_SHA256_HEX];
    ci_store_layout layout;

    if (ci_store_layout_of(r->conf->store.layout, ci_feature_set_find(r->conf->features.set), &layout) != CI_OK) return false;
    ci_plan_digest(&r->plan, source);
    return h->layout == layout && strcmp(h->source, source) == 0 && strcmp(h->set, r->conf->features.set) == 0 &&
           h->compat == (strcmp(r->conf->features.compat, "reference") == 0);
}

/* All ranks read a part of the store that is there; what rank 0 makes of it comes after. */
static ci_rc store_look(struct run *r)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX] = "";

    CI_TRY(plan_have(r));
    CI_TRY_ALL(r->comm, "run.store.look", ci_path_join(path, r->conf->run.dir, "store.h5"));
    r->checked = ci_h5_check(r->comm, path, r->checked_sha);
    snprintf(r->checked_why, sizeof r->checked_why, "%s", ci_message());
    if (r->checked != CI_ENOENT && r->checked != CI_EFORMAT) rc = r->checked; /* a disk that fails is no reason to build */
done:
    return rc;
}

static bool store_there(const struct run *r, struct verdict *v)
{
    ci_store *st = NULL;
    char path[CI_PATH_MAX];
    ci_rc rc = ci_path_join(path, r->conf->run.dir, "store.h5");
    bool same = false;

    memcpy(v->sha, r->checked_sha, sizeof v->sha);
    if (r->checked == CI_ENOENT) snprintf(v->why, sizeof v->why, "there is no store yet");
    else if (r->checked != CI_OK)
        snprintf(v->why, sizeof v->why, "the store is not usable: %.400s", r->checked_why);
    else if (rc != CI_OK || ci_store_open(path, &st) != CI_OK)
        snprintf(v->why, sizeof v->why, "the store is not usable: %.400s", ci_message());
    if (!st) return false;
    v->usable = 1;
    same = store_fits(r, &st->head);
    snprintf(v->why, sizeof v->why, same ? "the store is of this data and these settings"
                                         : "the data or the settings of windows and features changed, or store.layout");
    ci_store_close(&st);
    return same;
}

/* The store that was found true a moment ago, mapped on every rank; not there on any is as good as none. */
static ci_rc previous_open(struct run *r, ci_store **out)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX];
    int64_t missed;

    if (!r->previous[0]) goto done;
    missed = ci_path_join(path, r->conf->run.dir, "store.h5") != CI_OK || ci_store_open(path, out) != CI_OK;
    CI_TRY(ci_comm_max_i64(r->comm, "run.previous.open", &missed, 1));
    if (missed) ci_store_close(out);
done:
    return rc;
}

static ci_rc build_work(struct run *r, struct attempt *a)
{
    ci_rc rc = CI_OK;
    ci_store *previous = NULL;

    a->unit = "graphs";
    a->done = r->plan.graphs;
    CI_TRY(previous_open(r, &previous));
    CI_TRY(ci_build(r->comm, r->conf, &r->plan, previous, r->previous, r->store_sha));
done:
    ci_store_close(&previous);
    return rc;
}

static ci_rc store_have(struct run *r)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX] = "";

    if (r->store) goto done;
    CI_TRY(plan_have(r));
    CI_TRY_ALL(r->comm, "run.store.path", ci_path_join(path, r->conf->run.dir, "store.h5"));
    if (r->store_sha[0]) CI_TRY_ALL(r->comm, "run.store.map", ci_store_open(path, &r->store)); /* read back just now */
    else CI_TRY(ci_store_open_all(r->comm, path, r->store_sha, &r->store));
    if (!store_fits(r, &r->store->head)) /* the same on every rank */
        CI_FAIL(CI_ECONF, "%s was built from other data or with other features.* or store.layout: build it again", path);
done:
    return rc;
}

/* Of a build that was killed: as large as a store, and no build may come to write over it. */
static void unfinished_drop(const struct run *r)
{
    char path[CI_PATH_MAX], temp[CI_PATH_MAX];

    if (ci_path_join(path, r->conf->run.dir, "store.h5") == CI_OK && ci_commit_temp(path, temp) == CI_OK) (void)unlink(temp);
}

static ci_rc build_skipped(struct run *r, const struct verdict *v)
{
    ci_rc rc = CI_OK;

    memcpy(r->store_sha, v->sha, sizeof r->store_sha);
    CI_TRY(store_have(r));
    if (r->comm->rank == 0) unfinished_drop(r);
    CI_TRY_ALL(r->comm, "run.build.record",
               r->comm->rank == 0 ? ci_build_recorded(r->conf, &r->store->head, r->store_sha) : CI_OK);
done:
    return rc;
}

/* Is the file a step also leaves still what it left? */
static bool output_there(const struct run *r, const char *name, struct verdict *v)
{
    char path[CI_PATH_MAX];

    if (ci_path_join(path, r->conf->run.dir, name) == CI_OK && ci_commit_check(path, NULL) == CI_OK) return true;
    snprintf(v->why, sizeof v->why, "%s is gone or damaged", name);
    return false;
}

/* Has a training of these settings on this store come to its end? */
static bool training_there(const struct run *r, struct verdict *v)
{
    ci_ckpt last = {0};
    char path[CI_PATH_MAX], settings[CI_SHA256_HEX];
    bool same = false;

    snprintf(v->why, sizeof v->why, "there is no checkpoint yet");
    if (ci_path_join(path, r->conf->run.dir, "last.h5") != CI_OK || ci_ckpt_read(path, &last) != CI_OK) return false;
    ci_train_settings(r->conf, settings);
    if (strcmp(last.settings, settings) != 0 || strcmp(last.store, r->store_sha) != 0)
        snprintf(v->why, sizeof v->why, "last.h5 is of other settings or another store");
    else if (ci_train_finished(r->conf, &last.at) != 1)
        snprintf(v->why, sizeof v->why, "last.h5 is not the end that these settings lead to");
    else
        same = output_there(r, "best.h5", v) && output_there(r, "metrics.jsonl", v);
    if (same) snprintf(v->why, sizeof v->why, "training with these settings on this store is finished");
    ci_ckpt_release(&last);
    return same;
}

static ci_rc train_work(struct run *r, struct attempt *a)
{
    (void)a;
    return ci_train(r->comm, r->conf, r->store, r->store_sha, r->resume);
}

/* Are the results of these weights, settings and this program? */
static bool results_there(const struct run *r, struct verdict *v)
{
    ci_json *j = NULL;
    ci_ckpt ck = {0};
    char path[CI_PATH_MAX], best[CI_PATH_MAX], settings[CI_SHA256_HEX], weights[CI_SHA256_HEX] = "";
    bool same = false;

    snprintf(v->why, sizeof v->why, "there are no results yet");
    if (ci_path_join(path, r->conf->run.dir, "results.json") != CI_OK ||
        ci_path_join(best, r->conf->run.dir, "best.h5") != CI_OK || ci_commit_check(path, NULL) != CI_OK ||
        ci_json_load(path, &j) != CI_OK)
        return false;
    ci_eval_settings(r->conf, settings);
    if (ci_ckpt_read(best, &ck) == CI_OK) ci_ckpt_weights(&ck, weights);
    const char *was_settings = ci_json_get_str(j, "settings_sha256"), *was_code = ci_json_get_str(j, "code"),
               *was_weights = ci_json_get_str(j, "weights_sha256"), *was_store = ci_json_get_str(j, "store_tree_sha256");
    same = was_settings && was_code && was_weights && was_store && strcmp(was_settings, settings) == 0 &&
           strcmp(was_code, r->code) == 0 && strcmp(was_weights, weights) == 0 && strcmp(was_store, r->store_sha) == 0;
    snprintf(v->why, sizeof v->why, same ? "the results are of these weights, settings and this program"
                          : "the weights, the settings or the program changed");
    same = same && output_there(r, "results.csv", v);
    ci_ckpt_release(&ck);
    ci_json_free(&j);
    return same;
}

static ci_rc eval_work(struct run *r, struct attempt *a)
{
    (void)a;
    return ci_eval(r->comm, r->conf, r->store, r->store_sha, r->code);
}

static ci_rc eval_skipped(struct run *r, const struct verdict *v)
{
    ci_rc rc = CI_OK;

    (void)v;
    CI_TRY_ALL(r->comm, "run.eval.print", r->comm->rank == 0 ? ci_eval_print(r->conf->run.dir) : CI_OK);
done:
    return rc;
}

/* A step: what it stands on, whether its work is there and true, the work, what follows when it is not done. */
struct step {
    const char *name, *site;
    ci_rc (*before)(struct run *);                        /* collective; NULL: nothing */
    bool (*there)(const struct run *, struct verdict *);  /* rank 0; says why or why not */
    ci_rc (*work)(struct run *, struct attempt *);        /* collective */
    ci_rc (*skipped)(struct run *, const struct verdict *); /* collective; NULL: nothing */
};

static ci_rc step_do(struct run *r, const struct step *s)
{
    ci_rc rc = CI_OK;
    struct attempt a;
    struct verdict v = {0, 0, "", ""};

    if (s->before) CI_TRY(s->before(r));
    if (r->comm->rank == 0) v.skip = s->there(r, &v);
    CI_TRY(ci_comm_bcast(r->comm, s->site, 0, &v, sizeof v));
    if (v.skip) {
        CI_TRY(attempt_skip(r->comm, r->conf, r->code, s->name, v.why));
        if (s->skipped) CI_TRY(s->skipped(r, &v));
        goto done;
    }
    if (v.usable) memcpy(r->previous, v.sha, sizeof r->previous);
    CI_TRY(attempt_begin(r->comm, r->conf, r->code, &a, s->name, v.why));
    rc = s->work(r, &a);
    rc = attempt_end(r->comm, r->conf, r->code, &a, rc);
done:
    return rc;
}

static bool named(const char *steps, const char *step)
{
    const size_t n = strlen(step);

    for (const char *at = steps; (at = strstr(at, step)); at += n)
        if ((at == steps || at[-1] == ',') && (at[n] == 0 || at[n] == ',')) return true;
    return false;
}

ci_rc ci_run(const ci_comm *comm, const ci_conf *conf, const char *steps, const char *code, bool resume)
{
    ci_rc rc = CI_OK;
    struct run r = {.comm = comm, .conf = conf, .code = code, .resume = resume, .lock = -1};
    static const struct step step[] = {
        {"sim", "run.sim.verdict", NULL, sim_there, sim_work, NULL},
        {"scan", "run.scan.verdict", NULL, scan_there, scan_work, NULL},
        {"build", "run.build.verdict", store_look, store_there, build_work, build_skipped},
        {"train", "run.train.verdict", store_have, training_there, train_work, NULL},
        {"eval", "run.eval.verdict", store_have, results_there, eval_work, eval_skipped},
    };

    CI_TRY_ALL(comm, "run.dir", comm->rank == 0 ? dir_take(&r, strcmp(steps, "eval") != 0) : CI_OK);
    for (size_t i = 0; i < CI_COUNT(step); i++) {
        int64_t stop = ci_signal_seen();
        if (!named(steps, step[i].name)) continue;
        CI_TRY(ci_comm_max_i64(comm, "run.signal", &stop, 1));
        if (stop) CI_FAIL(CI_ETEMP, "stopped by signal %d before %s; the same command goes on from there", (int)stop, step[i].name);
        CI_TRY(step_do(&r, &step[i]));
    }
done:
    ci_store_close(&r.store);
    ci_plan_release(&r.plan);
    if (r.lock >= 0) close(r.lock);
    return rc;
}
