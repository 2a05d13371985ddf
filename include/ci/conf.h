#ifndef CI_CONF_H
#define CI_CONF_H
/** Settings: YAML files and --set overrides become one typed structure.
 *
 *  One table (src/conf/table.c) names each setting once: key, type, range, default, unit, meaning;
 *  it parses, checks, documents and prints.  Composition, later wins: the table's defaults,
 *  config/defaults.yaml, config/models/<model>/<scale>.yaml, with a preset other than default
 *  config/presets/<preset>/<model>_<scale>.yaml, config/auxiliaries/<name>.yaml, the file named, --set.  The structure has no pointers: it is copied and broadcast as bytes. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ci/hash.h"
#include "ci/rc.h"

enum { CI_TEXT_MAX = 256, CI_LIST_MAX = 64, CI_ITEM_MAX = 64, CI_INTS_MAX = 16 };

/** The kinds of violation of the data contract, each with a setting contract.<name> of its policy:
 *  X(NAME as in ci_kind, name, what has it). */
#define CI_CONTRACT_KINDS(X)                                                                       \
    X(EMPTY_FILE, empty_file, "an empty file")                                                     \
    X(HEADER, header, "a first line that is no header")                                            \
    X(NO_LABEL, no_label, "a capture without labels outside data.attack_free")                     \
    X(NO_ROWS, no_rows, "a capture without rows")                                                  \
    X(LONG_LINE, long_line, "a line of more than 4096 bytes")                                      \
    X(NUL, nul, "a zero byte")                                                                     \
    X(BLANK, blank, "an empty line before the last")                                               \
    X(COLUMNS, columns, "another number of columns than the layout has")                           \
    X(TIME, time, "a time that is no decimal number of seconds")                                   \
    X(TIME_DIGITS, time_digits, "a time with more than 9 digits behind the point")                 \
    X(TIME_RANGE, time_range, "a time beyond 9223372036.854775807 seconds")                        \
    X(ID, id, "an identifier that is not hexadecimal")                                             \
    X(ID_RANGE, id_range, "an identifier of more than 29 bits")                                    \
    X(PAYLOAD, payload, "a payload that is not hexadecimal")                                       \
    X(PAYLOAD_ODD, payload_odd, "a payload with an odd number of digits")                          \
    X(PAYLOAD_LONG, payload_long, "a payload of more than 8 bytes")                                \
    X(LABEL, label, "a label that is neither 0 nor 1")                                             \
    X(DLC, dlc, "a length column that the payload does not have")                                  \
    X(FD, fd, "a CAN FD frame of more than 8 bytes")                                               \
    X(REMOTE, remote, "a remote frame")                                                            \
    X(ERROR_FRAME, error_frame, "an error frame")                                                  \
    X(DIALECT, dialect, "a file in a layout that is not read")

typedef struct ci_text_list {
    int32_t n;
    char item[CI_LIST_MAX][CI_ITEM_MAX];
} ci_text_list;

typedef struct ci_int_list {
    int32_t n;
    int32_t item[CI_INTS_MAX];
} ci_int_list;

