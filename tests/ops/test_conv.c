/* The convolutions and the attention of each instruction set: near the reference in double at shapes that fill no register, and the
 * same bits among themselves. */
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
#include "fill.h"
#define CI_REAL double
#include "ops/ref/ref.h"

static const ci_ops *table[3];
static size_t n_table;

enum { PLACES = 16 };

/** What one case reads and makes: inputs as floats and the same numbers as doubles; outputs of the reference, of the kernel
 *  under test and of the first kernel. */
struct tensors {
    int n_in, n_out;
    size_t in_n[PLACES], out_n[PLACES];
    float *in[PLACES], *out[PLACES], *first[PLACES];
    double *in_d[PLACES], *out_d[PLACES];
    const char *name[PLACES];
    uint32_t start[PLACES]; /* an output that is added to starts with the numbers of this seed, not with rubbish */
};

static int input(struct tensors *t, size_t n)
{
    const int k = t->n_in++;
    t->in_n[k] = n;
    t->in[k] = fill_f(n, (uint32_t)k + 1);
    t->in_d[k] = fill_d(n, (uint32_t)k + 1);
    return k;
}

static void output(struct tensors *t, const char *name, size_t n, uint32_t start)
{
    const int k = t->n_out++;
    t->name[k] = name;
    t->out_n[k] = n;
    t->start[k] = start;
    t->out[k] = fill_f(n, 50);
    t->first[k] = fill_f(n, 50);
    t->out_d[k] = fill_d(n, start ? start : 50);
}

static void outputs_start(struct tensors *t)
{
    for (int k = 0; k < t->n_out; k++) {
        float *x = fill_f(t->out_n[k], t->start[k] ? t->start[k] : 51);
        memcpy(t->out[k], x, t->out_n[k] * sizeof *x);
        free(x);
    }
}

/** Sums of some hundred products in another order: 1e-5 of the tensor's largest, or of 1e-3 of the largest of all. */
static void outputs_check(struct tensors *t, const char *what, const char *isa, int is_first)
{
    double most[PLACES] = {0}, of_all = 0;
    for (int k = 0; k < t->n_out; k++) {
        for (size_t i = 0; i < t->out_n[k]; i++) most[k] = fmax(most[k], fabs(t->out_d[k][i]));
        of_all = fmax(of_all, most[k]);
    }
    for (int k = 0; k < t->n_out; k++)
        for (size_t i = 0; i < t->out_n[k]; i++) {
            if (!(fabs(t->out[k][i] - t->out_d[k][i]) <= 1e-5 * fmax(most[k], 1e-3 * of_all)))
                fail_msg("%s, %s: %s[%zu] is %.9g, the reference has %.9g (largest %.3g)", what, isa, t->name[k], i,
                         (double)t->out[k][i], t->out_d[k][i], most[k]);
            if (!is_first && memcmp(&t->out[k][i], &t->first[k][i], sizeof(float)))
                fail_msg("%s, %s: %s[%zu] is %a, %s has %a", what, isa, t->name[k], i, (double)t->out[k][i], table[0]->name,
                         (double)t->first[k][i]);
        }
    for (int k = 0; is_first && k < t->n_out; k++) memcpy(t->first[k], t->out[k], t->out_n[k] * sizeof(float));
}

static void tensors_free(struct tensors *t)
{
    for (int k = 0; k < t->n_in; k++) {
        free(t->in[k]);
        free(t->in_d[k]);
    }
    for (int k = 0; k < t->n_out; k++) {
        free(t->out[k]);
        free(t->first[k]);
        free(t->out_d[k]);
    }
}

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

typedef void one_case(ci_gatv2_dim dim, const fill_graph *g);

/** Every shape on every graph: a node with 99 others before its self-loop, nodes with nothing else; one node; none. */
static void each_shape(one_case *run)
{
    static const int shapes[][2] = {{1, 1}, {3, 5}, {4, 10}, {8, 16}, {1, 35}, {1, 40}, {1, 80}, {4, 120}, {4, 24}, {2, 24}, {3, 67}};
    static const int graphs[][2] = {{13, 99}, {1, 0}, {6, 0}, {0, 0}};
    for (size_t s = 0; s < CI_COUNT(shapes); s++)
        for (ci_lid F = 0; F <= 11; F += 11)
            for (size_t k = 0; k < CI_COUNT(graphs); k++) {
                fill_graph g = looped(graphs[k][0], graphs[k][1]);
                run((ci_gatv2_dim){shapes[s][0], shapes[s][1], F, 0.2f}, &g);
                fill_release(&g);
            }
    fill_graph bare = fill_csr(17, 30); /* nodes without any in-edge */
    run((ci_gatv2_dim){2, 7, 18, 0.2f}, &bare);
    fill_release(&bare);
}

