/* Models, presets and members of a run: what resolves, to which shapes, and what is refused. */
#include "ci_test.h"
#include <string.h>
#include <sys/stat.h>
#include "ci/conf.h"
#include "ci/graph.h"
#include "ci/types.h"

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

static void must_read(const char *file, const char *const *set, size_t n, ci_conf *out)
{
    const ci_rc rc = ci_conf_read(file, set, n, out);
    if (rc != CI_OK) print_error("%s\n", ci_message());
    assert_int_equal(rc, CI_OK);
}

/* The settings of a model, from the files of the repository. */
static void choose(const char *preset, const char *name, const char *scale, const char *auxiliary)
{
    char text[4][64];
    const char *const set[] = {text[0], text[1], text[2], text[3]};

    snprintf(text[0], sizeof text[0], "model.preset=%s", preset);
    snprintf(text[1], sizeof text[1], "model.name=%s", name);
    snprintf(text[2], sizeof text[2], "model.scale=%s", scale);
    snprintf(text[3], sizeof text[3], "model.auxiliary=%s", auxiliary);
    must_read(NULL, set, 4, &c);
}

static const char *const presets[] = {"default", "paper", "g4", "g2", "reference", "agnostic"};
static const char *const names[] = {"gat", "vgae", "dqn"}, *const scales[] = {"small", "large"};
static const char *const auxiliaries[] = {"none", "kd_standard"};

/* Frozen: what is written back is read as the same bytes. */
static void conf_model__resolves_and_freezes_every_combination(void **state)
{
    static ci_conf again;
    (void)state;
    for (size_t i = 0; i < CI_COUNT(presets) * CI_COUNT(names) * 4; i++) {
        char *text;
        choose(presets[i / 12], names[i / 4 % 3], scales[i / 2 % 2], auxiliaries[i % 2]);
        assert_true((c.distill.alpha > 0) == (i % 2 == 1));
        assert_int_equal(c.distill.teacher[0] != 0, i % 2 == 1 && i / 4 % 3 != 2);
        text = ci_conf_yaml(&c, false);
        assert_non_null(text);
        must_read(write_file("frozen.yaml", text), NULL, 0, &again);
        assert_memory_equal(&again, &c, sizeof c);
        free(text);
    }
}

/* ---- shapes: parameters by the formulas of reference-system.md 5.1 ---- */

static int64_t conv(int64_t in, int64_t heads, int64_t out, int64_t edge)
{
    if (out % heads) heads = 1; /* as the source does where heads do not divide */
    if (strcmp(c.model.conv, "gatv1") == 0) return in * out + 3 * out;
    return 2 * (in * out + out) + 2 * out + edge * out;
}

static int64_t edge_columns(void) { return strcmp(c.model.edge_features, "use") == 0 ? 11 : 0; }

static int64_t gat_parameters(int64_t columns)
{
    const int64_t out = (int64_t)c.model.heads * c.model.channels, half = c.model.layers * out / 2;
    int64_t in = columns + c.model.id_dim, n = 0, pooled = c.model.layers * out, hidden;

    if (c.model.project) n += (in + 1) * c.model.project;
    if (c.model.project) in = c.model.project;
    for (int l = 0; l < c.model.layers; l++, in = out) n += conv(in, c.model.heads, out, edge_columns());
    if (strcmp(c.model.jk, "lstm") == 0) {
        n += 8 * half * (out + half + 2) + 2 * half + 1;
        pooled = out;
    }
    hidden = c.model.head_dim ? c.model.head_dim : pooled;
    for (int l = 1; l < c.model.head_layers; l++, pooled = hidden) n += (pooled + 1) * hidden;
    return n + 2 * (pooled + 1);
}

