#ifndef CI_CSV_PRIV_H
#define CI_CSV_PRIV_H
/** What the readers of one line share, and one code of ci_rows_parse and ci_newlines for each
 *  instruction set; rows_isa.c makes those. */
#include <stdbool.h>
#include <string.h>

#include "ci/csv.h"
#include "ci/layout.h"

/* Beyond this many whole seconds a time does not fit 63 bits of nanoseconds. */
#define CI_SECONDS_MAX INT64_C(9223372036)

typedef const char *(ci_rows_fn)(const char *p, const char *stop, const char *end, int columns,
                                 ci_rows *out);
typedef int64_t(ci_newlines_fn)(const char *p, size_t n);

ci_rows_fn ci_rows_parse_generic;
ci_newlines_fn ci_newlines_generic;
#if defined(__x86_64__)
ci_rows_fn ci_rows_parse_avx2, ci_rows_parse_avx512;
ci_newlines_fn ci_newlines_avx2, ci_newlines_avx512;
#endif

/* ---- field.c: one field.  Each gets the field alone, returns what is wrong with it and where in
 * it reading stopped; what has a repair is written repaired all the same. */

int ci_hex_digit(char c); /**< its value, -1: none */
static inline bool ci_is_blank(char c) { return c == ' ' || c == '\t'; }
static inline bool ci_is_digit(char c) { return c >= '0' && c <= '9'; }

ci_kind ci_field_time(const char *f, size_t n, int64_t *out, size_t *stop);
/** Whole microseconds. */
ci_kind ci_field_micros(const char *f, size_t n, int64_t *out, size_t *stop);
/** Hexadecimal, at most 8 digits and 29 bits; bit 31 by value. */
ci_kind ci_field_id(const char *f, size_t n, uint32_t *out, size_t *stop);
/** Hexadecimal digits of at most 8 bytes without anything between. */
ci_kind ci_field_payload(const char *f, size_t n, uint64_t *out, uint8_t *out_len, size_t *stop);
/** 0 or 1. */
ci_kind ci_field_label(const char *f, size_t n, uint8_t *out, size_t *stop);

enum { CI_LAYOUT_COLUMNS = 32 }; /* columns that are not bytes */

/* ---- line.c: one line while it is read */

typedef struct ci_slice {
    size_t from, n; /**< bytes of the line */
} ci_slice;

typedef struct ci_reader {
    const ci_layout *layout;
    uint64_t accepts;
    const char *s;      /**< (n) the line                                    */
    size_t n, at;       /**< at: how far scanners of tokens have come        */
    ci_frame frame;     /**< as far as it was read                           */
    ci_fault fault;     /**< of the first violation that was not accepted    */
    bool none;          /**< the line is left out                            */
} ci_reader;

/** Take what a field's reader said: false when the line is bad. */
bool ci_reader_pass(ci_reader *r, ci_kind kind, ci_slice where, size_t stop);

/** What no repair helps; always false. */
bool ci_reader_refuse(ci_reader *r, ci_kind kind, ci_slice where, size_t stop);

/* Fields of the line; false when the line is bad. */
bool ci_reader_time(ci_reader *r, ci_slice f);
bool ci_reader_id(ci_reader *r, ci_slice f, bool extended);
/** candump's: three digits or eight, the latter also of error frames. */
bool ci_reader_id_by_width(ci_reader *r, ci_slice f);
/** Hexadecimal digits, two a byte, with blanks between bytes; at most `most` bytes. */
bool ci_reader_hex(ci_reader *r, ci_slice f, size_t most);
/** The byte `k` in two digits. */
bool ci_reader_byte(ci_reader *r, ci_slice f, size_t k);
/** A whole number from 0 to most; any other is a CI_KIND_DLC, after whose repair *out is -1. */
bool ci_reader_length(ci_reader *r, ci_slice f, int most, int *out);
/** The length column, -1 not to be believed, against the payload that was read. */
bool ci_reader_dlc(ci_reader *r, int dlc, ci_slice where);
/** After the payload: what remote, error and FD frames are. */
bool ci_reader_special(ci_reader *r);
bool ci_reader_label(ci_reader *r, ci_slice f, const char *const *benign, const char *const *attack);
void ci_frame_byte_put(ci_frame *f, size_t k, int value);

ci_slice ci_slice_trim(const ci_reader *r, ci_slice f);       /**< without blanks around it   */
bool ci_slice_is(const ci_reader *r, ci_slice f, const char *word); /**< in any case          */
/** The next word, of n 0 when there is none. */
ci_slice ci_reader_word(ci_reader *r);

/** Can a CAN FD frame have so many bytes? */
bool ci_fd_length(size_t n);

/** Cut at commas.  \return fields of the line, at most `most` of which are in out */
size_t ci_reader_split(const ci_reader *r, ci_slice *out, size_t most);

/** Of those that are not read, by what the file begins with; CI_DIALECT_NONE: none of them. */
ci_dialect ci_dialect_by_signature(const char *text, size_t n);

/* line_columns.c, line_bytes.c, line_text.c: one reader for each dialect; false when the line is bad. */
typedef bool(ci_line_fn)(ci_reader *r);
ci_line_fn ci_line_columns;  /**< four-column, hcrl-challenge, python-can */
ci_line_fn ci_line_hcrl, ci_line_gvret;
ci_line_fn ci_line_hcrl_text, ci_line_candump, ci_line_candump_screen;

#endif
