/* Fusion on a device: passes of networks against the processor's, the optimiser against ci_adam_step, and learning to the end. */
#define CI_TEST_MPI
#include <signal.h>
#include "fusion/made.h"
#include "../cuda_test.h"
#include "ci/commit.h"
#include "ci/signal.h"

enum { ROWS = 70, STATE = 15, WIDEST = 64 };

static ci_compute at_of(const struct cuda *c) { return (ci_compute){.device = c->d, .precision = CI_FP32, .deadline = 60}; }

static ci_fusion *fusion_new(const char *method, bool norm)
{
    ci_fusion_shape shape = {.state = STATE, .actions = 21, .hidden = 40, .layers = 3, .norm = norm};
    ci_fusion *f = NULL;

    strcpy(shape.method, method);
    assert_int_equal(ci_fusion_create(&shape, 0, "generic", &f), CI_OK);
    ci_fusion_init(f, MADE_SEED);
    for (ci_gid i = 0; i < f->n; i++) f->w[i] += .02f * made_unit(1, (size_t)i); /* biases and norms, too, are not what they begin with */
    if (f->target) memcpy(f->target, f->w, (size_t)f->n * sizeof *f->w);
    return f;
}

/** A model, its twin on the device, and a batch. */
struct twin {
    struct cuda *c;
    ci_fusion *f;
    ci_compute at;
    struct devnet *dev;
    struct tape host[NETS], there[NETS];
    float x[ROWS * STATE], dy[ROWS * WIDEST];
    float *grad;
};

static struct twin *twin_new(struct cuda *c, const char *method, bool norm)
{
    struct twin *t = calloc(1, sizeof *t);

    assert_non_null(t);
    t->c = c;
    t->f = fusion_new(method, norm);
    t->at = at_of(c);
    t->grad = calloc((size_t)t->f->n, sizeof *t->grad);
    assert_non_null(t->grad);
    for (int k = 0; k < t->f->n_net; k++) {
        assert_int_equal(tape_create(&t->f->net[k], ROWS, &t->host[k]), CI_OK);
        assert_int_equal(tape_create(&t->f->net[k], ROWS, &t->there[k]), CI_OK);
    }
    assert_int_equal(devnet_create(&t->at, t->f, ROWS, t->there, &t->dev), CI_OK);
    for (size_t i = 0; i < CI_COUNT(t->x); i++) t->x[i] = 2 * made_unit(2, i);
    return t;
}

static void twin_free(struct twin *t)
{
    devnet_destroy(&t->dev);
    for (int k = 0; k < NETS; k++) {
        tape_release(&t->host[k]);
        tape_release(&t->there[k]);
    }
    ci_fusion_destroy(&t->f);
    free(t->grad);
    free(t);
}

static const struct { const char *method; bool norm; } kind[] = {{"dqn", false}, {"dqn", true}, {"linucb", true}, {"linucb", false}, {"mlp", false}, {"moe", false}};
static const struct drop some = {MADE_SEED, 7, .3f};

/** Bits where there is no norm: a norm's sums are in another order. */
static void forward_is_the_processors(struct cuda *c)
{
    static const ci_lid rows[] = {ROWS, 1, 37};

    for (size_t i = 0; i < CI_COUNT(kind); i++) {
        struct twin *t = twin_new(c, kind[i].method, kind[i].norm);
        for (int pass = 0; pass < 3; pass++)
            for (int k = 0; k < t->f->n_net; k++) {
                const struct net *net = &t->f->net[k];
                const struct drop *drop = pass == 1 ? NULL : &some;
                const size_t n = (size_t)rows[pass] * (size_t)net->dim[net->n];
                const float *want = net_forward(t->f->ops, net, t->f->w, t->x, rows[pass], drop, &t->host[k]);
                const float *got = net_forward(t->f->ops, net, t->f->w, t->x, rows[pass], drop, &t->there[k]);
                cuda_record(c, got, n * sizeof *got);
                cuda_close_floats(kind[i].method, got, want, n, kind[i].norm ? 1e-5 : 0);
            }
        twin_free(t);
    }
}

