#ifndef CI_PLAN_H
#define CI_PLAN_H
/** What scan leaves: captures, their blocks, what was counted, the vocabulary. */
#include <stdbool.h>
#include <stdint.h>
#include "ci/comm.h"
#include "ci/attack.h"
#include "ci/commit.h"
#include "ci/conf.h"
#include "ci/contract.h"
#include "ci/hash.h"
#include "ci/layout.h"
#include "ci/types.h"

/** Who asks what is trained on asks != CI_TEST.  The vocabulary, duplicates and the counts of a data set are of the roles
 *  that a data set has, CI_TRAIN and CI_TEST. */
typedef enum ci_role {
    CI_TRAIN = 0,
    CI_TEST = 1,
    CI_INJECTED = 2, /**< data.injected: attacks that ci_sim_inject put into captures of CI_TRAIN */
} ci_role;

#define CI_INJECTED_NAME "injected" /* of the one folder of that role; it stands behind the training folders */

typedef struct ci_folder {
    char name[CI_ITEM_MAX];
    int32_t role;              /**< ci_role */
} ci_folder;

/** Counts of a run of rows; two adjacent runs merge into one. */
typedef struct ci_count {
    int64_t rows, attack_rows;
    int64_t back, equal;           /**< time steps back, equal neighbouring times              */
    int64_t by_len[9];             /**< rows by payload length                                 */
    int64_t sum_id, sum_byte;      /**< sums of identifiers (value without bit 31), of bytes   */
    int64_t first_attack, last_attack; /**< row numbers in the capture, -1: none               */
    int64_t switches;              /**< changes of the label from one row to the next          */
    int64_t t_first, t_last;       /**< ns; of the first and last row in file order            */
    uint32_t id_min, id_max;
    int32_t label_first, label_last; /**< -1: no row                                           */
    int64_t graphs, attack_graphs, nodes, edges; /**< of the windows that start in the run     */
} ci_count;

typedef struct ci_capture {
    char path[CI_TEXT_MAX];    /**< below data.root/data.set: "train_01_attack_free/x.csv";
                                    of the role CI_INJECTED "injected/x.csv": ci_plan_path     */
    int32_t folder;            /**< index of its folder                                        */
    int32_t same_as;           /**< capture of equal content that is used instead, or -1       */
    int32_t fault;             /**< ci_kind: what its beginning shows to be wrong with all of it */
    int32_t left_out;          /**< ci_kind for which the whole capture is in quarantine, or 0 */
    int32_t packing;           /**< ci_packing of the file                                     */
    int64_t file_bytes;        /**< of the file                                                */
    int64_t bytes;             /**< of the text, uncompressed                                  */
    ci_xxh hash;               /**< of the XXH3-128 values of its 4 MiB pieces, in order; does not
                                    depend on data.block                                       */
    ci_layout layout;          /**< how its lines are read                                     */
    int32_t sidecar;           /**< 1: PATH.attacks.csv labels the rows, by times              */
    ci_xxh sidecar_hash;       /**< XXH3-128 of its bytes; part of `hash`                      */
    int32_t n_id;              /**< distinct identifiers                                       */
    int32_t attack_type;       /**< code from the names, ci_attack_type; 0 none                */
    int64_t first_graph;       /**< in the store; graphs of unused captures are not stored     */
    int64_t first_node, first_edge; /**< in the store                                          */
    int32_t first_block, n_block;
    ci_count count;
    int64_t refused[CI_KIND_COUNT];  /**< lines in quarantine, by kind                         */
    int64_t repaired[CI_KIND_COUNT]; /**< lines accepted with a repair, by kind                */
} ci_capture;

typedef struct ci_block {
    int32_t capture;
    int64_t offset, bytes;     /**< byte range in the file; a row belongs to the block in which
                                    its first byte lies                                        */
    int64_t first_line;        /**< number, from 1, of the first line that begins in the block */
    int64_t first_row, rows;   /**< rows of the capture that the contract let through          */
    int64_t first_graph, graphs; /**< in the store (meaningless for unused captures)           */
    int64_t first_node, nodes;   /**< in the store                                             */
    int64_t first_edge, edges;   /**< in the store                                             */
    ci_xxh hash;               /**< XXH3-128 of the byte range: build reads what scan read     */
} ci_block;

