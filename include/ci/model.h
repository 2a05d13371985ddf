#ifndef CI_MODEL_H
#define CI_MODEL_H
/** A model: a list of records {kind, in[], out, param[]}, run forward and backward over one shard.
 *
 *  The classifier `gat`, as PyTorch Geometric 2.4 computes it:
 *
 *      x0 = embed[id] | x                                        id_dim + n_feature columns
 *      for each layer k:  l = x_k W_l + b_l,  r = x_k W_r + b_r,  y = GATv2(l, r, e)   (ops.h)
 *                         x_{k+1} = dropout(relu(y))
 *      pooled = mean over the nodes of a graph of (x_1 | x_2 | ...)   jumping knowledge `cat`
 *      head_layers - 1 times: dropout(relu(linear)); then a linear layer to n_class logits
 *
 *  Sources: Brody, Alon, Yahav, "How Attentive are Graph Attention Networks?", ICLR 2022; Xu et
 *  al., "Representation Learning on Graphs with Jumping Knowledge Networks", ICML 2018.
 *
 *  Parameters are one flat vector of float, owned by the caller, described by a table.  A linear
 *  weight is stored (in, out) row-major, the transpose of PyTorch's.  The numbers that come out
 *  depend neither on the kernels chosen (avx512, avx2, generic) nor on what else is computed, bit for
 *  bit.  Nothing here is collective.  A training step of one shard is
 *
 *      ci_model_forward(m, w, s, b, &step, logit);
 *      ci_classify(&kind, logit, b->label, NULL, b->n_graph, 1.0 / n_global, dlogit, &loss); (loss.h; dlogit zeroed)
 *      ci_model_backward(m, w, wt, s, b, &step, dlogit, grad);
 */
#include <stddef.h>
#include <stdint.h>
#include "ci/batch.h"
#include "ci/rc.h"
#include "ci/types.h"

typedef struct ci_model_dim {
    ci_lid n_id;           /**< identifiers of the vocabulary; the table has n_id + 1 rows, 0 unknown */
    ci_lid id_dim;         /**< columns of the identifier table                                       */
    ci_lid n_feature;      /**< columns of ci_batch.x                                                 */
    ci_lid n_edge_feature; /**< columns of ci_batch.e                                                 */
    ci_lid layers;         /**< of GATv2, 1 to CI_MODEL_LAYERS                                        */
    ci_lid heads;          /**< heads * channels is a multiple of 16                                  */
    ci_lid channels;       /**< of one head, a multiple of 8                                          */
    ci_lid head_layers;    /**< linear layers behind the pooling, the last one included; 1 to 8       */
    ci_lid head_dim;       /**< columns between them                                                  */
    ci_lid n_class;        /**< logits of a graph                                                     */
    float slope;           /**< of leaky ReLU in the attention                                        */
} ci_model_dim;

enum { CI_MODEL_LAYERS = 8, CI_PARAM_NAME = 32 };

/** One tensor of the flat vector. */
typedef struct ci_param {
    char name[CI_PARAM_NAME]; /**< "embed.weight", "conv0.lin_l.weight", "head2.bias", ...  */
    ci_lid rows, cols;        /**< a linear weight: in, out; a vector: 1, n; att: heads, channels */
    ci_gid first;             /**< its first float in the flat vector                        */
} ci_param;

/** What the random numbers of a training step depend on, besides graph and element. */
typedef struct ci_model_step {
    uint32_t seed;
    uint32_t epoch;
    float dropout;  /**< probability in [0,1) that an element becomes 0; the rest is scaled up     */
    float unk_drop; /**< probability in [0,1) that a node's identifier counts as unknown           */
} ci_model_step;

typedef struct ci_model ci_model;     /**< constant once created: threads share it                */
typedef struct ci_scratch ci_scratch; /**< what one thread computes in                            */

