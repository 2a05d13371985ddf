/* RANKS: 1 3 */
/* What training refuses, and says: teachers that do not fit, budgets, one class, numbers that are not finite. */
#define CI_TEST_MPI
#include "ci_test.h"

#include <fcntl.h>
#include <math.h>

#include "ci/log.h"
#include "train/train_made.h"

static ci_store *store;
static char sha[CI_SHA256_HEX];
static ci_conf conf;

#define VGAE "model.name=vgae", "model.hidden=[8]", "model.heads=2", "model.latent=5", "model.norm=graph", "model.neighbour=gaussian", \
             "train.population=benign", "train.steps=2", "train.epochs=1"
static const char *const gat[] = {"train.steps=2", "train.epochs=1", NULL};
static const char *const vgae[] = {VGAE, NULL};

static int group_start(void **state)
{
    (void)state;
    if (small_start()) return 1;
    ci_log_setup(comm->rank, comm->size, CI_ERROR);
    store = made_store(comm, &small, path_of("refused.h5"), sha);
    small_conf("gat", gat, &conf);
    if (ci_train(comm, &conf, store, sha, false) != CI_OK) return 1;
    small_conf("vgae", vgae, &conf);
    return ci_train(comm, &conf, store, sha, false) != CI_OK;
}

static int group_end(void **state)
{
    (void)state;
    ci_store_close(&store);
    return 0;
}

/* A training of these settings ends with `want`, and a message with these words in it. */
static void refused(const char *const *more, ci_rc want, const char *says, const char *also)
{
    small_conf("student", more, &conf);
    const ci_rc rc = ci_train(comm, &conf, store, sha, false);
    if (rc != want) fail_msg("%d: %s", rc, rc == CI_OK ? "trained" : ci_message());
    if (!strstr(ci_message(), says) || !strstr(ci_message(), also)) fail_msg("%s", ci_message());
}

static const char *teacher(const char *name)
{
    static char text[2][CI_PATH_MAX + 96];
    static int k;

    k = !k;
    snprintf(text[k], sizeof text[k], "distill.teacher=%s", path_of(name));
    return text[k];
}

enum fault { VOCABULARY, FEATURES, SPLIT, STORE, TENSORS };

/* best.h5 of the run `from`, changed in one thing, in a folder of its own. */
static void copy_with(const char *from, const char *name, enum fault fault)
{
    ci_ckpt c = {0};
    ci_model *m = NULL;
    char path[CI_PATH_MAX];
    ci_lid n;

    assert_int_equal(ci_path_join(path, path_of(from), "best.h5"), CI_OK);
    assert_int_equal(ci_ckpt_read_all(comm, path, &c), CI_OK);
    assert_int_equal(ci_model_create(&c.dim, "generic", &m), CI_OK);
    if (fault == VOCABULARY) c.vocab[3]++;
    if (fault == FEATURES) snprintf(c.set, sizeof c.set, "kd11");
    if (fault == SPLIT) c.split[0] = c.split[0] == 'a' ? 'b' : 'a';
    if (fault == STORE) c.store[0] = c.store[0] == 'a' ? 'b' : 'a';
    char *last = (char *)(uintptr_t)ci_model_params(m, &n)[n - 1].name; /* as a program with another list would write it */
    if (fault == TENSORS) last[0] = last[0] == 'x' ? 'y' : 'x';
    if (comm->rank == 0) assert_int_equal(ci_make_dir(path_of(name)), CI_OK);
    assert_int_equal(ci_path_join(path, path_of(name), "best.h5"), CI_OK);
    assert_int_equal(ci_agree(comm, "test.copy", comm->rank == 0 ? ci_ckpt_write(&c, m, path) : CI_OK), CI_OK);
    ci_model_destroy(&m);
    ci_ckpt_release(&c);
}

static void teacher__missing_or_of_another_kind_is_refused(void **state)
{
    (void)state;
    refused((const char *const[]){"distill.alpha=0.5", NULL}, CI_ENOENT, "gat_large has no best.h5", "train the teacher first");
    refused((const char *const[]){"distill.alpha=0.5", teacher("nowhere"), NULL}, CI_ENOENT, "nowhere", "train the teacher first");
    refused((const char *const[]){"distill.alpha=0.5", teacher("vgae"), NULL}, CI_ECONF, "is a vgae", "no teacher of a gat");
    refused((const char *const[]){VGAE, "distill.alpha=0.5", teacher("gat"), NULL}, CI_ECONF, "is a gat", "no teacher of a vgae");
}