typedef struct ci_plan {
    char settings[CI_SHA256_HEX]; /**< hash of the settings that scan reads: data.*, window.*, features.*, vocab.*, contract.* */
    char root[CI_PATH_MAX];    /**< data.root/data.set                                         */
    char injected[CI_PATH_MAX]; /**< folder of the captures of the role CI_INJECTED; "": none  */
    int32_t frames, stride;
    int32_t rows;              /**< frames that a window reads: ci_feature_rows                */
    int32_t simulated;         /**< 1: manifest.json of the set says that canids sim made it;
                                    injected captures alone do not make a set simulated        */
    int32_t n_folder, n_capture, n_block;
    ci_folder *folder;         /**< (n_folder) training folders first; owned                   */
    ci_capture *capture;       /**< (n_capture) by folder, then path; owned                    */
    ci_block *block;           /**< (n_block) in order of captures and offsets; owned          */
    int64_t graphs, nodes, edges; /**< in the store                                               */
    int32_t n_vocab;
    uint32_t *vocab;           /**< (n_vocab) identifiers ascending, numbers 1, 2, ...; owned  */
    int32_t n_id;
    uint32_t *id;              /**< (n_id) identifiers of all used captures, ascending; owned  */
} ci_plan;

/** Is their content equal, labels beside them included? */
static inline bool ci_capture_same(const ci_capture *a, const ci_capture *b)
{
    return a->bytes == b->bytes && a->hash.lo == b->hash.lo && a->hash.hi == b->hash.hi;
}

/** Do its graphs go into the store? */
static inline bool ci_capture_used(const ci_capture *c) { return c->same_as < 0 && !c->left_out; }

void ci_plan_release(ci_plan *p); /**< NULL-safe; leaves *p zero */

/** Path of a capture's file.  \return CI_OK, or CI_EDATA when it does not fit */
ci_rc ci_plan_path(const ci_plan *p, int32_t capture, char out[CI_PATH_MAX]);

/** First block of part `part` of n_part contiguous parts of nearly equal work: rank r works on
 *  blocks [ci_plan_part(p, r, n), ci_plan_part(p, r + 1, n)).  A block weighs its bytes, and where a
 *  file begins CI_PLAN_OPEN more, for finding and opening it takes as long as reading those. */
enum { CI_PLAN_OPEN = 32768 };
int32_t ci_plan_part(const ci_plan *p, int32_t part, int32_t n_part);

/** The same, when blocks of captures with skip[capture] set are no work.
 *  \param [in] skip  (n_capture); NULL: none */
int32_t ci_plan_part_but(const ci_plan *p, const bool *skip, int32_t part, int32_t n_part);

/** The plan of rank 0 on every rank.  Collective.  On other ranks *p is overwritten and, on
 *  CI_OK, theirs to release.  \return CI_OK, CI_ENOMEM or CI_EMPI */
ci_rc ci_plan_bcast(const ci_comm *comm, ci_plan *p);

/** Write as plan.json / read it back; the file is committed (commit.h).  Not collective.
 *  \return of reading: CI_OK, CI_ENOMEM; CI_ENOENT: not there or not committed; CI_EFORMAT: not
 *          what was committed, or not a plan of this version; CI_EPERM, CI_EIO */
ci_rc ci_plan_write(const ci_plan *p, const char *path);
ci_rc ci_plan_read(const char *path, ci_plan *out);

/** Raised when the same captures, settings and features give other rows or graphs than by the program before: what
 *  that one built is then neither taken for true nor copied from. */
enum { CI_PLAN_READING = 2 };

/** Digest of everything that decides the store's content: CI_PLAN_READING, hashes of the used
 *  captures, their folders, names and dialects, what the contract left out and repaired in them, W, S, vocabulary.
 *  Not the root, not times, not the number of ranks, not the size of blocks. */
void ci_plan_digest(const ci_plan *p, char out[CI_SHA256_HEX]);

#endif
