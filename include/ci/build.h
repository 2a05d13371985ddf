#ifndef CI_BUILD_H
#define CI_BUILD_H
/** The second step: windows of all captures become graphs in one store. */
#include "ci/comm.h"
#include "ci/conf.h"
#include "ci/plan.h"
#include "ci/profile.h"
#include "ci/store.h"

/** What the store of this plan and these settings is built from, as a hash: ci_plan_digest and, of streamed sets, what they know
 *  of the past (features.past, prefix_s, the profiles).  Not collective.
 *  \return CI_OK; of features.past: profile CI_ENOENT, CI_EFORMAT, CI_EPERM, CI_EIO (a profile), CI_ECONF (a capture's vehicle is
 *          not known); CI_ENOMEM */
ci_rc ci_build_source(const ci_plan *p, const ci_conf *conf, char out[CI_SHA256_HEX]);

/** What the store of this plan and these settings will be about.  Not collective.
 *  \return CI_OK, CI_ECONF (no complete window, feature set without a layout), CI_ENOMEM; as ci_build_source */
ci_rc ci_build_head(const ci_plan *p, const ci_conf *conf, ci_store_head *out);

/** Build conf->run.dir/store.h5, and build.json that says how.  Collective: ranks take contiguous runs of
 *  blocks; memory is one block of rows and store.chunk graphs a rank.  The bytes do not depend on the number
 *  of ranks.
 *
 *  Captures whose bytes the previous store knows, from the same windows and features, read by the same data.format
 *  and contract, are not read again: their graphs are copied.  The bytes are those of a store built from nothing.
 *  \param [in]  previous  a store whose bytes were checked, with its hash; on all ranks the same; NULL: none
 *  \param [out] out_sha  identity of the store (ci_store_commit), on every rank
 *  \return CI_OK; CI_EIO, CI_EHDF5: the store could not be written, or CI_EIO, CI_EDATA: a capture changed since the
 *          scan; CI_ETEMP after a signal or when memory runs out; then the previous store is intact, and the job must
 *          end by ci_comm_abort; CI_ECONF (also: memory that cannot suffice), CI_ECREATE, CI_EINTERNAL, CI_ENOMEM */
ci_rc ci_build(const ci_comm *comm, const ci_conf *conf, const ci_plan *p, const ci_store *previous, const char *previous_sha,
               char out_sha[CI_SHA256_HEX]);

/** Write build.json again unless it speaks of this store: a build may have died between the two.  Rank 0.
 *  \param [in] h  of a store that is what these settings lead to
 *  \return CI_OK; CI_EIO, CI_ECREATE, CI_ENOMEM */
ci_rc ci_build_recorded(const ci_conf *conf, const ci_store_head *h, const char *store_sha);

/** Learn a profile from captures without attacks, one after the other, each a recording of its own, in windows of conf->window:
 *  ranks share the captures, and the profile does not depend on their number.  Collective.
 *  \param [in]  capture, n  paths below data.root/data.set, or any
 *  \param [out] out  on CI_OK on rank 0 the caller's, to ci_profile_destroy; NULL elsewhere
 *  \return CI_OK; CI_ENOENT: no such capture; CI_EDATA: a line breaks the contract, or a row is an attack (with the row); CI_EIO,
 *          CI_EPERM, CI_ECONF, CI_ENOMEM, CI_ETEMP */
ci_rc ci_build_profile(const ci_comm *comm, const ci_conf *conf, const char *const *capture, size_t n, ci_profile **out);

#endif
