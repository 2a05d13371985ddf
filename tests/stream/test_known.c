/* Profiles: sums that merge, bounded memory; bins and logarithms. */
#include <math.h>
#include "ci_test.h"

#include "stream/stream_priv.h"
#include "stream_made.h"

enum { N = 6000, W = 50 };

static ci_profile *merged(const ci_profile *a, const ci_profile *b, bool apart)
{
    ci_profile *p;

    assert_int_equal(ci_profile_create(a->frames, a->stride, &p), CI_OK);
    assert_int_equal(ci_profile_copy(p, a), CI_OK);
    assert_int_equal(ci_profile_merge(p, b, apart), CI_OK);
    return p;
}

static void merge__is_what_the_serial_pass_knows(void **state)
{
    (void)state;
    capture_make(N);
    ci_profile *all = learned(W, W, 0, N);
    for (ci_lid border = W; border < N; border += 17 * W) {
        ci_profile *a = learned(W, W, 0, border), *b = learned(W, W, border, N), *both = merged(a, b, false);
        assert_true(profiles_same(both, all));
        ci_profile_destroy(&a);
        ci_profile_destroy(&b);
        ci_profile_destroy(&both);
    }
    ci_profile_destroy(&all);
}

static void merge__is_associative(void **state)
{
    (void)state;
    capture_make(N);
    for (int apart = 0; apart < 2; apart++) {
        ci_profile *a = learned(W, W, 0, 1000), *b = learned(W, W, 1000, 1050), *c = learned(W, W, 1050, N);
        ci_profile *ab = merged(a, b, apart), *left = merged(ab, c, false), *bc = merged(b, c, false), *right = merged(a, bc, apart);
        assert_true(profiles_same(left, right));
        ci_profile *const all[] = {a, b, c, ab, left, bc, right};
        for (size_t i = 0; i < CI_COUNT(all); i++) ci_profile_destroy(&(ci_profile *){all[i]});
    }
}

static void merge__with_nothing_is_the_same(void **state)
{
    ci_profile *none;

    (void)state;
    capture_make(N);
    assert_int_equal(ci_profile_create(W, W, &none), CI_OK);
    ci_profile *a = learned(W, W, 0, N), *left = merged(none, a, false), *right = merged(a, none, false);
    assert_true(profiles_same(left, a) && profiles_same(right, a));
    ci_profile_destroy(&a);
    ci_profile_destroy(&left);
    ci_profile_destroy(&right);
    ci_profile_destroy(&none);
}

/** Two recordings of two frames: with apart nothing lies between them. */
static void merge__apart_has_no_interval_gap_or_succession_between(void **state)
{
    (void)state;
    table.n = 0;
    row_put(1000, 5, 0xF0, 1, 0);
    row_put(4000, 6, 1, 1, 0);
    row_put(9000, 5, 0xFF, 1, 0);
    row_put(10000, 5, 0xFE, 2, 0);
    ci_profile *a = learned(W, W, 0, 2), *b = learned(W, W, 2, 4), *near = merged(a, b, false), *apart = merged(a, b, true);
    assert_int_equal(near->known[0].n_interval, 2);
    assert_int_equal(near->known[0].interval[ci_bin(8000)], 1);
    assert_int_equal(near->known[0].interval[ci_bin(1000)], 1);
    assert_int_equal(near->known[0].flips[3], 1);
    assert_int_equal(near->known[0].flips[0], 2);
    assert_int_equal(near->n_gap, 3);
    assert_int_equal(near->follows[near->cap_id], 1);
    assert_int_equal(apart->known[0].n_interval, 1);
    assert_int_equal(apart->known[0].flips[3], 0);
    assert_int_equal(apart->known[0].flips[0], 1);
    assert_int_equal(apart->known[0].n, 3);
    assert_int_equal(apart->known[0].lengths, 1 << 1 | 1 << 2);
    assert_int_equal(apart->known[0].least[0], 0xF0);
    assert_int_equal(apart->known[0].most[0], 0xFF);
    assert_int_equal(apart->known[1].n_last, 0);
    assert_int_equal(apart->n_gap, 2);
    assert_int_equal(apart->follows[apart->cap_id], 0);
    ci_profile *const all[] = {a, b, near, apart};
    for (size_t i = 0; i < CI_COUNT(all); i++) ci_profile_destroy(&(ci_profile *){all[i]});
}

static void merge__refuses_windows_of_other_lengths(void **state)
{
    ci_profile *a, *b;

    (void)state;
    assert_int_equal(ci_profile_create(50, 50, &a), CI_OK);
    assert_int_equal(ci_profile_create(50, 25, &b), CI_OK);
    assert_int_equal(ci_profile_merge(a, b, true), CI_EARG);
    ci_profile_destroy(&a);
    ci_profile_destroy(&b);
}

/** 2^20 frames, no identifier twice or 2,048 of them in any order. */
static void profile__has_bounded_memory(void **state)
{
    (void)state;
    for (int wide = 0; wide < 2; wide++) {
        table.n = 0;
        seed = 1;
        for (ci_lid i = 0; i < ROWS; i++)
            row_put((int64_t)i * 1000, wide ? UINT32_C(0x80000000) | ((uint32_t)i * 2654435761u & 0x1FFFFFFF) : next_random() % 2048, next_random(), 8, 0);
        ci_profile *p = learned(100, 100, 0, ROWS);
        const ci_profile_about a = ci_profile_tell(p);
        assert_int_equal(a.n, ROWS);
        assert_int_equal(a.n_id, CI_PROFILE_IDS);
        assert_in_range(a.bytes, 1, 60000000);
        assert_int_equal(a.dropped, wide ? ROWS - CI_PROFILE_IDS : 0);
        assert_int_equal(a.n_window, ROWS / 100);
        if (wide) assert_int_equal(a.n_edge, CI_PROFILE_IDS - 1);
        ci_profile_destroy(&p);
    }
}

