#include "ci_test.h"

#include <string.h>
#include <zlib.h>

#include "ci/random.h"
#include "ci/source.h"
#include "ci/types.h"

enum { BYTES = 5 << 20, PIECE = 256 << 10 };

static char *text, *got, path[4096];

/* Text that every offset can be told from, as a gzip file. */
static int setup(void **state)
{
    gzFile f;

    (void)state;
    snprintf(path, sizeof path, "%s/source.gz", ci_test_tmp());
    text = malloc(BYTES + 16);
    got = malloc(PIECE);
    if (!text || !got) return 1;
    for (int i = 0; i < BYTES; i += 8) snprintf(text + i, 9, "%07d\n", i / 8);
    f = gzopen(path, "wb1");
    if (!f || gzwrite(f, text, BYTES) != BYTES || gzclose(f) != Z_OK) return 1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(text);
    free(got);
    return remove(path);
}

static void must_read(ci_source *s, int64_t at, size_t n)
{
    const size_t want = at >= BYTES ? 0 : CI_MIN(n, (size_t)(BYTES - at));
    size_t there = 0;

    if (ci_source_read(s, at, got, n, &there) != CI_OK) fail_msg("%s", ci_message());
    assert_int_equal(there, want);
    if (want && memcmp(got, text + at, want) != 0) fail_msg("%zu bytes at %lld", n, (long long)at);
}

static void source__reads_a_stream_at_any_offset(void **state)
{
    ci_source *s = NULL;
    int64_t bytes = 0;

    (void)state;
    assert_int_equal(ci_source_open(path, &s), CI_OK);
    assert_int_equal(ci_source_packing(s), CI_GZIP);
    for (int64_t at = 0; at < BYTES; at += PIECE) must_read(s, at, PIECE); /* forward */
    must_read(s, BYTES - 3, 100);
    must_read(s, BYTES, 100);
    must_read(s, BYTES - CI_SOURCE_KEEP, PIECE); /* what is kept */
    must_read(s, 0, PIECE);                      /* from the beginning again */
    for (uint32_t i = 0; i < 60; i++) {
        const ci_u32x4 r = ci_philox(1, 98, i, 0, 0, 0);
        must_read(s, ci_below(r.v[0], BYTES), 1 + ci_below(r.v[1], PIECE));
    }
    assert_int_equal(ci_source_measure(s, BYTES, &bytes), CI_OK);
    assert_int_equal(bytes, BYTES);
    ci_source_close(&s);
    assert_null(s);
}

static void source__has_a_bound(void **state)
{
    ci_source *s = NULL;
    int64_t bytes = 0;

    (void)state;
    assert_int_equal(ci_source_open(path, &s), CI_OK);
    assert_int_equal(ci_source_measure(s, BYTES - 1, &bytes), CI_EDATA);
    assert_non_null(strstr(ci_message(), "data.expand_max"));
    ci_source_close(&s);
}

static void source__says_what_cannot_be_opened(void **state)
{
    ci_source *s = NULL;

    (void)state;
    assert_int_equal(ci_source_open("/nowhere/at/all", &s), CI_ENOENT);
    assert_null(s);
    assert_int_equal(ci_source_open(ci_test_tmp(), &s), CI_EDATA);
    assert_non_null(strstr(ci_message(), "a folder, not a file"));
    ci_source_close(&s);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(source__reads_a_stream_at_any_offset, setup, teardown),
    cmocka_unit_test_setup_teardown(source__has_a_bound, setup, teardown),
    cmocka_unit_test(source__says_what_cannot_be_opened),
};
CI_TEST_MAIN(tests)
