/* Shards against a second computation that keeps a list of edges a node, from the graphs the store was made of. */
#define CI_TEST_MPI
#include "ci_test.h"

#include <math.h>

#include "ci/batch.h"
#include "store/store_made.h"

enum { F = 35, K = 11, NODES = 64, EDGES = 128 };

static const made with = {.seed = 21, .frames = 60, .stride = 60, .n_id = 50, .n_vocab = 15, .max_node = 40,
                          .capture = {{"train", 0, "a.csv", 50, 0, NULL}, {"test", 1, "b.csv", 9, 0, NULL}}};
static ci_store *store;
static ci_scaler scaler;

static int group_start(void **state)
{
    char path[CI_PATH_MAX], sha[CI_SHA256_HEX];
    int64_t all[50];

    (void)state;
    snprintf(path, sizeof path, "%s/pack.h5", ci_test_tmp());
    store = made_store(ci_test_comm, &with, path, sha);
    for (int64_t g = 0; g < 50; g++) all[g] = g;
    return ci_scaler_fit(ci_test_comm, store, all, 50, CI_SCALER_ZSCORE, &scaler) == CI_OK ? 0 : 1;
}

static int group_end(void **state)
{
    (void)state;
    ci_store_close(&store);
    return 0;
}

/* One graph: its edges in order of time, and lists of in-edges by node, self-loops dropped, then one more for each node. */
struct plain {
    int n, label, id[NODES];
    float x[NODES][F];
    int n_in[NODES], src[NODES][EDGES];
    float e[NODES][EDGES][K];
    int loops; /* that the graph had before */
    int n_raw, raw_src[EDGES], raw_dst[EDGES];
    float raw[EDGES][K];
};

static float scaled(double v, double mean, double spread)
{
    return (float)fmin(10, fmax(-10, (v - mean) / spread));
}

static void plain_make(int64_t g, struct plain *p)
{
    ci_graphs one, half;

    memset(p, 0, sizeof *p);
    assert_int_equal(ci_graphs_init(&one, store->set, 1, with.max_node, made_edges(&with)), CI_OK);
    made_append(&with, g, 0, &one);
    assert_int_equal(ci_graphs_init(&half, store->set, 1, with.max_node, made_edges(&with)), CI_OK);
    made_read(store, g, &half); /* rounded to half precision */
    p->n = one.n_node;
    p->label = one.attack[0];
    p->n_raw = one.n_edge;
    for (int i = 0; i < p->n; i++) {
        const int k = ((int)one.id[i] - 5) / 3; /* every odd identifier is known, up to the 15th */
        p->id[i] = k % 2 && k / 2 < with.n_vocab ? k / 2 + 1 : 0;
        for (int k2 = 0; k2 < F; k2++)
            p->x[i][k2] = scaled((double)half.x[i * F + k2], scaler.node_mean[k2], scaler.node_spread[k2]);
    }
    for (int i = 0; i < one.n_edge; i++) {
        const int d = one.dst[i];
        p->raw_src[i] = one.src[i];
        p->raw_dst[i] = d;
        for (int k = 0; k < K; k++)
            p->raw[i][k] = scaled((double)one.e[i * K + k], scaler.edge_mean[k], scaler.edge_spread[k]);
        if (one.src[i] == d) {
            p->loops++;
            continue;
        }
        p->src[d][p->n_in[d]] = one.src[i];
        for (int k = 0; k < K; k++)
            p->e[d][p->n_in[d]][k] = scaled((double)one.e[i * K + k], scaler.edge_mean[k], scaler.edge_spread[k]);
        p->n_in[d]++;
    }
    for (int d = 0; d < p->n; d++) {
        const int m = p->n_in[d]++;
        p->src[d][m] = d;
        for (int k = 0; k < K; k++) {
            double sum = 0;
            for (int i = 0; i < m; i++) sum += (double)p->e[d][i][k];
            p->e[d][m][k] = m ? (float)(sum / m) : 0;
        }
    }
    ci_graphs_release(&one);
    ci_graphs_release(&half);
}

static int clipped, lonely, looped;

static void check_graph(const ci_batch *b, ci_lid at, int64_t g)
{
    struct plain *p = ci_new(1, sizeof *p);
    const ci_lid base = b->first[at];

    plain_make(g, p);
    assert_int_equal(b->graph[at], g);
    assert_int_equal(b->label[at], p->label);
    assert_int_equal(b->first[at + 1] - base, p->n);
    for (int i = 0; i < p->n; i++) {
        const ci_lid from = b->in_first[base + i];
        assert_int_equal(b->id[base + i], p->id[i]);
        assert_memory_equal(b->x + (size_t)(base + i) * F, p->x[i], F * sizeof(float));
        for (int k = 0; k < F; k++) clipped += fabsf(p->x[i][k]) == 10;
        assert_int_equal(b->in_first[base + i + 1] - from, p->n_in[i]);
        for (int j = 0; j < p->n_in[i]; j++) {
            const float *e = b->e + (size_t)(from + j) * K;
            assert_int_equal(b->in_src[from + j], base + p->src[i][j]);
            for (int k = 0; k < K; k++) /* the mean may be summed in another precision */
                if (fabsf(e[k] - p->e[i][j][k]) > (j + 1 < p->n_in[i] ? 0 : 1e-5f)) fail_msg("graph %lld node %d edge %d column %d", (long long)g, i, j, k);
        }
        lonely += p->n_in[i] == 1;
    }
    looped += p->loops;
    assert_true(b->n_window_feature == 0 && !b->w && !b->raw_label); /* those are of sets built from the stream */
    if (b->raw_first) {
        const ci_lid from = b->raw_first[at];
        assert_int_equal(b->raw_first[at + 1] - from, p->n_raw);
        for (int i = 0; i < p->n_raw; i++) {
            assert_int_equal(b->raw_src[from + i], base + p->raw_src[i]);
            assert_int_equal(b->raw_dst[from + i], base + p->raw_dst[i]);
        }
        assert_memory_equal(b->raw_e + (size_t)from * K, p->raw, (size_t)p->n_raw * K * sizeof(float));
    }
    free(p);
}

