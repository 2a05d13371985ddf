/* Convolutions and attention against PyTorch (Geometric) in float64: tests/oracle/conv.txt, whose inputs and numbering are
 * conv_oracle.py's. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "ci/arena.h"
#include "ci/ops.h"

enum { SEED = 7, TEST = 100, PROJECT = 101, NODES = 31, MOST = 99, ALL = 18, LEAVES = 8 };
static const ci_lid first[] = {0, 17, 18, 31};
static FILE *oracle;
static const ci_ops *ops;
static ci_csr graph;
static ci_lid n_edge, in_first[NODES + 1], in_src[MOST + 3 * NODES];

static ci_u32x4 words(uint32_t seed, uint32_t purpose, uint32_t tensor, size_t i)
{
    return ci_philox(seed, purpose, tensor, (uint32_t)(i / 4), 0, 0);
}

static float element(uint32_t seed, uint32_t purpose, uint32_t tensor, size_t i)
{
    return 2 * ci_unit(words(seed, purpose, tensor, i).v[i % 4]) - 1;
}

static float *zeros(size_t n)
{
    float *x = ci_new(n, sizeof *x);
    if (!x) abort();
    return x;
}

static float *numbers(size_t n, uint32_t tensor)
{
    float *x = zeros(n);
    for (size_t i = 0; i < n; i++) x[i] = element(SEED, TEST, tensor, i);
    return x;
}

static void graph_make(void)
{
    size_t at = 0;
    for (ci_lid i = 0; i < NODES; i++) {
        for (int k = 0; k < (i ? i < 10 ? i % 4 : 0 : MOST); k++, at++)
            in_src[n_edge++] = (ci_lid)ci_below(words(SEED, TEST, 900, at).v[at % 4], NODES - 1);
        in_src[n_edge++] = i;
        in_first[i + 1] = n_edge;
    }
    graph = (ci_csr){NODES, in_first, in_src};
}

/** The inputs of a case, their gradients, the result and its gradient. */
static struct leaf { const char *name; size_t n; float *x, *grad; } leaf[LEAVES];
static int n_leaf;
static float *y, *dy, *work, *p, *ds;
static size_t n_y;

/** \return the number of the tensor */
static int make(const char *name, size_t n)
{
    leaf[n_leaf] = (struct leaf){name, n, numbers(n, (uint32_t)n_leaf), zeros(n)};
    return n_leaf++;
}

static void begin(const char *name, size_t n, ci_gatv2_dim dim)
{
    char word[32], whose[32];
    assert_int_equal(fscanf(oracle, "%31s %31s", word, whose), 2);
    assert_string_equal(word, "case");
    assert_string_equal(whose, name);
    n_leaf = 0;
    n_y = n;
    y = zeros(n);
    dy = numbers(n, 800);
    p = zeros((size_t)n_edge * dim.H);
    ds = zeros((size_t)n_edge * dim.H);
    work = zeros(CI_MAX((size_t)CI_GATV2_BLOCK * dim.H * dim.C,
                        CI_MAX(CI_GAT_WORK(dim, NODES), CI_ATTENTION_WORK(dim.H, NODES))));
}

/** An element may be off by tol; errors of n elements of random sign reach sqrt(n) times that in a norm or a projection. */
static void compare(const char *name, const float *v, size_t n, const double *want, int number, double tol)
{
    double got[ALL] = {0};
    for (size_t i = 0; i < n; i++) {
        const double x = (double)v[i];
        if (n <= ALL) {
            got[i] = x;
            continue;
        }
        got[0] = fmax(got[0], fabs(x));
        got[1] += x * x;
        for (uint32_t j = 0; j < ALL - 2; j++) got[2 + j] += x * (double)element(j, PROJECT, (uint32_t)number, i);
    }
    if (n > ALL) got[1] = sqrt(got[1]);
    for (size_t j = 0; j < CI_MIN(n, (size_t)ALL); j++)
        if (!(fabs(got[j] - want[j]) <= (j && n > ALL ? tol * sqrt((double)n) : tol)))
            fail_msg("%s, number %zu: %.9g, expected %.9g, tolerance %g", name, j, got[j], want[j], tol);
}

