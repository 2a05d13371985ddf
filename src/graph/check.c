/* Is a run of graphs what the store may take? */
#include <float.h>
#include <string.h>
#include "ci/graph.h"

enum { COLUMNS_MAX = 128 };

/* What a column's values lie between, ends included: no comparison holds for a NaN, and infinities are outside. */
struct bounds {
    float low[COLUMNS_MAX], high[COLUMNS_MAX];
};

static void bounds_of(const ci_feature *f, ci_lid n, struct bounds *out)
{
    static const char *const share[] = {"split_half_ratio", "change_rate", "bidir", "frequency", "regularity", "first_position",
                                        "last_position", "duration"};

    for (ci_lid k = 0; k < n; k++) {
        const bool counted = strcmp(f[k].unit, "count") == 0 || strcmp(f[k].unit, "index") == 0 || strcmp(f[k].unit, "frames") == 0;
        out->low[k] = counted ? 0 : -FLT_MAX;
        out->high[k] = FLT_MAX;
        for (size_t i = 0; i < CI_COUNT(share); i++)
            if (strcmp(f[k].name, share[i]) == 0) {
                out->low[k] = 0;
                out->high[k] = 1;
            }
    }
}

/* First of n values of F columns that is out of bounds, or n F.  Rows are looked at whole: only the last one has a branch. */
static size_t first_bad(const float *x, ci_lid n, ci_lid F, const struct bounds *b)
{
    for (ci_lid i = 0; i < n; i++) {
        const float *row = x + (size_t)i * (size_t)F;
        unsigned bad = 0;
        for (ci_lid k = 0; k < F; k++) bad |= (unsigned)!(row[k] >= b->low[k]) | (unsigned)!(row[k] <= b->high[k]);
        for (ci_lid k = 0; bad && k < F; k++)
            if (!(row[k] >= b->low[k] && row[k] <= b->high[k])) return (size_t)i * (size_t)F + (size_t)k;
    }
    return (size_t)n * (size_t)F;
}

/* The graph that item `at` belongs to, where first[] says where each begins. */
static ci_lid graph_of(const ci_lid *first, ci_lid n, ci_lid at)
{
    ci_lid g = 0;

    while (g + 1 < n && first[g + 1] <= at) g++;
    return g;
}

static ci_rc columns_check(const ci_graphs *g, const ci_lid *first, ci_lid n, const float *x, const ci_feature *f, ci_lid F,
                           const char *what)
{
    ci_rc rc = CI_OK;
    struct bounds b;
    size_t bad;

    if (F > COLUMNS_MAX) CI_FAIL(CI_EINTERNAL, "%d columns", F);
    bounds_of(f, F, &b);
    bad = first_bad(x, n, F, &b);
    if (bad < (size_t)n * (size_t)F) {
        const ci_lid at = (ci_lid)(bad / (size_t)F), column = (ci_lid)(bad % (size_t)F), graph = graph_of(first, g->n_graph, at);
        CI_FAIL(CI_EINTERNAL, "window at row %lld: %s %d, %s: %g is not between %g and %g", (long long)g->row[graph], what,
                at - first[graph], f[column].name, (double)x[bad], (double)b.low[column], (double)b.high[column]);
    }
done:
    return rc;
}

static ci_rc offsets_check(const ci_graphs *g, const ci_lid *first, ci_lid n, const char *what, ci_lid least)
{
    ci_rc rc = CI_OK;

    if (first[0] != 0 || first[g->n_graph] != n)
        CI_FAIL(CI_EINTERNAL, "%ss of %d graphs: %d to %d, there are %d", what, g->n_graph, first[0], first[g->n_graph], n);
    for (ci_lid i = 0; i < g->n_graph; i++)
        if (first[i + 1] - first[i] < least)
            CI_FAIL(CI_EINTERNAL, "window at row %lld: %d %ss", (long long)g->row[i], first[i + 1] - first[i], what);
done:
    return rc;
}

static ci_rc graph_check(const ci_graphs *g, ci_lid i)
{
    ci_rc rc = CI_OK;
    const ci_lid n0 = g->node_first[i], n = g->node_first[i + 1] - n0;
    bool bad = false;

    if (g->attack[i] > 1) CI_FAIL(CI_EINTERNAL, "window at row %lld: label %d", (long long)g->row[i], g->attack[i]);
    for (ci_lid k = n0 + 1; k < n0 + n; k++)
        if (g->id[k] <= g->id[k - 1])
            CI_FAIL(CI_EINTERNAL, "window at row %lld: node %d, id: %X behind %X", (long long)g->row[i], k - n0, g->id[k], g->id[k - 1]);
    for (ci_lid e = g->edge_first[i]; e < g->edge_first[i + 1]; e++) bad |= (uint32_t)g->src[e] >= (uint32_t)n || (uint32_t)g->dst[e] >= (uint32_t)n;
    for (ci_lid e = g->edge_first[i]; bad && e < g->edge_first[i + 1]; e++)
        if ((uint32_t)g->src[e] >= (uint32_t)n || (uint32_t)g->dst[e] >= (uint32_t)n)
            CI_FAIL(CI_EINTERNAL, "window at row %lld: edge %d from node %d to %d of %d", (long long)g->row[i], e - g->edge_first[i],
                    g->src[e], g->dst[e], n);
done:
    return rc;
}

ci_rc ci_graphs_check(const ci_graphs *g)
{
    ci_rc rc = CI_OK;

    if (g->n_graph == 0) goto done;
    CI_TRY(offsets_check(g, g->node_first, g->n_node, "node", 1));
    CI_TRY(offsets_check(g, g->edge_first, g->n_edge, "edge", 0));
    for (ci_lid i = 0; i < g->n_graph; i++) CI_TRY(graph_check(g, i));
    CI_TRY(columns_check(g, g->node_first, g->n_node, g->x, g->set->node, g->set->n_node, "node"));
    CI_TRY(columns_check(g, g->edge_first, g->n_edge, g->e, g->set->edge, g->set->n_edge, "edge"));
done:
    return rc;
}
