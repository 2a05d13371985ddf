/* GATv2 on a device: the twin of cpu/gatv2_isa.c, with the projections of edge features inside.  Letters as in ci/ops.h. */
#include "edge.h"

CI_DEVICE float lrelu(float z, float slope) { return z > 0 ? z : z * slope; }

/** z = l[j] + r[i] + W_e f. */
template <int HN, int NV, int FN>
CI_DEVICE ci_lanes<HN, NV> key(ci_conv_at at, const ci_columns<HN, NV, FN> &w, const ci_k_gatv2 &g, int e, const ci_lanes<HN, NV> &l,
                               const ci_lanes<HN, NV> &r)
{
    ci_lanes<HN, NV> z = ci_edge_project<HN, NV, FN>(at, w, g.w_e, g.e, e);
    CI_EACH_LANE(at, (void)d; (void)in; z.v[h][k] = (l.v[h][k] + r.v[h][k]) + z.v[h][k])
    return z;
}

template <int HN, int NV> CI_DEVICE ci_lanes<HN, NV> lanes_lrelu(ci_lanes<HN, NV> z, float slope)
{
#pragma unroll
    for (int h = 0; h < HN; h++)
#pragma unroll
        for (int k = 0; k < NV; k++) z.v[h][k] = lrelu(z.v[h][k], slope);
    return z;
}

/** One warp per (target i, up to four heads), lanes over channels.  Reads r[i] once and l[j] once an edge, writes y and two floats a
 *  head; in-edges in order, a softmax that runs along, so no number of edges is too many.  Scores are sums over lanes, then a tree. */
template <int NV, int FN> static __global__ void gatv2_forward(const ci_k_batch b, const ci_k_gatv2 g)
{
    constexpr int HN = CI_CONV_HEADS(NV);
    const ci_conv_at at = ci_conv_here<NV>(g.dim);
    const int n = ci_rows_here(b, CI_ROWS_NODE), D = at.H * at.C, step = (int)gridDim.x * CI_CONV_WARPS;
    int i = (int)blockIdx.x * CI_CONV_WARPS + ci_conv_warp();
    if (i >= n) return;
    ci_columns<HN, NV, FN> w;
    ci_columns_load<HN, NV, FN>(at, g.w_e, w);
    const ci_lanes<HN, NV> a = ci_lanes_load<HN, NV>(at, g.a);
    for (; i < n; i += step) {
        const ci_lanes<HN, NV> r = ci_lanes_load<HN, NV>(at, g.r + (int64_t)i * D);
        const int last = b.in_first[i + 1];
        ci_lanes<HN, NV> acc = ci_lanes_zero<HN, NV>();
        ci_running<HN> run;
        ci_running_start(run);
        for (int e = b.in_first[i]; e < last; e++) {
            const ci_lanes<HN, NV> l = ci_lanes_load<HN, NV>(at, g.l + (int64_t)b.in_src[e] * D);
            float s[HN];
            ci_lanes_dot(a, lanes_lrelu(key<HN, NV, FN>(at, w, g, e, l, r), g.dim.slope), s);
            ci_running_add(run, acc, s, l);
        }
        ci_running_end(at, run, i, g.stat);
        ci_conv_put(b, g.relu, at, i, g.bias, acc, run, g.y);
    }
}

/** One warp per (target i, up to four heads), lanes over channels: scores, p and dp = dy . l of its in-edges, once in all of backward.
 *  With t = sum_e p dp is ds = p (dp - t), and dr = sum_e ds a lrelu'(z) = a (sum_e p dp lrelu' - t sum_e p lrelu'): one walk. */
