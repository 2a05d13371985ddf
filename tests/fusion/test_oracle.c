/* Networks, losses, ridges and states against PyTorch and numpy in float64 (tests/oracle/fusion.txt). */
#include "fusion/made.h"
#include "ci/metric.h"
#include "ci/tick.h"

enum { ROWS = 24, WINDOWS = 12, LATENT = 5 };
static FILE *oracle;

/** The next line, which starts with `word`: its numbers. */
static int numbers(const char *word, int most, double *out)
{
    static char text[8192];
    int n = 0;
    char *at, *end;
    do assert_non_null(fgets(text, sizeof text, oracle));
    while (text[0] == '#');
    assert_true(strncmp(text, word, strlen(word)) == 0 && text[strlen(word)] == ' ');
    for (at = text + strlen(word); n < most; at = end, n++) {
        out[n] = strtod(at, &end);
        if (end == at) break;
    }
    return n;
}

static double project(const float *v, size_t n, uint32_t vector, uint32_t number)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)v[i] * (double)(2.0f * ci_unit(made_word(vector, 101, number, i)) - 1.0f);
    return sum;
}

static float x[ROWS * 18], wanted[ROWS];
static int32_t action[ROWS];
static uint8_t label[ROWS];

static void inputs(size_t state)
{
    for (size_t i = 0; i < ROWS * state; i++) x[i] = 2.0f * made_unit(2, i);
    for (size_t i = 0; i < ROWS; i++) {
        const uint32_t w = made_word(MADE_SEED, MADE_TEST, 3, i);
        action[i] = (int32_t)ci_below(w, 21);
        label[i] = (uint8_t)ci_below(w, 2);
        wanted[i] = 3.0f * made_unit(4, i);
    }
}

static ci_fusion *model(const char *method, int32_t state, int32_t hidden, int32_t layers, bool norm)
{
    ci_fusion *f = NULL;
    ci_fusion_shape shape = {.state = state, .actions = 21, .hidden = hidden, .layers = layers, .norm = norm};
    snprintf(shape.method, sizeof shape.method, "%s", method);
    assert_int_equal(ci_fusion_create(&shape, 0, "auto", &f), CI_OK);
    ci_fusion_init(f, MADE_SEED);
    for (size_t i = 0; i < (size_t)f->n; i++) f->w[i] += .1f * made_unit(1, i);
    return f;
}

/** Loss, outputs and gradients as the oracle has them; within 1e-5 of the largest of each, which may be small. */
static void compare(const char *name, const ci_fusion *f, double loss, const float *y, size_t n_y, const float *grad)
{
    double want[32], most = 0;
    char word[32];
    uint32_t tensor = 0;
    const double one = sqrt((double)n_y);

    snprintf(word, sizeof word, "case %s", name);
    assert_int_equal(numbers(word, 2, want), 2);
    assert_int_equal((int64_t)want[0], f->n);
    assert_true(fabs(loss - want[1]) <= 1e-5 * fabs(want[1]));
    assert_int_equal(numbers("output", 8, want), 8);
    for (uint32_t k = 0; k < 8; k++) assert_true(fabs(project(y, n_y, k, 0) - want[k]) <= 1e-5 * one);
    for (ci_gid i = 0; i < f->n; i++) most = fmax(most, fabs((double)grad[i]));
    for (ci_gid done = 0; done < f->n; tensor++) {
        assert_int_equal(numbers("gradient", 20, want), 20);
        const size_t n = (size_t)want[1];
        const double bound = 1e-5 * fmax(want[2], 1e-3 * most) * sqrt((double)n);
        assert_int_equal((int64_t)want[0], done);
        for (uint32_t k = 0; k < 16; k++)
            if (!(fabs(project(grad + done, n, k, tensor) - want[4 + k]) <= bound))
                fail_msg("%s: tensor at %lld, projection %u: %.9g, oracle %.9g, bound %.3g", name, (long long)done, k,
                         project(grad + done, n, k, tensor), want[4 + k], bound);
        done += (ci_gid)n;
    }
}

