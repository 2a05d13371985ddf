/* zlib, liblzma and libzstd behind one verb. */
#include "unpack_priv.h"

#include <errno.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "ci/arena.h"

enum { INPUT = 64 << 10, WINDOW_LOG = 24 };
_Static_assert(CI_SOURCE_WINDOW == 1 << WINDOW_LOG, "the window is what libzstd is told");

struct ci_unpack {
    const char *path;
    int fd;
    ci_packing packing;
    char *input;
    size_t at, n;         /**< of the input: taken, there                                       */
    int64_t file_at;      /**< offset in the file behind the input                              */
    bool file_end;        /**< there is no more                                                 */
    bool open;            /**< inside a member or frame                                         */
    bool begun;           /**< z or xz is to be ended                                           */
    z_stream z;
    lzma_stream xz;
    ZSTD_DStream *zstd;
};

ci_packing ci_packing_of(const char *b, size_t n)
{
    if (n >= 2 && memcmp(b, "\x1f\x8b", 2) == 0) return CI_GZIP;
    if (n >= 6 && memcmp(b, "\xfd" "7zXZ\0", 6) == 0) return CI_XZ;
    if (n >= 4 && memcmp(b, "\x28\xb5\x2f\xfd", 4) == 0) return CI_ZSTD;
    if (n >= 4 && (b[0] & 0xf0) == 0x50 && memcmp(b + 1, "\x2a\x4d\x18", 3) == 0)
        return CI_ZSTD; /* a frame to be skipped, which pzstd puts in front of each other one */
    return CI_PLAIN;
}

static ci_rc damaged(const ci_unpack *u, const char *what)
{
    static const char *const names[] = {"plain", "gzip", "xz", "Zstandard"};
    ci_rc rc = CI_OK;

    CI_FAIL(CI_EDATA, "%s: the %s stream %s, before byte %lld of the file", u->path,
            names[u->packing], what, (long long)(u->file_at - (int64_t)(u->n - u->at)));
done:
    return rc;
}

static ci_rc input_more(ci_unpack *u)
{
    ci_rc rc = CI_OK;
    ssize_t got;

    if (u->at < u->n || u->file_end) goto done;
    do
        got = pread(u->fd, u->input, INPUT, u->file_at);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        CI_FAIL(CI_EIO, "%s: cannot read at byte %lld: %s", u->path, (long long)u->file_at,
                strerror(errno));
    u->at = 0;
    u->n = (size_t)got;
    u->file_at += got;
    u->file_end = got == 0;
done:
    return rc;
}

static void streams_end(ci_unpack *u)
{
    if (u->begun && u->packing == CI_GZIP) inflateEnd(&u->z);
    if (u->begun && u->packing == CI_XZ) lzma_end(&u->xz);
    u->begun = false;
}

ci_rc ci_unpack_again(ci_unpack *u)
{
    ci_rc rc = CI_OK;
    bool good = true;

    streams_end(u);
    u->at = u->n = 0;
    u->file_at = 0;
    u->file_end = false;
    u->open = true;
    if (u->packing == CI_GZIP) {
        memset(&u->z, 0, sizeof u->z);
        good = inflateInit2(&u->z, 16 + MAX_WBITS) == Z_OK;
    } else if (u->packing == CI_XZ) {
        u->xz = (lzma_stream)LZMA_STREAM_INIT;
        /* What the decoder needs beside its window is less than a megabyte. */
        good = lzma_stream_decoder(&u->xz, CI_SOURCE_WINDOW + (1 << 20), LZMA_CONCATENATED) == LZMA_OK;
    } else {
        if (!u->zstd) u->zstd = ZSTD_createDStream();
        good = u->zstd && !ZSTD_isError(ZSTD_initDStream(u->zstd))
               && !ZSTD_isError(ZSTD_DCtx_setParameter(u->zstd, ZSTD_d_windowLogMax, WINDOW_LOG));
    }
    if (!good) CI_FAIL(CI_ENOMEM, "%s: no memory to decompress it", u->path);
    u->begun = true;
done:
    return rc;
}

ci_rc ci_unpack_create(const char *path, int fd, ci_packing packing, ci_unpack **out)
{
    ci_rc rc = CI_OK;
    ci_unpack *u = ci_new(1, sizeof *u);

    *out = NULL;
    if (!u) CI_FAIL(CI_ENOMEM, "%s: no memory to decompress it", path);
    u->path = path;
    u->fd = fd;
    u->packing = packing;
    u->input = ci_new(INPUT, 1);
    if (!u->input) CI_FAIL(CI_ENOMEM, "%s: no memory to decompress it", path);
    CI_TRY(ci_unpack_again(u));
    *out = u;
    u = NULL;
done:
    ci_unpack_destroy(&u);
    return rc;
}

