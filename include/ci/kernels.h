#ifndef CI_KERNELS_H
#define CI_KERNELS_H
/** Kernels of a device: twins of ci/ops.h and ci/loss.h, on all shards that a rank has at once.  C and C++.
 *
 *  All pointers are device memory unless they say "host".  A call asks the device's stream for the kernel and returns; it may be
 *  captured: pointers and grids do not change from step to step.  What does change, how many rows there are above all, stands in one
 *  ci_k_step in device memory; grids are for the most rows there can be, and blocks behind the last row leave at once.
 *
 *  Rows of all shards lie one behind the other, so activations are computed as if the rank had one large shard: no element depends on
 *  another row but through the edges of its graph and the norms of it.  Gradients of parameters are per shard: each (shard, element) is
 *  one float, computed in one order that depends on nothing but the shard, and goes as llrint(g 2^s) into the tensor's int64 sums by
 *  integer atomics.  So neither the number of devices nor the order of blocks changes a bit.  There are no float atomics.
 *
 *  fp32: every element is the chain of operations that ci/ops.h describes where the twin says so, else within 1e-5 per tensor (max|a-b|
 *  <= 1e-5 max|b|).  tf32, bf16: the factors of matrix products are rounded (to nearest, ties to even), sums are float; 1e-2 per tensor. */
#include "ci/device.h"
#include "ci/ops.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef enum ci_rows { CI_ROWS_GRAPH, CI_ROWS_NODE, CI_ROWS_EDGE, CI_ROWS_RAW, CI_ROWS_COUNT } ci_rows;
typedef enum ci_precision { CI_FP32, CI_TF32, CI_BF16 } ci_precision;

/** Factors of losses: weight over the global count; a mean over columns divides by them in the kernel. */
typedef enum ci_scale {
    CI_SCALE_TASK,      /**< gat: over graph_weight; vgae: over nodes             */
    CI_SCALE_ID,        /**< over masked nodes, or all where none is masked       */
    CI_SCALE_NEIGHBOUR, /**< over nodes; Gaussian: the weight itself              */
    CI_SCALE_KL,        /**< over nodes                                           */
    CI_SCALE_EDGE,      /**< over raw edges                                       */
    CI_SCALE_LOGIT,     /**< teacher's logits: over graphs                        */
    CI_SCALE_MESSAGE,   /**< over raw edges                                       */
    CI_SCALE_LATENT, CI_SCALE_RECON, /**< teacher of a vgae: over nodes           */
    CI_SCALE_COUNT
} ci_scale;

enum { CI_TERMS = 7 };      /**< losses told apart: CI_TERM_COUNT of ci/model.h */
enum { CI_LOSS_BITS = 40 }; /**< units of the sums of losses: 2^-40             */
enum { CI_FLAG_OVERFLOW, CI_FLAG_FAILED, CI_FLAG_SIGNAL, CI_FLAG_BAD_LOSS, CI_FLAGS }; /**< behind the tensors in `agreed` */

/** What a step has here.  In device memory; the host uploads it before each launch. */
typedef struct ci_k_step {
    int32_t n[CI_ROWS_COUNT]; /**< rows of this rank                                                        */
    int32_t n_shard;          /**< of this rank                                                             */
    int32_t all_shard;        /**< V, of all ranks: rank r has shards [rV/n, (r+1)V/n)                      */
    int32_t n_rank;
    int32_t masked;           /**< 1: some node of the global batch is hidden                               */
    uint32_t seed, epoch;
    uint32_t drop, unk_drop, mask, group_drop; /**< probability * 2^32                                      */
    float keep;               /**< 1 / (1 - dropout)                                                        */
    int32_t signal, failed;   /**< the host's word: a rank was asked to stop; its part could not be prepared */
    int32_t redo;             /**< 1: take exponents alone, change no weight                                */
    int32_t t;                /**< number of this step, 1 for the first                                     */
    double lr;
    double scale[CI_SCALE_COUNT];
    int64_t n_node;           /**< of the global batch                                                      */
} ci_k_step;

