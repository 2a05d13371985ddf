#ifndef CI_UNPACK_PRIV_H
#define CI_UNPACK_PRIV_H
/** Compressed streams, one piece after the other: what source.c reads them with. */
#include <stdbool.h>

#include "ci/source.h"

enum { CI_MAGIC = 6 };

/** What bytes begin like this. */
ci_packing ci_packing_of(const char *bytes, size_t n);

typedef struct ci_unpack ci_unpack;

/** \param [in] path, fd  borrowed until destroyed */
ci_rc ci_unpack_create(const char *path, int fd, ci_packing packing, ci_unpack **out);
void ci_unpack_destroy(ci_unpack **u); /**< NULL-safe */
ci_packing ci_unpack_packing(const ci_unpack *u);
ci_rc ci_unpack_again(ci_unpack *u);   /**< from the beginning */

/** The next bytes, at most `room`; none at the end. */
ci_rc ci_unpack_step(ci_unpack *u, char *out, size_t room, size_t *out_n);

#endif
