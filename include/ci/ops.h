#ifndef CI_OPS_H
#define CI_OPS_H
/** Kernels, forward and backward, on float32, row-major.  One table of functions for each instruction set.
 *
 *  All tables give the same bits.  What makes that hold: every element of a result is one chain of
 *  operations in one order that depends on nothing else in the call.  In matrix products it starts at
 *  the old value, the bias or 0, and k ascends, each step a fused multiply-add; a dot product over the
 *  channels of a head is eight partial sums (GATv2) or sixteen fused ones (the others) and one tree; exp
 *  and log are ours.  So a row of a product does not depend on how many rows there are, nor a shard's
 *  gradient on the machine.
 *
 *  Nothing here is collective, allocates or fails; sizes are the caller's promise.  Letters: N nodes, E
 *  edges e = (j -> i), H heads, C channels of a head, D = H C, F edge features. */
#include <stdint.h>
#include "ci/elementary32.h"
#include "ci/random.h"
#include "ci/types.h"

/** In-edges of each node, as ci_batch has them. */
typedef struct ci_csr {
    ci_lid n_node;
    const ci_lid *first; /**< (n_node + 1); borrowed */
    const ci_lid *src;   /**< (E); borrowed          */
} ci_csr;

enum { CI_D_MAX = 1024 }; /**< the most channels of all heads */

/** Any H, C >= 1 with H C <= CI_D_MAX; F >= 0. */
typedef struct ci_gatv2_dim {
    ci_lid H, C, F;
    float slope; /**< of leaky ReLU, in [0,1] */
} ci_gatv2_dim;

typedef struct ci_gatv2_in {
    const float *l;    /**< (N, D) W_l x + b_l, of the source     */
    const float *r;    /**< (N, D) W_r x + b_r, of the target     */
    const float *e;    /**< (E, F) edge features; NULL with F 0   */
    const float *w_e;  /**< (F, D); NULL with F 0                 */
    const float *a;    /**< (D) attention                         */
    const float *bias; /**< (D), or NULL: none is added           */
} ci_gatv2_in;

typedef struct ci_gatv2_grad {
    float *l, *r;   /**< (N, D) overwritten     */
    float *w_e, *a; /**< (F, D), (D) added to; w_e NULL with F 0 */
} ci_gatv2_grad;

typedef struct ci_gat_in {
    const float *h;                   /**< (N, D) W x                             */
    const float *e;                   /**< (E, F) edge features; NULL with F 0    */
    const float *w_e;                 /**< (F, D); NULL with F 0                  */
    const float *a_src, *a_dst, *a_e; /**< (D) attention; a_e NULL with F 0       */
    const float *bias;                /**< (D), or NULL: none is added            */
} ci_gat_in;

typedef struct ci_gat_grad {
    float *h;                          /**< (N, D) overwritten                                */
    float *w_e, *a_src, *a_dst, *a_e;  /**< (F, D), (D) added to; w_e and a_e NULL with F 0   */
} ci_gat_grad;

/** Floats of work that GATv1 wants for n nodes. */
static inline size_t ci_gat_work(ci_gatv2_dim dim, ci_lid n)
{
    return 4 * (size_t)n * (size_t)dim.H + 2 * (size_t)dim.H * (size_t)dim.F;
}
#define CI_GAT_WORK(dim, n) ci_gat_work(dim, n)

typedef struct ci_transformer_in {
    const float *q, *k, *v; /**< (N, D) W x + b of the target, the source, the source  */
    const float *e, *w_e;   /**< (E, F), (F, D); NULL with F 0                         */
    const float *skip;      /**< (N, D) W_skip x + b, or NULL: none is added           */
} ci_transformer_in;

typedef struct ci_transformer_grad {
    float *q, *k, *v; /**< (N, D) overwritten                 */
    float *w_e;       /**< (F, D) added to; NULL with F 0     */
} ci_transformer_grad;

/** Floats of work that attention wants for H heads, graphs of at most `most` nodes and H C <= CI_D_MAX. */
static inline size_t ci_attention_work(ci_lid H, ci_lid most)
{
    return (size_t)most * (2 * (size_t)most + (size_t)(CI_D_MAX / H));
}
#define CI_ATTENTION_WORK(H, most) ci_attention_work(H, most)

/** Which elements a dropout keeps: those whose word of Philox, key (seed, CI_RANDOM_DROPOUT), counter
 *  (epoch, graph, operation, element / 4), word element % 4, is at least `drop`.  Elements count from
 *  the first of their graph. */
