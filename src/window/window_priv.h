#ifndef CI_WINDOW_PRIV_H
#define CI_WINDOW_PRIV_H
/** What the files of window/ share.  A graph is built in four strides over the window: its distinct
 *  identifiers, its frames grouped by node, the relation of its edges, the rows of features. */
#include "ci/window.h"

enum {
    NARROW = 2048,  /**< identifiers below are marked in a bit map, the others hashed           */
    DENSE = 128,    /**< up to this many nodes, pairs are counted in a matrix                    */
    SUM_MAX = 2041, /**< sums of eight bytes: 0 .. 2040                                          */
    KD35_NODE = 35,
    KD35_EDGE = 11,
    KD11_NODE = 11,
    KD11_EDGE = 11
};

/** An identifier at or above NARROW; taken when its stamp is the builder's. */
struct wide {
    uint32_t id, stamp;
    ci_lid node;
};

/** A directed pair of nodes; taken when its stamp is the builder's. */
struct pair {
    uint64_t key;
    uint32_t stamp;
    ci_lid count;
};

/** Edges and features of the window at row r behind those of g.  \return how many edges */
typedef ci_lid ci_window_kernel(ci_builder *b, const ci_table *t, ci_lid r, ci_lid n_node,
                                ci_graphs *g);

/** What a merged edge is computed from. */
struct merged {
    ci_lid count, first, last; /**< pairs, positions of the first and the last of them          */
    int64_t gap2;              /**< sum of the squares of the gaps between them                  */
};

struct ci_builder {
    const ci_feature_set *set; /**< borrowed                                                    */
    ci_lid frames;             /**< W                                                           */
    ci_lid rows;               /**< frames that a window reads: W, or W+1                       */
    ci_lid first_edge;         /**< frame of the first edge's source: 0, 1 for kd35 with compat */
    ci_lid n_edge;             /**< pairs of frames: edges of every graph, or what merges into them */
    ci_window_kernel *kernel;
    double nlogn[SUM_MAX]; /**< n ln n, 0 at 0                                                  */

    /* distinct identifiers */
    uint64_t seen[NARROW / 64]; /**< bit map of the window's identifiers below NARROW           */
    uint16_t rank[NARROW];      /**< node of each of them                                       */
    uint32_t stamp;             /**< of this window, in wide and pair                           */
    int shift;                  /**< 32 - log2 of the room in wide and pair                     */
    struct wide *wide;          /**< open hash, at least 2 W slots; owned                       */
    uint32_t *wide_id;          /**< (W) its identifiers, then ascending; owned                 */
    ci_lid n_wide;

    /* of merged edges alone */
    float *share;             /**< (rows) k / n_edge; owned                                      */
    uint16_t *edge_of;        /**< (DENSE * DENSE) edge from s to d where there is one; owned     */
    ci_lid *edge_at;          /**< (rows) edge of each pair; owned                               */
    struct merged *merged;    /**< (rows) owned                                                 */
    uint32_t (*sum)[8];       /**< (rows) sums of a node's bytes; owned                         */
    int32_t of_narrow[NARROW]; /**< number in the vocabulary of the identifiers below NARROW     */
    const uint32_t *known;    /**< (n_known) identifiers with a number, ascending; borrowed     */
    const int32_t *number;    /**< (n_known) borrowed                                           */
    int32_t n_known;

    /* frames grouped by node, in order of time within a node */
    ci_lid *node;    /**< (rows) node of each frame; owned                                      */
    ci_lid *first;   /**< (W + 1) first grouped frame of each node; owned                       */
    ci_lid *next;    /**< (W) where a node's next frame goes; owned                             */
    ci_lid *early;   /**< (W) its frames in the window's first half; owned                      */
    uint64_t *data;  /**< (W) owned                                                             */
    int64_t *t_ns;   /**< (W) owned                                                             */
    double *entropy; /**< (W) owned                                                             */

    /* relation of the edges */
    uint16_t *matrix;              /**< (DENSE * DENSE) edges from s to d, 0 between windows; owned */
    uint64_t near[DENSE][2];       /**< neighbours as bits                                      */
    struct pair *pair;             /**< open hash of pairs above DENSE nodes; owned             */
    ci_lid *pair_at;               /**< (W) slot of each edge's pair; owned                     */
    ci_lid *list_first, *list;     /**< (W + 1), (2 W) neighbours as lists; owned               */
    ci_lid *mark;                  /**< (W) node whose neighbours are marked, plus 1; owned     */
    int64_t *triangle;             /**< (W) twice the triangles at a node; owned                */
    double *clustering;            /**< (W) owned                                               */
};

/** Mark the window's identifiers and count the distinct ones. */
ci_lid ci_distinct_mark(ci_builder *b, const uint32_t *id);

/** After ci_distinct_mark on the same identifiers: out gets them ascending, b->node each frame's. */
void ci_distinct_order(ci_builder *b, const uint32_t *id, uint32_t *out);

/** Columns bidir and edge_freq of the edges and b->clustering, for any number of nodes. */
void ci_relation_sparse(ci_builder *b, ci_lid n_node, const ci_lid *src, const ci_lid *dst, float *e);

/** The distinct pairs of the window, in order of (src, dst), and b->edge_at.
 *  \return how many; src and dst have room for n_edge */
ci_lid ci_merge(ci_builder *b, ci_lid n_node, ci_lid *src, ci_lid *dst);

/** After ci_merge on the same window: is there an edge from s to d? */
bool ci_merged_has(const ci_builder *b, ci_lid n_node, const ci_lid *dst, ci_lid s, ci_lid d);

/** Number of an identifier in the vocabulary, 0 unknown. */
int32_t ci_number(const ci_builder *b, uint32_t id);

/* One source, three instruction sets, the same bits: no sum is reordered, no product contracted. */
ci_window_kernel ci_kd35_avx512, ci_kd35_avx2, ci_kd35_generic;
ci_window_kernel ci_kd11_avx512, ci_kd11_avx2, ci_kd11_generic;

#endif