template <int NV, int FN> static __global__ void gatv2_by_target(const ci_k_batch b, const ci_k_gatv2 g, const ci_k_gatv2_back back)
{
    constexpr int HN = CI_CONV_HEADS(NV);
    const ci_conv_at at = ci_conv_here<NV>(g.dim);
    const int n = ci_rows_here(b, CI_ROWS_NODE), D = at.H * at.C, step = (int)gridDim.x * CI_CONV_WARPS;
    int i = (int)blockIdx.x * CI_CONV_WARPS + ci_conv_warp();
    if (i >= n) return;
    ci_columns<HN, NV, FN> w;
    ci_columns_load<HN, NV, FN>(at, g.w_e, w);
    const ci_lanes<HN, NV> a = ci_lanes_load<HN, NV>(at, g.a);
    for (; i < n; i += step) {
        const ci_lanes<HN, NV> r = ci_lanes_load<HN, NV>(at, g.r + (int64_t)i * D), dy = ci_lanes_dy<HN, NV>(b, at, back.dy, back.gated, g.y, i);
        const int first = b.in_first[i], last = b.in_first[i + 1];
        ci_lanes<HN, NV> pull = ci_lanes_zero<HN, NV>(), slope = pull, dr;
        ci_running<HN> stat;
        float t[HN] = {};
        ci_running_load(at, stat, i, g.stat);
        for (int e = first; e < last; e++) {
            const ci_lanes<HN, NV> l = ci_lanes_load<HN, NV>(at, g.l + (int64_t)b.in_src[e] * D);
            const ci_lanes<HN, NV> z = key<HN, NV, FN>(at, w, g, e, l, r);
            float p[HN], dp[HN];
            ci_lanes_dot(a, lanes_lrelu(z, g.dim.slope), p);
            ci_lanes_dot(dy, l, dp);
#pragma unroll
            for (int h = 0; h < HN; h++) {
                p[h] = ci_expf(p[h] - stat.most[h]) * stat.sum[h];
                t[h] = fmaf(p[h], dp[h], t[h]);
#pragma unroll
                for (int k = 0; k < NV; k++) {
                    const float pz = z.v[h][k] > 0 ? p[h] : p[h] * g.dim.slope;
                    slope.v[h][k] += pz;
                    pull.v[h][k] = fmaf(pz, dp[h], pull.v[h][k]);
                }
            }
            ci_edge_put(at, e, p, dp, back.edge);
        }
        CI_EACH_LANE(at, (void)d; (void)in; dr.v[h][k] = a.v[h][k] * fmaf(-t[h], slope.v[h][k], pull.v[h][k]))
        ci_lanes_store(at, dr, back.dr + (int64_t)i * D);
        ci_edges_finish(at, first, last, t, 1, back.edge);
    }
}

/** One warp per (source j, up to four heads), lanes over channels: dl = sum over its out-edges of p dy[i] + ds a lrelu'(z), in their
 *  order.  Reads r[i], dy[i] and three numbers a head of each; no sums over lanes. */
template <int NV, int FN> CI_DEVICE void gatv2_by_source(const ci_k_batch &b, const ci_k_gatv2 &g, const ci_k_gatv2_back &back, dim3 grid, int block)
{
    constexpr int HN = CI_CONV_HEADS(NV);
    const ci_conv_at at = ci_conv_at_block<NV>(g.dim, block / (int)grid.x);
    const int n = ci_rows_here(b, CI_ROWS_NODE), D = at.H * at.C, step = (int)grid.x * CI_SLICE_WARPS;
    int j = block % (int)grid.x * CI_SLICE_WARPS + ci_conv_warp();
    if (j >= n) return;
    ci_columns<HN, NV, FN> w;
    ci_columns_load<HN, NV, FN>(at, g.w_e, w);
    const ci_lanes<HN, NV> a = ci_lanes_load<HN, NV>(at, g.a);
    for (; j < n; j += step) {
        const ci_lanes<HN, NV> l = ci_lanes_load<HN, NV>(at, g.l + (int64_t)j * D);
        const int last = b.out_first[j + 1];
        ci_lanes<HN, NV> dl = ci_lanes_zero<HN, NV>();
        for (int q = b.out_first[j]; q < last; q++) {
            const int e = b.out_edge[q], i = b.in_dst[e];
            const ci_lanes<HN, NV> r = ci_lanes_load<HN, NV>(at, g.r + (int64_t)i * D), dy = ci_lanes_load<HN, NV>(at, back.dy + (int64_t)i * D);
            const ci_lanes<HN, NV> z = key<HN, NV, FN>(at, w, g, e, l, r);
            float p[HN], ds[HN];
            ci_edge_get(at, e, back.edge, p, ds);
            ci_lanes_axpy(p, dy, dl); /* l is both the value and half the key */
            CI_EACH_LANE(at, (void)d; (void)in; {
                const float sa = ds[h] * a.v[h][k];
                dl.v[h][k] += z.v[h][k] > 0 ? sa : sa * g.dim.slope;
            })
        }
        ci_lanes_store(at, dl, back.dl + (int64_t)j * D);
    }
}

