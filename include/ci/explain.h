#ifndef CI_EXPLAIN_H
#define CI_EXPLAIN_H
/** Why a model says what it says of a graph: its attention, its embedding, and the gradient of what it
 *  says with respect to every input.  In evaluation: nothing dropped, nothing hidden, running statistics
 *  in batch norm.
 *
 *      gat    t = logit1 - logit0
 *      vgae   t = recon: the mean square error over the graph's nodes and features, which the features enter
 *             both as what is seen and as what is to be reconstructed
 *
 *  An edge is an in-edge of ci_batch: a self-loop that the packer adds is an input by itself.  The columns of a window count in t as
 *  they are; their own gradient is not given. */
#include "ci/model.h"

typedef struct ci_explainer ci_explainer; /**< one thread's */

/** Room for shards of at most so many graphs, nodes, in-edges and frames' edges.
 *  \param [in]  m    borrowed until the explainer is destroyed
 *  \param [out] out  on CI_OK the caller's, to ci_explainer_destroy; otherwise NULL
 *  \return CI_OK or CI_ENOMEM */
ci_rc ci_explainer_create(const ci_model *m, ci_lid max_graph, ci_lid max_node, ci_lid max_edge, ci_lid max_raw,
                          ci_explainer **out);
void ci_explainer_destroy(ci_explainer **e); /**< NULL-safe; leaves *e NULL */

/** A layer's attention: of each in-edge, for each head; over the in-edges of a node they add up to 1. */
typedef struct ci_attention {
    const char *name;  /**< "conv0", "enc0", ...; borrowed from the model                     */
    ci_lid heads;
    const float *p;    /**< (n_edge, heads); NULL before the first ci_explain                 */
} ci_attention;

enum { CI_EXPLAIN_LAYERS = 2 * CI_MODEL_LAYERS };

/** Borrowed from the explainer until its next call. */
typedef struct ci_explained {
    ci_lid n_layer;
    ci_attention layer[CI_EXPLAIN_LAYERS];
    ci_lid n_embedding;
    const float *embedding; /**< (n_graph, n_embedding) gat: the pooled vector; vgae: means over nodes of z   */
    const float *dx;        /**< (n_node, n_feature) of t with respect to the scaled features of the nodes    */
    const float *de;        /**< (n_edge, n_edge_feature) and of the edges; 0 where attention sees none       */
} ci_explained;

/** Shapes alone: layers with names and heads, n_embedding. */
void ci_explainer_shape(const ci_explainer *e, ci_explained *out);

/** \param [in]  w, state  as ci_model_score
 *  \return CI_OK, or CI_EARG when b does not fit model or explainer */
ci_rc ci_explain(ci_explainer *e, const float *w, const float *state, const ci_batch *b, ci_explained *out);

#endif
