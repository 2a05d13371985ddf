#define _GNU_SOURCE /* memfd_create */
/** HCRL Challenge: a length, the bytes with blanks between, a class. */
#include "line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) { return capture_check(data, n, CI_DIALECT_HCRL_CHALLENGE); }
