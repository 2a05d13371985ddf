/* GATv1 on a device: the twin of cpu/gat_isa.c.  Letters as in ci/ops.h.
 *
 * A score is three numbers: of the source and of the target, which `key` has, and of the edge, a_e . W_e f = sum_f v[f,h] f with
 * v[f,h] = a_e[h] . w_e[f,h], which every block computes for its heads.  So lanes take an edge each where scores are made, and a channel
 * each where rows are added. */
#include "edge.h"

/** v (F, HN) of the block's heads into shared memory; every thread of the block is here. */
template <int HN, int NV> CI_DEVICE void edge_vector(ci_conv_at at, const ci_k_gat &g, float *v)
{
    if (at.F) {
        const ci_lanes<HN, NV> a = ci_lanes_load<HN, NV>(at, g.a_e);
        for (int f = ci_conv_warp(); f < at.F; f += CI_CONV_WARPS) {
            float s[HN];
            ci_lanes_dot(a, ci_lanes_load<HN, NV>(at, g.w_e + (int64_t)f * at.H * at.C), s);
#pragma unroll
            for (int h = 0; h < HN; h++)
                if (at.lane == 0) v[f * HN + h] = s[h];
        }
    }
    __syncthreads();
}

/** Scores of edge e = (j -> i) before the leaky ReLU: one lane, its own edge. */
template <int HN> CI_DEVICE void score(ci_conv_at at, const ci_k_gat &g, const float *v, int e, int j, int i, float (&z)[HN])
{
#pragma unroll
    for (int h = 0; h < HN; h++) {
        const bool in = at.h0 + h < at.H;
        z[h] = in ? __ldg(g.key + ((int64_t)j * at.H + at.h0 + h) * 2) + __ldg(g.key + ((int64_t)i * at.H + at.h0 + h) * 2 + 1) : 0;
    }
    for (int f = 0; f < at.F; f++) {
        const float x = __ldg(g.e + (int64_t)e * at.F + f);
#pragma unroll
        for (int h = 0; h < HN; h++) z[h] = fmaf(x, v[f * HN + h], z[h]);
    }
}

CI_DEVICE float lrelu(float z, float x, float slope) { return z > 0 ? x : x * slope; }

/** One warp per (node i, up to four heads), lanes over channels: both numbers of a node. */
template <int NV> static __global__ void gat_keys(const ci_k_batch b, const ci_k_gat g)
{
    constexpr int HN = CI_CONV_HEADS(NV);
    const ci_conv_at at = ci_conv_here<NV>(g.dim);
    const int n = ci_rows_here(b, CI_ROWS_NODE), D = at.H * at.C, step = (int)gridDim.x * CI_CONV_WARPS;
    const ci_lanes<HN, NV> src = ci_lanes_load<HN, NV>(at, g.a_src), dst = ci_lanes_load<HN, NV>(at, g.a_dst);
    for (int i = (int)blockIdx.x * CI_CONV_WARPS + ci_conv_warp(); i < n; i += step) {
        const ci_lanes<HN, NV> x = ci_lanes_load<HN, NV>(at, g.h + (int64_t)i * D);
        float s[HN], t[HN];
        ci_lanes_dot(src, x, s);
        ci_lanes_dot(dst, x, t);
        ci_edge_put(at, i, s, t, g.key);
    }
}

/** One warp per (target i, up to four heads): 32 in-edges at a time, a lane each, have scores and a softmax that runs along; then lanes
 *  over channels add their rows in order. */
