/** GATv2: scores of all edges in blocks, then softmax and sums by node.
 *
 *  The projections of the edge features, (E, D), are never whole: a block of them is a small matrix
 *  product into `block`, which stays in the first cache.  Backward computes them again (F fused
 *  multiply-adds an element) instead of reading E * D floats back from memory. */
#include "edge.h"

ALWAYS w16 lrelu(w16 z, float slope)
{
    for (int k = 0; k < W; k++) z.v[k] = v_max(z.v[k], z.v[k] * slope); /* slope <= 1: the larger is leaky ReLU */
    return z;
}

/** sa where z is positive, else slope sa. */
ALWAYS w16 lrelu_backward(w16 z, w16 sa, float slope)
{
    for (int k = 0; k < W; k++) {
        const vi positive = z.v[k] > 0.0f;
        const vf low = sa.v[k] * slope;
        sa.v[k] = (vf)(((vi)sa.v[k] & positive) | ((vi)low & ~positive));
    }
    return sa;
}

/** n channels of l + r + e; e is NULL where edges have no features. */
ALWAYS w16 key(const float *l, const float *r, const float *e, int c, int n)
{
    const w16 z = w_add(w_load(l + c, n), w_load(r + c, n));
    return e ? w_add(z, w_load(e + c, n)) : z;
}

ALWAYS float score(float slope, const float *l, const float *r, const float *e, const float *a, int C)
{
    w8 sum = w8_zero();
#define SCORE(c, n) sum = w8_add(sum, w_mul(w_load(a + (c), n), lrelu(key(l, r, e, c, n), slope)))
    BY_STEP(C, SCORE);
    return w8_sum(sum);
}

ALWAYS void scores(ci_gatv2_dim dim, const ci_csr *g, ci_gatv2_in in, ci_lid e0, ci_lid e1, ci_lid *node,
                   const float *block, float *p)
{
    const size_t D = (size_t)dim.H * dim.C;
    ci_lid i = *node;
    for (ci_lid e = e0; e < e1; e++) {
        while (e >= g->first[i + 1]) i++;
        for (int h = 0; h < dim.H; h++) {
            const int d = h * dim.C;
            p[(size_t)e * dim.H + h] = score(dim.slope, in.l + g->src[e] * D + d, in.r + i * D + d,
                                             block ? block + (e - e0) * D + d : NULL, in.a + d, dim.C);
        }
    }
    *node = i;
}

void CI_SYM(ci_gatv2_forward)(ci_gatv2_dim dim, const ci_csr *g, ci_gatv2_in in, float *block, float *p, float *y)
{
    const ci_lid E = g->first[g->n_node];
    ci_lid node = 0;
    if (dim.H == CI_GATV2_KNOWN_H && dim.C == CI_GATV2_KNOWN_C && dim.F && in.bias) {
        CI_SYM(ci_gatv2_known_forward)(dim, g, in, block, p, y);
        return;
    }
    for (ci_lid e0 = 0; e0 < E; e0 += CI_GATV2_BLOCK) {
        const ci_lid e1 = CI_MIN(e0 + CI_GATV2_BLOCK, E);
        if (dim.F) {
            edge_project(dim, in.e, in.w_e, e0, e1 - e0, block);
            scores(dim, g, in, e0, e1, &node, block, p);
        } else {
            scores(dim, g, in, e0, e1, &node, NULL, p);
        }
    }
    edge_softmax(g, p, dim.H);
    for (ci_lid i = 0; i < g->n_node; i++) edge_sum(g, i, dim, in.l, in.bias, p, y);
}

/** ds = p (dp - sum_e p dp), dp = dy . l by head. */
static void node_scores_backward(ci_gatv2_dim dim, const ci_csr *g, ci_gatv2_in in, ci_lid i, const float *p,
                                 const float *dy, float *ds)
{
    const size_t D = (size_t)dim.H * dim.C;
    for (ci_lid e = g->first[i]; e < g->first[i + 1]; e++)
        for (int h = 0; h < dim.H; h++) {
            const float *l = in.l + g->src[e] * D + h * dim.C, *to = dy + i * D + h * dim.C;
            w8 sum = w8_zero();
#define DP(c, n) sum = w8_add(sum, w_mul(w_load(to + (c), n), w_load(l + (c), n)))
            BY_STEP(dim.C, DP);
            ds[(size_t)e * dim.H + h] = w8_sum(sum);
        }
    edge_softmax_backward(g, i, p, ds, dim.H);
}

