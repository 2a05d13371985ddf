#ifndef CI_BATCH_H
#define CI_BATCH_H
/** Whole graphs packed for the model: a shard in the memory of one thread. */
#include <stdbool.h>
#include <stdint.h>
#include "ci/rc.h"
#include "ci/scaler.h"
#include "ci/store.h"
#include "ci/types.h"

/** A shard: n_graph graphs, their nodes one after the other, edges by destination (CSR).
 *
 *  Existing self-loops are removed; then every node has exactly one self-loop, the last in-edge
 *  of its row, whose features are the mean of the features of the node's other in-edges, 0 when
 *  it has none.  In-edges of a node are otherwise in order of time.  Source:
 *  torch_geometric.utils.add_self_loops(fill_value='mean') as GATv2Conv applies it. */
typedef struct ci_batch {
    ci_lid n_graph, n_node, n_edge;
    ci_lid n_feature;      /**< columns of x                                                  */
    ci_lid n_edge_feature; /**< columns of e                                                  */
    ci_lid n_window_feature; /**< columns of w; 0 unless the set is built from the stream     */
    ci_lid *first;     /**< (n_graph + 1) first node of each graph                            */
    int64_t *graph;    /**< (n_graph) number of the graph in its store: key of random numbers */
    uint8_t *label;    /**< (n_graph) 1 attack, 0 benign                                      */
    float *w;          /**< (n_graph, n_window_feature) scaled; NULL without columns          */
    int32_t *id;       /**< (n_node) vocabulary index, 0 unknown                              */
    float *x;          /**< (n_node, n_feature) scaled                                        */
    ci_lid *in_first;  /**< (n_node + 1) first in-edge of each node                           */
    ci_lid *in_src;    /**< (n_edge) source node of each in-edge                              */
    float *e;          /**< (n_edge, n_edge_feature) scaled                                   */
    /* on request: what the autoencoder reconstructs, edges as the store has them: in order of time (merged
     * ones by (src, dst)), self-loops and repeats kept, none added; else 0 and NULL */
    ci_lid n_raw;
    ci_lid *raw_first;         /**< (n_graph + 1) first raw edge of each graph                */
    ci_lid *raw_src, *raw_dst; /**< (n_raw) nodes of the batch                                */
    float *raw_e;              /**< (n_raw, n_edge_feature) scaled                            */
    uint8_t *raw_label;        /**< (n_raw) 1 when the frame that the edge leads to is an attack; NULL unless the set
                                    is built from the stream                                  */
} ci_batch;

/** A packer: one batch's memory, for shards up to these sizes, and a reader of the store; one a thread. */
typedef struct ci_packer ci_packer;

/** \param [in] st, scaler  borrowed until the packer is destroyed
 *  \param [in] raw         batches have raw edges, too
 *  \return CI_OK or CI_ENOMEM */
ci_rc ci_packer_create(const ci_store *st, const ci_scaler *scaler, ci_lid max_graph,
                       ci_lid max_node, bool raw, ci_packer **out);
void ci_packer_destroy(ci_packer **p); /**< NULL-safe */
size_t ci_packer_bytes(const ci_store *st, ci_lid max_graph, ci_lid max_node, bool raw); /**< without the reader's */
ci_lid ci_packer_max_edge(const ci_store *st, ci_lid max_graph, ci_lid max_node); /**< of n_edge */
ci_lid ci_packer_max_raw(const ci_store *st, ci_lid max_graph);                   /**< of n_raw  */

/** Pack n graphs of the store, scaled; the batch is the packer's, valid until the next call. */
const ci_batch *ci_packer_pack(ci_packer *p, const int64_t *graph, ci_lid n);

#endif
