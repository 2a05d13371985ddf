/* A set of captures with simulated attacks in real traffic.  Files are dealt to ranks: each is a
   segment of at most 45 s, made in memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/attack.h"
#include "ci/log.h"
#include "ci/signal.h"
#include "ci/tick.h"
#include "ci/types.h"
#include "sim_priv.h"

typedef struct inject {
    const ci_comm *comm;
    const ci_conf *conf;
    const ci_sim_base *base;
    const char *set;
    recording *r;          /* (n) owned */
    int32_t n;
    int32_t have;          /* the segment that `frames` has, -1: none */
    ci_sim_frames frames, mixed;
    lines text;
} inject;

static bool plain(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

/* Its vehicle, so that folds by vehicle keep both together; else what follows the last '-' of the base's name,
   but no attack's name. */
static void name_of(const ci_conf *conf, const char *path, char out[CI_ITEM_MAX])
{
    const char *slash = strrchr(path, '/'), *stem = slash ? slash + 1 : path, *dash = strrchr(stem, '-');
    const int32_t of = ci_conf_vehicle(conf, path);
    int n = 0;

    if (of >= 0) {
        strcpy(out, conf->data.vehicles.item[of]);
        return;
    }
    for (const char *p = dash ? dash + 1 : stem; plain(*p) && n < 24; p++) out[n++] = *p;
    out[n] = 0;
    if (n == 0 || ci_attack_type(out)) strcpy(out, "base");
}

static ci_rc add(inject *j, attack a, int32_t segment, int32_t copy)
{
    ci_rc rc = CI_OK;
    recording *r = &j->r[j->n++];
    const ci_sim_segment *s = &j->base->segment[segment];

    *r = (recording){.vehicle = -1, .base = s->capture, .segment = segment, .capture = copy, .attack = a};
    name_of(j->conf, j->base->path[s->capture], r->name);
    if (a == ATTACK_NONE)
        snprintf(r->path, sizeof r->path, "%s/attack-free-%s-b%03d-s%04d.csv", ci_sim_folder[0], r->name, s->capture + 1,
                 s->number + 1);
    else
        snprintf(r->path, sizeof r->path, "%s/mixed-%s-b%03d-c%04d.csv", ci_sim_folder[1], r->name, s->capture + 1, copy);
    if (ci_conf_vehicle(j->conf, r->path) != ci_conf_vehicle(j->conf, j->base->path[s->capture]))
        CI_FAIL(CI_ECONF, "data.vehicles: by its name %s is of another vehicle than %s; use names that say whose", r->path,
                j->base->path[s->capture]);
done:
    return rc;
}

/* Segments [first, end) are of one capture: each once as it is, and sim.copies with attacks, spread
   over them. */
static ci_rc plan_capture(inject *j, int32_t first, int32_t end)
{
    ci_rc rc = CI_OK;
    const int64_t copies = j->conf->sim.copies;

    for (int32_t s = first; s < end; s++) {
        if (!j->conf->data.injected[0]) CI_TRY(add(j, ATTACK_NONE, s, 0));
        for (int32_t c = 0; c < copies; c++)
            if (first + c * (int64_t)(end - first) / copies == s) CI_TRY(add(j, ATTACK_MIXED, s, c + 1));
    }
done:
    return rc;
}

static ci_rc plan(inject *j)
{
    ci_rc rc = CI_OK;
    const ci_sim_base *b = j->base;
    int32_t end = 0;

    if (b->n_segment == 0)
        CI_FAIL(CI_EDATA, "%s: %s has no training capture with %d s of frames without attack",
                j->conf->data.injected[0] ? "data.injected" : "sim.base", ci_sim_base_name(j->conf), CI_SIM_SEGMENT_LEAST_S);
    j->r = ci_new((size_t)b->n_segment + (size_t)b->n * (size_t)j->conf->sim.copies, sizeof *j->r);
    if (!j->r) CI_FAIL(CI_ENOMEM, "%d segments", b->n_segment);
    for (int32_t c = 0; c < b->n; c++) {
        const int32_t first = end;

        while (end < b->n_segment && b->segment[end].capture == c) end++;
        CI_TRY(plan_capture(j, first, end));
        if (end == first)
            ci_log(CI_WARN, "%s: less than %d s without attack; nothing is injected into it", b->path[c], CI_SIM_SEGMENT_LEAST_S);
    }
done:
    return rc;
}

static ci_rc segment_read(inject *j, int32_t segment)
{
    ci_rc rc = CI_OK;

    if (j->have == segment) return CI_OK;
    j->have = -1;
    j->frames.n = 0;
    CI_TRY(j->base->read(j->base->arg, &j->base->segment[segment], &j->frames));
    j->have = segment;
done:
    return rc;
}

static ci_rc put_frames(inject *j, const ci_sim_frames *f)
{
    ci_rc rc = CI_OK;

    ci_sim_text_clear(&j->text);
    CI_TRY(ci_sim_text_header_put(&j->text));
    for (size_t i = 0; i < f->n; i++) {
        const ci_sim_frame *x = &f->v[i];
        const uint32_t id = x->id >> 31 ? (x->id & (EXTENDED - 1)) | EXTENDED : x->id;
        uint8_t payload[8];

        for (int k = 0; k < 8; k++) payload[k] = (uint8_t)(x->data >> 8 * k);
        CI_TRY(ci_sim_text_row(&j->text, x->t_ns / 1000, id, payload, x->len, x->attack));
    }
done:
    return rc;
}

/* What is relative to a past needs one. */
static void warm_check(const recording *r, const ci_sim_frames *f)
{
    enum { WARM_UP = 2000 };
    size_t first = 0;

    while (first < f->n && !f->v[first].attack) first++;
    if (first < WARM_UP)
        ci_log(CI_WARN, "%s: its first attack is behind %zu frames; features that need %d before they say anything do not see it",
               r->path, first, WARM_UP);
}

static ci_rc write_one(inject *j, int32_t k, written *out)
{
    ci_rc rc = CI_OK;
    const recording *r = &j->r[k];
    char path[CI_PATH_MAX];
    const bool mixed = r->attack == ATTACK_MIXED;

    if (ci_signal_seen()) CI_FAIL(CI_ETEMP, "signal %d while simulating %s; start again", ci_signal_seen(), r->path);
    CI_TRY(ci_path_join(path, j->set, r->path));
    CI_TRY(segment_read(j, r->segment));
    if (mixed)
        CI_TRY(ci_sim_mix((uint32_t)j->conf->sim.seed, r->base, r->capture, j->frames.v, j->frames.n, &j->mixed));
    if (mixed) warm_check(r, &j->mixed);
    CI_TRY(put_frames(j, mixed ? &j->mixed : &j->frames));
    CI_TRY(ci_commit_bytes(path, j->text.bytes, j->text.used));
    *out = (written){.file = k, .rows = j->text.rows, .attack_rows = j->text.attack_rows, .bytes = (int64_t)j->text.used};
    ci_sha256_of(j->text.bytes, j->text.used, out->sha256);
    ci_tick();
done:
    return rc;
}

/* Files of one base lie together: a rank reads few of them. */
static ci_rc write_mine(inject *j, written *mine, int32_t *out_n)
{
    ci_rc rc = CI_OK;
    const int32_t first = (int32_t)ci_part(j->n, j->comm->rank, j->comm->size);
    const int32_t end = (int32_t)ci_part(j->n, j->comm->rank + 1, j->comm->size);

    for (int32_t k = first; k < end; k++) CI_TRY(write_one(j, k, &mine[(*out_n)++]));
done:
    return rc;
}

static ci_rc finish(const inject *j, const written *w, size_t n)
{
    ci_rc rc = CI_OK;
    int64_t rows = 0;

    if (n != (size_t)j->n) CI_FAIL(CI_EINTERNAL, "%zu of %d files were written", n, j->n);
    for (size_t k = 0; k < n; k++) rows += w[k].rows;
    CI_TRY(ci_sim_set_finish(j->conf, j->set, j->base, j->r, w, j->n));
    ci_log(CI_INFO, "%s: SIMULATED attacks in %s, %d files, %lld frames", j->set, ci_sim_base_name(j->conf), j->n, (long long)rows);
done:
    return rc;
}

static ci_rc prepare(inject *j, char set[CI_PATH_MAX], written **out)
{
    ci_rc rc = CI_OK;

    CI_TRY(ci_sim_set(j->conf, set));
    CI_TRY(plan(j));
    *out = ci_new((size_t)j->n, sizeof **out);
    if (!*out) CI_FAIL(CI_ENOMEM, "%d files", j->n);
    if (j->comm->rank == 0) CI_TRY(ci_sim_set_prepare(j->conf, set, j->r, j->n));
done:
    return rc;
}

ci_rc ci_sim_inject(const ci_comm *comm, const ci_conf *conf, const ci_sim_base *base)
{
    ci_rc rc = CI_OK;
    char set[CI_PATH_MAX] = "";
    inject j = {.comm = comm, .conf = conf, .base = base, .set = set, .have = -1};
    written *mine = NULL;
    void *all = NULL;
    size_t all_bytes = 0;
    int32_t n = 0;

    CI_TRY_ALL(comm, "sim.inject.prepare", prepare(&j, set, &mine));
    CI_TRY_ALL(comm, "sim.inject.files", write_mine(&j, mine, &n));
    CI_TRY(ci_comm_gather(comm, "sim.inject.gather", mine, (size_t)n * sizeof *mine, &all, &all_bytes, NULL));
    CI_TRY_ALL(comm, "sim.inject.manifest", comm->rank ? CI_OK : finish(&j, all, all_bytes / sizeof *mine));
done:
    ci_sim_text_release(&j.text);
    free(j.frames.v);
    free(j.mixed.v);
    free(j.r);
    free(mine);
    free(all);
    return rc;
}