/** One step by both; the device's gradient is its first moment, as nothing of an older one is kept. */
static void step_both(struct twin *t, float scale, ci_gid number, ci_rc want)
{
    const ci_adam a = {.lr = .01, .beta1 = 0, .beta2 = .999, .eps = 1e-8, .decay = .01, .decoupled = true};
    ci_fusion *f = t->f;
    const size_t bytes = (size_t)f->n * sizeof *f->w;
    float *w = malloc(bytes), *m = malloc(bytes), *v = malloc(bytes);
    float dy[NETS][ROWS * WIDEST];

    assert_true(w && m && v);
    memcpy(w, f->w, bytes);
    memcpy(m, f->m, bytes);
    memcpy(v, f->v, bytes);
    memset(t->grad, 0, bytes);
    for (int k = 0; k < f->n_net; k++) {
        const struct net *net = &f->net[k];
        for (size_t i = 0; i < ROWS * WIDEST; i++) dy[k][i] = scale * made_unit(30 + (uint32_t)number, i + 7 * (size_t)k);
        (void)net_forward(f->ops, net, f->w, t->x, ROWS, &some, &t->host[k]);
        (void)net_forward(f->ops, net, f->w, t->x, ROWS, &some, &t->there[k]);
    }
    for (int k = 0; k < f->n_net; k++) {
        net_backward(f->ops, &f->net[k], f->w, t->x, ROWS, &some, &t->host[k], dy[k], t->grad);
        net_backward(f->ops, &f->net[k], f->w, t->x, ROWS, &some, &t->there[k], dy[k], NULL);
    }
    assert_int_equal(devnet_adam(t->dev, &a, number), want);
    assert_int_equal(devnet_pull(t->dev), CI_OK);
    if (want == CI_OK) assert_int_equal(ci_adam_step(&a, number, f->n, f->m, w, m, v, NULL), CI_OK);
    assert_memory_equal(w, f->w, bytes);
    assert_memory_equal(v, f->v, bytes);
    cuda_record(t->c, f->w, bytes);
    free(w);
    free(m);
    free(v);
}

/** max|a-b| <= 1e-5 max(max|b|, 1e-3 of the largest gradient) of each tensor. */
static void gradient_check(struct twin *t, const char *what)
{
    const ci_fusion *f = t->f;
    double *got = calloc(2 * (size_t)f->n, sizeof *got), *want = got + f->n, most = 0;

    assert_non_null(got);
    for (ci_gid i = 0; i < f->n; i++) {
        got[i] = (double)f->m[i];
        want[i] = (double)t->grad[i];
        most = fmax(most, fabs(want[i]));
    }
    assert_true(most > 0);
    for (int k = 0; k < f->n_net; k++)
        for (ci_lid l = 0; l < f->net[k].n; l++) {
            const struct parts p = net_parts(&f->net[k], l);
            const size_t in = (size_t)f->net[k].dim[l], out = (size_t)f->net[k].dim[l + 1];
            const struct { ci_gid first; size_t n; } of[] = {{p.weight, in * out}, {p.bias, out}, {p.norm_weight, out}, {p.norm_bias, out}};
            for (int j = 0; j < (normed(&f->net[k], l) ? 4 : 2); j++)
                cuda_close(what, got + of[j].first, want + of[j].first, of[j].n, 1e-5, 1e-3 * most);
        }
    free(got);
}

/** Among them gradients a million times those of the step before, which are made again with other exponents. */
static void step_is_the_processors(struct cuda *c)
{
    static const float scale[] = {1e-3f, 1e3f, 1e-6f};

    for (size_t i = 0; i < CI_COUNT(kind); i++) {
        struct twin *t = twin_new(c, kind[i].method, kind[i].norm);
        for (int s = 0; s < 3; s++) {
            step_both(t, scale[s], s + 1, CI_OK);
            gradient_check(t, kind[i].method);
        }
        twin_free(t);
    }
}

