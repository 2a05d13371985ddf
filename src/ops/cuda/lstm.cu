/* Jumping knowledge by LSTM, both directions at once.
 *
 * Forward, L + 1 launches: for each step k = 0 .. L - 1 the product of both directions, x W_ih and from step 1 on h W_hh behind it in the
 * same chain, with the cell in its epilogue (a thread has the four gates of a unit: tile.h), so that gates are written once and read by
 * nobody until backward; then a warp a row: scores of the layers, softmax, weighted sum of x.
 * Backward, L + 1 launches: a warp a row: gradients of the scores, of x by the weighted sum, and the cells of the last step; for each
 * step before it the product dG W_hh^T with the cell in its epilogue; then dX += dG W_ih^T, both directions a chain, all layers one launch.
 * Products of weights' gradients are the caller's.  So `paper` has 3 + 3 launches with two layers (D 96, h 96), 4 + 4 with three
 * (D 256, h 384).  Price: keep written once and read once or twice, x twice, work once; weights rows / 128 times through the second cache.
 *
 * fp32: every element of y, keep and dx has the bits of the processor's; the gradient of att_w is one chain a layer, not one over all. */
#include "tile.h"

extern void ci_cuda_gemm(ci_dev *d, const ci_k_batch *b, ci_precision precision, const ci_k_gemm *g, int n);

enum { ROW_WARPS = 8, ROW_BLOCK = ROW_WARPS * 32, L_MAX = 8, ENOUGH = 264 };

/* Where a row's numbers are; `rows` is the most there can be.  As lstm_isa.c has it, each of its arrays with all rows one behind the other. */
typedef struct lstm {
    ci_lstm_dim dim;
    int32_t rows;
    const float *x[L_MAX];
    float *keep, *work;
    const float *w_ih, *w_hh, *b_ih, *b_hh, *att_w, *att_b;
} lstm;

typedef struct lstm_ends {
    const float *dy;
    float *y, *dx[L_MAX];
    uint32_t overwrite;
} lstm_ends;

#define BOTH static __host__ __device__ inline
BOTH float *gate(const lstm &q, int d, int t) { return q.keep + (size_t)(d * q.dim.L + t) * q.rows * 4 * q.dim.h; }
BOTH float *cell(const lstm &q, int d, int t) { return q.keep + (size_t)q.dim.L * q.rows * 8 * q.dim.h + (size_t)(d * q.dim.L + t) * q.rows * q.dim.h; }
/** Rows of both directions: 2h. */
BOTH float *output(const lstm &q, int t) { return q.keep + (size_t)q.dim.L * q.rows * 10 * q.dim.h + (size_t)t * q.rows * 2 * q.dim.h; }
BOTH float *softmax(const lstm &q) { return q.keep + (size_t)q.dim.L * q.rows * 12 * q.dim.h; }
/** Gradients of the cells of a direction, and of the scores (rows, L). */
BOTH float *cell_grad(const lstm &q, int d) { return q.work + (size_t)d * q.rows * q.dim.h; }
BOTH float *score_grad(const lstm &q) { return q.work + (size_t)2 * q.rows * q.dim.h; }
/** Step k of a direction is at this layer. */
BOTH int layer(const lstm &q, int d, int k) { return d ? q.dim.L - 1 - k : k; }

/** i, f, u, o from their products, as gates() of lstm_isa.c; c = f c0 + i u and the output. */
CI_DEVICE void cell_forward(const float *z, float c0, int first, float *g, float *c, float *out)
{
    float qi, qf, qu, qo;
    const float pi = ci_tanh_partsf(0.5f * z[0], &qi), pf = ci_tanh_partsf(0.5f * z[1], &qf);
    const float pu = ci_tanh_partsf(z[2], &qu), po = ci_tanh_partsf(0.5f * z[3], &qo);
    const float r = 1.0f / (qi * qf), s = 1.0f / (qu * qo);
    g[0] = fmaf(0.5f, pi * (qf * r), 0.5f);
    g[1] = fmaf(0.5f, pf * (qi * r), 0.5f);
    g[2] = pu * (qo * s);
    g[3] = fmaf(0.5f, po * (qu * s), 0.5f);
    *c = g[0] * g[2];
    if (!first) *c = fmaf(g[1], c0, *c);
    *out = g[3] * ci_tanhf(*c);
}

