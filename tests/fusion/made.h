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

/** States of 15 columns, four kinds of windows, equally often:
 *
 *      kind       label    recon    p1      column 3   column 10
 *      0          benign   high     low     high       low        the vgae errs, and column 3 tells so
 *      1          benign   low      high    low        high       the gat errs, and column 10 tells so
 *      2          attack   high     low     low        low
 *      3          attack   low      high    low        low
 *
 *  With `hard` 0, kinds 0 and 1 have low recon and p1: any mean of both tells attacks. */
MADE void made_windows(uint32_t seed, int hard, int64_t n, float *state, uint8_t *label)
{
    for (int64_t i = 0; i < n; i++) {
        float *s = state + 15 * i, u[20];
        for (size_t k = 0; k < 20; k++) u[k] = ci_unit(made_word(seed, MADE_TEST, (uint32_t)i, k));
        const int kind = (int)(u[15] * 4);
        const float p1 = kind == 3 || (hard && kind == 1) ? .9f + .1f * u[16] : .02f + .3f * u[16];
        for (int k = 0; k < 15; k++) s[k] = u[k];
        s[0] = kind == 2 || (hard && kind == 0) ? 6 + 4 * u[17] : .2f * u[17];
        s[1] = .1f * u[1];
        s[2] = .1f * u[2];
        s[3] = (kind == 0 ? .6f : 0) + .4f * u[3];
        s[10] = (kind == 1 ? .6f : 0) + .4f * u[10];
        s[7] = 1 / (1 + s[0]);
        s[8] = 1 - p1;
        s[9] = p1;
        s[14] = fabsf(2 * p1 - 1);
        label[i] = kind >= 2;
    }
}

#endif
