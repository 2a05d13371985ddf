/* The splits against the sentences that define them, leaks that have to be found, and the cutting into shards and batches. */
#include "ci_test.h"

#include "ci/split.h"
#include "store/store_made.h"

/* ---- splits need a store's columns only: no file */

struct fake {
    ci_store st;
    int32_t capture[4000];
    int64_t row[4000], node[4001], edge[4001];
    uint8_t label[4000];
    ci_store_capture c[6];
    ci_store_folder f[2];
};

/* Captures of n[i] windows each, the last of them a test capture; every fourth window an attack. */
static struct fake *fake_make(int32_t frames, int32_t stride, const int64_t *n, int32_t n_capture)
{
    struct fake *k = ci_new(1, sizeof *k);
    int64_t g = 0;

    k->f[1].role = 1;
    for (int32_t c = 0; c < n_capture; c++) {
        k->c[c] = (ci_store_capture){.folder = c == n_capture - 1, .rows = n[c] * stride + frames, .first_graph = g, .n_graph = n[c]};
        snprintf(k->c[c].path, CI_STORE_TEXT, "capture%d.csv", c);
        snprintf(k->c[c].hash, CI_XXH_HEX, "%032d", c);
        for (int64_t w = 0; w < n[c]; w++, g++) {
            k->capture[g] = c;
            k->row[g] = w * stride;
            k->label[g] = g % 4 == 0;
            k->node[g + 1] = k->node[g] + 1 + g % 90;
            k->edge[g + 1] = k->edge[g] + 1 + g % 7;
        }
    }
    k->st = (ci_store){.set = ci_feature_set_find("kd35"), .head = {.frames = frames, .stride = stride, .n_folder = 2, .n_capture = n_capture, .folder = k->f, .capture = k->c, .n_graph = g},
                       .graph_capture = k->capture, .graph_row = k->row, .graph_label = k->label, .graph_node = k->node, .graph_edge = k->edge};
    return k;
}

static const ci_split_conf usual = {.blocks = 20, .every = 5, .seed = 2, .need_attacks = true};
static const ci_split_conf allowing = {.blocks = 20, .every = 5, .seed = 2, .allow_leak = true, .need_attacks = true};

enum { TRAIN, VALID, EMBARGO, TEST };

/* Block b of n windows holds b n/blocks <= w < (b+1) n/blocks as ci_part cuts; blocks seed, seed + every, ... mod every validate. */
static int block_of(int64_t w, int64_t n, int blocks)
{
    for (int b = 0; b < blocks; b++)
        if (ci_part(n, b, blocks) <= w && w < ci_part(n, b + 1, blocks)) return b;
    return -1;
}

static void second_computation(const struct fake *k, int blocks, int every, uint32_t seed, uint8_t *what)
{
    const int32_t W = k->st.head.frames, S = k->st.head.stride;
    const int64_t embargo = CI_MAX(1, (W + S - 1) / S - 1);

    for (int32_t c = 0; c < k->st.head.n_capture; c++) {
        const ci_store_capture *cap = &k->c[c];
        for (int64_t w = 0; w < cap->n_graph; w++)
            what[cap->first_graph + w] = (uint8_t)(k->f[cap->folder].role ? TEST : block_of(w, cap->n_graph, blocks) % every == (int)(seed % (uint32_t)every) ? VALID : TRAIN);
        for (int64_t w = 0; w < cap->n_graph; w++)
            for (int64_t v = CI_MAX(0, w - embargo); v <= CI_MIN(cap->n_graph - 1, w + embargo); v++)
                if (what[cap->first_graph + w] == TRAIN && what[cap->first_graph + v] == VALID) what[cap->first_graph + w] = EMBARGO;
    }
}

