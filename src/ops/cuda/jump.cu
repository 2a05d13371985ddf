/* Jumping knowledge: the layers of a node weighed by attention, or the largest of them. */
#include "ci/kernel.h"

/* Loops over layers are unrolled to the most there can be, so that pointers and scores stay where registers are. */
enum { WARPS = 8, THREADS = WARPS * CI_WARP, LAYERS = 8, SLICE = 64, SLICES = 32 };

CI_DEVICE float dot(const float *a, const float *b, int n)
{
    float sum = 0;
    for (int d = ci_lane(); d < n; d += CI_WARP) sum += a[d] * b[d];
    return ci_warp_sum(sum);
}

/* One warp a node, lanes over channels; every lane has the L scores.  Reads L rows once, and once from the cache; writes one. */
static __global__ void jk_attention(const ci_k_batch b, const ci_k_jump a)
{
    const int i = (int)(blockIdx.x * WARPS) + ci_warp();
    if (i >= ci_rows_here(b, CI_ROWS_NODE)) return;
    const int64_t at = (int64_t)i * a.D;
    float p[LAYERS], most = 0, sum = 0;

#pragma unroll
    for (int l = 0; l < LAYERS; l++) {
        if (l >= a.L) continue;
        p[l] = dot(a.a, a.x[l] + at, a.D) + a.b[0];
        most = l == 0 || p[l] > most ? p[l] : most;
    }
#pragma unroll
    for (int l = 0; l < LAYERS; l++) {
        if (l >= a.L) continue;
        p[l] = ci_expf(p[l] - most);
        sum += p[l];
    }
#pragma unroll
    for (int l = 0; l < LAYERS; l++) {
        if (l >= a.L) continue;
        p[l] /= sum;
        if (ci_lane() == 0) a.p[(int64_t)i * a.L + l] = p[l];
    }
    for (int d = ci_lane(); d < a.D; d += CI_WARP) {
        float y = 0;
#pragma unroll
        for (int l = 0; l < LAYERS; l++)
            if (l < a.L) y += p[l] * a.x[l][at + d];
        a.y[at + d] = y;
    }
}

void ci_cuda_jk_attention(ci_dev *d, const ci_k_batch *b, const ci_k_jump *a)
{
    CI_LAUNCH(d, jk_attention, ci_blocks(b->most[CI_ROWS_NODE], WARPS), THREADS, 0, *b, *a);
}

/** A warp's node: ds of each layer into `ds`, and dx. */
CI_DEVICE void node_back(const ci_k_jump &a, const ci_k_jump_back &g, int i, float *ds)
{
    const int64_t at = (int64_t)i * a.D;
    const float *p = a.p + (int64_t)i * a.L;
    float t[LAYERS], mean = 0;

#pragma unroll
    for (int l = 0; l < LAYERS; l++) {
        if (l >= a.L) continue;
        t[l] = dot(g.dy + at, a.x[l] + at, a.D);
        mean += p[l] * t[l];
    }
#pragma unroll
    for (int l = 0; l < LAYERS; l++) {
        if (l >= a.L) continue;
        const float s = p[l] * (t[l] - mean);
        if (ci_lane() == 0) ds[l] = s;
        for (int d = ci_lane(); d < a.D; d += CI_WARP) {
            const float v = p[l] * g.dy[at + d] + s * a.a[d];
            g.dx[l][at + d] = g.overwrite >> l & 1 ? v : g.dx[l][at + d] + v;
        }
    }
}

/* A block takes SLICE nodes of a shard: a warp a node for ds and dx, then a thread a channel for what a gets of them, nodes ascending,
 * one float for the slice.  Reads the layers and dy once, the layers once more from the cache; writes dx. */
static __global__ void jk_attention_back(const ci_k_batch b, const ci_k_jump a, const ci_k_jump_back g)
{
    CI_SHARED(float, ds); /* (SLICE, L) */
    const int shard = (int)blockIdx.y;
    if (shard >= b.step->n_shard) return;
    const int end = ci_shard_first(b, CI_ROWS_NODE, shard + 1);
    for (int first = ci_shard_first(b, CI_ROWS_NODE, shard) + (int)blockIdx.x * SLICE; first < end; first += (int)gridDim.x * SLICE) {
        const int n = end - first < SLICE ? end - first : SLICE;
        for (int i = ci_warp(); i < n; i += WARPS) node_back(a, g, first + i, ds + i * a.L);
        __syncthreads();
        for (int d = threadIdx.x; d < a.D && g.a.sum; d += THREADS) {
            float da = 0;
            for (int i = 0; i < n; i++)
#pragma unroll
                for (int l = 0; l < LAYERS; l++)
                    if (l < a.L) da += ds[i * a.L + l] * a.x[l][(int64_t)(first + i) * a.D + d];
            ci_grad_put(g.a, d, da);
        }
        __syncthreads();
    }
}

void ci_cuda_jk_attention_back(ci_dev *d, const ci_k_batch *b, const ci_k_jump *a, const ci_k_jump_back *g)
{
    const dim3 grid(SLICES, b->most_shard > 0 ? (unsigned)b->most_shard : 1);
    CI_LAUNCH(d, jk_attention_back, grid, THREADS, (size_t)SLICE * (size_t)a->L * sizeof(float), *b, *a, *g);
}

CI_DEVICE float largest(const ci_k_jump &a, int64_t at)
{
    float y = a.x[0][at];
#pragma unroll
    for (int l = 1; l < LAYERS; l++)
        if (l < a.L) y = a.x[l][at] > y ? a.x[l][at] : y;
    return y;
}

/* A thread an element: reads L, writes one. */
static __global__ void jk_max(const ci_k_batch b, const ci_k_jump a)
{
    const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (at >= (int64_t)ci_rows_here(b, CI_ROWS_NODE) * a.D) return;
    a.y[at] = largest(a, at);
}

/* Likewise; the first of equal ones has the gradient. */
static __global__ void jk_max_back(const ci_k_batch b, const ci_k_jump a, const ci_k_jump_back g)
{
    const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (at >= (int64_t)ci_rows_here(b, CI_ROWS_NODE) * a.D) return;
    const float most = largest(a, at);
    float left = g.dy[at];
#pragma unroll
    for (int l = 0; l < LAYERS; l++) {
        if (l >= a.L) continue;
        const bool is = a.x[l][at] == most;
        const float v = is ? left : 0;
        g.dx[l][at] = g.overwrite >> l & 1 ? v : g.dx[l][at] + v;
        if (is) left = 0;
    }
}

static unsigned elements(const ci_k_batch *b, const ci_k_jump *a) { return ci_blocks((int64_t)b->most[CI_ROWS_NODE] * a->D, THREADS); }

void ci_cuda_jk_max(ci_dev *d, const ci_k_batch *b, const ci_k_jump *a) { CI_LAUNCH(d, jk_max, elements(b, a), THREADS, 0, *b, *a); }

void ci_cuda_jk_max_back(ci_dev *d, const ci_k_batch *b, const ci_k_jump *a, const ci_k_jump_back *g)
{
    CI_LAUNCH(d, jk_max_back, elements(b, a), THREADS, 0, *b, *a, *g);
}
