/* The collectives themselves: each comes in by comm_enter, waits by comm_finish. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "comm_priv.h"

enum { PIECE = 1 << 30 }; /* MPI counts are int: long transfers go in pieces */

/* A rank that skipped an operation whose result it cannot do without stands behind it, as one that
 * went on would: the others see it there. */
static ci_rc stand_behind(const ci_comm *c, const char *site)
{
    char name[SITE_MAX];
    int skip;

    memset(name, 0, sizeof name);
    strncpy(name, "behind ", sizeof name - 1);
    strncat(name, site, sizeof name - strlen(name) - 1);
    return comm_enter(c, name, CI_OK, &skip);
}

#define CI_ENTER(site)                                                                          \
    do {                                                                                        \
        int skip_ = 0;                                                                          \
        CI_TRY(comm_enter(c, (site), CI_OK, &skip_));                                           \
        if (skip_) CI_TRY(stand_behind(c, (site)));                                             \
    } while (0)

ci_rc ci_comm_barrier(const ci_comm *c, const char *site)
{
    ci_rc rc = CI_OK;

    CI_ENTER(site);
done:
    comm_leave(c);
    return rc;
}

static ci_rc bcast_pieces(const ci_comm *c, const char *site, int root, char *bytes, size_t n)
{
    ci_rc rc = CI_OK;

    for (size_t at = 0; at < n && c->size > 1; at += PIECE) {
        MPI_Request request;
        const int piece = (int)CI_MIN(n - at, (size_t)PIECE);
        const int code = MPI_Ibcast(bytes + at, piece, MPI_BYTE, root, c->state->all, &request);
        CI_TRY(comm_finish(c, site, code, &request));
    }
done:
    return rc;
}

ci_rc ci_comm_bcast(const ci_comm *c, const char *site, int root, void *bytes, size_t n)
{
    ci_rc rc = CI_OK;

    CI_ENTER(site);
    CI_TRY(bcast_pieces(c, site, root, bytes, n));
done:
    comm_leave(c);
    return rc;
}

/* The code and message of the lowest rank that came to the present site with a failure, on all. */
static ci_rc verdict(const ci_comm *c, const char *site)
{
    ci_rc rc;
    char message[CI_MESSAGE_MAX] = "";
    int bad = 0;

    while (bad < c->size && c->state->seen[bad].rc == CI_OK) bad++;
    if (bad == c->size) return CI_OK;
    rc = (ci_rc)c->state->seen[bad].rc;
    if (c->rank == bad) strncpy(message, ci_message(), sizeof message - 1);
    if (bcast_pieces(c, site, bad, message, sizeof message) == CI_OK) ci_message_set(message);
    return rc;
}

ci_rc comm_agree(const ci_comm *c, const char *site, ci_rc mine, int transfer)
{
    ci_rc rc = CI_OK;
    int skip = 0;

    CI_TRY(comm_enter(c, site, mine, &skip));
    if (skip) rc = transfer ? stand_behind(c, site) : mine;
    else rc = verdict(c, site);
done:
    comm_leave(c);
    return rc;
}

ci_rc ci_agree(const ci_comm *c, const char *site, ci_rc mine)
{
    return comm_agree(c, site, mine, 0);
}

ci_rc ci_comm_bcast_new(const ci_comm *c, const char *site, int root, void **bytes, size_t *n)
{
    ci_rc rc = CI_OK, mine = CI_OK;
    uint64_t size = c->rank == root ? *n : 0;

    CI_ENTER(site);
    CI_TRY(bcast_pieces(c, site, root, (char *)&size, sizeof size));
    if (c->rank != root && !(*bytes = ci_new(size, 1)))
        mine = ci_fail(CI_ENOMEM, __FILE__, __LINE__, "%llu bytes at %s", (unsigned long long)size,
                       site);
    comm_leave(c);
    CI_TRY(comm_agree(c, "comm.bcast_new.room", mine, 1));
    *n = size;
    CI_TRY(bcast_pieces(c, site, root, *bytes, size));
done:
    comm_leave(c);
    return rc;
}

static ci_rc reduce(const ci_comm *c, const char *site, int64_t *v, size_t n, MPI_Op op)
{
    ci_rc rc = CI_OK;
    const size_t most = PIECE / sizeof *v;

    CI_ENTER(site);
    for (size_t at = 0; at < n && c->size > 1; at += most) {
        MPI_Request request;
        const int piece = (int)CI_MIN(n - at, most);
        const int code =
            MPI_Iallreduce(MPI_IN_PLACE, v + at, piece, MPI_INT64_T, op, c->state->all, &request);
        CI_TRY(comm_finish(c, site, code, &request));
    }
done:
    comm_leave(c);
    return rc;
}

