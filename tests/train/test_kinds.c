/* RANKS: 1 */
/* One SHA-256 of the weights for each kind of training: one thread or three, in one go or stopped and taken up again.  Says each
 * as "weights <name> <SHA-256>"; test_ranks.py starts this on more ranks and compares. */
#define CI_TEST_MPI
#include "ci_test.h"

#include <signal.h>

#include "ci/log.h"
#include "ci/signal.h"
#include "ci/ops.h"
#include "train/train_made.h"

enum { SET = 20, STOPS = 1 };

/* @name is the run directory of an earlier one. */
static const struct kind { const char *name; const char *set[SET]; } kinds[] = {
    {"gat", {NULL}},
    {"vgae_g4", {"model.name=vgae", "model.hidden=[16]", "model.heads=4", "model.latent=12", "model.norm=graph", "model.neighbour=gaussian",
                 "model.edge_head=mlp", "train.population=benign", "train.mask=0.15"}},
    {"vgae_g2", {"model.name=vgae", "model.conv=gatv1", "model.edge_features=ignore", "model.hidden=[16, 8]", "model.heads=1",
                 "model.latent=6", "model.norm=batch", "model.output=sigmoid", "model.neighbour=exact", "model.edge_head=none", "train.mask=0",
                 "train.recon=0.001"}},
    {"gps", {"model.conv=gps"}},
    {"transformer", {"model.conv=transformer", "model.norm=layer", "model.pool=attention"}},
    {"lstm", {"model.jk=lstm", "model.id_encoding=hash", "model.id_buckets=7", "model.norm=batch"}},
    {"taught", {"distill.teacher=@gat", "distill.alpha=0.7", "model.layers=1"}},
    {"taught_batch", {"distill.teacher=@gat", "distill.alpha=0.7", "model.layers=2", "model.norm=batch"}},
    {"vgae_taught", {"model.name=vgae", "model.hidden=[8]", "model.heads=2", "model.latent=5", "model.norm=graph", "model.neighbour=gaussian",
                     "train.population=benign", "distill.teacher=@vgae_g4", "distill.alpha=0.7"}},
    {"hard", {"train.curriculum=hard", "train.difficulty=@vgae_g4"}},
    {"easy", {"train.curriculum=easy", "train.difficulty=@vgae_g4", "model.norm=batch"}},
    {"momentum", {"train.curriculum=momentum", "train.difficulty=@vgae_g4", "train.curriculum_tau=2"}},
    {"cosine", {"train.schedule=cosine", "train.warmup=1", "train.optimizer=adamw", "train.batch_nodes=150", "train.loss=weighted_ce"}},
    {"plateau", {"train.schedule=plateau", "train.schedule_patience=0", "train.monitor=f1", "train.batch_edges=400"}},
    {"agnostic", {"features.set=agnostic", "model.id_dim=0", "model.window=both", "model.pool=meanmax", "model.norm=batch",
                  "model.message_head=mlp", "train.group_drop=0.3"}},
    {"bf16", {"train.precision=bf16"}},
    {"bf16_vgae", {"model.name=vgae", "train.precision=bf16"}},
};

static ci_store *stores[2]; /* the second one of windows against their past */
static char shas[2][CI_SHA256_HEX];
static ci_conf conf;

static int group_start(void **state)
{
    (void)state;
    if (small_start()) return 1;
    ci_log_setup(comm->rank, comm->size, CI_ERROR);
    ci_signal_setup();
    made streamed = small;
    streamed.past = "run";
    streamed.layout = CI_FLOAT32;
    stores[0] = made_store(comm, &small, path_of("kinds.h5"), shas[0]);
    stores[1] = made_store(comm, &streamed, path_of("streamed.h5"), shas[1]);
    return 0;
}

static int group_end(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) ci_store_close(&stores[k]);
    return 0;
}

static void settle(const struct kind *k, const char *how, int threads)
{
    static char text[SET + 1][CI_PATH_MAX + 96];
    const char *more[SET + 2] = {NULL};
    char name[64];
    int n = 0;

    for (; k->set[n]; n++) {
        const char *at = strchr(k->set[n], '@');
        if (at) snprintf(text[n], sizeof text[n], "%.*s%s", (int)(at - k->set[n]), k->set[n], path_of(at + 1));
        else snprintf(text[n], sizeof text[n], "%s", k->set[n]);
        more[n] = text[n];
    }
    snprintf(text[n], sizeof text[n], "train.threads=%d", threads);
    more[n] = text[n];
    snprintf(name, sizeof name, "%s%s", k->name, how);
    small_conf(name, more, &conf);
}

static void weights_of(char out[CI_SHA256_HEX], int64_t *out_step)
{
    char path[CI_PATH_MAX];
    ci_ckpt c = {0};

    assert_int_equal(ci_path_join(path, conf.run.dir, "last.h5"), CI_OK);
    assert_int_equal(ci_ckpt_read_all(comm, path, &c), CI_OK);
    ci_ckpt_weights(&c, out);
    for (ci_gid i = 0; i < c.n_state; i++) assert_true(c.state[i] == c.state[i]);
    *out_step = c.at.step;
    ci_ckpt_release(&c);
}

static void train(int stops)
{
    const int streamed = strcmp(conf.features.set, "agnostic") == 0;
    ci_rc rc;

    for (int k = 0;; k++) {
        if (k < stops && comm->rank == k % comm->size) raise(SIGUSR1);
        rc = ci_train(comm, &conf, stores[streamed], shas[streamed], k > 0);
        ci_signal_clear();
        if (rc != CI_ETEMP) break;
        assert_true(k < stops);
    }
    if (rc != CI_OK) fail_msg("%s: %s", conf.run.dir, ci_message());
}

static void one_kind(void **state)
{
    const struct kind *k = *state;
    char stopped[CI_SHA256_HEX], whole[CI_SHA256_HEX];
    int64_t steps;

    if (!strncmp(k->name, "bf16", 4) && !ci_ops_get("bf16")) {
        print_message("skip - train__%s_has_one_hash_of_weights: this processor has no AVX512-BF16\n", k->name);
        skip();
    }
    settle(k, "", comm->size % 2 ? 3 : 1); /* stopped, on 3 or 1 threads: what others are taught by, too */
    train(STOPS);
    weights_of(stopped, &steps);
    assert_true(steps > STOPS);
    if (comm->rank == 0) printf("weights %s %s\n", k->name, stopped);
    for (int threads = 1; threads <= 3 && comm->size == 1 && !getenv("CANIDS_TEST_ONCE"); threads += 2) {
        settle(k, threads == 1 ? "_one" : "_three", threads);
        train(0);
        weights_of(whole, &steps);
        assert_string_equal(whole, stopped);
    }
}

int main(int argc, char **argv)
{
    static struct CMUnitTest tests[CI_COUNT(kinds)];
    static char name[CI_COUNT(kinds)][64];

    setvbuf(stdout, NULL, _IOLBF, 0);
    ci_test_start(&argc, &argv);
    for (size_t k = 0; k < CI_COUNT(kinds); k++) {
        snprintf(name[k], sizeof name[k], "train__%s_has_one_hash_of_weights", kinds[k].name);
        tests[k] = (struct CMUnitTest){name[k], one_kind, NULL, NULL, (void *)(uintptr_t)&kinds[k]};
    }
    return ci_test_stop(_cmocka_run_group_tests("kinds", tests, CI_COUNT(kinds), group_start, group_end));
}