static double largest(const double *v, size_t n)
{
    double most = fabs(v[0]);
    for (size_t i = 1; i < n && n <= ALL; i++) most = fmax(most, fabs(v[i]));
    return most;
}

static void read_line(const char *kind, const char *name, size_t n, double *want)
{
    char word[32], which[32];
    assert_int_equal(fscanf(oracle, "%31s %31s", word, which), 2);
    assert_string_equal(word, kind);
    assert_string_equal(which, name);
    for (size_t j = 0; j < CI_MIN(n, (size_t)ALL); j++) assert_int_equal(fscanf(oracle, "%lf", &want[j]), 1);
}

static void end(const char *name)
{
    double want[LEAVES][ALL] = {{0}}, want_y[ALL], most = 0;
    char text[64];
    read_line("y", "y", n_y, want_y);
    compare(name, y, n_y, want_y, 0, 1e-5 * largest(want_y, n_y));
    for (int k = 0; k < n_leaf; k++) {
        if (!strcmp(leaf[k].name, "e")) continue;
        read_line("gradient", leaf[k].name, leaf[k].n, want[k]);
        most = fmax(most, largest(want[k], leaf[k].n));
    }
    for (int k = 0; k < n_leaf; k++) {
        snprintf(text, sizeof text, "%s, gradient of %s", name, leaf[k].name);
        if (strcmp(leaf[k].name, "e"))
            compare(text, leaf[k].grad, leaf[k].n, want[k], k, 1e-5 * fmax(largest(want[k], leaf[k].n), 1e-3 * most));
        free(leaf[k].x);
        free(leaf[k].grad);
    }
    free(y);
    free(dy);
    free(p);
    free(ds);
    free(work);
}

static void gat_case(const char *name, ci_lid H, ci_lid C, ci_lid F)
{
    const ci_gatv2_dim dim = {H, C, F, 0.2f};
    const size_t D = (size_t)H * C, rows = NODES * D;
    begin(name, rows, dim);
    make("h", rows), make("a_src", D), make("a_dst", D), make("bias", D);
    if (F) make("a_e", D), make("w_e", (size_t)F * D), make("e", (size_t)n_edge * F);
    ci_gat_in in = {.h = leaf[0].x, .a_src = leaf[1].x, .a_dst = leaf[2].x, .bias = leaf[3].x};
    ci_gat_grad grad = {.h = leaf[0].grad, .a_src = leaf[1].grad, .a_dst = leaf[2].grad};
    if (F) {
        in.a_e = leaf[4].x;
        in.w_e = leaf[5].x;
        in.e = leaf[6].x;
        grad.a_e = leaf[4].grad;
        grad.w_e = leaf[5].grad;
    }
    ops->gat_forward(dim, &graph, in, work, p, y);
    ops->gat_backward(dim, &graph, in, p, dy, work, ds, grad);
    ops->column_sum(dy, NODES, (ci_lid)D, (ci_lid)D, leaf[3].grad);
    end(name);
}

static void gat__is_that_of_pyg(void **state)
{
    (void)state;
    gat_case("gat", 4, 10, 0);
    gat_case("gat_edge", 4, 10, 11);
    gat_case("gat_one", 1, 35, 11);
}

