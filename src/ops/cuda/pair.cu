/* Samples of a latent distribution, and what passes along raw edges.
 *
 * Whoever owns a row adds to it, in the order of the edges: every element is the chain of operations that the processor has. */
#include "ci/elementary32.h"
#include "ci/kernel.h"

enum { THREADS = 256, WARPS = THREADS / CI_WARP, SAMPLE_THREADS = 128 };

/* ---- samples ---- */

/* Four standard normal numbers, as ci_normal has elements 4 quad .. 4 quad + 3. */
CI_DEVICE void normal_quad(const ci_k_step *s, int64_t graph, uint32_t operation, uint32_t quad, float x[4])
{
    int have0 = 0, have1 = 0;

    for (uint32_t c3 = quad; !have0 || !have1; c3 += 1u << 24) {
        const ci_u32x4 w = ci_philox_words(s->seed, CI_RANDOM_LATENT, s->epoch, (uint32_t)graph, operation, c3);
        if (!have0) have0 = ci_polarf(2.0f * ci_unit(w.v[0]) - 1.0f, 2.0f * ci_unit(w.v[1]) - 1.0f, &x[0], &x[1]);
        if (!have1) have1 = ci_polarf(2.0f * ci_unit(w.v[2]) - 1.0f, 2.0f * ci_unit(w.v[3]) - 1.0f, &x[2], &x[3]);
    }
}

/* exp(v/2) of the clamped logvar; 1 in *pass where the clamp let it through. */
CI_DEVICE float spread(float x, float limit, float *pass)
{
    const float low = x < -limit ? -limit : x, v = low > limit ? limit : low; /* NaN stays */
    *pass = v == x ? 1.0f : 0.0f;
    return ci_exp80f(v * 0.5f);
}

/* A block a graph, a thread four elements of it that share their random words. */
static __global__ void pair_sample(const ci_k_batch b, const ci_k_sample a)
{
    const int g = (int)blockIdx.x;

    if (g >= ci_rows_here(b, CI_ROWS_GRAPH)) return;
    const int64_t first = (int64_t)ci_graph_first(b, CI_ROWS_NODE, g) * a.cols, last = (int64_t)ci_graph_first(b, CI_ROWS_NODE, g + 1) * a.cols;
    for (int64_t quad = threadIdx.x, at = first + 4 * quad; at < last; quad += SAMPLE_THREADS, at += 4 * SAMPLE_THREADS) {
        float x[4], pass;
        if (b.training) normal_quad(b.step, b.graph[g], a.operation, (uint32_t)quad, x);
        for (int k = 0; k < 4; k++) {
            if (at + k >= last) break;
            if (!b.training) {
                a.z[at + k] = a.mu[at + k];
                continue;
            }
            a.eps[at + k] = x[k];
            a.z[at + k] = a.mu[at + k] + x[k] * spread(a.logvar[at + k], a.limit, &pass);
        }
    }
}

void ci_cuda_sample(ci_dev *d, const ci_k_batch *b, const ci_k_sample *a)
{
    CI_LAUNCH(d, pair_sample, ci_blocks(b->most[CI_ROWS_GRAPH], 1), SAMPLE_THREADS, 0, *b, *a);
}

/* A thread an element; reads five floats of it and writes two. */
static __global__ void pair_sample_back(const ci_k_batch b, const ci_k_sample a, const float *dz, float *dmu, float *dlogvar)
{
    const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;

    if (at >= (int64_t)ci_rows_here(b, CI_ROWS_NODE) * a.cols) return;
    float pass;
    const float e = spread(a.logvar[at], a.limit, &pass), d = dz[at];
    dmu[at] += d;
    dlogvar[at] += d * (a.eps[at] * (0.5f * e)) * pass;
}

void ci_cuda_sample_back(ci_dev *d, const ci_k_batch *b, const ci_k_sample *a, const float *dz, float *dmu, float *dlogvar)
{
    CI_LAUNCH(d, pair_sample_back, ci_blocks((int64_t)b->most[CI_ROWS_NODE] * a->cols, THREADS), THREADS, 0, *b, *a, dz, dmu, dlogvar);
}

/* ---- means of neighbours ---- */

/* A warp a node, lanes over columns: a chain over the edges that leave it, ascending. */
static __global__ void pair_neighbour_mean(const ci_k_batch b, int cols, const float *z, float *m)
{
    const int i = (int)(blockIdx.x * WARPS + threadIdx.x / CI_WARP), lane = (int)threadIdx.x % CI_WARP;

    if (i >= ci_rows_here(b, CI_ROWS_NODE)) return;
    const int first = b.raw_out_first[i], last = b.raw_out_first[i + 1];
    for (int c = lane; c < cols; c += CI_WARP) {
        float sum = 0;
        for (int k = first; k < last; k++) sum += z[(int64_t)b.raw_dst[b.raw_out[k]] * cols + c];
        m[(int64_t)i * cols + c] = last - first > 1 ? sum / (float)(last - first) : sum;
    }
}

void ci_cuda_neighbour_mean(ci_dev *d, const ci_k_batch *b, int32_t cols, const float *z, float *m)
{
    CI_LAUNCH(d, pair_neighbour_mean, ci_blocks(b->most[CI_ROWS_NODE], WARPS), THREADS, 0, *b, cols, z, m);
}

