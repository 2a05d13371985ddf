#include "ci_test.h"

#include <string.h>

#include "ci/philox.h"
#include "ci/random.h"

/* The known answers for philox4x32-10 that Random123 ships (kat_vectors). */
static void philox__gives_the_known_answers(void **state)
{
    static const struct { uint32_t ctr[4], key[2], want[4]; } kat[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof kat / sizeof kat[0]; i++) {
        const uint32_t *c = kat[i].ctr;
        const ci_u32x4 r = ci_philox(kat[i].key[0], kat[i].key[1], c[0], c[1], c[2], c[3]);
        assert_memory_equal(r.v, kat[i].want, sizeof r.v);
    }
}

/* The kernels' own rounds against the library's. */
static void philox_words__are_those_of_the_library(void **state)
{
    uint32_t c[6] = {1, 2, 3, 4, 5, 6};

    (void)state;
    for (int k = 0; k < 2000; k++) {
        const ci_u32x4 want = ci_philox(c[0], c[1], c[2], c[3], c[4], c[5]), got = ci_philox_words(c[0], c[1], c[2], c[3], c[4], c[5]);
        assert_memory_equal(got.v, want.v, sizeof want.v);
        c[k % 6] = want.v[k % 4];
    }
}

static void unit__stays_below_one_and_is_exact(void **state)
{
    (void)state;
    assert_true(ci_unit(0) == 0);
    assert_true(ci_unit(0xffffffff) == 1 - 0x1p-24f);
    assert_true(ci_unit(0x80000000) == 0.5f);
    assert_true(ci_unit(0x100) == 0x1p-24f);
}

static void below__covers_its_range_and_no_more(void **state)
{
    (void)state;
    assert_int_equal(ci_below(0, 7), 0);
    assert_int_equal(ci_below(0xffffffff, 7), 6);
    assert_int_equal(ci_below(0xffffffff, 1), 0);
    assert_int_equal(ci_below(0x80000000, 10), 5);
}

static void permutation__holds_every_number_once(void **state)
{
    enum { N = 5000 };
    static int32_t p[N];
    static uint8_t seen[N];

    (void)state;
    for (int32_t n = 0; n <= N; n = n < 5 ? n + 1 : n * 3) {
        memset(seen, 0, sizeof seen);
        ci_permutation(1, CI_RANDOM_SHUFFLE, 0, n, p);
        for (int32_t i = 0; i < n; i++) {
            assert_in_range(p[i], 0, n - 1);
            assert_int_equal(seen[p[i]]++, 0);
        }
    }
}

/* Computed from the definition (Fisher-Yates downwards, j = floor(w (i+1) / 2^32)) by a second
 * Philox, written in Python from the paper and checked against the known answers above. */
static void permutation__equals_another_implementation(void **state)
{
    static const int32_t want[12] = {0, 9, 7, 3, 8, 4, 1, 11, 2, 10, 6, 5};
    int32_t got[12];

    (void)state;
    ci_permutation(42, CI_RANDOM_SHUFFLE, 3, 12, got);
    assert_memory_equal(got, want, sizeof want);
}

static void permutation__changes_with_seed_purpose_and_epoch(void **state)
{
    int32_t a[100], b[100];

    (void)state;
    ci_permutation(1, CI_RANDOM_SHUFFLE, 1, 100, a);
    ci_permutation(2, CI_RANDOM_SHUFFLE, 1, 100, b);
    assert_memory_not_equal(a, b, sizeof a);
    ci_permutation(1, CI_RANDOM_BOOTSTRAP, 1, 100, b);
    assert_memory_not_equal(a, b, sizeof a);
    ci_permutation(1, CI_RANDOM_SHUFFLE, 2, 100, b);
    assert_memory_not_equal(a, b, sizeof a);
    ci_permutation(1, CI_RANDOM_SHUFFLE, 1, 100, b);
    assert_memory_equal(a, b, sizeof a);
}

/* Chi-squared over the 24 orders of four: 23 degrees of freedom, 49.7 is exceeded once in 1,000. */
static void permutation__makes_all_orders_equally_likely(void **state)
{
    enum { DRAWS = 48000 };
    int count[256] = {0};
    double chi2 = 0;
    int n_order = 0;

    (void)state;
    for (uint32_t epoch = 0; epoch < DRAWS; epoch++) {
        int32_t p[4];
        ci_permutation(9, CI_RANDOM_SHUFFLE, epoch, 4, p);
        count[p[0] << 6 | p[1] << 4 | p[2] << 2 | p[3]]++;
    }
    for (int i = 0; i < 256; i++) {
        const double expected = DRAWS / 24.0;
        if (count[i] == 0) continue;
        n_order++;
        chi2 += (count[i] - expected) * (count[i] - expected) / expected;
    }
    assert_int_equal(n_order, 24);
    assert_true(chi2 < 49.7);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(philox__gives_the_known_answers),
    cmocka_unit_test(philox_words__are_those_of_the_library),
    cmocka_unit_test(unit__stays_below_one_and_is_exact),
    cmocka_unit_test(below__covers_its_range_and_no_more),
    cmocka_unit_test(permutation__holds_every_number_once),
    cmocka_unit_test(permutation__equals_another_implementation),
    cmocka_unit_test(permutation__changes_with_seed_purpose_and_epoch),
    cmocka_unit_test(permutation__makes_all_orders_equally_likely),
};
CI_TEST_MAIN(tests)
