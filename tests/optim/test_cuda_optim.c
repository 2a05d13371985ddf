/* The optimiser's pass on a device: Adam has the bits of ci_adam_step on the same gradient; a step that must be taken again, or that
 * cannot be taken, changes no weight. */
#include "ci_test.h"
#include "../cuda_test.h"
#include "ci/optim.h"

enum { T = 5, N = 9000, BITS = 50, AIM = 44 };
static const ci_k_tensor tensor[T] = {{0, 1}, {1, 4000}, {4001, 7}, {4008, 2}, {4010, N - 4010}}; /* five slices of squares */
static const int32_t exponent[T] = {40, 33, 52, -3, 37};

struct optim {
    struct cuda *c;
    struct cuda_batch t;
    ci_k_optim o;
    float w[N], m[N], v[N], g[N];     /* host: before the step; the gradient */
    int64_t sum[N + CI_TERMS];
    int64_t agreed[T + CI_FLAGS];
};

/* Gradients that are whole in their tensor's units, so that the sums say exactly them. */
static void gradient(struct optim *p, double factor)
{
    for (int k = 0; k < T; k++)
        for (int64_t i = tensor[k].first; i < tensor[k].first + tensor[k].size; i++) {
            const float g = (float)ldexp((double)cuda_random(3, (size_t)i), 30 - exponent[k]);
            p->sum[i] = (int64_t)(ldexp((double)g, exponent[k]) * factor);
            p->g[i] = (float)ldexp((double)p->sum[i], -exponent[k]);
        }
}

static struct optim *optim_new(struct cuda *c)
{
    struct optim *p = calloc(1, sizeof *p);
    const struct cuda_shape shape = cuda_nothing();
    assert_non_null(p);
    p->c = c;
    cuda_batch_make(c, &shape, &p->t);
    p->t.step.lr = 1e-3;
    for (int i = 0; i < N; i++) {
        p->w[i] = cuda_random(1, (size_t)i);
        p->m[i] = 1e-3f * cuda_random(2, (size_t)i);
        p->v[i] = 1e-5f * fabsf(cuda_random(4, (size_t)i));
    }
    gradient(p, 1);
    p->o = (ci_k_optim){.n = N, .n_tensor = T, .tensor = cuda_put(c, tensor, sizeof tensor), .w = cuda_put(c, p->w, sizeof p->w),
                        .m = cuda_put(c, p->m, sizeof p->m), .v = cuda_put(c, p->v, sizeof p->v), .g = cuda_zeros(c, sizeof p->g),
                        .sum = cuda_put(c, p->sum, sizeof p->sum), .exponent = cuda_put(c, exponent, sizeof exponent),
                        .largest = cuda_zeros(c, (T + 1) * sizeof(uint32_t)), .agreed = cuda_put(c, p->agreed, sizeof p->agreed),
                        .work = cuda_zeros(c, (size_t)c->k->optim_work(N) * sizeof(double)), .status = cuda_zeros(c, sizeof(int32_t)),
                        .sum_bits = BITS, .sum_aim = AIM, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = 1e-2};
    cuda_batch_step(c, &p->t);
    return p;
}

static void optim_free(struct optim *p)
{
    cuda_batch_free(&p->t);
    free(p);
}

static void put(struct optim *p, void *to, const void *from, size_t bytes)
{
    cuda_ok(p->c, p->c->r->upload(p->c->d.dev, to, from, bytes));
    cuda_wait(p->c);
}

static int finish(struct optim *p)
{
    int32_t status = -1;
    p->c->k->optim_finish(p->c->d.dev, &p->t.dev, &p->o);
    cuda_get(p->c, &status, p->o.status, sizeof status);
    return status;
}

static void check_exponents(struct optim *p, const int32_t *want)
{
    int32_t got[T];
    cuda_get(p->c, got, p->o.exponent, sizeof got);
    cuda_record(p->c, got, sizeof got);
    for (int k = 0; k < T; k++) assert_int_equal(got[k], want[k]);
}

static void check_weights(struct optim *p)
{
    cuda_check(p->c, "w", p->o.w, p->w, N, 0);
    cuda_check(p->c, "m", p->o.m, p->m, N, 0);
    cuda_check(p->c, "v", p->o.v, p->v, N, 0);
}

