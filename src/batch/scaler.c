/* Means and spreads from exact integer sums: the same for any number of ranks. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/scaler.h"

/* Sums of one column: of v and of v^2, in units of 2^-24 and 2^-48 of the stored half (nodes), or of
 * 2^-30 s and 2^-60 (edges: a nanosecond is the smallest step of time).  Values count as at most
 * FIXED_MAX units, which no half reaches and which is 12 days of time: a clock that jumps further
 * must not overflow 2^27 squares. */
enum { NODE_BITS = 24, EDGE_BITS = 30 };
#define FIXED_MAX 0x1p50

struct sums {
    __int128 n_node, n_edge;
    __int128 node[CI_SCALER_MAX], node2[CI_SCALER_MAX];
    __int128 edge[CI_SCALER_MAX], edge2[CI_SCALER_MAX];
};

static int64_t fixed(float v, int bits)
{
    const double units = (double)v * (double)(1LL << bits);

    return (int64_t)llrint(units > FIXED_MAX ? FIXED_MAX : units < -FIXED_MAX ? -FIXED_MAX : units);
}

static void graph_add(const ci_store *st, int64_t g, float *x, struct sums *s)
{
    const ci_lid F = st->set->n_node, K = st->set->n_edge;
    const int64_t first = st->graph_node[g], n = st->graph_node[g + 1] - first;
    float e[CI_SCALER_MAX];

    ci_half_to_f32(st->node_x + first * F, (size_t)(n * F), x);
    for (int64_t i = 0; i < n; i++)
        for (ci_lid k = 0; k < F; k++) {
            const int64_t v = fixed(x[i * F + k], NODE_BITS);
            s->node[k] += v;
            s->node2[k] += (__int128)v * v;
        }
    s->n_node += n;
    for (int64_t i = st->graph_edge[g]; i < st->graph_edge[g + 1]; i++) {
        ci_store_edge(st, i, e);
        for (ci_lid k = 0; k < K; k++) {
            const int64_t v = fixed(e[k], EDGE_BITS);
            s->edge[k] += v;
            s->edge2[k] += (__int128)v * v;
        }
        s->n_edge++;
    }
}

/* The difference of two nearly equal numbers: quadruple precision keeps what exact sums bought. */
static void moments(__int128 n, __int128 sum, __int128 sum2, int bits, double *mean, double *spread)
{
    const __float128 m = (__float128)sum / (__float128)n;
    __float128 var = (__float128)sum2 / (__float128)n - m * m;
    double least;

    if (var < 0) var = 0;
    *mean = ldexp((double)m, -bits);
    *spread = ldexp(sqrt((double)var), -bits);
    least = 1e-6 * fmax(1, fabs(*mean));
    if (*spread < least) *spread = least;
}

ci_rc ci_scaler_fit(const ci_comm *comm, const ci_store *st, const int64_t *graph, int64_t n,
                    ci_scaler *out)
{
    ci_rc rc = CI_OK;
    struct sums *s = ci_new(1, sizeof *s);
    float *x = ci_new((size_t)st->head.frames * (size_t)st->set->n_node, sizeof *x);

    CI_TRY_ALL(comm, "scaler.room",
               s && x ? CI_OK : ci_fail(CI_ENOMEM, __FILE__, __LINE__, "sums of a scaler"));
    for (int64_t i = ci_part(n, comm->rank, comm->size); i < ci_part(n, comm->rank + 1, comm->size); i++)
        if (!st->graph_label[graph[i]]) graph_add(st, graph[i], x, s);
    CI_TRY(ci_comm_sum_i128(comm, "scaler.sums", (__int128 *)s, sizeof *s / sizeof(__int128)));
    if (s->n_node == 0) CI_FAIL(CI_EDATA, "no benign training window to fit the scaler on");
    *out = (ci_scaler){.n_node = st->set->n_node, .n_edge = st->set->n_edge};
    for (ci_lid k = 0; k < out->n_node; k++) {
        moments(s->n_node, s->node[k], s->node2[k], NODE_BITS + st->set->node[k].log2_scale,
                &out->node_mean[k], &out->node_spread[k]);
    }
    for (ci_lid k = 0; k < out->n_edge; k++) {
        if (s->n_edge == 0) out->edge_spread[k] = 1;
        else moments(s->n_edge, s->edge[k], s->edge2[k], EDGE_BITS, &out->edge_mean[k], &out->edge_spread[k]);
    }
done:
    free(s);
    free(x);
    return rc;
}

static void row_scale(const double *mean, const double *spread, ci_lid n, float *v)
{
    for (ci_lid k = 0; k < n; k++) {
        const double z = ((double)v[k] - mean[k]) / spread[k];
        v[k] = (float)(z > 10 ? 10 : z < -10 ? -10 : z);
    }
}

void ci_scaler_nodes(const ci_scaler *s, float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) row_scale(s->node_mean, s->node_spread, s->n_node, x + i * s->n_node);
}

void ci_scaler_edge(const ci_scaler *s, float *e)
{
    row_scale(s->edge_mean, s->edge_spread, s->n_edge, e);
}
