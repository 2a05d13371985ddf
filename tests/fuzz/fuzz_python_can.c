#define _GNU_SOURCE /* memfd_create */
/** python-can: flags, length and base64. */
#include "line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) { return capture_check(data, n, CI_DIALECT_PYTHON_CAN); }
