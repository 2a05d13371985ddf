#ifndef CI_SCAN_H
#define CI_SCAN_H
/** The first step: find the captures, hold every row against the data contract, count. */
#include "ci/comm.h"
#include "ci/conf.h"
#include "ci/json.h"
#include "ci/plan.h"

/** What scan depends on in the settings: hash of data.* without data.block, window.*, features.set and
 *  .compat (what streams are judged against changes no count), vocab.*, contract.*. */
void ci_scan_settings(const ci_conf *conf, char out[CI_SHA256_HEX]);

/** Find the captures of conf->data, parse all of them, count rows, graphs and nodes, gather the
 *  vocabulary, and leave plan.json, vocabulary.json, data_report.json and rejected.csv in
 *  conf->run.dir (committed, commit.h).  Collective.  What is left does not depend on the number
 *  of ranks.
 *
 *  Policy `fail`: when any row breaks the contract, only rejected.csv is left.
 *  \param [out] out  on CI_OK the plan, on every rank, the caller's to ci_plan_release
 *  \return the same on every rank: CI_OK; CI_ENOENT, CI_EPERM, CI_ECONF, CI_EDATA as ci_csv_find
 *          says; CI_EDATA: rows break the contract, the first one in the message as
 *          path:line:column; CI_EIO: reading failed, or a file changed meanwhile; CI_ECREATE,
 *          CI_ENOMEM, CI_EMPI; CI_ETEMP: a signal asked for a stop */
ci_rc ci_scan(const ci_comm *comm, const ci_conf *conf, ci_plan *out);

/** Look at the data as ci_scan does, without stopping at what fails and without writing anything.
 *  Collective.
 *  \param [in]  only       a file's name: nothing else of its folder; NULL: all captures
 *  \param [in]  loose      the captures are files that somebody looks at, no set to train with
 *  \param [out] out        on rank 0, on CI_OK: {"findings": [{severity, kind, path, line, column,
 *                          row, what, why, do}, ...], "totals": ..., "errors": n}, the caller's;
 *                          severity is "note", "warning" or "error"; NULL elsewhere
 *  \param [out] out_stops  on every rank: would an error stop a run?
 *  \return as ci_scan, CI_EDATA only for captures that cannot be read as such */
ci_rc ci_scan_doctor(const ci_comm *comm, const ci_conf *conf, const char *only, bool loose,
                     ci_json **out, bool *out_stops);

/** "x.csv:3:10: what" of one of the findings, at most n bytes with the final 0. */
void ci_finding_text(const ci_json *finding, char *out, size_t n);

#endif
