#include "ci/graph.h"

#include <limits.h>
#include <stdlib.h>

/** Room for n items of `size` bytes, never nothing: NULL means that memory could not be had. */
static void *room(size_t n, size_t size)
{
    return n && n > SIZE_MAX / size ? NULL : malloc(CI_MAX(n * size, (size_t)1));
}

ci_rc ci_graphs_init(ci_graphs *g, const ci_feature_set *set, ci_lid n_graph, ci_lid max_node,
                     ci_lid max_edge)
{
    ci_rc rc = CI_OK;
    const ci_gid n_node = (ci_gid)n_graph * max_node, n_edge = (ci_gid)n_graph * max_edge;
    const size_t graphs = (size_t)n_graph, nodes = (size_t)n_node, edges = (size_t)n_edge;

    *g = (ci_graphs){0};
    if (n_node > INT32_MAX || n_edge > INT32_MAX)
        CI_FAIL(CI_ENOMEM, "%d graphs of up to %d nodes and %d edges are more than one run holds",
                n_graph, max_node, max_edge);
    g->set = set;
    g->cap_graph = n_graph;
    g->cap_node = (ci_lid)n_node;
    g->cap_edge = (ci_lid)n_edge;
    g->node_first = room(graphs + 1, sizeof *g->node_first);
    g->edge_first = room(graphs + 1, sizeof *g->edge_first);
    g->row = room(graphs, sizeof *g->row);
    g->attack = room(graphs, sizeof *g->attack);
    g->id = room(nodes, sizeof *g->id);
    g->x = room(nodes, (size_t)set->n_node * sizeof *g->x);
    g->src = room(edges, sizeof *g->src);
    g->dst = room(edges, sizeof *g->dst);
    g->e = room(edges, (size_t)set->n_edge * sizeof *g->e);
    if (set->stream) {
        g->warm = room(graphs, sizeof *g->warm);
        g->w = room(graphs, (size_t)set->n_window * sizeof *g->w);
        g->edge_attack = room(edges, sizeof *g->edge_attack);
        if (!g->warm || !g->w || !g->edge_attack) CI_FAIL(CI_ENOMEM, "windows of %d graphs", n_graph);
    }
    if (!g->node_first || !g->edge_first || !g->row || !g->attack || !g->id || !g->x || !g->src ||
        !g->dst || !g->e)
        CI_FAIL(CI_ENOMEM, "%d graphs of up to %d nodes and %d edges", n_graph, max_node, max_edge);
    ci_graphs_clear(g);
done:
    if (rc != CI_OK) ci_graphs_release(g);
    return rc;
}

void ci_graphs_clear(ci_graphs *g)
{
    g->n_graph = g->n_node = g->n_edge = 0;
    g->node_first[0] = g->edge_first[0] = 0;
}

void ci_graphs_release(ci_graphs *g)
{
    if (!g) return;
    free(g->node_first);
    free(g->edge_first);
    free(g->row);
    free(g->attack);
    free(g->id);
    free(g->x);
    free(g->src);
    free(g->dst);
    free(g->e);
    free(g->warm);
    free(g->w);
    free(g->edge_attack);
    *g = (ci_graphs){0};
}
