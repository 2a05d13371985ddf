#ifndef CI_WINDOW_H
#define CI_WINDOW_H
/** Sliding windows and their graphs.
 *
 *  Windows of a capture start at rows 0, S, 2S, ...; only complete ones count; nothing crosses a
 *  capture.  A window belongs to the block in which its first row lies. */
#include <stdbool.h>
#include "ci/graph.h"
#include "ci/table.h"

/** max(0, floor((n - W) / S) + 1). */
ci_gid ci_window_count(ci_gid n_row, ci_gid frames, ci_gid stride);

/** Number of the first window that starts at or after `row`: ceil(row / S). */
ci_gid ci_window_at(ci_gid row, ci_gid stride);

/** A builder's working memory for windows of W frames; one a thread. */
typedef struct ci_builder ci_builder;

/** For sets that are built from the stream (ci/stream.h) it counts the windows of (and edges: W-1), and builds nothing.
 *  \param [in] compat  the reference's pairs instead of ours (t to t+1, W-1 of them): for kd35 W-2,
 *                      one step behind (reference-system 4.4), for kd11 W, the last one with the
 *                      first frame after the window (4.3)
 *  \return CI_OK, CI_ENOMEM, or CI_ECONF when W is below 2 (3 for kd35 with compat, 4 for streamed sets, which
 *          have no compat) or above 65535 */
ci_rc ci_builder_create(const ci_feature_set *set, ci_lid frames, bool compat, ci_builder **out);
void ci_builder_destroy(ci_builder **b); /**< NULL-safe */

/** The vocabulary, for features that are numbers of it; without it every identifier is unknown (0).
 *  \param [in] id, number  (n) identifiers, ascending, and their numbers; borrowed while b lives */
void ci_builder_number(ci_builder *b, const uint32_t *id, const int32_t *number, int32_t n);

ci_lid ci_builder_edges(const ci_builder *b); /**< ci_feature_edges of its settings */

/** Distinct identifiers (nodes) and label of the window at row r of the table.  A window takes
 *  ci_feature_rows rows; its label is that of the first W. */
ci_lid ci_window_nodes(ci_builder *b, const ci_table *t, ci_lid r, uint8_t *out_attack);

/** Edges of the graph of the window whose nodes were just counted. */
ci_lid ci_window_edges(ci_builder *b, const ci_table *t, ci_lid r, ci_lid n_node);

/** Build the graph of the window at row r of the table and append it.
 *  Features: reference-system.md 4.3, 4.4 and 4.6.  Accumulates in double, stores float.
 *  \return CI_OK, CI_EARG when g has no room for the most edges it can have; CI_ECONF for a streamed set */
ci_rc ci_window_build(ci_builder *b, const ci_table *t, ci_lid r, ci_graphs *g);

/** Append what is known of that graph without its nodes and edges: its row, its label and how many it
 *  has.  \return as ci_window_build */
ci_rc ci_window_outline(ci_builder *b, const ci_table *t, ci_lid r, ci_graphs *g);

#endif
