/* The convolutions and the attention in a graph, proven (prove.h) at shapes that fill no register. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "ci/arena.h"
#include "prove.h"
#define CI_REAL double
#include "ops/ref/ref.h"

/** A graph where every node has its self-loop as the last in-edge; node 0 has `most` in-edges before it, odd ones none. */
static fill_graph looped(ci_lid n_node, ci_lid most)
{
    fill_graph any = fill_csr(n_node + 1, most), g = {.first = ci_new((size_t)n_node + 1, sizeof *g.first),
                                                      .src = ci_new((size_t)n_node * 9 + most + 1, sizeof *g.src)};
    for (ci_lid i = 0; i < n_node; i++) {
        const ci_lid from = i ? any.first[i] : any.first[n_node], to = i ? any.first[i + 1] : any.n_edge;
        for (ci_lid e = from; e < to && i % 2 == 0; e++) g.src[g.n_edge++] = any.src[e] % n_node;
        g.src[g.n_edge++] = i;
        g.first[i + 1] = g.n_edge;
    }
    fill_release(&any);
    g.csr = (ci_csr){n_node, g.first, g.src};
    return g;
}

/** A case of a convolution; `bias` says whether there is one, or a skip. */
struct conv {
    ci_gatv2_dim dim;
    const ci_csr *g;
    size_t N, E, H, D, F;
    int bias;
};
typedef void conv_proof(const struct conv *c, int differences);

static void *unless_0(size_t n, void *x) { return n ? x : NULL; }
#define OF_EDGE(x) unless_0(c->F, x)

/** Every shape on every graph: a node with 99 others before its self-loop and nodes with nothing else; one node; none.  Central
 *  differences of the small ones. */
static void each_shape(conv_proof *run)
{
    static const struct { int H, C, nodes, most; } all[] = {
        {1, 1, 6, 9}, {3, 2, 5, 7}, {1, 1, 13, 99}, {3, 5, 13, 99}, {4, 10, 13, 99}, {8, 16, 13, 99}, {1, 35, 13, 99}, {1, 40, 13, 99},
        {1, 80, 13, 99}, {4, 120, 13, 99}, {4, 24, 13, 99}, {3, 67, 13, 99}, {4, 10, 1, 0}, {1, 35, 1, 0}, {4, 24, 6, 0}, {3, 67, 6, 0},
        {4, 10, 0, 0}, {4, 24, 0, 0},
    };
    for (size_t k = 0; k < 4 * CI_COUNT(all); k++) {
        const ci_lid H = all[k / 4].H, C = all[k / 4].C, F = k & 1 ? 11 : 0;
        fill_graph g = looped(all[k / 4].nodes, all[k / 4].most);
        const struct conv c = {{H, C, F, 0.2f}, &g.csr, (size_t)g.csr.n_node, (size_t)g.n_edge, (size_t)H, (size_t)H * C, (size_t)F,
                               (k & 2) != 0};
        run(&c, k / 4 < 2);
        fill_release(&g);
    }
    fill_graph bare = fill_csr(17, 30); /* nodes without any in-edge, and more edge features than one step of a row */
    const struct conv c = {{2, 7, 18, 0.2f}, &bare.csr, 17, (size_t)bare.n_edge, 2, 14, 18, 1};
    run(&c, 0);
    fill_release(&bare);
}

static void gatv2_forward(const void *shape, double *const *in, double *y)
{
    const struct conv *c = shape;
    double *p = fill_d(c->E * c->H, 1);
    ci_ref_gatv2_forward_double(c->dim, c->g, in[0], in[1], in[5], in[2], in[3], c->bias ? in[4] : NULL, p, y);
    free(p);
}

static void gatv2_backward(const void *shape, double *const *in, const double *dy, double *const *grad)
{
    const struct conv *c = shape;
    double *p = fill_d(c->E * c->H, 1), *y = fill_d(c->N * c->D, 1);
    ci_ref_gatv2_forward_double(c->dim, c->g, in[0], in[1], in[5], in[2], in[3], in[4], p, y);
    ci_ref_gatv2_backward_double(c->dim, c->g, in[0], in[1], in[5], in[2], in[3], p, dy, grad[0], grad[1], grad[2], grad[3], grad[4]);
    free(p);
    free(y);
}

