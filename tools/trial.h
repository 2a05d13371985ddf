#ifndef BENCH_TRIAL_H
#define BENCH_TRIAL_H
/** A model as `canids train` makes it of its settings, a batch of shard.h's graphs, and a pass over it on the CPU; for tools/bench_*.c.
 *  What fails ends the program, with a line that says what. */
#include "ci/conf.h"
#include "ci/model.h"
#include "ci/train.h"
#include "shard.h"

typedef struct trial {
    ci_conf conf;
    ci_model *m;
    ci_cuts *cuts;
    ci_model_step step;
    int n_shard, n_graph;
    ci_batch *b;             /**< (n_shard) */
    ci_scratch **s;          /**< (n_shard); one serves all where the model is not cut */
    float *w, *wt, *state, *grad;
    double loss;             /**< of the last pass, all terms */
} trial;

/** \param [in] n  KEY=VALUE words   \param [in] device  the CPU is beside a device, and rounds nothing itself */
void trial_settle(trial *t, const char *name, const char *scale, const char *preset, const char *const *set, int n, bool device);

/** n_graph graphs in shards of at most `rows` nodes; what training tells the model of them; its first weights. */
void trial_make(trial *t, int n_graph, int rows);

/** What training tells of a batch of n_graph graphs, the first of them number 0. */
ci_model_step trial_step(const trial *t, int n_graph);

/** Forward, losses and backward; pass by pass where the model is cut, see model.h, else all of it shard by shard. */
void trial_run(trial *t);
void trial_forward(trial *t, int shard); /**< of training, a model's first pass */
void trial_release(trial *t);
void trial_must(ci_rc rc); /**< or the program ends */

#endif
