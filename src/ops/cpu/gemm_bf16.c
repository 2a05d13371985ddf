/** Matrix products of operands rounded to bf16, two steps of k an instruction (AVX512-BF16), sums in float32.
 *
 *  B of three registers' width and a block of A are packed as pairs (k, k + 1) first: a product of few rows costs as
 *  much for that as for its sums.  An element is one chain over pairs of k, whatever the block. */
#include "cpu_priv.h"

#ifdef __x86_64__
#include <immintrin.h>
#include <pthread.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))
#define ALWAYS static inline __attribute__((always_inline)) TARGET

enum { VN = 16, MR = 8, NV_MAX = 3, BLOCK_M = 128, PAIRS = 128 }; /* 64 KiB of A, 24 KiB of B: on the stack */

struct packed {
    uint32_t a[BLOCK_M * PAIRS], b[PAIRS * NV_MAX * VN];
    int a_row, a_col; /* the pair kp of row m is a[m * a_row + kp * a_col] */
};

/** Lanes (lo, hi) in bf16, to nearest, ties to even. */
ALWAYS __m512i pairs(__m512 lo, __m512 hi)
{
    const __m512i l = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(lo));
    const __m512i h = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(hi));
    return _mm512_or_si512(l, _mm512_slli_epi32(h, 16));
}

ALWAYS __mmask16 first(ci_lid n) { return (__mmask16)(n >= VN ? 0xFFFF : n <= 0 ? 0 : (1u << n) - 1); }

/** Pairs of rows k0.. of n columns of B; what is beyond K or n is 0. */
TARGET static void pack_b(const ci_gemm *g, ci_lid n0, int NV, ci_lid k0, ci_lid K, struct packed *w)
{
    for (ci_lid k = 0; k < K; k += 2)
        for (int v = 0; v < NV; v++) {
            const __mmask16 some = first(g->N - n0 - v * VN);
            const float *b = g->b + (size_t)(k0 + k) * g->b_row + n0 + v * VN;
            const __m512 lo = _mm512_maskz_loadu_ps(some, b);
            const __m512 hi = k + 1 < K ? _mm512_maskz_loadu_ps(some, b + g->b_row) : _mm512_setzero_ps();
            _mm512_storeu_si512(w->b + ((size_t)(k / 2) * NV + (size_t)v) * VN, pairs(lo, hi));
        }
}

/** Pairs of M rows of A from m0 on; rows up to the next multiple of MR are 0. */
TARGET static void pack_a(const ci_gemm *g, ci_lid m0, ci_lid M, ci_lid k0, ci_lid K, struct packed *w)
{
    const ci_lid rows = (M + MR - 1) / MR * MR;
    if (g->a_row == 1 && g->a_col != 1) { /* transposed: lanes are rows */
        w->a_row = 1;
        w->a_col = BLOCK_M;
        for (ci_lid k = 0; k < K; k += 2)
            for (ci_lid m = 0; m < rows; m += VN) {
                const float *a = g->a + m0 + m + (size_t)(k0 + k) * g->a_col;
                const __m512 lo = _mm512_maskz_loadu_ps(first(M - m), a);
                const __m512 hi = k + 1 < K ? _mm512_maskz_loadu_ps(first(M - m), a + g->a_col) : _mm512_setzero_ps();
                _mm512_storeu_si512(w->a + (size_t)(k / 2) * BLOCK_M + m, pairs(lo, hi));
            }
        return;
    }
    w->a_row = PAIRS;
    w->a_col = 1;
    for (ci_lid m = 0; m < rows; m++)
        for (ci_lid k = 0; k < K; k += 2 * VN) {
            const float *a = g->a + (size_t)(m0 + m) * g->a_row + (size_t)(k0 + k) * g->a_col;
            const ci_lid some = m < M ? K - k : 0;
            float x[2 * VN] = {0};
            for (ci_lid j = 0; g->a_col != 1 && j < CI_MIN(2 * VN, some); j++) x[j] = a[(size_t)j * g->a_col];
            const __m512 lo = g->a_col == 1 ? _mm512_maskz_loadu_ps(first(some), a) : _mm512_loadu_ps(x);
            const __m512 hi = g->a_col == 1 ? _mm512_maskz_loadu_ps(first(some - VN), a + VN) : _mm512_loadu_ps(x + VN);
            _mm512_storeu_si512(w->a + (size_t)m * PAIRS + k / 2, (__m512i)_mm512_cvtne2ps_pbh(hi, lo));
        }
}

