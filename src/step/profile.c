/* Frames that are learned and make no graphs: of a capture that ranks share, of captures that a profile is made of. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "build_priv.h"
#include "ci/arena.h"
#include "ci/log.h"
#include "ci/signal.h"
#include "ci/tick.h"
#include "scan_priv.h"

ci_rc stream_learn(ci_loader *loader, const ci_plan *p, ci_table *t, ci_stream *s, int32_t block, int32_t end, int64_t from,
                   int64_t to)
{
    ci_rc rc = CI_OK;
    int32_t last = end - 1;

    while (last > block && p->block[last].rows == 0) last--;
    for (int32_t b = block; b <= last && from < to; b++) {
        const int64_t own = p->block[b].first_row + p->block[b].rows;
        ci_lid taken;
        int64_t stop;
        if (p->block[b].rows == 0 || (b < last && from >= own)) continue;
        CI_TRY(ci_table_load(loader, p, b, b < last ? 0 : (ci_lid)CI_MAX(to - own, 0), t));
        ci_tick();
        if (ci_signal_seen()) CI_FAIL(CI_ETEMP, "stopped by signal %d while frames were learned; the same command begins again", ci_signal_seen());
        stop = CI_MIN(to, t->first_row + t->n);
        while (from < stop) {
            CI_TRY(ci_stream_push(s, t, (ci_lid)(from - t->first_row), (ci_lid)(stop - t->first_row), NULL, &taken));
            if (taken <= 0) CI_FAIL(CI_EINTERNAL, "a stream took no row");
            from += taken;
        }
    }
    if (from < to)
        CI_FAIL(CI_EDATA, "%s changed since it was scanned: row %lld of %lld is not there; scan again",
                p->capture[p->block[block].capture].path, (long long)from, (long long)to);
done:
    return rc;
}

/* The captures, each with a plan of its own. */
struct lesson {
    const ci_comm *comm;
    ci_conf conf;
    size_t n;
    const char *const *name;
    ci_plan *plan;        /* (n) owned                                       */
    ci_contract contract;
    ci_loader *loader;
    ci_table table;
    char *mine;           /* packed profiles of this rank's captures; owned  */
    size_t n_mine, cap_mine;
};

/* Cut the last name off a path. */
static ci_rc name_cut(char *path, char *to, size_t n, const char *whole)
{
    ci_rc rc = CI_OK;
    char *slash = strrchr(path, '/');

    if (!slash || !slash[1]) CI_FAIL(CI_EDATA, "%s lies in no folder of a folder: put it into one", whole);
    if ((size_t)snprintf(to, n, "%s", slash + 1) >= n) CI_FAIL(CI_EDATA, "%s: a name of more than %zu bytes", whole, n - 1);
    *slash = 0;
done:
    return rc;
}

/* The settings as if the capture's folder were the one folder of a set.  Rank 0.
 * \param [out] only  the name of the file there */
static ci_rc settings_of(const ci_conf *conf, const char *capture, ci_conf *c, char only[CI_ITEM_MAX * 4])
{
    ci_rc rc = CI_OK;
    char set[CI_PATH_MAX], path[CI_PATH_MAX], *whole = NULL;

    *c = *conf;
    if (capture[0] != '/' && conf->data.set[0] && ci_path_join(set, conf->data.root, conf->data.set) == CI_OK &&
        ci_path_join(path, set, capture) == CI_OK)
        whole = realpath(path, NULL);
    if (!whole) whole = realpath(capture, NULL);
    if (!whole) CI_FAIL(CI_ENOENT, "%s: there is no such capture, below %s/%s or by itself", capture, conf->data.root, conf->data.set);
    if (strlen(whole) >= sizeof path) CI_FAIL(CI_EDATA, "%s: a path of more than %zu bytes", whole, sizeof path - 1);
    strcpy(path, whole);
    memset(&c->data.train, 0, sizeof c->data.train);
    memset(&c->data.test, 0, sizeof c->data.test);
    memset(c->data.injected, 0, sizeof c->data.injected);
    CI_TRY(name_cut(path, only, CI_ITEM_MAX * 4, whole));
    CI_TRY(name_cut(path, c->data.train.item[0], sizeof c->data.train.item[0], whole));
    c->data.train.n = 1;
    c->data.attack_free = c->data.train; /* who learns from it vouches for it */
    CI_TRY(name_cut(path, c->data.set, sizeof c->data.set, whole));
    if ((size_t)snprintf(c->data.root, sizeof c->data.root, "%s", path[0] ? path : "/") >= sizeof c->data.root)
        CI_FAIL(CI_EDATA, "%s: a path of more than %zu bytes", whole, sizeof c->data.root - 1);
done:
    free(whole);
    return rc;
}

static ci_rc lines_check(const ci_scan_state *s, const char *name)
{
    ci_rc rc = CI_OK;
    const ci_capture *c = &s->plan.capture[0];
    char first[CI_PATH_MAX + 1024];

    if (s->refused && s->rejects.n > 0) {
        ci_reject_text(&s->plan, s->rejects.failing ? &s->rejects.first : s->rejects.item, first, sizeof first);
        CI_FAIL(CI_EDATA, "%s", first);
    }
    if (s->refused) CI_FAIL(CI_EDATA, "%s breaks the contract", name);
    if (c->count.rows == 0)
        CI_FAIL(CI_EDATA, "%s: none of its lines is a frame by contract.policy: a profile is learned from frames, so leave it out", name);
    if (c->count.attack_rows > 0)
        CI_FAIL(CI_EDATA, "%s: row %lld is an attack, the first of %lld among %lld rows; a profile is learned from captures without attacks",
                name, (long long)c->count.first_attack, (long long)c->count.attack_rows, (long long)c->count.rows);
done:
    return rc;
}

