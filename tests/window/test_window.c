#include "ci_test.h"

#include "window_made.h"

static ci_builder *builder(ci_lid frames, bool compat)
{
    return builder_of("kd35", frames, compat);
}

static void graphs_init(ci_graphs *g, ci_lid n, ci_lid frames)
{
    assert_int_equal(ci_graphs_init(g, ci_feature_set_find("kd35"), n, frames, frames), CI_OK);
}

/* ---- the worked example of reference-system.md 4.6 */

/** Columns of a node but for its degrees. */
static const double example_node[3][33] = {
    {5.3333, 17, 34, 51, 68, 85, 102, 119.3333, 9.2376, 0, 0, 0, 0, 0, 0, 0.5774, 16, 0, 0, 0, 0, 0, 0, 1,
     3, 1.837008, 0.176777, -0.375, 1.5, 0.666667, 0.1875, 0.02, 0.011314},
    {254.6667, 0, 0, 0, 0, 0, 0, 0, 0.5774, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
     3, 0, -0.088388, -0.1875, 1.5, 0.333333, 0.125, 0.02, 0},
    {0, 0, 0, 0, 0, 0, 0, 127.5, 0, 0, 0, 0, 0, 0, 0, 180.3122, 0, 0, 0, 0, 0, 0, 0, 255,
     2, 0, 0, -0.25, 0.666667, 0.5, 0.125, 0.005, 0},
};

static void example_check(bool compat, const double degree[3][2], const struct edge *edge, ci_lid n_edge)
{
    static const uint32_t id[3] = {0x100, 0x200, 0x300};
    ci_builder *b = builder(8, compat);
    ci_graphs g;

    rows_example();
    graphs_init(&g, 1, 8);
    assert_int_equal(ci_builder_edges(b), n_edge);
    assert_int_equal(ci_window_build(b, &table, 0, &g), CI_OK);
    assert_int_equal(g.n_node, 3);
    assert_int_equal(g.n_edge, n_edge);
    assert_memory_equal(g.id, id, sizeof id);
    for (int v = 0; v < 3; v++) {
        near(g.x + 35 * v, example_node[v], 33);
        near(g.x + 35 * v + 33, degree[v], 2);
    }
    for (ci_lid i = 0; i < n_edge; i++) {
        assert_int_equal(g.src[i], edge[i].src);
        assert_int_equal(g.dst[i], edge[i].dst);
        assert_true(g.e[11 * i] == (float)edge[i].e[0]);
        near(g.e + 11 * i, edge[i].e, 11);
    }
    ci_graphs_release(&g);
    ci_builder_destroy(&b);
}

static void window__gives_the_worked_example(void **state)
{
    static const double degree[3][2] = {{2, 3}, {3, 2}, {2, 2}};
    static const struct edge edge[7] = {
        {0, 1, {.010, 255, 17, 34, 51, 68, 85, 102, 119, 1, 2}}, {1, 0, {.002, 255, 17, 34, 51, 68, 85, 102, 120, 1, 2}},
        {0, 2, {.008, 0, 17, 34, 51, 68, 85, 102, 120, 0, 1}},   {2, 2, {.005, 0, 0, 0, 0, 0, 0, 0, 255, 1, 1}},
        {2, 1, {.005, 254, 0, 0, 0, 0, 0, 0, 255, 0, 1}},        {1, 0, {.010, 238, 17, 34, 51, 68, 85, 102, 119, 1, 2}},
        {0, 1, {.010, 239, 17, 34, 51, 68, 85, 102, 119, 1, 2}},
    };

    (void)state;
    example_check(false, degree, edge, 7);
}

static void window__gives_the_worked_example_of_the_reference(void **state)
{
    static const double degree[3][2] = {{2, 2}, {2, 2}, {2, 2}};
    static const struct edge edge[6] = {
        {1, 0, {.010, 255, 17, 34, 51, 68, 85, 102, 119, 1, 2}}, {0, 2, {.002, 255, 17, 34, 51, 68, 85, 102, 120, 0, 1}},
        {2, 2, {.008, 0, 17, 34, 51, 68, 85, 102, 120, 1, 1}},   {2, 1, {.005, 0, 0, 0, 0, 0, 0, 0, 255, 0, 1}},
        {1, 0, {.005, 254, 0, 0, 0, 0, 0, 0, 255, 1, 2}},        {0, 1, {.010, 238, 17, 34, 51, 68, 85, 102, 119, 1, 1}},
    };

    (void)state;
    example_check(true, degree, edge, 6);
}

