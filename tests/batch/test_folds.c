/* Captures that are left out together, by hand, and that a split with a fold has nothing of them. */
#include "ci_test.h"

#include "ci/split.h"
#include "store/store_made.h"

enum { C = 8, W = 100 };

static const struct { const char *path; int32_t folder, attack; } capture[C] = {
    {"train_01/Attack_free-KIA-1.csv", 0, 0}, {"train_01/Attack_free-sonata.csv", 0, 0}, {"train_02/DoS-KIA-2.csv", 1, 1},
    {"train_02/Fuzzing-Sonata-b1-c1.csv", 1, 2}, {"train_02/Fuzzing-x.csv", 1, 2},
    {"injected/mixed-KIA-b003-c0001.csv", 2, 19}, {"injected/mixed-sonata-b002-c0007.csv", 2, 19}, {"test_01/DoS-KIA.csv", 3, 1},
};

struct fake {
    ci_store st;
    int32_t capture[C * W];
    int64_t row[C * W];
    uint8_t label[C * W];
    ci_store_capture c[C];
    ci_store_folder f[4];
};

static struct fake *fake_make(void)
{
    struct fake *k = ci_new(1, sizeof *k);

    k->f[2].role = 2;
    k->f[3].role = 1;
    for (int32_t c = 0; c < C; c++) {
        k->c[c] = (ci_store_capture){.folder = capture[c].folder, .attack = capture[c].attack, .first_graph = c * W, .n_graph = W};
        snprintf(k->c[c].path, CI_STORE_TEXT, "%s", capture[c].path);
        snprintf(k->c[c].hash, CI_XXH_HEX, "%032d", c);
        for (int g = c * W; g < (c + 1) * W; g++) {
            k->capture[g] = c;
            k->row[g] = (g - c * W) * 100;
            k->label[g] = capture[c].attack && g % 3 == 0;
        }
    }
    k->st = (ci_store){.set = ci_feature_set_find("kd35"), .head = {.frames = 100, .stride = 100, .n_folder = 4, .n_capture = C, .folder = k->f, .capture = k->c, .n_graph = C * W},
                       .graph_capture = k->capture, .graph_row = k->row, .graph_label = k->label};
    return k;
}

static void conf_make(const char *folds, ci_conf *out)
{
    char by[64];
    const char *set[2] = {by, "data.vehicles=[sonata, kia]"};

    snprintf(by, sizeof by, "split.folds=%s", folds);
    assert_int_equal(ci_conf_read(NULL, set, 2, out), CI_OK);
}

static void folds__are_those_of_a_person(void **state)
{
    static const struct { const char *folds; int32_t n, of[C]; const char *name[5]; } cases[] = {
        {"none", 0, {-1, -1, -1, -1, -1, -1, -1, -1}, {0}},
        {"vehicle", 3, {1, 0, 1, 0, 2, 1, 0, -1}, {"sonata", "kia", "unknown vehicle"}},
        {"capture", 5, {0, 1, 2, 3, 4, 2, 1, -1}, {capture[0].path, capture[1].path, capture[2].path, capture[3].path, capture[4].path}},
        {"attack", 2, {-1, -1, 0, 1, 1, 0, -1, -1}, {"dos", "fuzzing"}},
    };
    struct fake *k = fake_make();
    ci_conf conf;
    ci_folds f;

    (void)state;
    for (size_t i = 0; i < CI_COUNT(cases); i++) {
        conf_make(cases[i].folds, &conf);
        assert_int_equal(ci_folds_find(&k->st, &conf, &f), CI_OK);
        assert_int_equal(f.n, cases[i].n);
        assert_memory_equal(f.of, cases[i].of, sizeof cases[i].of);
        for (int32_t n = 0; n < f.n; n++) assert_string_equal(f.name[n], cases[i].name[n]);
        ci_folds_release(&f);
        ci_folds_release(&f);
    }
    free(k);
}

