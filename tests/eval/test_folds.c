/* RANKS: 1 3 */
/* Thresholds of windows out of fold, from models whose scores are computed a second time; windows too early to be judged, counted by hand. */
#define CI_TEST_MPI
#include "ci_test.h"

#include <fcntl.h>

#include "ci/eval.h"
#include "ci/json.h"
#include "ci/metric.h"
#include "train/train_made.h"

enum { G = 160, FIRST_TEST = 120 };

static uint8_t label_of(int64_t g) { return (uint8_t)(g % 3 == 1); }

static const made with = {.seed = 43, .frames = 30, .stride = 30, .n_id = 40, .n_vocab = 12, .max_node = 20, .label = label_of,
                          .capture = {{"train_01", 0, "dos-kia.csv", 40, 1, NULL}, {"train_01", 0, "dos-sonata.csv", 50, 1, NULL},
                                      {"injected", 2, "mixed-kia-b001-c0001.csv", 30, 19, NULL}, {"test_01", 1, "dos.csv", 40, 1, NULL}}};
static const char *const more[] = {"train.steps=6", "eval.draws=10", "eval.block=3", "split.folds=vehicle", "data.vehicles=[kia, sonata]", NULL};
static const int of[3] = {0, 1, 0};           /* folds of the captures */
static const int first[4] = {0, 40, 90, 120}; /* their windows */
static ci_store *store;
static char sha[CI_SHA256_HEX];

static int group_start(void **state)
{
    (void)state;
    if (small_start()) return 1;
    store = made_store(comm, &with, path_of("folds.h5"), sha);
    return 0;
}

static int group_end(void **state)
{
    (void)state;
    ci_store_close(&store);
    return 0;
}

/* Fold models, their scores, the model that is used. */
static void trained(const char *name, const char *injected, const ci_store *st, ci_conf *conf)
{
    ci_conf fold;

    small_conf(name, more, conf);
    strcpy(conf->train.injected, injected);
    for (int k = 0; k < 2; k++) {
        assert_true(ci_conf_fold(conf, k, &fold));
        assert_int_equal(ci_agree(comm, "test.dir", comm->rank == 0 ? ci_make_dir(fold.run.dir) : CI_OK), CI_OK);
        assert_int_equal(ci_train(comm, &fold, st, sha, false), CI_OK);
    }
    assert_int_equal(ci_folds_judge(comm, conf, st, sha), CI_OK);
    assert_int_equal(ci_train(comm, conf, st, sha, false), CI_OK);
}

static ci_rc evaluated(const ci_conf *conf, const ci_store *st)
{
    const int out = dup(STDOUT_FILENO), nothing = open("/dev/null", O_WRONLY);
    ci_rc rc;

    fflush(stdout);
    assert_true(nothing >= 0 && dup2(nothing, STDOUT_FILENO) >= 0); /* the table is not what this is about */
    rc = ci_eval(comm, conf, st, sha, "canids test");
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    close(out);
    close(nothing);
    return rc;
}

/* Differences of logits of the n windows, by the best weights in dir. */
static void odds(const char *dir, const ci_store *st, const int64_t *graph, int64_t n, double *out)
{
    ci_trained t = {0};
    float *said = NULL;
    ci_lid K;

    assert_int_equal(ci_trained_open(comm, dir, "best.h5", "generic", NULL, &t), CI_OK);
    assert_int_equal(ci_trained_score(comm, &t, 1, 64, st, graph, n, &said), CI_OK);
    ci_model_outputs(t.model, &K);
    for (int64_t i = 0; i < n; i++) out[i] = (double)said[i * K + 1] - (double)said[i * K];
    free(said);
    ci_trained_release(&t);
}

/* Warm windows that each fold leaves out, by its model, one fold after the other. */
static int64_t pooled(const ci_conf *conf, const ci_store *st, double *score, uint8_t *label)
{
    int64_t n = 0;

    for (int k = 0; k < 2; k++) {
        int64_t graph[G], m = 0;
        ci_conf fold;

        assert_true(ci_conf_fold(conf, k, &fold));
        for (int c = 0; c < (strcmp(conf->train.injected, "with") == 0 ? 3 : 2); c++)
            for (int64_t g = first[c]; of[c] == k && g < first[c + 1]; g++)
                if (ci_store_warm(st, g)) graph[m++] = g;
        odds(fold.run.dir, st, graph, m, score + n);
        for (int64_t i = 0; i < m; i++) label[n + i] = st->graph_label[graph[i]];
        n += m;
    }
    return n;
}

