#ifndef CI_OPS_EDGE_H
#define CI_OPS_EDGE_H
/** What the convolutions share: the softmax over the in-edges of a node and sums over them, by head. */
#include "cpu_priv.h"
#include "row.h"

/** A pointer that may be NULL, n floats on. */
ALWAYS const float *onward(const float *x, size_t n) { return x ? x + n : NULL; }

/** block[k] = W_e f of edge first + k, rows of D. */
ALWAYS void edge_project(ci_gatv2_dim dim, const float *f, const float *w_e, ci_lid first, ci_lid n, float *block)
{
    const ci_lid D = dim.H * dim.C;
    const ci_gemm g = {.M = n, .N = D, .K = dim.F, .a = f + (size_t)first * dim.F, .a_row = dim.F, .a_col = 1,
                       .b = w_e, .b_row = D, .c = block, .c_row = D, .start = CI_GEMM_ZERO};
    CI_SYM(ci_gemm)(&g);
}

/** dw_e += the sum over n edges from `first` of f times the gradient of W_e f in block. */
ALWAYS void edge_project_backward(ci_gatv2_dim dim, const float *f, const float *block, ci_lid first, ci_lid n, float *dw_e)
{
    const ci_lid D = dim.H * dim.C;
    const ci_gemm g = {.M = dim.F, .N = D, .K = n, .a = f + (size_t)first * dim.F, .a_row = 1, .a_col = dim.F,
                       .b = block, .b_row = D, .c = dw_e, .c_row = D, .start = CI_GEMM_ADD};
    CI_SYM(ci_gemm)(&g);
}

/* The scores of an edge's heads lie side by side: four heads at a time, then one, n says which.  Not sixteen with the
 * others masked: what is written for an edge then seems to overlap what is read for the next, and the processor waits. */
ALWAYS v4 load_heads(const float *p, int n) { return n == 4 ? v4_load(p) : (v4){*p}; }

ALWAYS void store_heads(float *p, v4 x, int n)
{
    if (n == 4) memcpy(p, &x, sizeof x);
    else *p = x[0];
}

#define BY_HEADS(H, call)                                                                             \
    do {                                                                                              \
        int h_ = 0;                                                                                   \
        for (; h_ + 4 <= (H); h_ += 4) call(h_, 4);                                                   \
        for (; h_ < (H); h_++) call(h_, 1);                                                           \
    } while (0)

/** n scores of each in-edge of node i, the first at p, less the largest of their head. */
ALWAYS void less_max(const ci_csr *g, ci_lid i, float *p, int H, int n)
{
    const ci_lid e0 = g->first[i], e1 = g->first[i + 1];
    if (e0 == e1) return;
    v4 most = load_heads(p + (size_t)e0 * H, n);
    for (ci_lid e = e0 + 1; e < e1; e++) {
        const v4 x = load_heads(p + (size_t)e * H, n);
        most = v4_max(most, x);
    }
    for (ci_lid e = e0; e < e1; e++) store_heads(p + (size_t)e * H, load_heads(p + (size_t)e * H, n) - most, n);
}

/** ... divided by the sum of their head. */
ALWAYS void normalise(const ci_csr *g, ci_lid i, float *p, int H, int n)
{
    v4 sum = {0};
    for (ci_lid e = g->first[i]; e < g->first[i + 1]; e++) sum += load_heads(p + (size_t)e * H, n);
    sum += 1e-16f;
    for (ci_lid e = g->first[i]; e < g->first[i + 1]; e++)
        store_heads(p + (size_t)e * H, load_heads(p + (size_t)e * H, n) / sum, n);
}

/** p holds scores and becomes probabilities. */
ALWAYS void edge_softmax(const ci_csr *g, float *p, int H)
{
#define LESS_MAX(h, n) less_max(g, i, p + (h), H, n)
#define NORMALISE(h, n) normalise(g, i, p + (h), H, n)
    for (ci_lid i = 0; i < g->n_node; i++) BY_HEADS(H, LESS_MAX);
    CI_SYM(ci_exp)(p, g->first[g->n_node] * H, p);
    for (ci_lid i = 0; i < g->n_node; i++) BY_HEADS(H, NORMALISE);
#undef LESS_MAX
#undef NORMALISE
}

ALWAYS void softmax_backward(const ci_csr *g, ci_lid i, const float *p, float *ds, int H, int n)
{
    v4 mean = {0};
    for (ci_lid e = g->first[i]; e < g->first[i + 1]; e++)
        mean += load_heads(p + (size_t)e * H, n) * load_heads(ds + (size_t)e * H, n);
    for (ci_lid e = g->first[i]; e < g->first[i + 1]; e++)
        store_heads(ds + (size_t)e * H, load_heads(p + (size_t)e * H, n) * (load_heads(ds + (size_t)e * H, n) - mean), n);
}

/** Of node i: ds = p (dp - sum_e p dp); ds holds dp. */
ALWAYS void edge_softmax_backward(const ci_csr *g, ci_lid i, const float *p, float *ds, int H)
{
#define SOFTMAX_BACKWARD(h, n) softmax_backward(g, i, p + (h), ds + (h), H, n)
    BY_HEADS(H, SOFTMAX_BACKWARD);
#undef SOFTMAX_BACKWARD
}

/** NV steps of 16 of one head held in registers: y = start + sum_e p x[j].  The last step has n channels. */
ALWAYS void edge_sum_steps(const ci_csr *g, ci_lid i, size_t D, const float *x, const float *start, const float *p,
                           int H, float *y, int NV, int n)
{
    w16 acc[4];
    for (int v = 0; v < NV; v++) acc[v] = start ? w_load(start + v * STEP, v == NV - 1 ? n : STEP) : w_splat(0);
    for (ci_lid e = g->first[i]; e < g->first[i + 1]; e++) {
        const float *xj = x + (size_t)g->src[e] * D, w = p[(size_t)e * H];
        for (int v = 0; v < NV; v++) acc[v] = w_axpy(w, w_load(xj + v * STEP, v == NV - 1 ? n : STEP), acc[v]);
    }
    for (int v = 0; v < NV; v++) w_store(y + v * STEP, acc[v], v == NV - 1 ? n : STEP);
}

/** Row i of y = start + sum_e p[e,h] x[j,h], edges in order; start may be NULL. */
ALWAYS void edge_sum(const ci_csr *g, ci_lid i, ci_gatv2_dim dim, const float *x, const float *start, const float *p,
                     float *y)
{
    const size_t D = (size_t)dim.H * dim.C;
    y += (size_t)i * D;
    for (int h = 0; h < dim.H; h++) {
        const int at = h * dim.C;
        int c = 0;
#define STEPS(NV, n) edge_sum_steps(g, i, D, x + at + c, onward(start, (size_t)(at + c)), p + h, dim.H, y + at + c, NV, n)
        for (; c + 4 * STEP <= dim.C; c += 4 * STEP) STEPS(4, STEP);
        if (c + 2 * STEP <= dim.C) {
            STEPS(2, STEP);
            c += 2 * STEP;
        }
        if (c + STEP <= dim.C) {
            STEPS(1, STEP);
            c += STEP;
        }
        if (c < dim.C) STEPS(1, dim.C - c);
#undef STEPS
    }
}

#endif
