#ifndef CI_TILE_H
#define CI_TILE_H
/** One tile of a product, summed in the registers of one block: what products, their gradients and the LSTM share.
 *
 *  T threads make M x N elements, M N / T each.  Both factors go through shared memory in slices of k, two buffers of it: while one slice
 *  is multiplied the next is on its way through registers, so a slice costs one barrier.
 *
 *  fp32: 16 of k a slice; a thread has rows of 4 adjacent columns and reads 4 columns of B and 4 or 8 rows of A for 16 or 32 fused
 *  steps.  An element is one chain of fmaf, k ascending; slices are cut where k ends, so nothing is added for what does not exist.
 *  tf32, bf16: 16 or 32 of k a slice, rounded when they are put into shared memory (as words along k, 20 a row, so that neither the
 *  fragments nor what is stored meet in a bank); a warp makes M / (warps / (N / 32)) rows of 32 columns by mma.h.  What does not exist is 0.
 *
 *  Where a column is a gate of the LSTM, one thread gets all four gates of a unit: see tile_source. */
#include "mma.h"

#ifdef CI_EMULATED
#define UNROLL
#else
#define UNROLL _Pragma("unroll")
#endif

enum { TILE_WORDS = 16, TILE_ROW = 20 }; /* of a slice of tf32 or bf16, and of its row in shared memory */

static constexpr __host__ __device__ int tile_depth(int P) { return P == CI_BF16 ? 32 : 16; }
static constexpr __host__ __device__ int tile_quads(int P, int O, int T) { return O * tile_depth(P) / 4 / T; } /* that a thread fetches of a slice */

/** Bytes of shared memory. */
static constexpr __host__ __device__ int tile_bytes(int P, int M, int N)
{
    return 2 * (P == CI_FP32 ? tile_depth(P) * (M + N + 8) : (M + N) * TILE_ROW) * (int)sizeof(float);
}

/** A factor.  Element (o, k), k the index that is summed over: p[k row + o] where `across`, else p[o row + k].  0 from o = n on. */
typedef struct tile_side {
    const float *p;
    int32_t row, n;
    int32_t across;
    int32_t gate; /* h: across, and o counts gates of units below n; else 0 */
    int32_t wide; /* fours of floats are aligned */
} tile_side;

/** A B for k from first to last. */
typedef struct tile_pair {
    tile_side a, b;
    int32_t first, last;
} tile_pair;

CI_DEVICE tile_side tile_side_of(const float *p, int row, int n, int across, int gate)
{
    tile_side s = {p, row, n, across, gate, 0};
    s.wide = ((size_t)p % 16 == 0) & (row % 4 == 0) & (gate % 4 == 0);
    return s;
}

/** Which k and which four of o quad i of this thread is; along k, which o and which four of k. */
template <int P, int O, int T> CI_DEVICE void tile_place(int i, int across, int *o, int *k)
{
    const int each = P == CI_BF16 ? 2 : 1, t = threadIdx.x;
    if (!across) {
        const int q = t + i * T, width = tile_depth(P) / 4;
        *k = q % width * 4;
        *o = q / width;
    } else if (P == CI_FP32) {
        const int q = t + i * T;
        *o = q % (O / 4) * 4;
        *k = q / (O / 4);
    } else { /* lanes along k: what they store meets in no bank */
        const int q = t + i / each * T;
        *o = q / TILE_WORDS * 4;
        *k = q % TILE_WORDS * each + i % each;
    }
}

/** Four floats from p[at] on, 0 from p[end] on. */
CI_DEVICE float4 tile_four(const float *p, int at, int end, int wide)
{
    if (wide && at + 4 <= end) return *(const float4 *)(p + at);
    return make_float4(at < end ? p[at] : 0, at + 1 < end ? p[at + 1] : 0, at + 2 < end ? p[at + 2] : 0, at + 3 < end ? p[at + 3] : 0);
}

/** The unit that the columns of gates from o on belong to: fp32 has the four gates of a unit side by side, as a thread has four adjacent
 *  columns; of a warp's 32 columns the others have eight units a gate, as a thread has columns 8 apart. */
template <int P> CI_DEVICE int tile_unit(int o) { return P == CI_FP32 ? o / 4 : o / 32 * 8 + o % 8; }

template <int P> CI_DEVICE float4 tile_source(const tile_side &s, int o, int k)
{
    const float *p = s.p + (size_t)k * s.row;
    if (!s.gate) return tile_four(p, o, s.n, s.wide);
    const int u = tile_unit<P>(o);
    if (P != CI_FP32) return tile_four(p + o / 8 % 4 * s.gate, u, s.n, s.wide);
    if (u >= s.n) return make_float4(0, 0, 0, 0);
    return make_float4(p[u], p[s.gate + u], p[2 * s.gate + u], p[3 * s.gate + u]);
}

