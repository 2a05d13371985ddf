#ifndef CI_CSV_H
#define CI_CSV_H
/** Captures as text: `timestamp,arbitration_id,data_field,attack`, one frame a line.
 *
 *  There are two parsers.  ci_frame_check is slow and obvious and says what is wrong and where;
 *  ci_rows_parse takes the common shape at memory speed and leaves every other line to the first.
 *  Where both accept a line they give the same values. */
#include <stddef.h>
#include <stdint.h>
#include "ci/conf.h"
#include "ci/contract.h"
#include "ci/plan.h"
#include "ci/rc.h"
#include "ci/types.h"

enum {
    CI_LINE_MAX = 4096,     /**< bytes of the longest line, its end not counted                */
    CI_ROWS_BEFORE = 16,    /**< readable bytes that ci_rows_parse needs in front of the text  */
    CI_ROWS_BEHIND = 64,    /**< and behind it; their values do not matter                     */
    CI_REJECT_MAX = 1000,   /**< rejected lines that are kept                                  */
    CI_REJECT_VALUE = 80    /**< bytes that are kept of a rejected value                       */
};

/** What a frame is beside a classic data frame. */
enum {
    CI_FRAME_FD = 1,         /**< CAN FD                                                        */
    CI_FRAME_BRS = 2,        /**< with bit rate switch                                          */
    CI_FRAME_ESI = 4,        /**< error state indicator                                         */
    CI_FRAME_REMOTE = 8,     /**< remote request: len is 0, dlc what was asked for              */
    CI_FRAME_ERROR = 16,     /**< error frame: no traffic                                       */
    CI_FRAME_SENT = 32,      /**< the log marks it as sent by its own writer                    */
};

/** One frame. */
typedef struct ci_frame {
    int64_t t_ns;      /**< time, integer nanoseconds, never negative                          */
    uint32_t id;       /**< identifier, bit 31 set for the 29-bit kind (value above 7FF, or the
                            dialect says so)                                                   */
    uint64_t data;     /**< payload, byte k in bits 8k..8k+7, 0 beyond its length              */
    uint8_t len;       /**< payload length, 0..8 bytes, 0..64 with CI_FRAME_FD                 */
    uint8_t attack;    /**< label, 0 or 1; 0 where the capture has no label column             */
    uint8_t flags;     /**< CI_FRAME_*                                                         */
    uint8_t dlc;       /**< of a remote frame: the length it asks for                          */
    uint8_t more[56];  /**< bytes 8..63 of a CAN FD payload                                    */
    uint64_t repaired; /**< bits (1 << kind) of what was repaired in this line                 */
} ci_frame;

/** Parse one line of `columns` columns (4, or 3 without a label).  Not collective.
 *  \param [in]  line, n    the bytes of one line without its line end; borrowed
 *  \param [out] out        written only when the line is good
 *  \param [out] out_fault  written only when it is not
 *  \return the kind of violation, CI_KIND_NONE for a good line */
ci_kind ci_frame_check(const char *line, size_t n, int columns, ci_frame *out,
                       ci_fault *out_fault);

/** Parse `timestamp,arbitration_id,data_field,attack`; id and payload are hexadecimal.
 *  Not collective.  Allocates nothing.
 *  \param [in]  line, n  the bytes of one line without its newline; borrowed
 *  \param [out] out      written only on CI_OK
 *  \param [out] out_col  on CI_EFORMAT, 0-based column where reading stopped
 *  \return CI_OK or CI_EFORMAT */
ci_rc ci_frame_parse(const char *line, size_t n, ci_frame *out, size_t *out_col);

/** Where parsed rows go: borrowed columns with room for `cap` rows, `n` of them in use. */
typedef struct ci_rows {
    int64_t *t_ns;
    uint32_t *id;
    uint64_t *data;
    uint8_t *len, *attack;
    ci_lid n, cap;
} ci_rows;

/** Parse lines of the common shape from p on, until one starts at or behind `stop`, is not of
 *  that shape, does not end before `end`, or `out` is full.  CI_ROWS_BEFORE bytes in front of p
 *  and CI_ROWS_BEHIND bytes behind `end` must be readable.
 *  \return the start of the first line that was not parsed */
const char *ci_rows_parse(const char *p, const char *stop, const char *end, int columns,
                          ci_rows *out);

int64_t ci_newlines(const char *p, size_t n); /**< newlines among n bytes */

/** Choose the code of ci_rows_parse and ci_newlines: "avx512", "avx2", "generic", or "auto" (the
 *  best that this processor has, which is also what happens without a call).
 *  \return the name of what is used now, or NULL when this build or processor lacks it: then
 *          nothing changes */
const char *ci_csv_isa(const char *name);

