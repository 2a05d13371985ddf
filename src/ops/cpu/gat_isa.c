/** GATv1.  A score is three numbers: of the source, of the target and of the edge, whose W_e and a_e are one
 *  vector of F by head; so nothing of the width D is computed for an edge but the sum itself. */
#include "edge.h"

/** What scores are made of and, backward, the gradients of that. */
struct part { float *src, *dst, *e, *dsrc, *ddst, *de; };

static struct part part(ci_gatv2_dim dim, ci_lid n, float *work)
{
    const size_t nodes = (size_t)n * dim.H, edge = (size_t)dim.H * dim.F;
    struct part w = {.src = work, .dst = work + nodes, .dsrc = work + 2 * nodes, .ddst = work + 3 * nodes};
    w.e = work + 4 * nodes;
    w.de = w.e + edge;
    return w;
}

/** src[i,h] = a_src . h[i], dst likewise, e[f,h] = a_e . w_e[f]. */
static void parts(ci_gatv2_dim dim, ci_lid n, ci_gat_in in, struct part w)
{
    const size_t D = (size_t)dim.H * dim.C;
    for (ci_lid i = 0; i < n; i++)
        for (int h = 0; h < dim.H; h++) {
            const int d = h * dim.C;
            w.src[(size_t)i * dim.H + h] = row_dot(in.a_src + d, in.h + i * D + d, dim.C);
            w.dst[(size_t)i * dim.H + h] = row_dot(in.a_dst + d, in.h + i * D + d, dim.C);
        }
    for (int h = 0; h < dim.H; h++)
        for (int f = 0; f < dim.F; f++)
            w.e[f * dim.H + h] = row_dot(in.a_e + h * dim.C, in.w_e + f * D + h * dim.C, dim.C);
}

/** The scores of n heads from h on of edge e = (j -> i), before the leaky ReLU. */
ALWAYS v4 score(ci_gatv2_dim dim, ci_gat_in in, struct part w, ci_lid i, ci_lid j, ci_lid e, int h, int n)
{
    v4 z = load_heads(w.src + (size_t)j * dim.H + h, n) + load_heads(w.dst + (size_t)i * dim.H + h, n);
    for (int f = 0; f < dim.F; f++) z += in.e[(size_t)e * dim.F + f] * load_heads(w.e + f * dim.H + h, n);
    return z;
}

/** x where z is positive, else slope x. */
ALWAYS v4 lrelu(v4 z, v4 x, float slope)
{
    const i4 positive = z > 0.0f;
    return (v4)(((i4)x & positive) | ((i4)(x * slope) & ~positive));
}

void CI_SYM(ci_gat_forward)(ci_gatv2_dim dim, const ci_csr *g, ci_gat_in in, float *work, float *p, float *y)
{
    const struct part w = part(dim, g->n_node, work);
    parts(dim, g->n_node, in, w);
#define SCORE(h, n)                                                                                   \
    do {                                                                                              \
        const v4 z = score(dim, in, w, i, g->src[e], e, h, n);                                        \
        store_heads(p + (size_t)e * dim.H + (h), lrelu(z, z, dim.slope), n);                          \
    } while (0)
    for (ci_lid i = 0; i < g->n_node; i++)
        for (ci_lid e = g->first[i]; e < g->first[i + 1]; e++)
            BY_HEADS(dim.H, SCORE);
    edge_softmax(g, p, dim.H);
    for (ci_lid i = 0; i < g->n_node; i++) edge_sum(g, i, dim, in.h, in.bias, p, y);
}

/** The gradient of n scores from h on, to the parts they are made of. */
ALWAYS void score_backward(ci_gatv2_dim dim, ci_gat_in in, struct part w, ci_lid i, ci_lid j, ci_lid e, const float *ds,
                           int h, int n)
{
    const v4 dz = lrelu(score(dim, in, w, i, j, e, h, n), load_heads(ds + (size_t)e * dim.H + h, n), dim.slope);
    float *src = w.dsrc + (size_t)j * dim.H + h, *dst = w.ddst + (size_t)i * dim.H + h;
    store_heads(src, load_heads(src, n) + dz, n);
    store_heads(dst, load_heads(dst, n) + dz, n);
    for (int f = 0; f < dim.F; f++) {
        float *de = w.de + f * dim.H + h;
        store_heads(de, load_heads(de, n) + in.e[(size_t)e * dim.F + f] * dz, n);
    }
}

