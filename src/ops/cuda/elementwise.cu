/* What works element by element: ReLU and dropout, sigmoid, sums, rows side by side.
 *
 * All are bound by memory: each element is read and written once, neighbouring threads have neighbouring elements, grids are for the
 * most rows there can be and threads behind the last row have nothing to do. */
#include "ci/kernel.h"

enum { THREADS = 256, EACH = 4, SPAN = THREADS * EACH };

CI_DEVICE int64_t elements(const ci_k_batch &b, ci_rows rows, int cols) { return (int64_t)ci_rows_here(b, rows) * cols; }

static unsigned grid(const ci_k_batch *b, ci_rows rows, int cols) { return ci_blocks((int64_t)b->most[rows] * cols, SPAN); }

/** A thread's k-th element: THREADS apart, so that a warp's are side by side. */
CI_DEVICE int64_t element(int k) { return (int64_t)blockIdx.x * SPAN + k * THREADS + threadIdx.x; }

/* ---- ReLU and dropout: four consecutive elements of a row share one call of Philox, so a thread has four ---- */

CI_DEVICE float kept_value(const ci_k_batch &b, uint32_t word, float x) { return word >= b.step->drop ? x * b.step->keep : 0; }

/** The four at `at` of row `row`; cols is a multiple of 4, so that they are one quad of their graph, too. */
template <bool RELU> CI_DEVICE float4 quad_value(const ci_k_batch &b, ci_rows rows, int cols, uint32_t operation, int row, int col, float4 x)
{
    if (RELU) x = make_float4(0.0f > x.x ? 0 : x.x, 0.0f > x.y ? 0 : x.y, 0.0f > x.z ? 0 : x.z, 0.0f > x.w ? 0 : x.w);
    if (!b.training || b.step->drop == 0) return x;
    const int g = ci_graph_of(b, rows, row);
    const uint32_t first = (uint32_t)(row - ci_graph_first(b, rows, g)) * (uint32_t)cols + (uint32_t)col;
    const ci_u32x4 w = ci_drop_words(b.step, operation, b.graph[g], first / 4);
    return make_float4(kept_value(b, w.v[0], x.x), kept_value(b, w.v[1], x.y), kept_value(b, w.v[2], x.z), kept_value(b, w.v[3], x.w));
}

/* One thread a quad; reads and writes 16 bytes, one Philox. */
template <bool RELU> static __global__ void drop_quads(const ci_k_batch b, ci_rows rows, int cols, uint32_t operation, float *x)
{
    const uint32_t q = blockIdx.x * (uint32_t)THREADS + threadIdx.x, width = (uint32_t)cols / 4;
    const int row = (int)(q / width), col = (int)(q % width) * 4;
    if (row >= ci_rows_here(b, rows)) return;
    float4 *at = (float4 *)(x + (int64_t)row * cols + col);
    *at = quad_value<RELU>(b, rows, cols, operation, row, col, *at);
}

/* The same for any number of columns: an element and a Philox at a time. */
template <bool RELU> static __global__ void drop_ones(const ci_k_batch b, ci_rows rows, int cols, uint32_t operation, float *x)
{
    const int64_t n = elements(b, rows, cols);
    for (int k = 0; k < EACH; k++) {
        const int64_t at = element(k);
        if (at >= n) return;
        const int row = (int)(at / cols), col = (int)(at % cols), g = ci_graph_of(b, rows, row);
        const float v = RELU && 0.0f > x[at] ? 0 : x[at];
        const uint32_t nth = (uint32_t)(row - ci_graph_first(b, rows, g)) * (uint32_t)cols + (uint32_t)col;
        x[at] = !b.training || b.step->drop == 0 ? v : ci_kept(b.step, operation, b.graph[g], nth) ? v * b.step->keep : 0;
    }
}

template <bool RELU> static void drop(ci_dev *d, const ci_k_batch *b, ci_rows rows, int cols, uint32_t operation, float *x)
{
    const bool quads = cols % 4 == 0 && (uintptr_t)x % sizeof(float4) == 0;
    if (quads) CI_LAUNCH(d, drop_quads<RELU>, ci_blocks((int64_t)b->most[rows] * (cols / 4), THREADS), THREADS, 0, *b, rows, cols, operation, x);
    else CI_LAUNCH(d, drop_ones<RELU>, grid(b, rows, cols), THREADS, 0, *b, rows, cols, operation, x);
}

void ci_cuda_relu(ci_dev *d, const ci_k_batch *b, ci_rows rows, int32_t cols, uint32_t operation, float *x)
{
    drop<true>(d, b, rows, cols, operation, x);
}

void ci_cuda_dropout(ci_dev *d, const ci_k_batch *b, ci_rows rows, int32_t cols, uint32_t operation, float *x)
{
    if (b->training) drop<false>(d, b, rows, cols, operation, x);
}

static __global__ void relu_back(const ci_k_batch b, ci_rows rows, int cols, const float *y, float *dx)
{
    const int64_t n = elements(b, rows, cols);
    const float scale = b.training ? b.step->keep : 1;
    for (int k = 0; k < EACH; k++) {
        const int64_t at = element(k);
        if (at < n) dx[at] = y[at] > 0 ? dx[at] * scale : 0;
    }
}

