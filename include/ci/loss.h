#ifndef CI_LOSS_H
#define CI_LOSS_H
/** Losses and their gradients, and the quantities of a graph that anomaly scores are made of.
 *
 *  Nothing here is collective; no libm, so the bits are the same everywhere.  A loss is a sum of rows in
 *  double, in the order of the rows, so that the shards of a batch add up; `scale` is its weight over the global
 *  count and is the factor of both the loss and the gradient.  Gradients of activations and of parameters
 *  are added to; NULL where a gradient is not wanted, and then all the gradients of the call are NULL.  No
 *  rows: 0.  Each returns CI_OK, CI_EARG for arguments that only a caller can get wrong, or CI_ENUMERIC
 *  when a value is not finite; its message names the value and its row.  After a failure the gradients
 *  hold what was added so far and *loss is not written. */
#include <stdint.h>
#include "ci/ops.h"
#include "ci/rc.h"
#include "ci/types.h"

enum { CI_CE, CI_FOCAL, CI_WEIGHTED_CE };

/** Which loss a classifier of two classes has. */
typedef struct ci_class_loss {
    int kind;         /**< CI_CE, CI_FOCAL, CI_WEIGHTED_CE                                                */
    double gamma;     /**< CI_FOCAL: 0, or 1 and above: between them the gradient has a pole              */
    double weight[2]; /**< CI_WEIGHTED_CE: of benign, of attack; 0 and above                              */
} ci_class_loss;

/** Cross entropy over two classes, plain, focal or weighted:
 *
 *      c[i]    = log(sum_k exp z[i,k]) - z[i,t_i]          cross entropy, t the label
 *      q[i]    = 1 - exp(-c[i])                            what the model gives the other class
 *      loss    = scale sum_i u[i] v[i] c[i]                v = 1, q^gamma or weight[t_i]
 *      dz[i,k] = scale u[i] (v + gamma q^(gamma-1) (1 - q) c) (softmax(z[i])_k - [k = t_i])
 *
 *  Source: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017; gamma 0 is plain cross entropy.
 *  The weighted form is torch.nn.CrossEntropyLoss(weight) when scale is 1 over the sum of the class weights
 *  of the global batch.
 *  \param [in]     logit         (n, 2); borrowed
 *  \param [in]     label         (n) 0 or 1; borrowed
 *  \param [in]     graph_weight  (n) u, of a curriculum; or NULL: 1
 *  \param [in,out] dlogit        (n, 2) added to, or NULL
 *  \param [out]    loss          of these rows */
ci_rc ci_classify(const ci_class_loss *c, const float *logit, const uint8_t *label, const float *graph_weight,
                  ci_lid n, double scale, float *dlogit, double *loss);

/** Probability of class 1 of each graph, for scores.
 *  \param [out] p  (n) in [0,1] */
void ci_softmax_attack(const float *logit, ci_lid n, float *p);

/** Distillation of a classifier of two classes, t the teacher's logits and s the student's:
 *
 *      loss    = scale T^2 sum_i sum_k p[i,k] (log p[i,k] - log q[i,k])     p = softmax(t/T), q = softmax(s/T)
 *      ds[i,k] = scale T (q[i,k] - p[i,k])
 *
 *  Source: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015; scale is alpha over
 *  the graphs of the global batch.
 *  \param [in] temperature  T > 0 */
ci_rc ci_distill_logits(const float *student, const float *teacher, ci_lid n, double temperature, double scale,
                        float *dstudent, double *loss);

/** Squared error: loss = scale sum_{i,j} (y[i,j] - t[i,j])^2, dy = 2 scale (y - t).  The mean square has
 *  scale = weight / (rows of the global batch * cols).
 *  \param [in]  t        data, its rows t_row floats apart, from its first column that counts; no gradient
 *  \param [out] out_row  (rows) each row's mean square; or NULL */
