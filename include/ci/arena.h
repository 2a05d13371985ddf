#ifndef CI_ARENA_H
#define CI_ARENA_H
/** Memory that is planned first and taken once.
 *
 *  An arena is one block; pieces are aligned to 64 bytes and live until the arena is released.
 *  Run the same code twice: first on an arena with base NULL, which only counts, then for real. */
#include <stddef.h>
#include "ci/rc.h"

typedef struct ci_arena {
    char *base;   /**< owned; NULL while planning          */
    size_t size;  /**< bytes of base                       */
    size_t used;  /**< bytes handed out, or planned so far */
} ci_arena;

/** Take `size` bytes, zeroed.  \return CI_OK or CI_ENOMEM */
ci_rc ci_arena_init(ci_arena *a, size_t size);

/** n items of `item` bytes, zero-filled; NULL while planning or when the arena is full (a full
 *  arena is a planning error: the caller asserts). */
void *ci_arena_take(ci_arena *a, size_t n, size_t item);

void ci_arena_release(ci_arena *a); /**< NULL-safe; leaves *a zero */

/** calloc with the product checked.  NULL when n*item overflows or memory is short; never NULL
 *  for n == 0.  Free with free(). */
void *ci_new(size_t n, size_t item);

/** Grow *p to hold `need` items; capacity at least doubles; the
 *  new items are not set.  \return CI_OK or CI_ENOMEM, and then
 *  *p and *cap are unchanged */
ci_rc ci_grow(void **p, size_t *cap, size_t need, size_t item);

#endif
