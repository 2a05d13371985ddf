/* A device as the program has it: memory, the two streams, captured calls, and what is said when one fails. */
#include "ci_test.h"

#include "cuda_test.h"

enum { N = 1000 };

/* z = x + y over N numbers, by the backend's own kernel. */
static void ask_sum(struct cuda *c, const ci_k_step *step, const float *x, const float *y, float *z)
{
    ci_k_batch b = {.step = (ci_k_step *)step};

    b.most[CI_ROWS_NODE] = N;
    c->k->add(c->d.dev, &b, CI_ROWS_NODE, 1, x, y, z);
}

static const ci_k_step *rows(struct cuda *c)
{
    ci_k_step step = {.n_rank = 1};

    step.n[CI_ROWS_NODE] = N;
    return cuda_put(c, &step, sizeof step);
}

static float *filled(float v)
{
    float *x = malloc(N * sizeof *x);

    assert_non_null(x);
    for (int i = 0; i < N; i++) x[i] = v + (float)i;
    return x;
}

static void expect(struct cuda *c, const float *dev, float first, float each)
{
    float *got = cuda_get_floats(c, dev, N);

    cuda_record(c, got, N * sizeof *got);
    for (int i = 0; i < N; i++)
        if (got[i] != first + each * (float)i) fail_msg("%d is %g, not %g", i, (double)got[i], (double)(first + each * (float)i));
    free(got);
}

static void memory__counts_what_is_out(void **state)
{
    struct cuda c;
    size_t unused, used, before;
    void *p, *q, *host;

    (void)state;
    cuda_open(&c, "forward");
    cuda_ok(&c, c.r->memory(c.d.dev, &unused, &before));
    assert_true(unused > 0 && unused <= c.d.info.bytes && c.d.info.processors > 0 && c.d.info.arch >= 70 && c.d.info.bus[0]);
    cuda_ok(&c, c.r->alloc(c.d.dev, 1000, &p));
    cuda_ok(&c, c.r->alloc(c.d.dev, 0, &q));
    assert_true((uintptr_t)p % 256 == 0 && q && q != p);
    cuda_ok(&c, c.r->memory(c.d.dev, &unused, &used));
    assert_int_equal(used, before + 1000);
    c.r->release(c.d.dev, p);
    c.r->release(c.d.dev, q);
    c.r->release(c.d.dev, NULL);
    cuda_ok(&c, c.r->memory(c.d.dev, &unused, &used));
    assert_int_equal(used, before);
    cuda_ok(&c, c.r->host_alloc(c.d.dev, 1 << 20, &host));
    memset(host, 1, 1 << 20);
    c.r->host_release(c.d.dev, host);
    c.r->host_release(c.d.dev, NULL);
    cuda_shut(&c);
}

static void memory__that_is_short_is_said_and_nothing_is_lost(void **state)
{
    struct cuda c;
    float *x = filled(1);
    size_t wanted, budget;
    char digits[32];
    void *p;

    (void)state;
    cuda_open(&c, "forward");
    wanted = 4 * c.d.info.bytes;
    assert_int_equal(c.r->alloc(c.d.dev, wanted, &p), CI_ENOMEM);
    assert_null(p);
    snprintf(digits, sizeof digits, "%zu bytes were wanted", wanted);
    if (!strstr(c.r->message(), "out of memory") || !strstr(c.r->message(), digits) || !strstr(c.r->message(), " are free")) fail_msg("%s", c.r->message());
    expect(&c, cuda_put(&c, x, N * sizeof *x), 1, 1);
    assert_int_equal(ci_device_budget(&c.d, 0, &budget), CI_OK);
    assert_true(budget < c.d.info.free && budget > c.d.info.free / 2);
    assert_int_equal(ci_device_budget(&c.d, 12345, &budget), CI_OK);
    assert_int_equal(budget, 12345);
    free(c.bytes);
    cuda_shut(&c);
    free(x);
}

static void stream__keeps_the_order_of_the_calls(struct cuda *c)
{
    float *x = filled(1), *a = cuda_put(c, x, N * sizeof *x), *b = cuda_zeros(c, N * sizeof *x);
    const ci_k_step *step = rows(c);

    for (int k = 0; k < 5; k++) ask_sum(c, step, a, b, b);
    expect(c, b, 5, 5);
    cuda_ok(c, c->r->zero(c->d.dev, b, N * sizeof *x));
    expect(c, b, 0, 0);
    free(x);
}

