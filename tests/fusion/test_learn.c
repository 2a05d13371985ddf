/* RANKS: 1 3 */
/* Every method learns, goes on where it stopped, and leaves what it says. */
#define CI_TEST_MPI
#include <signal.h>
#include <unistd.h>
#include "fusion/made.h"
#include "ci/commit.h"
#include "ci/json.h"
#include "ci/metric.h"
#include "ci/signal.h"

enum { N_TRAIN = 600, N_VALID = 300 };
static float train[N_TRAIN * 15], valid[N_VALID * 15];
static uint8_t train_label[N_TRAIN], valid_label[N_VALID];
static const ci_fusion_data data = {N_TRAIN, N_VALID, train, valid, train_label, valid_label};
static const ci_comm *comm;
static char folder[CI_PATH_MAX];

/** Settings of a run directory of its own; `more` ends with NULL. */
static void conf_of(const char *name, const char *method, const char *const *more, ci_conf *out)
{
    char dir[CI_PATH_MAX + 64], what[64];
    const char *set[32] = {dir, what, "model.name=dqn", "run.log=error", "fusion.hidden=32", "fusion.layers=2", "fusion.episodes=3",
                           "fusion.sample=512", "fusion.buffer=500", "fusion.batch=32", "train.isa=generic"};
    size_t n = 11;

    snprintf(dir, sizeof dir, "run.dir=%s/%s_%s", folder, name, method);
    snprintf(what, sizeof what, "fusion.method=%s", method);
    while (more && *more && n < CI_COUNT(set)) set[n++] = *more++;
    assert_int_equal(ci_conf_read(NULL, set, n, out), CI_OK);
    assert_int_equal(ci_agree(comm, "test.dir", comm->rank == 0 ? ci_make_dir(out->run.dir) : CI_OK), CI_OK);
}

/** A model with its scale, on rank 0. */
static ci_fusion *model(const ci_conf *conf)
{
    ci_fusion *f = NULL;
    ci_fusion_shape shape;

    if (comm->rank > 0) return NULL;
    ci_fusion_shape_of(conf, &shape);
    assert_int_equal(ci_fusion_create(&shape, conf->fusion.buffer, conf->train.isa, &f), CI_OK);
    assert_int_equal(ci_fusion_standard(train, N_TRAIN, &f->scale), CI_OK);
    ci_fusion_settings(conf, f->of.settings);
    strcpy(f->of.gat_dir, "../gat");
    ci_fusion_init(f, (uint32_t)conf->train.seed);
    return f;
}

static const char *path_of(const ci_conf *conf, const char *name)
{
    static char path[4][CI_PATH_MAX];
    static int k;

    k = (k + 1) % 4;
    assert_int_equal(ci_path_join(path[k], conf->run.dir, name), CI_OK);
    return path[k];
}

static ci_rc learn(const ci_conf *conf, bool must)
{
    ci_fusion *f = model(conf);
    const ci_rc rc = ci_fusion_learn(comm, conf, NULL, &data, f, must);

    ci_fusion_destroy(&f);
    return rc;
}

/** AUROC of a validation column alone. */
static double alone(int column)
{
    double score[N_VALID], out = 0;

    for (int i = 0; i < N_VALID; i++) score[i] = (double)valid[15 * i + column];
    assert_int_equal(ci_auroc(score, valid_label, N_VALID, &out), CI_OK);
    return out;
}

/** A weight that fits the window tells them all; each input alone is no better than chance.
 *  linucb is linear in features that nothing has trained; the same in numpy reaches .88, with all rewards known .89. */
static void learn__each_method_beats_either_input(void **none)
{
    (void)none;
    static const char *const more[] = {"fusion.lr=0.01", "fusion.episodes=5", "fusion.sample=1024", NULL};
    static const struct { const char *name; double least; } method[] = {{"dqn", .97}, {"linucb", .8}, {"mlp", .97}, {"moe", .97}};
    const double either = fmax(alone(0), alone(9));

    assert_true(either < .6);
    for (size_t i = 0; i < CI_COUNT(method); i++) {
        ci_conf conf;
        ci_fusion *best = NULL;
        double score[N_VALID], auroc = 0, j = 0, threshold = 0;
        conf_of("learns", method[i].name, more, &conf);
        assert_int_equal(learn(&conf, false), CI_OK);
        if (comm->rank > 0) continue;
        assert_int_equal(ci_fusion_read(path_of(&conf, "best.h5"), "auto", &best), CI_OK);
        assert_int_equal(ci_fusion_score(best, valid, N_VALID, score, NULL, NULL), CI_OK);
        assert_int_equal(ci_auroc(score, valid_label, N_VALID, &auroc), CI_OK);
        assert_int_equal(ci_youden(score, valid_label, N_VALID, &threshold, &j), CI_OK);
        if (!(auroc >= method[i].least)) fail_msg("%s: AUROC %.4f; either input %.4f", method[i].name, auroc, either);
        assert_true(auroc == best->at.best_auroc && threshold == best->at.threshold && j == best->at.best_j);
        ci_fusion_destroy(&best);
    }
}

