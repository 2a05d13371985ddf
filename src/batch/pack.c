/* Graphs of the store become a shard: features scaled, edges by destination, self-loops added. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/batch.h"

struct ci_packer {
    const ci_store *st;
    const ci_scaler *scaler;
    ci_reader *reader;
    ci_lid max_graph, max_node;
    bool raw;
    ci_batch b;
    ci_lid *at;     /* (max_node) where the next in-edge of a node goes */
    ci_arena arena; /* the batch and `at` */
};

ci_lid ci_packer_max_edge(const ci_store *st, ci_lid max_graph, ci_lid max_node)
{
    return (ci_lid)CI_MIN((int64_t)max_graph * st->max_edge + max_node, INT32_MAX); /* a self-loop a node; no memory has room for more */
}

ci_lid ci_packer_max_raw(const ci_store *st, ci_lid max_graph)
{
    return (ci_lid)CI_MIN((int64_t)max_graph * st->max_edge, INT32_MAX);
}

static void raw_lay_out(const ci_store *st, ci_lid G, ci_arena *a, ci_batch *b)
{
    const size_t R = (size_t)ci_packer_max_raw(st, G);

    b->raw_first = ci_arena_take(a, (size_t)G + 1, sizeof *b->raw_first);
    b->raw_src = ci_arena_take(a, R, sizeof *b->raw_src);
    b->raw_dst = ci_arena_take(a, R, sizeof *b->raw_dst);
    b->raw_e = ci_arena_take(a, R * (size_t)st->set->n_edge, sizeof *b->raw_e);
    if (st->set->stream) b->raw_label = ci_arena_take(a, R, sizeof *b->raw_label);
}

static void lay_out(const ci_store *st, ci_lid G, ci_lid N, bool raw, ci_arena *a, ci_packer *p)
{
    const ci_lid E = ci_packer_max_edge(st, G, N), F = st->set->n_node, K = st->set->n_edge;
    ci_batch *b = &p->b;

    b->n_feature = F;
    b->n_edge_feature = K;
    b->n_window_feature = st->set->n_window;
    b->first = ci_arena_take(a, (size_t)G + 1, sizeof *b->first);
    b->graph = ci_arena_take(a, (size_t)G, sizeof *b->graph);
    b->label = ci_arena_take(a, (size_t)G, sizeof *b->label);
    if (b->n_window_feature) b->w = ci_arena_take(a, (size_t)G * (size_t)b->n_window_feature, sizeof *b->w);
    b->id = ci_arena_take(a, (size_t)N, sizeof *b->id);
    b->x = ci_arena_take(a, (size_t)N * (size_t)F, sizeof *b->x);
    b->in_first = ci_arena_take(a, (size_t)N + 1, sizeof *b->in_first);
    b->in_src = ci_arena_take(a, (size_t)E, sizeof *b->in_src);
    b->e = ci_arena_take(a, (size_t)E * (size_t)K, sizeof *b->e);
    p->at = ci_arena_take(a, (size_t)N, sizeof *p->at);
    if (raw) raw_lay_out(st, G, a, b);
}

size_t ci_packer_bytes(const ci_store *st, ci_lid max_graph, ci_lid max_node, bool raw)
{
    ci_arena plan = {0};
    ci_packer p;

    lay_out(st, max_graph, max_node, raw, &plan, &p);
    return plan.used;
}

ci_rc ci_packer_create(const ci_store *st, const ci_scaler *scaler, ci_lid max_graph,
                       ci_lid max_node, bool raw, ci_packer **out)
{
    ci_rc rc = CI_OK;
    ci_packer *p = ci_new(1, sizeof *p);

    *out = NULL;
    if (!p) CI_FAIL(CI_ENOMEM, "a packer");
    p->st = st;
    p->scaler = scaler;
    CI_TRY(ci_reader_create(st, &p->reader));
    p->max_graph = max_graph;
    p->max_node = max_node;
    p->raw = raw;
    CI_TRY(ci_arena_init(&p->arena, ci_packer_bytes(st, max_graph, max_node, raw)));
    lay_out(st, max_graph, max_node, raw, &p->arena, p);
    *out = p;
    p = NULL;
done:
    ci_packer_destroy(&p);
    return rc;
}

void ci_packer_destroy(ci_packer **p)
{
    if (*p) {
        ci_arena_release(&(*p)->arena);
        ci_reader_destroy(&(*p)->reader);
    }
    free(*p);
    *p = NULL;
}

