#include "ci_test.h"

#include <string.h>

#include "ci/graph.h"

static void feature_set__is_found_by_name(void **state)
{
    const ci_feature_set *const set = ci_feature_set_find("kd35");

    (void)state;
    assert_non_null(set);
    assert_string_equal(set->name, "kd35");
    assert_int_equal(set->n_node, 35);
    assert_int_equal(set->n_edge, 11);
    assert_null(ci_feature_set_find("kd3"));
    assert_null(ci_feature_set_find(""));
}

static void features_are_whole(const ci_feature *f, ci_lid n)
{
    for (ci_lid i = 0; i < n; i++) {
        assert_true(f[i].name && f[i].name[0] && f[i].unit && f[i].unit[0] && f[i].formula && f[i].formula[0]);
        for (ci_lid j = 0; j < i; j++) assert_string_not_equal(f[i].name, f[j].name);
    }
}

static void feature_set__describes_each_column_once(void **state)
{
    const ci_feature_set *const set = ci_feature_set_find("kd35");

    (void)state;
    features_are_whole(set->node, set->n_node);
    features_are_whole(set->edge, set->n_edge);
    assert_string_equal(set->node[0].name, "byte0_mean");
    assert_string_equal(set->node[23].name, "byte7_range");
    assert_string_equal(set->node[24].name, "msg_count");
    assert_string_equal(set->node[34].name, "out_degree");
    assert_string_equal(set->edge[0].name, "iat");
    assert_string_equal(set->edge[10].name, "edge_freq");
}

static void feature_set__kd11_is_whole(void **state)
{
    const ci_feature_set *const set = ci_feature_set_find("kd11");

    (void)state;
    assert_non_null(set);
    assert_true(set->merged && set->single);
    assert_int_equal(set->n_node, 11);
    assert_int_equal(set->n_edge, 11);
    features_are_whole(set->node, 11);
    features_are_whole(set->edge, 11);
    for (ci_lid i = 0; i < 11; i++) {
        assert_int_equal(set->node[i].scaling, i == 0 ? CI_SCALE_INDEX : CI_SCALE_Z);
        assert_int_equal(set->edge[i].scaling, CI_SCALE_Z);
    }
}

static void feature_sets__are_listed_once(void **state)
{
    size_t n = 0;

    (void)state;
    for (const ci_feature_set *s; (s = ci_feature_set_at(n)); n++) assert_ptr_equal(ci_feature_set_find(s->name), s);
    assert_int_equal(n, 5);
}

/** reference-system.md 4.3 and 4.4: W-1 and W-2 of W, or W pairs of W+1. */
static void windows__read_and_give_what_the_mode_says(void **state)
{
    const ci_feature_set *const kd35 = ci_feature_set_find("kd35"), *const kd11 = ci_feature_set_find("kd11");

    (void)state;
    assert_int_equal(ci_feature_rows(kd35, 100, false), 100);
    assert_int_equal(ci_feature_rows(kd35, 100, true), 100);
    assert_int_equal(ci_feature_rows(kd11, 100, false), 100);
    assert_int_equal(ci_feature_rows(kd11, 100, true), 101);
    assert_int_equal(ci_feature_edges(kd35, 100, false), 99);
    assert_int_equal(ci_feature_edges(kd35, 100, true), 98);
    assert_int_equal(ci_feature_edges(kd11, 100, false), 99);
    assert_int_equal(ci_feature_edges(kd11, 100, true), 100);
}

/** Largest magnitude of a column for any legal frames, W up to 65535; times have none. */
static double bound(const char *name)
{
    if (strstr(name, "iat")) return 63.9;
    if (strstr(name, "_std")) return 180.32; /* 255 / sqrt 2: two frames, 0 and 255 */
    if (!strncmp(name, "byte", 4)) return 255;
    if (strstr(name, "degree") || !strcmp(name, "msg_count") || !strcmp(name, "edge_freq")) return 65535;
    if (!strcmp(name, "entropy_mean")) return 2.0795; /* ln 8 */
    if (!strcmp(name, "skewness") || !strcmp(name, "kurtosis")) return 10;
    if (!strcmp(name, "clustering_coeff")) return 2;
    return 1;
}

static void scale__keeps_every_column_in_half_precision(void **state)
{
    const ci_feature_set *const set = ci_feature_set_find("kd35");

    (void)state;
    for (ci_lid i = 0; i < set->n_node + set->n_edge; i++) {
        const ci_feature *const f = i < set->n_node ? &set->node[i] : &set->edge[i - set->n_node];
        const double scale = f->log2_scale < 0 ? 1. / (1 << -f->log2_scale) : 1 << f->log2_scale;
        assert_true(bound(f->name) * scale < 65504);
        /* Integers up to 255 stay exact only unscaled, or scaled by a power of two, which all are. */
        if (!strcmp(f->unit, "s")) assert_true(1e-6 * scale > 6.2e-5);
    }
}

static void graphs__start_empty_and_end_zero(void **state)
{
    ci_graphs g;
    const ci_graphs none = {0};

    (void)state;
    assert_int_equal(ci_graphs_init(&g, ci_feature_set_find("kd35"), 3, 10, 9), CI_OK);
    assert_int_equal(g.cap_graph, 3);
    assert_int_equal(g.cap_node, 30);
    assert_int_equal(g.cap_edge, 27);
    assert_int_equal(g.n_graph + g.n_node + g.n_edge, 0);
    assert_int_equal(g.node_first[0] + g.edge_first[0], 0);
    g.n_graph = 2, g.n_node = 12, g.n_edge = 18;
    ci_graphs_clear(&g);
    assert_int_equal(g.n_graph + g.n_node + g.n_edge, 0);
    ci_graphs_release(&g);
    assert_memory_equal(&g, &none, sizeof g);
    ci_graphs_release(&g);
    ci_graphs_release(NULL);
}

static void graphs__of_no_room_are_legal(void **state)
{
    ci_graphs g;

    (void)state;
    assert_int_equal(ci_graphs_init(&g, ci_feature_set_find("kd35"), 0, 100, 99), CI_OK);
    ci_graphs_release(&g);
}

static void graphs__beyond_32_bits_are_refused(void **state)
{
    ci_graphs g;

    (void)state;
    assert_int_equal(ci_graphs_init(&g, ci_feature_set_find("kd35"), 65536, 65535, 65534), CI_ENOMEM);
    assert_null(g.x);
    assert_non_null(strstr(ci_message(), "65536"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(feature_set__is_found_by_name),
    cmocka_unit_test(feature_set__describes_each_column_once),
    cmocka_unit_test(feature_set__kd11_is_whole),
    cmocka_unit_test(feature_sets__are_listed_once),
    cmocka_unit_test(windows__read_and_give_what_the_mode_says),
    cmocka_unit_test(scale__keeps_every_column_in_half_precision),
    cmocka_unit_test(graphs__start_empty_and_end_zero),
    cmocka_unit_test(graphs__of_no_room_are_legal),
    cmocka_unit_test(graphs__beyond_32_bits_are_refused),
};
CI_TEST_MAIN(tests)