/** One weight cannot follow the windows.  It tells attacks that either model sees, and goes to the model that is worth more. */
static void average__finds_the_better_input(void **none)
{
    (void)none;
    static const char *const more[] = {"fusion.lr=0.01", "fusion.episodes=2", NULL};
    static float easy[N_TRAIN * 15];
    static uint8_t label[N_TRAIN];
    const ci_fusion_data both = {N_TRAIN, N_TRAIN, easy, easy, label, label};

    for (int blind = -1; blind < 2; blind++) { /* none of the models, the vgae, the gat */
        ci_conf conf;
        ci_fusion *f;
        made_windows(3, 0, N_TRAIN, easy, label);
        for (int i = 0; i < N_TRAIN && blind >= 0; i++) {
            easy[15 * i + (blind ? 9 : 7)] = .5f;
            label[i] = blind ? easy[15 * i] > 1 : easy[15 * i + 9] > .5f;
        }
        conf_of(blind < 0 ? "both" : blind ? "vgae" : "gat", "average", more, &conf);
        f = model(&conf);
        assert_int_equal(ci_fusion_learn(comm, &conf, NULL, &both, f, false), CI_OK);
        if (f && blind < 0) assert_true(f->at.best_auroc > .99);
        if (f && blind >= 0) assert_true(blind ? f->w[0] < -.5f : f->w[0] > .5f);
        ci_fusion_destroy(&f);
    }
}

/** The source document's smoke test: a buffer of 500, hidden layers of 64, 100 experiences, 10 steps. */
static void dqn__has_finite_losses_over_ten_steps(void **none)
{
    (void)none;
    static const char *const more[] = {"fusion.hidden=64", "fusion.sample=100", "fusion.steps=2", "fusion.episodes=5", "fusion.gamma=0.99",
                                       "fusion.dropout=0.2", "fusion.reward=legacy", NULL};
    ci_conf conf;
    ci_json *j = NULL;
    FILE *in;
    char line[1024];
    int n = 0;

    conf_of("smoke", "dqn", more, &conf);
    assert_int_equal(learn(&conf, false), CI_OK);
    if (comm->rank > 0) return;
    in = fopen(path_of(&conf, "metrics.jsonl"), "r");
    assert_non_null(in);
    for (; fgets(line, sizeof line, in); n++) {
        assert_int_equal(ci_commit_bytes(path_of(&conf, "line.json"), line, strlen(line)), CI_OK);
        assert_int_equal(ci_json_load(path_of(&conf, "line.json"), &j), CI_OK);
        assert_int_equal(ci_json_get_int(j, "epoch"), n);
        assert_int_equal(ci_json_get_int(j, "step"), 2 * n + 2);
        assert_true(isfinite(ci_json_get_num(j, "loss")) && ci_json_get_num(j, "loss") > 0);
        assert_true(isfinite(ci_json_get_num(j, "reward")));
        ci_json_free(&j);
    }
    assert_int_equal(n, 5);
    fclose(in);
}

/** Every reward is 1.5 (benign windows of low scores), so that Q is 1.5 / (1 - gamma), roughly: it is learned
 *  from itself. */
static void dqn__is_worth_the_discounted_sum(void **none)
{
    (void)none;
    static float calm[N_TRAIN * 15], q[N_TRAIN * 21];
    static double score[N_TRAIN];
    static uint8_t benign[N_TRAIN];
    static const struct { const char *gamma; double worth; } of[] = {{"fusion.gamma=0", 1.5}, {"fusion.gamma=0.9", 15}};
    const ci_fusion_data calm_data = {N_TRAIN, N_VALID, calm, valid, benign, valid_label};

    made_windows(5, 0, N_TRAIN, calm, benign);
    for (int i = 0; i < N_TRAIN; i++) {
        calm[15 * i] = calm[15 * i + 1] = calm[15 * i + 2] = .1f;
        calm[15 * i + 9] = .2f;
        benign[i] = 0;
    }
    for (size_t i = 0; i < CI_COUNT(of); i++) {
        const char *const more[] = {of[i].gamma, "fusion.lr=0.01", "fusion.steps=300", "fusion.hidden=16", "fusion.target=0.9", NULL};
        double mean = 0;
        ci_conf conf;
        ci_fusion *f;
        conf_of(i ? "worth" : "bandit", "dqn", more, &conf);
        f = model(&conf);
        if (f) assert_int_equal(ci_fusion_standard(calm, N_TRAIN, &f->scale), CI_OK);
        assert_int_equal(ci_fusion_learn(comm, &conf, NULL, &calm_data, f, false), CI_OK);
        if (!f) continue;
        assert_int_equal(ci_fusion_score(f, calm, N_TRAIN, score, NULL, q), CI_OK);
        for (int k = 0; k < N_TRAIN * 21; k++) mean += (double)q[k] / (N_TRAIN * 21);
        if (!(fabs(mean - of[i].worth) <= .2 * of[i].worth)) fail_msg("%s: Q is %g, not %g", of[i].gamma, mean, of[i].worth);
        ci_fusion_destroy(&f);
    }
}

