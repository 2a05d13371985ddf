/* Losses of rows of activations: squared error, divergence from the normal distribution. */
#include "ci/elementary32.h"
#include "rows.h"

/* A warp a row, lanes over columns; each lane one chain in double, then the tree of a warp.  Reads y, t and dy, writes dy. */
static __global__ void loss_square(const ci_k_batch b, const ci_k_square a)
{
    const double scale = b.step->scale[a.scale] / a.cols;
    const float slope = (float)(2 * scale);
    const int n = ci_rows_here(b, a.rows), lane = (int)threadIdx.x % CI_WARP;
    int64_t units = 0;

    for (int i = (int)(blockIdx.x * LOSS_WARPS + threadIdx.x / CI_WARP); i < n; i += (int)(gridDim.x * LOSS_WARPS)) {
        const float *y = a.y + (int64_t)i * a.y_row, *t = a.t + (int64_t)i * a.t_row;
        double row = 0;
        for (int j = lane; j < a.cols; j += CI_WARP) {
            const double d = (double)y[j] - t[j];
            row += d * d;
            if (a.dy) a.dy[(int64_t)i * a.cols + j] += slope * (y[j] - t[j]);
        }
        row = ci_warp_sum(row);
        if (lane == 0) units += loss_units(a.loss, scale * row, LOSS_MAX);
    }
    loss_add(a.loss, units);
}

void ci_cuda_square(ci_dev *d, const ci_k_batch *b, const ci_k_square *a)
{
    CI_LAUNCH(d, loss_square, loss_blocks(b->most[a->rows], LOSS_WARPS), LOSS_THREADS, LOSS_SHARED, *b, *a);
}

/* A warp a node, lanes over columns; gradients have the bits of kl_row in latent_isa.c. */
static __global__ void loss_kl(const ci_k_batch b, const ci_k_kl a)
{
    const double scale = b.step->scale[CI_SCALE_KL] / a.cols;
    const float slope = (float)scale;
    const int n = ci_rows_here(b, CI_ROWS_NODE), lane = (int)threadIdx.x % CI_WARP;
    int64_t units = 0;

    for (int i = (int)(blockIdx.x * LOSS_WARPS + threadIdx.x / CI_WARP); i < n; i += (int)(gridDim.x * LOSS_WARPS)) {
        double row = 0;
        for (int j = lane; j < a.cols; j += CI_WARP) {
            const int64_t at = (int64_t)i * a.cols + j;
            const float m = a.mu[at], x = a.logvar[at], low = x < -a.limit ? -a.limit : x, v = low > a.limit ? a.limit : low;
            const float e = ci_exp80f(v);
            row += ((double)e - 1 - v) + (double)m * m;
            if (!a.dmu) continue;
            a.dmu[at] += slope * m;
            a.dlogvar[at] += 0.5f * slope * (e - 1) * (v == x ? 1.0f : 0.0f);
        }
        row = ci_warp_sum(row);
        if (lane == 0) units += loss_units(a.loss, scale * 0.5 * row, LOSS_MAX);
    }
    loss_add(a.loss, units);
}

void ci_cuda_kl(ci_dev *d, const ci_k_batch *b, const ci_k_kl *a)
{
    CI_LAUNCH(d, loss_kl, loss_blocks(b->most[CI_ROWS_NODE], LOSS_WARPS), LOSS_THREADS, LOSS_SHARED, *b, *a);
}
