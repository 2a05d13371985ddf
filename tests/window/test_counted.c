/* Windows of sets that are built from the stream are counted as all others, and not built. */
#include "ci_test.h"

#include "window/window_made.h"

static void builder__counts_the_windows_of_streamed_sets(void **state)
{
    static const char *const sets[] = {"agnostic", "agnostic-none", "agnostic-both"};

    (void)state;
    rows_random(4000, 60, 7);
    row_attack[777] = 1;
    for (size_t s = 0; s < CI_COUNT(sets); s++)
        for (ci_lid W = 4; W <= 300; W += 37) {
            ci_builder *b = builder_of(sets[s], W, false), *same = builder_of("kd35", W, false);
            assert_int_equal(ci_builder_edges(b), W - 1);
            for (ci_lid r = 0; r + W <= table.n; r += W) {
                uint8_t attack, other;
                const ci_lid n = ci_window_nodes(b, &table, r, &attack);
                assert_int_equal(n, ci_window_nodes(same, &table, r, &other));
                assert_int_equal(attack, 777 >= r && 777 < r + W);
                assert_int_equal(ci_window_edges(b, &table, r, n), W - 1);
            }
            ci_builder_destroy(&b);
            ci_builder_destroy(&same);
        }
}

static void window_build__refuses_streamed_sets(void **state)
{
    ci_builder *b = builder_of("agnostic", 10, false);
    ci_graphs g;

    (void)state;
    rows_random(30, 12, 0);
    assert_int_equal(ci_graphs_init(&g, ci_feature_set_find("agnostic"), 1, 10, 9), CI_OK);
    assert_int_equal(ci_window_build(b, &table, 0, &g), CI_ECONF);
    assert_non_null(strstr(ci_message(), "built from the stream"));
    assert_int_equal(g.n_graph, 0);
    ci_graphs_release(&g);
    ci_builder_destroy(&b);
}

static void builder__of_streamed_sets_has_no_compat_and_no_small_windows(void **state)
{
    ci_builder *b = NULL;

    (void)state;
    assert_int_equal(ci_builder_create(ci_feature_set_find("agnostic"), 100, true, &b), CI_ECONF);
    assert_non_null(strstr(ci_message(), "features.compat"));
    assert_int_equal(ci_builder_create(ci_feature_set_find("agnostic"), 3, false, &b), CI_ECONF);
    assert_non_null(strstr(ci_message(), "window.frames is 3, not 4"));
    assert_null(b);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(builder__counts_the_windows_of_streamed_sets),
    cmocka_unit_test(window_build__refuses_streamed_sets),
    cmocka_unit_test(builder__of_streamed_sets_has_no_compat_and_no_small_windows),
};

CI_TEST_MAIN(tests)
