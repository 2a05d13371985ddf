#ifndef CI_CUDA_EDGE_H
#define CI_CUDA_EDGE_H
/** What the convolutions share on a device.  .cu files of this folder alone.
 *
 *  A warp has one node and up to HN heads of it; lane c has channels c, c + 32, ... of each head, NV of them, in registers.  W_e f of an
 *  edge is computed where it is wanted, from columns of w_e that lanes keep (FN of them) or read (FN 0): one chain of fused steps, so
 *  every pass sees the bits of the others.  Lanes behind the last channel or head have zeros. */
#include "ci/kernel.h"

static constexpr int CI_CONV_WARPS = 4;     /* of a block whose warps have nodes: it needs many registers                           */
#ifdef CI_EMULATED
static constexpr int CI_CONV_BLOCKS = 16;   /* so few that tests have warps with more than one node                                 */
#else
static constexpr int CI_CONV_BLOCKS = 1056; /* along x: enough for any device, and each warp keeps its columns of w_e for many nodes */
#endif
static constexpr int CI_SLICE_WARPS = 8;    /* of a block that sums over a slice                                                    */
static constexpr int CI_SLICE_ROWS = 512;   /* rows of a shard whose gradient of a weight is one float                              */
#define CI_CONV_THREADS (CI_CONV_WARPS * (int)CI_WARP)
#define CI_SLICE_THREADS (CI_SLICE_WARPS * (int)CI_WARP)

/** Heads a warp takes at once: four registers a row, or NV. */
#define CI_CONV_HEADS(NV) ((NV) == 1 ? 4 : (NV) == 2 ? 2 : 1)

template <int HN, int NV> struct ci_lanes { float v[HN][NV]; };
template <int HN, int NV, int FN> struct ci_columns { ci_lanes<HN, NV> f[FN ? FN : 1]; };

/** Where in a row a warp is. */
struct ci_conv_at { int H, C, F, h0, lane; };

/** call(h, k, d): channel d of the row stands in v[h][k]. */
#define CI_EACH_LANE(at, call)                                                        \
    _Pragma("unroll") for (int h = 0; h < HN; h++) _Pragma("unroll") for (int k = 0; k < NV; k++)  \
    {                                                                                 \
        const int c_ = (at).lane + k * CI_WARP, d = ((at).h0 + h) * (at).C + c_;      \
        const bool in = c_ < (at).C && (at).h0 + h < (at).H;                          \
        call;                                                                         \
    }

template <int HN, int NV> CI_DEVICE ci_lanes<HN, NV> ci_lanes_load(ci_conv_at at, const float *row)
{
    ci_lanes<HN, NV> x;
    CI_EACH_LANE(at, x.v[h][k] = in ? __ldg(row + d) : 0)
    return x;
}

template <int HN, int NV> CI_DEVICE void ci_lanes_store(ci_conv_at at, const ci_lanes<HN, NV> &x, float *row)
{
    CI_EACH_LANE(at, if (in) row[d] = x.v[h][k])
}

/** Row i of dy; of `gated` what relu_back leaves, in its place: warps of by_target alone, which share no element. */
template <int HN, int NV>
CI_DEVICE ci_lanes<HN, NV> ci_lanes_dy(const ci_k_batch &b, ci_conv_at at, const float *dy, float *gated, const float *y, int i)
{
    const int64_t row = (int64_t)i * at.H * at.C;
    const float keep = b.training ? b.step->keep : 1;
    ci_lanes<HN, NV> x;
    if (!gated) return ci_lanes_load<HN, NV>(at, dy + row);
    CI_EACH_LANE(at, x.v[h][k] = in && y[row + d] > 0 ? gated[row + d] * keep : 0; if (in) gated[row + d] = x.v[h][k])
    return x;
}

template <int HN, int NV> CI_DEVICE ci_lanes<HN, NV> ci_lanes_zero(void)
{
    ci_lanes<HN, NV> x = {};
    return x;
}

