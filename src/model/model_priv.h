#ifndef CI_MODEL_PRIV_H
#define CI_MODEL_PRIV_H
/** What the files of model/ share: tensors, records, and the scratch of one shard.
 *
 *      create.c   checks, one model's memory      list.c   records, tensors and parameters, added one by one
 *      gat.c      the classifier's list           vgae.c   the autoencoder's       layer.c  one convolution with its norm
 *      plan.c     when tensors live, and where    exec.c   passes                  kinds.c  the table of kinds
 *      kind_*.c   what each kind does             cuts.c   what is known of the whole batch
 *      message.c  the head that judges frames
 *      init.c     initial weights                 score.c  what is said of a graph dim.c    shapes as text
 *      device_*.c the same list on a device: device_priv.h */
#include <stdbool.h>
#include "ci/arena.h"
#include "ci/graph.h"
#include "ci/model.h"
#include "ci/ops.h"

enum { PARAM_MAX = 320, TENSOR_MAX = 320, RECORD_MAX = 320, BUFFER_MAX = 2 * TENSOR_MAX, CUT_MAX = 32, PARAM_OF = 6, AUX_OF = 2, NONE = -1 };

enum kind {
    EMBED, EDGE_INPUT, RAW_INPUT, WINDOW_INPUT, LINEAR, GATV1, GATV2, TRANSFORMER, ATTENTION, HEADS_MEAN, ADD, CAT,
    GRAPH_NORM, BATCH_NORM, LAYER_NORM, RELU, DROPOUT, SIGMOID,
    LSTM, JK_ATTENTION, JK_MAX, POOL_MEAN, POOL_MAX, POOL_SUM, POOL_ATTENTION,
    SAMPLE, NEIGHBOUR_MEAN, EDGE_PAIR, PAIR_ADD,
    CLASSIFY, MESSAGE_LOSS, TEACHER_LOGIT, RECON, KL, ID_HEAD, NEIGHBOUR_HEAD, GAUSSIAN, EDGE_LOSS, TEACHER_LATENT, TEACHER_RECON,
    KIND_COUNT
};
enum rows { PER_GRAPH, PER_NODE, PER_EDGE, PER_RAW };
enum init { INIT_ZERO, INIT_ONE, INIT_NORMAL, INIT_UNIFORM };

/** Steps of time: forward of record k is step k, its backward step 2 n_record - 1 - k. */
struct life { ci_lid first, last; };

struct tensor {
    char name[CI_PARAM_NAME];
    enum rows rows;
    ci_lid cols;
    ci_lid grad_cols; /**< leading columns whose gradient somebody wants */
    bool kept;        /**< its value is asked for when a forward pass is over */
    struct life value, grad;
};

struct record {
    enum kind kind;
    ci_lid n_in, in[CI_MODEL_LAYERS]; /**< tensors                                                      */
    ci_lid out;                       /**< tensor; in place: in[0] == out; of a loss NONE               */
    ci_lid aux[AUX_OF];               /**< tensors it leaves for its backward, with work of that as their gradient; else NONE */
    ci_lid n_param, param[PARAM_OF];
    ci_lid H, C;                      /**< of attention; LSTM: C is h                                   */
    bool add[CI_MODEL_LAYERS];        /**< a later record has written the gradient of in[k] already     */
    ci_gid prepared;                  /**< where its transposed weight begins                           */
    ci_gid state;                     /**< BATCH_NORM: where its running statistics begin               */
    uint32_t operation;               /**< of random numbers                                            */
    bool training;                    /**< evaluation does without it                                   */
};

/** A record that needs sums of the whole batch. */
struct cut { ci_lid record, n; /* doubles */ };

struct ci_model {
    ci_model_dim dim;
    const ci_ops *ops;
    ci_lid n_param, n_tensor, n_record;
    ci_param param[PARAM_MAX];
    struct { enum init how; double bound; } init[PARAM_MAX];
    struct tensor tensor[TENSOR_MAX];
    struct record record[RECORD_MAX];
    ci_gid size, prepared_size, state_size;
    ci_lid n_recon; /**< records until a vgae has reconstructed its input, a gat has its logits */
    ci_lid edge;    /**< tensor of the edges' features as training sees them; NONE: they are all seen */
    ci_lid n_cut[2]; /**< forward, backward */
    struct cut cut[2][CUT_MAX];
    ci_lid n_output;
    char (*output)[16];         /**< (n_output) owned */
    const char **output_name;   /**< (n_output) owned */
};

