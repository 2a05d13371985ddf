/* The kernels of each instruction set: near the reference in float, and the same bits among themselves. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "ci/random.h"
#include "fill.h"
#define CI_REAL float
#include "ops/ref/ref.h"

static const ci_ops *table[3];
static size_t n_table;

/* Sums of up to some hundred products in another order, fused or not: 1e-5 of the largest element. */
static void near(const char *what, const float *got, const float *want, size_t n)
{
    float most = 0;
    for (size_t i = 0; i < n; i++) most = fmaxf(most, fabsf(want[i]));
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(got[i] - want[i]) <= 1e-5f * most))
            fail_msg("%s[%zu] is %.9g, the reference has %.9g", what, i, (double)got[i], (double)want[i]);
}

static void same(const char *what, const float *got, const float *want, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(&got[i], &want[i], sizeof *got)) fail_msg("%s[%zu]: %a and %a", what, i, (double)got[i], (double)want[i]);
}

static void gemm__equals_reference_and_itself_for_odd_sizes(void **state)
{
    (void)state;
    static const int sizes[][3] = {{1, 1, 1}, {7, 2, 192}, {9, 96, 51}, {33, 17, 11}, {5, 50, 3}, {13, 112, 96}, {8, 48, 0},
                                   {50, 192, 192}, {3, 95, 7}, {192, 2, 8}, {16, 64, 33}};
    for (size_t s = 0; s < CI_COUNT(sizes); s++) {
        const int M = sizes[s][0], N = sizes[s][1], K = sizes[s][2];
        const size_t n_c = (size_t)M * N;
        float *x = fill_f((size_t)M * K, 1), *w = fill_f((size_t)K * N, 2), *b = fill_f((size_t)N, 3);
        float *want = fill_f(n_c, 4), *first = fill_f(n_c, 4), *c = fill_f(n_c, 4), *xt = fill_f((size_t)M * K, 1);
        ci_ref_linear_forward_float(M, N, K, x, w, b, want);
        for (int m = 0; m < M; m++)
            for (int k = 0; k < K; k++) xt[k * M + m] = x[m * K + k];
        for (size_t t = 0; t < n_table; t++)
            for (int transposed = 0; transposed < 2; transposed++) {
                ci_gemm g = {.M = M, .N = N, .K = K, .a = transposed ? xt : x, .a_row = transposed ? 1 : K,
                             .a_col = transposed ? M : 1, .b = w, .b_row = N, .c = c, .c_row = N,
                             .start = CI_GEMM_BIAS, .bias = b};
                table[t]->gemm(&g);
                near(table[t]->name, c, want, n_c);
                if (!t && !transposed) memcpy(first, c, n_c * sizeof *c);
                same(table[t]->name, c, first, n_c);
                for (int m = 0; m < M; m++) memcpy(c + (size_t)m * N, b, (size_t)N * sizeof *b);
                g.start = CI_GEMM_ADD; /* onto the bias: the same chain */
                table[t]->gemm(&g);
                same(table[t]->name, c, first, n_c);
            }
        free(x); free(w); free(b); free(want); free(first); free(c); free(xt);
    }
}

static void gemm__row_does_not_depend_on_how_many_there_are(void **state)
{
    (void)state;
    enum { M = 50, N = 96, K = 96 };
    float *a = fill_f(M * K, 1), *b = fill_f(K * N, 2), all[M * N], one[N];
    for (size_t t = 0; t < n_table; t++) {
        ci_gemm g = {.M = M, .N = N, .K = K, .a = a, .a_row = K, .a_col = 1, .b = b, .b_row = N, .c = all, .c_row = N};
        table[t]->gemm(&g);
        for (int m = 0; m < M; m++) {
            g.M = 1;
            g.a = a + m * K;
            g.c = one;
            table[t]->gemm(&g);
            same(table[t]->name, one, all + m * N, N);
        }
    }
    free(a);
    free(b);
}

struct attention {
    float *p, *y, *ds, *dl, *dr, *dw_e, *da, *dbias;
};

static struct attention attention_new(size_t n, size_t E, size_t H, size_t D, size_t F)
{
    return (struct attention){fill_f(E * H, 1), fill_f(n * D, 1), fill_f(E * H, 1), fill_f(n * D, 1), fill_f(n * D, 1),
                              fill_f(F * D, 9), fill_f(D, 9), fill_f(D, 9)};
}

static void attention_free(struct attention *a)
{
    free(a->p); free(a->y); free(a->ds); free(a->dl); free(a->dr); free(a->dw_e); free(a->da); free(a->dbias);
}