void ci_cuda_relu_back(ci_dev *d, const ci_k_batch *b, ci_rows rows, int32_t cols, const float *y, float *dx)
{
    CI_LAUNCH(d, relu_back, grid(b, rows, cols), THREADS, 0, *b, rows, cols, y, dx);
}

/* ---- sigmoid ---- */

static __global__ void sigmoid(const ci_k_batch b, ci_rows rows, int cols, float *x)
{
    const int64_t n = elements(b, rows, cols);
    for (int k = 0; k < EACH; k++) {
        const int64_t at = element(k);
        if (at < n) x[at] = ci_sigmoidf(x[at]);
    }
}

void ci_cuda_sigmoid(ci_dev *d, const ci_k_batch *b, ci_rows rows, int32_t cols, float *x)
{
    CI_LAUNCH(d, sigmoid, grid(b, rows, cols), THREADS, 0, *b, rows, cols, x);
}

static __global__ void sigmoid_back(const ci_k_batch b, ci_rows rows, int cols, const float *y, float *dx)
{
    const int64_t n = elements(b, rows, cols);
    for (int k = 0; k < EACH; k++) {
        const int64_t at = element(k);
        if (at < n) dx[at] *= y[at] * (1 - y[at]);
    }
}

void ci_cuda_sigmoid_back(ci_dev *d, const ci_k_batch *b, ci_rows rows, int32_t cols, const float *y, float *dx)
{
    CI_LAUNCH(d, sigmoid_back, grid(b, rows, cols), THREADS, 0, *b, rows, cols, y, dx);
}

/* ---- sums and copies ---- */

static __global__ void add(const ci_k_batch b, ci_rows rows, int cols, const float *x, const float *y, float *z)
{
    const int64_t n = elements(b, rows, cols);
    for (int k = 0; k < EACH; k++) {
        const int64_t at = element(k);
        if (at < n) z[at] = x[at] + y[at];
    }
}

void ci_cuda_add(ci_dev *d, const ci_k_batch *b, ci_rows rows, int32_t cols, const float *x, const float *y, float *z)
{
    CI_LAUNCH(d, add, grid(b, rows, cols), THREADS, 0, *b, rows, cols, x, y, z);
}

static __global__ void add_to(const ci_k_batch b, ci_rows rows, int cols, const float *dy, int dy_row, float *dx, int32_t more)
{
    const int64_t n = elements(b, rows, cols);
    for (int k = 0; k < EACH; k++) {
        const int64_t at = element(k);
        if (at >= n) return;
        const float v = dy[dy_row == cols ? at : at / cols * dy_row + at % cols];
        dx[at] = more ? dx[at] + v : v;
    }
}

void ci_cuda_add_to(ci_dev *d, const ci_k_batch *b, ci_rows rows, int32_t cols, const float *dy, int32_t dy_row, float *dx, int32_t more)
{
    CI_LAUNCH(d, add_to, grid(b, rows, cols), THREADS, 0, *b, rows, cols, dy, dy_row, dx, more);
}

enum { PARTS = 8 };
struct parts { int n, first, width, cols[PARTS], all; const float *x[PARTS]; };

/* An element of y each: columns [first, first + width) of rows of `all`. */
static __global__ void cat(const ci_k_batch b, ci_rows rows, const struct parts p, float *y)
{
    const int64_t n = elements(b, rows, p.width);
    for (int k = 0; k < EACH; k++) {
        const int64_t at = element(k);
        if (at >= n) return;
        const int64_t row = at / p.width;
        int col = (int)(at % p.width), part = 0;
        float *to = y + row * p.all + p.first + col;
        while (col >= p.cols[part]) col -= p.cols[part++];
        *to = p.x[part][row * p.cols[part] + col];
    }
}

void ci_cuda_cat(ci_dev *d, const ci_k_batch *b, ci_rows rows, int32_t n, const float *const *x, const int32_t *cols, float *y)
{
    struct parts p = {};
    for (int k = 0; k < n; k++) p.all += cols[k];
    for (int at = 0; at < n; at += p.n, p.first += p.width) { /* as many as an argument of a kernel holds */
        p.n = n - at < PARTS ? n - at : PARTS;
        p.width = 0;
        for (int k = 0; k < p.n; k++) {
            p.x[k] = x[at + k];
            p.cols[k] = cols[at + k];
            p.width += cols[at + k];
        }
        CI_LAUNCH(d, cat, grid(b, rows, p.width), THREADS, 0, *b, rows, p, y);
    }
}

static __global__ void zero(const ci_k_batch b, ci_rows rows, int cols, float *x)
{
    const int64_t n = elements(b, rows, cols);
    for (int k = 0; k < EACH; k++) {
        const int64_t at = element(k);
        if (at < n) x[at] = 0;
    }
}

void ci_cuda_zero(ci_dev *d, const ci_k_batch *b, ci_rows rows, int32_t cols, float *x)
{
    CI_LAUNCH(d, zero, grid(b, rows, cols), THREADS, 0, *b, rows, cols, x);
}
