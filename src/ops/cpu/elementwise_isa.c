/** exp, sigmoid, ReLU and dropout, sums over rows; and the table of this instruction set. */
#include "ci/random.h"
#include "cpu_priv.h"
#include "vec.h"

void CI_SYM(ci_exp)(const float *x, ci_lid n, float *y)
{
    ci_lid i = 0;
    for (; i + VN <= n; i += VN) v_store(y + i, v_exp(v_load(x + i)));
    for (; i < n; i++) y[i] = ci_expf(x[i]);
}

/* Philox of VN / 2 counters at a time, one in each 64-bit lane, so that a product of two words fits. */
enum { PHILOX = VN / 2 };
typedef uint64_t vu __attribute__((vector_size(8 * PHILOX)));
typedef uint32_t vw __attribute__((vector_size(4 * VN)));

ALWAYS vu product(vu a, uint32_t b)
{
#if defined(__AVX512F__)
    return (vu)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64(b));
#elif defined(__AVX2__)
    return (vu)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(b));
#else
    return a * (uint64_t)b;
#endif
}

/** The words of counters (c0, c1, c2, c3 + 0..PHILOX-1), 4 each.  Source: Salmon et al., SC 2011. */
ALWAYS void philox(uint32_t k0, uint32_t k1, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t *out)
{
    const uint64_t low = 0xFFFFFFFFu;
    vu x0 = (vu){0} + c0, x1 = (vu){0} + c1, x2 = (vu){0} + c2, x3;
    for (int k = 0; k < PHILOX; k++) x3[k] = c3 + (uint32_t)k;
    for (int round = 0; round < 10; round++) {
        const vu a = product(x0, 0xD2511F53u), b = product(x2, 0xCD9E8D57u);
        x0 = (b >> 32) ^ x1 ^ (uint64_t)k0;
        x2 = (a >> 32) ^ x3 ^ (uint64_t)k1;
        x1 = b & low;
        x3 = a & low;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
#if VN_LANES >= 8
    const vu p = x0 | x1 << 32, q = x2 | x3 << 32; /* little-endian: the low word is first in memory */
#if VN_LANES == 16
    const vu lo = __builtin_shufflevector(p, q, 0, 8, 1, 9, 2, 10, 3, 11);
    const vu hi = __builtin_shufflevector(p, q, 4, 12, 5, 13, 6, 14, 7, 15);
#else
    const vu lo = __builtin_shufflevector(p, q, 0, 4, 1, 5);
    const vu hi = __builtin_shufflevector(p, q, 2, 6, 3, 7);
#endif
    memcpy(out, &lo, sizeof lo);
    memcpy(out + 2 * PHILOX, &hi, sizeof hi);
#else
    for (int k = 0; k < PHILOX; k++) {
        const uint64_t word[4] = {x0[k], x1[k], x2[k], x3[k]};
        for (int w = 0; w < 4; w++) out[4 * k + w] = (uint32_t)word[w];
    }
#endif
}

/** VN elements of a graph, each with a word that decides.  Without branches: nobody can predict them. */
ALWAYS void drop_some(float *x, const ci_dropout *drop, const uint32_t *word, int relu)
{
    vw w;
    memcpy(&w, word, sizeof w);
    const vf y = (relu ? v_max((vf){0}, v_load(x)) : v_load(x)) * drop->scale; /* in this order max keeps NaN */
    v_store(x, (vf)((vi)y & (vi)(w >= drop->drop)));
}

/** A block of the graph's elements that starts with counter `block`. */
ALWAYS void drop_block(float *x, const ci_dropout *drop, uint32_t graph, uint32_t block, int relu)
{
    uint32_t word[4 * PHILOX];
    philox(drop->seed, CI_RANDOM_DROPOUT, drop->epoch, graph, drop->operation, block, word);
    drop_some(x, drop, word, relu);
    drop_some(x + VN, drop, word + VN, relu);
}

ALWAYS void drop_all(float *x, ci_lid n, const ci_dropout *drop, uint32_t graph, int relu)
{
    ci_lid k = 0;
    for (; k + 4 * PHILOX <= n; k += 4 * PHILOX) drop_block(x + k, drop, graph, (uint32_t)k / 4, relu);
    if (k < n) {
        float rest[4 * PHILOX] = {0};
        memcpy(rest, x + k, (size_t)(n - k) * sizeof *x);
        drop_block(rest, drop, graph, (uint32_t)k / 4, relu);
        memcpy(x + k, rest, (size_t)(n - k) * sizeof *x);
    }
}

void CI_SYM(ci_relu)(float *x, ci_lid n, const ci_dropout *drop, uint32_t graph)
{
    if (drop && drop->drop) drop_all(x, n, drop, graph, 1);
    else for (ci_lid k = 0; k < n; k++) x[k] = 0.0f > x[k] ? 0.0f : x[k];
}

static void dropout(float *x, ci_lid n, const ci_dropout *drop, uint32_t graph)
{
    if (drop && drop->drop) drop_all(x, n, drop, graph, 0);
}

static void sigmoid(const float *x, ci_lid n, float *y)
{
    ci_lid k = 0;
    for (; k + VN <= n; k += VN) v_store(y + k, v_sigmoid(v_load(x + k)));
    for (; k < n; k++) y[k] = ci_sigmoidf(x[k]);
}

static void sigmoid_backward(const float *y, const float *dy, ci_lid n, float *dx)
{
    for (ci_lid k = 0; k < n; k++) dx[k] += dy[k] * (y[k] * (1.0f - y[k]));
}

void CI_SYM(ci_relu_backward)(const float *y, ci_lid n, float scale, float *dx)
{
    ci_lid k = 0;
    for (; k + VN <= n; k += VN)
        v_store(dx + k, (vf)((vi)(v_load(dx + k) * scale) & (vi)(v_load(y + k) > 0.0f)));
    for (; k < n; k++) dx[k] = y[k] > 0.0f ? dx[k] * scale : 0.0f;
}

static void column_sum(const float *x, ci_lid rows, ci_lid cols, ci_lid x_row, float *sum)
{
    for (ci_lid i = 0; i < rows; i++)
        for (ci_lid d = 0; d < cols; d++) sum[d] += x[(size_t)i * x_row + d];
}

static void mean(const float *x, ci_lid rows, ci_lid cols, float *y)
{
    memset(y, 0, (size_t)cols * sizeof *y);
    column_sum(x, rows, cols, cols, y);
    for (ci_lid d = 0; d < cols; d++) y[d] /= (float)rows;
}

static void mean_backward(const float *dy, ci_lid rows, ci_lid cols, int add, float *dx)
{
    for (ci_lid i = 0; i < rows; i++)
        for (ci_lid d = 0; d < cols; d++) {
            float *at = dx + (size_t)i * cols + d;
            *at = (add ? *at : 0.0f) + dy[d] / (float)rows;
        }
}

const ci_ops CI_SYM(ci_ops) = {
    .name = CI_TEXT(CI_ISA),
    .lanes = VN,
    .gemm = CI_SYM(ci_gemm),
    .exp = CI_SYM(ci_exp),
    .gatv2_forward = CI_SYM(ci_gatv2_forward),
    .gatv2_backward = CI_SYM(ci_gatv2_backward),
    .gat_forward = CI_SYM(ci_gat_forward),
    .gat_backward = CI_SYM(ci_gat_backward),
    .transformer_forward = CI_SYM(ci_transformer_forward),
    .transformer_backward = CI_SYM(ci_transformer_backward),
    .attention_forward = CI_SYM(ci_attention_forward),
    .attention_backward = CI_SYM(ci_attention_backward),
    .heads_mean = CI_SYM(ci_heads_mean),
    .heads_mean_backward = CI_SYM(ci_heads_mean_backward),
    .relu = CI_SYM(ci_relu),
    .relu_backward = CI_SYM(ci_relu_backward),
    .column_sum = column_sum,
    .mean = mean,
    .mean_backward = mean_backward,
    .graph_norm_forward = CI_SYM(ci_graph_norm_forward),
    .graph_norm_backward = CI_SYM(ci_graph_norm_backward),
    .layer_norm_forward = CI_SYM(ci_layer_norm_forward),
    .layer_norm_backward = CI_SYM(ci_layer_norm_backward),
    .batch_norm_sums = CI_SYM(ci_batch_norm_sums),
    .batch_norm_apply = CI_SYM(ci_batch_norm_apply),
    .batch_norm_backward_sums = CI_SYM(ci_batch_norm_backward_sums),
    .batch_norm_backward = CI_SYM(ci_batch_norm_backward),
    .lstm_forward = CI_SYM(ci_lstm_forward),
    .lstm_backward = CI_SYM(ci_lstm_backward),
    .jk_attention_forward = CI_SYM(ci_jk_attention_forward),
    .jk_attention_backward = CI_SYM(ci_jk_attention_backward),
    .jk_max_forward = CI_SYM(ci_jk_max_forward),
    .jk_max_backward = CI_SYM(ci_jk_max_backward),
    .pool_sum = CI_SYM(ci_pool_sum),
    .pool_sum_backward = CI_SYM(ci_pool_sum_backward),
    .pool_max = CI_SYM(ci_pool_max),
    .pool_max_backward = CI_SYM(ci_pool_max_backward),
    .pool_attention = CI_SYM(ci_pool_attention),
    .pool_attention_backward = CI_SYM(ci_pool_attention_backward),
    .sigmoid = sigmoid,
    .sigmoid_backward = sigmoid_backward,
    .dropout = dropout,
    .dropout_backward = dropout,
};
