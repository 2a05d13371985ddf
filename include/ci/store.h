#ifndef CI_STORE_H
#define CI_STORE_H
/** The graph store: graphs of all captures in one file of flat arrays (h5.h).
 *
 *  Arrays (src/store/schema.c has them with units and meanings; G graphs, N nodes, E edges, M frames, W frames
 *  a window).  In every store:
 *
 *      graph_capture (G) int32      graph_row (G) int64         graph_label (G) uint8
 *      graph_node (G+1) int64       graph_edge (G+1) int64      first node, first edge
 *      capture_path, capture_hash (C) text   capture_folder, capture_attack (C) int32
 *      capture_rows, capture_graph (C), (C+1) int64             folder_name text, folder_role (F) int32
 *      id_value (I) uint32          id_vocab (I) int32          every identifier of the store; its
 *                                                               number in the vocabulary, 0 unknown
 *
 *  The vocabulary is id_value where id_vocab > 0, in that order.  Sets that are built from the stream (ci_feature_set.stream,
 *  the attribute `past` says what they know of it) have, too, H columns of a window:
 *
 *      graph_window (G, H) float32  graph_warm (G) uint8        edge_label (E) uint8
 *
 *  The rest depends on the layout, which the attribute `layout` names.  compact of kd35, 72 bytes a node and 16 an edge while
 *  W < 256:
 *
 *      node_id (N) uint16|uint32    index into id_value         node_x (N, 35) float16, scaled 2^k
 *      edge_src, edge_dst (E) uint8|uint16                      positions in the graph's nodes
 *      edge_iat (E) float32         edge_byte (E, 8) uint8      edge_bidir (E) uint8
 *      edge_freq (E) uint8|uint16
 *
 *  Edges are exact; a node's value v is the half nearest to v 2^k, ties to even, k from the feature table: off
 *  by at most 2^-11 |v|, below 2^(-14-k) by at most 2^(-25-k); beyond +-65504 2^-k it is that.
 *
 *  compact of streamed sets (on request only), about half the bytes of float32: node_id, edge_src, edge_dst and node_x as
 *  above, edge_x (E, K) float16, scaled as nodes are.
 *
 *  float32: node_id, edge_src, edge_dst as above, node_x (N, F) and edge_x (E, K) float32: the features as
 *  they were computed, in the order of the feature set.
 *
 *  messages: no nodes and edges but the frames of the captures that have graphs, 20 bytes each, so that the size hardly depends
 *  on the stride; graphs are built while reading, the same ones bit for bit as a float32 store has (not for streamed sets:
 *  their past is not in the frames of a window):
 *
 *      capture_frame (C+1) int64    first frame                 frame_time (M) int64, ns
 *      frame_id (M) uint16|uint32   index into id_value         frame_data (M, 8) uint8, 0 beyond its length
 *      frame_len (M) uint8          payload length              frame_label (M) uint8 */
#include <stdbool.h>
#include "ci/graph.h"
#include "ci/h5.h"

enum { CI_STORE_VERSION = 2, CI_STORE_TEXT = 256 };

typedef enum ci_store_layout { CI_COMPACT, CI_FLOAT32, CI_MESSAGES } ci_store_layout;

const char *ci_store_layout_name(ci_store_layout layout);

/** The layout that store.layout asks for: auto is compact for feature sets that have a compact form, else float32.
 *  \return CI_OK, or CI_ECONF when the set has no such layout */
ci_rc ci_store_layout_of(const char *wanted, const ci_feature_set *set, ci_store_layout *out);

typedef struct ci_store_folder {
    char name[CI_STORE_TEXT];
    int32_t role; /**< 0 training, 1 test, 2 training with injected attacks */
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
    char past[16];                /**< features.past of a streamed set, else empty             */
    bool compat;                  /**< features.compat: reference                              */
    ci_store_layout layout;
    bool simulated;               /**< of traffic that canids sim made                         */
    int32_t frames, stride;
    char source[CI_SHA256_HEX];   /**< digest of what it was built from                        */
    int32_t n_folder, n_capture, n_id, n_vocab;
    ci_store_folder *folder;      /**< (n_folder); owned                                       */
    ci_store_capture *capture;    /**< (n_capture) in order of first_graph; owned              */
    uint32_t *id;                 /**< (n_id) ascending; owned                                 */
    int32_t *vocab;               /**< (n_id) number in the vocabulary, 0 unknown; owned       */
    int64_t n_graph, n_node, n_edge;
    int64_t n_frame;              /**< rows of the captures that have graphs                   */
} ci_store_head;

