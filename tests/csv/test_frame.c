#include "ci_test.h"

#include <string.h>

#include "ci/csv.h"

static ci_frame good(const char *line)
{
    ci_frame f = {0};
    ci_fault fault;

    assert_string_equal(ci_kind_name(ci_frame_check(line, strlen(line), 4, &f, &fault)), "none");
    return f;
}

static void frame__reads_the_four_columns(void **state)
{
    const ci_frame f = good("1513920254.785127,110,D01C100900000000,1");

    (void)state;
    assert_int_equal(f.t_ns, 1513920254785127000);
    assert_int_equal(f.id, 0x110);
    assert_int_equal(f.len, 8);
    assert_int_equal(f.data, 0x09101cd0); /* byte 0 is the lowest */
    assert_int_equal(f.attack, 1);
}

static void frame__reads_identifiers_of_both_kinds(void **state)
{
    (void)state;
    assert_int_equal(good("0,1A,,0").id, 26);
    assert_int_equal(good("0,FF,,0").id, 255);
    assert_int_equal(good("0,0,,0").id, 0);
    assert_int_equal(good("0,7DF,,0").id, 2015);
    assert_int_equal(good("0,7fF,,0").id, 0x7ff);
    assert_int_equal(good("0,0000007f,,0").id, 0x7f);
    assert_int_equal(good("0,800,,0").id, 0x80000800);
    assert_int_equal(good("0,18daF110,,0").id, 0x98daf110);
    assert_int_equal(good("0,1FFFFFFF,,0").id, 0x9fffffff);
}

static void frame__keeps_every_digit_of_time(void **state)
{
    (void)state;
    assert_int_equal(good("0,1,,0").t_ns, 0);
    assert_int_equal(good("1672531200.0,1,,0").t_ns, 1672531200000000000);
    assert_int_equal(good("1672531253.2783868,012,,1").t_ns, 1672531253278386800);
    assert_int_equal(good("0.000000001,1,,0").t_ns, 1);
    assert_int_equal(good("00001.5,1,,0").t_ns, 1500000000);
    assert_int_equal(good("9223372036.854775807,1,,0").t_ns, INT64_MAX);
}

static void frame__reads_payloads_of_any_length(void **state)
{
    const char *const hex = "0123456789abCDEF";
    char line[64];

    (void)state;
    for (int n = 0; n <= 16; n += 2) {
        const uint64_t all = 0xefcdab8967452301;
        snprintf(line, sizeof line, "1.5,1,%.*s,0", n, hex);
        assert_int_equal(good(line).len, n / 2);
        assert_true(good(line).data == (n ? all & ~UINT64_C(0) >> (64 - 4 * n) : 0));
    }
}

/* Every way to break the contract, with the byte where it is seen (0-based). */
static const struct {
    const char *line;
    ci_kind kind;
    size_t col;
} bad[] = {
    {"1.0,1,00,0,5", CI_KIND_COLUMNS, 10},
    {"1.0,1,00", CI_KIND_COLUMNS, 8},
    {"1.0", CI_KIND_COLUMNS, 3},
    {"", CI_KIND_BLANK, 0},
    {"1x.0,1,00,0", CI_KIND_TIME, 1},
    {"abc,1,00,0", CI_KIND_TIME, 0},
    {"-1.0,1,00,0", CI_KIND_TIME, 0},
    {" 1.0,1,00,0", CI_KIND_TIME, 0},
    {"1.0e3,1,00,0", CI_KIND_TIME, 3},
    {"1.,1,00,0", CI_KIND_TIME, 2},
    {".5,1,00,0", CI_KIND_TIME, 0},
    {"1.2.3,1,00,0", CI_KIND_TIME, 3},
    {",1,00,0", CI_KIND_TIME, 0},
    {"1.0000000000,1,00,0", CI_KIND_TIME_DIGITS, 11},
    {"9223372036.854775808,1,00,0", CI_KIND_TIME_RANGE, 0},
    {"99999999999999999999999999.0,1,00,0", CI_KIND_TIME_RANGE, 0},
    {"1.0,,00,0", CI_KIND_ID, 4},
    {"1.0,0x1,00,0", CI_KIND_ID, 5},
    {"1.0,1G,00,0", CI_KIND_ID, 5},
    {"1.0,20000000,00,0", CI_KIND_ID_RANGE, 4},
    {"1.0,000000001,00,0", CI_KIND_ID_RANGE, 12},
    {"1.0,1,0,0", CI_KIND_PAYLOAD_ODD, 7},
    {"1.0,1,000,0", CI_KIND_PAYLOAD_ODD, 9},
    {"1.0,1,0g,0", CI_KIND_PAYLOAD, 7},
    {"1.0,1,614008F208E870DE\t,0", CI_KIND_PAYLOAD, 22},
    {"1.0,1,00 ,0", CI_KIND_PAYLOAD, 8},
    {"1.0,1,000000000000000000,0", CI_KIND_PAYLOAD_LONG, 22},
    {"1.0,1,00,2", CI_KIND_LABEL, 9},
    {"1.0,1,00,", CI_KIND_LABEL, 9},
    {"1.0,1,00,01", CI_KIND_LABEL, 10},
    {"1.0,1,00,0 ", CI_KIND_LABEL, 10},
    {"1.0,1,00,R", CI_KIND_LABEL, 9},
};

