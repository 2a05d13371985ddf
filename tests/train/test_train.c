/* RANKS: 1 2 3 */
/* Whole trainings: what they leave, how they go on, and what they leave alone. */
#define CI_TEST_MPI
#include "ci_test.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>

#include "ci/commit.h"
#include "ci/signal.h"
#include "train/train_made.h"

static ci_store *store;
static char sha[CI_SHA256_HEX];
static ci_conf conf;
static char reference[CI_SHA256_HEX], told[4096]; /* weights and metrics of the undisturbed training */

static int group_start(void **state)
{
    (void)state;
    if (small_start()) return 1;
    store = made_store(comm, &small, path_of("train.h5"), sha);
    return 0;
}

static int group_end(void **state)
{
    (void)state;
    ci_store_close(&store);
    return 0;
}

static const char *file_of(const char *name)
{
    static char path[2][CI_PATH_MAX];
    static int k;

    k = !k;
    snprintf(path[k], sizeof path[k], "%s/%s", conf.run.dir, name);
    return path[k];
}

static void weights_of(const char *name, char out[CI_SHA256_HEX], ci_progress *at)
{
    ci_ckpt c = {0};

    assert_int_equal(ci_ckpt_read_all(comm, file_of(name), &c), CI_OK);
    ci_ckpt_weights(&c, out);
    if (at) *at = c.at;
    ci_ckpt_release(&c);
}

/* What metrics.jsonl says of every epoch. */
static void metrics_of(char out[4096])
{
    FILE *f = fopen(file_of("metrics.jsonl"), "r");

    assert_non_null(f);
    out[fread(out, 1, 4095, f)] = 0;
    fclose(f);
}

static int lines(const char *name)
{
    FILE *f = fopen(file_of(name), "r");
    int c, n = 0;

    assert_non_null(f);
    while ((c = fgetc(f)) != EOF) n += c == '\n';
    fclose(f);
    return n;
}

static void train__leaves_checkpoints_and_a_line_an_epoch(void **state)
{
    char best[CI_SHA256_HEX], again[CI_SHA256_HEX];
    ci_progress last, at;

    (void)state;
    small_conf("whole", NULL, &conf);
    assert_int_equal(ci_train(comm, &conf, store, sha, false), CI_OK);
    weights_of("last.h5", reference, &last);
    assert_int_equal(last.epoch, 2);
    assert_int_equal(last.finished, 1);
    assert_int_equal(last.batch, 0);
    assert_int_equal(last.step % 2, 0);
    assert_true(last.threshold > 0 && last.threshold < 1);
    metrics_of(told);
    weights_of("best.h5", best, &at);
    assert_int_equal(at.best_epoch, last.best_epoch);
    assert_true(at.best_value == last.best_value && at.best_loss == last.best_loss);
    if (last.best_epoch == 1) assert_string_equal(best, reference);
    assert_int_equal(lines("metrics.jsonl"), 2);
    assert_int_equal(ci_commit_check(file_of("metrics.jsonl"), NULL), CI_OK);
    assert_int_equal(ci_train(comm, &conf, store, sha, true), CI_OK); /* finished: nothing is done */
    weights_of("last.h5", again, NULL);
    assert_string_equal(again, reference);
    assert_int_equal(lines("metrics.jsonl"), 2);
}

static void train__stopped_by_a_signal_goes_on_to_the_same_weights(void **state)
{
    char got[CI_SHA256_HEX], metrics[4096];
    ci_progress at;
    int rounds = 0;
    ci_rc rc;

    (void)state;
    small_conf("signals", NULL, &conf);
    ci_signal_setup();
    do { /* one step at a time: another rank is told each time */
        if (comm->rank == rounds % comm->size) raise(rounds % 2 ? SIGUSR2 : SIGUSR1);
        rc = ci_train(comm, &conf, store, sha, rounds > 0);
        ci_signal_clear();
        assert_true(rc == CI_ETEMP || rc == CI_OK);
        if (rc == CI_ETEMP) assert_non_null(strstr(ci_message(), "stopped by signal"));
        weights_of("last.h5", got, &at);
        if (rc == CI_ETEMP) assert_int_equal(at.step, rounds + 1);
    } while (rc == CI_ETEMP && ++rounds < 30);
    assert_int_equal(rc, CI_OK);
    assert_true(rounds > 4);
    assert_string_equal(got, reference);
    metrics_of(metrics); /* some stops were between the last step of an epoch and its validation */
    assert_string_equal(metrics, told);
}

