#ifndef CI_H5_H
#define CI_H5_H
/** Files of flat arrays: HDF5 that plain h5py reads.  No groups, links, compound or
 *  variable-length types; arrays are contiguous, uncompressed and described by attributes
 *  `unit` and `meaning`; the file has attributes of integers and texts.  Bytes depend on the
 *  content only (and on whether a communicator, of any size, or one process alone made the file):
 *  object times are not tracked, fill values never written, the order is that of the tables given. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ci/comm.h"
#include "ci/commit.h"

typedef enum ci_type {
    CI_TYPE_U8, CI_TYPE_U16, CI_TYPE_U32, CI_TYPE_I32, CI_TYPE_I64, CI_TYPE_F16, CI_TYPE_F32, CI_TYPE_F64,
    CI_TYPE_TEXT /**< fixed size, zero-padded: an array of (rows) texts of `cols` bytes */
} ci_type;

size_t ci_type_bytes(ci_type kind);     /**< of one element                           */
const char *ci_type_name(ci_type kind); /**< "uint8", "float16" as numpy calls them   */

typedef struct ci_array {
    const char *name;
    ci_type kind;
    int64_t rows, cols;    /**< shape (rows) when cols is 1 or kind is CI_TYPE_TEXT, else (rows, cols) */
    const char *unit;      /**< NULL: none                                                 */
    const char *meaning;
    const int16_t *log2_scale; /**< (cols) stored value = value * 2^this; NULL: 1          */
} ci_array;

typedef struct ci_attribute {
    const char *name;
    const char *text;      /**< NULL: an integer                                           */
    int64_t number;
} ci_attribute;

typedef struct ci_h5 ci_h5;

/** Create `path` (a temporary name; the caller publishes) with all arrays and attributes and
 *  reserve its space on disk.  With comm collective over all its ranks, with comm NULL by this
 *  process alone.
 *  \return CI_OK, CI_ECREATE, CI_EPERM, CI_EIO (no space), CI_EHDF5, CI_ENOMEM */
ci_rc ci_h5_create(const ci_comm *comm, const char *path, const ci_array *array, size_t n_array,
                   const ci_attribute *attribute, size_t n_attribute, ci_h5 **out);

/** Write n rows from row `first` of array number `i`.  Not collective: agree afterwards, before
 *  the next collective.  What was written is remembered for ci_h5_finish.
 *  \return CI_OK, CI_EARG (rows that are not there), CI_EIO, CI_ENOMEM */
ci_rc ci_h5_write(ci_h5 *f, size_t i, int64_t first, int64_t n, const void *rows);

/** Write what is still in buffers.  With `end` the buffers are given back to the system too.  Not
 *  collective.  \return CI_OK, CI_EIO, CI_ENOMEM */
ci_rc ci_h5_flush(ci_h5 *f, bool end);

/** Write what is in buffers, close, fsync, read back what this rank wrote and compare.  Collective as
 *  ci_h5_create was.  Frees f, on failure too.
 *  \return CI_OK, CI_EIO, CI_EHDF5 */
ci_rc ci_h5_finish(ci_h5 **f);

/** The same, and hashes of the whole file as it is on disk now, which every rank has taken a part of.
 *  \param [out] out  on CI_OK the caller's, on rank 0 whole and elsewhere zero, to ci_hashed_release */
ci_rc ci_h5_finish_hashed(ci_h5 **f, ci_hashed *out);

/** Let go of a file whose writing failed: nothing is flushed or closed, for closing has hung and
 *  crashed after failed writes.  The process should end soon.  NULL-safe. */
void ci_h5_abandon(ci_h5 **f);

/** ci_commit_check by all ranks, each of which reads a part.  Collective.
 *  \param [out] out_sha  on every rank */
ci_rc ci_h5_check(const ci_comm *comm, const char *path, char out_sha[CI_SHA256_HEX]);

/** A file opened for reading: its arrays, mapped into memory. */
typedef struct ci_h5_view ci_h5_view;

/** Not collective.  The file must have been checked by ci_commit_check before: HDF5 believes most
 *  corrupted bytes.  \return CI_OK, CI_ENOENT, CI_EFORMAT, CI_EIO, CI_ENOMEM */
ci_rc ci_h5_open(const char *path, ci_h5_view **out);
void ci_h5_close(ci_h5_view **v); /**< NULL-safe */

/** An array's elements, borrowed until the view is closed.
 *  \param [in] rows, cols  the shape it must have; -1: any
 *  \return CI_OK, or CI_EFORMAT when it is missing or has another type or shape */
ci_rc ci_h5_array(const ci_h5_view *v, const char *name, ci_type kind, int64_t rows, int64_t cols,
                  const void **out, int64_t *out_rows);

/** What was read of an array and is not needed soon: the system may have the memory back. */
void ci_h5_forget(const ci_h5_view *v, const void *at, int64_t bytes);
void ci_h5_forget_all(const ci_h5_view *v);

ci_rc ci_h5_number(const ci_h5_view *v, const char *name, int64_t *out);
ci_rc ci_h5_text(const ci_h5_view *v, const char *name, char *out, size_t n);

/** Version of the HDF5 library; static text. */
const char *ci_h5_library(void);

#endif
