#ifndef BENCH_CAPTURE_H
#define BENCH_CAPTURE_H
/** Captures for tools/bench_*.c: four columns read by the parser that locates errors, so that nothing but what is benched is fast. */
#include <stdio.h>
#include "ci/table.h"

void must(bool ok, const char *what); /**< or end the program with `what` and ci_message() */
double cpu_s(void);                   /**< seconds of processor time of the process        */

void capture_put(ci_table *t, ci_frame f); /**< one more row */

/** Replace the rows by the next ones of f, at most n; lines that are no frame, the header first, are passed over.
 *  \return how many there are now */
ci_lid capture_next(FILE *f, ci_lid n, ci_table *t);

/** All rows of a file; false when there are none. */
bool capture_read(const char *path, ci_table *t);

const char *capture_name(const char *path); /**< behind the last '/'; borrowed */

#endif