static void gatv2_case(const char *name, ci_lid H, ci_lid C, ci_lid F, int concat)
{
    const ci_gatv2_dim dim = {H, C, F, 0.2f};
    const size_t D = (size_t)H * C, rows = NODES * D;
    begin(name, concat ? rows : NODES * (size_t)C, dim);
    make("l", rows), make("r", rows), make("a", D), make("bias", concat ? D : (size_t)C);
    if (F) make("w_e", (size_t)F * D), make("e", (size_t)n_edge * F);
    float *heads = zeros(rows), *dheads = zeros(rows);
    const ci_gatv2_in in = {.l = leaf[0].x, .r = leaf[1].x, .a = leaf[2].x, .bias = concat ? leaf[3].x : NULL, .w_e = F ? leaf[4].x : NULL,
                            .e = F ? leaf[5].x : NULL};
    ops->gatv2_forward(dim, &graph, in, work, p, concat ? y : heads);
    if (!concat) {
        ops->heads_mean(NODES, H, C, heads, leaf[3].x, y);
        ops->heads_mean_backward(NODES, H, C, dy, 0, dheads);
    }
    ops->gatv2_backward(dim, &graph, in, p, concat ? dy : dheads, work, ds,
                        (ci_gatv2_grad){leaf[0].grad, leaf[1].grad, F ? leaf[4].grad : NULL, leaf[2].grad});
    ops->column_sum(dy, NODES, (ci_lid)leaf[3].n, (ci_lid)leaf[3].n, leaf[3].grad);
    free(heads);
    free(dheads);
    end(name);
}

static void gatv2__is_that_of_pyg(void **state)
{
    (void)state;
    gatv2_case("gatv2_35_bare", 1, 35, 0, 1);
    gatv2_case("gatv2_35_edge", 1, 35, 11, 1);
    gatv2_case("gatv2_120_bare", 4, 120, 0, 1);
    gatv2_case("gatv2_120_edge", 4, 120, 11, 1);
    gatv2_case("gatv2_mean", 4, 35, 11, 0);
}

static void transformer_case(const char *name, ci_lid H, ci_lid C, ci_lid F)
{
    const ci_gatv2_dim dim = {H, C, F, 0};
    const size_t D = (size_t)H * C, rows = NODES * D;
    begin(name, rows, dim);
    make("q", rows), make("k", rows), make("v", rows), make("skip", rows);
    if (F) make("w_e", (size_t)F * D), make("e", (size_t)n_edge * F);
    const ci_transformer_in in = {.q = leaf[0].x, .k = leaf[1].x, .v = leaf[2].x, .skip = leaf[3].x, .w_e = F ? leaf[4].x : NULL,
                                  .e = F ? leaf[5].x : NULL};
    ops->transformer_forward(dim, &graph, in, work, p, y);
    ops->transformer_backward(dim, &graph, in, p, dy, work, ds,
                              (ci_transformer_grad){leaf[0].grad, leaf[1].grad, leaf[2].grad, F ? leaf[4].grad : NULL});
    memcpy(leaf[3].grad, dy, rows * sizeof *dy);
    end(name);
}

static void transformer__is_that_of_pyg(void **state)
{
    (void)state;
    transformer_case("transformer", 4, 16, 0);
    transformer_case("transformer_edge", 4, 16, 11);
    transformer_case("transformer_5_edge", 3, 5, 11);
}

static void attention_case(const char *name, ci_lid H, ci_lid C)
{
    const size_t rows = NODES * (size_t)(H * C);
    begin(name, rows, (ci_gatv2_dim){H, C, 0, 0});
    make("q", rows), make("k", rows), make("v", rows);
    ops->attention_forward(H, C, 3, first, leaf[0].x, leaf[1].x, leaf[2].x, work, y);
    ops->attention_backward(H, C, 3, first, leaf[0].x, leaf[1].x, leaf[2].x, dy, work, leaf[0].grad, leaf[1].grad, leaf[2].grad);
    end(name);
}

static void attention__is_that_of_torch(void **state)
{
    (void)state;
    attention_case("attention", 4, 16);
    attention_case("attention_odd", 1, 35);
}

static int start(void **state)
{
    char line[512];
    (void)state;
    ops = ci_ops_get("auto");
    graph_make();
    oracle = fopen("tests/oracle/conv.txt", "r");
    return oracle && fgets(line, sizeof line, oracle) ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    return fclose(oracle);
}

int main(void)
{
    const struct CMUnitTest tests[] = { /* in the order of the file */
        cmocka_unit_test(gat__is_that_of_pyg),
        cmocka_unit_test(gatv2__is_that_of_pyg),
        cmocka_unit_test(transformer__is_that_of_pyg),
        cmocka_unit_test(attention__is_that_of_torch),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
