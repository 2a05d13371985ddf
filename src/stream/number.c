/* Which nodes a window has, and which pairs of neighbours. */
#include <stdlib.h>

#include "ci/arena.h"
#include "stream_priv.h"

enum { NONE = UINT16_MAX };

ci_rc ci_window_create(ci_lid W, struct window **out)
{
    ci_rc rc = CI_OK;
    struct window *w = ci_new(1, sizeof *w);
    const size_t n = (size_t)W;

    *out = NULL;
    if (!w) CI_FAIL(CI_ENOMEM, "window of %d frames", W);
    w->W = W;
    for (w->room = 16; w->room < 2 * (uint32_t)W;) w->room *= 2;
    w->wide = ci_new(w->room, sizeof *w->wide);
    w->wide_node = ci_new(w->room, sizeof *w->wide_node);
    w->id = ci_new(n, sizeof *w->id);
    w->node = ci_new(n, sizeof *w->node);
    w->own = ci_new(n, sizeof *w->own);
    w->prev = ci_new(n, sizeof *w->prev);
    w->prev2 = ci_new(n, sizeof *w->prev2);
    w->last = ci_new(n, sizeof *w->last);
    w->interval = ci_new(n, sizeof *w->interval);
    w->gap = ci_new(n, sizeof *w->gap);
    w->spare = ci_new(n, sizeof *w->spare);
    w->pair = ci_new(n, sizeof *w->pair);
    w->count = ci_new(CI_MAX(w->room, DENSE * DENSE), sizeof *w->count);
    w->key = ci_new(w->room, sizeof *w->key);
    w->pair_at = ci_new(n, sizeof *w->pair_at);
    if (!w->wide || !w->wide_node || !w->id || !w->node || !w->own || !w->prev || !w->prev2 || !w->last || !w->interval || !w->gap ||
        !w->spare || !w->pair || !w->count || !w->key || !w->pair_at)
        CI_FAIL(CI_ENOMEM, "window of %d frames", W);
    memset(w->wide_node, 255, w->room * sizeof *w->wide_node);
    *out = w;
    w = NULL;
done:
    ci_window_destroy(&w);
    return rc;
}

void ci_window_destroy(struct window **out)
{
    struct window *const w = out ? *out : NULL;

    if (!w) return;
    free(w->wide);
    free(w->wide_node);
    free(w->id);
    free(w->node);
    free(w->own);
    free(w->prev);
    free(w->prev2);
    free(w->last);
    free(w->interval);
    free(w->gap);
    free(w->spare);
    free(w->pair);
    free(w->count);
    free(w->key);
    free(w->pair_at);
    free(w);
    *out = NULL;
}

/* By eight bits at a time from the lowest; digits that all have in common are passed over. */
static void radix_sort(int64_t *v, int64_t *spare, ci_lid n)
{
    int64_t *from = v, *to = spare;
    uint64_t any = 0;

    for (ci_lid i = 0; i < n; i++) any |= (uint64_t)(v[i] ^ v[0]);
    for (int shift = 0; shift < 64 && any >> shift; shift += 8) {
        uint32_t at[256] = {0}, sum = 0;
        if (!(any >> shift & 255)) continue;
        for (ci_lid i = 0; i < n; i++) at[(uint64_t)from[i] >> shift & 255]++;
        for (int d = 0; d < 256; d++) {
            const uint32_t c = at[d];
            at[d] = sum;
            sum += c;
        }
        for (ci_lid i = 0; i < n; i++) to[at[(uint64_t)from[i] >> shift & 255]++] = from[i];
        int64_t *const swap = from;
        from = to;
        to = swap;
    }
    if (from != v) memcpy(v, from, (size_t)n * sizeof *v);
}

void ci_sort(int64_t *v, int64_t *spare, ci_lid n)
{
    if (n > 32) {
        radix_sort(v, spare, n);
        return;
    }
    for (ci_lid i = 1; i < n; i++) {
        const int64_t x = v[i];
        ci_lid at = i;
        for (; at > 0 && v[at - 1] > x; at--) v[at] = v[at - 1];
        v[at] = x;
    }
}

static uint32_t wide_at(const struct window *w, uint32_t id)
{
    uint32_t h = (id * 0x9E3779B1u) & (w->room - 1);

    h = (h ^ (id * 0x9E3779B1u) >> 16) & (w->room - 1);
    while (w->wide_node[h] != NONE && w->wide[h] != id) h = (h + 1) & (w->room - 1);
    return h;
}