static void flip_in(const char *name)
{
    int fd;

    assert_int_equal(ci_comm_barrier(comm, "test.flip"), CI_OK);
    if (comm->rank > 0) return;
    fd = open(file_of(name), O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "\1", 1, 3), 1);
    close(fd);
}

static void train__without_a_checkpoint_of_its_own_begins_anew_or_refuses(void **state)
{
    static const char *const other[] = {"train.lr=0.01", NULL};
    char got[CI_SHA256_HEX], strange[CI_SHA256_HEX];
    ci_progress at;

    (void)state;
    small_conf("resume", NULL, &conf);
    assert_int_equal(ci_train(comm, &conf, store, sha, true), CI_ENOENT);
    assert_non_null(strstr(ci_message(), "--resume"));
    assert_int_equal(ci_train(comm, &conf, store, sha, false), CI_OK);
    small_conf("resume", other, &conf); /* other settings */
    assert_int_equal(ci_train(comm, &conf, store, sha, true), CI_ENOENT);
    assert_int_equal(ci_train(comm, &conf, store, sha, false), CI_OK);
    weights_of("last.h5", got, &at);
    assert_string_not_equal(got, reference);
    memset(strange, 'd', sizeof strange); /* another store */
    strange[CI_SHA256_HEX - 1] = 0;
    assert_int_equal(ci_train(comm, &conf, store, strange, true), CI_ENOENT);
    small_conf("resume", NULL, &conf);
    assert_int_equal(ci_train(comm, &conf, store, sha, false), CI_OK);
    flip_in("last.h5");
    assert_int_equal(ci_train(comm, &conf, store, sha, true), CI_ENOENT);
    assert_int_equal(ci_train(comm, &conf, store, sha, false), CI_OK);
    weights_of("last.h5", got, NULL);
    assert_string_equal(got, reference);
}

static void train__goes_on_to_more_epochs_and_not_back(void **state)
{
    static const char *const one[] = {"train.epochs=1", NULL};
    char got[CI_SHA256_HEX], first[CI_SHA256_HEX];
    ci_progress at;

    (void)state;
    small_conf("epochs", one, &conf);
    assert_int_equal(ci_train(comm, &conf, store, sha, false), CI_OK);
    weights_of("last.h5", first, &at);
    assert_int_equal(at.epoch, 1);
    assert_string_not_equal(first, reference);
    small_conf("epochs", NULL, &conf);
    assert_int_equal(ci_train(comm, &conf, store, sha, true), CI_OK);
    weights_of("last.h5", got, &at);
    assert_int_equal(at.epoch, 2);
    assert_string_equal(got, reference);
    assert_int_equal(lines("metrics.jsonl"), 2);
    small_conf("epochs", one, &conf);
    assert_int_equal(ci_train(comm, &conf, store, sha, true), CI_ENOENT);
    assert_int_equal(ci_train(comm, &conf, store, sha, false), CI_OK);
    weights_of("last.h5", got, &at);
    assert_string_equal(got, first);
}

static void train__begins_anew_when_its_best_checkpoint_or_metrics_are_damaged(void **state)
{
    static const char *const names[] = {"best.h5", "metrics.jsonl"};
    char got[CI_SHA256_HEX];

    (void)state;
    small_conf("damaged", NULL, &conf);
    for (size_t i = 0; i < CI_COUNT(names); i++) {
        assert_int_equal(ci_train(comm, &conf, store, sha, false), CI_OK);
        flip_in(names[i]);
        assert_int_equal(ci_train(comm, &conf, store, sha, true), CI_ENOENT);
        assert_int_equal(ci_train(comm, &conf, store, sha, false), CI_OK);
        weights_of("best.h5", got, NULL);
        weights_of("last.h5", got, NULL);
        assert_string_equal(got, reference);
    }
}

