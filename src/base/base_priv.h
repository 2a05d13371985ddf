#ifndef CI_BASE_PRIV_H
#define CI_BASE_PRIV_H
/** Plain files, with interrupted calls and short transfers taken care of; messages name the path
 *  and what to do.  Shared by hash, json and commit. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ci/commit.h"
#include "ci/hash.h"
#include "ci/rc.h"

/** \return CI_OK, CI_ENOENT, CI_EPERM or CI_EIO; -1 in *out_fd unless CI_OK */
ci_rc ci_file_open(const char *path, int *out_fd);

/** A new, empty file for writing.  \return CI_OK, CI_EPERM, CI_ECREATE, or CI_EIO (disk full) */
ci_rc ci_file_create(const char *path, int *out_fd);

/** Reads n bytes, fewer only at the end of the file. */
ci_rc ci_file_read(int fd, const char *path, void *out, size_t n, size_t *out_n);

ci_rc ci_file_write(int fd, const char *path, const void *bytes, size_t n);
ci_rc ci_file_sync(int fd, const char *path);
void ci_file_close(int *fd); /**< leaves -1 */

ci_rc ci_dir_sync(const char *dir);

/** Writes that failed: the disk is full, or something worse. */
ci_rc ci_file_write_failed(const char *path, int err);

/** Making something failed.  \return CI_EPERM, CI_EIO when the disk is full, else CI_ECREATE */
ci_rc ci_file_create_failed(const char *path, int err);

/** What a commit record says of a file. */
typedef struct ci_record {
    int64_t bytes;
    char sha[CI_SHA256_HEX];  /**< of the bytes; "": not known                       */
    char tree[CI_SHA256_HEX]; /**< of the size and the blocks' hashes; "" in a record that has the other */
    size_t n_block;
    ci_xxh *block; /**< (n_block) hash of every CI_COMMIT_BLOCK bytes; owned */
} ci_record;

/** The record of a file as it is on disk now: flushed, out of the page cache, read back.  With `whole` it has
 *  both of its identities, without only that of its blocks, which takes a tenth of the time. */
ci_rc ci_record_of_file(const char *path, bool whole, ci_record *out);

/** The record of a file whose blocks somebody else has hashed. */
ci_rc ci_record_of_blocks(const char *path, const ci_hashed *h, ci_record *out);

/** \return CI_OK, CI_ENOENT, CI_EFORMAT when it is no record, CI_EPERM, CI_EIO or CI_ENOMEM */
ci_rc ci_record_load(const char *path, ci_record *out);

char *ci_record_text(const ci_record *r); /**< the caller frees; NULL when memory is short */

/** Does the file have the bytes of the record?  Also of two records, that they are one. */
bool ci_record_same(const ci_record *file, const ci_record *record);

/** The identity that a record gives its file. */
const char *ci_record_identity(const ci_record *record);

/** CI_EFORMAT with the first byte range in which a file differs from its record. */
ci_rc ci_record_differs(const char *path, const ci_record *file, const ci_record *record);

void ci_record_release(ci_record *r); /**< leaves *r zero */

#endif