static void check_split(struct fake *k, int blocks, int every, uint32_t seed)
{
    const ci_split_conf conf = {.blocks = blocks, .every = every, .seed = seed, .need_attacks = true};
    uint8_t want[4000] = {0}, got[4000];
    int64_t n[4] = {0}, attacks[4] = {0};
    ci_split s;

    second_computation(k, blocks, every, seed, want);
    assert_int_equal(ci_split_make(&k->st, &conf, &s), CI_OK);
    assert_false(s.leaky);
    for (int64_t g = 0; g < k->st.head.n_graph; g++) {
        n[want[g]]++;
        attacks[want[g]] += k->label[g];
        got[g] = k->f[k->c[k->capture[g]].folder].role ? TEST : EMBARGO;
    }
    for (int64_t i = 0; i < s.n_train; i++) got[s.train[i]] = TRAIN;
    for (int64_t i = 0; i < s.n_valid; i++) got[s.valid[i]] = VALID;
    for (int64_t i = 1; i < s.n_train; i++) assert_true(s.train[i] > s.train[i - 1]);
    for (int64_t i = 1; i < s.n_valid; i++) assert_true(s.valid[i] > s.valid[i - 1]);
    assert_memory_equal(got, want, (size_t)k->st.head.n_graph);
    assert_int_equal(s.n_train, n[TRAIN]);
    assert_int_equal(s.n_valid, n[VALID]);
    assert_int_equal(s.n_embargo, n[EMBARGO]);
    assert_int_equal(s.n_train_attack, attacks[TRAIN]);
    assert_int_equal(s.n_valid_attack, attacks[VALID]);
    ci_split_release(&s);
    ci_split_release(&s);
}

static void split__is_what_its_sentence_says(void **state)
{
    static const struct { int32_t frames, stride; int64_t n[4]; int blocks, every; uint32_t seed; } cases[] = {
        {100, 100, {400, 200, 1, 50}, 20, 5, 42}, {100, 100, {400, 200, 1, 50}, 20, 5, 44}, {100, 10, {997, 13, 300, 10}, 20, 5, 0},
        {100, 30, {1000, 0, 500, 10}, 7, 3, 8},   {100, 99, {500, 3, 499, 1}, 10, 2, 1},    {2, 50, {800, 19, 21, 0}, 20, 5, 2147483647},
        {64, 1, {2000, 900, 100, 5}, 6, 3, 2},
    };

    (void)state;
    for (size_t i = 0; i < CI_COUNT(cases); i++) {
        struct fake *k = fake_make(cases[i].frames, cases[i].stride, cases[i].n, 4);
        check_split(k, cases[i].blocks, cases[i].every, cases[i].seed);
        free(k);
    }
}

static void split__counts_as_by_hand(void **state)
{
    const int64_t n[2] = {200, 0};
    struct fake *k = fake_make(100, 100, n, 2);
    ci_split s;

    (void)state; /* 20 blocks of 10; blocks 2, 7, 12, 17 validate; one window on each side of each is embargoed */
    assert_int_equal(ci_split_make(&k->st, &usual, &s), CI_OK);
    assert_int_equal(s.n_valid, 40);
    assert_int_equal(s.n_embargo, 8);
    assert_int_equal(s.n_train, 152);
    assert_int_equal(s.valid[0], 20);
    assert_int_equal(s.train[19], 30 + 1);
    ci_split_release(&s);
    k->st.head.stride = 25; /* ceil(100/25) - 1 = 3 on each side */
    for (int64_t g = 0; g < 200; g++) k->row[g] = g * 25;
    assert_int_equal(ci_split_make(&k->st, &usual, &s), CI_OK);
    assert_int_equal(s.n_embargo, 24);
    ci_split_release(&s);
    k->st.set = ci_feature_set_find("kd11");
    k->st.head.compat = true; /* windows read 101 frames: 4 on each side */
    assert_int_equal(ci_split_make(&k->st, &usual, &s), CI_OK);
    assert_int_equal(s.n_embargo, 32);
    ci_split_release(&s);
    free(k);
}

