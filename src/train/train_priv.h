#ifndef CI_TRAIN_PRIV_H
#define CI_TRAIN_PRIV_H
/* What the files of train/ share: a run of training in the memory of one rank.
 *
 *      init.c     memory        order.c   graphs of an epoch, batches    step.c    one step of the optimiser
 *      sum.c      integer sums  judge.c   validation                     teacher.c a teacher's part in a step
 *      score.c    scoring       trained.c a model from its checkpoint    train.c   the loop, resuming, signals
 *      device*.c  all of it on a device (device_priv.h) */
#include <stdatomic.h>
#include "ci/arena.h"
#include "ci/batch.h"
#include "ci/train.h"

/* Units of the sums.  A shard's scaled gradient stays below 2^SUM_BITS, so that 2^(62-SUM_BITS)
 * shards fit; the largest of the previous step is put at 2^SUM_AIM. */
enum { SUM_BITS = 50, SUM_AIM = 44, LOSS_BITS = 40, SHARDS_MAX = 4096 };

#define CLOSED_MAX 0x1p20 /* of what a cut says of the whole batch */
#define LOSS_MAX 1024.0 /* of a shard: nothing that learns comes near, and sums stay below 2^63 */

/* One thread's memory. */
struct worker {
    float *grad;          /* (P) of the shard under way, zero between shards   */
    int64_t *sum;         /* (P + CI_TERM_COUNT) of this thread's shards; last: losses */
    uint32_t *largest;    /* (T) bits of the largest |gradient|                */
    ci_scratch *teacher;  /* NULL without one                                  */
};

/* One shard's memory between the passes of a step: its packed graphs and activations, what its teacher says. */
struct slot {
    ci_lane lane;
    const ci_batch *b;
    float *said;      /* (teacher_room) what the teacher says, owned; NULL: read where the teacher left it */
    ci_model_aid aid;
};

struct trainer {
    const ci_comm *comm;
    const ci_conf *conf;
    const ci_store *st;
    ci_compute at;          /* a device, or none */
    struct device_training *device; /* NULL: on the CPU */
    ci_pool *pool;
    ci_split split;
    char split_sha[CI_SHA256_HEX]; /* of what decides it */
    ci_model *model;
    const ci_param *param;  /* (n_tensor) */
    ci_ckpt ck;             /* all state of the training */
    ci_trained teacher;     /* model NULL without one */
    double *difficulty;     /* (n_train) of a curriculum; else NULL */
    ci_cuts *cuts;
    ci_lid n_pass;          /* over the shards of a step: 1 for a model without cuts */
    float *wt, *g;          /* prepared weights; gradient of the step */
    int64_t *sum;           /* (P + CI_TERM_COUNT) over threads, then ranks */
    int64_t *agreed;        /* (T + AGREED_FLAGS) maxima over ranks */
    struct worker *worker;  /* one a thread */
    ci_lane *lane;          /* one a thread */
    struct slot *slot;      /* (n_slot) with more passes than one */
    size_t n_slot, slot_cap;
    int n_thread;
    int n_worker;           /* of which compute; on a device they pack, and one has the memory to judge */
    int64_t n_train;        /* graphs that are learned from: split.train, or its benign ones */
    int64_t *train;         /* (n_train) */
    int64_t n_epoch;        /* graphs of the epoch under way */
    int32_t *order;         /* (room) permutation of the epoch */
    int64_t *graph;         /* (room) graphs in that order */
    int64_t *chosen;        /* (room) places in train, of a curriculum */
    int64_t *batch_first;   /* (n_batch + 1) batches of the epoch */
    int64_t n_batch;
    float *weight;          /* (room) of the graphs of a batch, of a curriculum */
    int64_t *first;         /* shards of the present batch */
    int64_t n_shard;
    atomic_long next;       /* shard that the next free thread takes */
    long begin, end;        /* this rank's shards */
    ci_lid pass;            /* under way */
    int64_t n_batch_graph;  /* graphs of the present batch, all ranks */
    const int64_t *batch;   /* (n_batch_graph) */
    ci_model_step step;     /* what the model is told of the present batch */
    double closed[CI_TERM_COUNT]; /* losses that come from cuts */
    ci_rc late;             /* a failure of rank 0 between collectives, told at the next ... */
    char late_message[CI_MESSAGE_MAX]; /* ... in these words */
    int64_t shards_done;    /* of this rank, for the record */
    ci_arena state;         /* vectors of the above */
};