static void gatv2_kernel(const void *shape, const ci_ops *ops, float *const *in, float *y, const float *dy, float *const *grad)
{
    const struct conv *c = shape;
    float *block = fill_f(CI_GATV2_BLOCK * c->D, 9), *p = fill_f(c->E * c->H, 9), *ds = fill_f(c->E * c->H, 9);
    const ci_gatv2_in x = {in[0], in[1], OF_EDGE(in[5]), OF_EDGE(in[2]), in[3], c->bias ? in[4] : NULL};
    ops->gatv2_forward(c->dim, c->g, x, block, p, y);
    ops->gatv2_backward(c->dim, c->g, x, p, dy, block, ds, (ci_gatv2_grad){grad[0], grad[1], OF_EDGE(grad[2]), grad[3]});
    if (c->bias) ops->column_sum(dy, (ci_lid)c->N, (ci_lid)c->D, (ci_lid)c->D, grad[4]);
    free(block);
    free(p);
    free(ds);
}

static void gatv2_proof(const struct conv *c, int differences)
{
    const size_t rows = c->N * c->D;
    prove_all(&(prove){.in = {{"l", rows, 0, 0}, {"r", rows, 0, 0}, {"w_e", c->F * c->D, 0, 0}, {"a", c->D, 0, 0}, {"bias", c->D, 0, !c->bias},
                              {"e", c->E * c->F, 0, 1}},
                       .n_y = rows, .skip_differences = !differences, .shape = c, .forward = gatv2_forward,
                       .backward = gatv2_backward, .kernel = gatv2_kernel});
}

static void gat_forward(const void *shape, double *const *in, double *y)
{
    const struct conv *c = shape;
    double *p = fill_d(c->E * c->H, 1);
    ci_ref_gat_forward_double(c->dim, c->g, in[0], in[6], in[1], in[2], in[3], in[4], c->bias ? in[5] : NULL, p, y);
    free(p);
}

static void gat_backward(const void *shape, double *const *in, const double *dy, double *const *grad)
{
    const struct conv *c = shape;
    double *p = fill_d(c->E * c->H, 1), *y = fill_d(c->N * c->D, 1);
    ci_ref_gat_forward_double(c->dim, c->g, in[0], in[6], in[1], in[2], in[3], in[4], in[5], p, y);
    ci_ref_gat_backward_double(c->dim, c->g, in[0], in[6], in[1], in[2], in[3], in[4], p, dy, grad[0], grad[1], grad[2], grad[3], grad[4]);
    free(p);
    free(y);
}

static void gat_kernel(const void *shape, const ci_ops *ops, float *const *in, float *y, const float *dy, float *const *grad)
{
    const struct conv *c = shape;
    float *work = fill_f(CI_GAT_WORK(c->dim, (ci_lid)c->N), 9), *p = fill_f(c->E * c->H, 9), *ds = fill_f(c->E * c->H, 9);
    const ci_gat_in x = {in[0], OF_EDGE(in[6]), OF_EDGE(in[1]), in[2], in[3], OF_EDGE(in[4]), c->bias ? in[5] : NULL};
    ops->gat_forward(c->dim, c->g, x, work, p, y);
    ops->gat_backward(c->dim, c->g, x, p, dy, work, ds, (ci_gat_grad){grad[0], OF_EDGE(grad[1]), grad[2], grad[3], OF_EDGE(grad[4])});
    free(work);
    free(p);
    free(ds);
}

static void gat_proof(const struct conv *c, int differences)
{
    const size_t rows = c->N * c->D;
    prove_all(&(prove){.in = {{"h", rows, 0, 0}, {"w_e", c->F * c->D, 0, 0}, {"a_src", c->D, 0, 0}, {"a_dst", c->D, 0, 0},
                              {"a_e", c->D, 0, 0}, {"bias", c->D, 0, 1}, {"e", c->E * c->F, 0, 1}},
                       .n_y = rows, .skip_differences = !differences, .shape = c, .forward = gat_forward, .backward = gat_backward,
                       .kernel = gat_kernel});
}

static void transformer_forward(const void *shape, double *const *in, double *y)
{
    const struct conv *c = shape;
    double *p = fill_d(c->E * c->H, 1);
    ci_ref_transformer_forward_double(c->dim, c->g, in[0], in[1], in[2], in[5], in[3], c->bias ? in[4] : NULL, p, y);
    free(p);
}

static void transformer_backward(const void *shape, double *const *in, const double *dy, double *const *grad)
{
    const struct conv *c = shape;
    double *p = fill_d(c->E * c->H, 1), *y = fill_d(c->N * c->D, 1);
    ci_ref_transformer_forward_double(c->dim, c->g, in[0], in[1], in[2], in[5], in[3], in[4], p, y);
    ci_ref_transformer_backward_double(c->dim, c->g, in[0], in[1], in[2], in[5], in[3], p, dy, grad[0], grad[1], grad[2], grad[3]);
    free(p);
    free(y);
}

