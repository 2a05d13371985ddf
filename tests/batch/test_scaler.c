/* RANKS: 1 2 3 5 */
/* The scaler against sums in quadruple precision, which hold these numbers exactly: another formula, another order, no
 * ranks; quartiles against numpy (tests/oracle/scaler.txt). */
#define CI_TEST_MPI
#include "ci_test.h"

#include <math.h>

#include "ci/random.h"
#include "ci/scaler.h"
#include "store/store_made.h"

static const ci_comm *comm;
static ci_store *store;
static int64_t graph[64];
static int64_t n_graph;

static const made with = {.seed = 11, .frames = 60, .stride = 60, .n_id = 200, .n_vocab = 50, .max_node = 40,
                          .capture = {{"train", 0, "a.csv", 41, 0, NULL}, {"test", 1, "b.csv", 9, 0, NULL}}};

static int group_start(void **state)
{
    char folder[CI_PATH_MAX], path[CI_PATH_MAX + 16], sha[CI_SHA256_HEX];

    (void)state;
    comm = ci_test_comm;
    snprintf(folder, sizeof folder, "%s", ci_test_tmp());
    if (ci_comm_bcast(comm, "test.folder", 0, folder, sizeof folder) != CI_OK) return 1;
    snprintf(path, sizeof path, "%s/scaler.h5", folder);
    store = made_store(comm, &with, path, sha);
    for (int64_t g = 40; g >= 0; g--)
        if (g % 7 != 3) graph[n_graph++] = g; /* some of the training graphs, in another order */
    return 0;
}

static int group_end(void **state)
{
    (void)state;
    ci_store_close(&store);
    return 0;
}

struct column {
    double mean, spread;
};

/* Mean, then mean square of the differences from it; values read one by one. */
static struct column second_computation(bool edge, ci_lid k)
{
    __float128 mean = 0, square = 0;
    int64_t n = 0;
    struct column c;
    ci_graphs one;

    assert_int_equal(ci_graphs_init(&one, store->set, 1, with.frames, with.frames), CI_OK);

    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < n_graph; i++) {
            const int64_t g = graph[i];
            if (store->graph_label[g]) continue;
            made_read(store, g, &one);
            for (ci_lid at = 0; at < (edge ? one.n_edge : one.n_node); at++) {
                const float *row = edge ? one.e + at * store->set->n_edge : one.x + at * store->set->n_node;
                __float128 v = (__float128)row[k];
                if (edge && k == 0) v = (__float128)llrint(ldexp((double)row[0], 30)) / (1 << 30); /* times count in 2^-30 s */
                if (pass == 0) {
                    mean += v;
                    n++;
                } else square += (v - mean) * (v - mean);
            }
        }
        if (pass == 0) mean /= n;
    }
    ci_graphs_release(&one);
    c.mean = (double)mean;
    c.spread = fmax(sqrt((double)(square / n)), 1e-6 * fmax(1, fabs(c.mean)));
    return c;
}

static void near(const char *what, ci_lid k, double got, double want)
{
    const double most = fmax(fabs(want), 1e-12) * 0x1p-51; /* rounding to double, and of the root */

    if (!(fabs(got - want) <= most)) fail_msg("%s of column %d: %.17g, wanted %.17g", what, k, got, want);
}

static void scaler_fit__is_mean_and_spread_of_benign_graphs(void **state)
{
    ci_scaler s;

    (void)state;
    assert_int_equal(ci_scaler_fit(comm, store, graph, n_graph, CI_SCALER_ZSCORE, &s), CI_OK);
    assert_int_equal(s.n_node, 35);
    assert_int_equal(s.n_edge, 11);
    for (ci_lid k = 0; k < s.n_node; k++) {
        const struct column c = second_computation(false, k);
        near("mean", k, s.node_mean[k], c.mean);
        near("spread", k, s.node_spread[k], c.spread);
    }
    for (ci_lid k = 0; k < s.n_edge; k++) {
        const struct column c = second_computation(true, k);
        near("mean of an edge's", k, s.edge_mean[k], c.mean);
        near("spread of an edge's", k, s.edge_spread[k], c.spread);
    }
}

