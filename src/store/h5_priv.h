#ifndef CI_H5_PRIV_H
#define CI_H5_PRIV_H
/* What the files that call HDF5 share. */
#include <hdf5.h>
#include "ci/h5.h"

enum { DESCRIBED_MAX = 64 }; /* arrays of one file, attributes of one file */

void h5_setup(void);            /* quiet errors, no exit handler; any number of times        */
hid_t h5_type(ci_type kind, int64_t cols); /* a new type to close; h5 order is little endian */

/* The library's own words for what went wrong, as rc, with what was being done. */
ci_rc h5_fail(ci_rc rc, const char *doing, const char *path);

#endif
