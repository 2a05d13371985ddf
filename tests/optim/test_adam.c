/* Adam and AdamW with clipping against torch.optim in float64 (tests/oracle/adam.txt, adamw.txt). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "ci/optim.h"

enum { N = 10 };
static const ci_adam adam = {.lr = 1e-2, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = 1e-2, .clip = 1};

/** The next line that starts with `what`: n numbers. */
static int numbers(FILE *f, const char *what, int n, double *out)
{
    char word[16], text[1024];
    while (fgets(text, sizeof text, f)) {
        if (text[0] == '#') continue;
        char *at = strchr(text, ' ');
        assert_int_equal(sscanf(text, "%15s", word), 1);
        assert_string_equal(word, what);
        for (int k = 0; k < n; k++) out[k] = strtod(at, &at);
        return 1;
    }
    return 0;
}

/** Six steps of a file of tests/oracle/: the weights within some roundings of numbers below 1, the norm to 1e-7. */
static void follow(const char *path, const ci_adam *a)
{
    FILE *f = fopen(path, "r");
    double x[N], want, norm;
    float w[N], g[N], m[N] = {0}, v[N] = {0};
    int t = 0;
    assert_non_null(f);
    assert_true(numbers(f, "w", N, x));
    for (int k = 0; k < N; k++) w[k] = (float)x[k];
    while (numbers(f, "g", N, x)) {
        for (int k = 0; k < N; k++) g[k] = (float)x[k];
        assert_int_equal(ci_adam_step(a, ++t, N, g, w, m, v, &norm), CI_OK);
        assert_true(numbers(f, "norm", 1, &want));
        assert_true(fabs(norm - want) <= 1e-7 * want);
        assert_true(numbers(f, "w", N, x));
        for (int k = 0; k < N; k++) assert_true(fabs(w[k] - x[k]) <= 1e-6);
    }
    assert_int_equal(t, 6);
    fclose(f);
}

static void adam__follows_torch(void **state)
{
    (void)state;
    follow("tests/oracle/adam.txt", &adam);
}

static void adamw__follows_torch(void **state)
{
    (void)state;
    ci_adam decoupled = adam;
    decoupled.decay = 0.3;
    decoupled.decoupled = true;
    follow("tests/oracle/adamw.txt", &decoupled);
}

static void adam__changes_nothing_when_the_gradient_is_not_finite(void **state)
{
    (void)state;
    const float bad[] = {NAN, INFINITY};
    for (size_t k = 0; k < CI_COUNT(bad); k++) {
        float w[3] = {1, 2, 3}, m[3] = {0.5f, 0.5f, 0.5f}, v[3] = {1, 1, 1}, g[3] = {1, bad[k], 1};
        assert_int_equal(ci_adam_step(&adam, 1, 3, g, w, m, v, NULL), CI_ENUMERIC);
        assert_true(w[0] == 1 && w[2] == 3 && m[0] == 0.5f && v[2] == 1);
    }
    float x[1] = {1};
    assert_int_equal(ci_adam_step(&adam, 0, 1, x, x, x, x, NULL), CI_EARG);
}

static void norm__does_not_overflow_and_has_one_order(void **state)
{
    (void)state;
    float v[19];
    double part[8] = {0};
    for (int i = 0; i < 19; i++) v[i] = 1e30f / (float)(i + 1);
    for (int i = 0; i < 19; i++) part[i % 8] += (double)v[i] * v[i];
    const double want = sqrt(((part[0] + part[4]) + (part[2] + part[6])) + ((part[1] + part[5]) + (part[3] + part[7])));
    assert_true(ci_norm(v, 19) == want && isfinite(want));
    assert_true(ci_norm(v, 0) == 0);
}

static void adam__without_clip_leaves_the_gradient(void **state)
{
    (void)state;
    ci_adam plain = adam;
    plain.clip = 0;
    plain.decay = 0;
    float w[1] = {0}, m[1] = {0}, v[1] = {0}, g[1] = {100};
    assert_int_equal(ci_adam_step(&plain, 1, 1, g, w, m, v, NULL), CI_OK);
    assert_true(fabs(m[0] - 10) < 1e-5 && fabs(w[0] + 1e-2) < 1e-8); /* the first step of Adam is lr */
}

static void adam__clips_as_torch_does_near_zero(void **state)
{
    (void)state;
    ci_adam tiny = adam;
    tiny.clip = 1e-6;
    tiny.decay = 0;
    float w[1] = {0}, m[1] = {0}, v[1] = {0}, g[1] = {1e-6f};
    assert_int_equal(ci_adam_step(&tiny, 1, 1, g, w, m, v, NULL), CI_OK);
    assert_true(fabs(m[0] - 0.5e-7) < 1e-12); /* 0.1 g clip / (|g| + 1e-6) */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adam__follows_torch),
        cmocka_unit_test(adamw__follows_torch),
        cmocka_unit_test(adam__changes_nothing_when_the_gradient_is_not_finite),
        cmocka_unit_test(norm__does_not_overflow_and_has_one_order),
        cmocka_unit_test(adam__without_clip_leaves_the_gradient),
        cmocka_unit_test(adam__clips_as_torch_does_near_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