/** "what" with the case's sizes, for messages. */
static const char *titled(const char *what, ci_gatv2_dim dim, const fill_graph *g)
{
    static char text[128];
    snprintf(text, sizeof text, "%s H %d C %d F %d, %d nodes, %d edges", what, dim.H, dim.C, dim.F, g->csr.n_node, g->n_edge);
    return text;
}

struct size { size_t N, E, H, D, F; };
static struct size size(ci_gatv2_dim dim, const fill_graph *g)
{
    return (struct size){(size_t)g->csr.n_node, (size_t)g->n_edge, (size_t)dim.H, (size_t)dim.H * dim.C, (size_t)dim.F};
}

#define OR_NULL(x) (n.F ? (x) : NULL)

static void gatv2_case(ci_gatv2_dim dim, const fill_graph *g)
{
    const struct size n = size(dim, g);
    const int with_bias = dim.H != 3 && dim.F;
    struct tensors t = {0};
    float *block = fill_f(CI_GATV2_BLOCK * n.D, 9), *ds = fill_f(n.E * n.H, 9);
    input(&t, n.N * n.D), input(&t, n.N * n.D), input(&t, n.E * n.F), input(&t, n.F * n.D), input(&t, n.D);
    input(&t, n.D), input(&t, n.N * n.D);
    output(&t, "p", n.E * n.H, 0), output(&t, "y", n.N * n.D, 0), output(&t, "dl", n.N * n.D, 0), output(&t, "dr", n.N * n.D, 0);
    output(&t, "dw_e", n.F * n.D, 60), output(&t, "da", n.D, 61);
    double **in = t.in_d, **out = t.out_d, *unused = fill_d(n.D, 1);
    ci_ref_gatv2_forward_double(dim, &g->csr, in[0], in[1], in[2], in[3], in[4], with_bias ? in[5] : NULL, out[0], out[1]);
    ci_ref_gatv2_backward_double(dim, &g->csr, in[0], in[1], in[2], in[3], in[4], out[0], in[6], out[2], out[3], out[4], out[5], unused);
    const ci_gatv2_in x = {t.in[0], t.in[1], OR_NULL(t.in[2]), OR_NULL(t.in[3]), t.in[4], with_bias ? t.in[5] : NULL};
    for (size_t k = 0; k < n_table; k++) {
        outputs_start(&t);
        table[k]->gatv2_forward(dim, &g->csr, x, block, t.out[0], t.out[1]);
        table[k]->gatv2_backward(dim, &g->csr, x, t.out[0], t.in[6], block, ds,
                                 (ci_gatv2_grad){t.out[2], t.out[3], OR_NULL(t.out[4]), t.out[5]});
        outputs_check(&t, titled("GATv2", dim, g), table[k]->name, !k);
    }
    free(block), free(ds), free(unused);
    tensors_free(&t);
}

static void gat_case(ci_gatv2_dim dim, const fill_graph *g)
{
    const struct size n = size(dim, g);
    const int with_bias = dim.H != 3;
    struct tensors t = {0};
    float *work = fill_f(CI_GAT_WORK(dim, g->csr.n_node), 9), *ds = fill_f(n.E * n.H, 9);
    input(&t, n.N * n.D), input(&t, n.E * n.F), input(&t, n.F * n.D), input(&t, n.D), input(&t, n.D), input(&t, n.D);
    input(&t, n.D), input(&t, n.N * n.D);
    output(&t, "p", n.E * n.H, 0), output(&t, "y", n.N * n.D, 0), output(&t, "dh", n.N * n.D, 0), output(&t, "dw_e", n.F * n.D, 60);
    output(&t, "da_src", n.D, 61), output(&t, "da_dst", n.D, 62), output(&t, "da_e", n.D, 63);
    double **in = t.in_d, **out = t.out_d;
    ci_ref_gat_forward_double(dim, &g->csr, in[0], in[1], in[2], in[3], in[4], in[5], with_bias ? in[6] : NULL, out[0], out[1]);
    ci_ref_gat_backward_double(dim, &g->csr, in[0], in[1], in[2], in[3], in[4], in[5], out[0], in[7], out[2], out[3], out[4], out[5],
                               out[6]);
    const ci_gat_in x = {t.in[0], OR_NULL(t.in[1]), OR_NULL(t.in[2]), t.in[3], t.in[4], OR_NULL(t.in[5]), with_bias ? t.in[6] : NULL};
    for (size_t k = 0; k < n_table; k++) {
        outputs_start(&t);
        table[k]->gat_forward(dim, &g->csr, x, work, t.out[0], t.out[1]);
        table[k]->gat_backward(dim, &g->csr, x, t.out[0], t.in[7], work, ds,
                               (ci_gat_grad){t.out[2], OR_NULL(t.out[3]), t.out[4], t.out[5], OR_NULL(t.out[6])});
        outputs_check(&t, titled("GATv1", dim, g), table[k]->name, !k);
    }
    free(work), free(ds);
    tensors_free(&t);
}

