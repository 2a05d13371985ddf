/* Every model against PyTorch Geometric in float64 (tests/oracle/model.txt): parameters, losses, outputs, gradients, running statistics,
 * what is said of a graph, 20 steps of training.  One test a model. */
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
#include "zoo.h"

enum { VALUES = 32 };

/** One line of the file: its words of text, then numbers. */
struct line {
    char what[16], name[CI_PARAM_NAME];
    int n;
    double v[VALUES];
};

static FILE *oracle;
static struct zoo zoo[ZOO_MAX];
static int n_zoo;

static int next_line(struct line *l)
{
    static char text[4096];
    char *at;
    if (!fgets(text, sizeof text, oracle)) return 0;
    *l = (struct line){0};
    at = strtok(text, " \n");
    snprintf(l->what, sizeof l->what, "%s", at);
    while ((at = strtok(NULL, " \n"))) {
        char *end;
        const double x = strtod(at, &end);
        if (*end) snprintf(l->name, sizeof l->name, "%s", at);
        else if (l->n < VALUES) l->v[l->n++] = x;
    }
    return 1;
}

static void want(struct line *l, const char *what)
{
    assert_true(next_line(l));
    assert_string_equal(l->what, what);
}

static double largest(const float *v, ci_gid n)
{
    double most = 0;
    for (ci_gid i = 0; i < n; i++) most = fmax(most, fabs((double)v[i]));
    return most;
}

/** Maximum, norm and projections of a tensor.  tol is what an element may be off by; errors of n elements of random sign reach
 *  sqrt(n) times that in a norm or a projection. */
static void compare(const struct line *l, const float *t, ci_gid n, ci_lid number, double tol, const char *where)
{
    const double sum_tol = tol * sqrt((double)n);
    if (!(fabs(largest(t, n) - l->v[0]) <= tol) || !(fabs(case_norm(t, n) - l->v[1]) <= sum_tol))
        fail_msg("%s %s %s: largest %.9g of %.9g, norm %.9g of %.9g, tolerance %g", where, l->what, l->name, largest(t, n), l->v[0],
                 case_norm(t, n), l->v[1], tol);
    for (int j = 2; j < l->n; j++)
        if (!(fabs(case_project(t, n, number, j - 2) - l->v[j]) <= sum_tol))
            fail_msg("%s %s %s: projection %d is %.9g, expected %.9g, tolerance %g", where, l->what, l->name, j - 2,
                     case_project(t, n, number, j - 2), l->v[j], sum_tol);
}

static void same_init(const struct bench *t)
{
    struct line l;
    ci_lid n;
    const ci_param *p = ci_model_params(t->m, &n);
    float *w = calloc((size_t)t->n, sizeof *w), *state = calloc((size_t)t->n_state + 1, sizeof *state);
    ci_model_init(t->m, CASE_SEED, w, state);
    for (ci_lid k = 0; k < n; k++) {
        want(&l, "init");
        assert_string_equal(l.name, p[k].name);
        compare(&l, w + p[k].first, (ci_gid)p[k].rows * p[k].cols, k, 2e-6, ""); /* a few roundings of numbers up to 4 */
    }
    free(w);
    free(state);
}

/** What the oracle says of one step. */
struct expected {
    struct line loss, out[ZOO_GRAPHS], message, grad[320], state;
    double float32[320]; /**< what PyTorch Geometric in float32 is off by, relatively */
    int n_out;
    double largest; /**< gradient of the model */
};

static void expected_read(const struct bench *t, struct expected *e)
{
    ci_lid n;
    ci_model_params(t->m, &n);
    *e = (struct expected){.n_out = t->zoo->dim.kind == CI_GAT ? t->b[0]->n_graph : 2};
    want(&e->loss, "loss");
    for (int k = 0; k < e->n_out; k++) want(&e->out[k], t->zoo->dim.kind == CI_GAT ? "logit" : k ? "recon" : "mu");
    if (t->zoo->dim.message) want(&e->message, "message");
    for (ci_lid k = 0; k < n; k++) {
        want(&e->grad[k], "gradient");
        e->float32[k] = e->grad[k].v[0];
        memmove(e->grad[k].v, e->grad[k].v + 1, (size_t)--e->grad[k].n * sizeof e->grad[k].v[0]);
        e->largest = fmax(e->largest, e->grad[k].v[0]);
    }
    if (t->n_state) want(&e->state, "state");
}

