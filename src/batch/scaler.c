/* Means and spreads from exact integer sums: the same for any number of ranks. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/split.h"
#include "batch_priv.h"

/* Sums of one column: of v and of v^2, in units of 2^-24 and 2^-48 of what a half would hold (nodes), or of
 * 2^-30 s and 2^-60 (edges: a nanosecond is the smallest step of time).  Values of a compact store are whole
 * units, others are rounded to them.  Values count as at most
 * FIXED_MAX units, which no half reaches and which is 12 days of time: a clock that jumps further
 * must not overflow 2^27 squares. */
enum { NODE_BITS = 24, EDGE_BITS = 30 };
#define FIXED_MAX 0x1p50

struct sums {
    __int128 n_node, n_edge;
    __int128 node[CI_SCALER_MAX], node2[CI_SCALER_MAX];
    __int128 edge[CI_SCALER_MAX], edge2[CI_SCALER_MAX];
};

/* Each column's unit is 2^-this. */
struct units {
    ci_lid F, K;
    int node[CI_SCALER_MAX], edge[CI_SCALER_MAX];
};

static struct units units_of(const ci_feature_set *set)
{
    struct units u = {.F = set->n_node, .K = set->n_edge};

    for (ci_lid k = 0; k < u.F; k++) u.node[k] = NODE_BITS + set->node[k].log2_scale;
    for (ci_lid k = 0; k < u.K; k++) u.edge[k] = EDGE_BITS + (set->single ? set->edge[k].log2_scale : 0);
    return u;
}

static int64_t fixed(float v, int bits)
{
    const double units = (double)v * (double)(1LL << bits);

    return (int64_t)llrint(units > FIXED_MAX ? FIXED_MAX : units < -FIXED_MAX ? -FIXED_MAX : units);
}

static void row_add(const float *v, ci_lid n, const int *bits, __int128 *sum, __int128 *sum2)
{
    for (ci_lid k = 0; k < n; k++) {
        const int64_t i = fixed(v[k], bits[k]);
        sum[k] += i;
        sum2[k] += (__int128)i * i;
    }
}

static void graph_add(ci_reader *r, int64_t g, const struct units *u, struct sums *s)
{
    ci_graph_view v;

    ci_store_graph(r, g, &v);
    for (ci_lid i = 0; i < v.n_node; i++) row_add(v.x + (size_t)i * (size_t)u->F, u->F, u->node, s->node, s->node2);
    for (ci_lid i = 0; i < v.n_edge; i++) row_add(v.e + (size_t)i * (size_t)u->K, u->K, u->edge, s->edge, s->edge2);
    s->n_node += v.n_node;
    s->n_edge += v.n_edge;
}

double spread_floored(double mean, double spread) { return fmax(spread, 1e-6 * fmax(1, fabs(mean))); }

/* The difference of two nearly equal numbers: quadruple precision keeps what exact sums bought. */
static void moments(__int128 n, __int128 sum, __int128 sum2, int bits, double *mean, double *spread)
{
    const __float128 m = (__float128)sum / (__float128)n;
    __float128 var = (__float128)sum2 / (__float128)n - m * m;

    if (var < 0) var = 0;
    *mean = ldexp((double)m, -bits);
    *spread = spread_floored(*mean, ldexp(sqrt((double)var), -bits));
}

static ci_rc zscore_fit(const ci_comm *comm, const ci_store *st, const int64_t *graph, int64_t n, ci_scaler *out)
{
    ci_rc rc = CI_OK;
    struct sums *s = ci_new(1, sizeof *s);
    const struct units u = units_of(st->set);
    ci_reader *r = NULL;

    CI_TRY_ALL(comm, "scaler.room", s ? ci_reader_create(st, &r) : ci_fail(CI_ENOMEM, __FILE__, __LINE__, "sums of a scaler"));
    for (int64_t i = ci_part(n, comm->rank, comm->size); i < ci_part(n, comm->rank + 1, comm->size); i++)
        if (!st->graph_label[graph[i]]) graph_add(r, graph[i], &u, s);
    CI_TRY(ci_comm_sum_i128(comm, "scaler.sums", (__int128 *)s, sizeof *s / sizeof(__int128)));
    for (ci_lid k = 0; k < out->n_node; k++)
        moments(s->n_node, s->node[k], s->node2[k], u.node[k], &out->node_mean[k], &out->node_spread[k]);
    for (ci_lid k = 0; s->n_edge > 0 && k < out->n_edge; k++)
        moments(s->n_edge, s->edge[k], s->edge2[k], u.edge[k], &out->edge_mean[k], &out->edge_spread[k]);
done:
    free(s);
    ci_reader_destroy(&r);
    return rc;
}

ci_scaler_kind ci_scaler_kind_of(const char *name)
{
    return strcmp(name, "none") == 0 ? CI_SCALER_NONE : strcmp(name, "robust") == 0 ? CI_SCALER_ROBUST : CI_SCALER_ZSCORE;
}

/* Rows of the benign graphs. */
static void benign_count(const ci_store *st, const int64_t *graph, int64_t n, int64_t *out_node, int64_t *out_edge)
{
    *out_node = *out_edge = 0;
    for (int64_t i = 0; i < n; i++)
        if (!st->graph_label[graph[i]]) {
            int64_t nodes, edges;
            ci_graphs_count(st, &graph[i], 1, &nodes, &edges);
            *out_node += nodes;
            *out_edge += edges;
        }
}

ci_rc ci_scaler_fit(const ci_comm *comm, const ci_store *st, const int64_t *graph, int64_t n,
                    ci_scaler_kind kind, ci_scaler *out)
{
    ci_rc rc = CI_OK;
    const bool none = kind == CI_SCALER_NONE;
    int64_t n_node, n_edge;

    *out = (ci_scaler){.n_node = st->set->n_node, .n_edge = st->set->n_edge, .clip = none ? 0 : CI_SCALER_CLIP};
    for (ci_lid k = 0; k < out->n_node; k++) out->node_spread[k] = 1;
    for (ci_lid k = 0; k < out->n_edge; k++) out->edge_spread[k] = 1;
    benign_count(st, graph, n, &n_node, &n_edge);
    if (n_node == 0 && !none) CI_FAIL(CI_EDATA, "no benign training window to fit the scaler on");
    if (kind == CI_SCALER_ZSCORE) CI_TRY(zscore_fit(comm, st, graph, n, out));
    if (kind == CI_SCALER_ROBUST) CI_TRY(quartiles_fit(comm, st, graph, n, n_node, n_edge, out));
    for (ci_lid k = 0; k < out->n_node; k++)
        if (st->set->node[k].scaling == CI_SCALE_INDEX) {
            out->node_mean[k] = 0;
            out->node_spread[k] = CI_SCALER_NOTHING;
        }
done:
    return rc;
}

static void row_scale(const double *mean, const double *spread, double clip, ci_lid n, const float *v, float *out)
{
    const double most = clip > 0 ? clip : HUGE_VAL;

    for (ci_lid k = 0; k < n; k++) {
        const double z = ((double)v[k] - mean[k]) / spread[k];
        out[k] = (float)(z > most ? most : z < -most ? -most : z);
    }
}

void ci_scaler_nodes(const ci_scaler *s, const float *x, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++) row_scale(s->node_mean, s->node_spread, s->clip, s->n_node, x + i * s->n_node, out + i * s->n_node);
}

void ci_scaler_edges(const ci_scaler *s, const float *e, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++) row_scale(s->edge_mean, s->edge_spread, s->clip, s->n_edge, e + i * s->n_edge, out + i * s->n_edge);
}
