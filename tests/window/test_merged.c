#include "ci_test.h"

#include "window_made.h"

static void merged_init(ci_graphs *g, ci_lid n, ci_lid frames)
{
    assert_int_equal(ci_graphs_init(g, ci_feature_set_find("kd11"), n, frames + 1, frames), CI_OK);
}

/** The same seven pairs, as a window of 8 frames and as the reference's of 7 that ends one frame later. */
static void window__gives_the_worked_example_of_kd11(void **state)
{
    static const double node[3][11] = {
        {1, .02092, .06667, .13333, .2, .26667, .33333, .4, .46797, 1, 1},
        {2, .99804, 0, 0, 0, 0, 0, 0, 0, 0, .83333},
        {3, 0, 0, 0, 0, 0, 0, 0, .5, 0, .66667},
    };
    static const struct edge edge[5] = {
        {0, 1, {2, .28571, 6, 0, 1, 0, .85714, .85714, 1, 25, 1}}, {0, 2, {1, .14286, 0, 0, 0, .28571, .28571, 0, 0, 20, 1.25}},
        {1, 0, {2, .28571, 4, 0, 1, .14286, .71429, .57143, 1, 25, 1}}, {2, 1, {1, .14286, 0, 0, 0, .57143, .57143, 0, 0, 20, .8}},
        {2, 2, {1, .14286, 0, 0, 0, .42857, .42857, 0, 1, 16, 1}},
    };
    static const uint32_t id[4] = {0x100, 0x180, 0x200, 0x300};
    static const int32_t number[4] = {1, 0, 2, 3};

    (void)state;
    for (int compat = 0; compat < 2; compat++) {
        ci_builder *b = builder_of("kd11", 8 - compat, compat);
        ci_graphs g;
        uint8_t attack;
        rows_example();
        row_attack[7] = 1; /* in the reference's window the last frame is only a target, and its label nobody's */
        ci_builder_number(b, id, number, 4);
        merged_init(&g, 1, 8);
        assert_int_equal(ci_window_nodes(b, &table, 0, &attack), 3);
        assert_int_equal(attack, !compat);
        assert_int_equal(ci_window_edges(b, &table, 0, 3), 5);
        assert_int_equal(ci_window_build(b, &table, 0, &g), CI_OK);
        assert_int_equal(g.n_node, 3);
        assert_int_equal(g.n_edge, 5);
        assert_int_equal(g.edge_first[1], 5);
        assert_int_equal(g.attack[0], !compat);
        for (int v = 0; v < 3; v++) near(g.x + 11 * v, node[v], 11);
        for (int i = 0; i < 5; i++) {
            assert_int_equal(g.src[i], edge[i].src);
            assert_int_equal(g.dst[i], edge[i].dst);
            near(g.e + 11 * i, edge[i].e, 11);
        }
        ci_graphs_release(&g);
        ci_builder_destroy(&b);
    }
}

/** Counted edges are built ones, windows follow one another, and edges are ascending and distinct. */
static void merged_check(ci_lid frames, unsigned n_id, unsigned wide, bool compat)
{
    ci_builder *b = builder_of("kd11", frames, compat);
    const ci_lid rows = frames + compat, n = 6;
    ci_graphs g;

    rows_random(rows + 5 * 3, n_id, wide);
    merged_init(&g, n, frames);
    for (ci_lid k = 0; k < n; k++) {
        const ci_lid first = g.n_edge;
        double pairs = 0, ends = 0, starts = 0;
        uint8_t attack;
        const ci_lid n_node = ci_window_nodes(b, &table, 3 * k, &attack), n_edge = ci_window_edges(b, &table, 3 * k, n_node);
        assert_int_equal(ci_window_build(b, &table, 3 * k, &g), CI_OK);
        assert_int_equal(g.node_first[k + 1] - g.node_first[k], n_node);
        assert_int_equal(g.n_edge - first, n_edge);
        for (ci_lid i = first; i < g.n_edge; i++) {
            const float *const e = g.e + 11 * i;
            bool back = false;
            pairs += (double)e[0];
            if (e[0] == 1) assert_true(e[2] == 0 && e[3] == 0 && e[4] == 0 && e[7] == 0 && e[5] == e[6]);
            if (i > first) assert_true(g.src[i - 1] < g.src[i] || (g.src[i - 1] == g.src[i] && g.dst[i - 1] < g.dst[i]));
            for (ci_lid j = first; j < g.n_edge && !back; j++) back = g.src[j] == g.dst[i] && g.dst[j] == g.src[i];
            assert_true(e[8] == (float)back);
            starts += e[5] == 0;
            ends += e[6] == (float)((double)(rows - 2) / (rows - 1));
        }
        assert_true(pairs == rows - 1);
        assert_true(starts == 1 && ends == 1); /* one pair is the first, one the last */
    }
    ci_graphs_release(&g);
    ci_builder_destroy(&b);
}

