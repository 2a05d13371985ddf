/* Members of a run: who needs whom. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "ci/commit.h"
#include "run_priv.h"

const char *member_name(const struct run *r)
{
    return r->n_member ? ci_conf_member_name(r->base, r->conf) : NULL;
}

static bool holds(const char *dir, const char *name)
{
    char path[CI_PATH_MAX];

    return ci_path_join(path, dir, name) == CI_OK && access(path, F_OK) == 0;
}

bool training_begun(const ci_conf *c) { return holds(c->run.dir, "last.h5"); }

/* The training, or its first fold. */
static bool any_begun(const ci_conf *c) { return training_begun(c) || (ci_conf_folded(c) && holds(c->run.dir, "fold_0/last.h5")); }

static bool same_folder(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);

    while (n > 1 && a[n - 1] == '/') n--;
    while (m > 1 && b[m - 1] == '/') m--;
    return n == m && memcmp(a, b, n) == 0;
}

/* c reads the model in dir, which the setting `key` names. */
static ci_rc one_check(const struct run *r, const ci_conf *c, const char *key, const char *dir, bool trains)
{
    ci_rc rc = CI_OK;
    const int32_t n = r->n_member;
    int32_t at = 0;

    if (!*dir) goto done;
    while (at < n && !same_folder(r->member[at].run.dir, dir)) at++;
    if (at < n && trains && &r->member[at] >= c)
        CI_FAIL(CI_ECONF, "models: %s comes before %s, which it needs (%s); put %s first", ci_conf_member_name(r->base, c),
                ci_conf_member_name(r->base, &r->member[at]), key, ci_conf_member_name(r->base, &r->member[at]));
    if ((at == n || !trains) && !holds(dir, "best.h5") && n)
        CI_FAIL(CI_ECONF, "models: %s needs the model in %s (%s), which is neither in models before it nor on disk; add it, or set %s "
                "to the folder of a trained one", ci_conf_member_name(r->base, c), dir, key, key);
    if (n == 0 && !holds(dir, "best.h5"))
        CI_FAIL(CI_ENOENT, "%s: no trained model is in %s; train it first, or name the folder of another", key, dir);
done:
    return rc;
}

static ci_rc needs_check(const struct run *r, const ci_conf *c, const char *steps)
{
    ci_rc rc = CI_OK;
    const bool dqn = strcmp(c->model.name, "dqn") == 0, trains = step_named(steps, "train");

    if (trains && !dqn && c->distill.alpha > 0) CI_TRY(one_check(r, c, "distill.teacher", c->distill.teacher, trains));
    if (trains && strcmp(c->train.curriculum, "none") != 0)
        CI_TRY(one_check(r, c, "train.difficulty", c->train.difficulty, trains));
    if (dqn) CI_TRY(one_check(r, c, "fusion.vgae", c->fusion.vgae, trains));
    if (dqn) CI_TRY(one_check(r, c, "fusion.gat", c->fusion.gat, trains));
done:
    return rc;
}

ci_rc members_check(const struct run *r, const char *steps)
{
    ci_rc rc = CI_OK;
    const bool trains = step_named(steps, "train");
    int32_t begun = 0;

    if (!trains && !step_named(steps, "eval")) goto done;
    if (r->n_member == 0) CI_TRY(needs_check(r, r->base, steps));
    for (int32_t i = 0; i < r->n_member; i++) {
        CI_TRY(needs_check(r, &r->member[i], steps));
        begun += any_begun(&r->member[i]);
    }
    if (r->resume && trains && r->n_member == 0 && ci_conf_folded(r->base) && !any_begun(r->base))
        CI_FAIL(CI_ENOENT, "--resume: %s has no checkpoint to go on from", r->base->run.dir);
    if (r->resume && trains && r->n_member && begun == 0)
        CI_FAIL(CI_ENOENT, "--resume: no model in %s has a checkpoint to go on from", r->base->run.dir);
done:
    return rc;
}
