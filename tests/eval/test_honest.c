/* RANKS: 1 3 */
/* What test windows are labelled changes nothing that is decided: no weight, no checkpoint, no threshold, no score. */
#define CI_TEST_MPI
#include "ci_test.h"

#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>

#include "ci/commit.h"
#include "ci/eval.h"
#include "ci/json.h"
#include "train/train_made.h"

enum { G = 140, FIRST_TEST = 90 };

static uint8_t label_of(int64_t g)
{
    return (uint8_t)(g < FIRST_TEST ? g % 3 == 1 : g < 120 ? g % 2 == 0 : g >= 130);
}

static const made with = {.seed = 41, .frames = 30, .stride = 30, .n_id = 40, .n_vocab = 12, .max_node = 20, .label = label_of,
                          .capture = {{"train_01", 0, "a.csv", 90, 0, NULL}, {"test_01", 1, "dos.csv", 20, 1, NULL}, {"test_01", 1, "free.csv", 10, 0, NULL},
                                      {"test_02", 1, "benign.csv", 10, 0, NULL}, {"test_03", 1, "more.csv", 10, 1, NULL}}};
static ci_store *store;
static char sha[CI_SHA256_HEX];
static const char *const more[] = {"train.steps=6", "eval.draws=10", "eval.block=3", "eval.curve=5", NULL};

static int group_start(void **state)
{
    (void)state;
    if (small_start()) return 1;
    store = made_store(comm, &with, path_of("honest.h5"), sha);
    return 0;
}

static int group_end(void **state)
{
    (void)state;
    ci_store_close(&store);
    return 0;
}

/* Trained and evaluated in a folder of this name, with other labels. */
static void learned_as(const char *name, const uint8_t *label, const char *const *set, ci_conf *conf)
{
    ci_store other = *store;
    const int out = dup(STDOUT_FILENO), nothing = open("/dev/null", O_WRONLY);
    ci_rc rc;

    other.graph_label = label;
    small_conf(name, set, conf);
    assert_int_equal(ci_train(comm, conf, &other, sha, false), CI_OK);
    fflush(stdout);
    assert_true(nothing >= 0 && dup2(nothing, STDOUT_FILENO) >= 0); /* the table is not what this is about */
    rc = ci_eval(comm, conf, &other, sha, "canids test");
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    close(out);
    close(nothing);
    assert_int_equal(rc, CI_OK);
}

static void learned(const char *name, const uint8_t *label, ci_conf *conf) { learned_as(name, label, more, conf); }

static void digest(const char *dir, const char *name, char out[CI_SHA256_HEX])
{
    char path[CI_PATH_MAX];

    assert_int_equal(ci_path_join(path, dir, name), CI_OK);
    assert_int_equal(ci_commit_check(path, out), CI_OK);
}

static bool same_file(const char *a, const char *b, const char *name)
{
    char x[CI_SHA256_HEX], y[CI_SHA256_HEX];

    digest(a, name, x);
    digest(b, name, y);
    return strcmp(x, y) == 0;
}

/* What results.json says of the decision; the text is the caller's. */
static void decision(const char *dir, char *out, size_t n)
{
    ci_json *j = NULL;
    char path[CI_PATH_MAX];

    assert_int_equal(ci_path_join(path, dir, "results.json"), CI_OK);
    assert_int_equal(ci_json_load(path, &j), CI_OK);
    snprintf(out, n, "%a epoch %lld %s", ci_json_get_num(j, "threshold"), (long long)ci_json_get_int(j, "best_epoch"),
             ci_json_get_str(j, "weights_sha256"));
    ci_json_free(&j);
}

static void check_unmoved(const uint8_t *label, const char *name, const ci_conf *plain)
{
    ci_conf hidden;
    char a[200], b[200];

    learned(name, label, &hidden);
    assert_true(same_file(plain->run.dir, hidden.run.dir, "best.h5"));
    assert_true(same_file(plain->run.dir, hidden.run.dir, "last.h5"));
    decision(plain->run.dir, a, sizeof a);
    decision(hidden.run.dir, b, sizeof b);
    assert_string_equal(a, b);
    assert_false(same_file(plain->run.dir, hidden.run.dir, "results.json")); /* the labels did count where they may */
}

static void labels_of_tests__decide_nothing(void **state)
{
    uint8_t label[G];
    ci_conf plain, seen;

    (void)state;
    learned("open", store->graph_label, &plain);
    for (int g = 0; g < G; g++) label[g] = g < FIRST_TEST && label_of(g);
    check_unmoved(label, "none", &plain);
    for (int g = 0; g < G; g++) label[g] = g < FIRST_TEST ? label_of(g) : !label_of(g);
    check_unmoved(label, "swapped", &plain);
    /* and this test would notice: labels of validation do decide */
    for (int g = 0; g < G; g++) label[g] = g < FIRST_TEST && g % 3 == 2;
    learned("other", label, &seen);
    assert_false(same_file(plain.run.dir, seen.run.dir, "best.h5"));
}