struct ci_scratch {
    ci_arena arena;
    ci_lid max_graph, max_node, max_edge, max_raw;
    float *value[TENSOR_MAX], *grad[TENSOR_MAX];
    float *block, *work;      /**< what the kinds compute in                                   */
    float *row;               /**< (max of nodes, raw edges) a number of each                  */
    float *scale;             /**< (max_node) of each row's loss                               */
    int32_t *id;              /**< (max_node) identifiers as this pass sees them               */
    uint8_t *hidden;          /**< (max_node) 1: masked                                        */
    ci_lid *near_first;       /**< (max_node + 1) distinct identifiers a node points to ...     */
    int32_t *near;            /**< ... (max_raw), ascending                                     */
    double *sum[2][CUT_MAX];
    double loss[CI_TERM_COUNT];
    ci_lid n_graph, n_node, n_edge, n_raw; /**< of the last pass; n_graph NONE when there was none */
    int backward;             /**< what is expected next */
    ci_lid pass;
};

struct ci_cuts {
    ci_arena arena;
    struct closed { double *sum, *coef; float *mean, *rstd; ci_gid rows; } at[2][CUT_MAX];
};

/** What one pass works on: the caller's, and what differs in evaluation. */
struct pass {
    const ci_model *m;
    const float *w, *wt;
    ci_scratch *s;
    const ci_batch *b;
    const ci_model_step *step; /**< NULL in evaluation */
    const ci_model_aid *aid;
    const ci_cuts *cuts;
    float *grad;
    const float *state;        /**< evaluation alone */
    ci_lid mask;               /**< evaluation: nodes i with i % CI_MASKS == mask are hidden; NONE: none */
};

struct kind_of {
    const char *name;
    ci_rc (*forward)(const struct pass *p, const struct record *r);   /**< NULL: nothing to do */
    ci_rc (*backward)(const struct pass *p, const struct record *r);
    void (*sums[2])(const struct pass *p, const struct record *r, double *sum); /**< of a cut: forward, backward */
    size_t (*work)(const ci_model *m, const struct record *r, ci_lid G, ci_lid N, ci_lid E, ci_lid R); /**< floats; NULL: none */
    bool blind;     /**< backward does not look at the values of its inputs           */
    bool overwrite; /**< backward writes whole gradients of its inputs where it does not add */
};
extern const struct kind_of ci_model_kinds[KIND_COUNT];

/* list.c: the n-th of each is returned. */
ci_lid ci_model_param(ci_model *m, ci_lid rows, ci_lid cols, enum init how, double bound, const char *format, ...)
    __attribute__((format(printf, 6, 7)));
