#define _GNU_SOURCE /* memfd_create */
/** Four columns, with all that may be around them; fuzz_rows has the plain ones. */
#include "line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) { return capture_check(data, n, CI_DIALECT_FOUR_COLUMN); }
