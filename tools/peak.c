/* Loops of fused multiply-adds in registers, each chain apart from the others. */
#include <time.h>
#include "ci/types.h"
#include "peak.h"

enum { RUNS = 20, CHAINS = 24, LOOPS = 200000 };

double thread_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#ifdef __x86_64__
#include <immintrin.h>

__attribute__((target("avx512f"))) static double chains_avx512(void)
{
    __m512 acc[CHAINS], x = _mm512_set1_ps(0.999f), sum = _mm512_setzero_ps();
    for (int k = 0; k < CHAINS; k++) acc[k] = _mm512_set1_ps((float)k);
    for (int i = 0; i < LOOPS; i++) {
        __asm__ volatile("" : "+v"(x)); /* the loop cannot be folded */
#pragma GCC unroll 24
        for (int k = 0; k < CHAINS; k++) acc[k] = _mm512_fmadd_ps(acc[k], x, x);
    }
    for (int k = 0; k < CHAINS; k++) sum = _mm512_add_ps(sum, acc[k]);
    return (double)_mm512_reduce_add_ps(sum);
}

__attribute__((target("avx2,fma"))) static double chains_avx2(void)
{
    enum { N = CHAINS / 2 }; /* of 16 registers */
    __m256 acc[N], x = _mm256_set1_ps(0.999f), sum = _mm256_setzero_ps();
    for (int k = 0; k < N; k++) acc[k] = _mm256_set1_ps((float)k);
    for (int i = 0; i < 2 * LOOPS; i++) {
        __asm__ volatile("" : "+x"(x));
#pragma GCC unroll 12
        for (int k = 0; k < N; k++) acc[k] = _mm256_fmadd_ps(acc[k], x, x);
    }
    for (int k = 0; k < N; k++) sum = _mm256_add_ps(sum, acc[k]);
    return (double)_mm256_cvtss_f32(sum);
}
#endif

double peak(int lanes)
{
    double best = 0;
#ifdef __x86_64__
    for (int run = 0; run < RUNS && lanes >= 8; run++) {
        const double t = thread_s();
        volatile double keep = lanes == 16 ? chains_avx512() : chains_avx2();
        (void)keep;
        best = CI_MAX(best, 2.0 * CHAINS * LOOPS * lanes / (thread_s() - t) / 1e9);
    }
#else
    (void)lanes;
#endif
    return best;
}
