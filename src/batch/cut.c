/* What graphs count, and runs of them that keep within bounds: shards and global batches. */
#include "ci/split.h"

static int64_t nodes_of(const ci_store *st, int64_t g) { return st->graph_node[g + 1] - st->graph_node[g]; }

static int64_t edges_of(const ci_store *st, int64_t g) { return st->graph_edge[g + 1] - st->graph_edge[g]; }

void ci_graphs_count(const ci_store *st, const int64_t *graph, int64_t n, int64_t *out_nodes,
                     int64_t *out_raw_edges)
{
    *out_nodes = *out_raw_edges = 0;
    for (int64_t i = 0; i < n; i++) {
        *out_nodes += nodes_of(st, graph[i]);
        *out_raw_edges += edges_of(st, graph[i]);
    }
}

int64_t ci_batches_cut(const ci_store *st, const int64_t *graph, int64_t n, int64_t max_graph,
                       int64_t max_node, int64_t max_edge, int64_t *first, int64_t *out_bad)
{
    const int64_t N = max_node ? max_node : INT64_MAX, E = max_edge ? max_edge : INT64_MAX;
    int64_t n_batch = 0, node = 0, edge = 0; /* what is left to the batch */

    for (int64_t i = 0; i < n; i++) {
        const int64_t nodes = nodes_of(st, graph[i]), edges = edges_of(st, graph[i]);
        if (nodes > N || edges > E) {
            *out_bad = i;
            return -1;
        }
        if (i == 0 || nodes > node || edges > edge || i - first[n_batch - 1] == max_graph) {
            first[n_batch++] = i;
            node = N;
            edge = E;
        }
        node -= nodes;
        edge -= edges;
    }
    first[n_batch] = n;
    return n_batch;
}

int64_t ci_shards_cut(const ci_store *st, const int64_t *graph, int64_t n, int32_t rows,
                      int64_t *first, int64_t *out_bad)
{
    const int64_t most = CI_SHARD_GRAPHS(rows);
    int64_t n_shard = 0, used = 0;

    for (int64_t i = 0; i < n; i++) {
        const int64_t nodes = nodes_of(st, graph[i]);
        if (nodes > rows) {
            *out_bad = i;
            return -1;
        }
        if (i == 0 || used + nodes > rows || i - first[n_shard - 1] == most) {
            first[n_shard++] = i;
            used = 0;
        }
        used += nodes;
    }
    first[n_shard] = n;
    return n_shard;
}