/** A slice of a factor into registers. */
template <int P, int O, int T> CI_DEVICE void tile_fetch(const tile_side &s, int o0, int k0, int last, float4 *r)
{
    static_assert(O * tile_depth(P) / 4 % T == 0 && (P != CI_BF16 || tile_quads(P, O, T) % 2 == 0), "every thread fetches as much");
    UNROLL for (int i = 0; i < tile_quads(P, O, T); i++) {
        int o, k;
        tile_place<P, O, T>(i, s.across, &o, &k);
        o += o0;
        k += k0;
        if (s.across) r[i] = k < last ? tile_source<P>(s, o, k) : make_float4(0, 0, 0, 0);
        else r[i] = o < s.n ? tile_four(s.p + (size_t)o * s.row, k, last, s.wide && k0 % 4 == 0) : make_float4(0, 0, 0, 0);
    }
}

template <int P> CI_DEVICE uint32_t tile_word(float low, float high)
{
    return P == CI_BF16 ? mma_bf16_bits(low) | mma_bf16_bits(high) << 16 : mma_tf32_bits(low);
}

/** And from there into shared memory: fp32 [k][O + 4] floats, else [O][TILE_ROW] words. */
template <int P, int O, int T> CI_DEVICE void tile_put(const tile_side &s, const float4 *r, float *to)
{
    uint32_t *word = (uint32_t *)to;
    const int each = P == CI_BF16 ? 2 : 1;
    UNROLL for (int i = 0; i < tile_quads(P, O, T); i++) {
        int o, k;
        if (s.across && i % each) continue; /* it went with the one before */
        tile_place<P, O, T>(i, s.across, &o, &k);
        if (P == CI_FP32 && s.across) {
            *(float4 *)(to + k * (O + 4) + o) = r[i];
        } else if (P == CI_FP32) {
            to[k * (O + 4) + o] = r[i].x;
            to[(k + 1) * (O + 4) + o] = r[i].y;
            to[(k + 2) * (O + 4) + o] = r[i].z;
            to[(k + 3) * (O + 4) + o] = r[i].w;
        } else if (s.across) {
            const float4 low = r[i], high = r[i | (each - 1)];
            word[o * TILE_ROW + k / each] = tile_word<P>(low.x, high.x);
            word[(o + 1) * TILE_ROW + k / each] = tile_word<P>(low.y, high.y);
            word[(o + 2) * TILE_ROW + k / each] = tile_word<P>(low.z, high.z);
            word[(o + 3) * TILE_ROW + k / each] = tile_word<P>(low.w, high.w);
        } else if (P == CI_BF16) {
            *(uint2 *)(word + o * TILE_ROW + k / 2) = make_uint2(tile_word<P>(r[i].x, r[i].y), tile_word<P>(r[i].z, r[i].w));
        } else {
            *(uint4 *)(word + o * TILE_ROW + k) = make_uint4(tile_word<P>(r[i].x, 0), tile_word<P>(r[i].y, 0), tile_word<P>(r[i].z, 0), tile_word<P>(r[i].w, 0));
        }
    }
}

/** Rows of registers: acc[R][4].  fp32: a row of the tile each; else four of mma.h, first along columns. */
static constexpr __host__ __device__ int tile_rows(int M, int N, int T) { return M * N / 4 / T; }

/** Which element of the tile acc[r][j] is. */
template <int P, int M, int N, int T> CI_DEVICE void tile_where(int r, int j, int *row, int *col)
{
    if (P == CI_FP32) {
        const int down = T / (N / 4);
        *row = r / 4 * 4 * down + (int)threadIdx.x / (N / 4) * 4 + r % 4;
        *col = (int)threadIdx.x % (N / 4) * 4 + j;
    } else {
        const int warp = threadIdx.x / CI_WARP, lane = threadIdx.x % CI_WARP, high = M / (T / CI_WARP / (N / 32));
        *row = warp / (N / 32) * high + r / 4 * 16 + lane / 4 + j / 2 * 8;
        *col = warp % (N / 32) * 32 + r % 4 * 8 + lane % 4 * 2 + j % 2;
    }
}

/** Adjacent columns that a thread has of a row. */
static constexpr __host__ __device__ int tile_run(int P) { return P == CI_FP32 ? 4 : 2; }

/** Units of an LSTM in a tile of gates, and of this thread's M N / T / 4: where unit i is, and its gate. */
template <int P, int M, int N, int T> CI_DEVICE void tile_where_unit(int i, int *row, int *unit)
{
    int col;
    tile_where<P, M, N, T>(P == CI_FP32 ? i : i / 4 * 4, P == CI_FP32 ? 0 : i % 4, row, &col);
    *unit = tile_unit<P>(col);
}
template <int P> CI_DEVICE float *tile_gate(float (*acc)[4], int i, int gate)
{
    return P == CI_FP32 ? &acc[i][gate] : &acc[i / 4 * 4 + gate][i % 4];
}

