/* Means and spreads from exact integer sums: the same for any number of ranks. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/split.h"
#include "batch_priv.h"

/* Sums of one column: of v and of v^2, in units of 2^-24 and 2^-48 of what a half would hold (nodes, windows), or of
 * 2^-30 s and 2^-60 (edges: a nanosecond is the smallest step of time).  Values of a compact store are whole
 * units, others are rounded to them.  Values count as at most
 * FIXED_MAX units, which no half reaches and which is 12 days of time: a clock that jumps further
 * must not overflow 2^27 squares. */
enum { NODE_BITS = 24, EDGE_BITS = 30 };
#define FIXED_MAX 0x1p50

/* Of the columns of nodes, of edges or of windows. */
struct sums {
    __int128 rows[2]; /* of benign graphs, of all */
    __int128 sum[CI_SCALER_MAX], sum2[CI_SCALER_MAX];
};

/* The unit of each column is 2^-bits. */
struct units {
    ci_lid n;
    bool all[CI_SCALER_MAX]; /* attacks count too */
    bool any_all;
    int bits[CI_SCALER_MAX];
};

static struct units units_of(const ci_feature *column, ci_lid n, int bits, bool scaled)
{
    struct units u = {.n = n};

    for (ci_lid k = 0; k < n; k++) {
        u.all[k] = column[k].scaling == CI_SCALE_ALL;
        u.any_all |= u.all[k];
        u.bits[k] = bits + (scaled ? column[k].log2_scale : 0);
    }
    return u;
}

static int64_t fixed(float v, int bits)
{
    const double units = (double)v * (double)(1LL << bits);

    return (int64_t)llrint(units > FIXED_MAX ? FIXED_MAX : units < -FIXED_MAX ? -FIXED_MAX : units);
}

static void row_add(const float *v, const struct units *u, bool benign, struct sums *s)
{
    for (ci_lid k = 0; k < u->n; k++) {
        const int64_t i = fixed(v[k], u->bits[k]);
        if (!benign && !u->all[k]) continue;
        s->sum[k] += i;
        s->sum2[k] += (__int128)i * i;
    }
}