static int64_t vgae_parameters(int64_t columns, int64_t ids)
{
    const int64_t z = c.model.latent, norm = strcmp(c.model.norm, "graph") == 0 ? 3 : 2;
    const bool edges = strcmp(c.model.edge_head, "mlp") == 0, gaussian = strcmp(c.model.neighbour, "gaussian") == 0;
    int64_t in = columns + c.model.id_dim, n = (ids + edges) * c.model.id_dim; /* the newest code has a row for masked nodes */

    for (int l = 0; l < c.model.hidden.n; l++) {
        n += conv(in, l ? c.model.inner_heads : c.model.heads, c.model.hidden.item[l], edge_columns()) + norm * c.model.hidden.item[l];
        in = c.model.hidden.item[l];
    }
    n += 2 * (in + 1) * z;
    in = z;
    for (int l = c.model.hidden.n - 1; l > 0; l--) {
        n += conv(in, c.model.decoder_heads, c.model.hidden.item[l], edge_columns()) + norm * c.model.hidden.item[l];
        in = c.model.hidden.item[l];
    }
    n += conv(in, 1, columns, edge_columns()) + (z + 1) * ids + 2 * (z + 1) * z + (z + 1) * (gaussian ? z : ids);
    return n + (edges ? (2 * z + 1) * z + (z + 1) * 11 : 0);
}

/* GATv2, layer norm, mean | max, both uses of the window. */
static int64_t agnostic_parameters(void)
{
    const ci_feature_set *set = ci_feature_set_of(c.features.set, c.features.past);
    const int64_t out = (int64_t)c.model.heads * c.model.channels, pooled = 2 * c.model.layers * out + out, hidden = c.model.head_dim;
    int64_t n = 0;

    for (int64_t l = 0, in = set->n_node; l < c.model.layers; l++, in = out) n += conv(in, c.model.heads, out, set->n_edge) + 2 * out;
    return n + (set->n_window + 1) * out + (pooled + 1) * hidden + 2 * (hidden + 1) + 2 * set->n_window;
}

static void conf_agnostic__sees_no_identifier(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        choose("agnostic", names[i / 2], scales[i % 2], "none");
        assert_string_equal(c.features.set, "agnostic");
        assert_int_equal(c.model.id_dim, 0);
        assert_true(c.train.unk_drop == 0);
        if (i >= 2) assert_string_equal(c.model.neighbour, "none");
        if (i < 2) assert_int_equal(agnostic_parameters(), i ? 209574 : 41894); /* as the presets say */
    }
}

static void conf_presets__have_the_published_numbers_of_parameters(void **state)
{
    static const struct {
        const char *preset, *name, *scale;
        int64_t ids, want; /* of a gat: without the id table */
    } known[] = {
        {"default", "gat", "small", 0, 105602}, {"g4", "gat", "small", 0, 199107},   {"g4", "gat", "large", 0, 9528323},
        {"g2", "gat", "small", 0, 48962},       {"g2", "gat", "large", 0, 310658},   {"reference", "gat", "small", 0, 48962},
        {"reference", "gat", "large", 0, 310658}, {"g4", "vgae", "small", 64, 50744}, {"g4", "vgae", "large", 64, 156152},
        {"default", "vgae", "small", 64, 50744}, {"default", "vgae", "large", 64, 156152},
        {"g2", "vgae", "small", 30, 9186},      {"g2", "vgae", "small", 2049, 85908}, {"g2", "vgae", "large", 30, 185850},
        {"g2", "vgae", "large", 2049, 448320},  {"reference", "vgae", "small", 30, 9186}, {"reference", "vgae", "large", 30, 185850},
    };
    (void)state;
    for (size_t i = 0; i < CI_COUNT(known); i++) {
        choose(known[i].preset, known[i].name, known[i].scale, "none");
        const int64_t columns = strcmp(c.features.set, "kd35") == 0 ? 35 : 10; /* kd11 less the identifier */
        const int64_t got = strcmp(known[i].name, "gat") == 0 ? gat_parameters(columns) : vgae_parameters(columns, known[i].ids);
        if (got != known[i].want) print_error("%s %s %s\n", known[i].preset, known[i].name, known[i].scale);
        assert_int_equal(got, known[i].want);
    }
    choose("paper", "gat", "large", "none"); /* 2.476 M and 433 K, printed for a table of 598 */
    assert_int_equal((gat_parameters(35) + 598 * 8 + 500) / 1000, 2476);
    choose("paper", "vgae", "large", "none");
    assert_int_equal((vgae_parameters(35, 598) + 500) / 1000, 433);
}

