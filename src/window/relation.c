/** The relation of a graph's edges when it has too many nodes for a matrix: pairs in an open hash,
 *  neighbours as lists. */
#include <string.h>

#include "window_priv.h"

/** Slot of a pair, or the free one where it belongs. */
static ci_lid pair_find(const ci_builder *b, ci_lid s, ci_lid d)
{
    const uint64_t key = (uint64_t)(uint32_t)s << 32 | (uint32_t)d;
    const uint32_t last = (1u << (32 - b->shift)) - 1;
    uint32_t at = (uint32_t)(key * UINT64_C(0x9E3779B97F4A7C15) >> 32) >> b->shift;

    while (b->pair[at].stamp == b->stamp && b->pair[at].key != key) at = (at + 1) & last;
    return (ci_lid)at;
}

static bool pair_exists(const ci_builder *b, ci_lid s, ci_lid d)
{
    return b->pair[pair_find(b, s, d)].stamp == b->stamp;
}

/** Count every edge in its pair's slot.  list_first[v + 1] gets the number of v's neighbours, mark[]
 *  flags each edge that is the first of its undirected pair. */
static void pairs_count(ci_builder *b, const ci_lid *src, const ci_lid *dst)
{
    for (ci_lid i = 0; i < b->n_edge; i++) {
        const ci_lid s = src[i], d = dst[i], at = pair_find(b, s, d);
        struct pair *const p = &b->pair[at];
        const bool met = p->stamp == b->stamp || pair_exists(b, d, s);
        if (p->stamp != b->stamp)
            *p = (struct pair){.key = (uint64_t)(uint32_t)s << 32 | (uint32_t)d, .stamp = b->stamp};
        p->count++;
        b->pair_at[i] = at;
        b->mark[i] = !met;
        if (met) continue;
        b->list_first[s + 1]++;
        if (s != d) b->list_first[d + 1]++;
    }
}

/** Neighbours of every node as lists; a node with a self-loop is its own neighbour. */
static void lists_fill(ci_builder *b, ci_lid n_node, const ci_lid *src, const ci_lid *dst)
{
    for (ci_lid v = 0; v < n_node; v++) {
        b->next[v] = b->list_first[v];
        b->list_first[v + 1] += b->list_first[v];
    }
    for (ci_lid i = 0; i < b->n_edge; i++) {
        if (!b->mark[i]) continue;
        b->list[b->next[src[i]]++] = dst[i];
        if (src[i] != dst[i]) b->list[b->next[dst[i]]++] = src[i];
    }
}

/** Neighbours of v that are marked as u's. */
static int64_t common(const ci_builder *b, ci_lid u, ci_lid v)
{
    int64_t n = 0;

    for (ci_lid i = b->list_first[v]; i < b->list_first[v + 1]; i++) n += b->mark[b->list[i]] == u + 1;
    return n;
}

/** Twice the triangles at each node.  Each pair u, v is met once, from the node with more neighbours,
 *  so that the shorter list is walked: E^1.5 steps at worst.
 *
 *      2 tri(u) = sum over v in Nbr(u) of |Nbr(v) and Nbr(u) without u|
 *
 *  u is among v's neighbours, and among its own where it has a self-loop; v = u adds deg - 1. */
static void triangles(ci_builder *b, ci_lid n_node)
{
    const ci_lid *const first = b->list_first;

    memset(b->triangle, 0, (size_t)n_node * sizeof *b->triangle);
    memset(b->mark, 0, (size_t)b->frames * sizeof *b->mark);
    for (ci_lid u = 0; u < n_node; u++) {
        const ci_lid deg = first[u + 1] - first[u];
        const bool self = pair_exists(b, u, u);
        for (ci_lid i = first[u]; i < first[u + 1]; i++) b->mark[b->list[i]] = u + 1;
        if (self) b->triangle[u] += deg - 1;
        for (ci_lid i = first[u]; i < first[u + 1]; i++) {
            const ci_lid v = b->list[i], deg_v = first[v + 1] - first[v];
            if (v == u || deg_v > deg || (deg_v == deg && v > u)) continue;
            const int64_t n = common(b, u, v);
            b->triangle[u] += n - self;
            b->triangle[v] += n - pair_exists(b, v, v);
        }
    }
}

void ci_relation_sparse(ci_builder *b, ci_lid n_node, const ci_lid *src, const ci_lid *dst, float *e)
{
    memset(b->list_first, 0, (size_t)(n_node + 1) * sizeof *b->list_first);
    pairs_count(b, src, dst);
    lists_fill(b, n_node, src, dst);
    triangles(b, n_node);
    for (ci_lid v = 0; v < n_node; v++) {
        const double deg = b->list_first[v + 1] - b->list_first[v];
        b->clustering[v] = deg > 1 ? (double)b->triangle[v] / (deg * (deg - 1)) : 0;
    }
    for (ci_lid i = 0; i < b->n_edge; i++) {
        e[KD35_EDGE * i + 9] = pair_exists(b, dst[i], src[i]);
        e[KD35_EDGE * i + 10] = (float)b->pair[b->pair_at[i]].count;
    }
}
