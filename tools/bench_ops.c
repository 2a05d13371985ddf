/** Matrix products beside OpenBLAS, and convolutions, on one core.
 *
 *      bench_ops
 *
 *  GFLOP/s counts 2 M N K.  OpenBLAS is opened at run time, one thread; absent, it is said and the
 *  yardstick counts as missed.  Results are compared before anything is timed. */
#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/log.h"
#include "ci/ops.h"
#include "shard.h"

enum { ROW = 101, COL_N = 111, COL_T = 112, RUNS = 5 };
typedef void sgemm_fn(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda,
                      const float *b, int ldb, float beta, float *c, int ldc);

static sgemm_fn *openblas(void)
{
    static const char *const places[] = {"libopenblas.so.0", "openblas-serial/libopenblas.so.0", "libopenblas.so"};
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    for (size_t k = 0; k < CI_COUNT(places); k++) {
        void *so = dlopen(places[k], RTLD_NOW);
        if (so) return (sgemm_fn *)dlsym(so, "cblas_sgemm");
    }
    return NULL;
}

/** Best GFLOP/s of alternating runs. */
static void product(const ci_ops *ops, sgemm_fn *blas, const char *what, int M, int N, int K, int transposed)
{
    float *a = numbers((size_t)M * K, 1), *b = numbers((size_t)K * N, 2), *c = numbers((size_t)M * N, 3);
    float *d = numbers((size_t)M * N, 3);
    const ci_gemm g = {.M = M, .N = N, .K = K, .a = a, .a_row = transposed ? 1 : K, .a_col = transposed ? M : 1, .b = b,
                       .b_row = N, .c = c, .c_row = N, .start = CI_GEMM_ZERO};
    const double flop = 2.0 * M * N * K;
    const int loops = (int)(2e8 / flop) + 1;
    double best = 0, best_blas = 0, off = 0;
    for (int run = 0; run < RUNS; run++) {
        double t = ci_now_s();
        for (int k = 0; k < loops; k++) ops->gemm(&g);
        best = CI_MAX(best, flop * loops / (ci_now_s() - t) / 1e9);
        if (!blas) continue;
        t = ci_now_s();
        for (int k = 0; k < loops; k++)
            blas(ROW, transposed ? COL_T : COL_N, COL_N, M, N, K, 1, a, transposed ? M : K, b, N, 0, d, N);
        best_blas = CI_MAX(best_blas, flop * loops / (ci_now_s() - t) / 1e9);
    }
    for (int i = 0; blas && i < M * N; i++) off = CI_MAX(off, fabs((double)c[i] - d[i]));
    if (off > 1e-4) {
        printf("gemm differs from OpenBLAS by %g\n", off);
        exit(70);
    }
    printf("%-28s M %4d N %4d K %4d   %6.1f GFLOP/s", what, M, N, K, best);
    if (blas) printf("   OpenBLAS %6.1f\n", best_blas);
    else printf("   OpenBLAS absent: yardstick missed\n");
    free(a);
    free(b);
    free(c);
    free(d);
}

/** Best GFLOP/s of a call of each, in float32 and with factors in bf16. */
static void product_bf16(const ci_ops *ops, const ci_ops *bf16, const char *what, int M, int N, int K, int transposed)
{
    float *a = numbers((size_t)M * K, 1), *b = numbers((size_t)K * N, 2), *c = numbers((size_t)M * N, 3);
    const ci_gemm g = {.M = M, .N = N, .K = K, .a = a, .a_row = transposed ? 1 : K, .a_col = transposed ? M : 1, .b = b,
                       .b_row = N, .c = c, .c_row = N, .start = CI_GEMM_ZERO};
    const double flop = 2.0 * M * N * K;
    double best[2] = {1e9, 1e9};
    for (int run = 0; run < (int)(1e9 / flop) + RUNS; run++)
        for (int k = 0; k < 2; k++) {
            const double t = ci_now_s();
            (k ? bf16 : ops)->gemm(&g);
            best[k] = CI_MIN(best[k], ci_now_s() - t);
        }
    printf("%-28s M %4d N %4d K %4d   %6.1f GFLOP/s   bf16 %6.1f\n", what, M, N, K, flop / best[0] / 1e9, flop / best[1] / 1e9);
    free(a);
    free(b);
    free(c);
}

typedef enum conv_kind { GATV2, GATV1, TRANSFORMER } conv_kind;

