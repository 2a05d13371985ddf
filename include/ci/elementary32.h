#ifndef CI_ELEMENTARY32_H
#define CI_ELEMENTARY32_H
/** Elementary functions in float, for kernels of the processor and of devices: the bits are the same everywhere, as every step is
 *  IEEE's and what is fused is written so.  Those in double are in ci/elementary.h. */
#include <math.h>
#include <stdint.h>
#include <string.h>
#include "ci/types.h"

/** exp(x), at most 1 ulp from the true value where the result is a normal number; inf above, gradual
 *  underflow below, NaN for NaN.  Source: Cody, Waite, "Software Manual for the Elementary Functions",
 *  1980 (reduction); polynomial of Cephes expf. */
CI_BOTH float ci_expf(float x)
{
    const float lo = -104.0f, hi = 89.0f;
    x = lo > x ? lo : x;
    x = hi < x ? hi : x;
    const float t = __builtin_fmaf(x, 1.44269504088896341f, 12582912.0f); /* 1.5 * 2^23: rounds to an integer */
    const float n = t - 12582912.0f;
    float r = __builtin_fmaf(n, -0.693359375f, x);
    r = __builtin_fmaf(n, 2.12194440e-4f, r);
    float p = 1.9875691500e-4f;
    p = __builtin_fmaf(p, r, 1.3981999507e-3f);
    p = __builtin_fmaf(p, r, 8.3334519073e-3f);
    p = __builtin_fmaf(p, r, 4.1665795894e-2f);
    p = __builtin_fmaf(p, r, 1.6666665459e-1f);
    p = __builtin_fmaf(p, r, 5.0000001201e-1f);
    p = __builtin_fmaf(p, r * r, r) + 1.0f;
    uint32_t bits;
    memcpy(&bits, &t, sizeof bits);
    const int32_t e = (int32_t)(bits - 0x4B400000u), e1 = e >> 1, e2 = e - e1; /* two steps: 2^e may not be a float */
    const uint32_t b1 = (uint32_t)(e1 + 127) << 23, b2 = (uint32_t)(e2 + 127) << 23;
    float s1, s2;
    memcpy(&s1, &b1, sizeof s1);
    memcpy(&s2, &b2, sizeof s2);
    return p * s1 * s2;
}

/** exp(x) for x in [-80, 80], 2 ulp: ci_expf without fused steps, which are a call an element where the machine is not known to
 *  have them.  NaN for NaN. */
CI_BOTH float ci_exp80f(float x)
{
    const float t = x * 1.44269504088896341f + 12582912.0f, n = t - 12582912.0f;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f, s;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = (p * (r * r) + r) + 1.0f;
    uint32_t bits;
    memcpy(&bits, &t, sizeof bits);
    bits = (bits - 0x4B400000u + 127u) << 23;
    memcpy(&s, &bits, sizeof s);
    return p * s;
}

/** log(x) for normal x > 0, at most 1 ulp from the true value.  Source: polynomial of Cephes logf. */
CI_BOTH float ci_logf(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    int32_t e = (int32_t)(bits >> 23) - 126;
    bits = (bits & 0x007FFFFFu) | 0x3F000000u; /* [0.5, 1) */
    memcpy(&x, &bits, sizeof x);
    if (x < 0.70710678f) {
        e--;
        x = x + x - 1.0f;
    } else {
        x = x - 1.0f;
    }
    const float z = x * x, n = (float)e;
    float p = 7.0376836292e-2f;
    p = __builtin_fmaf(p, x, -1.1514610310e-1f);
    p = __builtin_fmaf(p, x, 1.1676998740e-1f);
    p = __builtin_fmaf(p, x, -1.2420140846e-1f);
    p = __builtin_fmaf(p, x, 1.4249322787e-1f);
    p = __builtin_fmaf(p, x, -1.6668057665e-1f);
    p = __builtin_fmaf(p, x, 2.0000714765e-1f);
    p = __builtin_fmaf(p, x, -2.4999993993e-1f);
    p = __builtin_fmaf(p, x, 3.3333331174e-1f);
    float y = x * z * p;
    y = __builtin_fmaf(n, -2.12194440e-4f, y);
    y = __builtin_fmaf(z, -0.5f, y);
    return __builtin_fmaf(n, 0.693359375f, x + y);
}

/** 1 / (1 + exp(-x)), at most 2.5 ulp from the true value where the result is a normal number; NaN for NaN. */
CI_BOTH float ci_sigmoidf(float x) { return 1.0f / (1.0f + ci_expf(-x)); }

/** tanh(x) = p / q, at most 4.5 ulp from the true value; |x| is cut at 7.905, where 1 - tanh is 2.7e-7.
 *  Source: the rational approximation of Eigen, MathFunctionsImpl.h.   \return p */
CI_BOTH float ci_tanh_partsf(float x, float *out_q)
{
    const float most = 7.90531110763549805f;
    x = -most > x ? -most : x;
    x = most < x ? most : x;
    const float z = x * x;
    float p = -2.76076847742355e-16f, q = 1.19825839466702e-6f;
    p = __builtin_fmaf(p, z, 2.00018790482477e-13f);
    p = __builtin_fmaf(p, z, -8.60467152213735e-11f);
    p = __builtin_fmaf(p, z, 5.12229709037114e-8f);
    p = __builtin_fmaf(p, z, 1.48572235717979e-5f);
    p = __builtin_fmaf(p, z, 6.37261928875436e-4f);
    p = __builtin_fmaf(p, z, 4.89352455891786e-3f);
    q = __builtin_fmaf(q, z, 1.18534705686654e-4f);
    q = __builtin_fmaf(q, z, 2.26843463243900e-3f);
    *out_q = __builtin_fmaf(q, z, 4.89352518554385e-3f);
    return p * x;
}
CI_BOTH float ci_tanhf(float x)
{
    float q;
    const float p = ci_tanh_partsf(x, &q);
    return p / q;
}

/** Two standard normal numbers of a point (u, v) of the square [-1, 1)^2, by the polar method: 0 when the point is outside of the unit
 *  disc or its centre, and refused.  Source: Marsaglia, Bray, "A convenient method for generating normal variables", SIAM Review 1964. */
CI_BOTH int ci_polarf(float u, float v, float *x, float *y)
{
    const float s = u * u + v * v;
    if (s >= 1.0f || s <= 0.0f) return 0;
    const float f = sqrtf(-2.0f * ci_logf(s) / s);
    *x = u * f;
    *y = v * f;
    return 1;
}

#endif
