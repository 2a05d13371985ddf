/* Attacks into real captures: sim cannot read them, for it stands before csv and table. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ci/arena.h"
#include "ci/csv.h"
#include "ci/scan.h"
#include "ci/sim.h"
#include "ci/table.h"
#include "ci/tick.h"
#include "step_priv.h"

#define SECOND INT64_C(1000000000)
enum { GAP_S = 10 }; /* a clock that jumps so far, ahead or back, or a recorder that slept, begins another segment */

struct base {
    ci_plan plan;
    ci_contract contract;
    ci_loader *loader;
    ci_table table;
    char (*path)[CI_TEXT_MAX]; /* (n) owned */
    int32_t *of;               /* (n) their places in the plan; owned */
    int32_t n;
    ci_sim_segment *found;     /* (n_found) of this rank's captures; owned */
    size_t n_found, cap_found;
};

static void base_release(struct base *b)
{
    ci_plan_release(&b->plan);
    ci_loader_destroy(&b->loader);
    ci_table_release(&b->table);
    free(b->path);
    free(b->of);
    free(b->found);
}

/* ---- where segments are */

/* Where a capture is, going by the time of its rows. */
struct place {
    int64_t part;
    int64_t latest; /* of the times of this part so far; INT64_MIN: none */
};

/* \return does the row go on in time, or begin a part? */
static bool place_move(struct place *p, int64_t t)
{
    const bool again = p->latest != INT64_MIN && p->latest - t >= GAP_S * SECOND;

    if (t <= p->latest && !again) return false;
    p->part += again;
    p->latest = t;
    return true;
}

/* The segment that is open while a capture is read. */
struct open_segment {
    ci_sim_segment s;
    struct place at;
};

static ci_rc segment_close(struct base *b, struct open_segment *o, int64_t latest, int64_t to_ns)
{
    ci_rc rc = CI_OK;
    void *p = b->found;

    if (latest - o->s.from_ns < CI_SIM_SEGMENT_LEAST_S * SECOND) return CI_OK;
    CI_TRY(ci_grow(&p, &b->cap_found, b->n_found + 1, sizeof *b->found));
    b->found = p;
    o->s.to_ns = to_ns;
    b->found[b->n_found++] = o->s;
    o->s.number++;
done:
    return rc;
}

static ci_rc segments_in(struct base *b, struct open_segment *o)
{
    ci_rc rc = CI_OK;

    for (ci_lid i = 0; i < b->table.n_own; i++) {
        const int64_t t = b->table.t_ns[i];
        const struct place was = o->at;

        if (b->table.attack[i] || !place_move(&o->at, t)) continue;
        if (was.latest == INT64_MIN) {
            o->s.from_ns = t;
        } else if (o->at.part != was.part || t - o->s.from_ns >= CI_SIM_SEGMENT_S * SECOND || t - was.latest >= GAP_S * SECOND) {
            CI_TRY(segment_close(b, o, was.latest, o->at.part == was.part ? t : INT64_MAX));
            o->s.part = o->at.part;
            o->s.from_ns = t;
        }
    }
done:
    return rc;
}

static ci_rc segments_of(struct base *b, int32_t capture)
{
    ci_rc rc = CI_OK;
    const ci_capture *c = &b->plan.capture[b->of[capture]];
    struct open_segment o = {.s = {.capture = capture}, .at.latest = INT64_MIN};

    for (int32_t k = 0; k < c->n_block; k++) {
        CI_TRY(ci_table_load(b->loader, &b->plan, c->first_block + k, 0, &b->table));
        CI_TRY(segments_in(b, &o));
        ci_tick();
    }
    if (o.at.latest != INT64_MIN) CI_TRY(segment_close(b, &o, o.at.latest, INT64_MAX));
done:
    return rc;
}

static ci_rc segments_mine(struct base *b, int rank, int size)
{
    ci_rc rc = CI_OK;

    for (int32_t k = rank; k < b->n; k += size) CI_TRY(segments_of(b, k));
done:
    return rc;
}

static int by_place(const void *a, const void *b)
{
    const ci_sim_segment *x = a, *y = b;

    if (x->capture != y->capture) return (x->capture > y->capture) - (x->capture < y->capture);
    return (x->number > y->number) - (x->number < y->number);
}

/* ---- reading one */

