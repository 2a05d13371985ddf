#define _GNU_SOURCE /* memfd_create */
/** candump -ta and -tz. */
#include "line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) { return capture_check(data, n, CI_DIALECT_CANDUMP_SCREEN); }
