/* Whose a capture is. */
#include "ci_test.h"
#include <string.h>
#include "ci/conf.h"

static ci_conf c; /* large */

static void use(int32_t n, const char *const *name)
{
    memset(&c, 0, sizeof c);
    c.data.vehicles.n = n;
    for (int32_t i = 0; i < n; i++) strcpy(c.data.vehicles.item[i], name[i]);
}

static void conf_vehicle__is_found_in_the_last_component_whatever_the_case(void **state)
{
    (void)state;
    use(3, (const char *const[]){"sonata", "kia", "Spark"});
    assert_int_equal(ci_conf_vehicle(&c, "train_01_attack_free/Attack_free-SONATA.csv"), 0);
    assert_int_equal(ci_conf_vehicle(&c, "attack-free-Kia-2.csv"), 1);
    assert_int_equal(ci_conf_vehicle(&c, "/a/b/injected/mixed-spark-b0-c3.csv"), 2);
    assert_int_equal(ci_conf_vehicle(&c, "kia/fuzzing.csv"), -1);
    assert_int_equal(ci_conf_vehicle(&c, ""), -1);
    assert_int_equal(ci_conf_vehicle(&c, "sonata/"), -1);
}

static void conf_vehicle__is_the_longest_name_and_then_the_first(void **state)
{
    (void)state;
    use(4, (const char *const[]){"kia", "kia-soul", "soul", "KIA"});
    assert_int_equal(ci_conf_vehicle(&c, "x/dos-kia-soul.csv"), 1);
    assert_int_equal(ci_conf_vehicle(&c, "x/dos-kia.csv"), 0);
    assert_int_equal(ci_conf_vehicle(&c, "x/dos-soul-kia.csv"), 2);
    use(2, (const char *const[]){"van", "kia"});
    assert_int_equal(ci_conf_vehicle(&c, "x/kia-van.csv"), 0);
}

static void conf_vehicle__is_none_without_names(void **state)
{
    (void)state;
    use(0, NULL);
    assert_int_equal(ci_conf_vehicle(&c, "dos-kia.csv"), -1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(conf_vehicle__is_found_in_the_last_component_whatever_the_case),
    cmocka_unit_test(conf_vehicle__is_the_longest_name_and_then_the_first),
    cmocka_unit_test(conf_vehicle__is_none_without_names),
};
CI_TEST_MAIN(tests)