/** Step k of direction d, of one unit: gates become their gradients before their functions, and dc that of the cell before. */
CI_DEVICE void cell_backward(const lstm &q, int d, int k, int row, int unit, float ds, float dh, float dc)
{
    const int h = q.dim.h, t = layer(q, d, k);
    const size_t at = (size_t)row * h + unit;
    float *g = gate(q, d, t) + (size_t)row * 4 * h + unit;
    const float i = g[0], f = g[h], u = g[2 * h], o = g[3 * h], c = ci_tanhf(cell(q, d, t)[at]);
    const float before = k ? cell(q, d, layer(q, d, k - 1))[at] : 0;
    const float out = fmaf(ds, q.att_w[d * h + unit], dh), v = fmaf(out * o, 1.0f - c * c, dc);
    g[0] = v * u * (i * (1.0f - i));
    g[h] = v * before * (f * (1.0f - f));
    g[2 * h] = v * i * (1.0f - u * u);
    g[3 * h] = out * c * (o * (1.0f - o));
    cell_grad(q, d)[at] = v * f;
}

/** The tile of this block: rows by units of a direction, tile_columns of the product each. */
CI_DEVICE void tile_of_block(int M, int width, const lstm &q, int *d, int *m0, int *u0)
{
    const int across = (q.dim.h + width - 1) / width, block = blockIdx.x;
    *d = block / across % 2;
    *m0 = block / across / 2 * M;
    *u0 = block % across * width;
}

template <int P, int M, int N, int T> CI_DEVICE void step_forward(const ci_k_batch &b, const lstm &q, int k)
{
    CI_SHARED(float, shared);
    const int D = q.dim.D, h = q.dim.h, rows = ci_rows_here(b, CI_ROWS_NODE);
    int d, m0, u0, row, unit;
    tile_of_block(M, N / 4, q, &d, &m0, &u0);
    if (m0 >= rows) return;
    const int t = layer(q, d, k), from = layer(q, d, k ? k - 1 : 0);
    const tile_pair pair[2] = {
        {tile_side_of(q.x[t], D, rows, 0, 0), tile_side_of(q.w_ih + (size_t)d * D * 4 * h, 4 * h, h, 1, h), 0, D},
        {tile_side_of(output(q, from) + d * h, 2 * h, rows, 0, 0), tile_side_of(q.w_hh + (size_t)d * h * 4 * h, 4 * h, h, 1, h), 0, k ? h : 0}};
    float acc[tile_rows(M, N, T)][4];
    UNROLL for (int i = 0; i < tile_rows(M, N, T); i++) {
        tile_where_unit<P, M, N, T>(i, &row, &unit);
        UNROLL for (int j = 0; j < 4; j++) *tile_gate<P>(acc, i, j) = u0 + unit < h ? q.b_ih[(d * 4 + j) * h + u0 + unit] : 0;
    }
    tile_product<P, M, N, T>(pair, m0, u0 * 4, shared, acc);
    UNROLL for (int i = 0; i < tile_rows(M, N, T); i++) {
        tile_where_unit<P, M, N, T>(i, &row, &unit);
        row += m0;
        unit += u0;
        if (row >= rows || unit >= h) continue;
        const size_t at = (size_t)row * h + unit;
        float z[4], g[4], *to = gate(q, d, t) + (size_t)row * 4 * h + unit;
        UNROLL for (int j = 0; j < 4; j++) z[j] = *tile_gate<P>(acc, i, j) + q.b_hh[(d * 4 + j) * h + unit];
        cell_forward(z, k ? cell(q, d, from)[at] : 0, !k, g, &cell(q, d, t)[at], &output(q, t)[(size_t)row * 2 * h + d * h + unit]);
        UNROLL for (int j = 0; j < 4; j++) to[j * h] = g[j];
    }
}