template <int NV> static __global__ void gat_forward(const ci_k_batch b, const ci_k_gat g)
{
    constexpr int HN = CI_CONV_HEADS(NV);
    CI_SHARED(float, v);
    const ci_conv_at at = ci_conv_here<NV>(g.dim);
    const int n = ci_rows_here(b, CI_ROWS_NODE), D = at.H * at.C, step = (int)gridDim.x * CI_CONV_WARPS;
    if ((int)blockIdx.x * CI_CONV_WARPS >= n) return;
    edge_vector<HN, NV>(at, g, v);
    for (int i = (int)blockIdx.x * CI_CONV_WARPS + ci_conv_warp(); i < n; i += step) {
        const int last = b.in_first[i + 1];
        ci_lanes<HN, NV> acc = ci_lanes_zero<HN, NV>();
        ci_running<HN> run;
        ci_running_start(run);
        for (int e0 = b.in_first[i]; e0 < last; e0 += CI_WARP) {
            const int e = e0 + at.lane, count = CI_MIN(CI_WARP, last - e0), j = e < last ? b.in_src[e] : i;
            float p[HN];
            score(at, g, v, e < last ? e : e0, j, i, p);
#pragma unroll
            for (int h = 0; h < HN; h++) {
                const float s = lrelu(p[h], p[h], g.dim.slope), old = run.most[h];
                float most = e < last ? s : old;
                for (int m = CI_WARP / 2; m > 0; m >>= 1) {
                    const float other = __shfl_xor_sync(CI_ALL, most, m);
                    most = other > most ? other : most;
                }
                most = old > most ? old : most;
                const float less = ci_expf(old - most);
                run.most[h] = most;
                p[h] = e < last ? ci_expf(s - most) : 0;
                run.sum[h] = fmaf(run.sum[h], less, ci_warp_sum(p[h]));
#pragma unroll
                for (int k = 0; k < NV; k++) acc.v[h][k] *= less;
            }
            for (int x = 0; x < count; x++) {
                const ci_lanes<HN, NV> row = ci_lanes_load<HN, NV>(at, g.h + (int64_t)__shfl_sync(CI_ALL, j, x) * D);
                float w[HN];
#pragma unroll
                for (int h = 0; h < HN; h++) w[h] = __shfl_sync(CI_ALL, p[h], x);
                ci_lanes_axpy(w, row, acc);
            }
        }
        ci_running_end(at, run, i, g.stat);
        ci_conv_put(b, g.relu, at, i, g.bias, acc, run, g.y);
    }
}

/** One warp per (target i, up to four heads): dp = dy . h[j] by all lanes, the rest by the lane that has the edge: p, and when all
 *  in-edges have added to t = sum_e p dp, the gradient dz = p (dp - t) lrelu'(z), whose sum is the target's share. */
template <int NV> static __global__ void gat_by_target(const ci_k_batch b, const ci_k_gat g, const ci_k_gat_back back)
{
    constexpr int HN = CI_CONV_HEADS(NV);
    CI_SHARED(float, v);
    const ci_conv_at at = ci_conv_here<NV>(g.dim);
    const int n = ci_rows_here(b, CI_ROWS_NODE), D = at.H * at.C, step = (int)gridDim.x * CI_CONV_WARPS;
    if ((int)blockIdx.x * CI_CONV_WARPS >= n) return;
    edge_vector<HN, NV>(at, g, v);
    for (int i = (int)blockIdx.x * CI_CONV_WARPS + ci_conv_warp(); i < n; i += step) {
        const ci_lanes<HN, NV> dy = ci_lanes_dy<HN, NV>(b, at, back.dy, back.gated, g.y, i);
        const int first = b.in_first[i], last = b.in_first[i + 1];
        ci_running<HN> stat;
        float t[HN] = {}, sum[HN] = {}, z[HN];
        ci_running_load(at, stat, i, g.stat);
        for (int e0 = first; e0 < last; e0 += CI_WARP) {
            const int e = e0 + at.lane, count = CI_MIN(CI_WARP, last - e0), j = e < last ? b.in_src[e] : i;
            float dp[HN] = {};
            for (int x = 0; x < count; x++) {
                float s[HN];
                ci_lanes_dot(dy, ci_lanes_load<HN, NV>(at, g.h + (int64_t)__shfl_sync(CI_ALL, j, x) * D), s);
#pragma unroll
                for (int h = 0; h < HN; h++)
                    if (x == at.lane) dp[h] = s[h];
            }
            if (e >= last) continue; /* no lane is waited for behind this */
            score(at, g, v, e, j, i, z);
#pragma unroll
            for (int h = 0; h < HN; h++) {
                if (at.h0 + h >= at.H) continue;
                float *x = back.edge + ((int64_t)e * at.H + at.h0 + h) * 2;
                x[0] = ci_expf(lrelu(z[h], z[h], g.dim.slope) - stat.most[h]) * stat.sum[h];
                x[1] = dp[h];
                t[h] = fmaf(x[0], dp[h], t[h]);
            }
        }
#pragma unroll
        for (int h = 0; h < HN; h++) t[h] = ci_warp_sum(t[h]);
        for (int e = first + at.lane; e < last; e += CI_WARP) { /* each lane its own again */
            score(at, g, v, e, b.in_src[e], i, z);
#pragma unroll
            for (int h = 0; h < HN; h++) {
                if (at.h0 + h >= at.H) continue;
                float *x = back.edge + ((int64_t)e * at.H + at.h0 + h) * 2;
                x[1] = lrelu(z[h], x[0] * (x[1] - t[h]), g.dim.slope);
                sum[h] += x[1];
            }
        }
#pragma unroll
        for (int h = 0; h < HN; h++) {
            sum[h] = ci_warp_sum(sum[h]);
            if (at.lane == 0 && at.h0 + h < at.H) back.ds[((int64_t)i * at.H + at.h0 + h) * 2 + 1] = sum[h];
        }
    }
}

