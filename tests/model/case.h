#ifndef TEST_MODEL_CASE_H
#define TEST_MODEL_CASE_H
/** Small shards by formula, the same as in tests/oracle/gat_oracle.py. */
#include "ci/batch.h"
#include "ci/model.h"

enum { CASE_TEST = 100, CASE_PROJECT = 101, CASE_NOISE = 102, CASE_SEED = 42, CASE_IDS = 20 };

ci_model_dim case_dim(void);

/** Nodes, raw edges and shape of one graph: 'a' any edges, 'l' only self-loops, 's' all into node 0,
 *  'i' only among the first four nodes. */
struct case_graph { int number, n_node, n_edge; char shape; };

/** Pack graphs with self-loops as batch.h says.  Aborts when memory is short. */
ci_batch *case_pack(const struct case_graph *g, int n);
/** Graphs of the oracle's case: "normal", "one_node", "star", "mixed", "empty". */
ci_batch *case_named(const char *name);
/** Graphs like those of a real capture, numbered from `first`: about 27 nodes, 99 edges. */
ci_batch *case_many(int first, int n);
void case_free(ci_batch *b);
/** Add the edges as a store has them, of the graphs that b was packed from. */
void case_raw(ci_batch *b, const struct case_graph *g);
/** Add n columns of a window to each graph. */
void case_window(ci_batch *b, ci_lid n);
/** Leave the first n columns of the features. */
void case_narrow(ci_batch *b, ci_lid n);
/** What a teacher says: `rows` rows a graph, 0 for one a node; to free(). */
float *case_said(const ci_batch *b, int what, int rows, int cols, float scale);
/** Add a tenth of symmetric noise to tensor `number`. */
void case_noise(float *w, ci_gid n, ci_lid number);

/** Dot product of v with projection k of tensor `number`, and its norm. */
double case_project(const float *v, ci_gid n, ci_lid number, int k);
double case_norm(const float *v, ci_gid n);

/** What the classifier's losses divide by: focal loss, gamma 2, over n_global graphs. */
ci_model_step case_step(uint32_t seed, uint32_t epoch, float dropout, float unk_drop, ci_gid n_global);

/** Forward with step (NULL: evaluation) and the logits of it. */
ci_rc case_forward(const ci_model *m, const float *w, ci_scratch *s, const ci_batch *b, const ci_model_step *step, float *logit);

/** Forward and backward; gradients are added to grad. */
ci_rc case_shard(const ci_model *m, const float *w, const float *wt, ci_scratch *s, const ci_batch *b, const ci_model_step *step,
                 float *logit, float *grad, double *loss);

#endif
