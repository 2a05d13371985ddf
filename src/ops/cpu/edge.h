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

/** Scores less the largest of their node and head. */
ALWAYS void edge_less_max(const ci_csr *g, float *p, int H)
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

/** Of node i: each divided by the sum of its head. */
ALWAYS void edge_normalise(const ci_csr *g, ci_lid i, float *p, int H)
{
    const ci_lid e0 = g->first[i], e1 = g->first[i + 1];
    for (int h = 0; h < H; h++) {
        float sum = 0;
        for (ci_lid e = e0; e < e1; e++) sum += p[(size_t)e * H + h];
        for (ci_lid e = e0; e < e1; e++) p[(size_t)e * H + h] /= sum + 1e-16f;
    }
}

/** p holds scores and becomes probabilities. */
ALWAYS void edge_softmax(const ci_csr *g, float *p, int H)
{
    edge_less_max(g, p, H);
    CI_SYM(ci_exp)(p, g->first[g->n_node] * H, p);
    for (ci_lid i = 0; i < g->n_node; i++) edge_normalise(g, i, p, H);
}

/** Of node i: ds = p (dp - sum_e p dp); ds holds dp. */
ALWAYS void edge_softmax_backward(const ci_csr *g, ci_lid i, const float *p, float *ds, int H)
{
    const ci_lid e0 = g->first[i], e1 = g->first[i + 1];
    for (int h = 0; h < H; h++) {
        float mean = 0;
        for (ci_lid e = e0; e < e1; e++) mean += p[(size_t)e * H + h] * ds[(size_t)e * H + h];
        for (ci_lid e = e0; e < e1; e++) ds[(size_t)e * H + h] = p[(size_t)e * H + h] * (ds[(size_t)e * H + h] - mean);
    }
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
