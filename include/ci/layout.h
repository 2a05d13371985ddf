#ifndef CI_LAYOUT_H
#define CI_LAYOUT_H
/** How the lines of a capture are laid out, and one line read by it.
 *
 *  Every dialect is read by ci_line_read: slow, obvious, and exact about what is wrong where.
 *  Rows of the plain four columns have a fast twin, ci_rows_parse (csv.h). */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ci/contract.h"

/** Dialects, first those that are read, then those that are only known by name. */
typedef enum ci_dialect {
    CI_DIALECT_NONE,           /**< none of these                                              */
    CI_DIALECT_FOUR_COLUMN,    /**< timestamp,arbitration_id,data_field[,attack]               */
    CI_DIALECT_HCRL,           /**< t,id,dlc,b0,...,b(dlc-1)[,flag]: R/T or 0/1 at 3 + dlc     */
    CI_DIALECT_HCRL_CHALLENGE, /**< Timestamp,Arbitration_ID,DLC,Data[,Class[,SubClass]]       */
    CI_DIALECT_HCRL_TEXT,      /**< Timestamp: t  ID: 0140  000  DLC: 8  00 ...; also OTIDS    */
    CI_DIALECT_CANDUMP,        /**< candump -l, -L: (t) can0 123#1122, ##0, #R; also CAN-MIRGU */
    CI_DIALECT_CANDUMP_SCREEN, /**< candump -ta, -tz: (t)  can0  123   [2]  11 22              */
    CI_DIALECT_PYTHON_CAN,     /**< timestamp,arbitration_id,extended,remote,error,dlc,data    */
    CI_DIALECT_GVRET,          /**< Time Stamp,ID,Extended,[Dir,]Bus,LEN,D1,...; microseconds  */
    CI_DIALECT_READ,           /**< those from here on are not read                            */
    CI_DIALECT_BUSMASTER = CI_DIALECT_READ,
    CI_DIALECT_CRTD,
    CI_DIALECT_GENERIC_ID,     /**< SavvyCAN's ID,Data Bytes: there is no time in it           */
    CI_DIALECT_MICROCHIP,
    CI_DIALECT_ASC,            /**< Vector                                                     */
    CI_DIALECT_TRC,            /**< PEAK                                                       */
    CI_DIALECT_BLF,            /**< Vector                                                     */
    CI_DIALECT_MF4,            /**< ASAM MDF                                                   */
    CI_DIALECT_PCAP,           /**< pcap and pcapng                                            */
    CI_DIALECT_SQLITE,         /**< python-can's .db                                           */
    CI_DIALECT_SYNCAN,         /**< decoded signals, no frames                                 */
    CI_DIALECT_COUNT
} ci_dialect;

/** The layout of one capture.  Only int32_t: the plan carries it field by field. */
typedef struct ci_layout {
    int32_t dialect;   /**< ci_dialect                                                         */
    int32_t fault;     /**< ci_kind of what is wrong with the file as a whole, or CI_KIND_NONE:
                            CI_KIND_EMPTY_FILE, CI_KIND_HEADER, CI_KIND_DIALECT                */
    int32_t bom;       /**< bytes of the byte order mark before line 1: 0 or 3                 */
    int32_t header;    /**< 1: line 1 is a header, no frame                                    */
    int32_t crlf;      /**< 1: line 1 ends with CR LF                                          */
    int32_t labelled;  /**< 1: lines say whether the frame is an attack                        */
    int32_t fast;      /**< 1: ci_rows_parse may try, with `columns` columns                   */
    int32_t columns;   /**< of a row; 0 where the dialect has none or their number varies      */
    /** Which column, from 0, has what; -1: none.  For dialects with columns of fixed meaning. */
    int32_t time, id, payload, label, dlc, extended, remote, error, dir;
} ci_layout;

const char *ci_dialect_name(ci_dialect d);  /**< "four-column", as in data.format; static      */

/** What to do about a dialect that is not read: "Vector ASC: convert it with asc2log ..."; NULL
 *  for those that are.  Static. */
const char *ci_dialect_advice(ci_dialect d);

/** \return the dialect of that name, CI_DIALECT_NONE for "auto" and unknown names */
ci_dialect ci_dialect_find(const char *name);

enum { CI_LAYOUT_SAMPLE = 4096 }; /**< bytes that ci_layout_find needs to see, or the whole file */

/** Find the layout from the first bytes of a capture (uncompressed).  Not collective.  Allocates
 *  nothing.
 *  \param [in]  text, n  the first CI_LAYOUT_SAMPLE bytes, or all when there are fewer
 *  \param [in]  format   the dialect it is said to have; CI_DIALECT_NONE: found by its looks
 *  \param [out] out      always written.  Where nothing fits, dialect is CI_DIALECT_NONE and fault
 *                        says why; text that has commas but no header of ours is
 *                        CI_DIALECT_FOUR_COLUMN with CI_KIND_HEADER */
void ci_layout_find(const char *text, size_t n, ci_dialect format, ci_layout *out);

/** \return whether readers may use it: columns exist, flags are flags */
bool ci_layout_sound(const ci_layout *l);

/** The plain layout with 4 columns, or 3 (no label), behind a header. */
ci_layout ci_layout_plain(int columns);

/** What a line turned out to be. */
typedef enum ci_line {
    CI_LINE_BAD,    /**< it breaks the contract                                                */
    CI_LINE_FRAME,  /**< a frame                                                               */
    CI_LINE_NONE,   /**< no frame, and rightly so: a comment, or left out by a repair          */
} ci_line;

struct ci_frame;

/** Read one line that is no header.  Not collective.  Allocates nothing.
 *  \param [in]  layout     of a dialect that is read
 *  \param [in]  accepts    bits (1 << kind) of what is repaired instead of refused
 *                          (ci_contract_accepts); kinds without repair are refused all the same
 *  \param [in]  line, n    the bytes of one line without its line end; borrowed
 *  \param [out] out        CI_LINE_FRAME: the frame, out->repaired the repairs; CI_LINE_NONE: the
 *                          same of an error frame (CI_FRAME_ERROR in flags), of all else only
 *                          out->repaired means something; otherwise untouched
 *  \param [out] out_fault  written only on CI_LINE_BAD */
ci_line ci_line_read(const ci_layout *layout, uint64_t accepts, const char *line, size_t n,
                     struct ci_frame *out, ci_fault *out_fault);

enum { CI_FRAME_LINE = 192 }; /**< bytes of the longest line that ci_frame_line writes          */

/** A frame as a line with its newline, in CI_DIALECT_FOUR_COLUMN or CI_DIALECT_CANDUMP (interface
 *  can0), with its label or without.  Read again, it is the same frame; four columns have no place
 *  for the flags CI_FRAME_FD, BRS, ESI and SENT.
 *  \return bytes, without a final 0; 0 when the dialect cannot say it: another dialect; candump: a
 *          CAN FD length that there is not; four columns: more than 8 bytes, a remote or an error
 *          frame, an identifier of the 29-bit kind not above 7FF */
size_t ci_frame_line(const struct ci_frame *f, ci_dialect as, bool labelled, char out[CI_FRAME_LINE]);

#endif
