/* RANKS: 1 2 3 */
/* Tables from scores that a person can judge by hand, and a whole evaluation against counting pairs. */
#define CI_TEST_MPI
#include "ci_test.h"

#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>

#include "ci/attack.h"
#include "ci/commit.h"
#include "ci/json.h"
#include "ci/loss.h"
#include "eval/eval_priv.h"
#include "train/train_made.h"

static char *slurp(const char *path)
{
    FILE *f = fopen(path, "r");
    char *text = ci_new(1 << 18, 1);

    assert_non_null(f);
    assert_true(fread(text, 1, (1 << 18) - 1, f) > 0);
    fclose(f);
    return text;
}

/* What a call prints on standard output. */
static char *printed(ci_rc (*call)(const void *), const void *arg, ci_rc *out_rc)
{
    const int keep = dup(STDOUT_FILENO);
    int fd;
    char name[64];

    snprintf(name, sizeof name, "printed%d", comm->rank);
    fflush(stdout);
    fd = open(path_of(name), O_RDWR | O_CREAT | O_TRUNC, 0666);
    assert_true(fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0);
    *out_rc = call(arg);
    fflush(stdout);
    dup2(keep, STDOUT_FILENO);
    close(keep);
    if (lseek(fd, 0, SEEK_END) == 0) assert_int_equal(pwrite(fd, "\n", 1, 0), 1);
    close(fd);
    return slurp(path_of(name));
}

/* Words of the line that begins with `name`, joined by one blank. */
static void words_of(const char *text, const char *name, char *out, size_t n)
{
    const char *at = text;
    size_t k = 0;

    while (at && strncmp(at, name, strlen(name)) != 0) at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL;
    if (!at) fail_msg("no line %s in\n%s", name, text);
    for (; at && *at && *at != '\n' && k + 1 < n; at++)
        if (*at != ' ' || (k && out[k - 1] != ' ')) out[k++] = *at;
    out[k] = 0;
}

/* ---- by hand */

static const double known_score[] = {.9, .8, .3, .1};
static const uint8_t known_label[] = {1, 0, 1, 0};
static const double benign_score[] = {.6, .2, .5};
static const uint8_t benign_label[] = {0, 0, 0};
static const double perfect_score[] = {.9, .7, .4, .2, .1};
static const uint8_t perfect_label[] = {1, 1, 0, 0, 0};

static void line_of(const char *kind, const char *name, const double *score, const uint8_t *label, int64_t n, struct line *l)
{
    strcpy(l->kind, kind);
    strcpy(l->name, name);
    assert_int_equal(ci_scores_compute(score, label, NULL, n, .5, (ci_bootstrap){1, 20, 0}, &l->s), CI_OK);
}

static void results_by_hand(struct line line[3], struct results *r)
{
    memset(line, 0, 3 * sizeof *line);
    line_of("folder", "test_01_known", known_score, known_label, 4, &line[0]);
    line_of("folder", "test \"02\", benign", benign_score, benign_label, 3, &line[1]);
    line_of("attack", "dos", perfect_score, perfect_label, 5, &line[2]);
    *r = (struct results){.n = 3, .line = line, .threshold = .5, .code = "canids test", .which = "best", .score = "probability of attack", .best_epoch = 6,
                          .past = "prefix", .injected = "with"};
    memset(r->settings, 'a', 64);
    memset(r->store, 'b', 64);
    memset(r->weights, 'c', 64);
}

static const char *run_dir(void)
{
    static char dir[CI_PATH_MAX];
    char name[32];

    snprintf(name, sizeof name, "hand%d", comm->rank); /* each rank for itself */
    snprintf(dir, sizeof dir, "%s", path_of(name));
    assert_int_equal(ci_make_dir(dir), CI_OK);
    return dir;
}

static ci_rc write_it(const void *r)
{
    return results_write(r, run_dir());
}

static ci_rc print_it(const void *dir)
{
    return ci_eval_print(dir);
}