static void attention_case(ci_gatv2_dim dim, ci_lid nodes, ci_lid most)
{
    fill_graph g = fill_csr(nodes, most);
    const size_t n = (size_t)nodes, E = (size_t)g.n_edge, H = (size_t)dim.H, D = H * dim.C, F = (size_t)dim.F;
    float *l = fill_f(n * D, 1), *r = fill_f(n * D, 2), *e = fill_f(E * F, 3), *w_e = fill_f(F * D, 4), *a = fill_f(D, 5);
    float *bias = fill_f(D, 6), *dy = fill_f(n * D, 7), *block = fill_f(CI_GATV2_BLOCK * D, 8);
    const ci_gatv2_in in = {l, r, e, w_e, a, bias};
    struct attention want = attention_new(n, E, H, D, F), first = {0};
    ci_ref_gatv2_forward_float(dim, &g.csr, l, r, e, w_e, a, bias, want.p, want.y);
    ci_ref_gatv2_backward_float(dim, &g.csr, l, r, e, w_e, a, want.p, dy, want.dl, want.dr, want.dw_e, want.da, want.dbias);
    for (size_t t = 0; t < n_table; t++) {
        struct attention got = attention_new(n, E, H, D, F);
        table[t]->gatv2_forward(dim, &g.csr, in, block, got.p, got.y);
        table[t]->gatv2_backward(dim, &g.csr, in, got.p, dy, block, got.ds,
                                 (ci_gatv2_grad){got.dl, got.dr, got.dw_e, got.da});
        table[t]->column_sum(dy, nodes, (ci_lid)D, (ci_lid)D, got.dbias);
        const struct { const char *name; const float *got, *want, **first; size_t n; } each[] = {
            {"p", got.p, want.p, (const float **)&first.p, E * H}, {"y", got.y, want.y, (const float **)&first.y, n * D},
            {"dl", got.dl, want.dl, (const float **)&first.dl, n * D}, {"dr", got.dr, want.dr, (const float **)&first.dr, n * D},
            {"dw_e", got.dw_e, want.dw_e, (const float **)&first.dw_e, F * D},
            {"da", got.da, want.da, (const float **)&first.da, D},
            {"dbias", got.dbias, want.dbias, (const float **)&first.dbias, D},
        };
        for (size_t k = 0; k < CI_COUNT(each); k++) {
            near(each[k].name, each[k].got, each[k].want, each[k].n);
            if (t) same(each[k].name, each[k].got, *each[k].first, each[k].n);
        }
        if (t) attention_free(&got);
        else first = got;
    }
    attention_free(&want);
    attention_free(&first);
    fill_release(&g);
    free(l); free(r); free(e); free(w_e); free(a); free(bias); free(dy); free(block);
}

static void gatv2__equals_reference_and_itself(void **state)
{
    (void)state;
    attention_case((ci_gatv2_dim){4, 24, 11, 0.2f}, 40, 100);
    attention_case((ci_gatv2_dim){4, 24, 11, 0.2f}, 1, 1);
    attention_case((ci_gatv2_dim){4, 24, 11, 0.2f}, 3, 0); /* a node without an in-edge is its bias */
    attention_case((ci_gatv2_dim){4, 64, 11, 0.2f}, 20, 33);
    attention_case((ci_gatv2_dim){1, 16, 3, 0.2f}, 12, 64);
    attention_case((ci_gatv2_dim){2, 8, 5, 0.0f}, 12, 5);
}

/** Distance of got from the true value in units of the last place of the true value as a float. */
static double ulps(float got, double want)
{
    int e;
    frexp(want, &e);
    return fabs((double)got - want) / ldexp(1, e - 24);
}

static void exp__is_within_1_ulp(void **state)
{
    (void)state;
    double worst = 0;
    for (float x = -87; x < 88.7f; x += 0.0013f) worst = fmax(worst, ulps(ci_expf(x), exp((double)x)));
    for (float x = -0.01f; x < 0.01f; x += 1e-6f) worst = fmax(worst, ulps(ci_expf(x), exp((double)x)));
    print_message("exp: at most %.3f ulp\n", worst);
    assert_true(worst <= 1.0);
    assert_true(ci_expf(0) == 1 && ci_expf(-200) == 0 && isinf(ci_expf(200)) && isnan(ci_expf(NAN)));
    assert_true(ci_expf(-INFINITY) == 0 && isinf(ci_expf(INFINITY)));
    assert_true(fabs((double)ci_expf(-95) - exp(-95.0)) <= 0x1p-149); /* gradual underflow: one step of the last place */
}

static void log__is_within_1_ulp(void **state)
{
    (void)state;
    double worst = 0;
    for (float x = 1.2e-38f; x < 1e38f; x *= 1.0007f) worst = fmax(worst, ulps(ci_logf(x), log((double)x)));
    for (float x = 0.5f; x < 2.0f; x += 1e-5f)
        if (x != 1) worst = fmax(worst, ulps(ci_logf(x), log((double)x)));
    print_message("log: at most %.3f ulp\n", worst);
    assert_true(worst <= 1.0);
    assert_true(ci_logf(1) == 0);
}

