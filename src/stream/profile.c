#include <stdlib.h>
#include <string.h>

#include "stream_priv.h"

ci_rc ci_profile_create(ci_lid frames, ci_lid stride, ci_profile **out)
{
    ci_rc rc = CI_OK;
    ci_profile *p = NULL;

    *out = NULL;
    p = calloc(1, sizeof *p);
    if (!p) CI_FAIL(CI_ENOMEM, "profile of windows of %d frames", frames);
    p->frames = frames;
    p->stride = stride;
    ci_profile_clear(p);
    CI_TRY(ci_profile_reserve(p, 64));
    *out = p;
    p = NULL;
done:
    ci_profile_destroy(&p);
    return rc;
}

void ci_profile_destroy(ci_profile **out)
{
    ci_profile *const p = out ? *out : NULL;

    if (!p) return;
    free(p->known);
    free(p->follows);
    free(p->order);
    free(p);
    *out = NULL;
}

void ci_profile_clear(ci_profile *p)
{
    const ci_profile old = *p;

    for (int32_t u = 0; u < old.n_id; u++) memset(old.follows + (size_t)u * (size_t)old.cap_id, 0, (size_t)old.n_id * sizeof *old.follows);
    memset(p, 0, sizeof *p);
    p->frames = old.frames;
    p->stride = old.stride;
    p->cap_id = old.cap_id;
    p->known = old.known;
    p->follows = old.follows;
    p->order = old.order;
    p->first = p->last = -1;
    p->settled = true;
}

/* The matrix has a row for each identifier of known[]: with more of them it is another matrix. */
ci_rc ci_profile_reserve(ci_profile *p, int32_t n)
{
    ci_rc rc = CI_OK;
    int32_t cap = CI_MAX(p->cap_id, 64);
    uint32_t *follows = NULL;

    if (n <= p->cap_id) goto done;
    while (cap < n) cap *= 2;
    void *const known = realloc(p->known, (size_t)cap * sizeof *p->known);
    if (known) p->known = known;
    void *const order = realloc(p->order, (size_t)cap * sizeof *p->order);
    if (order) p->order = order;
    follows = calloc((size_t)cap * (size_t)cap, sizeof *follows);
    if (!known || !order || !follows) CI_FAIL(CI_ENOMEM, "profile of %d identifiers", n);
    for (int32_t u = 0; u < p->n_id; u++)
        memcpy(follows + (size_t)u * (size_t)cap, p->follows + (size_t)u * (size_t)p->cap_id, (size_t)p->n_id * sizeof *follows);
    free(p->follows);
    p->follows = follows;
    p->cap_id = cap;
    follows = NULL;
done:
    free(follows);
    return rc;
}

ci_rc ci_profile_copy(ci_profile *to, const ci_profile *from)
{
    ci_rc rc = CI_OK;

    CI_TRY(ci_profile_reserve(to, from->n_id));
    ci_profile_clear(to);
    const ci_profile room = *to;
    *to = *from;
    to->cap_id = room.cap_id;
    to->known = room.known;
    to->follows = room.follows;
    to->order = room.order;
    memcpy(to->known, from->known, (size_t)from->n_id * sizeof *to->known);
    memcpy(to->order, from->order, (size_t)from->n_id * sizeof *to->order);
    for (int32_t u = 0; u < from->n_id; u++)
        memcpy(to->follows + (size_t)u * (size_t)to->cap_id, from->follows + (size_t)u * (size_t)from->cap_id,
               (size_t)from->n_id * sizeof *to->follows);
done:
    return rc;
}

/* Where the identifier is in wide[], or would be. */
static uint32_t wide_at(const ci_profile *p, uint32_t id)
{
    uint32_t h = (id * 0x9E3779B1u) >> 19;

    _Static_assert(WIDE == 1 << 13, "the hash has 13 bits");
    while (p->wide[h] && p->known[p->wide[h] - 1].id != id) h = (h + 1) % WIDE;
    return h;
}

int32_t ci_profile_find(const ci_profile *p, uint32_t id)
{
    return (id < NARROW ? p->narrow[id] : p->wide[wide_at(p, id)]) - 1;
}

/* Enter known[k] among those that are found. */
static void found_as(ci_profile *p, int32_t k)
{
    const uint32_t id = p->known[k].id;

    if (id < NARROW) p->narrow[id] = (uint16_t)(k + 1);
    else p->wide[wide_at(p, id)] = (uint16_t)(k + 1);
}

ci_rc ci_profile_keep(ci_profile *p, uint32_t id, int32_t *out)
{
    ci_rc rc = CI_OK;
    int32_t at, k;

    *out = -1;
    if (p->n_id == CI_PROFILE_IDS) goto done;
    CI_TRY(ci_profile_reserve(p, p->n_id + 1));
    k = p->n_id++;
    memset(&p->known[k], 0, sizeof p->known[k]);
    p->known[k].id = id;
    memset(p->known[k].least, 255, sizeof p->known[k].least);
    found_as(p, k);
    for (at = k; at > 0 && p->known[p->order[at - 1]].id > id; at--) p->order[at] = p->order[at - 1];
    p->order[at] = (uint16_t)k;
    *out = k;
done:
    return rc;
}

/* ---- what follows from the counts */

/* q of n lie at or below a bin when share[0] n <= share[1] (intervals up to it). */
static const int64_t share[3][2] = {{1, 100}, {1, 2}, {99, 100}};

void ci_known_requantile(struct known *v)
{
    for (int j = 0; j < 3; j++) {
        const int64_t least = share[j][0] * v->n_interval, per = share[j][1];
        int at = v->at[j];
        int64_t below = v->below[j];
        while (at < CI_BINS - 1 && (below + v->interval[at]) * per < least) below += v->interval[at++];
        while (below > 0 && below * per >= least) below -= v->interval[--at];
        v->at[j] = (uint8_t)at;
        v->below[j] = below;
    }
}

static void known_settle(struct known *v)
{
    v->flipped = 0;
    for (int b = 0; b < 64; b++) v->flipped |= (uint64_t)(v->flips[b] > 0) << b;
    memset(v->at, 0, sizeof v->at);
    memset(v->below, 0, sizeof v->below);
    ci_known_requantile(v);
}

void ci_profile_requantile(ci_profile *p)
{
    for (int32_t k = 0; k < p->n_id; k++) known_settle(&p->known[k]);
    p->settled = true;
}

void ci_profile_settle(ci_profile *p)
{
    memset(p->narrow, 0, sizeof p->narrow);
    memset(p->wide, 0, sizeof p->wide);
    for (int32_t k = 0; k < p->n_id; k++) {
        int32_t at = k;
        found_as(p, k);
        for (; at > 0 && p->known[p->order[at - 1]].id > p->known[k].id; at--) p->order[at] = p->order[at - 1];
        p->order[at] = (uint16_t)k;
    }
    ci_profile_requantile(p);
}
