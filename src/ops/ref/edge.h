/** What the reference of every convolution does with scores; included once a file, after ref.h and tgmath.h. */

/** Softmax over the in-edges k0..k1 of one node, for head h; p holds scores and becomes probabilities. */
static inline void softmax(ci_gatv2_dim dim, ci_lid k0, ci_lid k1, ci_lid h, CI_REAL *p)
{
    CI_REAL most = -INFINITY, sum = 0;
    for (ci_lid k = k0; k < k1; k++) most = CI_MAX(most, p[k * dim.H + h]);
    for (ci_lid k = k0; k < k1; k++) sum += p[k * dim.H + h] = exp(p[k * dim.H + h] - most);
    for (ci_lid k = k0; k < k1; k++) p[k * dim.H + h] /= sum + (CI_REAL)1e-16;
}

/** sum_f w_e[f,d] f[k,f], channel d of edge k; 0 with F 0. */
static inline CI_REAL edge_channel(ci_gatv2_dim dim, const CI_REAL *e, const CI_REAL *w_e, ci_lid k, ci_lid d)
{
    CI_REAL z = 0;
    for (ci_lid f = 0; f < dim.F; f++) z += w_e[f * dim.H * dim.C + d] * e[k * dim.F + f];
    return z;
}