static void exp__has_the_same_bits_in_every_build(void **state)
{
    (void)state;
    enum { COUNT = 20011 };
    static float x[COUNT], y[COUNT];
    for (int i = 0; i < COUNT; i++) x[i] = -110.0f + 0.01f * (float)i;
    for (size_t t = 0; t < n_table; t++) {
        table[t]->exp(x, COUNT, y);
        for (int i = 0; i < COUNT; i++) {
            const float want = ci_expf(x[i]);
            same(table[t]->name, &y[i], &want, 1);
        }
    }
}

static void relu__drops_what_philox_says(void **state)
{
    (void)state;
    enum { COUNT = 1003 };
    const ci_dropout drop = {.seed = 5, .epoch = 6, .operation = 7, .drop = 858993459u, .scale = 1.25f};
    float *x = fill_f(COUNT, 1), want[COUNT], got[COUNT], back[COUNT];
    uint8_t keep[COUNT];
    int dropped = 0;
    for (int i = 0; i < COUNT; i++) {
        keep[i] = ci_philox(5, CI_RANDOM_DROPOUT, 6, 9, 7, (uint32_t)i / 4).v[i % 4] >= drop.drop;
        dropped += !keep[i];
    }
    assert_true(dropped > 160 && dropped < 240); /* .2 of 1003, three standard deviations */
    ci_ref_relu_forward_float(COUNT, x, keep, 1.25f, want);
    for (size_t t = 0; t < n_table; t++)
        for (int n = COUNT - 40; n <= COUNT; n += 4) {
            memcpy(got, x, sizeof got);
            table[t]->relu(got, n, &drop, 9);
            same(table[t]->name, got, want, (size_t)n);
            for (int i = 0; i < n; i++) back[i] = 1;
            table[t]->relu_backward(got, n, drop.scale, back);
            for (int i = 0; i < n; i++) assert_true(back[i] == (keep[i] && x[i] > 0 ? 1.25f : 0.0f));
        }
    free(x);
}

static void relu__keeps_what_is_not_a_number(void **state)
{
    (void)state;
    for (size_t t = 0; t < n_table; t++) {
        float x[20] = {[0] = NAN, [3] = INFINITY, [17] = NAN};
        table[t]->relu(x, 20, NULL, 0);
        assert_true(isnan(x[0]) && isinf(x[3]) && isnan(x[17]) && x[1] == 0);
    }
}

static void mean__equals_reference_and_itself(void **state)
{
    (void)state;
    enum { ROWS = 13, COLS = 97 };
    float *x = fill_f(ROWS * COLS, 1), want[COLS], got[COLS], first[COLS], back[ROWS * COLS], want_back[ROWS * COLS];
    ci_ref_mean_forward_float(ROWS, COLS, x, want);
    ci_ref_mean_backward_float(ROWS, COLS, want, want_back);
    for (size_t t = 0; t < n_table; t++) {
        table[t]->mean(x, ROWS, COLS, got);
        near("mean", got, want, COLS);
        if (!t) memcpy(first, got, sizeof got);
        same("mean", got, first, COLS);
        table[t]->mean_backward(want, ROWS, COLS, 0, back);
        same("mean backward", back, want_back, ROWS * COLS);
        table[t]->mean_backward(want, ROWS, COLS, 1, back);
        for (int i = 0; i < ROWS * COLS; i++) assert_true(back[i] == 2 * want_back[i]);
    }
    free(x);
}

static void get__knows_names(void **state)
{
    (void)state;
    assert_null(ci_ops_get("sse9"));
    assert_string_equal(ci_ops_get("generic")->name, "generic");
    assert_non_null(ci_ops_get("auto"));
}

static int start(void **state)
{
    (void)state;
    n_table = fill_tables(table);
    return n_table ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemm__equals_reference_and_itself_for_odd_sizes),
        cmocka_unit_test(gemm__row_does_not_depend_on_how_many_there_are),
        cmocka_unit_test(gatv2__equals_reference_and_itself),
        cmocka_unit_test(exp__is_within_1_ulp),
        cmocka_unit_test(log__is_within_1_ulp),
        cmocka_unit_test(exp__has_the_same_bits_in_every_build),
        cmocka_unit_test(relu__drops_what_philox_says),
        cmocka_unit_test(relu__keeps_what_is_not_a_number),
        cmocka_unit_test(mean__equals_reference_and_itself),
        cmocka_unit_test(get__knows_names),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