static void packer__packs_what_the_second_computation_says(void **state)
{
    const int64_t order[] = {3, 57, 0, 12, 12, 49, 8};
    const ci_lid n = CI_COUNT(order);
    ci_packer *p = NULL;
    const ci_batch *b;

    (void)state;
    assert_int_equal(ci_packer_create(store, &scaler, n, n * with.max_node, false, &p), CI_OK);
    for (int64_t first = 0; first + n <= 59; first += n) { /* all graphs, a few at a time */
        int64_t some[CI_COUNT(order)];
        for (ci_lid i = 0; i < n; i++) some[i] = first ? first + i : order[i];
        b = ci_packer_pack(p, some, n);
        assert_int_equal(b->n_graph, n);
        assert_int_equal(b->n_feature, F);
        assert_int_equal(b->n_edge_feature, K);
        assert_int_equal(b->first[0], 0);
        assert_int_equal(b->in_first[0], 0);
        assert_int_equal(b->n_node, b->first[n]);
        assert_int_equal(b->n_edge, b->in_first[b->n_node]);
        for (ci_lid i = 0; i < n; i++) check_graph(b, i, some[i]);
        assert_true(b->n_edge <= ci_packer_max_edge(store, n, n * with.max_node));
    }
    assert_true(clipped > 0); /* the graphs show what this is about */
    assert_true(lonely > 0);
    assert_true(looped > 0);
    b = ci_packer_pack(p, order, 0);
    assert_int_equal(b->n_graph + b->n_node + b->n_edge, 0);
    b = ci_packer_pack(p, order, 1); /* nothing is left of larger ones */
    check_graph(b, 0, order[0]);
    ci_packer_destroy(&p);
    ci_packer_destroy(&p);
}

static void packer__has_raw_edges_where_they_are_asked_for(void **state)
{
    const int64_t some[] = {5, 31, 5, 58, 0};
    const ci_lid n = CI_COUNT(some);
    ci_packer *p = NULL;
    const ci_batch *b;

    (void)state;
    assert_int_equal(ci_packer_create(store, &scaler, n, n * with.max_node, false, &p), CI_OK);
    b = ci_packer_pack(p, some, n);
    assert_int_equal(b->n_raw, 0);
    assert_null(b->raw_first);
    assert_null(b->raw_src);
    assert_null(b->raw_dst);
    assert_null(b->raw_e);
    ci_packer_destroy(&p);
    assert_int_equal(ci_packer_create(store, &scaler, n, n * with.max_node, true, &p), CI_OK);
    for (int pass = 0; pass < 2; pass++) { /* nothing of the first is left for the second */
        looped = 0;
        b = ci_packer_pack(p, some + pass, n - pass);
        assert_int_equal(b->n_raw, b->raw_first[n - pass]);
        assert_true(b->n_raw > 0 && b->n_raw <= ci_packer_max_raw(store, n));
        for (ci_lid i = 0; i < n - pass; i++) check_graph(b, i, some[pass + i]);
        assert_int_equal(b->n_raw - looped + b->n_node, b->n_edge); /* loops go, one a node comes */
        assert_true(looped > 0);
    }
    b = ci_packer_pack(p, some, 0);
    assert_int_equal(b->n_raw + b->raw_first[0], 0);
    ci_packer_destroy(&p);
    assert_true(ci_packer_bytes(store, 2, 80, true) >= ci_packer_bytes(store, 2, 80, false) + 2 * 59 * (8 + K * 4));
    assert_int_equal(ci_packer_max_raw(store, 3), 3 * 59);
}

static void packer__says_how_much_memory_it_takes(void **state)
{
    const size_t one = ci_packer_bytes(store, 1, 100, false), two = ci_packer_bytes(store, 2, 200, false);

    (void)state; /* at least the floats of nodes and edges; bounded by twice that */
    assert_true(one >= 100 * F * 4 + (59 + 100) * K * 4);
    assert_true(one < 2 * (100 * F * 4 + (59 + 100) * K * 4));
    assert_true(two > one && two < 2 * one + 1024);
    assert_int_equal(ci_packer_max_edge(store, 3, 100), 3 * 59 + 100);
}

static void packer_max_edge__does_not_wrap(void **state)
{
    const ci_store wide = {.max_edge = 65534};

    (void)state;
    assert_int_equal(ci_packer_max_edge(&wide, 32, 256), 32 * 65534 + 256);
    assert_int_equal(ci_packer_max_edge(&wide, 2097152, 16777216), INT32_MAX);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(packer__packs_what_the_second_computation_says),
    cmocka_unit_test(packer__has_raw_edges_where_they_are_asked_for),
    cmocka_unit_test(packer__says_how_much_memory_it_takes),
    cmocka_unit_test(packer_max_edge__does_not_wrap),
};

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    ci_test_start(&argc, &argv);
    return ci_test_stop(cmocka_run_group_tests(tests, group_start, group_end));
}