static void split__refuses_windows_that_share_rows(void **state)
{
    const int64_t n[2] = {200, 10};
    struct fake *k = fake_make(100, 100, n, 2);
    ci_split s;

    (void)state;
    k->row[18] = k->row[20] - 99; /* window 18 trains, 19 is embargoed, 20 validates: one row in common */
    assert_int_equal(ci_split_make(&k->st, &usual, &s), CI_ECONF);
    assert_non_null(strstr(ci_message(), "rows 1901 (training) and 2000 (validation) of capture0.csv overlap"));
    assert_int_equal(ci_split_make(&k->st, &allowing, &s), CI_ECONF); /* no permission for that */
    k->row[18] = k->row[20] - 100;
    assert_int_equal(ci_split_make(&k->st, &usual, &s), CI_OK);
    ci_split_release(&s);
    k->row[31] = k->row[29] + 50; /* behind the block */
    assert_int_equal(ci_split_make(&k->st, &usual, &s), CI_ECONF);
    free(k);
}

static void split__refuses_a_test_capture_that_was_trained_on(void **state)
{
    const int64_t n[4] = {200, 100, 50, 20};
    struct fake *k = fake_make(100, 100, n, 4);
    ci_split s;

    (void)state;
    memcpy(k->c[1].hash, k->c[0].hash, CI_XXH_HEX); /* twice in training is no leak */
    assert_int_equal(ci_split_make(&k->st, &usual, &s), CI_OK);
    ci_split_release(&s);
    memcpy(k->c[3].hash, k->c[2].hash, CI_XXH_HEX);
    assert_int_equal(ci_split_make(&k->st, &usual, &s), CI_ECONF);
    assert_non_null(strstr(ci_message(), "leak: capture2.csv (training) and capture3.csv (test)"));
    assert_int_equal(ci_split_make(&k->st, &allowing, &s), CI_OK);
    assert_true(s.leaky);
    ci_split_release(&s);
    free(k);
}

static void split__wants_both_classes_on_both_sides(void **state)
{
    const int64_t n[2] = {200, 10};
    struct fake *k = fake_make(100, 100, n, 2);
    ci_split s;

    (void)state;
    for (int64_t g = 0; g < 200; g++) k->label[g] = block_of(g, 200, 20) % 5 == 2 && g % 2;
    assert_int_equal(ci_split_make(&k->st, &usual, &s), CI_EDATA);
    assert_non_null(strstr(ci_message(), "training has 152 windows, 0 of them attacks"));
    for (int64_t g = 0; g < 200; g++) k->label[g] = block_of(g, 200, 20) % 5 != 2 && g % 2;
    assert_int_equal(ci_split_make(&k->st, &usual, &s), CI_EDATA);
    assert_non_null(strstr(ci_message(), "validation has 40 windows, 0 of them attacks"));
    memset(k->label, 1, sizeof k->label);
    assert_int_equal(ci_split_make(&k->st, &usual, &s), CI_EDATA);
    k->st.head.n_graph = k->c[0].n_graph = k->c[1].n_graph = 0;
    assert_int_equal(ci_split_make(&k->st, &usual, &s), CI_EDATA);
    free(k);
}

static void split__of_an_autoencoder_needs_no_attacks(void **state)
{
    const int64_t n[2] = {200, 10};
    struct fake *k = fake_make(100, 100, n, 2);
    ci_split_conf benign = usual;
    ci_split s;

    (void)state;
    benign.need_attacks = false;
    memset(k->label, 0, sizeof k->label);
    assert_int_equal(ci_split_make(&k->st, &usual, &s), CI_EDATA);
    assert_non_null(strstr(ci_message(), "both classes are needed; add captures with attacks to data.train"));
    assert_int_equal(ci_split_make(&k->st, &benign, &s), CI_OK);
    assert_int_equal(s.n_train, 152);
    assert_int_equal(s.n_train_attack + s.n_valid_attack, 0);
    ci_split_release(&s);
    memset(k->label, 1, sizeof k->label);
    assert_int_equal(ci_split_make(&k->st, &usual, &s), CI_EDATA);
    assert_non_null(strstr(ci_message(), "both classes are needed; add captures with benign traffic to data.train"));
    assert_int_equal(ci_split_make(&k->st, &benign, &s), CI_EDATA);
    assert_non_null(strstr(ci_message(), "benign windows are needed; add captures with benign traffic to data.train"));
    k->st.head.n_graph = k->c[0].n_graph = k->c[1].n_graph = 0;
    assert_int_equal(ci_split_make(&k->st, &benign, &s), CI_EDATA);
    free(k);
}