/* One step on both sides. */
static void check_step(struct optim *p)
{
    const ci_adam adam = {p->t.step.lr, p->o.beta1, p->o.beta2, p->o.eps, p->o.decay, p->o.clip, p->o.decoupled != 0};
    double norm, got;

    cuda_batch_step(p->c, &p->t);
    assert_int_equal(finish(p), 0);
    assert_int_equal(ci_adam_step(&adam, p->t.step.t, N, p->g, p->w, p->m, p->v, &norm), CI_OK);
    cuda_check(p->c, "g", p->o.g, p->g, N, 0);
    check_weights(p);
    cuda_get(p->c, &got, p->o.work + p->c->k->optim_work(N) - 1, sizeof got);
    cuda_record(p->c, &got, sizeof got);
    assert_true(fabs(got - norm) <= 1e-13 * norm);
}

/* agreed is 0 throughout, so exponents stay. */
static void steps(struct cuda *c)
{
    struct optim *p = optim_new(c);

    check_step(p);
    p->t.step.t = 2;
    p->o.clip = 1; /* the norm is far above */
    check_step(p);
    p->t.step.t = 1000;
    p->o.decoupled = 1;
    check_step(p);
    p->o.clip = 1e30; /* and far below */
    check_step(p);
    check_exponents(p, exponent);
    optim_free(p);
}
static void optim_finish__has_the_bits_of_adam_on_the_processor(void **state) { cuda_each_order(state, steps); }

/* What is not in the sums of this rank does not matter: g is what an all-reduce of floats has left. */
static void fast(struct cuda *c)
{
    struct optim *p = optim_new(c);

    c->k->optim_float(c->d.dev, &p->t.dev, &p->o);
    cuda_check(c, "g of the sums", p->o.g, p->g, N, 0);
    for (int i = 0; i < N; i++) p->g[i] = 0.1f * cuda_random(9, (size_t)i);
    put(p, p->o.g, p->g, sizeof p->g);
    p->o.fast = 1;
    check_step(p);
    optim_free(p);
}
static void optim_finish__takes_a_gradient_of_floats_as_it_is(void **state) { cuda_each_order(state, fast); }

