/* Bytes as a profile again, when they can be one: whoever goes on with it may trust every number. */
#include <stdlib.h>
#include <string.h>
#include "pack_priv.h"
#include "ci/arena.h"
#include "ci/types.h"

/* Counts stay below what sums of them can hold. */
#define MOST (INT64_C(1) << 48)

/* The bytes that are left; there are as many as the head says, which is checked first. */
struct bytes {
    const uint8_t *at;
};

static uint64_t get(struct bytes *b, int bytes)
{
    uint64_t v = 0;

    for (int k = 0; k < bytes; k++) v |= (uint64_t)*b->at++ << 8 * k;
    return v;
}

static void get_all(struct bytes *b, void *v, size_t n, int bytes)
{
    for (size_t i = 0; i < n; i++) {
        if (bytes == 8) ((uint64_t *)v)[i] = get(b, 8);
        else ((uint32_t *)v)[i] = (uint32_t)get(b, 4);
    }
}

/* Number of a bin's count that is negative, or their sum beyond `most`: false.  out_sum may be NULL. */
static bool counts_good(const int64_t *v, int n, int64_t most, int64_t *out_sum)
{
    int64_t sum = 0;

    for (int i = 0; i < n; i++) {
        if (v[i] < 0 || v[i] > most - sum) return false;
        sum += v[i];
    }
    if (out_sum) *out_sum = sum;
    return true;
}

/* A mean of squares is never below the square of the mean. */
static bool moments_good(const ci_profile *p)
{
    for (int k = 0; k < OWN; k++) {
        const unsigned __int128 size = p->sum[k] < 0 ? -(unsigned __int128)p->sum[k] : (unsigned __int128)p->sum[k];
        if (size >> 64 || size * size > (unsigned __int128)p->n_window * p->square[k]) return false;
    }
    return true;
}

static ci_rc head_get(struct bytes *b, ci_profile *p, int32_t n_id)
{
    ci_rc rc = CI_OK;
    uint64_t any, odd;

    p->n = (int64_t)get(b, 8);
    p->dropped = (int64_t)get(b, 8);
    any = get(b, 1);
    odd = get(b, 1);
    p->first_ns = (int64_t)get(b, 8);
    p->last_ns = (int64_t)get(b, 8);
    p->first = (int32_t)get(b, 4);
    p->last = (int32_t)get(b, 4);
    if (p->n < 0 || p->n > MOST || p->dropped < 0 || p->dropped > p->n)
        CI_FAIL(CI_EFORMAT, "%lld frames, %lld of them dropped", (long long)p->n, (long long)p->dropped);
    if (any > 1 || odd > any || (!any && (p->n || p->first_ns || p->last_ns || n_id)) || p->first_ns < 0 || p->last_ns < 0)
        CI_FAIL(CI_EFORMAT, "first or last frame cannot be");
    if (p->first < -1 || p->first >= n_id || p->last < -1 || p->last >= n_id)
        CI_FAIL(CI_EFORMAT, "first or last identifier is number %d or %d of %d", p->first, p->last, n_id);
    p->any = any;
    p->last_odd = (uint8_t)odd;
    get_all(b, p->gap, CI_BINS, 8);
    get_all(b, p->duration, DURATIONS, 8);
    get_all(b, p->sum, OWN, 8);
    get_all(b, p->square, OWN, 8);
    if (!counts_good(p->gap, CI_BINS, p->n, &p->n_gap)) CI_FAIL(CI_EFORMAT, "more gaps than %lld frames", (long long)p->n);
    if (!counts_good(p->duration, DURATIONS, MOST, &p->n_window) || !moments_good(p))
        CI_FAIL(CI_EFORMAT, "what is known of windows cannot be");
done:
    return rc;
}

static bool seen_get(struct bytes *b, struct seen *out, bool there)
{
    out->t_ns = (int64_t)get(b, 8);
    out->data = get(b, 8);
    out->len = (uint8_t)get(b, 1);
    if (!there) return !out->t_ns && !out->data && !out->len;
    return out->t_ns >= 0 && out->len <= 8 && (out->len == 8 || !(out->data >> 8 * out->len));
}

