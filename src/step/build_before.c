/* A capture that several ranks share: each learns its own rows, and an exclusive scan gives each what comes before it.  The merge
 * of profiles is what learning all of their frames in order is, bit for bit. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "build_priv.h"
#include "ci/arena.h"
#include "ci/log.h"
#include "ci/tick.h"

/* What every rank knows of every other one's part, from the plan. */
struct part {
    int32_t first, end;
    bool needs;   /* it has windows of a capture that begins before it */
    bool gives;   /* its last capture goes on, with windows, behind it */
    bool border;  /* that capture begins here, or does not go on: nothing of the ranks before it comes through */
};

static struct part part_of(const struct work *w, int32_t rank)
{
    const ci_plan *p = w->plan;
    struct part a = {.first = build_part(w, rank), .end = build_part(w, rank + 1)};
    const int32_t before = a.first < a.end ? p->block[a.first].capture : 0, last = a.first < a.end ? p->block[a.end - 1].capture : 0;
    const ci_capture *c = &p->capture[last];
    struct stretch t;

    if (a.first == a.end) return a;
    t = stretch_of(p, before, a.first, a.end);
    a.needs = !w->reuse.skip[before] && a.first > p->capture[before].first_block && t.last_window > t.window;
    for (int32_t b = a.end; !w->reuse.skip[last] && b < c->first_block + c->n_block; b++) a.gives = a.gives || p->block[b].graphs > 0;
    a.border = !a.gives || c->first_block >= a.first;
    return a;
}

/* What this rank's part of its last capture teaches those behind it. */
static ci_rc own_learn(struct work *w, const struct part *mine, ci_profile **out)
{
    ci_rc rc = CI_OK;
    const ci_plan *p = w->plan;
    ci_stream *s = NULL;
    ci_profile *k = NULL;
    struct stretch t;

    CI_TRY(ci_profile_create(p->frames, p->stride, &k));
    if (mine->gives) {
        t = stretch_of(p, p->block[mine->end - 1].capture, mine->first, mine->end);
        CI_TRY(ci_stream_create(ci_feature_set_of(w->conf->features.set, ci_past_name(CI_PAST_RUN)), CI_PAST_RUN, p->frames, p->stride, 0, &s));
        CI_TRY(ci_stream_begin(s, NULL));
        CI_TRY(stream_learn(w->loader, p, &w->table, s, t.block, t.end, t.row, ci_window_at(p->block[t.end].first_row, p->stride) * p->stride));
        CI_TRY(ci_stream_end(s));
        CI_TRY(ci_profile_copy(k, ci_stream_known(s)));
    }
    *out = k;
    k = NULL;
done:
    ci_profile_destroy(&k);
    ci_stream_destroy(&s);
    return rc;
}

/* Is what rank `from` has of use to the one so far behind it? */
static bool comes_through(const struct part *part, int32_t n, int32_t from, int32_t distance)
{
    if (from + distance >= n) return false;
    for (int32_t r = from + 1; r <= from + distance; r++)
        if (part[r].border) return false;
    return true;
}

/* Send what this rank has, when `send`, so many ranks further; out: what came, NULL when nothing did.  Collective. */
static ci_rc hand_on(struct work *w, const ci_profile *have, bool send, int32_t distance, ci_profile **out)
{
    ci_rc rc = CI_OK;
    size_t n = 0, got = 0;
    void *bytes = send ? ci_profile_pack(have, &n) : NULL, *came = NULL;

    CI_TRY_ALL(w->comm, "build.before.pack", send && !bytes ? ci_fail(CI_ENOMEM, __FILE__, __LINE__, "a profile as bytes") : CI_OK);
    CI_TRY(ci_comm_shift(w->comm, "build.before.shift", distance, bytes, n, &came, &got));
    CI_TRY_ALL(w->comm, "build.before.unpack", got ? ci_profile_unpack(came, got, out) : CI_OK);
done:
    free(bytes);
    free(came);
    return rc;
}

/* In steps of 1, 2, 4, ... ranks each comes to have all from its capture's beginning to its own end; one more hands it on. */
static ci_rc scan(struct work *w, const struct part *part, ci_profile **have)
{
    ci_rc rc = CI_OK;
    const int32_t me = w->comm->rank, n = w->comm->size;
    ci_profile *came = NULL, *mine;

    for (int32_t distance = 1; distance < n; distance *= 2) {
        CI_TRY(hand_on(w, *have, comes_through(part, n, me, distance), distance, &came));
        CI_TRY_ALL(w->comm, "build.before.merge", came ? ci_profile_merge(came, *have, false) : CI_OK);
        if (!came) continue;
        mine = *have;
        *have = came;
        came = mine;
        ci_profile_destroy(&came);
    }
    CI_TRY(hand_on(w, *have, me + 1 < n && part[me + 1].needs, 1, &w->stream.before));
    if (w->stream.before)
        ci_log_any(CI_DEBUG, "%lld frames of %s were learned before its blocks", (long long)ci_profile_tell(w->stream.before).n,
                   w->plan->capture[w->plan->block[part[me].first].capture].path);
done:
    ci_profile_destroy(&came);
    return rc;
}