/** One warp per (source j, up to four heads), lanes over channels: over its out-edges, in their order, the source's share sum dz, and
 *  dh = sum p dy[i] + (source's share) a_src + (target's share) a_dst. */
template <int NV> static __global__ void gat_by_source(const ci_k_batch b, const ci_k_gat g, const ci_k_gat_back back)
{
    constexpr int HN = CI_CONV_HEADS(NV);
    const ci_conv_at at = ci_conv_here<NV>(g.dim);
    const int n = ci_rows_here(b, CI_ROWS_NODE), D = at.H * at.C, step = (int)gridDim.x * CI_CONV_WARPS;
    const ci_lanes<HN, NV> src = ci_lanes_load<HN, NV>(at, g.a_src), dst = ci_lanes_load<HN, NV>(at, g.a_dst);
    for (int j = (int)blockIdx.x * CI_CONV_WARPS + ci_conv_warp(); j < n; j += step) {
        const int last = b.out_first[j + 1];
        ci_lanes<HN, NV> dh = ci_lanes_zero<HN, NV>();
        float share[HN] = {}, target[HN];
        for (int q = b.out_first[j]; q < last; q++) {
            const int e = b.out_edge[q];
            float p[HN], dz[HN];
            ci_edge_get(at, e, back.edge, p, dz);
            ci_lanes_axpy(p, ci_lanes_load<HN, NV>(at, back.dy + (int64_t)b.in_dst[e] * D), dh);
#pragma unroll
            for (int h = 0; h < HN; h++) share[h] += dz[h];
        }
#pragma unroll
        for (int h = 0; h < HN; h++) {
            const int64_t x = ((int64_t)j * at.H + at.h0 + h) * 2;
            target[h] = at.h0 + h < at.H ? back.ds[x + 1] : 0;
            if (at.lane == 0 && at.h0 + h < at.H) back.ds[x] = share[h];
        }
        ci_lanes_axpy(share, src, dh);
        ci_lanes_axpy(target, dst, dh);
        ci_lanes_store(at, dh, back.dh + (int64_t)j * D);
    }
}

/** Gradients of bias, a_src and a_dst: a block per (slice of a shard's nodes, 32 channels), see edge.h. */
static __global__ void gat_node_weights(const ci_k_batch b, const ci_k_gat g, const ci_k_gat_back back)
{
    CI_SHARED(float, part);
    const int shard = (int)blockIdx.z, H = g.dim.H, D = H * g.dim.C, tile = (int)blockIdx.y * CI_WARP;
    const int d = tile + (int)threadIdx.x % CI_WARP, h = d / g.dim.C;
    if (shard >= b.step->n_shard) return;
    const int last = ci_shard_first(b, CI_ROWS_NODE, shard + 1);
    for (int i0 = ci_shard_first(b, CI_ROWS_NODE, shard) + (int)blockIdx.x * CI_SLICE_ROWS; i0 < last; i0 += (int)gridDim.x * CI_SLICE_ROWS) {
        const int i1 = CI_MIN(i0 + CI_SLICE_ROWS, last);
        float src = 0, dst = 0, bias = 0, *own = ci_slice_own(part, 3);
        for (int i = i0 + ci_conv_warp(); i < i1 && d < D; i += CI_SLICE_WARPS) {
            const float x = __ldg(g.h + (int64_t)i * D + d), *ds = back.ds + ((int64_t)i * H + h) * 2;
            src = fmaf(__ldg(ds), x, src);
            dst = fmaf(__ldg(ds + 1), x, dst);
            bias += __ldg(back.dy + (int64_t)i * D + d);
        }
        own[0] = src;
        own[CI_WARP] = dst;
        own[2 * CI_WARP] = bias;
        __syncthreads();
        const int x = (int)threadIdx.x, to = tile + x % CI_WARP;
        if (x < 3 * CI_WARP && to < D) {
            const ci_k_grad grad = x < CI_WARP ? back.a_src : x < 2 * CI_WARP ? back.a_dst : back.bias;
            if (grad.sum) ci_grad_put(grad, to, ci_slice_sum(part, 3, x));
        }
        __syncthreads();
    }
}

/** Gradients of w_e and a_e: a block per (slice of a shard's edges, head): with de[f] = sum_e dz f[e,f], warps over edges, lanes over
 *  features, they are dw_e[f] = de[f] a_e and da_e = sum_f de[f] w_e[f].  (F + 1) C integer atomics. */