static void transformer_case(ci_gatv2_dim dim, const fill_graph *g)
{
    const struct size n = size(dim, g);
    const int with_skip = dim.H != 3;
    struct tensors t = {0};
    float *block = fill_f(CI_GATV2_BLOCK * n.D, 9), *ds = fill_f(n.E * n.H, 9);
    for (int k = 0; k < 5; k++) input(&t, n.N * n.D); /* q k v skip dy */
    input(&t, n.E * n.F), input(&t, n.F * n.D);
    output(&t, "p", n.E * n.H, 0), output(&t, "y", n.N * n.D, 0), output(&t, "dq", n.N * n.D, 0), output(&t, "dk", n.N * n.D, 0);
    output(&t, "dv", n.N * n.D, 0), output(&t, "dw_e", n.F * n.D, 60);
    double **in = t.in_d, **out = t.out_d;
    ci_ref_transformer_forward_double(dim, &g->csr, in[0], in[1], in[2], in[5], in[6], with_skip ? in[3] : NULL, out[0], out[1]);
    ci_ref_transformer_backward_double(dim, &g->csr, in[0], in[1], in[2], in[5], in[6], out[0], in[4], out[2], out[3], out[4], out[5]);
    const ci_transformer_in x = {t.in[0], t.in[1], t.in[2], OR_NULL(t.in[5]), OR_NULL(t.in[6]), with_skip ? t.in[3] : NULL};
    for (size_t k = 0; k < n_table; k++) {
        outputs_start(&t);
        table[k]->transformer_forward(dim, &g->csr, x, block, t.out[0], t.out[1]);
        table[k]->transformer_backward(dim, &g->csr, x, t.out[0], t.in[4], block, ds,
                                       (ci_transformer_grad){t.out[2], t.out[3], t.out[4], OR_NULL(t.out[5])});
        outputs_check(&t, titled("transformer", dim, g), table[k]->name, !k);
    }
    free(block), free(ds);
    tensors_free(&t);
}

static void gatv2__equals_reference_and_itself(void **state) { (void)state; each_shape(gatv2_case); }
static void gat__equals_reference_and_itself(void **state) { (void)state; each_shape(gat_case); }
static void transformer__equals_reference_and_itself(void **state) { (void)state; each_shape(transformer_case); }

/** The preset's shape has loops of its own, which a missing bias keeps away. */
static void gatv2__by_head_has_the_bits_of_the_known_shape(void **state)
{
    (void)state;
    const ci_gatv2_dim dim = {4, 24, 11, 0.2f};
    fill_graph g = looped(13, 99);
    const struct size n = size(dim, &g);
    float *x[6], *block = fill_f(CI_GATV2_BLOCK * n.D, 9), *zero = ci_new(n.D, sizeof *zero), *p[2], *y[2];
    const size_t sizes[] = {n.N * n.D, n.N * n.D, n.E * n.F, n.F * n.D, n.D, n.D};
    for (size_t k = 0; k < CI_COUNT(sizes); k++) x[k] = fill_f(sizes[k], (uint32_t)k + 1);
    for (int k = 0; k < 2; k++) p[k] = fill_f(n.E * n.H, 7), y[k] = fill_f(n.N * n.D, 7);
    for (size_t t = 0; t < n_table; t++) {
        for (int k = 0; k < 2; k++)
            table[t]->gatv2_forward(dim, &g.csr, (ci_gatv2_in){x[0], x[1], x[2], x[3], x[4], k ? zero : NULL}, block, p[k], y[k]);
        assert_memory_equal(p[0], p[1], n.E * n.H * sizeof(float));
        assert_memory_equal(y[0], y[1], n.N * n.D * sizeof(float));
    }
    for (int k = 0; k < 6; k++) free(x[k]);
    for (int k = 0; k < 2; k++) free(p[k]), free(y[k]);
    free(block), free(zero);
    fill_release(&g);
}