/** What a forward pass of training leaves, of one shard. */
static void same_outputs(struct bench *t, const struct expected *e)
{
    double loss[CI_TERM_COUNT];
    ci_lid cols;
    assert_int_equal(bench_forward(t, loss), CI_OK);
    if (t->zoo->dim.kind == CI_GAT) {
        const float *logit = ci_scratch_tensor(t->m, t->s[0], "logit", NULL);
        for (int k = 0; k < 2 * e->n_out; k++) {
            const double x = e->out[k / 2].v[k % 2];
            if (!(fabs((double)logit[k] - x) <= 2e-6 * fmax(1, fabs(x)))) fail_msg("logit %d: %.9g, expected %.9g", k, (double)logit[k], x);
        }
        if (t->zoo->dim.message)
            compare(&e->message, ci_scratch_tensor(t->m, t->s[0], "message", NULL), 2 * (ci_gid)t->b[0]->n_raw, 904, 2e-6 * e->message.v[0], "");
        return;
    }
    for (int k = 0; k < 2; k++) {
        const float *y = ci_scratch_tensor(t->m, t->s[0], e->out[k].name, &cols);
        compare(&e->out[k], y, (ci_gid)t->b[0]->n_node * cols, 900 + k, 1e-5 * e->out[k].v[0], "");
    }
}

/** What an element of gradient k may be off by: 1e-5, or five times what PyTorch Geometric itself is off by in float32, which is more where
 *  a graph norm divides by the spread of a graph of one node, and in a bias before a batch norm, a sum of numbers that cancel. */
static double tolerance(const struct expected *e, ci_lid k)
{
    return fmax(1e-5, 5 * e->float32[k]) * fmax(e->grad[k].v[0], 1e-3 * e->largest);
}

static void same_step(struct bench *t, const struct expected *e, const char *where)
{
    double loss[CI_TERM_COUNT];
    ci_lid n;
    const ci_param *p = ci_model_params(t->m, &n);

    if (bench_step(t, loss) != CI_OK) fail_msg("%s: %s", where, ci_message());
    for (int k = 0; k < CI_TERM_COUNT; k++)
        if (!(fabs(loss[k] - e->loss.v[k]) <= 1e-5 * fabs(e->loss.v[k])))
            fail_msg("%s loss %d: %.9g, expected %.9g", where, k, loss[k], e->loss.v[k]);
    for (ci_lid k = 0; k < n; k++) {
        const struct line *l = &e->grad[k];
        assert_string_equal(l->name, p[k].name);
        compare(l, t->grad + p[k].first, (ci_gid)p[k].rows * p[k].cols, k, tolerance(e, k), where);
    }
    if (t->n_state) compare(&e->state, t->running, t->n_state, 902, 1e-6 * e->state.v[0], where);
}

/** The columns that are said of a graph, running statistics being those behind the step. */
static void same_scores(struct bench *t)
{
    const ci_batch *b = t->b[0];
    ci_lid n;
    struct line l;

    ci_model_outputs(t->m, &n);
    const int fixed = CI_MIN(n, 14);
    float *out = calloc((size_t)b->n_graph * (size_t)n, sizeof *out);
    assert_int_equal(ci_model_score(t->m, t->w, t->running, t->s[0], b, out), CI_OK);
    for (ci_lid g = 0; g < b->n_graph; g++) {
        const float *row = out + (size_t)g * (size_t)n;
        /* Graph norm divides one node by its own small size, and what was rounded grows. */
        const double tol = t->zoo->dim.norm == CI_NORM_GRAPH && b->first[g + 1] - b->first[g] == 1 ? 1e-4 : 1e-5;
        want(&l, "score");
        assert_int_equal(l.n, fixed);
        for (int k = 0; k < fixed; k++)
            if (!(fabs((double)row[k] - l.v[k]) <= tol * fmax(fabs(l.v[k]), 0.1)))
                fail_msg("graph %d, %s: %.9g, expected %.9g", g, ci_model_outputs(t->m, &n)[k], (double)row[k], l.v[k]);
        if (t->zoo->dim.kind == CI_GAT) continue;
        want(&l, "moments");
        compare(&l, row + 14, n - 14, 903, tol * l.v[0], "score");
    }
    if (t->zoo->dim.message) { /* kept behind what is said of the graphs */
        want(&l, "judged");
        compare(&l, ci_scratch_tensor(t->m, t->s[0], "message", NULL), 2 * (ci_gid)b->n_raw, 905, 1e-5 * l.v[0], "score");
    }
    /* A teacher's forward pass is the one that scores come from. */
    assert_int_equal(ci_model_forward(t->m, t->w, t->running, t->s[0], b), CI_OK);
    ci_lid cols;
    const float *y = ci_scratch_tensor(t->m, t->s[0], t->zoo->dim.kind == CI_GAT ? "logit" : "mu", &cols);
    for (ci_lid g = 0; g < b->n_graph && t->zoo->dim.kind == CI_GAT; g++)
        assert_memory_equal(out + (size_t)g * (size_t)n, y + 2 * (size_t)g, 2 * sizeof *y);
    for (ci_lid g = 0; g < b->n_graph && t->zoo->dim.kind == CI_VGAE; g++) {
        float most = -INFINITY;
        for (ci_lid i = b->first[g] * cols; i < b->first[g + 1] * cols; i++) most = fmaxf(most, y[i]);
        assert_true(out[(size_t)g * (size_t)n + 10] == most); /* z_max */
    }
    free(out);
}

