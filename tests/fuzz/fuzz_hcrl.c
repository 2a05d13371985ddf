#define _GNU_SOURCE /* memfd_create */
/** HCRL Car-Hacking: a column for each byte, the flag behind them. */
#include "line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) { return capture_check(data, n, CI_DIALECT_HCRL); }