/** s[h] = x . y by head, in every lane. */
template <int HN, int NV> CI_DEVICE void ci_lanes_dot(const ci_lanes<HN, NV> &x, const ci_lanes<HN, NV> &y, float (&s)[HN])
{
#pragma unroll
    for (int h = 0; h < HN; h++) {
        s[h] = 0;
#pragma unroll
        for (int k = 0; k < NV; k++) s[h] = fmaf(x.v[h][k], y.v[h][k], s[h]);
    }
#pragma unroll
    for (int m = CI_WARP / 2; m > 0; m >>= 1)
#pragma unroll
        for (int h = 0; h < HN; h++) s[h] += __shfl_xor_sync(CI_ALL, s[h], m); /* heads side by side: their latencies overlap */
}

/** y = s x + y by head. */
template <int HN, int NV> CI_DEVICE void ci_lanes_axpy(const float (&s)[HN], const ci_lanes<HN, NV> &x, ci_lanes<HN, NV> &y)
{
#pragma unroll
    for (int h = 0; h < HN; h++)
#pragma unroll
        for (int k = 0; k < NV; k++) y.v[h][k] = fmaf(s[h], x.v[h][k], y.v[h][k]);
}

template <int HN, int NV, int FN> CI_DEVICE void ci_columns_load(ci_conv_at at, const float *w_e, ci_columns<HN, NV, FN> &w)
{
#pragma unroll
    for (int f = 0; f < FN; f++)
        w.f[f] = f < at.F ? ci_lanes_load<HN, NV>(at, w_e + (int64_t)f * at.H * at.C) : ci_lanes_zero<HN, NV>();
}

/** W_e f of one edge, f ascending; 0 with F 0. */
template <int HN, int NV, int FN>
CI_DEVICE ci_lanes<HN, NV> ci_edge_project(ci_conv_at at, const ci_columns<HN, NV, FN> &w, const float *w_e, const float *e, int edge)
{
    ci_lanes<HN, NV> z = ci_lanes_zero<HN, NV>();
    const float *row = e + (int64_t)edge * at.F;
    if (FN) {
#pragma unroll
        for (int f = 0; f < FN; f++)
            if (f < at.F) {
                const float x = __ldg(row + f);
                CI_EACH_LANE(at, (void)d; (void)in; z.v[h][k] = fmaf(w.f[f].v[h][k], x, z.v[h][k]))
            }
    } else {
        for (int f = 0; f < at.F; f++) {
            const float x = __ldg(row + f), *column = w_e + (int64_t)f * at.H * at.C;
            CI_EACH_LANE(at, if (in) z.v[h][k] = fmaf(__ldg(column + d), x, z.v[h][k]))
        }
    }
    return z;
}

/** Softmax while scores come in: acc and sum are of exp(s - most). */
template <int HN> struct ci_running { float most[HN], sum[HN]; };

template <int HN> CI_DEVICE void ci_running_start(ci_running<HN> &r)
{
#pragma unroll
    for (int h = 0; h < HN; h++) {
        r.most[h] = -1.0f / 0.0f;
        r.sum[h] = 0;
    }
}

/** One more score a head, with the row x that it weighs. */
template <int HN, int NV>
CI_DEVICE void ci_running_add(ci_running<HN> &r, ci_lanes<HN, NV> &acc, const float (&s)[HN], const ci_lanes<HN, NV> &x)
{
#pragma unroll
    for (int h = 0; h < HN; h++) {
        if (s[h] > r.most[h]) { /* the same in all lanes */
            const float less = ci_expf(r.most[h] - s[h]);
            r.most[h] = s[h];
            r.sum[h] *= less;
#pragma unroll
            for (int k = 0; k < NV; k++) acc.v[h][k] *= less;
        }
        const float w = ci_expf(s[h] - r.most[h]); /* not a number where a score is none, or infinite */
        r.sum[h] += w;
#pragma unroll
        for (int k = 0; k < NV; k++) acc.v[h][k] = fmaf(w, x.v[h][k], acc.v[h][k]);
    }
}

/** r.sum becomes 1 / (sum + 1e-16); both are kept for backward, (nodes, H, 2). */
template <int HN> CI_DEVICE void ci_running_end(ci_conv_at at, ci_running<HN> &r, int node, float *stat)
{
#pragma unroll
    for (int h = 0; h < HN; h++) {
        r.sum[h] = 1 / (r.sum[h] + 1e-16f);
        if (at.lane == 0 && at.h0 + h < at.H) {
            float *s = stat + ((int64_t)node * at.H + at.h0 + h) * 2;
            s[0] = r.most[h];
            s[1] = r.sum[h];
        }
    }
}

