/* The protocol against the system calls it makes: this program has its own write, fsync and rename,
 * which keep a list and can be told to fail.  A crash test cannot see a missing flush, because what
 * a killed process wrote stays in the page cache. */
#include "ci_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "ci/commit.h"
#include "ci/types.h"

enum { EVENT_MAX = 64, NAME_MAX_BYTES = 80 };
enum fault { NONE, FAIL, INTERRUPT, SHORT, CORRUPT };

static char dir[CI_PATH_MAX], path[CI_PATH_MAX], events[EVENT_MAX][NAME_MAX_BYTES];
static int n_event, fault_at, fault_errno, fault_done;
static enum fault fault_kind;
static bool watching;

static const char *const old_text = "the old generation";
static const char *const new_text = "what is to be the new generation";

static const char *name_of(const char *p)
{
    const char *slash = strrchr(p, '/');
    return slash ? slash + 1 : p;
}

static void name_of_fd(int fd, char out[NAME_MAX_BYTES])
{
    char link[64], target[CI_PATH_MAX];
    ssize_t n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, target, sizeof target - 1);
    target[n > 0 ? n : 0] = 0;
    snprintf(out, NAME_MAX_BYTES, "%.70s", name_of(target));
}

/* Notes a call; true when this is the one that the fault is for. */
static bool note(const char *verb, const char *what)
{
    const char *last = n_event ? events[n_event - 1] : "";
    char text[NAME_MAX_BYTES];

    snprintf(text, sizeof text, "%s %.70s", verb, what);
    /* Several writes to one file are one event. */
    if (strcmp(text, last) != 0 && n_event < EVENT_MAX)
        memcpy(events[n_event++], text, sizeof text);
    if (fault_kind == NONE || fault_done || n_event != fault_at) return false;
    fault_done = 1;
    return true;
}

static bool fails(void)
{
    if (fault_kind != FAIL && fault_kind != INTERRUPT) return false;
    errno = fault_kind == FAIL ? fault_errno : EINTR;
    return true;
}

ssize_t write(int fd, const void *bytes, size_t n)
{
    char name[NAME_MAX_BYTES];

    name_of_fd(fd, name);
    if (watching && name[0] == '.' && note("write", name)) {
        if (fails()) return -1;
        if (fault_kind == SHORT && n > 1) n = 1;
    }
    return syscall(SYS_write, fd, bytes, n);
}

