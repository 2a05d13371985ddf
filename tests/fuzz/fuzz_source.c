#define _GNU_SOURCE /* memfd_create */
/** Files, packed or not: whatever the bytes, they are read or refused, in bounded memory; what was
 *  read once is read again, from anywhere, and a plain file's text is its bytes. */
#include "fuzz.h"

#include "ci/source.h"

enum { MOST = 1 << 20 };

static char once[MOST], again[MOST];

static int refused(ci_rc rc)
{
    MUST(rc == CI_OK || rc == CI_EDATA, "code %d", rc);
    MUST(rc == CI_OK || ci_message()[0], "no message");
    return rc != CI_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    ci_source *s = NULL;
    char path[64];
    int64_t bytes = 0;
    size_t got = 0, part = 0;

    file_of(data, n, path);
    if (refused(ci_source_open(path, &s))) return 0;
    if (ci_source_packing(s) == CI_PLAIN) {
        MUST(ci_source_read(s, 0, once, MOST, &got) == CI_OK && got == n, "%zu of %zu bytes", got, n);
        MUST(memcmp(once, data, n) == 0, "other bytes");
    }
    if (refused(ci_source_measure(s, MOST, &bytes))) goto done;
    MUST(bytes >= 0 && bytes <= MOST, "%lld bytes", (long long)bytes);
    if (refused(ci_source_read(s, 0, once, MOST, &got))) goto done;
    MUST((int64_t)got == bytes, "%zu read, %lld measured", got, (long long)bytes);
    for (size_t at = n % 7; at < got; at += 1 + got / 5) { /* forwards */
        MUST(ci_source_read(s, (int64_t)at, again, 1 + got / 3, &part) == CI_OK, "at %zu", at);
        MUST(part == CI_MIN(1 + got / 3, got - at) && memcmp(again, once + at, part) == 0, "at %zu", at);
    }
    MUST(ci_source_read(s, 0, again, MOST, &part) == CI_OK && part == got && memcmp(again, once, got) == 0,
         "from the beginning again");
done:
    ci_source_close(&s);
    return 0;
}