/* ---- windows */

static void window_count__is_of_complete_windows(void **state)
{
    (void)state;
    assert_int_equal(ci_window_count(100, 100, 100), 1);
    assert_int_equal(ci_window_count(200, 100, 100), 2);
    assert_int_equal(ci_window_count(150, 100, 50), 2);
    assert_int_equal(ci_window_count(50, 100, 100), 0);
    assert_int_equal(ci_window_count(0, 2, 1), 0);
    assert_int_equal(ci_window_count(99, 100, 1), 0);
    assert_int_equal(ci_window_count(192516, 100, 100), 1925);
    assert_int_equal(ci_window_count(10, 3, 7), 2);
    assert_int_equal(ci_window_count(INT64_C(5000000000), 100, 1), INT64_C(4999999901));
}

static void window_at__is_the_first_start_not_before_a_row(void **state)
{
    (void)state;
    for (ci_gid stride = 1; stride < 9; stride++)
        for (ci_gid row = 0; row < 50; row++) {
            ci_gid k = 0;
            while (k * stride < row) k++;
            assert_int_equal(ci_window_at(row, stride), k);
        }
    assert_int_equal(ci_window_at(INT64_MAX, 1), INT64_MAX);
    assert_int_equal(ci_window_at(INT64_MAX, INT64_MAX), 1);
}

static void builder__refuses_impossible_windows(void **state)
{
    static const struct {
        ci_lid frames;
        bool compat;
    } bad[] = {{-1, false}, {0, false}, {1, false}, {2, true}, {65536, false}};
    const ci_feature_set other = {.name = "other", .n_node = 3, .n_edge = 1};
    const ci_feature_set merged = {.name = "merged", .merged = true, .n_node = 35, .n_edge = 11};
    ci_builder *b;

    (void)state;
    for (size_t i = 0; i < CI_COUNT(bad); i++) {
        assert_int_equal(ci_builder_create(ci_feature_set_find("kd35"), bad[i].frames, bad[i].compat, &b), CI_ECONF);
        assert_null(b);
        assert_non_null(strstr(ci_message(), "window.frames"));
    }
    assert_int_equal(ci_builder_create(&other, 100, false, &b), CI_ECONF);
    assert_int_equal(ci_builder_create(&merged, 100, false, &b), CI_ECONF);
    assert_int_equal(ci_builder_create(ci_feature_set_find("kd11"), 1, true, &b), CI_ECONF);
    assert_int_equal(ci_builder_create(ci_feature_set_find("kd11"), 65536, true, &b), CI_ECONF);
    ci_builder_destroy(&b);
    ci_builder_destroy(NULL);
}

static void window_build__says_when_there_is_no_room(void **state)
{
    ci_builder *b = builder(10, false);
    ci_graphs g, small;

    (void)state;
    rows_random(30, 12, 0);
    graphs_init(&g, 1, 10);
    graphs_init(&small, 1, 1);
    assert_int_equal(ci_window_build(b, &table, -1, &g), CI_EARG);
    assert_int_equal(ci_window_build(b, &table, 21, &g), CI_EARG);
    assert_int_equal(ci_window_build(b, &table, 20, &small), CI_EARG);
    assert_int_equal(small.n_graph, 0);
    assert_int_equal(ci_window_build(b, &table, 20, &g), CI_OK);
    assert_int_equal(ci_window_build(b, &table, 0, &g), CI_EARG);
    assert_int_equal(g.n_graph, 1);
    table.n = 5; /* fewer rows than a window */
    ci_graphs_clear(&g);
    assert_int_equal(ci_window_build(b, &table, 0, &g), CI_EARG);
    ci_graphs_release(&g);
    ci_graphs_release(&small);
    ci_builder_destroy(&b);
}

