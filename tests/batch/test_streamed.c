/* RANKS: 1 2 3 5 */
/* What training makes of sets that are built from the stream: windows that are not warm left out, attacks counted for
 * columns of CI_SCALE_ALL, windows and labels of edges in a batch.  Against sums in quadruple precision, sorted values and
 * the graphs that the store was made of. */
#define CI_TEST_MPI
#include "ci_test.h"

#include <math.h>

#include "ci/batch.h"
#include "ci/split.h"
#include "store/store_made.h"

static const ci_comm *comm;
static ci_store *store;
static ci_graphs all;                        /* the training graphs, as they were made */
static ci_feature_set mixed;                 /* the store's, but every third column of benign graphs alone */
static ci_feature node[64], edge[64], window[128];

enum { NODE, EDGE, WINDOW, PLACES, TRAINING = 61 };

static const made with = {.seed = 5, .frames = 40, .stride = 40, .past = "guard", .n_id = 200, .n_vocab = 50, .max_node = 20, .layout = CI_FLOAT32,
                          .capture = {{"train", 0, "a.csv", 41, 0, NULL}, {"more", 2, "injected.csv", 20, 1, NULL}, {"test", 1, "b.csv", 9, 0, NULL}}};

static void mix(const ci_feature *from, ci_lid n, ci_feature *to)
{
    for (ci_lid k = 0; k < n; k++) {
        to[k] = from[k];
        if (k % 3 == 2) to[k].scaling = CI_SCALE_Z;
    }
}

static int group_start(void **state)
{
    char folder[CI_PATH_MAX], path[CI_PATH_MAX + 16], sha[CI_SHA256_HEX];

    (void)state;
    comm = ci_test_comm;
    snprintf(folder, sizeof folder, "%s", ci_test_tmp());
    if (ci_comm_bcast(comm, "test.folder", 0, folder, sizeof folder) != CI_OK) return 1;
    snprintf(path, sizeof path, "%s/streamed.h5", folder);
    store = made_store(comm, &with, path, sha);
    if (ci_graphs_init(&all, store->set, TRAINING, with.max_node, made_edges(&with)) != CI_OK) return 1;
    for (int64_t g = 0; g < TRAINING; g++) made_append(&with, g, 0, &all);
    mixed = *store->set;
    mix(store->set->node, mixed.n_node, node);
    mix(store->set->edge, mixed.n_edge, edge);
    mix(store->set->window, mixed.n_window, window);
    mixed.node = node;
    mixed.edge = edge;
    mixed.window = window;
    return 0;
}

static int group_end(void **state)
{
    (void)state;
    ci_graphs_release(&all);
    ci_store_close(&store);
    return 0;
}

/* ---- the scaler */

/* All values of column k that count, as the graphs were made, in 2^-24 or (edges) 2^-30. */
static int64_t values_of(int place, ci_lid k, bool attacks, double *out)
{
    const ci_lid F = place == NODE ? all.set->n_node : place == EDGE ? all.set->n_edge : all.set->n_window;
    const float *v = place == NODE ? all.x : place == EDGE ? all.e : all.w;
    const ci_lid *first = place == NODE ? all.node_first : all.edge_first;
    int64_t n = 0;

    for (ci_lid g = 0; g < TRAINING; g++) {
        const ci_lid from = place == WINDOW ? g : first[g], end = place == WINDOW ? g + 1 : first[g + 1];
        if (!all.warm[g] || (all.attack[g] && !attacks)) continue;
        for (ci_lid i = from; i < end; i++) out[n++] = (double)v[i * F + k];
    }
    return n;
}

static void near(const char *what, int place, ci_lid k, double got, double want)
{
    if (!(fabs(got - want) <= fmax(fabs(want), 1e-12) * 0x1p-50))
        fail_msg("%s of column %d of place %d: %.17g, wanted %.17g", what, k, place, got, want);
}

