/* The body of a batch from the pool of packed graphs. */
#include "ci/kernel.h"

enum { THREADS = 256, WARPS = THREADS / CI_WARP };

/** n elements, a thread every THREADS-th: neighbours read and write neighbours. */
template <typename T> CI_DEVICE void copy(T *to, const T *from, int64_t n)
{
    for (int64_t k = threadIdx.x; k < n; k += THREADS) to[k] = from[k];
}

CI_DEVICE void fill(int32_t *to, int32_t value, int n)
{
    for (int k = threadIdx.x; k < n; k += THREADS) to[k] = value;
}

/** Rows [first, first + n) of the batch are rows [from, from + n) of the pool. */
struct part { int first, n; int64_t from; };

CI_DEVICE struct part part_of(const ci_k_batch &b, const ci_k_pool &pool, ci_rows rows, int g)
{
    struct part p;
    p.first = b.graph_first[rows][g];
    p.n = b.graph_first[rows][g + 1] - p.first;
    p.from = pool.first[rows][b.slot[g]];
    return p;
}

/** Edges of one graph by their node `key` (within the graph): first[i] is where node i's begin, list their numbers, ascending.  One
 *  warp a node looks at every key twice, 32 at a time: how many are less says where its own begin, so no node waits for another, and
 *  there is no limit to a graph's size. */
CI_DEVICE void sort_edges(const int32_t *key, int n_edge, int edge_first, int n_node, int32_t *first, int32_t *list)
{
    const int lane = threadIdx.x % CI_WARP;
    for (int i = threadIdx.x / CI_WARP; i < n_node; i += WARPS) {
        int less = 0, own = 0;
        for (int k = 0; k < n_edge; k += CI_WARP) {
            const int at = k + lane < n_edge ? key[k + lane] : n_node;
            less += ci_popc(__ballot_sync(CI_ALL, at < i));
            own += ci_popc(__ballot_sync(CI_ALL, at == i));
        }
        int32_t *to = list + edge_first + less;
        if (lane == 0) first[i] = edge_first + less;
        for (int k = 0; own > 0 && k < n_edge; k += CI_WARP) {
            const bool mine = k + lane < n_edge && key[k + lane] == i;
            const uint32_t all = __ballot_sync(CI_ALL, mine);
            if (mine) to[ci_popc(all & ((1u << lane) - 1u))] = edge_first + k + lane;
            to += ci_popc(all);
            own -= ci_popc(all);
        }
    }
}

CI_DEVICE void put_graph(const ci_k_batch &b, const ci_k_pool &pool, int g)
{
    if (threadIdx.x == 0) b.label[g] = pool.label[b.slot[g]];
    if (b.w) copy(b.w + (int64_t)g * b.n_window_feature, pool.w + (int64_t)b.slot[g] * b.n_window_feature, b.n_window_feature);
}

/** Nodes and in-edges; the first node of a graph's in-edges is where its in-edges begin. */
CI_DEVICE void put_nodes(const ci_k_batch &b, const ci_k_pool &pool, int g)
{
    const struct part n = part_of(b, pool, CI_ROWS_NODE, g), e = part_of(b, pool, CI_ROWS_EDGE, g);
    const int32_t *in_first = pool.in_first + n.from + b.slot[g], *in_src = pool.in_src + e.from;

    fill(b.row_graph[CI_ROWS_NODE] + n.first, g, n.n);
    fill(b.row_graph[CI_ROWS_EDGE] + e.first, g, e.n);
    copy(b.id + n.first, pool.id + n.from, n.n);
    copy(b.x + (int64_t)n.first * b.n_feature, pool.x + n.from * b.n_feature, (int64_t)n.n * b.n_feature);
    if (b.n_edge_feature) copy(b.e + (int64_t)e.first * b.n_edge_feature, pool.e + e.from * b.n_edge_feature, (int64_t)e.n * b.n_edge_feature);
    for (int k = threadIdx.x; k < e.n; k += THREADS) b.in_src[e.first + k] = n.first + in_src[k];
    for (int i = threadIdx.x / CI_WARP; i < n.n; i += WARPS) {
        if (threadIdx.x % CI_WARP == 0) b.in_first[n.first + i] = e.first + in_first[i];
        for (int k = in_first[i] + (int)threadIdx.x % CI_WARP; k < in_first[i + 1]; k += CI_WARP) b.in_dst[e.first + k] = n.first + i;
    }
    sort_edges(in_src, e.n, e.first, n.n, b.out_first + n.first, b.out_edge);
}

CI_DEVICE void put_raw(const ci_k_batch &b, const ci_k_pool &pool, int g)
{
    const struct part n = part_of(b, pool, CI_ROWS_NODE, g), e = part_of(b, pool, CI_ROWS_RAW, g);
    const int32_t *src = pool.raw_src + e.from, *dst = pool.raw_dst + e.from;

    fill(b.row_graph[CI_ROWS_RAW] + e.first, g, e.n);
    for (int k = threadIdx.x; k < e.n; k += THREADS) {
        b.raw_src[e.first + k] = n.first + src[k];
        b.raw_dst[e.first + k] = n.first + dst[k];
    }
    if (b.n_edge_feature) copy(b.raw_e + (int64_t)e.first * b.n_edge_feature, pool.raw_e + e.from * b.n_edge_feature, (int64_t)e.n * b.n_edge_feature);
    if (b.raw_label) copy(b.raw_label + e.first, pool.raw_label + e.from, e.n);
    sort_edges(src, e.n, e.first, n.n, b.raw_out_first + n.first, b.raw_out);
    sort_edges(dst, e.n, e.first, n.n, b.raw_in_first + n.first, b.raw_in);
}

/** What is behind the last graph, and the shards' first rows. */
CI_DEVICE void put_ends(const ci_k_batch &b)
{
    const ci_k_step *s = b.step;
    if (threadIdx.x == 0) {
        const int node = s->n[CI_ROWS_NODE], edge = s->n[CI_ROWS_EDGE];
        b.in_first[node] = b.out_first[node] = edge;
        if (b.raw_src) b.raw_out_first[node] = b.raw_in_first[node] = s->n[CI_ROWS_RAW];
    }
    for (int k = threadIdx.x; k <= s->n_shard; k += THREADS)
        for (int rows = CI_ROWS_NODE; rows <= (b.raw_src ? CI_ROWS_RAW : CI_ROWS_EDGE); rows++)
            b.shard_first[rows][k] = b.graph_first[rows][b.shard_graph[k]];
}

/* One block a graph; rows are copied by neighbouring threads, each of the three lists of edges takes (nodes x edges / 32) looks at keys
 * that are in the first cache.  Reads and writes each row once; one launch; no barrier, no shared memory. */
static __global__ void assemble(const ci_k_batch b, const ci_k_pool pool)
{
    const int g = (int)blockIdx.x;
    if (g == 0) put_ends(b);
    if (g >= b.step->n[CI_ROWS_GRAPH]) return;
    put_graph(b, pool, g);
    put_nodes(b, pool, g);
    if (b.raw_src) put_raw(b, pool, g);
}

void ci_cuda_assemble(ci_dev *d, const ci_k_batch *b, const ci_k_pool *pool)
{
    CI_LAUNCH(d, assemble, ci_blocks(b->most[CI_ROWS_GRAPH], 1), THREADS, 0, *b, *pool);
}
