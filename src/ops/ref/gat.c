#include <tgmath.h>
#include "ref.h"
#include "edge.h"

/** The score of edge k = (j -> i) before the leaky ReLU. */
static CI_REAL score(ci_gatv2_dim dim, const ci_csr *g, const CI_REAL *x, const CI_REAL *e, const CI_REAL *w_e,
                     const CI_REAL *a_src, const CI_REAL *a_dst, const CI_REAL *a_e, ci_lid i, ci_lid k, ci_lid h)
{
    const ci_lid D = dim.H * dim.C, j = g->src[k];
    CI_REAL z = 0;
    for (ci_lid d = h * dim.C; d < (h + 1) * dim.C; d++) {
        z += a_src[d] * x[j * D + d] + a_dst[d] * x[i * D + d];
        if (dim.F) z += a_e[d] * edge_channel(dim, e, w_e, k, d);
    }
    return z;
}

void CI_REF(gat_forward)(ci_gatv2_dim dim, const ci_csr *g, const CI_REAL *x, const CI_REAL *e, const CI_REAL *w_e,
                         const CI_REAL *a_src, const CI_REAL *a_dst, const CI_REAL *a_e, const CI_REAL *bias, CI_REAL *p,
                         CI_REAL *y)
{
    const ci_lid D = dim.H * dim.C;
    for (ci_lid i = 0; i < g->n_node; i++)
        for (ci_lid h = 0; h < dim.H; h++) {
            const ci_lid k0 = g->first[i], k1 = g->first[i + 1];
            for (ci_lid k = k0; k < k1; k++) {
                const CI_REAL z = score(dim, g, x, e, w_e, a_src, a_dst, a_e, i, k, h);
                p[k * dim.H + h] = z > 0 ? z : (CI_REAL)dim.slope * z;
            }
            softmax(dim, k0, k1, h, p);
            for (ci_lid d = h * dim.C; d < (h + 1) * dim.C; d++) {
                CI_REAL sum = bias ? bias[d] : 0;
                for (ci_lid k = k0; k < k1; k++) sum += p[k * dim.H + h] * x[g->src[k] * D + d];
                y[i * D + d] = sum;
            }
        }
}

void CI_REF(gat_backward)(ci_gatv2_dim dim, const ci_csr *g, const CI_REAL *x, const CI_REAL *e, const CI_REAL *w_e,
                          const CI_REAL *a_src, const CI_REAL *a_dst, const CI_REAL *a_e, const CI_REAL *p,
                          const CI_REAL *dy, CI_REAL *dx, CI_REAL *dw_e, CI_REAL *da_src, CI_REAL *da_dst, CI_REAL *da_e)
{
    const ci_lid D = dim.H * dim.C;
    for (ci_lid n = 0; n < g->n_node * D; n++) dx[n] = 0;
    for (ci_lid i = 0; i < g->n_node; i++)
        for (ci_lid h = 0; h < dim.H; h++) {
            const ci_lid d0 = h * dim.C, d1 = d0 + dim.C;
            CI_REAL mean = 0;
            for (ci_lid k = g->first[i]; k < g->first[i + 1]; k++)
                for (ci_lid d = d0; d < d1; d++) mean += p[k * dim.H + h] * dy[i * D + d] * x[g->src[k] * D + d];
            for (ci_lid k = g->first[i]; k < g->first[i + 1]; k++) {
                const ci_lid j = g->src[k];
                const CI_REAL w = p[k * dim.H + h];
                CI_REAL dp = 0;
                for (ci_lid d = d0; d < d1; d++) dp += dy[i * D + d] * x[j * D + d];
                const CI_REAL z = score(dim, g, x, e, w_e, a_src, a_dst, a_e, i, k, h);
                const CI_REAL dz = w * (dp - mean) * (z > 0 ? 1 : (CI_REAL)dim.slope);
                for (ci_lid d = d0; d < d1; d++) {
                    dx[j * D + d] += w * dy[i * D + d] + dz * a_src[d];
                    dx[i * D + d] += dz * a_dst[d];
                    da_src[d] += dz * x[j * D + d];
                    da_dst[d] += dz * x[i * D + d];
                    if (dim.F) da_e[d] += dz * edge_channel(dim, e, w_e, k, d);
                    for (ci_lid f = 0; f < dim.F; f++) dw_e[f * D + d] += dz * a_e[d] * e[k * dim.F + f];
                }
            }
        }
}
