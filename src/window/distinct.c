/** Distinct identifiers of a window, ascending.  11-bit ones are bits of a map, which is in order by
 *  itself; all others are larger, so that they follow, hashed and sorted. */
#include <string.h>

#include "window_priv.h"

/** Slot of an identifier, or the free one where it belongs. */
static struct wide *wide_find(const ci_builder *b, uint32_t id)
{
    const uint32_t last = (1u << (32 - b->shift)) - 1;
    uint32_t at = id * 2654435769u >> b->shift;

    while (b->wide[at].stamp == b->stamp && b->wide[at].id != id) at = (at + 1) & last;
    return &b->wide[at];
}

static void wide_mark(ci_builder *b, uint32_t id)
{
    struct wide *w = wide_find(b, id);

    if (w->stamp == b->stamp) return;
    *w = (struct wide){.id = id, .stamp = b->stamp};
    b->wide_id[b->n_wide++] = id;
}

ci_lid ci_distinct_mark(ci_builder *b, const uint32_t *id)
{
    ci_lid n = 0;

    memset(b->seen, 0, sizeof b->seen);
    b->n_wide = 0;
    for (ci_lid t = 0; t < b->rows; t++) {
        const uint32_t v = id[t];
        if (v < NARROW) {
            uint64_t *const word = &b->seen[v / 64];
            n += !(*word >> v % 64 & 1);
            *word |= UINT64_C(1) << v % 64;
        } else {
            wide_mark(b, v);
        }
    }
    return n + b->n_wide;
}

/** Shell's sort: insertion for the few of a real bus, n^1.3 for a flood of them; needs no memory. */
static void sort(uint32_t *v, ci_lid n)
{
    static const ci_lid gaps[] = {29524, 9841, 3280, 1093, 364, 121, 40, 13, 4, 1};

    for (size_t g = 0; g < CI_COUNT(gaps); g++)
        for (ci_lid i = gaps[g]; i < n; i++) {
            const uint32_t x = v[i];
            ci_lid j = i;
            for (; j >= gaps[g] && v[j - gaps[g]] > x; j -= gaps[g]) v[j] = v[j - gaps[g]];
            v[j] = x;
        }
}

void ci_distinct_order(ci_builder *b, const uint32_t *id, uint32_t *out)
{
    ci_lid n = 0;

    for (uint32_t w = 0; w < NARROW / 64; w++)
        for (uint64_t left = b->seen[w]; left; left &= left - 1) {
            const uint32_t v = w * 64 + (uint32_t)__builtin_ctzll(left);
            b->rank[v] = (uint16_t)n;
            out[n++] = v;
        }
    sort(b->wide_id, b->n_wide);
    for (ci_lid i = 0; i < b->n_wide; i++, n++) {
        out[n] = b->wide_id[i];
        wide_find(b, out[n])->node = n;
    }
    for (ci_lid t = 0; t < b->rows; t++)
        b->node[t] = id[t] < NARROW ? b->rank[id[t]] : wide_find(b, id[t])->node;
}
