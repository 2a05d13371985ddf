#ifndef CI_SCALER_H
#define CI_SCALER_H
/** Standard scores: (v - mean) / spread, clipped at +-10.  Fitted on benign training graphs with
 *  exact integer sums, so that it depends on nothing but those graphs. */
#include "ci/comm.h"
#include "ci/store.h"

enum { CI_SCALER_MAX = 128 };
#define CI_SCALER_NOTHING 1e300 /**< spread of a column that is an index (CI_SCALE_INDEX): every value becomes 0 */

typedef struct ci_scaler {
    ci_lid n_node, n_edge;
    double node_mean[CI_SCALER_MAX], node_spread[CI_SCALER_MAX]; /**< spread: population, at least
                                                                      1e-6 max(1, |mean|)          */
    double edge_mean[CI_SCALER_MAX], edge_spread[CI_SCALER_MAX];
} ci_scaler;

/** Fit on those of the n graphs that are benign.  Collective: each rank sums its share.
 *  \return CI_OK, CI_EDATA (no benign graph), CI_ENOMEM */
ci_rc ci_scaler_fit(const ci_comm *comm, const ci_store *st, const int64_t *graph, int64_t n,
                    ci_scaler *out);

/** Scale n rows of nodes, of edges; out may be x or e itself. */
void ci_scaler_nodes(const ci_scaler *s, const float *x, int64_t n, float *out);
void ci_scaler_edges(const ci_scaler *s, const float *e, int64_t n, float *out);

#endif
