/* The way into a collective: where does everybody stand, and how long do we wait. */
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "ci/log.h"
#include "comm_priv.h"

void comm_sleep(double s)
{
    struct timespec t = {(time_t)s, (long)((s - (double)(time_t)s) * 1e9)};

    while (nanosleep(&t, &t) != 0 && errno == EINTR) continue;
}

ci_rc comm_error(const char *site, int code)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int n = 0;

    MPI_Error_string(code, text, &n);
    return ci_fail(CI_EMPI, __FILE__, __LINE__, "%s: %s", site, text);
}

static void stop_job(const ci_comm *c) __attribute__((noreturn));
static void stop_job(const ci_comm *c)
{
    comm_sleep(LAST_WORDS_MS * 1e-3);
    ci_comm_abort(c, ci_rc_exit(CI_ETEMP));
}

static void stalled(const ci_comm *c, const char *site, double waited)
{
    comm_say_stalled(c, site, waited > c->state->deadline ? c->state->deadline : rint(waited * 10) / 10, 1);
    stop_job(c);
}

static void mismatch(const ci_comm *c, const struct arrival *mine)
{
    comm_say_mismatch(c, mine);
    stop_job(c);
}

double comm_waited(const ci_comm *c, struct patience *p)
{
    const struct ci_comm_state *s = c->state;
    const double now = ci_now_s();
    int64_t tick = 0;

    for (int i = 0; s->board && i < c->node_size; i++)
        if (i != c->node_rank) tick += atomic_load_explicit(&s->board[i].tick, memory_order_relaxed);
    if (p->since == 0 || tick != p->tick) *p = (struct patience){now, tick};
    return now - p->since;
}

ci_rc comm_finish(const ci_comm *c, const char *site, int started, MPI_Request *request)
{
    ci_rc rc = CI_OK;
    struct patience patience = {0, 0};
    double waited;
    int there = 0, code = started;

    if (code != MPI_SUCCESS) CI_TRY(comm_error(site, code));
    for (long spin = 0;; spin++) {
        code = MPI_Test(request, &there, MPI_STATUS_IGNORE);
        if (code != MPI_SUCCESS) CI_TRY(comm_error(site, code));
        if (there) break;
        if (spin < 2000) sched_yield();
        else comm_sleep(spin < 10000 ? 20e-6 : 500e-6);
        if (spin % 64 != 63) continue;
        waited = comm_waited(c, &patience);
        if (waited > c->state->deadline || comm_called(c)) stalled(c, site, waited);
    }
done:
    return rc;
}

static struct site *site_find(struct ci_comm_state *s, const char *name, int guard)
{
    for (int i = 0; i < s->n_site; i++)
        if (s->site[i].guard == guard && strncmp(s->site[i].name, name, SITE_MAX - 1) == 0) return &s->site[i];
    if (s->n_site == SITES_MAX) return NULL;
    s->site[s->n_site].guard = guard;
    snprintf(s->site[s->n_site].name, SITE_MAX, "%s", name);
    return &s->site[s->n_site++];
}

/* Returns 1 when this rank is to skip the site. */
static int injected(const ci_comm *c, const struct arrival *at, int64_t *verdict)
{
    const struct injection *i = &c->state->inject;

    if (i->kind == CI_INJECT_NONE || i->rank != c->rank || i->pass != at->pass ||
        strncmp(i->site, at->site, SITE_MAX) != 0)
        return 0;
    if (i->kind == CI_INJECT_DIE) kill(getpid(), SIGKILL);
    if (i->kind == CI_INJECT_DELAY) comm_sleep(i->seconds);
    if (i->kind == CI_INJECT_FAIL && *verdict == CI_OK)
        *verdict = ci_fail(CI_EIO, __FILE__, __LINE__, "injected failure of rank %d at %s", c->rank,
                           at->site);
    return i->kind == CI_INJECT_SKIP;
}

ci_rc comm_arrive(const ci_comm *c, const char *name, int guard, struct arrival *at)
{
    ci_rc rc = CI_OK;
    struct site *site = site_find(c->state, name, guard);

    if (!site) CI_FAIL(CI_EINTERNAL, "more than %d collective sites", SITES_MAX);
    memcpy(at->site, site->name, SITE_MAX);
    at->pass = ++site->pass;
done:
    return rc;
}

void comm_stand(const ci_comm *c, const struct arrival *at)
{
    struct place *place = &c->state->board[c->node_rank];

    place->at = *at;
    place->inside = 1;
}

ci_rc comm_enter(const ci_comm *c, const char *name, ci_rc mine, int *out_skip)
{
    ci_rc rc = CI_OK;
    struct ci_comm_state *s = c->state;
    struct arrival at = {"", 0, mine};
    MPI_Request request = MPI_REQUEST_NULL;
    int code;

    CI_TRY(comm_arrive(c, name, 0, &at));
    *out_skip = injected(c, &at, &at.rc);
    if (*out_skip) goto done;
    if (c->size == 1) {
        s->seen[0] = at;
        goto done;
    }
    comm_stand(c, &at);
    code = MPI_Iallgather(&at, sizeof at, MPI_BYTE, s->seen, sizeof at, MPI_BYTE, s->all, &request);
    CI_TRY(comm_finish(c, name, code, &request));
    for (int r = 0; r < c->size; r++)
        if (!comm_same_place(&s->seen[r], &at)) mismatch(c, &at);
done:
    return rc;
}

void comm_leave(const ci_comm *c)
{
    c->state->board[c->node_rank].inside = 0;
}