template <int P, int M, int N, int T> CI_DEVICE void step_backward(const ci_k_batch &b, const lstm &q, int k)
{
    CI_SHARED(float, shared);
    const int h = q.dim.h, rows = ci_rows_here(b, CI_ROWS_NODE);
    int d, m0, u0, row, unit;
    tile_of_block(M, N, q, &d, &m0, &u0);
    if (m0 >= rows) return;
    const int t = layer(q, d, k);
    const tile_pair pair[2] = {{tile_side_of(gate(q, d, layer(q, d, k + 1)), 4 * h, rows, 0, 0),
                                tile_side_of(q.w_hh + (size_t)d * h * 4 * h, 4 * h, h, 0, 0), 0, 4 * h}};
    float acc[tile_rows(M, N, T)][4] = {};
    tile_product<P, M, N, T>(pair, m0, u0, shared, acc);
    UNROLL for (int r = 0; r < tile_rows(M, N, T); r++)
        UNROLL for (int j = 0; j < 4; j++) {
            tile_where<P, M, N, T>(r, j, &row, &unit);
            row += m0;
            unit += u0;
            if (row >= rows || unit >= h) continue;
            cell_backward(q, d, k, row, unit, score_grad(q)[(size_t)row * q.dim.L + t], acc[r][j], cell_grad(q, d)[(size_t)row * h + unit]);
        }
}

/** Of L rows of n floats, one of each x or `step` apart from base on, the dot products with a, as dot8: eight lanes a row, each a partial
 *  sum, and the tree.  out[l], l < L, in every lane. */
CI_DEVICE void dots(int L, int n, const float *a, const float *const *x, const float *base, size_t step, size_t at, float *out)
{
    const int lane = threadIdx.x % CI_WARP;
    UNROLL for (int pass = 0; pass < L_MAX / 4; pass++) {
        const int l = pass * 4 + lane / 8;
        float part = 0;
        if (pass * 4 >= L) break;
        if (l < L) {
            const float *v = (x ? x[l] : base + l * step) + at;
            for (int k = lane % 8; k < n; k += 8) part += a[k] * v[k];
        }
        for (int k = 4; k > 0; k >>= 1) part += __shfl_xor_sync(CI_ALL, part, k);
        UNROLL for (int k = 0; k < 4; k++) out[pass * 4 + k] = __shfl_sync(CI_ALL, part, k * 8);
    }
}

/* Loops over layers that leave what they make in registers. */
#define EACH_LAYER(l) UNROLL for (int l = 0; l < L_MAX; l++) if (l < L)

/** A warp a row: the scores of its layers, their softmax p, and y = sum of p x. */
static __global__ void lstm_score(const ci_k_batch b, const lstm q, const lstm_ends e)
{
    const int L = q.dim.L, D = q.dim.D, h = q.dim.h, lane = threadIdx.x % CI_WARP, rows = ci_rows_here(b, CI_ROWS_NODE);
    const int row = blockIdx.x * ROW_WARPS + threadIdx.x / CI_WARP;
    float p[L_MAX] = {}, most, sum = 0;
    if (row >= rows) return;
    dots(L, 2 * h, q.att_w, NULL, output(q, 0), (size_t)q.rows * 2 * h, (size_t)row * 2 * h, p);
    EACH_LAYER(l) p[l] += q.att_b[0];
    most = p[0];
    EACH_LAYER(l) most = p[l] > most ? p[l] : most;
    EACH_LAYER(l) sum += p[l] = ci_expf(p[l] - most);
    EACH_LAYER(l)
    {
        p[l] /= sum;
        if (lane == 0) softmax(q)[(size_t)row * L + l] = p[l];
    }
    for (int d = lane; d < D; d += CI_WARP) {
        float y = 0;
        EACH_LAYER(l) y += p[l] * q.x[l][(size_t)row * D + d];
        e.y[(size_t)row * D + d] = y;
    }
}

