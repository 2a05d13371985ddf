#ifndef CI_BUILD_PRIV_H
#define CI_BUILD_PRIV_H
/* What a build takes over from the store before it. */
#include "ci/build.h"

struct reuse {
    const ci_store *from;  /* borrowed; NULL: nothing is taken over                                     */
    int32_t *was;          /* (captures of the plan) its number in the previous store, -1: not there; owned */
    int32_t *number;       /* (captures of the plan) in the store to be; owned                          */
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

/* Write build.json.  r: NULL when what was taken over is not known any more.  Rank 0. */
ci_rc reuse_record(const ci_conf *conf, const struct reuse *r, const ci_store_head *h, const char *store_sha);

/* Bytes that this rank may take: run.memory, or its share of what the host gives; 0: unknown. */
int64_t guard_limit(const ci_comm *comm, const ci_conf *conf);

/* CI_ECONF with the numbers when what settings ask for cannot be held. */
ci_rc guard_start(int64_t limit, int64_t block, int64_t chunk, int64_t buffers);

bool guard_tight(int64_t limit); /* more than 80 % are taken: what can be given back should be */

/* After giving back: CI_ETEMP when more than 95 % are taken still. */
ci_rc guard_hold(int64_t limit);

#endif
