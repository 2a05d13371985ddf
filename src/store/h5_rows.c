#define _GNU_SOURCE
/* Rows on their way to the disk.
 *
 * HDF5 says where an array lies; its bytes then go there past HDF5 and past the page cache, in pieces of up to
 * 4 MiB: on a machine where H5Dwrite brings 0.8 GB/s and write() 0.4, O_DIRECT brings 2 and costs no time of a core.
 * Each array has a buffer here for rows that follow one another; what is not a whole sector at the ends of such a
 * run takes the page cache.  Hashes are taken on the way, a value for each run within 4 MiB of the file. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ci/arena.h"
#include "ci/tick.h"
#include "h5_priv.h"

enum { SECTOR = 4096, ROOM_ALL = 12 << 20, ROOM_MIN = 64 << 10, ROOM_MAX = 4 << 20 };

static int64_t bytes_of(const struct h5_set *s)
{
    return s->rows * s->cols * (int64_t)ci_type_bytes(s->kind);
}

ci_rc h5_rows_open(ci_h5 *f)
{
    ci_rc rc = CI_OK;

    f->fd = open(f->path, O_WRONLY | O_CLOEXEC);
    if (f->fd < 0) CI_FAIL(ci_rc_errno(errno), "%s: %s", f->path, strerror(errno));
    f->direct = open(f->path, O_WRONLY | O_CLOEXEC | O_DIRECT); /* some file systems have none of this */
done:
    return rc;
}

void h5_rows_close(ci_h5 *f)
{
    if (f->fd >= 0) close(f->fd);
    if (f->direct >= 0) close(f->direct);
    f->fd = f->direct = -1;
    for (size_t i = 0; i < f->n; i++) {
        free(f->set[i].buffer);
        f->set[i].buffer = NULL;
        if (f->set[i].hash) ci_xxh_end(&f->set[i].hash);
    }
}

static ci_rc write_all(const ci_h5 *f, int fd, int64_t at, const char *bytes, size_t n)
{
    ci_rc rc = CI_OK;

    while (n) {
        const ssize_t k = pwrite(fd, bytes, n, at);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) {
            const int err = k < 0 ? errno : ENOSPC;
            CI_FAIL(CI_EIO, "%s: cannot write: %s%s", f->path, strerror(err),
                    err == ENOSPC || err == EDQUOT ? "; free some space there, then run the same command again" : "");
        }
        bytes += k;
        at += k;
        n -= (size_t)k;
        ci_tick();
    }
done:
    return rc;
}

/* Whole sectors, past the page cache where that works. */
static ci_rc write_sectors(ci_h5 *f, int64_t at, const char *bytes, size_t n)
{
    size_t done = 0;

    while (f->direct >= 0 && done < n) {
        const ssize_t k = pwrite(f->direct, bytes + done, n - done, at + (int64_t)done);
        if (k > 0) done += (size_t)k;
        else if (k == 0 || errno != EINTR) break;
        if (done % SECTOR) break;
        ci_tick();
    }
    if (done < n && f->direct >= 0 && errno == EINVAL) { /* not here, then: never again */
        close(f->direct);
        f->direct = -1;
    }
    return done < n ? write_all(f, f->fd, at + (int64_t)done, bytes + done, n - done) : CI_OK;
}

/* What is in the buffer goes out; a run that goes on later begins at a sector. */
static ci_rc drain(ci_h5 *f, struct h5_set *s)
{
    ci_rc rc = CI_OK;
    const size_t first = CI_MIN((s->begin + SECTOR - 1) / SECTOR * SECTOR, s->end), last = CI_MAX(first, s->end / SECTOR * SECTOR);

    if (s->begin < first) CI_TRY(write_all(f, f->fd, s->base + (int64_t)s->begin, s->buffer + s->begin, first - s->begin));
    if (first < last) CI_TRY(write_sectors(f, s->base + (int64_t)first, s->buffer + first, last - first));
    if (last < s->end) CI_TRY(write_all(f, f->fd, s->base + (int64_t)last, s->buffer + last, s->end - last));
    s->base += (int64_t)(s->end / SECTOR * SECTOR);
    s->begin = s->end = s->end % SECTOR;
done:
    return rc;
}

