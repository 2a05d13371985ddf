/* Linear layers with their loss: logits by the product of all rows, their gradient in their place, the products of gradients. */
#include "ci/elementary32.h"
#include "rows.h"

extern void ci_cuda_gemm(ci_dev *d, const ci_k_batch *b, ci_precision precision, const ci_k_gemm *g, int n); /* ops/cuda */

enum { BITMAPS = 48 * 1024 }; /* bytes of shared memory that any device has */

/* ---- one of Q ---- */

CI_DEVICE float warp_largest(float v)
{
    for (int k = CI_WARP / 2; k > 0; k >>= 1) {
        const float other = __shfl_xor_sync(CI_ALL, v, k);
        v = other > v ? other : v;
    }
    return v;
}

/* One row of logits by a warp: they become scale (softmax(z) - [q = target]).  Returns the row's cross entropy. */
CI_DEVICE double softmax_row(float *z, int Q, int target, double scale, int lane)
{
    float most = -INFINITY, at = 0;
    double sum = 0;

    for (int q = lane; q < Q; q += CI_WARP) most = z[q] > most ? z[q] : most;
    most = warp_largest(most);
    for (int q = lane; q < Q; q += CI_WARP) {
        const float x = z[q] - most, e = ci_expf(x);
        if (q == target) at = x;
        z[q] = e;
        sum += (double)e;
    }
    sum = ci_warp_sum(sum);
    at = __shfl_sync(CI_ALL, at, target % CI_WARP);
    const float factor = (float)(scale / sum);
    for (int q = lane; q < Q; q += CI_WARP) /* what a lane reads here it wrote itself */
        z[q] = q == target ? (float)(-scale * ((sum - (double)z[q]) / sum)) : z[q] * factor;
    return ci_log64(sum) - at;
}

/* A warp a node, lanes over the classes, three times over a row of dz; 0 where the row does not count. */
static __global__ void loss_id_head(const ci_k_batch b, const ci_k_head a)
{
    const float weight = (float)b.step->scale[CI_SCALE_ID];
    const int n = ci_rows_here(b, CI_ROWS_NODE), lane = (int)threadIdx.x % CI_WARP;
    int64_t units = 0;

    for (int i = (int)(blockIdx.x * LOSS_WARPS + threadIdx.x / CI_WARP); i < n; i += (int)(gridDim.x * LOSS_WARPS)) {
        float *z = a.dz + (int64_t)i * a.Q;
        if ((b.step->masked && !a.hidden[i]) || weight == 0) {
            for (int q = lane; q < a.Q; q += CI_WARP) z[q] = 0;
            continue;
        }
        const int target = b.id[i], known = target >= 0 && target < a.Q;
        const double c = softmax_row(z, a.Q, known ? target : 0, weight, lane);
        if (lane == 0) units += loss_units(a.loss, known ? weight * c : NAN, LOSS_MAX);
    }
    loss_add(a.loss, units);
}

/* ---- Q yes or no ---- */

/* A warp a node, lanes over the outputs, once over a row of dz.  Which outputs are 1 is a bitmap of the warp in shared memory: so an
 * identifier that several edges lead to counts once.  Logarithms are of products of factors in (1, 2], at most 512 at a time. */