/** Rows of one edge and head. */
struct edge { const float *l, *r, *a, *dy; float *e, *dl, *dr, *da; };

/** From ds to l, r and a; leaves the gradient of the projection in e. */
ALWAYS void edge_backward(float slope, struct edge x, float ds, float p, int C)
{
#define EDGE(c, n)                                                                                                \
    do {                                                                                                          \
        const w16 z = key(x.l, x.r, x.e, c, n), s = w_splat(ds);                                                  \
        const w16 dz = lrelu_backward(z, w_mul(s, w_load(x.a + (c), n)), slope);                                  \
        w_store(x.da + (c), w_fma(s, lrelu(z, slope), w_load(x.da + (c), n)), n);                                 \
        w_store(x.dr + (c), w_add(w_load(x.dr + (c), n), dz), n);                                                 \
        w_store(x.dl + (c), w_axpy(p, w_load(x.dy + (c), n), w_add(w_load(x.dl + (c), n), dz)), n);               \
        if (x.e) w_store(x.e + (c), dz, n);                                                                       \
    } while (0)
    BY_STEP(C, EDGE); /* l is both the value and half the key */
}

ALWAYS void edges_backward(ci_gatv2_dim dim, const ci_csr *g, ci_gatv2_in in, ci_lid e0, ci_lid e1, ci_lid *node,
                           const float *p, const float *dy, const float *ds, float *block, ci_gatv2_grad grad)
{
    const size_t D = (size_t)dim.H * dim.C;
    ci_lid i = *node;
    for (ci_lid e = e0; e < e1; e++) {
        while (e >= g->first[i + 1]) i++;
        for (int h = 0; h < dim.H; h++) {
            const size_t d = (size_t)h * dim.C, at = g->src[e] * D + d, to = i * D + d, eh = (size_t)e * dim.H + h;
            const struct edge x = {in.l + at, in.r + to, in.a + d, dy + to, block ? block + (e - e0) * D + d : NULL,
                                   grad.l + at, grad.r + to, grad.a + d};
            edge_backward(dim.slope, x, ds[eh], p[eh], dim.C);
        }
    }
    *node = i;
}

void CI_SYM(ci_gatv2_backward)(ci_gatv2_dim dim, const ci_csr *g, ci_gatv2_in in, const float *p, const float *dy,
                               float *block, float *ds, ci_gatv2_grad grad)
{
    const ci_lid E = g->first[g->n_node];
    ci_lid node = 0;
    if (dim.H == CI_GATV2_KNOWN_H && dim.C == CI_GATV2_KNOWN_C && dim.F) {
        CI_SYM(ci_gatv2_known_backward)(dim, g, in, p, dy, block, ds, grad);
        return;
    }
    memset(grad.l, 0, (size_t)g->n_node * dim.H * dim.C * sizeof *grad.l);
    memset(grad.r, 0, (size_t)g->n_node * dim.H * dim.C * sizeof *grad.r);
    for (ci_lid i = 0; i < g->n_node; i++) node_scores_backward(dim, g, in, i, p, dy, ds);
    for (ci_lid e0 = 0; e0 < E; e0 += CI_GATV2_BLOCK) {
        const ci_lid e1 = CI_MIN(e0 + CI_GATV2_BLOCK, E);
        if (dim.F) {
            edge_project(dim, in.e, in.w_e, e0, e1 - e0, block);
            edges_backward(dim, g, in, e0, e1, &node, p, dy, ds, block, grad);
            edge_project_backward(dim, in.e, block, e0, e1 - e0, grad.w_e);
        } else {
            edges_backward(dim, g, in, e0, e1, &node, p, dy, ds, NULL, grad);
        }
    }
}
