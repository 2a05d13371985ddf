#ifndef CI_OPS_ROW_H
#define CI_OPS_ROW_H
/** Rows of any length, in steps of sixteen floats whatever the register: a step of n < 16 reads zeros
 *  beyond n and writes n.  So sums over a row have one order on every instruction set. */
#include "ci/types.h"
#include "vec.h"

enum { STEP = 16, W = STEP / VN };
typedef struct w16 { vf v[W]; } w16;

typedef int32_t i4 __attribute__((vector_size(16)));

/** a > b ? a : b. */
ALWAYS v4 v4_max(v4 a, v4 b)
{
    const i4 m = a > b;
    return (v4)(((i4)a & m) | ((i4)b & ~m));
}

/** n <= VN floats at p, then zeros; with eight lanes or fewer, n <= 0 is none. */
ALWAYS vf v_load_n(const float *p, int n)
{
#if defined(__AVX512F__)
    return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#elif defined(__AVX2__)
    static const int32_t mask[2 * VN] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_maskload_ps(p, _mm256_loadu_si256((const void *)(mask + VN - CI_MAX(n, 0))));
#else
    vf x = {0};
    for (int k = 0; k < n; k++) x[k] = p[k];
    return x;
#endif
}

ALWAYS void v_store_n(float *p, vf x, int n)
{
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), x);
#elif defined(__AVX2__)
    static const int32_t mask[2 * VN] = {-1, -1, -1, -1, -1, -1, -1, -1};
    _mm256_maskstore_ps(p, _mm256_loadu_si256((const void *)(mask + VN - CI_MAX(n, 0))), x);
#else
    for (int k = 0; k < n; k++) p[k] = x[k];
#endif
}

/* Whole steps have the constant 16 for n; a part is loaded with masks, or copied where there are none. */
#define WHOLE(n) (__builtin_constant_p(n) && (n) == STEP)

ALWAYS w16 w_load(const float *p, int n)
{
    w16 x;
    if (WHOLE(n)) {
        for (int k = 0; k < W; k++) x.v[k] = v_load(p + k * VN);
        return x;
    }
#if VN_LANES >= 8
    for (int k = 0; k < W; k++) x.v[k] = v_load_n(p + k * VN, CI_MIN(n - k * VN, VN));
#else
    float part[STEP] = {0};
    for (int k = 0; k < n; k++) part[k] = p[k];
    memcpy(&x, part, sizeof x);
#endif
    return x;
}

ALWAYS void w_store(float *p, w16 x, int n)
{
    if (WHOLE(n)) {
        for (int k = 0; k < W; k++) v_store(p + k * VN, x.v[k]);
        return;
    }
#if VN_LANES >= 8
    for (int k = 0; k < W; k++) v_store_n(p + k * VN, x.v[k], CI_MIN(n - k * VN, VN));
#else
    float part[STEP];
    memcpy(part, &x, sizeof part);
    for (int k = 0; k < n; k++) p[k] = part[k];
#endif
}

ALWAYS w16 w_splat(float s)
{
    w16 x;
    for (int k = 0; k < W; k++) x.v[k] = v_splat(s);
    return x;
}

ALWAYS w16 w_add(w16 a, w16 b)
{
    for (int k = 0; k < W; k++) a.v[k] += b.v[k];
    return a;
}

ALWAYS w16 w_mul(w16 a, w16 b)
{
    for (int k = 0; k < W; k++) a.v[k] *= b.v[k];
    return a;
}

ALWAYS w16 w_fma(w16 a, w16 b, w16 c)
{
    for (int k = 0; k < W; k++) c.v[k] = v_fma(a.v[k], b.v[k], c.v[k]);
    return c;
}

/** x + s y, each rounded once. */
ALWAYS w16 w_axpy(float s, w16 y, w16 x) { return w_fma(w_splat(s), y, x); }

/** Sum of the sixteen: k and k + 8, k and k + 4, then (0 + 2) + (1 + 3). */
ALWAYS float w_sum(w16 x)
{
    v4 q[4], r;
    memcpy(q, &x, sizeof q);
    r = (q[0] + q[2]) + (q[1] + q[3]);
    return (r[0] + r[2]) + (r[1] + r[3]);
}

/** Eight partial sums of a row, as sum8 of vec.h has them: -0 to begin with, which no first term notices. */
typedef struct w8 {
#if defined(__AVX512F__)
    __m256 v;
#elif defined(__AVX2__)
    vf v;
#else
    v4 lo, hi;
#endif
} w8;

ALWAYS w8 w8_zero(void)
{
    const float zero[8] = {-0.0f, -0.0f, -0.0f, -0.0f, -0.0f, -0.0f, -0.0f, -0.0f};
    w8 s;
    memcpy(&s, zero, sizeof s);
    return s;
}

ALWAYS w8 w8_add(w8 s, w16 x)
{
#if defined(__AVX512F__)
    s.v = _mm256_add_ps(s.v, _mm512_castps512_ps256(x.v[0]));
    s.v = _mm256_add_ps(s.v, _mm512_extractf32x8_ps(x.v[0], 1));
#elif defined(__AVX2__)
    s.v += x.v[0];
    s.v += x.v[1];
#else
    s.lo += x.v[0];
    s.hi += x.v[1];
    s.lo += x.v[2];
    s.hi += x.v[3];
#endif
    return s;
}

ALWAYS float w8_sum(w8 s)
{
    v4 q[2];
    memcpy(q, &s, sizeof q);
    q[0] += q[1];
    return (q[0][0] + q[0][2]) + (q[0][1] + q[0][3]);
}

/** call(c, n) for the steps of a row of C: n is the constant 16, or what is left. */
#define BY_STEP(C, call)                                                                              \
    do {                                                                                              \
        int step_ = 0;                                                                                \
        for (; step_ + STEP <= (C); step_ += STEP) call(step_, STEP);                                 \
        if (step_ < (C)) call(step_, (C) - step_);                                                    \
    } while (0)

/** acc + a b, lane by lane over the steps of a row. */
ALWAYS w16 w_dot(w16 acc, const float *a, const float *b, int C)
{
#define DOT(c, n) acc = w_fma(w_load(a + (c), n), w_load(b + (c), n), acc)
    BY_STEP(C, DOT);
#undef DOT
    return acc;
}

ALWAYS float row_dot(const float *a, const float *b, int C) { return w_sum(w_dot(w_splat(0), a, b, C)); }

/** y += s x. */
ALWAYS void row_axpy(float s, const float *x, float *y, int C)
{
#define AXPY(c, n) w_store(y + (c), w_axpy(s, w_load(x + (c), n), w_load(y + (c), n)), n)
    BY_STEP(C, AXPY);
#undef AXPY
}

#endif