void ci_store_head_release(ci_store_head *h); /**< NULL-safe; leaves *h zero */

/** Name, kind, shape, unit and meaning of every array of a store with this head, for
 *  documentation and tests.  \param [out] out  room for CI_STORE_ARRAYS  \return how many */
enum { CI_STORE_ARRAYS = 32 };
size_t ci_store_schema(const ci_store_head *h, ci_array out[CI_STORE_ARRAYS]);

int64_t ci_store_bytes(const ci_store_head *h); /**< of all its arrays */

/** A store being written. */
typedef struct ci_store_writer ci_store_writer;

/** Start `path` under its temporary name and write everything but the graphs.  Collective.
 *  \return CI_OK, CI_ECREATE, CI_EPERM, CI_EIO, CI_EHDF5, CI_ENOMEM, CI_ECONF */
ci_rc ci_store_create(const ci_comm *comm, const char *path, const ci_store_head *head,
                      ci_store_writer **out);

/** Put a run of graphs of one capture at its place; into a messages store only what is kept of each graph.
 *  Not collective: agree afterwards.
 *  \param [in] capture, first_graph, first_node, first_edge  where the run belongs in
 *                      the store; the number of edges may differ from graph to graph
 *  \return CI_OK, CI_EDATA (an identifier that the head has not), CI_EARG, CI_EHDF5, CI_ENOMEM */
ci_rc ci_store_put(ci_store_writer *w, int32_t capture, int64_t first_graph, int64_t first_node,
                   int64_t first_edge, const ci_graphs *g);

struct ci_table;

/** Put the rows of a block, without its halo, into a messages store.  Not collective: agree afterwards.
 *  \return CI_OK, CI_EDATA (an identifier that the head has not), CI_EINTERNAL (a length, a label or a byte beyond
 *          the length that cannot be), CI_EARG, CI_EHDF5, CI_ENOMEM */
ci_rc ci_store_put_frames(ci_store_writer *w, int32_t capture, const struct ci_table *t);

struct ci_store; /* below: one for reading */

/** Do graphs of a store with head `a` have the same columns and mean the same in one with head `b`?  Not
 *  their data, nor their identifiers. */
bool ci_store_alike(const ci_store_head *a, const ci_store_head *b);

/** From now on ci_store_copy copies from `from`, whose bytes were checked and whose head is alike; borrowed.
 *  Not collective.  \return CI_OK or CI_ENOMEM */
ci_rc ci_store_reuse(ci_store_writer *w, const struct ci_store *from);

/** Put n graphs of one capture of that store, from graph `from` on, as ci_store_put does (in a messages store with
 *  the frames from the first's row to the row of the graph behind the last, or the capture's end): the same bytes that building them
 *  again would put.  Not collective: agree afterwards.
 *  \return CI_OK, CI_EDATA (an identifier that the head has not), CI_EARG, CI_EHDF5, CI_ENOMEM */
ci_rc ci_store_copy(ci_store_writer *w, int64_t from, int64_t n, int32_t capture, int64_t first_graph,
                    int64_t first_node, int64_t first_edge);

/** Bytes that a writer takes at most, whatever is put, beside what it takes for one run of graphs. */
enum { CI_STORE_BUFFERS = 16 << 20 };

/** Hand what was put to the disk.  With `end` the buffers go back to the system too.  Not collective.
 *  \return CI_OK, CI_EIO, CI_ENOMEM */
ci_rc ci_store_flush(ci_store_writer *w, bool end);

