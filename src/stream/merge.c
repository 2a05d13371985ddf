/* What is known after two runs of frames: sums, and what lies between the last frames of one and the first of the other. */
#include "stream_priv.h"

/* An interval and flips from a's last frame of the identifier to b's first. */
static void between(struct known *a, const struct known *b)
{
    const uint64_t x = a->last[0].data ^ b->first.data;

    if (a->n_last == 0 || a->last_odd || b->n == 0) return;
    a->interval[ci_bin(b->first.t_ns - a->last[0].t_ns)]++;
    a->n_interval++;
    a->n_pair++;
    for (int k = 0; k < 64; k++) a->flips[k] += (uint32_t)(x >> k & 1);
}

static void last_take(struct known *a, const struct known *b)
{
    if (b->n_last == 0) return;
    a->last[1] = b->n_last == 2 ? b->last[1] : a->last[0];
    a->last[0] = b->last[0];
    a->n_last = (uint8_t)CI_MIN(a->n_last + b->n_last, 2);
    a->last_odd = b->last_odd;
}

static void known_add(struct known *a, const struct known *b)
{
    between(a, b);
    if (a->n == 0) a->first = b->first;
    a->n += b->n;
    a->n_interval += b->n_interval;
    a->n_pair += b->n_pair;
    a->lengths |= b->lengths;
    for (int k = 0; k < CI_BINS; k++) a->interval[k] += b->interval[k];
    for (int k = 0; k < 64; k++) a->flips[k] += b->flips[k];
    for (int k = 0; k < 8; k++) {
        a->least[k] = CI_MIN(a->least[k], b->least[k]);
        a->most[k] = CI_MAX(a->most[k], b->most[k]);
    }
    last_take(a, b);
}

/* Positions in a of b's identifiers, in the order in which they came; -1: there is no room for it. */
static ci_rc positions(ci_profile *a, const ci_profile *b, int32_t to[CI_PROFILE_IDS])
{
    ci_rc rc = CI_OK;

    for (int32_t k = 0; k < b->n_id; k++) {
        to[k] = ci_profile_find(a, b->known[k].id);
        if (to[k] < 0) CI_TRY(ci_profile_keep(a, b->known[k].id, &to[k]));
    }
done:
    return rc;
}

static void follows_add(ci_profile *a, const ci_profile *b, const int32_t *to)
{
    for (int32_t u = 0; u < b->n_id; u++) {
        if (to[u] < 0) continue;
        uint32_t *const row = a->follows + (size_t)to[u] * (size_t)a->cap_id;
        const uint32_t *const of = b->follows + (size_t)u * (size_t)b->cap_id;
        for (int32_t v = 0; v < b->n_id; v++)
            if (of[v] && to[v] >= 0) row[to[v]] += of[v];
    }
}

/* The neighbours at the border, and which frames of the bus are the first and the last now. */
static void bus_add(ci_profile *a, const ci_profile *b, const int32_t *to)
{
    const int32_t first = b->first < 0 ? -1 : to[b->first];

    if (!b->any) return;
    if (a->any && !a->last_odd) {
        a->gap[ci_bin(b->first_ns - a->last_ns)]++;
        a->n_gap++;
        if (a->last >= 0 && first >= 0) a->follows[(size_t)a->last * (size_t)a->cap_id + (size_t)first]++;
    }
    if (!a->any) {
        a->first_ns = b->first_ns;
        a->first = first;
    }
    a->any = true;
    a->last_ns = b->last_ns;
    a->last = b->last < 0 ? -1 : to[b->last];
    a->last_odd = b->last_odd;
}

static void windows_add(ci_profile *a, const ci_profile *b)
{
    a->n_window += b->n_window;
    for (int k = 0; k < DURATIONS; k++) a->duration[k] += b->duration[k];
    for (int k = 0; k < OWN; k++) {
        a->sum[k] += b->sum[k];
        a->square[k] += b->square[k];
    }
}

/* The last frames of one recording are not those before another's first. */
static void forget_last(ci_profile *a)
{
    for (int32_t k = 0; k < a->n_id; k++) a->known[k].n_last = 0;
    a->last_odd = ODD;
}

ci_rc ci_profile_merge(ci_profile *a, const ci_profile *b, bool apart)
{
    ci_rc rc = CI_OK;
    int32_t to[CI_PROFILE_IDS];

    if (a->frames != b->frames || a->stride != b->stride)
        CI_FAIL(CI_EARG, "profiles of windows of %d and %d frames, %d and %d apart", a->frames, b->frames, a->stride, b->stride);
    CI_TRY(positions(a, b, to));
    if (apart) forget_last(a);
    a->n += b->n;
    a->dropped += b->dropped;
    for (int32_t k = 0; k < b->n_id; k++) {
        if (to[k] >= 0) known_add(&a->known[to[k]], &b->known[k]);
        else a->dropped += b->known[k].n;
    }
    follows_add(a, b, to);
    for (int k = 0; k < CI_BINS; k++) a->gap[k] += b->gap[k];
    a->n_gap += b->n_gap;
    bus_add(a, b, to);
    windows_add(a, b);
    ci_profile_requantile(a);
done:
    return rc;
}