/** From 1 to 0 over three episodes in which the network hardly changes: 1 of 21, about half, all actions are the best. */
static void dqn__explores_less_and_less(void **none)
{
    (void)none;
    static const char *const more[] = {"fusion.epsilon=1", "fusion.epsilon_end=0", "fusion.lr=1e-9", "fusion.steps=1", "fusion.sample=2000",
                                       "fusion.buffer=6000", NULL};
    static float alpha[N_TRAIN];
    static double score[N_TRAIN], share[3];
    ci_conf conf;
    ci_fusion *f;

    conf_of("explores", "dqn", more, &conf);
    f = model(&conf);
    assert_int_equal(ci_fusion_learn(comm, &conf, NULL, &data, f, false), CI_OK);
    if (!f) return;
    assert_int_equal(ci_fusion_score(f, train, N_TRAIN, score, alpha, NULL), CI_OK);
    for (int i = 0; i < 6000; i++)
        share[i / 2000] += fabsf(alpha_of(f, f->past_action[i]) - alpha[f->past_state[i]]) < 1e-6f ? 1. / 2000 : 0;
    assert_true(fabs(share[0] - 1. / 21) < .02 && fabs(share[1] - .5 - .5 / 21) < .05 && share[2] > .99);
    ci_fusion_destroy(&f);
}

/** Of arms that began anew before the last two episodes: each of their 128 samples takes at most 1 from the trace of an inverse. */
static void ridges_check(const ci_conf *conf)
{
    ci_fusion *f = NULL;
    double trace = 0;

    assert_int_equal(ci_fusion_read(path_of(conf, "last.h5"), "auto", &f), CI_OK);
    for (int i = 0; i < 21 * 16; i++) trace += f->inverse[i * 16 + i % 16];
    if (!(trace >= 21 * 16 - 128 && trace < 21 * 16 - 4)) fail_msg("trace %g of %d", trace, 21 * 16);
    ci_fusion_destroy(&f);
}

/** Stopped by signals after its first episodes, of which every other one validates, and gone on: the same bytes as
 *  without a stop.  linucb makes its features anew twice on the way. */
static void learn__goes_on_bit_for_bit(void **none)
{
    (void)none;
    static const char *const method[] = {"linucb", "dqn", "mlp", "moe", "average"};
    static const char *const file[] = {"best.h5", "last.h5", "metrics.jsonl"};

    for (size_t i = 0; i < CI_COUNT(method); i++) {
        const char *const more[] = {i < 1 ? "fusion.episodes=102" : "fusion.episodes=3", "fusion.dropout=0.1", "fusion.sample=64",
                                    "fusion.steps=2", "fusion.batch=200", "fusion.hidden=16", NULL};
        ci_conf whole, cut;
        char sha[2][CI_SHA256_HEX];
        conf_of("whole", method[i], more, &whole);
        conf_of("cut", method[i], more, &cut);
        assert_int_equal(learn(&whole, false), CI_OK);
        for (int stop = 0; stop < 2; stop++) {
            if (comm->rank == stop % comm->size) raise(SIGUSR1);
            assert_int_equal(learn(&cut, stop > 0), CI_ETEMP);
            assert_non_null(strstr(ci_message(), "stopped by signal"));
            ci_signal_clear();
        }
        assert_int_equal(learn(&cut, true), CI_OK);
        for (size_t k = 0; k < CI_COUNT(file) && comm->rank == 0; k++) {
            assert_int_equal(ci_commit_check(path_of(&whole, file[k]), sha[0]), CI_OK);
            assert_int_equal(ci_commit_check(path_of(&cut, file[k]), sha[1]), CI_OK);
            if (strcmp(sha[0], sha[1]) != 0) fail_msg("%s: %s differs", method[i], file[k]);
        }
        if (i == 0 && comm->rank == 0) ridges_check(&cut);
        assert_int_equal(learn(&cut, true), CI_OK); /* nothing left to do */
    }
}

