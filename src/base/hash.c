#include "ci/hash.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base_priv.h"
#include "ci/tick.h"

enum { FILE_BUFFER = 1 << 20 };

struct ci_xxh_state { XXH3_state_t *x; };
struct ci_sha256 { EVP_MD_CTX *ctx; };

static ci_xxh from_library(XXH128_hash_t h) { return (ci_xxh){.lo = h.low64, .hi = h.high64}; }

ci_xxh ci_xxh_of(const void *bytes, size_t n) { return from_library(XXH3_128bits(bytes, n)); }

void ci_xxh_hex(ci_xxh h, char out[CI_XXH_HEX])
{
    snprintf(out, CI_XXH_HEX, "%016llx%016llx", (unsigned long long)h.hi,
             (unsigned long long)h.lo);
}

ci_xxh_state *ci_xxh_begin(void)
{
    ci_xxh_state *s = malloc(sizeof *s);

    if (!s) return NULL;
    s->x = XXH3_createState();
    if (s->x && XXH3_128bits_reset(s->x) == XXH_OK) return s;
    XXH3_freeState(s->x);
    free(s);
    return NULL;
}

void ci_xxh_add(ci_xxh_state *s, const void *bytes, size_t n)
{
    if (n) XXH3_128bits_update(s->x, bytes, n);
}

ci_xxh ci_xxh_end(ci_xxh_state **s)
{
    const ci_xxh h = from_library(XXH3_128bits_digest((*s)->x));

    XXH3_freeState((*s)->x);
    free(*s);
    *s = NULL;
    return h;
}

ci_sha256 *ci_sha256_begin(void)
{
    ci_sha256 *s = malloc(sizeof *s);

    if (!s) return NULL;
    s->ctx = EVP_MD_CTX_new();
    if (s->ctx && EVP_DigestInit_ex(s->ctx, EVP_sha256(), NULL) == 1) return s;
    EVP_MD_CTX_free(s->ctx);
    free(s);
    return NULL;
}

void ci_sha256_add(ci_sha256 *s, const void *bytes, size_t n)
{
    if (n) EVP_DigestUpdate(s->ctx, bytes, n);
}

void ci_sha256_end(ci_sha256 **s, char out[CI_SHA256_HEX])
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    out[0] = 0; /* what no digest equals, should the library fail */
    if (EVP_DigestFinal_ex((*s)->ctx, raw, &n) != 1) n = 0;
    for (unsigned i = 0; i < n; i++) snprintf(out + 2 * (size_t)i, 3, "%02x", (unsigned)raw[i]);
    EVP_MD_CTX_free((*s)->ctx);
    free(*s);
    *s = NULL;
}

void ci_sha256_of(const void *bytes, size_t n, char out[CI_SHA256_HEX])
{
    ci_sha256 *s = ci_sha256_begin();

    out[0] = 0;
    if (!s) return;
    ci_sha256_add(s, bytes, n);
    ci_sha256_end(&s, out);
}

ci_rc ci_sha256_file(const char *path, char out[CI_SHA256_HEX])
{
    ci_rc rc = CI_OK;
    int fd = -1;
    size_t n = 0;
    char digest[CI_SHA256_HEX];
    unsigned char *buffer = malloc(FILE_BUFFER);
    ci_sha256 *s = ci_sha256_begin();

    if (!buffer || !s) CI_FAIL(CI_ENOMEM, "%s: no memory to hash it", path);
    CI_TRY(ci_file_open(path, &fd));
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    do {
        CI_TRY(ci_file_read(fd, path, buffer, FILE_BUFFER, &n));
        ci_tick();
        ci_sha256_add(s, buffer, n);
    } while (n == FILE_BUFFER);
    ci_sha256_end(&s, out);
done:
    if (s) ci_sha256_end(&s, digest);
    ci_file_close(&fd);
    free(buffer);
    return rc;
}