static void frame__names_each_violation_and_its_column(void **state)
{
    (void)state;
    for (size_t i = 0; i < CI_COUNT(bad); i++) {
        ci_frame f = {.t_ns = -7};
        ci_fault fault = {0};
        const ci_kind kind = ci_frame_check(bad[i].line, strlen(bad[i].line), 4, &f, &fault);

        if (kind != bad[i].kind || fault.col != bad[i].col || fault.kind != kind)
            fail_msg("'%s': %s at %zu", bad[i].line, ci_kind_name(kind), fault.col);
        assert_int_equal(f.t_ns, -7); /* written only when the line is good */
    }
}

static void frame__refuses_zero_bytes_and_long_lines(void **state)
{
    static char line[CI_LINE_MAX + 2];
    ci_frame f;
    ci_fault fault;

    (void)state;
    assert_int_equal(ci_frame_check("1.0,1,0\0,0", 10, 4, &f, &fault), CI_KIND_NUL);
    assert_int_equal(fault.col, 7);
    memset(line, '0', sizeof line);
    assert_int_equal(ci_frame_check(line, CI_LINE_MAX, 4, &f, &fault), CI_KIND_COLUMNS);
    assert_int_equal(ci_frame_check(line, CI_LINE_MAX + 1, 4, &f, &fault), CI_KIND_LONG_LINE);
}

static void frame__says_the_column_as_an_error(void **state)
{
    ci_frame f;
    size_t col = 99;

    (void)state;
    assert_int_equal(ci_frame_parse("1.0,1,00,0", 10, &f, &col), CI_OK);
    assert_int_equal(ci_frame_parse("1.0,1,00,7", 10, &f, &col), CI_EFORMAT);
    assert_int_equal(col, 9);
    assert_non_null(strstr(ci_message(), "label"));
}

static void frame__reads_three_columns_as_benign(void **state)
{
    ci_frame f;
    ci_fault fault;

    (void)state;
    assert_int_equal(ci_frame_check("1.0,1,0011", 10, 3, &f, &fault), CI_KIND_NONE);
    assert_int_equal(f.len, 2);
    assert_int_equal(f.attack, 0);
    assert_int_equal(ci_frame_check("1.0,1,0011,0", 12, 3, &f, &fault), CI_KIND_COLUMNS);
}

static void kinds__all_have_a_name_and_a_reason(void **state)
{
    (void)state;
    for (int k = 0; k < CI_KIND_COUNT; k++) {
        assert_non_null(ci_kind_name((ci_kind)k));
        assert_non_null(ci_kind_reason((ci_kind)k));
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(frame__reads_the_four_columns),
    cmocka_unit_test(frame__reads_identifiers_of_both_kinds),
    cmocka_unit_test(frame__keeps_every_digit_of_time),
    cmocka_unit_test(frame__reads_payloads_of_any_length),
    cmocka_unit_test(frame__names_each_violation_and_its_column),
    cmocka_unit_test(frame__refuses_zero_bytes_and_long_lines),
    cmocka_unit_test(frame__says_the_column_as_an_error),
    cmocka_unit_test(frame__reads_three_columns_as_benign),
    cmocka_unit_test(kinds__all_have_a_name_and_a_reason),
};
CI_TEST_MAIN(tests)
