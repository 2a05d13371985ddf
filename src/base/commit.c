#include "ci/commit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base_priv.h"

/* The files of one commit, and the folder they are in. */
struct names {
    const char *path;
    char dir[CI_PATH_MAX], temp[CI_PATH_MAX], next[CI_PATH_MAX], record[CI_PATH_MAX];
};

static int n_point, crash_point;

void ci_commit_crash_at(int k) { crash_point = k > 0 ? n_point + k : 0; }

void ci_commit_point(void)
{
    if (++n_point == crash_point) raise(SIGKILL);
}

/* DIR/.NAMEsuffix */
static ci_rc beside(const char *path, const char *suffix, char out[CI_PATH_MAX])
{
    ci_rc rc = CI_OK;
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const int n_dir = (int)(name - path);
    int k;

    if (strlen(path) >= CI_PATH_MAX || strlen(name) > 240)
        CI_FAIL(CI_EARG, "%s: a path has at most %d bytes, a name 240", path, CI_PATH_MAX - 1);
    if (*name == 0) CI_FAIL(CI_EARG, "\"%s\" does not name a file", path);
    k = snprintf(out, CI_PATH_MAX, "%.*s.%s%s", n_dir, path, name, suffix);
    if (k < 0 || k >= CI_PATH_MAX)
        CI_FAIL(CI_EARG, "%s: a path has at most %d bytes", path, CI_PATH_MAX - 9);
done:
    return rc;
}

ci_rc ci_commit_temp(const char *path, char out[CI_PATH_MAX])
{
    return beside(path, ".tmp", out);
}

