/** The reference: plain loops in the letters of the formula, for float and for double.
 *
 *  CI_REAL says which; every name ends in _float or _double.  There is no include guard: a test that wants
 *  both includes this file twice.  The build in double is what central differences are taken of, the build
 *  in float is the oracle of the kernels in cpu/.  Shapes and formulas: ci/ops.h, ci/loss.h.
 *  Gradients of parameters are added to, those of activations overwritten. */
#include "ci/ops.h"

#ifndef CI_OPS_REF_PASTE
#define CI_OPS_REF_PASTE
#define CI_REF_PASTE2(name, real) name##_##real
#define CI_REF_PASTE(name, real) CI_REF_PASTE2(name, real)
#define CI_REF(name) CI_REF_PASTE(ci_ref_##name, CI_REAL)
enum { CI_REF_H = 512, CI_REF_L = 8 }; /* largest LSTM */
#endif

/** y[M,N] = x[M,K] w[K,N] + b. */
void CI_REF(linear_forward)(ci_lid M, ci_lid N, ci_lid K, const CI_REAL *x, const CI_REAL *w, const CI_REAL *b,
                            CI_REAL *y);
void CI_REF(linear_backward)(ci_lid M, ci_lid N, ci_lid K, const CI_REAL *x, const CI_REAL *w, const CI_REAL *dy,
                             CI_REAL *dx, CI_REAL *dw, CI_REAL *db);

void CI_REF(gatv2_forward)(ci_gatv2_dim dim, const ci_csr *g, const CI_REAL *l, const CI_REAL *r, const CI_REAL *e,
                           const CI_REAL *w_e, const CI_REAL *a, const CI_REAL *bias, CI_REAL *p, CI_REAL *y);
void CI_REF(gatv2_backward)(ci_gatv2_dim dim, const ci_csr *g, const CI_REAL *l, const CI_REAL *r, const CI_REAL *e,
                            const CI_REAL *w_e, const CI_REAL *a, const CI_REAL *p, const CI_REAL *dy, CI_REAL *dl,
                            CI_REAL *dr, CI_REAL *dw_e, CI_REAL *da, CI_REAL *dbias);

void CI_REF(gat_forward)(ci_gatv2_dim dim, const ci_csr *g, const CI_REAL *h, const CI_REAL *e, const CI_REAL *w_e,
                         const CI_REAL *a_src, const CI_REAL *a_dst, const CI_REAL *a_e, const CI_REAL *bias, CI_REAL *p,
                         CI_REAL *y);
void CI_REF(gat_backward)(ci_gatv2_dim dim, const ci_csr *g, const CI_REAL *h, const CI_REAL *e, const CI_REAL *w_e,
                          const CI_REAL *a_src, const CI_REAL *a_dst, const CI_REAL *a_e, const CI_REAL *p,
                          const CI_REAL *dy, CI_REAL *dh, CI_REAL *dw_e, CI_REAL *da_src, CI_REAL *da_dst, CI_REAL *da_e);

void CI_REF(transformer_forward)(ci_gatv2_dim dim, const ci_csr *g, const CI_REAL *q, const CI_REAL *k, const CI_REAL *v,
                                 const CI_REAL *e, const CI_REAL *w_e, const CI_REAL *skip, CI_REAL *p, CI_REAL *y);
void CI_REF(transformer_backward)(ci_gatv2_dim dim, const ci_csr *g, const CI_REAL *q, const CI_REAL *k,
                                  const CI_REAL *v, const CI_REAL *e, const CI_REAL *w_e, const CI_REAL *p,
                                  const CI_REAL *dy, CI_REAL *dq, CI_REAL *dk, CI_REAL *dv, CI_REAL *dw_e);

/** p has a row of H n for each node: the probabilities of each head over the n nodes of its graph. */
void CI_REF(attention_forward)(ci_lid H, ci_lid C, ci_lid n_graph, const ci_lid *first, const CI_REAL *q,
                               const CI_REAL *k, const CI_REAL *v, CI_REAL *p, CI_REAL *y);
void CI_REF(attention_backward)(ci_lid H, ci_lid C, ci_lid n_graph, const ci_lid *first, const CI_REAL *q,
                                const CI_REAL *k, const CI_REAL *v, const CI_REAL *p, const CI_REAL *dy, CI_REAL *dq,
                                CI_REAL *dk, CI_REAL *dv);

void CI_REF(heads_mean_forward)(ci_lid rows, ci_lid H, ci_lid C, const CI_REAL *x, const CI_REAL *bias, CI_REAL *y);
void CI_REF(heads_mean_backward)(ci_lid rows, ci_lid H, ci_lid C, const CI_REAL *dy, CI_REAL *dx);

