/* The integer sum: rounding, units, overflow, and that order does not matter. */
#include "ci_test.h"

#include <math.h>
#include <string.h>

#include "ci/random.h"
#include "train/train_priv.h"

enum { N = 1003 };

static float float_of(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t bits_of(float x)
{
    uint32_t b;

    memcpy(&b, &x, sizeof b);
    return b;
}

/* A gradient of shard s whose magnitudes spread over 2^-40 .. 1, ties with .5 units and zeros among them. */
static void gradient(uint32_t seed, uint32_t shard, int exponent, float *g)
{
    for (uint32_t i = 0; i < N; i++) {
        const ci_u32x4 r = ci_philox(seed, 93, shard, i, 0, 0);
        g[i] = ldexpf((float)(int32_t)r.v[0] * 0x1p-31f, -(int)(r.v[1] % 40));
        if (r.v[2] % 5 == 0) g[i] = ldexpf((float)((int32_t)r.v[0] >> 12) + 0.5f, -exponent); /* a tie */
        if (r.v[2] % 17 == 1) g[i] = r.v[3] & 1 ? 0.0f : -0.0f;
    }
}

static void sum_add__rounds_as_llrint_does(void **state)
{
    static const int exponents[] = {44, 30, 10, 0, -3, 49};
    static const ci_gid sizes[] = {N, 1, 7, 16, 33, 0};

    (void)state;
    for (size_t e = 0; e < CI_COUNT(exponents); e++)
        for (size_t k = 0; k < CI_COUNT(sizes); k++) {
            float g[N], keep[N];
            int64_t sum[N];
            uint32_t largest = 0, got;
            gradient((uint32_t)(e + 10 * k), 0, exponents[e], g);
            for (int i = 0; i < N; i++) { /* within 2^50 units, as agreed */
                if (sum_overflows(bits_of(g[i]) & 0x7fffffffu, exponents[e])) g[i] = 1;
                keep[i] = g[i];
                sum[i] = 1000 - i;
            }
            got = sum_add(g, sizes[k], exponents[e], sum);
            for (int i = 0; i < N; i++) {
                const bool in = i < sizes[k];
                const long long want = in ? llrint(ldexp((double)keep[i], exponents[e])) : 0;
                if (sum[i] != 1000 - i + want) fail_msg("%a in units of 2^-%d: %lld, wanted %lld", (double)keep[i], exponents[e], (long long)sum[i] - 1000 + i, want);
                assert_true(in ? bits_of(g[i]) == 0 : bits_of(g[i]) == bits_of(keep[i]));
                if (in) largest = CI_MAX(largest, bits_of(fabsf(keep[i])));
            }
            assert_int_equal(got, largest);
        }
}

static void sum_add__tells_what_is_not_finite(void **state)
{
    const float bad[] = {INFINITY, -INFINITY, NAN, -NAN, 1e38f};

    (void)state;
    for (size_t b = 0; b < CI_COUNT(bad); b++) {
        float g[37] = {0};
        int64_t sum[37] = {0};
        uint32_t largest;
        g[20] = bad[b];
        g[3] = -2;
        largest = sum_add(g, 37, 40, sum);
        assert_int_equal(largest, bits_of(bad[b]) & 0x7fffffffu);
        assert_int_equal(largest >= 0x7f800000u, !isfinite(bad[b]));
        assert_true(sum_overflows(largest, 40));
    }
}

static void sum_exponent__puts_the_largest_below_two_to_the_aim(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t b = ci_philox(9, 93, i, 0, 0, 0).v[0] & 0x7fffffffu;
        if (b >= 0x7f800000u || b == 0) continue;
        if (i % 10 == 0) b &= 0x7fffffu | 1;       /* subnormal */
        if (i % 10 == 1) b &= 0x7f800000u;         /* powers of two */
        if (b == 0) continue;
        const double x = ldexp((double)float_of(b), sum_exponent(b, 5));
        assert_true(x >= 0x1p43 && x < 0x1p44);
        assert_false(sum_overflows(b, sum_exponent(b, 5)));
        assert_false(sum_overflows(b, sum_exponent(b, 5) + 6)); /* room for a step 64 times larger ... */
        assert_true(sum_overflows(b, sum_exponent(b, 5) + 7));  /* ... and not for one of 128 */
    }
    assert_int_equal(SUM_AIM, 44);
    assert_int_equal(sum_exponent(0, 5), 5); /* a gradient of nothing tells nothing */
    assert_int_equal(sum_exponent(0, -70), -70);
}