/** A batch in device memory: constant pointers, and sizes it has room for.  This struct is the host's. */
typedef struct ci_k_batch {
    ci_k_step *step;
    int32_t most[CI_ROWS_COUNT], most_shard;
    int32_t n_feature, n_edge_feature, n_window_feature;
    int32_t training; /**< 0: nothing is dropped or hidden, running statistics                              */
    int32_t hide;     /**< in evaluation, nodes i of a graph with i % CI_MASKS == hide are hidden; -1: none  */
    /* The head: the host uploads these. */
    int64_t *graph;                         /**< (graphs) number in the store                               */
    int32_t *slot;                          /**< (graphs) where the pool has it                             */
    int32_t *graph_first[CI_ROWS_COUNT];    /**< (graphs + 1) each; [CI_ROWS_GRAPH] NULL                    */
    int32_t *shard_graph;                   /**< (shards + 1) first graph of each                           */
    float *graph_weight;                    /**< (graphs), or NULL: 1                                       */
    /* The body: assemble writes these. */
    uint8_t *label;                         /**< (graphs)                                                   */
    float *w;                               /**< (graphs, n_window_feature), or NULL                        */
    int32_t *shard_first[CI_ROWS_COUNT];    /**< (shards + 1); [CI_ROWS_GRAPH] is shard_graph               */
    int32_t *row_graph[CI_ROWS_COUNT];      /**< graph of each row; [CI_ROWS_GRAPH] NULL                    */
    int32_t *id;                            /**< (nodes)                                                    */
    float *x;                               /**< (nodes, n_feature)                                         */
    int32_t *in_first;                      /**< (nodes + 1)                                                */
    int32_t *in_src, *in_dst;               /**< (edges) nodes of the batch                                 */
    float *e;                               /**< (edges, n_edge_feature)                                    */
    int32_t *out_first, *out_edge;          /**< (nodes + 1), (edges): in-edges by source, ascending        */
    int32_t *raw_src, *raw_dst;             /**< (raw), or NULL                                             */
    float *raw_e;                           /**< (raw, n_edge_feature)                                      */
    uint8_t *raw_label;                     /**< (raw), or NULL                                             */
    int32_t *raw_out_first, *raw_out, *raw_in_first, *raw_in; /**< raw edges by source, by target, ascending */
} ci_k_batch;

/** Packed graphs that batches are picked from: all that the rank ever needs, or those of one step.  Offsets are of the pool. */
typedef struct ci_k_pool {
    const int64_t *first[CI_ROWS_COUNT];    /**< (graphs + 1) first row of each graph; [CI_ROWS_GRAPH] NULL */
    const uint8_t *label;
    const float *w, *x;
    const int32_t *id;
    const int32_t *in_first;                /**< (nodes + graphs): a graph's own, n + 1 of it, from 0, at first[NODE][g] + g */
    const int32_t *in_src;                  /**< (edges) node within its graph                              */
    const float *e;
    const int32_t *raw_src, *raw_dst;       /**< within their graph; NULL without                           */
    const float *raw_e;
    const uint8_t *raw_label;
} ci_k_pool;

/** Where the gradient of a parameter tensor goes; sum NULL: nowhere. */
typedef struct ci_k_grad {
    int64_t *sum;            /**< (size) of the tensor                                                      */
    const int32_t *exponent; /**< its s                                                                     */
    uint32_t *largest;       /**< bits of the largest |g| of it                                             */
} ci_k_grad;

/** Where losses go, in units of 2^-CI_LOSS_BITS. */
typedef struct ci_k_loss {
    int64_t *sum;  /**< of this term                                                                        */
    uint32_t *bad; /**< set to 1 when a row's loss is not finite, or a shard's beyond +-1024                */
} ci_k_loss;

/** relu with dropout behind a product or a convolution, in its place; the same bits as the record of its own. */
typedef struct ci_k_relu { int32_t on; uint32_t operation; } ci_k_relu;

/** C[M,N] = start + A B (+ A2 B2): M the rows of a kind that the step has.  Element (k,n) of B is b[k b_row + n], or b[n b_row + k]
 *  with b_t.  fp32: one chain of fused steps, k ascending, A2 behind A: the bits of ci_ops.gemm. */