/** A warp a row: gradients of its scores and of x by the weighted sum; then the cells of the last step of both directions. */
static __global__ void lstm_score_back(const ci_k_batch b, const lstm q, const lstm_ends e)
{
    const int L = q.dim.L, D = q.dim.D, h = q.dim.h, lane = threadIdx.x % CI_WARP, rows = ci_rows_here(b, CI_ROWS_NODE);
    const int row = blockIdx.x * ROW_WARPS + threadIdx.x / CI_WARP;
    const float *dy = e.dy + (size_t)row * D, *p = softmax(q) + (size_t)row * L;
    float ds[L_MAX] = {}, mean = 0, last = 0;
    if (row >= rows) return;
    dots(L, D, dy, q.x, NULL, 0, (size_t)row * D, ds);
    EACH_LAYER(l) mean += p[l] * ds[l];
    EACH_LAYER(l)
    {
        float *dx = e.dx[l] + (size_t)row * D;
        ds[l] = p[l] * (ds[l] - mean);
        last = ds[l];
        if (lane == 0) score_grad(q)[(size_t)row * L + l] = ds[l];
        for (int d = lane; d < D; d += CI_WARP) dx[d] = (e.overwrite >> l & 1 ? 0 : dx[d]) + p[l] * dy[d];
    }
    for (int u = lane; u < 2 * h; u += CI_WARP) cell_backward(q, u / h, L - 1, row, u % h, u / h ? ds[0] : last, 0, 0);
}

#define KERNELS(P, name)                                                                                                      \
    static __global__ void __launch_bounds__(256, 2) lstm_##name(const ci_k_batch b, const lstm q, int k)                       \
    {                                                                                                                         \
        step_forward<P, 128, 64, 256>(b, q, k);                                                                               \
    }                                                                                                                         \
    static __global__ void __launch_bounds__(64) lstm_##name##_small(const ci_k_batch b, const lstm q, int k)                \
    {                                                                                                                         \
        step_forward<P, 32, 32, 64>(b, q, k);                                                                                 \
    }                                                                                                                         \
    static __global__ void __launch_bounds__(256, 2) lstm_back_##name(const ci_k_batch b, const lstm q, int k)                  \
    {                                                                                                                         \
        step_backward<P, 128, 64, 256>(b, q, k);                                                                              \
    }                                                                                                                         \
    static __global__ void __launch_bounds__(64) lstm_back_##name##_small(const ci_k_batch b, const lstm q, int k)           \
    {                                                                                                                         \
        step_backward<P, 32, 32, 64>(b, q, k);                                                                                \
    }
KERNELS(CI_FP32, fp32)
KERNELS(CI_TF32, tf32)
KERNELS(CI_BF16, bf16)

static lstm lstm_of(const ci_k_batch *b, const ci_k_lstm *a, float *work)
{
    lstm q = {.dim = a->dim, .rows = b->most[CI_ROWS_NODE], .x = {}, .keep = a->keep, .work = work, .w_ih = a->w.w_ih, .w_hh = a->w.w_hh,
              .b_ih = a->w.b_ih, .b_hh = a->w.b_hh, .att_w = a->w.att_w, .att_b = a->w.att_b};
    for (int l = 0; l < a->dim.L; l++) q.x[l] = a->x[l];
    return q;
}

/** Blocks of a step: of M rows and so many units, of both directions. */
static unsigned step_blocks(const lstm *q, int M, int units) { return 2 * ci_blocks(q->rows, M) * ci_blocks(q->dim.h, units); }

