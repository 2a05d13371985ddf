#ifndef CI_CONF_H
#define CI_CONF_H
/** Settings: YAML files and --set overrides become one typed structure.
 *
 *  One table (src/conf/table.c) names each setting once: key, type, range, default, unit, meaning;
 *  it parses, checks, documents and prints.  Composition, later wins: the table's defaults,
 *  config/defaults.yaml, config/models/<model>/<scale>.yaml, config/auxiliaries/<name>.yaml, the
 *  file named, --set.  The structure has no pointers: it is copied and broadcast as bytes. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ci/hash.h"
#include "ci/rc.h"

enum { CI_TEXT_MAX = 256, CI_LIST_MAX = 64, CI_ITEM_MAX = 64 };

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

typedef struct ci_conf {
    char pipeline[CI_TEXT_MAX]; /**< which steps `run` does, of "sim,scan,build,train,eval"    */
    struct {
        char root[CI_TEXT_MAX];    /**< folder of data sets                                    */
        char set[CI_TEXT_MAX];     /**< name of the data set, a folder below root              */
        ci_text_list train;        /**< training folders; empty: every train_*                 */
        ci_text_list test;         /**< test folders; empty: every test_*                      */
        ci_text_list attack_free;  /**< folders whose files may lack a label column            */
        char format[CI_TEXT_MAX];  /**< auto, or the dialect of all captures                   */
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
        char set[CI_TEXT_MAX];     /**< kd35, kd11                                             */
        char compat[CI_TEXT_MAX];  /**< none, reference                                        */
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
        int32_t blocks, every;     /**< 20 blocks of windows a capture, every 5th validates    */
        char allow_leak[CI_TEXT_MAX]; /**< none, reference                                     */
    } split;
    struct {
        char name[CI_TEXT_MAX];    /**< gat                                                    */
        char scale[CI_TEXT_MAX];   /**< small                                                  */
        char auxiliary[CI_TEXT_MAX]; /**< none                                                 */
        int32_t id_dim, heads, channels, layers, head_layers, head_dim;
        double slope;              /**< of leaky ReLU in the attention                         */
    } model;
    struct {
        int32_t seed;
        int32_t batch;             /**< graphs in a global batch                               */
        int32_t shard_rows;        /**< node rows of a shard, at most                          */
        int32_t threads;           /**< of a rank; 0: as many as its share of the cores        */
        int32_t epochs, patience;
        int64_t steps;             /**< stop after so many steps; 0: no such limit             */
        double lr, decay, beta1, beta2, eps, dropout, gamma, unk_drop, clip;
        double checkpoint_s;       /**< seconds between checkpoints inside an epoch; 0: none    */
        char isa[CI_TEXT_MAX];     /**< auto, generic, avx2, avx512                            */
        char device[CI_TEXT_MAX];  /**< auto, cpu                                              */
    } train;
    struct {
        int32_t draws, block;      /**< bootstrap: draws, windows of a block                   */
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

/** All settings in table order as YAML, a comment with unit and meaning behind each.  With
 *  `explain`, the comment says where the value came from (of the last ci_conf_read).
 *  \return text to free(), NULL when memory is short */
char *ci_conf_yaml(const ci_conf *c, bool explain);

/** SHA-256 over the canonical text ("key=value", one a line, in table order) of the settings whose
 *  key starts with one of the n prefixes ("data.", "window."); n == 0: all settings that can change
 *  a result (not run.*, comm.*, inject.*, sim.*).  train.threads, .checkpoint_s, .isa and .device never
 *  change one and take part only when a prefix is their whole key.  A step's fingerprint uses the
 *  prefixes it reads.  out is "" when memory is short. */
void ci_conf_hash(const ci_conf *c, const char *const *prefix, size_t n, char out[CI_SHA256_HEX]);

/** The folder that holds defaults.yaml: $CANIDS_CONFIG (obeyed even when it holds none), else config/
 *  or share/canids/config/ beside the program or up to five folders above it, else
 *  PREFIX/share/canids/config, else config/ of the working directory; "" when none is there, and
 *  then the table's defaults stand alone.  Static. */
const char *ci_conf_folder(void);

#endif
