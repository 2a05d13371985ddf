#include <tgmath.h>
#include "ref.h"
#include "edge.h"

static CI_REAL lrelu(CI_REAL z, CI_REAL slope) { return z > 0 ? z : slope * z; }

/** z = l[j] + r[i] + W_e f, of channel d of edge e = (j -> i). */
static CI_REAL key(ci_gatv2_dim dim, const ci_csr *g, const CI_REAL *l, const CI_REAL *r, const CI_REAL *e,
                   const CI_REAL *w_e, ci_lid i, ci_lid k, ci_lid d)
{
    const ci_lid D = dim.H * dim.C;
    return l[g->src[k] * D + d] + r[i * D + d] + edge_channel(dim, e, w_e, k, d);
}

void CI_REF(gatv2_forward)(ci_gatv2_dim dim, const ci_csr *g, const CI_REAL *l, const CI_REAL *r, const CI_REAL *e,
                           const CI_REAL *w_e, const CI_REAL *a, const CI_REAL *bias, CI_REAL *p, CI_REAL *y)
{
    const ci_lid D = dim.H * dim.C;
    for (ci_lid i = 0; i < g->n_node; i++)
        for (ci_lid h = 0; h < dim.H; h++) {
            const ci_lid k0 = g->first[i], k1 = g->first[i + 1];
            for (ci_lid k = k0; k < k1; k++) {
                CI_REAL s = 0;
                for (ci_lid d = h * dim.C; d < (h + 1) * dim.C; d++)
                    s += a[d] * lrelu(key(dim, g, l, r, e, w_e, i, k, d), (CI_REAL)dim.slope);
                p[k * dim.H + h] = s;
            }
            softmax(dim, k0, k1, h, p);
            for (ci_lid d = h * dim.C; d < (h + 1) * dim.C; d++) {
                CI_REAL sum = bias ? bias[d] : 0;
                for (ci_lid k = k0; k < k1; k++) sum += p[k * dim.H + h] * l[g->src[k] * D + d];
                y[i * D + d] = sum;
            }
        }
}

void CI_REF(gatv2_backward)(ci_gatv2_dim dim, const ci_csr *g, const CI_REAL *l, const CI_REAL *r, const CI_REAL *e,
                            const CI_REAL *w_e, const CI_REAL *a, const CI_REAL *p, const CI_REAL *dy, CI_REAL *dl,
                            CI_REAL *dr, CI_REAL *dw_e, CI_REAL *da, CI_REAL *dbias)
{
    const ci_lid D = dim.H * dim.C;
    for (ci_lid x = 0; x < g->n_node * D; x++) dl[x] = dr[x] = 0;
    for (ci_lid i = 0; i < g->n_node; i++)
        for (ci_lid h = 0; h < dim.H; h++) {
            const ci_lid d0 = h * dim.C, d1 = d0 + dim.C;
            CI_REAL mean = 0;
            for (ci_lid d = d0; d < d1; d++) dbias[d] += dy[i * D + d];
            for (ci_lid k = g->first[i]; k < g->first[i + 1]; k++)
                for (ci_lid d = d0; d < d1; d++) mean += p[k * dim.H + h] * dy[i * D + d] * l[g->src[k] * D + d];
            for (ci_lid k = g->first[i]; k < g->first[i + 1]; k++) {
                const ci_lid j = g->src[k];
                const CI_REAL w = p[k * dim.H + h];
                CI_REAL dp = 0;
                for (ci_lid d = d0; d < d1; d++) dp += dy[i * D + d] * l[j * D + d];
                const CI_REAL ds = w * (dp - mean);
                for (ci_lid d = d0; d < d1; d++) {
                    const CI_REAL z = key(dim, g, l, r, e, w_e, i, k, d);
                    const CI_REAL dz = ds * a[d] * (z > 0 ? 1 : (CI_REAL)dim.slope);
                    dl[j * D + d] += w * dy[i * D + d] + dz; /* l is both the value and half the key */
                    dr[i * D + d] += dz;
                    da[d] += ds * lrelu(z, (CI_REAL)dim.slope);
                    for (ci_lid f = 0; f < dim.F; f++) dw_e[f * D + d] += dz * e[k * dim.F + f];
                }
            }
        }
}