static void conf_reference__is_the_published_protocol(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        choose("reference", names[i / 2], scales[i % 2], "none");
        assert_string_equal(c.features.set, "kd11");
        assert_string_equal(c.features.compat, "reference");
        assert_string_equal(c.data.duplicates, "keep");
        assert_string_equal(c.split.mode, "random");
        assert_string_equal(c.split.allow_leak, "reference");
        assert_true(c.split.share == 0.2);
        assert_string_equal(c.eval.weights, "last");
        if (i < 4) assert_string_equal(c.train.scale, "none");
        if (i < 4) assert_string_equal(c.train.monitor, "loss");
        if (i < 4) assert_int_equal(c.train.epochs, 300);
        if (i < 4) assert_true(c.train.lr == (i < 2 ? (i ? 3e-3 : 1e-3) : 2e-3));
    }
}

/* The file named and --set stand over a preset, a preset over models/. */
static void conf_preset__stands_between_model_and_file(void **state)
{
    const char *const set[] = {"model.preset=g4", "model.heads=2"};
    (void)state;
    must_read(write_file("over.yaml", "model: {channels: 5, heads: 3}\n"), set, 2, &c);
    assert_string_equal(c.model.jk, "lstm");
    assert_int_equal(c.model.head_dim, 0);
    assert_int_equal(c.model.channels, 5);
    assert_int_equal(c.model.heads, 2);
}

/* ---- what is refused ---- */

static void conf_read__refuses_what_cannot_be_together(void **state)
{
    static const struct {
        const char *set[3], *said;
    } bad[] = {
        {{"distill.temperature=0"}, "distill.temperature: 0 is out of range"},
        {{"distill.temperature=-1"}, "distill.temperature: -1 is out of range"},
        {{"distill.alpha=1.01"}, "distill.alpha: 1.01 is out of range"},
        {{"distill.alpha=-0.1"}, "distill.alpha: -0.1 is out of range"},
        {{"model.name=dqn", "distill.alpha=0.5"}, "distill.alpha: 0.5, and a dqn has no teacher"},
        {{"model.scale=large", "run.dir=runs/gat_large", "distill.alpha=0.5"}, "distill.teacher: \"runs/gat_large\" is the model's own folder"},
        {{"model.name=vgae", "train.curriculum=hard"}, "train.curriculum: \"hard\" is for a gat"},
        {{"model.name=dqn", "train.curriculum=momentum"}, "train.curriculum: \"momentum\" is for a gat"},
        {{"train.monitor=max_gap"}, "train.monitor: \"max_gap\" is of reconstruction errors"},
        {{"features.set=agnostic"}, "model.id_dim: 16 columns of an identifier, which features.set agnostic is to do without; write model.preset: agnostic"},
        {{"model.name=vgae", "model.id_dim=0"}, "model.neighbour: \"gaussian\" knows neighbours by their identifiers"},
        {{"model.message_head=mlp"}, "model.message_head: \"mlp\" learns from labels of frames, which features.set kd35 has not"},
        {{"train.population=benign"}, "train.population: \"benign\" leaves a gat no attack"},
        {{"split.mode=random"}, "split.mode: \"random\" puts neighbours"},
        {{"model.name=dqn", "fusion.state=16"}, "fusion.state: 16 is no state"},
        {{"model.name=dqn", "fusion.epsilon=0.1", "fusion.epsilon_end=0.2"}, "fusion.epsilon_end: 0.2 is above"},
        {{"model.name=dqn", "fusion.buffer=10"}, "fusion.batch: 64 windows are more than fusion.buffer|fusion.batch: 128 windows are more than fusion.buffer"},
        {{"train.schedule=cosine", "train.lr_min=1"}, "train.lr_min: 1 is above train.lr, 0.001"},
        {{"train.warmup=101"}, "train.warmup: 101 epochs are more than train.epochs, 100"},
        {{"seeds=[1, 2, 1]"}, "seeds: 1 is in the list twice"},
        {{"models=[gat_small, gat_small]"}, "models: \"gat_small\" is in the list twice"},
        {{"models=[gat_medium]"}, "models: \"gat_medium\" is not known"},
        {{"seeds=[1]", "model.scale=large", "distill.alpha=0.5"}, "distill.teacher: \"runs/run/gat_large/seed_1\" is the model's own folder"},
    };
    (void)state;
    for (size_t i = 0; i < CI_COUNT(bad); i++) {
        size_t n = 0;
        const char *or = strchr(bad[i].said, '|');
        char first[128];
        while (n < 3 && bad[i].set[n]) n++;
        snprintf(first, sizeof first, "%.*s", or ? (int)(or - bad[i].said) : 120, bad[i].said);
        assert_int_equal(ci_conf_read(NULL, bad[i].set, n, &c), CI_ECONF);
        if (!strstr(ci_message(), first) && !(or && strstr(ci_message(), or + 1))) print_error("%s\n%s\n", first, ci_message());
        assert_true(strstr(ci_message(), first) || (or && strstr(ci_message(), or + 1)));
    }
}

