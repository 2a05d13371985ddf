/** Pairs of frames with the same ends as one edge.  Few nodes: a matrix of bits, which is in order by
 *  itself.  Many: the pairs sorted by destination, then by source, each in one stable counting pass. */
#include <string.h>

#include "window_priv.h"

static ci_lid merge_dense(ci_builder *b, ci_lid n, ci_lid *src, ci_lid *dst)
{
    ci_lid n_edge = 0;

    memset(b->near, 0, (size_t)n * sizeof b->near[0]);
    for (ci_lid i = 0; i < b->n_edge; i++)
        b->near[b->node[i]][b->node[i + 1] / 64] |= UINT64_C(1) << b->node[i + 1] % 64;
    for (ci_lid s = 0; s < n; s++)
        for (int w = 0; w < 2; w++)
            for (uint64_t left = b->near[s][w]; left; left &= left - 1) {
                const ci_lid d = 64 * w + __builtin_ctzll(left);
                src[n_edge] = s;
                dst[n_edge] = d;
                b->edge_of[s * n + d] = (uint16_t)n_edge++;
            }
    for (ci_lid i = 0; i < b->n_edge; i++) b->edge_at[i] = b->edge_of[b->node[i] * n + b->node[i + 1]];
    return n_edge;
}

/** `to` gets the pairs in `from` (all in order of time where it is NULL) ordered by the node at their
 *  end, 0 the source, 1 the destination. */
static void pairs_sort(const ci_builder *b, ci_lid n_node, ci_lid end, const ci_lid *from, ci_lid *first, ci_lid *to)
{
    memset(first, 0, (size_t)(n_node + 1) * sizeof *first);
    for (ci_lid i = 0; i < b->n_edge; i++) first[b->node[i + end] + 1]++;
    for (ci_lid v = 0; v < n_node; v++) first[v + 1] += first[v];
    for (ci_lid i = 0; i < b->n_edge; i++) {
        const ci_lid pair = from ? from[i] : i;
        to[first[b->node[pair + end]]++] = pair;
    }
}

/** list_first[v] becomes the first edge out of v. */
static ci_lid merge_sparse(ci_builder *b, ci_lid n_node, ci_lid *src, ci_lid *dst)
{
    ci_lid *const by_dst = b->next, *const sorted = b->mark;
    ci_lid n = 0;

    pairs_sort(b, n_node, 1, NULL, b->first, by_dst);
    pairs_sort(b, n_node, 0, by_dst, b->first, sorted);
    memset(b->list_first, 0, (size_t)(n_node + 1) * sizeof *b->list_first);
    for (ci_lid i = 0; i < b->n_edge; i++) {
        const ci_lid s = b->node[sorted[i]], d = b->node[sorted[i] + 1];
        if (!n || src[n - 1] != s || dst[n - 1] != d) {
            src[n] = s;
            dst[n++] = d;
            b->list_first[s + 1]++;
        }
        b->edge_at[sorted[i]] = n - 1;
    }
    for (ci_lid v = 0; v < n_node; v++) b->list_first[v + 1] += b->list_first[v];
    return n;
}

ci_lid ci_merge(ci_builder *b, ci_lid n_node, ci_lid *src, ci_lid *dst)
{
    return n_node <= DENSE ? merge_dense(b, n_node, src, dst) : merge_sparse(b, n_node, src, dst);
}

bool ci_merged_has(const ci_builder *b, ci_lid n_node, const ci_lid *dst, ci_lid s, ci_lid d)
{
    ci_lid lo = b->list_first[s], hi = b->list_first[s + 1];

    if (n_node <= DENSE) return b->near[s][d / 64] >> d % 64 & 1;
    while (lo < hi) {
        const ci_lid mid = lo + (hi - lo) / 2;
        if (dst[mid] < d) lo = mid + 1;
        else hi = mid;
    }
    return lo < b->list_first[s + 1] && dst[lo] == d;
}
