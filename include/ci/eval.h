#ifndef CI_EVAL_H
#define CI_EVAL_H
/** Evaluation of the best checkpoint (eval.weights) on every test folder and every attack.
 *
 *  The threshold is that of validation, or of what fold models say of captures that they have not seen (split.folds;
 *  eval.threshold).  In either case the hash of the settings and the commit of the program
 *  are fixed before the first test score is computed, and are part of the result. */
#include "ci/comm.h"
#include "ci/conf.h"
#include "ci/split.h"
#include "ci/store.h"

/** Frames: of a gat with a message head (model.message_head) every line has `frames` in results.json: the same of frames one by one, each
 *  once although windows may overlap.  The score of a frame is the log-odds of the edge that leads to it, of a window's first frame,
 *  to which none does, the window's; where the store does not tell that frame's label (in a window with other attacks) it is left out
 *  and counted as `unlabelled`.  Frames of cold windows are called benign.  The threshold is t1 of frames out of fold, or b998 where
 *  eval.threshold says so; without folds Youden-J on the frames of validation. */

/** Score all test and validation graphs, leave results.json, results.csv, scores.h5 and, with
 *  eval.explain, explain.h5 in run.dir, print the table on standard output of rank 0.  Collective.
 *  \param [in] store_sha  SHA-256 of the store's file
 *  \param [in] code       version and commit of the program
 *  \return CI_OK; CI_ENOENT (no checkpoint); CI_ECONF (checkpoint of another store or model, or inside an
 *          epoch; no test folder); CI_EFORMAT; CI_EIO; CI_ECREATE; CI_ENOMEM */
ci_rc ci_eval(const ci_comm *comm, const ci_conf *conf, const ci_store *st, const char *store_sha,
              const char *code);

/** Judge with the best weights of each fold model (<run.dir>/fold_<k>) the windows of the captures that it has not seen, recorded
 *  ones and, where such are learned from, injected ones: pooled, these are the scores that eval.threshold t1 and b998 are of.
 *  A gat's score is its log-odds here, the difference of its logits: probabilities are all alike near 1.  A vgae's is calibrated
 *  by each fold model itself.  Benign windows of captures with attacks count as such.  Leaves folds.json in run.dir.  Collective.
 *
 *      t1    the largest F1 of the pooled scores, in the middle of the gap (ci_most_f1); null without attacks
 *      b998  above the .998 quantile of the pooled benign scores (ci_above_benign)
 *
 *  \return as ci_eval; CI_EDATA when no benign window is left out */
ci_rc ci_folds_judge(const ci_comm *comm, const ci_conf *conf, const ci_store *st, const char *store_sha);

/** What folds.json says. */
typedef struct ci_fold_thresholds {
    double t1, b998;          /**< t1: NaN without attacks                                     */
    double frame_t1, frame_b998; /**< the same of frames, NaN of a model that does not judge them */
    int32_t n;                /**< fold models                                                 */
    char weights[CI_FOLDS_MAX][CI_SHA256_HEX]; /**< (n) of each                                */
    char sha[CI_SHA256_HEX];  /**< SHA-256 of folds.json                                       */
} ci_fold_thresholds;

/** Not collective.  \return CI_OK; CI_ENOENT, CI_EFORMAT; CI_ECONF when it is of other settings or another store */
ci_rc ci_folds_read(const ci_conf *conf, const char *store_sha, ci_fold_thresholds *out);

/** Is the threshold of folds.json, rather than of validation? */
bool ci_eval_folded(const ci_conf *conf);

/** What evaluation depends on in the settings. */
void ci_eval_settings(const ci_conf *conf, char out[CI_SHA256_HEX]);

/** Print results.json of a run directory as the table.  Not collective. */
ci_rc ci_eval_print(const char *run_dir);

#endif