/** Exponents of the last step serve the next, and where a gradient outgrows them, or falls far below, nothing is lost. */
static void gradients_may_grow_between_steps(struct cuda *c)
{
    static const float scale[] = {1e-3f, 2e-3f, 1e3f, 1};
    const ci_adam a = {.lr = 1e-9, .beta1 = 0, .beta2 = .999, .eps = 1e-8, .decoupled = true};
    struct twin *t = twin_new(c, "mlp", false);
    const struct net *net = &t->f->net[0];

    for (int s = 0; s < 4; s++) {
        float dy[ROWS];
        for (size_t i = 0; i < ROWS; i++) dy[i] = scale[s] * made_unit(5, i);
        (void)net_forward(t->f->ops, net, t->f->w, t->x, ROWS, NULL, &t->there[0]);
        net_backward(t->f->ops, net, t->f->w, t->x, ROWS, NULL, &t->there[0], dy, NULL);
        assert_int_equal(devnet_adam(t->dev, &a, s + 1), CI_OK);
        memset(t->grad, 0, (size_t)t->f->n * sizeof *t->grad);
        (void)net_forward(t->f->ops, net, t->f->w, t->x, ROWS, NULL, &t->host[0]);
        net_backward(t->f->ops, net, t->f->w, t->x, ROWS, NULL, &t->host[0], dy, t->grad);
    }
    assert_int_equal(devnet_pull(t->dev), CI_OK);
    cuda_record(c, t->f->m, (size_t)t->f->n * sizeof *t->f->m);
    gradient_check(t, "after others");
    twin_free(t);
}

static void what_is_not_finite_changes_nothing(struct cuda *c)
{
    struct twin *t = twin_new(c, "dqn", true);

    step_both(t, 1, 1, CI_OK);
    step_both(t, INFINITY, 2, CI_ENUMERIC);
    assert_non_null(strstr(ci_message(), "not finite"));
    step_both(t, 1, 3, CI_OK);
    twin_free(t);
}

/** The target has its own forward pass, and follows the weights with the processor's bits. */
static void target_follows(struct cuda *c)
{
    struct twin *t = twin_new(c, "dqn", false);
    ci_fusion *f = t->f;
    const size_t n = (size_t)f->n, cells = ROWS * 21;
    float *target = malloc(n * sizeof *target);

    assert_non_null(target);
    step_both(t, 1, 1, CI_OK);
    memcpy(target, f->target, n * sizeof *target);
    for (size_t i = 0; i < n; i++) target[i] = .9f * target[i] + (1 - .9f) * f->w[i];
    devnet_follow(t->dev, .9f);
    assert_int_equal(devnet_pull(t->dev), CI_OK);
    assert_memory_equal(target, f->target, n * sizeof *target);
    for (int k = 0; k < 2; k++) {
        const float *w = k ? f->target : f->w;
        const float *want = net_forward(f->ops, &f->net[0], w, t->x, ROWS, NULL, &t->host[0]);
        const float *got = net_forward(f->ops, &f->net[0], w, t->x, ROWS, NULL, &t->there[0]);
        cuda_record(c, got, cells * sizeof *got);
        assert_memory_equal(got, want, cells * sizeof *got);
    }
    free(target);
    twin_free(t);
}

#define IN_ANY_ORDER(name) static void device__##name##_in_any_order(void **state) { cuda_each_order(state, name); }
IN_ANY_ORDER(forward_is_the_processors)
IN_ANY_ORDER(step_is_the_processors)
IN_ANY_ORDER(gradients_may_grow_between_steps)
IN_ANY_ORDER(what_is_not_finite_changes_nothing)
IN_ANY_ORDER(target_follows)

/* ---- learning ---- */

