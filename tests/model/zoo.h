#ifndef ZOO_H
#define ZOO_H
/** The models of tests/oracle/model.txt, and one step of training over a batch of them, pass by pass as model.h says. */
#include "case.h"

enum { ZOO_MAX = 64, ZOO_GRAPHS = 6 };

/** One model of the file. */
struct zoo {
    char name[40];
    int few;             /**< graphs: 1 two of them, 0 all six                        */
    ci_model_dim dim;
    char *dim_text;      /**< as the file has it                                      */
    ci_model_step step;  /**< counts of the whole batch are not yet in it             */
    int curriculum;
    ci_gid n_masked;     /**< as the oracle counted                                   */
    long at;             /**< of the line behind "step" in the file                   */
};

/** All models of the file; aborts when it cannot be read.  \return how many */
int zoo_read(const char *path, struct zoo *out);
void zoo_free(struct zoo *z, int n);
const struct zoo *zoo_find(const struct zoo *z, int n, const char *name);

/** A model with its weights, and its batch in up to ZOO_GRAPHS shards. */
struct bench {
    const struct zoo *zoo;
    ci_model *m;
    ci_cuts *cuts;
    ci_model_step step;
    int n_shard;
    ci_batch *b[ZOO_GRAPHS + 1];
    ci_scratch *s[ZOO_GRAPHS + 1];
    ci_model_aid aid[ZOO_GRAPHS + 1];
    float *w, *wt, *grad, *state, *running;
    ci_gid n, n_state;
};

/** \param [in] per  graphs of a shard; an empty shard is then among them; 0: one shard for all
 *  \return 0 when this machine has no such kernels */
int bench_open(const struct zoo *z, const char *isa, int per, struct bench *t);
/** Its two halves: a model with its weights; one shard more, which bench_close frees. */
int bench_begin(const struct zoo *z, const char *isa, struct bench *t);
void bench_shard(struct bench *t, ci_batch *b);
void bench_close(struct bench *t);

/** Forward passes, up to where backward begins. */
ci_rc bench_forward(struct bench *t, double *loss);
/** The whole step: gradients afresh in t->grad, loss (CI_TERM_COUNT), running statistics behind it in t->running. */
ci_rc bench_step(struct bench *t, double *loss);
double bench_total(const double *loss);

#endif
