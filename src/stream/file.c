/* A profile as a file: the bytes of pack, and behind them their SHA-256 in 64 hexadecimal digits. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pack_priv.h"
#include "ci/arena.h"
#include "ci/commit.h"

enum { DIGEST = CI_SHA256_HEX - 1, FILE_MOST = PACK_HEAD + CI_PROFILE_IDS * (PACK_ID + CI_PROFILE_IDS * PACK_EDGE) + DIGEST };

ci_rc ci_profile_write(const ci_profile *p, const char *path)
{
    ci_rc rc = CI_OK;
    size_t n = 0;
    char sha[CI_SHA256_HEX], *bytes = ci_profile_pack(p, &n), *all = bytes ? realloc(bytes, n + DIGEST) : NULL;

    if (!all) CI_FAIL(CI_ENOMEM, "%s: no memory for a profile", path);
    bytes = all;
    ci_sha256_of(bytes, n, sha);
    memcpy(bytes + n, sha, DIGEST);
    CI_TRY(ci_commit_bytes(path, bytes, n + DIGEST));
done:
    free(bytes);
    return rc;
}

static ci_rc bytes_read(FILE *f, const char *path, char **out, size_t *out_n)
{
    ci_rc rc = CI_OK;
    size_t cap = 0, n = 0, got = 1;
    char *bytes = NULL;

    while (got > 0) {
        if (n == cap) CI_TRY(ci_grow((void **)&bytes, &cap, n + (1 << 16), 1));
        got = fread(bytes + n, 1, cap - n, f);
        n += got;
        if (n > FILE_MOST) CI_FAIL(CI_EFORMAT, "%s is no profile: it has more than %d bytes", path, FILE_MOST);
    }
    if (ferror(f)) CI_FAIL(CI_EIO, "%s: cannot read: %s", path, strerror(errno));
    *out = bytes;
    *out_n = n;
    bytes = NULL;
done:
    free(bytes);
    return rc;
}

ci_rc ci_profile_read(const char *path, ci_profile **out)
{
    ci_rc rc = CI_OK;
    FILE *f = fopen(path, "rb");
    char *bytes = NULL, sha[CI_SHA256_HEX], message[CI_MESSAGE_MAX];
    size_t n = 0;

    if (!f) CI_FAIL(ci_rc_errno(errno), "%s: cannot open the profile: %s", path, strerror(errno));
    CI_TRY(bytes_read(f, path, &bytes, &n));
    if (n < PACK_HEAD + DIGEST || memcmp(bytes, profile_magic, PACK_MAGIC) != 0)
        CI_FAIL(CI_EFORMAT, "%s is no profile, or cut off: %zu bytes", path, n);
    n -= DIGEST;
    ci_sha256_of(bytes, n, sha);
    if (memcmp(bytes + n, sha, DIGEST) != 0)
        CI_FAIL(CI_EFORMAT, "%s is damaged: its bytes are not those that were written (SHA-256); copy it again, or learn it again", path);
    rc = ci_profile_unpack(bytes, n, out);
    if (rc == CI_EFORMAT) {
        snprintf(message, sizeof message, "%s", ci_message());
        CI_FAIL(CI_EFORMAT, "%s: %s", path, message);
    }
done:
    if (f) fclose(f);
    free(bytes);
    return rc;
}
