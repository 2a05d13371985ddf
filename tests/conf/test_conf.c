/* Settings: defaults, composition, what is written back, hashes, all errors at once. */
#include "ci_test.h"
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "ci/conf.h"
#include "ci/types.h"
#include "conf/conf_sample.h"

static ci_conf c; /* large; each test fills it anew */

static const char *path_of(const char *name)
{
    static char path[4][1024];
    static int k;
    k = (k + 1) % 4;
    snprintf(path[k], sizeof path[k], "%s/%s", ci_test_tmp(), name);
    return path[k];
}

static const char *write_file(const char *name, const char *text)
{
    const char *path = path_of(name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fputs(text, f) < 0, 0);
    assert_int_equal(fclose(f), 0);
    return path;
}

/* A config folder whose files say nothing but what is given: the table's defaults are left. */
static void use_folder(const char *defaults, const char *model, const char *auxiliary)
{
    static const char *const folder[] = {"cfg", "cfg/models", "cfg/models/gat", "cfg/auxiliaries"};
    for (size_t i = 0; i < CI_COUNT(folder); i++) mkdir(path_of(folder[i]), 0777);
    write_file("cfg/defaults.yaml", defaults);
    write_file("cfg/models/gat/small.yaml", model);
    write_file("cfg/auxiliaries/none.yaml", auxiliary);
    assert_int_equal(setenv("CANIDS_CONFIG", path_of("cfg"), 1), 0);
}

static void use_shipped(void)
{
    assert_int_equal(unsetenv("CANIDS_CONFIG"), 0);
    assert_string_not_equal(ci_conf_folder(), "");
}

static void must_read(const char *file, const char *const *set, size_t n, ci_conf *out)
{
    const ci_rc rc = ci_conf_read(file, set, n, out);
    if (rc != CI_OK) print_error("%s\n", ci_message());
    assert_int_equal(rc, CI_OK);
}

/* DESIGN.md: "Defaults, small GAT", the split, the bootstrap, the shapes. */
static void conf_read__has_the_defaults_of_the_design(void **state)
{
    (void)state;
    use_folder("", "", "");
    must_read(NULL, NULL, 0, &c);
    assert_string_equal(c.pipeline, "scan,build,train,eval");
    assert_string_equal(c.data.root, "data");
    assert_string_equal(c.data.set, "");
    assert_int_equal(c.data.train.n + c.data.test.n + c.data.attack_free.n, 0);
    assert_int_equal(c.data.block, 4 << 20);
    assert_int_equal(c.window.frames, 100);
    assert_int_equal(c.window.stride, 100);
    assert_string_equal(c.features.set, "kd35");
    assert_string_equal(c.features.compat, "none");
    assert_string_equal(c.vocab.scope, "train");
    assert_string_equal(c.contract.policy, "fail");
    assert_int_equal(c.split.blocks, 20);
    assert_int_equal(c.split.every, 5);
    assert_int_equal(c.model.id_dim, 16);
    assert_int_equal(c.model.heads, 4);
    assert_int_equal(c.model.channels, 24);
    assert_int_equal(c.model.layers, 2);
    assert_int_equal(c.model.head_layers, 3);
    assert_int_equal(c.model.head_dim, 192);
    assert_true(c.model.slope == 0.2);
    assert_int_equal(c.train.batch, 256);
    assert_int_equal(c.train.epochs, 100);
    assert_int_equal(c.train.patience, 15);
    assert_true(c.train.lr == 1e-3 && c.train.decay == 1e-4 && c.train.dropout == 0.2);
    assert_true(c.train.gamma == 2 && c.train.unk_drop == 0.05 && c.train.clip == 1);
    assert_true(c.train.beta1 == 0.9 && c.train.beta2 == 0.999 && c.train.eps == 1e-8);
    assert_int_equal(c.eval.draws, 1000);
    assert_int_equal(c.eval.block, 20);
    assert_true(c.comm.deadline_s == 600);
    assert_string_equal(c.inject.kind, "none");
}

