#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base_priv.h"
#include "ci/commit.h"
#include "ci/tick.h"
#include "ci/types.h"

/* Linux transfers at most 2 GiB less a page at once. */
static const size_t once_max = (size_t)1 << 30;

static int open_again(const char *path, int flags, mode_t mode)
{
    int fd;

    do
        fd = open(path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

ci_rc ci_file_open(const char *path, int *out_fd)
{
    ci_rc rc = CI_OK;

    *out_fd = open_again(path, O_RDONLY, 0);
    if (*out_fd < 0) CI_FAIL(ci_rc_errno(errno), "%s: cannot open: %s", path, strerror(errno));
done:
    return rc;
}

ci_rc ci_file_create(const char *path, int *out_fd)
{
    *out_fd = open_again(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    return *out_fd < 0 ? ci_file_create_failed(path, errno) : CI_OK;
}

ci_rc ci_file_read(int fd, const char *path, void *out, size_t n, size_t *out_n)
{
    ci_rc rc = CI_OK;
    size_t got = 0;

    while (got < n) {
        const ssize_t k = read(fd, (char *)out + got, CI_MIN(n - got, once_max));
        if (k == 0) break;
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) CI_FAIL(CI_EIO, "%s: cannot read: %s", path, strerror(errno));
        got += (size_t)k;
    }
    *out_n = got;
done:
    return rc;
}

static bool disk_full(int err) { return err == ENOSPC || err == EDQUOT; }

ci_rc ci_file_write_failed(const char *path, int err)
{
    return ci_fail(CI_EIO, __FILE__, __LINE__, "%s: cannot write: %s%s", path, strerror(err),
                   disk_full(err) ? "; free some space there, then run the same command again"
                                  : "");
}

ci_rc ci_file_create_failed(const char *path, int err)
{
    const ci_rc rc = ci_rc_errno(err);

    if (disk_full(err) || err == EIO) return ci_file_write_failed(path, err);
    return ci_fail(rc == CI_EPERM ? CI_EPERM : CI_ECREATE, __FILE__, __LINE__,
                   "%s: cannot create: %s", path, strerror(err));
}

/* at: where in the file; -1: where it is. */
static ci_rc put(int fd, const char *path, int64_t at, const void *bytes, size_t n)
{
    size_t done = 0;

    while (done < n) {
        const char *from = (const char *)bytes + done;
        const size_t once = CI_MIN(n - done, once_max);
        const ssize_t k = at < 0 ? write(fd, from, once) : pwrite(fd, from, once, at + (int64_t)done);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return ci_file_write_failed(path, k < 0 ? errno : ENOSPC);
        done += (size_t)k;
        ci_tick();
    }
    return CI_OK;
}

ci_rc ci_file_write(int fd, const char *path, const void *bytes, size_t n) { return put(fd, path, -1, bytes, n); }

ci_rc ci_extent_open(const char *path, int *out_fd)
{
    *out_fd = open_again(path, O_WRONLY | O_CREAT, 0666);
    return *out_fd < 0 ? ci_file_create_failed(path, errno) : CI_OK;
}

ci_rc ci_extent_write(int fd, const char *path, int64_t at, const void *bytes, size_t n) { return put(fd, path, at, bytes, n); }

ci_rc ci_file_sync(int fd, const char *path)
{
    int failed;

    do
        failed = fsync(fd);
    while (failed && errno == EINTR);
    /* Some file systems cannot flush a folder on its own, and say so with these. */
    if (failed && errno != EINVAL && errno != ENOTSUP) return ci_file_write_failed(path, errno);
    return CI_OK;
}

void ci_file_close(int *fd)
{
    if (*fd >= 0) close(*fd); /* what was written has been flushed before: nothing to learn here */
    *fd = -1;
}

ci_rc ci_dir_sync(const char *dir)
{
    ci_rc rc = CI_OK;
    int fd = -1;

    CI_TRY(ci_file_open(dir, &fd));
    CI_TRY(ci_file_sync(fd, dir));
done:
    ci_file_close(&fd);
    return rc;
}

ci_rc ci_path_join(char out[CI_PATH_MAX], const char *dir, const char *name)
{
    ci_rc rc = CI_OK;
    const size_t n = strlen(dir);
    const char *between = n && dir[n - 1] != '/' ? "/" : "";
    const int k = snprintf(out, CI_PATH_MAX, "%s%s%s", dir, between, name);

    if (k < 0 || k >= CI_PATH_MAX)
        CI_FAIL(CI_EARG, "%s/%s: a path has at most %d bytes", dir, name, CI_PATH_MAX - 1);
done:
    return rc;
}

/* One level; a folder that is already there is welcome, whoever made it. */
static ci_rc make_one(const char *path)
{
    struct stat st;

    if (mkdir(path, 0777) == 0) return CI_OK;
    if (errno == EEXIST || errno == EROFS || errno == EACCES) {
        const int err = errno;
        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return CI_OK;
        return ci_file_create_failed(path, err == EEXIST ? ENOTDIR : err);
    }
    return ci_file_create_failed(path, errno);
}

ci_rc ci_make_dir(const char *path)
{
    ci_rc rc = CI_OK;
    char head[CI_PATH_MAX];
    const size_t n = strlen(path);

    if (n == 0 || n >= sizeof head)
        CI_FAIL(CI_ECREATE, "\"%s\": a folder's path has 1 to %d bytes", path, CI_PATH_MAX - 1);
    memcpy(head, path, n + 1);
    for (size_t i = 1; i < n; i++) {
        if (head[i] != '/' || head[i - 1] == '/') continue;
        head[i] = 0;
        CI_TRY(make_one(head));
        head[i] = '/';
    }
    CI_TRY(make_one(head));
done:
    return rc;
}