typedef struct ci_k_gemm {
    ci_rows rows;
    int32_t N, K, K2; /**< K2 0: no second product */
    const float *a, *b, *a2, *b2;
    int32_t a_row, b_row, a2_row, b2_row, b_t;
    float *c;
    int32_t c_row;
    int32_t add;       /**< start is what C holds */
    const float *bias; /**< (N), or NULL          */
    ci_k_relu relu;
    const float *gate; /**< y of a relu, rows as those of C, or NULL: C passes relu_back, the same bits */
} ci_k_gemm;

/** dW[K,N] = A^T dY and db[N] = the column sums of dY, of each shard; db into two tensors where bias2 is given. */
typedef struct ci_k_gemm_grad {
    ci_rows rows;
    int32_t K, N; /**< K 0: column sums alone */
    const float *a, *dy;
    int32_t a_row, dy_row;
    ci_k_grad w, bias, bias2;
} ci_k_gemm_grad;

typedef struct ci_k_embed {
    int32_t id_dim, n_id, buckets, probes, x_first, masked; /**< as ci_model_dim; masked: dim.masked of a vgae */
    uint32_t operation;
    const uint8_t *group; /**< (n_feature - x_first) group of each column the model sees, or NULL */
    const float *w;
    int32_t *id;          /**< out (nodes) identifiers as this pass sees them */
    uint8_t *hidden;      /**< out (nodes) */
    float *y;             /**< out (nodes, id_dim + n_feature - x_first) */
} ci_k_embed;

typedef struct ci_k_gatv2 {
    ci_gatv2_dim dim;
    const float *l, *r, *e, *w_e, *a, *bias; /**< as ci_gatv2_in; e the edges as this pass sees them */
    float *stat;                             /**< (nodes, H, 2) largest score, 1 / sum: forward writes, backward reads */
    float *y;
    ci_k_relu relu;
} ci_k_gatv2;
typedef struct ci_k_gatv2_back {
    const float *dy;
    float *gated;      /**< dy itself, where y has passed a relu: dy passes relu_back first, in its place; else NULL */
    float *edge;       /**< (edges, H, 2) work: p and the gradient of the score */
    float *dl, *dr;    /**< overwritten */
    ci_k_grad w_e, a, bias;
} ci_k_gatv2_back;

typedef struct ci_k_gat {
    ci_gatv2_dim dim;
    const float *h, *e, *w_e, *a_src, *a_dst, *a_e, *bias;
    float *key;        /**< (nodes, H, 2) a_src . h, a_dst . h: forward writes, backward reads */
    float *stat;       /**< (nodes, H, 2) */
    float *y;
    ci_k_relu relu;
} ci_k_gat;
typedef struct ci_k_gat_back {
    const float *dy;
    float *gated;      /**< dy itself, where y has passed a relu: dy passes relu_back first, in its place; else NULL */
    float *edge;       /**< (edges, H, 2) work: p and the gradient of the score before the leaky ReLU */
    float *ds;         /**< (nodes, H, 2) work: sums of those gradients over out-edges, over in-edges */
    float *dh;         /**< overwritten */
    ci_k_grad w_e, a_src, a_dst, a_e, bias;
} ci_k_gat_back;

typedef struct ci_k_transformer {
    ci_gatv2_dim dim;
    const float *q, *k, *v, *e, *w_e, *skip;
    float *stat;       /**< (nodes, H, 2) */
    float *y;
    ci_k_relu relu;
} ci_k_transformer;
typedef struct ci_k_transformer_back {
    const float *dy;
    float *gated;      /**< dy itself, where y has passed a relu: dy passes relu_back first, in its place; else NULL */
    float *edge;       /**< (edges, H, 2) work: p and the gradient of q . (k + W_e f) */
    float *dq, *dk, *dv, *dskip; /**< overwritten; dskip is a copy of dy, or NULL */
    ci_k_grad w_e;
} ci_k_transformer_back;

typedef struct ci_k_attention {
    int32_t H, C;
    const float *q, *k, *v;
    float *stat;       /**< (nodes, H, 2) */
    float *y;
} ci_k_attention;
typedef struct ci_k_attention_back {
    const float *dy;
    float *t;          /**< (nodes, H) work */
    float *dq, *dk, *dv; /**< overwritten */
} ci_k_attention_back;

