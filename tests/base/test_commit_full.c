/* A real disk that is full: a small tmpfs in a mount namespace of its own, which goes with the
 * process that made it. */
#define _GNU_SOURCE
#include "ci_test.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "ci/commit.h"

enum { PAGE = 4096, N_BYTES = 10 * PAGE, SKIPPED = 99 };

static char old_bytes[N_BYTES], new_bytes[N_BYTES];

#define NEED(what)                                                                              \
    do {                                                                                        \
        if (!(what)) {                                                                          \
            fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #what, ci_message());       \
            return 1;                                                                           \
        }                                                                                       \
    } while (0)

static bool mount_small(const char *dir, const char *options)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0
        && mount("tmpfs", dir, "tmpfs", 0, options) == 0;
}

/* Fills the disk, then leaves n_page free. */
static bool leave_pages(const char *filler, int n_page)
{
    static char page[PAGE];
    const int fd = open(filler, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    off_t n = 0;

    if (fd < 0) return false;
    while (write(fd, page, PAGE) == PAGE) n += PAGE;
    return ftruncate(fd, n - (off_t)n_page * PAGE) == 0 && close(fd) == 0;
}

static int is_there(const char *dir, const char *name)
{
    char p[CI_PATH_MAX];

    return ci_path_join(p, dir, name) == CI_OK && access(p, F_OK) == 0;
}

/* The old generation is on the disk, and n_page are free: may the new one be committed? */
static int try_with_free_pages(const char *dir, int n_page, int *out_ok)
{
    char path[CI_PATH_MAX], filler[CI_PATH_MAX], want[CI_SHA256_HEX], got[CI_SHA256_HEX];
    ci_rc rc;

    NEED(ci_path_join(path, dir, "out") == CI_OK && ci_path_join(filler, dir, "filler") == CI_OK);
    unlink(filler);
    NEED(ci_commit_bytes(path, old_bytes, N_BYTES) == CI_OK);
    NEED(leave_pages(filler, n_page));
    rc = ci_commit_bytes(path, new_bytes, N_BYTES);
    NEED(rc == CI_OK || rc == CI_EIO);
    NEED(rc == CI_OK || strstr(ci_message(), "free some space"));
    NEED(rc == CI_OK || strstr(ci_message(), dir));
    ci_sha256_of(rc == CI_OK ? new_bytes : old_bytes, N_BYTES, want);
    NEED(ci_commit_check(path, got) == CI_OK);
    NEED(strcmp(want, got) == 0);
    NEED(!is_there(dir, ".out.tmp") && !is_there(dir, ".out.next"));
    NEED(rc == CI_OK || leave_pages(filler, n_page)); /* what it took it has given back */
    *out_ok = rc == CI_OK;
    return 0;
}

static int fill_by_pages(const char *dir)
{
    int ok = -1;

    if (!mount_small(dir, "size=256k")) return SKIPPED;
    for (int n_page = 0; n_page <= 14; n_page++) {
        NEED(try_with_free_pages(dir, n_page, &ok) == 0);
        /* Ten pages of data and one of record: with ten, the record is what does not fit. */
        NEED(ok == (n_page >= 11));
    }
    return 0;
}

static int fill_by_inodes(const char *dir)
{
    char path[CI_PATH_MAX], got[CI_SHA256_HEX], want[CI_SHA256_HEX];

    /* The root, the file and its record; one more for .out.tmp and none for .out.next. */
    if (!mount_small(dir, "size=256k,nr_inodes=4")) return SKIPPED;
    NEED(ci_path_join(path, dir, "out") == CI_OK);
    NEED(ci_commit_bytes(path, old_bytes, N_BYTES) == CI_OK);
    NEED(ci_commit_bytes(path, new_bytes, N_BYTES) == CI_EIO);
    ci_sha256_of(old_bytes, N_BYTES, want);
    NEED(ci_commit_check(path, got) == CI_OK && strcmp(got, want) == 0);
    NEED(!is_there(dir, ".out.tmp") && !is_there(dir, ".out.next"));
    return 0;
}

static void in_child(int (*body)(const char *))
{
    char dir[CI_PATH_MAX];
    int status = 0;
    pid_t pid;

    if (geteuid() != 0) skip(); /* only root may mount */
    assert_int_equal(ci_path_join(dir, ci_test_tmp(), "full"), CI_OK);
    assert_int_equal(ci_make_dir(dir), CI_OK);
    memset(old_bytes, 'o', N_BYTES);
    memset(new_bytes, 'n', N_BYTES);
    pid = fork();
    if (pid == 0) _exit(body(dir));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    rmdir(dir);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == SKIPPED) skip(); /* a container without that right */
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void commit__on_a_full_disk_keeps_the_old_generation(void **state)
{
    (void)state;
    in_child(fill_by_pages);
}

static void commit__on_a_disk_without_inodes_keeps_the_old_generation(void **state)
{
    (void)state;
    in_child(fill_by_inodes);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(commit__on_a_full_disk_keeps_the_old_generation),
    cmocka_unit_test(commit__on_a_disk_without_inodes_keeps_the_old_generation),
};
CI_TEST_MAIN(tests)
