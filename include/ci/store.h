#ifndef CI_STORE_H
#define CI_STORE_H
/** The graph store: graphs of all captures in one file of flat arrays (h5.h).
 *
 *  Arrays (src/store/schema.c has them with units and meanings; G graphs, N nodes, E edges):
 *
 *      graph_capture (G) int32      graph_row (G) int64         graph_label (G) uint8
 *      graph_node (G+1) int64       graph_edge (G+1) int64      first node, first edge
 *      node_id (N) uint16|uint32    index into id_value         node_x (N, 35) float16, scaled 2^k
 *      edge_src, edge_dst (E) uint8|uint16                      positions in the graph's nodes
 *      edge_iat (E) float32         edge_byte (E, 8) uint8      edge_bidir (E) uint8
 *      edge_freq (E) uint8|uint16
 *      capture_path, capture_hash (C) text   capture_folder, capture_attack (C) int32
 *      capture_rows, capture_graph (C), (C+1) int64             folder_name text, folder_role (F) int32
 *      id_value (I) uint32          id_vocab (I) int32          every identifier of the store; its
 *                                                               number in the vocabulary, 0 unknown
 *
 *  The vocabulary is id_value where id_vocab > 0, in that order. */
#include <stdbool.h>
#include "ci/graph.h"
#include "ci/h5.h"

enum { CI_STORE_VERSION = 1, CI_STORE_TEXT = 256 };

typedef struct ci_store_folder {
    char name[CI_STORE_TEXT];
    int32_t role; /**< 0 training, 1 test */
} ci_store_folder;

typedef struct ci_store_capture {
    char path[CI_STORE_TEXT]; /**< below the data set: "train_01_attack_free/x.csv"           */
    char hash[CI_XXH_HEX];    /**< of its bytes                                               */
    int32_t folder;
    int32_t attack;           /**< code of the attack its name says, 0 none                   */
    int64_t rows;
    int64_t first_graph, n_graph;
} ci_store_capture;

/** What a store is about, without its graphs. */
typedef struct ci_store_head {
    char set[32];                 /**< feature set                                             */
    bool compat;                  /**< features.compat: reference                              */
    bool simulated;               /**< of traffic that canids sim made                         */
    int32_t frames, stride;
    char source[CI_SHA256_HEX];   /**< digest of what it was built from                        */
    int32_t n_folder, n_capture, n_id, n_vocab;
    ci_store_folder *folder;      /**< (n_folder); owned                                       */
    ci_store_capture *capture;    /**< (n_capture) in order of first_graph; owned              */
    uint32_t *id;                 /**< (n_id) ascending; owned                                 */
    int32_t *vocab;               /**< (n_id) number in the vocabulary, 0 unknown; owned       */
    int64_t n_graph, n_node, n_edge;
} ci_store_head;

void ci_store_head_release(ci_store_head *h); /**< NULL-safe; leaves *h zero */

/** Name, kind, shape, unit and meaning of every array of a store with this head, for
 *  documentation and tests.  \param [out] out  room for CI_STORE_ARRAYS  \return how many */
enum { CI_STORE_ARRAYS = 32 };
size_t ci_store_schema(const ci_store_head *h, ci_array out[CI_STORE_ARRAYS]);

/** A store being written. */
typedef struct ci_store_writer ci_store_writer;

/** Start `path` under its temporary name and write everything but the graphs.  Collective.
 *  \return CI_OK, CI_ECREATE, CI_EPERM, CI_EIO, CI_EHDF5, CI_ENOMEM, CI_ECONF */
ci_rc ci_store_create(const ci_comm *comm, const char *path, const ci_store_head *head,
                      ci_store_writer **out);

/** Put a run of graphs of one capture at its place.  Not collective: agree afterwards.
 *  \param [in] capture, first_graph, first_node, first_edge  where the run belongs in
 *                      the store; the number of edges may differ from graph to graph
 *  \return CI_OK, CI_EDATA (an identifier that the head has not), CI_EARG, CI_EHDF5, CI_ENOMEM */