static void q_case(const char *name, int32_t state, int32_t hidden, int32_t layers, bool norm)
{
    static float dq[ROWS * 21], grad[1 << 17];
    ci_fusion *f = model("dqn", state, hidden, layers, norm);
    const struct drop none = {0};
    const float *q;

    inputs((size_t)state);
    assert_true((size_t)f->n < CI_COUNT(grad));
    memset(grad, 0, sizeof grad);
    q = net_forward(f->ops, &f->net[0], f->w, x, ROWS, &none, &f->tape[0]);
    const double loss = smooth_l1(q, 21, action, wanted, ROWS, dq);
    net_backward(f->ops, &f->net[0], f->w, x, ROWS, &none, &f->tape[0], dq, grad);
    compare(name, f, loss, q, ROWS * 21, grad);
    ci_fusion_destroy(&f);
}

static void mlp_case(const char *name, int32_t state)
{
    static float dz[ROWS], grad[1 << 12];
    ci_fusion *f = model("mlp", state, 1, 1, true);
    const float *z;

    inputs((size_t)state);
    memset(grad, 0, sizeof grad);
    z = net_forward(f->ops, &f->net[0], f->w, x, ROWS, NULL, &f->tape[0]);
    const double loss = bce_logit(z, label, ROWS, dz);
    net_backward(f->ops, &f->net[0], f->w, x, ROWS, NULL, &f->tape[0], dz, grad);
    compare(name, f, loss, z, ROWS, grad);
    ci_fusion_destroy(&f);
}

static void moe_case(void)
{
    static float p[ROWS * EXPERTS], g[ROWS * EXPERTS], mix[ROWS], dp[ROWS * EXPERTS], dg[ROWS * EXPERTS], grad[1 << 14];
    ci_fusion *f = model("moe", 18, 1, 1, true);

    inputs(18);
    memset(grad, 0, sizeof grad);
    mixture(f, f->tape, x, ROWS, NULL, p, g, mix);
    const double loss = moe_loss(p, g, mix, label, ROWS, .01, dp, dg);
    for (int k = 0; k < EXPERTS; k++)
        net_backward(f->ops, &f->net[k], f->w, x, ROWS, NULL, &f->tape[k], dp + k * ROWS, grad);
    net_backward(f->ops, &f->net[EXPERTS], f->w, x, ROWS, NULL, &f->tape[EXPERTS], dg, grad);
    compare("moe", f, loss, mix, ROWS, grad);
    ci_fusion_destroy(&f);
}

static void ridge_case(void)
{
    enum { N = 40, H = 12 };
    double inverse[H * H] = {0}, b[H] = {0}, work[H], theta[H], diagonal[H];
    float z[H];

    for (int i = 0; i < H; i++) inverse[i * H + i] = 1;
    for (size_t k = 0; k < N; k++) {
        for (size_t i = 0; i < H; i++) z[i] = made_unit(5, k * H + i);
        linucb_update(H, inverse, b, z, (double)(3.0f * made_unit(6, k)), work);
    }
    numbers("theta", H, theta);
    numbers("diagonal", H, diagonal);
    for (int i = 0; i < H; i++) {
        double sum = 0;
        for (int j = 0; j < H; j++) sum += inverse[i * H + j] * b[j];
        if (!(fabs(sum - theta[i]) <= 1e-8)) fail_msg("theta %d: %.10g, oracle %.10g", i, sum, theta[i]); /* nine digits, numbers below 1 */
        assert_true(fabs(inverse[i * H + i] - diagonal[i]) <= 1e-9);
    }
}

static const char *const vgae_name[] = {"recon", "recon_masked", "recon_max", "id", "neighbour", "kl", "affinity", "rayleigh",
    "z_mean", "z_std", "z_max", "z_min", "node_mean", "node_std", "mu_0", "mu_1", "mu_2", "mu_3", "mu_4",
    "mu2_0", "mu2_1", "mu2_2", "mu2_3", "mu2_4"};
static const char *const gat_name[] = {"logit0", "logit1", "emb_mean", "emb_std", "emb_max", "emb_min"};