/* Of 18 validation windows, all benign, the .995 quantile is the second highest score: one of them lies above the threshold. */
static void vgae__without_attacks_to_validate_on_says_so(void **state)
{
    static const char *const vgae[] = {"model.name=vgae", "model.hidden=[8]", "model.heads=2", "model.latent=4", "train.population=benign",
                                       "train.monitor=loss", "train.anomaly=recon", "train.steps=6", "eval.draws=10", NULL};
    uint8_t label[G];
    ci_conf conf;
    ci_json *j = NULL;
    ci_trained t = {0};
    ci_split split = {0};
    char path[CI_PATH_MAX];
    float *out = NULL;
    ci_lid K;
    int above = 0;

    (void)state;
    for (int g = 0; g < G; g++) label[g] = g >= FIRST_TEST && label_of(g);
    learned_as("benign", label, vgae, &conf);
    assert_int_equal(ci_path_join(path, conf.run.dir, "results.json"), CI_OK);
    assert_int_equal(ci_json_load(path, &j), CI_OK);
    assert_non_null(strstr(ci_json_get_str(j, "threshold_from"), ".995 quantile"));

    const ci_split_conf how = ci_train_split(&conf);
    ci_store other = *store;
    other.graph_label = label;
    assert_int_equal(ci_split_make(&other, &how, &split), CI_OK);
    assert_int_equal(split.n_valid_attack, 0);
    assert_int_equal(ci_trained_open(comm, conf.run.dir, "best.h5", "generic", NULL, &t), CI_OK);
    assert_int_equal(ci_trained_score(comm, &t, 1, 64, &other, split.valid, split.n_valid, &out), CI_OK);
    ci_model_outputs(t.model, &K);
    for (int64_t i = 0; i < split.n_valid; i++) above += (double)out[i * K] >= ci_json_get_num(j, "threshold");
    assert_int_equal(above, 1);
    free(out);
    ci_trained_release(&t);
    ci_split_release(&split);
    ci_json_free(&j);
}

static void train__refuses_a_monitor_that_validation_does_not_have(void **state)
{
    static const char *const vgae[] = {"model.name=vgae", "model.hidden=[8]", "model.latent=4", "train.population=benign", NULL};
    uint8_t label[G] = {0};
    ci_store other = *store;
    ci_conf conf;

    (void)state;
    other.graph_label = label;
    small_conf("no_auroc", vgae, &conf);
    assert_int_equal(ci_train(comm, &conf, &other, sha, false), CI_ECONF);
    assert_non_null(strstr(ci_message(), "train.monitor: auroc needs attacks"));
    assert_non_null(strstr(ci_message(), "set train.monitor to loss"));
    assert_int_not_equal(access(path_of("no_auroc/metrics.jsonl"), F_OK), 0); /* before anything is computed */
}

static void last_weights__are_stamped_and_have_their_own_threshold(void **state)
{
    ci_conf conf;
    ci_ckpt last = {0};
    ci_json *j = NULL;
    char sum[CI_SHA256_HEX];
    const int out = dup(STDOUT_FILENO), nothing = open("/dev/null", O_WRONLY);

    (void)state;
    learned("open", store->graph_label, &conf); /* finished already: nothing is trained */
    snprintf(conf.eval.weights, sizeof conf.eval.weights, "last");
    fflush(stdout);
    dup2(nothing, STDOUT_FILENO);
    assert_int_equal(ci_eval(comm, &conf, store, sha, "canids test"), CI_OK);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    close(out);
    close(nothing);
    assert_int_equal(ci_ckpt_read_all(comm, path_of("open/last.h5"), &last), CI_OK);
    assert_int_equal(ci_json_load(path_of("open/results.json"), &j), CI_OK);
    ci_ckpt_weights(&last, sum);
    assert_string_equal(ci_json_get_str(j, "weights"), "last");
    assert_string_equal(ci_json_get_str(j, "weights_sha256"), sum);
    assert_int_equal(ci_json_get_int(j, "weights_epoch"), last.at.epoch);
    assert_true(ci_json_get_num(j, "threshold") == last.at.threshold);
    ci_json_free(&j);
    ci_ckpt_release(&last);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(labels_of_tests__decide_nothing),
    cmocka_unit_test(vgae__without_attacks_to_validate_on_says_so),
    cmocka_unit_test(train__refuses_a_monitor_that_validation_does_not_have),
    cmocka_unit_test(last_weights__are_stamped_and_have_their_own_threshold),
};

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    ci_test_start(&argc, &argv);
    return ci_test_stop(cmocka_run_group_tests(tests, group_start, group_end));
}