static void transformer_kernel(const void *shape, const ci_ops *ops, float *const *in, float *y, const float *dy, float *const *grad)
{
    const struct conv *c = shape;
    float *block = fill_f(CI_GATV2_BLOCK * c->D, 9), *p = fill_f(c->E * c->H, 9), *ds = fill_f(c->E * c->H, 9);
    const ci_transformer_in x = {in[0], in[1], in[2], OF_EDGE(in[5]), OF_EDGE(in[3]), c->bias ? in[4] : NULL};
    ops->transformer_forward(c->dim, c->g, x, block, p, y);
    ops->transformer_backward(c->dim, c->g, x, p, dy, block, ds, (ci_transformer_grad){grad[0], grad[1], grad[2], OF_EDGE(grad[3])});
    free(block);
    free(p);
    free(ds);
}

static void transformer_proof(const struct conv *c, int differences)
{
    const size_t rows = c->N * c->D;
    prove_all(&(prove){.in = {{"q", rows, 0, 0}, {"k", rows, 0, 0}, {"v", rows, 0, 0}, {"w_e", c->F * c->D, 0, 0}, {"skip", rows, 0, 1},
                              {"e", c->E * c->F, 0, 1}},
                       .n_y = rows, .skip_differences = !differences, .shape = c, .forward = transformer_forward,
                       .backward = transformer_backward, .kernel = transformer_kernel});
}

static void gatv2__is_proven(void **state) { (void)state; each_shape(gatv2_proof); }
static void gat__is_proven(void **state) { (void)state; each_shape(gat_proof); }
static void transformer__is_proven(void **state) { (void)state; each_shape(transformer_proof); }

/** The preset's shape has loops of its own, which a missing bias keeps away. */
static void gatv2__by_head_has_the_bits_of_the_known_shape(void **state)
{
    (void)state;
    const ci_gatv2_dim dim = {4, 24, 11, 0.2f};
    fill_graph g = looped(13, 99);
    const size_t rows = (size_t)g.csr.n_node * 96, E = (size_t)g.n_edge;
    const ci_ops *table[3];
    const size_t n_table = fill_tables(table);
    float *x[6], *block = fill_f(CI_GATV2_BLOCK * 96, 9), *zero = ci_new(96, sizeof *zero), *p[2], *y[2];
    const size_t sizes[] = {rows, rows, E * 11, 11 * 96, 96, 96};
    for (size_t k = 0; k < CI_COUNT(sizes); k++) x[k] = fill_f(sizes[k], (uint32_t)k + 1);
    for (int k = 0; k < 2; k++) {
        p[k] = fill_f(E * 4, 7);
        y[k] = fill_f(rows, 7);
    }
    for (size_t t = 0; t < n_table; t++) {
        for (int k = 0; k < 2; k++)
            table[t]->gatv2_forward(dim, &g.csr, (ci_gatv2_in){x[0], x[1], x[2], x[3], x[4], k ? zero : NULL}, block, p[k], y[k]);
        assert_memory_equal(p[0], p[1], E * 4 * sizeof(float));
        assert_memory_equal(y[0], y[1], rows * sizeof(float));
    }
    for (int k = 0; k < 6; k++) free(x[k]);
    for (int k = 0; k < 2; k++) {
        free(p[k]);
        free(y[k]);
    }
    free(block);
    free(zero);
    fill_release(&g);
}

struct attention { ci_lid H, C, n_graph; const ci_lid *first; };

/** Probabilities of all heads and graphs. */
static double *probabilities(const struct attention *a)
{
    size_t n = 0;
    for (ci_lid g = 0; g < a->n_graph; g++) n += (size_t)(a->first[g + 1] - a->first[g]) * (size_t)(a->first[g + 1] - a->first[g]);
    return fill_d(n * (size_t)a->H, 1);
}

static void attention_forward(const void *shape, double *const *in, double *y)
{
    const struct attention *a = shape;
    double *p = probabilities(a);
    ci_ref_attention_forward_double(a->H, a->C, a->n_graph, a->first, in[0], in[1], in[2], p, y);
    free(p);
}

