#ifndef CI_OPS_VEC_H
#define CI_OPS_VEC_H
/** The one register type of an instruction set: VN floats.  Lane by lane each operation rounds once, so
 *  the width never shows in a result. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#define ALWAYS static inline __attribute__((always_inline))

#if defined(__AVX512F__)
#include <immintrin.h>
#define VN_LANES 16
typedef float vf __attribute__((vector_size(64)));
typedef int32_t vi __attribute__((vector_size(64)));
ALWAYS vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
ALWAYS vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); }
ALWAYS vf v_min(vf a, vf b) { return _mm512_min_ps(a, b); }
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define VN_LANES 8
typedef float vf __attribute__((vector_size(32)));
typedef int32_t vi __attribute__((vector_size(32)));
ALWAYS vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
ALWAYS vf v_max(vf a, vf b) { return _mm256_max_ps(a, b); }
ALWAYS vf v_min(vf a, vf b) { return _mm256_min_ps(a, b); }
#else
#define VN_LANES 4
typedef float vf __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));
ALWAYS vf v_fma(vf a, vf b, vf c)
{
    for (int k = 0; k < VN_LANES; k++) c[k] = fmaf(a[k], b[k], c[k]);
    return c;
}
/** a > b ? a : b, and b when one is not a number: what the machine instruction does. */
ALWAYS vf v_max(vf a, vf b)
{
    const vi m = a > b;
    return (vf)(((vi)a & m) | ((vi)b & ~m));
}
ALWAYS vf v_min(vf a, vf b)
{
    const vi m = a < b;
    return (vf)(((vi)a & m) | ((vi)b & ~m));
}
#endif

enum { VN = VN_LANES };
typedef float v4 __attribute__((vector_size(16)));

ALWAYS vf v_load(const float *p) { vf v; memcpy(&v, p, sizeof v); return v; }
ALWAYS void v_store(float *p, vf v) { memcpy(p, &v, sizeof v); }
ALWAYS v4 v4_load(const float *p) { v4 v; memcpy(&v, p, sizeof v); return v; }
ALWAYS vf v_splat(float x) { return x - (vf){0}; } /* x + 0 would lose the sign of -0 */

/** Lanes 0..7 are x, the others y; with eight lanes or fewer, x. */
ALWAYS vf v_halves(float x, float y)
{
#if defined(__AVX512F__)
    const vf a = v_splat(x), b = v_splat(y);
    return __builtin_shufflevector(a, b, 0, 0, 0, 0, 0, 0, 0, 0, 16, 16, 16, 16, 16, 16, 16, 16);
#else
    (void)y;
    return v_splat(x);
#endif
}

/** ci_expf of each lane, the same operations in the same order. */
ALWAYS vf v_exp(vf x)
{
    x = v_max(v_splat(-104.0f), x);
    x = v_min(v_splat(89.0f), x);
    const vf t = v_fma(x, v_splat(1.44269504088896341f), v_splat(12582912.0f));
    const vf n = t - v_splat(12582912.0f);
    vf r = v_fma(n, v_splat(-0.693359375f), x);
    r = v_fma(n, v_splat(2.12194440e-4f), r);
    vf p = v_splat(1.9875691500e-4f);
    p = v_fma(p, r, v_splat(1.3981999507e-3f));
    p = v_fma(p, r, v_splat(8.3334519073e-3f));
    p = v_fma(p, r, v_splat(4.1665795894e-2f));
    p = v_fma(p, r, v_splat(1.6666665459e-1f));
    p = v_fma(p, r, v_splat(5.0000001201e-1f));
    p = v_fma(p, r * r, r) + v_splat(1.0f);
    const vi e = (vi)t - 0x4B400000, e1 = e >> 1, e2 = e - e1;
    return p * (vf)((e1 + 127) << 23) * (vf)((e2 + 127) << 23);
}

/** Sum of n floats, n a multiple of 8: eight partial sums 0..7, then ((0+4)+(2+6)) + ((1+5)+(3+7)). */
ALWAYS float sum8(const float *t, int n)
{
    v4 lo = v4_load(t), hi = v4_load(t + 4);
    for (int k = 8; k < n; k += 8) {
        lo += v4_load(t + k);
        hi += v4_load(t + k + 4);
    }
    lo += hi;
    return (lo[0] + lo[2]) + (lo[1] + lo[3]);
}

/** The first n lanes, 0 < n <= VN; the others are 0. */
ALWAYS vf v_load_some(const float *p, int n)
{
    if (n == VN) return v_load(p);
    vf v = {0};
    memcpy(&v, p, (size_t)n * sizeof *p);
    return v;
}
ALWAYS void v_store_some(float *p, vf v, int n)
{
    if (n == VN) v_store(p, v);
    else memcpy(p, &v, (size_t)n * sizeof *p);
}

/** ci_sigmoidf of each lane. */
ALWAYS vf v_sigmoid(vf x) { return v_splat(1.0f) / (v_splat(1.0f) + v_exp(-x)); }

/** Numerator and denominator of ci_tanhf of each lane. */
ALWAYS vf v_tanh_parts(vf x, vf *out_q)
{
    x = v_max(v_splat(-7.90531110763549805f), x);
    x = v_min(v_splat(7.90531110763549805f), x);
    const vf z = x * x;
    vf p = v_splat(-2.76076847742355e-16f), q = v_splat(1.19825839466702e-6f);
    p = v_fma(p, z, v_splat(2.00018790482477e-13f));
    p = v_fma(p, z, v_splat(-8.60467152213735e-11f));
    p = v_fma(p, z, v_splat(5.12229709037114e-8f));
    p = v_fma(p, z, v_splat(1.48572235717979e-5f));
    p = v_fma(p, z, v_splat(6.37261928875436e-4f));
    p = v_fma(p, z, v_splat(4.89352455891786e-3f));
    q = v_fma(q, z, v_splat(1.18534705686654e-4f));
    q = v_fma(q, z, v_splat(2.26843463243900e-3f));
    *out_q = v_fma(q, z, v_splat(4.89352518554385e-3f));
    return p * x;
}

ALWAYS vf v_tanh(vf x)
{
    vf q;
    const vf p = v_tanh_parts(x, &q);
    return p / q;
}

/** The tree of sum8. */
ALWAYS float tree8(const float *t) { return sum8(t, 8); }

/** Dot product of any n: eight partial sums, element k to sum k % 8, and the tree. */
ALWAYS float dot8(const float *a, const float *b, int n)
{
    float part[8] = {0};
    int k = 0;
    for (; k + 8 <= n; k += 8)
        for (int j = 0; j < 8; j++) part[j] += a[k + j] * b[k + j];
    for (int j = 0; k + j < n; j++) part[j] += a[k + j] * b[k + j];
    return tree8(part);
}

#endif
