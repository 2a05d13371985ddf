/* Products of activations with weights.
 *
 * One block a tile of C, of one of up to 8 products: 128 x 64 by 256 threads, or 32 x 32 by 64 where there are few tiles or few columns.
 * Blocks of one row of tiles follow each other, so that A is read from memory once.  Price: A (N / tile) times through the second cache,
 * B (M / tile) times, C once; ceil(n / 8) launches.  An element is one chain over k whatever the tile: fp32 has the bits of ci_ops.gemm,
 * and a row does not depend on how many rows there are. */
#include "tile.h"

enum { GROUP = 8, ENOUGH = 264 }; /* products of a launch; blocks below which tiles are small: two for each processor of an H100 */

typedef struct gemm_group {
    int32_t n, first[GROUP + 1]; /* block of each product */
    ci_k_gemm g[GROUP];
} gemm_group;
static_assert(sizeof(gemm_group) + sizeof(ci_k_batch) <= 4096, "parameters of a kernel");

/** relu with dropout of W adjacent elements, as ci_relu_value; four share one call of Philox. */
template <int W> CI_DEVICE void relu_values(const ci_k_batch &b, const ci_k_gemm &g, int row, int col, float *v)
{
    const int dropping = b.training && b.step->drop;
    const float keep = b.training ? b.step->keep : 1;
    uint32_t at = 0, quad = 0xffffffffu;
    int64_t graph = 0;
    ci_u32x4 w = {{0, 0, 0, 0}};

    if (dropping) {
        const int of = ci_graph_of(b, g.rows, row);
        graph = b.graph[of];
        at = (uint32_t)(row - ci_graph_first(b, g.rows, of)) * (uint32_t)g.N + (uint32_t)col;
    }
    for (int j = 0; j < W; j++, at++) {
        if (dropping && at / 4 != quad) w = ci_drop_words(b.step, g.relu.operation, graph, quad = at / 4);
        const uint32_t word = at % 4 < 2 ? at % 4 ? w.v[1] : w.v[0] : at % 4 == 2 ? w.v[2] : w.v[3];
        v[j] = v[j] <= 0 || (dropping && word < b.step->drop) ? 0 : v[j] * keep;
    }
}

template <int W> CI_DEVICE void gemm_start(const ci_k_gemm &g, int here, int row, int col, float *v)
{
    const float *c = g.c + (size_t)row * g.c_row;
    for (int j = 0; j < W; j++) {
        v[j] = 0;
        if (!here || col + j >= g.N) continue;
        if (g.add) v[j] = c[col + j];
        if (g.bias) v[j] = g.add ? v[j] + g.bias[col + j] : g.bias[col + j];
    }
}

/** The gradient of what a relu has made becomes that of its input. */
template <int W> CI_DEVICE void gate_values(const ci_k_batch &b, const ci_k_gemm &g, int row, int col, float *v)
{
    const float *y = g.gate + (size_t)row * g.c_row + col, keep = b.training ? b.step->keep : 1;
    for (int j = 0; j < W; j++)
        if (col + j < g.N) v[j] = y[j] > 0 ? v[j] * keep : 0;
}

template <int W> CI_DEVICE void gemm_put(const ci_k_batch &b, const ci_k_gemm &g, int row, int col, float *v)
{
    float *c = g.c + (size_t)row * g.c_row + col;
    if (g.relu.on) relu_values<W>(b, g, row, col, v);
    if (g.gate) gate_values<W>(b, g, row, col, v);
    if (W == 4 && col + 4 <= g.N && (size_t)c % 16 == 0) {
        *(float4 *)c = make_float4(v[0], v[1], v[W - 2], v[W - 1]);
        return;
    }
    if (W == 2 && col + 2 <= g.N && (size_t)c % 8 == 0) {
        *(float2 *)c = make_float2(v[0], v[1]);
        return;
    }
    for (int j = 0; j < W; j++)
        if (col + j < g.N) c[j] = v[j];
}

