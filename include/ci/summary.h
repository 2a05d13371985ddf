#ifndef CI_SUMMARY_H
#define CI_SUMMARY_H
/** What the members of a run reached, beside each other: model x test folder, model x attack. */
#include "ci/conf.h"

/** Read results.json of every member; leave summary.json and summary.csv in base's run.dir: for each model and line of the
 *  results every score of metric.h, its mean over the seeds, its spread (standard deviation of a sample, with n - 1; none
 *  with one seed) and the value of each seed.  Print AUROC, F1 and MCC as tables of model x folder on standard output.
 *  What is written depends on the results alone.  Not collective.
 *  \param [in] member  (n) settings of the members, in order of ci_conf_read_all
 *  \return CI_OK; CI_ENOENT or CI_EFORMAT when a member has no results; CI_EIO, CI_ECREATE, CI_EPERM, CI_ENOMEM */
ci_rc ci_summary_write(const ci_conf *base, const ci_conf *member, int32_t n);

#endif
