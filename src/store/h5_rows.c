#define _GNU_SOURCE
/* Rows on their way to the disk.
 *
 * HDF5 says where an array lies; its bytes then go there past HDF5 and past the page cache, in pieces of up to
 * 2 MiB: on a machine where H5Dwrite brings 0.8 GB/s and write() 0.4, O_DIRECT brings 2 and costs no time of a core.
 * Each array has two buffers here for rows that follow one another: one is filled while the other is on its way.
 * What is not a whole sector at the ends of such a run takes the page cache.  Hashes are taken on the way, a value
 * for each run within 4 MiB of the file. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ci/arena.h"
#include "ci/tick.h"
#include "h5_priv.h"

enum { SECTOR = 4096, ROOM_ALL = 6 << 20, ROOM_MIN = 64 << 10, ROOM_MAX = 2 << 20 }; /* of one buffer of the two */

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

/* Wait for the bytes of an array that are on their way: how many came there, and why no more. */
static size_t landed(struct h5_set *s, int *out_errno)
{
    const struct aiocb *const io[] = {&s->io};

    while ((*out_errno = aio_error(&s->io)) == EINPROGRESS) aio_suspend(io, 1, NULL);
    ci_tick(); /* not before: a disk that hangs is no sign of life */
    s->flying = false;
    return *out_errno ? 0 : (size_t)aio_return(&s->io);
}

/* The page cache takes what O_DIRECT left, or says why not. */
static ci_rc land(ci_h5 *f, struct h5_set *s)
{
    ci_rc rc = CI_OK;
    int err;
    size_t k;

    if (!s->flying) goto done;
    k = landed(s, &err);
    f->plain = f->plain || err == EINVAL;
    if (k < s->io.aio_nbytes)
        CI_TRY(ci_extent_write(f->fd, f->path, s->io.aio_offset + (int64_t)k, (const char *)s->io.aio_buf + k, s->io.aio_nbytes - k));
done:
    return rc;
}

/* Whole sectors of the buffer, past the page cache where that works; the spare one is then the buffer. */
static ci_rc send(ci_h5 *f, struct h5_set *s, size_t first, size_t last)
{
    ci_rc rc = CI_OK;
    char *const full = s->buffer;

    CI_TRY(land(f, s));
    s->io = (struct aiocb){.aio_fildes = f->direct, .aio_offset = s->base + (int64_t)first, .aio_buf = full + first, .aio_nbytes = last - first,
                           .aio_sigevent.sigev_notify = SIGEV_NONE};
    s->flying = f->direct >= 0 && !f->plain && aio_write(&s->io) == 0;
    if (!s->flying) CI_TRY(ci_extent_write(f->fd, f->path, s->base + (int64_t)first, full + first, last - first));
    s->buffer = s->spare;
    s->spare = full;
done:
    return rc;
}

/* What is in the buffer goes out; a run that goes on later begins at a sector. */
static ci_rc drain(ci_h5 *f, struct h5_set *s)
{
    ci_rc rc = CI_OK;
    const size_t first = CI_MIN((s->begin + SECTOR - 1) / SECTOR * SECTOR, s->end), last = CI_MAX(first, s->end / SECTOR * SECTOR);

    if (s->begin < first) CI_TRY(ci_extent_write(f->fd, f->path, s->base + (int64_t)s->begin, s->buffer + s->begin, first - s->begin));
    if (last < s->end) CI_TRY(ci_extent_write(f->fd, f->path, s->base + (int64_t)last, s->buffer + last, s->end - last));
    if (first < last) CI_TRY(send(f, s, first, last));
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
    if (!s->spare) s->spare = aligned_alloc(SECTOR, s->room);
    if (!s->buffer || !s->spare) CI_FAIL(CI_ENOMEM, "%s: buffers of %zu bytes", f->path, s->room);
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

static void buffers_free(struct h5_set *s)
{
    free(s->buffer);
    free(s->spare);
    s->buffer = s->spare = NULL;
}

ci_rc ci_h5_flush(ci_h5 *f, bool end)
{
    ci_rc rc = CI_OK;

    for (size_t i = 0; i < f->n; i++)
        if (f->set[i].buffer && f->set[i].base >= 0) CI_TRY((end ? run_end : drain)(f, &f->set[i]));
    for (size_t i = 0; i < f->n; i++) {
        CI_TRY(land(f, &f->set[i]));
        if (!end) continue;
        buffers_free(&f->set[i]);
        f->set[i].base = -1;
    }
done:
    return rc;
}

void h5_rows_close(ci_h5 *f)
{
    for (size_t i = 0; i < f->n; i++) {
        int err;
        if (f->set[i].flying) (void)landed(&f->set[i], &err); /* nobody may write from memory that is given back */
        buffers_free(&f->set[i]);
        if (f->set[i].hash) ci_xxh_end(&f->set[i].hash);
    }
    if (f->fd >= 0) close(f->fd);
    if (f->direct >= 0) close(f->direct);
    f->fd = f->direct = -1;
}
