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

/** \param [in] compat  the reference's edges (W-2, one step behind; reference-system 4.4) instead
 *                      of ours (W-1, t to t+1)
 *  \return CI_OK, CI_ENOMEM, or CI_ECONF when W is below 2 (3 with compat) or above 65535 */
ci_rc ci_builder_create(const ci_feature_set *set, ci_lid frames, bool compat, ci_builder **out);
void ci_builder_destroy(ci_builder **b); /**< NULL-safe */

ci_lid ci_builder_edges(const ci_builder *b); /**< edges of every graph: W-1, or W-2 with compat */

/** Distinct identifiers (nodes) and label of the window at rows r .. r+W-1 of the table. */
ci_lid ci_window_nodes(ci_builder *b, const ci_table *t, ci_lid r, uint8_t *out_attack);

/** Build the graph of the window at rows r .. r+W-1 of the table and append it.
 *  Features: reference-system.md 4.4 and 4.6 (kd35).  Accumulates in double, stores float.
 *  \return CI_OK, or CI_EARG when g has no room */
ci_rc ci_window_build(ci_builder *b, const ci_table *t, ci_lid r, ci_graphs *g);

#endif
