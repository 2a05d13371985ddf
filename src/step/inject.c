/* Attacks into real captures: sim cannot read them, for it stands before csv and table. */
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/scan.h"
#include "ci/sim.h"
#include "ci/table.h"
#include "ci/tick.h"
#include "step_priv.h"

struct base {
    ci_plan plan;
    ci_contract contract;
    ci_loader *loader;
    ci_table table;
    ci_sim_capture *capture; /* (n) owned */
    int32_t *of;             /* (n) their places in the plan; owned */
    int32_t n;
};

static void base_release(struct base *b)
{
    ci_plan_release(&b->plan);
    ci_loader_destroy(&b->loader);
    ci_table_release(&b->table);
    free(b->capture);
    free(b->of);
}

static ci_rc take(const ci_table *t, int64_t from_ns, int64_t to_ns, int64_t *latest, ci_sim_frames *out)
{
    ci_rc rc = CI_OK;
    void *p = out->v;

    CI_TRY(ci_grow(&p, &out->cap, out->n + (size_t)t->n_own, sizeof *out->v));
    out->v = p;
    for (ci_lid i = 0; i < t->n_own; i++) {
        *latest = CI_MAX(*latest, t->t_ns[i]);
        if (t->attack[i] || *latest < from_ns || *latest >= to_ns) continue;
        out->v[out->n++] = (ci_sim_frame){t->t_ns[i], t->data[i], t->id[i], t->len[i], 0};
    }
done:
    return rc;
}

static ci_rc base_read(void *arg, int32_t capture, int64_t from_ns, int64_t to_ns, ci_sim_frames *out)
{
    ci_rc rc = CI_OK;
    struct base *b = arg;
    const ci_capture *c = &b->plan.capture[b->of[capture]];
    int64_t latest = INT64_MIN;

    for (int32_t k = 0; k < c->n_block && latest < to_ns; k++) {
        CI_TRY(ci_table_load(b->loader, &b->plan, c->first_block + k, 0, &b->table));
        CI_TRY(take(&b->table, from_ns, to_ns, &latest, out));
        ci_tick();
    }
done:
    return rc;
}

/* Training captures of different content. */
static ci_rc captures_take(struct base *b)
{
    ci_rc rc = CI_OK;

    b->capture = ci_new((size_t)b->plan.n_capture, sizeof *b->capture);
    b->of = ci_new((size_t)b->plan.n_capture, sizeof *b->of);
    if (!b->capture || !b->of) CI_FAIL(CI_ENOMEM, "%d captures", b->plan.n_capture);
    for (int32_t i = 0; i < b->plan.n_capture; i++) {
        const ci_capture *c = &b->plan.capture[i];

        if (b->plan.folder[c->folder].role != CI_TRAIN || !ci_capture_used(c) || c->count.rows == 0) continue;
        memcpy(b->capture[b->n].path, c->path, sizeof c->path);
        b->capture[b->n].t_first = c->count.t_first;
        b->capture[b->n].t_last = c->count.t_last;
        b->of[b->n++] = i;
    }
done:
    return rc;
}

static ci_rc check(const ci_conf *conf, ci_conf *of_base)
{
    ci_rc rc = CI_OK;

    *of_base = *conf;
    if (strcmp(conf->sim.base, conf->data.set) == 0)
        CI_FAIL(CI_ECONF, "sim.base: %s is data.set too, and would be overwritten; choose another data.set", conf->sim.base);
    if (strchr(conf->sim.base, '/') || conf->sim.base[0] == '.')
        CI_FAIL(CI_ECONF, "sim.base: \"%s\" is no name of a folder below data.root", conf->sim.base);
    if (strlen(conf->run.dir) + sizeof "/base" > sizeof of_base->run.dir)
        CI_FAIL(CI_ECONF, "run.dir: %s is too long", conf->run.dir);
    strcpy(of_base->data.set, conf->sim.base);
    strcat(of_base->run.dir, "/base");
    CI_TRY(ci_make_dir(of_base->run.dir));
done:
    return rc;
}

ci_rc inject_do(const ci_comm *comm, const ci_conf *conf)
{
    ci_rc rc = CI_OK;
    ci_conf of_base;
    struct base b = {0};

    CI_TRY_ALL(comm, "inject.base.check", check(conf, &of_base));
    CI_TRY(ci_scan(comm, &of_base, &b.plan));
    CI_TRY_ALL(comm, "inject.base.take", captures_take(&b));
    CI_TRY_ALL(comm, "inject.base.contract", ci_contract_read(&of_base, &b.contract));
    CI_TRY_ALL(comm, "inject.base.loader", ci_loader_create(&b.contract, &b.loader));
    CI_TRY(ci_sim_inject(comm, conf, &(ci_sim_base){.capture = b.capture, .n = b.n, .read = base_read, .arg = &b}));
done:
    base_release(&b);
    return rc;
}
