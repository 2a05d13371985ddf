#ifndef CI_FUSION_H
#define CI_FUSION_H
/** Fusion: the scores of a trained vgae and a trained gat become one.
 *
 *  Of each window a fusion model sees a state of 15 or 18 columns, made from the outputs of both models.
 *  Two numbers of a state, as they are, take part in every decision of the agents:
 *
 *      w = .4 recon + .35 neighbour + .25 id              15 columns
 *      w = .4 recon_masked + .3 mahalanobis + .3 kl       18 columns
 *      A = w / (1 + w), or the share of benign validation windows with a lower w          anomaly
 *      G = softmax(logit0, logit1)_1                                                      classifier
 *      fused = (1 - alpha) A + alpha G                     called an attack above 1/2, in reward and in use
 *
 *  dqn and linucb choose alpha among fusion.actions weights; mlp, moe and average learn the probability of
 *  an attack.  Networks see columns standardised by the training states, clipped at +-10.
 *  Source: reference-system.md 5.4 and 6.6, with the choices of its section 10.
 *
 *  Rank 0 learns and scores, the others wait an episode at a time; random numbers come from Philox: the
 *  result depends neither on the number of ranks nor on where a run was stopped. */
#include <stdbool.h>
#include <stdint.h>
#include "ci/comm.h"
#include "ci/conf.h"
#include "ci/hash.h"
#include "ci/store.h"
#include "ci/train.h"

enum { CI_FUSION_VERSION = 1, CI_FUSION_STATE = 18, CI_FUSION_LATENT = 1024, CI_FUSION_SHARES = 257 };

/** Outputs of one model, a row a window, whose columns are found by name:
 *
 *      gat   logit0 logit1 emb_mean emb_std emb_max emb_min
 *      vgae  recon recon_masked recon_max id neighbour kl affinity rayleigh z_mean z_std z_max z_min
 *            node_mean node_std mu_0 .. mu_{d-1} mu2_0 .. mu2_{d-1} */
typedef struct ci_fusion_rows {
    const char *const *name; /**< (cols); borrowed              */
    ci_lid cols;
    const float *v;          /**< (n, cols); borrowed           */
    int64_t n;
} ci_fusion_rows;

/** What states and decisions are measured by: fitted once, part of the checkpoint. */
typedef struct ci_fusion_scale {
    int32_t state;             /**< 15 or 18 columns                                                     */
    bool percentile;           /**< A is a share of the benign validation windows                        */
    int32_t d;                 /**< columns of the latent mean; 0 with 15                                */
    double latent_mean[CI_FUSION_LATENT], latent_spread[CI_FUSION_LATENT]; /**< (d) over the nodes of the
                                    benign validation windows; the spread is a population's              */
    double share[CI_FUSION_SHARES];  /**< w of benign validation windows at shares 0, 1/256, ..., 1      */
    double mean[CI_FUSION_STATE], spread[CI_FUSION_STATE]; /**< (state) of the training states; the
                                    spread a population's, at least 1e-6 max(1, |mean|)                  */
} ci_fusion_scale;

/** Fit latent_mean, latent_spread and share.  Call before states are made.  Not collective.
 *  \param [in]     vgae   of validation windows
 *  \param [in]     label  (n) those with 0 count
 *  \param [in]     nodes  (n) nodes of each window, its weight in the latent mean; NULL: all the same
 *  \param [in,out] s      state and percentile are given; mean becomes 0 and spread 1
 *  \return CI_OK; CI_ECONF (state is neither 15 nor 18); CI_EARG (a column is missing, or too many of mu);
 *          CI_EDATA (no benign window); CI_ENUMERIC; CI_ENOMEM */
ci_rc ci_fusion_calibrate(const ci_fusion_rows *vgae, const uint8_t *label, const int32_t *nodes, ci_fusion_scale *s);

/** States of n windows.  Columns:
 *
 *      15  recon neighbour id z_mean z_std z_max z_min 1/(1+recon) p0 p1 emb_mean emb_std emb_max emb_min c
 *      18  c emb_mean emb_std emb_max emb_min p0 p1 affinity 1/(1+recon_masked) recon_masked mahalanobis kl
 *          rayleigh recon_max node_mean node_std z_max z_min
 *
 *  with c = clip(1 - H / ln 2, 0, 1), H = -sum p ln(p + 1e-8), and mahalanobis = sum over the latent
 *  columns of E[(mu - m)^2] / max(s, 1e-3)^2, E the mean over the window's nodes.
 *  \param [out] state  (n, s->state)
 *  \return CI_OK, CI_EARG, CI_ENUMERIC (which window, which column) */
ci_rc ci_fusion_states(const ci_fusion_scale *s, const ci_fusion_rows *vgae, const ci_fusion_rows *gat, float *state);

/** Fit mean and spread of the columns of n training states.  \return CI_OK or CI_EARG (n < 1) */
ci_rc ci_fusion_standard(const float *state, int64_t n, ci_fusion_scale *s);

/** Standard scores of n states, clipped at +-10.  x may be state. */
void ci_fusion_standardise(const ci_fusion_scale *s, const float *state, int64_t n, float *x);

