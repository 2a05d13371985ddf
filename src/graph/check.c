/* Is a run of graphs what the store may take? */
#include <float.h>
#include <string.h>
#include "ci/graph.h"

/* What a column's values lie between, ends included; no comparison holds for a NaN. */
struct bounds {
    float low, high;
    uint32_t most; /* low is 0: the bits of high, which those of no value within exceed but -0; else 0 */
};

static struct bounds bounds_of(const ci_feature *f)
{
    static const char *const share[] = {"split_half_ratio", "change_rate", "bidir", "frequency", "regularity", "first_position",
                                        "last_position", "duration"};

    for (size_t i = 0; i < CI_COUNT(share); i++)
        if (strcmp(f->name, share[i]) == 0 && strcmp(f->unit, "1") == 0) return (struct bounds){0, 1, 0x3f800000};
    if (strcmp(f->unit, "count") == 0 || strcmp(f->unit, "index") == 0 || strcmp(f->unit, "frames") == 0)
        return (struct bounds){0, FLT_MAX, 0x7f7fffff};
    return (struct bounds){-FLT_MAX, FLT_MAX, 0};
}

/* Every value is looked at on every put, so two vectors at a time, which stay in registers: one more than an exponent
 * of all ones, an infinity's or a NaN's, is carried into the sign. */
static bool all_finite(const float *x, size_t n)
{
    typedef uint32_t four __attribute__((vector_size(16)));
    const uint32_t exponent = 0x7f800000, one = 0x00800000;
    four a = {0}, b = {0}, v, w;
    uint32_t any = 0, bits;

    for (; n >= 8; n -= 8, x += 8) {
        memcpy(&v, x, sizeof v);
        memcpy(&w, x + 4, sizeof w);
        a |= (v & exponent) + one;
        b |= (w & exponent) + one;
    }
    for (; n > 0; n--, x++) {
        memcpy(&bits, x, sizeof bits);
        any |= (bits & exponent) + one;
    }
    a |= b;
    for (int i = 0; i < 4; i++) any |= a[i];
    return !(any >> 31);
}

/* A column of n rows; what is beyond is looked at more closely, for it may be -0. */
static bool all_within(const float *x, size_t n, size_t F, uint32_t most)
{
    uint32_t top = 0, bits;

    for (size_t i = 0; i < n; i++) {
        memcpy(&bits, x + i * F, sizeof bits);
        top = CI_MAX(top, bits);
    }
    return top <= most;
}

/* First of n F values that its column must not have, or n F. */
static size_t first_bad(const float *x, size_t n, size_t F, const struct bounds *b)
{
    const bool finite = all_finite(x, n * F);
    size_t first = n * F;

    for (size_t k = 0; k < F; k++) {
        if (finite && (b[k].most == 0 || all_within(x + k, n, F, b[k].most))) continue;
        for (size_t i = 0; i < n; i++)
            if (!(x[i * F + k] >= b[k].low && x[i * F + k] <= b[k].high)) {
                first = CI_MIN(first, i * F + k);
                break;
            }
    }
    return first;
}

/* The graph that item `at` belongs to, where first[] says where each begins. */
static ci_lid graph_of(const ci_lid *first, ci_lid n, ci_lid at)
{
    ci_lid g = 0;

    while (g + 1 < n && first[g + 1] <= at) g++;
    return g;
}

/* A block of rows at a time, so that it is in the cache for every column.  first NULL: a row is a graph. */
static ci_rc columns_check(const ci_graphs *g, const ci_lid *first, ci_lid n, const float *x, const ci_feature *f, ci_lid F,
                           const char *what)
{
    enum { ROWS = 64, COLUMNS_MAX = 192 };
    ci_rc rc = CI_OK;
    struct bounds b[COLUMNS_MAX];

    if (F > COLUMNS_MAX) CI_FAIL(CI_EINTERNAL, "%d columns", F);
    for (ci_lid k = 0; k < F; k++) b[k] = bounds_of(&f[k]);
    for (ci_lid from = 0; from < n; from += ROWS) {
        const ci_lid rows = CI_MIN(ROWS, n - from);
        const float *block = x + (size_t)from * (size_t)F;
        const size_t bad = first_bad(block, (size_t)rows, (size_t)F, b);
        const ci_lid at = from + (ci_lid)(bad / (size_t)F), k = (ci_lid)(bad % (size_t)F);
        if (bad == (size_t)rows * (size_t)F) continue;
        const ci_lid graph = first ? graph_of(first, g->n_graph, at) : at;
        CI_FAIL(CI_EINTERNAL, "window at row %lld: %s %d, %s: %g is not between %g and %g", (long long)g->row[graph], what,
                first ? at - first[graph] : k, f[k].name, (double)block[bad], (double)b[k].low, (double)b[k].high);
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

    if (g->warm && g->warm[i] > 1) CI_FAIL(CI_EINTERNAL, "window at row %lld: warm is %d", (long long)g->row[i], g->warm[i]);
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
    if (g->set->n_window) CI_TRY(columns_check(g, NULL, g->n_graph, g->w, g->set->window, g->set->n_window, "column"));
done:
    return rc;
}
