#ifndef CI_TRAIN_H
#define CI_TRAIN_H
/** Training: the same weights, bit for bit, for any number of ranks and threads.
 *
 *  A global batch is cut into shards of whole graphs before ranks are known; rank r of n takes
 *  shards [rV/n, (r+1)V/n) of V.  A shard's gradient is added to one flat vector of 64-bit
 *  integers, in units of 2^-s[tensor]; integer sums are associative, so nothing depends on who
 *  computed what.  s follows from the previous step's largest gradients, agreed by all ranks; a
 *  step in which a gradient outgrows it is done again. */
#include "ci/ckpt.h"
#include "ci/comm.h"
#include "ci/conf.h"
#include "ci/pool.h"
#include "ci/split.h"

/** Dimensions of the model that the settings ask for, on this store. */
ci_model_dim ci_train_dim(const ci_conf *conf, const ci_store *st);

/** What training depends on in the settings: hash of split.*, model.*, train.* and the scope of
 *  the vocabulary, without what cannot change a result. */
void ci_train_settings(const ci_conf *conf, char out[CI_SHA256_HEX]);

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
 *  \param [out] logit  (n, 2) */
ci_rc ci_score(const ci_comm *comm, ci_pool *pool, const ci_model *m, const float *w,
               const ci_store *st, const ci_scaler *scaler, const int64_t *graph, int64_t n,
               int32_t shard_rows, float *logit);

#endif
