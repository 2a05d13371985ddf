#ifndef FUSION_MADE_H
#define FUSION_MADE_H
/** What tests of fusion share: streams of numbers and windows that are easy to tell apart. */
#include <math.h>
#include <string.h>
#include "ci_test.h"
#include "fusion/fusion_priv.h"

#define MADE __attribute__((unused)) static
enum { MADE_SEED = 42, MADE_TEST = 100 };

/** Element i of a stream: word i % 4 of counter (tensor, i / 4, 0, 0), as the oracle has it. */
MADE uint32_t made_word(uint32_t seed, uint32_t purpose, uint32_t tensor, size_t i)
{
    return ci_philox(seed, purpose, tensor, (uint32_t)(i / 4), 0, 0).v[i % 4];
}

MADE float made_unit(uint32_t tensor, size_t i)
{
    return 2.0f * ci_unit(made_word(MADE_SEED, MADE_TEST, tensor, i)) - 1.0f;
}

/** States of 15 columns, random but for two: the errors of the vgae tell some attacks, the probability of the gat
 *  others; neither tells all.  p0 and p1 add up to 1, and 1/(1+recon) is what it says. */
MADE void made_windows(uint32_t seed, int64_t n, float *state, uint8_t *label)
{
    for (int64_t i = 0; i < n; i++) {
        float *s = state + 15 * i, u[20];
        for (size_t k = 0; k < 20; k++) u[k] = ci_unit(made_word(seed, MADE_TEST, (uint32_t)i, k));
        const int kind = (int)(u[15] * 4); /* 0, 1 benign; 2 only the vgae sees it, 3 only the gat */
        const float p1 = kind == 3 ? .9f + .1f * u[16] : .02f + .3f * u[16];
        for (int k = 0; k < 15; k++) s[k] = u[k];
        s[0] = kind == 2 ? 6 + 4 * u[17] : .2f * u[17];
        s[1] = .1f * u[1];
        s[2] = .1f * u[2];
        s[7] = 1 / (1 + s[0]);
        s[8] = 1 - p1;
        s[9] = p1;
        s[14] = fabsf(2 * p1 - 1);
        label[i] = kind >= 2;
    }
}

#endif