static void table__says_what_a_person_counts(void **state)
{
    struct line line[3];
    struct results r;
    char words[200], *text, *again;
    ci_rc rc;

    (void)state;
    results_by_hand(line, &r);
    text = printed(write_it, &r, &rc);
    assert_int_equal(rc, CI_OK);
    words_of(text, "test folder", words, sizeof words);
    assert_string_equal(words, "test folder past injected n cold attack AUROC AP F1 MCC FPR accuracy");
    words_of(text, "test_01_known", words, sizeof words); /* 3 of 4 pairs; 1/2 (1 + 2/3); one of each count */
    assert_string_equal(words, "test_01_known prefix with 4 0 50.0 % 0.7500 0.8333 0.5000 0.0000 0.5000 0.5000");
    words_of(text, "test \"02\"", words, sizeof words); /* two of three called attacks (.5 is at the threshold), no curve */
    assert_string_equal(words, "test \"02\", benign prefix with 3 0 0.0 % - - 0.0000 0.0000 0.6667 0.3333");
    words_of(text, "attack ", words, sizeof words);
    assert_string_equal(words, "attack past injected n cold attack AUROC AP F1 MCC FPR accuracy");
    words_of(text, "dos", words, sizeof words);
    assert_string_equal(words, "dos prefix with 5 0 40.0 % 1.0000 1.0000 1.0000 1.0000 0.0000 1.0000");
    assert_null(strstr(text, "SIMULATED"));
    assert_null(strstr(text, "LEAKY"));
    again = printed(print_it, run_dir(), &rc);
    assert_int_equal(rc, CI_OK);
    assert_string_equal(text, again);
    free(text);
    free(again);
    r.simulated = r.leaky = 1;
    text = printed(write_it, &r, &rc);
    assert_non_null(strstr(text, "SIMULATED"));
    assert_non_null(strstr(text, "LEAKY"));
    free(text);
}

static void results_json__has_null_where_there_is_no_number(void **state)
{
    struct line line[3];
    struct results r;
    char path[CI_PATH_MAX], *text;
    ci_json *j = NULL, *l;
    ci_rc rc;

    (void)state;
    results_by_hand(line, &r);
    free(printed(write_it, &r, &rc));
    assert_int_equal(ci_path_join(path, run_dir(), "results.json"), CI_OK);
    assert_int_equal(ci_commit_check(path, NULL), CI_OK);
    assert_int_equal(ci_json_load(path, &j), CI_OK);
    assert_string_equal(ci_json_get_str(j, "code"), "canids test");
    assert_true(ci_json_get_num(j, "threshold") == .5);
    assert_int_equal(ci_json_get_int(j, "best_epoch"), 7);
    assert_int_equal(ci_json_len(ci_json_get(j, "results")), 3);
    l = ci_json_at(ci_json_get(j, "results"), 1);
    assert_string_equal(ci_json_get_str(l, "name"), "test \"02\", benign");
    assert_int_equal(ci_json_get_int(l, "n"), 3);
    assert_int_equal(ci_json_get_int(l, "attacks"), 0);
    assert_int_equal(ci_json_get_int(l, "fp"), 2);
    assert_int_equal(ci_json_get_int(l, "tn"), 1);
    assert_true(isnan(ci_json_get_num(ci_json_get(l, "auroc"), "value")));
    assert_non_null(ci_json_get(ci_json_get(l, "auroc"), "value")); /* there, and null */
    ci_json_free(&j);
    text = slurp(path);
    assert_null(strstr(text, "nan"));
    free(text);
}