typedef struct ci_k_norm {
    ci_rows rows;          /**< layer norm, batch norm */
    int32_t cols;
    const float *x, *w, *b, *s; /**< s: graph norm's mean scale */
    float *stat;           /**< graph norm (graphs, 2, cols), layer norm (rows, 2); batch norm (2, cols): mean, 1 / root */
    float *y;
    ci_k_relu relu;        /**< graph norm alone */
} ci_k_norm;
typedef struct ci_k_norm_back {
    const float *dy;
    float *dx;             /**< added to unless overwrite */
    int32_t overwrite;
    const double *sum;     /**< batch norm: (2, cols) of the whole batch */
    ci_k_grad w, b, s;
} ci_k_norm_back;

/** What shards bring to a cut of the model, and what becomes of it on every rank. */
typedef struct ci_k_cut {
    int32_t n;         /**< doubles a shard */
    double *own;       /**< (most_shard, n) */
    double *all;       /**< (ranks, most_shard, n) gathered; own itself with one rank */
    double *total;     /**< (n) added in the order of the shards */
} ci_k_cut;

enum { CI_LSTM_PRODUCTS = 38 }; /**< the most products of gradients of one LSTM: 5 L - 2, L <= 8 */

typedef struct ci_k_lstm {
    ci_lstm_dim dim;
    ci_precision precision;
    const float *x[8];
    ci_lstm_w w;       /**< wt_ih and wt_hh are not looked at */
    float *keep;       /**< (nodes, lstm_keep)                */
    float *y;
} ci_k_lstm;
typedef struct ci_k_lstm_back {
    const float *dy;
    float *work;       /**< (nodes, lstm_work); products of gradients read it until they are made */
    float *dx[8];      /**< added to, or written where overwrite has the bit */
    uint32_t overwrite;
    ci_k_grad w_ih, w_hh, b_ih, b_hh, att_w; /**< att_b has the gradient 0 */
    ci_k_gemm_grad *out; /**< host (CI_LSTM_PRODUCTS): products that the caller hands to gemm_grad afterwards; their factors
                              lie in keep, work and x, so those stay as they are until then */
    int *out_n;          /**< host: 5 L - 2 */
} ci_k_lstm_back;

typedef struct ci_k_jump { /* jumping knowledge by attention, or the largest */
    int32_t L, D;
    const float *x[8], *a, *b;
    float *p;          /**< (nodes, L); attention alone */
    float *y;
} ci_k_jump;
typedef struct ci_k_jump_back {
    const float *dy;
    float *dx[8];      /**< added to, or written where overwrite has the bit */
    uint32_t overwrite;
    ci_k_grad a;
} ci_k_jump_back;

typedef enum ci_k_pooling { CI_K_MEAN, CI_K_SUM, CI_K_MAX, CI_K_ATTENTION } ci_k_pooling;
/** n inputs side by side: y[g] = pool(x[0]) | pool(x[1]) ... over the nodes of graph g. */
typedef struct ci_k_pool_rows {
    ci_k_pooling how;
    int32_t n, cols[8];
    const float *x[8];
    const float *a, *b; /**< attention, of one input: (cols), (1) */
    float *p;           /**< (nodes) attention                    */
    float *y;           /**< (graphs, sum of cols)                */
} ci_k_pool_rows;
typedef struct ci_k_pool_back {
    const float *dy;
    float *dx[8];       /**< added to, or written where overwrite has the bit */
    uint32_t overwrite;
    ci_k_grad a;
} ci_k_pool_back;

typedef struct ci_k_sample { /* z = mu + eps exp(v/2), eps from Philox; in evaluation mu */
    int32_t cols;
    uint32_t operation;
    float limit;
    const float *mu, *logvar;
    float *eps, *z;
} ci_k_sample;

/** Cross entropy of two classes over graphs (label, graph_weight) or raw edges (raw_label). */
typedef struct ci_k_classify {
    ci_rows rows;
    int32_t kind;       /**< CI_CE, CI_FOCAL, CI_WEIGHTED_CE of ci/loss.h: 0, 1, 2 */
    double gamma, weight[2];
    ci_scale scale;
    const float *logit;
    float *dlogit;      /**< added to */
    ci_k_loss loss;
} ci_k_classify;

typedef struct ci_k_distill { /* of graphs, CI_SCALE_LOGIT */
    double temperature;
    const float *student, *teacher;
    float *dstudent;    /**< added to */
    ci_k_loss loss;
} ci_k_distill;

