/* Half precision.  The processor's own conversion and the portable one round alike. */
#include <string.h>
#include "ci/store.h"
#if defined __x86_64__
#include <immintrin.h>
#endif

#define HALF_MAX 65504.0f

static uint16_t from_one(float x)
{
    uint32_t u, sign, mant;
    int32_t e;

    memcpy(&u, &x, sizeof u);
    sign = u >> 16 & 0x8000u;
    u &= 0x7fffffffu;
    if (u > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | (u >> 13 & 0x1ffu)); /* NaN */
    if (u > 0x477fe000u) return (uint16_t)(sign | 0x7bffu);
    e = (int32_t)(u >> 23) - 112; /* exponent of the half */
    if (e <= 0) {                 /* subnormal: shift, round to nearest even */
        if (e < -10) return (uint16_t)sign;
        mant = (u & 0x7fffffu) | 0x800000u;
        const uint32_t shift = (uint32_t)(14 - e), half = 1u << (shift - 1);
        const uint32_t rest = mant & ((1u << shift) - 1);
        mant >>= shift;
        if (rest > half || (rest == half && (mant & 1))) mant++;
        return (uint16_t)(sign | mant);
    }
    u = ((uint32_t)e << 23 | (u & 0x7fffffu)) + 0xfffu + (u >> 13 & 1);
    return (uint16_t)(sign | u >> 13);
}

static float to_one(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16, e = h >> 10 & 31, m = h & 0x3ffu;
    uint32_t u = sign | (e + 112) << 23 | m << 13;
    float x;

    if (e == 0) {
        x = (float)m * 0x1p-24f;
        return sign ? -x : x;
    }
    if (e == 31) u = sign | 0x7f800000u | m << 13 | (m ? 0x400000u : 0); /* a NaN comes out quiet */
    memcpy(&x, &u, sizeof x);
    return x;
}

#if defined __x86_64__
__attribute__((target("avx2,f16c"))) static size_t from_eight(const float *x, size_t n, uint16_t *out)
{
    const __m256 most = _mm256_set1_ps(HALF_MAX), least = _mm256_set1_ps(-HALF_MAX);
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        __m256 v = _mm256_loadu_ps(x + i); /* as second operand of min and max a NaN stays */
        v = _mm256_max_ps(least, _mm256_min_ps(most, v));
        _mm_storeu_si128((__m128i *)(void *)(out + i), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
    }
    return i;
}

__attribute__((target("avx2,f16c"))) static size_t to_eight(const uint16_t *h, size_t n, float *out)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(h + i))));
    return i;
}

static int can(void)
{
    return __builtin_cpu_supports("avx2"); /* every such processor converts halves */
}
#else
static int can(void) { return 0; }
static size_t from_eight(const float *x, size_t n, uint16_t *out) { (void)x; (void)n; (void)out; return 0; }
static size_t to_eight(const uint16_t *h, size_t n, float *out) { (void)h; (void)n; (void)out; return 0; }
#endif

void ci_half_from_f32(const float *x, size_t n, uint16_t *out)
{
    for (size_t i = can() ? from_eight(x, n, out) : 0; i < n; i++) out[i] = from_one(x[i]);
}

void ci_half_to_f32(const uint16_t *h, size_t n, float *out)
{
    for (size_t i = can() ? to_eight(h, n, out) : 0; i < n; i++) out[i] = to_one(h[i]);
}
