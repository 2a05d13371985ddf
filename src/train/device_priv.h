#ifndef CI_DEVICE_PRIV_H
#define CI_DEVICE_PRIV_H
/* A device's part in training and scoring.
 *
 *      device_data.c   packed graphs and batches in its memory       device_plan.c   how much of it, and what goes there
 *      device_step.c   one step of the optimiser as one graph        device_score.c  scoring
 *      device.c        where a run computes; state there and back
 *
 * Calls here are not collective unless they say so.  One thread of a rank uses its device; the others pack. */
#include "ci/devmodel.h"
#include "train_priv.h"

/* Columns of the rows that a model is told of. */
struct shape {
    int32_t node, edge, window;
    bool raw, label; /* frames' edges, and their labels */
};

/* How many: of a batch, of a pool.  Edges are counted as if none were a self-loop, which packing takes out: no graph has to be read. */
struct rows { int64_t n[CI_ROWS_COUNT], shards; };

enum { POOL_COLUMNS = 14 };

/* Packed graphs, column behind column, in device memory or in pinned memory on their way there. */
struct pool {
    char *at;
    size_t bytes, column[POOL_COLUMNS];
    struct rows room;
};

/* One way into the device: what the host writes while the step before is computed. */
struct feed {
    char *head;              /* pinned, as long as the batch's head */
    ci_k_batch host;         /* the head's pointers, into `head` */
    struct pool pinned, device; /* `at` NULL where a resident pool serves */
    int32_t *edge;           /* (graphs) in-edges of each packed graph */
};

/* A batch's memory on a device, what is computed in, and the ways there. */
struct desk {
    const ci_compute *at;
    const ci_store *st;
    ci_pool *pool;
    struct shape shape;
    struct rows most;          /* that there is room for */
    bool weighted;
    char *memory;
    size_t head_bytes;
    ci_k_batch train, judge;   /* the same memory, in training and not */
    struct feed feed[2];
    ci_packer **packer;        /* (n_packer), at least one a thread */
    const ci_batch **packed;   /* (n_packer) what feed_pack kept */
    int n_packer;
    ci_devmodel *model;
    const float *w, *state;    /* device memory */
    void *own;                 /* what w and state lie in, where they are the desk's */
};

/* A step that is ready, or what became of making it so. */
struct staged {
    int64_t batch; /* of the epoch; -1: none */
    double lr;
    int64_t shards;
    ci_rc rc;
    char message[CI_MESSAGE_MAX];
};

struct device_training {
    struct desk desk;
    ci_devmodel *teacher;
    float *teacher_w, *teacher_state;
    char *memory;             /* of all that does not depend on batches */
    ci_k_optim optim;
    float *stats;             /* running statistics */
    bool resident;
    struct pool data;         /* resident: every graph that is learned from, by its place in t->train */
    int32_t *edge;            /* (n_train) in-edges of each; resident */
    char *said;               /* pinned: what a step leaves */
    int32_t *status;
    int64_t *agreed, *loss;
    ci_dev_graph *graph[2];   /* one a feed; resident: the first serves both */
    struct staged staged[2];
    int now;                  /* feed of the step that comes next */
    bool behind;              /* t->ck is older than the device */
};

static inline const ci_runtime *runtime_of(const ci_compute *at) { return at->device.backend->runtime; }
static inline const ci_kernels *kernels_of(const ci_compute *at) { return at->device.backend->kernels; }
static inline ci_rc device_rc(const ci_compute *at, ci_rc rc) { return ci_device_rc(&at->device, rc); }
/* Pieces of one allocation, 256 bytes apart at least; base NULL: only counted. */
void *place(char *base, size_t *at, size_t bytes);

/* Graphs first[begin] .. first[end] - 1 of a list. */
struct run { const int64_t *graph, *first; long begin, end; };

/* device_data.c */
struct shape shape_of(const ci_store *st, const ci_model *m);
void rows_add(const ci_store *st, const int64_t *graph, int64_t n, struct rows *sum);
void rows_max(struct rows *most, const struct rows *a);
bool rows_fit(const struct rows *a, const struct rows *most);
size_t batch_bytes(const struct shape *s, const struct rows *most, bool weighted);
void pool_plan(const struct shape *s, const struct rows *room, struct pool *out);
ci_k_pool pool_view(const struct shape *s, const struct pool *p);
/* Memory for d->most; the first n_pool feeds get pools.  \return CI_OK, CI_ENOMEM */
ci_rc desk_take(struct desk *d, int n_feed, int n_pool);
void desk_drop(struct desk *d); /* what desk_take took */
ci_rc desk_packers(struct desk *d, const ci_scaler *scaler, int32_t rows, int n);
void desk_close(struct desk *d);
/* Where a part of a list ends that begins with shard k and fits, at most n_packer shards. */
long desk_part(const struct desk *d, const struct run *r, long k);
/* Pack a run of shards into pinned memory; keep: each in a packer of its own, left in d->packed. */
ci_rc feed_pack(struct desk *d, struct feed *f, const struct run *r, bool keep);
/* What was packed, to the device: to rows `to` of a pool, or (NULL) to the start of the feed's own; ahead: beside the kernels. */
ci_rc feed_send(struct desk *d, struct feed *f, const struct pool *pool, const struct rows *to, const struct rows *n, bool ahead);
/* Sizes of a run whose slots stand in the head; edge[slot] is known of each. */
void feed_head(struct desk *d, struct feed *f, const struct run *r, const int32_t *edge, const float *weight);
ci_rc feed_upload(struct desk *d, const struct feed *f);
/* All graphs of t->train into a pool of device memory. */
ci_rc data_fill(struct trainer *t);

/* device_plan.c: memory planned, said and taken.  Collective. */
ci_rc plan_make(struct trainer *t);
ci_rc plan_epoch(struct trainer *t); /* more room where this epoch's batches want it */
void plan_drop(struct trainer *t);

/* device.c: pieces of memory that does not depend on batches.  \return bytes */
size_t state_lay(struct trainer *t, char *base);
size_t said_lay(struct trainer *t, char *base);

/* device_step.c: a step into graphs; behind warm alone, which calls its kernels once without rows.  Every rank calls. */
ci_rc step_warm(struct trainer *t);
ci_rc step_capture(struct trainer *t);

/* device_score.c: shards r->begin .. end - 1 of a list; out: their outputs; frame, odds: as in score.c, or NULL. */
struct judged { float *out; int64_t base; const int64_t *frame; float *odds; };
ci_rc desk_score(struct desk *d, const ci_model *m, const float *w, ci_scratch *s, const struct run *r, const struct judged *to);
/* A desk for that alone. */
ci_rc desk_judge(const ci_compute *at, const ci_trained *e, ci_pool *pool, const ci_store *st, int32_t rows, const struct run *r, struct desk *out);

#endif