typedef struct ci_k_square { /* scale / cols */
    ci_rows rows;
    int32_t cols, y_row, t_row;
    ci_scale scale;
    const float *y, *t;
    float *dy;          /**< (rows, cols) added to */
    ci_k_loss loss;
} ci_k_square;

typedef struct ci_k_kl {
    int32_t cols;
    float limit;
    const float *mu, *logvar;
    float *dmu, *dlogvar; /**< added to */
    ci_k_loss loss;
} ci_k_kl;

/** A linear layer to Q outputs and its loss.  id: cross entropy, of hidden nodes or, where the step hides none, of all; target the
 *  batch's id.  near: binary cross entropy, ones at the distinct identifiers of the nodes that raw edges lead to. */
typedef struct ci_k_head {
    int32_t K, Q;
    ci_precision precision;
    const float *h, *w, *b;
    const uint8_t *hidden; /**< (nodes) of the embedding; id alone */
    float *dz;          /**< (nodes, Q) work: logits, then their gradient; products read it until they are made */
    float *dh;          /**< added to */
    ci_k_loss loss;
    ci_k_grad w_grad, b_grad;
    ci_k_gemm_grad *out; /**< host: one product for the caller to make */
} ci_k_head;

typedef struct ci_k_gaussian {
    int32_t d;
    const float *p, *t;
    float *dp, *dt;     /**< added to */
    const double *total; /**< of the cut */
    double *coef;       /**< ci_gaussian_coef_size(d) doubles */
    ci_k_loss loss;     /**< of the whole batch: rank 0 alone adds it, the others get sum NULL */
} ci_k_gaussian;

/** One tensor of the flat vector, in device memory. */
typedef struct ci_k_tensor { int64_t first, size; } ci_k_tensor;

typedef struct ci_k_optim {
    int64_t n;              /**< parameters */
    int32_t n_tensor;
    const ci_k_tensor *tensor; /**< (n_tensor) */
    float *w, *m, *v, *g;   /**< (n) */
    int64_t *sum;           /**< (n + CI_TERMS) */
    int32_t *exponent;      /**< (n_tensor) */
    uint32_t *largest;      /**< (n_tensor), then one: a loss was bad */
    int64_t *agreed;        /**< (n_tensor + CI_FLAGS) */
    double *work;           /**< (optim_work doubles): partial squares, then the norm */
    int32_t *status;        /**< (1) 0 updated, 1 redo, 2 not finite, 3 a rank failed */
    int32_t fast;           /**< g holds the sum of all ranks in float */
    int32_t sum_bits, sum_aim; /**< a scaled gradient stays below 2^sum_bits; the largest is put at 2^sum_aim */
    double beta1, beta2, eps, decay, clip;
    int32_t decoupled;
} ci_k_optim;

typedef struct ci_k_running { int32_t cols; const double *total; float *mean, *var; } ci_k_running; /**< running statistics */

