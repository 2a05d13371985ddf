#ifndef CI_GRAPH_H
#define CI_GRAPH_H
/** A run of graphs, one after the other: what preparation builds and the store takes. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ci/rc.h"
#include "ci/types.h"

/** What happens to a column before a model sees it. */
typedef enum ci_scaling {
    CI_SCALE_Z,    /**< (v - mean) / spread of the benign training graphs, clipped at 10       */
    CI_SCALE_INDEX, /**< a number of the vocabulary: models embed it, as a quantity it is 0    */
    CI_SCALE_ALL    /**< (v - mean) / spread of all training graphs, attacks too, clipped at 10: of
                         a column that benign traffic hardly ever moves                        */
} ci_scaling;

/** Evidence of one kind, which training may take away together (train.group_drop). */
typedef enum ci_group {
    CI_GROUP_NONE,    /**< never taken away                                                   */
    CI_GROUP_NOVELTY, /**< identifiers that are new or rare                                   */
    CI_GROUP_EDGE,    /**< successions that are new or rare                                   */
    CI_GROUP_TIMING,  /**< intervals and rates against the identifier's own                   */
    CI_GROUP_RATE,    /**< of the whole bus                                                   */
    CI_GROUP_SHAPE,   /**< how identifiers are distributed in a window                        */
    CI_GROUP_PAYLOAD, /**< payloads against the identifier's own                              */
    CI_GROUP_COUNT
} ci_group;

/** One column of a feature set. */
typedef struct ci_feature {
    const char *name;    /**< "byte0_mean"                                                     */
    const char *unit;    /**< "1", "s", "count"                                                */
    const char *formula; /**< as in the documentation                                          */
    int16_t log2_scale;  /**< a half-precision column holds value * 2^log2_scale               */
    ci_scaling scaling;
    ci_group group;      /**< what kind of evidence it is                                     */
} ci_feature;

/** A feature set: names, units and formulas of the columns of nodes and edges.  Static. */
typedef struct ci_feature_set {
    const char *name;          /**< "kd35"                                                     */
    int version;
    bool merged;               /**< edges of the same ends are one: graphs differ in edges      */
    bool single;               /**< columns need single precision; log2_scale only says how large
                                    they get: below 2^(20 - log2_scale)                        */
    bool stream;               /**< built by ci/stream.h, window after window: windows have columns
                                    of their own and may be too early to be judged, edges have labels;
                                    false: by ci/window.h, each window alone                   */
    ci_lid n_node, n_edge;     /**< columns of a node, of an edge                              */
    ci_lid n_window;           /**< columns of a window; 0 unless `stream`                     */
    const ci_feature *node;    /**< (n_node)                                                   */
    const ci_feature *edge;    /**< (n_edge)                                                   */
    const ci_feature *window;  /**< (n_window)                                                 */
} ci_feature_set;

/** The feature set called `name`, NULL when there is none. */
const ci_feature_set *ci_feature_set_find(const char *name);

/** The set of these settings: "agnostic" has one set for what it knows of the past (features.past): agnostic-none,
 *  agnostic-both, and agnostic for all else; other sets are found by their name.  NULL when there is none. */
const ci_feature_set *ci_feature_set_of(const char *set, const char *past);

/** Set number i, in the order of documentation; NULL behind the last. */
const ci_feature_set *ci_feature_set_at(size_t i);

/** Frames that a window of W reads: W, but W+1 for kd11 with compat, whose W pairs end at the next
 *  window's first frame. */
ci_lid ci_feature_rows(const ci_feature_set *set, ci_lid frames, bool compat);

/** Edges of a graph of a window of W, where edges are merged the most it can have: W-1; with compat
 *  W-2 for kd35, W for kd11. */
ci_lid ci_feature_edges(const ci_feature_set *set, ci_lid frames, bool compat);

typedef struct ci_graphs {
    const ci_feature_set *set;            /**< borrowed                                        */
    ci_lid n_graph, n_node, n_edge;       /**< in use                                          */
    ci_lid cap_graph, cap_node, cap_edge; /**< room                                            */
    ci_lid *node_first;  /**< (n_graph + 1) first node of each graph; owned                    */
    ci_lid *edge_first;  /**< (n_graph + 1) first edge of each graph; owned                    */
    ci_gid *row;         /**< (n_graph) first row of the window in its capture; owned          */
    uint8_t *attack;     /**< (n_graph) 1 when any frame of the window is an attack; owned     */
    uint8_t *warm;       /**< (n_graph) set->stream: 0 when too little is known yet to judge the window, which
                              then counts as called benign; else NULL; owned                   */
    float *w;            /**< (n_graph, set->n_window) unscaled; NULL without columns; owned   */
    uint32_t *id;        /**< (n_node) raw identifier, ascending within a graph; owned         */
    float *x;            /**< (n_node, set->n_node) unscaled; owned                            */
    ci_lid *src, *dst;   /**< (n_edge) positions in the graph's nodes, in order of time, merged ones
                              in order of (src, dst); owned                                    */
    float *e;            /**< (n_edge, set->n_edge) unscaled; owned                            */
    uint8_t *edge_attack; /**< (n_edge) set->stream: 1 when the frame that the edge leads to is an attack;
                               else NULL; owned                                                */
} ci_graphs;

/** Make room for n_graph graphs of at most max_node nodes and max_edge edges each.
 *  \return CI_OK or CI_ENOMEM; on CI_OK *g is empty and the caller's, to ci_graphs_release */
ci_rc ci_graphs_init(ci_graphs *g, const ci_feature_set *set, ci_lid n_graph, ci_lid max_node,
                     ci_lid max_edge);
void ci_graphs_clear(ci_graphs *g);   /**< no graphs, memory kept       */

/** Is it what the store may take: offsets and labels that can be, identifiers ascending, edges between the
 *  graph's own nodes, every value finite, counts not negative, shares in [0,1]?  Called on every run before it
 *  is put: a bug of ours ends there, not in a model.
 *  \return CI_OK, or CI_EINTERNAL with the window, the column and the value */
ci_rc ci_graphs_check(const ci_graphs *g);

void ci_graphs_release(ci_graphs *g); /**< NULL-safe; leaves *g zero    */

#endif
