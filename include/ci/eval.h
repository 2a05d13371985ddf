#ifndef CI_EVAL_H
#define CI_EVAL_H
/** Evaluation of the best checkpoint (eval.weights) on every test folder and every attack.
 *
 *  The threshold is that of validation; the hash of the settings and the commit of the program
 *  are fixed before the first test score is computed, and are part of the result. */
#include "ci/comm.h"
#include "ci/conf.h"
#include "ci/store.h"

/** Score all test and validation graphs, leave results.json, results.csv, scores.h5 and, with
 *  eval.explain, explain.h5 in run.dir, print the table on standard output of rank 0.  Collective.
 *  \param [in] store_sha  SHA-256 of the store's file
 *  \param [in] code       version and commit of the program
 *  \return CI_OK; CI_ENOENT (no checkpoint); CI_ECONF (checkpoint of another store or model, or inside an
 *          epoch; no test folder); CI_EFORMAT; CI_EIO; CI_ECREATE; CI_ENOMEM */
ci_rc ci_eval(const ci_comm *comm, const ci_conf *conf, const ci_store *st, const char *store_sha,
              const char *code);

/** What evaluation depends on in the settings. */
void ci_eval_settings(const ci_conf *conf, char out[CI_SHA256_HEX]);

/** Print results.json of a run directory as the table.  Not collective. */
ci_rc ci_eval_print(const char *run_dir);

#endif
