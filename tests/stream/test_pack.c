#include "ci_test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ci/commit.h"
#include "ci/random.h"
#include "ci/stream.h"

enum { FRAMES = 3000, W = 20, S = 30 };

/* Frames of 40 identifiers of both kinds that come in any order, some of them later, all lengths, equal times. */
static ci_table frames_of(uint32_t seed)
{
    ci_table t = {0};
    int64_t now = 1000000000;

    assert_int_equal(ci_table_reserve(&t, FRAMES), CI_OK);
    for (ci_lid i = 0; i < FRAMES; i++) {
        const ci_u32x4 r = ci_philox(seed, 7, (uint32_t)i, 0, 0, 0);
        const uint32_t k = ci_below(r.v[0], i < 500 ? 20 : 40);
        const uint8_t len = (uint8_t)(k % 9);
        now += ci_below(r.v[1], 3) * 250000;
        t.t_ns[i] = now;
        t.id[i] = k % 4 ? 0x700 - 16 * k : 0x80000000 | (0x1000000 + k);
        t.len[i] = len;
        t.data[i] = len ? ((uint64_t)r.v[2] << 32 | r.v[3]) & ~UINT64_C(0) >> (64 - 8 * len) : 0;
        t.attack[i] = 0;
    }
    t.n = t.n_own = FRAMES;
    return t;
}

/* What rows [from, to) say, in pieces of one recording. */
static ci_profile *learned(const ci_table *t, ci_lid from, ci_lid to)
{
    ci_stream *s = NULL;
    ci_profile *p = NULL;
    ci_lid taken = 0;

    assert_int_equal(ci_stream_create(ci_feature_set_of("agnostic", "run"), CI_PAST_RUN, W, S, 0, &s), CI_OK);
    assert_int_equal(ci_stream_begin(s, NULL), CI_OK);
    assert_int_equal(ci_stream_push(s, t, from, to, NULL, &taken), CI_OK);
    assert_int_equal(taken, to - from);
    assert_int_equal(ci_stream_end(s), CI_OK);
    assert_int_equal(ci_profile_create(W, S, &p), CI_OK);
    assert_int_equal(ci_profile_copy(p, ci_stream_known(s)), CI_OK);
    ci_stream_destroy(&s);
    return p;
}

static char *packed(const ci_profile *p, size_t *n)
{
    char *bytes = ci_profile_pack(p, n);

    assert_non_null(bytes);
    return bytes;
}