ci_rc ci_square_error(const float *y, ci_lid y_row, const float *t, ci_lid t_row, ci_lid rows, ci_lid cols,
                      double scale, float *dy, ci_lid dy_row, double *loss, float *out_row);

/** Divergence of N(mu, exp(logvar)) from N(0,1), with v = logvar clamped to [-limit, limit]:
 *
 *      loss = scale sum -1/2 (1 + v - mu^2 - exp v)       dmu = scale mu
 *      dlogvar = scale 1/2 (exp v - 1), 0 where it was clamped: torch.clamp
 *
 *  The mean has scale = weight / (rows of the global batch * cols).
 *  \param [in] limit  in (0, 80] */
ci_rc ci_kl_normal(const float *mu, const float *logvar, ci_lid rows, ci_lid cols, double limit, double scale,
                   float *dmu, float *dlogvar, double *loss);

/** z = mu + eps exp(v/2), v as above.  \param [in] eps (rows, cols) from N(0,1)  \param [out] z overwritten */
void ci_sample_normal(const float *mu, const float *logvar, const float *eps, ci_lid rows, ci_lid cols, double limit,
                      float *z);
void ci_sample_normal_backward(const float *logvar, const float *eps, const float *dz, ci_lid rows, ci_lid cols,
                               double limit, float *dmu, float *dlogvar);

enum { CI_TILE = 32 }; /**< rows whose logits exist at a time in the two heads */

/** Floats of `work` of the heads. */
ci_gid ci_softmax_head_work(ci_lid K, ci_lid Q);

/** A linear layer and cross entropy over Q classes in one, CI_TILE rows at a time, so that (rows, Q) never exists:
 *
 *      z[i,q] = b[q] + sum_k h[i,k] w[k,q]      c[i] = log(sum_q exp z[i,q]) - z[i,target_i]
 *      loss   = sum_i row_scale[i] c[i]         dz[i,q] = row_scale[i] (softmax(z[i])_q - [q = target_i])
 *      dh += dz w^T    dw += h^T dz    db += sum_i dz[i]
 *
 *  \param [in]  h          (rows, K)
 *  \param [in]  w, b, wt   (K, Q), (Q), and w transposed (Q, K), which may be NULL when dh is
 *  \param [in]  target     (rows) 0..Q-1; of a row that counts
 *  \param [in]  row_scale  (rows) weight over count; 0 leaves a row out and costs nothing
 *  \param [out] work       ci_softmax_head_work(K, Q) floats
 *  \param [out] out_row    (rows) c of each row, 0 of one left out; or NULL
 *  \return CI_EARG also for a target out of range */
ci_rc ci_softmax_head(const ci_ops *ops, const float *h, ci_lid rows, ci_lid K, const float *w, const float *b,
                      const float *wt, ci_lid Q, const int32_t *target, const float *row_scale, float *work, float *dh,
                      float *dw, float *db, double *loss, float *out_row);

/** A linear layer and binary cross entropy of Q independent outputs in one, in the same tiles; exactly what
 *  the dense (rows, Q) form gives:
 *
 *      loss = scale sum_{i,q} (log(1 + exp z[i,q]) - y[i,q] z[i,q])      dz = scale (sigmoid(z) - y)
 *
 *  The mean has scale = weight / (rows of the global batch * Q).
 *  \param [in]  first, target  (rows + 1) and (first[rows]): y[i,q] is 1 for q in target[first[i] .. first[i+1]),
 *                              distinct and ascending, and else 0
 *  \param [out] out_row        (rows) each row's mean over q; or NULL
 *  \return CI_EARG also for targets out of range or order */
ci_rc ci_multi_hot_head(const ci_ops *ops, const float *h, ci_lid rows, ci_lid K, const float *w, const float *b,
                        const float *wt, ci_lid Q, const ci_lid *first, const int32_t *target, double scale,
                        float *work, float *dh, float *dw, float *db, double *loss, float *out_row);

