#ifndef CI_OPS_CPU_PRIV_H
#define CI_OPS_CPU_PRIV_H
/** Every *_isa.c is compiled once for each instruction set, with CI_ISA its name; CI_SYM(x) is then x_avx512. */
#include "ci/ops.h"

#ifdef __x86_64__
extern const ci_ops ci_ops_avx512, ci_ops_avx2;
#endif
extern const ci_ops ci_ops_generic;

#ifdef CI_ISA
#define CI_PASTE2(a, b) a##_##b
#define CI_PASTE(a, b) CI_PASTE2(a, b)
#define CI_TEXT2(a) #a
#define CI_TEXT(a) CI_TEXT2(a)
#define CI_SYM(name) CI_PASTE(name, CI_ISA)

void CI_SYM(ci_gemm)(const ci_gemm *g);
void CI_SYM(ci_exp)(const float *x, ci_lid n, float *y);
void CI_SYM(ci_gatv2_forward)(ci_gatv2_dim dim, const ci_csr *g, ci_gatv2_in in, float *block, float *p, float *y);
void CI_SYM(ci_gatv2_backward)(ci_gatv2_dim dim, const ci_csr *g, ci_gatv2_in in, const float *p, const float *dy,
                               float *block, float *ds, ci_gatv2_grad grad);
enum { CI_GATV2_KNOWN_H = 4, CI_GATV2_KNOWN_C = 24 }; /* of the presets; F > 0 and a bias besides */
void CI_SYM(ci_gatv2_known_forward)(ci_gatv2_dim dim, const ci_csr *g, ci_gatv2_in in, float *block, float *p, float *y);
void CI_SYM(ci_gatv2_known_backward)(ci_gatv2_dim dim, const ci_csr *g, ci_gatv2_in in, const float *p, const float *dy,
                                     float *block, float *ds, ci_gatv2_grad grad);
void CI_SYM(ci_gat_forward)(ci_gatv2_dim dim, const ci_csr *g, ci_gat_in in, float *work, float *p, float *y);
void CI_SYM(ci_gat_backward)(ci_gatv2_dim dim, const ci_csr *g, ci_gat_in in, const float *p, const float *dy,
                             float *work, float *ds, ci_gat_grad grad);
void CI_SYM(ci_transformer_forward)(ci_gatv2_dim dim, const ci_csr *g, ci_transformer_in in, float *block, float *p,
                                    float *y);
void CI_SYM(ci_transformer_backward)(ci_gatv2_dim dim, const ci_csr *g, ci_transformer_in in, const float *p,
                                     const float *dy, float *block, float *ds, ci_transformer_grad grad);
void CI_SYM(ci_attention_forward)(ci_lid H, ci_lid C, ci_lid n_graph, const ci_lid *first, const float *q,
                                  const float *k, const float *v, float *work, float *y);
void CI_SYM(ci_attention_backward)(ci_lid H, ci_lid C, ci_lid n_graph, const ci_lid *first, const float *q,
                                   const float *k, const float *v, const float *dy, float *work, float *dq, float *dk,
                                   float *dv);
void CI_SYM(ci_heads_mean)(ci_lid rows, ci_lid H, ci_lid C, const float *x, const float *bias, float *y);
void CI_SYM(ci_heads_mean_backward)(ci_lid rows, ci_lid H, ci_lid C, const float *dy, int add, float *dx);
void CI_SYM(ci_relu)(float *x, ci_lid n, const ci_dropout *drop, uint32_t graph);
void CI_SYM(ci_relu_backward)(const float *y, ci_lid n, float scale, float *dx);
/** Each of these is a row of the table, with its type. */
#define CI_KERNEL(name) extern __typeof__(*((const ci_ops *)0)->name) CI_SYM(ci_##name)
CI_KERNEL(graph_norm_forward);
CI_KERNEL(graph_norm_backward);
CI_KERNEL(layer_norm_forward);
CI_KERNEL(layer_norm_backward);
CI_KERNEL(batch_norm_sums);
CI_KERNEL(batch_norm_apply);
CI_KERNEL(batch_norm_backward_sums);
CI_KERNEL(batch_norm_backward);
CI_KERNEL(lstm_forward);
CI_KERNEL(lstm_backward);
CI_KERNEL(jk_attention_forward);
CI_KERNEL(jk_attention_backward);
CI_KERNEL(jk_max_forward);
CI_KERNEL(jk_max_backward);
CI_KERNEL(pool_sum);
CI_KERNEL(pool_sum_backward);
CI_KERNEL(pool_max);
CI_KERNEL(pool_max_backward);
CI_KERNEL(pool_attention);
CI_KERNEL(pool_attention_backward);

/** p[i,.] = softmax of p[i,.]; p is (rows, n). */
void CI_SYM(ci_softmax_rows)(float *p, ci_lid rows, ci_lid n);
/** y = sum_l p[.,l] x_l. */
void CI_SYM(ci_layers_sum)(ci_lid L, ci_lid rows, ci_lid D, const float *const *x, const float *p, float *y);
#endif
#endif