/* Two buffers in turn, as a step has them: a copy must not come before the kernel that still reads, nor a kernel before its copy. */
static void ahead__waits_and_is_waited_for(struct cuda *c)
{
    enum { STEPS = 6 };
    const ci_k_step *step = rows(c);
    float *buffer[2] = {cuda_room(c, N * sizeof(float)), cuda_room(c, N * sizeof(float))}, *sum = cuda_zeros(c, N * sizeof(float));
    void *host[STEPS];

    for (int k = 0; k < STEPS; k++) {
        float *x = filled((float)k);
        cuda_ok(c, c->r->host_alloc(c->d.dev, N * sizeof *x, &host[k]));
        memcpy(host[k], x, N * sizeof *x);
        free(x);
    }
    cuda_wait(c);
    for (int k = 0; k < STEPS; k++) {
        cuda_ok(c, c->r->ahead_after(c->d.dev));
        cuda_ok(c, c->r->ahead(c->d.dev, buffer[k % 2], host[k], N * sizeof(float)));
        cuda_ok(c, c->r->after_ahead(c->d.dev));
        ask_sum(c, step, buffer[k % 2], sum, sum);
    }
    cuda_ok(c, c->r->ahead_sync(c->d.dev));
    expect(c, sum, 15, STEPS);
    for (int k = 0; k < STEPS; k++) c->r->host_release(c->d.dev, host[k]);
}

static void graph__is_done_when_launched_and_as_often(struct cuda *c)
{
    const ci_k_step *step = rows(c);
    float *x = filled(2), *a = cuda_put(c, x, N * sizeof *x), *sum = cuda_zeros(c, N * sizeof *x);
    ci_dev_graph *g = NULL;

    cuda_wait(c);
    cuda_ok(c, c->r->capture_begin(c->d.dev));
    ask_sum(c, step, a, sum, sum);
    ask_sum(c, step, a, sum, sum);
    cuda_ok(c, c->r->capture_end(c->d.dev, &g));
    assert_int_equal(c->r->graph_kernels(g), 2);
    expect(c, sum, 0, 0);
    for (int k = 0; k < 3; k++) cuda_ok(c, c->r->launch(c->d.dev, g));
    expect(c, sum, 12, 6);
    c->r->graph_destroy(&g);
    assert_null(g);
    c->r->graph_destroy(&g);
    free(x);
}

static void kernel__that_fails_is_named_and_ends_the_device(void **state)
{
    struct cuda c;
    size_t unused, used;
    float *a;

    (void)state;
    setenv("CANIDS_EMU_FAULT", "kernel:add:2", 1);
    cuda_open(&c, "forward");
    unsetenv("CANIDS_EMU_FAULT");
    if (strcmp(c.d.backend->name, "emulated") != 0) {
        cuda_shut(&c);
        skip();
    }
    a = cuda_zeros(&c, N * sizeof *a);
    const ci_k_step *step = rows(&c);
    ask_sum(&c, step, a, a, a);
    cuda_ok(&c, c.r->sync(c.d.dev, 10, "test"));
    ask_sum(&c, step, a, a, a);
    assert_int_equal(ci_device_rc(&c.d, c.r->sync(c.d.dev, 10, "test.site")), CI_ETEMP);
    if (!strstr(ci_message(), "test.site") || !strstr(ci_message(), "add") || !strstr(ci_message(), "device 0")) fail_msg("%s", ci_message());
    assert_int_equal(c.r->memory(c.d.dev, &unused, &used), CI_ETEMP);
    assert_int_equal(c.r->sync(c.d.dev, 10, "later"), CI_ETEMP);
    if (!strstr(c.r->message(), "test.site")) fail_msg("not the first failure: %s", c.r->message());
    cuda_shut(&c);
}

static void open__of_a_device_that_is_not_there_says_how_many_are(void **state)
{
    struct cuda c;
    ci_device d;

    (void)state;
    cuda_open(&c, "forward");
    cuda_shut(&c);
    assert_int_equal(ci_device_open(1000, &d), CI_ECONF);
    assert_true(strstr(ci_message(), "no device 1000") && !d.dev && !d.library);
    ci_device_close(&d);
    ci_device_close(NULL);
}

#define IN_ANY_ORDER(name) \
    static void name##_in_any_order(void **state) { cuda_each_order(state, name); }
IN_ANY_ORDER(stream__keeps_the_order_of_the_calls)
IN_ANY_ORDER(ahead__waits_and_is_waited_for)
IN_ANY_ORDER(graph__is_done_when_launched_and_as_often)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(memory__counts_what_is_out),
    cmocka_unit_test(memory__that_is_short_is_said_and_nothing_is_lost),
    cmocka_unit_test(stream__keeps_the_order_of_the_calls_in_any_order),
    cmocka_unit_test(ahead__waits_and_is_waited_for_in_any_order),
    cmocka_unit_test(graph__is_done_when_launched_and_as_often_in_any_order),
    cmocka_unit_test(open__of_a_device_that_is_not_there_says_how_many_are),
    cmocka_unit_test(kernel__that_fails_is_named_and_ends_the_device), /* the last: CUDA is lost to this process then */
};

CI_TEST_MAIN(tests)