typedef struct ci_dropout {
    uint32_t seed, epoch, operation;
    uint32_t drop; /**< probability * 2^32; 0 keeps everything     */
    float scale;   /**< 1 / (1 - probability)                      */
} ci_dropout;

enum { CI_MASKS = 7 }; /**< judging hides node i of a graph with mask i % CI_MASKS */
enum { CI_GATV2_BLOCK = 32 }; /**< edges whose projections are held at a time */

typedef enum ci_gemm_start { CI_GEMM_ZERO, CI_GEMM_ADD, CI_GEMM_BIAS } ci_gemm_start;

/** C[M,N] = start + A[M,K] B[K,N]; element (m,k) of A is a[m * a_row + k * a_col], so that a transposed
 *  A costs nothing; rows of B and C are b_row and c_row floats apart. */
typedef struct ci_gemm {
    ci_lid M, N, K;
    const float *a;
    ci_lid a_row, a_col;
    const float *b;
    ci_lid b_row;
    float *c;
    ci_lid c_row;
    ci_gemm_start start;
    const float *bias; /**< (N), with CI_GEMM_BIAS */
} ci_gemm;

#define CI_NORM_EPS 1e-5f /**< of all norms, as torch.nn and torch_geometric.nn have it */

/** Jumping knowledge by LSTM: L layers of D channels, h hidden units a direction (of the reference: L D / 2). */
typedef struct ci_lstm_dim { ci_lid L, D, h; } ci_lstm_dim;

/** Direction 0 reads layers 1..L, direction 1 L..1; columns of a direction are gates i, f, g, o of h each. */
typedef struct ci_lstm_w {
    const float *w_ih;         /**< (2, D, 4h)                                    */
    const float *w_hh;         /**< (2, h, 4h)                                    */
    const float *b_ih, *b_hh;  /**< (2, 4h) each                                  */
    const float *att_w;        /**< (2h) of a step's score, forward then backward */
    const float *att_b;        /**< (1)                                           */
    const float *wt_ih;        /**< (2, 4h, D) w_ih transposed; backward alone    */
    const float *wt_hh;        /**< (2, 4h, h) w_hh transposed; backward alone    */
} ci_lstm_w;

typedef struct ci_lstm_grad {
    float *const *x;                                     /**< L of (rows, D)                   */
    float *w_ih, *w_hh, *b_ih, *b_hh, *att_w, *att_b;    /**< shapes of ci_lstm_w              */
} ci_lstm_grad;

/** Floats a row that forward leaves for backward, and that backward needs for itself. */
ci_gid ci_lstm_keep(ci_lstm_dim dim);
ci_gid ci_lstm_work(ci_lstm_dim dim);

/** Mean and 1 / root of the variance of the whole batch from the added sums of batch_norm_sums, and the
 *  running statistics: momentum .1, unbiased variance, as torch.nn.BatchNorm1d.  run_* may be NULL. */
void ci_batch_norm_close(ci_lid cols, ci_gid rows_global, const double *sum, float *mean, float *rstd, float *run_mean,
                         float *run_var);

/** Row of probe 0, 1, ... in a hashed embedding of so many rows, whose value is the sum over probes:
 *  (index 2654435761 + 42 + probe 2^30) mod buckets in 64-bit signed arithmetic, never negative. */
ci_lid ci_hash_bucket(int32_t index, int probe, ci_lid buckets);