static void conf_defaults_yaml__says_what_the_table_says(void **state)
{
    static ci_conf table;
    char *text;
    (void)state;

    use_folder("", "", "");
    must_read(NULL, NULL, 0, &table);
    use_shipped();
    must_read(NULL, NULL, 0, &c);
    assert_memory_equal(&c, &table, sizeof c);
    text = ci_conf_yaml(&c, true); /* and it leaves no setting out */
    assert_non_null(text);
    assert_null(strstr(text, "# table"));
    free(text);
}

static void conf_files__of_the_repository_are_read(void **state)
{
    static const char *const name[] = {"hcrl_sa.yaml", "set_01.yaml", "demo.yaml", "sim_attacks.yaml", "reference/hcrl_sa.yaml"};
    (void)state;
    use_shipped();
    for (size_t i = 0; i < CI_COUNT(name); i++) {
        char path[1200];
        snprintf(path, sizeof path, "%s/%s", ci_conf_folder(), name[i]);
        must_read(path, NULL, 0, &c);
        assert_string_not_equal(c.data.set, "");
    }
}

static void conf_files__name_folders_that_are_there(void **state)
{
    static const char *const name[] = {"hcrl_sa", "set_01"};
    (void)state;
    use_shipped();
    for (size_t i = 0; i < CI_COUNT(name); i++) {
        char path[2048];
        struct stat st;
        snprintf(path, sizeof path, "%s/data/%s", ci_test_shared(), name[i]);
        if (stat(path, &st) != 0) {
            print_message("skip - conf_files__name_folders_that_are_there: no %s\n", path);
            skip();
        }
        snprintf(path, sizeof path, "%s/%s.yaml", ci_conf_folder(), name[i]);
        must_read(path, NULL, 0, &c);
        assert_string_equal(c.data.set, name[i]);
        assert_true(c.data.train.n == 2 && c.data.test.n == (i == 0 ? 4 : 2));
        for (int k = 0; k < c.data.train.n + c.data.test.n; k++) {
            const int t = k - c.data.train.n;
            snprintf(path, sizeof path, "%s/data/%s/%s", ci_test_shared(), name[i],
                     t < 0 ? c.data.train.item[k] : c.data.test.item[t]);
            if (stat(path, &st) != 0) print_error("no %s\n", path);
            assert_int_equal(stat(path, &st), 0);
        }
    }
}

/* ---- composition ---- */

static void conf_read__lets_the_later_layer_win(void **state)
{
    const char *const set[] = {"train.seed=5", "train.seed=6"};
    const char *file;
    (void)state;

    use_folder("train: {seed: 1, batch: 1, epochs: 1, patience: 1, lr: 1}\n",
               "train: {seed: 2, batch: 2, epochs: 2, patience: 2}\n",
               "train: {seed: 3, batch: 3, epochs: 3}\n");
    file = write_file("named.yaml", "train: {seed: 4, batch: 4}\n");
    must_read(file, set, 2, &c);
    assert_int_equal(c.train.seed, 6);
    assert_int_equal(c.train.batch, 4);
    assert_int_equal(c.train.epochs, 3);
    assert_int_equal(c.train.patience, 2);
    assert_true(c.train.lr == 1);
    assert_true(c.train.decay == 1e-4);
}

static void conf_read__replaces_a_list_whole(void **state)
{
    const char *const set[] = {"data.test= c , d"}, *const none[] = {"data.test="};
    const char *file;
    (void)state;

    use_folder("data: {test: [x, y, z]}\n", "", "");
    file = write_file("named.yaml", "data:\n  test: [a]\n");
    must_read(file, NULL, 0, &c);
    assert_int_equal(c.data.test.n, 1);
    assert_string_equal(c.data.test.item[0], "a");
    assert_string_equal(c.data.test.item[1], "");
    must_read(file, set, 1, &c);
    assert_int_equal(c.data.test.n, 2);
    assert_string_equal(c.data.test.item[0], "c");
    assert_string_equal(c.data.test.item[1], "d");
    must_read(file, none, 1, &c);
    assert_int_equal(c.data.test.n, 0);
}