ci_rc ci_comm_sum_i64(const ci_comm *c, const char *site, int64_t *v, size_t n)
{
    return reduce(c, site, v, n, MPI_SUM);
}

ci_rc ci_comm_max_i64(const ci_comm *c, const char *site, int64_t *v, size_t n)
{
    return reduce(c, site, v, n, MPI_MAX);
}

/* To rank 0 and from there: what MPI makes of floats for each rank by itself need not be the same. */
ci_rc ci_comm_sum_f32(const ci_comm *c, const char *site, float *v, size_t n)
{
    ci_rc rc = CI_OK;
    const size_t most = PIECE / sizeof *v;

    CI_ENTER(site);
    for (size_t at = 0; at < n && c->size > 1; at += most) {
        MPI_Request request;
        const int piece = (int)CI_MIN(n - at, most);
        const int code = MPI_Ireduce(c->rank == 0 ? MPI_IN_PLACE : v + at, v + at, piece, MPI_FLOAT, MPI_SUM, 0, c->state->all, &request);
        CI_TRY(comm_finish(c, site, code, &request));
    }
    CI_TRY(bcast_pieces(c, site, 0, (char *)v, n * sizeof *v));
done:
    comm_leave(c);
    return rc;
}

/* A 128-bit integer as four limbs of 32 bits, the highest signed: sums of limbs cannot overflow. */
ci_rc ci_comm_sum_i128(const ci_comm *c, const char *site, __int128 *v, size_t n)
{
    ci_rc rc = CI_OK;
    int64_t *limb = ci_new(4 * n, sizeof *limb);

    CI_TRY(ci_agree(c, "comm.sum_i128.room",
                    limb ? CI_OK : ci_fail(CI_ENOMEM, __FILE__, __LINE__, "%zu sums", n)));
    for (size_t i = 0; i < n; i++) {
        for (int k = 0; k < 3; k++) limb[4 * i + k] = (int64_t)((v[i] >> (32 * k)) & 0xffffffff);
        limb[4 * i + 3] = (int64_t)(v[i] >> 96);
    }
    CI_TRY(ci_comm_sum_i64(c, site, limb, 4 * n));
    for (size_t i = 0; i < n; i++) {
        v[i] = 0;
        for (int k = 3; k >= 0; k--) v[i] = v[i] * ((__int128)1 << 32) + limb[4 * i + k];
    }
done:
    free(limb);
    return rc;
}

/* What a gather needs to know of everybody. */
struct shares {
    uint64_t *n;   /* (size) bytes of each rank            */
    size_t *first; /* (size + 1) offsets                   */
    int *count;    /* (2 size) n and offsets, as MPI wants them */
};

static ci_rc shares_room(const ci_comm *c, struct shares *s)
{
    ci_rc rc = CI_OK;

    s->n = ci_new((size_t)c->size, sizeof *s->n);
    s->first = ci_new((size_t)c->size + 1, sizeof *s->first);
    s->count = ci_new((size_t)c->size * 2, sizeof *s->count);
    if (!s->n || !s->first || !s->count) CI_FAIL(CI_ENOMEM, "shares of %d ranks", c->size);
done:
    return rc;
}

static ci_rc shares_tell(const ci_comm *c, const char *site, size_t mine, struct shares *s)
{
    ci_rc rc = CI_OK;
    const uint64_t n = mine;
    MPI_Request request;
    const int code = MPI_Iallgather(&n, 1, MPI_UINT64_T, s->n, 1, MPI_UINT64_T, c->state->all, &request);

    CI_TRY(comm_finish(c, site, code, &request));
    for (int r = 0; r < c->size; r++) s->first[r + 1] = s->first[r] + s->n[r];
    if (s->first[c->size] > INT_MAX)
        CI_FAIL(CI_EINTERNAL, "%s: %zu bytes to gather, at most %d", site, s->first[c->size], INT_MAX);
    for (int r = 0; r < c->size; r++) {
        s->count[r] = (int)s->n[r];
        s->count[c->size + r] = (int)s->first[r];
    }
done:
    return rc;
}

