#define _GNU_SOURCE /* memfd_create */
/** candump -l and -L, with CAN FD, remote and error frames, and with a label behind. */
#include "line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) { return capture_check(data, n, CI_DIALECT_CANDUMP); }