static ci_rc take(const ci_table *t, const ci_sim_segment *s, struct place *at, ci_sim_frames *out)
{
    ci_rc rc = CI_OK;
    void *p = out->v;

    CI_TRY(ci_grow(&p, &out->cap, out->n + (size_t)t->n_own, sizeof *out->v));
    out->v = p;
    for (ci_lid i = 0; i < t->n_own; i++) {
        if (t->attack[i]) continue;
        place_move(at, t->t_ns[i]);
        if (at->part != s->part || at->latest < s->from_ns || at->latest >= s->to_ns) continue;
        out->v[out->n++] = (ci_sim_frame){t->t_ns[i], t->data[i], t->id[i], t->len[i], 0};
    }
done:
    return rc;
}

static ci_rc base_read(void *arg, const ci_sim_segment *s, ci_sim_frames *out)
{
    ci_rc rc = CI_OK;
    struct base *b = arg;
    const ci_capture *c = &b->plan.capture[b->of[s->capture]];
    struct place at = {.latest = INT64_MIN};

    for (int32_t k = 0; k < c->n_block && (at.part < s->part || (at.part == s->part && at.latest < s->to_ns)); k++) {
        CI_TRY(ci_table_load(b->loader, &b->plan, c->first_block + k, 0, &b->table));
        CI_TRY(take(&b->table, s, &at, out));
        ci_tick();
    }
done:
    return rc;
}

/* Training captures of different content. */
static ci_rc captures_take(struct base *b)
{
    ci_rc rc = CI_OK;

    b->path = ci_new((size_t)b->plan.n_capture, sizeof *b->path);
    b->of = ci_new((size_t)b->plan.n_capture, sizeof *b->of);
    if (!b->path || !b->of) CI_FAIL(CI_ENOMEM, "%d captures", b->plan.n_capture);
    for (int32_t i = 0; i < b->plan.n_capture; i++) {
        const ci_capture *c = &b->plan.capture[i];

        if (b->plan.folder[c->folder].role != CI_TRAIN || !ci_capture_used(c)) continue;
        memcpy(b->path[b->n], c->path, sizeof c->path);
        b->of[b->n++] = i;
    }
done:
    return rc;
}

/* What decides which frames are read, but for the bytes of the captures: settings, which captures there are,
   and what their side-cars say. */
static ci_rc reading_of(const ci_conf *of_base, const ci_plan *p, char out[CI_SHA256_HEX])
{
    static const char *const reads[] = {"data.train", "data.attack_free", "data.format", "contract."}, *const vehicles[] = {"data.vehicles"}, *const copies[] = {"data.duplicates"};
    ci_rc rc = CI_OK;
    ci_sha256 *all = ci_sha256_begin();
    char side[CI_XXH_HEX];

    if (!all) CI_FAIL(CI_ENOMEM, "the hash of %d captures", p->n_capture);
    ci_conf_hash(of_base, reads, CI_COUNT(reads), out);
    ci_sha256_add(all, out, strlen(out));
    if (of_base->data.vehicles.n) ci_conf_hash(of_base, vehicles, 1, out); /* are in the names of what is made */
    if (of_base->data.vehicles.n) ci_sha256_add(all, out, strlen(out));
    if (strcmp(of_base->data.duplicates, "once") != 0) ci_conf_hash(of_base, copies, 1, out); /* then bases have other numbers */
    if (strcmp(of_base->data.duplicates, "once") != 0) ci_sha256_add(all, out, strlen(out));
    for (int32_t i = 0; i < p->n_capture; i++) {
        const ci_capture *c = &p->capture[i];

        if (p->folder[c->folder].role != CI_TRAIN) continue;
        ci_sha256_add(all, c->path, strlen(c->path) + 1);
        ci_xxh_hex(c->sidecar_hash, side);
        if (c->sidecar) ci_sha256_add(all, side, strlen(side));
    }
    ci_sha256_end(&all, out);
done:
    return rc;
}