static bool id_good(uint32_t id) { return id >> 31 ? !(id & 0x60000000) : id <= 0x7ff; }

/* Least and most of a byte: of one that no frame had, 255 and 0. */
static bool bytes_good(const struct known *v)
{
    const int longest = v->lengths ? 31 - __builtin_clz(v->lengths) : 0;

    for (int k = 0; k < 8; k++) {
        if (k < longest ? v->least[k] > v->most[k] : v->least[k] != 255 || v->most[k] != 0) return false;
    }
    return true;
}

static ci_rc known_check(struct known *v, int64_t n_all)
{
    ci_rc rc = CI_OK;
    uint64_t sum = 0;
    uint32_t flips = 0;

    for (int k = 0; k < CI_BINS; k++) sum += v->interval[k];
    for (int k = 0; k < 64; k++) flips = CI_MAX(flips, v->flips[k]);
    v->n_interval = (int64_t)sum;
    if (!id_good(v->id)) CI_FAIL(CI_EFORMAT, "%08x is no identifier", v->id);
    if (v->n < 0 || v->n > n_all || v->n_pair < 0 || v->n_pair > v->n || v->n_interval > v->n || flips > v->n_pair)
        CI_FAIL(CI_EFORMAT, "identifier %08x: %lld frames of %lld, %lld intervals, %lld pairs, %u flips of a bit", v->id, (long long)v->n,
                (long long)n_all, (long long)v->n_interval, (long long)v->n_pair, flips);
    if (v->lengths >> LENGTHS || (v->n > 0) != (v->lengths != 0) || !bytes_good(v))
        CI_FAIL(CI_EFORMAT, "identifier %08x: its lengths and bytes cannot be", v->id);
    if (v->n_last > 2 || v->last_odd > (v->n_last > 0)) /* none where the last of several recordings had no such frame */
        CI_FAIL(CI_EFORMAT, "identifier %08x: it has %d last frames", v->id, v->n_last);
done:
    return rc;
}

static ci_rc known_get(struct bytes *b, ci_profile *p, int32_t n_id, bool *taken, int64_t *before)
{
    ci_rc rc = CI_OK;
    struct known v = {.id = (uint32_t)get(b, 4)};
    const uint32_t place = (uint32_t)get(b, 4);
    bool seen;

    v.lengths = (uint16_t)get(b, 2);
    v.n_last = (uint8_t)get(b, 1);
    v.last_odd = (uint8_t)get(b, 1);
    v.n = (int64_t)get(b, 8);
    v.n_pair = (int64_t)get(b, 8);
    get_all(b, v.interval, CI_BINS, 4);
    get_all(b, v.flips, 64, 4);
    for (int k = 0; k < 8; k++) v.least[k] = (uint8_t)get(b, 1);
    for (int k = 0; k < 8; k++) v.most[k] = (uint8_t)get(b, 1);
    seen = seen_get(b, &v.first, v.n > 0);
    for (int k = 0; k < 2; k++) seen = seen_get(b, &v.last[k], v.n_last > k) && seen;
    CI_TRY(known_check(&v, p->n));
    if (!seen) CI_FAIL(CI_EFORMAT, "identifier %08x: a frame that cannot be", v.id);
    if ((int64_t)v.id <= *before) CI_FAIL(CI_EFORMAT, "identifier %08x behind %08llx", v.id, (unsigned long long)*before);
    if (place >= (uint32_t)n_id || taken[place]) CI_FAIL(CI_EFORMAT, "identifier %08x came as number %u of %d", v.id, place, n_id);
    *before = v.id;
    taken[place] = true;
    p->order[p->n_id++] = (uint16_t)place;
    p->known[place] = v;
done:
    return rc;
}