typedef struct ci_conf {
    char pipeline[CI_TEXT_MAX]; /**< which steps `run` does, of "sim,scan,build,train,eval"    */
    ci_text_list models;        /**< what train and eval work on: "gat_small_kd_standard" ...; empty: model.* */
    ci_int_list seeds;          /**< each of models for each of them; empty: train.seed        */
    struct {
        char root[CI_TEXT_MAX];    /**< folder of data sets                                    */
        char set[CI_TEXT_MAX];     /**< name of the data set, a folder below root              */
        ci_text_list train;        /**< training folders; empty: every train_*                 */
        ci_text_list test;         /**< test folders; empty: every test_*                      */
        ci_text_list attack_free;  /**< folders whose files may lack a label column            */
        ci_text_list vehicles;     /**< part of a capture's file name that says whose it is     */
        char injected[CI_TEXT_MAX]; /**< folder of captures with injected attacks; empty: none  */
        char format[CI_TEXT_MAX];  /**< auto, or the dialect of all captures                   */
        char duplicates[CI_TEXT_MAX]; /**< once, keep: training captures of equal content       */
        int64_t expand_max;        /**< bytes that a compressed capture may expand to          */
        int64_t block;             /**< bytes of one scan block                                */
    } data;
    struct {
        char dir[CI_TEXT_MAX];     /**< run directory                                          */
        int64_t memory;            /**< bytes a rank may take to build; 0: what the host gives */
        char log[CI_TEXT_MAX];     /**< error, warn, info, debug                               */
    } run;
    struct { int32_t frames, stride; } window;
    struct {
        char set[CI_TEXT_MAX];     /**< kd35, kd11, agnostic                                   */
        char compat[CI_TEXT_MAX];  /**< none, reference                                        */
        char past[CI_TEXT_MAX];    /**< none, run, guard, both, prefix, profile                */
        double prefix_s;           /**< that features.past prefix learns from                  */
        char profile[CI_TEXT_MAX]; /**< file, or folder of files                               */
    } features;
    struct { char scope[CI_TEXT_MAX]; } vocab;        /**< train, benign                       */
    struct {
        char policy[CI_TEXT_MAX];  /**< fail, quarantine, accept: of kinds that say default    */
        double max_share;          /**< of all lines that may be quarantined                   */
#define CI_CONTRACT_FIELD(NAME, name, what) char name[CI_TEXT_MAX];
        CI_CONTRACT_KINDS(CI_CONTRACT_FIELD) /**< default, fail, quarantine, accept            */
#undef CI_CONTRACT_FIELD
    } contract;
    struct {
        char layout[CI_TEXT_MAX];  /**< auto, compact, float32, messages                       */
        int64_t chunk;             /**< graphs that are built and written at a time            */
        int64_t flush;             /**< graphs after which a rank hands them to the disk       */
    } store;
    struct {
        char mode[CI_TEXT_MAX];    /**< blocked, random                                        */
        int32_t blocks, every;     /**< 20 blocks of windows a capture, every 5th validates    */
        double share;              /**< random: of the training windows that validates         */
        char allow_leak[CI_TEXT_MAX]; /**< none, reference                                     */
        char folds[CI_TEXT_MAX];   /**< none, vehicle, capture, attack                         */
        int32_t fold;              /**< left out; -1: none                                     */
    } split;
    struct {
        char name[CI_TEXT_MAX];    /**< gat, vgae, dqn                                         */
        char scale[CI_TEXT_MAX];   /**< small, large                                           */
        char auxiliary[CI_TEXT_MAX]; /**< none, kd_standard                                    */
        char preset[CI_TEXT_MAX];  /**< default, paper, g4, g2, reference, agnostic            */
        char id_encoding[CI_TEXT_MAX]; /**< lookup, hash                                       */
        int32_t id_dim, id_buckets, id_probes;
        int32_t project;           /**< columns of a linear layer behind the inputs; 0: none   */
        char conv[CI_TEXT_MAX];    /**< gatv1, gatv2, transformer, gps                         */
        char edge_features[CI_TEXT_MAX]; /**< use, ignore                                      */
        int32_t heads, channels, layers;
        double slope;              /**< of leaky ReLU in the attention                         */
        char norm[CI_TEXT_MAX];    /**< none, graph, batch, layer                              */
        char jk[CI_TEXT_MAX];      /**< cat, lstm, attention, max, last                        */
        char pool[CI_TEXT_MAX];    /**< mean, max, sum, attention, meanmax                     */
        int32_t head_layers, head_dim;
        ci_int_list hidden;        /**< vgae: columns of each layer of the encoder             */
        int32_t inner_heads, decoder_heads, latent;
        double logvar_limit;
        char output[CI_TEXT_MAX];  /**< linear, sigmoid                                        */
        char neighbour[CI_TEXT_MAX]; /**< none, gaussian, exact                                */
        char edge_head[CI_TEXT_MAX]; /**< none, mlp                                            */
        char window[CI_TEXT_MAX];  /**< none, pool, linear, both                               */
        char message_head[CI_TEXT_MAX]; /**< none, mlp                                         */
    } model;
    struct {
        int32_t seed;
        int32_t batch;             /**< graphs in a global batch                               */
        int64_t batch_nodes, batch_edges; /**< at most, in a global batch; 0: no limit         */
        int32_t shard_rows;        /**< node rows of a shard, at most                          */
        int32_t threads;           /**< of a rank; 0: as many as its share of the cores        */
        int32_t epochs, patience;
        int64_t steps;             /**< stop after so many steps; 0: no such limit             */
        char scale[CI_TEXT_MAX];   /**< zscore, robust, none                                   */
        char population[CI_TEXT_MAX]; /**< all, benign                                         */
        char injected[CI_TEXT_MAX]; /**< with, without                                         */
        char loss[CI_TEXT_MAX];    /**< focal, ce, weighted_ce                                 */
        double gamma, attack_weight, message;
        double recon, id, neighbour, kl, edge, mask; /**< vgae: weights of the losses, share of nodes masked */
        char monitor[CI_TEXT_MAX]; /**< auroc, loss, average_precision, f1, mcc, gap, max_gap, ratio */
        char anomaly[CI_TEXT_MAX]; /**< calibrated, recon                                      */
        char optimizer[CI_TEXT_MAX]; /**< adam, adamw                                          */
        double lr, decay, beta1, beta2, eps, dropout, unk_drop, group_drop, clip;
        char schedule[CI_TEXT_MAX]; /**< none, cosine, step, plateau                           */
        double warmup, lr_min, schedule_gamma;
        int32_t schedule_epochs, schedule_patience;
        char precision[CI_TEXT_MAX]; /**< fp32, tf32, bf16                                     */
        char reduce[CI_TEXT_MAX];  /**< exact, fast                                            */
        char curriculum[CI_TEXT_MAX]; /**< none, hard, easy, momentum                          */
        char difficulty[CI_TEXT_MAX]; /**< folder of a trained vgae; empty: the one beside     */
        double curriculum_tau;
        double checkpoint_s;       /**< seconds between checkpoints inside an epoch; 0: none    */
        char isa[CI_TEXT_MAX];     /**< auto, generic, avx2, avx512                            */
        char device[CI_TEXT_MAX];  /**< auto, cpu, cuda                                        */
        char device_data[CI_TEXT_MAX]; /**< auto, resident, stream                             */
        int64_t device_memory;     /**< MiB that may be planned with; 0: what is free          */
    } train;
    struct {
        char teacher[CI_TEXT_MAX]; /**< folder of a trained model; empty: the large one beside */
        double alpha, temperature, latent, recon;
        int32_t cka;               /**< validation graphs of the CKA report; 0: none           */
    } distill;
    struct {
        char method[CI_TEXT_MAX];  /**< dqn, linucb, mlp, moe, average                         */
        int32_t state;             /**< 15, 18                                                 */
        char vgae[CI_TEXT_MAX], gat[CI_TEXT_MAX]; /**< folders; empty: those beside            */
        char reward[CI_TEXT_MAX];  /**< minimal, legacy                                        */
        char anomaly[CI_TEXT_MAX]; /**< moebius, percentile                                    */
        char norm[CI_TEXT_MAX];    /**< none, layer                                            */
        int32_t actions, hidden, layers, episodes, sample, steps, batch, buffer, max_states;
        double lr, decay, dropout, gamma, target, epsilon, epsilon_end, balance;
    } fusion;
    struct {
        int32_t draws, block;      /**< bootstrap: draws, windows of a block                   */
        char weights[CI_TEXT_MAX]; /**< best, last                                             */
        char threshold[CI_TEXT_MAX]; /**< auto, youden, t1, b998                               */
        int32_t curve;             /**< points of a curve, at most                             */
        int32_t explain;           /**< graphs of each test folder whose insides are written   */
    } eval;
    struct { double deadline_s; char trace[CI_TEXT_MAX]; } comm;
    struct {
        char kind[CI_TEXT_MAX];    /**< none, skip, delay, fail, die                           */
        char site[CI_TEXT_MAX];
        int32_t rank, pass;
        double seconds;
        int32_t crash_point;       /**< of the commit protocol; 0: none                        */
    } inject;
    struct {
        int32_t seed, vehicles;    /**< vehicles simulated; the last one is in no training set */
        int32_t ids_min, ids_max;  /**< identifiers of a vehicle                               */
        double extended;           /**< share of identifiers of 29 bits                        */
        int32_t bitrate;           /**< bit/s                                                  */
        double seconds;            /**< length of one capture                                  */
        int64_t rows;              /**< of one capture; 0: as many as fit into seconds         */
        double file_seconds;       /**< of one file; 0: a capture is one file                  */
        double attack_share;       /**< share of time under attack, in captures with attacks   */
        char known[CI_TEXT_MAX];   /**< attacks that training has too: names, commas between   */
        char unknown[CI_TEXT_MAX]; /**< attacks that only tests have                           */
        char base[CI_TEXT_MAX];    /**< set to inject attacks into; empty: vehicles are simulated */
        int32_t copies;            /**< captures with injected attacks, of each of the base     */
    } sim;
} ci_conf;

