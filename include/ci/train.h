#ifndef CI_TRAIN_H
#define CI_TRAIN_H
/** Training: the same weights, bit for bit, for any number of ranks and threads.
 *
 *  A global batch is cut into shards of whole graphs before ranks are known; rank r of n takes
 *  shards [rV/n, (r+1)V/n) of V.  A shard's gradient is added to one flat vector of 64-bit
 *  integers, in units of 2^-s[tensor]; integer sums are associative, so nothing depends on who
 *  computed what.  s follows from the previous step's largest gradients, agreed by all ranks; a
 *  step in which a gradient outgrows it is done again.  Where a model is cut (batch norm, the Gaussian
 *  neighbour loss; model.h), the shards' sums are gathered and added in the order of the shards. */
#include "ci/batch.h"
#include "ci/ckpt.h"
#include "ci/comm.h"
#include "ci/conf.h"
#include "ci/pool.h"
#include "ci/ring.h"
#include "ci/split.h"

/** Dimensions of the model that the settings ask for, on this store.
 *  \param [in] teacher  shapes of its teacher, or NULL
 *  \return CI_OK, or CI_ECONF when settings and features do not go together */
ci_rc ci_train_dim(const ci_conf *conf, const ci_store *st, const ci_model_dim *teacher, ci_model_dim *out);

/** What makes a training this one and not another: hash of split.*, model.*, vocab.*, distill.*, data.vehicles and of
 *  train.* without what cannot change a weight.  train.epochs is left out where more of them go on
 *  from fewer: without a schedule or a curriculum that looks at it. */
void ci_train_settings(const ci_conf *conf, char out[CI_SHA256_HEX]);

/** Where a run computes: on devices, one a rank, or on the CPU. */
typedef struct ci_compute {
    ci_device device;       /**< dev NULL: the CPU                                                   */
    ci_ring ring;           /**< over the devices of all ranks; knows `device` by its address        */
    int precision;          /**< of products on the device: ci_precision of ci/kernels.h             */
    size_t limit;           /**< bytes of its memory that may be planned with; 0: what is free       */
    double deadline;        /**< seconds that the ranks wait for each other                          */
} ci_compute;

/** As train.device says; which devices, or why none, is logged.  Collective.
 *  \param [out] out  on CI_OK the caller's, to ci_compute_close; stays where it is until then
 *  \return CI_OK; CI_ECONF: ci_device_assign, ci_ring_start; a train.precision that the CPU has not; CI_ETEMP: a peer did not come */
ci_rc ci_compute_open(const ci_comm *comm, const ci_conf *conf, ci_compute *out);
void ci_compute_close(ci_compute *at); /**< NULL-safe; leaves *at zero */

/** The CPU's kernels that the settings ask for: train.isa, or "bf16" with train.precision bf16 where no device rounds.  The same are
 *  used to judge.  \param [in] at  NULL: the CPU */
const char *ci_train_kernels(const ci_conf *conf, const ci_compute *at);

/** The split that the settings ask for. */
ci_split_conf ci_train_split(const ci_conf *conf);

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

/** A trained model, as evaluation, distillation and fusion use it. */
typedef struct ci_trained {
    ci_ckpt ck;
    ci_model *model;
    const ci_compute *at;        /**< where it judges; borrowed; NULL: the CPU */
    char weights[CI_SHA256_HEX]; /**< SHA-256 of its weights */
} ci_trained;

/** Read <dir>/<file> (best.h5, last.h5) and make the model it is of.  Collective.
 *  \param [in] isa  ci_train_kernels
 *  \param [in] at   where it is to judge; borrowed until ci_trained_release; NULL: the CPU
 *  \return CI_OK; CI_ENOENT, CI_EFORMAT, CI_EIO, CI_ENOMEM; CI_ECONF (isa) */
ci_rc ci_trained_open(const ci_comm *comm, const char *dir, const char *file, const char *isa, const ci_compute *at, ci_trained *out);
void ci_trained_release(ci_trained *t); /**< NULL-safe */

/** Is this model of this store, its features and vocabulary, trained on this split?  The message says what differs.
 *  \param [in] split  hash of the split (ci_ckpt.split), or NULL: any
 *  \return CI_OK or CI_ECONF */
ci_rc ci_trained_fits(const ci_trained *t, const char *what, const ci_store *st, const char *store_sha, const char *split);

/** Train to the end, from run.dir/last.h5 when it is of these settings, this store and this teacher.  Leaves
 *  best.h5, last.h5, metrics.jsonl.  Collective.
 *  \param [in] store_sha    SHA-256 of the store's file
 *  \param [in] must_resume  it is an error when there is nothing to go on from
 *  \return CI_OK; CI_ENOENT (must_resume; no teacher); CI_ETEMP after a signal, with a checkpoint on disk; CI_ECONF (also a
 *          teacher of other features, scaling, vocabulary or split), CI_EDATA, CI_EFORMAT (a teacher that is corrupt);
 *          CI_ENUMERIC (step, rank and, where weights or a gradient are at fault, tensor
 *          in the message; the last checkpoint stays); CI_ETEMP also when a device or a peer failed: the last checkpoint stays;
 *          CI_EIO, CI_ECREATE, CI_ENOMEM */
ci_rc ci_train(const ci_comm *comm, const ci_conf *conf, const ci_store *st, const char *store_sha,
               bool must_resume);

/** What the model says of n graphs (ci_model_outputs), nothing dropped, on every rank; on the CPU.  Collective.
 *  \param [in]  lane  (threads of the pool) for shards of `rows` nodes
 *  \param [out] out   (n, columns of ci_model_outputs) */
ci_rc ci_score(const ci_comm *comm, ci_pool *pool, ci_lane *lane, const ci_model *m, const float *w, const float *state,
               const ci_store *st, const int64_t *graph, int64_t n, int32_t rows, float *out);

/** As ci_score, of a trained model where it is to judge: pool and lanes are made and go.  Collective.
 *  \param [in]  threads  of a rank; 0: its share of the cores
 *  \param [out] out      (n, columns), to free(); NULL unless CI_OK */
ci_rc ci_trained_score(const ci_comm *comm, const ci_trained *t, int threads, int32_t rows, const ci_store *st,
                       const int64_t *graph, int64_t n, float **out);

/** As ci_trained_score, and of a model with a message head the log-odds of each frame of these windows but the first: the difference of
 *  the logits of the edge that leads to it.
 *  \param [out] out_frame  (n + 1) where each window's frames begin in out_odds, then their number; to free(); NULL without such a head
 *  \param [out] out_odds   (out_frame[n]); to free() */
ci_rc ci_trained_score_frames(const ci_comm *comm, const ci_trained *t, int threads, int32_t rows, const ci_store *st, const int64_t *graph,
                              int64_t n, float **out, int64_t **out_frame, float **out_odds);

/** The score by which windows are judged, from what the model says of them.  gat: the probability of an attack.
 *  vgae with a calibration: the largest of (recon_masked, recon_max, affinity, rayleigh), each less its mean over benign
 *  validation windows, over their spread; without: recon.  reference-system.md 6.8.
 *  \param [in] calibration  (n_calibration, 2) as in ci_ckpt */
void ci_judge(const ci_model *m, const double *calibration, int32_t n_calibration, const float *out, int64_t n, double *score);

#endif