typedef struct ci_ops {
    const char *name;
    int lanes; /**< floats of one register */

    void (*gemm)(const ci_gemm *g);

    /** y[i] = exp(x[i]) as ci_expf; y may be x. */
    void (*exp)(const float *x, ci_lid n, float *y);

    /** GATv2, with edge features unless F is 0:
     *
     *      s[e,h]   = sum_c a[h,c] lrelu(l[j,h,c] + r[i,h,c] + sum_f w_e[f,h,c] f[e,f])
     *      p[e,h]   = exp(s - max) / (sum over the in-edges of i of exp(s - max) + 1e-16)
     *      y[i,h,c] = bias[h,c] + sum_e p[e,h] l[j,h,c]
     *
     *  Source: Brody, Alon, Yahav, ICLR 2022; torch_geometric.nn.GATv2Conv.
     *  \param [out] block  (CI_GATV2_BLOCK, D) work
     *  \param [out] p      (E, H)   \param [out] y  (N, D) */
    void (*gatv2_forward)(ci_gatv2_dim dim, const ci_csr *g, ci_gatv2_in in, float *block, float *p, float *y);

    /** \param [in]  p   (E, H) of the forward pass   \param [in] dy  (N, D)
     *  \param [out] ds  (E, H) gradient of s          \param [out] block (CI_GATV2_BLOCK, D) work
     *  The gradient of bias is a column_sum of dy. */
    void (*gatv2_backward)(ci_gatv2_dim dim, const ci_csr *g, ci_gatv2_in in, const float *p, const float *dy,
                           float *block, float *ds, ci_gatv2_grad grad);

    /** GATv1, with edge features unless F is 0:
     *
     *      s[e,h]   = lrelu(a_src[h] . h[j,h] + a_dst[h] . h[i,h] + a_e[h] . sum_f w_e[f,h] f[e,f])
     *      p[e,h]   = as GATv2
     *      y[i,h,c] = bias[h,c] + sum_e p[e,h] h[j,h,c]
     *
     *  Source: Velickovic et al., ICLR 2018; torch_geometric.nn.GATConv.
     *  \param [out] work  CI_GAT_WORK(dim, N) floats
     *  \param [out] p     (E, H)   \param [out] y  (N, D) */
    void (*gat_forward)(ci_gatv2_dim dim, const ci_csr *g, ci_gat_in in, float *work, float *p, float *y);

    /** \param [in] p  (E, H) of the forward pass   \param [out] ds  (E, H), and work: nobody's afterwards.
     *  The gradient of bias is a column_sum of dy. */
    void (*gat_backward)(ci_gatv2_dim dim, const ci_csr *g, ci_gat_in in, const float *p, const float *dy,
                         float *work, float *ds, ci_gat_grad grad);

    /** Transformer convolution, with edge features unless F is 0 (F <= 16 D; slope is not looked at):
     *
     *      s[e,h]   = q[i,h] . (k[j,h] + sum_f w_e[f,h] f[e,f]) / sqrt(C)
     *      p[e,h]   = as GATv2
     *      y[i,h,c] = skip[i,h,c] + sum_e p[e,h] (v[j,h,c] + sum_f w_e[f,h,c] f[e,f])
     *
     *  Source: Shi et al., IJCAI 2021; torch_geometric.nn.TransformerConv (edge_dim, root_weight).  That one adds
     *  no self-loops; our batches carry one as the last in-edge of each node.  The kernel takes the edges it is given.
     *  \param [out] block  (CI_GATV2_BLOCK, D) work
     *  \param [out] p      (E, H)   \param [out] y  (N, D) */
    void (*transformer_forward)(ci_gatv2_dim dim, const ci_csr *g, ci_transformer_in in, float *block, float *p,
                                float *y);

    /** \param [in] p  (E, H) of the forward pass   \param [out] ds  (E, H) gradient of s.
     *  The gradient of skip is dy. */
    void (*transformer_backward)(ci_gatv2_dim dim, const ci_csr *g, ci_transformer_in in, const float *p,
                                 const float *dy, float *block, float *ds, ci_transformer_grad grad);

    /** Attention of all nodes of a graph to all of them, by head:
     *
     *      P[i,j] = softmax over j of q[i,h] . k[j,h] / sqrt(C)        y[i,h] = sum_j P[i,j] v[j,h]
     *
     *  Source: Vaswani et al., NIPS 2017; what torch.nn.MultiheadAttention computes between its projections.
     *  \param [in]  first    (n_graph + 1) nodes of graph g are first[g] .. first[g + 1]
     *  \param [in]  q, k, v  (N, H C)
     *  \param [out] work     CI_ATTENTION_WORK(H, most) floats, most the nodes of the largest graph
     *  \param [out] y        (N, H C) */
    void (*attention_forward)(ci_lid H, ci_lid C, ci_lid n_graph, const ci_lid *first, const float *q, const float *k,
                              const float *v, float *work, float *y);

    /** Computes the probabilities again; dq, dk and dv (N, H C) are overwritten. */
    void (*attention_backward)(ci_lid H, ci_lid C, ci_lid n_graph, const ci_lid *first, const float *q, const float *k,
                               const float *v, const float *dy, float *work, float *dq, float *dk, float *dv);

    /** y[i,c] = mean over h of x[i,h,c], plus bias[c] unless that is NULL: GATv2 with concat=False. */
    void (*heads_mean)(ci_lid rows, ci_lid H, ci_lid C, const float *x, const float *bias, float *y);

    /** dx[i,h,c] (+)= dy[i,c] / H. */
    void (*heads_mean_backward)(ci_lid rows, ci_lid H, ci_lid C, const float *dy, int add, float *dx);

    /** x[i] = max(x[i], 0), and if drop is given, times scale where kept and 0 elsewhere.
     *  \param [in] n  elements of one graph, which x starts with */
    void (*relu)(float *x, ci_lid n, const ci_dropout *drop, uint32_t graph);

    /** dx[i] = y[i] > 0 ? dx[i] * scale : 0, y what relu left. */
    void (*relu_backward)(const float *y, ci_lid n, float scale, float *dx);

    /** sum[d] += x[0,d] + x[1,d] + ..., in that order; rows of x are x_row floats apart. */
    void (*column_sum)(const float *x, ci_lid rows, ci_lid cols, ci_lid x_row, float *sum);

    /** y[d] = mean over rows of x[.,d]; rows > 0. */
    void (*mean)(const float *x, ci_lid rows, ci_lid cols, float *y);

    /** dx[i,d] (+)= dy[d] / rows. */
    void (*mean_backward)(const float *dy, ci_lid rows, ci_lid cols, int add, float *dx);

    /* From here on all gradients, of parameters and of activations, are added to unless it says otherwise.  A number
     * that is added to every score of a softmax (att_b, b) has the gradient 0, and its db is left as it is: what
     * rounding leaves of the sum is noise, which Adam would make a step of. */

    /** torch_geometric.nn.GraphNorm, by graph and channel, rows first[g] .. first[g+1]:
     *
     *      o = x - s mean(x)      y = w o / sqrt(mean(o^2) + eps) + b
     *
     *  Source: Cai et al., "GraphNorm", ICML 2021.   \param [out] stat  (n_graph, 2, cols): mean, 1 / root */
    void (*graph_norm_forward)(ci_lid n_graph, const ci_lid *first, ci_lid cols, const float *x, const float *w,
                               const float *b, const float *s, float *stat, float *y);
    void (*graph_norm_backward)(ci_lid n_graph, const ci_lid *first, ci_lid cols, const float *x, const float *w,
                                const float *s, const float *stat, const float *dy, float *dx, float *dw, float *db,
                                float *ds);

    /** torch.nn.LayerNorm over the columns of each row.   \param [out] stat  (rows, 2): mean, 1 / root */
    void (*layer_norm_forward)(ci_lid rows, ci_lid cols, const float *x, const float *w, const float *b, float *stat,
                               float *y);
    void (*layer_norm_backward)(ci_lid rows, ci_lid cols, const float *x, const float *w, const float *stat,
                                const float *dy, float *dx, float *dw, float *db);

    /** torch.nn.BatchNorm1d over all rows of the global batch, in phases: sums of a shard, added up in the
     *  order of shards by the caller; ci_batch_norm_close; then, shard by shard, y = w (x - mean) rstd + b.
     *  \param [out] sum  (2, cols) overwritten: of x and of x^2 */
    void (*batch_norm_sums)(ci_lid rows, ci_lid cols, const float *x, double *sum);
    void (*batch_norm_apply)(ci_lid rows, ci_lid cols, const float *x, const float *mean, const float *rstd,
                             const float *w, const float *b, float *y);
    /** \param [out] sum  (2, cols) overwritten: of dy, a shard's gradient of b, and of dy (x - mean) rstd, that of w */
    void (*batch_norm_backward_sums)(ci_lid rows, ci_lid cols, const float *x, const float *mean, const float *rstd,
                                     const float *dy, double *sum);
    /** \param [in] sum  (2, cols) of the whole batch */
    void (*batch_norm_backward)(ci_lid rows, ci_lid cols, ci_gid rows_global, const float *x, const float *mean,
                                const float *rstd, const float *w, const double *sum, const float *dy, float *dx);

    /** torch_geometric.nn.JumpingKnowledge('lstm'): x[l] (rows, D), l = 0..L-1, a bidirectional LSTM over l,
     *
     *      s_l = att_w . (forward_l | backward_l) + att_b      y = sum_l softmax_l(s) x_l
     *
     *  The first recurrent product of a direction, of zeros, is not computed.
     *  \param [out] keep  rows * ci_lstm_keep floats, for backward, which may overwrite them
     *  \param [out] work  rows * ci_lstm_work floats */
    void (*lstm_forward)(ci_lstm_dim dim, ci_lid rows, const float *const *x, ci_lstm_w w, float *keep, float *y);
    void (*lstm_backward)(ci_lstm_dim dim, ci_lid rows, const float *const *x, ci_lstm_w w, float *keep,
                          const float *dy, float *work, ci_lstm_grad grad);

    /** The cheaper jumping knowledge: p[.,l] = softmax over l of x_l . a + b;  y = sum_l p_l x_l.  p is (rows, L). */
    void (*jk_attention_forward)(ci_lid L, ci_lid rows, ci_lid D, const float *const *x, const float *a,
                                 const float *b, float *p, float *y);
    void (*jk_attention_backward)(ci_lid L, ci_lid rows, ci_lid D, const float *const *x, const float *a,
                                  const float *p, const float *dy, float *const *dx, float *da, float *db);

    /** y = max over l of x_l; the first of equal ones has the gradient. */
    void (*jk_max_forward)(ci_lid L, ci_lid rows, ci_lid D, const float *const *x, float *y);
    void (*jk_max_backward)(ci_lid L, ci_lid rows, ci_lid D, const float *const *x, const float *dy, float *const *dx);

    /** Pooling of the nodes of one graph; of none, y = 0.  Equal largest ones share the gradient evenly, as those
     *  of torch_geometric.nn.global_max_pool do. */
    void (*pool_sum)(const float *x, ci_lid rows, ci_lid cols, float *y);
    void (*pool_sum_backward)(const float *dy, ci_lid rows, ci_lid cols, float *dx);
    void (*pool_max)(const float *x, ci_lid rows, ci_lid cols, float *y);
    void (*pool_max_backward)(const float *x, const float *y, const float *dy, ci_lid rows, ci_lid cols, float *dx);

    /** torch_geometric.nn.AttentionalAggregation with a linear gate: p = softmax over rows of x . a + b;
     *  y = sum_i p_i x_i.   \param [out] p  (rows) */
    void (*pool_attention)(const float *x, const float *a, const float *b, ci_lid rows, ci_lid cols, float *p, float *y);
    void (*pool_attention_backward)(const float *x, const float *a, const float *p, const float *dy, ci_lid rows,
                                    ci_lid cols, float *dx, float *da, float *db);

    /** y[i] = ci_sigmoidf(x[i]), y may be x;  dx[i] += dy[i] y[i] (1 - y[i]). */
    void (*sigmoid)(const float *x, ci_lid n, float *y);
    void (*sigmoid_backward)(const float *y, const float *dy, ci_lid n, float *dx);

    /** x[i] = x[i] scale where kept and 0 elsewhere, the elements counted as relu counts them; drop may be NULL.
     *  Backward is the same of dx. */
    void (*dropout)(float *x, ci_lid n, const ci_dropout *drop, uint32_t graph);
    void (*dropout_backward)(float *dx, ci_lid n, const ci_dropout *drop, uint32_t graph);
} ci_ops;