static void train_finished__by_epochs_patience_or_steps(void **state)
{
    static const struct { int64_t epoch, batch, better, step; int want; } cases[] = {
        {0, 0, -1, 0, 0}, {0, 3, -1, 3, 0}, {1, 0, 0, 5, 0}, {4, 0, 3, 20, 1}, {4, 1, 3, 21, -1}, {5, 0, 3, 25, -1}, {3, 2, 1, 17, 0},
        {3, 0, 0, 15, 1}, {3, 1, 0, 16, 0}, {3, 0, 1, 15, 0}, {2, 0, 1, 30, 1}, {2, 0, 1, 29, 0}, {2, 1, 1, 30, 0},
    };
    static const char *const more[] = {"train.epochs=4", "train.patience=2", "train.steps=30", NULL};

    (void)state;
    small_conf("finished", more, &conf);
    for (size_t i = 0; i < CI_COUNT(cases); i++) {
        const ci_progress at = {.epoch = cases[i].epoch, .batch = cases[i].batch, .better_epoch = cases[i].better, .step = cases[i].step};
        if (ci_train_finished(&conf, &at) != cases[i].want) fail_msg("case %zu: %d", i, ci_train_finished(&conf, &at));
    }
}

/* A checkpoint with a weight that cannot be trained: the failure is told, the checkpoint stays. */
static void train__that_is_not_finite_keeps_the_last_checkpoint(void **state)
{
    static const char *const stop[] = {"train.steps=3", NULL};
    char before[CI_SHA256_HEX], after[CI_SHA256_HEX];
    ci_ckpt c = {0};
    struct trainer t;

    (void)state;
    small_conf("numeric", stop, &conf);
    assert_int_equal(ci_train(comm, &conf, store, sha, false), CI_OK);
    assert_int_equal(ci_ckpt_read_all(comm, file_of("last.h5"), &c), CI_OK);
    c.at.finished = 0;
    c.at.step = 2;
    c.at.batch = 2;
    c.at.epoch = 0;
    c.w[c.n - 1] = 3e38f; /* the bias of a class: the logits differ by more than a float holds */
    c.w[c.n - 2] = -3e38f;
    c.w[c.n / 2] = INFINITY;
    assert_int_equal(trainer_init(&t, comm, &conf, store, sha), CI_OK);
    assert_int_equal(ci_agree(comm, "test.write", comm->rank == 0 ? ci_ckpt_write(&c, t.model, file_of("last.h5")) : CI_OK), CI_OK);
    assert_int_equal(ci_sha256_file(file_of("last.h5"), before), CI_OK);
    assert_int_equal(ci_train(comm, &conf, store, sha, true), CI_ENUMERIC);
    if (!strstr(ci_message(), "step 3, rank 0: weights: ")) fail_msg("%s", ci_message());
    assert_int_equal(ci_sha256_file(file_of("last.h5"), after), CI_OK);
    assert_string_equal(before, after);
    assert_int_equal(ci_commit_check(file_of("last.h5"), NULL), CI_OK);
    trainer_release(&t);
    ci_ckpt_release(&c);
}

static uint8_t all_benign(int64_t g)
{
    (void)g;
    return 0;
}

static void train__refuses_one_class(void **state)
{
    made flat = small;
    char other[CI_SHA256_HEX];
    ci_store *st;

    (void)state;
    flat.label = all_benign;
    st = made_store(comm, &flat, path_of("flat.h5"), other);
    small_conf("flat", NULL, &conf);
    assert_int_equal(ci_train(comm, &conf, st, other, false), CI_EDATA);
    assert_non_null(strstr(ci_message(), "both classes are needed"));
    ci_store_close(&st);
}

static void train__says_when_it_cannot_write(void **state)
{
    (void)state;
    small_conf("gone", NULL, &conf);
    if (comm->rank == 0) assert_int_equal(rmdir(conf.run.dir), 0);
    assert_int_equal(ci_train(comm, &conf, store, sha, false), CI_ECREATE);
    assert_non_null(strstr(ci_message(), "gone"));
}