/** The numbers of a window that decisions and rewards are made of. */
typedef struct ci_fusion_fact {
    float anomaly;    /**< A                                                        */
    float attack;     /**< G                                                        */
    float confidence; /**< the larger of 1/(1+recon) and c                          */
    float doubt;      /**< 1 - 1/(1+recon): what `average` takes for the vgae       */
} ci_fusion_fact;

void ci_fusion_facts(const ci_fusion_scale *s, const float *state, int64_t n, ci_fusion_fact *out);

/** Reward of choosing alpha for a window of this label.
 *
 *      minimal   attack called: 3 right, -1.5 wrong, + .3 G      benign called: 1.5 right, -6 wrong
 *      legacy    right: 3 + agree + .5 c + .3 confidence          agree = 1 - |A - G|
 *                wrong: -3 - (1 - agree) - 1.5 (attack called ? fused : 1 - fused)
 *                and + .3 (1 - 2 |alpha - .5|);  c = max(A, G) for an attack, else 1 - max(A, G) */
float ci_fusion_reward(bool legacy, ci_fusion_fact f, uint8_t label, float alpha);

/** What a fusion model is; the rest follows. */
typedef struct ci_fusion_shape {
    char method[16];  /**< dqn, linucb, mlp, moe, average                                          */
    int32_t state;    /**< 15, 18                                                                  */
    int32_t actions;  /**< weights that dqn and linucb choose from: k / (actions - 1)              */
    int32_t hidden, layers; /**< of dqn and linucb; mlp and the experts of moe have 64 and 32      */
    bool norm;        /**< layer norm behind each hidden linear layer of dqn and linucb            */
    bool legacy;      /**< reward                                                                  */
} ci_fusion_shape;

void ci_fusion_shape_of(const ci_conf *conf, ci_fusion_shape *out);

/** Where learning stands. */
typedef struct ci_fusion_progress {
    int64_t episode;      /**< done                                                                */
    int64_t step;         /**< of the optimiser                                                    */
    int64_t seen;         /**< windows that went into the memory; the last fusion.buffer are there */
    int64_t best_episode; /**< of the best checkpoint, from 0; -1: none yet                        */
    int64_t finished;     /**< 1: there is nothing left to learn                                   */
    double best_auroc, best_j; /**< on validation, of the best checkpoint                          */
    double threshold;     /**< Youden-J on validation, when last validated                         */
    double loss_sum, loss_n, reward_sum, reward_n; /**< since then                                 */
} ci_fusion_progress;

/** A fusion model and all of its learning. */
typedef struct ci_fusion ci_fusion;

/** \param [in] memory  windows remembered, 0 for scoring alone
 *  \param [in] isa     kernels, as ci_model_create has them
 *  \return CI_OK, CI_ECONF, CI_ENOMEM; on CI_OK *out is the caller's, to ci_fusion_destroy */
ci_rc ci_fusion_create(const ci_fusion_shape *shape, int32_t memory, const char *isa, ci_fusion **out);
void ci_fusion_destroy(ci_fusion **f); /**< NULL-safe; leaves *f NULL */

/** Initial weights: linear layers U(+-1/sqrt(in)), weight and bias, from Philox, CI_RANDOM_INIT, counter
 *  (tensor, element / 4, 0, 0); norms 1 and 0; the scalar of `average` 0. */
void ci_fusion_init(ci_fusion *f, uint32_t seed);

const ci_fusion_shape *ci_fusion_shape_get(const ci_fusion *f);
ci_fusion_scale *ci_fusion_scale_get(ci_fusion *f);       /**< borrowed                              */
ci_fusion_progress *ci_fusion_progress_get(ci_fusion *f); /**< borrowed                              */
int64_t ci_fusion_size(const ci_fusion *f);               /**< parameters that the optimiser changes */
/** SHA-256 over parameters, the ridges' solution and the standard scores of states; the rest of the scale follows from the vgae. */
void ci_fusion_weights(const ci_fusion *f, char out[CI_SHA256_HEX]);

/** Columns of a window's policy: Q of each action, upper bounds aside (dqn, linucb), the gate's shares (moe),
 *  or none. */
int32_t ci_fusion_policy_cols(const ci_fusion *f);

/** Scores of n states, without dropout.  Not collective.
 *  \param [in]  state   (n, state) as they are: not standardised
 *  \param [out] score   (n) fused score, or the probability of an attack
 *  \param [out] alpha   (n) weight of the classifier, NaN for mlp and moe; or NULL
 *  \param [out] policy  (n, ci_fusion_policy_cols); or NULL
 *  \return CI_OK, CI_ENOMEM, or CI_ENUMERIC naming the window */
ci_rc ci_fusion_score(ci_fusion *f, const float *state, int64_t n, double *score, float *alpha, float *policy);

/** States and labels to learn from and to choose by; all borrowed, looked at on rank 0 alone. */
typedef struct ci_fusion_data {
    int64_t n_train, n_valid;
    const float *train, *valid;  /**< (n, state) as they are */
    const uint8_t *train_label, *valid_label;
} ci_fusion_data;