static void check_moments(int place, ci_lid k, const double *v, int64_t n, double mean, double spread)
{
    __float128 sum = 0, square = 0;

    for (int64_t i = 0; i < n; i++) sum += (__float128)ldexp(nearbyint(ldexp(v[i], place == EDGE ? 30 : 24)), place == EDGE ? -30 : -24);
    sum /= n;
    for (int64_t i = 0; i < n; i++) {
        const __float128 off = (__float128)ldexp(nearbyint(ldexp(v[i], place == EDGE ? 30 : 24)), place == EDGE ? -30 : -24) - sum;
        square += off * off;
    }
    near("mean", place, k, mean, (double)sum);
    near("spread", place, k, spread, fmax(sqrt((double)(square / n)), 1e-6 * fmax(1, fabs((double)sum))));
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* numpy.quantile: linear between the neighbours of (n - 1) q / 4. */
static double quartile(const double *sorted, int64_t n, int q)
{
    const double at = (double)(n - 1) * q / 4, t = at - floor(at);
    const double a = sorted[(int64_t)at], b = sorted[CI_MIN((int64_t)at + 1, n - 1)];

    return t < 0.5 ? a + (b - a) * t : b - (b - a) * (1 - t);
}

static void check_quartiles(int place, ci_lid k, double *v, int64_t n, double mean, double spread)
{
    const double middle = (qsort(v, (size_t)n, sizeof *v, ascending), quartile(v, n, 2));

    near("median", place, k, mean, middle);
    near("quartile range", place, k, spread, fmax(quartile(v, n, 3) - quartile(v, n, 1), 1e-6 * fmax(1, fabs(middle))));
}

static void check_scaler(const ci_feature_set *set, const ci_scaler *s, bool robust)
{
    const ci_feature *f[PLACES] = {set->node, set->edge, set->window};
    const ci_lid n[PLACES] = {set->n_node, set->n_edge, set->n_window};
    const double *mean[PLACES] = {s->node_mean, s->edge_mean, s->window_mean};
    const double *spread[PLACES] = {s->node_spread, s->edge_spread, s->window_spread};
    double *v = ci_new(TRAINING * 50, sizeof *v);

    assert_non_null(v);
    assert_int_equal(s->n_window, 82);
    for (int p = 0; p < PLACES; p++)
        for (ci_lid k = 0; k < n[p]; k++) {
            const bool attacks = f[p][k].scaling == CI_SCALE_ALL;
            const int64_t count = values_of(p, k, attacks, v);
            if (robust && !attacks) check_quartiles(p, k, v, count, mean[p][k], spread[p][k]);
            else check_moments(p, k, v, count, mean[p][k], spread[p][k]);
        }
    free(v);
}

static void fit(ci_scaler_kind kind, const ci_feature_set *set, ci_scaler *s)
{
    const ci_feature_set *was = store->set;
    int64_t graph[TRAINING];

    for (int64_t g = 0; g < TRAINING; g++) graph[g] = g;
    store->set = set;
    assert_int_equal(ci_scaler_fit(comm, store, graph, TRAINING, kind, s), CI_OK);
    store->set = was;
}

static void scaler_fit__is_of_all_warm_graphs_where_a_column_says_so(void **state)
{
    ci_scaler s;

    (void)state;
    fit(CI_SCALER_ZSCORE, store->set, &s);
    check_scaler(store->set, &s, false);
    fit(CI_SCALER_ZSCORE, &mixed, &s);
    check_scaler(&mixed, &s, false);
}

static void scaler_fit__by_quartiles_leaves_such_columns_their_means(void **state)
{
    ci_scaler s;

    (void)state;
    fit(CI_SCALER_ROBUST, store->set, &s);
    check_scaler(store->set, &s, true);
    fit(CI_SCALER_ROBUST, &mixed, &s);
    check_scaler(&mixed, &s, true);
}

static void scaler_fit__wants_warm_graphs(void **state)
{
    const ci_feature_set *was = store->set;
    int64_t cold[] = {0, 1, 7, 8}, attack = 2;
    ci_scaler s;

    (void)state;
    assert_int_equal(ci_scaler_fit(comm, store, cold, 4, CI_SCALER_ZSCORE, &s), CI_EDATA);
    assert_non_null(strstr(ci_message(), "no training window"));
    assert_int_equal(ci_scaler_fit(comm, store, cold, 4, CI_SCALER_NONE, &s), CI_OK);
    while (!store->graph_warm[attack] || !store->graph_label[attack]) attack++;
    assert_int_equal(ci_scaler_fit(comm, store, &attack, 1, CI_SCALER_ZSCORE, &s), CI_OK);
    assert_int_equal(ci_scaler_fit(comm, store, &attack, 1, CI_SCALER_ROBUST, &s), CI_OK);
    store->set = &mixed; /* has columns of benign graphs */
    assert_int_equal(ci_scaler_fit(comm, store, &attack, 1, CI_SCALER_ZSCORE, &s), CI_EDATA);
    assert_non_null(strstr(ci_message(), "no benign training window"));
    store->set = was;
}

/* ---- batches */

static void packer__has_windows_and_labels_of_edges(void **state)
{
    const int64_t order[] = {3, 57, 0, 12, 12, 60, 1};
    const ci_lid n = CI_COUNT(order), H = store->set->n_window;
    ci_packer *p = NULL, *without = NULL;
    const ci_batch *b;
    ci_scaler s;
    ci_graphs one;
    int attacks = 0;

    (void)state;
    fit(CI_SCALER_ZSCORE, store->set, &s);
    assert_int_equal(ci_packer_create(store, &s, n, n * with.max_node, true, &p), CI_OK);
    assert_int_equal(ci_packer_create(store, &s, n, n * with.max_node, false, &without), CI_OK);
    assert_int_equal(ci_graphs_init(&one, store->set, 1, with.max_node, made_edges(&with)), CI_OK);
    for (int round = 0; round < 2; round++) {
        b = ci_packer_pack(p, order + round, n - round);
        assert_int_equal(b->n_window_feature, 82);
        for (ci_lid i = 0; i < n - round; i++) {
            ci_graphs_clear(&one);
            made_append(&with, order[round + i], 0, &one);
            for (ci_lid k = 0; k < H; k++) {
                const double z = ((double)one.w[k] - s.window_mean[k]) / s.window_spread[k];
                assert_true(b->w[i * H + k] == (float)fmin(10, fmax(-10, z)));
            }
            assert_int_equal(b->raw_first[i + 1] - b->raw_first[i], one.n_edge);
            assert_memory_equal(b->raw_label + b->raw_first[i], one.edge_attack, (size_t)one.n_edge);
            for (ci_lid k = 0; k < one.n_edge; k++) attacks += one.edge_attack[k];
        }
    }
    assert_true(attacks > 10);
    b = ci_packer_pack(without, order, n);
    assert_null(b->raw_label);
    assert_non_null(b->w);
    ci_graphs_release(&one);
    ci_packer_destroy(&p);
    ci_packer_destroy(&without);
}

/* ---- the split */

static void split__leaves_out_what_is_too_early(void **state)
{
    const ci_split_conf conf = {.blocks = 10, .every = 5, .seed = 1}, random = {.random = true, .share = 0.25, .seed = 1, .allow_leak = true};
    const ci_split_conf *const confs[] = {&conf, &random};
    ci_split s;

    (void)state;
    for (size_t c = 0; c < CI_COUNT(confs); c++) {
        int64_t cold = 0;
        assert_int_equal(ci_split_make(store, confs[c], &s), CI_OK);
        for (int64_t i = 0; i < s.n_train; i++) assert_true(s.train[i] < TRAINING && s.train[i] % 7 > 1);
        for (int64_t i = 0; i < s.n_valid; i++) assert_true(s.valid[i] < TRAINING && s.valid[i] % 7 > 1);
        for (int64_t g = 0; g < TRAINING; g++) cold += g % 7 <= 1;
        assert_int_equal(s.n_train + s.n_valid + s.n_embargo + s.n_cold, TRAINING);
        assert_true(confs[c]->random ? s.n_cold == cold : s.n_cold > 0 && s.n_cold <= cold); /* others are in an embargo */
        assert_true(s.train[s.n_train - 1] > 41); /* captures with injected attacks train */
        ci_split_release(&s);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(scaler_fit__is_of_all_warm_graphs_where_a_column_says_so),
    cmocka_unit_test(scaler_fit__by_quartiles_leaves_such_columns_their_means),
    cmocka_unit_test(scaler_fit__wants_warm_graphs),
    cmocka_unit_test(packer__has_windows_and_labels_of_edges),
    cmocka_unit_test(split__leaves_out_what_is_too_early),
};

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    ci_test_start(&argc, &argv);
    return ci_test_stop(cmocka_run_group_tests(tests, group_start, group_end));
}
