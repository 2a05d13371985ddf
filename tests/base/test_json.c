#include "ci_test.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "ci/commit.h"
#include "ci/json.h"

static char path[CI_PATH_MAX];

static int set_up(void **state)
{
    (void)state;
    return ci_path_join(path, ci_test_tmp(), "some.json") != CI_OK;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static void write_file(const char *text, size_t n)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static ci_json *round_trip(ci_json *j, bool pretty)
{
    ci_json *back = NULL;
    char *text = ci_json_text(j, pretty);

    assert_non_null(text);
    write_file(text, strlen(text));
    free(text);
    assert_int_equal(ci_json_load(path, &back), CI_OK);
    return back;
}

static void json_text__keeps_the_order_and_writes_17_digits(void **state)
{
    ci_json *j = ci_json_object(), *list = ci_json_array();
    char *text;

    (void)state;
    ci_json_int(j, "z", 1);
    ci_json_num(j, "a", 0.1);
    ci_json_num(j, "nan", NAN);
    ci_json_num(j, "inf", -INFINITY);
    ci_json_bool(j, "yes", true);
    ci_json_str(j, "quote", "\"\n");
    ci_json_str(j, "none", NULL);
    ci_json_add_str(list, "x");
    ci_json_add_int(list, -2);
    ci_json_add_num(list, .25);
    ci_json_add_num(list, INFINITY);
    ci_json_add(list, ci_json_object());
    ci_json_put(j, "list", list);
    text = ci_json_text(j, false);
    assert_string_equal(text, "{\"z\":1,\"a\":0.10000000000000001,\"nan\":null,\"inf\":null,"
                              "\"yes\":true,\"quote\":\"\\\"\\n\",\"none\":null,\"list\":[\"x\",-2,0.25,null,{}]}");
    free(text);
    ci_json_free(&j);
    assert_null(j);
    ci_json_free(&j);
}

static void json__brings_every_number_back(void **state)
{
    static const double nums[] = {0.1, -1.0 / 3, DBL_MAX, DBL_MIN, 5e-324, 1e22, 123456789.125, 0};
    static const int64_t ints[] = {0, -1, INT64_MAX, INT64_MIN, (1LL << 53) + 1};
    ci_json *j = ci_json_object(), *list = ci_json_array(), *back;
    char key[16];

    (void)state;
    for (size_t i = 0; i < sizeof nums / sizeof nums[0]; i++) {
        snprintf(key, sizeof key, "n%zu", i);
        ci_json_num(j, key, nums[i]);
    }
    for (size_t i = 0; i < sizeof ints / sizeof ints[0]; i++) ci_json_add_int(list, ints[i]);
    ci_json_put(j, "ints", list);
    for (int pretty = 0; pretty < 2; pretty++) {
        back = round_trip(j, pretty);
        for (size_t i = 0; i < sizeof nums / sizeof nums[0]; i++) {
            snprintf(key, sizeof key, "n%zu", i);
            assert_true(ci_json_get_num(back, key) == nums[i]);
        }
        assert_int_equal(ci_json_len(ci_json_get(back, "ints")), sizeof ints / sizeof ints[0]);
        for (size_t i = 0; i < sizeof ints / sizeof ints[0]; i++)
            assert_true(ci_json_as_int(ci_json_at(ci_json_get(back, "ints"), i)) == ints[i]);
        assert_int_equal(ci_json_len(back), sizeof nums / sizeof nums[0] + 1);
        ci_json_free(&back);
    }
    ci_json_free(&j);
}

static void json_get__of_the_wrong_kind_or_key_is_harmless(void **state)
{
    ci_json *j = ci_json_object();

    (void)state;
    ci_json_str(j, "s", "text");
    ci_json_int(j, "i", 3);
    ci_json_num(j, "nan", NAN);
    assert_null(ci_json_get(j, "absent"));
    assert_null(ci_json_get_str(j, "i"));
    assert_int_equal(ci_json_get_int(j, "s"), -1);
    assert_int_equal(ci_json_get_int(j, "absent"), -1);
    assert_true(isnan(ci_json_get_num(j, "s")));
    assert_true(isnan(ci_json_get_num(j, "nan")));
    assert_true(ci_json_get_num(j, "i") == 3);
    assert_false(ci_json_get_bool(j, "s"));
    assert_null(ci_json_at(j, 0));
    assert_null(ci_json_at(NULL, 0));
    assert_null(ci_json_get(NULL, "x"));
    assert_int_equal(ci_json_len(NULL), 0);
    ci_json_free(&j);
}

static void json_str__makes_utf8_of_any_bytes(void **state)
{
    static const char *const good = "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x9a\x97";
    ci_json *j = ci_json_object(), *back;

    (void)state;
    ci_json_str(j, "good", good);
    ci_json_str(j, "bad", "a\xff" "b\xc3");
    ci_json_str(j, "overlong", "\xc0\xaf\xe0\x80\xaf");
    ci_json_str(j, "key\xfe", "v");
    back = round_trip(j, false);
    assert_string_equal(ci_json_get_str(back, "good"), good);
    assert_string_equal(ci_json_get_str(back, "bad"), "a\xef\xbf\xbd" "b\xef\xbf\xbd");
    assert_int_equal(strlen(ci_json_get_str(back, "overlong")), 15); /* five bytes, each replaced */
    assert_string_equal(ci_json_get_str(back, "key\xef\xbf\xbd"), "v");
    ci_json_free(&back);
    ci_json_free(&j);
}

static void json_load__names_line_and_column_of_an_error(void **state)
{
    static const struct { const char *text, *where; } bad[] = {
        {"{\"a\": 1,\n \"b\": }", ":2:"}, {"", ":1:"},    {"{\"a\":1} x", ":1:"},
        {"{\"a\":1,\"a\":2}", ":1:"},     {"[1,2", ":1:"}, {"\x80\x81garbage", ":1:"},
        {"[1e999]", ":1:"},               {"{\"a\":\"\xff\"}", ":1:"},
    };
    ci_json *j = (ci_json *)path;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_file(bad[i].text, strlen(bad[i].text));
        assert_int_equal(ci_json_load(path, &j), CI_EFORMAT);
        assert_null(j);
        assert_memory_equal(ci_message(), path, strlen(path));
        assert_memory_equal(ci_message() + strlen(path), bad[i].where, 3);
    }
    write_file("[\"a\0b\"]", 7);
    assert_int_equal(ci_json_load(path, &j), CI_EFORMAT);
}