static ci_json *load(const ci_conf *conf, const char *name)
{
    char path[CI_PATH_MAX];
    ci_json *j = NULL;

    assert_int_equal(ci_path_join(path, conf->run.dir, name), CI_OK);
    assert_int_equal(ci_json_load(path, &j), CI_OK);
    return j;
}

static void thresholds__are_those_of_scores_computed_again(void **state)
{
    static const char *const way[] = {"with", "without"};
    double score[G], t1, b998;
    uint8_t label[G];
    ci_conf conf;
    ci_fold_thresholds t;

    (void)state;
    for (int i = 0; i < 2; i++) {
        ci_json *j;

        trained(way[i], way[i], store, &conf);
        const int64_t n = pooled(&conf, store, score, label);
        assert_int_equal(n, i ? 90 : 120);
        assert_int_equal(ci_most_f1(score, label, n, &t1, NULL), CI_OK);
        assert_int_equal(ci_above_benign(score, label, n, .998, &b998), CI_OK);
        assert_int_equal(ci_folds_read(&conf, sha, &t), CI_OK);
        assert_int_equal(t.n, 2);
        assert_true(t.t1 == t1 && t.b998 == b998);
        assert_int_equal(evaluated(&conf, store), CI_OK);
        j = load(&conf, "results.json");
        assert_true(ci_json_get_num(j, "threshold") == (i ? t1 : b998)); /* eval.threshold: auto */
        assert_string_equal(ci_json_get_str(j, "folds_sha256"), t.sha);
        assert_string_equal(ci_json_get_str(j, "injected"), way[i]);
        ci_json_free(&j);
        conf.train.lr *= 2; /* another training's */
        assert_int_equal(ci_folds_read(&conf, sha, &t), CI_ECONF);
        assert_int_equal(evaluated(&conf, store), CI_ECONF);
    }
}

/* Of 40 test windows the first ten are cold, of each training capture the first five. */
static void cold__windows_count_as_called_benign(void **state)
{
    uint8_t warm[G];
    double score[G];
    int64_t graph[G], c[4] = {0}; /* tn, fp, fn, tp */
    ci_store cold = *store;
    ci_conf conf;
    ci_json *j;
    const ci_json *line;

    (void)state;
    memset(warm, 1, sizeof warm);
    for (int k = 0; k < 3; k++) memset(warm + first[k], 0, 5);
    memset(warm + FIRST_TEST, 0, 10);
    cold.graph_warm = warm;
    trained("cold", "with", &cold, &conf);
    assert_int_equal(evaluated(&conf, &cold), CI_OK);
    j = load(&conf, "folds.json");
    assert_int_equal(ci_json_get_int(ci_json_get(j, "pooled"), "n"), 120 - 15);
    ci_json_free(&j);
    j = load(&conf, "results.json");
    line = ci_json_at(ci_json_get(j, "results"), 0);
    for (int64_t g = 0; g < 40; g++) graph[g] = FIRST_TEST + g;
    odds(conf.run.dir, &cold, graph, 40, score);
    for (int g = 0; g < 40; g++) c[2 * store->graph_label[FIRST_TEST + g] + (g >= 10 && score[g] >= ci_json_get_num(j, "threshold"))]++;
    assert_int_equal(ci_json_get_int(line, "n"), 40);
    assert_int_equal(ci_json_get_int(line, "cold"), 10);
    assert_int_equal(ci_json_get_int(line, "tn"), c[0]);
    assert_int_equal(ci_json_get_int(line, "fp"), c[1]);
    assert_int_equal(ci_json_get_int(line, "fn"), c[2]);
    assert_int_equal(ci_json_get_int(line, "tp"), c[3]);
    double auroc;
    assert_int_equal(ci_auroc(score + 10, store->graph_label + FIRST_TEST + 10, 30, &auroc), CI_OK);
    assert_true(ci_json_get_num(ci_json_get(line, "auroc"), "value") == auroc);
    ci_json_free(&j);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(thresholds__are_those_of_scores_computed_again),
    cmocka_unit_test(cold__windows_count_as_called_benign),
};

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    ci_test_start(&argc, &argv);
    return ci_test_stop(cmocka_run_group_tests(tests, group_start, group_end));
}
