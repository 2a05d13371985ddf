#define _GNU_SOURCE /* memfd_create */
/** A capture of any dialect, found by its looks. */
#include "line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) { return capture_check(data, n, CI_DIALECT_NONE); }