/* The identifiers at or above NARROW, ascending, behind the others. */
static void number_wide(struct window *w, ci_lid n_narrow)
{
    ci_lid n = 0;

    for (ci_lid i = 0; i < w->W; i++) {
        const uint32_t id = w->f.id[i];
        if (id < NARROW) continue;
        const uint32_t at = wide_at(w, id);
        if (w->wide_node[at] != NONE) continue;
        w->wide_node[at] = 0;
        w->wide[at] = id;
        w->gap[n++] = id;
    }
    ci_sort(w->gap, w->spare, n);
    for (ci_lid k = 0; k < n; k++) {
        w->id[n_narrow + k] = (uint32_t)w->gap[k];
        w->wide_node[wide_at(w, (uint32_t)w->gap[k])] = (uint16_t)(n_narrow + k);
    }
    for (ci_lid i = 0; i < w->W; i++)
        if (w->f.id[i] >= NARROW) w->node[i] = w->wide_node[wide_at(w, w->f.id[i])];
    w->n_node = n_narrow + n;
}

static void wide_clear(struct window *w, ci_lid n_narrow)
{
    if (w->n_node - n_narrow > (ci_lid)(w->room / 8)) {
        memset(w->wide_node, 255, w->room * sizeof *w->wide_node);
        return;
    }
    for (ci_lid i = 0; i < w->W; i++) { /* the slot of each, and those behind it that it may have pushed on */
        uint32_t h = w->f.id[i] < NARROW ? 0 : ((w->f.id[i] * 0x9E3779B1u) ^ (w->f.id[i] * 0x9E3779B1u) >> 16) & (w->room - 1);
        if (w->f.id[i] < NARROW) continue;
        for (; w->wide_node[h] != NONE; h = (h + 1) & (w->room - 1)) w->wide_node[h] = NONE;
    }
}

static void number_nodes(struct window *w)
{
    bool wide = false;
    ci_lid n = 0;

    memset(w->seen, 0, sizeof w->seen);
    for (ci_lid i = 0; i < w->W; i++) {
        const uint32_t id = w->f.id[i];
        if (id < NARROW) w->seen[id / 64] |= 1ull << id % 64;
        else wide = true;
    }
    for (int k = 0; k < NARROW / 64; k++)
        for (uint64_t s = w->seen[k]; s; s &= s - 1) {
            const uint32_t id = (uint32_t)(k * 64 + __builtin_ctzll(s));
            w->rank[id] = (uint16_t)n;
            w->id[n++] = id;
        }
    for (ci_lid i = 0; i < w->W; i++)
        if (w->f.id[i] < NARROW) w->node[i] = w->rank[w->f.id[i]];
    w->n_node = n;
    if (!wide) return;
    number_wide(w, n);
    wide_clear(w, n);
}

static uint32_t pair_slot(const struct window *w, uint32_t u, uint32_t v)
{
    if (w->n_node <= DENSE) return u * DENSE + v;
    const uint32_t key = u << 16 | v;
    uint32_t h = (key * 0x9E3779B1u) >> 8 & (w->room - 1);
    while (w->count[h] && w->key[h] != key) h = (h + 1) & (w->room - 1);
    return h;
}

static void number_pairs(struct window *w)
{
    for (ci_lid k = 0; k < w->n_pair; k++) w->count[w->pair[k].at] = 0; /* the window before */
    w->n_pair = 0;
    for (ci_lid i = 1; i < w->W; i++) {
        const uint32_t u = w->node[i - 1], v = w->node[i], at = pair_slot(w, u, v);
        w->pair_at[i] = (ci_lid)at;
        if (w->count[at]++) continue;
        w->key[at & (w->room - 1)] = w->n_node > DENSE ? u << 16 | v : 0;
        w->pair[w->n_pair++] = (struct pair){(uint16_t)u, (uint16_t)v, (ci_lid)at};
    }
}

ci_lid ci_window_pairs(const struct window *w, ci_lid u, ci_lid v)
{
    return w->count[pair_slot(w, (uint32_t)u, (uint32_t)v)];
}

void ci_window_number(struct window *w, const struct frames *f)
{
    w->f = *f;
    number_nodes(w);
    number_pairs(w);
}
