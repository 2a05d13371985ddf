#ifndef CI_SCAN_PRIV_H
#define CI_SCAN_PRIV_H
/** One scan, shared by scan*.c. */
#include "ci/csv.h"
#include "ci/json.h"
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

/** A step of time and the row at its end: of a block while rows are not numbered yet. */
typedef struct ci_step {
    int64_t ns;
    int64_t row;            /**< in the block, then in the capture; -1: no such step     */
    int32_t block;
} ci_step;

/** How the time of a capture goes: by powers of two, so that parts of it add up. */
enum {
    CI_GAP_BACK = 27,       /**< a clock that goes back by 2^27 ns (0.13 s) jumps        */
    CI_GAP_AHEAD = 36,      /**< as does one that goes ahead by 2^36 ns (69 s)           */
    CI_GAP_LEAST = 30       /**< no gap is shorter than 2^30 ns (1.07 s)                 */
};
typedef struct ci_look {
    int32_t capture;
    int32_t first_block;    /**< in which its first row is                               */
    int64_t rows, t_first, t_last;
    int64_t ahead[64];      /**< steps of 2^k ns and more, less than 2^(k+1); 0 and 1: k = 0 */
    int64_t back[64];       /**< the same of steps back                                  */
    ci_step most_ahead, most_back;
} ci_look;

ci_look ci_look_none(int32_t capture);
ci_look ci_look_rows(const ci_table *t, int32_t block, int32_t capture); /**< its own rows */
void ci_look_append(ci_look *a, const ci_look *b);          /**< b's rows follow those of a   */

/** A gap is a step ahead of at least 2^k ns, where 2^k is the first power of two that is not below
 *  1 s and 128 medians of the steps ahead (the median rounded up to a power of two).  \return k */
int ci_look_gap(const ci_look *l);
int64_t ci_look_beyond(const int64_t steps[64], int k);     /**< steps of 2^k ns and more     */

/** Labels that fit the frames of other rows better than those of their own. */
typedef struct ci_shift {
    int32_t capture;
    int32_t rows;           /**< the label of row i fits the frame of row i - rows; 0: fits  */
    int32_t by_payload;     /**< 1: the frame's identifier and payload tell, 0: the former   */
    int64_t attacks;        /**< attack rows looked at                                   */
    int64_t wrong, wrong_shifted; /**< labels that frames of their kind contradict       */
} ci_shift;

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
    ci_contract contract;   /**< in force                                                       */
    uint8_t policy[CI_KIND_COUNT]; /**< of the settings, by which findings are judged           */
    double max_share;       /**< of the settings                                                */
    bool loose;             /**< files that somebody looks at, not a set to train with          */
    ci_plan plan;
    int64_t *lines;         /**< (plan.n_block) lines that begin in each block; owned           */
    int32_t first, end;     /**< blocks of this rank                                            */
    ci_block_found *found;  /**< (end - first) owned                                            */
    ci_rejects rejects;     /**< of this rank, then of all, items on rank 0 alone; owned        */
    int64_t n_line;         /**< in all captures                                                */
    int64_t n_quarantine;   /**< of them in quarantine, all those of captures left out          */
    bool refused;           /**< the contract refuses the set                                   */
    ci_look *look;          /**< (plan.n_capture) by this rank, on rank 0 later by all; owned   */
    ci_shift *shift;        /**< (n_shift) on rank 0: of captures with attacks, in order; owned */
    size_t n_shift;
    ci_seen_set seen;       /**< by this rank                                                   */
    ci_seen *all;           /**< (n_all) on rank 0: seen by all, merged; owned                  */
    size_t n_all;
    ci_vocab *vocab;        /**< owned                                                          */
    uint32_t *test_only;    /**< (n_test_only) on rank 0: ids that training never has; owned    */
    size_t n_test_only;
    size_t n_recorded;      /**< on rank 0: identifiers of training and test captures, injected ones apart */
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

/** Of every used capture with attacks: do its labels fit their rows?  Looks at 65,536 rows from a
 *  little before the first attack on, with the plan on every rank.  Collective. */
ci_rc ci_scan_shift(ci_scan_state *s);

/** Everything up to the report: on CI_OK the plan is whole on every rank.  When rows fail, or more
 *  is in quarantine than may be, it returns early, with s->refused.  Collective.
 *  \param [in] only  a file's name: nothing else of its folder; NULL: all captures */
ci_rc ci_scan_survey(ci_scan_state *s, const char *only);
void ci_scan_state_release(ci_scan_state *s);

/** Sums over the captures of a folder, of all when it is negative; what only makes sense along one
 *  file is left as it falls.  out_files may be NULL. */
ci_count ci_scan_sum(const ci_plan *p, int32_t folder, bool used_only, int32_t *out_files);

/** Everything to be told of the data, as a list of {severity, kind, path, line, column, row, what,
 *  why, do}; the caller's. */
ci_json *ci_scan_findings(const ci_scan_state *s);

/** The data report; short forms of it and of its findings go to the log.  Rank 0; the caller's. */
ci_json *ci_scan_report(const ci_scan_state *s);

const char *ci_scan_packing(const ci_capture *c); /**< "gzip"; static */

ci_json *ci_scan_totals(const ci_scan_state *s); /**< its "totals" */

/** The report as a page for a browser.  \return text to free(), NULL when memory is short */
char *ci_scan_page(const ci_json *report, size_t *out_n);

/** Stop for a signal.  \return CI_OK or CI_ETEMP */
ci_rc ci_scan_interrupted(void);

#endif