/** Other settings, another gat, a damaged file: begun anew, or with --resume refused. */
static void learn__does_not_go_on_from_what_is_another(void **none)
{
    (void)none;
    static const char *const short_[] = {"fusion.episodes=2", "fusion.sample=64", "fusion.steps=1", NULL};
    static const char *const other[] = {"fusion.episodes=2", "fusion.sample=64", "fusion.steps=1", "fusion.lr=0.002", NULL};
    static const char *const rounded[] = {"fusion.episodes=2", "fusion.sample=64", "fusion.steps=1", "train.precision=bf16", NULL};
    ci_conf conf;
    ci_fusion *f = NULL;

    conf_of("another", "dqn", short_, &conf);
    assert_int_equal(learn(&conf, true), CI_ENOENT);
    assert_int_equal(learn(&conf, false), CI_OK);
    conf_of("another", "dqn", other, &conf);
    assert_int_equal(learn(&conf, true), CI_ENOENT);
    assert_non_null(strstr(ci_message(), "no checkpoint of these settings"));
    conf_of("another", "dqn", rounded, &conf);
    assert_int_equal(learn(&conf, true), CI_ENOENT);
    conf_of("another", "dqn", short_, &conf);
    f = model(&conf);
    if (f) strcpy(f->of.gat, "another");
    assert_int_equal(ci_fusion_learn(comm, &conf, NULL, &data, f, true), CI_ENOENT);
    ci_fusion_destroy(&f);
    if (comm->rank == 0) {
        FILE *last = fopen(path_of(&conf, "last.h5"), "r+");
        assert_non_null(last);
        fseek(last, 4000, SEEK_SET);
        fputs("damage", last);
        fclose(last);
        assert_int_equal(ci_fusion_read(path_of(&conf, "last.h5"), "auto", &f), CI_EFORMAT);
    }
    assert_int_equal(learn(&conf, true), CI_ENOENT);
    assert_int_equal(learn(&conf, false), CI_OK);
}

/** What is not finite ends learning; the last checkpoint stays and says where. */
static void learn__stops_where_a_loss_is_not_finite(void **none)
{
    (void)none;
    static const char *const method[] = {"dqn", "linucb", "mlp", "moe", "average"};

    for (size_t i = 0; i < CI_COUNT(method); i++) {
        ci_conf conf;
        ci_fusion *f;
        conf_of("numeric", method[i], NULL, &conf);
        f = model(&conf);
        if (f && i == 1) f->b[0] = NAN; /* its backbone's ReLU would swallow it */
        else if (f) f->w[0] = NAN;
        assert_int_equal(ci_fusion_learn(comm, &conf, NULL, &data, f, false), CI_ENUMERIC);
        assert_non_null(strstr(ci_message(), i == 1 ? "window" : "episode 1, step 1"));
        ci_fusion_destroy(&f);
    }
}

/** The policy is what decides: its largest column is the weight, and the weight makes the score. */
static void score__follows_from_its_policy(void **none)
{
    (void)none;
    static const char *const more[] = {"fusion.episodes=3", NULL};
    ci_conf conf;
    ci_fusion *f = NULL;
    static float alpha[N_VALID], policy[N_VALID * 21];
    static double score[N_VALID];
    static ci_fusion_fact fact[N_VALID];

    conf_of("policy", "dqn", more, &conf);
    assert_int_equal(learn(&conf, false), CI_OK);
    if (comm->rank > 0) return;
    assert_int_equal(ci_fusion_read(path_of(&conf, "last.h5"), "auto", &f), CI_OK);
    assert_int_equal(ci_fusion_policy_cols(f), 21);
    assert_true(f->at.loss_n == 0 && f->at.loss_sum == 0 && f->at.reward_n == 0 && f->at.reward_sum == 0); /* told at each validation */
    assert_int_equal(ci_fusion_score(f, valid, N_VALID, score, alpha, policy), CI_OK);
    ci_fusion_facts(&f->scale, valid, N_VALID, fact);
    for (int i = 0; i < N_VALID; i++) {
        int best = 0;
        for (int a = 1; a < 21; a++)
            if (policy[i * 21 + a] > policy[i * 21 + best]) best = a;
        assert_true(fabsf(alpha[i] - (float)best / 20) < 1e-6f);
        assert_true(fabs(score[i] - (double)((1 - alpha[i]) * fact[i].anomaly + alpha[i] * fact[i].attack)) < 1e-6);
    }
    ci_fusion_destroy(&f);
}

