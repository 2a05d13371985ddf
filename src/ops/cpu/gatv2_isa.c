/** GATv2: scores of all edges in blocks, then softmax and sums by node.
 *
 *  The projections of the edge features, (E, D), are never whole: a block of them is a small matrix
 *  product into `block`, which stays in the first cache.  Backward computes them again (F fused
 *  multiply-adds an element) instead of reading E * D floats back from memory. */
#include "cpu_priv.h"
#include "vec.h"

/* The shape of the presets is known to the compiler: loops over D and C unroll. */
enum { KNOWN_H = 4, KNOWN_C = 24, D_MAX = 1024 };
#define BY_SHAPE(dim, call)                                                                           \
    do {                                                                                              \
        if ((dim).H == KNOWN_H && (dim).C == KNOWN_C) call(KNOWN_H, KNOWN_C);                         \
        else call((dim).H, (dim).C);                                                                  \
    } while (0)

/** Register v of a row of D floats that repeats x[h] for each channel of head h. */
ALWAYS vf heads(const float *x, int v, int C) { return v_halves(x[v * VN / C], x[(v * VN + 8) / C]); }

/** out[h] = sum of t[h C .. h C + C): eight partial sums, channels ascending, and the tree. */
ALWAYS void head_sums(const float *t, int H, int C, float *out)
{
    for (int h = 0; h < H; h++) out[h] = sum8(t + h * C, C);
}

/** block[k] = W_e f of edge first + k. */
static void project(ci_gatv2_dim dim, ci_gatv2_in in, ci_lid first, ci_lid n, float *block)
{
    const ci_lid D = dim.H * dim.C;
    const ci_gemm g = {.M = n, .N = D, .K = dim.F, .a = in.e + (size_t)first * dim.F, .a_row = dim.F, .a_col = 1,
                       .b = in.w_e, .b_row = D, .c = block, .c_row = D, .start = CI_GEMM_ZERO};
    CI_SYM(ci_gemm)(&g);
}

ALWAYS void scores(float slope, const ci_csr *g, ci_gatv2_in in, ci_lid e0, ci_lid e1, ci_lid *node,
                   const float *block, float *p, int H, int C)
{
    const int D = H * C;
    ci_lid i = *node;
    for (ci_lid e = e0; e < e1; e++) {
        while (e >= g->first[i + 1]) i++;
        const float *l = in.l + (size_t)g->src[e] * D, *r = in.r + (size_t)i * D;
        float t[D_MAX];
        for (int v = 0; v < D / VN; v++) {
            const int d = v * VN;
            const vf z = v_load(l + d) + v_load(r + d) + v_load(block + d);
            v_store(t + d, v_load(in.a + d) * v_max(z, z * slope)); /* slope <= 1: the larger is leaky ReLU */
        }
        head_sums(t, H, C, p + (size_t)e * H);
        block += D;
    }
    *node = i;
}

/** Scores less the largest of their node and head. */
ALWAYS void subtract_max(const ci_csr *g, float *p, int H)
{
    for (ci_lid i = 0; i < g->n_node; i++) {
        const ci_lid e0 = g->first[i], e1 = g->first[i + 1];
        for (int h = 0; h < H && e0 < e1; h++) {
            float most = p[(size_t)e0 * H + h];
            for (ci_lid e = e0 + 1; e < e1; e++) most = CI_MAX(most, p[(size_t)e * H + h]);
            for (ci_lid e = e0; e < e1; e++) p[(size_t)e * H + h] -= most;
        }
    }
}

ALWAYS void node_forward(const ci_csr *g, ci_gatv2_in in, ci_lid i, float *p, float *y, int H, int C)
{
    const int D = H * C;
    const ci_lid e0 = g->first[i], e1 = g->first[i + 1];
    for (int h = 0; h < H; h++) {
        float sum = 0;
        for (ci_lid e = e0; e < e1; e++) sum += p[(size_t)e * H + h];
        for (ci_lid e = e0; e < e1; e++) p[(size_t)e * H + h] /= sum + 1e-16f;
    }
    vf acc[D_MAX / VN];
    for (int v = 0; v < D / VN; v++) acc[v] = v_load(in.bias + v * VN);
    for (ci_lid e = e0; e < e1; e++) {
        const float *l = in.l + (size_t)g->src[e] * D, *pe = p + (size_t)e * H;
        for (int v = 0; v < D / VN; v++) acc[v] = v_fma(heads(pe, v, C), v_load(l + v * VN), acc[v]);
    }
    for (int v = 0; v < D / VN; v++) v_store(y + (size_t)i * D + v * VN, acc[v]);
}

