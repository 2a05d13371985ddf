#ifndef CI_RUN_H
#define CI_RUN_H
/** The steps of a run in order: sim, scan, build, train, eval.
 *
 *  A step is skipped when what it would leave is already there and true: the store is of this
 *  plan and these settings, the checkpoint says that training is finished, the results are of
 *  these weights, settings and program.  Each skip or run is said with its reason, and recorded
 *  with wall and CPU seconds, peak memory and outcome in run.json.  scan always runs: reading the
 *  input is how it is verified. */
#include <stdbool.h>
#include "ci/comm.h"
#include "ci/conf.h"

/** Do the steps named in `steps` ("scan,build,train,eval"): sim, scan and build once, then train each member, then
 *  judge each, then the summary of all (ci/summary.h).  Without members train and eval are done for conf itself.
 *  A member's files are in its run.dir; run.json of conf has the attempts of all, with the member's name.  Collective.
 *  \param [in] member  (n_member) settings as ci_conf_read_all has them
 *  \param [in] code    version and commit of the program
 *  \param [in] resume  training must have something to go on from; with members, one of them must, and each that has does
 *  \return what the steps return; CI_ENOENT when a step before it has not been done, or the model that another needs is
 *          missing; CI_ECONF when a member comes before one that it needs, or needs one that is not there; CI_ETEMP
 *          when another run works in run.dir */
ci_rc ci_run(const ci_comm *comm, const ci_conf *conf, const ci_conf *member, int32_t n_member, const char *steps,
             const char *code, bool resume);

#endif
