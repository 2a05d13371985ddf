#ifndef CI_BUILD_PRIV_H
#define CI_BUILD_PRIV_H
/* What a build takes over from the store before it. */
#include "ci/build.h"

struct reuse {
    const ci_store *from;  /* borrowed; NULL: nothing is taken over                                     */
    int32_t *was;          /* (captures of the plan) its number in the previous store, -1: not there; owned */
    bool *skip;            /* (captures of the plan) no block of it is read: a duplicate, too short, or taken over; owned */
    int32_t captures;      /* taken over                                                                */
    int64_t graphs;        /* of these                                                                  */
};

/* What the plan and the previous store have in common.  Not collective; the same on every rank.
 * previous: NULL, or a store whose bytes were checked. */
ci_rc reuse_find(const ci_plan *p, const ci_store_head *h, const ci_store *previous, struct reuse *out);
void reuse_release(struct reuse *r);

/* Does build.json say that the store with this hash was built by reading captures as these settings do? */
bool reuse_reads_same(const ci_conf *conf, const char *store_sha);

/* Write build.json.  Rank 0. */
ci_rc reuse_record(const ci_conf *conf, const ci_store_head *h, const struct reuse *r, const char *store_sha);

#endif