ci_lid ci_model_tensor(ci_model *m, enum rows rows, ci_lid cols, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
struct record *ci_model_record(ci_model *m, enum kind kind, ci_lid in, ci_lid out);
void ci_record_param(struct record *r, ci_lid param);
void ci_model_cut(ci_model *m, int backward, ci_lid record, ci_lid n);
double ci_glorot(ci_lid in, ci_lid out);
/** out = in W (+ b), W named `name`.weight; bound of both U(+-1/sqrt(in)), or Glorot's for W. */
enum bias { NO_BIAS, BIAS, ZERO_BIAS };
void ci_model_linear(ci_model *m, ci_lid in, ci_lid out, enum bias bias, bool glorot, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/** The inputs: identifier and features, through a projection where dim.project > 0.  \return tensor */
ci_lid ci_model_input(ci_model *m, ci_lid n_row);
/** One convolution of x to H heads of C columns, then norm, ReLU, dropout unless `bare`.  \return tensor */
ci_lid ci_model_layer(ci_model *m, ci_lid x, ci_lid H, ci_lid C, bool bare, const char *name, const char *out);
void ci_model_list_gat(ci_model *m);
/** Logits of each frame's edge from x, of nodes.  \return tensor */
ci_lid ci_model_message(ci_model *m, ci_lid x);
void ci_model_list_vgae(ci_model *m);
ci_rc ci_model_name_outputs(ci_model *m);

/** Fill in when values and gradients live and which gradients are added to. */
void ci_model_live(ci_model *m);
void ci_life_reach(struct life *l, ci_lid step);
/** Memory for a tensor while it lives. */
struct buffer {
    struct life life;
    size_t size, at; /**< floats */
};
/** A place for each; those whose lives do not meet may share theirs.  \return floats in all */
size_t ci_buffers_place(struct buffer *all, ci_lid n);
ci_lid ci_model_rows(enum rows rows, ci_lid n_graph, ci_lid n_node, ci_lid n_edge, ci_lid n_raw);

/* For the kinds. */
static inline const float *weight(const struct pass *p, const struct record *r, ci_lid k)
{
    return r->param[k] == NONE ? NULL : p->w + p->m->param[r->param[k]].first;
}
static inline float *gradient(const struct pass *p, const struct record *r, ci_lid k)
{
    return r->param[k] == NONE ? NULL : p->grad + p->m->param[r->param[k]].first;
}
static inline ci_lid rows_of(const struct pass *p, ci_lid t)
{
    return ci_model_rows(p->m->tensor[t].rows, p->b->n_graph, p->b->n_node, p->b->n_edge, p->b->n_raw);
}
static inline ci_lid cols_of(const struct pass *p, ci_lid t) { return p->m->tensor[t].cols; }
/** Columns of the node features that the model sees. */
static inline ci_lid features(const ci_model *m) { return m->dim.n_feature - m->dim.x_first; }
static inline uint32_t threshold(float probability) { return (uint32_t)((double)probability * 4294967296.0); }
/** The edges' features as this pass sees them. */
static inline const float *edge_values(const struct pass *p)
{
    return p->step && p->m->edge != NONE ? p->s->value[p->m->edge] : p->b->e;
}
/** Bits of the groups of columns that this pass hides of a graph. */
uint32_t ci_hidden_groups(const struct pass *p, ci_lid graph);
/** Of row y, columns first .. first + n - 1 of a set's: 0 where their group is hidden. */
void ci_hide_columns(const struct ci_feature *column, ci_lid n, uint32_t hidden, float *y);
/** \param [in] raw  the frames' edges are wanted */
ci_rc ci_shard_check(const ci_model *m, const ci_scratch *s, const ci_batch *b, bool raw);
/** What closed cut of this record, of a direction. */
const struct closed *ci_cut_of(const struct pass *p, int backward, const struct record *r);
/** Which rows are one graph's, of a tensor. */
void ci_graph_rows(const struct pass *p, ci_lid tensor, ci_lid graph, ci_lid *first, ci_lid *last);
/** Distinct identifiers that each node points to, into s->near. */
void ci_near_list(const struct pass *p);

#define KIND(name) \
    ci_rc ci_##name##_forward(const struct pass *p, const struct record *r); \
    ci_rc ci_##name##_backward(const struct pass *p, const struct record *r);
#define WORK(name) size_t ci_##name##_room(const ci_model *m, const struct record *r, ci_lid G, ci_lid N, ci_lid E, ci_lid R);
#define SUMS(name) void ci_##name(const struct pass *p, const struct record *r, double *sum);
KIND(embed) KIND(linear) KIND(add) KIND(cat) KIND(relu) KIND(dropout_record) KIND(sigmoid)
KIND(gatv1) KIND(gatv2) KIND(transformer) KIND(attention) KIND(heads_mean)
KIND(graph_norm) KIND(batch_norm) KIND(layer_norm)
KIND(lstm) KIND(jk_attention) KIND(jk_max) KIND(pool_mean) KIND(pool_max) KIND(pool_sum) KIND(pool_attention)
KIND(sample) KIND(neighbour_mean_record) KIND(edge_pair) KIND(pair_add)
KIND(edge_input) KIND(raw_input) KIND(window_input)
/* Losses have a backward alone. */
#undef KIND
#define KIND(name) ci_rc ci_##name##_backward(const struct pass *p, const struct record *r);
KIND(classify_loss) KIND(message_loss) KIND(teacher_logit) KIND(recon) KIND(kl) KIND(id_head) KIND(neighbour_head) KIND(near_loss)
KIND(edge_loss) KIND(teacher_latent) KIND(teacher_recon)
WORK(gatv1) WORK(attention) WORK(head) WORK(neighbour_mean)
SUMS(batch_norm_sum) SUMS(batch_norm_back_sum) SUMS(gaussian_sum)

/* score.c: of a pass that saw every node; of one that hid those of mask k; what all that makes of a graph. */
ci_rc ci_score_seen(const struct pass *p, float *out);
ci_rc ci_score_hidden(const struct pass *p, ci_lid mask, float *out);
void ci_score_close(const struct pass *p, float *out);
#undef KIND
#undef WORK
#undef SUMS

#endif