/** MR rows, of which `rows` exist, of NV registers over n_pair steps; `start` says what a first block begins with. */
ALWAYS void tile(const ci_gemm *g, const struct packed *w, ci_lid m0, ci_lid m, ci_lid n, int NV, int rows, ci_lid n_pair,
                 ci_gemm_start start)
{
    __m512 acc[MR][NV_MAX];
    float *c = g->c + (size_t)(m0 + m) * g->c_row + n;
    for (int i = 0; i < MR; i++)
        for (int v = 0; v < NV; v++) {
            const __mmask16 some = first(g->N - n - v * VN);
            acc[i][v] = start == CI_GEMM_ADD && i < rows ? _mm512_maskz_loadu_ps(some, c + (size_t)i * g->c_row + v * VN)
                        : start == CI_GEMM_BIAS          ? _mm512_maskz_loadu_ps(some, g->bias + n + v * VN)
                                                         : _mm512_setzero_ps();
        }
    const uint32_t *a = w->a + (size_t)m * w->a_row, *b = w->b;
    for (ci_lid k = 0; k < n_pair; k++, a += w->a_col, b += NV * VN) {
        __m512bh bk[NV_MAX];
        for (int v = 0; v < NV; v++) bk[v] = (__m512bh)_mm512_loadu_si512(b + v * VN);
        for (int i = 0; i < MR; i++) {
            const __m512bh ai = (__m512bh)_mm512_set1_epi32((int)a[i * w->a_row]);
            for (int v = 0; v < NV; v++) acc[i][v] = _mm512_dpbf16_ps(acc[i][v], ai, bk[v]);
        }
    }
    for (int i = 0; i < MR; i++)
        for (int v = 0; v < NV; v++)
            if (i < rows) _mm512_mask_storeu_ps(c + (size_t)i * g->c_row + v * VN, first(g->N - n - v * VN), acc[i][v]);
}

TARGET static void rows(const ci_gemm *g, const struct packed *w, ci_lid m0, ci_lid M, ci_lid n, int NV, ci_lid n_pair,
                        ci_gemm_start start)
{
    for (ci_lid m = 0; m < M; m += MR) {
        const int left = CI_MIN(MR, M - m);
        if (NV == 3) tile(g, w, m0, m, n, 3, left, n_pair, start);
        else if (NV == 2) tile(g, w, m0, m, n, 2, left, n_pair, start);
        else tile(g, w, m0, m, n, 1, left, n_pair, start);
    }
}

TARGET static void gemm(const ci_gemm *g)
{
    struct packed w;
    ci_lid k0 = 0;
    do { /* once with K 0, too */
        const ci_lid K = CI_MIN(2 * PAIRS, g->K - k0);
        for (ci_lid m = 0; m < g->M; m += BLOCK_M) {
            const ci_lid M = CI_MIN(BLOCK_M, g->M - m);
            pack_a(g, m, M, k0, K, &w);
            for (ci_lid n = 0; n < g->N; n += NV_MAX * VN) {
                const int NV = CI_MIN(NV_MAX, (g->N - n + VN - 1) / VN);
                pack_b(g, n, NV, k0, K, &w);
                rows(g, &w, m, M, n, NV, (K + 1) / 2, k0 ? CI_GEMM_ADD : g->start);
            }
        }
        k0 += K;
    } while (k0 < g->K);
}

static ci_ops table;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void table_make(void)
{
    table = ci_ops_avx512;
    table.name = "avx512-bf16";
    table.gemm = gemm;
}

const ci_ops *ci_ops_get_bf16(void)
{
    if (!ci_ops_get("avx512") || !__builtin_cpu_supports("avx512bf16")) return NULL;
    pthread_once(&once, table_make);
    return &table;
}
#else
const ci_ops *ci_ops_get_bf16(void) { return NULL; }
#endif