enum { FLAG_OVERFLOW, FLAG_FAILED, FLAG_SIGNAL, AGREED_FLAGS };

/* sum[i] += round(g[i] * 2^exponent), g[i] = 0; returns the bits of the largest |g[i]|. */
uint32_t sum_add(float *g, ci_gid n, int exponent, int64_t *sum);
/* g[i] = sum[i] * 2^-exponent */
void sum_float(const int64_t *sum, ci_gid n, int exponent, float *g);
/* The exponent that puts a gradient of these bits at 2^SUM_AIM; 0 bits: `old` stays. */
int sum_exponent(uint32_t largest, int old);
int sum_overflows(uint32_t largest, int exponent);
/* SUM_BITS, or as many as so many numbers leave: their sum stays within 2^62. */
int sum_bits(int64_t numbers);

/* Graphs of the epoch under way, their order and batches.  The same on every rank; not collective. */
ci_rc epoch_begin(struct trainer *t);
/* The loss that a classifier is trained with, and judged by. */
ci_class_loss class_loss_of(const ci_conf *c);
/* A batch of the epoch becomes the present one: its shards; and what the model is told of it.  Not collective. */
ci_rc batch_cut(struct trainer *t, int64_t batch);
ci_rc batch_begin(struct trainer *t, int64_t batch);
/* The step size at a batch of the epoch. */
double step_size(const struct trainer *t, int64_t batch);
/* A failure in words that say where: which step, on which rank. */
ci_rc located(const struct trainer *t, ci_rc rc);
/* One optimiser step over the next batch.  Collective.  *out_signal: a rank was asked to stop. */
ci_rc step_run(struct trainer *t, int *out_signal);

/* Open the teacher that the settings name, if they do.  Collective. */
ci_rc teacher_open(struct trainer *t, const char *store_sha);
/* A shard is packed once, for both: the teacher, if there is one, must have been trained on columns that are scaled alike.
 * \return CI_OK or CI_ECONF, the same on every rank */
ci_rc teacher_scaled(const struct trainer *t);
size_t teacher_room(const struct trainer *t); /* floats of slot.said */
/* Difficulty of the training graphs by the vgae that the settings name, for a curriculum.  Collective. */
ci_rc difficulty_open(struct trainer *t, const char *store_sha);
/* What the teacher says of a shard, by this thread, into s->aid. */
ci_rc teacher_ask(const struct trainer *t, const struct worker *w, struct slot *s);

/* cka.json: linear CKA of the layers of teacher and student over validation windows; nothing without a teacher.  Not collective: rank 0. */
ci_rc cka_report(struct trainer *t);

/* What the model says of the validation windows.  Collective. */
ci_rc score_valid(struct trainer *t, float *out);

/* What validation says of the weights. */
struct validation {
    double auroc, ap, f1, mcc; /* NaN where there are not both classes */
    double loss;               /* vgae: mean reconstruction error of benign windows */
    double gap, max_gap, ratio; /* vgae: of the reconstruction error; NaN without attacks */
    double threshold;
    double value;              /* what is monitored */
};
/* Scores the validation windows and, for a vgae, calibrates ck.  Collective. */
ci_rc validate(struct trainer *t, struct validation *out);
/* Does what is monitored exist on these validation windows?  CI_ECONF when it does not. */
ci_rc monitor_check(const ci_conf *conf, const ci_split *split);
int more_is_better(const ci_conf *conf);

/* With a device: memory planned, said and taken, graphs and state brought there.  Collective. */
ci_rc device_begin(struct trainer *t);
ci_rc device_epoch(struct trainer *t); /* room for the epoch that has begun.  Collective */
ci_rc device_step(struct trainer *t, int *out_signal); /* step_run there */
/* Weights and all that a checkpoint has of the device into t->ck; nothing without one.  Not collective. */
ci_rc device_fetch(struct trainer *t);
void device_end(struct trainer *t);

ci_rc trainer_init(struct trainer *t, const ci_comm *comm, const ci_conf *conf, const ci_store *st, const char *store_sha);
ci_rc slots_have(struct trainer *t, size_t n);
void trainer_release(struct trainer *t);

#endif