template <int M, int N, int T> CI_DEVICE void tile_step32(const float *a, const float *b, float (*acc)[4])
{
    const int x = threadIdx.x % (N / 4) * 4, y = threadIdx.x / (N / 4) * 4, down = T / (N / 4) * 4;
    const float4 v = *(const float4 *)(b + x);
    UNROLL for (int r = 0; r < tile_rows(M, N, T); r += 4) {
        const float4 u = *(const float4 *)(a + r / 4 * down + y);
        const float w[4] = {u.x, u.y, u.z, u.w};
        UNROLL for (int i = 0; i < 4; i++) {
            acc[r + i][0] = fmaf(w[i], v.x, acc[r + i][0]);
            acc[r + i][1] = fmaf(w[i], v.y, acc[r + i][1]);
            acc[r + i][2] = fmaf(w[i], v.z, acc[r + i][2]);
            acc[r + i][3] = fmaf(w[i], v.w, acc[r + i][3]);
        }
    }
}

template <int P, int M, int N, int T> CI_DEVICE void tile_step_mma(const uint32_t *a, const uint32_t *b, float (*acc)[4])
{
    const int warp = threadIdx.x / CI_WARP, lane = threadIdx.x % CI_WARP, g = lane / 4, t = lane % 4;
    const int high = M / (T / CI_WARP / (N / 32));
    a += (warp / (N / 32) * high + g) * TILE_ROW + t;
    b += (warp % (N / 32) * 32 + g) * TILE_ROW + t;
    UNROLL for (int k = 0; k < TILE_WORDS; k += MMA_WORDS, a += MMA_WORDS, b += MMA_WORDS) {
        uint32_t v[4][2];
        UNROLL for (int n = 0; n < 4; n++) {
            v[n][0] = b[n * 8 * TILE_ROW];
            v[n][1] = b[n * 8 * TILE_ROW + 4];
        }
        UNROLL for (int m = 0; m < tile_rows(M, N, T) / 4; m++) {
            const uint32_t *p = a + m * 16 * TILE_ROW, u[4] = {p[0], p[8 * TILE_ROW], p[4], p[8 * TILE_ROW + 4]};
            UNROLL for (int n = 0; n < 4; n++) mma<P>(acc[m * 4 + n], u, v[n]);
        }
    }
}

template <int P, int M, int N, int T> CI_DEVICE void tile_step(const float *a, const float *b, int depth, float (*acc)[4])
{
    if (P != CI_FP32) {
        tile_step_mma<P, M, N, T>((const uint32_t *)a, (const uint32_t *)b, acc);
    } else if (depth == tile_depth(P)) {
        UNROLL for (int k = 0; k < tile_depth(P); k++) tile_step32<M, N, T>(a + k * (M + 4), b + k * (N + 4), acc);
    } else {
        for (int k = 0; k < depth; k++) tile_step32<M, N, T>(a + k * (M + 4), b + k * (N + 4), acc);
    }
}

/** acc += A B (+ A2 B2) of the tile at (m0, n0).  All threads of the block, once; shared has tile_bytes. */
template <int P, int M, int N, int T> CI_DEVICE void tile_product(const tile_pair *pair, int m0, int n0, float *shared, float (*acc)[4])
{
    const int D = tile_depth(P), n_a = P == CI_FP32 ? D * (M + 4) : M * TILE_ROW, n_b = P == CI_FP32 ? D * (N + 4) : N * TILE_ROW;
    float4 a[tile_quads(P, M, T)] = {}, b[tile_quads(P, N, T)] = {};
    tile_pair now = pair[0];
    int second = 0, k = now.first, depth = 0;

    for (int at = 0;; at ^= 1) { /* a slice is fetched, the one before multiplied */
        if (k >= now.last && !second) {
            second = 1;
            now = pair[1];
            k = now.first;
        }
        const int more = k < now.last;
        if (more) {
            tile_fetch<P, M, T>(now.a, m0, k, now.last, a);
            tile_fetch<P, N, T>(now.b, n0, k, now.last, b);
        }
        const float *from = shared + (at ^ 1) * (n_a + n_b);
        if (depth) tile_step<P, M, N, T>(from, from + n_a, depth, acc);
        if (!more) break;
        float *to = shared + at * (n_a + n_b);
        tile_put<P, M, T>(now.a, a, to);
        tile_put<P, N, T>(now.b, b, to + n_a);
        __syncthreads();
        depth = CI_MIN(D, now.last - k);
        k += D;
    }
}

#endif
