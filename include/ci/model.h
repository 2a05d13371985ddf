#ifndef CI_MODEL_H
#define CI_MODEL_H
/** A model: a list of records {kind, in[], out, param[]}, run forward and backward over one shard.
 *
 *  The classifier `gat` (reference-system.md 5.2; K layers):
 *
 *      x_0 = embed[id] | x, through a linear layer where project > 0; x alone where id_dim is 0
 *      x_{k+1} = dropout(relu(norm(conv(x_k))))           GATv1, GATv2, transformer or GPS layer
 *      pooled = pool over the nodes of a graph of jk(x_1 .. x_K)
 *      head_in = pooled | dropout(relu(linear(w)))        w: what is known of the window; CI_WINDOW_POOL, else pooled
 *      head_layers - 1 times: dropout(relu(linear)); then a linear layer to n_class logits
 *      logit += w W                                       CI_WINDOW_LINEAR
 *      message = linear(dropout(relu(linear(x_K[src] | x_K[dst] | e))))      of each frame's edge, with a message head
 *
 *  The window's columns go through a layer of as many columns as a node has: side by side with the pooled nodes each of them weighs
 *  as much as one column of a node, however many there are.
 *
 *  The autoencoder `vgae` (5.3; d_1 .. d_m = hidden):
 *
 *      x_{k+1} = dropout(relu(norm(conv(x_k))))           to d_1, ..., d_m columns
 *      mu, logvar = linear(x_m);   z = mu + eps exp(logvar / 2)   in training, mu in evaluation
 *      back over d_m, .., d_2 the same way, then one conv to the node features: recon
 *      heads on z: identifier (unless id_dim is 0); neighbourhood (Gaussian or exact); features of each edge
 *
 *  Sources: Velickovic et al., ICLR 2018 (GATv1); Brody, Alon, Yahav, ICLR 2022 (GATv2); Shi et al., IJCAI
 *  2021; Rampasek et al., NeurIPS 2022 (GPS); Xu et al., ICML 2018 (jumping knowledge); Kipf, Welling, 2016.
 *
 *  Parameters are one flat vector of float, owned by the caller, described by a table; running statistics of
 *  batch norm are another, the state.  A linear weight is stored (in, out) row-major, the transpose of
 *  PyTorch's.  The numbers that come out depend neither on the kernels chosen (avx512, avx2, generic) nor on
 *  what else is computed, bit for bit.  Nothing here is collective.
 *
 *  A training step cuts the list where something of the whole batch is needed (batch norm, the Gaussian
 *  neighbour loss): F forward cuts, B backward cuts, mostly none.  For all shards of the batch, pass by pass:
 *
 *      for k = 0 .. F:  ci_model_run(shard, forward k); behind k < F the sums of the shards are added in
 *                       their order and ci_cuts_close takes them
 *      for k = 0 .. B:  ci_model_run(shard, backward k), likewise; forward F and backward 0 need no cut between
 *
 *  Backward computes the losses too: ci_scratch_losses. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ci/batch.h"
#include "ci/loss.h"
#include "ci/rc.h"
#include "ci/types.h"

typedef enum ci_model_kind { CI_GAT, CI_VGAE } ci_model_kind;
typedef enum ci_conv { CI_CONV_GATV1, CI_CONV_GATV2, CI_CONV_TRANSFORMER, CI_CONV_GPS } ci_conv;
typedef enum ci_norm_kind { CI_NORM_NONE, CI_NORM_GRAPH, CI_NORM_BATCH, CI_NORM_LAYER } ci_norm_kind;
typedef enum ci_jk { CI_JK_CAT, CI_JK_LSTM, CI_JK_ATTENTION, CI_JK_MAX, CI_JK_LAST } ci_jk;
typedef enum ci_pooling { CI_POOL_MEAN, CI_POOL_MAX, CI_POOL_SUM, CI_POOL_ATTENTION, CI_POOL_MEANMAX /**< mean | max */ } ci_pooling;
typedef enum ci_window_use { CI_WINDOW_NONE, CI_WINDOW_POOL, CI_WINDOW_LINEAR, CI_WINDOW_BOTH } ci_window_use; /**< bits */
typedef enum ci_neighbour { CI_NEIGHBOUR_NONE, CI_NEIGHBOUR_GAUSSIAN, CI_NEIGHBOUR_EXACT } ci_neighbour;