int fsync(int fd)
{
    char name[NAME_MAX_BYTES];

    name_of_fd(fd, name);
    if (watching && note("fsync", name)) {
        if (fails()) return -1;
        if (fault_kind == CORRUPT) { /* the disk keeps something else */
            char temp[CI_PATH_MAX];
            int other;
            assert_int_equal(ci_commit_temp(path, temp), CI_OK);
            other = open(temp, O_WRONLY);
            assert_int_equal(pwrite(other, "X", 1, 3), 1);
            close(other);
        }
    }
    return (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
    char text[NAME_MAX_BYTES];

    snprintf(text, sizeof text, "%.30s %.30s", name_of(from), name_of(to));
    if (watching && note("rename", text) && fails()) return -1;
    return (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}

static int set_up(void **state)
{
    (void)state;
    fault_kind = NONE;
    watching = false;
    if (ci_path_join(dir, ci_test_tmp(), "order") != CI_OK || ci_make_dir(dir) != CI_OK
        || ci_path_join(path, dir, "f") != CI_OK)
        return 1;
    return ci_commit_bytes(path, old_text, strlen(old_text)) != CI_OK;
}

static int tear_down(void **state)
{
    (void)state;
    watching = false;
    return ci_commit_remove(path) != CI_OK || rmdir(dir) != 0;
}

static ci_rc commit_with_fault(int at, enum fault kind, int err)
{
    ci_rc rc;

    n_event = fault_done = 0;
    fault_at = at;
    fault_kind = kind;
    fault_errno = err;
    watching = true;
    rc = ci_commit_bytes(path, new_text, strlen(new_text));
    watching = false;
    return rc;
}

static bool is_now(const char *text)
{
    char want[CI_SHA256_HEX], got[CI_SHA256_HEX];

    ci_sha256_of(text, strlen(text), want);
    assert_int_equal(ci_commit_check(path, got), CI_OK);
    return strcmp(want, got) == 0;
}

static bool left_behind(void)
{
    char p[CI_PATH_MAX];

    assert_int_equal(ci_path_join(p, dir, ".f.tmp"), CI_OK);
    if (access(p, F_OK) == 0) return true;
    assert_int_equal(ci_path_join(p, dir, ".f.next"), CI_OK);
    return access(p, F_OK) == 0;
}

static const char *const order[] = {
    "write .f.tmp",     "fsync .f.tmp",             /* the bytes are down ...               */
    "write .f.next",    "fsync .f.next", "fsync order", /* ... and what proves them, ...   */
    "rename .f.tmp f",  "fsync order",              /* ... before anybody's name says so,   */
    "rename .f.next .f.commit", "fsync order",      /* and that before the record does      */
};
enum { N_ORDER = CI_COUNT(order), AT_RENAME = 6 };

static void commit__flushes_before_each_rename(void **state)
{
    (void)state;
    assert_int_equal(commit_with_fault(0, NONE, 0), CI_OK);
    assert_int_equal(n_event, N_ORDER);
    for (int i = 0; i < N_ORDER; i++) assert_string_equal(events[i], order[i]);
    assert_true(is_now(new_text));
}

static void commit__that_fails_at_any_call_leaves_a_whole_generation(void **state)
{
    static const int errors[] = {EIO, ENOSPC, EDQUOT};

    (void)state;
    for (int at = 1; at <= N_ORDER; at++)
        for (size_t k = 0; k < CI_COUNT(errors); k++) {
            assert_int_equal(ci_commit_bytes(path, old_text, strlen(old_text)), CI_OK);
            assert_int_equal(commit_with_fault(at, FAIL, errors[k]), CI_EIO);
            assert_true(fault_done);
            assert_non_null(strstr(ci_message(), dir));
            assert_true(is_now(at <= AT_RENAME ? old_text : new_text));
            if (at <= AT_RENAME) assert_false(left_behind());
            assert_int_equal(ci_commit_bytes(path, new_text, strlen(new_text)), CI_OK);
            assert_true(is_now(new_text));
            assert_false(left_behind());
        }
}

static void commit__says_what_to_do_about_a_full_disk(void **state)
{
    (void)state;
    assert_int_equal(commit_with_fault(1, FAIL, ENOSPC), CI_EIO);
    assert_non_null(strstr(ci_message(), "free some space"));
    assert_int_equal(commit_with_fault(AT_RENAME, FAIL, EACCES), CI_EPERM);
    assert_int_equal(commit_with_fault(AT_RENAME, FAIL, ENOTEMPTY), CI_ECREATE);
    assert_true(is_now(old_text));
}

static void commit__goes_on_after_interrupted_and_short_calls(void **state)
{
    (void)state;
    for (int at = 1; at <= N_ORDER; at++) {
        if (strncmp(order[at - 1], "rename", 6) == 0) continue; /* is never interrupted */
        assert_int_equal(commit_with_fault(at, INTERRUPT, 0), CI_OK);
        assert_true(fault_done);
        assert_true(is_now(new_text));
        assert_int_equal(commit_with_fault(at, SHORT, 0), CI_OK);
        assert_true(is_now(new_text));
    }
}

static void commit__finds_what_the_disk_changed(void **state)
{
    (void)state;
    assert_int_equal(commit_with_fault(2, CORRUPT, 0), CI_EIO);
    assert_non_null(strstr(ci_message(), "read back"));
    assert_true(is_now(old_text));
    assert_false(left_behind());
}

/* Folders of some file systems cannot be flushed: that is not the user's trouble. */
static void commit__puts_up_with_folders_that_cannot_be_flushed(void **state)
{
    (void)state;
    assert_int_equal(commit_with_fault(5, FAIL, EINVAL), CI_OK);
    assert_true(fault_done);
    assert_true(is_now(new_text));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static const struct CMUnitTest tests[] = {
    TEST(commit__flushes_before_each_rename),
    TEST(commit__that_fails_at_any_call_leaves_a_whole_generation),
    TEST(commit__says_what_to_do_about_a_full_disk),
    TEST(commit__goes_on_after_interrupted_and_short_calls),
    TEST(commit__finds_what_the_disk_changed),
    TEST(commit__puts_up_with_folders_that_cannot_be_flushed),
};
CI_TEST_MAIN(tests)
