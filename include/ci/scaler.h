#ifndef CI_SCALER_H
#define CI_SCALER_H
/** Columns shifted and scaled: (v - mean) / spread, cut at +- clip.  Fitted on benign training graphs (columns with
 *  CI_SCALE_ALL: on all of them) that are not too early in their stream, with integers (sums, counts), so that a scaler
 *  depends on nothing but those graphs. */
#include "ci/comm.h"
#include "ci/store.h"

enum { CI_SCALER_MAX = 192, CI_SCALER_CLIP = 10 };
#define CI_SCALER_NOTHING 1e300 /**< spread of a column that is an index (CI_SCALE_INDEX): every value becomes 0 */

typedef enum ci_scaler_kind {
    CI_SCALER_ZSCORE, /**< mean and population standard deviation                                     */
    CI_SCALER_ROBUST, /**< median, and upper less lower quartile, linear between neighbours as
                           numpy.quantile; exact                                                      */
    CI_SCALER_NONE    /**< values as they are: mean 0, spread 1, no clip                              */
} ci_scaler_kind;

ci_scaler_kind ci_scaler_kind_of(const char *name); /**< zscore, robust, none: train.scale */

typedef struct ci_scaler {
    ci_lid n_node, n_edge, n_window;
    double clip; /**< largest magnitude of what comes out; 0: none                                   */
    double node_mean[CI_SCALER_MAX], node_spread[CI_SCALER_MAX]; /**< mean or median; spread: at least
                                                                      1e-6 max(1, |mean|)          */
    double edge_mean[CI_SCALER_MAX], edge_spread[CI_SCALER_MAX];
    double window_mean[CI_SCALER_MAX], window_spread[CI_SCALER_MAX];
} ci_scaler;

/** Fit on those of the n graphs that are warm, and benign for all columns but those with CI_SCALE_ALL.  Collective: each rank reads its share, once for
 *  zscore, three times for robust, which needs 4.5 MB for kd35 however many graphs there are.
 *  \return CI_OK, CI_EDATA (no such graph; none does without), CI_ENOMEM */
ci_rc ci_scaler_fit(const ci_comm *comm, const ci_store *st, const int64_t *graph, int64_t n,
                    ci_scaler_kind kind, ci_scaler *out);

/** Scale n rows of nodes, of edges, of windows; out may be x, e or w itself. */
void ci_scaler_nodes(const ci_scaler *s, const float *x, int64_t n, float *out);
void ci_scaler_edges(const ci_scaler *s, const float *e, int64_t n, float *out);
void ci_scaler_windows(const ci_scaler *s, const float *w, int64_t n, float *out);

#endif
