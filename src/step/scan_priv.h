#ifndef CI_SCAN_PRIV_H
#define CI_SCAN_PRIV_H
/** One scan, shared by scan*.c. */
#include "ci/csv.h"
#include "ci/scan.h"
#include "ci/table.h"
#include "ci/vocab.h"
#include "ci/window.h"

/** That an identifier occurs in a capture, and how. */
typedef struct ci_seen {
    int32_t capture;
    uint32_t id;
    uint32_t flags; /**< CI_SEEN, CI_SEEN_BENIGN */
} ci_seen;
enum { CI_SEEN = 1, CI_SEEN_BENIGN = 2 };

/** The identifiers of one capture, being collected, and those of the captures before it. */
typedef struct ci_seen_set {
    int32_t capture;            /**< -1: none yet                                        */
    uint8_t of_short[2048];     /**< flags of each 11-bit identifier                     */
    uint32_t *key;              /**< (cap) 29-bit identifiers, hashed; 0: free; owned    */
    uint8_t *flags;             /**< (cap) owned                                         */
    size_t n_long, cap;
    ci_seen *done;              /**< (n_done) of finished captures; owned                */
    size_t n_done, cap_done;
} ci_seen_set;

ci_rc ci_seen_add(ci_seen_set *s, int32_t capture, const ci_table *t); /**< the table's own rows */
ci_rc ci_seen_close(ci_seen_set *s);       /**< the last capture is finished, too */
void ci_seen_release(ci_seen_set *s);

/** Sort by capture and identifier and merge repeats.  \return how many are left */
size_t ci_seen_merge(ci_seen *s, size_t n);

ci_count ci_count_none(void);                               /**< of no rows                   */
ci_count ci_count_rows(const ci_table *t);                  /**< of the table's own rows      */
void ci_count_append(ci_count *a, const ci_count *b);       /**< b's rows follow those of a   */

/** What a rank learns of one block. */
typedef struct ci_block_found {
    ci_count count;
    ci_xxh hash;
    int32_t scanned;                 /**< 0: enough had failed before                     */
    int32_t refused[CI_KIND_COUNT], repaired[CI_KIND_COUNT]; /**< lines, by kind          */
} ci_block_found;

typedef struct ci_scan_state {
    const ci_comm *comm;
    const ci_conf *conf;
    ci_contract contract;
    ci_plan plan;
    int64_t *lines;         /**< (plan.n_block) lines that begin in each block; owned           */
    int32_t first, end;     /**< blocks of this rank                                            */
    ci_block_found *found;  /**< (end - first) owned                                            */
    ci_rejects rejects;     /**< of this rank, then of all, items on rank 0 alone; owned        */
    int64_t n_line;         /**< in all captures                                                */
    int64_t n_quarantine;   /**< of them in quarantine, all those of captures left out          */
    ci_seen_set seen;       /**< by this rank                                                   */
    ci_seen *all;           /**< (n_all) on rank 0: seen by all, merged; owned                  */
    size_t n_all;
    ci_vocab *vocab;        /**< owned                                                          */
    uint32_t *test_only;    /**< (n_test_only) on rank 0: ids that training never has; owned    */
    size_t n_test_only;
} ci_scan_state;

/** What is wrong with whole captures, and which of them are left out.  Not collective; the same on
 *  every rank. */
void ci_scan_files(ci_scan_state *s);

/** What is to be said of a block's capture as a whole, said where its first block is.
 *  \param [out] out_rows  whether its rows are to be read */
ci_rc ci_scan_file(ci_scan_state *s, ci_loader *loader, int32_t b, ci_table *t, bool *out_rows);

/** First pass: hashes of the captures, which of them are used, first row of every block as it is
 *  when the contract leaves nothing out.  Collective. */
ci_rc ci_scan_lines(ci_scan_state *s);

/** Second pass: parse this rank's blocks and count.  Collective. */
ci_rc ci_scan_rows(ci_scan_state *s);

/** What counts the windows of these settings. */
ci_rc ci_scan_builder(const ci_scan_state *s, ci_builder **out);

/** A block once more, from the row that it really begins with. */
ci_rc ci_scan_block(ci_scan_state *s, ci_loader *loader, ci_builder *builder, int32_t b,
                    ci_table *t, ci_rejects *rejects, ci_block_found *out);

/** What all ranks found, on rank 0 in order of captures and lines: rejects, counts.  Blocks are
 *  numbered by the rows that are there.  Collective. */
ci_rc ci_scan_settle(ci_scan_state *s);

/** Identifiers of all ranks: the vocabulary, and on rank 0 what the plan and the report say of
 *  them.  Collective. */
ci_rc ci_scan_ids(ci_scan_state *s);

/** data_report.json, and its short form in the log.  Not collective: rank 0. */
ci_rc ci_scan_report(const ci_scan_state *s, const char *path);

/** Stop for a signal.  \return CI_OK or CI_ETEMP */
ci_rc ci_scan_interrupted(void);

#endif
