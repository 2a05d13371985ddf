#include <tgmath.h>
#include "ref.h"
#include "edge.h"

void CI_REF(transformer_forward)(ci_gatv2_dim dim, const ci_csr *g, const CI_REAL *q, const CI_REAL *key, const CI_REAL *v,
                                 const CI_REAL *e, const CI_REAL *w_e, const CI_REAL *skip, CI_REAL *p, CI_REAL *y)
{
    const ci_lid D = dim.H * dim.C;
    for (ci_lid i = 0; i < g->n_node; i++)
        for (ci_lid h = 0; h < dim.H; h++) {
            const ci_lid k0 = g->first[i], k1 = g->first[i + 1], d0 = h * dim.C, d1 = d0 + dim.C;
            for (ci_lid k = k0; k < k1; k++) {
                CI_REAL s = 0;
                for (ci_lid d = d0; d < d1; d++)
                    s += q[i * D + d] * (key[g->src[k] * D + d] + edge_channel(dim, e, w_e, k, d));
                p[k * dim.H + h] = s / sqrt((CI_REAL)dim.C);
            }
            softmax(dim, k0, k1, h, p);
            for (ci_lid d = d0; d < d1; d++) {
                CI_REAL sum = skip ? skip[i * D + d] : 0;
                for (ci_lid k = k0; k < k1; k++)
                    sum += p[k * dim.H + h] * (v[g->src[k] * D + d] + edge_channel(dim, e, w_e, k, d));
                y[i * D + d] = sum;
            }
        }
}

void CI_REF(transformer_backward)(ci_gatv2_dim dim, const ci_csr *g, const CI_REAL *q, const CI_REAL *key,
                                  const CI_REAL *v, const CI_REAL *e, const CI_REAL *w_e, const CI_REAL *p,
                                  const CI_REAL *dy, CI_REAL *dq, CI_REAL *dk, CI_REAL *dv, CI_REAL *dw_e)
{
    const ci_lid D = dim.H * dim.C;
    const CI_REAL scale = 1 / sqrt((CI_REAL)dim.C);
    for (ci_lid n = 0; n < g->n_node * D; n++) dq[n] = dk[n] = dv[n] = 0;
    for (ci_lid i = 0; i < g->n_node; i++)
        for (ci_lid h = 0; h < dim.H; h++) {
            const ci_lid d0 = h * dim.C, d1 = d0 + dim.C;
            CI_REAL mean = 0;
            for (ci_lid k = g->first[i]; k < g->first[i + 1]; k++)
                for (ci_lid d = d0; d < d1; d++)
                    mean += p[k * dim.H + h] * dy[i * D + d] * (v[g->src[k] * D + d] + edge_channel(dim, e, w_e, k, d));
            for (ci_lid k = g->first[i]; k < g->first[i + 1]; k++) {
                const ci_lid j = g->src[k];
                const CI_REAL w = p[k * dim.H + h];
                CI_REAL dp = 0;
                for (ci_lid d = d0; d < d1; d++) dp += dy[i * D + d] * (v[j * D + d] + edge_channel(dim, e, w_e, k, d));
                const CI_REAL ds = w * (dp - mean) * scale;
                for (ci_lid d = d0; d < d1; d++) {
                    dq[i * D + d] += ds * (key[j * D + d] + edge_channel(dim, e, w_e, k, d));
                    dk[j * D + d] += ds * q[i * D + d];
                    dv[j * D + d] += w * dy[i * D + d];
                    for (ci_lid f = 0; f < dim.F; f++)
                        dw_e[f * D + d] += (ds * q[i * D + d] + w * dy[i * D + d]) * e[k * dim.F + f];
                }
            }
        }
}