/* What is made may replace what an earlier simulation made: never the set itself. */
static ci_rc check_apart(const ci_conf *conf)
{
    ci_rc rc = CI_OK;
    char set[CI_PATH_MAX];
    struct stat a, b;

    CI_TRY(ci_path_join(set, conf->data.root, conf->data.set));
    if (stat(set, &a) == 0 && stat(conf->data.injected, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
        CI_FAIL(CI_ECONF, "data.injected: %s is the data set itself, and would be overwritten; name another folder", conf->data.injected);
done:
    return rc;
}

static ci_rc check(const ci_conf *conf, ci_conf *of_base)
{
    ci_rc rc = CI_OK;

    *of_base = *conf;
    memset(of_base->data.injected, 0, sizeof of_base->data.injected);
    if (conf->data.injected[0]) CI_TRY(check_apart(conf));
    else if (strcmp(conf->sim.base, conf->data.set) == 0)
        CI_FAIL(CI_ECONF, "sim.base: %s is data.set too, and would be overwritten; choose another data.set", conf->sim.base);
    else if (strchr(conf->sim.base, '/') || conf->sim.base[0] == '.')
        CI_FAIL(CI_ECONF, "sim.base: \"%s\" is no name of a folder below data.root", conf->sim.base);
    if (strlen(conf->run.dir) + sizeof "/base" > sizeof of_base->run.dir)
        CI_FAIL(CI_ECONF, "run.dir: %s is too long", conf->run.dir);
    strcpy(of_base->data.set, ci_sim_base_name(conf));
    strcat(of_base->run.dir, "/base");
done:
    return rc;
}

/* Runs that share data.injected take turns; \param [out] lock  -1: nothing to unlock. */
static ci_rc injected_take(const ci_conf *conf, int *lock)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX];

    if (!conf->data.injected[0]) return CI_OK;
    CI_TRY(ci_make_dir(conf->data.injected));
    CI_TRY(ci_path_join(path, conf->data.injected, ".lock"));
    *lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (*lock < 0) CI_FAIL(errno == EACCES ? CI_EPERM : CI_ECREATE, "%s: %s", path, strerror(errno));
    if (flock(*lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        CI_FAIL(CI_ETEMP, "another run injects attacks into %s; wait for it, or name another folder in data.injected",
                conf->data.injected);
done:
    return rc;
}

static ci_rc base_start(const ci_conf *conf, ci_conf *of_base)
{
    ci_rc rc = CI_OK;

    CI_TRY(check(conf, of_base));
    CI_TRY(ci_make_dir(of_base->run.dir));
done:
    return rc;
}

ci_rc inject_reading(const ci_conf *conf, char out[CI_SHA256_HEX])
{
    ci_rc rc = CI_OK;
    ci_conf of_base;
    ci_plan p = {0};

    CI_TRY(check(conf, &of_base));
    CI_TRY(ci_csv_list(&of_base, NULL, &p));
    CI_TRY(reading_of(&of_base, &p, out));
done:
    ci_plan_release(&p);
    return rc;
}

ci_rc inject_do(const ci_comm *comm, const ci_conf *conf)
{
    ci_rc rc = CI_OK;
    ci_conf of_base;
    struct base b = {0};
    void *segment = NULL;
    size_t n = 0;
    char reading[CI_SHA256_HEX];
    int lock = -1;

    CI_TRY_ALL(comm, "inject.base.check", base_start(conf, &of_base));
    CI_TRY_ALL(comm, "inject.lock", comm->rank == 0 ? injected_take(conf, &lock) : CI_OK);
    CI_TRY(ci_scan(comm, &of_base, &b.plan));
    CI_TRY_ALL(comm, "inject.base.reading", reading_of(&of_base, &b.plan, reading));
    CI_TRY_ALL(comm, "inject.base.take", captures_take(&b));
    CI_TRY_ALL(comm, "inject.base.contract", ci_contract_read(&of_base, &b.contract));
    CI_TRY_ALL(comm, "inject.base.loader", ci_loader_create(&b.contract, &b.loader));
    CI_TRY_ALL(comm, "inject.segments.find", segments_mine(&b, comm->rank, comm->size));
    CI_TRY(ci_comm_allgather(comm, "inject.segments.allgather", b.found, b.n_found * sizeof *b.found, &segment, &n, NULL));
    n /= sizeof *b.found;
    if (n) qsort(segment, n, sizeof *b.found, by_place);
    CI_TRY(ci_sim_inject(comm, conf, &(ci_sim_base){.path = (const char(*)[CI_TEXT_MAX])b.path, .n = b.n, .segment = segment,
                                                    .n_segment = (int32_t)n, .reading = reading, .read = base_read, .arg = &b}));
done:
    if (lock >= 0) close(lock);
    free(segment);
    base_release(&b);
    return rc;
}