static void windows__follow_one_another(void **state)
{
    ci_builder *b = builder(10, false);
    ci_graphs g, one;
    ci_lid node = 0;

    (void)state;
    rows_random(100, 12, 5);
    table.first_row = INT64_C(7000000000);
    row_attack[29] = 1; /* the last frame of window 2, in the middle of those at 21 and 24 */
    graphs_init(&g, 31, 10);
    graphs_init(&one, 1, 10);
    for (ci_lid r = 0; r <= 90; r += 3) assert_int_equal(ci_window_build(b, &table, r, &g), CI_OK);
    assert_int_equal(g.n_graph, 31);
    for (ci_lid i = 0; i < 31; i++) {
        const ci_lid r = 3 * i;
        uint8_t attack;
        const ci_lid n = ci_window_nodes(b, &table, r, &attack);
        ci_graphs_clear(&one);
        assert_int_equal(ci_window_build(b, &table, r, &one), CI_OK);
        assert_int_equal(g.row[i], INT64_C(7000000000) + r);
        assert_int_equal(g.attack[i], r <= 29 && 29 < r + 10);
        assert_int_equal(g.attack[i], attack);
        assert_int_equal(g.node_first[i], node);
        assert_int_equal(g.node_first[i + 1], node += n);
        assert_int_equal(g.edge_first[i + 1], 9 * (i + 1));
        assert_int_equal(one.n_node, n);
        assert_memory_equal(one.id, g.id + g.node_first[i], (size_t)n * sizeof *one.id);
        assert_memory_equal(one.x, g.x + 35 * g.node_first[i], (size_t)n * 35 * sizeof *one.x);
        assert_memory_equal(one.src, g.src + 9 * i, 9 * sizeof *one.src);
        assert_memory_equal(one.e, g.e + 11 * 9 * i, 11 * 9 * sizeof *one.e);
    }
    ci_graphs_release(&g);
    ci_graphs_release(&one);
    ci_builder_destroy(&b);
}

/* ---- nodes and edges against an obvious computation */

