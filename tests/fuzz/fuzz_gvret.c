#define _GNU_SOURCE /* memfd_create */
/** GVRET of SavvyCAN: microseconds, flags, a column for each byte. */
#include "line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) { return capture_check(data, n, CI_DIALECT_GVRET); }