/** Gates and weights whose sum rounds to more than 1, and models that are both sure. */
static void score__is_a_probability_where_all_agree(void **none)
{
    (void)none;
    static const char *const method[] = {"dqn", "moe", "average"};
    static float sure[N_VALID * 15];
    static double score[N_VALID];
    double least = 1, most = 0;

    memcpy(sure, valid, sizeof sure);
    for (int i = 0; i < N_VALID; i++) {
        sure[15 * i] = 1e9f;
        sure[15 * i + 7] = 0;
        sure[15 * i + 9] = 1;
    }
    for (size_t m = 0; m < CI_COUNT(method); m++) {
        ci_conf conf;
        ci_fusion *f;
        conf_of("sure", method[m], NULL, &conf);
        f = model(&conf);
        if (!f) continue;
        for (int step = 0; step < 40; step++) {
            for (ci_gid i = 0; i < f->n; i++) f->w[i] = f->method == MOE ? f->w[i] * 1.15f : f->w[i] + .07f * made_unit(11, (size_t)step + (size_t)i);
            assert_int_equal(ci_fusion_score(f, f->method == MOE ? valid : sure, N_VALID, score, NULL, NULL), CI_OK);
            for (int i = 0; i < N_VALID; i++) {
                least = fmin(least, score[i]);
                most = fmax(most, score[i]);
            }
        }
        ci_fusion_destroy(&f);
    }
    if (comm->rank == 0) assert_true(least >= 0 && most == 1);
}

static void create__refuses_what_cannot_be(void **none)
{
    (void)none;
    const ci_fusion_shape good = {"dqn", 15, 21, 32, 2, true, false};
    ci_fusion_shape bad[5];
    ci_fusion *f = NULL;

    for (int i = 0; i < 5; i++) bad[i] = good;
    strcpy(bad[0].method, "vote");
    bad[1].state = 17;
    bad[2].actions = 1;
    bad[3].layers = 9;
    bad[4].hidden = 0;
    for (int i = 0; i < 5; i++) assert_int_equal(ci_fusion_create(&bad[i], 10, "auto", &f), CI_ECONF);
    assert_int_equal(ci_fusion_create(&good, 10, "pentium", &f), CI_ECONF);
    assert_null(f);
}

/** What would lead a reader out of its arrays, or to no decision, does not become a file. */
static void write__refuses_what_a_reader_would_refuse(void **none)
{
    (void)none;
    ci_conf conf;
    ci_fusion *f;

    conf_of("refused", "dqn", NULL, &conf);
    f = model(&conf);
    if (!f) return;
    for (int i = 0; i < 5; i++) {
        const ci_fusion_progress good = f->at;
        if (i == 0) f->at.seen = -1;
        if (i == 1) f->at.step = -1;
        if (i == 2) f->at.best_episode = -2;
        if (i == 3) f->at.threshold = NAN;
        assert_int_equal(ci_fusion_write(f, path_of(&conf, "last.h5")), i < 4 ? CI_EFORMAT : CI_OK);
        assert_int_equal(access(path_of(&conf, "last.h5"), F_OK) == 0, i == 4);
        f->at = good;
    }
    ci_fusion_destroy(&f);
}

static int start(void **none)
{
    (void)none;
    comm = ci_test_comm;
    ci_signal_setup();
    made_windows(1, 1, N_TRAIN, train, train_label);
    made_windows(2, 1, N_VALID, valid, valid_label);
    snprintf(folder, sizeof folder, "%s", ci_test_tmp());
    return ci_comm_bcast(comm, "test.folder", 0, folder, sizeof folder) == CI_OK ? 0 : 1;
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup(learn__each_method_beats_either_input, start),
    cmocka_unit_test(average__finds_the_better_input),
    cmocka_unit_test(dqn__has_finite_losses_over_ten_steps),
    cmocka_unit_test(dqn__is_worth_the_discounted_sum),
    cmocka_unit_test(dqn__explores_less_and_less),
    cmocka_unit_test(learn__goes_on_bit_for_bit),
    cmocka_unit_test(learn__does_not_go_on_from_what_is_another),
    cmocka_unit_test(learn__stops_where_a_loss_is_not_finite),
    cmocka_unit_test(score__follows_from_its_policy),
    cmocka_unit_test(score__is_a_probability_where_all_agree),
    cmocka_unit_test(create__refuses_what_cannot_be),
    cmocka_unit_test(write__refuses_what_a_reader_would_refuse),
};
CI_TEST_MAIN(tests)
