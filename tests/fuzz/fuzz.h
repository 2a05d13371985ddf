#ifndef FUZZ_H
#define FUZZ_H
/** What the fuzz targets share.  A target is LLVMFuzzerTestOneInput in tests/fuzz/fuzz_<name>.c; its
 *  seeds are tests/fuzz/corpus/<name>/; test_fuzz.py runs it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ci/rc.h"
#include "ci/types.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What must hold of every input; what does not is a finding, and libFuzzer keeps the input. */
#define MUST(holds, ...)                                                                           \
    do {                                                                                           \
        if (holds) break;                                                                          \
        fprintf(stderr, "%s:%d: " #holds ": ", __FILE__, __LINE__);                                \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fprintf(stderr, " (%s)\n", ci_message());                                                  \
        abort();                                                                                   \
    } while (0)

/* A file in memory with these bytes, the same one on every call; `out` is its path. */
__attribute__((unused))
static void file_of(const uint8_t *data, size_t n, char out[64])
{
    static int fd = -1;

    if (fd < 0) fd = memfd_create("fuzz", MFD_CLOEXEC);
    MUST(fd >= 0 && ftruncate(fd, 0) == 0, "no file in memory");
    MUST(pwrite(fd, data, n, 0) == (ssize_t)n, "%zu bytes", n);
    snprintf(out, 64, "/proc/self/fd/%d", fd);
}

/* A path in a folder that test_fuzz.py removes afterwards, for what has to be committed. */
__attribute__((unused))
static const char *scratch(const char *name)
{
    static char path[256];
    const char *folder = getenv("CANIDS_FUZZ_SCRATCH");

    snprintf(path, sizeof path, "%.200s/%s", folder ? folder : "/dev/shm", name);
    return path;
}

#endif