/** The quantiles that are kept up to date are those of the histogram. */
static void quantiles__follow_from_the_histogram(void **state)
{
    ci_graphs g;

    (void)state;
    capture_make(N);
    ci_stream *s = stream_of(CI_PAST_RUN, W, W, 0);
    graphs_room(&g, CI_PAST_RUN, N / W, W);
    assert_int_equal(ci_stream_begin(s, NULL), CI_OK);
    for (ci_lid at = 0; at < N; at += 50) {
        static const int percent[] = {1, 50, 99};
        rows_push(s, at, at + 50, &g);
        const ci_profile *const p = ci_stream_known(s);
        assert_true(p->settled);
        for (int32_t k = 0; k < p->n_id; k++)
            for (int j = 0; j < 3 && p->known[k].n_interval > 0; j++) {
                int64_t below = 0;
                int b = 0;
                while (100 * (below + p->known[k].interval[b]) < percent[j] * p->known[k].n_interval) below += p->known[k].interval[b++];
                assert_int_equal(p->known[k].at[j], b);
                assert_int_equal(p->known[k].below[j], below);
            }
    }
    ci_graphs_release(&g);
    ci_stream_destroy(&s);
}

/** A border is at 2^(9 + b/8): its 8th power is 2^(72 + b); as far as 128 bits have it exactly. */
static void bins__have_exact_borders(void **state)
{
    (void)state;
    assert_int_equal(ci_bin(INT64_MIN), 0);
    assert_int_equal(ci_bin(511), 0);
    assert_int_equal(ci_bin(INT64_MAX), CI_BINS - 1);
    assert_int_equal(ci_bin16(INT64_MAX), DURATIONS - 1);
    for (int e = 9; e < 38; e++) {
        assert_int_equal(ci_bin(INT64_C(1) << e), 8 * (e - 9));
        assert_int_equal(ci_bin((INT64_C(1) << e) + (INT64_C(1) << e) / 100), 8 * (e - 9));
        if (e > 9) assert_int_equal(ci_bin((INT64_C(1) << e) - 1), 8 * (e - 9) - 1);
        assert_int_equal(ci_bin16(INT64_C(1) << e), 16 * (e - 9));
    }
    for (int64_t t = 512; t < 65536; t++) {
        const unsigned __int128 square = (unsigned __int128)t * (unsigned __int128)t, eighth = square * square;
        const unsigned __int128 power = eighth * eighth;
        int b = 0;
        while (b < 127 - 72 && (unsigned __int128)1 << (73 + b) <= power) b++;
        assert_int_equal(ci_bin(t), b);
    }
}

static void log2__is_whole_for_powers_of_2_and_right_between(void **state)
{
    static struct logs l;
    double most = 0;

    (void)state;
    ci_logs_fill(&l);
    for (int e = -1000; e < 1000; e++) assert_true(ci_log2(&l, ldexp(1, e)) == e);
    for (double x = 1e-3; x < 1e12; x *= 1.00037) most = fmax(most, fabs(ci_log2(&l, x) - log2(x)) / fmax(1, fabs(log2(x))));
    for (int k = 1; k < LOGS; k++) {
        most = fmax(most, fabs(l.whole[k] - log2(k)));
        most = fmax(most, fabs(l.half[k] - log2(k + .5)));
        most = fmax(most, fabs(l.quarter[k] - log2(k + .25)));
    }
    assert_true(most < 4e-15);
    for (int b = 0; b < CI_BINS; b++) {
        assert_true(fabs(l.inverse_centre[b] * exp2(ci_centre(b)) - 1) < 1e-12);
        assert_true(fabs((double)l.overdue[b] - floor(exp2(ci_centre(b) + .5))) <= 0);
    }
}

static void sort__orders_any_number(void **state)
{
    static int64_t v[5000], spare[5000];

    (void)state;
    seed = 5;
    for (ci_lid n = 0; n < 5000; n = n * 3 / 2 + 1) {
        uint64_t sum = 0;
        for (ci_lid i = 0; i < n; i++) sum += (uint64_t)(v[i] = (int64_t)(next_random() >> next_random() % 39));
        ci_sort(v, spare, n);
        for (ci_lid i = 0; i < n; i++) {
            assert_true(i == 0 || v[i - 1] <= v[i]);
            sum -= (uint64_t)v[i];
        }
        assert_true(sum == 0);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(merge__is_what_the_serial_pass_knows),
    cmocka_unit_test(merge__is_associative),
    cmocka_unit_test(merge__with_nothing_is_the_same),
    cmocka_unit_test(merge__apart_has_no_interval_gap_or_succession_between),
    cmocka_unit_test(merge__refuses_windows_of_other_lengths),
    cmocka_unit_test(profile__has_bounded_memory),
    cmocka_unit_test(quantiles__follow_from_the_histogram),
    cmocka_unit_test(bins__have_exact_borders),
    cmocka_unit_test(log2__is_whole_for_powers_of_2_and_right_between),
    cmocka_unit_test(sort__orders_any_number),
};
CI_TEST_MAIN(tests)