ci_rc ci_store_put(ci_store_writer *w, int32_t capture, int64_t first_graph, int64_t first_node,
                   int64_t first_edge, const ci_graphs *g);

struct ci_store; /* below: one for reading */

/** Do graphs of a store with head `a` have the same columns and mean the same in one with head `b`?  Not
 *  their data, nor their identifiers. */
bool ci_store_alike(const ci_store_head *a, const ci_store_head *b);

/** From now on ci_store_copy copies from `from`, whose bytes were checked and whose head is alike; borrowed.
 *  Not collective.  \return CI_OK or CI_ENOMEM */
ci_rc ci_store_reuse(ci_store_writer *w, const struct ci_store *from);

/** Put n graphs of that store, from graph `from` on, as ci_store_put does: the same bytes that building them
 *  again would put.  Not collective: agree afterwards.
 *  \return CI_OK, CI_EDATA (an identifier that the head has not), CI_EARG, CI_EHDF5, CI_ENOMEM */
ci_rc ci_store_copy(ci_store_writer *w, int64_t from, int64_t n, int32_t capture, int64_t first_graph,
                    int64_t first_node, int64_t first_edge);

/** Close, read back, publish.  Collective.  Frees w, on failure too. */
ci_rc ci_store_commit(ci_store_writer **w, char out_sha[CI_SHA256_HEX]);

/** Leave a store whose writing failed: the previous one stays.  The job should end by
 *  ci_comm_abort, for HDF5 cannot be closed any more.  Not collective.  NULL-safe. */
void ci_store_abandon(ci_store_writer **w);

/** A store for reading: columns are mapped, not read. */
typedef struct ci_store {
    ci_store_head head;
    const ci_feature_set *set;
    const int32_t *graph_capture;  /**< (G)                                                   */
    const int64_t *graph_row;      /**< (G)                                                   */
    const uint8_t *graph_label;    /**< (G)                                                   */
    const int64_t *graph_node;     /**< (G+1)                                                 */
    const int64_t *graph_edge;     /**< (G+1)                                                 */
    const void *node_id;           /**< (N) uint16 or uint32                                  */
    const uint16_t *node_x;        /**< (N, set->n_node) bits of float16                      */
    const void *edge_src, *edge_dst, *edge_freq; /**< (E) uint8 or uint16                     */
    const float *edge_iat;         /**< (E)                                                   */
    const uint8_t *edge_byte;      /**< (E, 8)                                                */
    const uint8_t *edge_bidir;     /**< (E)                                                   */
    ci_h5_view *view;              /**< owned                                                 */
    ci_lid max_edge;               /**< edges of the graph that has most                      */
    bool wide_id, wide_local;      /**< node_id is uint32; src, dst, freq are uint16          */
} ci_store;

/** Open a store whose bytes were checked (ci_commit_check).  Not collective.
 *  \return CI_OK; CI_EFORMAT (not a store, another version, offsets that cannot be); CI_ENOENT;
 *          CI_EIO; CI_ENOMEM */
ci_rc ci_store_open(const char *path, ci_store **out);
void ci_store_close(ci_store **st); /**< NULL-safe */

/** Check the store of a run, by rank 0, and open it on every rank.  Collective. */
ci_rc ci_store_open_all(const ci_comm *comm, const char *path, char out_sha[CI_SHA256_HEX],
                        ci_store **out);

/** Nodes' features of graphs as floats.  \param [out] x (n_node, set->n_node) */
void ci_store_node_x(const ci_store *st, int64_t first_node, int64_t n_node, float *x);

/** Features of one edge in the order of the feature set. */
void ci_store_edge(const ci_store *st, int64_t edge, float *e);

/** Positions of an edge's ends in the nodes of its graph. */
void ci_store_ends(const ci_store *st, int64_t edge, ci_lid *src, ci_lid *dst);

/** Index into head.id of a node. */
int32_t ci_store_id(const ci_store *st, int64_t node);

/** Half precision, to nearest even; values beyond +-65504 become +-65504, NaN stays NaN. */
void ci_half_from_f32(const float *x, size_t n, uint16_t *out);
void ci_half_to_f32(const uint16_t *h, size_t n, float *out);

#endif