enum { CI_MODEL_LAYERS = 8, CI_PARAM_NAME = 32 };

/** Shapes; int32 and float alone, so that a checkpoint can hold them by name (ci_model_dim_text). */
typedef struct ci_model_dim {
    ci_lid kind;           /**< ci_model_kind                                                         */
    ci_lid n_id;           /**< identifiers of the vocabulary; row 0 of the table is unknown; 0 where id_dim is 0 */
    ci_lid id_dim;         /**< columns of the identifier table; 0: identifiers are not seen          */
    ci_lid id_buckets;     /**< rows of a hashed table; 0: a row for each identifier                  */
    ci_lid id_probes;      /**< rows of a hashed table that are summed                                */
    ci_lid n_feature;      /**< columns of ci_batch.x                                                 */
    ci_lid x_first;        /**< first of them that the model sees: 1 where column 0 is an index       */
    ci_lid n_edge_feature; /**< columns of ci_batch.e                                                 */
    ci_lid edge_features;  /**< 1: attention sees them                                                */
    ci_lid project;        /**< columns of a linear layer behind the inputs; 0: none                  */
    ci_lid conv, norm;     /**< ci_conv, ci_norm_kind                                                 */
    ci_lid heads;          /**< of attention; vgae: of the encoder's first layer                      */
    ci_lid channels;       /**< gat: of one head                                                      */
    ci_lid layers;         /**< gat: of attention, 1 to CI_MODEL_LAYERS                               */
    ci_lid jk, pool;       /**< gat: ci_jk, ci_pooling                                                */
    ci_lid head_layers;    /**< gat: linear layers behind the pooling, the last one included          */
    ci_lid head_dim;       /**< gat: columns between them; 0: as many as are pooled                   */
    ci_lid n_class;        /**< gat: logits of a graph                                                */
    ci_lid n_hidden;       /**< vgae: layers of the encoder                                           */
    ci_lid hidden[CI_MODEL_LAYERS]; /**< vgae: their columns                                          */
    ci_lid inner_heads;    /**< vgae: of the other layers of the encoder                              */
    ci_lid decoder_heads;  /**< vgae: of the decoder's layers but the last, which has one             */
    ci_lid latent;         /**< vgae: columns of z                                                    */
    ci_lid sigmoid;        /**< vgae: 1: recon ends in one                                            */
    ci_lid neighbour;      /**< vgae: ci_neighbour                                                    */
    ci_lid edge_head;      /**< vgae: 1: edge features are reconstructed                              */
    ci_lid masked;         /**< vgae: 1: trained with hidden nodes, and judged with CI_MASKS masks    */
    ci_lid teacher;        /**< 0: none; vgae: columns of the teacher's z; gat: 1                     */
    float slope;           /**< of leaky ReLU in the attention                                        */
    float logvar_limit;    /**< vgae: logvar is clamped to +- this                                    */
    /* since 0.5: what a text without them has as 0 */
    ci_lid n_window_feature; /**< columns of ci_batch.w; 0: none                                      */
    ci_lid window;         /**< gat: ci_window_use                                                    */
    ci_lid message;        /**< gat: 1: frames are judged, too                                        */
    ci_lid group_drop;     /**< 1: trained with groups of columns hidden                              */
} ci_model_dim;

