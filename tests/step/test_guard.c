/* The guard of memory on limits that are near. */
#include "ci_test.h"

#include <stdlib.h>
#include <string.h>

#include "ci/log.h"
#include "ci/memory.h"
#include "step/build_priv.h"

enum { MIB = 1 << 20 };

static void guard_limit__is_the_setting_or_a_share_of_the_host(void **state)
{
    const ci_comm one = {.size = 1, .node_size = 1}, four = {.size = 8, .node_size = 4};
    const ci_conf set = {.run = {.memory = 77}}, found = {.run = {.memory = 0}};

    (void)state;
    assert_int_equal(guard_limit(&four, &set), 77);
    assert_int_equal(guard_limit(&four, &found), guard_limit(&one, &found) / 4);
    assert_int_equal(guard_limit(&one, &found), ci_memory_limit("/proc", "/sys/fs/cgroup"));
}

static void guard_start__says_what_does_not_fit(void **state)
{
    const int64_t now = ci_memory_now("/proc");

    (void)state;
    if (!now) skip();
    assert_int_equal(guard_start(0, 1LL << 50, 0, 0), CI_OK); /* unknown limits stop nobody */
    assert_int_equal(guard_start(now + 40 * MIB, 10 * MIB, 10 * MIB, 16 * MIB), CI_OK);
    assert_int_equal(guard_start(now + 40 * MIB, 100 * MIB, 10 * MIB, 16 * MIB), CI_ECONF);
    assert_non_null(strstr(ci_message(), "100.0 for the rows of the largest block"));
    assert_non_null(strstr(ci_message(), "data.block"));
}

static void guard__is_tight_at_80_and_stops_at_95_percent(void **state)
{
    const size_t n = 200 * MIB;
    char *p = malloc(n);
    int64_t now;

    (void)state;
    assert_non_null(p);
    memset(p, 1, n);
    now = ci_memory_now("/proc");
    if (!now) skip();
    assert_false(guard_tight(0));
    assert_false(guard_tight(now * 13 / 10));
    assert_true(guard_tight(now * 12 / 10));
    assert_int_equal(guard_hold(now * 11 / 10), CI_OK);
    assert_int_equal(guard_hold(now), CI_ETEMP);
    assert_int_equal(ci_rc_exit(CI_ETEMP), 75);
    assert_non_null(strstr(ci_message(), "the previous store is intact"));
    free(p);
    if (!getenv("CANIDS_SAN")) assert_int_equal(guard_hold(now), CI_OK); /* a sanitizer keeps what was freed */
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(guard_limit__is_the_setting_or_a_share_of_the_host),
    cmocka_unit_test(guard_start__says_what_does_not_fit),
    cmocka_unit_test(guard__is_tight_at_80_and_stops_at_95_percent),
};
CI_TEST_MAIN(tests)
