/* Curricula against their formulas in Python (tests/oracle/curriculum.txt), and what they refuse. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "ci/curriculum.h"
#include "ci/random.h"

enum { N = 40, SEED = 1, PURPOSE = 100, MOST = N + N / 5 };
static double score[N];
static uint8_t label[N];

static uint32_t word(uint32_t k, uint32_t i) { return ci_philox(SEED, PURPOSE, k, i / 4, 0, 0).v[i % 4]; }

static void inputs(void)
{
    for (uint32_t i = 0; i < N; i++) {
        score[i] = floor((double)(2 * ci_unit(word(50, i)) - 1) * 16) / 16;
        label[i] = ci_below(word(51, i), 4) == 0;
    }
}

/** Lines of this name: the epoch and the numbers of each are given to `check`.  \return how many lines */
static int lines(const char *name, void (*check)(int32_t epoch, int n, const int64_t *want))
{
    FILE *f = fopen("tests/oracle/curriculum.txt", "r");
    const size_t length = strlen(name);
    char text[1024];
    int seen = 0;
    assert_non_null(f);
    inputs();
    while (fgets(text, sizeof text, f)) {
        if (strncmp(text, name, length) != 0 || text[length] != ' ') continue;
        char *at = text + length, *end;
        int64_t want[MOST];
        const int32_t epoch = (int32_t)strtol(at, &at, 10);
        int n = 0;
        for (; n < MOST; n++, at = end) {
            want[n] = strtol(at, &end, 10);
            if (end == at) break;
        }
        check(epoch, n, want);
        seen++;
    }
    fclose(f);
    return seen;
}

static void same(const int64_t *got, int64_t n_got, const int64_t *want, int n)
{
    assert_int_equal(n_got, n);
    for (int k = 0; k < n; k++) assert_int_equal(got[k], want[k]);
}

static void check_hard(int32_t epoch, int n, const int64_t *want)
{
    int64_t out[N], out_n = -1;
    assert_int_equal(ci_curriculum_hard(score, N, 3, epoch, 6, out, &out_n), CI_OK);
    same(out, out_n, want, n);
}

static void check_easy(int32_t epoch, int n, const int64_t *want)
{
    float weight[N];
    assert_int_equal(n, N);
    assert_int_equal(ci_curriculum_weight(score, label, N, epoch, 6, weight), CI_OK);
    for (int i = 0; i < N; i++) assert_true(weight[i] == (float)want[i]);
}

static void check_momentum(int32_t t, int n, const int64_t *want)
{
    int64_t out[MOST], out_n = -1;
    assert_int_equal(ci_curriculum_momentum(9, label, score, N, t, 3, out, &out_n), CI_OK);
    same(out, out_n, want, n);
}

static void check_one_class(int32_t t, int n, const int64_t *want)
{
    memset(label, 1, sizeof label);
    check_momentum(t, n, want);
}

static void curriculum__equals_its_formulas(void **state)
{
    (void)state;
    assert_int_equal(lines("hard", check_hard), 8);
    assert_int_equal(lines("easy", check_easy), 8);
    assert_int_equal(lines("momentum", check_momentum), 7);
    assert_int_equal(lines("momentum_one_class", check_one_class), 1);
}

static void hard__by_hand(void **state)
{
    (void)state;
    /* Epoch 0 of 10: the threshold is the 4th of 4 sorted scores, so 9 alone; epoch 5: place floor(4 * 85 / 100) = 3, too. */
    const double s[] = {5, 9, 1, 9};
    int64_t out[4], n;
    assert_int_equal(ci_curriculum_hard(s, 4, 1, 0, 10, out, &n), CI_OK);
    assert_true(n == 1 && out[0] == 1);
    assert_int_equal(ci_curriculum_hard(s, 4, 1, 5, 10, out, &n), CI_OK); /* floor(1 * 5.5) of the two */
    assert_true(n == 2 && out[0] == 1 && out[1] == 3);
    assert_int_equal(ci_curriculum_hard(s, 4, 0, 5, 10, out, &n), CI_OK);
    assert_true(n == 0);
    assert_int_equal(ci_curriculum_hard(s, 0, 3, 5, 10, out, &n), CI_OK);
    assert_true(n == 0);
}

static void curriculum__refuses_bad_input(void **state)
{
    (void)state;
    float weight[N];
    int64_t out[MOST], n = 7;
    inputs();
    label[5] = 0;
    score[5] = NAN;
    assert_int_equal(ci_curriculum_hard(score, N, 3, 0, 6, out, &n), CI_ENUMERIC);
    assert_int_equal(ci_curriculum_weight(score, label, N, 0, 6, weight), CI_ENUMERIC);
    assert_int_equal(ci_curriculum_momentum(9, label, score, N, 0, 3, out, &n), CI_ENUMERIC);
    label[5] = 1; /* an attack's difficulty counts for nothing here */
    assert_int_equal(ci_curriculum_weight(score, label, N, 0, 6, weight), CI_OK);
    inputs();
    assert_int_equal(ci_curriculum_hard(score, -1, 3, 0, 6, out, &n), CI_EARG);
    assert_int_equal(ci_curriculum_hard(score, N, 3, -1, 6, out, &n), CI_EARG);
    assert_int_equal(ci_curriculum_weight(score, label, N, -1, 6, weight), CI_EARG);
    assert_int_equal(ci_curriculum_momentum(9, label, score, N, 0, 0, out, &n), CI_EARG);
    assert_int_equal(ci_curriculum_momentum(9, label, score, N, 0, NAN, out, &n), CI_EARG);
    assert_int_equal(ci_curriculum_momentum(9, label, score, -1, 0, 3, out, &n), CI_EARG);
    assert_int_equal(ci_curriculum_momentum(9, label, score, 0, 0, 3, out, &n), CI_OK);
    assert_true(n == 0);
    assert_int_equal(ci_curriculum_weight(score, label, 0, 0, 6, weight), CI_OK);
    memset(label, 1, sizeof label);
    assert_int_equal(ci_curriculum_weight(score, label, N, 0, 6, weight), CI_OK);
    for (int i = 0; i < N; i++) assert_true(weight[i] == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(curriculum__equals_its_formulas),
        cmocka_unit_test(hard__by_hand),
        cmocka_unit_test(curriculum__refuses_bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
