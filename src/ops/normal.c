/** Standard normal numbers. */
#include <math.h>
#include "ci/ops.h"

enum { ATTEMPT = 1 << 24 }; /* counters of the first attempts lie below */

void ci_normal_attempt(ci_u32x4 word, int have[2], float x[4])
{
    for (int k = 0; k < 2; k++)
        if (!have[k]) have[k] = ci_polarf(2.0f * ci_unit(word.v[2 * k]) - 1.0f, 2.0f * ci_unit(word.v[2 * k + 1]) - 1.0f, &x[2 * k], &x[2 * k + 1]);
}

/* First attempts of CHUNK pairs together, those inside the disc and out alike, in vectors where the compiler makes them; every operation
 * is IEEE's, so that the clones give the bits of ci_normal_attempt. */
enum { CHUNK = 64 };

#if defined __x86_64__ && !defined __clang__ && !defined __SANITIZE_ADDRESS__
#define CLONES __attribute__((target_clones("avx512f", "fma", "default")))
#else
#define CLONES
#endif

CLONES
static void pairs(const uint32_t *word, float *x, float *s)
{
    float u[CHUNK], v[CHUNK], f[CHUNK];

    for (int k = 0; k < CHUNK; k++) {
        u[k] = 2.0f * ci_unit(word[2 * k]) - 1.0f;
        v[k] = 2.0f * ci_unit(word[2 * k + 1]) - 1.0f;
        s[k] = u[k] * u[k] + v[k] * v[k];
    }
    for (int k = 0; k < CHUNK; k++) f[k] = ci_logf(s[k] > 0.0f ? s[k] : 1.0f);
    for (int k = 0; k < CHUNK; k++) f[k] = sqrtf(s[k] < 1.0f ? -2.0f * f[k] / (s[k] > 0.0f ? s[k] : 1.0f) : 0.0f);
    for (int k = 0; k < CHUNK; k++) {
        x[2 * k] = u[k] * f[k];
        x[2 * k + 1] = v[k] * f[k];
    }
}

void ci_normal(uint32_t seed, uint32_t purpose, uint32_t c0, uint32_t c1, uint32_t c2, ci_lid n, float *out)
{
    for (ci_lid i = 0; i < n; i += 2 * CHUNK) {
        float x[2 * CHUNK], s[CHUNK];
        ci_u32x4 word[CHUNK / 2];
        const ci_lid some = CI_MIN(n - i, 2 * CHUNK), quads = (some + 3) / 4;
        const uint32_t first = (uint32_t)i / 4;
        memset(word, 0, sizeof word);
        for (ci_lid q = 0; q < quads; q++) word[q] = ci_philox(seed, purpose, c0, c1, c2, first + (uint32_t)q);
        pairs((const uint32_t *)word, x, s);
        for (ci_lid q = 0; q < quads; q++) {
            int have[2] = {s[2 * q] > 0.0f && s[2 * q] < 1.0f, s[2 * q + 1] > 0.0f && s[2 * q + 1] < 1.0f};
            for (uint32_t c3 = first + (uint32_t)q + ATTEMPT; !have[0] || !have[1]; c3 += ATTEMPT)
                ci_normal_attempt(ci_philox(seed, purpose, c0, c1, c2, c3), have, x + 4 * q);
        }
        memcpy(out + i, x, (size_t)some * sizeof *out);
    }
}
