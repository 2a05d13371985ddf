#ifndef BATCH_PRIV_H
#define BATCH_PRIV_H
/* What the files of batch/ share. */
#include "ci/scaler.h"

/* Least spread of a column: a constant one must not become a division by nothing. */
double spread_floored(double mean, double spread);

/* Median and quartile range of each column over the benign ones of n graphs, which have n_node > 0 rows of
 * nodes and n_edge of edges.  Collective. */
ci_rc quartiles_fit(const ci_comm *comm, const ci_store *st, const int64_t *graph, int64_t n, int64_t n_node,
                    int64_t n_edge, ci_scaler *out);

#endif