/** The Gaussian form of the neighbour loss: over the n nodes of the global batch, p what a node predicts
 *  of its neighbours and t what they are (ci_neighbour_mean),
 *
 *      S = I + sum_i (x_i - m)(x_i - m)^T / (n - 1)        of p and of t
 *      loss = weight/2 (ln det S_t - ln det S_p - d + tr(S_t^-1 S_p) + D^T S_t^-1 D)        D = m_p - m_t
 *
 *  In phases: the sums of a shard; the sums of the shards added in their order, by the caller; the loss and
 *  the coefficients of the gradient from them; the gradient of each shard, to both sides.
 *  Source: Roy et al., "GAD-NR: Graph Anomaly Detection via Neighborhood Reconstruction", WSDM 2024. */
ci_lid ci_gaussian_sums_size(ci_lid d); /**< doubles: d + d(d+1)/2 for each side */
ci_lid ci_gaussian_coef_size(ci_lid d); /**< doubles, the room ci_gaussian_close computes in among them */

/** \param [in] p, t (rows, d)  \param [out] sum overwritten: x and the lower triangle of x x^T, of p and of t */
void ci_gaussian_sums(const float *p, const float *t, ci_lid rows, ci_lid d, double *sum);

/** \param [in]  sum          of all shards; borrowed
 *  \param [in]  rows_global  n; below 2 the loss and the gradient are 0
 *  \param [out] coef         ci_gaussian_coef_size(d) doubles, for ci_gaussian_backward
 *  \return CI_OK, CI_EARG, CI_ENUMERIC */
ci_rc ci_gaussian_close(const double *sum, ci_gid rows_global, ci_lid d, double weight, double *coef, double *loss);

/** \param [in,out] dp, dt  (rows, d) added to */
void ci_gaussian_backward(const double *coef, const float *p, const float *t, ci_lid rows, ci_lid d, float *dp,
                          float *dt);

/** m[i] = mean over the edges i -> j of z[j], an edge as often as it is listed; 0 for a node without.
 *  \param [in]  src, dst  (n_edge) rows of z   \param [out] work  (rows)   \param [out] m  (rows, d) overwritten */
void ci_neighbour_mean(const float *z, ci_lid rows, ci_lid d, ci_lid n_edge, const ci_lid *src, const ci_lid *dst,
                       float *work, float *m);

/** \param [in,out] dz  (rows, d) added to */
void ci_neighbour_mean_backward(const float *dm, ci_lid rows, ci_lid d, ci_lid n_edge, const ci_lid *src,
                                const ci_lid *dst, float *work, float *dz);

/** How little the nodes of one graph are like those they point to: the mean over the nodes i of
 *  1 - mean over the edges i -> j of cos(z_i, z_j), that mean 0 for a node without edges.
 *  Source: Qiao, Pang, "Truncated Affinity Maximization", NeurIPS 2023.
 *  \param [out] work  (3 n_node)   \return 0 for a graph of no nodes */
float ci_affinity(const float *z, ci_lid n_node, ci_lid d, ci_lid n_edge, const ci_lid *src, const ci_lid *dst,
                  float *work);

/** Rayleigh quotient of one graph's features: sum over edges |x_i - x_j|^2 / (sum over nodes |x|^2 + 1e-8).
 *  \param [in] x  rows x_row floats apart, of which the first cols count */
float ci_rayleigh(const float *x, ci_lid x_row, ci_lid cols, ci_lid n_node, ci_lid n_edge, const ci_lid *src,
                  const ci_lid *dst);

/** Linear centred kernel alignment of x (n, p) and y (n, q), columns centred, in double:
 *  |y^T x|^2 / (|x^T x| |y^T y|), norms of Frobenius; 0 when a side is constant.
 *  Source: Kornblith et al., "Similarity of Neural Network Representations Revisited", ICML 2019.
 *  \return CI_OK, CI_EARG, CI_ENOMEM, or CI_ENUMERIC when an input is not finite */
ci_rc ci_cka(const float *x, ci_lid p, const float *y, ci_lid q, ci_lid n, double *out);

#endif
