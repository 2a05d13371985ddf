#include "ci/random.h"

#include <Random123/philox.h>

ci_u32x4 ci_philox(uint32_t seed, uint32_t purpose, uint32_t c0, uint32_t c1, uint32_t c2,
                   uint32_t c3)
{
    const philox4x32_ctr_t counter = {{c0, c1, c2, c3}};
    const philox4x32_key_t key = {{seed, purpose}};
    const philox4x32_ctr_t r = philox4x32_R(10, counter, key);

    return (ci_u32x4){{r.v[0], r.v[1], r.v[2], r.v[3]}};
}

void ci_permutation(uint32_t seed, uint32_t purpose, uint32_t epoch, int32_t n, int32_t *out)
{
    for (int32_t i = 0; i < n; i++) out[i] = i;
    for (int32_t i = n - 1; i > 0; i--) {
        const ci_u32x4 r = ci_philox(seed, purpose, epoch, (uint32_t)i, 0, 0);
        const uint32_t j = ci_below(r.v[0], (uint32_t)i + 1);
        const int32_t swap = out[i];

        out[i] = out[j];
        out[j] = swap;
    }
}