void ci_unpack_destroy(ci_unpack **u)
{
    if (!u || !*u) return;
    streams_end(*u);
    ZSTD_freeDStream((*u)->zstd);
    free((*u)->input);
    free(*u);
    *u = NULL;
}

ci_packing ci_unpack_packing(const ci_unpack *u) { return u->packing; }

/* Behind a member: the next one, zeros up to the end as tapes have them, or nothing. */
static ci_rc gzip_next(ci_unpack *u)
{
    ci_rc rc = CI_OK;

    CI_TRY(input_more(u));
    while (!u->file_end && u->input[u->at] == 0) {
        u->at++;
        CI_TRY(input_more(u));
        if (!u->file_end && u->input[u->at] != 0) CI_TRY(damaged(u, "is followed by something else"));
    }
    if (u->file_end) goto done;
    if ((unsigned char)u->input[u->at] != 0x1f) CI_TRY(damaged(u, "is followed by something else"));
    if (inflateReset(&u->z) != Z_OK) CI_TRY(damaged(u, "cannot go on"));
    u->open = true;
done:
    return rc;
}

static ci_rc gzip_step(ci_unpack *u, char *out, size_t room, size_t *out_n)
{
    ci_rc rc = CI_OK;
    int got;

    u->z.next_in = (Bytef *)u->input + u->at;
    u->z.avail_in = (uInt)(u->n - u->at);
    u->z.next_out = (Bytef *)out;
    u->z.avail_out = (uInt)room;
    got = inflate(&u->z, Z_NO_FLUSH);
    u->at = u->n - u->z.avail_in;
    *out_n = room - u->z.avail_out;
    if (got == Z_STREAM_END) {
        u->open = false;
        CI_TRY(gzip_next(u));
    } else if (got == Z_MEM_ERROR) {
        CI_FAIL(CI_ENOMEM, "%s: no memory to decompress it", u->path);
    } else if (got != Z_OK && got != Z_BUF_ERROR) {
        CI_TRY(damaged(u, "is damaged"));
    }
done:
    return rc;
}

static ci_rc xz_step(ci_unpack *u, char *out, size_t room, size_t *out_n)
{
    ci_rc rc = CI_OK;
    lzma_ret got;

    u->xz.next_in = (const uint8_t *)u->input + u->at;
    u->xz.avail_in = u->n - u->at;
    u->xz.next_out = (uint8_t *)out;
    u->xz.avail_out = room;
    got = lzma_code(&u->xz, u->file_end ? LZMA_FINISH : LZMA_RUN);
    u->at = u->n - u->xz.avail_in;
    *out_n = room - u->xz.avail_out;
    if (got == LZMA_STREAM_END)
        u->open = false;
    else if (got == LZMA_MEMLIMIT_ERROR)
        CI_TRY(damaged(u, "needs a window of more than 16 MiB; compress the file with xz -6"));
    else if (got == LZMA_MEM_ERROR)
        CI_FAIL(CI_ENOMEM, "%s: no memory to decompress it", u->path);
    else if (got != LZMA_OK && got != LZMA_BUF_ERROR)
        CI_TRY(damaged(u, "is damaged or followed by something else"));
done:
    return rc;
}

static ci_rc zstd_step(ci_unpack *u, char *out, size_t room, size_t *out_n)
{
    ci_rc rc = CI_OK;
    ZSTD_inBuffer in = {u->input, u->n, u->at};
    ZSTD_outBuffer to = {out, room, 0};
    const bool starting = !u->open;
    const size_t got = ZSTD_decompressStream(u->zstd, &to, &in);

    if (ZSTD_isError(got)) {
        const ZSTD_ErrorCode why = ZSTD_getErrorCode(got);
        if (why == ZSTD_error_frameParameter_windowTooLarge)
            CI_TRY(damaged(u, "needs a window of more than 16 MiB; compress the file without --long "
                           "and --ultra"));
        if (why == ZSTD_error_memory_allocation)
            CI_FAIL(CI_ENOMEM, "%s: no memory to decompress it", u->path);
        CI_TRY(damaged(u, starting || why == ZSTD_error_prefix_unknown ? "is followed by something else"
                                                                       : "is damaged"));
    }
    u->at = in.pos;
    *out_n = to.pos;
    u->open = got != 0;
done:
    return rc;
}

ci_rc ci_unpack_step(ci_unpack *u, char *out, size_t room, size_t *out_n)
{
    ci_rc rc = CI_OK;

    *out_n = 0;
    while (*out_n == 0) {
        CI_TRY(input_more(u));
        if (u->file_end && !u->open) break;
        const size_t at = u->at;
        CI_TRY(u->packing == CI_GZIP ? gzip_step(u, out, room, out_n)
               : u->packing == CI_XZ ? xz_step(u, out, room, out_n)
                                     : zstd_step(u, out, room, out_n));
        if (*out_n == 0 && u->at == at && u->file_end && u->open) CI_TRY(damaged(u, "is cut short"));
    }
done:
    return rc;
}
