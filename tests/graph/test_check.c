/* What the check of graphs lets through and what it stops, with the window, the column and the value. */
#include "ci_test.h"

#include <math.h>
#include <string.h>

#include "ci/graph.h"

static ci_graphs g;

/* Two graphs of three and two nodes, four edges each. */
static void make(const char *set)
{
    ci_graphs_release(&g);
    assert_int_equal(ci_graphs_init(&g, ci_feature_set_find(set), 2, 3, 4), CI_OK);
    g.n_graph = 2;
    g.n_node = 5;
    g.n_edge = 8;
    for (ci_lid i = 0; i < 2; i++) {
        g.row[i] = 100 * i + 7;
        g.attack[i] = (uint8_t)i;
    }
    memcpy(g.node_first, (const ci_lid[]){0, 3, 5}, 3 * sizeof(ci_lid));
    memcpy(g.edge_first, (const ci_lid[]){0, 4, 8}, 3 * sizeof(ci_lid));
    memcpy(g.id, (const uint32_t[]){1, 2, 0x90000000, 1, 7}, 5 * sizeof(uint32_t));
    for (ci_lid i = 0; i < 8; i++) {
        g.src[i] = i % 2;
        g.dst[i] = i < 4 ? 2 - i % 3 : i % 2;
    }
    for (ci_lid i = 0; i < g.n_node * g.set->n_node; i++) g.x[i] = (float)(i % 2);
    for (ci_lid i = 0; i < g.n_edge * g.set->n_edge; i++) g.e[i] = (float)(i % 2);
}

static void good(void)
{
    const ci_rc rc = ci_graphs_check(&g);

    if (rc != CI_OK) fail_msg("%s", ci_message());
}

static void bad(const char *part)
{
    assert_int_equal(ci_graphs_check(&g), CI_EINTERNAL);
    if (!strstr(ci_message(), part)) fail_msg("no '%s' in '%s'", part, ci_message());
}

static ci_lid column(const ci_feature *f, const char *name)
{
    ci_lid k = 0;

    while (strcmp(f[k].name, name) != 0) k++;
    return k;
}

static void graphs_check__lets_good_ones_through(void **state)
{
    (void)state;
    make("kd35");
    good();
    make("kd11");
    good();
    ci_graphs_clear(&g);
    good();
}

static void graphs_check__stops_values_that_cannot_be(void **state)
{
    static const struct { const char *name; float value; const char *said; } of_node[] = {
        {"byte3_mean", NAN, "node 1, byte3_mean: nan is not"}, {"kurtosis", INFINITY, "node 1, kurtosis: inf is not"},
        {"skewness", -INFINITY, "node 1, skewness: -inf is not"}, {"msg_count", -1, "node 1, msg_count: -1 is not"},
        {"change_rate", 1.5F, "node 1, change_rate: 1.5 is not between 0 and 1"}, {"split_half_ratio", -.25F, "split_half_ratio: -0.25 is not"},
    };

    (void)state;
    for (size_t i = 0; i < CI_COUNT(of_node); i++) {
        make("kd35");
        g.x[4 * 35 + column(g.set->node, of_node[i].name)] = of_node[i].value;
        bad(of_node[i].said);
        bad("window at row 107: ");
    }
    make("kd35");
    g.e[7 * 11 + column(g.set->edge, "iat")] = NAN;
    bad("window at row 107: edge 3, iat: nan");
    make("kd35");
    g.e[column(g.set->edge, "bidir")] = 2;
    bad("window at row 7: edge 0, bidir: 2 is not between 0 and 1");
    make("kd35");
    g.x[column(g.set->node, "node_iat_mean")] = -1e-6F; /* a clock that steps back is the data's, not ours */
    good();
}

static void graphs_check__stops_structure_that_cannot_be(void **state)
{
    (void)state;
    make("kd35");
    g.attack[1] = 2;
    bad("window at row 107: label 2");
    make("kd35");
    g.id[4] = g.id[3];
    bad("window at row 107: node 1, id: 1 behind 1");
    make("kd35");
    g.src[5] = 2; /* a node of the other graph */
    bad("window at row 107: edge 1 from node 2 to 1 of 2");
    make("kd35");
    g.dst[0] = -1;
    bad("window at row 7: edge 0 from node 0 to -1 of 3");
    make("kd35");
    g.node_first[1] = 0;
    bad("window at row 7: 0 nodes");
    make("kd35");
    g.edge_first[2] = 7;
    bad("edges of 2 graphs: 0 to 7, there are 8");
    ci_graphs_release(&g);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(graphs_check__lets_good_ones_through),
    cmocka_unit_test(graphs_check__stops_values_that_cannot_be),
    cmocka_unit_test(graphs_check__stops_structure_that_cannot_be),
};
CI_TEST_MAIN(tests)
