/* Gradients of weights and biases: A^T dY and the column sums of dY over the rows of each shard.
 *
 * One block a tile of dW (64 x 64 by 256 threads, or 32 x 32 by 64 where there are few), or 64 columns of db, of one product and one
 * shard; up to 32 products a launch, grid (tiles of all products, shards).  Price: A (N / tile) times and dY (K / tile) times through the
 * second cache; one atomic on 64 bits an element and shard, one on 32 bits a warp.  Rows of a shard ascend: a chain of fmaf an element in
 * fp32, plain additions in biases, so that each has the bits of the processor's shard; sums over shards are of integers. */
#include "tile.h"

enum { GROUP = 32, ENOUGH = 264, COLUMNS = 64, HELD = 16 }; /* HELD: floats of dY that a thread fetches at a time for column sums */

typedef struct grad_group {
    const ci_k_step *step;
    const int32_t *shard[CI_ROWS_COUNT];
    int32_t n, first[GROUP + 1]; /* block of each product */
    ci_k_gemm_grad g[GROUP];
} grad_group;
static_assert(sizeof(grad_group) <= 4096, "parameters of a kernel");

/** Sums of columns from n0 on, rows first to last: rows pass through shared memory, a column is one thread's. */
template <int T> CI_DEVICE void column_sums(const ci_k_gemm_grad &g, int n0, int first, int last, float *shared)
{
    const int rows = HELD * T / COLUMNS, t = threadIdx.x, n = CI_MIN(COLUMNS, g.N - n0);
    float sum = 0, v[HELD];
    for (int k = first - rows; k < last; k += rows) {
        UNROLL for (int i = 0; i < HELD; i++) {
            const int row = k + rows + (t + i * T) / COLUMNS, col = t % COLUMNS;
            v[i] = row < last && col < n ? g.dy[(size_t)row * g.dy_row + n0 + col] : 0;
        }
        if (t < COLUMNS && k >= first)
            for (int i = 0; i < CI_MIN(rows, last - k); i++) sum += shared[i * COLUMNS + t];
        __syncthreads();
        UNROLL for (int i = 0; i < HELD; i++) shared[t + i * T] = v[i];
        __syncthreads();
    }
    if (t >= COLUMNS) return;
    const uint32_t bits = t < n ? ci_bits(sum) & 0x7fffffffu : 0;
    if (bits) ci_grad_add(&g.bias.sum[n0 + t], ci_exp2i(*g.bias.exponent), sum);
    ci_grad_largest(g.bias, bits);
    if (!g.bias2.sum) return;
    if (bits) ci_grad_add(&g.bias2.sum[n0 + t], ci_exp2i(*g.bias2.exponent), sum);
    ci_grad_largest(g.bias2, bits);
}

static __host__ __device__ inline int tiles(int K, int N, int M, int side) { return (K + M - 1) / M * ((N + side - 1) / side); }

template <int P, int M, int N, int T> CI_DEVICE void grad_tile(const grad_group &q)
{
    CI_SHARED(float, shared);
    const int block = blockIdx.x, shard = blockIdx.y;
    int at = 0, row, col;
    if (shard >= q.step->n_shard) return;
    while (block >= q.first[at + 1]) at++;
    const ci_k_gemm_grad g = q.g[at];
    const int first = q.shard[g.rows][shard], last = q.shard[g.rows][shard + 1], i = block - q.first[at];
    const int n = g.w.sum ? tiles(g.K, g.N, M, N) : 0, across = (g.N + N - 1) / N, m0 = i / across * M, n0 = i % across * N;
    if (first >= last) return;
    if (i >= n) {
        column_sums<T>(g, (i - n) * COLUMNS, first, last, shared);
        return;
    }
    const tile_pair pair[2] = {{tile_side_of(g.a, g.a_row, g.K, 1, 0), tile_side_of(g.dy, g.dy_row, g.N, 1, 0), first, last}};
    float acc[tile_rows(M, N, T)][4] = {};
    tile_product<P, M, N, T>(pair, m0, n0, shared, acc);

    const double scale = ci_exp2i(*g.w.exponent);
    uint32_t most = 0;
    UNROLL for (int r = 0; r < tile_rows(M, N, T); r++)
        UNROLL for (int j = 0; j < 4; j++) {
            tile_where<P, M, N, T>(r, j, &row, &col);
            if (m0 + row >= g.K || n0 + col >= g.N) continue;
            const uint32_t bits = ci_bits(acc[r][j]) & 0x7fffffffu;
            most = bits > most ? bits : most;
            ci_grad_add(&g.w.sum[(size_t)(m0 + row) * g.N + n0 + col], scale, acc[r][j]);
        }
    ci_grad_largest(g.w, most);
}

#define KERNELS(P, name)                                                                                     \
    static __global__ void __launch_bounds__(256, 2) name(const grad_group q) { grad_tile<P, 64, 64, 256>(q); } \
    static __global__ void __launch_bounds__(64) name##_small(const grad_group q) { grad_tile<P, 32, 32, 64>(q); }
KERNELS(CI_FP32, gemm_grad_fp32)
KERNELS(CI_TF32, gemm_grad_tf32)
KERNELS(CI_BF16, gemm_grad_bf16)

static int blocks(const ci_k_gemm_grad *g, int side)
{
    return (g->w.sum ? tiles(g->K, g->N, side, side) : 0) + (g->bias.sum ? (int)ci_blocks(g->N, COLUMNS) : 0);
}

static void group(ci_dev *d, const ci_k_batch *b, ci_precision precision, const ci_k_gemm_grad *g, int n)
{
    grad_group q = {};
    int64_t big = 0;
    int wide = 0;
    for (int k = 0; k < n; k++) {
        big += (int64_t)blocks(&g[k], 64) * b->most_shard;
        wide |= g[k].K > 32 && g[k].N > 32;
    }
    const int small = big < ENOUGH || !wide;
    q.step = b->step;
    for (int k = 0; k < CI_ROWS_COUNT; k++) q.shard[k] = k == CI_ROWS_GRAPH ? b->shard_graph : b->shard_first[k];
    q.n = n;
    for (int k = 0; k < n; k++) {
        q.g[k] = g[k];
        q.first[k + 1] = q.first[k] + blocks(&g[k], small ? 32 : 64);
    }
    if (q.first[n] == 0) return;
    const dim3 grid((unsigned)q.first[n], ci_blocks(b->most_shard, 1));
#define ASK(P, name)                                                                       \
    if (small) CI_LAUNCH(d, name##_small, grid, 64, tile_bytes(P, 32, 32), q);             \
    else CI_LAUNCH(d, name, grid, 256, tile_bytes(P, 64, 64), q)
    if (precision == CI_BF16) {
        ASK(CI_BF16, gemm_grad_bf16);
    } else if (precision == CI_TF32) {
        ASK(CI_TF32, gemm_grad_tf32);
    } else {
        ASK(CI_FP32, gemm_grad_fp32);
    }
}

void ci_cuda_gemm_grad(ci_dev *d, const ci_k_batch *b, ci_precision precision, const ci_k_gemm_grad *g, int n)
{
    for (int k = 0; k < n; k += GROUP) group(d, b, precision, g + k, CI_MIN(GROUP, n - k));
}