static void same_training(struct bench *t, double lr)
{
    const ci_adam adam = {.lr = lr, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = 1e-4, .clip = 1};
    float *m = calloc((size_t)t->n, sizeof *m), *v = calloc((size_t)t->n, sizeof *v);
    struct line l;
    for (uint32_t k = 0; k < 20; k++) {
        double loss[CI_TERM_COUNT], norm;
        want(&l, "train");
        t->step.epoch = k;
        t->step.n_masked = 0;
        for (ci_lid g = 0; g < t->b[0]->n_graph; g++)
            t->step.n_masked += ci_model_masked(t->m, &t->step, t->b[0]->graph[g], t->b[0]->first[g + 1] - t->b[0]->first[g]);
        assert_int_equal(bench_step(t, loss), CI_OK);
        assert_int_equal(ci_adam_step(&adam, k + 1, t->n, t->grad, t->w, m, v, &norm), CI_OK);
        if (!(fabs(bench_total(loss) - l.v[0]) <= 1e-3 * l.v[0]) || !(fabs(norm - l.v[1]) <= 2e-3 * l.v[1]))
            fail_msg("step %u: loss %.9g of %.9g, norm %.9g of %.9g", k, bench_total(loss), l.v[0], norm, l.v[1]);
    }
    free(m);
    free(v);
}

static double rate_of(const char *name)
{
    static const struct { const char *name; double lr; } all[] = {{"gat_small_paper", 1e-3}, {"vgae_small_g4", 3e-3}, {"vgae_small_g2", 2e-3}};
    for (size_t k = 0; k < CI_COUNT(all); k++)
        if (!strcmp(all[k].name, name)) return all[k].lr;
    return 0;
}

static void one_model(void **state)
{
    const struct zoo *z = *state;
    struct expected *e = calloc(1, sizeof *e);
    struct bench whole, cut;
    struct line l;

    assert_int_equal(bench_open(z, "auto", 0, &whole), 1);
    assert_int_equal(bench_open(z, "auto", z->few ? 1 : 2, &cut), 1);
    fseek(oracle, z->at, SEEK_SET);
    want(&l, "count");
    assert_int_equal((ci_gid)l.v[0], whole.n);
    assert_int_equal(whole.step.n_masked, z->n_masked);
    same_init(&whole);
    expected_read(&whole, e);
    same_outputs(&whole, e);
    same_step(&whole, e, "one shard");
    same_step(&cut, e, "several shards");
    same_scores(&whole);
    if (rate_of(z->name) > 0) same_training(&whole, rate_of(z->name));
    if (next_line(&l)) assert_string_equal(l.what, "model"); /* nothing was left out */
    bench_close(&whole);
    bench_close(&cut);
    free(e);
}

int main(void)
{
    static struct CMUnitTest tests[ZOO_MAX];
    static char name[ZOO_MAX][64];
    const char *path = "tests/oracle/model.txt";

    n_zoo = zoo_read(path, zoo);
    oracle = fopen(path, "r");
    for (int k = 0; k < n_zoo; k++) {
        snprintf(name[k], sizeof name[k], "model__%.39s_equals_pyg", zoo[k].name);
        tests[k] = (struct CMUnitTest){name[k], one_model, NULL, NULL, &zoo[k]};
    }
    const int failed = _cmocka_run_group_tests("models", tests, (size_t)n_zoo, NULL, NULL);
    fclose(oracle);
    zoo_free(zoo, n_zoo);
    return failed;
}