static void conf_read__takes_the_ends_of_alpha(void **state)
{
    const char *const none[] = {"distill.alpha=0", "distill.temperature=0.5"}, *const all[] = {"distill.alpha=1"};
    (void)state;
    must_read(NULL, none, 2, &c);
    assert_string_equal(c.distill.teacher, "");
    must_read(NULL, all, 1, &c);
    assert_string_equal(c.distill.teacher, "runs/gat_large");
}

/* ---- members ---- */

static ci_conf *members(const char *file, const char *const *set, size_t n, int32_t want)
{
    ci_conf *m = NULL;
    int32_t got = -1;
    const ci_rc rc = ci_conf_read_all(file, set, n, &c, &m, &got);

    if (rc != CI_OK) print_error("%s\n", ci_message());
    assert_int_equal(rc, CI_OK);
    assert_int_equal(got, want);
    assert_true((m != NULL) == (want > 0));
    return m;
}

static void conf_members__are_models_times_seeds_in_order(void **state)
{
    static const char *const want[] = {"vgae_large/seed_7", "vgae_large/seed_8", "gat_small_kd_standard/seed_7", "gat_small_kd_standard/seed_8",
                                       "dqn_small_kd_standard/seed_7", "dqn_small_kd_standard/seed_8"};
    const char *const file = write_file("members.yaml", "models: [vgae_large, gat_small_kd_standard, dqn_small_kd_standard]\nseeds: [7, 8]\n"
                                                        "run: {dir: runs/x}\ntrain: {batch: 77, curriculum: none}\nmodel: {slope: 0.3}\n");
    ci_conf *m = members(file, NULL, 0, 6);
    (void)state;
    for (int i = 0; i < 6; i++) {
        assert_string_equal(ci_conf_member_name(&c, &m[i]), want[i]);
        assert_int_equal(m[i].models.n + m[i].seeds.n, 0);
        assert_int_equal(m[i].train.seed, 7 + i % 2);
        assert_int_equal(m[i].train.batch, 77); /* the file's settings are every member's ... */
        assert_true(m[i].model.slope == 0.3);
    }
    assert_string_equal(m[1].run.dir, "runs/x/vgae_large/seed_8");
    assert_int_equal(m[0].model.hidden.item[0], 128); /* ... and each has the files of its own model */
    assert_string_equal(m[0].train.population, "benign");
    assert_string_equal(m[2].train.population, "all");
    assert_true(m[0].distill.alpha == 0 && m[2].distill.alpha == 0.7);
    assert_string_equal(m[3].distill.teacher, "runs/x/gat_large/seed_8");
    assert_string_equal(m[4].fusion.vgae, "runs/x/vgae_small_kd_standard/seed_7");
    assert_string_equal(m[5].fusion.gat, "runs/x/gat_small_kd_standard/seed_8");
    free(m);
}