static void train_settings__change_with_what_can_change_a_result(void **state)
{
    static const char *const changes[] = {
        "split.every=4", "split.blocks=6", "model.layers=1", "model.norm=batch", "model.jk=lstm", "vocab.scope=benign", "distill.alpha=0.5",
        "distill.temperature=2", "distill.latent=1", "distill.recon=1", "train.seed=43", "train.batch=25", "train.batch_nodes=900",
        "train.batch_edges=900", "train.shard_rows=65", "train.patience=3", "train.steps=3", "train.scale=robust", "train.loss=ce",
        "train.gamma=1", "train.attack_weight=2", "train.recon=2", "train.id=2", "train.neighbour=2", "train.kl=2", "train.edge=2",
        "train.mask=0.5", "train.monitor=f1", "train.anomaly=recon", "train.optimizer=adamw", "train.lr=0.002", "train.decay=0",
        "train.beta1=0.8", "train.beta2=0.9", "train.eps=1e-7", "train.dropout=0.1", "train.unk_drop=0.1", "train.clip=2",
        "train.schedule=step", "train.warmup=1", "train.lr_min=0.0001", "train.schedule_epochs=3", "train.schedule_gamma=0.5",
        "train.schedule_patience=3", "train.precision=bf16", "train.reduce=fast", "train.curriculum=momentum", "train.curriculum_tau=3"};
    static const char *const same[] = {"train.threads=7", "train.checkpoint_s=1", "train.isa=auto", "train.device=cpu", "train.device_data=stream", "train.device_memory=9", "train.reduce=exact", "train.epochs=9", "train.difficulty=a",
                                       "distill.teacher=b", "distill.cka=3", "run.log=warn", "comm.deadline_s=5", "eval.draws=3"};
    char base[CI_SHA256_HEX], now[CI_SHA256_HEX];

    (void)state;
    small_conf("settings", NULL, &conf);
    ci_train_settings(&conf, base);
    for (size_t i = 0; i < CI_COUNT(changes); i++) {
        const char *const more[] = {changes[i], NULL};
        small_conf("settings", more, &conf);
        ci_train_settings(&conf, now);
        if (strcmp(base, now) == 0) fail_msg("%s", changes[i]);
    }
    for (size_t i = 0; i < CI_COUNT(same); i++) {
        const char *const more[] = {same[i], NULL};
        small_conf("settings", more, &conf);
        ci_train_settings(&conf, now);
        if (strcmp(base, now) != 0) fail_msg("%s", same[i]);
    }
}

/* More epochs go on from fewer, but for schedules and curricula that look at how many there are. */
static void train_settings__have_the_epochs_where_they_decide(void **state)
{
    static const struct { const char *how[2]; int differ; } cases[] = {
        {{"train.schedule=none", "train.warmup=1"}, 0},   {{"train.schedule=plateau", "train.warmup=1"}, 0},
        {{"train.schedule=cosine", "train.warmup=1"}, 1}, {{"train.schedule=cosine", "train.schedule_epochs=3"}, 0},
        {{"train.curriculum=hard", "train.warmup=1"}, 1}, {{"train.curriculum=easy", "train.warmup=1"}, 1},
        {{"train.curriculum=momentum", "train.warmup=1"}, 0},
    };
    char few[CI_SHA256_HEX], many[CI_SHA256_HEX];

    (void)state;
    for (size_t i = 0; i < CI_COUNT(cases); i++) {
        small_conf("settings", (const char *const[]){cases[i].how[0], cases[i].how[1], "train.epochs=4", NULL}, &conf);
        ci_train_settings(&conf, few);
        small_conf("settings", (const char *const[]){cases[i].how[0], cases[i].how[1], "train.epochs=5", NULL}, &conf);
        ci_train_settings(&conf, many);
        if ((strcmp(few, many) != 0) != cases[i].differ) fail_msg("%s %s", cases[i].how[0], cases[i].how[1]);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(train__leaves_checkpoints_and_a_line_an_epoch),
    cmocka_unit_test(train__stopped_by_a_signal_goes_on_to_the_same_weights),
    cmocka_unit_test(train__without_a_checkpoint_of_its_own_begins_anew_or_refuses),
    cmocka_unit_test(train__goes_on_to_more_epochs_and_not_back),
    cmocka_unit_test(train__begins_anew_when_its_best_checkpoint_or_metrics_are_damaged),
    cmocka_unit_test(train_finished__by_epochs_patience_or_steps),
    cmocka_unit_test(train__that_is_not_finite_keeps_the_last_checkpoint),
    cmocka_unit_test(train__refuses_one_class),
    cmocka_unit_test(train__says_when_it_cannot_write),
    cmocka_unit_test(train_settings__change_with_what_can_change_a_result),
    cmocka_unit_test(train_settings__have_the_epochs_where_they_decide),
};

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    ci_test_start(&argc, &argv);
    return ci_test_stop(cmocka_run_group_tests(tests, group_start, group_end));
}
