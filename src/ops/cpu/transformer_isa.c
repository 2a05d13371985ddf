/** Transformer convolution.  The edge's part of a score, q . (W_e f), is (W_e^T q) . f, a vector of F numbers for
 *  each node and head; its part of the sum is W_e (sum_e p f).  So no edge is projected to D channels. */
#include <math.h>
#include "edge.h"

/** Where in block what lies.  W_e once more, transposed: a row of sixteen for each channel, where F is no more and
 *  there is room; then u of F numbers twice. */
struct room { float *wt, *u, *u2; };

static struct room room(ci_gatv2_dim dim, const float *w_e, float *block)
{
    const ci_lid D = dim.H * dim.C;
    if (dim.F == 0 || dim.F > STEP || dim.F > (CI_GATV2_BLOCK - STEP) / 2 * D) return (struct room){NULL, block, block + dim.F};
    for (ci_lid d = 0; d < D; d++)
        for (ci_lid f = 0; f < STEP; f++) block[(size_t)d * STEP + f] = f < dim.F ? w_e[(size_t)f * D + d] : 0.0f;
    float *u = block + (size_t)D * STEP;
    return (struct room){block, u, u + dim.F};
}

/** out[f] = x . w_e[f] of one head; wt is the head's part of the transposed W_e, or NULL. */
ALWAYS void to_edge(ci_gatv2_dim dim, const float *x, const float *w_e, const float *wt, float *out)
{
    if (wt) {
        w16 acc[4] = {w_splat(0), w_splat(0), w_splat(0), w_splat(0)};
        int c = 0;
        for (; c + 4 <= dim.C; c += 4)
            for (int k = 0; k < 4; k++) acc[k] = w_axpy(x[c + k], w_load(wt + (c + k) * STEP, STEP), acc[k]);
        for (; c < dim.C; c++) acc[0] = w_axpy(x[c], w_load(wt + c * STEP, STEP), acc[0]);
        w_store(out, w_add(w_add(acc[0], acc[1]), w_add(acc[2], acc[3])), dim.F);
        return;
    }
    for (int f = 0; f < dim.F; f++) out[f] = row_dot(x, w_e + (size_t)f * dim.H * dim.C, dim.C);
}

/** y += sum_f u[f] w_e[f] of one head. */
ALWAYS void from_edge(ci_gatv2_dim dim, const float *u, const float *w_e, float *y)
{
    const size_t D = (size_t)dim.H * dim.C;
#define FROM_EDGE(c, n)                                                                               \
    do {                                                                                              \
        w16 acc = w_load(y + (c), n);                                                                 \
        for (int f = 0; f < dim.F; f++) acc = w_axpy(u[f], w_load(w_e + f * D + (c), n), acc);        \
        w_store(y + (c), acc, n);                                                                     \
    } while (0)
    BY_STEP(dim.C, FROM_EDGE);
#undef FROM_EDGE
}

/** u = sum over the in-edges of i of p f, p of one head. */
ALWAYS void sum_features(ci_gatv2_dim dim, const ci_csr *g, ci_lid i, const float *f, const float *p, float *u)
{
#define SUM_FEATURES(c, n)                                                                            \
    do {                                                                                              \
        w16 acc = w_splat(0);                                                                         \
        for (ci_lid e = g->first[i]; e < g->first[i + 1]; e++)                                        \
            acc = w_axpy(p[(size_t)e * dim.H], w_load(f + (size_t)e * dim.F + (c), n), acc);          \
        w_store(u + (c), acc, n);                                                                     \
    } while (0)
    BY_STEP(dim.F, SUM_FEATURES);
#undef SUM_FEATURES
}

/** a . x + u . f: the product of a row with a key or a value that has its edge's part in it. */
ALWAYS float with_edge(ci_gatv2_dim dim, const float *a, const float *x, const float *u, const float *f)
{
    return w_sum(w_dot(w_dot(w_splat(0), u, f, dim.F), a, x, dim.C));
}