static void teacher__of_other_data_is_refused(void **state)
{
    static const struct { enum fault fault; const char *says, *also; } cases[] = {
        {VOCABULARY, "distill.teacher", "another vocabulary"},
        {FEATURES, "distill.teacher", "kd11"},
        {SPLIT, "another split", "train it again"},
        {STORE, "was trained on store", "train it again"},
    };

    (void)state;
    for (size_t k = 0; k < CI_COUNT(cases); k++) {
        copy_with("gat", "changed", cases[k].fault);
        refused((const char *const[]){"distill.alpha=0.5", teacher("changed"), NULL}, CI_ECONF, cases[k].says, cases[k].also);
        copy_with("vgae", "changed", cases[k].fault);
        refused((const char *const[]){VGAE, "distill.alpha=0.5", teacher("changed"), NULL}, CI_ECONF, cases[k].says, cases[k].also);
    }
}

/* A model that sees no identifiers has no vocabulary that could be another. */
static void teacher__without_identifiers_fits_any_vocabulary(void **state)
{
    ci_ckpt c = {0};
    char path[CI_PATH_MAX];

    (void)state;
    small_conf("blind", (const char *const[]){"model.id_dim=0", "train.steps=2", "train.epochs=1", NULL}, &conf);
    assert_int_equal(ci_train(comm, &conf, store, sha, false), CI_OK);
    assert_int_equal(ci_path_join(path, path_of("blind"), "best.h5"), CI_OK);
    assert_int_equal(ci_ckpt_read_all(comm, path, &c), CI_OK);
    assert_int_equal(c.n_vocab, 0);
    ci_ckpt_release(&c);
    small_conf("taught", (const char *const[]){"distill.alpha=0.5", teacher("blind"), "train.steps=2", "train.epochs=1", NULL}, &conf);
    assert_int_equal(ci_train(comm, &conf, store, sha, false), CI_OK);
}

static void message_head__without_labels_of_frames_is_refused(void **state)
{
    (void)state;
    refused((const char *const[]){"features.set=agnostic", "model.id_dim=0", "model.message_head=mlp", NULL}, CI_ECONF,
            "a store of features kd35 has not", "write none");
}

static void teacher__of_columns_scaled_otherwise_is_refused(void **state)
{
    (void)state;
    refused((const char *const[]){"distill.alpha=0.5", teacher("gat"), "train.scale=robust", NULL}, CI_ECONF, "distill.teacher", "train.scale");
    refused((const char *const[]){VGAE, "distill.alpha=0.5", teacher("vgae"), "train.scale=none", NULL}, CI_ECONF, "distill.teacher",
            "train.scale");
}

static void teacher__whose_tensors_are_not_those_of_its_shapes_is_refused(void **state)
{
    (void)state;
    copy_with("gat", "changed", TENSORS);
    refused((const char *const[]){"distill.alpha=0.5", teacher("changed"), NULL}, CI_EFORMAT, "changed/best.h5", "tensors");
}

static void teacher__that_is_corrupt_is_refused(void **state)
{
    char path[CI_PATH_MAX];

    (void)state;
    copy_with("gat", "corrupt", STORE);
    assert_int_equal(ci_path_join(path, path_of("corrupt"), "best.h5"), CI_OK);
    if (comm->rank == 0) {
        const int fd = open(path, O_RDWR);
        assert_int_equal(pwrite(fd, "\1\2\3", 3, 4096), 3);
        close(fd);
    }
    assert_int_equal(ci_comm_barrier(comm, "test.corrupt"), CI_OK);
    refused((const char *const[]){"distill.alpha=0.5", teacher("corrupt"), NULL}, CI_EFORMAT, "corrupt/best.h5", "");
}

static void curriculum__without_a_vgae_that_fits_is_refused(void **state)
{
    static char text[2][CI_PATH_MAX + 96];

    (void)state;
    snprintf(text[0], sizeof text[0], "train.difficulty=%s", path_of("gat"));
    snprintf(text[1], sizeof text[1], "train.difficulty=%s", path_of("nowhere"));
    refused((const char *const[]){"train.curriculum=hard", NULL}, CI_ENOENT, "vgae_small has no best.h5", "train the vgae first");
    refused((const char *const[]){"train.curriculum=easy", text[0], NULL}, CI_ECONF, "train.difficulty", "is no vgae");
    refused((const char *const[]){"train.curriculum=momentum", text[1], NULL}, CI_ENOENT, "nowhere", "train the vgae first");
}

static void train__refuses_a_graph_larger_than_the_budget(void **state)
{
    (void)state;
    refused((const char *const[]){"train.batch_nodes=3", NULL}, CI_ECONF, "train.batch_nodes 3", "raise them");
    refused((const char *const[]){"train.batch_edges=5", NULL}, CI_ECONF, "train.batch_edges 5", "29 edges");
    refused((const char *const[]){"train.shard_rows=4", NULL}, CI_ECONF, "train.shard_rows: 4", "");
    refused((const char *const[]){VGAE, "train.batch_nodes=3", NULL}, CI_ECONF, "train.batch_nodes 3", "raise them");
}

