#ifndef CI_METRIC_H
#define CI_METRIC_H
/** What scores are worth: curves, counts, thresholds and their uncertainty.
 *
 *  Everywhere: score[n] is the higher the more it looks like an attack, label[n] is 1 for attack
 *  and 0 for benign, and a window is called an attack when score >= threshold.  Inputs are
 *  borrowed and stay as they are.  Nothing here is collective.  Counting is done in integers, so
 *  the only rounding is that of the final division.
 *
 *  Errors of every function that takes scores: CI_EARG (n is not in 0 .. 2^31-1, or a label above
 *  1), CI_ENUMERIC (a score is not finite, with its place), CI_ENOMEM.  n == 0 counts as one
 *  class. */
#include <stdbool.h>
#include <stdint.h>
#include "ci/rc.h"

/** Area under the ROC curve: the share of (attack, benign) pairs in which the attack has the
 *  higher score; a tie counts one half.  Source: Mann and Whitney 1947; Hanley, McNeil 1982.
 *  \return CI_OK; CI_EDATA when there are not both classes; the errors above */
ci_rc ci_auroc(const double *score, const uint8_t *label, int64_t n, double *out);

/** Average precision: sum over distinct scores, highest first, of (R_k - R_(k-1)) P_k, where P_k
 *  and R_k are precision and recall with that score as threshold: equal scores are one step, and
 *  nothing is interpolated.  Source: scikit-learn, average_precision_score.
 *  \return as ci_auroc */
ci_rc ci_average_precision(const double *score, const uint8_t *label, int64_t n, double *out);

/** The threshold with the greatest J = recall - FPR (Youden 1950), in the middle of the gap
 *  between the two neighbouring distinct scores around the best cut.  Among cuts of equal J the
 *  one with the lowest FPR, that is the highest threshold.  Calling nothing an attack is a cut
 *  too, with J = 0: when no other cut is better (all scores equal, or ranked the wrong way) the
 *  threshold is the next double above the highest score.
 *  \param [out] out_j  J at that threshold; may be NULL
 *  \return as ci_auroc */
ci_rc ci_youden(const double *score, const uint8_t *label, int64_t n, double *out_threshold,
                double *out_j);

/** The threshold with the greatest F1, in the middle of the gap between the two neighbouring distinct scores around the best
 *  cut, or the lowest score where calling everything an attack is best.  Among cuts of equal F1 the highest threshold.
 *  \param [out] out_f1  F1 at that threshold; may be NULL
 *  \return as ci_auroc */
ci_rc ci_most_f1(const double *score, const uint8_t *label, int64_t n, double *out_threshold, double *out_f1);

/** The threshold above which, but not at which, a window is called an attack: the next double above the `share` quantile of
 *  the benign windows' scores, linear between order statistics (numpy.quantile).
 *  \param [in] share  in 0 .. 1
 *  \return CI_OK; CI_EDATA when there is no benign window; CI_EARG (share); the errors above */
ci_rc ci_above_benign(const double *score, const uint8_t *label, int64_t n, double share, double *out_threshold);

typedef struct ci_counts { int64_t tp, fp, tn, fn; } ci_counts;

/** Count at one threshold.  One class is fine.  \return CI_OK or the errors above */
ci_rc ci_confusion(const double *score, const uint8_t *label, int64_t n, double threshold,
                   ci_counts *out);

/** Ratios of counts; each is 0 where its denominator is 0. */
double ci_accuracy(ci_counts c);          /**< (tp + tn) / n                                  */
double ci_precision(ci_counts c);         /**< tp / (tp + fp)                                 */
double ci_recall(ci_counts c);            /**< tp / (tp + fn)                                 */
double ci_fpr(ci_counts c);               /**< fp / (fp + tn)                                 */
double ci_f1(ci_counts c);                /**< 2 tp / (2 tp + fp + fn)                        */
double ci_specificity(ci_counts c);       /**< tn / (tn + fp)                                 */
double ci_fnr(ci_counts c);               /**< fn / (fn + tp)                                 */
double ci_balanced_accuracy(ci_counts c); /**< (recall + specificity) / 2                     */
double ci_macro_f1(ci_counts c);          /**< (f1 + 2 tn / (2 tn + fn + fp)) / 2             */
double ci_kappa(ci_counts c);             /**< 2 (tp tn - fn fp) / ((tp+fp)(fp+tn) + (tp+fn)(fn+tn)),
                                               Cohen 1960                                     */
double ci_mcc(ci_counts c);               /**< (tp tn - fp fn) / sqrt((tp+fp)(tp+fn)(tn+fp)(tn+fn)),
                                               Matthews 1975                                  */

/** What has an interval, and its place in lo[] and hi[]. */
typedef enum ci_metric {
    CI_METRIC_AUROC, CI_METRIC_AP, CI_METRIC_F1, CI_METRIC_MCC, CI_METRIC_FPR, CI_METRIC_ACCURACY,
    CI_METRIC_COUNT
} ci_metric;

const char *ci_metric_name(ci_metric m); /**< "auroc", "average_precision", "f1", ...; static */

/** Bootstrap over blocks of `block` consecutive windows of one capture; the last block of a
 *  capture may be shorter.  A draw takes as many blocks as there are, with replacement: block
 *  ci_below(ci_philox(seed, CI_RANDOM_BOOTSTRAP, draw, k, 0, 0).v[0], blocks) is its k-th.
 *  Source: Davison, Hinkley, "Bootstrap methods", 1997: blocks 8.2.3, percentiles 5.3. */
typedef struct ci_bootstrap {
    uint32_t seed;
    int32_t block; /**< windows of a block, at least 1; DESIGN.md: 20      */
    int32_t draws; /**< 0: no intervals; DESIGN.md: 1000                   */
} ci_bootstrap;