/** z of one channel, with the chain of ci_edge_project. */
template <int FN, bool KEEP> CI_DEVICE float channel(const ci_k_gatv2 &g, const float (&w)[FN], const float *row, int D, int d, float lr)
{
    float z = 0;
    if (KEEP) {
#pragma unroll
        for (int f = 0; f < FN; f++)
            if (f < g.dim.F) z = fmaf(w[f], __ldg(row + f), z);
    } else {
        for (int f = 0; f < g.dim.F; f++) z = fmaf(__ldg(g.w_e + (int64_t)f * D + d), __ldg(row + f), z);
    }
    return lr + z;
}

/** Gradients of w_e and a: a block per (slice of a shard's edges, 32 channels), see edge.h; FN features at a time, each of them a
 *  register of sums, so that l, r, w_e and e are read once where F <= FN.  F / FN + 1 integer atomics a channel and slice. */
template <int FN> CI_DEVICE void gatv2_weights(const ci_k_batch &b, const ci_k_gatv2 &g, const ci_k_gatv2_back &back, dim3 grid, int block)
{
    CI_SHARED(float, part);
    constexpr bool KEEP = FN < 32;
    const int slice = block % (int)grid.x, shard = block / (int)(grid.x * grid.y);
    const int H = g.dim.H, F = g.dim.F, D = H * g.dim.C, tile = block / (int)grid.x % (int)grid.y * CI_WARP;
    const int d = tile + (int)threadIdx.x % CI_WARP, h = d / g.dim.C, until = back.w_e.sum ? F : 0;
    if (shard >= b.step->n_shard) return;
    const int last = ci_shard_first(b, CI_ROWS_EDGE, shard + 1);
    const float a = d < D ? g.a[d] : 0;
    float w[FN];
#pragma unroll
    for (int f = 0; f < FN; f++) w[f] = KEEP && f < F && d < D ? __ldg(g.w_e + (int64_t)f * D + d) : 0;
    for (int e0 = ci_shard_first(b, CI_ROWS_EDGE, shard) + slice * CI_SLICE_ROWS; e0 < last; e0 += (int)grid.x * CI_SLICE_ROWS)
        for (int f0 = 0; f0 == 0 || f0 < until; f0 += FN) {
            const int e1 = CI_MIN(e0 + CI_SLICE_ROWS, last);
            float dw[FN] = {}, da = 0, *own = ci_slice_own(part, FN + 1);
            for (int e = e0 + ci_conv_warp(); e < e1 && d < D; e += CI_SLICE_WARPS) {
                const float lr = __ldg(g.l + (int64_t)b.in_src[e] * D + d) + __ldg(g.r + (int64_t)b.in_dst[e] * D + d);
                const float *row = g.e + (int64_t)e * F, ds = __ldg(back.edge + ((int64_t)e * H + h) * 2 + 1);
                const float z = channel<FN, KEEP>(g, w, row, D, d, lr), dz = z > 0 ? ds * a : ds * a * g.dim.slope;
                da = fmaf(ds, lrelu(z, g.dim.slope), da);
#pragma unroll
                for (int f = 0; f < FN; f++)
                    if (f0 + f < F) dw[f] = fmaf(dz, __ldg(row + f0 + f), dw[f]);
            }
#pragma unroll
            for (int f = 0; f < FN; f++) own[f * CI_WARP] = dw[f];
            own[FN * CI_WARP] = da;
            __syncthreads();
            for (int x = (int)threadIdx.x; x < (FN + 1) * CI_WARP; x += (int)blockDim.x) {
                const int f = x / CI_WARP, to = tile + x % CI_WARP;
                if (to >= D) continue;
                if (f < FN && f0 + f < until) ci_grad_put(back.w_e, (int64_t)(f0 + f) * D + to, ci_slice_sum(part, FN + 1, x));
                if (f == FN && f0 == 0 && back.a.sum) ci_grad_put(back.a, to, ci_slice_sum(part, FN + 1, x));
            }
            __syncthreads();
        }
}