static void json_load__survives_deep_nesting(void **state)
{
    char deep[100000];
    ci_json *j;

    (void)state;
    memset(deep, '[', sizeof deep);
    write_file(deep, sizeof deep);
    assert_int_equal(ci_json_load(path, &j), CI_EFORMAT);
}

static void json_load__says_what_it_cannot_read(void **state)
{
    ci_json *j;

    (void)state;
    unlink(path);
    assert_int_equal(ci_json_load(path, &j), CI_ENOENT);
    assert_null(j);
    assert_int_equal(ci_json_load(ci_test_tmp(), &j), CI_EIO);
}

static void json_load__reads_no_more_than_256_mib(void **state)
{
    ci_json *j;

    (void)state;
    write_file("[", 1);
    assert_int_equal(truncate(path, (256L << 20) + 1), 0); /* sparse: it takes no room */
    assert_int_equal(ci_json_load(path, &j), CI_EFORMAT);
    assert_non_null(strstr(ci_message(), "longer than"));
}

/* Last: it leaves the process unable to write JSON. */
static void json_text__refuses_once_memory_was_short(void **state)
{
    ci_json *j = ci_json_object();

    (void)state;
    ci_json_int(NULL, "lost", 1); /* what a builder gets after ci_json_object() returned NULL */
    assert_null(ci_json_text(j, false));
    ci_json_free(&j);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(json_text__keeps_the_order_and_writes_17_digits, set_up,
                                    tear_down),
    cmocka_unit_test_setup_teardown(json__brings_every_number_back, set_up, tear_down),
    cmocka_unit_test_setup_teardown(json_get__of_the_wrong_kind_or_key_is_harmless, set_up,
                                    tear_down),
    cmocka_unit_test_setup_teardown(json_str__makes_utf8_of_any_bytes, set_up, tear_down),
    cmocka_unit_test_setup_teardown(json_load__names_line_and_column_of_an_error, set_up,
                                    tear_down),
    cmocka_unit_test_setup_teardown(json_load__survives_deep_nesting, set_up, tear_down),
    cmocka_unit_test_setup_teardown(json_load__says_what_it_cannot_read, set_up, tear_down),
    cmocka_unit_test_setup_teardown(json_load__reads_no_more_than_256_mib, set_up, tear_down),
    cmocka_unit_test_setup_teardown(json_text__refuses_once_memory_was_short, set_up, tear_down),
};
CI_TEST_MAIN(tests)
