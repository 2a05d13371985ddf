#ifndef BATCH_PRIV_H
#define BATCH_PRIV_H
/* What the files of batch/ share. */
#include "ci/scaler.h"

/* Least spread of a column: a constant one must not become a division by nothing. */
double spread_floored(double mean, double spread);

/* Rows of the nodes, edges and windows that a scaler is fitted on. */
struct scaler_rows {
    int64_t node, edge, window;
};

/* Median and quartile range of each column but those with CI_SCALE_ALL over the warm and benign ones of n graphs,
 * which have so many rows, some nodes among them.  Collective. */
ci_rc quartiles_fit(const ci_comm *comm, const ci_store *st, const int64_t *graph, int64_t n, const struct scaler_rows *rows,
                    ci_scaler *out);

#endif