static void results_csv__leaves_such_fields_empty(void **state)
{
    struct line line[3];
    struct results r;
    char path[CI_PATH_MAX], *text;
    ci_rc rc;

    (void)state;
    results_by_hand(line, &r);
    free(printed(write_it, &r, &rc));
    assert_int_equal(ci_path_join(path, run_dir(), "results.csv"), CI_OK);
    text = slurp(path);
    assert_non_null(strstr(text, "kind,name,traffic,past,injected,n,attacks,cold,auroc,auroc_lo,auroc_hi,average_precision,"));
    assert_non_null(strstr(text, "\nfolder,test_01_known,recorded,prefix,with,4,2,0,0.75,,,0.833333333,,,0.5,,,0,,,0.5,,,0.5,,,0.5,0.5,1,1,1,1,0.5,0.5,0.5,0.5,0,0.5,0.5,0.5,0.666666667,0.5,,,best\n"));
    assert_non_null(strstr(text, "\nfolder,\"test \"\"02\"\", benign\",recorded,prefix,with,3,0,0,,,,,,,0,,,0,,,0.666666667,,,0.333333333,,,0,0,0,2,1,0,0.333333333,0,0.166666667,0.25,0,,,,,,,,best\n"));
    assert_non_null(strstr(text, "\nattack,dos,recorded,prefix,with,5,2,0,1,,,1,,,1,,,1,,,0,,,1,,,1,1,2,0,3,0,1,0,1,1,1,1,1,1,1,1,,,best\n"));
    free(text);
}

/* ---- a whole evaluation */

static uint8_t label_of(int64_t g)
{
    return (uint8_t)(g < 90 ? g % 3 == 1 : g < 120 ? g % 2 == 0 : g >= 130);
}

static const made with = {.seed = 41, .frames = 30, .stride = 30, .n_id = 40, .n_vocab = 12, .max_node = 20, .label = label_of,
                          .capture = {{"train_01", 0, "a.csv", 90, 0, NULL}, {"test_01", 1, "dos.csv", 20, 1, NULL}, {"test_01", 1, "free.csv", 10, 0, NULL},
                                      {"test_02", 1, "benign.csv", 10, 0, NULL}, {"test_03", 1, "more.csv", 10, 1, NULL}, {"test_04", 1, "none.csv", 0, 2, NULL}}};
static ci_store *store;
static char sha[CI_SHA256_HEX];
static ci_conf conf;

static int group_start(void **state)
{
    static const char *const more[] = {"train.steps=3", "eval.draws=40", "eval.block=3", NULL};

    (void)state;
    if (small_start()) return 1;
    store = made_store(comm, &with, path_of("eval.h5"), sha);
    small_conf("run", more, &conf);
    return ci_train(comm, &conf, store, sha, false) == CI_OK ? 0 : 1;
}

static int group_end(void **state)
{
    (void)state;
    ci_store_close(&store);
    return 0;
}

static ci_rc evaluate(const void *given)
{
    return ci_eval(comm, given ? given : &conf, store, sha, "canids 1.2.3");
}

/* Scores of all graphs by the checkpoint. */
static void scores(float *p, double *threshold)
{
    int64_t graph[140];
    float out[140 * 6];
    ci_ckpt c = {0};
    ci_model *m = NULL;
    ci_pool *pool = NULL;
    ci_lane *lane = NULL;

    for (int64_t g = 0; g < 140; g++) graph[g] = g;
    assert_int_equal(ci_ckpt_read_all(comm, path_of("run/best.h5"), &c), CI_OK);
    assert_int_equal(ci_model_create(&c.dim, "generic", &m), CI_OK);
    assert_int_equal(ci_pool_create(1, &pool), CI_OK);
    assert_int_equal(ci_lanes_create(m, store, &c.scaler, 64, 1, &lane), CI_OK);
    assert_int_equal(ci_score(comm, pool, lane, m, c.w, c.state, store, graph, 140, 64, out), CI_OK);
    for (int g = 0; g < 140; g++) p[g] = 1 / (1 + expf(out[6 * g] - out[6 * g + 1]));
    *threshold = c.at.threshold;
    ci_lanes_destroy(&lane, 1);
    ci_pool_destroy(&pool);
    ci_model_destroy(&m);
    ci_ckpt_release(&c);
}