/* The first row of these that is behind the prefix; table.n: none. */
static ci_lid behind(const ci_table *t, int64_t limit)
{
    ci_lid i = 0;

    while (i < t->n && t->t_ns[i] <= limit) i++;
    return i;
}

/* The number of the capture's first row behind its prefix, if it is not above `most`; else -1. */
static ci_rc prefix_find(struct work *w, int32_t capture, int64_t most, int64_t *out)
{
    ci_rc rc = CI_OK;
    const ci_plan *p = w->plan;
    const ci_capture *c = &p->capture[capture];
    const int64_t length = llround(w->conf->features.prefix_s * 1e9);
    int64_t limit = -1;

    *out = -1;
    for (int32_t b = c->first_block; b < c->first_block + c->n_block && p->block[b].first_row <= most; b++) {
        ci_lid at;
        if (p->block[b].rows == 0) continue;
        CI_TRY(ci_table_load(w->loader, p, b, 0, &w->table));
        ci_tick();
        if (limit < 0) limit = ci_prefix_end(w->table.t_ns[0], length);
        at = behind(&w->table, limit);
        if (at == w->table.n) continue;
        if (w->table.first_row + at <= most) *out = w->table.first_row + at;
        break;
    }
done:
    return rc;
}

/* What the prefix of the capture before this rank says, when it ends before the rank's first window. */
static ci_rc prefix_learn(struct work *w, const struct part *mine)
{
    ci_rc rc = CI_OK;
    const ci_plan *p = w->plan;
    const int32_t capture = p->block[mine->first].capture;
    const struct stretch t = stretch_of(p, capture, mine->first, mine->end);
    const ci_capture *c = &p->capture[capture];
    ci_stream *s = NULL;
    int64_t first;

    CI_TRY(prefix_find(w, capture, t.row, &first));
    if (first < 0) goto done;
    CI_TRY(ci_stream_create(w->set, CI_PAST_PREFIX, p->frames, p->stride, llround(w->conf->features.prefix_s * 1e9), &s));
    CI_TRY(ci_stream_begin(s, NULL));
    CI_TRY(stream_learn(w->loader, p, &w->table, s, c->first_block, c->first_block + c->n_block, 0, CI_MIN(t.row, (first / p->stride + 1) * p->stride)));
    CI_TRY(ci_profile_create(p->frames, p->stride, &w->stream.prefix));
    CI_TRY(ci_profile_copy(w->stream.prefix, ci_stream_known(s)));
done:
    ci_stream_destroy(&s);
    return rc;
}

/* Files may differ from host to host, and then graphs would. */
static ci_rc known_same(struct work *w)
{
    ci_rc rc = CI_OK;
    const int64_t mine = (int64_t)(ci_xxh_of(w->stream.known.all, strlen(w->stream.known.all)).lo >> 1);
    int64_t most[2] = {mine, -mine};

    CI_TRY(ci_comm_max_i64(w->comm, "build.before.same", most, 2));
    if (most[0] != -most[1]) CI_FAIL(CI_EIO, "%s (features.profile) is not the same on every host", w->conf->features.profile);
done:
    return rc;
}

ci_rc stream_before(struct work *w)
{
    ci_rc rc = CI_OK;
    const int32_t n = w->comm->size;
    struct part *part = ci_new((size_t)n, sizeof *part);
    ci_profile *have = NULL;
    bool any = false;

    CI_TRY_ALL(w->comm, "build.before.room", part ? CI_OK : ci_fail(CI_ENOMEM, __FILE__, __LINE__, "parts of %d ranks", n));
    CI_TRY(known_same(w));
    for (int32_t r = 0; r < n && w->stream.past != CI_PAST_NONE; r++) {
        part[r] = part_of(w, r);
        any = any || part[r].needs;
    }
    if (!any) goto done; /* the same on every rank */
    CI_TRY_ALL(w->comm, "build.before.learn", own_learn(w, &part[w->comm->rank], &have));
    CI_TRY(scan(w, part, &have));
    if (w->stream.past == CI_PAST_PREFIX)
        CI_TRY_ALL(w->comm, "build.before.prefix", part[w->comm->rank].needs ? prefix_learn(w, &part[w->comm->rank]) : CI_OK);
done:
    ci_profile_destroy(&have);
    free(part);
    return rc;
}
