#include "ci_test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "ci/rc.h"

/* The table of exit codes of the contract (sysexits.h and 79). */
static void rc_exit__follows_sysexits(void **state)
{
    static const struct { ci_rc rc; int code; } want[] = {
        {CI_OK, 0},      {CI_EUSAGE, 64},   {CI_EFORMAT, 65},  {CI_EDATA, 65},    {CI_ENOENT, 66},
        {CI_EARG, 70},   {CI_ENOMEM, 70},   {CI_EINTERNAL, 70}, {CI_EMPI, 70},    {CI_ENUMERIC, 70},
        {CI_ENOTBUILT, 70}, {CI_ECREATE, 73}, {CI_EIO, 74},    {CI_EHDF5, 74},    {CI_ETEMP, 75},
        {CI_EPERM, 77},  {CI_ECONF, 78},    {CI_EGATE, 79},
    };

    (void)state;
    assert_int_equal(sizeof want / sizeof want[0], CI_RC_COUNT);
    for (int i = 0; i < CI_RC_COUNT; i++) assert_int_equal(ci_rc_exit(want[i].rc), want[i].code);
    assert_int_equal(ci_rc_exit((ci_rc)999), 70);
    assert_int_equal(ci_rc_exit((ci_rc)-1), 70);
}

static void rc_name__is_the_enumerator(void **state)
{
    (void)state;
    assert_string_equal(ci_rc_name(CI_OK), "CI_OK");
    assert_string_equal(ci_rc_name(CI_EFORMAT), "CI_EFORMAT");
    assert_string_equal(ci_rc_name(CI_EGATE), "CI_EGATE");
    for (int i = 0; i < CI_RC_COUNT; i++) assert_memory_equal(ci_rc_name((ci_rc)i), "CI_", 3);
    assert_non_null(ci_rc_name(CI_RC_COUNT));
}

static ci_rc cleaned_up(int fail, int *out_done)
{
    ci_rc rc = CI_OK;

    if (fail) CI_FAIL(CI_EDATA, "label %d is neither 0 nor 1", fail);
done:
    ++*out_done;
    return rc;
}

static ci_rc passes_on(int fail, int *out_done, int *out_after)
{
    ci_rc rc = CI_OK;

    CI_TRY(cleaned_up(fail, out_done));
    ++*out_after;
done:
    ++*out_done;
    return rc;
}

static void rc_try__leaves_by_done_with_code_and_message(void **state)
{
    int n_done = 0, after = 0;

    (void)state;
    assert_int_equal(passes_on(0, &n_done, &after), CI_OK);
    assert_int_equal(n_done, 2);
    assert_int_equal(after, 1);
    assert_int_equal(passes_on(7, &n_done, &after), CI_EDATA);
    assert_int_equal(n_done, 4);
    assert_int_equal(after, 1);
    assert_string_equal(ci_message(), "label 7 is neither 0 nor 1");
}

static void fail__names_the_place_only_where_no_user_can_help(void **state)
{
    (void)state;
    for (int i = 0; i < CI_RC_COUNT; i++) {
        const ci_rc rc = (ci_rc)i;
        const int with = rc == CI_EARG || rc == CI_EINTERNAL || rc == CI_EMPI;

        assert_int_equal(ci_fail(rc, "src/base/some.c", 12, "it broke"), rc);
        assert_string_equal(ci_message(), with ? "some.c:12: it broke" : "it broke");
    }
}

static void fail__may_wrap_the_message_before(void **state)
{
    (void)state;
    ci_fail(CI_EIO, "x.c", 1, "inner");
    ci_fail(CI_EIO, "x.c", 1, "outer: %s", ci_message());
    assert_string_equal(ci_message(), "outer: inner");
    ci_message_set(ci_message() + 7);
    assert_string_equal(ci_message(), "inner");
    ci_message_set(NULL);
    assert_string_equal(ci_message(), "");
}

static void fail__cuts_a_message_that_is_too_long(void **state)
{
    static char text[3 * CI_MESSAGE_MAX];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    ci_fail(CI_EARG, "a.c", 1, "%s", text);
    assert_int_equal(strlen(ci_message()), CI_MESSAGE_MAX - 1);
    ci_message_set(text);
    assert_int_equal(strlen(ci_message()), CI_MESSAGE_MAX - 1);
}

static void *other_thread(void *empty)
{
    *(int *)empty = *ci_message() == 0;
    ci_fail(CI_EIO, "x.c", 1, "theirs");
    return NULL;
}

static void message__belongs_to_its_thread(void **state)
{
    pthread_t t;
    int empty = 0;

    (void)state;
    ci_fail(CI_EIO, "x.c", 1, "mine");
    assert_int_equal(pthread_create(&t, NULL, other_thread, &empty), 0);
    pthread_join(t, NULL);
    assert_true(empty);
    assert_string_equal(ci_message(), "mine");
}

static void rc_errno__sorts_what_the_system_says(void **state)
{
    (void)state;
    assert_int_equal(ci_rc_errno(0), CI_OK);
    assert_int_equal(ci_rc_errno(ENOENT), CI_ENOENT);
    assert_int_equal(ci_rc_errno(EACCES), CI_EPERM);
    assert_int_equal(ci_rc_errno(EPERM), CI_EPERM);
    assert_int_equal(ci_rc_errno(ENOMEM), CI_ENOMEM);
    assert_int_equal(ci_rc_errno(ENOSPC), CI_EIO);
    assert_int_equal(ci_rc_errno(EIO), CI_EIO);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(rc_exit__follows_sysexits),
    cmocka_unit_test(rc_name__is_the_enumerator),
    cmocka_unit_test(rc_try__leaves_by_done_with_code_and_message),
    cmocka_unit_test(fail__names_the_place_only_where_no_user_can_help),
    cmocka_unit_test(fail__may_wrap_the_message_before),
    cmocka_unit_test(fail__cuts_a_message_that_is_too_long),
    cmocka_unit_test(message__belongs_to_its_thread),
    cmocka_unit_test(rc_errno__sorts_what_the_system_says),
};
CI_TEST_MAIN(tests)