static __global__ void gat_edge_weights(const ci_k_batch b, const ci_k_gat g, const ci_k_gat_back back)
{
    CI_SHARED(float, part); /* and behind it de (F) */
    const int shard = (int)blockIdx.z, h = (int)blockIdx.y, lane = (int)threadIdx.x % CI_WARP, H = g.dim.H, C = g.dim.C, F = g.dim.F, D = H * C;
    float *de = part + CI_SLICE_THREADS;
    if (shard >= b.step->n_shard) return;
    const int last = ci_shard_first(b, CI_ROWS_EDGE, shard + 1);
    for (int e0 = ci_shard_first(b, CI_ROWS_EDGE, shard) + (int)blockIdx.x * CI_SLICE_ROWS; e0 < last; e0 += (int)gridDim.x * CI_SLICE_ROWS) {
        const int e1 = CI_MIN(e0 + CI_SLICE_ROWS, last);
        for (int f0 = 0; f0 < F; f0 += CI_WARP) {
            float sum = 0;
            for (int e = e0 + ci_conv_warp(); e < e1 && f0 + lane < F; e += CI_SLICE_WARPS)
                sum = fmaf(__ldg(back.edge + ((int64_t)e * H + h) * 2 + 1), __ldg(g.e + (int64_t)e * F + f0 + lane), sum);
            *ci_slice_own(part, 1) = sum;
            __syncthreads();
            if (ci_conv_warp() == 0 && f0 + lane < F) de[f0 + lane] = ci_slice_sum(part, 1, lane);
            __syncthreads();
        }
        for (int x = (int)threadIdx.x; x < F * C && back.w_e.sum; x += (int)blockDim.x)
            ci_grad_put(back.w_e, (int64_t)(x / C) * D + h * C + x % C, de[x / C] * g.a_e[h * C + x % C]);
        for (int c = (int)threadIdx.x; c < C && back.a_e.sum; c += (int)blockDim.x) {
            float sum = 0;
            for (int f = 0; f < F; f++) sum = fmaf(de[f], g.w_e[(int64_t)f * D + h * C + c], sum);
            ci_grad_put(back.a_e, h * C + c, sum);
        }
        __syncthreads();
    }
}

static size_t vector_bytes(const ci_k_gat *g, int NV) { return (size_t)g->dim.F * CI_CONV_HEADS(NV) * sizeof(float); }

void ci_cuda_gat(ci_dev *dev, const ci_k_batch *b, const ci_k_gat *g)
{
#define KEYS(NV, FN) CI_LAUNCH(dev, (gat_keys<NV>), ci_conv_grid(b, g->dim.H, NV), CI_CONV_THREADS, 0, *b, *g)
    CI_CONV_SHAPE(KEYS, g->dim.C, 0);
#define FORWARD(NV, FN) CI_LAUNCH(dev, (gat_forward<NV>), ci_conv_grid(b, g->dim.H, NV), CI_CONV_THREADS, vector_bytes(g, NV), *b, *g)
    CI_CONV_SHAPE(FORWARD, g->dim.C, 0);
}

void ci_cuda_gat_back(ci_dev *dev, const ci_k_batch *b, const ci_k_gat *g, const ci_k_gat_back *back)
{
    const dim3 edges = ci_slice_grid(b, CI_ROWS_EDGE, 1);
#define TARGET(NV, FN) CI_LAUNCH(dev, (gat_by_target<NV>), ci_conv_grid(b, g->dim.H, NV), CI_CONV_THREADS, vector_bytes(g, NV), *b, *g, *back)
    CI_CONV_SHAPE(TARGET, g->dim.C, 0);
#define SOURCE(NV, FN) CI_LAUNCH(dev, (gat_by_source<NV>), ci_conv_grid(b, g->dim.H, NV), CI_CONV_THREADS, 0, *b, *g, *back)
    CI_CONV_SHAPE(SOURCE, g->dim.C, 0);
    CI_LAUNCH(dev, gat_node_weights, ci_slice_grid(b, CI_ROWS_NODE, g->dim.H * g->dim.C), CI_SLICE_THREADS, ci_slice_bytes(3), *b, *g, *back);
    if (g->dim.F && (back->w_e.sum || back->a_e.sum))
        CI_LAUNCH(dev, gat_edge_weights, dim3(edges.x, (unsigned)g->dim.H, edges.z), CI_SLICE_THREADS,
                  ci_slice_bytes(1) + (size_t)g->dim.F * sizeof(float), *b, *g, *back);
}