/** Learn from `data` to the end, from run.dir/last.h5 when it is of these settings, this store and these two
 *  models.  Leaves best.h5, last.h5, metrics.jsonl.  Collective; a signal ends it after the episode
 *  under way.
 *  \param [in]     at  NULL: on the CPU; else networks learn on rank 0's device, if it has one, in fp32.  Close to the CPU's weights, not the
 *                     same bits; validation, scores and ridges are the CPU's on either.  The networks are too small for a device to win
 *                     much: 38 thousand parameters, 128 windows a step
 *  \param [in,out] f  on rank 0, with its scale fitted and `of` set; elsewhere NULL
 *  \return CI_OK; CI_ENOENT (must_resume); CI_ETEMP after a signal, with a checkpoint on disk; CI_ENUMERIC (episode
 *          and step in the message; the last checkpoint stays); CI_ETEMP also when the device failed; CI_EDATA; CI_EIO,
 *          CI_ECREATE, CI_ENOMEM */
ci_rc ci_fusion_learn(const ci_comm *comm, const ci_conf *conf, const ci_compute *at, const ci_fusion_data *data, ci_fusion *f,
                      bool must_resume);

/** Where a fusion model comes from: hashes, and the names of the folders that they were in. */
typedef struct ci_fusion_of {
    char settings[CI_SHA256_HEX];  /**< of the settings that learning reads            */
    char store[CI_SHA256_HEX];     /**< of the store                                   */
    char gat[CI_SHA256_HEX];       /**< weights of the gat: ci_ckpt_weights            */
    char vgae[CI_SHA256_HEX];      /**< and of the vgae                                */
    char gat_dir[256], vgae_dir[256]; /**< names of their run directories              */
} ci_fusion_of;

ci_fusion_of *ci_fusion_of_get(ci_fusion *f); /**< borrowed */

/** Hash of fusion.* without the two folders, split.*, vocab.*, train.seed and, where it is not fp32, train.precision. */
void ci_fusion_settings(const ci_conf *conf, char out[CI_SHA256_HEX]);

/** Checkpoints as those of ckpt.h: a file of flat arrays, read again before it counts.  Not collective.
 *  \return as ci_ckpt_write, ci_ckpt_read and ci_ckpt_load */
ci_rc ci_fusion_write(const ci_fusion *f, const char *path);
ci_rc ci_fusion_read(const char *path, const char *isa, ci_fusion **out);
ci_rc ci_fusion_load(const char *path, const char *isa, ci_fusion **out);

/** Learn as the settings say, from what the best models of fusion.gat and fusion.vgae say of the training and
 *  validation windows of a store; of more than fusion.max_states training windows, as many, evenly spread.  Collective.
 *  \param [in] store_sha  identity of the store
 *  \return as ci_fusion_learn, and CI_ETEMP without a checkpoint while states are made; CI_ENOENT when a model is missing; CI_ECONF when one is of another kind, store,
 *          vocabulary or split; CI_EDATA when training or validation lacks a class */
ci_rc ci_fusion_train(const ci_comm *comm, const ci_conf *conf, const ci_store *st, const char *store_sha, bool must_resume);

/** A fusion model and the two it judges by, as evaluation uses them.  The same on every rank but for `model`. */
typedef struct ci_fused {
    ci_trained gat, vgae;
    ci_fusion *model;               /**< on rank 0; elsewhere NULL           */
    ci_fusion_shape shape;
    ci_fusion_progress at;
    char weights[CI_SHA256_HEX];    /**< ci_fusion_weights                   */
    ci_lid n_output;
    const char **output;            /**< (n_output) ci_fused_outputs; owned  */
} ci_fused;

/** Open run.dir/<file> (best.h5, last.h5) and its two models, and see that all belong together.  Collective.
 *  \param [in] at  where the two judge; borrowed until ci_fused_release; NULL: the CPU
 *  \return CI_OK; CI_ENOENT, CI_EFORMAT, CI_EIO, CI_ENOMEM; CI_ECONF (another store, other settings, other models, or
 *          a file that stands between two validations and has no threshold) */
ci_rc ci_fused_open(const ci_comm *comm, const ci_conf *conf, const ci_compute *at, const char *file, const ci_store *st,
                    const char *store_sha, ci_fused *out);
void ci_fused_release(ci_fused *f); /**< NULL-safe */

/** Names of what ci_fused_score says of a window beside its score: anomaly (A), classifier (G) and, of a method that
 *  has one, alpha; then its policy (ci_fusion_policy_cols): q_0 .. or gate_0 ...  Borrowed from f. */
const char *const *ci_fused_outputs(const ci_fused *f, ci_lid *out_n);

/** Scores of n windows, on every rank.  Collective.
 *  \param [out] score  (n)
 *  \param [out] out    (n, columns of ci_fused_outputs) */
ci_rc ci_fused_score(const ci_comm *comm, const ci_conf *conf, const ci_fused *f, const ci_store *st, const int64_t *graph,
                     int64_t n, double *score, float *out);

#endif