/** \param [in] name  "auto" takes the widest this machine has; or "avx512", "avx2", "generic"; or "bf16": ci_ops_get_bf16
 *  \return static; NULL when this machine cannot run it or no such kernels were built */
const ci_ops *ci_ops_get(const char *name);

/** As "avx512", but gemm rounds both operands to bf16 (to nearest, ties to even; what is below the normal numbers is
 *  0) and sums in float32, pairs of k by pairs: an element is within (2^-7 + 2^-15 + K 2^-23) sum_k |a b| of the exact one.
 *  Matrix products inside other kernels stay as they are.
 *  \return static; NULL where the processor has no AVX512-BF16 */
const ci_ops *ci_ops_get_bf16(void);

/** Standard normal numbers by the polar method from Philox, key (seed, purpose).  Elements 4k..4k+3 are two
 *  pairs; each takes its first accepted attempt, counter (c0, c1, c2, k + attempt * 2^24); n <= 2^26. */
void ci_normal(uint32_t seed, uint32_t purpose, uint32_t c0, uint32_t c1, uint32_t c2, ci_lid n, float *out);

/** One attempt: four words make pairs x[0..1] and x[2..3] of those that `have` says are still wanted. */
void ci_normal_attempt(ci_u32x4 word, int have[2], float x[4]);

#endif