static void conf_read__wants_the_files_of_the_model(void **state)
{
    (void)state;
    use_folder("", "", "");
    assert_int_equal(remove(path_of("cfg/models/gat/small.yaml")), 0);
    assert_int_equal(remove(path_of("cfg/auxiliaries/none.yaml")), 0);
    assert_int_equal(ci_conf_read(NULL, NULL, 0, &c), CI_ECONF);
    assert_non_null(strstr(ci_message(), "cfg/models/gat/small.yaml: is missing; "));
    assert_non_null(strstr(ci_message(), "cfg/auxiliaries/none.yaml: is missing; "));
    assert_int_equal(setenv("CANIDS_CONFIG", path_of("nowhere"), 1), 0);
    assert_int_equal(ci_conf_read(NULL, NULL, 0, &c), CI_ECONF);
    assert_non_null(strstr(ci_message(), "nowhere/defaults.yaml: is missing; "));
}

static void conf_read__refuses_a_model_file_that_names_another_model(void **state)
{
    (void)state;
    use_folder("model: {name: gat}\n", "model:\n  name: gat\n", "model:\n  scale: small\n");
    assert_int_equal(ci_conf_read(NULL, NULL, 0, &c), CI_ECONF);
    assert_non_null(strstr(ci_message(), "small.yaml:2:3: model.name: this file is found by it"));
    assert_non_null(strstr(ci_message(), "none.yaml:2:3: model.scale: this file is found by it"));
    assert_null(strstr(ci_message(), "defaults.yaml"));
}

/* Where no config/ is: a copy of this program far from the repository, started there. */
static const char alone[] = "CANIDS_TEST_ALONE";

__attribute__((constructor)) static void read_alone(void)
{
    if (!getenv(alone)) return;
    if (*ci_conf_folder()) _exit(2);
    _exit(ci_conf_read(NULL, NULL, 0, &c) == CI_OK && c.window.frames == 100 ? 0 : 1);
}