static void scaler_fit__is_the_same_on_every_rank_and_in_any_order(void **state)
{
    int64_t turned[64];
    ci_scaler a, b, first;

    (void)state;
    for (int64_t i = 0; i < n_graph; i++) turned[i] = graph[n_graph - 1 - i];
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    assert_int_equal(ci_scaler_fit(comm, store, graph, n_graph, CI_SCALER_ZSCORE, &a), CI_OK);
    assert_int_equal(ci_scaler_fit(comm, store, turned, n_graph, CI_SCALER_ZSCORE, &b), CI_OK);
    assert_memory_equal(&a, &b, sizeof a);
    first = a;
    assert_int_equal(ci_comm_bcast(comm, "test.scaler", 0, &first, sizeof first), CI_OK);
    assert_memory_equal(&a, &first, sizeof a);
}

static void scaler_fit__floors_a_spread_of_nothing(void **state)
{
    int64_t one = 0;
    ci_scaler s;
    made flat = with;
    char folder[CI_PATH_MAX] = "", sha[CI_SHA256_HEX], path[CI_PATH_MAX + 16];
    ci_store *st;
    ci_graphs got;

    (void)state;
    flat.max_node = 1; /* one node: its every column is constant */
    snprintf(folder, sizeof folder, "%s", ci_test_tmp());
    assert_int_equal(ci_comm_bcast(comm, "test.folder", 0, folder, sizeof folder), CI_OK);
    snprintf(path, sizeof path, "%s/flat.h5", folder);
    st = made_store(comm, &flat, path, sha);
    while (st->graph_label[one]) one++;
    assert_int_equal(ci_scaler_fit(comm, st, &one, 1, CI_SCALER_ZSCORE, &s), CI_OK);
    assert_int_equal(ci_graphs_init(&got, st->set, 1, with.frames, with.frames), CI_OK);
    made_read(st, one, &got);
    for (ci_lid k = 0; k < s.n_node; k++) {
        const float *x = got.x;
        assert_true(s.node_mean[k] == (double)x[k]);
        assert_true(s.node_spread[k] == 1e-6 * fmax(1, fabs((double)x[k])));
    }
    ci_graphs_release(&got);
    ci_store_close(&st);
}

static void scaler_fit__wants_a_benign_graph(void **state)
{
    int64_t attack[64], n = 0;
    ci_scaler s;

    (void)state;
    for (int64_t i = 0; i < n_graph; i++)
        if (store->graph_label[graph[i]]) attack[n++] = graph[i];
    assert_true(n > 0);
    assert_int_equal(ci_scaler_fit(comm, store, attack, n, CI_SCALER_ZSCORE, &s), CI_EDATA);
    assert_int_equal(ci_scaler_fit(comm, store, attack, 0, CI_SCALER_ZSCORE, &s), CI_EDATA);
    assert_non_null(strstr(ci_message(), "no benign training window"));
    assert_int_equal(ci_scaler_fit(comm, store, attack, n, CI_SCALER_ROBUST, &s), CI_EDATA);
}

/* ---- quartiles: a float32 store in memory, whose values tests/oracle/scaler_oracle.py repeats */

enum { ORACLE_GRAPHS = 152, NODE_ROWS = 5, EDGE_ROWS = 3, F = 35, K = 11 };

struct fake {
    ci_store st;
    int64_t node[ORACLE_GRAPHS + 1], edge[ORACLE_GRAPHS + 1], graph[ORACLE_GRAPHS];
    uint8_t label[ORACLE_GRAPHS], local[ORACLE_GRAPHS * EDGE_ROWS];
    uint16_t id[ORACLE_GRAPHS * NODE_ROWS];
    float x[ORACLE_GRAPHS * NODE_ROWS * F], e[ORACLE_GRAPHS * EDGE_ROWS * K];
};

