/* Logarithms to base 2 whose bits are the same on every machine, and are whole for powers of 2. */
#include "ci/elementary.h"
#include "stream_priv.h"

static double exponent_cut(double x, double *out_m)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    const int64_t e = (int64_t)(bits >> 52) - 1023;
    bits = (bits & 0x000FFFFFFFFFFFFFu) | 0x3FF0000000000000u;
    memcpy(out_m, &bits, sizeof bits);
    return (double)e;
}

static double log2_slow(double x)
{
    double m;
    const double e = exponent_cut(x, &m);
    return e + ci_log64(m) * 1.44269504088896338700;
}

void ci_logs_fill(struct logs *l)
{
    for (int i = 0; i < MANTISSAS; i++) {
        l->inverse[i] = 1 / (1 + i / (double)MANTISSAS);
        l->log[i] = i ? -log2_slow(l->inverse[i]) : 0;
    }
    for (int k = 0; k < LOGS; k++) {
        l->whole[k] = k ? log2_slow(k) : 0;
        l->half[k] = log2_slow(k + 0.5);
        l->quarter[k] = log2_slow(k + 0.25);
    }
    for (int b = 0; b < CI_BINS; b++) l->inverse_centre[b] = 1 / (ci_sixteenth[(2 * b + 1) % 16] * ci_exp2i(9 + (2 * b + 1) / 16));
    for (int b = 0; b < CI_BINS; b++) /* bin + 1/2 + 1/2 octave: 2 b + 9 sixteenths */
        l->overdue[b] = (int64_t)(ci_sixteenth[(2 * b + 9) % 16] * ci_exp2i(9 + (2 * b + 9) / 16));
}

const double ci_sixteenth[16] = {1.0, 1.0442737824274138, 1.0905077326652577, 1.1387886347566916, 1.189207115002721, 1.241857812073484,
                                 1.2968395546510096, 1.3542555469368927, 1.4142135623730951, 1.4768261459394993, 1.5422108254079407,
                                 1.6104903319492543, 1.681792830507429, 1.7562521603732995, 1.8340080864093424, 1.9152065613971474};

/* The next whole number where it is none: a whole m is at or above the border when it is at or above this. */
const uint64_t ci_cut[17] = {0x8000000000000000, 0x85aac367cc487b15, 0x8b95c1e3ea8bd6e7, 0x91c3d373ab11c337, 0x9837f0518db8a970,
                             0x9ef5326091a111ae, 0xa5fed6a9b15138eb, 0xad583eea42a14ac7, 0xb504f333f9de6485, 0xbd08a39f580c36bf,
                             0xc5672a115506dade, 0xce248c151f8480e4, 0xd744fccad69d6af5, 0xe0ccdeec2a94e112, 0xeac0c6e7dd24392f,
                             0xf5257d152486cc2d, UINT64_MAX};

const uint8_t ci_cut_below[128] = {
    0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 5,
    5, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7, 8, 8, 8, 8, 8, 8, 8, 8, 9, 9,
    9, 9, 9, 9, 9, 9, 10, 10, 10, 10, 10, 10, 10, 10, 10, 11, 11, 11, 11, 11, 11, 11, 11, 11, 12, 12, 12, 12, 12, 12, 12, 12,
    12, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
};
