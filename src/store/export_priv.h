#ifndef CI_EXPORT_PRIV_H
#define CI_EXPORT_PRIV_H
/* Files of an export being written. */
#include <stdio.h>
#include "ci/commit.h"
#include "ci/export.h"

struct export_file {
    FILE *f;
    char path[CI_PATH_MAX];
};

ci_rc export_open(const char *folder, const char *name, struct export_file *out);
ci_rc export_bytes(struct export_file *f, const void *bytes, size_t n);
ci_rc export_close(struct export_file *f); /* and commit */
void export_drop(struct export_file *f);   /* a file that is still open will not be; zero is none */

ci_rc export_npy(const ci_store *st, const char *folder);
ci_rc export_csv(const ci_store *st, const char *folder);

/* Behind graph g: what was read of the store is given back from time to time. */
void export_forget(const ci_store *st, int64_t g);

/* Names of all files of a kind, NULL behind the last. */
extern const char *const export_npy_names[], *const export_csv_names[];

#endif