/** Read and compose.  Not collective: rank 0 reads, then broadcasts the structure.
 *  \param [in]  file   the YAML file named on the command line; NULL for none
 *  \param [in]  set,n  "key.path=value" overrides
 *  \param [out] out    written only on CI_OK
 *  \return CI_OK; CI_ENOENT, CI_EPERM or CI_EIO when `file` cannot be read; CI_ENOMEM; CI_ECONF
 *          when anything is wrong: then the message has every error of all sources, one a line, as
 *          file:line:column (or --set:N), the key, what, and what to write instead or the nearest
 *          valid key.  Errors that do not fit into CI_MESSAGE_MAX are counted in its last line */
ci_rc ci_conf_read(const char *file, const char *const *set, size_t n, ci_conf *out);

/** As ci_conf_read, and the settings of each member of a run of several models.
 *
 *  A run has members where `models` or `seeds` is not empty: each of models (empty: model.*) with each of seeds (empty:
 *  train.seed), in that order; with models and data.injected, each model is there twice, with train.injected `without`, then
 *  `with`.  A member's settings come from the same sources with model.name, .scale, .auxiliary
 *  and train.seed set over all of them; its run.dir is <run.dir>/<name>_<scale>[_<auxiliary>][_injected][/seed_<n>], its models
 *  and seeds are empty.  Members share what is prepared: the base's store and captures.  Of models that are named,
 *  those without auxiliary have distill.alpha 0, and those other than a gat no train.curriculum, whatever is said of all.
 *
 *  In a member, and in *out when there is none, folders left empty are those beside: distill.teacher the large model
 *  without auxiliary (where distill.alpha > 0), train.difficulty the vgae of the same scale (where there is a
 *  curriculum), fusion.vgae and .gat those of the same scale and auxiliary (model dqn).
 *  \param [out] out_member  (*out_n) in order; on CI_OK the caller's, to free(); NULL when there is none */