static void rows_add(const float *v, ci_lid rows, const struct units *u, bool benign, struct sums *s)
{
    for (ci_lid i = 0; i < rows; i++) row_add(v + (size_t)i * (size_t)u->n, u, benign, s);
    if (benign) s->rows[0] += rows;
    s->rows[1] += rows;
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

static void moments_all(const struct sums *s, const struct units *u, double *mean, double *spread)
{
    for (ci_lid k = 0; k < u->n; k++)
        if (s->rows[u->all[k]] > 0) moments(s->rows[u->all[k]], s->sum[k], s->sum2[k], u->bits[k], &mean[k], &spread[k]);
}

static ci_rc zscore_fit(const ci_comm *comm, const ci_store *st, const int64_t *graph, int64_t n, ci_scaler *out)
{
    enum { NODE, EDGE, WINDOW, PLACES };
    ci_rc rc = CI_OK;
    const ci_feature_set *set = st->set;
    struct sums *s = ci_new(PLACES, sizeof *s);
    const struct units u[PLACES] = {units_of(set->node, set->n_node, NODE_BITS, true), units_of(set->edge, set->n_edge, EDGE_BITS, set->single),
                                    units_of(set->window, set->n_window, NODE_BITS, true)};
    const bool attacks = u[NODE].any_all || u[EDGE].any_all || u[WINDOW].any_all;
    ci_reader *r = NULL;

    CI_TRY_ALL(comm, "scaler.room", s ? ci_reader_create(st, &r) : ci_fail(CI_ENOMEM, __FILE__, __LINE__, "sums of a scaler"));
    for (int64_t i = ci_part(n, comm->rank, comm->size); i < ci_part(n, comm->rank + 1, comm->size); i++) {
        const bool benign = !st->graph_label[graph[i]];
        ci_graph_view v;
        if (!ci_store_warm(st, graph[i]) || (!benign && !attacks)) continue;
        ci_store_graph(r, graph[i], &v);
        rows_add(v.x, v.n_node, &u[NODE], benign, &s[NODE]);
        rows_add(v.e, v.n_edge, &u[EDGE], benign, &s[EDGE]);
        rows_add(v.w, 1, &u[WINDOW], benign, &s[WINDOW]);
    }
    CI_TRY(ci_comm_sum_i128(comm, "scaler.sums", (__int128 *)s, PLACES * sizeof *s / sizeof(__int128)));
    moments_all(&s[NODE], &u[NODE], out->node_mean, out->node_spread);
    moments_all(&s[EDGE], &u[EDGE], out->edge_mean, out->edge_spread);
    moments_all(&s[WINDOW], &u[WINDOW], out->window_mean, out->window_spread);
done:
    free(s);
    ci_reader_destroy(&r);
    return rc;
}

ci_scaler_kind ci_scaler_kind_of(const char *name)
{
    return strcmp(name, "none") == 0 ? CI_SCALER_NONE : strcmp(name, "robust") == 0 ? CI_SCALER_ROBUST : CI_SCALER_ZSCORE;
}

/* Columns of the set that are scaled by benign graphs alone; the others are by all of them. */
static ci_lid benign_columns(const ci_feature_set *set)
{
    ci_lid n = 0;

    for (ci_lid k = 0; k < set->n_node; k++) n += set->node[k].scaling != CI_SCALE_ALL;
    for (ci_lid k = 0; k < set->n_edge; k++) n += set->edge[k].scaling != CI_SCALE_ALL;
    for (ci_lid k = 0; k < set->n_window; k++) n += set->window[k].scaling != CI_SCALE_ALL;
    return n;
}

/* Rows of the graphs that count, benign ones or all. */
static struct scaler_rows rows_of(const ci_store *st, const int64_t *graph, int64_t n, bool all)
{
    struct scaler_rows r = {0, 0, 0};

    for (int64_t i = 0; i < n; i++)
        if (ci_store_warm(st, graph[i]) && (all || !st->graph_label[graph[i]])) {
            int64_t nodes, edges;
            ci_graphs_count(st, &graph[i], 1, &nodes, &edges);
            r.node += nodes;
            r.edge += edges;
            r.window++;
        }
    return r;
}

ci_rc ci_scaler_fit(const ci_comm *comm, const ci_store *st, const int64_t *graph, int64_t n,
                    ci_scaler_kind kind, ci_scaler *out)
{
    ci_rc rc = CI_OK;
    const bool none = kind == CI_SCALER_NONE;
    const ci_feature_set *set = st->set;
    const ci_lid benign = benign_columns(set), columns = set->n_node + set->n_edge + set->n_window;
    const struct scaler_rows rows = rows_of(st, graph, n, benign == 0);

    *out = (ci_scaler){.n_node = set->n_node, .n_edge = set->n_edge, .n_window = set->n_window, .clip = none ? 0 : CI_SCALER_CLIP};
    for (ci_lid k = 0; k < out->n_node; k++) out->node_spread[k] = 1;
    for (ci_lid k = 0; k < out->n_edge; k++) out->edge_spread[k] = 1;
    for (ci_lid k = 0; k < out->n_window; k++) out->window_spread[k] = 1;
    if (rows.node == 0 && !none) CI_FAIL(CI_EDATA, "no %straining window to fit the scaler on", benign ? "benign " : "");
    if (kind == CI_SCALER_ZSCORE || (kind == CI_SCALER_ROBUST && benign < columns)) CI_TRY(zscore_fit(comm, st, graph, n, out));
    if (kind == CI_SCALER_ROBUST && benign > 0) CI_TRY(quartiles_fit(comm, st, graph, n, &rows, out));
    for (ci_lid k = 0; k < out->n_node; k++)
        if (set->node[k].scaling == CI_SCALE_INDEX) {
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

void ci_scaler_windows(const ci_scaler *s, const float *w, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++) row_scale(s->window_mean, s->window_spread, s->clip, s->n_window, w + i * s->n_window, out + i * s->n_window);
}
