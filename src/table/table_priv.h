#ifndef CI_TABLE_PRIV_H
#define CI_TABLE_PRIV_H
/** The bytes of a capture in pieces, with whole lines to hand: what load.c reads rows from. */
#include "ci/sidecar.h"
#include "ci/source.h"
#include "ci/table.h"

enum { CI_PIECE = 256 << 10 }; /**< bytes of one read: they stay in the cache while parsed */

struct ci_loader {
    const ci_contract *contract;
    uint64_t accepts;        /**< its ci_contract_accepts                                */
    char *raw;               /**< owned: room in front, a cut line, a piece, room behind */
    ci_source *source;       /**< of `path`, NULL: none                                  */
    ci_sidecar sidecar;      /**< of `path`, if its capture has one                      */
    char path[CI_PATH_MAX];
};

/** A place in a capture. */
typedef struct ci_place {
    ci_loader *loader;
    const char *p, *end;     /**< bytes that are here and not yet taken                  */
    int64_t at, size;        /**< offset of `end` in the file, size of the file          */
    int64_t from, to;        /**< byte range of the block                                */
    ci_xxh_state *hash;      /**< of the bytes from `from` to `to` that were read; owned */
    int within;              /**< p is inside a line that was skipped, not where one begins */
} ci_place;

/** Open block `block` of the plan and go to its first line.
 *  \return CI_OK, CI_ENOENT, CI_EPERM, CI_EIO or CI_ENOMEM */
ci_rc ci_place_open(ci_loader *l, const ci_plan *p, int32_t block, ci_place *out);

/** Read the next piece behind what is left. */
ci_rc ci_place_fill(ci_place *s);

/** The line at s->p.  \param [out] out_n      its bytes without newline and carriage return
 *                      \param [out] out_next   where the next line begins; NULL when the end of
 *                                              this one is further away than a line may be long */
ci_rc ci_place_line(ci_place *s, size_t *out_n, const char **out_next);

/** Go behind the end of a line that ci_place_line could not hold, but not from beyond offset `most`:
 *  there, s->within says whether the line goes on. */
ci_rc ci_place_skip(ci_place *s, int64_t most);

/** Hash of the whole block, reading on to its end where that is still to come. */
ci_rc ci_place_finish(ci_place *s, ci_xxh *out);

void ci_place_release(ci_place *s);

static inline int64_t ci_place_offset(const ci_place *s) { return s->at - (s->end - s->p); }
static inline int ci_place_last(const ci_place *s) { return s->at == s->size; }

#endif
