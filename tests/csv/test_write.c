#include "ci_test.h"

#include <string.h>

#include "ci/csv.h"
#include "ci/layout.h"

static const char *text_of(const ci_frame *f, ci_dialect as, bool labelled)
{
    static char line[CI_FRAME_LINE + 1];
    const size_t n = ci_frame_line(f, as, labelled, line);

    line[n] = 0;
    return line;
}

static const char *candump(ci_frame f) { return text_of(&f, CI_DIALECT_CANDUMP, false); }
static const char *four(ci_frame f) { return text_of(&f, CI_DIALECT_FOUR_COLUMN, true); }

/* The lines of can-utils' own documentation (lib.h of can-utils). */
static void write_candump__is_what_can_utils_reads(void **state)
{
    ci_frame fd = {.t_ns = 1500000000, .id = 0x123, .data = 0x8877665544332211, .len = 12,
                   .flags = CI_FRAME_FD | CI_FRAME_BRS, .more = {0x99, 0xaa, 0xbb, 0xcc}};

    (void)state;
    assert_string_equal(candump((ci_frame){.t_ns = 1436509052249713000, .id = 0x44,
                                           .data = 0xba2b6c362a, .len = 5}),
                        "(1436509052.249713) can0 044#2A366C2BBA\n");
    assert_string_equal(candump((ci_frame){.id = 0x98daf110}), "(0.000000) can0 18DAF110#\n");
    assert_string_equal(candump((ci_frame){.id = 0x80000001, .t_ns = 1}), "(0.000000001) can0 00000001#\n");
    assert_string_equal(candump((ci_frame){.id = 0x123, .flags = CI_FRAME_REMOTE, .dlc = 4}), "(0.000000) can0 123#R4\n");
    assert_string_equal(candump((ci_frame){.id = 0x123, .flags = CI_FRAME_REMOTE}), "(0.000000) can0 123#R\n");
    assert_string_equal(candump((ci_frame){.id = 0x80000004, .flags = CI_FRAME_ERROR, .len = 1, .data = 4}),
                        "(0.000000) can0 20000004#04\n");
    assert_string_equal(candump(fd), "(1.500000) can0 123##1112233445566778899AABBCC\n");
    fd.len = 11; /* there is no such length */
    assert_string_equal(candump(fd), "");
    assert_string_equal(text_of(&(ci_frame){.id = 0x123, .attack = 1, .flags = CI_FRAME_SENT}, CI_DIALECT_CANDUMP, true),
                        "(0.000000) can0 123# T 1\n");
}

static void write_four_column__says_what_it_can(void **state)
{
    (void)state;
    assert_string_equal(four((ci_frame){.t_ns = 1513920254785127000, .id = 0x110, .data = 0x09101cd0, .len = 8}),
                        "1513920254.785127,110,D01C100900000000,0\n");
    assert_string_equal(four((ci_frame){.id = 0x98daf110, .attack = 1}), "0.000000,18DAF110,,1\n");
    assert_string_equal(four((ci_frame){.id = 0x80000001}), "");
    assert_string_equal(four((ci_frame){.id = 1, .flags = CI_FRAME_REMOTE}), "");
    assert_string_equal(four((ci_frame){.id = 0x80000004, .flags = CI_FRAME_ERROR}), "");
    assert_string_equal(four((ci_frame){.id = 1, .flags = CI_FRAME_FD, .len = 12}), "");
    assert_string_equal(text_of(&(ci_frame){.id = 1}, CI_DIALECT_GVRET, true), "");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(write_candump__is_what_can_utils_reads),
    cmocka_unit_test(write_four_column__says_what_it_can),
};
CI_TEST_MAIN(tests)