static void random_split__takes_the_first_of_a_permutation(void **state)
{
    const int64_t n[3] = {10, 7, 14};
    const int64_t valid42[] = {6, 11 + 7, 21 + 7, 22 + 7}, valid7[] = {6, 9, 10 + 7, 11 + 7};
    struct fake *k = fake_make(100, 100, n, 3);
    ci_split_conf conf = {.random = true, .share = 0.2, .seed = 42, .allow_leak = true, .need_attacks = true};
    ci_split s;

    (void)state; /* Permutations of 24 computed by tests/oracle's Philox in Python: they begin 22 21 11 6 and 11 6 10 9 */
    k->c[1].folder = 1; /* a test capture between training captures: graphs 10 to 16 */
    k->c[2].folder = 0;
    assert_int_equal(ci_split_make(&k->st, &conf, &s), CI_OK);
    assert_true(s.leaky);
    assert_int_equal(s.n_valid, 4); /* 4.8, rounded down */
    assert_memory_equal(s.valid, valid42, sizeof valid42);
    assert_int_equal(s.n_valid_attack, 1);
    assert_int_equal(s.n_train, 20);
    assert_int_equal(s.n_train_attack, 5); /* 0 4 8 20 24 */
    assert_int_equal(s.n_embargo, 0);
    for (int64_t i = 0, v = 0, g = 0; i < s.n_train; i++, g++) { /* the other training windows, ascending, no test window */
        while ((v < s.n_valid && g == s.valid[v]) || (g >= 10 && g < 17)) v += g++ == s.valid[v];
        assert_int_equal(s.train[i], g);
    }
    ci_split_release(&s);
    conf.seed = 7;
    conf.need_attacks = false;
    assert_int_equal(ci_split_make(&k->st, &conf, &s), CI_OK);
    assert_memory_equal(s.valid, valid7, sizeof valid7);
    ci_split_release(&s);
    conf.allow_leak = false;
    assert_int_equal(ci_split_make(&k->st, &conf, &s), CI_ECONF);
    assert_non_null(strstr(ci_message(), "split.mode: random"));
    assert_non_null(strstr(ci_message(), "split.allow_leak: reference"));
    conf.allow_leak = true;
    conf.share = 0.01; /* none */
    assert_int_equal(ci_split_make(&k->st, &conf, &s), CI_EDATA);
    assert_non_null(strstr(ci_message(), "validation has 0 windows"));
    free(k);
}

/* ---- batches */

static void graphs_count__sums_nodes_and_edges(void **state)
{
    const int64_t n[2] = {300, 0}, some[] = {0, 7, 7, 95}; /* 1 + 8 + 8 + 6 nodes, 1 + 1 + 1 + 5 edges */
    struct fake *k = fake_make(100, 100, n, 2);
    int64_t nodes = -1, edges = -1;

    (void)state;
    ci_graphs_count(&k->st, some, 4, &nodes, &edges);
    assert_int_equal(nodes, 23);
    assert_int_equal(edges, 8);
    ci_graphs_count(&k->st, some, 0, &nodes, &edges);
    assert_int_equal(nodes + edges, 0);
    free(k);
}

static void cut(struct fake *k, int64_t graphs, int64_t nodes, int64_t edges, const char *want)
{
    static const int64_t order[] = {4, 3, 2, 1, 0, 10, 89, 5}; /* nodes 5 4 3 2 1 11 90 6, edges 5 4 3 2 1 4 6 6 */
    char got[64] = "";
    int64_t first[9], bad = -1, m = ci_batches_cut(&k->st, order, 8, graphs, nodes, edges, first, &bad);

    for (int64_t i = 0; i <= m; i++) snprintf(got + strlen(got), sizeof got - strlen(got), "%d ", (int)first[i]);
    if (m < 0) snprintf(got, sizeof got, "bad %d", (int)bad);
    assert_string_equal(got, want);
}

