/* Attention of all nodes of a graph to all of them on a device, and the mean of heads: twins of cpu/attention_isa.c. */
#include "edge.h"

template <int NV> CI_DEVICE ci_conv_at here(int H, int C)
{
    const ci_gatv2_dim dim = {H, C, 0, 0};
    return ci_conv_here<NV>(dim);
}

/** One warp per (row i, up to four heads), lanes over channels: q[i] stays in registers, k and v of the graph pass by in order, which the
 *  graph's other rows find in the cache; a softmax that runs along, so a graph may be of any size. */
template <int NV> static __global__ void attention_forward(const ci_k_batch b, const ci_k_attention g)
{
    constexpr int HN = CI_CONV_HEADS(NV);
    const ci_conv_at at = here<NV>(g.H, g.C);
    const int n = ci_rows_here(b, CI_ROWS_NODE), D = at.H * at.C, step = (int)gridDim.x * CI_CONV_WARPS;
    const ci_k_relu none = {0, 0};
    for (int i = (int)blockIdx.x * CI_CONV_WARPS + ci_conv_warp(); i < n; i += step) {
        const int graph = b.row_graph[CI_ROWS_NODE][i], last = b.graph_first[CI_ROWS_NODE][graph + 1];
        const ci_lanes<HN, NV> q = ci_lanes_load<HN, NV>(at, g.q + (int64_t)i * D);
        ci_lanes<HN, NV> acc = ci_lanes_zero<HN, NV>();
        ci_running<HN> run;
        ci_running_start(run);
        for (int j = b.graph_first[CI_ROWS_NODE][graph]; j < last; j++) {
            float s[HN];
            ci_lanes_dot(q, ci_lanes_load<HN, NV>(at, g.k + (int64_t)j * D), s);
#pragma unroll
            for (int h = 0; h < HN; h++) s[h] *= ci_conv_root(at.C);
            ci_running_add(run, acc, s, ci_lanes_load<HN, NV>(at, g.v + (int64_t)j * D));
        }
        ci_running_end(at, run, i, g.stat);
        ci_conv_put(b, none, at, i, NULL, acc, run, g.y);
    }
}

/** One warp per (row i, up to four heads), lanes over channels: t = sum_j p dp, and
 *  dq = sum_j p (dp - t) k[j] / sqrt(C) = (sum_j p dp k[j] - t sum_j p k[j]) / sqrt(C). */
template <int NV> static __global__ void attention_by_target(const ci_k_batch b, const ci_k_attention g, const ci_k_attention_back back)
{
    constexpr int HN = CI_CONV_HEADS(NV);
    const ci_conv_at at = here<NV>(g.H, g.C);
    const int n = ci_rows_here(b, CI_ROWS_NODE), D = at.H * at.C, step = (int)gridDim.x * CI_CONV_WARPS;
    for (int i = (int)blockIdx.x * CI_CONV_WARPS + ci_conv_warp(); i < n; i += step) {
        const int graph = b.row_graph[CI_ROWS_NODE][i], last = b.graph_first[CI_ROWS_NODE][graph + 1];
        const ci_lanes<HN, NV> q = ci_lanes_load<HN, NV>(at, g.q + (int64_t)i * D), dy = ci_lanes_load<HN, NV>(at, back.dy + (int64_t)i * D);
        ci_lanes<HN, NV> pull = ci_lanes_zero<HN, NV>(), mean = pull;
        ci_running<HN> stat;
        float t[HN] = {};
        ci_running_load(at, stat, i, g.stat);
        for (int j = b.graph_first[CI_ROWS_NODE][graph]; j < last; j++) {
            const ci_lanes<HN, NV> k = ci_lanes_load<HN, NV>(at, g.k + (int64_t)j * D);
            float p[HN], dp[HN], pull_by[HN];
            ci_lanes_dot(q, k, p);
            ci_lanes_dot(dy, ci_lanes_load<HN, NV>(at, g.v + (int64_t)j * D), dp);
#pragma unroll
            for (int h = 0; h < HN; h++) {
                p[h] = ci_expf(p[h] * ci_conv_root(at.C) - stat.most[h]) * stat.sum[h];
                pull_by[h] = p[h] * dp[h];
                t[h] += pull_by[h];
            }
            ci_lanes_axpy(pull_by, k, pull);
            ci_lanes_axpy(p, k, mean);
        }
        CI_EACH_LANE(at, {
            if (in) back.dq[(int64_t)i * D + d] = ci_conv_root(at.C) * fmaf(-t[h], mean.v[h][k], pull.v[h][k]);
            if (at.lane == 0 && k == 0 && at.h0 + h < at.H) back.t[(int64_t)i * at.H + at.h0 + h] = t[h];
        })
    }
}

/** One warp per (column j, up to four heads), lanes over channels: k[j] and v[j] stay in registers, the rows of the graph pass by in
 *  order: dk = sum_i p (dp - t[i]) q[i] / sqrt(C), dv = sum_i p dy[i]. */