void CI_SYM(ci_transformer_forward)(ci_gatv2_dim dim, const ci_csr *g, ci_transformer_in in, float *block, float *p,
                                    float *y)
{
    const int H = dim.H, C = dim.C;
    const size_t D = (size_t)H * C, F = (size_t)dim.F;
    const float scale = 1.0f / sqrtf((float)C);
    const struct room r = room(dim, in.w_e, block);
    for (ci_lid i = 0; i < g->n_node; i++)
        for (int h = 0; h < H; h++) {
            const float *q = in.q + i * D + h * C;
            to_edge(dim, q, onward(in.w_e, (size_t)h * C), onward(r.wt, (size_t)h * C * STEP), r.u);
            for (ci_lid e = g->first[i]; e < g->first[i + 1]; e++)
                p[(size_t)e * H + h] = with_edge(dim, q, in.k + g->src[e] * D + h * C, r.u, onward(in.e, e * F)) * scale;
        }
    edge_softmax(g, p, H);
    for (ci_lid i = 0; i < g->n_node; i++) {
        edge_sum(g, i, dim, in.v, NULL, p, y);
        for (int h = 0; h < H && F; h++) {
            sum_features(dim, g, i, in.e, p + h, r.u);
            from_edge(dim, r.u, in.w_e + h * C, y + i * D + h * C);
        }
        if (in.skip) row_axpy(1.0f, in.skip + i * D, y + i * D, (int)D);
    }
}

/** dp of the in-edges of i, then ds, of scores before the scale. */
ALWAYS void scores_backward(ci_gatv2_dim dim, const ci_csr *g, ci_transformer_in in, ci_lid i, const float *p,
                            const float *dy, struct room r, float *ds)
{
    const int H = dim.H, C = dim.C;
    const size_t D = (size_t)H * C, F = (size_t)dim.F;
    for (int h = 0; h < H; h++) {
        to_edge(dim, dy + h * C, onward(in.w_e, (size_t)h * C), onward(r.wt, (size_t)h * C * STEP), r.u);
        for (ci_lid e = g->first[i]; e < g->first[i + 1]; e++)
            ds[(size_t)e * H + h] = with_edge(dim, dy + h * C, in.v + g->src[e] * D + h * C, r.u, onward(in.e, e * F));
    }
    edge_softmax_backward(g, i, p, ds, H);
}

/** One edge: the rows of its source. */
ALWAYS void edge_backward(float ds, float w, const float *q, const float *dy, float *dk, float *dv, int C)
{
#define EDGE_BACK(c, n)                                                                               \
    do {                                                                                              \
        w_store(dk + (c), w_axpy(ds, w_load(q + (c), n), w_load(dk + (c), n)), n);                    \
        w_store(dv + (c), w_axpy(w, w_load(dy + (c), n), w_load(dv + (c), n)), n);                    \
    } while (0)
    BY_STEP(C, EDGE_BACK);
#undef EDGE_BACK
}

/** dw_e[f] += u[f] q + u2[f] dy of one head. */
ALWAYS void weight_backward(ci_gatv2_dim dim, const float *u, const float *u2, const float *q, const float *dy, float *dw)
{
    for (int f = 0; f < dim.F; f++, dw += dim.H * dim.C) {
#define WEIGHT_BACK(c, n)                                                                             \
    w_store(dw + (c), w_axpy(u2[f], w_load(dy + (c), n), w_axpy(u[f], w_load(q + (c), n), w_load(dw + (c), n))), n)
        BY_STEP(dim.C, WEIGHT_BACK);
#undef WEIGHT_BACK
    }
}

void CI_SYM(ci_transformer_backward)(ci_gatv2_dim dim, const ci_csr *g, ci_transformer_in in, const float *p,
                                     const float *dy, float *block, float *ds, ci_transformer_grad grad)
{
    const int H = dim.H, C = dim.C;
    const size_t D = (size_t)H * C, F = (size_t)dim.F;
    const float scale = 1.0f / sqrtf((float)C);
    const struct room r = room(dim, in.w_e, block);
    memset(grad.k, 0, g->n_node * D * sizeof *grad.k);
    memset(grad.v, 0, g->n_node * D * sizeof *grad.v);
    for (ci_lid i = 0; i < g->n_node; i++) {
        const ci_lid e0 = g->first[i], e1 = g->first[i + 1];
        scores_backward(dim, g, in, i, p, dy + i * D, r, ds);
        for (size_t eh = (size_t)e0 * H; eh < (size_t)e1 * H; eh++) ds[eh] *= scale;
        edge_sum(g, i, dim, in.k, NULL, ds, grad.q);
        for (int h = 0; h < H; h++) {
            const size_t to = i * D + (size_t)h * C;
            for (ci_lid e = e0; e < e1; e++) {
                const size_t at = g->src[e] * D + (size_t)h * C, eh = (size_t)e * H + h;
                edge_backward(ds[eh], p[eh], in.q + to, dy + to, grad.k + at, grad.v + at, C);
            }
            if (!F) continue;
            sum_features(dim, g, i, in.e, ds + h, r.u);
            sum_features(dim, g, i, in.e, p + h, r.u2);
            from_edge(dim, r.u, in.w_e + h * C, grad.q + to);
            weight_backward(dim, r.u, r.u2, in.q + to, dy + to, grad.w_e + h * C);
        }
    }
}