/* One capture as scan sees it.  Collective. */
static ci_rc survey(struct lesson *l, size_t i)
{
    ci_rc rc = CI_OK;
    ci_conf c = l->conf;
    char only[CI_ITEM_MAX * 4] = "";
    ci_scan_state s = {.comm = l->comm, .conf = &c, .loose = true, .contract = l->contract};

    CI_TRY_ALL(l->comm, "profile.capture", l->comm->rank == 0 ? settings_of(&l->conf, l->name[i], &c, only) : CI_OK);
    CI_TRY(ci_comm_bcast(l->comm, "profile.capture.tell", 0, &c, sizeof c));
    CI_TRY(ci_comm_bcast(l->comm, "profile.only.tell", 0, only, sizeof only));
    CI_TRY(ci_scan_survey(&s, only));
    CI_TRY_ALL(l->comm, "profile.rows", lines_check(&s, l->name[i]));
    l->plan[i] = s.plan;
    s.plan = (ci_plan){0};
done:
    ci_scan_state_release(&s);
    return rc;
}

/* What one capture says, packed behind what this rank has. */
static ci_rc capture_learn(struct lesson *l, size_t i)
{
    ci_rc rc = CI_OK;
    const ci_plan *p = &l->plan[i];
    ci_stream *s = NULL;
    void *bytes = NULL;
    uint64_t n = 0;
    size_t size = 0;

    CI_TRY(ci_stream_create(ci_feature_set_of("agnostic", ci_past_name(CI_PAST_RUN)), CI_PAST_RUN, p->frames, p->stride, 0, &s));
    CI_TRY(ci_stream_begin(s, NULL));
    CI_TRY(stream_learn(l->loader, p, &l->table, s, 0, p->n_block, 0, p->capture[0].count.rows));
    CI_TRY(ci_stream_end(s));
    bytes = ci_profile_pack(ci_stream_known(s), &size);
    if (!bytes) CI_FAIL(CI_ENOMEM, "%s: a profile as bytes", l->name[i]);
    n = size;
    CI_TRY(ci_grow((void **)&l->mine, &l->cap_mine, l->n_mine + sizeof n + size, 1));
    memcpy(l->mine + l->n_mine, &n, sizeof n);
    memcpy(l->mine + l->n_mine + sizeof n, bytes, size);
    l->n_mine += sizeof n + size;
done:
    free(bytes);
    ci_stream_destroy(&s);
    return rc;
}

static ci_rc mine_learn(struct lesson *l)
{
    ci_rc rc = CI_OK;

    for (size_t i = 0; i < l->n; i++)
        if (ci_part((ci_gid)l->n, l->comm->rank, l->comm->size) <= (ci_gid)i && (ci_gid)i < ci_part((ci_gid)l->n, l->comm->rank + 1, l->comm->size))
            CI_TRY(capture_learn(l, i));
done:
    return rc;
}

/* Rank 0: parts in order of ranks are captures in order. */
static ci_rc all_merge(const struct lesson *l, const char *bytes, size_t n, ci_profile **out)
{
    ci_rc rc = CI_OK;
    ci_profile *all = NULL, *one = NULL;
    ci_profile_about a;
    uint64_t size;

    CI_TRY(ci_profile_create(l->conf.window.frames, l->conf.window.stride, &all));
    for (size_t at = 0; at < n; at += size) {
        memcpy(&size, bytes + at, sizeof size);
        at += sizeof size;
        CI_TRY(ci_profile_unpack(bytes + at, size, &one));
        CI_TRY(ci_profile_merge(all, one, true));
        ci_profile_destroy(&one);
    }
    a = ci_profile_tell(all);
    if (a.dropped)
        ci_log(CI_WARN, "%lld of %lld frames have identifiers beyond the first %d, of which nothing is learned: they stay new for ever",
               (long long)a.dropped, (long long)a.n, CI_PROFILE_IDS);
    *out = all;
    all = NULL;
done:
    ci_profile_destroy(&all);
    ci_profile_destroy(&one);
    return rc;
}

ci_rc ci_build_profile(const ci_comm *comm, const ci_conf *conf, const char *const *capture, size_t n, ci_profile **out)
{
    ci_rc rc = CI_OK;
    struct lesson l = {.comm = comm, .conf = *conf, .n = n, .name = capture, .plan = ci_new(n, sizeof *l.plan)};
    void *all = NULL;
    size_t n_all = 0;

    *out = NULL;
    CI_TRY_ALL(comm, "profile.room", l.plan ? ci_contract_read(conf, &l.contract) : ci_fail(CI_ENOMEM, __FILE__, __LINE__, "%zu captures", n));
    for (size_t i = 0; i < n; i++) CI_TRY(survey(&l, i));
    CI_TRY_ALL(comm, "profile.loader", ci_loader_create(&l.contract, &l.loader));
    CI_TRY_ALL(comm, "profile.learn", mine_learn(&l));
    CI_TRY(ci_comm_gather(comm, "profile.gather", l.mine, l.n_mine, &all, &n_all, NULL));
    CI_TRY_ALL(comm, "profile.merge", comm->rank == 0 ? all_merge(&l, all, n_all, out) : CI_OK);
done:
    for (size_t i = 0; l.plan && i < n; i++) ci_plan_release(&l.plan[i]);
    free(l.plan);
    free(l.mine);
    free(all);
    ci_loader_destroy(&l.loader);
    ci_table_release(&l.table);
    return rc;
}