static void sum_overflows__from_two_to_the_bits_on(void **state)
{
    (void)state;
    assert_int_equal(SUM_BITS, 50);
    assert_true(sum_overflows(bits_of(1), 50));
    assert_false(sum_overflows(bits_of(nextafterf(1, 0)), 50));
    assert_false(sum_overflows(bits_of(1), 49));
    assert_true(sum_overflows(bits_of(0x1p100f), -50));
    assert_false(sum_overflows(bits_of(0x1p100f), -51));
    assert_false(sum_overflows(0, 1000));
    assert_true(sum_overflows(0x7f800000u, 0)); /* infinite */
    assert_true(sum_overflows(0x7fc00000u, 0)); /* not a number */
}

static void sum__does_not_depend_on_order_or_grouping(void **state)
{
    enum { SHARDS = 200 };
    static int64_t first[N], sum[4][N], total[N];
    static float g[N];
    int32_t order[SHARDS];

    (void)state;
    for (uint32_t round = 0; round < 6; round++) {
        memset(sum, 0, sizeof sum);
        memset(total, 0, sizeof total);
        ci_permutation(3, 93, round, SHARDS, order);
        for (int s = 0; s < SHARDS; s++) { /* shards go to one of up to four, by chance */
            const uint32_t who = ci_below(ci_philox(round, 93, (uint32_t)s, 7, 0, 0).v[0], 1 + round % 4);
            gradient(1, (uint32_t)order[s], 44, g);
            sum_add(g, N, 44, sum[who]);
        }
        for (int k = 3; k >= 0; k--)
            for (int i = 0; i < N; i++) total[i] += sum[k][i];
        if (round == 0) memcpy(first, total, sizeof first);
        assert_memory_equal(first, total, sizeof first);
    }
}

static void sum_float__is_the_value_of_the_sum(void **state)
{
    int64_t sum[N];
    float g[N];

    (void)state;
    for (int e = -60; e <= 150; e += 30) {
        for (uint32_t i = 0; i < N; i++) {
            const ci_u32x4 r = ci_philox(8, 93, i, 0, 0, 0);
            sum[i] = (int64_t)((uint64_t)r.v[0] << 32 | r.v[1]) >> (2 + r.v[2] % 60);
        }
        sum_float(sum, N, e, g);
        for (int i = 0; i < N; i++) {
            const long double want = ldexpl((long double)sum[i], -e);
            assert_true(fabsl((long double)g[i] - want) <= fmaxl(fabsl(want) * 0x1.0000002p-24L, 0x1p-150L)); /* rounded twice */
        }
    }
}

/* So many of the largest numbers there may be, all of one sign, do not wrap; one bit more would do so or be more than SUM_BITS. */
static void sum_bits__leave_room_for_so_many(void **state)
{
    static const int64_t numbers[] = {1, 4095, SHARDS_MAX, SHARDS_MAX + 1, 8192, 8193, 33 * 256, 33 * 2048, 8LL * 1048576 * 2048};

    (void)state;
    assert_int_equal(sum_bits(SHARDS_MAX), SUM_BITS);
    assert_int_equal(sum_bits(SHARDS_MAX + 1), SUM_BITS - 1);
    for (size_t i = 0; i < CI_COUNT(numbers); i++) {
        const int bits = sum_bits(numbers[i]);
        assert_true(bits > 0 && bits <= SUM_BITS);
        assert_true((__int128)numbers[i] << bits <= (__int128)1 << 62);
        assert_true(bits == SUM_BITS || (__int128)numbers[i] << (bits + 1) > (__int128)1 << 62);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(sum_add__rounds_as_llrint_does),
    cmocka_unit_test(sum_add__tells_what_is_not_finite),
    cmocka_unit_test(sum_exponent__puts_the_largest_below_two_to_the_aim),
    cmocka_unit_test(sum_overflows__from_two_to_the_bits_on),
    cmocka_unit_test(sum__does_not_depend_on_order_or_grouping),
    cmocka_unit_test(sum_float__is_the_value_of_the_sum),
    cmocka_unit_test(sum_bits__leave_room_for_so_many),
};
CI_TEST_MAIN(tests)
