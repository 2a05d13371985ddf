#ifndef CI_CSV_PRIV_H
#define CI_CSV_PRIV_H
/** One code of ci_rows_parse and ci_newlines for each instruction set; rows_isa.c makes them. */
#include "ci/csv.h"

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

#endif
