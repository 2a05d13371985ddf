#include <stdlib.h>
#include <string.h>

#include "ci/arena.h"
#include "scan_priv.h"

enum { N_SHORT = 2048, CAP_KEPT = 1 << 14 };

static size_t slot_of(const uint32_t *key, size_t cap, uint32_t id)
{
    size_t at = (size_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (cap - 1);

    while (key[at] && key[at] != id) at = (at + 1) & (cap - 1);
    return at;
}

/* Room for one more identifier, never more than half full. */
static ci_rc long_reserve(ci_seen_set *s)
{
    ci_rc rc = CI_OK;
    const size_t cap = s->cap ? 2 * s->cap : 1024;
    uint32_t *key = NULL;
    uint8_t *flags = NULL;

    if (2 * (s->n_long + 1) <= s->cap) return CI_OK;
    key = ci_new(cap, sizeof *key);
    flags = ci_new(cap, sizeof *flags);
    if (!key || !flags) CI_FAIL(CI_ENOMEM, "no memory for %zu identifiers", cap);
    for (size_t i = 0; i < s->cap; i++) {
        const size_t to = s->key[i] ? slot_of(key, cap, s->key[i]) : 0;
        if (!s->key[i]) continue;
        key[to] = s->key[i];
        flags[to] = s->flags[i];
    }
    free(s->key);
    free(s->flags);
    s->key = key;
    s->flags = flags;
    s->cap = cap;
    key = NULL;
    flags = NULL;
done:
    free(key);
    free(flags);
    return rc;
}

static ci_rc long_add(ci_seen_set *s, uint32_t id, uint8_t flags)
{
    ci_rc rc = CI_OK;
    size_t at;

    CI_TRY(long_reserve(s));
    at = slot_of(s->key, s->cap, id);
    s->n_long += !s->key[at];
    s->key[at] = id;
    s->flags[at] |= flags;
done:
    return rc;
}

static ci_rc done_add(ci_seen_set *s, uint32_t id, uint8_t flags)
{
    ci_rc rc = CI_OK;

    CI_TRY(ci_grow((void **)&s->done, &s->cap_done, s->n_done + 1, sizeof *s->done));
    s->done[s->n_done++] = (ci_seen){s->capture, id, flags};
done:
    return rc;
}

ci_rc ci_seen_close(ci_seen_set *s)
{
    ci_rc rc = CI_OK;

    for (uint32_t id = 0; id < N_SHORT; id++)
        if (s->of_short[id]) CI_TRY(done_add(s, id, s->of_short[id]));
    for (size_t i = 0; i < s->cap; i++)
        if (s->key[i]) CI_TRY(done_add(s, s->key[i], s->flags[i]));
    memset(s->of_short, 0, sizeof s->of_short);
    if (s->cap > CAP_KEPT) { /* fuzzing has made it large: the captures behind it shall not pay */
        free(s->key);
        free(s->flags);
        s->key = NULL;
        s->flags = NULL;
        s->cap = 0;
    }
    if (s->cap) memset(s->key, 0, s->cap * sizeof *s->key);
    if (s->cap) memset(s->flags, 0, s->cap * sizeof *s->flags);
    s->n_long = 0;
done:
    return rc;
}

ci_rc ci_seen_add(ci_seen_set *s, int32_t capture, const ci_table *t)
{
    ci_rc rc = CI_OK;

    if (capture != s->capture) CI_TRY(ci_seen_close(s));
    s->capture = capture;
    for (ci_lid i = 0; i < t->n_own; i++) {
        const uint8_t flags = t->attack[i] ? CI_SEEN : CI_SEEN | CI_SEEN_BENIGN;
        if (t->id[i] < N_SHORT)
            s->of_short[t->id[i]] |= flags;
        else
            CI_TRY(long_add(s, t->id[i], flags));
    }
done:
    return rc;
}

void ci_seen_release(ci_seen_set *s)
{
    free(s->key);
    free(s->flags);
    free(s->done);
    *s = (ci_seen_set){.capture = -1};
}

static int by_capture_and_id(const void *a, const void *b)
{
    const ci_seen *x = a, *y = b;

    if (x->capture != y->capture) return x->capture < y->capture ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

size_t ci_seen_merge(ci_seen *s, size_t n)
{
    size_t m = 0;

    if (n) qsort(s, n, sizeof *s, by_capture_and_id);
    for (size_t i = 0; i < n; i++) {
        if (m && s[m - 1].capture == s[i].capture && s[m - 1].id == s[i].id)
            s[m - 1].flags |= s[i].flags;
        else
            s[m++] = s[i];
    }
    return m;
}