static ci_rc edges_get(struct bytes *b, ci_profile *p, int32_t n_edge)
{
    ci_rc rc = CI_OK;
    int64_t before = -1, left = p->n;

    for (int32_t i = 0; i < n_edge; i++) {
        const uint32_t u = (uint32_t)get(b, 2), v = (uint32_t)get(b, 2), c = (uint32_t)get(b, 4);
        const int64_t at = (int64_t)u << 16 | v;
        if (u >= (uint32_t)p->n_id || v >= (uint32_t)p->n_id || at <= before || c == 0 || c > left)
            CI_FAIL(CI_EFORMAT, "succession %d, of identifiers %u and %u, %u times, cannot be", i, u, v, c);
        p->follows[(size_t)p->order[u] * (size_t)p->cap_id + p->order[v]] = c;
        before = at;
        left -= c;
    }
done:
    return rc;
}

static ci_rc body_get(struct bytes *b, ci_profile *p, int32_t n_id, int32_t n_edge)
{
    ci_rc rc = CI_OK;
    bool *taken = ci_new((size_t)n_id, sizeof *taken);
    int64_t before = -1, left;

    if (!taken) CI_FAIL(CI_ENOMEM, "%d identifiers", n_id);
    CI_TRY(head_get(b, p, n_id));
    left = p->n - p->dropped;
    for (int32_t i = 0; i < n_id; i++) {
        CI_TRY(known_get(b, p, n_id, taken, &before));
        left -= p->known[p->order[i]].n;
        if (left < 0) CI_FAIL(CI_EFORMAT, "its identifiers have more than %lld frames", (long long)p->n);
    }
    if (left) CI_FAIL(CI_EFORMAT, "%lld of %lld frames are of no identifier", (long long)left, (long long)p->n);
    if (p->first >= 0) p->first = p->order[p->first];
    if (p->last >= 0) p->last = p->order[p->last];
    CI_TRY(edges_get(b, p, n_edge));
done:
    free(taken);
    return rc;
}

ci_rc ci_profile_unpack(const void *bytes, size_t n, ci_profile **out)
{
    ci_rc rc = CI_OK;
    struct bytes b = {(const uint8_t *)bytes + PACK_MAGIC};
    ci_profile *p = NULL;
    uint64_t version, frames, stride, n_id, n_edge;

    if (n < PACK_HEAD || memcmp(bytes, profile_magic, PACK_MAGIC) != 0) CI_FAIL(CI_EFORMAT, "this is no profile");
    version = get(&b, 4);
    if (version != CI_PROFILE_VERSION) CI_FAIL(CI_EFORMAT, "a profile of version %u; this program reads version %d: learn it again", (unsigned)version, CI_PROFILE_VERSION);
    frames = get(&b, 4);
    stride = get(&b, 4);
    n_id = get(&b, 4);
    n_edge = get(&b, 4);
    if (frames < 1 || frames > 65535 || stride < 1 || stride > INT32_MAX)
        CI_FAIL(CI_EFORMAT, "windows of %u frames, one every %u", (unsigned)frames, (unsigned)stride);
    if (n_id > CI_PROFILE_IDS || n_edge > n_id * n_id)
        CI_FAIL(CI_EFORMAT, "%u identifiers, of at most %d, with %u successions", (unsigned)n_id, CI_PROFILE_IDS, (unsigned)n_edge);
    if (n != PACK_HEAD + n_id * PACK_ID + n_edge * PACK_EDGE)
        CI_FAIL(CI_EFORMAT, "%zu bytes where %u identifiers and %u successions have %zu", n, (unsigned)n_id, (unsigned)n_edge,
                (size_t)(PACK_HEAD + n_id * PACK_ID + n_edge * PACK_EDGE));
    CI_TRY(ci_profile_create((ci_lid)frames, (ci_lid)stride, &p));
    CI_TRY(ci_profile_reserve(p, (int32_t)n_id));
    CI_TRY(body_get(&b, p, (int32_t)n_id, (int32_t)n_edge));
    ci_profile_settle(p);
    *out = p;
    p = NULL;
done:
    ci_profile_destroy(&p);
    return rc;
}
