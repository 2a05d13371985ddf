#ifndef CI_H5_PRIV_H
#define CI_H5_PRIV_H
/* What the files that call HDF5 share. */
#include <aio.h>
#include <hdf5.h>
#include <stdbool.h>
#include "ci/h5.h"

enum { DESCRIBED_MAX = 64 }; /* arrays of one file, attributes of one file */

void h5_setup(void);            /* quiet errors, no exit handler; any number of times        */
hid_t h5_access(void);          /* new properties of access, to close                        */
hid_t h5_type(ci_type kind, int64_t cols); /* a new type to close; h5 order is little endian */

/* A file being written. */
struct ci_h5 {
    const ci_comm *comm; /* NULL: this process alone */
    char path[CI_PATH_MAX];
    hid_t file;
    size_t n;
    struct h5_set {
        hid_t id;
        ci_type kind;
        int64_t rows, cols;
        int64_t offset;        /* of row 0 in the file */
        char *buffer;          /* (room) of a run of rows: what is in [begin, end) is not written; owned, NULL: none */
        char *spare;           /* (room) the other buffer: bytes on their way while `flying`; owned */
        struct aiocb io;
        bool flying;
        size_t room, begin, end;
        int64_t base;          /* where buffer[0] belongs in the file; -1: no run */
        ci_xxh_state *hash;    /* of the bytes from `hashed` on; NULL: none yet */
        int64_t hashed;
    } set[DESCRIBED_MAX];
    int fd, direct;            /* -1: not open; not possible */
    bool plain;                /* the file system refused what `direct` wrote: never again */
    ci_extent *wrote;          /* (n_wrote) none crosses a border of CI_COMMIT_BLOCK bytes of the file */
    size_t n_wrote, cap_wrote;
};

ci_rc h5_rows_open(ci_h5 *f);
ci_rc h5_rows_put(ci_h5 *f, struct h5_set *s, int64_t at, const char *bytes, int64_t n);
void h5_rows_close(ci_h5 *f); /* what is still in buffers is lost */

/* Hashes of all blocks of a file, of which this rank has read some back.  Collective; whole on rank 0. */
ci_rc h5_hash_rest(const ci_comm *comm, const char *path, const ci_extent *read, size_t n, ci_hashed *out);

/* The library's own words for what went wrong, as rc, with what was being done. */
ci_rc h5_fail(ci_rc rc, const char *doing, const char *path);

#endif
