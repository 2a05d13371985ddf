#ifndef CI_TRAIN_PRIV_H
#define CI_TRAIN_PRIV_H
/* What the files of train/ share: a run of training in the memory of one rank. */
#include <stdatomic.h>
#include "ci/arena.h"
#include "ci/batch.h"
#include "ci/train.h"

/* Units of the sums.  A shard's scaled gradient stays below 2^SUM_BITS, so that 2^(62-SUM_BITS)
 * shards fit; the largest of the previous step is put at 2^SUM_AIM. */
enum { SUM_BITS = 50, SUM_AIM = 44, LOSS_BITS = 40, SHARDS_MAX = 4096 };

#define LOSS_MAX 1024.0 /* of a shard: no classifier that learns comes near, and sums stay below 2^63 */

/* One thread's memory. */
struct worker {
    float *grad;          /* (P) of the shard under way, zero between shards */
    int64_t *sum;         /* (P + 1) of this thread's shards; last: loss     */
    uint32_t *largest;    /* (T) bits of the largest |gradient|              */
    float *logit, *dlogit; /* (max graphs, 2)                                */
};

struct trainer {
    const ci_comm *comm;
    const ci_conf *conf;
    const ci_store *st;
    ci_pool *pool;
    ci_split split;
    ci_model *model;
    const ci_param *param;  /* (n_tensor) */
    ci_ckpt ck;             /* all state of the training */
    float *wt, *g;          /* prepared weights; gradient of the step */
    int64_t *sum;           /* (P + 1) over threads, then ranks */
    int64_t *agreed;        /* (T + AGREED_FLAGS) maxima over ranks */
    struct worker *worker;  /* one a thread */
    ci_lane *lane;          /* one a thread */
    int n_thread;
    int32_t *order;         /* (n_train) permutation of the epoch */
    int64_t *graph;         /* (n_train) graphs in that order */
    int64_t *first;         /* shards of the present batch */
    int64_t n_shard;
    atomic_long next;       /* shard that the next free thread takes */
    long end;               /* behind the last shard of this rank */
    int64_t n_batch_graph;  /* graphs of the present batch, all ranks */
    const int64_t *batch;   /* (n_batch_graph) */
    ci_rc late;             /* a failure of rank 0 between collectives, told at the next ... */
    char late_message[CI_MESSAGE_MAX]; /* ... in these words */
    int64_t shards_done;    /* of this rank, for the record */
    ci_arena state;         /* wt, g, sum, agreed and all workers' vectors */
};

enum { FLAG_OVERFLOW, FLAG_FAILED, FLAG_SIGNAL, AGREED_FLAGS };

/* sum[i] += round(g[i] * 2^exponent), g[i] = 0; returns the bits of the largest |g[i]|. */
uint32_t sum_add(float *g, ci_gid n, int exponent, int64_t *sum);
/* g[i] = sum[i] * 2^-exponent */
void sum_float(const int64_t *sum, ci_gid n, int exponent, float *g);
/* The exponent that puts a gradient of these bits at 2^SUM_AIM; 0 bits: `old` stays. */
int sum_exponent(uint32_t largest, int old);
int sum_overflows(uint32_t largest, int exponent);

/* Cut the order of the epoch under way and position on it. */
void epoch_begin(struct trainer *t);
/* One optimiser step over the next batch.  Collective.  *out_signal: a rank was asked to stop. */
ci_rc step_run(struct trainer *t, int *out_signal);

ci_rc trainer_init(struct trainer *t, const ci_comm *comm, const ci_conf *conf, const ci_store *st);
void trainer_release(struct trainer *t);

#endif