template <int P, int M, int N, int T> CI_DEVICE void gemm_tile(const ci_k_batch &b, const gemm_group &q)
{
    CI_SHARED(float, shared);
    const int W = tile_run(P), block = blockIdx.x;
    int at = 0, row, col;
    while (block >= q.first[at + 1]) at++;
    const ci_k_gemm g = q.g[at];
    const int across = (g.N + N - 1) / N, m0 = (block - q.first[at]) / across * M, n0 = (block - q.first[at]) % across * N;
    const int rows = ci_rows_here(b, g.rows);
    if (m0 >= rows) return;

    const tile_pair pair[2] = {{tile_side_of(g.a, g.a_row, rows, 0, 0), tile_side_of(g.b, g.b_row, g.N, !g.b_t, 0), 0, g.K},
                               {tile_side_of(g.a2, g.a2_row, rows, 0, 0), tile_side_of(g.b2, g.b2_row, g.N, !g.b_t, 0), 0, g.K2}};
    float acc[tile_rows(M, N, T)][4];
    UNROLL for (int r = 0; r < tile_rows(M, N, T); r++)
        UNROLL for (int j = 0; j < 4; j += W) {
            tile_where<P, M, N, T>(r, j, &row, &col);
            gemm_start<W>(g, m0 + row < rows, m0 + row, n0 + col, &acc[r][j]);
        }
    tile_product<P, M, N, T>(pair, m0, n0, shared, acc);
    UNROLL for (int r = 0; r < tile_rows(M, N, T); r++)
        UNROLL for (int j = 0; j < 4; j += W) {
            tile_where<P, M, N, T>(r, j, &row, &col);
            if (m0 + row < rows) gemm_put<W>(b, g, m0 + row, n0 + col, &acc[r][j]);
        }
}

#define KERNELS(P, name)                                                                                                              \
    static __global__ void __launch_bounds__(256, 2) name(const ci_k_batch b, const gemm_group q) { gemm_tile<P, 128, 64, 256>(b, q); } \
    static __global__ void __launch_bounds__(64) name##_small(const ci_k_batch b, const gemm_group q) { gemm_tile<P, 32, 32, 64>(b, q); }
KERNELS(CI_FP32, gemm_fp32)
KERNELS(CI_TF32, gemm_tf32)
KERNELS(CI_BF16, gemm_bf16)

static int64_t tiles(const ci_k_batch *b, const ci_k_gemm *g, int M, int N)
{
    return (int64_t)ci_blocks(b->most[g->rows], M) * ci_blocks(g->N, N);
}

static void group(ci_dev *d, const ci_k_batch *b, ci_precision precision, const ci_k_gemm *g, int n)
{
    gemm_group q = {};
    int64_t big = 0;
    int widest = 0;
    for (int k = 0; k < n; k++) {
        big += tiles(b, &g[k], 128, 64);
        widest = CI_MAX(widest, g[k].N);
    }
    const int small = big < ENOUGH || widest <= 32;
    q.n = n;
    for (int k = 0; k < n; k++) {
        q.g[k] = g[k];
        q.first[k + 1] = q.first[k] + (int32_t)tiles(b, &g[k], small ? 32 : 128, small ? 32 : 64);
    }
#define ASK(P, name)                                                                                              \
    if (small) CI_LAUNCH(d, name##_small, (unsigned)q.first[n], 64, tile_bytes(P, 32, 32), *b, q);                \
    else CI_LAUNCH(d, name, (unsigned)q.first[n], 256, tile_bytes(P, 128, 64), *b, q)
    if (precision == CI_BF16) {
        ASK(CI_BF16, gemm_bf16);
    } else if (precision == CI_TF32) {
        ASK(CI_TF32, gemm_tf32);
    } else {
        ASK(CI_FP32, gemm_fp32);
    }
}

void ci_cuda_gemm(ci_dev *d, const ci_k_batch *b, ci_precision precision, const ci_k_gemm *g, int n)
{
    for (int k = 0; k < n; k += GROUP) group(d, b, precision, g + k, CI_MIN(GROUP, n - k));
}