static void conf_members__may_be_models_alone_or_seeds_alone(void **state)
{
    const char *const one[] = {"models=gat_small,vgae_small", "train.curriculum=none"}, *const two[] = {"seeds=[5]", "model.scale=large"};
    const char *const none[] = {"models=[]"}, *const curriculum[] = {"models=gat_large", "train.curriculum=hard"};
    ci_conf *m = members(NULL, one, 2, 2);
    (void)state;
    assert_string_equal(m[1].run.dir, "runs/run/vgae_small");
    assert_int_equal(m[1].train.seed, 42);
    free(m);
    m = members(NULL, two, 2, 1);
    assert_string_equal(m[0].run.dir, "runs/run/gat_large/seed_5");
    assert_int_equal(m[0].train.seed, 5);
    assert_int_equal(m[0].model.channels, 64);
    free(m);
    m = members(NULL, curriculum, 2, 1);
    assert_string_equal(m[0].train.difficulty, "runs/run/vgae_large");
    free(m);
    free(members(NULL, none, 1, 0));
}

/* alpha and a curriculum, said of all, are said of those that have a teacher, and of those that can have one. */
static void conf_members__take_what_their_name_allows(void **state)
{
    const char *const set[] = {"models=[vgae_large, gat_large, gat_small_kd_standard, dqn_small]", "distill.alpha=0.5", "train.curriculum=hard"};
    ci_conf *m = members(NULL, set, 3, 4);
    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_true(m[i].distill.alpha == (i == 2 ? 0.5 : 0));
        assert_string_equal(m[i].train.curriculum, i == 1 || i == 2 ? "hard" : "none");
        assert_int_equal(m[i].train.difficulty[0] != 0, i == 1 || i == 2);
    }
    free(m);
}

/* What is prepared is one for all: a file of a model may not have it another way. */
static void conf_members__share_what_is_prepared(void **state)
{
    static const char *const folder[] = {"cfg", "cfg/models", "cfg/models/gat", "cfg/models/vgae", "cfg/auxiliaries", "cfg/presets", "cfg/presets/g4"};
    const char *const set[] = {"models=[gat_small, vgae_small]"}, *const preset[] = {"model.preset=g4"};
    ci_conf *m = NULL;
    int32_t n = 0;
    (void)state;

    for (size_t i = 0; i < CI_COUNT(folder); i++) mkdir(path_of(folder[i]), 0777);
    write_file("cfg/defaults.yaml", "");
    write_file("cfg/models/gat/small.yaml", "");
    write_file("cfg/models/vgae/small.yaml", "window:\n  frames: 50\n");
    write_file("cfg/auxiliaries/none.yaml", "");
    write_file("cfg/presets/g4/gat_small.yaml", "model:\n  preset: g2\n");
    assert_int_equal(setenv("CANIDS_CONFIG", path_of("cfg"), 1), 0);
    assert_int_equal(ci_conf_read_all(NULL, set, 1, &c, &m, &n), CI_ECONF);
    assert_null(m);
    assert_non_null(strstr(ci_message(), "small.yaml:2:3: window.frames: vgae_small has it otherwise"));
    assert_int_equal(ci_conf_read(NULL, preset, 1, &c), CI_ECONF);
    assert_non_null(strstr(ci_message(), "gat_small.yaml:2:3: model.preset: this file is found by it"));
    assert_int_equal(unsetenv("CANIDS_CONFIG"), 0);
}