/** Places on the curves that a reader asks for; thresholds are distinct scores here, never points
 *  between them, so that each is a detector that could be run. */
enum { CI_FPR_POINTS = 3 };
double ci_fpr_point(int i); /**< .05, .01, .001 */
static const double ci_recall_point = 0.95, ci_precision_point = 0.99;

typedef struct ci_operating {
    double recall_at_fpr[CI_FPR_POINTS]; /**< the highest recall whose FPR is at most that   */
    double precision_at_recall; /**< the highest precision whose recall is at least .95      */
    double recall_at_precision; /**< the highest recall whose precision is at least .99; 0 when
                                     no cut has it                                            */
} ci_operating;

/** \return as ci_auroc */
ci_rc ci_operating_compute(const double *score, const uint8_t *label, int64_t n, ci_operating *out);

/** A curve in order of descending threshold: one point for each distinct score, the windows with at
 *  least that score called attacks, and before them the point where nothing is called one, whose
 *  threshold is infinite (and whose precision is 1 by convention). */
typedef enum ci_curve_kind {
    CI_CURVE_ROC, /**< x false positive rate, y recall */
    CI_CURVE_PR   /**< x recall, y precision           */
} ci_curve_kind;

typedef struct ci_curve {
    int32_t n;
    double *x, *y, *threshold; /**< (n); owned                                                */
    int32_t n_whole;           /**< points before thinning                                    */
} ci_curve;

/** A curve of at most `max` points.  Where there are more, the point whose triangle with its two
 *  neighbours is smallest goes first, until `max` are left: what goes is what changes the drawing and
 *  the area under it least, so points on a straight line before corners.  Of equal triangles the
 *  one with the highest threshold goes.  Both ends stay, and with max >= 3 the point at which the
 *  windows with at least `threshold` are called attacks.
 *  Source: Visvalingam, Whyatt, "Line generalisation by repeated elimination of points", 1993.
 *  \param [in]  max  2 or more
 *  \param [out] out  on CI_OK the caller's, to ci_curve_release
 *  \return as ci_auroc; CI_EARG (max), CI_ENUMERIC (threshold is not finite) */
ci_rc ci_curve_compute(const double *score, const uint8_t *label, int64_t n, ci_curve_kind kind, double threshold,
                       int32_t max, ci_curve *out);
void ci_curve_release(ci_curve *c); /**< NULL-safe; leaves *c zero */

/** How far scores are from being probabilities.  Bin b of CI_CALIBRATION_BINS has the scores with
 *  floor(15 score) = b, and a score of 1 is in the last. */
enum { CI_CALIBRATION_BINS = 15 };

typedef struct ci_calibration {
    double brier; /**< mean of (score - label)^2; Brier 1950                                  */
    double ece;   /**< sum over bins of n/N |share of attacks - mean score|; Naeini et al. 2015 */
    int64_t n[CI_CALIBRATION_BINS], n_attack[CI_CALIBRATION_BINS];
    double mean[CI_CALIBRATION_BINS]; /**< of the scores in the bin, 0 where it is empty      */
} ci_calibration;

/** One class is fine; n == 0 gives zeros.
 *  \return CI_OK, CI_EARG (also: a score outside 0 .. 1), CI_ENUMERIC */
ci_rc ci_calibration_compute(const double *score, const uint8_t *label, int64_t n, ci_calibration *out);

/** Everything a line of the results table says. */
typedef struct ci_scores {
    int64_t n, n_attack;
    int64_t n_cold;    /**< windows that were too early to be judged, and so are called benign   */
    bool one_class;    /**< not both classes among the others: auroc, ap, on, lo and hi are NaN; report counts    */
    double threshold;
    ci_counts at;      /**< counts at the threshold                                              */
    double auroc, ap, f1, mcc, fpr, accuracy, precision, recall, balanced_accuracy;
    double specificity, fnr, macro_f1, kappa;
    ci_operating on;   /**< NaN with one class                                                   */
    int32_t n_block;   /**< blocks that were drawn from                                          */
    int32_t draws;     /**< draws that the intervals come from: those with both classes          */
    double lo[CI_METRIC_COUNT]; /**< 2.5 % percentile over draws, linear between order statistics
                                     (numpy's default); NaN when draws is 0                      */
    double hi[CI_METRIC_COUNT]; /**< 97.5 %                                                      */
} ci_scores;

/** The value that lo[m] and hi[m] are about. */
double ci_scores_value(const ci_scores *s, ci_metric m);

/** Judge n scores at a threshold that was fixed before.  Allocates about 24 bytes a score while
 *  it works.
 *  \param [in]  capture  (n) which capture a window is from; windows of one capture are
 *                        neighbours in order of time.  NULL: all of one capture
 *  \return CI_OK, also with one class; CI_EARG, CI_ENUMERIC (threshold or score is not finite),
 *          CI_ENOMEM; *out is written only on CI_OK */
ci_rc ci_scores_compute(const double *score, const uint8_t *label, const int32_t *capture,
                        int64_t n, double threshold, ci_bootstrap boot, ci_scores *out);

/** As ci_scores_compute, with windows that are too early in their stream to be judged: below any threshold, whatever their
 *  score, they are called benign in all counts and what follows from them, attacks among them are misses; auroc, ap and `on`
 *  are of the other windows.  Source: detection.md 1.
 *  \param [in] cold  (n) 1: such a window; NULL: there is none */
ci_rc ci_scores_compute_cold(const double *score, const uint8_t *label, const int32_t *capture, const uint8_t *cold,
                             int64_t n, double threshold, ci_bootstrap boot, ci_scores *out);

#endif
