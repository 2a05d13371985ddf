/* The last words of ranks that do not come together: who is where. */
#include <stdio.h>
#include <string.h>
#include "ci/log.h"
#include "comm_priv.h"

enum { WHO_MAX = 1024, WHO_ONE = 200 };
#define ROLL_CALL_S 0.3

int comm_same_place(const struct arrival *a, const struct arrival *b)
{
    return a->pass == b->pass && strncmp(a->site, b->site, SITE_MAX) == 0;
}

/* What the system says of a process that does not answer; "" where it just runs. */
static const char *condition(int32_t pid)
{
    char path[32], text[512] = "";
    const char *end;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    f = fopen(path, "r");
    if (!f) return "";
    if (!fgets(text, sizeof text, f)) text[0] = 0;
    fclose(f);
    end = strrchr(text, ')');
    if (!end || end[1] != ' ') return "";
    if (end[2] == 'T' || end[2] == 't') return ", its process is stopped";
    if (end[2] == 'D') return ", its process hangs in the kernel, as on a file system that does not answer";
    if (end[2] == 'Z') return ", its process is dead";
    return "";
}

int comm_called(const ci_comm *c)
{
    int there = 0;

    if (c->node_size < c->size) MPI_Iprobe(MPI_ANY_SOURCE, 0, c->state->alarm, &there, MPI_STATUS_IGNORE);
    return there;
}

/* Everybody who waits tells all others where, and hears them for a while. */
static void roll_call(const ci_comm *c)
{
    const struct ci_comm_state *s = c->state;
    const struct arrival *mine = &s->board[c->node_rank].at;
    const double begin = ci_now_s();
    MPI_Request request;
    MPI_Status from;
    int there;

    for (int r = 0; r < c->size; r++)
        if (r != c->rank && MPI_Isend(mine, sizeof *mine, MPI_BYTE, r, 0, s->alarm, &request) == MPI_SUCCESS)
            MPI_Request_free(&request);
    while (ci_now_s() - begin < ROLL_CALL_S) {
        MPI_Iprobe(MPI_ANY_SOURCE, 0, s->alarm, &there, &from);
        if (there) MPI_Recv(&s->last[from.MPI_SOURCE], sizeof *s->last, MPI_BYTE, from.MPI_SOURCE, 0, s->alarm, MPI_STATUS_IGNORE);
        else comm_sleep(1e-3);
    }
}

static size_t who_here(const ci_comm *c, char *who, size_t n)
{
    const struct ci_comm_state *s = c->state;
    const struct place *me = &s->board[c->node_rank];

    for (int i = 0; i < c->node_size && n + WHO_ONE < WHO_MAX; i++) {
        const struct place *p = &s->board[i];
        const int here = p->inside && comm_same_place(&p->at, &me->at);
        const char *is = p == me ? "" : condition(p->pid);
        if (here && !is[0]) continue;
        n += (size_t)snprintf(who + n, WHO_MAX - n, "; rank %d %s: %s %s (pass %lld)%s", p->rank,
                              here ? "came but does not go on" : "has not come", p->inside ? "it waits at" : "it was last at",
                              p->at.site[0] ? p->at.site : "the start", (long long)p->at.pass, is);
    }
    return n;
}

static int on_this_host(const ci_comm *c, int rank)
{
    for (int i = 0; i < c->node_size; i++)
        if (c->state->board[i].rank == rank) return 1;
    return 0;
}

static size_t who_elsewhere(const ci_comm *c, char *who, size_t n)
{
    const struct ci_comm_state *s = c->state;
    const struct arrival *mine = &s->board[c->node_rank].at;

    for (int r = 0; r < c->size && n + WHO_ONE < WHO_MAX; r++) {
        const struct arrival *a = &s->last[r];
        if (comm_same_place(a, mine) || on_this_host(c, r)) continue;
        n += a->site[0] ? (size_t)snprintf(who + n, WHO_MAX - n, "; rank %d on another host waits at %s (pass %lld)", r, a->site,
                                           (long long)a->pass)
                        : (size_t)snprintf(who + n, WHO_MAX - n, "; rank %d on another host has not come", r);
    }
    return n;
}

void comm_say_stalled(const ci_comm *c, const char *site, double seconds, int call)
{
    const struct ci_comm_state *s = c->state;
    char who[WHO_MAX] = "";
    size_t n;

    if (!s->board) {
        ci_log_any(CI_ERROR, "stalled: waited %g s at %s, before the ranks of a host knew each other; stopping with exit "
                   "code 75", seconds, site);
        return;
    }
    n = who_here(c, who, 0);
    if (call && c->node_size < c->size) {
        roll_call(c);
        n = who_elsewhere(c, who, n);
    }
    if (!n)
        snprintf(who, sizeof who, "; %s", call || c->node_size == c->size ? "every rank came, the call itself does not return"
                                                                            : "a rank of another host has not come");
    ci_log_any(CI_ERROR, "stalled: rank %d waited %g s at %s (pass %lld)%s; stopping with exit code 75",
               c->rank, seconds, site, (long long)s->board[c->node_rank].at.pass, who);
}

void comm_say_mismatch(const ci_comm *c, const struct arrival *mine)
{
    const struct ci_comm_state *s = c->state;
    char who[WHO_MAX] = "";
    size_t n = 0;

    for (int r = 0; r < c->size && n + WHO_ONE < sizeof who; r++)
        if (!comm_same_place(&s->seen[r], mine))
            n += (size_t)snprintf(who + n, sizeof who - n, "; rank %d is at %s (pass %lld)", r,
                                  s->seen[r].site, (long long)s->seen[r].pass);
    ci_log_any(CI_ERROR, "ranks out of step: rank %d is at %s (pass %lld)%s; stopping with exit code 75",
               c->rank, mine->site, (long long)mine->pass, who);
}