static void conf_members__need_room_for_their_folder(void **state)
{
    char text[400] = "run.dir=";
    const char *const set[] = {text, "models=gat_small"};
    (void)state;
    memset(text + 8, 'x', 250);
    assert_int_equal(ci_conf_read(NULL, set, 1, &c), CI_OK);
    assert_int_equal(ci_conf_read(NULL, set, 2, &c), CI_ECONF);
    assert_non_null(strstr(ci_message(), "is too long: the folder of each model has to fit below it"));
}

/* Each model without the injected captures, then with them, and what stands beside it alike; each fold reads the fold of other models. */
static void conf_members__learn_without_and_with_injected_captures(void **state)
{
    static const char *const set[] = {"models=[gat_large, gat_small_kd_standard]", "seeds=[1, 2]", "data.injected=inj", "run.dir=r", "split.folds=capture", "eval.threshold=b998"};
    static const char *const name[] = {"gat_large/seed_1", "gat_large/seed_2", "gat_large_injected/seed_1", "gat_large_injected/seed_2",
                                       "gat_small_kd_standard/seed_1", "gat_small_kd_standard/seed_2", "gat_small_kd_standard_injected/seed_1",
                                       "gat_small_kd_standard_injected/seed_2"};
    static ci_conf fold;
    ci_conf *member = NULL;
    int32_t n = 0;

    (void)state;
    assert_int_equal(ci_conf_read_all(NULL, set, CI_COUNT(set), &c, &member, &n), CI_OK);
    assert_int_equal(n, 8);
    for (int32_t i = 0; i < n; i++) {
        assert_string_equal(ci_conf_member_name(&c, &member[i]), name[i]);
        assert_string_equal(member[i].train.injected, strstr(name[i], "_injected") ? "with" : "without");
    }
    assert_string_equal(member[5].distill.teacher, "r/gat_large/seed_2");
    assert_string_equal(member[7].distill.teacher, "r/gat_large_injected/seed_2");
    assert_true(ci_conf_folded(&member[7]) && ci_conf_fold(&member[7], 3, &fold) && !ci_conf_folded(&fold));
    assert_int_equal(fold.split.fold, 3);
    assert_string_equal(fold.run.dir, "r/gat_small_kd_standard_injected/seed_2/fold_3");
    assert_string_equal(fold.distill.teacher, "r/gat_large_injected/seed_2/fold_3");
    assert_string_equal(fold.fusion.gat, "");
    assert_string_equal(fold.eval.threshold, "auto"); /* b998 with split.fold 3 is refused when it is read */
    free(member);
    assert_int_equal(ci_conf_read_all(NULL, set + 1, CI_COUNT(set) - 1, &c, &member, &n), CI_OK); /* seeds alone: train.injected decides */
    assert_int_equal(n, 2);
    assert_string_equal(member[1].train.injected, "with");
    free(member);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(conf_members__learn_without_and_with_injected_captures),
    cmocka_unit_test(conf_model__resolves_and_freezes_every_combination),
    cmocka_unit_test(conf_agnostic__sees_no_identifier),
    cmocka_unit_test(conf_presets__have_the_published_numbers_of_parameters),
    cmocka_unit_test(conf_reference__is_the_published_protocol),
    cmocka_unit_test(conf_preset__stands_between_model_and_file),
    cmocka_unit_test(conf_read__refuses_what_cannot_be_together),
    cmocka_unit_test(conf_read__takes_the_ends_of_alpha),
    cmocka_unit_test(conf_members__are_models_times_seeds_in_order),
    cmocka_unit_test(conf_members__may_be_models_alone_or_seeds_alone),
    cmocka_unit_test(conf_members__take_what_their_name_allows),
    cmocka_unit_test(conf_members__share_what_is_prepared),
    cmocka_unit_test(conf_members__need_room_for_their_folder),
};
CI_TEST_MAIN(tests)
