/* Transformer convolution on a device: the twin of cpu/transformer_isa.c.  Letters as in ci/ops.h. */
#include "edge.h"

template <int HN, int NV> CI_DEVICE ci_lanes<HN, NV> lanes_add(ci_lanes<HN, NV> x, const ci_lanes<HN, NV> &y)
{
#pragma unroll
    for (int h = 0; h < HN; h++)
#pragma unroll
        for (int k = 0; k < NV; k++) x.v[h][k] += y.v[h][k];
    return x;
}

/** The key and the value of edge e = (j -> i), each with W_e f. */
template <int HN, int NV, int FN>
CI_DEVICE void edge_rows(ci_conv_at at, const ci_columns<HN, NV, FN> &w, const ci_k_transformer &g, int e, int j, ci_lanes<HN, NV> &k,
                         ci_lanes<HN, NV> &v)
{
    const int64_t row = (int64_t)j * at.H * at.C;
    const ci_lanes<HN, NV> f = ci_edge_project<HN, NV, FN>(at, w, g.w_e, g.e, e);
    k = lanes_add(ci_lanes_load<HN, NV>(at, g.k + row), f);
    v = lanes_add(ci_lanes_load<HN, NV>(at, g.v + row), f);
}

/** One warp per (target i, up to four heads), lanes over channels.  Reads q[i] and skip[i] once, k[j] and v[j] once an edge; in-edges in
 *  order, a softmax that runs along. */
template <int NV, int FN> static __global__ void transformer_forward(const ci_k_batch b, const ci_k_transformer g)
{
    constexpr int HN = CI_CONV_HEADS(NV);
    const ci_conv_at at = ci_conv_here<NV>(g.dim);
    const int n = ci_rows_here(b, CI_ROWS_NODE), D = at.H * at.C, step = (int)gridDim.x * CI_CONV_WARPS;
    int i = (int)blockIdx.x * CI_CONV_WARPS + ci_conv_warp();
    if (i >= n) return;
    ci_columns<HN, NV, FN> w;
    ci_columns_load<HN, NV, FN>(at, g.w_e, w);
    for (; i < n; i += step) {
        const ci_lanes<HN, NV> q = ci_lanes_load<HN, NV>(at, g.q + (int64_t)i * D);
        const int last = b.in_first[i + 1];
        ci_lanes<HN, NV> acc = ci_lanes_zero<HN, NV>();
        ci_running<HN> run;
        ci_running_start(run);
        for (int e = b.in_first[i]; e < last; e++) {
            ci_lanes<HN, NV> k, v;
            float s[HN];
            edge_rows<HN, NV, FN>(at, w, g, e, b.in_src[e], k, v);
            ci_lanes_dot(q, k, s);
#pragma unroll
            for (int h = 0; h < HN; h++) s[h] *= ci_conv_root(at.C);
            ci_running_add(run, acc, s, v);
        }
        ci_running_end(at, run, i, g.stat);
        ci_conv_put(b, g.relu, at, i, g.skip ? g.skip + (int64_t)i * D : NULL, acc, run, g.y);
    }
}

/** One warp per (target i, up to four heads), lanes over channels: p and ds of its in-edges, and with key' = k + W_e f
 *  dq = sum_e ds key' = (sum_e p dp key' - t sum_e p key') / sqrt(C), t = sum_e p dp: one walk. */
template <int NV, int FN>
static __global__ void transformer_by_target(const ci_k_batch b, const ci_k_transformer g, const ci_k_transformer_back back)
{
    constexpr int HN = CI_CONV_HEADS(NV);
    const ci_conv_at at = ci_conv_here<NV>(g.dim);
    const int n = ci_rows_here(b, CI_ROWS_NODE), D = at.H * at.C, step = (int)gridDim.x * CI_CONV_WARPS;
    int i = (int)blockIdx.x * CI_CONV_WARPS + ci_conv_warp();
    if (i >= n) return;
    ci_columns<HN, NV, FN> w;
    ci_columns_load<HN, NV, FN>(at, g.w_e, w);
    for (; i < n; i += step) {
        const ci_lanes<HN, NV> q = ci_lanes_load<HN, NV>(at, g.q + (int64_t)i * D), dy = ci_lanes_dy<HN, NV>(b, at, back.dy, back.gated, g.y, i);
        const int first = b.in_first[i], last = b.in_first[i + 1];
        ci_lanes<HN, NV> pull = ci_lanes_zero<HN, NV>(), mean = pull;
        ci_running<HN> stat;
        float t[HN] = {};
        ci_running_load(at, stat, i, g.stat);
        for (int e = first; e < last; e++) {
            ci_lanes<HN, NV> k, v;
            float p[HN], dp[HN], pull_by[HN];
            edge_rows<HN, NV, FN>(at, w, g, e, b.in_src[e], k, v);
            ci_lanes_dot(q, k, p);
            ci_lanes_dot(dy, v, dp);
#pragma unroll
            for (int h = 0; h < HN; h++) {
                p[h] = ci_expf(p[h] * ci_conv_root(at.C) - stat.most[h]) * stat.sum[h];
                pull_by[h] = p[h] * dp[h];
                t[h] += pull_by[h];
            }
            ci_lanes_axpy(pull_by, k, pull);
            ci_lanes_axpy(p, k, mean);
            ci_edge_put(at, e, p, dp, back.edge);
        }
        CI_EACH_LANE(at, if (in) {
            const int64_t to = (int64_t)i * D + d;
            back.dq[to] = ci_conv_root(at.C) * fmaf(-t[h], mean.v[h][k], pull.v[h][k]);
            if (back.dskip) back.dskip[to] = dy.v[h][k];
        })
        ci_edges_finish(at, first, last, t, ci_conv_root(at.C), back.edge);
    }
}