static ci_rc extent_end(ci_h5 *f, struct h5_set *s, int64_t end)
{
    ci_rc rc = CI_OK;

    if (!s->hash) goto done;
    CI_TRY(ci_grow((void **)&f->wrote, &f->cap_wrote, f->n_wrote + 1, sizeof *f->wrote));
    f->wrote[f->n_wrote++] = (ci_extent){s->hashed, end - s->hashed, ci_xxh_end(&s->hash)};
done:
    return rc;
}

static ci_rc hash_add(ci_h5 *f, struct h5_set *s, int64_t at, const char *bytes, int64_t n)
{
    ci_rc rc = CI_OK;

    while (n) {
        const int64_t k = CI_MIN(n, CI_COMMIT_BLOCK - at % CI_COMMIT_BLOCK);
        if (!s->hash) {
            s->hash = ci_xxh_begin();
            if (!s->hash) CI_FAIL(CI_ENOMEM, "%s: no memory to hash it", f->path);
            s->hashed = at;
        }
        ci_xxh_add(s->hash, bytes, (size_t)k);
        bytes += k;
        at += k;
        n -= k;
        if (at % CI_COMMIT_BLOCK == 0) CI_TRY(extent_end(f, s, at));
    }
done:
    return rc;
}

/* The run ends here. */
static ci_rc run_end(ci_h5 *f, struct h5_set *s)
{
    ci_rc rc = CI_OK;

    CI_TRY(extent_end(f, s, s->base + (int64_t)s->end));
    CI_TRY(drain(f, s));
    s->begin = s->end = 0;
    s->base = -1;
done:
    return rc;
}

/* A buffer as large as the array's share of all bytes; it begins where memory and file have the same place in a sector. */
static ci_rc run_begin(const ci_h5 *f, struct h5_set *s, int64_t at)
{
    ci_rc rc = CI_OK;
    int64_t whole = 1, room;

    for (size_t i = 0; i < f->n; i++) whole += bytes_of(&f->set[i]);
    room = (int64_t)((double)ROOM_ALL * (double)bytes_of(s) / (double)whole);
    room = CI_MIN(CI_MAX(room, ROOM_MIN), CI_MIN(ROOM_MAX, bytes_of(s) + 2 * SECTOR));
    s->room = (size_t)room / SECTOR * SECTOR;
    if (!s->buffer) s->buffer = aligned_alloc(SECTOR, s->room);
    if (!s->buffer) CI_FAIL(CI_ENOMEM, "%s: a buffer of %zu bytes", f->path, s->room);
    s->base = at / SECTOR * SECTOR;
    s->begin = s->end = (size_t)(at - s->base);
done:
    return rc;
}

ci_rc h5_rows_put(ci_h5 *f, struct h5_set *s, int64_t at, const char *bytes, int64_t n)
{
    ci_rc rc = CI_OK;

    if (s->buffer && s->base >= 0 && s->base + (int64_t)s->end != at) CI_TRY(run_end(f, s));
    if (!s->buffer || s->base < 0) CI_TRY(run_begin(f, s, at));
    CI_TRY(hash_add(f, s, at, bytes, n));
    while (n) {
        const size_t k = CI_MIN((size_t)n, s->room - s->end);
        memcpy(s->buffer + s->end, bytes, k);
        s->end += k;
        bytes += k;
        n -= (int64_t)k;
        if (s->end == s->room) CI_TRY(drain(f, s));
    }
done:
    return rc;
}

ci_rc ci_h5_flush(ci_h5 *f, bool end)
{
    ci_rc rc = CI_OK;

    for (size_t i = 0; i < f->n; i++) {
        struct h5_set *s = &f->set[i];
        if (!s->buffer) continue;
        if (end && s->base >= 0) CI_TRY(run_end(f, s));
        else if (s->base >= 0) CI_TRY(drain(f, s));
        if (!end) continue;
        free(s->buffer);
        s->buffer = NULL;
        s->base = -1;
    }
done:
    return rc;
}
