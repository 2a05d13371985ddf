/* sim, scan and build: what they leave is one for all models of a run. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "ci/build.h"
#include "ci/commit.h"
#include "ci/log.h"
#include "ci/scan.h"
#include "ci/sim.h"
#include "run_priv.h"

static bool sim_there(const struct run *r, struct verdict *v)
{
    char reading[CI_SHA256_HEX];
    const bool based = ci_sim_injects(r->base), known = based && inject_reading(r->base, reading) == CI_OK;
    const bool there = known == based && ci_sim_true(r->base, based ? reading : NULL);

    snprintf(v->why, sizeof v->why, there ? "the captures of these settings are there and whole"
                                          : "there are no whole captures of these settings");
    return there;
}

static ci_rc sim_work(struct run *r, struct attempt *a)
{
    (void)a;
    return ci_sim_injects(r->base) ? inject_do(r->comm, r->base) : ci_sim(r->comm, r->base);
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
    CI_TRY(ci_scan(r->comm, r->base, &r->plan));
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
        got = ci_path_join(path, r->base->run.dir, "plan.json");
        if (got == CI_OK) got = ci_plan_read(path, &r->plan);
        if (got == CI_ENOENT)
            got = ci_fail(CI_ENOENT, __FILE__, __LINE__, "%s is not there: run `canids scan` with these settings first", path);
        ci_scan_settings(r->base, settings);
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
    const ci_feature_set *set = ci_feature_set_of(r->base->features.set, r->base->features.past);
    char source[CI_SHA256_HEX];
    ci_store_layout layout;

    if (ci_store_layout_of(r->base->store.layout, set, &layout) != CI_OK) return false;
    if (ci_build_source(&r->plan, r->base, source) != CI_OK) return false;
    return h->layout == layout && strcmp(h->source, source) == 0 && strcmp(h->set, set->name) == 0 &&
           (!set->stream || strcmp(h->past, r->base->features.past) == 0) &&
           h->compat == (strcmp(r->base->features.compat, "reference") == 0);
}

/* All ranks read a part of the store that is there; what rank 0 makes of it comes after. */
static ci_rc store_look(struct run *r)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX] = "";

    CI_TRY(plan_have(r));
    CI_TRY_ALL(r->comm, "run.store.look", ci_path_join(path, r->base->run.dir, "store.h5"));
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
    ci_rc rc = ci_path_join(path, r->base->run.dir, "store.h5");
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
    missed = ci_path_join(path, r->base->run.dir, "store.h5") != CI_OK || ci_store_open(path, out) != CI_OK;
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
    CI_TRY(ci_build(r->comm, r->base, &r->plan, previous, r->previous, r->store_sha));
done:
    ci_store_close(&previous);
    return rc;
}

/* A profile may be gone, or another one on one host. */
static ci_rc fits_check(const struct run *r, const char *path)
{
    ci_rc rc = CI_OK;
    char source[CI_SHA256_HEX];

    CI_TRY(ci_build_source(&r->plan, r->base, source));
    if (!store_fits(r, &r->store->head))
        CI_FAIL(CI_ECONF, "%s was built from other data or with other features.* or store.layout: build it again", path);
done:
    return rc;
}

ci_rc store_have(struct run *r)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX] = "";

    if (r->store) goto done;
    CI_TRY(plan_have(r));
    CI_TRY_ALL(r->comm, "run.store.path", ci_path_join(path, r->base->run.dir, "store.h5"));
    if (r->store_sha[0]) CI_TRY_ALL(r->comm, "run.store.map", ci_store_open(path, &r->store)); /* read back just now */
    else CI_TRY(ci_store_open_all(r->comm, path, r->store_sha, &r->store));
    CI_TRY_ALL(r->comm, "run.store.fits", fits_check(r, path));
done:
    return rc;
}

/* Of a build that was killed: as large as a store, and no build may come to write over it. */
static void unfinished_drop(const struct run *r)
{
    char path[CI_PATH_MAX], temp[CI_PATH_MAX];

    if (ci_path_join(path, r->base->run.dir, "store.h5") == CI_OK && ci_commit_temp(path, temp) == CI_OK) (void)unlink(temp);
}

static ci_rc build_skipped(struct run *r, const struct verdict *v)
{
    ci_rc rc = CI_OK;

    memcpy(r->store_sha, v->sha, sizeof r->store_sha);
    CI_TRY(store_have(r));
    if (r->comm->rank == 0) unfinished_drop(r);
    CI_TRY_ALL(r->comm, "run.build.record",
               r->comm->rank == 0 ? ci_build_recorded(r->base, &r->store->head, r->store_sha) : CI_OK);
done:
    return rc;
}

const struct step step_sim = {"sim", "run.sim.verdict", false, NULL, sim_there, sim_work, NULL};
const struct step step_scan = {"scan", "run.scan.verdict", false, NULL, scan_there, scan_work, NULL};
const struct step step_build = {"build", "run.build.verdict", false, store_look, store_there, build_work, build_skipped};
