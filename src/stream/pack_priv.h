#ifndef CI_PACK_PRIV_H
#define CI_PACK_PRIV_H
/* Sizes of what pack.c writes and unpack.c reads. */
#include "stream_priv.h"

enum {
    PACK_MAGIC = 16,
    PACK_HEAD = PACK_MAGIC + 5 * 4 + 2 * 8 + 2 + 2 * 8 + 2 * 4 + 8 * (CI_BINS + DURATIONS + 2 * OWN),
    PACK_SEEN = 17,
    PACK_ID = 2 * 4 + 2 + 2 + 2 * 8 + 4 * (CI_BINS + 64) + 16 + 3 * PACK_SEEN,
    PACK_EDGE = 8
};

extern const char profile_magic[PACK_MAGIC];

#endif