static uint8_t all_attacks(int64_t g)
{
    (void)g;
    return 1;
}

static uint8_t no_attacks(int64_t g)
{
    (void)g;
    return 0;
}

static void train__of_one_class(void **state)
{
    made flat = small;
    char other[CI_SHA256_HEX];

    (void)state;
    flat.label = all_attacks;
    ci_store *st = made_store(comm, &flat, path_of("attacks.h5"), other);
    small_conf("flat", vgae, &conf);
    assert_int_equal(ci_train(comm, &conf, st, other, false), CI_EDATA);
    if (!strstr(ci_message(), "benign windows are needed")) fail_msg("%s", ci_message());
    ci_store_close(&st);
    flat.label = no_attacks;
    st = made_store(comm, &flat, path_of("benign.h5"), other);
    small_conf("flat", gat, &conf);
    assert_int_equal(ci_train(comm, &conf, st, other, false), CI_EDATA);
    if (!strstr(ci_message(), "both classes are needed")) fail_msg("%s", ci_message());
    ci_store_close(&st);
}

/* A checkpoint with one weight that cannot be trained: tensor, step and rank are told, and the checkpoint stays. */
static void not_finite(const char *name, const char *const *more, const char *tensor)
{
    char before[CI_SHA256_HEX], after[CI_SHA256_HEX], last[CI_PATH_MAX];
    struct trainer t;
    ci_ckpt c = {0};
    ci_lid at = 0;

    small_conf(name, more, &conf);
    if (ci_train(comm, &conf, store, sha, false) != CI_OK) fail_msg("%s", ci_message());
    assert_int_equal(ci_path_join(last, conf.run.dir, "last.h5"), CI_OK);
    assert_int_equal(ci_ckpt_read_all(comm, last, &c), CI_OK);
    assert_int_equal(trainer_init(&t, comm, &conf, store, sha), CI_OK);
    while (strcmp(t.param[at].name, tensor) != 0) assert_true(++at < c.n_tensor);
    c.w[t.param[at].first] = NAN;
    c.at.finished = 0;
    c.at.step = c.at.batch = 1;
    c.at.epoch = 0;
    assert_int_equal(ci_agree(comm, "test.write", comm->rank == 0 ? ci_ckpt_write(&c, t.model, last) : CI_OK), CI_OK);
    assert_int_equal(ci_sha256_file(last, before), CI_OK);
    const ci_rc rc = ci_train(comm, &conf, store, sha, true);
    if (rc != CI_ENUMERIC) fail_msg("%s: %d %s", name, rc, ci_message());
    if (!strstr(ci_message(), "step 2, rank ") || !strstr(ci_message(), tensor)) fail_msg("%s: %s", name, ci_message());
    assert_int_equal(ci_sha256_file(last, after), CI_OK);
    assert_string_equal(before, after);
    trainer_release(&t);
    ci_ckpt_release(&c);
}

static void train__that_is_not_finite_names_tensor_step_and_rank(void **state)
{
    (void)state;
    not_finite("nan_gat", gat, "conv1.att");
    not_finite("nan_gps", (const char *const[]){"model.conv=gps", "train.steps=2", "train.epochs=1", NULL}, "conv1.mlp1.bias");
    not_finite("nan_vgae", vgae, "neigh2.bias"); /* only what the ranks bring to the cut sees this one */
    not_finite("nan_exact", (const char *const[]){VGAE, "model.neighbour=exact", "model.norm=batch", NULL}, "dec0.bias");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(teacher__missing_or_of_another_kind_is_refused),
    cmocka_unit_test(teacher__of_other_data_is_refused),
    cmocka_unit_test(teacher__without_identifiers_fits_any_vocabulary),
    cmocka_unit_test(message_head__without_labels_of_frames_is_refused),
    cmocka_unit_test(teacher__of_columns_scaled_otherwise_is_refused),
    cmocka_unit_test(teacher__whose_tensors_are_not_those_of_its_shapes_is_refused),
    cmocka_unit_test(teacher__that_is_corrupt_is_refused),
    cmocka_unit_test(curriculum__without_a_vgae_that_fits_is_refused),
    cmocka_unit_test(train__refuses_a_graph_larger_than_the_budget),
    cmocka_unit_test(train__of_one_class),
    cmocka_unit_test(train__that_is_not_finite_names_tensor_step_and_rank),
};

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    ci_test_start(&argc, &argv);
    return ci_test_stop(cmocka_run_group_tests(tests, group_start, group_end));
}