/** \param [in]  isa  kernels to use: "auto", "generic", "avx2" or "avx512"; same bits with each
 *  \param [out] out  on CI_OK the caller's, to ci_model_destroy; otherwise NULL
 *  \return CI_OK, CI_ECONF (dimensions that cannot be, kernels this machine cannot run), CI_ENOMEM */
ci_rc ci_model_create(const ci_model_dim *dim, const char *isa, ci_model **out);
void ci_model_destroy(ci_model **m); /**< NULL-safe; leaves *m NULL */

const char *ci_model_isa(const ci_model *m); /**< the kernels in use: "avx512" for instance; static */
const ci_param *ci_model_params(const ci_model *m, ci_lid *out_n); /**< borrowed from m */
ci_gid ci_model_size(const ci_model *m);          /**< floats of the flat vector of parameters      */
ci_gid ci_model_prepared_size(const ci_model *m); /**< floats that ci_model_prepare writes          */

/** Initial weights from Philox, counter (tensor, element / 4, 0, 0), CI_RANDOM_INIT.
 *  Identifiers N(0,1); lin_l, lin_r, lin_edge and att Glorot-uniform, biases of lin_l, lin_r U(+-1/sqrt(in));
 *  the GATv2 bias 0; layers of the head U(+-1/sqrt(in)), weight and bias.
 *  Source: torch_geometric.nn.GATv2Conv.reset_parameters, torch.nn.Linear, torch.nn.Embedding.
 *  \param [out] w  (ci_model_size) */
void ci_model_init(const ci_model *m, uint32_t seed, float *w);

/** What backward wants of the weights, transposed; call once after each change of w.
 *  \param [out] wt  (ci_model_prepared_size) */
void ci_model_prepare(const ci_model *m, const float *w, float *wt);

/** Room for one thread and shards up to this size; nothing is allocated afterwards.
 *  \param [out] out  on CI_OK the caller's, to ci_scratch_destroy; otherwise NULL
 *  \return CI_OK or CI_ENOMEM */
ci_rc ci_scratch_create(const ci_model *m, ci_lid max_graph, ci_lid max_node, ci_lid max_edge,
                        ci_scratch **out);
size_t ci_scratch_bytes(const ci_model *m, ci_lid max_graph, ci_lid max_node, ci_lid max_edge);
void ci_scratch_destroy(ci_scratch **s); /**< NULL-safe; leaves *s NULL */

/** One line for each record: kind, tensors with shapes, parameters; then bytes for these maxima.
 *  \return text to free(), NULL when memory is short */
char *ci_model_plan(const ci_model *m, ci_lid max_graph, ci_lid max_node, ci_lid max_edge);

/** \param [in]  w      (ci_model_size) weights; borrowed
 *  \param [in]  b      within the maxima of s; identifiers in 0..n_id; n_graph may be 0
 *  \param [in]  step   NULL in evaluation: then nothing is dropped
 *  \param [out] logit  (b->n_graph, n_class)
 *  \return CI_OK, or CI_EARG when b does not fit model or scratch */
ci_rc ci_model_forward(const ci_model *m, const float *w, ci_scratch *s, const ci_batch *b,
                       const ci_model_step *step, float *logit);

/** After ci_model_forward with the same arguments, whose activations are in s.
 *  \param [in]     wt      (ci_model_prepared_size), of the same w
 *  \param [in]     dlogit  (b->n_graph, n_class) gradient of the loss
 *  \param [in,out] grad    (ci_model_size) added to, never overwritten
 *  \return CI_OK, or CI_EARG when s holds no forward pass of a shard of this size */
ci_rc ci_model_backward(const ci_model *m, const float *w, const float *wt, ci_scratch *s,
                        const ci_batch *b, const ci_model_step *step, const float *dlogit, float *grad);

/** \param [in] v     (ci_model_size) weights, gradients or moments
 *  \param [in] what  "gradient", for the message
 *  \return CI_OK, or CI_ENUMERIC naming the first tensor with a value that is not finite */
ci_rc ci_model_finite(const ci_model *m, const float *v, const char *what);

#endif
