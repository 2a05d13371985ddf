#ifndef CI_COMMIT_H
#define CI_COMMIT_H
/** How an output becomes true: temporary name, fsync, read back, rename, record.
 *
 *      DIR/.NAME.tmp         written, fsynced, dropped from the page cache, read back, compared
 *      DIR/.NAME.next        the new record, fsynced, DIR fsynced
 *      DIR/NAME              rename of .NAME.tmp, DIR fsynced
 *      DIR/.NAME.commit      rename of .NAME.next, DIR fsynced
 *
 *  A reader trusts the record only.  A crash leaves the old generation or the new one, never
 *  neither: a reader that finds NAME unlike its record but equal to .NAME.next takes the new one,
 *  and the next writer finishes that commit before it begins its own.  Records are JSON: bytes,
 *  block, xxh128 of every block, and sha256 of the bytes or, for files that several ranks hash,
 *  tree_sha256: SHA-256 of a text with size, block and those hashes.
 *  Nothing here is collective: one rank commits, the others hear of it by agreement. */
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include "ci/hash.h"
#include "ci/rc.h"

enum { CI_PATH_MAX = 1024 };           /**< bytes of a path with its final 0    */
enum { CI_COMMIT_BLOCK = 4 << 20 };    /**< bytes that one block hash speaks of */

/** DIR/.NAME.tmp for path DIR/NAME.  \return CI_OK or CI_EARG when the name is too long */
ci_rc ci_commit_temp(const char *path, char out[CI_PATH_MAX]);

/** What was written where, kept by whoever wrote it, compared when it is read back. */
typedef struct ci_extent {
    int64_t offset, bytes;
    ci_xxh hash;
} ci_extent;

/** Open a file of which several processes write a part each; made when it is not there.  The caller closes it.
 *  \return CI_OK, CI_EPERM, CI_ECREATE, or CI_EIO (disk full); -1 in *out_fd unless CI_OK */
ci_rc ci_extent_open(const char *path, int *out_fd);

/** Write n bytes from byte `at` on, whatever interrupts it; path is for the message.  \return CI_OK, CI_EIO */
ci_rc ci_extent_write(int fd, const char *path, int64_t at, const void *bytes, size_t n);

/** Read n extents of a file back and compare.  The pages are dropped from the cache first.
 *  \return CI_OK; CI_EIO naming the first byte range that differs; CI_ENOENT, CI_EPERM or
 *          CI_ENOMEM */
ci_rc ci_extent_verify(const char *path, const ci_extent *e, size_t n);

/** A file's blocks of CI_COMMIT_BLOCK bytes, each with its hash. */
typedef struct ci_hashed {
    int64_t bytes;
    size_t n;      /**< blocks                                                             */
    ci_xxh *block; /**< (n) owned                                                          */
} ci_hashed;

void ci_hashed_release(ci_hashed *h); /**< NULL-safe; leaves *h zero */

/** Hash blocks of a file as they are on disk, for instance those that one rank looks at.
 *  \param [in]  block, n  which ones, ascending
 *  \param [in]  cold      drop them from the page cache first
 *  \param [out] out       (n)
 *  \return CI_OK, CI_EIO (also: it is too short), CI_ENOENT, CI_EPERM, CI_ENOMEM */
ci_rc ci_commit_blocks(const char *path, const int64_t *block, size_t n, bool cold, ci_xxh *out);

/** Publish .NAME.tmp, which was flushed and read back as `h`.  Its identity is then not the SHA-256 of its bytes,
 *  which one process alone would have to read in order, but that of its size and the hashes of its blocks.
 *  Otherwise as ci_commit_publish. */
ci_rc ci_commit_publish_hashed(const char *path, const ci_hashed *h, char out_sha[CI_SHA256_HEX]);

/** ci_commit_check of a file that was just read as `h`; falls back on reading it again. */
ci_rc ci_commit_check_hashed(const char *path, const ci_hashed *h, char out_sha[CI_SHA256_HEX]);

/** Publish .NAME.tmp, already complete, as `path`: fsync, hash, rename, record.  With `expect`
 *  not NULL the file must have these bytes (SHA-256) when it is read back.  A failure leaves
 *  the previous generation as it was and .NAME.tmp removed; only when the folder cannot be
 *  flushed after the rename it is the new one, which ci_commit_check then finds.
 *  \param [out] out_sha  SHA-256 of what was published; may be NULL
 *  \return CI_OK, CI_ENOENT (no .NAME.tmp), CI_EIO, CI_ECREATE, CI_EPERM, CI_ENOMEM or CI_EARG */
ci_rc ci_commit_publish(const char *path, const char *expect, char out_sha[CI_SHA256_HEX]);

/** Write n bytes and publish them as `path`; the same errors. */
ci_rc ci_commit_bytes(const char *path, const void *bytes, size_t n);

/** Is `path` what its record says, or its next record where a commit was cut short between its two
 *  renames?  Reads the whole file.  Changes nothing, so that it may run beside a live writer: what
 *  looks left behind may be work in progress, and the next commit clears it away.
 *  \param [out] out_sha  its sha256 or tree_sha256; may be NULL
 *  \return CI_OK; CI_ENOENT when there is no committed file; CI_EFORMAT when its bytes are not
 *          the recorded ones, with the first byte range that differs, or when its record is
 *          damaged; CI_EPERM, CI_EIO, CI_ENOMEM */
ci_rc ci_commit_check(const char *path, char out_sha[CI_SHA256_HEX]);

/** Remove a committed file, its record first, and what an unfinished commit left beside it.
 *  Nothing there is CI_OK. */
ci_rc ci_commit_remove(const char *path);

/** Crash points, for tests: with ci_commit_crash_at(k), k > 0, this process dies by SIGKILL when
 *  it reaches the k-th point from here; 0 is never. */
void ci_commit_crash_at(int k);
void ci_commit_point(void);

/** mkdir -p.  \return CI_OK, CI_ECREATE or CI_EPERM */
ci_rc ci_make_dir(const char *path);

/** Directory and name joined.  \return CI_OK, or CI_EARG when it does not fit */
ci_rc ci_path_join(char out[CI_PATH_MAX], const char *dir, const char *name);

#endif