void CI_SYM(ci_gatv2_forward)(ci_gatv2_dim dim, const ci_csr *g, ci_gatv2_in in, float *block, float *p, float *y)
{
    const ci_lid E = g->first[g->n_node];
    ci_lid node = 0;
    for (ci_lid e0 = 0; e0 < E; e0 += CI_GATV2_BLOCK) {
        const ci_lid e1 = CI_MIN(e0 + CI_GATV2_BLOCK, E);
        project(dim, in, e0, e1 - e0, block);
#define SCORES(H, C) scores(dim.slope, g, in, e0, e1, &node, block, p, H, C)
        BY_SHAPE(dim, SCORES);
    }
#define SUBTRACT_MAX(H, C) subtract_max(g, p, H)
    BY_SHAPE(dim, SUBTRACT_MAX);
    CI_SYM(ci_exp)(p, E * dim.H, p);
    for (ci_lid i = 0; i < g->n_node; i++) {
#define NODE_FORWARD(H, C) node_forward(g, in, i, p, y, H, C)
        BY_SHAPE(dim, NODE_FORWARD);
    }
}

/** ds = p (dp - sum_e p dp), dp = dy . l by head. */
ALWAYS void node_scores_backward(const ci_csr *g, ci_gatv2_in in, ci_lid i, const float *p, const float *dy,
                                 float *ds, int H, int C)
{
    const int D = H * C;
    const ci_lid e0 = g->first[i], e1 = g->first[i + 1];
    float mean[D_MAX / 8] = {0};
    dy += (size_t)i * D;
    for (ci_lid e = e0; e < e1; e++) {
        const float *l = in.l + (size_t)g->src[e] * D;
        float t[D_MAX];
        for (int v = 0; v < D / VN; v++) v_store(t + v * VN, v_load(dy + v * VN) * v_load(l + v * VN));
        head_sums(t, H, C, ds + (size_t)e * H);
        for (int h = 0; h < H; h++) mean[h] += p[(size_t)e * H + h] * ds[(size_t)e * H + h];
    }
    for (ci_lid e = e0; e < e1; e++)
        for (int h = 0; h < H; h++)
            ds[(size_t)e * H + h] = p[(size_t)e * H + h] * (ds[(size_t)e * H + h] - mean[h]);
}

/** From ds to l, r and a; leaves the gradient of the projections in block. */
ALWAYS void edges_backward(float slope, const ci_csr *g, ci_gatv2_in in, ci_lid e0, ci_lid e1, ci_lid *node,
                           const float *p, const float *dy, const float *ds, float *block, ci_gatv2_grad grad,
                           int H, int C)
{
    const int D = H * C;
    ci_lid i = *node;
    for (ci_lid e = e0; e < e1; e++) {
        while (e >= g->first[i + 1]) i++;
        const size_t at = (size_t)g->src[e] * D, to = (size_t)i * D;
        for (int v = 0; v < D / VN; v++) {
            const int d = v * VN;
            const vf z = v_load(in.l + at + d) + v_load(in.r + to + d) + v_load(block + d);
            const vf s = heads(ds + (size_t)e * H, v, C);
            const vi positive = z > 0.0f;
            const vf sa = s * v_load(in.a + d), sz = sa * slope;
            const vf dz = (vf)(((vi)sa & positive) | ((vi)sz & ~positive));
            v_store(grad.a + d, v_fma(s, v_max(z, z * slope), v_load(grad.a + d)));
            v_store(grad.r + to + d, v_load(grad.r + to + d) + dz);
            v_store(grad.l + at + d, v_fma(heads(p + (size_t)e * H, v, C), v_load(dy + to + d),
                                           v_load(grad.l + at + d) + dz)); /* both the value and half the key */
            v_store(block + d, dz);
        }
        block += D;
    }
    *node = i;
}

void CI_SYM(ci_gatv2_backward)(ci_gatv2_dim dim, const ci_csr *g, ci_gatv2_in in, const float *p, const float *dy,
                               float *block, float *ds, ci_gatv2_grad grad)
{
    const ci_lid E = g->first[g->n_node], D = dim.H * dim.C;
    ci_lid node = 0;
    memset(grad.l, 0, (size_t)g->n_node * D * sizeof *grad.l);
    memset(grad.r, 0, (size_t)g->n_node * D * sizeof *grad.r);
    for (ci_lid i = 0; i < g->n_node; i++) {
#define NODE_BACKWARD(H, C) node_scores_backward(g, in, i, p, dy, ds, H, C)
        BY_SHAPE(dim, NODE_BACKWARD);
    }
    for (ci_lid e0 = 0; e0 < E; e0 += CI_GATV2_BLOCK) {
        const ci_lid e1 = CI_MIN(e0 + CI_GATV2_BLOCK, E);
        project(dim, in, e0, e1 - e0, block);
#define EDGES_BACKWARD(H, C) edges_backward(dim.slope, g, in, e0, e1, &node, p, dy, ds, block, grad, H, C)
        BY_SHAPE(dim, EDGES_BACKWARD);
        const ci_gemm w_e = {.M = dim.F, .N = D, .K = e1 - e0, .a = in.e + (size_t)e0 * dim.F, .a_row = 1,
                             .a_col = dim.F, .b = block, .b_row = D, .c = grad.w_e, .c_row = D,
                             .start = CI_GEMM_ADD};
        CI_SYM(ci_gemm)(&w_e);
    }
}