/** y[i] = keep[i] ? scale max(x[i], 0) : 0. */
void CI_REF(relu_forward)(ci_lid n, const CI_REAL *x, const uint8_t *keep, CI_REAL scale, CI_REAL *y);
void CI_REF(relu_backward)(ci_lid n, const CI_REAL *x, const uint8_t *keep, CI_REAL scale, const CI_REAL *dy,
                           CI_REAL *dx);

/** y[d] = mean over rows of x[.,d]. */
void CI_REF(mean_forward)(ci_lid rows, ci_lid cols, const CI_REAL *x, CI_REAL *y);
void CI_REF(mean_backward)(ci_lid rows, ci_lid cols, const CI_REAL *dy, CI_REAL *dx);

/** y[i,.] = table[id[i],.]. */
void CI_REF(embed_forward)(ci_lid n, ci_lid cols, const int32_t *id, const CI_REAL *table, CI_REAL *y);
void CI_REF(embed_backward)(ci_lid n, ci_lid cols, const int32_t *id, const CI_REAL *dy, CI_REAL *dtable);

/** \return the loss of ci_classify with CI_FOCAL; dz[n,2] its gradient */
CI_REAL CI_REF(focal)(ci_lid n, const CI_REAL *z, const uint8_t *label, CI_REAL gamma, ci_gid n_global, CI_REAL *dz);

/* From here on all gradients are added to.  Batch norm is of the whole batch at once. */

void CI_REF(graph_norm_forward)(ci_lid n_graph, const ci_lid *first, ci_lid cols, const CI_REAL *x, const CI_REAL *w,
                                const CI_REAL *b, const CI_REAL *s, CI_REAL *y);
void CI_REF(graph_norm_backward)(ci_lid n_graph, const ci_lid *first, ci_lid cols, const CI_REAL *x, const CI_REAL *w,
                                 const CI_REAL *s, const CI_REAL *dy, CI_REAL *dx, CI_REAL *dw, CI_REAL *db, CI_REAL *ds);
void CI_REF(layer_norm_forward)(ci_lid rows, ci_lid cols, const CI_REAL *x, const CI_REAL *w, const CI_REAL *b, CI_REAL *y);
void CI_REF(layer_norm_backward)(ci_lid rows, ci_lid cols, const CI_REAL *x, const CI_REAL *w, const CI_REAL *dy,
                                 CI_REAL *dx, CI_REAL *dw, CI_REAL *db);
void CI_REF(batch_norm_forward)(ci_lid rows, ci_lid cols, const CI_REAL *x, const CI_REAL *w, const CI_REAL *b, CI_REAL *y);
void CI_REF(batch_norm_backward)(ci_lid rows, ci_lid cols, const CI_REAL *x, const CI_REAL *w, const CI_REAL *dy,
                                 CI_REAL *dx, CI_REAL *dw, CI_REAL *db);

/** n rows of cols, each by its own pointer: the layers of a node, or the nodes of a graph. */
void CI_REF(weighted_forward)(ci_lid n, ci_lid cols, const CI_REAL *const *x, const CI_REAL *a, const CI_REAL *b,
                              CI_REAL *p, CI_REAL *y);
void CI_REF(weighted_backward)(ci_lid n, ci_lid cols, const CI_REAL *const *x, const CI_REAL *a, const CI_REAL *p,
                               const CI_REAL *dy, CI_REAL *const *dx, CI_REAL *da, CI_REAL *db);
void CI_REF(max_forward)(ci_lid n, ci_lid cols, const CI_REAL *const *x, CI_REAL *y);
/** \param [in] share  of equal ones: each has its share (pooling) or the first has all (layers) */
void CI_REF(max_backward)(ci_lid n, ci_lid cols, int share, const CI_REAL *const *x, const CI_REAL *dy, CI_REAL *const *dx);

/** Shapes as ci_lstm_w and ci_lstm_grad; keep is rows * ci_lstm_keep, in an order of its own. */
typedef struct CI_REF(lstm_w) {
    const CI_REAL *w_ih, *w_hh, *b_ih, *b_hh, *att_w, *att_b;
} CI_REF(lstm_w);
typedef struct CI_REF(lstm_grad) {
    CI_REAL *const *x, *w_ih, *w_hh, *b_ih, *b_hh, *att_w, *att_b;
} CI_REF(lstm_grad);
void CI_REF(lstm_forward)(ci_lstm_dim dim, ci_lid rows, const CI_REAL *const *x, CI_REF(lstm_w) w, CI_REAL *keep, CI_REAL *y);
void CI_REF(lstm_backward)(ci_lstm_dim dim, ci_lid rows, const CI_REAL *const *x, CI_REF(lstm_w) w, CI_REAL *keep,
                           const CI_REAL *dy, CI_REF(lstm_grad) grad);