#define ASK(P, name, across)                                                                                                             \
    if (step_blocks(&q, 128, 64 / (across)) < ENOUGH)                                                                                    \
        CI_LAUNCH(d, name##_small, step_blocks(&q, 32, 32 / (across)), 64, tile_bytes(P, 32, 32), *b, q, k);                             \
    else CI_LAUNCH(d, name, step_blocks(&q, 128, 64 / (across)), 256, tile_bytes(P, 128, 64), *b, q, k)

int64_t ci_cuda_lstm_keep(ci_lstm_dim dim) { return 12 * (int64_t)dim.L * dim.h + dim.L; }
int64_t ci_cuda_lstm_work(ci_lstm_dim dim) { return 2 * (int64_t)dim.h + dim.L; }

void ci_cuda_lstm(ci_dev *d, const ci_k_batch *b, const ci_k_lstm *a)
{
    const lstm q = lstm_of(b, a, NULL);
    const lstm_ends e = {.dy = NULL, .y = a->y, .dx = {}, .overwrite = 0};
    for (int k = 0; k < a->dim.L; k++)
        if (a->precision == CI_BF16) {
            ASK(CI_BF16, lstm_bf16, 4);
        } else if (a->precision == CI_TF32) {
            ASK(CI_TF32, lstm_tf32, 4);
        } else {
            ASK(CI_FP32, lstm_fp32, 4);
        }
    CI_LAUNCH(d, lstm_score, ci_blocks(q.rows, ROW_WARPS), ROW_BLOCK, 0, *b, q, e);
}

static ci_k_grad part(ci_k_grad g, size_t first)
{
    if (g.sum) g.sum += first;
    return g;
}

/** Products that the caller makes: weights and biases of each direction and layer, recurrent weights, the score. */
static void products(const lstm *q, const ci_k_lstm_back *g)
{
    const int L = q->dim.L, D = q->dim.D, h = q->dim.h, n = 4 * h;
    int at = 0;
    for (int dir = 0; dir < 2; dir++)
        for (int k = 0; k < L; k++) {
            const int t = layer(*q, dir, k);
            const float *dy = gate(*q, dir, t);
            g->out[at++] = {.rows = CI_ROWS_NODE, .K = D, .N = n, .a = q->x[t], .dy = dy, .a_row = D, .dy_row = n,
                            .w = part(g->w_ih, (size_t)dir * D * n), .bias = part(g->b_ih, (size_t)dir * n), .bias2 = part(g->b_hh, (size_t)dir * n)};
            if (k)
                g->out[at++] = {.rows = CI_ROWS_NODE, .K = h, .N = n, .a = output(*q, layer(*q, dir, k - 1)) + dir * h, .dy = dy, .a_row = 2 * h,
                                .dy_row = n, .w = part(g->w_hh, (size_t)dir * h * n), .bias = {}, .bias2 = {}};
        }
    for (int l = 0; l < L; l++)
        g->out[at++] = {.rows = CI_ROWS_NODE, .K = 1, .N = 2 * h, .a = score_grad(*q) + l, .dy = output(*q, l), .a_row = L, .dy_row = 2 * h,
                        .w = g->att_w, .bias = {}, .bias2 = {}};
    *g->out_n = at;
}

void ci_cuda_lstm_back(ci_dev *d, const ci_k_batch *b, const ci_k_lstm *a, const ci_k_lstm_back *g)
{
    const int L = a->dim.L, D = a->dim.D, h = a->dim.h, n = 4 * h;
    const lstm q = lstm_of(b, a, g->work);
    lstm_ends e = {.dy = g->dy, .y = NULL, .dx = {}, .overwrite = g->overwrite};
    ci_k_gemm dx[L_MAX] = {};
    for (int l = 0; l < L; l++) {
        e.dx[l] = g->dx[l];
        dx[l] = {.rows = CI_ROWS_NODE, .N = D, .K = n, .K2 = n, .a = gate(q, 0, l), .b = q.w_ih, .a2 = gate(q, 1, l), .b2 = q.w_ih + (size_t)D * n,
                 .a_row = n, .b_row = n, .a2_row = n, .b2_row = n, .b_t = 1, .c = g->dx[l], .c_row = D, .add = 1, .bias = NULL, .relu = {}};
    }
    CI_LAUNCH(d, lstm_score_back, ci_blocks(q.rows, ROW_WARPS), ROW_BLOCK, 0, *b, q, e);
    for (int k = L - 2; k >= 0; k--)
        if (a->precision == CI_BF16) {
            ASK(CI_BF16, lstm_back_bf16, 1);
        } else if (a->precision == CI_TF32) {
            ASK(CI_TF32, lstm_back_tf32, 1);
        } else {
            ASK(CI_FP32, lstm_back_fp32, 1);
        }
    ci_cuda_gemm(d, b, a->precision, dx, L);
    products(&q, g);
}