static void state_case(int32_t columns)
{
    enum { V = CI_COUNT(vgae_name), G = CI_COUNT(gat_name) };
    float v[WINDOWS * V], g[WINDOWS * G], state[WINDOWS * 18], scaled[WINDOWS * 18];
    uint8_t benign[WINDOWS];
    int32_t nodes[WINDOWS];
    ci_fusion_scale s = {.state = columns}, *share = ci_new(1, sizeof *share);
    ci_fusion_fact fact[WINDOWS], of_share[WINDOWS];
    const ci_fusion_rows vgae = {vgae_name, V, v, WINDOWS}, gat = {gat_name, G, g, WINDOWS};
    double want[32];

    for (size_t i = 0; i < WINDOWS * V; i++) v[i] = fabsf(2.0f * made_unit(7, i)) + (i % V >= V - LATENT ? 4.0f : 0.0f);
    for (size_t i = 0; i < WINDOWS * G; i++) g[i] = 3.0f * made_unit(8, i);
    for (int i = 0; i < WINDOWS; i++) {
        benign[i] = i % 3 == 1;
        nodes[i] = 1 + i;
    }
    assert_int_equal(ci_fusion_calibrate(&vgae, benign, nodes, &s), CI_OK);
    assert_int_equal(ci_fusion_states(&s, &vgae, &gat, state), CI_OK);
    assert_int_equal(ci_fusion_standard(state, WINDOWS, &s), CI_OK);
    ci_fusion_standardise(&s, state, WINDOWS, scaled);
    ci_fusion_facts(&s, state, WINDOWS, fact);
    *share = s;
    share->percentile = true;
    ci_fusion_facts(share, state, WINDOWS, of_share);
    for (int i = 0; i < WINDOWS; i++) {
        assert_int_equal(numbers("state", 32, want), columns);
        for (int k = 0; k < columns; k++)
            if (!(fabs((double)state[i * columns + k] - want[k]) <= 1e-6 * fmax(1, fabs(want[k]))))
                fail_msg("window %d, column %d: %.9g, oracle %.9g", i, k, (double)state[i * columns + k], want[k]);
        numbers("scaled", 32, want);
        for (int k = 0; k < columns; k++) assert_true(fabs((double)scaled[i * columns + k] - want[k]) <= 1e-5);
        numbers("anomaly", 2, want);
        assert_true(fabs((double)fact[i].anomaly - want[0]) <= 1e-6);
        assert_true(fabs((double)of_share[i].anomaly - want[1]) <= 1e-5);
    }
    free(share);
}

static void fusion__computes_what_torch_and_numpy_do(void **none)
{
    (void)none;
    oracle = fopen("tests/oracle/fusion.txt", "r");
    assert_non_null(oracle);
    q_case("q_norm", 15, 64, 2, true);
    q_case("q_plain", 18, 128, 3, false);
    mlp_case("mlp_few", 15);
    mlp_case("mlp_many", 18);
    moe_case();
    ridge_case();
    state_case(15);
    state_case(18);
    fclose(oracle);
}

/** Parameters by the formulas and counts of reference-system.md 5.4. */
static void fusion__has_the_parameters_of_the_reference(void **none)
{
    (void)none;
    static const struct { const char *method; int32_t state, hidden, layers; bool norm; int64_t n; } of[] = {
        {"dqn", 15, 576, 3, true, 689493}, {"dqn", 15, 160, 2, true, 32341}, {"dqn", 18, 128, 3, false, 38165},
        {"linucb", 18, 128, 3, true, 36224}, {"mlp", 15, 9, 9 - 1, true, 3137}, {"mlp", 18, 9, 2, true, 3329},
        {"moe", 18, 9, 2, true, 10694}, {"average", 15, 9, 2, true, 1},
    };
    for (size_t i = 0; i < CI_COUNT(of); i++) {
        ci_fusion *f = model(of[i].method, of[i].state, of[i].hidden, of[i].layers, of[i].norm);
        assert_int_equal(ci_fusion_size(f), of[i].n);
        ci_fusion_destroy(&f);
    }
}