/** Forward and backward of one convolution over a shard of 8 graphs. */
static void convolution(const ci_ops *ops, const char *what, conv_kind kind, ci_gatv2_dim dim)
{
    ci_batch b = shard_make(8, 0);
    const ci_csr g = {b.n_node, b.in_first, b.in_src};
    const size_t D = (size_t)dim.H * dim.C, rows = (size_t)b.n_node * D, scores = (size_t)b.n_edge * dim.H;
    float *x[4], *d[4], *vec[4], *w_e = numbers((size_t)dim.F * D, 3), *dw_e = numbers((size_t)dim.F * D, 3);
    float *p = numbers(scores, 4), *ds = numbers(scores, 4), *y = numbers(rows, 5);
    float *work = numbers(CI_MAX((size_t)CI_GATV2_BLOCK * D, CI_GAT_WORK(dim, b.n_node)), 6);
    const float *e = dim.F ? b.e : NULL, *we = dim.F ? w_e : NULL;
    for (uint32_t k = 0; k < 4; k++) {
        x[k] = numbers(rows, k);
        d[k] = numbers(rows, k);
        vec[k] = numbers(D, k);
    }
    double best[2] = {1e9, 1e9};
    const int runs = (int)(5e7 / ((double)b.n_edge * (double)D)) + RUNS;
    for (int run = 0; run < runs; run++) {
        const double t0 = ci_now_s();
        const ci_gatv2_in v2 = {x[0], x[1], e, we, vec[0], vec[1]};
        const ci_gat_in v1 = {x[0], e, we, vec[0], vec[1], e ? vec[2] : NULL, vec[3]};
        const ci_transformer_in tr = {x[0], x[1], x[2], e, we, x[3]};
        if (kind == GATV2) ops->gatv2_forward(dim, &g, v2, work, p, y);
        else if (kind == GATV1) ops->gat_forward(dim, &g, v1, work, p, y);
        else ops->transformer_forward(dim, &g, tr, work, p, y);
        const double t1 = ci_now_s();
        if (kind == GATV2) ops->gatv2_backward(dim, &g, v2, p, x[2], work, ds, (ci_gatv2_grad){d[0], d[1], dw_e, vec[2]});
        else if (kind == GATV1)
            ops->gat_backward(dim, &g, v1, p, x[2], work, ds, (ci_gat_grad){d[0], dw_e, vec[0], vec[1], vec[2]});
        else ops->transformer_backward(dim, &g, tr, p, x[3], work, ds, (ci_transformer_grad){d[0], d[1], d[2], dw_e});
        const double t2 = ci_now_s();
        best[0] = CI_MIN(best[0], t1 - t0);
        best[1] = CI_MIN(best[1], t2 - t1);
    }
    printf("%-12s H %d C %3d F %2d   %6.2f M edges/s   %6.2f ns an edge and 16 channels  (forward %.1f us, backward %.1f us a graph)\n", what,
           dim.H, dim.C, dim.F, b.n_edge / (best[0] + best[1]) / 1e6, (best[0] + best[1]) * 1e9 / ((double)b.n_edge * (double)D / 16),
           best[0] * 1e6 / 8, best[1] * 1e6 / 8);
    for (int k = 0; k < 4; k++) {
        free(x[k]);
        free(d[k]);
        free(vec[k]);
    }
    free(w_e);
    free(dw_e);
    free(p);
    free(ds);
    free(y);
    free(work);
    shard_release(&b);
}

int main(void)
{
    const ci_ops *ops = ci_ops_get("auto");
    sgemm_fn *blas = openblas();
    printf("matrix products, %s kernels, one core, best of %d alternating runs\n", ops->name, RUNS);
    product(ops, blas, "layer 1 forward", 256, 96, 51, 0);
    product(ops, blas, "layer 2 forward", 256, 96, 96, 0);
    product(ops, blas, "layer 2 weight gradient", 96, 96, 256, 1);
    product(ops, blas, "layer 1 weight gradient", 51, 96, 256, 1);
    product(ops, blas, "layer 1 input gradient", 256, 16, 96, 0);
    product(ops, blas, "edge projection", 32, 96, 11, 0);
    product(ops, blas, "head forward", 8, 192, 192, 0);
    product(ops, blas, "head weight gradient", 192, 192, 8, 1);
    const ci_ops *bf16 = ci_ops_get_bf16();
    if (!bf16) printf("bf16: this processor has no AVX512-BF16\n");
    else {
        printf("products of factors in bf16 beside float32, best call\n");
        product_bf16(ops, bf16, "layer 2 forward", 256, 96, 96, 0);
        product_bf16(ops, bf16, "LSTM gates, small", 216, 384, 96, 0);
        product_bf16(ops, bf16, "LSTM gates, large", 216, 1536, 256, 0);
        product_bf16(ops, bf16, "LSTM weight gradient, large", 256, 1536, 216, 1);
        product_bf16(ops, bf16, "layer 2 forward, large", 216, 256, 256, 0);
        product_bf16(ops, bf16, "head forward, large", 8, 256, 768, 0);
        product_bf16(ops, bf16, "head forward, large", 64, 256, 768, 0);
    }
    printf("convolutions, forward and backward, 8 graphs of 27 nodes and 126 edges\n");
    static const struct { const char *what; conv_kind kind; ci_gatv2_dim dim; } convs[] = {
        {"GATv2", GATV2, {4, 24, 11, 0.2f}}, {"GATv2", GATV2, {4, 64, 11, 0.2f}}, {"GATv2", GATV2, {1, 80, 11, 0.2f}},
        {"GATv2", GATV2, {1, 40, 11, 0.2f}}, {"GATv2", GATV2, {4, 16, 11, 0.2f}}, {"GATv2", GATV2, {1, 35, 11, 0.2f}},
        {"GATv2", GATV2, {4, 120, 11, 0.2f}}, {"GATv2", GATV2, {1, 240, 11, 0.2f}}, {"GATv2", GATV2, {4, 24, 0, 0.2f}},
        {"GATv1", GATV1, {4, 24, 11, 0.2f}}, {"GATv1", GATV1, {4, 10, 11, 0.2f}}, {"GATv1", GATV1, {1, 80, 0, 0.2f}},
        {"transformer", TRANSFORMER, {4, 24, 11, 0.2f}}, {"transformer", TRANSFORMER, {4, 16, 11, 0.2f}}, {"transformer", TRANSFORMER, {1, 80, 0, 0.2f}},
    };
    for (size_t k = 0; k < CI_COUNT(convs); k++) convolution(ops, convs[k].what, convs[k].kind, convs[k].dim);
    return 0;
}
