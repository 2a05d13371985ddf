#ifndef CI_METRIC_PRIV_H
#define CI_METRIC_PRIV_H
#include "ci/metric.h"

/** Scores in descending order; equal ones are neighbours, in order of their place. */
typedef struct ranked {
    int32_t n, n_attack;
    int32_t *place; /**< (n) where in the input; owned                                    */
    uint8_t *label; /**< (n) of place[k]; owned                                           */
    uint8_t *last;  /**< (n) 1 where the next score differs: a step of the curve; owned   */
} ranked;

/** \return CI_OK, CI_EARG, CI_ENUMERIC or CI_ENOMEM */
ci_rc ci_ranked_build(const double *score, const uint8_t *label, int64_t n, ranked *out);
void ci_ranked_release(ranked *r);

/** Areas, from whole numbers of attack and benign windows; both classes are there. */
typedef struct areas { double auroc, ap; } areas;

/** With times[block[place]] copies of every window; block NULL: one copy each.  False when the
 *  copies are not of both classes, and then *out is not written. */
bool ci_ranked_areas(const ranked *r, const int32_t *block, const int32_t *times, areas *out);

/** numpy.percentile(v, 100 share), method linear; v ascending, n > 0. */
double ci_percentile(const double *v, int32_t n, double share);

/** Both classes are there. */
void ci_ranked_operating(const ranked *r, ci_operating *out);

/** Fill lo, hi, draws and n_block of s->n windows, of which those that are not cold are ranked.  \return CI_OK or CI_ENOMEM */
ci_rc ci_metric_intervals_fill(const ranked *r, const double *score, const uint8_t *label, const int32_t *capture,
                               const uint8_t *cold, ci_bootstrap boot, ci_scores *s);

#endif
