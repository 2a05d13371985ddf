#ifndef CI_DEVMODEL_H
#define CI_DEVMODEL_H
/** A model on a device: the same list of records as ci_model, each asked of the device's kernels, on all shards of a rank at once.
 *
 *  Activations, their gradients and what kernels work in are planned as in plan.c, for the most rows a rank can have, and taken once.
 *  Products of gradients are gathered and made in one launch at the end of a pass, where the plan keeps their factors (it says so).
 *  Nothing here waits: a training pass may be captured. */
#include "ci/device.h"
#include "ci/kernels.h"
#include "ci/model.h"
#include "ci/ring.h"

typedef struct ci_devmodel ci_devmodel;

typedef struct ci_devmodel_room {
    ci_lid most[CI_ROWS_COUNT], most_shard; /**< of one rank */
    int n_rank;                             /**< room for what cuts gather */
    bool training;                          /**< gradients, too */
    ci_precision precision;
    size_t budget;                /**< bytes; products are only gathered where their factors fit into it. 0: as memory allows */
} ci_devmodel_room;

/** What a pass works on; device memory but for the structs themselves. */
typedef struct ci_devmodel_pass {
    const ci_k_batch *b;          /**< host struct; training as the pass is */
    const float *w, *state;       /**< (ci_model_size), (ci_model_state_size) */
    const ci_k_optim *optim;      /**< training: where gradients and losses go */
    const ci_ring *ring;          /**< training: for cuts; its comm says which rank this is */
    ci_class_loss classify;       /**< training, gat */
    double temperature;
    const float *teacher_logit, *teacher_mu, *teacher_recon; /**< (graphs, 2), (nodes, teacher), (nodes, features), or NULL */
} ci_devmodel_pass;

/** Bytes of device memory that a model of this room takes, its weights not among them; the plan without taking it. */
ci_rc ci_devmodel_bytes(const ci_model *m, const ci_kernels *k, const ci_devmodel_room *room, size_t *out);

/** \param [in]  set  the columns' groups, for a model that is trained with groups hidden; else NULL
 *  \param [out] out  on CI_OK the caller's, to ci_devmodel_destroy; otherwise NULL
 *  \return CI_OK, CI_ENOMEM (wanted and free bytes), CI_ECONF (this device cannot compute in that precision) */
ci_rc ci_devmodel_create(const ci_device *d, const ci_model *m, const struct ci_feature_set *set, const ci_devmodel_room *room,
                         ci_devmodel **out);
void ci_devmodel_destroy(ci_devmodel **m); /**< NULL-safe; leaves *m NULL */

/** Evaluation up to the logits or the reconstruction (a teacher's forward pass), or with `all` of everything that judges. */
ci_rc ci_devmodel_forward(ci_devmodel *m, const ci_devmodel_pass *p, bool all);

/** Forward and backward of a training step: gradients and losses into the sums.  With cuts every rank calls, also one without shards. */
ci_rc ci_devmodel_train(ci_devmodel *m, const ci_devmodel_pass *p);
/** Behind optim_finish: running statistics of batch norm.  state is written here. */
ci_rc ci_devmodel_running(ci_devmodel *m, const ci_devmodel_pass *p, float *state);

/** A tensor of the last pass by name, as ci_scratch_tensor; device memory.  \return NULL when the model has none of this name */
const float *ci_devmodel_tensor(const ci_devmodel *m, const char *name, ci_lid *out_cols);

/** As ci_model_score, message passing on the device: forward (a vgae with masks: 1 + CI_MASKS times), what judging looks at downloaded,
 *  and judged shard by shard on this thread.  Waits for the device.
 *  \param [in]  shard  (n_shard) host batches that together are what lies in p->b, in that order; borrowed
 *  \param [in]  w      (ci_model_size) host copy of the weights
 *  \param [in]  s      host scratch for one shard
 *  \param [out] out    (graphs, n of ci_model_outputs)
 *  \param [out] message (raw, 2) logits of frames, or NULL
 *  \return CI_OK; CI_EARG when shards do not fit model, scratch or room; codes of the device */
ci_rc ci_devmodel_score(ci_devmodel *m, const ci_devmodel_pass *p, const ci_batch *const *shard, ci_lid n_shard, const float *w, ci_scratch *s,
                        float *out, float *message);

/** What a step of training is on a device: thresholds and scales of a ci_model_step; counts of rows are the caller's. */
void ci_devmodel_step(const ci_model *m, const ci_model_step *step, ci_k_step *out);

#endif
