/* Model, loss, gradients and training against PyTorch Geometric in float64 (tests/oracle/gat.txt). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "case.h"
#include "ci/loss.h"
#include "ci/optim.h"
#include "ci/rc.h"

enum { VALUES = 80 };

/** One line of the file: its words of text, then numbers. */
struct line {
    char what[16], name[CI_PARAM_NAME];
    int n;
    double v[VALUES];
};

static FILE *oracle;
static ci_model *model;
static ci_scratch *scratch;
static float *w, *wt, *grad;
static ci_lid n_param;
static const ci_param *param;

static int next_line(struct line *l)
{
    static char text[4096];
    char *at;
    do {
        if (!fgets(text, sizeof text, oracle)) return 0;
    } while (text[0] == '#');
    *l = (struct line){0};
    at = strtok(text, " \n");
    snprintf(l->what, sizeof l->what, "%s", at);
    while ((at = strtok(NULL, " \n"))) {
        char *end;
        const double x = strtod(at, &end);
        if (*end) snprintf(l->name, sizeof l->name, "%s", at);
        else l->v[l->n++] = x;
    }
    return 1;
}

static void want(struct line *l, const char *what)
{
    assert_true(next_line(l));
    assert_string_equal(l->what, what);
}

static ci_rc step(const ci_batch *b, float *logit, double *loss)
{
    const ci_model_step s = case_step(1, 0, 0, 0, b->n_graph);
    memset(grad, 0, (size_t)ci_model_size(model) * sizeof *grad);
    ci_model_prepare(model, w, wt);
    return case_shard(model, w, wt, scratch, b, &s, logit, grad, loss);
}

static float largest(const float *v, ci_gid n)
{
    float most = 0;
    for (ci_gid i = 0; i < n; i++) most = CI_MAX(most, fabsf(v[i]));
    return most;
}

/** Compare maximum, norm and projections of tensor k of v.  tol is what an element may be off by; errors of n elements of random
 *  sign reach sqrt(n) times that in a norm or a projection. */
static void compare(const struct line *l, ci_lid k, const float *v, double tol)
{
    const ci_gid n = (ci_gid)param[k].rows * param[k].cols;
    const float *t = v + param[k].first;
    const double sum_tol = tol * sqrt((double)n);
    assert_string_equal(l->name, param[k].name);
    if (fabs(largest(t, n) - l->v[0]) > tol || fabs(case_norm(t, n) - l->v[1]) > sum_tol)
        fail_msg("%s: largest %.9g of %.9g, norm %.9g of %.9g, tolerance %g", l->name, largest(t, n), l->v[0],
                 case_norm(t, n), l->v[1], tol);
    for (int j = 2; j < l->n; j++)
        if (fabs(case_project(t, n, k, j - 2) - l->v[j]) > sum_tol)
            fail_msg("%s: projection %d is %.9g, expected %.9g, tolerance %g", l->name, j - 2,
                     case_project(t, n, k, j - 2), l->v[j], sum_tol);
}

static void init__has_the_documented_distribution(void **state)
{
    (void)state;
    struct line l;
    ci_model_init(model, CASE_SEED, w, NULL);
    for (ci_lid k = 0; k < n_param; k++) {
        want(&l, "init");
        compare(&l, k, w, 2e-6); /* a few roundings of numbers up to 4 */
    }
}

static void one_case(const char *name)
{
    struct line l, all[32];
    ci_batch *b = case_named(name);
    float logit[64];
    double loss, largest_of_all = 0;
    want(&l, "case");
    assert_string_equal(l.name, name);
    assert_int_equal(step(b, logit, &loss), CI_OK);
    assert_true(fabs(loss - l.v[0]) <= 1e-5 * l.v[0]);
    for (int i = 0; i < b->n_graph; i++) {
        want(&l, "logit");
        for (int j = 0; j < 2; j++) assert_true(fabs(logit[2 * i + j] - l.v[j]) <= 1e-6);
    }
    for (ci_lid k = 0; k < n_param; k++) {
        want(&all[k], "gradient");
        largest_of_all = CI_MAX(largest_of_all, all[k].v[0]);
    }
    for (ci_lid k = 0; k < n_param; k++) compare(&all[k], k, grad, 1e-5 * CI_MAX(all[k].v[0], 1e-3 * largest_of_all));
    case_free(b);
}

static void gradients__equal_pyg_on_three_graphs(void **state) { (void)state; one_case("normal"); }
static void gradients__equal_pyg_on_one_node(void **state) { (void)state; one_case("one_node"); }
static void gradients__equal_pyg_on_a_node_with_99_in_edges(void **state) { (void)state; one_case("star"); }
static void gradients__equal_pyg_on_self_loops_and_isolated_nodes(void **state) { (void)state; one_case("mixed"); }

static void training__follows_pyg_for_20_steps(void **state)
{
    (void)state;
    const ci_adam adam = {.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = 1e-4, .clip = 1};
    const ci_gid n = ci_model_size(model);
    float *m = calloc((size_t)n, sizeof *m), *v = calloc((size_t)n, sizeof *v);
    ci_batch *b = case_named("normal");
    struct line l;
    for (int t = 1; t <= 20; t++) {
        float logit[64];
        double loss, norm;
        want(&l, "step");
        assert_int_equal(step(b, logit, &loss), CI_OK);
        assert_int_equal(ci_adam_step(&adam, t, n, grad, w, m, v, &norm), CI_OK);
        assert_true(fabs(loss - l.v[0]) <= 1e-3 * l.v[0]);
        assert_true(fabs(norm - l.v[1]) <= 1e-3 * l.v[1]);
    }
    for (ci_lid k = 0; k < n_param; k++) {
        want(&l, "final");
        compare(&l, k, w, 1e-3 * l.v[0]);
    }
    assert_false(next_line(&l));
    case_free(b);
    free(m);
    free(v);
}

static int start(void **state)
{
    (void)state;
    const ci_model_dim dim = case_dim();
    oracle = fopen("tests/oracle/gat.txt", "r");
    if (!oracle || ci_model_create(&dim, "auto", &model) != CI_OK) return -1;
    param = ci_model_params(model, &n_param);
    w = calloc((size_t)ci_model_size(model), sizeof *w);
    grad = calloc((size_t)ci_model_size(model), sizeof *grad);
    wt = calloc((size_t)ci_model_prepared_size(model), sizeof *wt);
    return ci_scratch_create(model, 8, 256, 1024, 0, &scratch) == CI_OK && w && grad && wt ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    fclose(oracle);
    free(w);
    free(grad);
    free(wt);
    ci_scratch_destroy(&scratch);
    ci_model_destroy(&model);
    return 0;
}

int main(void)
{
    /* In the order of the file; each test starts from the weights the one before it left. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init__has_the_documented_distribution),
        cmocka_unit_test(gradients__equal_pyg_on_three_graphs),
        cmocka_unit_test(gradients__equal_pyg_on_one_node),
        cmocka_unit_test(gradients__equal_pyg_on_a_node_with_99_in_edges),
        cmocka_unit_test(gradients__equal_pyg_on_self_loops_and_isolated_nodes),
        cmocka_unit_test(training__follows_pyg_for_20_steps),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