static int by_id(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static bool undirected(const ci_graphs *g, ci_lid u, ci_lid v)
{
    for (ci_lid i = 0; i < g->n_edge; i++)
        if ((g->src[i] == u && g->dst[i] == v) || (g->src[i] == v && g->dst[i] == u)) return true;
    return false;
}

/** Section 4.4's set of pairs (v, w), written down. */
static double clustering(const uint8_t *adjacent, ci_lid n, ci_lid u)
{
    double pairs = 0, deg = 0;

    for (ci_lid v = 0; v < n; v++) {
        if (!adjacent[u * n + v]) continue;
        deg++;
        for (ci_lid w = 0; w < n; w++) pairs += adjacent[v * n + w] && w != u && adjacent[u * n + w];
    }
    return deg > 1 ? 2 * (pairs / 2) / (deg * (deg - 1)) : 0;
}

static void relation_check(ci_lid frames, unsigned n_id, unsigned wide, bool compat)
{
    ci_builder *b = builder(frames, compat);
    ci_graphs g;
    uint8_t *adjacent;

    rows_random(frames, n_id, wide);
    graphs_init(&g, 1, frames);
    assert_int_equal(ci_window_build(b, &table, 0, &g), CI_OK);
    for (ci_lid v = 1; v < g.n_node; v++) assert_true(g.id[v - 1] < g.id[v]);
    for (ci_lid i = 0; i < g.n_edge; i++) {
        const ci_lid t = i + compat;
        float both = 0, freq = 0;
        assert_int_equal(g.id[g.src[i]], row_id[t]);
        assert_int_equal(g.id[g.dst[i]], row_id[t + 1]);
        for (ci_lid j = 0; j < g.n_edge; j++) {
            freq += g.src[j] == g.src[i] && g.dst[j] == g.dst[i];
            both += g.src[j] == g.dst[i] && g.dst[j] == g.src[i];
        }
        assert_true(g.e[11 * i + 9] == (float)(both > 0));
        assert_true(g.e[11 * i + 10] == freq);
    }
    adjacent = calloc((size_t)g.n_node * (size_t)g.n_node, 1);
    assert_non_null(adjacent);
    for (ci_lid u = 0; u < g.n_node; u++)
        for (ci_lid v = 0; v < g.n_node; v++) adjacent[u * g.n_node + v] = undirected(&g, u, v);
    for (ci_lid u = 0; u < g.n_node; u++) {
        float in = 0, out = 0;
        for (ci_lid j = 0; j < g.n_edge; j++) {
            in += g.dst[j] == u;
            out += g.src[j] == u;
        }
        assert_true(g.x[35 * u + 33] == in);
        assert_true(g.x[35 * u + 34] == out);
        assert_true(g.x[35 * u + 28] == (float)clustering(adjacent, g.n_node, u));
    }
    free(adjacent);
    ci_graphs_release(&g);
    ci_builder_destroy(&b);
}

static void relation__matches_pair_by_pair(void **state)
{
    static const struct {
        ci_lid frames;
        unsigned n_id, wide;
    } c[] = {{2, 1, 0},    {3, 2, 0},    {8, 1, 0},     {100, 1, 0},   {100, 7, 0},    {100, 38, 3}, {300, 64, 1},
             {300, 65, 0}, {500, 128, 5}, {900, 129, 0}, {400, 200, 2}, {300, 2000, 1}, {600, 140, 1}};

    (void)state;
    for (size_t i = 0; i < CI_COUNT(c); i++)
        for (int compat = 0; compat < 2; compat++)
            if (c[i].frames > 2 || !compat) relation_check(c[i].frames, c[i].n_id, c[i].wide, compat);
}

static void sparse_relation__equals_dense(void **state)
{
    ci_builder *b = builder(700, false);
    ci_graphs g;
    float *e;
    double *clust;

    (void)state;
    rows_random(700, 60, 4);
    graphs_init(&g, 1, 700);
    assert_int_equal(ci_window_build(b, &table, 0, &g), CI_OK);
    assert_true(g.n_node <= DENSE);
    e = malloc(699 * 11 * sizeof *e);
    clust = malloc((size_t)g.n_node * sizeof *clust);
    assert_true(e && clust);
    memcpy(e, g.e, 699 * 11 * sizeof *e);
    memcpy(clust, b->clustering, (size_t)g.n_node * sizeof *clust);
    ci_relation_sparse(b, g.n_node, g.src, g.dst, g.e);
    assert_memory_equal(e, g.e, 699 * 11 * sizeof *e);
    assert_memory_equal(clust, b->clustering, (size_t)g.n_node * sizeof *clust);
    free(e);
    free(clust);
    ci_graphs_release(&g);
    ci_builder_destroy(&b);
}

static void nodes__are_ascending_over_all_32_bits(void **state)
{
    enum { W = 65535 };
    ci_builder *b = builder(W, false);
    ci_graphs g;
    uint32_t *want = malloc(W * sizeof *want);
    ci_lid n = 0;
    uint8_t attack;

    (void)state;
    assert_non_null(want);
    rows_clear(W);
    seed = 5;
    for (ci_lid i = 0; i < W; i++) row_id[i] = (uint32_t)(next_random() >> i % 25);
    row_id[7] = 0, row_id[8] = UINT32_MAX, row_id[9] = UINT32_C(0x80000000), row_id[10] = 2047, row_id[11] = 2048;
    memcpy(want, row_id, W * sizeof *want);
    qsort(want, W, sizeof *want, by_id);
    for (ci_lid i = 0; i < W; i++)
        if (!i || want[i] != want[n - 1]) want[n++] = want[i];
    graphs_init(&g, 1, W);
    assert_int_equal(ci_window_nodes(b, &table, 0, &attack), n);
    assert_int_equal(attack, 0);
    assert_int_equal(ci_window_build(b, &table, 0, &g), CI_OK);
    assert_int_equal(g.n_node, n);
    assert_memory_equal(g.id, want, (size_t)n * sizeof *want);
    free(want);
    ci_graphs_release(&g);
    ci_builder_destroy(&b);
}

/* ---- extremes */

static void constant_bytes__have_no_spread_and_no_shape(void **state)
{
    static const ci_lid sizes[] = {2, 3, 7, 49, 100, 65535};
    ci_graphs g;

    (void)state;
    for (size_t s = 0; s < CI_COUNT(sizes); s++) {
        const ci_lid w = sizes[s];
        ci_builder *b = builder(w, false);
        rows_clear(w);
        for (ci_lid i = 0; i < w; i++) {
            row_data[i] = UINT64_C(0xFFFE4D07) | (uint64_t)(i == w - 1) << 56;
            row_t[i] = INT64_C(1513920189391211000) + i * INT64_C(10007);
        }
        graphs_init(&g, 1, w);
        assert_int_equal(ci_window_build(b, &table, 0, &g), CI_OK);
        for (int k = 0; k < 7; k++) assert_true(g.x[8 + k] == 0 && g.x[16 + k] == 0);
        assert_true(g.x[0] == 7 && g.x[1] == 0x4D && g.x[2] == 254 && g.x[3] == 255);
        assert_true(g.x[15] > 0 && g.x[23] == 1);
        assert_true(g.x[31] == 1.0007e-5F);
        assert_true(g.x[32] == 0); /* equal times between frames have no spread */
        /* One 1 among c-1 zeros: skewness (c-2)/sqrt(c-1), kurtosis the square of that - 2; an eighth of each. */
        const double c = w, skew = (c - 2) / sqrt(c - 1), kurt = skew * skew - 2;
        assert_true(fabs((double)g.x[26] - fmin(skew, 10) / 8) < 1e-6);
        assert_true(fabs((double)g.x[27] - fmin(kurt, 10) / 8) < 1e-6);
        ci_graphs_release(&g);
        ci_builder_destroy(&b);
    }
}

static void count__reaches_65535(void **state)
{
    enum { W = 65535 };
    ci_builder *b = builder(W, false);
    ci_graphs g;

    (void)state;
    rows_clear(W);
    for (ci_lid i = 0; i < W; i++) row_data[i] = i % 2 ? 0 : UINT64_MAX;
    graphs_init(&g, 1, W);
    assert_int_equal(ci_window_build(b, &table, 0, &g), CI_OK);
    assert_int_equal(g.n_node, 1);
    assert_true(g.x[24] == 65535 && g.x[33] == 65534 && g.x[34] == 65534);
    assert_true(g.e[10] == 65534 && g.e[11 * 65533 + 10] == 65534);
    assert_true(g.x[30] == 1); /* every byte changes every time */
    assert_true(g.x[25] == (float)(32768 * log(8) / 65535));
    assert_true(g.x[28] == 0); /* a self-loop alone: one neighbour */
    ci_graphs_release(&g);
    ci_builder_destroy(&b);
}

static void times__may_step_back_and_far(void **state)
{
    static const int64_t t_ns[5] = {0, -5, INT64_MIN, INT64_MAX, INT64_MAX};
    ci_builder *b = builder(5, false);
    ci_graphs g;

    (void)state;
    rows_clear(5);
    memcpy(row_t, t_ns, sizeof t_ns);
    graphs_init(&g, 1, 5);
    assert_int_equal(ci_window_build(b, &table, 0, &g), CI_OK);
    assert_true(g.e[0] == -5e-9F);
    for (ci_lid i = 0; i < 35; i++) assert_true(isfinite(g.x[i]));
    for (ci_lid i = 0; i < 11 * g.n_edge; i++) assert_true(isfinite(g.e[i]));
    ci_graphs_release(&g);
    ci_builder_destroy(&b);
}

static void times__are_exact_at_todays_epoch(void **state)
{
    ci_builder *b = builder(2, false);
    ci_graphs g;

    (void)state;
    rows_clear(2);
    row_t[0] = INT64_C(1513920189391211000); /* double seconds would say 2.384e-6 here */
    row_t[1] = INT64_C(1513920189391213000);
    graphs_init(&g, 1, 2);
    assert_int_equal(ci_window_build(b, &table, 0, &g), CI_OK);
    assert_true(g.e[0] == 2e-6F && g.x[31] == 2e-6F);
    ci_graphs_release(&g);
    ci_builder_destroy(&b);
}

static void odd_window__halves_at_the_floor(void **state)
{
    ci_builder *b = builder(5, false);
    ci_graphs g;

    (void)state;
    rows_clear(6);
    row_id[3] = 9; /* in the window at row 1 this is frame 2, no longer in the first half */
    row_id[2] = 9;
    graphs_init(&g, 1, 5);
    assert_int_equal(ci_window_build(b, &table, 1, &g), CI_OK);
    assert_true(g.x[29] == (float)(1. / 3) && g.x[35 + 29] == .5F);
    ci_graphs_release(&g);
    ci_builder_destroy(&b);
}

/* ---- builds */

static void same_bits(const char *set, ci_window_kernel *const *kernel, size_t n_kernel, unsigned n_id)
{
    static const ci_lid frames[] = {3, 64, 100, 777};

    for (size_t w = 0; w < CI_COUNT(frames); w++) {
        ci_graphs g[2];
        ci_builder *b = builder_of(set, frames[w], false);
        const ci_lid n = 20000 / frames[w], F = b->set->n_node, K = b->set->n_edge;
        rows_random(n * frames[w], n_id, 6);
        for (int k = 0; k < 2; k++) assert_int_equal(ci_graphs_init(&g[k], b->set, n, frames[w], frames[w]), CI_OK);
        for (size_t k = 0; k < n_kernel; k++) {
            ci_graphs *const to = &g[k > 0];
            if (!kernel[k]) continue;
            b->kernel = kernel[k];
            ci_graphs_clear(to);
            for (ci_lid i = 0; i < n; i++) assert_int_equal(ci_window_build(b, &table, i * frames[w], to), CI_OK);
            assert_int_equal(to->n_node, g[0].n_node);
            assert_int_equal(to->n_edge, g[0].n_edge);
            assert_memory_equal(to->x, g[0].x, (size_t)(to->n_node * F) * sizeof(float));
            assert_memory_equal(to->e, g[0].e, (size_t)(to->n_edge * K) * sizeof(float));
        }
        ci_graphs_release(&g[0]);
        ci_graphs_release(&g[1]);
        ci_builder_destroy(&b);
    }
}

static void kernels__give_the_same_bits(void **state)
{
#ifdef __x86_64__
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                        __builtin_cpu_supports("avx512bw");
    ci_window_kernel *const kd35[] = {ci_kd35_generic, avx2 ? ci_kd35_avx2 : NULL, avx512 ? ci_kd35_avx512 : NULL};
    ci_window_kernel *const kd11[] = {ci_kd11_generic, avx2 ? ci_kd11_avx2 : NULL, avx512 ? ci_kd11_avx512 : NULL};
#else
    ci_window_kernel *const kd35[] = {ci_kd35_generic}, *const kd11[] = {ci_kd11_generic};
#endif

    (void)state;
    for (unsigned n_id = 45; n_id < 500; n_id += 400) {
        same_bits("kd35", kd35, CI_COUNT(kd35), n_id);
        same_bits("kd11", kd11, CI_COUNT(kd11), n_id);
    }
}

static void stamps__wrap_around(void **state)
{
    ci_builder *b = builder(300, false);
    ci_graphs g;

    (void)state;
    rows_random(300, 1000, 1);
    graphs_init(&g, 3, 300);
    assert_int_equal(ci_window_build(b, &table, 0, &g), CI_OK);
    for (ci_lid i = 0; i < 1 << (32 - b->shift); i++) { /* the first window's 1 is now 2^32 windows old */
        if (b->wide[i].stamp != 1) b->wide[i].stamp = 2;
        if (b->pair[i].stamp != 1) b->pair[i].stamp = 2;
    }
    b->stamp = UINT32_MAX;
    for (int k = 1; k < 3; k++) {
        const ci_lid n = g.node_first[1];
        assert_int_equal(ci_window_build(b, &table, 0, &g), CI_OK);
        assert_int_equal(g.n_node, (k + 1) * n);
        assert_memory_equal(g.x, g.x + 35 * g.node_first[k], (size_t)n * 35 * sizeof *g.x);
    }
    ci_graphs_release(&g);
    ci_builder_destroy(&b);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(window__gives_the_worked_example),
    cmocka_unit_test(window__gives_the_worked_example_of_the_reference),
    cmocka_unit_test(window_count__is_of_complete_windows),
    cmocka_unit_test(window_at__is_the_first_start_not_before_a_row),
    cmocka_unit_test(builder__refuses_impossible_windows),
    cmocka_unit_test(window_build__says_when_there_is_no_room),
    cmocka_unit_test(windows__follow_one_another),
    cmocka_unit_test(relation__matches_pair_by_pair),
    cmocka_unit_test(sparse_relation__equals_dense),
    cmocka_unit_test(nodes__are_ascending_over_all_32_bits),
    cmocka_unit_test(constant_bytes__have_no_spread_and_no_shape),
    cmocka_unit_test(count__reaches_65535),
    cmocka_unit_test(times__may_step_back_and_far),
    cmocka_unit_test(times__are_exact_at_todays_epoch),
    cmocka_unit_test(odd_window__halves_at_the_floor),
    cmocka_unit_test(kernels__give_the_same_bits),
    cmocka_unit_test(stamps__wrap_around),
};
CI_TEST_MAIN(tests)