static void conf_read__needs_no_config_folder(void **state)
{
    char command[4096];
    int status;
    (void)state;

    assert_int_equal(unsetenv("CANIDS_CONFIG"), 0);
    snprintf(command, sizeof command,
             "d='%s'/1/2/3/4/5/6/7; mkdir -p \"$d\" && cp /proc/%d/exe \"$d/t\" && cd \"$d\" && "
             "%s=1 ./t",
             ci_test_tmp(), (int)getpid(), alone);
    status = system(command);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 2) {
        print_message("skip - conf_read__needs_no_config_folder: a canids is installed here\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- all errors at once ---- */

static void conf_read__says_all_errors_of_all_sources(void **state)
{
    static const char *const want[] = {
        "cfg/defaults.yaml:1:15: eval.draws: \"x\" is not a whole number",
        "named.yaml:1:1: nonsens: unknown key",
        "named.yaml:3:11: window.frames: 1 is out of range",
        "named.yaml:4:3: window.strid: unknown key; did you mean window.stride?",
        "named.yaml:6:9: model.name: \"lstm\" is not known",
        "named.yaml:8:1: while scanning a quoted scalar: found unexpected end of stream",
        "--set:1: train.lr: 11 is out of range",
        "--set:2: train.sed: unknown key; did you mean train.seed?",
        "--set:3: train.seed: no value; write --set key.path=value",
        "--set:5: window.frames: 0100 has a leading zero",
        "cfg/models/gat/small.yaml:1:16: model.heads: 0 is out of range",
        "cfg/auxiliaries/none.yaml:1:1: wants keys, found a list",
    };
    const char *const set[] = {"train.lr=11", "train.sed=1", "train.seed", "train.seed=1",
                               "window.frames=0100"};
    const char *at, *file;
    size_t lines = 1;
    (void)state;

    use_folder("eval: {draws: x}\n", "model: {heads: 0}\n", "[]\n");
    file = write_file("named.yaml", "nonsens: {a: b}\nwindow:\n  frames: 1\n  strid: 4\nmodel:\n"
                                    "  name: lstm\nrun: \"open\n");
    assert_int_equal(ci_conf_read(file, set, CI_COUNT(set), &c), CI_ECONF);
    for (at = ci_message(); (at = strchr(at, '\n')); at++) lines++;
    for (size_t i = 0; i < CI_COUNT(want); i++) {
        if (!strstr(ci_message(), want[i])) print_error("not said: %s\n", want[i]);
        assert_non_null(strstr(ci_message(), want[i]));
    }
    assert_int_equal(lines, CI_COUNT(want));
}

static void conf_read__counts_errors_that_do_not_fit(void **state)
{
    enum { KEYS = 1000 };
    char text[KEYS * 16] = "";
    const char *at, *tail = NULL;
    long lines = 0, left = -1;
    (void)state;

    use_folder("", "", "");
    for (int i = 0, used = 0; i < KEYS; i++) used += sprintf(text + used, "key%d: 1\n", i);
    assert_int_equal(ci_conf_read(write_file("named.yaml", text), NULL, 0, &c), CI_ECONF);
    for (at = ci_message(); (at = strchr(at, '\n')); at++) {
        lines++;
        tail = at + 1;
    }
    assert_non_null(tail);
    assert_int_equal(sscanf(tail, "... and %ld more errors", &left), 1);
    assert_int_equal(lines + left, KEYS);
    assert_true(lines >= 5); /* how many fit depends on the length of the path */
}

static void conf_read__leaves_out_alone_when_it_fails(void **state)
{
    static ci_conf before;
    const char *const set[] = {"window.frames=7", "window.stride=0"};
    (void)state;
    use_folder("", "", "");
    memset(&c, 0x5A, sizeof c);
    before = c;
    assert_int_equal(ci_conf_read(NULL, set, 2, &c), CI_ECONF);
    assert_memory_equal(&c, &before, sizeof c);
}

/* ---- what is accepted ---- */

static void conf_read__accepts(const char *yaml, size_t n)
{
    const char *path;
    FILE *f;

    use_folder("", "", "");
    path = path_of("good.yaml");
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(yaml, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    must_read(path, NULL, 0, &c);
}
#define ACCEPT(yaml) conf_read__accepts((yaml), sizeof(yaml) - 1)

static void conf_read__accepts_every_form_of_a_text_file(void **state)
{
    (void)state;
    ACCEPT("");
    ACCEPT("\n\n");
    ACCEPT("# only a comment");
    ACCEPT("---\n");
    ACCEPT("--- {}\n...\n");
    ACCEPT("\xEF\xBB\xBF");
    ACCEPT("window:\n  # all left as it is\nrun:\n");
    ACCEPT("%YAML 1.1\n---\nwindow: {frames: 7}\n");
    assert_int_equal(c.window.frames, 7);
    ACCEPT("\xEF\xBB\xBFwindow:\n  frames: 8");
    assert_int_equal(c.window.frames, 8);
    ACCEPT("window:\r\n  frames: 9\r\n");
    assert_int_equal(c.window.frames, 9);
    ACCEPT("window:\r  frames: 10\r");
    assert_int_equal(c.window.frames, 10);
    ACCEPT("\"window\": {'frames': 11}\n");
    assert_int_equal(c.window.frames, 11);
}

static void conf_read__takes_the_type_from_the_table_alone(void **state)
{
    (void)state;
    ACCEPT("data:\n  set: no\n  train: [on, 010, null, ~, 1:30, .nan]\nrun:\n  dir: 1e3\n");
    assert_string_equal(c.data.set, "no");
    assert_string_equal(c.data.train.item[0], "on");
    assert_string_equal(c.data.train.item[1], "010");
    assert_string_equal(c.data.train.item[2], "null");
    assert_string_equal(c.data.train.item[3], "~");
    assert_string_equal(c.data.train.item[4], "1:30");
    assert_string_equal(c.data.train.item[5], ".nan");
    assert_string_equal(c.run.dir, "1e3");
    ACCEPT("run:\n  dir: \"caf\xC3\xA9 \\\"q\\\" \\\\ # x\"\n");
    assert_string_equal(c.run.dir, "caf\xC3\xA9 \"q\" \\ # x");
}

static void conf_read__takes_numbers_to_their_ends(void **state)
{
    (void)state;
    ACCEPT("train: {seed: 2147483647, steps: 1000000000000000, lr: 10, dropout: 0, decay: -0.0}\n");
    assert_int_equal(c.train.seed, INT32_MAX);
    assert_int_equal(c.train.steps, 1000000000000000);
    assert_true(c.train.lr == 10 && c.train.dropout == 0);
    assert_false(__builtin_signbit(c.train.decay));
    ACCEPT("train: {lr: .5, decay: 1., eps: 1E-8, clip: 2.5e+2, dropout: 0.99999999999999989}\n");
    assert_true(c.train.lr == 0.5 && c.train.decay == 1 && c.train.eps == 1e-8);
    assert_true(c.train.clip == 250 && c.train.dropout == 0.99999999999999989);
    ACCEPT("data: {block: 4Ki}\n");
    assert_int_equal(c.data.block, 4096);
    ACCEPT("data: {block: 16Mi}\n");
    assert_int_equal(c.data.block, 16777216);
    ACCEPT("data: {block: 1Gi}\n");
    assert_int_equal(c.data.block, 1073741824);
    ACCEPT("pipeline: \"sim, scan , eval\"\n");
    assert_string_equal(c.pipeline, "sim,scan,eval");
}

static void conf_read__refuses_texts_that_do_not_fit(void **state)
{
    char text[400];
    const char *const set[] = {text};
    (void)state;

    use_folder("", "", "");
    memset(text, 'a', sizeof text);
    memcpy(text, "run.dir=", 8);
    text[8 + CI_TEXT_MAX - 1] = 0;
    must_read(NULL, set, 1, &c);
    assert_int_equal(strlen(c.run.dir), CI_TEXT_MAX - 1);
    text[8 + CI_TEXT_MAX - 1] = 'a';
    text[8 + CI_TEXT_MAX] = 0;
    assert_int_equal(ci_conf_read(NULL, set, 1, &c), CI_ECONF);
    assert_non_null(strstr(ci_message(), "--set:1: run.dir: 256 bytes of text"));
    assert_non_null(strstr(ci_message(), "at most 255 fit"));

    memset(text, 'a', sizeof text);
    memcpy(text, "data.train=", 11);
    text[11 + CI_ITEM_MAX - 1] = 0;
    must_read(NULL, set, 1, &c);
    text[11 + CI_ITEM_MAX - 1] = 'a';
    text[11 + CI_ITEM_MAX] = 0;
    assert_int_equal(ci_conf_read(NULL, set, 1, &c), CI_ECONF);
    assert_non_null(strstr(ci_message(), "--set:1: data.train: 64 bytes of text"));
}

static void conf_read__refuses_lists_that_do_not_fit(void **state)
{
    char text[1000] = "data.test=";
    const char *const set[] = {text};
    (void)state;

    use_folder("", "", "");
    for (int i = 0; i < CI_LIST_MAX; i++) sprintf(text + strlen(text), "%sf%d", i ? "," : "", i);
    must_read(NULL, set, 1, &c);
    assert_int_equal(c.data.test.n, CI_LIST_MAX);
    assert_string_equal(c.data.test.item[CI_LIST_MAX - 1], "f63");
    strcat(text, ",g");
    assert_int_equal(ci_conf_read(NULL, set, 1, &c), CI_ECONF);
    assert_non_null(strstr(ci_message(), "--set:1: data.test: more than 64 items"));
}

/* ---- written back ---- */

static size_t lines_of(const char *text)
{
    size_t n = 0;
    for (; (text = strchr(text, '\n')); text++) n++;
    return n;
}

/* conf_sample.h sets every row to something else than its default; what is written and read
 * again is the same, byte for byte. */
static void conf_yaml__reads_back_as_the_same_bytes(void **state)
{
    static ci_conf again, plain;
    char *text, *before;
    size_t differ = 0;
    (void)state;

    use_folder("", "", "");
    must_read(NULL, NULL, 0, &plain);
    must_read(NULL, conf_sample, CI_COUNT(conf_sample), &c);
    text = ci_conf_yaml(&c, false);
    before = ci_conf_yaml(&plain, false);
    assert_non_null(text);
    assert_non_null(before);
    must_read(write_file("resolved.yaml", text), NULL, 0, &again);
    assert_memory_equal(&again, &c, sizeof c);
    for (const char *a = text, *b = before; *a && *b;
         a = strchr(a, '\n') + 1, b = strchr(b, '\n') + 1) {
        const size_t n = strcspn(a, "#\n"), m = strcspn(b, "#\n");
        differ += n != m || memcmp(a, b, n) != 0;
    }
    /* A choice of which this release has one cannot differ: model. */
    assert_int_equal(differ, CI_COUNT(conf_sample));
    assert_int_equal(lines_of(text), lines_of(before));
    free(text);
    free(before);
}

static void conf_yaml__tells_where_a_value_came_from(void **state)
{
    const char *const set[] = {"run.log=warn", "window.stride=50"};
    const char *file;
    char *text;
    (void)state;

    use_folder("eval:\n  draws: 5\n", "", "");
    file = write_file("named.yaml", "train:\n  epochs: 2\n");
    must_read(file, set, 2, &c);
    text = ci_conf_yaml(&c, true);
    assert_non_null(text);
    assert_non_null(strstr(text, "  stride: 50  # --set:2\n"));
    assert_non_null(strstr(text, "  frames: 100  # table\n"));
    assert_non_null(strstr(text, "named.yaml:2:3\n"));
    assert_non_null(strstr(text, "cfg/defaults.yaml:2:3\n"));
    free(text);
}

/* ---- hashes ---- */

/* The hashes are sha256sum's of the lines in the comments. */
static void conf_hash__is_sha256_of_the_canonical_lines(void **state)
{
    static const struct {
        const char *prefix[2], *want;
    } known[] = {
        /* window.frames=100 window.stride=100 */
        {{"window."}, "cbdad364f4bcc9d0051812c1835a36f230e12295def0a3a322a5426dd0b934c4"},
        /* model.slope=0.20000000000000001 */
        {{"model.slope"}, "248ac52898171fd60bb2915e2a1147b224bead25803600b35bcfc0b8908e4601"},
        /* data.train=a,b */
        {{"data.train"}, "87f621fd9c7e95ecf9c7cf1aa55dcc8ec484c4ea4d870d8fe6784e173c360563"},
        /* pipeline=scan,build,train,eval train.threads=0 */
        {{"train.threads", "pipeline"},
         "436eeab924b4683de91a93a59fa94aed2cbfceb5c83b7f35909fab2479d279d4"},
    };
    const char *const set[] = {"data.train=a, b"};
    (void)state;

    use_folder("", "", "");
    must_read(NULL, set, 1, &c);
    for (size_t k = 0; k < CI_COUNT(known); k++) {
        char hash[CI_SHA256_HEX];
        ci_conf_hash(&c, known[k].prefix, known[k].prefix[1] ? 2 : 1, hash);
        assert_string_equal(hash, known[k].want);
    }
}

static bool changes_no_result(const char *assignment)
{
    static const char *const key[] = {"run.", "comm.", "inject.", "sim.", "train.threads=",
                                      "train.checkpoint_s=", "train.isa=", "train.device"};
    for (size_t i = 0; i < CI_COUNT(key); i++)
        if (strncmp(assignment, key[i], strlen(key[i])) == 0) return true;
    return false;
}

static void conf_hash__changes_with_what_can_change_a_result(void **state)
{
    char plain[CI_SHA256_HEX], hash[CI_SHA256_HEX];
    (void)state;

    use_folder("", "", "");
    must_read(NULL, NULL, 0, &c);
    ci_conf_hash(&c, NULL, 0, plain);
    for (size_t i = 0; i < CI_COUNT(conf_sample); i++) {
        const char *const set[] = {conf_sample[i], "inject.site=here"};
        must_read(NULL, set, 2, &c);
        ci_conf_hash(&c, NULL, 0, hash);
        if ((strcmp(hash, plain) == 0) != changes_no_result(set[0])) print_error("%s\n", set[0]);
        assert_int_equal(strcmp(hash, plain) == 0, changes_no_result(set[0]));
    }
}

static void conf_hash__of_a_section_leaves_out_how_fast_and_where_it_runs(void **state)
{
    const char *const set[] = {"train.threads=3", "train.checkpoint_s=1", "train.isa=generic", "train.device=cpu", "train.device_data=stream", "train.device_memory=9",
                               "train.difficulty=a", "distill.teacher=b", "fusion.vgae=c", "fusion.gat=d"};
    const char *const prefix[] = {"train.", "distill.", "fusion."};
    char plain[CI_SHA256_HEX], hash[CI_SHA256_HEX];
    (void)state;

    use_folder("", "", "");
    must_read(NULL, NULL, 0, &c);
    ci_conf_hash(&c, prefix, 3, plain);
    must_read(NULL, set, CI_COUNT(set), &c);
    ci_conf_hash(&c, prefix, 3, hash);
    assert_string_equal(hash, plain);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(conf_read__has_the_defaults_of_the_design),
    cmocka_unit_test(conf_defaults_yaml__says_what_the_table_says),
    cmocka_unit_test(conf_files__of_the_repository_are_read),
    cmocka_unit_test(conf_files__name_folders_that_are_there),
    cmocka_unit_test(conf_read__lets_the_later_layer_win),
    cmocka_unit_test(conf_read__replaces_a_list_whole),
    cmocka_unit_test(conf_read__wants_the_files_of_the_model),
    cmocka_unit_test(conf_read__refuses_a_model_file_that_names_another_model),
    cmocka_unit_test(conf_read__needs_no_config_folder),
    cmocka_unit_test(conf_read__says_all_errors_of_all_sources),
    cmocka_unit_test(conf_read__counts_errors_that_do_not_fit),
    cmocka_unit_test(conf_read__leaves_out_alone_when_it_fails),
    cmocka_unit_test(conf_read__accepts_every_form_of_a_text_file),
    cmocka_unit_test(conf_read__takes_the_type_from_the_table_alone),
    cmocka_unit_test(conf_read__takes_numbers_to_their_ends),
    cmocka_unit_test(conf_read__refuses_texts_that_do_not_fit),
    cmocka_unit_test(conf_read__refuses_lists_that_do_not_fit),
    cmocka_unit_test(conf_yaml__reads_back_as_the_same_bytes),
    cmocka_unit_test(conf_yaml__tells_where_a_value_came_from),
    cmocka_unit_test(conf_hash__is_sha256_of_the_canonical_lines),
    cmocka_unit_test(conf_hash__changes_with_what_can_change_a_result),
    cmocka_unit_test(conf_hash__of_a_section_leaves_out_how_fast_and_where_it_runs),
};
CI_TEST_MAIN(tests)
