#ifndef CI_PHILOX_H
#define CI_PHILOX_H
/** Philox4x32-10 where a library cannot go: device code.  The same words as ci_philox, which is Random123's.
 *
 *  Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.3. */
#include "ci/random.h"

CI_BOTH ci_u32x4 ci_philox_words(uint32_t seed, uint32_t purpose, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3)
{
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ seed;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ purpose;
        c3 = (uint32_t)p0;
        seed += 0x9E3779B9u;
        purpose += 0xBB67AE85u;
    }
    const ci_u32x4 r = {{c0, c1, c2, c3}};
    return r;
}

#endif