static float oracle_value(bool edge, ci_lid k, uint32_t i)
{
    const uint32_t w = ci_philox(42, 100, (uint32_t)(100 * edge + k), i / 4, 0, 0).v[i % 4];
    const float u = 2 * ci_unit(w) - 1;

    switch (k) {
    case 0: return u;
    case 1: return u * u * u * 1000 - 3;
    case 2: return floorf(8 * ci_unit(w));
    case 3: return ci_unit(w) < 0.125f;
    case 4: return w & 1 ? u : 0;
    default: return ldexpf(u, -(int)(w & 31));
    }
}

static struct fake *fake_make(void)
{
    struct fake *k = ci_new(1, sizeof *k);

    for (uint32_t i = 0; i < CI_COUNT(k->x); i++) k->x[i] = oracle_value(false, (ci_lid)(i % F), i / F);
    for (uint32_t i = 0; i < CI_COUNT(k->e); i++) k->e[i] = oracle_value(true, (ci_lid)(i % K), i / K);
    for (int64_t g = 0; g < ORACLE_GRAPHS; g++) {
        k->graph[g] = g;
        k->label[g] = g % 3 == 1;
        k->node[g + 1] = k->node[g] + NODE_ROWS;
        k->edge[g + 1] = k->edge[g] + EDGE_ROWS;
    }
    k->st = (ci_store){.set = ci_feature_set_find("kd35"), .head = {.layout = CI_FLOAT32, .frames = 100, .stride = 100, .n_graph = ORACLE_GRAPHS},
                       .graph_label = k->label, .graph_node = k->node, .graph_edge = k->edge, .node_id = k->id,
                       .edge_src = k->local, .edge_dst = k->local, .node_x = k->x, .edge_x = k->e};
    return k;
}

static void scaler_fit__finds_the_quartiles_that_numpy_finds(void **state)
{
    FILE *f = fopen("tests/oracle/scaler.txt", "r");
    struct fake *fake = fake_make();
    char text[256], kind[8];
    double median, range;
    int benign, k, checked = 0, fitted = 0;
    ci_scaler s = {0};

    (void)state;
    assert_non_null(f);
    while (fgets(text, sizeof text, f)) {
        if (text[0] == '#') continue;
        assert_int_equal(sscanf(text, "%7s %d %d %lf %lf", kind, &benign, &k, &median, &range), 5);
        if (benign != fitted) { /* graphs 0 2 3 5 6 8 ... are benign */
            const int64_t last = benign * 3 / 2 - 1;
            assert_false(fake->label[last]);
            assert_int_equal(ci_scaler_fit(comm, &fake->st, fake->graph, last + 1, CI_SCALER_ROBUST, &s), CI_OK);
            assert_true(s.clip == 10);
            fitted = benign;
        }
        near("median", k, kind[0] == 'e' ? s.edge_mean[k] : s.node_mean[k], median);
        near("quartile range", k, kind[0] == 'e' ? s.edge_spread[k] : s.node_spread[k], fmax(range, 1e-6 * fmax(1, fabs(median))));
        checked++;
    }
    fclose(f);
    assert_int_equal(checked, 5 * 12);
    free(fake);
}

static void scaler_fit__by_quartiles_is_the_same_on_every_rank_and_in_any_order(void **state)
{
    struct fake *fake = fake_make();
    int64_t turned[64];
    ci_scaler a, b, first;

    (void)state;
    for (int64_t i = 0; i < n_graph; i++) turned[i] = graph[n_graph - 1 - i];
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    assert_int_equal(ci_scaler_fit(comm, store, graph, n_graph, CI_SCALER_ROBUST, &a), CI_OK);
    assert_int_equal(ci_scaler_fit(comm, store, turned, n_graph, CI_SCALER_ROBUST, &b), CI_OK);
    assert_memory_equal(&a, &b, sizeof a);
    first = a;
    assert_int_equal(ci_comm_bcast(comm, "test.scaler", 0, &first, sizeof first), CI_OK);
    assert_memory_equal(&a, &first, sizeof a);
    memset(fake->edge, 0, sizeof fake->edge); /* no edges: they stay as they are */
    assert_int_equal(ci_scaler_fit(comm, &fake->st, fake->graph, 1, CI_SCALER_ROBUST, &a), CI_OK);
    for (ci_lid k = 0; k < K; k++) assert_true(a.edge_mean[k] == 0 && a.edge_spread[k] == 1);
    free(fake);
}

