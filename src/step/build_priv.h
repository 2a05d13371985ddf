#ifndef CI_BUILD_PRIV_H
#define CI_BUILD_PRIV_H
/* What the files of a build share: where a rank is, and what is taken over from the store before it. */
#include "ci/build.h"
#include "ci/contract.h"
#include "ci/stream.h"
#include "ci/table.h"
#include "ci/window.h"

struct reuse {
    const ci_store *from;  /* borrowed; NULL: nothing is taken over                                     */
    int32_t *was;          /* (captures of the plan) its number in the previous store, -1: not there; owned */
    int32_t *number;       /* (captures of the plan) in the store to be; owned                          */
    bool *skip;            /* (captures of the plan) no block of it is read: a duplicate, too short, or taken over; owned */
    int32_t captures;      /* taken over                                                                */
    int64_t graphs;        /* of these                                                                  */
};

/* Profiles of features.past: profile, and what the settings of a stream are as hashes: of all that decides the graphs of the
 * captures, and of what one more capture leaves as it is. */
struct known {
    int32_t n, n_of;
    ci_profile **profile;  /* (n) one, or one of each of data.vehicles, NULL where no capture is of it; owned */
    int32_t *of;           /* (n_of) of each path that was given, which; owned                                */
    char all[CI_SHA256_HEX], settings[CI_SHA256_HEX];
};

/* Not collective.  path: (n) of captures; NULL: none is of a vehicle.
 * CI_OK; CI_ECONF: features.profile is not said, or a capture's vehicle is not known; what ci_profile_read returns. */
ci_rc known_read(const ci_conf *conf, const char *const *path, int32_t n, struct known *out);
ci_rc known_of_plan(const ci_conf *conf, const ci_plan *p, struct known *out);       /* of[] of all its captures */
ci_rc known_of_head(const ci_conf *conf, const ci_store_head *h, struct known *out); /* the same */
void known_release(struct known *k);

/* ci_build_source of a streamed set. */
void known_source(const ci_plan *p, const struct known *k, char out[CI_SHA256_HEX]);

/* What streamed sets need to know of a rank's place in a capture. */
struct streamed {
    ci_past past;
    ci_stream *stream;
    ci_profile *before;    /* what comes before this rank's first block, of a capture that begins before; owned */
    ci_profile *prefix;    /* of the same: what its prefix says, when it ends before; owned                     */
    struct known known;
    int32_t capture, last; /* of the plan, which is fed; its last block here that has rows                      */
    int64_t row, stop;     /* the next one to feed, behind the last that windows here need                      */
    int64_t dropped, dropping; /* frames of identifiers that are not kept; captures that have such              */
    int32_t first_dropping;    /* of the plan; INT32_MAX: none                                                  */
};

/* Where a rank is: first what it takes over, then its blocks, the one in memory and the next window of it. */
struct work {
    const ci_comm *comm;
    const ci_conf *conf;
    const ci_plan *plan;
    const ci_feature_set *set;
    struct reuse reuse;
    ci_store_writer *store;
    bool frames;                 /* the store keeps frames, not graphs */
    ci_contract contract;
    ci_loader *loader;
    ci_builder *builder;         /* of windows that stand alone */
    struct streamed stream;      /* of others */
    ci_table table;
    ci_graphs graphs;
    int32_t first, block, end;   /* the first block, the next one to load, behind the last */
    int32_t capture;             /* in the store, of the block in memory */
    int64_t window, last_window; /* of its capture: the next one, behind the last */
    int64_t graph, node, edge;   /* in the store: where the next run goes */
    int32_t taken;               /* capture of the plan that is being taken over */
    int64_t take, last_take;     /* of the graphs taken over, one capture after the other: the next, behind the last */
    int64_t take_first;          /* of these, the first of `taken` */
    int64_t limit, looked;       /* of memory; graphs put when it was last looked at */
    bool tight;                  /* it was said that memory is */
    int64_t done, share;         /* graphs put and blocks read; of so many */
};

/* Put the graphs in memory at their place; that of the next ones is behind them. */
ci_rc graphs_put(struct work *w);

/* First block of a rank's part; behind the last rank's, their number. */
int32_t build_part(const struct work *w, int32_t rank);

/* Windows that stand alone: whether a block is read, and up to store.chunk graphs. */
ci_rc window_init(struct work *w, const ci_store_head *head);
bool window_used(const struct work *w, int32_t block);
ci_rc window_put(struct work *w);

/* Windows against the stream's past; _memory: bytes that profiles may take.  Collective are _before, which learns what ranks must know of captures that begin before
 * their blocks, and _told, which says what was dropped. */
ci_rc stream_init(struct work *w, const ci_store_head *head);
ci_rc stream_before(struct work *w);
int64_t stream_memory(const struct work *w);
bool stream_used(const struct work *w, int32_t block);
ci_rc stream_put(struct work *w);
ci_rc stream_told(struct work *w);
void stream_release(struct work *w);

/* Rows [from, to) of a capture, a block at a time, to a stream that only learns: those of blocks [block, end) and behind them.
 * CI_OK; CI_EDATA: there are fewer; CI_ETEMP after a signal; what ci_table_load returns.  profile.c */
ci_rc stream_learn(ci_loader *loader, const ci_plan *p, ci_table *t, ci_stream *s, int32_t block, int32_t end, int64_t from,
                   int64_t to);

/* The part of a capture that is in blocks [first, end): its windows and the rows that they begin at. */
struct stretch {
    int32_t block, end;    /* its blocks there                                      */
    int64_t window, last_window;
    int64_t row;           /* of the first window                                   */
};
struct stretch stretch_of(const ci_plan *p, int32_t capture, int32_t first, int32_t end);

/* What the plan and the previous store have in common.  Not collective; the same on every rank.
 * previous: NULL, or a store whose bytes were checked. */
ci_rc reuse_find(const ci_conf *conf, const ci_plan *p, const ci_store_head *h, const ci_store *previous, struct reuse *out);
void reuse_release(struct reuse *r);

/* Does build.json say that the store with this hash was built by reading captures as these settings do? */
bool reuse_reads_same(const ci_conf *conf, const ci_store_head *h, const char *store_sha);

/* Write build.json.  r: NULL when what was taken over is not known any more; dropped: frames of identifiers that are not kept,
 * of captures that were read, -1: not known, or of no streamed set.  Rank 0. */
ci_rc reuse_record(const ci_conf *conf, const struct reuse *r, const ci_store_head *h, int64_t dropped, const char *store_sha);

/* Bytes that this rank may take: run.memory, or its share of what the host gives; 0: unknown. */
int64_t guard_limit(const ci_comm *comm, const ci_conf *conf);

/* CI_ECONF with the numbers when what settings ask for cannot be held. */
ci_rc guard_start(int64_t limit, int64_t block, int64_t chunk, int64_t buffers);

bool guard_tight(int64_t limit); /* more than 80 % are taken: what can be given back should be */

/* After giving back: CI_ETEMP when more than 95 % are taken still. */
ci_rc guard_hold(int64_t limit);

#endif
