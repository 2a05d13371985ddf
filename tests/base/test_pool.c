#define _GNU_SOURCE
#include "ci_test.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "ci/pool.h"
#include "ci/types.h"

enum { THREADS = 8 };

struct tally {
    int runs[THREADS];
    pthread_t self[THREADS];
    pthread_barrier_t all;
    unsigned fails; /* bit k: thread k fails */
};

static ci_rc count(void *arg, int thread)
{
    struct tally *t = arg;

    t->runs[thread]++;
    t->self[thread] = pthread_self();
    return CI_OK;
}

static void pool_run__runs_the_job_once_on_every_thread(void **state)
{
    const int sizes[] = {1, 2, 3, THREADS};

    (void)state;
    for (size_t s = 0; s < CI_COUNT(sizes); s++) {
        const int n = sizes[s];
        struct tally t = {0};
        ci_pool *pool = NULL;
        assert_int_equal(ci_pool_create(n, &pool), CI_OK);
        assert_int_equal(ci_pool_size(pool), n);
        for (int round = 1; round <= 500; round++) {
            assert_int_equal(ci_pool_run(pool, count, &t), CI_OK);
            for (int k = 0; k < THREADS; k++) assert_int_equal(t.runs[k], k < n ? round : 0);
        }
        assert_true(pthread_equal(t.self[0], pthread_self()));
        for (int k = 1; k < n; k++) assert_false(pthread_equal(t.self[k], t.self[k - 1]));
        ci_pool_destroy(&pool);
        assert_null(pool);
    }
}

/* Returns only when all are inside: threads that took turns would never end. */
static ci_rc meet(void *arg, int thread)
{
    (void)thread;
    pthread_barrier_wait(&((struct tally *)arg)->all);
    return CI_OK;
}

static void pool_run__runs_all_threads_at_the_same_time(void **state)
{
    struct tally t = {0};
    ci_pool *pool = NULL;

    (void)state;
    alarm(30);
    assert_int_equal(pthread_barrier_init(&t.all, NULL, THREADS), 0);
    assert_int_equal(ci_pool_create(THREADS, &pool), CI_OK);
    for (int i = 0; i < 20; i++) assert_int_equal(ci_pool_run(pool, meet, &t), CI_OK);
    ci_pool_destroy(&pool);
    pthread_barrier_destroy(&t.all);
    alarm(0);
}

static ci_rc fail_some(void *arg, int thread)
{
    const struct tally *t = arg;

    if (!(t->fails >> thread & 1)) return CI_OK;
    return ci_fail(thread == 2 ? CI_EIO : CI_EDATA, __FILE__, __LINE__, "thread %d of the test", thread);
}

static void pool_run__returns_code_and_message_of_the_lowest_failing_thread(void **state)
{
    struct tally t = {.fails = 1u << 2 | 1u << 3};
    ci_pool *pool = NULL;

    (void)state;
    assert_int_equal(ci_pool_create(4, &pool), CI_OK);
    assert_int_equal(ci_pool_run(pool, fail_some, &t), CI_EIO);
    assert_string_equal(ci_message(), "thread 2 of the test");
    t.fails = 1u << 3;
    assert_int_equal(ci_pool_run(pool, fail_some, &t), CI_EDATA);
    assert_string_equal(ci_message(), "thread 3 of the test");
    t.fails = 1u << 0 | 1u << 2;
    assert_int_equal(ci_pool_run(pool, fail_some, &t), CI_EDATA);
    assert_string_equal(ci_message(), "thread 0 of the test");
    t.fails = 0;
    assert_int_equal(ci_pool_run(pool, fail_some, &t), CI_OK);
    ci_pool_destroy(&pool);
    ci_pool_destroy(&pool);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(pool_run__runs_the_job_once_on_every_thread),
    cmocka_unit_test(pool_run__runs_all_threads_at_the_same_time),
    cmocka_unit_test(pool_run__returns_code_and_message_of_the_lowest_failing_thread),
};
CI_TEST_MAIN(tests)