static void scaler_fit__of_none_leaves_values_as_they_are(void **state)
{
    float x[35], e[11], before_x[35], before_e[11];
    struct fake *fake = fake_make();
    ci_scaler s;

    (void)state;
    for (int k = 0; k < 35; k++) x[k] = before_x[k] = k % 2 ? 1e9f : -0.1f * (float)k;
    for (int k = 0; k < 11; k++) e[k] = before_e[k] = k % 2 ? -1e9f : 0.3f * (float)k;
    assert_int_equal(ci_scaler_fit(comm, &fake->st, fake->graph, 0, CI_SCALER_NONE, &s), CI_OK); /* needs no graphs */
    ci_scaler_nodes(&s, x, 1, x);
    ci_scaler_edges(&s, e, 1, e);
    assert_memory_equal(x, before_x, sizeof x);
    assert_memory_equal(e, before_e, sizeof e);
    fake->st.set = ci_feature_set_find("kd11");
    assert_int_equal(ci_scaler_fit(comm, &fake->st, fake->graph, 0, CI_SCALER_NONE, &s), CI_OK);
    ci_scaler_nodes(&s, before_x, 1, x);
    assert_true(x[0] == 0); /* an index is no quantity */
    assert_memory_equal(x + 1, before_x + 1, 10 * sizeof *x);
    free(fake);
}

static void scaler_kind__has_the_names_of_the_setting(void **state)
{
    (void)state;
    assert_int_equal(ci_scaler_kind_of("zscore"), CI_SCALER_ZSCORE);
    assert_int_equal(ci_scaler_kind_of("robust"), CI_SCALER_ROBUST);
    assert_int_equal(ci_scaler_kind_of("none"), CI_SCALER_NONE);
}

static void scaler__clips_at_ten_spreads(void **state)
{
    const ci_scaler s = {.n_node = 2, .n_edge = 1, .clip = 10, .node_mean = {10, -1}, .node_spread = {2, 1e-6}, .edge_mean = {0.5}, .edge_spread = {0.25}};
    float x[] = {12, -1, 29.999f, -0.99999f, 31, -2, -9.5f, 1e30f, 10, -1}, e[] = {0};
    const float want[] = {1, 0, 9.9995f, 10, 10, -10, -9.75f, 10, 0, 0};

    (void)state;
    ci_scaler_nodes(&s, x, 5, x);
    for (size_t i = 0; i < CI_COUNT(x); i++)
        if (fabsf(x[i] - want[i]) > 1e-3f * (i == 3 ? 100 : 1)) fail_msg("%zu: %g, wanted %g", i, (double)x[i], (double)want[i]);
    ci_scaler_edges(&s, e, 1, e);
    assert_true(e[0] == -2);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(scaler_fit__is_mean_and_spread_of_benign_graphs),
    cmocka_unit_test(scaler_fit__is_the_same_on_every_rank_and_in_any_order),
    cmocka_unit_test(scaler_fit__floors_a_spread_of_nothing),
    cmocka_unit_test(scaler_fit__wants_a_benign_graph),
    cmocka_unit_test(scaler_fit__finds_the_quartiles_that_numpy_finds),
    cmocka_unit_test(scaler_fit__by_quartiles_is_the_same_on_every_rank_and_in_any_order),
    cmocka_unit_test(scaler_fit__of_none_leaves_values_as_they_are),
    cmocka_unit_test(scaler_kind__has_the_names_of_the_setting),
    cmocka_unit_test(scaler__clips_at_ten_spreads),
};

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    ci_test_start(&argc, &argv);
    return ci_test_stop(cmocka_run_group_tests(tests, group_start, group_end));
}
