#ifndef CI_CONVERT_H
#define CI_CONVERT_H
/** A capture of any dialect, compressed or not, written as four columns or as candump -L. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "ci/layout.h"
#include "ci/rc.h"

/** What was written, and what the dialect could not say and was left out. */
typedef struct ci_converted {
    int64_t frames;                 /**< written                                               */
    int64_t fd, remote, error;      /**< left out: CAN FD frames of more than 8 bytes or of a length
                                         that there is not, remote frames, error frames        */
    int64_t narrow;                 /**< left out: identifiers of the 29-bit kind up to 7FF    */
    int64_t flags;                  /**< written without their CAN FD flags                    */
} ci_converted;

typedef struct ci_convert ci_convert;

/** Open a capture and find its layout.  Not collective.
 *  \param [in]  format  its dialect, CI_DIALECT_NONE: found by its first bytes
 *  \param [out] out     on CI_OK the caller's, to ci_convert_close
 *  \return CI_OK, CI_ENOMEM, CI_ENOENT, CI_EPERM, CI_EIO; CI_EDATA: it is empty, damaged, has a header
 *          that names no frames, or a dialect that is not read (with what to do) */
ci_rc ci_convert_open(const char *path, ci_dialect format, ci_convert **out);
void ci_convert_close(ci_convert **c); /**< NULL-safe; leaves *c NULL */

/** Borrowed; has labels when they are in the capture or in PATH.attacks.csv. */
const ci_layout *ci_convert_layout(const ci_convert *c);
bool ci_convert_labelled(const ci_convert *c);

/** The first line of a file of this dialect, "" where there is none; static. */
const char *ci_convert_header(ci_dialect to, bool labelled);

/** Write all frames.  In memory are 256 KiB of the capture at a time.  Not collective.
 *  \param [in]  to        CI_DIALECT_FOUR_COLUMN or CI_DIALECT_CANDUMP
 *  \param [in]  labelled  with labels; only when ci_convert_labelled
 *  \param [in,out] sum    added to
 *  \return CI_OK, CI_EIO (of reading or of writing); CI_EDATA: a line breaks the contract, as
 *          path:line:column: kind: 'value': reason */
ci_rc ci_convert_write(ci_convert *c, ci_dialect to, bool labelled, FILE *out, ci_converted *sum);

#endif
