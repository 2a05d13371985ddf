#include "ci_test.h"

#include <string.h>

#include "ci/csv.h"
#include "ci/random.h"

enum { MOST = 64 };

/* Real rows of the captures, and shapes that other recorders write. */
static const char *const rows[] = {
    "1513920254.785127,110,D01C100900000000,0", "1513920254.785861,4B1,7953E58200000033,0",
    "1672531253.2783868,012,,1",               "1672531200.0,0C1,0000000000000000,1",
    "1672531256.038538,77F,00,0",              "1513920186.164888,002,0000,0",
    "0.000001,7ff,ffEE,1",                     "12.5,18DAF110,0102030405060708,0",
    "1513920240.06735,316,052426FF0026FFA5,0", "9223372035.999999999,1fffffff,AB,0",
    "7,1,00,0",                                "9223372036.854775807,1,00,0",
};

static struct {
    int64_t t[MOST];
    uint32_t id[MOST];
    uint64_t data[MOST];
    uint8_t len[MOST], attack[MOST];
} room;

static ci_rows empty_rows(ci_lid cap)
{
    return (ci_rows){room.t, room.id, room.data, room.len, room.attack, 0, cap};
}

/* The fast parser on text of n bytes, in memory that ends where it may read at most. */
static size_t fast(const char *text, size_t n, size_t stop, int columns, ci_rows *out)
{
    char *raw = malloc(CI_ROWS_BEFORE + n + CI_ROWS_BEHIND), *p = raw + CI_ROWS_BEFORE;
    size_t took;

    memset(raw, '7', CI_ROWS_BEFORE);
    memcpy(p, text, n);
    memset(p + n, '\n', CI_ROWS_BEHIND); /* a newline that must not count */
    took = (size_t)(ci_rows_parse(p, p + stop, p + n, columns, out) - p);
    free(raw);
    return took;
}

static void assert_rows_equal_frame(const ci_frame *f, const char *line)
{
    if (room.t[0] != f->t_ns || room.id[0] != f->id || room.data[0] != f->data
        || room.len[0] != f->len || room.attack[0] != f->attack)
        fail_msg("the two parsers read '%s' differently: %lld %x %llx %d %d, %lld %x %llx %d %d",
                 line, (long long)room.t[0], room.id[0], (unsigned long long)room.data[0],
                 room.len[0], room.attack[0], (long long)f->t_ns, f->id,
                 (unsigned long long)f->data, f->len, f->attack);
}

/* One line with its newline: what the fast parser takes the slow one takes, and alike. */
static int agree(const char *line, size_t n, int columns)
{
    const char *end = memchr(line, '\n', n);
    const size_t len = (size_t)(end - line) - (end > line && end[-1] == '\r');
    ci_rows out = empty_rows(1);
    ci_frame f = {0};
    ci_fault fault;
    const size_t took = fast(line, (size_t)(end - line) + 1, 1, columns, &out);

    if (took == 0) return 0;
    assert_int_equal(took, end - line + 1);
    assert_int_equal(out.n, 1);
    if (ci_frame_check(line, len, columns, &f, &fault) != CI_KIND_NONE)
        fail_msg("only the fast parser takes '%.*s' (%s)", (int)len, line,
                 ci_kind_name(fault.kind));
    assert_rows_equal_frame(&f, line);
    return 1;
}

static uint32_t draws;
static uint32_t draw(uint32_t n)
{
    return ci_below(ci_philox(7, 99, draws++, 0, 0, 0).v[0], n);
}

/* A byte put in, taken out or changed; mostly to one that means something here. */
static size_t mutate(char *s, size_t n)
{
    static const char alphabet[] = "0123456789abcdefABCDEFgG,,..\r\t -+x\n";
    const size_t at = draw((uint32_t)n);
    const char c = draw(4) ? alphabet[draw(sizeof alphabet)] : (char)draw(256);

    switch (draw(3)) {
    case 0: s[at] = c; return n;
    case 1: memmove(s + at, s + at + 1, n - at); return n - 1;
    default:
        memmove(s + at + 1, s + at, n - at);
        s[at] = c;
        return n + 1;
    }
}