/* Every window of a training capture is learned from, validates, is embargoed or is left out; those that are left out are whole captures. */
static void split__of_a_fold_has_nothing_of_it(void **state)
{
    static const char *const by[] = {"vehicle", "capture", "attack"};
    struct fake *k = fake_make();
    ci_conf conf;
    ci_folds f;
    ci_split s;

    (void)state;
    for (size_t i = 0; i < CI_COUNT(by) * 2; i++) {
        conf_make(by[i / 2], &conf);
        if (i % 2) strcpy(conf.train.injected, "without");
        assert_int_equal(ci_folds_find(&k->st, &conf, &f), CI_OK);
        assert_true(ci_injected_used(&k->st, &conf) == !(i % 2));
        for (conf.split.fold = -1; conf.split.fold < f.n; conf.split.fold++) {
            const ci_split_conf how = {.blocks = 20, .every = 5, .seed = 2, .conf = &conf};
            int64_t out = 0, seen[C] = {0};

            assert_int_equal(ci_split_make(&k->st, &how, &s), CI_OK);
            for (int64_t g = 0; g < s.n_train; g++) seen[k->capture[s.train[g]]]++;
            for (int64_t g = 0; g < s.n_valid; g++) seen[k->capture[s.valid[g]]]++;
            for (int32_t c = 0; c < C - 1; c++) {
                const bool away = (conf.split.fold >= 0 && f.of[c] == conf.split.fold) || (i % 2 && capture[c].folder == 2);
                assert_int_equal(seen[c], away ? 0 : W - 8); /* four blocks of five validate, a window on each side of each is embargoed */
                out += away ? W : 0;
            }
            assert_int_equal(seen[C - 1], 0);
            assert_int_equal(s.n_out, out);
            assert_int_equal(s.n_train + s.n_valid + s.n_embargo + s.n_out, (C - 1) * W);
            ci_split_release(&s);
        }
        ci_folds_release(&f);
    }
    free(k);
}

static void folds__say_what_is_wrong(void **state)
{
    struct fake *k = fake_make();
    ci_conf conf;
    ci_folds f;
    ci_split s;
    const ci_split_conf how = {.blocks = 20, .every = 5, .seed = 2, .need_attacks = true, .conf = &conf};

    (void)state;
    conf_make("vehicle", &conf);
    conf.split.fold = 3;
    assert_int_equal(ci_split_make(&k->st, &how, &s), CI_ECONF);
    assert_non_null(strstr(ci_message(), "split.fold: 3, and split.folds: vehicle gives 3; write 0 to 2, or -1"));
    conf.split.fold = 1;
    memcpy(k->c[4].hash, k->c[2].hash, CI_XXH_HEX); /* the same bytes in both */
    assert_int_equal(ci_split_make(&k->st, &how, &s), CI_ECONF);
    assert_non_null(strstr(ci_message(), "leak: train_02/Fuzzing-x.csv (training) and train_02/DoS-KIA-2.csv (left out with a fold)"));
    snprintf(k->c[4].hash, CI_XXH_HEX, "%032d", 4);
    for (int g = 0; g < C * W; g++) k->label[g] = k->capture[g] == 2 && g % 3 == 0; /* attacks on kia alone */
    assert_int_equal(ci_split_make(&k->st, &how, &s), CI_EDATA);
    assert_non_null(strstr(ci_message(), "training without fold kia, has"));
    assert_non_null(strstr(ci_message(), "0 of them attacks: both classes are needed"));

    strcpy(k->c[5].path, "injected/mixed-KIA-c0001.csv");
    assert_int_equal(ci_folds_find(&k->st, &conf, &f), CI_EDATA);
    assert_non_null(strstr(ci_message(), "its base is not known"));
    strcpy(k->c[5].path, "injected/mixed-KIA-b006-c0001.csv"); /* there are five */
    assert_int_equal(ci_folds_find(&k->st, &conf, &f), CI_EDATA);
    assert_non_null(strstr(ci_message(), "there is no training capture 6"));
    strcpy(k->c[5].path, "injected/mixed-KIA-b002-c0001.csv");
    assert_int_equal(ci_folds_find(&k->st, &conf, &f), CI_EDATA);
    assert_non_null(strstr(ci_message(), "of vehicle kia, but training capture 2 is train_01/Attack_free-sonata.csv"));

    strcpy(k->c[5].path, capture[5].path);
    conf.data.vehicles.n = 0;
    assert_int_equal(ci_folds_find(&k->st, &conf, &f), CI_ECONF);
    assert_non_null(strstr(ci_message(), "split.folds: vehicle gives 1 fold of the 8 captures, and two are needed"));
    free(k);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(folds__are_those_of_a_person),
    cmocka_unit_test(split__of_a_fold_has_nothing_of_it),
    cmocka_unit_test(folds__say_what_is_wrong),
};

CI_TEST_MAIN(tests)