/** Both read what by_target left of the edges and neither the other's: one launch.  Blocks of weights come first, as they take longer. */
template <int NV, int FN, int WN>
static __global__ void __launch_bounds__(CI_SLICE_THREADS) gatv2_rest(const ci_k_batch b, const ci_k_gatv2 g, const ci_k_gatv2_back back, dim3 weights, dim3 source)
{
    const int n = (int)(weights.x * weights.y * weights.z), block = (int)blockIdx.x;
    if (block < n) gatv2_weights<WN>(b, g, back, weights, block);
    else gatv2_by_source<NV, FN>(b, g, back, source, block - n);
}

template <int NV, int FN, int WN> static void rest(ci_dev *dev, const ci_k_batch *b, const ci_k_gatv2 *g, const ci_k_gatv2_back *back)
{
    const dim3 nodes = ci_conv_grid(b, g->dim.H, NV), source(ci_blocks((int64_t)nodes.x * CI_CONV_WARPS, CI_SLICE_WARPS), nodes.y);
    dim3 weights = ci_slice_grid(b, CI_ROWS_EDGE, g->dim.H * g->dim.C);
    if (!back->w_e.sum && !back->a.sum) weights.x = 0;
    const unsigned n = weights.x * weights.y * weights.z + source.x * source.y;
    CI_LAUNCH(dev, (gatv2_rest<NV, FN, WN>), n, CI_SLICE_THREADS, ci_slice_bytes(WN + 1), *b, *g, *back, weights, source);
}

void ci_cuda_gatv2(ci_dev *dev, const ci_k_batch *b, const ci_k_gatv2 *g)
{
#define FORWARD(NV, FN) CI_LAUNCH(dev, (gatv2_forward<NV, FN>), ci_conv_grid(b, g->dim.H, NV), CI_CONV_THREADS, 0, *b, *g)
    CI_CONV_SHAPE(FORWARD, g->dim.C, g->dim.F);
}

void ci_cuda_gatv2_back(ci_dev *dev, const ci_k_batch *b, const ci_k_gatv2 *g, const ci_k_gatv2_back *back)
{
    const int D = g->dim.H * g->dim.C;
#define TARGET(NV, FN) CI_LAUNCH(dev, (gatv2_by_target<NV, FN>), ci_conv_grid(b, g->dim.H, NV), CI_CONV_THREADS, 0, *b, *g, *back)
    CI_CONV_SHAPE(TARGET, g->dim.C, g->dim.F);
#define REST(NV, FN)                                                                            \
    do {                                                                                        \
        if ((FN) > 0) rest<NV, FN, (FN) ? (FN) : 12>(dev, b, g, back);                          \
        else if (g->dim.F <= 12) rest<NV, FN, 12>(dev, b, g, back);                             \
        else if (g->dim.F <= 20) rest<NV, FN, 20>(dev, b, g, back);                             \
        else rest<NV, FN, 32>(dev, b, g, back);                                                 \
    } while (0)
    CI_CONV_SHAPE(REST, g->dim.C, g->dim.F);
    ci_conv_bias_back(dev, b, D, back->dy, back->bias);
}
