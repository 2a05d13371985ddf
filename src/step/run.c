/* Steps in order, each skipped when its work is there and true. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "ci/commit.h"
#include "ci/log.h"
#include "ci/run.h"
#include "ci/signal.h"
#include "ci/summary.h"
#include "run_priv.h"

bool step_named(const char *steps, const char *step)
{
    const size_t n = strlen(step);

    for (const char *at = steps; (at = strstr(at, step)); at += n)
        if ((at == steps || at[-1] == ',') && (at[n] == 0 || at[n] == ',')) return true;
    return false;
}

ci_rc settings_keep(const ci_conf *conf, bool freeze)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX];
    char *text = NULL;

    CI_TRY(ci_make_dir(conf->run.dir));
    CI_TRY(ci_path_join(path, conf->run.dir, "resolved.yaml"));
    if (!freeze && ci_commit_check(path, NULL) == CI_OK) goto done;
    text = ci_conf_yaml(conf, false);
    if (!text) CI_FAIL(CI_ENOMEM, "%s", path);
    CI_TRY(ci_commit_bytes(path, text, strlen(text)));
done:
    free(text);
    return rc;
}

static ci_rc dir_take(struct run *r, const char *steps)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX];
    const bool freeze = strcmp(steps, "eval") != 0;
    const bool learns = step_named(steps, "train") || step_named(steps, "eval");

    CI_TRY(members_check(r, steps));
    CI_TRY(ci_make_dir(r->base->run.dir));
    CI_TRY(ci_path_join(path, r->base->run.dir, ".lock"));
    r->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (r->lock < 0) CI_FAIL(errno == EACCES ? CI_EPERM : CI_ECREATE, "%s: %s", path, strerror(errno));
    if (flock(r->lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        CI_FAIL(CI_ETEMP, "another run works in %s; wait for it, or set another run.dir", r->base->run.dir);
    CI_TRY(settings_keep(r->base, freeze));
    for (int32_t i = 0; learns && i < r->n_member; i++) CI_TRY(settings_keep(&r->member[i], freeze));
done:
    return rc;
}

static ci_rc step_do(struct run *r, const struct step *s)
{
    ci_rc rc = CI_OK;
    struct attempt a;
    struct verdict v = {0, 0, "", ""};
    const struct record record = {r->comm, r->base->run.dir, r->conf, r->code, s->each ? member_name(r) : NULL};

    if (s->before) CI_TRY(s->before(r));
    if (r->comm->rank == 0) v.skip = s->there(r, &v);
    CI_TRY(ci_comm_bcast(r->comm, s->site, 0, &v, sizeof v));
    if (v.skip) {
        CI_TRY(attempt_skip(&record, s->name, v.why));
        if (s->skipped) CI_TRY(s->skipped(r, &v));
        goto done;
    }
    if (v.usable) memcpy(r->previous, v.sha, sizeof r->previous);
    CI_TRY(attempt_begin(&record, &a, s->name, v.why));
    rc = s->work(r, &a);
    rc = attempt_end(&record, &a, rc);
done:
    return rc;
}

/* A step for one model, unless a signal came. */
static ci_rc step_next(struct run *r, const struct step *s)
{
    ci_rc rc = CI_OK;
    int64_t stop = ci_signal_seen();

    CI_TRY(ci_comm_max_i64(r->comm, "run.signal", &stop, 1));
    if (stop)
        CI_FAIL(CI_ETEMP, "stopped by signal %d before %s%s%s; the same command goes on from there", (int)stop, s->name,
                s->each && r->n_member ? " of " : "", s->each && r->n_member ? member_name(r) : "");
    CI_TRY(step_do(r, s));
done:
    return rc;
}

static ci_rc step_each(struct run *r, const struct step *s)
{
    ci_rc rc = CI_OK;

    for (int32_t i = 0; i < (s->each && r->n_member ? r->n_member : 1); i++) {
        r->conf = s->each && r->n_member ? &r->member[i] : r->base;
        CI_TRY(step_next(r, s));
    }
done:
    r->conf = r->base;
    return rc;
}

ci_rc ci_run(const ci_comm *comm, const ci_conf *conf, const ci_conf *member, int32_t n_member, const char *steps,
             const char *code, bool resume)
{
    ci_rc rc = CI_OK;
    struct run r = {.comm = comm, .base = conf, .conf = conf, .member = member, .n_member = n_member, .code = code,
                    .resume = resume, .lock = -1};
    const struct step *const step[] = {&step_sim, &step_scan, &step_build, &step_train, &step_eval};

    CI_TRY_ALL(comm, "run.dir", comm->rank == 0 ? dir_take(&r, steps) : CI_OK);
    for (size_t i = 0; i < CI_COUNT(step); i++)
        if (step_named(steps, step[i]->name)) CI_TRY(step_each(&r, step[i]));
    if (n_member && step_named(steps, "eval"))
        CI_TRY_ALL(comm, "run.summary", comm->rank == 0 ? ci_summary_write(conf, member, n_member) : CI_OK);
done:
    ci_store_close(&r.store);
    ci_plan_release(&r.plan);
    if (r.lock >= 0) close(r.lock);
    return rc;
}