/** A line that broke the contract and was not repaired. */
typedef struct ci_reject {
    int32_t capture;              /**< index in the plan                                       */
    int32_t kind;                 /**< ci_kind                                                 */
    int32_t policy;               /**< ci_policy: it fails or is in quarantine                 */
    int64_t line;                 /**< from 1                                                  */
    int64_t offset;               /**< byte of the (uncompressed) file that the line begins at */
    int32_t column;               /**< byte in the line, from 1                                */
    int32_t n_value;              /**< bytes of the value, kept or not                         */
    char value[CI_REJECT_VALUE];  /**< its first bytes                                         */
} ci_reject;

/** What the contract came to: the first CI_REJECT_MAX lines that fail or are in quarantine, in
 *  order of capture and line, and counts of all. */
typedef struct ci_rejects {
    ci_reject *item;   /**< (n) owned                                                          */
    int32_t n;
    int64_t total;     /**< also those that were not kept                                      */
    int64_t failing;   /**< those of them that fail                                            */
    ci_reject first;   /**< the first one that fails, kept or not                              */
    int64_t refused[CI_KIND_COUNT];  /**< by kind, failing or in quarantine                    */
    int64_t repaired[CI_KIND_COUNT]; /**< by kind, accepted                                    */
} ci_rejects;

/** `policy`: what befalls the line; anything but quarantine fails.  \return CI_OK or CI_ENOMEM */
ci_rc ci_rejects_add(ci_rejects *r, ci_policy policy, int32_t capture, int64_t line, int64_t offset,
                     const char *text, const ci_fault *fault);

/** Count repairs of a line: bits (1 << kind). */
void ci_rejects_repaired(ci_rejects *r, uint64_t kinds);
void ci_rejects_release(ci_rejects *r); /**< NULL-safe; leaves *r zero */

/** `path:line:column: kind: 'value': reason`, at most n bytes with the final 0. */
void ci_reject_text(const ci_plan *p, const ci_reject *r, char *out, size_t n);

/** The value as it is told: what is not printable ASCII as \\xNN, at most n bytes with the final 0. */
void ci_reject_value(const ci_reject *r, char *out, size_t n);

/** rejected.csv: file,line,column,offset,kind,value,reason,policy.  The value is in double quotes, bytes that
 *  are not printable ASCII as \\xNN, cut after 80 bytes of the original with "..." behind.
 *  \return text to free(), NULL when memory is short */
char *ci_rejects_csv(const ci_plan *p, const ci_rejects *r, size_t *out_n);

/** List the captures of data.root/data.set: folders and captures of the plan; sizes of compressed
 *  ones are -1, and there are no blocks yet.  Not collective: rank 0 lists, then broadcasts.
 *  \param [in] only  a file's name, whatever it ends in: nothing else in its folder is looked at;
 *                    NULL: all
 *
 *  Folders are those of data.train and data.test, or, when both lists are empty, every train_*
 *  and test_*.  Captures are their *.csv, whatever is in them, and those of their *.log and *.txt
 *  (and files of tools whose logs are known but not read, such as *.asc) that are of a known
 *  dialect: a README.txt is none.  Each may end in .gz, .xz or .zst.  Names that begin with a dot
 *  do not count.  Sorted by their bytes.
 *  \return CI_OK, CI_ENOMEM; CI_ECONF: no data.set, no training folder, a name twice or with a
 *          '/'; CI_ENOENT: no root, set or folder, or it is a file, or it has no capture; CI_EPERM:
 *          unreadable; CI_EDATA: x.csv is not a regular file, a name is too long or not UTF-8,
 *          a damaged compressed stream, a wrong side-car (sidecar.h), a simulation that was not finished
 *          (sim.h); CI_EIO */
ci_rc ci_csv_list(const ci_conf *conf, const char *only, ci_plan *out);

/** Of a plan that has been scanned: were its injected captures made of its training captures, these and no others, in this order?  Who
 *  is left out with a fold, and what is tested, must not be learned from as the base of an injected capture.  Not collective.
 *  \return CI_OK, also without data.injected; CI_EDATA: of others; what reading manifest.json returns */
ci_rc ci_csv_injected_bases(const ci_conf *conf, const ci_plan *p);

/** Uncompressed size of a listed capture; a compressed one is read to its end.  Not collective.
 *  \return CI_OK, CI_ENOMEM, CI_EIO, ...; CI_EDATA: damaged, or of more than `most` bytes;
 *          CI_ETEMP: stopped by a signal */
ci_rc ci_csv_measure(const ci_plan *p, int32_t capture, int64_t most, int64_t *out);

/** Cut captures of known sizes into blocks of `block` bytes, nothing counted yet.  Not collective;
 *  the same on every rank.  \return CI_OK, CI_ENOMEM; CI_ECONF: too many blocks */
ci_rc ci_csv_cut(ci_plan *p, int64_t block);

/** All three, by one process.  \return as those */
ci_rc ci_csv_find(const ci_conf *conf, ci_plan *out);

#endif