/** What node i's row of dy says to the scores of its in-edges, and to the rows of their sources as values. */
static void node_backward(ci_gatv2_dim dim, const ci_csr *g, ci_gat_in in, ci_lid i, const float *p, const float *dy,
                          struct part w, float *ds, float *dh)
{
    const int H = dim.H;
    const size_t D = (size_t)H * dim.C;
    dy += i * D;
    for (ci_lid e = g->first[i]; e < g->first[i + 1]; e++)
        for (int h = 0; h < H; h++) {
            const size_t at = g->src[e] * D + (size_t)h * dim.C;
            ds[(size_t)e * H + h] = row_dot(dy + h * dim.C, in.h + at, dim.C);
            row_axpy(p[(size_t)e * H + h], dy + h * dim.C, dh + at, dim.C);
        }
    edge_softmax_backward(g, i, p, ds, H);
#define SCORE_BACKWARD(h, n) score_backward(dim, in, w, i, g->src[e], e, ds, h, n)
    for (ci_lid e = g->first[i]; e < g->first[i + 1]; e++) BY_HEADS(H, SCORE_BACKWARD);
}

/** From the gradients of the parts to rows and parameters. */
static void parts_backward(ci_gatv2_dim dim, ci_lid n, ci_gat_in in, struct part w, ci_gat_grad grad)
{
    const size_t D = (size_t)dim.H * dim.C;
    for (ci_lid i = 0; i < n; i++)
        for (int h = 0; h < dim.H; h++) {
            const float s = w.dsrc[(size_t)i * dim.H + h], t = w.ddst[(size_t)i * dim.H + h];
            const size_t at = i * D + (size_t)h * dim.C;
            const int d = h * dim.C;
#define STEP_BACK(c, m)                                                                                       \
    do {                                                                                                      \
        const w16 x = w_load(in.h + at + (c), m);                                                             \
        const w16 dx = w_axpy(s, w_load(in.a_src + d + (c), m), w_load(grad.h + at + (c), m));                \
        w_store(grad.h + at + (c), w_axpy(t, w_load(in.a_dst + d + (c), m), dx), m);                          \
        w_store(grad.a_src + d + (c), w_axpy(s, x, w_load(grad.a_src + d + (c), m)), m);                      \
        w_store(grad.a_dst + d + (c), w_axpy(t, x, w_load(grad.a_dst + d + (c), m)), m);                      \
    } while (0)
            BY_STEP(dim.C, STEP_BACK);
#undef STEP_BACK
        }
    for (int h = 0; h < dim.H; h++)
        for (int f = 0; f < dim.F; f++) {
            const size_t at = f * D + (size_t)h * dim.C;
            row_axpy(w.de[f * dim.H + h], in.w_e + at, grad.a_e + h * dim.C, dim.C);
            row_axpy(w.de[f * dim.H + h], in.a_e + h * dim.C, grad.w_e + at, dim.C);
        }
}

void CI_SYM(ci_gat_backward)(ci_gatv2_dim dim, const ci_csr *g, ci_gat_in in, const float *p, const float *dy,
                             float *work, float *ds, ci_gat_grad grad)
{
    const struct part w = part(dim, g->n_node, work);
    const size_t nodes = (size_t)g->n_node * dim.H;
    parts(dim, g->n_node, in, w);
    memset(w.dsrc, 0, 2 * nodes * sizeof *w.dsrc); /* and ddst behind it */
    memset(w.de, 0, (size_t)dim.H * dim.F * sizeof *w.de);
    memset(grad.h, 0, nodes * dim.C * sizeof *grad.h);
    for (ci_lid i = 0; i < g->n_node; i++) node_backward(dim, g, in, i, p, dy, w, ds, grad.h);
    parts_backward(dim, g->n_node, in, w, grad);
}