/** One tensor of the flat vector. */
typedef struct ci_param {
    char name[CI_PARAM_NAME]; /**< "embed.weight", "conv0.lin_l.weight", "head2.bias", ...  */
    ci_lid rows, cols;        /**< a linear weight: in, out; a vector: 1, n; att: heads, channels */
    ci_gid first;             /**< its first float in the flat vector                        */
} ci_param;

/** Losses are weights times means; the sum of all is what is trained. */
typedef enum ci_term {
    CI_TERM_TASK,      /**< gat: of the labels; vgae: reconstruction of node features    */
    CI_TERM_ID,        /**< vgae: cross entropy of the identifiers                       */
    CI_TERM_NEIGHBOUR, /**< vgae                                                         */
    CI_TERM_KL,        /**< vgae                                                         */
    CI_TERM_EDGE,      /**< vgae: reconstruction of edge features                        */
    CI_TERM_TEACHER,   /**< gat: logits; vgae: latent mean and reconstruction            */
    CI_TERM_MESSAGE,   /**< gat with a message head: of the frames' labels               */
    CI_TERM_COUNT
} ci_term;

/** What a step of training depends on besides weights and graphs; the same for all shards. */
typedef struct ci_model_step {
    uint32_t seed, epoch;
    float dropout;  /**< probability in [0,1) that an element becomes 0; the rest is scaled up     */
    float unk_drop; /**< probability in [0,1) that a node's identifier counts as unknown           */
    float mask;     /**< vgae: probability in [0,1) that a node is hidden                          */
    float group_drop; /**< probability in [0,1) that a graph's columns of a group are 0 where the model sees them, those
                           of nodes, edges and window alike; wants dim.group_drop                  */
    const struct ci_feature_set *set; /**< the columns and their groups; NULL without group_drop   */
    ci_class_loss classify;    /**< gat: of graphs and of frames                                   */
    double temperature;        /**< gat with a teacher                                             */
    double weight[CI_TERM_COUNT]; /**< of each term, the teacher's share taken off and put on      */
    double latent, recon;      /**< vgae with a teacher: shares of its term                        */
    ci_gid n_graph, n_node, n_raw; /**< of the global batch: graphs, nodes, frames' edges          */
    ci_gid n_masked;           /**< of the global batch: ci_model_masked                           */
    double graph_weight;       /**< gat: what the sum of the graphs' losses is divided by          */
} ci_model_step;

/** What a shard brings along in training; may be NULL where the model wants none. */
typedef struct ci_model_aid {
    const float *weight;        /**< (n_graph) of each graph's loss; NULL: 1                       */
    const float *teacher_logit; /**< (n_graph, n_class)                                            */
    const float *teacher_mu;    /**< (n_node, teacher)                                             */
    const float *teacher_recon; /**< (n_node, features)                                            */
} ci_model_aid;

typedef struct ci_model ci_model;     /**< constant once created: threads share it                */
typedef struct ci_scratch ci_scratch; /**< one shard's activations, and what a thread computes in  */
typedef struct ci_cuts ci_cuts;       /**< what is known of the whole batch at the cuts            */

/** \param [in]  isa  kernels to use: "auto", "generic", "avx2" or "avx512", same bits with each; or "bf16", with bits of its own
 *  \param [out] out  on CI_OK the caller's, to ci_model_destroy; otherwise NULL
 *  \return CI_OK, CI_ECONF (dimensions that cannot be, kernels this machine cannot run), CI_ENOMEM */
ci_rc ci_model_create(const ci_model_dim *dim, const char *isa, ci_model **out);
void ci_model_destroy(ci_model **m); /**< NULL-safe; leaves *m NULL */

const ci_model_dim *ci_model_dims(const ci_model *m);
const char *ci_model_isa(const ci_model *m); /**< the kernels in use: "avx512" for instance; static */
const ci_param *ci_model_params(const ci_model *m, ci_lid *out_n); /**< borrowed from m */
bool ci_model_wants_raw(const ci_model *m);   /**< batches need the frames' edges: a vgae, or a message head */
ci_gid ci_model_size(const ci_model *m);          /**< floats of the flat vector of parameters      */
ci_gid ci_model_state_size(const ci_model *m);    /**< floats of running statistics; 0 mostly       */
ci_gid ci_model_prepared_size(const ci_model *m); /**< floats that ci_model_prepare writes          */