static __global__ void loss_near_head(const ci_k_batch b, const ci_k_head a)
{
    CI_SHARED(uint32_t, bitmaps);
    const double scale = b.step->scale[CI_SCALE_NEIGHBOUR] / a.Q;
    const float slope = (float)scale;
    const int n = ci_rows_here(b, CI_ROWS_NODE), lane = (int)threadIdx.x % CI_WARP, warp = (int)threadIdx.x / CI_WARP;
    const int warps = (int)blockDim.x / CI_WARP, words = (a.Q + 31) / 32;
    uint32_t *hot = bitmaps + warp * words;
    int64_t units = 0;

    for (int i = (int)blockIdx.x * warps + warp; i < n; i += (int)gridDim.x * warps) {
        float *z = a.dz + (int64_t)i * a.Q;
        double linear = 0, product = 1, logs = 0;
        for (int k = lane; k < words; k += CI_WARP) hot[k] = 0;
        __syncwarp(CI_ALL);
        for (int k = b.raw_out_first[i] + lane; k < b.raw_out_first[i + 1]; k += CI_WARP) {
            const uint32_t id = (uint32_t)b.id[b.raw_dst[b.raw_out[k]]];
            if (id < (uint32_t)a.Q) atomicOr(&hot[id / 32], 1u << id % 32);
            else linear = NAN;
        }
        __syncwarp(CI_ALL);
        for (int q = lane, k = 1; q < a.Q; q += CI_WARP, k++) {
            const float x = z[q], e = ci_expf(-fabsf(x));
            const int one = hot[q / 32] >> q % 32 & 1;
            linear += (double)((x > 0 ? x : 0) + (x - x)) - (one ? (double)x : 0); /* x - x: 0, or what the comparison hides */
            product *= 1 + (double)e;
            if (k % 512 == 0) {
                logs += ci_log64(product);
                product = 1;
            }
            z[q] = one ? -slope * ((x > 0 ? e : 1.0f) / (1 + e)) : slope * ((x > 0 ? 1.0f : e) / (1 + e));
        }
        const double c = ci_warp_sum(linear + (logs + ci_log64(product)));
        if (lane == 0) units += loss_units(a.loss, scale * c, LOSS_MAX);
        __syncwarp(CI_ALL); /* before the bitmap begins anew */
    }
    __syncthreads();
    loss_add(a.loss, units);
}

/* ---- the products around them ---- */

static void logits(ci_dev *d, const ci_k_batch *b, const ci_k_head *a)
{
    const ci_k_gemm g = {.rows = CI_ROWS_NODE, .N = a->Q, .K = a->K, .a = a->h, .b = a->w, .a_row = a->K, .b_row = a->Q, .c = a->dz,
                         .c_row = a->Q, .bias = a->b};
    ci_cuda_gemm(d, b, a->precision, &g, 1);
}

static void gradients(ci_dev *d, const ci_k_batch *b, const ci_k_head *a)
{
    const ci_k_gemm g = {.rows = CI_ROWS_NODE, .N = a->K, .K = a->Q, .a = a->dz, .b = a->w, .a_row = a->Q, .b_row = a->Q, .b_t = 1,
                         .c = a->dh, .c_row = a->K, .add = 1};
    ci_cuda_gemm(d, b, a->precision, &g, 1);
    *a->out = (ci_k_gemm_grad){.rows = CI_ROWS_NODE, .K = a->K, .N = a->Q, .a = a->h, .dy = a->dz, .a_row = a->K, .dy_row = a->Q,
                               .w = a->w_grad, .bias = a->b_grad};
}

/* What the kernels get: nothing of the host. */
static ci_k_head of_device(const ci_k_head *a)
{
    ci_k_head k = *a;

    k.out = NULL;
    return k;
}

void ci_cuda_id_head(ci_dev *d, const ci_k_batch *b, const ci_k_head *a)
{
    logits(d, b, a);
    CI_LAUNCH(d, loss_id_head, loss_blocks(b->most[CI_ROWS_NODE], LOSS_WARPS), LOSS_THREADS, LOSS_SHARED, *b, of_device(a));
    gradients(d, b, a);
}

void ci_cuda_near_head(ci_dev *d, const ci_k_batch *b, const ci_k_head *a)
{
    const size_t bitmap = (size_t)(a->Q + 31) / 32 * sizeof(uint32_t), fit = BITMAPS / bitmap; /* 390000 outputs: one warp still */
    const int warps = fit < 1 ? 1 : fit < LOSS_WARPS ? (int)fit : LOSS_WARPS;
    const size_t shared = bitmap * (size_t)warps;

    logits(d, b, a);
    CI_LAUNCH(d, loss_near_head, loss_blocks(b->most[CI_ROWS_NODE], warps), (unsigned)(warps * CI_WARP),
              shared < LOSS_SHARED ? LOSS_SHARED : shared, *b, of_device(a));
    gradients(d, b, a);
}
