#ifndef WINDOW_MADE_H
#define WINDOW_MADE_H
/** Rows of frames, made: random ones and the worked example of reference-system.md 4.6. */
#include <math.h>
#include <string.h>

#include "window/window_priv.h"

/** A table over static rows. */
enum { ROWS = 70000 };
static int64_t row_t[ROWS];
static uint32_t row_id[ROWS];
static uint64_t row_data[ROWS];
static uint8_t row_len[ROWS], row_attack[ROWS];
static ci_table table = {.t_ns = row_t, .id = row_id, .data = row_data, .len = row_len, .attack = row_attack};

static inline void rows_clear(ci_lid n)
{
    memset(row_t, 0, sizeof row_t);
    memset(row_id, 0, sizeof row_id);
    memset(row_data, 0, sizeof row_data);
    memset(row_len, 0, sizeof row_len);
    memset(row_attack, 0, sizeof row_attack);
    table.n = table.n_own = n;
    table.first_row = 0;
}

static uint64_t seed;

static uint64_t next_random(void)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return seed >> 24;
}

/** n rows of n_id identifiers, every `wide`th of them with 29 bits. */
static void rows_random(ci_lid n, unsigned n_id, unsigned wide)
{
    int64_t t = 1;

    rows_clear(n);
    seed = n + 977 * n_id + wide;
    for (ci_lid i = 0; i < n; i++) {
        const uint32_t k = (uint32_t)(next_random() % n_id);
        row_t[i] = t += (int64_t)(next_random() % 3000000) - (i % 50 == 0 ? 1000000 : 0);
        row_id[i] = wide && k % wide == 0 ? UINT32_C(0x80000000) | k * 7919 : k * 13 % 2048;
        row_data[i] = next_random() << 30 ^ next_random();
        if (i % 3) row_data[i] &= UINT64_C(0x00FF00000000FFFF);
    }
}

static ci_builder *builder_of(const char *set, ci_lid frames, bool compat)
{
    ci_builder *b;

    assert_int_equal(ci_builder_create(ci_feature_set_find(set), frames, compat, &b), CI_OK);
    return b;
}

static inline void rows_example(void)
{
    static const struct {
        int64_t t_ns;
        uint32_t id;
        uint64_t big_endian;
        uint8_t len;
    } row[8] = {
        {0, 0x100, 0x0011223344556677, 8},        {10000000, 0x200, 0xFF, 1},
        {12000000, 0x100, 0x0011223344556678, 8}, {20000000, 0x300, 0, 0},
        {25000000, 0x300, 0x00000000000000FF, 8}, {30000000, 0x200, 0xFE, 1},
        {40000000, 0x100, 0x1011223344556677, 8}, {50000000, 0x200, 0xFF, 1},
    };

    rows_clear(8);
    for (int i = 0; i < 8; i++) {
        row_t[i] = row[i].t_ns;
        row_id[i] = row[i].id;
        row_len[i] = row[i].len;
        for (int k = 0; k < row[i].len; k++)
            row_data[i] |= (row[i].big_endian >> 8 * (row[i].len - 1 - k) & 0xFF) << 8 * k;
    }
}

/** Printed with 4 to 7 significant digits: half a unit of the last of them. */
static inline void near(const float *got, const double *want, int n)
{
    for (int k = 0; k < n; k++)
        if (fabs((double)got[k] - want[k]) > 5.1e-5) fail_msg("column %d is %.9g, not %.9g", k, (double)got[k], want[k]);
}

struct edge {
    ci_lid src, dst;
    double e[11];
};

#endif
