#ifndef CI_ELEMENTARY_H
#define CI_ELEMENTARY_H
/** Elementary functions in double whose bits are the same on every machine, as libm's need not be: sums, products and
 *  quotients in one order, nothing else.  For results that reach weights; exactness is that of double but for a
 *  few units in the last place.  Those in float, for kernels, are in ci/elementary32.h. */
#include <stdint.h>
#include <string.h>
#include "ci/types.h"

/** 2^e for -1022 <= e <= 1023. */
CI_BOTH double ci_exp2i(int64_t e)
{
    const uint64_t bits = (uint64_t)(e + 1023) << 52;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/** exp(x), at most 2 ulp from the true value; 0 below -708, inf above 709, NaN for NaN.  x = n ln 2 + r, and exp r
 *  is its series: r^14 / 14! is below 5e-18. */
CI_BOTH double ci_exp64(double x)
{
    if (x > 709) return 1 / 0.0;
    if (x < -708) return 0;
    if (!(x == x)) return x;
    const double n = (double)(int64_t)(x * 1.44269504088896338700 + (x < 0 ? -0.5 : 0.5));
    const double r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10; /* the first has 32 bits: exact */
    double p = 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    return (1 + (r + r * r * p)) * ci_exp2i((int64_t)n);
}

/** log(x) for normal x > 0, at most 2 ulp from the true value; inf and NaN for themselves.  x = 2^e m with m in
 *  [sqrt 1/2, sqrt 2), s = (m - 1)/(m + 1), log m = 2 (s + s^3/3 + ...): s^23/23 is below 1e-17 s. */
CI_BOTH double ci_log64(double x)
{
    uint64_t bits;
    double m;
    if (!(x < 1 / 0.0)) return x;
    memcpy(&bits, &x, sizeof bits);
    int64_t e = (int64_t)(bits >> 52) - 1023;
    bits = (bits & 0x000FFFFFFFFFFFFFu) | 0x3FF0000000000000u;
    memcpy(&m, &bits, sizeof m);
    if (m >= 1.41421356237309514547) {
        m *= 0.5;
        e++;
    }
    const double s = (m - 1) / (m + 1), z = s * s, n = (double)e;
    double p = 2.0 / 21.0;
    p = p * z + 2.0 / 19.0;
    p = p * z + 2.0 / 17.0;
    p = p * z + 2.0 / 15.0;
    p = p * z + 2.0 / 13.0;
    p = p * z + 2.0 / 11.0;
    p = p * z + 2.0 / 9.0;
    p = p * z + 2.0 / 7.0;
    p = p * z + 2.0 / 5.0;
    p = p * z + 2.0 / 3.0;
    return n * 6.93147180369123816490e-01 + (2 * s + (s * z * p + n * 1.90821492927058770002e-10));
}

/** log(1 + x) for x >= 0: what 1 + x has lost of x is added again. */
CI_BOTH double ci_log1p64(double x)
{
    const double u = 1 + x;
    return ci_log64(u) + (x - (u - 1)) / u;
}

/** cos(pi x) for x in [0,1]: the series of cos or sin on [0, pi/4]. */
CI_BOTH double ci_cospi64(double x)
{
    const double pi = 3.14159265358979311600, sign = x > 0.5 ? -1 : 1, y = x > 0.5 ? 1 - x : x;
    const int sine = y > 0.25;
    const double t = pi * (sine ? 0.5 - y : y), z = t * t;
    double term = sine ? t : 1, sum = term;
    for (int k = sine ? 2 : 1; k < 20; k += 2) {
        term *= -z / (double)(k * (k + 1));
        sum += term;
    }
    return sign * sum;
}

#endif
