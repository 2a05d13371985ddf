#ifndef CI_CKPT_H
#define CI_CKPT_H
/** Checkpoints: everything that training needs to go on as if it had not stopped, on any number of
 *  ranks, and everything that evaluation needs.  A file of flat arrays (h5.h), committed
 *  (commit.h): P parameters, T tensors, n identifiers.
 *
 *      weight, moment1, moment2 (P) float32    exponent (T) int32
 *      tensor_name (T) text, tensor_rows, tensor_cols (T) int32, tensor_first (T) int64
 *      scaler_node (F,2), scaler_edge (K,2) float64   mean and spread; attribute scaler_clip
 *      vocabulary (n) uint32                   score (4) float64
 *      state (S) float32    running statistics of batch norm
 *      calibration (C,2) float64    mean and spread over benign validation windows of what a vgae's score is made of */
#include <stdint.h>
#include "ci/hash.h"
#include "ci/model.h"
#include "ci/scaler.h"
#include "ci/schedule.h"

enum { CI_CKPT_VERSION = 2 };

/** Where training stands.  Integers are attributes of the file. */
typedef struct ci_progress {
    int64_t step;         /**< optimiser steps done                                          */
    int64_t epoch;        /**< the epoch that is under way, from 0                           */
    int64_t batch;        /**< batches of it that are done                                   */
    int64_t loss_sum;     /**< sum of the epoch's batch losses so far, in units of 2^-40     */
    int64_t best_epoch;   /**< of the best checkpoint, -1: none yet                          */
    int64_t better_epoch; /**< last epoch with a better value, for patience; -1: none        */
    int64_t finished;     /**< 1: there is nothing left to train                             */
    double best_value, best_loss; /**< what is monitored, and the loss, on validation, of the best checkpoint */
    double threshold;     /**< from validation, at the end of the last whole epoch: Youden-J, or without attacks
                               there (a vgae) just above the .995 quantile of the scores     */
    ci_plateau plateau;   /**< of the step size                                              */
} ci_progress;

typedef struct ci_ckpt {
    ci_progress at;
    char settings[CI_SHA256_HEX]; /**< hash of the settings that training reads              */
    char store[CI_SHA256_HEX];    /**< SHA-256 of the store                                  */
    char set[32];                 /**< feature set                                           */
    char split[CI_SHA256_HEX];    /**< hash of what decides which windows train              */
    char teacher[CI_SHA256_HEX];  /**< SHA-256 of the teacher's weights; "" without one      */
    char difficulty[CI_SHA256_HEX]; /**< ... and of the vgae that a curriculum asked         */
    ci_model_dim dim;             /**< shapes of the model                                   */
    char tensors[CI_SHA256_HEX];  /**< ci_ckpt_tensors of the model whose weights these are  */
    ci_scaler scaler;
    int32_t n_vocab;
    uint32_t *vocab;              /**< (n_vocab) ascending; owned                            */
    ci_gid n;                     /**< P                                                     */
    ci_lid n_tensor;              /**< T                                                     */
    float *w, *m, *v;             /**< (P); owned                                            */
    int32_t *exponent;            /**< (T) of the integer sum; owned                         */
    ci_gid n_state;
    float *state;                 /**< (n_state) running statistics; owned                   */
    int32_t n_calibration;        /**< 0: the score of a vgae is its reconstruction error    */
    double *calibration;          /**< (n_calibration, 2): ci_judge; owned                   */
} ci_ckpt;

/** Room for a model's state, all zero.  \return CI_OK or CI_ENOMEM */
ci_rc ci_ckpt_init(ci_ckpt *c, const ci_model *m, int32_t n_vocab, int32_t n_calibration);
void ci_ckpt_release(ci_ckpt *c); /**< NULL-safe */

/** Write, read again as a reader would, and publish.  Not collective: rank 0.
 *  \return CI_OK, CI_ECREATE, CI_EPERM, CI_EIO, CI_EHDF5, CI_ENOMEM; CI_EFORMAT when a reader would refuse it */
ci_rc ci_ckpt_write(const ci_ckpt *c, const ci_model *m, const char *path);

/** Check and read.  Not collective.
 *  \return CI_OK; CI_ENOENT; CI_EFORMAT (corrupt, not a checkpoint, another version); CI_EIO; CI_ENOMEM */
ci_rc ci_ckpt_read(const char *path, ci_ckpt *out);

/** Read without checking its bytes against a record: for looking at a file that came without one.
 *  HDF5 may crash on corrupt bytes: call in a child process. */
ci_rc ci_ckpt_load(const char *path, ci_ckpt *out);

/** As ci_ckpt_read, on every rank.  Collective. */
ci_rc ci_ckpt_read_all(const ci_comm *comm, const char *path, ci_ckpt *out);

/** SHA-256 over names, shapes and places of a model's tensors: what has to be equal for weights to be these tensors'. */
void ci_ckpt_tensors(const ci_model *m, char out[CI_SHA256_HEX]);

/** SHA-256 over the weights alone: what has to be equal for any number of ranks. */
void ci_ckpt_weights(const ci_ckpt *c, char out[CI_SHA256_HEX]);

#endif