static void attention_case(ci_lid H, ci_lid C, const ci_lid *first, ci_lid n_graph)
{
    const size_t n = (size_t)first[n_graph] * H * C;
    ci_lid most = 0;
    size_t pairs = 0;
    for (ci_lid g = 0; g < n_graph; g++) {
        const ci_lid nodes = first[g + 1] - first[g];
        most = CI_MAX(most, nodes);
        pairs += (size_t)nodes * nodes * H;
    }
    struct tensors t = {0};
    for (int k = 0; k < 4; k++) input(&t, n); /* q k v dy */
    output(&t, "y", n, 0), output(&t, "dq", n, 0), output(&t, "dk", n, 0), output(&t, "dv", n, 0);
    double **in = t.in_d, **out = t.out_d, *p = fill_d(pairs, 1);
    float *work = fill_f(CI_ATTENTION_WORK(H, most), 9);
    ci_ref_attention_forward_double(H, C, n_graph, first, in[0], in[1], in[2], p, out[0]);
    ci_ref_attention_backward_double(H, C, n_graph, first, in[0], in[1], in[2], p, in[3], out[1], out[2], out[3]);
    for (size_t k = 0; k < n_table; k++) {
        outputs_start(&t);
        table[k]->attention_forward(H, C, n_graph, first, t.in[0], t.in[1], t.in[2], work, t.out[0]);
        table[k]->attention_backward(H, C, n_graph, first, t.in[0], t.in[1], t.in[2], t.in[3], work, t.out[1], t.out[2], t.out[3]);
        char what[64];
        snprintf(what, sizeof what, "attention H %d C %d, %d graphs", H, C, n_graph);
        outputs_check(&t, what, table[k]->name, !k);
    }
    free(p), free(work);
    tensors_free(&t);
}

static void attention__equals_reference_and_itself(void **state)
{
    (void)state;
    static const ci_lid first[] = {0, 17, 18, 18, 51, 58}, none[] = {0, 0};
    static const ci_lid shapes[][2] = {{1, 1}, {3, 5}, {4, 16}, {4, 24}, {1, 35}, {8, 16}, {2, 80}};
    for (size_t s = 0; s < CI_COUNT(shapes); s++) {
        attention_case(shapes[s][0], shapes[s][1], first, 5);
        attention_case(shapes[s][0], shapes[s][1], none, 1);
        attention_case(shapes[s][0], shapes[s][1], none, 0);
    }
}

static void heads_mean__equals_reference_and_itself(void **state)
{
    (void)state;
    static const ci_lid shapes[][2] = {{1, 35}, {4, 35}, {3, 1}, {4, 120}, {8, 16}};
    for (size_t s = 0; s < CI_COUNT(shapes); s++) {
        const ci_lid rows = 9, H = shapes[s][0], C = shapes[s][1];
        const size_t n = (size_t)rows * C;
        struct tensors t = {0};
        input(&t, n * H), input(&t, (size_t)C), input(&t, n);
        output(&t, "y", n, 0), output(&t, "y without bias", n, 0), output(&t, "dx", n * H, 0), output(&t, "dx added to", n * H, 60);
        ci_ref_heads_mean_forward_double(rows, H, C, t.in_d[0], t.in_d[1], t.out_d[0]);
        ci_ref_heads_mean_forward_double(rows, H, C, t.in_d[0], NULL, t.out_d[1]);
        ci_ref_heads_mean_backward_double(rows, H, C, t.in_d[2], t.out_d[2]);
        for (size_t i = 0; i < n * H; i++) t.out_d[3][i] += t.out_d[2][i];
        for (size_t k = 0; k < n_table; k++) {
            outputs_start(&t);
            table[k]->heads_mean(rows, H, C, t.in[0], t.in[1], t.out[0]);
            table[k]->heads_mean(rows, H, C, t.in[0], NULL, t.out[1]);
            table[k]->heads_mean_backward(rows, H, C, t.in[2], 0, t.out[2]);
            table[k]->heads_mean_backward(rows, H, C, t.in[2], 1, t.out[3]);
            outputs_check(&t, "mean of heads", table[k]->name, !k);
        }
        tensors_free(&t);
    }
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
        cmocka_unit_test(gatv2__equals_reference_and_itself),
        cmocka_unit_test(gatv2__by_head_has_the_bits_of_the_known_shape),
        cmocka_unit_test(gat__equals_reference_and_itself),
        cmocka_unit_test(transformer__equals_reference_and_itself),
        cmocka_unit_test(attention__equals_reference_and_itself),
        cmocka_unit_test(heads_mean__equals_reference_and_itself),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