/** "name=value" of every field, a line each, and back.  \return text to free(), NULL when memory is short */
char *ci_model_dim_text(const ci_model_dim *dim);
/** The last fields may be missing and are 0 then: models of earlier versions have no more.
 *  \return CI_OK, or CI_EFORMAT naming the field that is missing, unknown or no number */
ci_rc ci_model_dim_parse(const char *text, ci_model_dim *out);

/** Initial weights from Philox, counter (tensor, element / 4, 0, 0), CI_RANDOM_INIT.
 *  Identifiers N(0,1); weights and attention of convolutions Glorot-uniform, biases of lin_l, lin_r
 *  U(+-1/sqrt(in)), their output bias 0; other linear layers U(+-1/sqrt(in)), weight and bias; the LSTM
 *  U(+-1/sqrt(h)); norms 1 and 0.  Source: reference-system.md 5.1, reset_parameters of the layers there.
 *  \param [out] w      (ci_model_size)
 *  \param [out] state  (ci_model_state_size) means 0, variances 1 */
void ci_model_init(const ci_model *m, uint32_t seed, float *w, float *state);

/** What backward wants of the weights, transposed; call once after each change of w.
 *  \param [out] wt  (ci_model_prepared_size) */
void ci_model_prepare(const ci_model *m, const float *w, float *wt);

/** Room for one shard up to this size; nothing is allocated afterwards.
 *  \param [in]  max_raw  frames' edges (ci_batch.n_raw); a gat without a message head wants none
 *  \param [out] out      on CI_OK the caller's, to ci_scratch_destroy; otherwise NULL
 *  \return CI_OK or CI_ENOMEM */
ci_rc ci_scratch_create(const ci_model *m, ci_lid max_graph, ci_lid max_node, ci_lid max_edge, ci_lid max_raw,
                        ci_scratch **out);
size_t ci_scratch_bytes(const ci_model *m, ci_lid max_graph, ci_lid max_node, ci_lid max_edge, ci_lid max_raw);
void ci_scratch_destroy(ci_scratch **s); /**< NULL-safe; leaves *s NULL */

/** One line for each record: kind, tensors with shapes, parameters; then bytes for these maxima.
 *  \return text to free(), NULL when memory is short */
char *ci_model_plan(const ci_model *m, ci_lid max_graph, ci_lid max_node, ci_lid max_edge, ci_lid max_raw);

/** Floating point operations of a forward pass over a graph of so many nodes, in-edges and frames' edges:
 *  two for each product of a matrix product, and the attention's own. */
double ci_model_flops(const ci_model *m, double nodes, double edges, double raw);

/** The columns of what ci_model_score says of a graph, by name.
 *  gat: logit0 logit1, then mean, sample spread, largest and least of the pooled vector: emb_mean emb_std emb_max
 *  emb_min.  vgae: recon (mean square error of the node features, all seen), recon_masked and recon_max (of each
 *  node where it is hidden: mean, largest), id (cross entropy), neighbour (exact: cross entropy; Gaussian: mean
 *  square), kl, affinity, rayleigh (loss.h), z_mean z_std z_max z_min over all nodes and columns of z, node_mean
 *  node_std (means over nodes of a node's own), mu_0 .. and mu2_0 .. (means over nodes of z and z^2). */
const char *const *ci_model_outputs(const ci_model *m, ci_lid *out_n); /**< borrowed from m */