static ci_rc names_of(const char *path, struct names *out)
{
    ci_rc rc = CI_OK;
    const char *slash = strrchr(path, '/');

    out->path = path;
    CI_TRY(beside(path, ".tmp", out->temp));
    CI_TRY(beside(path, ".next", out->next));
    CI_TRY(beside(path, ".commit", out->record));
    if (!slash)
        strcpy(out->dir, ".");
    else
        snprintf(out->dir, CI_PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
done:
    return rc;
}

/* Gone is fine. */
static ci_rc drop(const char *path)
{
    ci_rc rc = CI_OK;

    if (unlink(path) != 0 && errno != ENOENT && errno != ENOTDIR)
        CI_FAIL(ci_rc_errno(errno), "%s: cannot remove: %s", path, strerror(errno));
done:
    return rc;
}

/* A record that is missing or is none leaves *out zero and *out_rc CI_ENOENT or CI_EFORMAT;
 * only what keeps us from knowing is a failure. */
static ci_rc record_try(const char *path, ci_record *out, ci_rc *out_rc)
{
    const ci_rc rc = ci_record_load(path, out);

    *out_rc = rc;
    return rc == CI_ENOENT || rc == CI_EFORMAT ? CI_OK : rc;
}

/* Second half of a commit: the record takes its place.  Only writers do this: a reader that did
 * could take the next record of a live writer for that of the commit it has just looked at. */
static ci_rc promote(const struct names *n)
{
    ci_rc rc = CI_OK;

    if (rename(n->next, n->record) != 0)
        CI_FAIL(CI_EIO, "%s: cannot rename to %s: %s", n->next, n->record, strerror(errno));
    ci_commit_point();
    CI_TRY(ci_dir_sync(n->dir));
done:
    return rc;
}

/* Before .NAME.next is overwritten: if it is the only record of what NAME is now, it becomes
 * the record.  Without this a second crash could leave NAME with no record at all. */
static ci_rc settle(const struct names *n)
{
    ci_rc rc = CI_OK, have_next;
    ci_record next = {0}, file = {0};

    if (access(n->next, F_OK) != 0) return CI_OK;
    CI_TRY(record_try(n->next, &next, &have_next));
    if (have_next == CI_OK && access(n->path, F_OK) == 0) {
        CI_TRY(ci_record_of_file(n->path, next.sha[0], &file));
        if (ci_record_same(&file, &next)) CI_TRY(promote(n));
    }
    CI_TRY(drop(n->next));
done:
    ci_record_release(&next);
    ci_record_release(&file);
    return rc;
}

static ci_rc write_next(const struct names *n, const ci_record *r)
{
    ci_rc rc = CI_OK;
    int fd = -1;
    char *text = ci_record_text(r);
    const size_t len = text ? strlen(text) : 0;

    if (!text) CI_FAIL(CI_ENOMEM, "%s: no memory for its record", n->path);
    CI_TRY(ci_file_create(n->next, &fd));
    CI_TRY(ci_file_write(fd, n->next, text, len / 2));
    ci_commit_point(); /* a torn record */
    CI_TRY(ci_file_write(fd, n->next, text + len / 2, len - len / 2));
    CI_TRY(ci_file_sync(fd, n->next));
    ci_commit_point();
    /* The record must be found before the file that it speaks of. */
    CI_TRY(ci_dir_sync(n->dir));
    ci_commit_point();
done:
    ci_file_close(&fd);
    free(text);
    return rc;
}

/* Publish what has this record; the caller's to release.  A failure after the record is known clears away .NAME.tmp. */
static ci_rc publish(const struct names *n, const ci_record *r)
{
    ci_rc rc = CI_OK;
    bool own_temp = true, own_next = false; /* what a failure has to clear away */

    CI_TRY(settle(n));
    ci_commit_point();
    own_next = true;
    CI_TRY(write_next(n, r));
    if (rename(n->temp, n->path) != 0) CI_TRY(ci_file_create_failed(n->path, errno));
    own_temp = own_next = false; /* from here on .next is the truth */
    ci_commit_point();
    CI_TRY(ci_dir_sync(n->dir));
    ci_commit_point();
    CI_TRY(promote(n));
    ci_commit_point();
done:
    if (rc != CI_OK && own_next) unlink(n->next);
    if (rc != CI_OK && own_temp) unlink(n->temp); /* a full disk needs the room */
    return rc;
}

ci_rc ci_commit_publish(const char *path, const char *expect, char out_sha[CI_SHA256_HEX])
{
    ci_rc rc = CI_OK;
    bool own_temp = false;
    struct names n;
    ci_record r = {0};

    CI_TRY(names_of(path, &n));
    own_temp = true;
    ci_commit_point();
    CI_TRY(ci_record_of_file(n.temp, true, &r));
    ci_commit_point();
    if (expect && strcmp(expect, r.sha) != 0)
        CI_FAIL(CI_EIO, "%s: read back as SHA-256 %s, written as %s", n.temp, r.sha, expect);
    own_temp = false;
    CI_TRY(publish(&n, &r));
    if (out_sha) memcpy(out_sha, r.sha, CI_SHA256_HEX);
done:
    if (rc != CI_OK && own_temp) unlink(n.temp);
    ci_record_release(&r);
    return rc;
}

ci_rc ci_commit_publish_hashed(const char *path, const ci_hashed *h, char out_sha[CI_SHA256_HEX])
{
    ci_rc rc = CI_OK;
    struct names n;
    ci_record r = {0};

    CI_TRY(names_of(path, &n));
    ci_commit_point();
    CI_TRY(ci_record_of_blocks(path, h, &r));
    ci_commit_point();
    CI_TRY(publish(&n, &r));
    if (out_sha) memcpy(out_sha, r.tree, CI_SHA256_HEX);
done:
    ci_record_release(&r);
    return rc;
}

static ci_rc write_temp(const char *temp, const void *bytes, size_t n)
{
    ci_rc rc = CI_OK;
    int fd = -1;

    ci_commit_point();
    CI_TRY(ci_file_create(temp, &fd));
    CI_TRY(ci_file_write(fd, temp, bytes, n / 2));
    ci_commit_point(); /* a torn file */
    CI_TRY(ci_file_write(fd, temp, (const char *)bytes + n / 2, n - n / 2));
    ci_commit_point();
done:
    ci_file_close(&fd);
    if (rc != CI_OK) unlink(temp);
    return rc;
}

ci_rc ci_commit_bytes(const char *path, const void *bytes, size_t n)
{
    ci_rc rc = CI_OK;
    char temp[CI_PATH_MAX], sha[CI_SHA256_HEX];

    CI_TRY(ci_commit_temp(path, temp));
    ci_sha256_of(bytes, n, sha);
    CI_TRY(write_temp(temp, bytes, n));
    CI_TRY(ci_commit_publish(path, sha, NULL));
done:
    return rc;
}

/* One look at the file and its two records. */
struct look {
    ci_record file, record, next;
    ci_rc have_record, have_next;
};

static void look_release(struct look *l)
{
    ci_record_release(&l->file);
    ci_record_release(&l->record);
    ci_record_release(&l->next);
}

/* known: the file's blocks, when somebody has just hashed them; NULL: read it. */
static ci_rc look_at(const struct names *n, const ci_hashed *known, struct look *out)
{
    ci_rc rc = CI_OK;

    CI_TRY(record_try(n->record, &out->record, &out->have_record));
    CI_TRY(record_try(n->next, &out->next, &out->have_next));
    if (out->have_record == CI_ENOENT && out->have_next != CI_OK)
        CI_FAIL(CI_ENOENT, "%s: was never committed", n->path);
    if (known) CI_TRY(ci_record_of_blocks(n->path, known, &out->file));
    else CI_TRY(ci_record_of_file(n->path, out->record.sha[0] || out->next.sha[0], &out->file));
done:
    return rc;
}

static bool changed(const char *path, const ci_record *seen, ci_rc have_seen)
{
    ci_record now = {0};
    const ci_rc rc = ci_record_load(path, &now);
    const bool differs = rc != have_seen || (rc == CI_OK && !ci_record_same(&now, seen));

    ci_record_release(&now);
    return differs;
}

static ci_rc check_once(const struct names *n, char out_sha[CI_SHA256_HEX], bool *out_moved)
{
    ci_rc rc = CI_OK;
    struct look l = {.have_record = CI_ENOENT, .have_next = CI_ENOENT};
    const ci_record *it = NULL;

    CI_TRY(look_at(n, NULL, &l));
    if (l.have_record == CI_OK && ci_record_same(&l.file, &l.record)) it = &l.record;
    else if (l.have_next == CI_OK && ci_record_same(&l.file, &l.next)) it = &l.next;
    if (it) goto good;
    /* Or a writer committed while we read: then it is worth another look. */
    *out_moved = changed(n->record, &l.record, l.have_record)
              || changed(n->next, &l.next, l.have_next);
    if (l.have_record == CI_OK) CI_TRY(ci_record_differs(n->path, &l.file, &l.record));
    if (l.have_record == CI_EFORMAT)
        CI_FAIL(CI_EFORMAT, "%s: its commit record %s is damaged; make it again", n->path,
                n->record);
    CI_FAIL(CI_ENOENT, "%s: was never committed", n->path);
good:
    if (out_sha) memcpy(out_sha, ci_record_identity(it), CI_SHA256_HEX);
done:
    look_release(&l);
    return rc;
}

ci_rc ci_commit_check(const char *path, char out_sha[CI_SHA256_HEX])
{
    ci_rc rc = CI_OK;
    struct names n;
    bool moved = true;

    CI_TRY(names_of(path, &n));
    for (int i = 0; i < 10 && moved; i++) {
        moved = false;
        rc = check_once(&n, out_sha, &moved);
    }
done:
    return rc;
}

ci_rc ci_commit_check_hashed(const char *path, const ci_hashed *h, char out_sha[CI_SHA256_HEX])
{
    ci_rc rc = CI_OK;
    struct names n;
    struct look l = {.have_record = CI_ENOENT, .have_next = CI_ENOENT};
    bool good = false;

    CI_TRY(names_of(path, &n));
    if (look_at(&n, h, &l) == CI_OK && l.have_record == CI_OK && ci_record_same(&l.file, &l.record)) {
        good = true;
        if (out_sha) memcpy(out_sha, ci_record_identity(&l.record), CI_SHA256_HEX);
    }
    if (!good) CI_TRY(ci_commit_check(path, out_sha)); /* which says what is wrong, or knows better */
done:
    look_release(&l);
    return rc;
}

ci_rc ci_commit_remove(const char *path)
{
    ci_rc rc = CI_OK;
    struct names n;

    CI_TRY(names_of(path, &n));
    CI_TRY(drop(n.record));
    ci_commit_point();
    CI_TRY(drop(n.next));
    ci_commit_point();
    CI_TRY(ci_dir_sync(n.dir)); /* never a record without its file */
    CI_TRY(drop(n.path));
    ci_commit_point();
    CI_TRY(drop(n.temp));
    CI_TRY(ci_dir_sync(n.dir));
done:
    return rc;
}