static ci_rc gather(const ci_comm *c, const char *site, int to_all, const void *mine, size_t n,
                    void **out, size_t *out_n, size_t **out_first)
{
    ci_rc rc = CI_OK;
    struct shares s = {0};
    size_t total;
    char *all = NULL;
    const int keep = to_all || c->rank == 0;
    int skip = 0, code;
    MPI_Request request;

    *out = NULL;
    *out_n = 0;
    if (out_first) *out_first = NULL;
    CI_TRY(comm_enter(c, site, shares_room(c, &s), &skip));
    if (skip) CI_TRY(stand_behind(c, site));
    CI_TRY(verdict(c, site));
    CI_TRY(shares_tell(c, site, n, &s));
    total = s.first[c->size];
    if (keep) all = ci_new(total, 1);
    comm_leave(c);
    CI_TRY(comm_agree(c, "comm.gather.room",
                 keep && !all ? ci_fail(CI_ENOMEM, __FILE__, __LINE__, "%zu bytes at %s", total, site)
                              : CI_OK,
                 1));
    code = to_all ? MPI_Iallgatherv(mine, (int)n, MPI_BYTE, all, s.count, s.count + c->size, MPI_BYTE,
                                    c->state->all, &request)
                  : MPI_Igatherv(mine, (int)n, MPI_BYTE, all, s.count, s.count + c->size, MPI_BYTE, 0,
                                 c->state->all, &request);
    CI_TRY(comm_finish(c, site, code, &request));
    if (keep) {
        *out = all;
        *out_n = total;
        all = NULL;
        if (out_first) {
            *out_first = s.first;
            s.first = NULL;
        }
    }
done:
    comm_leave(c);
    free(all);
    free(s.n);
    free(s.first);
    free(s.count);
    return rc;
}

ci_rc ci_comm_gather(const ci_comm *c, const char *site, const void *mine, size_t n, void **out,
                     size_t *out_n, size_t **out_first)
{
    return gather(c, site, 0, mine, n, out, out_n, out_first);
}

ci_rc ci_comm_allgather(const ci_comm *c, const char *site, const void *mine, size_t n, void **out,
                        size_t *out_n, size_t **out_first)
{
    return gather(c, site, 1, mine, n, out, out_n, out_first);
}

/* n bytes to the rank `distance` behind, out_n from the one as far before; nobody is MPI_PROC_NULL. */
static ci_rc pass_on(const ci_comm *c, const char *site, int distance, const void *mine, size_t n, void *out, size_t out_n)
{
    ci_rc rc = CI_OK;
    const int to = c->rank + distance < c->size ? c->rank + distance : MPI_PROC_NULL;
    const int from = c->rank >= distance ? c->rank - distance : MPI_PROC_NULL;
    MPI_Request sent, got;
    const int send = MPI_Isend(mine, (int)n, MPI_BYTE, to, 0, c->state->all, &sent);

    if (send != MPI_SUCCESS) CI_TRY(comm_error(site, send));
    CI_TRY(comm_finish(c, site, MPI_Irecv(out, (int)out_n, MPI_BYTE, from, 0, c->state->all, &got), &got));
    CI_TRY(comm_finish(c, site, send, &sent));
done:
    return rc;
}

ci_rc ci_comm_shift(const ci_comm *c, const char *site, int distance, const void *mine, size_t n, void **out, size_t *out_n)
{
    ci_rc rc = CI_OK, room = CI_OK;
    uint64_t size = n, coming = 0;
    char *bytes = NULL;

    *out = NULL;
    *out_n = 0;
    CI_ENTER(site);
    CI_TRY(pass_on(c, site, distance, &size, sizeof size, &coming, sizeof coming));
    bytes = ci_new(coming, 1);
    if (size > INT_MAX) room = ci_fail(CI_EINTERNAL, __FILE__, __LINE__, "%s: %zu bytes to pass on, at most %d", site, n, INT_MAX);
    else if (!bytes) room = ci_fail(CI_ENOMEM, __FILE__, __LINE__, "%llu bytes at %s", (unsigned long long)coming, site);
    comm_leave(c);
    CI_TRY(comm_agree(c, "comm.shift.room", room, 1));
    CI_TRY(pass_on(c, site, distance, mine, n, bytes, coming));
    *out = bytes;
    *out_n = coming;
    bytes = NULL;
done:
    comm_leave(c);
    free(bytes);
    return rc;
}
