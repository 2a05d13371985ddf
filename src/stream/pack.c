/* A profile as one row of bytes, the same for equal profiles.  Numbers are little-endian:
 *
 *      16 bytes "canids profile"   u32 version frames stride n_id n_edge
 *      i64 n dropped   u8 any last_odd   i64 first_ns last_ns   i32 first last (of the identifiers below, -1: not kept)
 *      i64 gap[232] duration[464] sum[26] square[26]
 *      identifiers ascending: u32 id place (in the order in which they came)   u16 lengths   u8 n_last last_odd
 *          i64 n n_pair   u32 interval[232] flips[64]   u8 least[8] most[8]   first last[2], each: i64 t_ns u64 data u8 len
 *      successions, u then v ascending: u16 u v   u32 count */
#include <stdlib.h>
#include <string.h>
#include "pack_priv.h"
#include "ci/arena.h"

const char profile_magic[PACK_MAGIC] = "canids profile";

static void put(uint8_t **to, uint64_t v, int bytes)
{
    for (int k = 0; k < bytes; k++) *(*to)++ = (uint8_t)(v >> 8 * k);
}

static void put_all(uint8_t **to, const void *v, size_t n, int bytes)
{
    for (size_t i = 0; i < n; i++) put(to, bytes == 8 ? ((const uint64_t *)v)[i] : ((const uint32_t *)v)[i], bytes);
}

static void seen_put(uint8_t **to, const struct seen *s, bool there)
{
    put(to, there ? (uint64_t)s->t_ns : 0, 8);
    put(to, there ? s->data : 0, 8);
    put(to, there ? s->len : 0, 1);
}

static void known_put(uint8_t **to, const struct known *v, int32_t place)
{
    put(to, v->id, 4);
    put(to, (uint64_t)place, 4);
    put(to, v->lengths, 2);
    put(to, v->n_last, 1);
    put(to, v->n_last > 0 && v->last_odd, 1);
    put(to, (uint64_t)v->n, 8);
    put(to, (uint64_t)v->n_pair, 8);
    put_all(to, v->interval, CI_BINS, 4);
    put_all(to, v->flips, 64, 4);
    for (int k = 0; k < 8; k++) put(to, v->least[k], 1);
    for (int k = 0; k < 8; k++) put(to, v->most[k], 1);
    seen_put(to, &v->first, v->n > 0);
    for (int k = 0; k < 2; k++) seen_put(to, &v->last[k], v->n_last > k);
}

/* Number of an identifier among the ascending ones. */
static int32_t rank_of(const ci_profile *p, const uint16_t *rank, int32_t place)
{
    return place < 0 || place >= p->n_id ? -1 : rank[place];
}

static void head_put(uint8_t **to, const ci_profile *p, const uint16_t *rank, int32_t n_edge)
{
    memcpy(*to, profile_magic, PACK_MAGIC);
    *to += PACK_MAGIC;
    put(to, CI_PROFILE_VERSION, 4);
    put(to, (uint64_t)p->frames, 4);
    put(to, (uint64_t)p->stride, 4);
    put(to, (uint64_t)p->n_id, 4);
    put(to, (uint64_t)n_edge, 4);
    put(to, (uint64_t)p->n, 8);
    put(to, (uint64_t)p->dropped, 8);
    put(to, p->any, 1);
    put(to, p->any && p->last_odd, 1);
    put(to, p->any ? (uint64_t)p->first_ns : 0, 8);
    put(to, p->any ? (uint64_t)p->last_ns : 0, 8);
    put(to, (uint32_t)(p->any ? rank_of(p, rank, p->first) : -1), 4);
    put(to, (uint32_t)(p->any ? rank_of(p, rank, p->last) : -1), 4);
    put_all(to, p->gap, CI_BINS, 8);
    put_all(to, p->duration, DURATIONS, 8);
    put_all(to, p->sum, OWN, 8);
    put_all(to, p->square, OWN, 8);
}

static void edges_put(uint8_t **to, const ci_profile *p)
{
    for (int32_t u = 0; u < p->n_id; u++)
        for (int32_t v = 0; v < p->n_id; v++) {
            const uint32_t c = p->follows[(size_t)p->order[u] * (size_t)p->cap_id + p->order[v]];
            if (!c) continue;
            put(to, (uint64_t)u, 2);
            put(to, (uint64_t)v, 2);
            put(to, c, 4);
        }
}

void *ci_profile_pack(const ci_profile *p, size_t *out_n)
{
    const int32_t n_edge = ci_profile_tell(p).n_edge;
    const size_t n = PACK_HEAD + (size_t)p->n_id * PACK_ID + (size_t)n_edge * PACK_EDGE;
    uint16_t *rank = ci_new((size_t)p->n_id, sizeof *rank);
    uint8_t *bytes = rank ? ci_new(n, 1) : NULL, *to = bytes;

    if (bytes) {
        for (int32_t i = 0; i < p->n_id; i++) rank[p->order[i]] = (uint16_t)i;
        head_put(&to, p, rank, n_edge);
        for (int32_t i = 0; i < p->n_id; i++) known_put(&to, &p->known[p->order[i]], p->order[i]);
        edges_put(&to, p);
        *out_n = n;
    }
    free(rank);
    return bytes;
}