/* Count the in-edges of the graph's nodes, which start at row `base` of the batch. */
static void rows_count(const ci_graph_view *v, ci_lid base, ci_batch *b)
{
    for (ci_lid i = 0; i < v->n_node; i++) b->in_first[base + i + 1] = 1; /* its self-loop */
    for (ci_lid k = 0; k < v->n_edge; k++) {
        assert(v->src[k] < v->n_node && v->dst[k] < v->n_node);
        b->in_first[base + v->dst[k] + 1] += v->src[k] != v->dst[k];
    }
    for (ci_lid i = 0; i < v->n_node; i++) b->in_first[base + i + 1] += b->in_first[base + i];
}

static void edges_put(ci_packer *p, const ci_graph_view *v, ci_lid base)
{
    ci_batch *b = &p->b;
    const ci_lid K = b->n_edge_feature;

    for (ci_lid k = 0; k < v->n_edge; k++) {
        ci_lid at;
        if (v->src[k] == v->dst[k]) continue;
        at = p->at[base + v->dst[k]]++;
        b->in_src[at] = base + v->src[k];
        ci_scaler_edges(p->scaler, v->e + (size_t)k * (size_t)K, 1, b->e + (size_t)at * (size_t)K);
    }
}

/* The self-loop of a node: mean of its other in-edges, in their order. */
static void loop_put(ci_batch *b, ci_lid node)
{
    const ci_lid K = b->n_edge_feature, from = b->in_first[node], at = b->in_first[node + 1] - 1;
    float *mean = b->e + (size_t)at * (size_t)K;

    b->in_src[at] = node;
    for (ci_lid k = 0; k < K; k++) {
        float sum = 0;
        for (ci_lid i = from; i < at; i++) sum += b->e[(size_t)i * (size_t)K + (size_t)k];
        mean[k] = at > from ? sum / (float)(at - from) : 0;
    }
}

/* The store's edges as they are; called before the graph is counted. */
static void raw_put(ci_packer *p, const ci_graph_view *v, ci_lid base)
{
    ci_batch *b = &p->b;
    const ci_lid at = b->n_raw;

    for (ci_lid k = 0; k < v->n_edge; k++) {
        b->raw_src[at + k] = base + v->src[k];
        b->raw_dst[at + k] = base + v->dst[k];
    }
    ci_scaler_edges(p->scaler, v->e, v->n_edge, b->raw_e + (size_t)at * (size_t)b->n_edge_feature);
    if (b->raw_label) memcpy(b->raw_label + at, v->edge_label, (size_t)v->n_edge);
    b->n_raw = at + v->n_edge;
    b->raw_first[b->n_graph + 1] = b->n_raw;
}

static void graph_pack(ci_packer *p, int64_t g)
{
    const ci_store *st = p->st;
    ci_batch *b = &p->b;
    const ci_lid base = b->n_node;
    ci_graph_view v;

    ci_store_graph(p->reader, g, &v);
    assert(base + v.n_node <= p->max_node && b->n_graph < p->max_graph);
    for (ci_lid i = 0; i < v.n_node; i++) b->id[base + i] = st->head.vocab[v.id[i]];
    ci_scaler_nodes(p->scaler, v.x, v.n_node, b->x + (size_t)base * (size_t)b->n_feature);
    rows_count(&v, base, b);
    memcpy(p->at + base, b->in_first + base, (size_t)v.n_node * sizeof *p->at);
    edges_put(p, &v, base);
    for (ci_lid i = 0; i < v.n_node; i++) loop_put(b, base + i);
    if (p->raw) raw_put(p, &v, base);
    if (b->w) ci_scaler_windows(p->scaler, v.w, 1, b->w + (size_t)b->n_graph * (size_t)b->n_window_feature);
    b->graph[b->n_graph] = g;
    b->label[b->n_graph] = st->graph_label[g];
    b->n_node = base + v.n_node;
    b->n_edge = b->in_first[b->n_node];
    b->first[++b->n_graph] = b->n_node;
}

const ci_batch *ci_packer_pack(ci_packer *p, const int64_t *graph, ci_lid n)
{
    ci_batch *b = &p->b;

    b->n_graph = b->n_node = b->n_edge = b->n_raw = 0;
    b->first[0] = b->in_first[0] = 0;
    if (p->raw) b->raw_first[0] = 0;
    for (ci_lid i = 0; i < n; i++) graph_pack(p, graph[i]);
    return b;
}