/** One warp per (source j, up to four heads), lanes over channels: dk = sum over its out-edges of ds q[i], dv of p dy[i]. */
template <int NV> static __global__ void transformer_by_source(const ci_k_batch b, const ci_k_transformer g, const ci_k_transformer_back back)
{
    constexpr int HN = CI_CONV_HEADS(NV);
    const ci_conv_at at = ci_conv_here<NV>(g.dim);
    const int n = ci_rows_here(b, CI_ROWS_NODE), D = at.H * at.C, step = (int)gridDim.x * CI_CONV_WARPS;
    for (int j = (int)blockIdx.x * CI_CONV_WARPS + ci_conv_warp(); j < n; j += step) {
        const int last = b.out_first[j + 1];
        ci_lanes<HN, NV> dk = ci_lanes_zero<HN, NV>(), dv = dk;
        for (int x = b.out_first[j]; x < last; x++) {
            const int e = b.out_edge[x];
            const int64_t i = b.in_dst[e];
            float p[HN], ds[HN];
            ci_edge_get(at, e, back.edge, p, ds);
            ci_lanes_axpy(ds, ci_lanes_load<HN, NV>(at, g.q + i * D), dk);
            ci_lanes_axpy(p, ci_lanes_load<HN, NV>(at, back.dy + i * D), dv);
        }
        ci_lanes_store(at, dk, back.dk + (int64_t)j * D);
        ci_lanes_store(at, dv, back.dv + (int64_t)j * D);
    }
}

/** The gradient of w_e, sum_e (ds q[i] + p dy[i]) f[e]: a block per (slice of a shard's edges, 32 channels), see edge.h; FN features at
 *  a time, each of them a register of sums.  F integer atomics a channel and slice. */
template <int FN> static __global__ void transformer_weights(const ci_k_batch b, const ci_k_transformer g, const ci_k_transformer_back back)
{
    CI_SHARED(float, part);
    const int shard = (int)blockIdx.z, H = g.dim.H, F = g.dim.F, D = H * g.dim.C, tile = (int)blockIdx.y * CI_WARP;
    const int d = tile + (int)threadIdx.x % CI_WARP, h = d / g.dim.C;
    if (shard >= b.step->n_shard) return;
    const int last = ci_shard_first(b, CI_ROWS_EDGE, shard + 1);
    for (int e0 = ci_shard_first(b, CI_ROWS_EDGE, shard) + (int)blockIdx.x * CI_SLICE_ROWS; e0 < last; e0 += (int)gridDim.x * CI_SLICE_ROWS)
        for (int f0 = 0; f0 < F; f0 += FN) {
            const int e1 = CI_MIN(e0 + CI_SLICE_ROWS, last);
            float dw[FN] = {}, *own = ci_slice_own(part, FN);
            for (int e = e0 + ci_conv_warp(); e < e1 && d < D; e += CI_SLICE_WARPS) {
                const int64_t to = (int64_t)b.in_dst[e] * D + d;
                const float *row = g.e + (int64_t)e * F + f0, *x = back.edge + ((int64_t)e * H + h) * 2;
                const float dz = fmaf(__ldg(x), __ldg(back.dy + to), __ldg(x + 1) * __ldg(g.q + to));
#pragma unroll
                for (int f = 0; f < FN; f++)
                    if (f0 + f < F) dw[f] = fmaf(dz, __ldg(row + f), dw[f]);
            }
#pragma unroll
            for (int f = 0; f < FN; f++) own[f * CI_WARP] = dw[f];
            __syncthreads();
            for (int x = (int)threadIdx.x; x < FN * CI_WARP; x += (int)blockDim.x) {
                const int f = f0 + x / CI_WARP, to = tile + x % CI_WARP;
                if (to < D && f < F) ci_grad_put(back.w_e, (int64_t)f * D + to, ci_slice_sum(part, FN, x));
            }
            __syncthreads();
        }
}

void ci_cuda_transformer(ci_dev *dev, const ci_k_batch *b, const ci_k_transformer *g)
{
#define FORWARD(NV, FN) CI_LAUNCH(dev, (transformer_forward<NV, FN>), ci_conv_grid(b, g->dim.H, NV), CI_CONV_THREADS, 0, *b, *g)
    CI_CONV_SHAPE(FORWARD, g->dim.C, g->dim.F);
}

void ci_cuda_transformer_back(ci_dev *dev, const ci_k_batch *b, const ci_k_transformer *g, const ci_k_transformer_back *back)
{
    const int F = g->dim.F, D = g->dim.H * g->dim.C;
#define TARGET(NV, FN) CI_LAUNCH(dev, (transformer_by_target<NV, FN>), ci_conv_grid(b, g->dim.H, NV), CI_CONV_THREADS, 0, *b, *g, *back)
    CI_CONV_SHAPE(TARGET, g->dim.C, F);
#define SOURCE(NV, FN) CI_LAUNCH(dev, (transformer_by_source<NV>), ci_conv_grid(b, g->dim.H, NV), CI_CONV_THREADS, 0, *b, *g, *back)
    CI_CONV_SHAPE(SOURCE, g->dim.C, 0);
#define WEIGHTS(FN)                                                                                                            \
    CI_LAUNCH(dev, (transformer_weights<FN>), ci_slice_grid(b, CI_ROWS_EDGE, D), CI_SLICE_THREADS, ci_slice_bytes(FN), *b, *g, *back)
    if (F && back->w_e.sum) {
        if (F <= 12) WEIGHTS(12);
        else if (F <= 20) WEIGHTS(20);
        else WEIGHTS(32);
    }
}