static void mutated_rows_agree(const char *isa)
{
    int taken = 0;

    if (!ci_csv_isa(isa)) {
        print_message("%s: not on this processor\n", isa);
        skip();
    }
    draws = 0;
    for (int i = 0; i < 200000; i++) {
        char line[256] = {0};
        const int columns = draw(8) ? 4 : 3;
        size_t n = (size_t)snprintf(line, 128, "%s", rows[draw(CI_COUNT(rows))]);
        if (columns == 3) n -= 2;
        if (!draw(4)) line[n++] = '\r';
        line[n++] = '\n';
        for (uint32_t k = draw(4); k > 0 && n > 2; k--) n = mutate(line, n);
        line[n++] = '\n';
        taken += agree(line, n, columns);
    }
    assert_in_range(taken, 60000, 190000); /* else this tested little */
    ci_csv_isa("auto");
}

static void rows_generic__agrees_with_the_slow_parser(void **state)
{
    (void)state;
    mutated_rows_agree("generic");
}

static void rows_avx2__agrees_with_the_slow_parser(void **state)
{
    (void)state;
    mutated_rows_agree("avx2");
}

static void rows_avx512__agrees_with_the_slow_parser(void **state)
{
    (void)state;
    mutated_rows_agree("avx512");
}

static void rows__take_the_common_shapes(void **state)
{
    static const char *const isas[] = {"generic", "avx2", "avx512"};

    (void)state;
    for (size_t k = 0; k < CI_COUNT(isas); k++) {
        if (!ci_csv_isa(isas[k])) continue;
        for (size_t i = 0; i < CI_COUNT(rows) - 2; i++) { /* not the last two: the slow one's */
            char line[64];
            const int n = snprintf(line, sizeof line, "%s\r\n", rows[i]);
            assert_int_equal(agree(line, (size_t)n, 4), 1);
        }
    }
    ci_csv_isa("auto");
}

static void rows__stop_where_they_are_told(void **state)
{
    const char text[] = "1.5,1,AA,0\n2.5,2,BB,1\n3.5,3,CC,0\n";
    ci_rows out = empty_rows(MOST);

    (void)state;
    assert_int_equal(fast(text, 33, 33, 4, &out), 33);
    assert_int_equal(out.n, 3);
    out = empty_rows(MOST);
    assert_int_equal(fast(text, 33, 12, 4, &out), 22); /* two lines begin before byte 12 */
    out = empty_rows(MOST);
    assert_int_equal(fast(text, 33, 11, 4, &out), 11); /* only one before byte 11 */
    out = empty_rows(MOST);
    assert_int_equal(fast(text, 32, 32, 4, &out), 22); /* the last line is not whole */
    out = empty_rows(2);
    assert_int_equal(fast(text, 33, 33, 4, &out), 22); /* no room for more */
}

static void newlines__are_counted(void **state)
{
    static const char *const isas[] = {"generic", "avx2", "avx512"};
    static char text[70000];

    (void)state;
    for (size_t k = 0; k < CI_COUNT(isas); k++) {
        int64_t n = 0;
        if (!ci_csv_isa(isas[k])) continue;
        for (size_t i = 0; i < sizeof text; i++) {
            text[i] = i % 3 ? '\n' : (char)i;
            if (text[i] == '\n') n++;
            if (i % 997 == 0) assert_int_equal(ci_newlines(text, i + 1), n);
        }
        memset(text, '\n', sizeof text);
        assert_int_equal(ci_newlines(text, sizeof text), sizeof text);
    }
    assert_int_equal(ci_newlines(text, 0), 0);
    ci_csv_isa("auto");
}

static void isa__unknown_names_change_nothing(void **state)
{
    const char *best = ci_csv_isa("auto");

    (void)state;
    assert_null(ci_csv_isa("sse9"));
    assert_string_equal(ci_csv_isa("auto"), best);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(rows_generic__agrees_with_the_slow_parser),
    cmocka_unit_test(rows_avx2__agrees_with_the_slow_parser),
    cmocka_unit_test(rows_avx512__agrees_with_the_slow_parser),
    cmocka_unit_test(rows__take_the_common_shapes),
    cmocka_unit_test(rows__stop_where_they_are_told),
    cmocka_unit_test(newlines__are_counted),
    cmocka_unit_test(isa__unknown_names_change_nothing),
};
CI_TEST_MAIN(tests)