template <int HN> CI_DEVICE void ci_running_load(ci_conv_at at, ci_running<HN> &r, int node, const float *stat)
{
#pragma unroll
    for (int h = 0; h < HN; h++) {
        const bool in = at.h0 + h < at.H;
        const float *s = stat + ((int64_t)node * at.H + at.h0 + h) * 2;
        r.most[h] = in ? __ldg(s) : 0;
        r.sum[h] = in ? __ldg(s + 1) : 0;
    }
}

/** y[i] = relu(start + acc / sum). */
template <int HN, int NV>
CI_DEVICE void ci_conv_put(const ci_k_batch &b, ci_k_relu relu, ci_conv_at at, int node, const float *start, ci_lanes<HN, NV> &acc,
                           const ci_running<HN> &r, float *y)
{
    const int D = at.H * at.C;
    CI_EACH_LANE(at, if (in) {
        const float v = fmaf(acc.v[h][k], r.sum[h], start ? __ldg(start + d) : 0);
        y[(int64_t)node * D + d] = relu.on ? ci_relu_value(b, CI_ROWS_NODE, D, relu.operation, node, d, v) : v;
    })
}

/** Edges and heads of one node between two loops of backward: (p, dp) become (p, scale p (dp - t)); lanes take an edge each.  Lane 0
 *  wrote, all lanes may read afterwards. */
template <int HN> CI_DEVICE void ci_edges_finish(ci_conv_at at, int first, int last, const float (&t)[HN], float scale, float *edge)
{
    __syncwarp();
    for (int e = first + at.lane; e < last; e += CI_WARP)
#pragma unroll
        for (int h = 0; h < HN; h++)
            if (at.h0 + h < at.H) {
                float *x = edge + ((int64_t)e * at.H + at.h0 + h) * 2;
                x[1] = scale * (x[0] * (x[1] - t[h]));
            }
}

template <int HN> CI_DEVICE void ci_edge_put(ci_conv_at at, int e, const float (&p)[HN], const float (&dp)[HN], float *edge)
{
    if (at.lane) return;
#pragma unroll
    for (int h = 0; h < HN; h++)
        if (at.h0 + h < at.H) {
            float *x = edge + ((int64_t)e * at.H + at.h0 + h) * 2;
            x[0] = p[h];
            x[1] = dp[h];
        }
}

template <int HN> CI_DEVICE void ci_edge_get(ci_conv_at at, int e, const float *edge, float (&p)[HN], float (&ds)[HN])
{
#pragma unroll
    for (int h = 0; h < HN; h++) {
        const bool in = at.h0 + h < at.H;
        const float *x = edge + ((int64_t)e * at.H + at.h0 + h) * 2;
        p[h] = in ? __ldg(x) : 0;
        ds[h] = in ? __ldg(x + 1) : 0;
    }
}

/** What scores of attention are multiplied with. */
CI_DEVICE float ci_conv_root(int C) { return 1 / sqrtf((float)C); }

CI_DEVICE int ci_conv_warp(void) { return (int)threadIdx.x / CI_WARP; }

template <int NV> CI_DEVICE ci_conv_at ci_conv_at_block(ci_gatv2_dim dim, int y)
{
    ci_conv_at at = {dim.H, dim.C, dim.F, y * CI_CONV_HEADS(NV), (int)threadIdx.x % CI_WARP};
    return at;
}
template <int NV> CI_DEVICE ci_conv_at ci_conv_here(ci_gatv2_dim dim) { return ci_conv_at_block<NV>(dim, (int)blockIdx.y); }

/* ---- gradients of parameters ----
 *
 * A shard's rows are cut into slices of CI_SLICE_ROWS, the last one shorter: that depends on the shard alone.  A block has a slice and 32
 * columns: warp w adds rows w, w + 8, ... of it, lanes are columns, then the eight sums of each element are added in the order of the
 * warps and put.  part: (CI_SLICE_WARPS, n, 32) floats of shared memory, element (x, lane) of the warp at [x 32 + lane]. */