/** Slope of sum c y along 40 single weights, spread over all layers, in steps of 2^-8: rounding 1e-4, curvature less. */
static void net__gradient_matches_central_differences(void **none)
{
    (void)none;
    enum { PICKS = 40 };
    static float c[ROWS * 21], grad[1 << 14];
    ci_fusion *f = model("dqn", 15, 32, 2, true);
    const struct drop drop = {7, 3, .25f}; /* the masks stay while weights move */
    const float step = 0x1p-8f;

    inputs(15);
    memset(grad, 0, sizeof grad);
    for (size_t i = 0; i < CI_COUNT(c); i++) c[i] = made_unit(9, i);
    net_forward(f->ops, &f->net[0], f->w, x, ROWS, &drop, &f->tape[0]);
    net_backward(f->ops, &f->net[0], f->w, x, ROWS, &drop, &f->tape[0], c, grad);
    int wrong = 0; /* a step may cross the edge of a ReLU */
    for (size_t k = 0; k < PICKS; k++) {
        const size_t i = k * (size_t)f->n / PICKS;
        const float was = f->w[i];
        double y[2] = {0};
        for (int side = 0; side < 2; side++) {
            f->w[i] = was + (side ? step : -step);
            const float *q = net_forward(f->ops, &f->net[0], f->w, x, ROWS, &drop, &f->tape[0]);
            for (size_t j = 0; j < CI_COUNT(c); j++) y[side] += (double)c[j] * (double)q[j];
        }
        f->w[i] = was;
        wrong += !(fabs((y[1] - y[0]) / (2 * (double)step) - (double)grad[i]) <= 2e-2 * fmax(1, fabs((double)grad[i])));
    }
    assert_true(wrong <= 2);
    ci_fusion_destroy(&f);
}

static void net__has_the_same_bits_with_all_kernels(void **none)
{
    (void)none;
    static const char *const isa[] = {"generic", "avx2", "avx512"};
    static float grad[3][1 << 14], y[3][ROWS * 21];
    for (int i = 0; i < 3; i++) {
        ci_fusion *f = model("dqn", 15, 40, 2, true);
        const struct drop drop = {7, 3, .25f};
        f->ops = ci_ops_get(isa[i]);
        if (!f->ops) f->ops = ci_ops_get("generic");
        inputs(15);
        memcpy(y[i], net_forward(f->ops, &f->net[0], f->w, x, ROWS, &drop, &f->tape[0]), sizeof y[i]);
        net_backward(f->ops, &f->net[0], f->w, x, ROWS, &drop, &f->tape[0], y[i], grad[i]);
        ci_fusion_destroy(&f);
        assert_memory_equal(y[i], y[0], sizeof y[0]);
        assert_memory_equal(grad[i], grad[0], sizeof grad[0]);
    }
}

/** A probability that is off by more than clamping allows has no gradient, as torch.clamp has none. */
static void loss__stays_finite_where_a_probability_is_0_or_1(void **none)
{
    (void)none;
    const float p[] = {0, 1, 1, 0, .5f}, z[] = {-200, 200, 200, -200, 0};
    const uint8_t y[] = {1, 0, 1, 0, 1};
    float dp[5], dz[5];
    assert_true(fabs(bce(p, y, 5, dp) - (2 * 16.118 + .6931) / 5) < 5e-2); /* -ln 1e-7; 1 - (1 - 1e-7) is 1.2e-7 in float */
    assert_true(dp[0] == 0 && dp[1] == 0 && dp[2] == 0 && fabsf(dp[4] + .4f) < 1e-6f);
    assert_true(fabs(bce_logit(z, y, 5, dz) - (400 + .6931) / 5) < 1e-3);
    assert_true(fabsf(dz[0] + .2f) < 1e-6f && fabsf(dz[1] - .2f) < 1e-6f && dz[2] == 0);
    const float bad[] = {NAN};
    assert_true(isnan(bce(bad, y, 1, dp)) && isnan(dp[0]));
    bce_logit(bad, y, 1, dz);
    assert_true(isnan(dz[0]));
}

/** By hand from reference-system.md 6.6: A .8, G .3, confidence .6; fused = .8 - .5 alpha. */
static void reward__is_what_the_formulas_say(void **none)
{
    (void)none;
    const ci_fusion_fact f = {.8f, .3f, .6f, 0};
    static const struct { bool legacy; uint8_t label; float alpha, r; } of[] = {
        {false, 1, .5f, 3.09f},  /* fused .55: attack called, rightly: 3 + .3 G */
        {false, 0, .5f, -1.41f}, /* wrongly */
        {false, 1, 1, -6},       /* fused .3: an attack missed */
        {false, 0, 1, 1.5f},
        {true, 1, .5f, 3 + .5f + .4f + .18f + .3f},
        {true, 0, .5f, -3 - .5f - 1.5f * .55f + .3f},
        {true, 1, 1, -3 - .5f - 1.5f * .7f},
        {true, 0, 1, 3 + .5f + .1f + .18f},
        {true, 0, .8f, 3 + .5f + .1f + .18f + .12f}, /* fused .4 */
    };
    for (size_t i = 0; i < CI_COUNT(of); i++) {
        const float r = ci_fusion_reward(of[i].legacy, f, of[i].label, of[i].alpha);
        if (!(fabsf(r - of[i].r) < 1e-6f)) fail_msg("case %zu: %.7g, by hand %.7g", i, (double)r, (double)of[i].r);
    }
}