/** Judge the graphs of a shard, nothing dropped, running statistics in batch norm.
 *  \param [in]  w, state  (ci_model_size), (ci_model_state_size); borrowed
 *  Of a model with a message head, ci_scratch_tensor "message" has the logits of the frames then: (n_raw, 2).
 *  \param [in]  b         within the maxima of s; identifiers in 0..n_id; n_graph may be 0; raw edges where wanted
 *  \param [out] out       (b->n_graph, n of ci_model_outputs)
 *  \return CI_OK, or CI_EARG when b does not fit model or scratch */
ci_rc ci_model_score(const ci_model *m, const float *w, const float *state, ci_scratch *s, const ci_batch *b,
                     float *out);

/** A teacher's forward pass: evaluated up to logits or reconstruction, nothing dropped or hidden, frames not judged.  What it
 *  leaves lies in s until the next pass: ci_scratch_tensor. */
ci_rc ci_model_forward(const ci_model *m, const float *w, const float *state, ci_scratch *s, const ci_batch *b);

/** A tensor of the last pass by name: gat "logit", "pooled", "x1", "p0" ..; vgae "mu", "recon", ...
 *  \return (rows, *out_cols), borrowed until the next pass; NULL when the model has none of this name.  Only what
 *          the plan keeps to the end of a forward pass: logit, mu, recon, and with `keep` in explain all */
const float *ci_scratch_tensor(const ci_model *m, const ci_scratch *s, const char *name, ci_lid *out_cols);

/* ---- training ---- */

ci_lid ci_model_cuts(const ci_model *m, int backward); /**< F, or B */

/** Nodes of a graph that this step hides, of n nodes; 0 for a gat. */
ci_gid ci_model_masked(const ci_model *m, const ci_model_step *step, int64_t graph, ci_lid n);

/** One pass over one shard, see above.  Passes of a shard are made in order on one scratch.
 *  \param [in]     wt    (ci_model_prepared_size), of the same w; backward alone
 *  \param [in]     cuts  closed up to the cut before; NULL where the model has none
 *  \param [in,out] grad  (ci_model_size) added to, never overwritten; backward alone
 *  \return CI_OK; CI_EARG when b does not fit; CI_ENUMERIC when a loss is not finite (which, where) */
typedef struct ci_model_pass {
    const ci_model *m;
    const float *w, *wt;
    ci_scratch *s;
    const ci_batch *b;
    const ci_model_step *step;
    const ci_model_aid *aid;
    const ci_cuts *cuts;
    float *grad;
} ci_model_pass;
ci_rc ci_model_run(const ci_model_pass *p, int backward, ci_lid k);

const double *ci_scratch_losses(const ci_scratch *s); /**< (CI_TERM_COUNT) of the shard, after backward */

/** Sums that a shard brings to cut k.  \return (n), borrowed from s; valid behind pass k of that direction */
const double *ci_scratch_sums(const ci_model *m, const ci_scratch *s, int backward, ci_lid k, ci_lid *out_n);

ci_rc ci_cuts_create(const ci_model *m, ci_cuts **out); /**< \return CI_OK or CI_ENOMEM */
void ci_cuts_destroy(ci_cuts **c);                      /**< NULL-safe */
/** The whole batch's sums of a cut, as every rank has them.
 *  \param [in,out] loss  (CI_TERM_COUNT) the Gaussian neighbour loss is added to
 *  \return CI_OK or CI_ENUMERIC */
ci_rc ci_cuts_close(const ci_model *m, ci_cuts *c, const ci_model_step *step, int backward, ci_lid k,
                    const double *sum, double *loss);
/** Running statistics after a step: momentum .1.  \param [in,out] state (ci_model_state_size) */
void ci_cuts_running(const ci_model *m, const ci_cuts *c, const ci_model_step *step, float *state);

/** \param [in] v     (ci_model_size) weights, gradients or moments
 *  \param [in] what  "gradient", for the message
 *  \return CI_OK, or CI_ENUMERIC naming the first tensor with a value that is not finite */
ci_rc ci_model_finite(const ci_model *m, const float *v, const char *what);

#endif