typedef struct ci_kernels {
    /** The body of a batch from the pool: rows copied, offsets, lists of edges both ways. */
    void (*assemble)(ci_dev *d, const ci_k_batch *b, const ci_k_pool *pool);

    void (*gemm)(ci_dev *d, const ci_k_batch *b, ci_precision precision, const ci_k_gemm *g, int n);            /**< n independent products in one launch */
    void (*gemm_grad)(ci_dev *d, const ci_k_batch *b, ci_precision precision, const ci_k_gemm_grad *g, int n);  /**< likewise */

    void (*embed)(ci_dev *d, const ci_k_batch *b, const ci_k_embed *a);
    void (*embed_back)(ci_dev *d, const ci_k_batch *b, const ci_k_embed *a, const float *dy, int32_t dy_row, ci_k_grad w);
    /** y = x but 0 in columns whose group this step hides of the graph; group NULL: a copy. */
    void (*input)(ci_dev *d, const ci_k_batch *b, ci_rows rows, int32_t cols, const float *x, const uint8_t *group, float *y);

    void (*gatv2)(ci_dev *d, const ci_k_batch *b, const ci_k_gatv2 *a);
    void (*gatv2_back)(ci_dev *d, const ci_k_batch *b, const ci_k_gatv2 *a, const ci_k_gatv2_back *g);
    void (*gat)(ci_dev *d, const ci_k_batch *b, const ci_k_gat *a);
    void (*gat_back)(ci_dev *d, const ci_k_batch *b, const ci_k_gat *a, const ci_k_gat_back *g);
    void (*transformer)(ci_dev *d, const ci_k_batch *b, const ci_k_transformer *a);
    void (*transformer_back)(ci_dev *d, const ci_k_batch *b, const ci_k_transformer *a, const ci_k_transformer_back *g);
    void (*attention)(ci_dev *d, const ci_k_batch *b, const ci_k_attention *a);
    void (*attention_back)(ci_dev *d, const ci_k_batch *b, const ci_k_attention *a, const ci_k_attention_back *g);
    void (*heads_mean)(ci_dev *d, const ci_k_batch *b, int32_t H, int32_t C, const float *x, const float *bias, float *y);
    void (*heads_mean_back)(ci_dev *d, const ci_k_batch *b, int32_t H, int32_t C, const float *dy, int32_t add, float *dx, ci_k_grad bias);

    void (*relu)(ci_dev *d, const ci_k_batch *b, ci_rows rows, int32_t cols, uint32_t operation, float *x); /**< in place, with dropout in training */
    void (*relu_back)(ci_dev *d, const ci_k_batch *b, ci_rows rows, int32_t cols, const float *y, float *dx);
    void (*dropout)(ci_dev *d, const ci_k_batch *b, ci_rows rows, int32_t cols, uint32_t operation, float *x); /**< its own backward */
    void (*sigmoid)(ci_dev *d, const ci_k_batch *b, ci_rows rows, int32_t cols, float *x);
    void (*sigmoid_back)(ci_dev *d, const ci_k_batch *b, ci_rows rows, int32_t cols, const float *y, float *dx); /**< in place */
    void (*add)(ci_dev *d, const ci_k_batch *b, ci_rows rows, int32_t cols, const float *x, const float *y, float *z);
    void (*add_to)(ci_dev *d, const ci_k_batch *b, ci_rows rows, int32_t cols, const float *dy, int32_t dy_row, float *dx, int32_t add); /**< dx (+)= columns of dy */
    void (*cat)(ci_dev *d, const ci_k_batch *b, ci_rows rows, int32_t n, const float *const *x, const int32_t *cols, float *y); /**< x, cols: host */
    void (*zero)(ci_dev *d, const ci_k_batch *b, ci_rows rows, int32_t cols, float *x);

    void (*graph_norm)(ci_dev *d, const ci_k_batch *b, const ci_k_norm *a);
    void (*graph_norm_back)(ci_dev *d, const ci_k_batch *b, const ci_k_norm *a, const ci_k_norm_back *g);
    void (*layer_norm)(ci_dev *d, const ci_k_batch *b, const ci_k_norm *a);
    void (*layer_norm_back)(ci_dev *d, const ci_k_batch *b, const ci_k_norm *a, const ci_k_norm_back *g);
    void (*batch_norm_sums)(ci_dev *d, const ci_k_batch *b, const ci_k_norm *a, double *own);                    /**< (shards, 2, cols) */
    void (*batch_norm_close)(ci_dev *d, const ci_k_batch *b, int32_t cols, const double *total, float *stat);
    void (*batch_norm_known)(ci_dev *d, const ci_k_batch *b, int32_t cols, const float *state, float *stat);     /**< evaluation: from (mean, var) */
    void (*batch_norm)(ci_dev *d, const ci_k_batch *b, const ci_k_norm *a);
    void (*batch_norm_back_sums)(ci_dev *d, const ci_k_batch *b, const ci_k_norm *a, const ci_k_norm_back *g, double *own); /**< and the gradients of w and b */
    void (*batch_norm_back)(ci_dev *d, const ci_k_batch *b, const ci_k_norm *a, const ci_k_norm_back *g);
    void (*cut_total)(ci_dev *d, const ci_k_batch *b, const ci_k_cut *c);

    int64_t (*lstm_keep)(ci_lstm_dim dim); /**< floats a node that forward leaves for backward */
    int64_t (*lstm_work)(ci_lstm_dim dim); /**< floats a node that backward wants              */
    void (*lstm)(ci_dev *d, const ci_k_batch *b, const ci_k_lstm *a);
    void (*lstm_back)(ci_dev *d, const ci_k_batch *b, const ci_k_lstm *a, const ci_k_lstm_back *g);
    void (*jk_attention)(ci_dev *d, const ci_k_batch *b, const ci_k_jump *a);
    void (*jk_attention_back)(ci_dev *d, const ci_k_batch *b, const ci_k_jump *a, const ci_k_jump_back *g);
    void (*jk_max)(ci_dev *d, const ci_k_batch *b, const ci_k_jump *a);
    void (*jk_max_back)(ci_dev *d, const ci_k_batch *b, const ci_k_jump *a, const ci_k_jump_back *g);
    void (*pool)(ci_dev *d, const ci_k_batch *b, const ci_k_pool_rows *a);
    void (*pool_back)(ci_dev *d, const ci_k_batch *b, const ci_k_pool_rows *a, const ci_k_pool_back *g);

    void (*sample)(ci_dev *d, const ci_k_batch *b, const ci_k_sample *a);
    void (*sample_back)(ci_dev *d, const ci_k_batch *b, const ci_k_sample *a, const float *dz, float *dmu, float *dlogvar); /**< added to */
    void (*neighbour_mean)(ci_dev *d, const ci_k_batch *b, int32_t cols, const float *z, float *m);
    void (*neighbour_mean_back)(ci_dev *d, const ci_k_batch *b, int32_t cols, const float *dm, float *dz);      /**< added to */
    void (*edge_pair)(ci_dev *d, const ci_k_batch *b, int32_t cols, const float *z, float *y);
    void (*edge_pair_back)(ci_dev *d, const ci_k_batch *b, int32_t cols, const float *dy, float *dz);           /**< added to */
    void (*pair_add)(ci_dev *d, const ci_k_batch *b, int32_t cols, const float *src, const float *dst, float *y); /**< y (raw, cols) += src[i] + dst[j] */
    void (*pair_add_back)(ci_dev *d, const ci_k_batch *b, int32_t cols, const float *dy, float *dsrc, float *ddst); /**< added to */

    void (*classify)(ci_dev *d, const ci_k_batch *b, const ci_k_classify *a);
    void (*distill)(ci_dev *d, const ci_k_batch *b, const ci_k_distill *a);
    void (*square)(ci_dev *d, const ci_k_batch *b, const ci_k_square *a);
    void (*kl)(ci_dev *d, const ci_k_batch *b, const ci_k_kl *a);
    void (*id_head)(ci_dev *d, const ci_k_batch *b, const ci_k_head *a);
    void (*near_head)(ci_dev *d, const ci_k_batch *b, const ci_k_head *a);
    void (*gaussian_sums)(ci_dev *d, const ci_k_batch *b, const ci_k_gaussian *a, double *own);                  /**< (shards, ci_gaussian_sums_size) */
    void (*gaussian_close)(ci_dev *d, const ci_k_batch *b, const ci_k_gaussian *a);
    void (*gaussian_back)(ci_dev *d, const ci_k_batch *b, const ci_k_gaussian *a);

    int64_t (*optim_work)(int64_t n);
    void (*optim_begin)(ci_dev *d, const ci_k_batch *b, const ci_k_optim *o);  /**< sums, largest and flags start as 0 */
    void (*optim_agree)(ci_dev *d, const ci_k_batch *b, const ci_k_optim *o);  /**< what this rank brings to the maximum over ranks */
    void (*optim_float)(ci_dev *d, const ci_k_batch *b, const ci_k_optim *o);  /**< g of this rank's own sums: train.reduce fast */
    void (*optim_finish)(ci_dev *d, const ci_k_batch *b, const ci_k_optim *o); /**< status, new exponents; norm, clip and Adam where nothing is wrong */
    void (*running)(ci_dev *d, const ci_k_batch *b, const ci_k_optim *o, const ci_k_running *r, int n); /**< after finish, where status is 0 */
    void (*blend)(ci_dev *d, int64_t n, float keep, const float *x, float *y);  /**< y = keep y + (1 - keep) x: the target network of a dqn */
} ci_kernels;

#ifdef __cplusplus
}
#endif
#endif