ci_rc ci_conf_read_all(const char *file, const char *const *set, size_t n, ci_conf *out, ci_conf **out_member,
                       int32_t *out_n);

/** "gat_small/seed_42": the member's folder below the base's run.dir.  Borrowed from member. */
const char *ci_conf_member_name(const ci_conf *base, const ci_conf *member);

/** All settings in table order as YAML, a comment with unit and meaning behind each.  With
 *  `explain`, the comment says where the value came from (of the last ci_conf_read).
 *  \return text to free(), NULL when memory is short */
char *ci_conf_yaml(const ci_conf *c, bool explain);

/** SHA-256 over the canonical text ("key=value", one a line, in table order) of the settings whose
 *  key starts with one of the n prefixes ("data.", "window."); n == 0: all settings that can change
 *  a result (not run.*, comm.*, inject.*, sim.*).  train.threads, .checkpoint_s, .isa and .device* never
 *  change one, and what is in the folders train.difficulty, distill.teacher, fusion.vgae and .gat is known by the hashes of
 *  its weights: these take part only when a prefix is their whole key.  A step's fingerprint uses the
 *  prefixes it reads.  out is "" when memory is short. */
void ci_conf_hash(const ci_conf *c, const char *const *prefix, size_t n, char out[CI_SHA256_HEX]);

/** The folder that holds defaults.yaml: $CANIDS_CONFIG (obeyed even when it holds none), else config/
 *  or share/canids/config/ beside the program or up to five folders above it, else
 *  PREFIX/share/canids/config, else config/ of the working directory; "" when none is there, and
 *  then the table's defaults stand alone.  Static. */
const char *ci_conf_folder(void);

/** Does a training with these settings leave out fold after fold, before the model that is used: is split.folds not none, and
 *  split.fold -1? */
bool ci_conf_folded(const ci_conf *c);

/** The settings of such a training's fold k: split.fold is k, run.dir and the folders of other models that it reads
 *  (distill.teacher, train.difficulty, fusion.*) are fold_<k> of those, for these too must not have seen what is left out, and
 *  eval.threshold is auto.
 *  \return false when a folder's name grows too long */
bool ci_conf_fold(const ci_conf *c, int32_t k, ci_conf *out);

/** Whose is a capture?  The vehicle of data.vehicles whose name its file's name (behind the last '/') has in it, upper and
 *  lower case of A to Z alike; of several the longest, of equally long ones the first of the list.
 *  \param [in] path  "train_01_attack_free/Attack_free-KIA-1.csv"
 *  \return its place in data.vehicles; -1 when there is none */
int32_t ci_conf_vehicle(const ci_conf *c, const char *path);

#endif