static const ci_json *line_named(const ci_json *results, const char *kind, const char *name)
{
    for (size_t i = 0; i < ci_json_len(results); i++) {
        const ci_json *l = ci_json_at(results, i);
        if (strcmp(ci_json_get_str(l, "kind"), kind) == 0 && strcmp(ci_json_get_str(l, "name"), name) == 0) return l;
    }
    return NULL;
}

/* The graphs from..to-1 and from2..to2-1 are this line. */
static void check_line(const ci_json *l, const float *p, double threshold, int from, int to, int from2, int to2)
{
    int64_t n = 0, attacks = 0, tp = 0, fp = 0, fn = 0, tn = 0, pairs = 0;
    double won = 0;

    assert_non_null(l);
    for (int g = 0; g < 140; g++) {
        if (!((g >= from && g < to) || (g >= from2 && g < to2))) continue;
        n++;
        attacks += label_of(g);
        if (fabs((double)p[g] - threshold) < 1e-6) skip(); /* too close for another expf */
        *((double)p[g] >= threshold ? (label_of(g) ? &tp : &fp) : (label_of(g) ? &fn : &tn)) += 1;
        for (int h = 0; h < 140; h++) {
            if (!((h >= from && h < to) || (h >= from2 && h < to2)) || !label_of(g) || label_of(h)) continue;
            pairs++;
            won += p[g] > p[h] ? 1 : p[g] < p[h] ? 0 : .5;
        }
    }
    assert_int_equal(ci_json_get_int(l, "n"), n);
    assert_int_equal(ci_json_get_int(l, "attacks"), attacks);
    assert_int_equal(ci_json_get_int(l, "tp"), tp);
    assert_int_equal(ci_json_get_int(l, "fp"), fp);
    assert_int_equal(ci_json_get_int(l, "fn"), fn);
    assert_int_equal(ci_json_get_int(l, "tn"), tn);
    assert_true(fabs(ci_json_get_num(ci_json_get(l, "accuracy"), "value") - (double)(tp + tn) / (double)n) < 1e-12);
    if (pairs) assert_true(fabs(ci_json_get_num(ci_json_get(l, "auroc"), "value") - won / (double)pairs) < 1e-3);
    else assert_true(isnan(ci_json_get_num(ci_json_get(l, "auroc"), "value")));
    if (pairs) assert_true(ci_json_get_num(ci_json_get(l, "auroc"), "lo") <= ci_json_get_num(ci_json_get(l, "auroc"), "hi"));
}

static void eval__has_a_line_a_folder_and_an_attack(void **state)
{
    float p[140];
    double threshold;
    char *text, words[64];
    ci_json *j = NULL;
    const ci_json *results;
    ci_rc rc;

    (void)state;
    text = printed(evaluate, NULL, &rc);
    assert_int_equal(rc, CI_OK);
    if (comm->rank > 0) assert_string_equal(text, "\n"); /* rank 0 alone prints */
    scores(p, &threshold);
    assert_int_equal(ci_json_load(path_of("run/results.json"), &j), CI_OK);
    results = ci_json_get(j, "results");
    assert_int_equal(ci_json_len(results), 4); /* none for a folder without windows, nor for its attack */
    check_line(line_named(results, "folder", "test_01"), p, threshold, 90, 120, 0, 0);
    check_line(line_named(results, "folder", "test_02"), p, threshold, 120, 130, 0, 0);
    check_line(line_named(results, "folder", "test_03"), p, threshold, 130, 140, 0, 0);
    check_line(line_named(results, "attack", ci_attack_name(1)), p, threshold, 90, 110, 130, 140);
    assert_string_equal(ci_json_get_str(j, "store_tree_sha256"), sha);
    assert_string_equal(ci_json_get_str(j, "code"), "canids 1.2.3");
    assert_int_equal(ci_json_get_bool(j, "simulated"), store->head.simulated);
    assert_false(ci_json_get_bool(j, "leak_allowed"));
    assert_true(ci_json_get_num(j, "threshold") == threshold);
    if (comm->rank == 0) {
        words_of(text, "test_02", words, sizeof words);
        assert_int_equal(strncmp(words, "test_02 - - 10 0 0.0 % - - ", 27), 0);
        words_of(text, "test_03", words, sizeof words);
        assert_int_equal(strncmp(words, "test_03 - - 10 0 100.0 % - - ", 29), 0);
    }
    ci_json_free(&j);
    free(text);
}

