#define _GNU_SOURCE /* memfd_create */
/** A commit record: whatever stands in it, a file of 9 bytes is believed only with its own hash. */
#include "fuzz.h"

#include "ci/commit.h"
#include "ci/hash.h"

static void put(const char *name, const void *bytes, size_t n)
{
    FILE *f = fopen(scratch(name), "wb");

    MUST(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0, "%s", name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char bytes[] = "123456789";
    static const char own[] = "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225";
    char sha[CI_SHA256_HEX] = "";
    ci_rc rc;

    put("x", bytes, 9);
    put(".x.commit", data, n);
    rc = ci_commit_check(scratch("x"), sha);
    if (rc == CI_OK)
        MUST(strcmp(sha, own) == 0, "believed with %s", sha);
    else
        MUST((rc == CI_EFORMAT || rc == CI_ENOENT) && ci_message()[0], "code %d", rc);
    return 0;
}