enum { N_TRAIN = 600, N_VALID = 300 };
static float train[N_TRAIN * 15], valid[N_VALID * 15];
static uint8_t train_label[N_TRAIN], valid_label[N_VALID];
static const ci_fusion_data data = {N_TRAIN, N_VALID, train, valid, train_label, valid_label};
static const char *const methods[] = {"dqn", "linucb", "mlp", "moe"};

static ci_conf conf_of(const char *name, const char *method, int episodes)
{
    char dir[CI_PATH_MAX + 64], what[64], many[64];
    const char *const set[] = {dir, what, many, "model.name=dqn", "fusion.hidden=32", "fusion.layers=2",
                               episodes > 50 ? "fusion.sample=16" : "fusion.sample=256",
                               "fusion.buffer=500", "fusion.batch=64", "fusion.lr=0.01", "fusion.dropout=0.1", "fusion.gamma=0.5",
                               "train.isa=generic"};
    ci_conf conf;

    snprintf(dir, sizeof dir, "run.dir=%s/%s_%s", ci_test_tmp(), name, method);
    snprintf(what, sizeof what, "fusion.method=%s", method);
    snprintf(many, sizeof many, "fusion.episodes=%d", episodes);
    assert_int_equal(ci_conf_read(NULL, set, CI_COUNT(set), &conf), CI_OK);
    assert_int_equal(ci_make_dir(conf.run.dir), CI_OK);
    return conf;
}

/** Learned, or where that failed as it was; to ci_fusion_destroy. */
static ci_fusion *learned(const ci_conf *conf, const ci_compute *at, ci_rc want)
{
    ci_fusion_shape shape;
    ci_fusion *f = NULL;

    ci_fusion_shape_of(conf, &shape);
    assert_int_equal(ci_fusion_create(&shape, conf->fusion.buffer, conf->train.isa, &f), CI_OK);
    assert_int_equal(ci_fusion_standard(train, N_TRAIN, &f->scale), CI_OK);
    ci_fusion_settings(conf, f->of.settings);
    ci_fusion_init(f, (uint32_t)conf->train.seed);
    assert_int_equal(ci_fusion_learn(ci_test_comm, conf, at, &data, f, false), want);
    return f;
}

static double norm_of(const float *v, const float *less, ci_gid n)
{
    double sum = 0;

    for (ci_gid i = 0; i < n; i++) {
        const double d = (double)v[i] - (less ? (double)less[i] : 0);
        sum += d * d;
    }
    return sqrt(sum);
}

/** As good as on the processor, weights close to its after the first episode. */
static void device__learns_what_the_processor_learns(void **state)
{
    struct cuda c;

    (void)state;
    cuda_open(&c, "forward");
    for (size_t i = 0; i < CI_COUNT(methods); i++)
        for (int more = 0; more < 2; more++) {
            const ci_compute at = at_of(&c);
            const int episodes = i == 1 ? 51 : more ? 3 : 1; /* linucb: its backbone is learned after 50 */
            const ci_conf here = conf_of(more ? "here3" : "here1", methods[i], episodes), there = conf_of(more ? "there3" : "there1", methods[i], episodes);
            if (i == 1 && more) continue;
            ci_fusion *a = learned(&here, NULL, CI_OK), *b = learned(&there, &at, CI_OK);
            const double far = norm_of(b->w, a->w, a->n) / norm_of(a->w, NULL, a->n);
            print_message("%s, %d: AUROC %.4f, on the processor %.4f; weights differ by %.2g\n", methods[i], episodes, b->at.best_auroc,
                          a->at.best_auroc, far);
            assert_true(b->at.step == a->at.step && b->at.episode == episodes);
            if (!more && !(far <= 1e-4)) fail_msg("%s: weights differ by %g", methods[i], far);
            if (a->theta && !(norm_of(b->theta, a->theta, 21 * 32) <= 1e-4 * norm_of(a->theta, NULL, 21 * 32))) fail_msg("ridges differ");
            if (!(fabs(b->at.best_auroc - a->at.best_auroc) <= .01)) fail_msg("%s: AUROC %.4f, not %.4f", methods[i], b->at.best_auroc, a->at.best_auroc);
            ci_fusion_destroy(&a);
            ci_fusion_destroy(&b);
        }
    cuda_shut(&c);
}

