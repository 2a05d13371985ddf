#ifndef CI_MODEL_PRIV_H
#define CI_MODEL_PRIV_H
/** What the files of model/ share: tensors, records, and the scratch of one thread. */
#include <stdbool.h>
#include "ci/arena.h"
#include "ci/model.h"
#include "ci/ops.h"

enum {
    PARAM_MAX = 1 + 7 * CI_MODEL_LAYERS + 2 * CI_MODEL_LAYERS,
    TENSOR_MAX = 2 + 4 * CI_MODEL_LAYERS + CI_MODEL_LAYERS,
    RECORD_MAX = 2 + 4 * CI_MODEL_LAYERS + 2 * CI_MODEL_LAYERS,
    BUFFER_MAX = 2 * TENSOR_MAX,
    D_MAX = 1024,
    NONE = -1
};

enum kind { EMBED, LINEAR, GATV2, RELU, POOL, KIND_COUNT };
enum rows { PER_GRAPH, PER_NODE, PER_EDGE };

/** Steps of time: forward of record k is step k, its backward step 2 n_record - 1 - k. */
struct life { ci_lid first, last; };

struct tensor {
    char name[CI_PARAM_NAME];
    enum rows rows;
    ci_lid cols;
    ci_lid grad_cols; /**< leading columns whose gradient somebody wants */
    struct life value, grad;
};

struct record {
    enum kind kind;
    ci_lid n_in, in[CI_MODEL_LAYERS]; /**< tensors                                                     */
    ci_lid out;                       /**< tensor; RELU works in place, in[0] == out                   */
    ci_lid aux;                       /**< tensor of GATV2: p, and in its gradient ds; else NONE       */
    ci_lid param[3];                  /**< LINEAR: weight, bias; GATV2: lin_edge, att, bias            */
    bool add[CI_MODEL_LAYERS];        /**< backward adds to the gradient of in[k], else overwrites it  */
    ci_gid prepared;                  /**< LINEAR: where its transposed weight begins                  */
    uint32_t operation;               /**< of random numbers: RELU, EMBED                              */
};

struct ci_model {
    ci_model_dim dim;
    const ci_ops *ops;
    ci_lid n_param, n_tensor, n_record;
    ci_param param[PARAM_MAX];
    struct tensor tensor[TENSOR_MAX];
    struct record record[RECORD_MAX];
    ci_gid size, prepared_size;
};

struct ci_scratch {
    ci_arena arena;
    ci_lid max_graph, max_node, max_edge;
    float *value[TENSOR_MAX], *grad[TENSOR_MAX];
    float *block;  /**< (CI_GATV2_BLOCK, D)                        */
    int32_t *id;   /**< (max_node) identifiers after unk_drop      */
    ci_lid n_graph, n_node, n_edge; /**< of the last forward pass; n_graph NONE when there was none */
};

/** What one pass works on. */
struct pass {
    const ci_model *m;
    const float *w, *wt;
    ci_scratch *s;
    const ci_batch *b;
    const ci_model_step *step; /**< NULL in evaluation */
    float *grad;
};

struct kind_of {
    const char *name;
    void (*forward)(const struct pass *p, const struct record *r);
    void (*backward)(const struct pass *p, const struct record *r);
};
extern const struct kind_of ci_model_kind[KIND_COUNT];

/** Write parameters, tensors and records of the classifier; m->dim is set. */
void ci_model_list_gat(ci_model *m);

/** Fill in when values and gradients live and which gradients are added to. */
void ci_model_live(ci_model *m);

ci_lid ci_model_rows(enum rows rows, ci_lid n_graph, ci_lid n_node, ci_lid n_edge);

#endif
