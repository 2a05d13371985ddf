#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/random.h"
#include "shard.h"

float *numbers(size_t n, uint32_t seed)
{
    float *x = aligned_alloc(64, (n * sizeof *x + 64) / 64 * 64);
    if (!x) exit(70);
    for (size_t i = 0; i < n; i++) x[i] = 2.0f * ci_unit(ci_philox(seed, 200, (uint32_t)i, 0, 0, 0).v[0]) - 1.0f;
    return x;
}

static void *room(size_t n, size_t size)
{
    void *p = ci_new(n, size);
    if (!p) exit(70);
    return p;
}

static ci_batch room_make(int n)
{
    const size_t nodes = (size_t)n * SHARD_NODES, raw = (size_t)n * SHARD_EDGES;
    ci_batch b = {.n_graph = n, .n_node = n * SHARD_NODES, .n_raw = n * SHARD_EDGES, .n_feature = SHARD_X, .n_edge_feature = SHARD_E};
    b.first = room((size_t)n + 1, sizeof *b.first);
    b.graph = room((size_t)n, sizeof *b.graph);
    b.label = room((size_t)n, sizeof *b.label);
    b.id = room(nodes, sizeof *b.id);
    b.in_first = room(nodes + 1, sizeof *b.in_first);
    b.in_src = room(nodes + raw, sizeof *b.in_src);
    b.x = numbers(nodes * SHARD_X, 4);
    b.e = numbers((nodes + raw) * SHARD_E, 5);
    b.raw_first = room((size_t)n + 1, sizeof *b.raw_first);
    b.raw_src = room(raw, sizeof *b.raw_src);
    b.raw_dst = room(raw, sizeof *b.raw_dst);
    b.raw_e = numbers(raw * SHARD_E, 5);
    return b;
}

/** In-edges spread evenly, their sources by chance; the self-loop is the last one. */
static void node_put(ci_batch *b, int graph, int i, int *raw)
{
    const int first = graph * SHARD_NODES, node = first + i;
    const int n_in = (int)(ci_part(SHARD_EDGES, i + 1, SHARD_NODES) - ci_part(SHARD_EDGES, i, SHARD_NODES));
    b->id[node] = i + 1;
    for (int k = 0; k < n_in; k++) {
        const int src = first + (int)ci_below(ci_philox(6, 200, (uint32_t)node, (uint32_t)k, 0, 0).v[0], SHARD_NODES);
        b->in_src[b->n_edge++] = b->raw_src[*raw] = src;
        b->raw_dst[(*raw)++] = node;
    }
    b->in_src[b->n_edge++] = node;
    b->in_first[node + 1] = b->n_edge;
}

ci_batch shard_make(int n, int first)
{
    ci_batch b = room_make(n);
    int raw = 0;
    for (int g = 0; g < n; g++) {
        b.first[g + 1] = (g + 1) * SHARD_NODES;
        b.raw_first[g + 1] = (g + 1) * SHARD_EDGES;
        b.graph[g] = first + g;
        b.label[g] = (uint8_t)(g % 2);
        for (int i = 0; i < SHARD_NODES; i++) node_put(&b, g, i, &raw);
    }
    return b;
}

void shard_release(ci_batch *b)
{
    void *const all[] = {b->first, b->graph, b->label, b->id, b->in_first, b->in_src, b->x, b->e, b->raw_first, b->raw_src, b->raw_dst, b->raw_e};
    for (size_t k = 0; k < CI_COUNT(all); k++) free(all[k]);
    *b = (ci_batch){0};
}