static void same(const ci_profile *a, const ci_profile *b)
{
    size_t n, m;
    char *x = packed(a, &n), *y = packed(b, &m);

    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

static void pack__is_read_back_as_the_same_profile(void **state)
{
    ci_table t = frames_of(1);
    ci_profile *p = learned(&t, 0, FRAMES), *q = NULL;
    size_t n;
    char *bytes = packed(p, &n);
    ci_profile_about a, b;

    (void)state;
    assert_int_equal(ci_profile_unpack(bytes, n, &q), CI_OK);
    same(p, q);
    a = ci_profile_tell(p);
    b = ci_profile_tell(q);
    assert_int_equal(a.n, FRAMES);
    assert_int_equal(a.n_id, 40);
    assert_true(a.n_window == FRAMES / S && a.n_edge > 1000);
    assert_true(b.n == a.n && b.n_id == a.n_id && b.n_edge == a.n_edge && b.n_window == a.n_window && b.frames == W && b.stride == S);
    free(bytes);
    ci_profile_destroy(&p);
    ci_profile_destroy(&q);
    ci_table_release(&t);
}

/* What was packed goes on as what was not: learning the rest by merge is learning all. */
static void unpacked__merges_to_what_learning_all_is(void **state)
{
    ci_table t = frames_of(2);
    ci_profile *all = learned(&t, 0, FRAMES), *have = NULL;

    (void)state;
    for (ci_lid from = 0; from < FRAMES; from += 600) {
        ci_profile *part = learned(&t, from, from + 600), *again = NULL;
        size_t n;
        char *bytes = packed(part, &n);
        assert_int_equal(ci_profile_unpack(bytes, n, &again), CI_OK);
        if (have) assert_int_equal(ci_profile_merge(have, again, false), CI_OK);
        else {
            have = again;
            again = NULL;
        }
        free(bytes);
        ci_profile_destroy(&part);
        ci_profile_destroy(&again);
    }
    same(have, all);
    ci_profile_destroy(&have);
    ci_profile_destroy(&all);
    ci_table_release(&t);
}

static void merge__with_what_knows_nothing_changes_nothing(void **state)
{
    ci_table t = frames_of(3);
    ci_profile *p = learned(&t, 0, FRAMES), *empty = NULL;

    (void)state;
    assert_int_equal(ci_profile_create(W, S, &empty), CI_OK);
    assert_int_equal(ci_profile_merge(empty, p, true), CI_OK);
    same(empty, p);
    ci_profile_clear(empty);
    assert_int_equal(ci_profile_merge(p, empty, true), CI_OK);
    ci_profile_clear(empty);
    assert_int_equal(ci_profile_merge(empty, p, false), CI_OK);
    same(empty, p);
    ci_profile_destroy(&p);
    ci_profile_destroy(&empty);
    ci_table_release(&t);
}

/* A byte that is changed is seen, or makes another profile that is one: read back, its bytes are these. */
static void unpack__of_any_changed_byte_is_refused_or_a_profile(void **state)
{
    ci_table t = frames_of(4);
    ci_profile *p = learned(&t, 0, 300), *q = NULL;
    size_t n, m, refused = 0;
    char *bytes = packed(p, &n), *again;

    (void)state;
    for (size_t i = 0; i < n; i += i < 200 ? 1 : 7) {
        const char was = bytes[i];
        ci_rc rc;
        bytes[i] = (char)(was ^ (i % 3 ? 0x80 : 1));
        rc = ci_profile_unpack(bytes, n, &q);
        refused += rc == CI_EFORMAT;
        if (rc == CI_OK) {
            again = packed(q, &m);
            assert_int_equal(m, n);
            assert_memory_equal(again, bytes, n);
            free(again);
            ci_profile_destroy(&q);
        } else {
            assert_int_equal(rc, CI_EFORMAT);
            assert_null(q);
        }
        bytes[i] = was;
    }
    assert_true(refused > n / 7 / 4);
    for (size_t k = 0; k < n; k += 997) assert_int_equal(ci_profile_unpack(bytes, k, &q), CI_EFORMAT);
    free(bytes);
    ci_profile_destroy(&p);
    ci_table_release(&t);
}

static void unpack__names_the_version_that_it_cannot_read(void **state)
{
    ci_profile *p = NULL, *q = NULL;
    size_t n;
    char *bytes;

    (void)state;
    assert_int_equal(ci_profile_create(W, S, &p), CI_OK);
    bytes = packed(p, &n);
    assert_int_equal(ci_profile_unpack(bytes, n, &q), CI_OK);
    ci_profile_destroy(&q);
    bytes[16]++;
    assert_int_equal(ci_profile_unpack(bytes, n, &q), CI_EFORMAT);
    assert_non_null(strstr(ci_message(), "version 2"));
    free(bytes);
    ci_profile_destroy(&p);
}

static void file__is_read_back_and_damage_is_seen(void **state)
{
    ci_table t = frames_of(5);
    ci_profile *p = learned(&t, 0, FRAMES), *q = NULL;
    char dir[CI_PATH_MAX], path[CI_PATH_MAX], sha[CI_SHA256_HEX];
    FILE *f;

    (void)state;
    snprintf(dir, sizeof dir, "%.900s/profile_XXXXXX", ci_test_tmp());
    assert_non_null(mkdtemp(dir));
    assert_int_equal(ci_path_join(path, dir, "a.profile"), CI_OK);
    assert_int_equal(ci_profile_read(path, &q), CI_ENOENT);
    assert_int_equal(ci_profile_write(p, path), CI_OK);
    assert_int_equal(ci_commit_check(path, sha), CI_OK);
    assert_int_equal(ci_profile_read(path, &q), CI_OK);
    same(p, q);
    ci_profile_destroy(&q);
    f = fopen(path, "r+b");
    assert_true(f && fseek(f, 5000, SEEK_SET) == 0 && fputc(0x55, f) != EOF && fclose(f) == 0);
    assert_int_equal(ci_profile_read(path, &q), CI_EFORMAT);
    assert_non_null(strstr(ci_message(), "a.profile is damaged"));
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(ci_profile_read(path, &q), CI_EFORMAT);
    assert_null(q);
    assert_int_equal(ci_commit_remove(path), CI_OK);
    assert_int_equal(rmdir(dir), 0);
    ci_profile_destroy(&p);
    ci_table_release(&t);
}

/* The kth of n sorted intervals lies in the bin whose centre is said: 1/16 octave off at most. */
static void id__says_quantiles_of_its_intervals(void **state)
{
    ci_table t = {0};
    ci_profile *p;
    uint32_t id;
    int64_t n;
    double q01, median, q99;

    (void)state;
    assert_int_equal(ci_table_reserve(&t, 102), CI_OK);
    t.n = t.n_own = 102;
    t.id[0] = 0x7;
    t.len[0] = 0;
    t.data[0] = 0;
    t.attack[0] = 0;
    t.t_ns[0] = 0;
    for (ci_lid i = 1; i < 102; i++) { /* 101 frames of 0x123: one interval of 1 us, 50 of 1 ms, 48 of 2 ms, 1 of 1 s */
        const int k = i - 2;
        t.id[i] = 0x123;
        t.len[i] = 8;
        t.data[i] = 5;
        t.attack[i] = 0;
        t.t_ns[i] = t.t_ns[i - 1] + (i == 1 ? 5 : k == 0 ? 1000 : k <= 50 ? 1000000 : k <= 98 ? 2000000 : 1000000000);
    }
    p = learned(&t, 0, 102);
    ci_profile_id(p, 0, &id, &n, &q01, &median, &q99);
    assert_true(id == 7 && n == 1 && q01 != q01 && median != median && q99 != q99);
    ci_profile_id(p, 1, &id, &n, &q01, &median, &q99);
    assert_true(id == 0x123 && n == 101);
    assert_true(fabs(q01 - log2(1000)) <= 1. / 16 && fabs(median - log2(1e6)) <= 1. / 16 && fabs(q99 - log2(2e6)) <= 1. / 16);
    ci_profile_destroy(&p);
    ci_table_release(&t);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(pack__is_read_back_as_the_same_profile),
    cmocka_unit_test(unpacked__merges_to_what_learning_all_is),
    cmocka_unit_test(merge__with_what_knows_nothing_changes_nothing),
    cmocka_unit_test(unpack__of_any_changed_byte_is_refused_or_a_profile),
    cmocka_unit_test(unpack__names_the_version_that_it_cannot_read),
    cmocka_unit_test(file__is_read_back_and_damage_is_seen),
    cmocka_unit_test(id__says_quantiles_of_its_intervals),
};

CI_TEST_MAIN(tests)