static uint32_t bits_of(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static void agree(struct optim *p, const float largest[T], uint32_t bad)
{
    uint32_t bits[T + 1];
    for (int k = 0; k < T; k++) bits[k] = bits_of(largest[k]);
    bits[T] = bad;
    put(p, p->o.largest, bits, sizeof bits);
    cuda_batch_step(p->c, &p->t);
    p->c->k->optim_agree(p->c->d.dev, &p->t.dev, &p->o);
    cuda_get(p->c, p->agreed, p->o.agreed, sizeof p->agreed);
    cuda_record(p->c, p->agreed, sizeof p->agreed);
    for (int k = 0; k < T; k++) assert_int_equal(p->agreed[k], bits[k]);
}

static float below(float x) { return nextafterf(x, 0); }

static void agreements(struct cuda *c)
{
    struct optim *p = optim_new(c);
    const int64_t *flag = p->agreed + T;
    float largest[T];

    for (int k = 0; k < T; k++) largest[k] = below((float)ldexp(1, BITS - exponent[k])); /* the most that stays in the units */
    agree(p, largest, 0);
    for (int k = 0; k < CI_FLAGS; k++) assert_int_equal(flag[k], 0);
    for (int k = 0; k < T; k++) {
        const float was = largest[k];
        largest[k] = (float)ldexp(1, BITS - exponent[k]);
        agree(p, largest, 0);
        assert_int_equal(flag[CI_FLAG_OVERFLOW], 1);
        largest[k] = was;
    }
    p->t.step.failed = 1;
    agree(p, largest, 0);
    assert_int_equal(flag[CI_FLAG_FAILED], 1);
    p->t.step.failed = 0;
    p->t.step.signal = 1;
    agree(p, largest, 1);
    assert_int_equal(flag[CI_FLAG_FAILED], 0);
    assert_int_equal(flag[CI_FLAG_SIGNAL], 1);
    assert_int_equal(flag[CI_FLAG_BAD_LOSS], 1);
    assert_int_equal(flag[CI_FLAG_OVERFLOW], 0);
    optim_free(p);
}
static void optim_agree__tells_what_outgrows_its_units(void **state) { cuda_each_order(state, agreements); }

/* The first step: no exponents are known, so its gradients count as what they tell of themselves; the second try updates. */
static void first(struct cuda *c)
{
    struct optim *p = optim_new(c);
    const float largest[T] = {1, 0.75f, 0, 0x1p-149f, 0x1.8p-130f};
    const int32_t want[T] = {AIM - 1, AIM, exponent[2], AIM + 148, AIM + 129}; /* 1 is below 2^1, 0.75 below 2^0; none: as it was */

    p->t.step.redo = 1;
    agree(p, largest, 0);
    assert_int_equal(finish(p), 1);
    check_weights(p);
    check_exponents(p, want);
    p->t.step.redo = 0;
    for (int k = 0; k < T; k++)
        for (int64_t i = tensor[k].first; i < tensor[k].first + tensor[k].size; i++) {
            p->sum[i] = (int64_t)ldexp((double)(largest[k] * cuda_random(5, (size_t)i)), want[k]);
            p->g[i] = (float)ldexp((double)p->sum[i], -want[k]);
        }
    put(p, p->o.sum, p->sum, sizeof p->sum);
    agree(p, largest, 0);
    assert_int_equal(p->agreed[T + CI_FLAG_OVERFLOW], 0);
    check_step(p);
    check_exponents(p, want);
    optim_free(p);
}
static void optim_finish__takes_exponents_from_the_first_try(void **state) { cuda_each_order(state, first); }

static void outgrown(struct cuda *c)
{
    struct optim *p = optim_new(c);
    const float largest[T] = {0x1p30f, 3, 3, 3, 0x1p127f};
    const int32_t want[T] = {AIM - 31, AIM - 2, AIM - 2, AIM - 2, AIM - 128};

    agree(p, largest, 0);
    assert_int_equal(p->agreed[T + CI_FLAG_OVERFLOW], 1);
    assert_int_equal(finish(p), 1);
    check_weights(p);
    check_exponents(p, want);
    agree(p, largest, 0); /* now it fits */
    assert_int_equal(p->agreed[T + CI_FLAG_OVERFLOW], 0);
    assert_int_equal(finish(p), 0);
    optim_free(p);
}
static void optim_finish__takes_an_outgrown_step_again(void **state) { cuda_each_order(state, outgrown); }

static void refused(struct cuda *c)
{
    struct optim *p = optim_new(c);
    float largest[T] = {0.125f, 0.125f, 0.125f, 0.125f, 0.125f};

    largest[3] = NAN;
    agree(p, largest, 0);
    assert_int_equal(finish(p), 2);
    largest[3] = INFINITY;
    agree(p, largest, 0);
    p->t.step.redo = 1; /* goes before: nothing could be learnt of it */
    assert_int_equal(finish(p), 2);
    p->t.step.redo = 0;
    largest[3] = 0.125f;
    agree(p, largest, 1);
    assert_int_equal(finish(p), 2);
    p->t.step.failed = 1;
    agree(p, largest, 1);
    assert_int_equal(finish(p), 3);
    p->t.step.failed = 0;
    agree(p, largest, 0);
    p->o.fast = 1;
    p->g[N - 1] = INFINITY;
    put(p, p->o.g, p->g, sizeof p->g);
    assert_int_equal(finish(p), 2); /* by its norm */
    check_weights(p);
    check_exponents(p, exponent);
    optim_free(p);
}
static void optim_finish__changes_nothing_when_something_is_bad(void **state) { cuda_each_order(state, refused); }

static void begun(struct cuda *c)
{
    struct optim *p = optim_new(c);
    const float largest[T] = {1, 2, 3, 4, NAN};
    uint32_t bits[T + 1];

    agree(p, largest, 1);
    c->k->optim_begin(c->d.dev, &p->t.dev, &p->o);
    cuda_get(c, p->sum, p->o.sum, sizeof p->sum);
    cuda_get(c, p->agreed, p->o.agreed, sizeof p->agreed);
    cuda_get(c, bits, p->o.largest, sizeof bits);
    for (int i = 0; i < N + CI_TERMS; i++) assert_int_equal(p->sum[i], 0);
    for (int i = 0; i < T + CI_FLAGS; i++) assert_int_equal(p->agreed[i], 0);
    for (int i = 0; i <= T; i++) assert_int_equal(bits[i], 0);
    check_weights(p);
    optim_free(p);
}
static void optim_begin__leaves_nothing_of_the_last_step(void **state) { cuda_each_order(state, begun); }

static void statistics(struct cuda *c)
{
    enum { NORMS = 18 }; /* more than one launch takes */
    struct optim *p = optim_new(c);
    ci_k_running r[NORMS];
    float mean[NORMS][9], var[NORMS][9], other[9];
    double total[NORMS][18];

    p->t.step.n_node = 37;
    cuda_batch_step(c, &p->t);
    for (int k = 0; k < NORMS; k++) {
        const int cols = 1 + k % 9;
        for (int j = 0; j < 2 * cols; j++) total[k][j] = 20 + (double)cuda_random(20 + (uint32_t)k, (size_t)j);
        for (int j = 0; j < cols; j++) {
            mean[k][j] = cuda_random(40, (size_t)j);
            var[k][j] = 1 + cuda_random(41, (size_t)j);
        }
        r[k] = (ci_k_running){cols, cuda_put(c, total[k], sizeof total[k]), cuda_put(c, mean[k], sizeof mean[k]),
                              cuda_put(c, var[k], sizeof var[k])};
    }
    const int32_t redo = 1;
    put(p, p->o.status, &redo, sizeof redo);
    for (int pass = 0; pass < 2; pass++) {
        c->k->running(c->d.dev, &p->t.dev, &p->o, r, NORMS);
        for (int k = 0; k < NORMS; k++) {
            if (pass) ci_batch_norm_close(r[k].cols, 37, total[k], other, other, mean[k], var[k]);
            cuda_check(c, "mean", r[k].mean, mean[k], (size_t)r[k].cols, 0);
            cuda_check(c, "var", r[k].var, var[k], (size_t)r[k].cols, 0);
        }
        assert_int_equal(finish(p), 0);
    }
    optim_free(p);
}
static void running__moves_where_the_step_was_taken(void **state) { cuda_each_order(state, statistics); }

/* More slices than there may be, so that each is longer, and more elements than a grid has threads. */
static void optim_finish__reaches_every_one_of_millions_of_parameters(void **state)
{
    enum { MANY = 2100001 };
    static float w[MANY], m[MANY], v[MANY], g[MANY];
    static int64_t sum[MANY + CI_TERMS];
    const ci_k_tensor all = {0, MANY};
    const int32_t s = 20;
    const ci_adam adam = {.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    struct cuda c;
    double norm, got;
    (void)state;
    cuda_open(&c, "forward");
    struct optim *p = optim_new(&c);
    for (int i = 0; i < MANY; i++) {
        sum[i] = (i * 7919LL) % 2000001 - 1000000;
        g[i] = (float)ldexp((double)sum[i], -s);
    }
    p->o.n = MANY;
    p->o.n_tensor = 1;
    p->o.decay = 0;
    p->o.tensor = cuda_put(&c, &all, sizeof all);
    p->o.exponent = cuda_put(&c, &s, sizeof s);
    p->o.sum = cuda_put(&c, sum, sizeof sum);
    p->o.g = cuda_zeros(&c, sizeof g);
    p->o.w = cuda_zeros(&c, sizeof w);
    p->o.m = cuda_zeros(&c, sizeof m);
    p->o.v = cuda_zeros(&c, sizeof v);
    p->o.work = cuda_zeros(&c, (size_t)c.k->optim_work(MANY) * sizeof(double));
    assert_int_equal(finish(p), 0);
    assert_int_equal(ci_adam_step(&adam, 1, MANY, g, w, m, v, &norm), CI_OK);
    cuda_get(&c, &got, p->o.work + c.k->optim_work(MANY) - 1, sizeof got);
    assert_true(fabs(got - 797.8977075509441) <= 1e-13 * got); /* math.fsum of Python; eight long chains of ci_norm are 1e-12 off */
    cuda_check(&c, "w", p->o.w, w, MANY, 0);
    c.k->optim_begin(c.d.dev, &p->t.dev, &p->o);
    cuda_get(&c, sum, p->o.sum, sizeof sum);
    for (int i = 0; i < MANY + CI_TERMS; i++)
        if (sum[i] != 0) fail_msg("sum %d is %lld", i, (long long)sum[i]);
    optim_free(p);
    cuda_shut(&c);
    free(c.bytes);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(optim_finish__reaches_every_one_of_millions_of_parameters),
    cmocka_unit_test(optim_finish__has_the_bits_of_adam_on_the_processor),
    cmocka_unit_test(optim_finish__takes_a_gradient_of_floats_as_it_is),
    cmocka_unit_test(optim_agree__tells_what_outgrows_its_units),
    cmocka_unit_test(optim_finish__takes_exponents_from_the_first_try),
    cmocka_unit_test(optim_finish__takes_an_outgrown_step_again),
    cmocka_unit_test(optim_finish__changes_nothing_when_something_is_bad),
    cmocka_unit_test(optim_begin__leaves_nothing_of_the_last_step),
    cmocka_unit_test(running__moves_where_the_step_was_taken),
};
CI_TEST_MAIN(tests)