/** Two runs, of which one is stopped after its first episode: the same bytes. */
static void device__goes_on_bit_for_bit(void **state)
{
    static const char *const file[] = {"best.h5", "last.h5", "metrics.jsonl"};
    struct cuda c;

    (void)state;
    ci_signal_setup();
    cuda_open(&c, "shuffle");
    for (size_t i = 0; i < CI_COUNT(methods); i++) {
        const ci_compute at = at_of(&c);
        const ci_conf conf[2] = {conf_of("whole", methods[i], 2), conf_of("cut", methods[i], 2)};
        ci_fusion *f = learned(&conf[0], &at, CI_OK);
        ci_fusion_destroy(&f);
        raise(SIGUSR1);
        f = learned(&conf[1], &at, CI_ETEMP);
        ci_fusion_destroy(&f);
        ci_signal_clear();
        f = learned(&conf[1], &at, CI_OK);
        ci_fusion_destroy(&f);
        for (size_t k = 0; k < CI_COUNT(file); k++) {
            char path[CI_PATH_MAX], sha[2][CI_SHA256_HEX];
            for (int j = 0; j < 2; j++) {
                assert_int_equal(ci_path_join(path, conf[j].run.dir, file[k]), CI_OK);
                assert_int_equal(ci_commit_check(path, sha[j]), CI_OK);
            }
            if (strcmp(sha[0], sha[1]) != 0) fail_msg("%s: %s differs", methods[i], file[k]);
        }
    }
    cuda_shut(&c);
}

/** Which step, and which kernel; a device that cannot hold the networks says how much they want.  The last test: the process has no device
 *  then. */
static void device__says_how_it_failed(void **state)
{
    static const struct { const char *fault, *method, *says, *also; ci_rc rc; } of[] = {
        {"oom:100000", "moe", "bytes", "free", CI_ENOMEM},
        {"kernel:gemm_fp32:40", "dqn", "gemm_fp32", "episode 1, step ", CI_ETEMP},
    };

    (void)state;
    if (!getenv("CANIDS_BACKEND") || !strstr(getenv("CANIDS_BACKEND"), "emu")) skip();
    for (size_t i = 0; i < CI_COUNT(of); i++) {
        const ci_conf conf = conf_of("fault", of[i].method, 2);
        struct cuda c;
        setenv("CANIDS_EMU_FAULT", of[i].fault, 1);
        cuda_open(&c, "forward");
        unsetenv("CANIDS_EMU_FAULT");
        const ci_compute at = at_of(&c);
        ci_fusion *f = learned(&conf, &at, of[i].rc);
        if (!strstr(ci_message(), of[i].says) || !strstr(ci_message(), of[i].also)) fail_msg("%s: %s", of[i].fault, ci_message());
        ci_fusion_destroy(&f);
        cuda_shut(&c);
    }
}

static int start(void **state)
{
    (void)state;
    made_windows(1, 1, N_TRAIN, train, train_label);
    made_windows(2, 1, N_VALID, valid, valid_label);
    return 0;
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup(device__forward_is_the_processors_in_any_order, start),
    cmocka_unit_test(device__step_is_the_processors_in_any_order),
    cmocka_unit_test(device__gradients_may_grow_between_steps_in_any_order),
    cmocka_unit_test(device__what_is_not_finite_changes_nothing_in_any_order),
    cmocka_unit_test(device__target_follows_in_any_order),
    cmocka_unit_test(device__learns_what_the_processor_learns),
    cmocka_unit_test(device__goes_on_bit_for_bit),
    cmocka_unit_test(device__says_how_it_failed),
};
CI_TEST_MAIN(tests)