CI_DEVICE float *ci_slice_own(float *part, int n) { return part + ci_conv_warp() * n * CI_WARP + (int)threadIdx.x % CI_WARP; }

CI_DEVICE float ci_slice_sum(const float *part, int n, int x)
{
    float s = part[x];
    for (int w = 1; w < CI_SLICE_WARPS; w++) s += part[w * n * CI_WARP + x];
    return s;
}

/** Column sums of dy (rows, cols) of each shard: grid (slices, columns / 32, shards). */
static __global__ void conv_column_sums(const ci_k_batch b, int cols, const float *dy, ci_k_grad grad)
{
    CI_SHARED(float, part);
    const int shard = (int)blockIdx.z, d = (int)blockIdx.y * CI_WARP + (int)threadIdx.x % CI_WARP;
    if (shard >= b.step->n_shard) return;
    const int last = ci_shard_first(b, CI_ROWS_NODE, shard + 1);
    for (int r0 = ci_shard_first(b, CI_ROWS_NODE, shard) + (int)blockIdx.x * CI_SLICE_ROWS; r0 < last; r0 += (int)gridDim.x * CI_SLICE_ROWS) {
        const int r1 = CI_MIN(r0 + CI_SLICE_ROWS, last);
        float sum = 0;
        for (int r = r0 + ci_conv_warp(); r < r1 && d < cols; r += CI_SLICE_WARPS) sum += __ldg(dy + (int64_t)r * cols + d);
        *ci_slice_own(part, 1) = sum;
        __syncthreads();
        if (ci_conv_warp() == 0 && d < cols) ci_grad_put(grad, d, ci_slice_sum(part, 1, (int)threadIdx.x));
        __syncthreads();
    }
}

/** Blocks for slices of shards of the most rows there can be; shards of other sizes than the mean loop more or less. */
static inline dim3 ci_slice_grid(const ci_k_batch *b, ci_rows rows, int columns)
{
    const int64_t each = (int64_t)CI_SLICE_ROWS * (b->most_shard > 0 ? b->most_shard : 1);
    return dim3(ci_blocks(b->most[rows], each), ci_blocks(columns, CI_WARP), (unsigned)(b->most_shard > 0 ? b->most_shard : 1));
}

static inline size_t ci_slice_bytes(int n) { return (size_t)CI_SLICE_WARPS * n * CI_WARP * sizeof(float); }

static inline void ci_conv_bias_back(ci_dev *dev, const ci_k_batch *b, int cols, const float *dy, ci_k_grad grad)
{
    if (!grad.sum) return;
    CI_LAUNCH(dev, conv_column_sums, ci_slice_grid(b, CI_ROWS_NODE, cols), CI_SLICE_THREADS, ci_slice_bytes(1), *b, cols, dy, grad);
}

static inline dim3 ci_conv_grid(const ci_k_batch *b, int H, int NV)
{
    const unsigned x = ci_blocks(b->most[CI_ROWS_NODE], CI_CONV_WARPS);
    return dim3(x < (unsigned)CI_CONV_BLOCKS ? x : (unsigned)CI_CONV_BLOCKS, ci_blocks(H, CI_CONV_HEADS(NV)));
}

/** call(NV, FN) for C channels a head and F features an edge: w_e is kept while it fits beside the rows. */
#define CI_CONV_F(call, NV, F)                 \
    do {                                       \
        if ((F) == 0 || (F) > 20) call(NV, 0); \
        else if ((F) <= 12) call(NV, 12);      \
        else call(NV, 20);                     \
    } while (0)
#define CI_CONV_SHAPE(call, C, F)                \
    do {                                         \
        if ((C) <= 32) CI_CONV_F(call, 1, F);    \
        else if ((C) <= 64) CI_CONV_F(call, 2, F); \
        else if ((C) <= 128) call(4, 0);         \
        else if ((C) <= 256) call(8, 0);         \
        else if ((C) <= 512) call(16, 0);        \
        else call(32, 0);                        \
    } while (0)

#endif
