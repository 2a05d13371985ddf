/** Attention of a graph's nodes to each other, by head, as matrix products; and the mean of heads. */
#include <math.h>
#include "cpu_priv.h"
#include "row.h"

/** t[c,j] = x[j,c]: n rows of C channels, D apart. */
static void transpose(const float *x, ci_lid n, ci_lid C, ci_lid D, float *t)
{
    for (ci_lid j = 0; j < n; j++)
        for (ci_lid c = 0; c < C; c++) t[(size_t)c * n + j] = x[(size_t)j * D + c];
}

/** out[i,j] = a[i] . b[j] of n rows of C channels, D apart. */
static void products(const float *a, const float *b, ci_lid n, ci_lid C, ci_lid D, float *t, float *out)
{
    transpose(b, n, C, D, t);
    const ci_gemm g = {.M = n, .N = n, .K = C, .a = a, .a_row = D, .a_col = 1, .b = t, .b_row = n, .c = out, .c_row = n,
                       .start = CI_GEMM_ZERO};
    CI_SYM(ci_gemm)(&g);
}

/** out[i] = sum_j w[i,j] x[j], or sum_j w[j,i] x[j]; rows of out and x are D apart. */
static void weighted(const float *w, int transposed, const float *x, ci_lid n, ci_lid C, ci_lid D, float *out)
{
    const ci_gemm g = {.M = n, .N = C, .K = n, .a = w, .a_row = transposed ? 1 : n, .a_col = transposed ? n : 1, .b = x,
                       .b_row = D, .c = out, .c_row = D, .start = CI_GEMM_ZERO};
    CI_SYM(ci_gemm)(&g);
}

static void softmax_row(float scale, float *p, int n)
{
    float most = p[0];
    for (int j = 1; j < n; j++) most = CI_MAX(most, p[j]);
    for (int j = 0; j < n; j++) p[j] = (p[j] - most) * scale; /* scale > 0: the largest stays it */
    CI_SYM(ci_exp)(p, n, p);
    w16 acc = w_splat(0);
#define SUM(c, m) acc = w_add(acc, w_load(p + (c), m))
    BY_STEP(n, SUM);
#undef SUM
    const float sum = w_sum(acc);
    for (int j = 0; j < n; j++) p[j] /= sum;
}

/** The probabilities of a graph's n nodes for one head. */
static void probabilities(const float *q, const float *k, ci_lid n, ci_lid C, ci_lid D, float *t, float *p)
{
    products(q, k, n, C, D, t, p);
    for (ci_lid i = 0; i < n; i++) softmax_row(1.0f / sqrtf((float)C), p + (size_t)i * n, n);
}

void CI_SYM(ci_attention_forward)(ci_lid H, ci_lid C, ci_lid n_graph, const ci_lid *first, const float *q,
                                  const float *k, const float *v, float *work, float *y)
{
    const ci_lid D = H * C;
    for (ci_lid g = 0; g < n_graph; g++) {
        const ci_lid n = first[g + 1] - first[g];
        float *p = work, *t = work + (size_t)n * n;
        for (ci_lid h = 0; h < H; h++) {
            const size_t at = (size_t)first[g] * D + (size_t)h * C;
            probabilities(q + at, k + at, n, C, D, t, p);
            weighted(p, 0, v + at, n, C, D, y + at);
        }
    }
}

void CI_SYM(ci_attention_backward)(ci_lid H, ci_lid C, ci_lid n_graph, const ci_lid *first, const float *q,
                                   const float *k, const float *v, const float *dy, float *work, float *dq, float *dk,
                                   float *dv)
{
    const ci_lid D = H * C;
    const float scale = 1.0f / sqrtf((float)C);
    for (ci_lid g = 0; g < n_graph; g++) {
        const ci_lid n = first[g + 1] - first[g];
        float *p = work, *ds = p + (size_t)n * n, *t = ds + (size_t)n * n;
        for (ci_lid h = 0; h < H; h++) {
            const size_t at = (size_t)first[g] * D + (size_t)h * C;
            probabilities(q + at, k + at, n, C, D, t, p);
            products(dy + at, v + at, n, C, D, t, ds);
            weighted(p, 1, dy + at, n, C, D, dv + at);
            for (ci_lid i = 0; i < n; i++) {
                float *row = ds + (size_t)i * n;
                const float *pi = p + (size_t)i * n, mean = row_dot(pi, row, n);
                for (ci_lid j = 0; j < n; j++) row[j] = pi[j] * (row[j] - mean) * scale;
            }
            weighted(ds, 0, k + at, n, C, D, dq + at);
            weighted(ds, 1, q + at, n, C, D, dk + at);
        }
    }
}

void CI_SYM(ci_heads_mean)(ci_lid rows, ci_lid H, ci_lid C, const float *x, const float *bias, float *y)
{
    for (ci_lid i = 0; i < rows; i++, y += C) {
        memset(y, 0, (size_t)C * sizeof *y);
        for (ci_lid h = 0; h < H; h++, x += C)
            for (ci_lid c = 0; c < C; c++) y[c] += x[c];
        for (ci_lid c = 0; c < C; c++) y[c] = y[c] / (float)H + (bias ? bias[c] : 0.0f);
    }
}

void CI_SYM(ci_heads_mean_backward)(ci_lid rows, ci_lid H, ci_lid C, const float *dy, int add, float *dx)
{
    for (ci_lid i = 0; i < rows; i++, dy += C)
        for (ci_lid h = 0; h < H; h++, dx += C)
            for (ci_lid c = 0; c < C; c++) dx[c] = (add ? dx[c] : 0.0f) + dy[c] / (float)H;
}
