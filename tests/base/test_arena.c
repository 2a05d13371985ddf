#include "ci_test.h"

#include <string.h>

#include "ci/arena.h"

enum { N_PIECE = 50 };

/* Some consumer of an arena: the same code plans and takes. */
static void take_all(ci_arena *a, char *piece[N_PIECE])
{
    for (size_t i = 0; i < N_PIECE; i++) piece[i] = ci_arena_take(a, i * 37 % 101, 1 + i % 9);
}

static void arena__takes_exactly_what_was_planned(void **state)
{
    ci_arena plan = {0}, real;
    char *piece[N_PIECE];

    (void)state;
    take_all(&plan, piece);
    for (int i = 0; i < N_PIECE; i++) assert_null(piece[i]);
    assert_int_equal(ci_arena_init(&real, plan.used), CI_OK);
    take_all(&real, piece);
    assert_int_equal(real.used, plan.used);
    for (size_t i = 0; i < N_PIECE; i++) {
        const size_t n = i * 37 % 101 * (1 + i % 9);
        assert_non_null(piece[i]);
        assert_int_equal((uintptr_t)piece[i] % 64, 0);
        for (size_t k = 0; k < n; k++) assert_int_equal(piece[i][k], 0);
        memset(piece[i], 1, n); /* a piece that overlaps the next one is seen there */
    }
    ci_arena_release(&real);
}

static void arena__that_is_full_gives_nothing(void **state)
{
    ci_arena a;

    (void)state;
    assert_int_equal(ci_arena_init(&a, 100), CI_OK);
    assert_non_null(ci_arena_take(&a, 60, 1));
    assert_null(ci_arena_take(&a, 37, 1)); /* from byte 64: one too many */
    assert_non_null(ci_arena_take(&a, 36, 1));
    assert_null(ci_arena_take(&a, 1, 1));
    ci_arena_release(&a);
    assert_null(a.base);
    assert_int_equal(a.size, 0);
    ci_arena_release(&a);
    ci_arena_release(NULL);
}

static void arena__survives_sizes_beyond_memory(void **state)
{
    ci_arena plan = {0}, a;

    (void)state;
    assert_null(ci_arena_take(&plan, SIZE_MAX / 4 + 2, 4));
    assert_int_equal(ci_arena_init(&a, plan.used), CI_ENOMEM);
    assert_null(a.base);
    assert_int_equal(ci_arena_init(&a, 64), CI_OK);
    assert_null(ci_arena_take(&a, SIZE_MAX / 4 + 2, 4)); /* wraps to four bytes */
    assert_null(ci_arena_take(&a, SIZE_MAX, 1));
    ci_arena_release(&a);
    assert_int_equal(ci_arena_init(&a, 0), CI_OK); /* of nothing: real all the same, not a plan */
    assert_non_null(a.base);
    assert_null(ci_arena_take(&a, 1, 1));
    ci_arena_release(&a);
}

static void new__is_zeroed_and_checks_the_product(void **state)
{
    int32_t *p = ci_new(1000, sizeof *p);
    void *none = ci_new(0, 8);

    (void)state;
    assert_non_null(p);
    assert_non_null(none);
    for (int i = 0; i < 1000; i++) assert_int_equal(p[i], 0);
    free(p);
    free(none);
    assert_null(ci_new(SIZE_MAX / 4 + 2, 4));
}

static void grow__doubles_keeps_and_leaves_alone_on_failure(void **state)
{
    int32_t *p = NULL;
    size_t cap = 0;
    int n_grown = 0;

    (void)state;
    for (int32_t i = 0; i < 100000; i++) {
        const size_t before = cap;
        assert_int_equal(ci_grow((void **)&p, &cap, (size_t)i + 1, sizeof *p), CI_OK);
        assert_true(cap == before || cap >= 2 * before);
        n_grown += cap != before;
        p[i] = i;
    }
    assert_true(n_grown <= 18);
    for (int32_t i = 0; i < 100000; i++) assert_int_equal(p[i], i);
    {
        int32_t *const p_before = p;
        const size_t before = cap;
        assert_int_equal(ci_grow((void **)&p, &cap, SIZE_MAX / 4 + 2, sizeof *p), CI_ENOMEM);
        assert_ptr_equal(p, p_before);
        assert_int_equal(cap, before);
    }
    free(p);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(arena__takes_exactly_what_was_planned),
    cmocka_unit_test(arena__that_is_full_gives_nothing),
    cmocka_unit_test(arena__survives_sizes_beyond_memory),
    cmocka_unit_test(new__is_zeroed_and_checks_the_product),
    cmocka_unit_test(grow__doubles_keeps_and_leaves_alone_on_failure),
};
CI_TEST_MAIN(tests)
