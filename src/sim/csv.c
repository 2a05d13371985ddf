#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ci/arena.h"
#include "ci/tick.h"
#include "sim_priv.h"

enum { BUFFER = 1 << 20, ROW_MAX = 64 };

static bool full(int err) { return err == ENOSPC || err == EDQUOT; }

static ci_rc create_failed(const char *path, int err)
{
    const bool denied = err == EACCES || err == EPERM || err == EROFS;

    return ci_fail(full(err) ? CI_EIO : denied ? CI_EPERM : CI_ECREATE, __FILE__, __LINE__,
                   "%s: cannot create: %s", path, strerror(err));
}

static ci_rc flush(writer *w)
{
    ci_rc rc = CI_OK;
    size_t done_n = 0;

    ci_sha256_add(w->sha, w->buffer, w->used);
    while (done_n < w->used) {
        const ssize_t k = write(w->fd, w->buffer + done_n, w->used - done_n);

        if (k < 0 && errno == EINTR) continue;
        if (k < 0)
            CI_FAIL(CI_EIO, "%s: cannot write at byte %lld: %s%s", w->path,
                    (long long)w->bytes + (long long)done_n, strerror(errno),
                    full(errno) ? "; free some space or lower sim.seconds" : "");
        done_n += (size_t)k;
        ci_tick();
    }
    w->bytes += (int64_t)w->used;
    w->used = 0;
done:
    return rc;
}

ci_rc ci_sim_writer_open(const char *path, writer *out)
{
    static const char header[] = "timestamp,arbitration_id,data_field,attack\n";
    ci_rc rc = CI_OK;
    writer w = {.fd = -1};

    if (strlen(path) >= sizeof w.path) CI_FAIL(CI_EARG, "%s: the path is too long", path);
    strcpy(w.path, path);
    CI_TRY(ci_commit_temp(path, w.temp));
    w.buffer = ci_new(BUFFER, 1);
    w.sha = ci_sha256_begin();
    if (!w.buffer || !w.sha) CI_FAIL(CI_ENOMEM, "%s: a buffer of %d bytes", path, BUFFER);
    do w.fd = open(w.temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    while (w.fd < 0 && errno == EINTR);
    if (w.fd < 0) CI_TRY(create_failed(path, errno));
    memcpy(w.buffer, header, sizeof header - 1);
    w.used = sizeof header - 1;
    *out = w;
    w = (writer){.fd = -1};
done:
    ci_sim_writer_release(&w);
    return rc;
}

static char *put_decimal(char *p, uint64_t v, int digits)
{
    for (int k = digits - 1; k >= 0; k--, v /= 10) p[k] = (char)('0' + v % 10);
    return p + digits;
}

ci_rc ci_sim_writer_row(writer *w, int64_t t_us, uint32_t id, const uint8_t *payload, int len,
                        int label)
{
    static const char hex[] = "0123456789ABCDEF";
    char *p = w->buffer + w->used;

    p = put_decimal(p, (uint64_t)t_us / 1000000, 10);
    *p++ = '.';
    p = put_decimal(p, (uint64_t)t_us % 1000000, 6);
    *p++ = ',';
    for (int shift = 8; shift >= 0; shift -= 4) *p++ = hex[id >> shift & 15];
    *p++ = ',';
    for (int k = 0; k < len; k++) {
        *p++ = hex[payload[k] >> 4];
        *p++ = hex[payload[k] & 15];
    }
    *p++ = ',';
    *p++ = (char)('0' + label);
    *p++ = '\n';
    w->used = (size_t)(p - w->buffer);
    w->rows++;
    w->attack_rows += label;
    return w->used > BUFFER - ROW_MAX ? flush(w) : CI_OK;
}

ci_rc ci_sim_writer_commit(writer *w, char out_sha[CI_SHA256_HEX])
{
    ci_rc rc = CI_OK;
    int fd;

    CI_TRY(flush(w));
    ci_sha256_end(&w->sha, out_sha);
    fd = w->fd;
    w->fd = -1;
    if (close(fd)) CI_FAIL(CI_EIO, "%s: cannot close: %s", w->path, strerror(errno));
    CI_TRY(ci_commit_publish(w->path, out_sha, NULL));
    w->temp[0] = 0; /* it is the file now */
done:
    return rc;
}

void ci_sim_writer_release(writer *w)
{
    char unused[CI_SHA256_HEX];

    if (w->fd >= 0) close(w->fd);
    if (w->temp[0] && w->buffer) unlink(w->temp);
    if (w->sha) ci_sha256_end(&w->sha, unused);
    free(w->buffer);
    *w = (writer){.fd = -1};
}