static void attention_backward(const void *shape, double *const *in, const double *dy, double *const *grad)
{
    const struct attention *a = shape;
    double *p = probabilities(a), *y = fill_d((size_t)(a->first[a->n_graph] * a->H * a->C), 1);
    ci_ref_attention_forward_double(a->H, a->C, a->n_graph, a->first, in[0], in[1], in[2], p, y);
    ci_ref_attention_backward_double(a->H, a->C, a->n_graph, a->first, in[0], in[1], in[2], p, dy, grad[0], grad[1], grad[2]);
    free(p);
    free(y);
}

static void attention_kernel(const void *shape, const ci_ops *ops, float *const *in, float *y, const float *dy, float *const *grad)
{
    const struct attention *a = shape;
    ci_lid most = 0;
    for (ci_lid g = 0; g < a->n_graph; g++) most = CI_MAX(most, a->first[g + 1] - a->first[g]);
    float *work = fill_f(CI_ATTENTION_WORK(a->H, most), 9);
    ops->attention_forward(a->H, a->C, a->n_graph, a->first, in[0], in[1], in[2], work, y);
    ops->attention_backward(a->H, a->C, a->n_graph, a->first, in[0], in[1], in[2], dy, work, grad[0], grad[1], grad[2]);
    free(work);
}

static void attention__is_proven(void **state)
{
    (void)state;
    static const ci_lid small[] = {0, 3, 4, 4, 9}, first[] = {0, 17, 18, 18, 51, 58}, none[] = {0, 0};
    const struct attention all[] = {{1, 1, 4, small}, {2, 3, 4, small}, {3, 5, 5, first}, {4, 16, 5, first}, {4, 24, 5, first},
                                    {1, 35, 5, first}, {8, 16, 5, first}, {2, 80, 5, first}, {2, 3, 1, none}, {2, 3, 0, none}};
    for (size_t k = 0; k < CI_COUNT(all); k++) {
        const size_t rows = (size_t)all[k].first[all[k].n_graph] * (size_t)(all[k].H * all[k].C);
        prove_all(&(prove){.in = {{"q", rows, 0, 0}, {"k", rows, 0, 0}, {"v", rows, 0, 0}}, .n_y = rows, .skip_differences = k > 1,
                           .shape = &all[k], .forward = attention_forward, .backward = attention_backward, .kernel = attention_kernel});
    }
}

struct heads { ci_lid rows, H, C; int bias; };

static void heads_forward(const void *shape, double *const *in, double *y)
{
    const struct heads *s = shape;
    ci_ref_heads_mean_forward_double(s->rows, s->H, s->C, in[0], s->bias ? in[1] : NULL, y);
}

static void heads_backward(const void *shape, double *const *in, const double *dy, double *const *grad)
{
    const struct heads *s = shape;
    (void)in;
    ci_ref_heads_mean_backward_double(s->rows, s->H, s->C, dy, grad[0]);
}

static void heads_kernel(const void *shape, const ci_ops *ops, float *const *in, float *y, const float *dy, float *const *grad)
{
    const struct heads *s = shape;
    const size_t n = (size_t)(s->rows * s->H * s->C);
    float *twice = fill_f(n, 8), *old = fill_f(n, 8);
    ops->heads_mean(s->rows, s->H, s->C, in[0], s->bias ? in[1] : NULL, y);
    ops->heads_mean_backward(s->rows, s->H, s->C, dy, 0, grad[0]);
    ops->heads_mean_backward(s->rows, s->H, s->C, dy, 1, twice);
    for (size_t k = 0; k < n; k++) assert_true(twice[k] == old[k] + grad[0][k]);
    free(twice);
    free(old);
}

static void heads_mean__is_proven(void **state)
{
    (void)state;
    const struct heads all[] = {{4, 3, 2, 1}, {9, 1, 35, 1}, {9, 4, 35, 0}, {9, 3, 1, 1}, {9, 4, 120, 1}, {0, 4, 120, 1}};
    for (size_t k = 0; k < CI_COUNT(all); k++) {
        const size_t n = (size_t)(all[k].rows * all[k].C);
        prove_all(&(prove){.in = {{"x", n * (size_t)all[k].H, 0, 0}, {"bias", (size_t)all[k].C, 0, 1}}, .n_y = n, .skip_differences = k > 0,
                           .shape = &all[k], .forward = heads_forward, .backward = heads_backward, .kernel = heads_kernel});
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gatv2__is_proven),
        cmocka_unit_test(gatv2__by_head_has_the_bits_of_the_known_shape),
        cmocka_unit_test(gat__is_proven),
        cmocka_unit_test(transformer__is_proven),
        cmocka_unit_test(attention__is_proven),
        cmocka_unit_test(heads_mean__is_proven),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