static void states__name_what_is_missing_or_not_finite(void **none)
{
    (void)none;
    float v[CI_COUNT(vgae_name)] = {0}, g[6] = {0}, state[18];
    const uint8_t benign[] = {0}, attack[] = {1};
    ci_fusion_rows vgae = {vgae_name, CI_COUNT(vgae_name), v, 1}, gat = {gat_name, 6, g, 1};
    ci_fusion_scale s = {.state = 18};

    assert_int_equal(ci_fusion_calibrate(&vgae, attack, NULL, &s), CI_EDATA);
    assert_int_equal(ci_fusion_calibrate(&vgae, benign, NULL, &s), CI_OK);
    v[5] = NAN;
    assert_int_equal(ci_fusion_states(&s, &vgae, &gat, state), CI_ENUMERIC);
    assert_non_null(strstr(ci_message(), "column 11 of the state of window 0"));
    assert_int_equal(ci_fusion_calibrate(&vgae, benign, NULL, &s), CI_ENUMERIC);
    vgae.cols -= 1;
    assert_int_equal(ci_fusion_calibrate(&vgae, benign, NULL, &s), CI_EARG);
    vgae.cols = 4;
    s.state = 15;
    assert_int_equal(ci_fusion_calibrate(&vgae, benign, NULL, &s), CI_EARG);
    assert_non_null(strstr(ci_message(), "neighbour"));
    s.state = 16;
    assert_int_equal(ci_fusion_calibrate(&vgae, benign, NULL, &s), CI_ECONF);
}

static void count(void *n) { ++*(int *)n; }

/** The other ranks wait for the end of an episode, however many steps it has. */
static void episode__gives_a_sign_of_life_each_step(void **none)
{
    (void)none;
    static const char *const set[] = {"model.name=dqn", "fusion.steps=100", "fusion.sample=8", "fusion.batch=4", "fusion.hidden=4", "run.log=error"};
    static float state[50 * 15];
    static uint8_t attack[50];
    const ci_fusion_data data = {50, 50, state, state, attack, attack};
    static ci_conf conf;
    ci_fusion_shape shape;
    ci_fusion *f = NULL;
    struct learner l = {0};
    int n = 0;

    made_windows(1, 1, 50, state, attack);
    assert_int_equal(ci_conf_read(NULL, set, CI_COUNT(set), &conf), CI_OK);
    ci_fusion_shape_of(&conf, &shape);
    assert_int_equal(ci_fusion_create(&shape, conf.fusion.buffer, "generic", &f), CI_OK);
    ci_fusion_init(f, 1);
    assert_int_equal(learner_init(&l, &conf, NULL, &data, f), CI_OK);
    ci_tick_hook(count, &n);
    assert_int_equal(dqn_episode(&l), CI_OK);
    ci_tick_hook(NULL, NULL);
    assert_true(n >= 100);
    learner_release(&l);
    ci_fusion_destroy(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(fusion__computes_what_torch_and_numpy_do),
    cmocka_unit_test(fusion__has_the_parameters_of_the_reference),
    cmocka_unit_test(net__gradient_matches_central_differences),
    cmocka_unit_test(net__has_the_same_bits_with_all_kernels),
    cmocka_unit_test(loss__stays_finite_where_a_probability_is_0_or_1),
    cmocka_unit_test(reward__is_what_the_formulas_say),
    cmocka_unit_test(states__name_what_is_missing_or_not_finite),
    cmocka_unit_test(episode__gives_a_sign_of_life_each_step),
};
CI_TEST_MAIN(tests)
