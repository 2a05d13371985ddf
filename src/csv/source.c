#include "ci/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ci/arena.h"
#include "ci/signal.h"
#include "ci/tick.h"
#include "ci/types.h"
#include "unpack_priv.h"

enum { ROOM = 2 * CI_SOURCE_KEEP };

struct ci_source {
    char *path;
    int fd;
    ci_unpack *unpack;     /**< NULL: a plain file                                              */
    char *window;          /**< (ROOM) the last uncompressed bytes                              */
    int64_t from, to;      /**< their offsets                                                   */
    bool ended;
};

static ci_rc bytes_pread(const ci_source *s, int64_t at, char *out, size_t n, size_t *out_n)
{
    ci_rc rc = CI_OK;

    for (*out_n = 0; *out_n < n;) {
        const ssize_t got = pread(s->fd, out + *out_n, n - *out_n, at + (int64_t)*out_n);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            CI_FAIL(CI_EIO, "%s: cannot read at byte %lld: %s", s->path,
                    (long long)(at + (int64_t)*out_n), strerror(errno));
        if (got == 0) break;
        *out_n += (size_t)got;
    }
done:
    return rc;
}

ci_rc ci_source_open(const char *path, ci_source **out)
{
    ci_rc rc = CI_OK;
    struct stat st;
    char magic[CI_MAGIC];
    size_t n = 0;
    ci_source *s = ci_new(1, sizeof *s);

    *out = NULL;
    if (!s) CI_FAIL(CI_ENOMEM, "%s: no memory to open it", path);
    s->fd = -1;
    s->path = strdup(path);
    if (!s->path) CI_FAIL(CI_ENOMEM, "%s: no memory to open it", path);
    s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hang us */
    if (s->fd < 0) CI_FAIL(ci_rc_errno(errno), "%s: cannot open: %s", path, strerror(errno));
    if (fstat(s->fd, &st) != 0) CI_FAIL(CI_EIO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        CI_FAIL(CI_EDATA, "%s: %s, not a file", path, S_ISDIR(st.st_mode) ? "a folder" : "a device");
    CI_TRY(bytes_pread(s, 0, magic, sizeof magic, &n));
    if (ci_packing_of(magic, n) != CI_PLAIN) {
        CI_TRY(ci_unpack_create(s->path, s->fd, ci_packing_of(magic, n), &s->unpack));
        s->window = ci_new(ROOM, 1);
        if (!s->window) CI_FAIL(CI_ENOMEM, "%s: no memory for a window of %d bytes", path, ROOM);
    }
    *out = s;
    s = NULL;
done:
    ci_source_close(&s);
    return rc;
}

void ci_source_close(ci_source **s)
{
    if (!s || !*s) return;
    ci_unpack_destroy(&(*s)->unpack);
    if ((*s)->fd >= 0) close((*s)->fd);
    free((*s)->window);
    free((*s)->path);
    free(*s);
    *s = NULL;
}

const char *ci_source_path(const ci_source *s) { return s->path; }

ci_packing ci_source_packing(const ci_source *s)
{
    return s->unpack ? ci_unpack_packing(s->unpack) : CI_PLAIN;
}

ci_rc ci_source_file_bytes(const ci_source *s, int64_t *out)
{
    ci_rc rc = CI_OK;
    struct stat st;

    if (fstat(s->fd, &st) != 0) CI_FAIL(CI_EIO, "%s: %s", s->path, strerror(errno));
    *out = st.st_size;
done:
    return rc;
}

/* The next bytes into the window, in which the last CI_SOURCE_KEEP stay. */
static ci_rc window_more(ci_source *s)
{
    ci_rc rc = CI_OK;
    size_t got = 0;

    if (s->to - s->from == ROOM) {
        memmove(s->window, s->window + ROOM - CI_SOURCE_KEEP, CI_SOURCE_KEEP);
        s->from = s->to - CI_SOURCE_KEEP;
    }
    CI_TRY(ci_unpack_step(s->unpack, s->window + (s->to - s->from), (size_t)(ROOM - (s->to - s->from)),
                          &got));
    s->to += (int64_t)got;
    s->ended = got == 0;
    ci_tick();
done:
    return rc;
}

static ci_rc window_read(ci_source *s, int64_t at, char *out, size_t n, size_t *out_n)
{
    ci_rc rc = CI_OK;

    *out_n = 0;
    if (at < s->from) {
        CI_TRY(ci_unpack_again(s->unpack));
        s->from = s->to = 0;
        s->ended = false;
    }
    while (*out_n < n) {
        const int64_t want = at + (int64_t)*out_n;
        if (want < s->to) {
            const size_t here = (size_t)CI_MIN((int64_t)(n - *out_n), s->to - want);
            memcpy(out + *out_n, s->window + (want - s->from), here);
            *out_n += here;
        } else if (s->ended) {
            break;
        } else {
            CI_TRY(window_more(s));
        }
    }
done:
    return rc;
}

ci_rc ci_source_read(ci_source *s, int64_t at, void *out, size_t n, size_t *out_n)
{
    return s->unpack ? window_read(s, at, out, n, out_n) : bytes_pread(s, at, out, n, out_n);
}

ci_rc ci_source_measure(ci_source *s, int64_t most, int64_t *out)
{
    ci_rc rc = CI_OK;

    if (!s->unpack) {
        CI_TRY(ci_source_file_bytes(s, out));
        goto done;
    }
    while (!s->ended) {
        if (ci_signal_seen()) CI_FAIL(CI_ETEMP, "%s: stopped by signal %d", s->path, ci_signal_seen());
        CI_TRY(window_more(s));
        if (s->to > most)
            CI_FAIL(CI_EDATA, "%s: expands to more than %lld bytes (data.expand_max)", s->path,
                    (long long)most);
    }
    *out = s->to;
done:
    return rc;
}