template <int NV> static __global__ void attention_by_source(const ci_k_batch b, const ci_k_attention g, const ci_k_attention_back back)
{
    constexpr int HN = CI_CONV_HEADS(NV);
    const ci_conv_at at = here<NV>(g.H, g.C);
    const int n = ci_rows_here(b, CI_ROWS_NODE), D = at.H * at.C, step = (int)gridDim.x * CI_CONV_WARPS;
    for (int j = (int)blockIdx.x * CI_CONV_WARPS + ci_conv_warp(); j < n; j += step) {
        const int graph = b.row_graph[CI_ROWS_NODE][j], last = b.graph_first[CI_ROWS_NODE][graph + 1];
        const ci_lanes<HN, NV> k = ci_lanes_load<HN, NV>(at, g.k + (int64_t)j * D), v = ci_lanes_load<HN, NV>(at, g.v + (int64_t)j * D);
        ci_lanes<HN, NV> dk = ci_lanes_zero<HN, NV>(), dv = dk;
        for (int i = b.graph_first[CI_ROWS_NODE][graph]; i < last; i++) {
            const ci_lanes<HN, NV> q = ci_lanes_load<HN, NV>(at, g.q + (int64_t)i * D), dy = ci_lanes_load<HN, NV>(at, back.dy + (int64_t)i * D);
            ci_running<HN> stat;
            float p[HN], ds[HN];
            ci_running_load(at, stat, i, g.stat);
            ci_lanes_dot(q, k, p);
            ci_lanes_dot(dy, v, ds);
#pragma unroll
            for (int h = 0; h < HN; h++) {
                const float t = at.h0 + h < at.H ? __ldg(back.t + (int64_t)i * at.H + at.h0 + h) : 0;
                p[h] = ci_expf(p[h] * ci_conv_root(at.C) - stat.most[h]) * stat.sum[h];
                ds[h] = ci_conv_root(at.C) * (p[h] * (ds[h] - t));
            }
            ci_lanes_axpy(ds, q, dk);
            ci_lanes_axpy(p, dy, dv);
        }
        ci_lanes_store(at, dk, back.dk + (int64_t)j * D);
        ci_lanes_store(at, dv, back.dv + (int64_t)j * D);
    }
}

/** A thread an element of y: heads in order, the chain of the processor's. */
static __global__ void heads_mean(const ci_k_batch b, int H, int C, const float *x, const float *bias, float *y)
{
    const int64_t n = (int64_t)ci_rows_here(b, CI_ROWS_NODE) * C;
    for (int64_t at = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; at < n; at += (int64_t)gridDim.x * blockDim.x) {
        const int64_t i = at / C;
        const int c = (int)(at % C);
        float sum = 0;
        for (int h = 0; h < H; h++) sum += x[(i * H + h) * C + c];
        y[at] = sum / (float)H + (bias ? bias[c] : 0.0f);
    }
}

/** A thread an element of dx. */
static __global__ void heads_mean_rows_back(const ci_k_batch b, int H, int C, const float *dy, int add, float *dx)
{
    const int64_t D = (int64_t)H * C, n = ci_rows_here(b, CI_ROWS_NODE) * D;
    for (int64_t at = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; at < n; at += (int64_t)gridDim.x * blockDim.x)
        dx[at] = (add ? dx[at] : 0.0f) + dy[at / D * C + at % C] / (float)H;
}

void ci_cuda_attention(ci_dev *dev, const ci_k_batch *b, const ci_k_attention *g)
{
#define FORWARD(NV, FN) CI_LAUNCH(dev, (attention_forward<NV>), ci_conv_grid(b, g->H, NV), CI_CONV_THREADS, 0, *b, *g)
    CI_CONV_SHAPE(FORWARD, g->C, 0);
}

void ci_cuda_attention_back(ci_dev *dev, const ci_k_batch *b, const ci_k_attention *g, const ci_k_attention_back *back)
{
#define TARGET(NV, FN) CI_LAUNCH(dev, (attention_by_target<NV>), ci_conv_grid(b, g->H, NV), CI_CONV_THREADS, 0, *b, *g, *back)
    CI_CONV_SHAPE(TARGET, g->C, 0);
#define SOURCE(NV, FN) CI_LAUNCH(dev, (attention_by_source<NV>), ci_conv_grid(b, g->H, NV), CI_CONV_THREADS, 0, *b, *g, *back)
    CI_CONV_SHAPE(SOURCE, g->C, 0);
}

/** Blocks of 256 threads for the elements of most rows; no more than fill a device several times over. */
static dim3 element_grid(const ci_k_batch *b, int64_t cols)
{
    const unsigned n = ci_blocks(b->most[CI_ROWS_NODE] * cols, 256);
    return dim3(n < 4096 ? n : 4096);
}

void ci_cuda_heads_mean(ci_dev *dev, const ci_k_batch *b, int32_t H, int32_t C, const float *x, const float *bias, float *y)
{
    CI_LAUNCH(dev, heads_mean, element_grid(b, C), 256, 0, *b, H, C, x, bias, y);
}

void ci_cuda_heads_mean_back(ci_dev *dev, const ci_k_batch *b, int32_t H, int32_t C, const float *dy, int32_t add, float *dx, ci_k_grad bias)
{
    CI_LAUNCH(dev, heads_mean_rows_back, element_grid(b, (int64_t)H * C), 256, 0, *b, H, C, dy, add, dx);
    ci_conv_bias_back(dev, b, C, dy, bias);
}