/** Close, read back, publish.  Collective.  Frees w, on failure too.
 *  \param [out] out_sha  identity of the store, on every rank: SHA-256 of its size and the hashes of its blocks */
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
    /* of streamed sets, else NULL */
    const float *graph_window;     /**< (G, set->n_window) unscaled                           */
    const uint8_t *graph_warm;     /**< (G) 0: too early to be judged: counts as called benign */
    const uint8_t *edge_label;     /**< (E) 1 when the frame that the edge leads to is an attack */
    /* compact and float32; NULL in a messages store */
    const void *node_id;           /**< (N) uint16 or uint32                                  */
    const void *edge_src, *edge_dst; /**< (E) uint8 or uint16                                 */
    const uint16_t *node_half;     /**< compact: node_x (N, set->n_node) bits of float16      */
    const uint16_t *edge_half;     /**< compact of streamed sets: edge_x (E, set->n_edge)     */
    const float *node_x, *edge_x;  /**< float32: (N, set->n_node), (E, set->n_edge)           */
    const float *edge_iat;         /**< compact (E)                                           */
    const uint8_t *edge_byte;      /**< compact (E, 8)                                        */
    const uint8_t *edge_bidir;     /**< compact (E)                                           */
    const void *edge_freq;         /**< compact (E) uint8 or uint16                           */
    /* messages */
    const int64_t *capture_frame;  /**< (C+1)                                                 */
    const int64_t *frame_time;     /**< (M) ns                                                */
    const void *frame_id;          /**< (M) uint16 or uint32                                  */
    const uint8_t *frame_data;     /**< (M, 8), aligned to 8 bytes                            */
    const uint8_t *frame_len, *frame_label; /**< (M)                                          */
    ci_h5_view *view;              /**< owned                                                 */
    ci_lid max_edge;               /**< edges of the graph that has most                      */
    bool wide_id, wide_local;      /**< node_id is uint32; src, dst, freq are uint16          */
} ci_store;

/** Is graph g one to be judged?  The others, too early in their stream, count as called benign, and nothing learns from them. */
static inline bool ci_store_warm(const ci_store *st, int64_t g)
{
    return !st->graph_warm || st->graph_warm[g];
}

/** Open a store whose bytes were checked (ci_commit_check).  Not collective.
 *  \return CI_OK; CI_EFORMAT (not a store, another version, offsets that cannot be); CI_ENOENT;
 *          CI_EIO; CI_ENOMEM */
ci_rc ci_store_open(const char *path, ci_store **out);
void ci_store_close(ci_store **st); /**< NULL-safe */

/** Check the store of a run, each rank a part of it, and open it on every rank.  Collective. */
ci_rc ci_store_open_all(const ci_comm *comm, const char *path, char out_sha[CI_SHA256_HEX],
                        ci_store **out);

/** One graph, the same for every layout; borrowed from its reader until the next one is read. */
typedef struct ci_graph_view {
    ci_lid n_node, n_edge;
    const int32_t *id;      /**< (n_node) index into head.id, ascending                       */
    const float *x;         /**< (n_node, set->n_node) unscaled                               */
    const ci_lid *src, *dst; /**< (n_edge) positions in the graph's nodes                     */
    const float *e;         /**< (n_edge, set->n_edge) unscaled                               */
    const float *w;         /**< (set->n_window) unscaled; of streamed sets, else NULL        */
    const uint8_t *edge_label; /**< (n_edge) 1: leads to an attack; of streamed sets, else NULL */
} ci_graph_view;

/** What reads graphs: room for one of them, and a builder where they are built; one a thread. */
typedef struct ci_reader ci_reader;
ci_rc ci_reader_create(const ci_store *st, ci_reader **out); /**< CI_OK or CI_ENOMEM */
void ci_reader_destroy(ci_reader **r);                       /**< NULL-safe          */

/** Graph g of the store.  Allocates nothing. */
void ci_store_graph(ci_reader *r, int64_t g, ci_graph_view *out);

/** Half precision: the nearest half, of two equally near ones the even one.  |half - x| <= 2^-11 |x|, below 2^-14
 *  <= 2^-25; values beyond +-65504, infinities too, become +-65504; NaN stays NaN; the sign of zero is kept. */
void ci_half_from_f32(const float *x, size_t n, uint16_t *out);
void ci_half_to_f32(const uint16_t *h, size_t n, float *out);

#endif
