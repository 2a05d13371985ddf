#include "ci/arena.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64 }; /* a cache line, and a vector of the widest kind */

/* n rounded up to a multiple of ALIGN; false when that overflows. */
static bool round_up(size_t n, size_t *out)
{
    if (__builtin_add_overflow(n, (size_t)(ALIGN - 1), out)) return false;
    *out &= ~(size_t)(ALIGN - 1);
    return true;
}

ci_rc ci_arena_init(ci_arena *a, size_t size)
{
    ci_rc rc = CI_OK;
    size_t room;

    *a = (ci_arena){0};
    /* Never NULL, not even for nothing: a NULL base means planning. */
    if (round_up(size ? size : 1, &room)) a->base = aligned_alloc(ALIGN, room);
    if (!a->base) CI_FAIL(CI_ENOMEM, "no memory for an arena of %zu bytes", size);
    memset(a->base, 0, room);
    a->size = size;
done:
    return rc;
}

void *ci_arena_take(ci_arena *a, size_t n, size_t item)
{
    size_t first, bytes, end;

    if (!round_up(a->used, &first) || __builtin_mul_overflow(n, item, &bytes)
        || __builtin_add_overflow(first, bytes, &end)) {
        if (!a->base) a->used = SIZE_MAX; /* no plan of that size can be had */
        return NULL;
    }
    if (a->base && end > a->size) return NULL;
    a->used = end;
    return a->base ? a->base + first : NULL;
}

void ci_arena_release(ci_arena *a)
{
    if (!a) return;
    free(a->base);
    *a = (ci_arena){0};
}

void *ci_new(size_t n, size_t item)
{
    size_t bytes;

    if (n == 0 || item == 0) n = item = 1;
    return __builtin_mul_overflow(n, item, &bytes) ? NULL : calloc(n, item);
}

ci_rc ci_grow(void **p, size_t *cap, size_t need, size_t item)
{
    ci_rc rc = CI_OK;
    size_t n = need, bytes;
    void *old, *grown = NULL;

    assert(item > 0);
    if (need <= *cap) return CI_OK;
    if (*cap <= SIZE_MAX / 2 && n < 2 * *cap) n = 2 * *cap;
    /* The caller's pointer is of another type than void *: copied, not read through p. */
    memcpy(&old, p, sizeof old);
    if (!__builtin_mul_overflow(n, item, &bytes)) grown = realloc(old, bytes);
    if (!grown) CI_FAIL(CI_ENOMEM, "no memory for %zu items of %zu bytes", n, item);
    memcpy(p, &grown, sizeof grown);
    *cap = n;
done:
    return rc;
}