static void merged__edges_are_ascending_and_counted(void **state)
{
    static const struct {
        ci_lid frames;
        unsigned n_id, wide;
    } c[] = {{2, 1, 0},   {2, 2, 1},   {3, 2, 0},   {8, 1, 0},     {100, 1, 0},   {100, 7, 0},    {100, 38, 3},
             {300, 65, 0}, {500, 128, 5}, {900, 129, 0}, {400, 200, 2}, {300, 2000, 1}, {65535, 150, 1}};

    (void)state;
    for (size_t i = 0; i < CI_COUNT(c); i++)
        for (int compat = 0; compat < 2; compat++)
            if (c[i].frames < 65535 || !compat) merged_check(c[i].frames, c[i].n_id, c[i].wide, compat);
}

static void numbers__are_of_the_vocabulary(void **state)
{
    static const uint32_t id[5] = {0, 7, 2047, 2048, UINT32_C(0x9FFFFFFF)};
    static const int32_t number[5] = {1, 0, 2, 3, 4};
    static const struct {
        uint32_t id;
        int32_t number;
    } want[] = {{0, 1}, {1, 0}, {7, 0}, {2047, 2}, {2048, 3}, {2049, 0}, {UINT32_C(0x9FFFFFFF), 4}, {UINT32_MAX, 0}};
    ci_builder *b = builder_of("kd11", 8, false);

    (void)state;
    for (size_t i = 0; i < CI_COUNT(want); i++) assert_int_equal(ci_number(b, want[i].id), 0);
    ci_builder_number(b, id, number, 5);
    for (size_t i = 0; i < CI_COUNT(want); i++) assert_int_equal(ci_number(b, want[i].id), want[i].number);
    ci_builder_number(b, NULL, NULL, 0);
    for (size_t i = 0; i < CI_COUNT(want); i++) assert_int_equal(ci_number(b, want[i].id), 0);
    ci_builder_destroy(&b);
}

static void merged__reaches_65536_rows(void **state)
{
    enum { W = 65535 };
    ci_builder *b = builder_of("kd11", W, true);
    ci_graphs g;

    (void)state;
    rows_clear(W + 1);
    for (ci_lid i = 0; i < W; i++) row_data[i] = UINT64_MAX;
    merged_init(&g, 1, W);
    assert_int_equal(ci_window_build(b, &table, 0, &g), CI_OK);
    assert_int_equal(g.n_edge, 1);
    for (int k = 1; k < 9; k++) assert_true(g.x[k] == 1);
    assert_true(g.x[9] == W && g.x[10] == 1);
    assert_true(g.e[0] == W && g.e[1] == 1 && g.e[2] == 1 && g.e[3] == 0 && g.e[4] == 1);
    assert_true(g.e[9] == (float)(131070. * 131070.) && g.e[10] == 1);
    ci_graphs_clear(&g);
    for (ci_lid i = 0; i <= W; i++) row_id[i] = UINT32_C(0x80000000) | (uint32_t)(W - i);
    assert_int_equal(ci_window_build(b, &table, 0, &g), CI_OK);
    assert_int_equal(g.n_node, W + 1);
    assert_int_equal(g.n_edge, W);
    assert_true(g.src[0] == 1 && g.dst[0] == 0 && g.src[W - 1] == W && g.dst[W - 1] == W - 1);
    assert_true(g.x[9] == 0 && g.x[11 + 9] == 1); /* the last frame's node begins no pair */
    ci_graphs_release(&g);
    ci_builder_destroy(&b);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(window__gives_the_worked_example_of_kd11),
    cmocka_unit_test(merged__edges_are_ascending_and_counted),
    cmocka_unit_test(numbers__are_of_the_vocabulary),
    cmocka_unit_test(merged__reaches_65536_rows),
};
CI_TEST_MAIN(tests)
