/** Standard normal numbers. */
#include <math.h>
#include "ci/ops.h"

enum { ATTEMPT = 1 << 24 }; /* counters of the first attempts lie below */

/** A point of the unit disc gives two normal numbers; points outside are refused, not at the origin either.
 *  Source: Marsaglia, Bray, "A convenient method for generating normal variables", SIAM Review 1964. */
static int polar(uint32_t a, uint32_t b, float *x, float *y)
{
    const float u = 2.0f * ci_unit(a) - 1.0f, v = 2.0f * ci_unit(b) - 1.0f, s = u * u + v * v;
    if (s >= 1.0f || s <= 0.0f) return 0;
    const float f = sqrtf(-2.0f * ci_logf(s) / s);
    *x = u * f;
    *y = v * f;
    return 1;
}

void ci_normal_attempt(ci_u32x4 word, int have[2], float x[4])
{
    for (int k = 0; k < 2; k++)
        if (!have[k]) have[k] = polar(word.v[2 * k], word.v[2 * k + 1], &x[2 * k], &x[2 * k + 1]);
}

void ci_normal(uint32_t seed, uint32_t purpose, uint32_t c0, uint32_t c1, uint32_t c2, ci_lid n, float *out)
{
    for (ci_lid i = 0; i < n; i += 4) {
        float x[4];
        int have[2] = {0, 0};
        for (uint32_t c3 = (uint32_t)i / 4; !have[0] || !have[1]; c3 += ATTEMPT)
            ci_normal_attempt(ci_philox(seed, purpose, c0, c1, c2, c3), have, x);
        memcpy(out + i, x, (size_t)CI_MIN(n - i, 4) * sizeof *out);
    }
}
