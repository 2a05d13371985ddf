/** GATv2 of the presets' shape, which is known to the compiler: it unrolls, and a row is one run of registers
 *  whatever its heads.  An element has the same operations as in gatv2_isa.c. */
#include "edge.h"

enum { KNOWN_H = CI_GATV2_KNOWN_H, KNOWN_C = CI_GATV2_KNOWN_C, KNOWN_D = KNOWN_H * KNOWN_C };

/** Register v of a row of D floats that repeats x[h] for each channel of head h. */
ALWAYS vf heads(const float *x, int v) { return v_halves(x[v * VN / KNOWN_C], x[(v * VN + 8) / KNOWN_C]); }

/** out[h] = sum of t[h C .. h C + C): eight partial sums, channels ascending, and the tree. */
ALWAYS void head_sums(const float *t, float *out)
{
    enum { H = KNOWN_H, C = KNOWN_C };
    for (int h = 0; h < H; h++) out[h] = sum8(t + h * C, C);
}

ALWAYS void scores(float slope, const ci_csr *g, ci_gatv2_in in, ci_lid e0, ci_lid e1, ci_lid *node,
                   const float *block, float *p)
{
    enum { H = KNOWN_H, D = KNOWN_D };
    ci_lid i = *node;
    for (ci_lid e = e0; e < e1; e++) {
        while (e >= g->first[i + 1]) i++;
        const float *l = in.l + (size_t)g->src[e] * D, *r = in.r + (size_t)i * D;
        float t[KNOWN_D];
        for (int v = 0; v < D / VN; v++) {
            const int d = v * VN;
            const vf z = v_load(l + d) + v_load(r + d) + v_load(block + d);
            v_store(t + d, v_load(in.a + d) * v_max(z, z * slope)); /* slope <= 1: the larger is leaky ReLU */
        }
        head_sums(t, p + (size_t)e * H);
        block += D;
    }
    *node = i;
}

ALWAYS void node_forward(const ci_csr *g, ci_gatv2_in in, ci_lid i, const float *p, float *y)
{
    enum { H = KNOWN_H, D = KNOWN_D };
    const ci_lid e0 = g->first[i], e1 = g->first[i + 1];
    vf acc[KNOWN_D / VN];
    for (int v = 0; v < D / VN; v++) acc[v] = v_load(in.bias + v * VN);
    for (ci_lid e = e0; e < e1; e++) {
        const float *l = in.l + (size_t)g->src[e] * D, *pe = p + (size_t)e * H;
        for (int v = 0; v < D / VN; v++) acc[v] = v_fma(heads(pe, v), v_load(l + v * VN), acc[v]);
    }
    for (int v = 0; v < D / VN; v++) v_store(y + (size_t)i * D + v * VN, acc[v]);
}

void CI_SYM(ci_gatv2_known_forward)(ci_gatv2_dim dim, const ci_csr *g, ci_gatv2_in in, float *block, float *p, float *y)
{
    const ci_lid E = g->first[g->n_node];
    ci_lid node = 0;
    for (ci_lid e0 = 0; e0 < E; e0 += CI_GATV2_BLOCK) {
        const ci_lid e1 = CI_MIN(e0 + CI_GATV2_BLOCK, E);
        edge_project(dim, in.e, in.w_e, e0, e1 - e0, block);
        scores(dim.slope, g, in, e0, e1, &node, block, p);
    }
    edge_softmax(g, p, KNOWN_H);
    for (ci_lid i = 0; i < g->n_node; i++) node_forward(g, in, i, p, y);
}

/** ds = p (dp - sum_e p dp), dp = dy . l by head. */
ALWAYS void node_scores_backward(const ci_csr *g, ci_gatv2_in in, ci_lid i, const float *p, const float *dy,
                                 float *ds)
{
    enum { H = KNOWN_H, D = KNOWN_D };
    const ci_lid e0 = g->first[i], e1 = g->first[i + 1];
    dy += (size_t)i * D;
    for (ci_lid e = e0; e < e1; e++) {
        const float *l = in.l + (size_t)g->src[e] * D;
        float t[KNOWN_D];
        for (int v = 0; v < D / VN; v++) v_store(t + v * VN, v_load(dy + v * VN) * v_load(l + v * VN));
        head_sums(t, ds + (size_t)e * H);
    }
    edge_softmax_backward(g, i, p, ds, H);
}

/** From ds to l, r and a; leaves the gradient of the projections in block. */
ALWAYS void edges_backward(float slope, const ci_csr *g, ci_gatv2_in in, ci_lid e0, ci_lid e1, ci_lid *node,
                           const float *p, const float *dy, const float *ds, float *block, ci_gatv2_grad grad)
{
    enum { H = KNOWN_H, D = KNOWN_D };
    ci_lid i = *node;
    for (ci_lid e = e0; e < e1; e++) {
        while (e >= g->first[i + 1]) i++;
        const size_t at = (size_t)g->src[e] * D, to = (size_t)i * D;
        for (int v = 0; v < D / VN; v++) {
            const int d = v * VN;
            const vf z = v_load(in.l + at + d) + v_load(in.r + to + d) + v_load(block + d);
            const vf s = heads(ds + (size_t)e * H, v);
            const vi positive = z > 0.0f;
            const vf sa = s * v_load(in.a + d), sz = sa * slope;
            const vf dz = (vf)(((vi)sa & positive) | ((vi)sz & ~positive));
            v_store(grad.a + d, v_fma(s, v_max(z, z * slope), v_load(grad.a + d)));
            v_store(grad.r + to + d, v_load(grad.r + to + d) + dz);
            v_store(grad.l + at + d, v_fma(heads(p + (size_t)e * H, v), v_load(dy + to + d),
                                           v_load(grad.l + at + d) + dz)); /* both the value and half the key */
            v_store(block + d, dz);
        }
        block += D;
    }
    *node = i;
}

void CI_SYM(ci_gatv2_known_backward)(ci_gatv2_dim dim, const ci_csr *g, ci_gatv2_in in, const float *p, const float *dy,
                                     float *block, float *ds, ci_gatv2_grad grad)
{
    const ci_lid E = g->first[g->n_node];
    ci_lid node = 0;
    memset(grad.l, 0, (size_t)g->n_node * KNOWN_D * sizeof *grad.l);
    memset(grad.r, 0, (size_t)g->n_node * KNOWN_D * sizeof *grad.r);
    for (ci_lid i = 0; i < g->n_node; i++) node_scores_backward(g, in, i, p, dy, ds);
    for (ci_lid e0 = 0; e0 < E; e0 += CI_GATV2_BLOCK) {
        const ci_lid e1 = CI_MIN(e0 + CI_GATV2_BLOCK, E);
        edge_project(dim, in.e, in.w_e, e0, e1 - e0, block);
        edges_backward(dim.slope, g, in, e0, e1, &node, p, dy, ds, block, grad);
        edge_project_backward(dim, in.e, block, e0, e1 - e0, grad.w_e);
    }
}
