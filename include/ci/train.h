#ifndef CI_TRAIN_H
#define CI_TRAIN_H
/** Training: the same weights, bit for bit, for any number of ranks and threads.
 *
 *  A global batch is cut into shards of whole graphs before ranks are known; rank r of n takes
 *  shards [rV/n, (r+1)V/n) of V.  A shard's gradient is added to one flat vector of 64-bit
 *  integers, in units of 2^-s[tensor]; integer sums are associative, so nothing depends on who
 *  computed what.  s follows from the previous step's largest gradients, agreed by all ranks; a
 *  step in which a gradient outgrows it is done again. */
#include "ci/batch.h"
#include "ci/ckpt.h"
#include "ci/comm.h"
#include "ci/conf.h"
#include "ci/pool.h"
#include "ci/split.h"

/** Dimensions of the model that the settings ask for, on this store. */
ci_model_dim ci_train_dim(const ci_conf *conf, const ci_store *st);

/** What makes a training this one and not another: hash of split.*, model.*, vocab.* and of
 *  train.* without what cannot change a weight.  train.epochs is left out, for more of them go on
 *  from fewer. */
void ci_train_settings(const ci_conf *conf, char out[CI_SHA256_HEX]);

/** Is a training that stands here finished, by these settings?  \return 1 yes, 0 no, -1: it has gone
 *  beyond train.epochs, and is not what these settings lead to */
int ci_train_finished(const ci_conf *conf, const ci_progress *at);

/** What one thread scores or trains with: its packer and its scratch. */
typedef struct ci_lane {
    ci_packer *packer;
    ci_scratch *scratch;
} ci_lane;

/** n lanes for shards of at most `rows` nodes.  \return CI_OK or CI_ENOMEM; on CI_OK *out is the
 *  caller's, to ci_lanes_destroy */
ci_rc ci_lanes_create(const ci_model *m, const ci_store *st, const ci_scaler *scaler, int32_t rows,
                      int n, ci_lane **out);
void ci_lanes_destroy(ci_lane **lanes, int n); /**< NULL-safe */

/** Train to the end, from run.dir/last.h5 when it is of these settings and this store.  Leaves
 *  best.h5, last.h5, metrics.jsonl.  Collective.
 *  \param [in] store_sha    SHA-256 of the store's file
 *  \param [in] must_resume  it is an error when there is nothing to go on from
 *  \return CI_OK; CI_ENOENT (must_resume); CI_ETEMP after a signal, with a checkpoint on disk; CI_ECONF, CI_EDATA;
 *          CI_ENUMERIC (step, rank and, where weights or a gradient are at fault, tensor
 *          in the message; the last checkpoint stays);
 *          CI_EIO, CI_ECREATE, CI_ENOMEM */
ci_rc ci_train(const ci_comm *comm, const ci_conf *conf, const ci_store *st, const char *store_sha,
               bool must_resume);

/** Logits of n graphs without dropout, on every rank.  Collective.
 *  \param [in]  lane   (threads of the pool) for shards of `rows` nodes
 *  \param [out] logit  (n, 2) */
ci_rc ci_score(const ci_comm *comm, ci_pool *pool, ci_lane *lane, const ci_model *m, const float *w,
               const ci_store *st, const int64_t *graph, int64_t n, int32_t rows, float *logit);

#endif