static void refused(const ci_conf *c, ci_rc code, const char *why)
{
    ci_rc rc;

    free(printed(evaluate, c, &rc));
    assert_int_equal(rc, code);
    if (!strstr(ci_message(), why)) fail_msg("%s", ci_message());
}

static void eval__refuses_what_does_not_fit(void **state)
{
    ci_conf other = conf;
    char keep = sha[0];
    int fd;

    (void)state;
    snprintf(other.run.dir, sizeof other.run.dir, "%s", path_of("nowhere"));
    refused(&other, CI_ENOENT, "best.h5");
    other = conf;
    other.model.layers = 1;
    refused(&other, CI_ECONF, "trained with other");
    other = conf;
    other.train.lr *= 2;
    refused(&other, CI_ECONF, "trained with other");
    sha[0] = 'x';
    refused(NULL, CI_ECONF, "was trained on store");
    sha[0] = keep;
    for (int32_t f = 0; f < store->head.n_folder; f++) store->head.folder[f].role = 0;
    refused(NULL, CI_ECONF, "data.test");
    for (int32_t f = 1; f < store->head.n_folder; f++) store->head.folder[f].role = 1;
    assert_int_equal(ci_comm_barrier(comm, "test.eval"), CI_OK);
    if (comm->rank == 0) {
        fd = open(path_of("run/best.h5"), O_RDWR);
        assert_int_equal(pwrite(fd, "x", 1, 3000), 1);
        close(fd);
    }
    refused(NULL, CI_EFORMAT, "best.h5");
    assert_int_equal(ci_eval_print(path_of("nowhere")), CI_ENOENT);
}

/* Two students that heard their teacher differently are not of the same settings; where their folders are is no setting. */
static void settings__are_those_that_the_model_came_from(void **state)
{
    static const struct { const char *set; bool counts; } of[] = {
        {"distill.alpha=0.3", true},        {"distill.temperature=2", true}, {"distill.latent=1", true},   {"distill.recon=1", true},
        {"train.lr=0.002", true},           {"eval.weights=last", true},     {"model.head_dim=64", true},  {"split.every=4", true},
        {"distill.teacher=elsewhere", false}, {"run.dir=elsewhere", false},  {"train.threads=3", false},   {"fusion.lr=0.002", false},
    };
    const char *set[] = {"model.auxiliary=kd_standard", NULL};
    static ci_conf student;
    char plain[CI_SHA256_HEX], now[CI_SHA256_HEX];

    (void)state;
    assert_int_equal(ci_conf_read(NULL, set, 1, &student), CI_OK);
    ci_eval_settings(&student, plain);
    for (size_t i = 0; i < CI_COUNT(of); i++) {
        set[1] = of[i].set;
        assert_int_equal(ci_conf_read(NULL, set, 2, &student), CI_OK);
        ci_eval_settings(&student, now);
        if ((strcmp(plain, now) != 0) != of[i].counts) fail_msg("%s", of[i].set);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(table__says_what_a_person_counts),
    cmocka_unit_test(results_json__has_null_where_there_is_no_number),
    cmocka_unit_test(results_csv__leaves_such_fields_empty),
    cmocka_unit_test(eval__has_a_line_a_folder_and_an_attack),
    cmocka_unit_test(eval__refuses_what_does_not_fit),
    cmocka_unit_test(settings__are_those_that_the_model_came_from),
};

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    ci_test_start(&argc, &argv);
    return ci_test_stop(cmocka_run_group_tests(tests, group_start, group_end));
}