/* A warp a node, lanes over columns: a chain over the edges that reach it, ascending. */
static __global__ void pair_neighbour_mean_back(const ci_k_batch b, int cols, const float *dm, float *dz)
{
    const int i = (int)(blockIdx.x * WARPS + threadIdx.x / CI_WARP), lane = (int)threadIdx.x % CI_WARP;

    if (i >= ci_rows_here(b, CI_ROWS_NODE)) return;
    const int first = b.raw_in_first[i], last = b.raw_in_first[i + 1];
    for (int c = lane; c < cols; c += CI_WARP) {
        float sum = dz[(int64_t)i * cols + c];
        for (int k = first; k < last; k++) {
            const int src = b.raw_src[b.raw_in[k]];
            const float share = 1 / (float)(b.raw_out_first[src + 1] - b.raw_out_first[src]);
            sum += share * dm[(int64_t)src * cols + c];
        }
        dz[(int64_t)i * cols + c] = sum;
    }
}

void ci_cuda_neighbour_mean_back(ci_dev *d, const ci_k_batch *b, int32_t cols, const float *dm, float *dz)
{
    CI_LAUNCH(d, pair_neighbour_mean_back, ci_blocks(b->most[CI_ROWS_NODE], WARPS), THREADS, 0, *b, cols, dm, dz);
}

/* ---- both ends of an edge side by side ---- */

/* A thread an element of y; reads and writes 4 bytes. */
static __global__ void pair_edge(const ci_k_batch b, int cols, const float *z, float *y)
{
    const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;

    if (at >= (int64_t)ci_rows_here(b, CI_ROWS_RAW) * 2 * cols) return;
    const int64_t e = at / (2 * cols);
    const int c = (int)(at % (2 * cols));
    y[at] = c < cols ? z[(int64_t)b.raw_src[e] * cols + c] : z[(int64_t)b.raw_dst[e] * cols + c - cols];
}

void ci_cuda_edge_pair(ci_dev *d, const ci_k_batch *b, int32_t cols, const float *z, float *y)
{
    CI_LAUNCH(d, pair_edge, ci_blocks((int64_t)b->most[CI_ROWS_RAW] * 2 * cols, THREADS), THREADS, 0, *b, cols, z, y);
}

/* A warp a node, lanes over columns: one chain over the edges that leave or reach it, ascending; of a loop the source's part first. */
static __global__ void pair_edge_back(const ci_k_batch b, int cols, const float *dy, float *dz)
{
    const int i = (int)(blockIdx.x * WARPS + threadIdx.x / CI_WARP), lane = (int)threadIdx.x % CI_WARP;

    if (i >= ci_rows_here(b, CI_ROWS_NODE)) return;
    const int out_last = b.raw_out_first[i + 1], in_last = b.raw_in_first[i + 1];
    for (int c = lane; c < cols; c += CI_WARP) {
        float sum = dz[(int64_t)i * cols + c];
        int out = b.raw_out_first[i], in = b.raw_in_first[i];
        while (out < out_last || in < in_last) {
            if (in == in_last || (out < out_last && b.raw_out[out] <= b.raw_in[in])) sum += dy[(int64_t)b.raw_out[out++] * 2 * cols + c];
            else sum += dy[(int64_t)b.raw_in[in++] * 2 * cols + cols + c];
        }
        dz[(int64_t)i * cols + c] = sum;
    }
}

void ci_cuda_edge_pair_back(ci_dev *d, const ci_k_batch *b, int32_t cols, const float *dy, float *dz)
{
    CI_LAUNCH(d, pair_edge_back, ci_blocks(b->most[CI_ROWS_NODE], WARPS), THREADS, 0, *b, cols, dy, dz);
}

/* ---- what the ends bring to an edge ---- */

/* A thread an element of y. */
static __global__ void pair_add(const ci_k_batch b, int cols, const float *src, const float *dst, float *y)
{
    const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;

    if (at >= (int64_t)ci_rows_here(b, CI_ROWS_RAW) * cols) return;
    const int64_t e = at / cols;
    const int c = (int)(at % cols);
    y[at] = (y[at] + src[(int64_t)b.raw_src[e] * cols + c]) + dst[(int64_t)b.raw_dst[e] * cols + c];
}

void ci_cuda_pair_add(ci_dev *d, const ci_k_batch *b, int32_t cols, const float *src, const float *dst, float *y)
{
    CI_LAUNCH(d, pair_add, ci_blocks((int64_t)b->most[CI_ROWS_RAW] * cols, THREADS), THREADS, 0, *b, cols, src, dst, y);
}

/* A warp a node, lanes over columns: a chain over the edges that leave it, another over those that reach it. */
static __global__ void pair_add_back(const ci_k_batch b, int cols, const float *dy, float *dsrc, float *ddst)
{
    const int i = (int)(blockIdx.x * WARPS + threadIdx.x / CI_WARP), lane = (int)threadIdx.x % CI_WARP;

    if (i >= ci_rows_here(b, CI_ROWS_NODE)) return;
    for (int c = lane; c < cols; c += CI_WARP) {
        const int64_t at = (int64_t)i * cols + c;
        float sum = dsrc[at];
        for (int k = b.raw_out_first[i]; k < b.raw_out_first[i + 1]; k++) sum += dy[(int64_t)b.raw_out[k] * cols + c];
        dsrc[at] = sum;
        sum = ddst[at];
        for (int k = b.raw_in_first[i]; k < b.raw_in_first[i + 1]; k++) sum += dy[(int64_t)b.raw_in[k] * cols + c];
        ddst[at] = sum;
    }
}

void ci_cuda_pair_add_back(ci_dev *d, const ci_k_batch *b, int32_t cols, const float *dy, float *dsrc, float *ddst)
{
    CI_LAUNCH(d, pair_add_back, ci_blocks(b->most[CI_ROWS_NODE], WARPS), THREADS, 0, *b, cols, dy, dsrc, ddst);
}