static void batches__are_as_many_graphs_as_the_budgets_hold(void **state)
{
    const int64_t n[2] = {300, 0};
    struct fake *k = fake_make(100, 100, n, 2);
    int64_t first[1];

    (void)state;
    cut(k, 3, 0, 0, "0 3 6 8 ");
    cut(k, 100, 0, 0, "0 8 ");
    cut(k, 1, 0, 0, "0 1 2 3 4 5 6 7 8 ");
    cut(k, 8, 90, 0, "0 6 7 8 "); /* 26 nodes, 90, 6 */
    cut(k, 8, 26, 0, "bad 6");
    cut(k, 8, 116, 0, "0 7 8 ");
    cut(k, 8, 0, 9, "0 2 5 6 7 8 "); /* edges 9, 6, 4, 6, 6 */
    cut(k, 8, 0, 10, "0 2 6 7 8 ");  /* edges 9, 10, 6, 6 */
    cut(k, 8, 0, 6, "0 1 2 5 6 7 8 ");
    cut(k, 8, 0, 5, "bad 6");
    cut(k, 2, 101, 10, "0 2 4 6 7 8 "); /* a graph count, then edges, end each */
    assert_int_equal(ci_batches_cut(&k->st, NULL, 0, 8, 1, 1, first, NULL), 0);
    assert_int_equal(first[0], 0);
    free(k);
}

/* ---- shards */

static void shards__are_whole_graphs_within_both_bounds(void **state)
{
    const int64_t n[2] = {3000, 500};
    const int32_t rows[] = {90, 100, 256, 1000, 100000};
    struct fake *k = fake_make(100, 100, n, 2);
    int64_t order[1000], first[1001], bad = -1;

    (void)state;
    for (int64_t i = 0; i < 1000; i++) order[i] = i * 7 % 3500;
    for (size_t r = 0; r < CI_COUNT(rows); r++) {
        const int64_t m = ci_shards_cut(&k->st, order, 1000, rows[r], first, &bad);
        assert_true(m > 0);
        assert_int_equal(first[0], 0);
        assert_int_equal(first[m], 1000); /* the whole order, nothing twice */
        for (int64_t s = 0; s < m; s++) {
            int64_t nodes = 0, next = 0;
            assert_true(first[s] < first[s + 1]);
            for (int64_t i = first[s]; i < first[s + 1]; i++) nodes += 1 + order[i] % 90;
            if (s + 1 < m) next = 1 + order[first[s + 1]] % 90;
            assert_true(nodes <= rows[r]);
            assert_true(first[s + 1] - first[s] <= CI_SHARD_GRAPHS(rows[r]));
            if (s + 1 < m) assert_true(nodes + next > rows[r] || first[s + 1] - first[s] == CI_SHARD_GRAPHS(rows[r])); /* as many as fit */
        }
    }
    free(k);
}

static void shards__name_the_graph_that_is_too_large(void **state)
{
    const int64_t n[2] = {300, 0};
    struct fake *k = fake_make(100, 100, n, 2);
    int64_t order[300], first[301], bad = -1;

    (void)state;
    for (int64_t i = 0; i < 300; i++) order[i] = 299 - i;
    assert_int_equal(ci_shards_cut(&k->st, order, 300, 89, first, &bad), -1);
    assert_int_equal(order[bad] % 90, 89); /* 90 nodes */
    assert_int_equal(bad, 299 - 269);
    assert_int_equal(ci_shards_cut(&k->st, order, 0, 89, first, &bad), 0);
    assert_int_equal(first[0], 0);
    free(k);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(split__is_what_its_sentence_says),
    cmocka_unit_test(split__counts_as_by_hand),
    cmocka_unit_test(split__refuses_windows_that_share_rows),
    cmocka_unit_test(split__refuses_a_test_capture_that_was_trained_on),
    cmocka_unit_test(split__wants_both_classes_on_both_sides),
    cmocka_unit_test(split__of_an_autoencoder_needs_no_attacks),
    cmocka_unit_test(random_split__takes_the_first_of_a_permutation),
    cmocka_unit_test(graphs_count__sums_nodes_and_edges),
    cmocka_unit_test(batches__are_as_many_graphs_as_the_budgets_hold),
    cmocka_unit_test(shards__are_whole_graphs_within_both_bounds),
    cmocka_unit_test(shards__name_the_graph_that_is_too_large),
};

CI_TEST_MAIN(tests)
