#ifndef CI_MODEL_DEVICE_PRIV_H
#define CI_MODEL_DEVICE_PRIV_H
/** What the files of a model on a device share.
 *
 *      device_fuse.c   records that are made in one launch      device_plan.c   when buffers live, and where
 *      device_order.c  which launch is when
 *      device_exec.c   passes                                   device_score.c  judging on the host what was computed here
 *      device_kinds.c  the table of kinds                       device_kind_*.c what each kind asks of the kernels */
#include "ci/devmodel.h"
#include "model_priv.h"

enum { PRODUCT_MAX = 256, KEEP_OF = 4 };

/** Memory of a record beside its tensors. */
enum { KEEP0, KEEP1, WORK0, WORK1 };
struct space { enum rows rows; int64_t cols; };

/** What a launch takes along, or leaves to another. */
struct fused {
    bool forward;       /**< an earlier record's launch has made it                                    */
    bool relu;          /**< the record behind is a relu in place, made with this one                  */
    bool backward;      /**< LINEAR: the gradient of its input is made with that of a later record     */
    ci_lid n_back;      /**< LINEAR: input gradients made here, of this record and of those before it   */
    bool gate;          /**< LINEAR: of which the input is a relu's, which has its backward here, too    */
    bool gated;         /**< RELU: its backward is made with that of who reads it, or of who is before it */
    bool gates;         /**< a convolution, which does that                                            */
};

/** Records as they are made; those of one group, which are LINEAR, in one launch. */
struct order { ci_lid n, record[RECORD_MAX], group[RECORD_MAX], at[RECORD_MAX]; /* at: step of each record's launch */ };

struct devcut {
    ci_k_cut sum;       /**< total stays until the next pass: running statistics */
    float *stat;        /**< batch norm: (2, cols)       */
    double *coef;       /**< Gaussian                    */
};

struct ci_devmodel {
    ci_device device;
    const ci_model *m;
    ci_devmodel_room room;
    bool grouped;       /**< products of gradients wait for the end of the pass */
    struct fused fused[RECORD_MAX];
    struct order order[2]; /**< forward, backward */
    bool add[RECORD_MAX][CI_MODEL_LAYERS]; /**< who was earlier has written the gradient of input k */
    enum { SEEN_TENSOR, SEEN_EDGE, SEEN_RAW, SEEN_WINDOW } seen[TENSOR_MAX]; /**< else what it is where nothing is hidden: the batch's own */
    bool aux[TENSOR_MAX]; /**< a tensor of the processor's plan alone */
    bool judged[TENSOR_MAX];
    size_t bytes;
    char *base;
    float *value[TENSOR_MAX], *grad[TENSOR_MAX], *keep[RECORD_MAX][KEEP_OF];
    int32_t *id;
    uint8_t *hidden, *group[3]; /**< nodes, edges, windows */
    bool grouping;      /**< trained with groups of columns hidden */
    struct devcut cut[2][CUT_MAX];
    float *host;        /**< pinned, for what is judged; NULL until then */
};

struct devpass {
    ci_devmodel *dm;
    const ci_model *m;
    const ci_devmodel_pass *a;
    const ci_k_batch *b;
    const ci_kernels *k;
    ci_dev *dev;
    ci_k_gemm_grad product[PRODUCT_MAX]; /**< asked for and not yet made */
    int n_product;
};

struct devkind {
    ci_rc (*forward)(struct devpass *p, const struct record *r);  /**< NULL: nothing to do */
    ci_rc (*backward)(struct devpass *p, const struct record *r);
    void (*space)(const ci_model *m, const ci_kernels *k, const struct record *r, struct space *out); /**< (KEEP_OF); NULL: none */
    bool writes;        /**< backward writes whole gradients of inputs that it is first to reach */
    bool products;      /**< products of its inputs, and of the gradient of its output or of its work, are asked for */
    bool sums;          /**< column sums of the gradient of its output are asked for likewise */
};
extern const struct devkind ci_device_kinds[KIND_COUNT];

void ci_device_fuse(ci_devmodel *dm);
void ci_device_order(ci_devmodel *dm);
/** Products of n records, gradients of their inputs. */
void ci_device_linears(struct devpass *p, const ci_lid *record, ci_lid n);
void ci_device_linears_back(struct devpass *p, const ci_lid *record, ci_lid n);
/** Places of all buffers; bytes of them in dm->bytes.  Called twice: without dm->base it counts. */
ci_rc ci_device_plan(ci_devmodel *dm, const ci_kernels *k);

/** Records from .. to - 1 forward, as p->b says whether in training. */
ci_rc ci_device_forward(struct devpass *p, ci_lid to);
void ci_device_pass(ci_devmodel *dm, const ci_devmodel_pass *a, const ci_k_batch *b, struct devpass *out);
/** Own sums of a cut, gathered and added: cut->total. */
ci_rc ci_device_cut(struct devpass *p, const ci_k_cut *cut);
/** dW and db of a product, soon or with all others when the pass is over. */
void ci_device_product(struct devpass *p, ci_k_gemm_grad g);

/* For the kinds. */
static inline ci_rows dev_rows(const struct devpass *p, ci_lid t) { return (ci_rows)p->m->tensor[t].rows; }
static inline ci_lid dev_cols(const struct devpass *p, ci_lid t) { return p->m->tensor[t].cols; }
static inline bool dev_hides(const struct devpass *p) { return p->b->training && p->dm->grouping; }
static inline float *dev_out(const struct devpass *p, ci_lid t) { return p->dm->value[t]; }
static inline float *dev_grad(const struct devpass *p, ci_lid t) { return p->dm->grad[t]; }
static inline const float *dev_value(const struct devpass *p, ci_lid t)
{
    if (dev_hides(p)) return p->dm->value[t];
    switch (p->dm->seen[t]) {
    case SEEN_EDGE: return p->b->e;
    case SEEN_RAW: return p->b->raw_e;
    case SEEN_WINDOW: return p->b->w;
    default: return p->dm->value[t];
    }
}
static inline ci_lid dev_at(const struct devpass *p, const struct record *r) { return (ci_lid)(r - p->m->record); }
static inline bool dev_adds(const struct devpass *p, const struct record *r, int k) { return p->dm->add[dev_at(p, r)][k]; }
static inline float *dev_keep(const struct devpass *p, const struct record *r, int k) { return p->dm->keep[dev_at(p, r)][k]; }
static inline const float *dev_weight(const struct devpass *p, const struct record *r, ci_lid k)
{
    return r->param[k] == NONE ? NULL : p->a->w + p->m->param[r->param[k]].first;
}
/** The edges' features as this pass sees them; NULL where the model sees none. */
static inline const float *dev_edges(const struct devpass *p)
{
    if (!p->m->dim.edge_features) return NULL;
    return p->m->edge == NONE ? p->b->e : dev_value(p, p->m->edge);
}
static inline ci_k_relu dev_relu(const struct devpass *p, const struct record *r)
{
    return p->dm->fused[dev_at(p, r)].relu ? (ci_k_relu){1, r[1].operation} : (ci_k_relu){0, 0};
}
/** Of a convolution. */
static inline float *dev_gated(const struct devpass *p, const struct record *r)
{
    return p->dm->fused[dev_at(p, r)].gates ? p->dm->grad[r->out] : NULL;
}
/** Bits of the inputs whose gradient nobody has written yet. */
uint32_t ci_device_overwrite(const struct devpass *p, const struct record *r);
ci_k_grad ci_device_grad(const struct devpass *p, const struct record *r, ci_lid k);
ci_k_loss ci_device_loss(const struct devpass *p, ci_term term);
struct devcut *ci_device_cut_of(const struct devpass *p, int backward, const struct record *r);

#define KIND(name) \
    ci_rc ci_device_##name(struct devpass *p, const struct record *r); \
    ci_rc ci_device_##name##_back(struct devpass *p, const struct record *r);
#define SPACE(name) void ci_device_##name##_space(const ci_model *m, const ci_kernels *k, const struct record *r, struct space *out);
KIND(embed) KIND(add) KIND(cat) KIND(relu) KIND(dropout) KIND(sigmoid)
KIND(gatv1) KIND(gatv2) KIND(transformer) KIND(attention) KIND(heads_mean)
KIND(graph_norm) KIND(batch_norm) KIND(layer_norm)
KIND(lstm) KIND(jk_attention) KIND(jk_max) KIND(pool)
KIND(sample) KIND(neighbour_mean) KIND(edge_pair) KIND(pair_add) KIND(gaussian)
SPACE(gatv1) SPACE(gatv2) SPACE(attention) SPACE(graph_norm) SPACE(layer_norm) SPACE(lstm) SPACE(jk_attention) SPACE(pool_attention)
SPACE(sample) SPACE(head)
#undef KIND
#define KIND(name) ci_rc ci_device_##name(struct devpass *p, const struct record *r);
KIND(edge_input) KIND(raw_input) KIND(window_input)
#undef KIND
#define KIND(name) ci_rc ci_device_##name##_back(struct devpass *p, const struct record *r);
KIND(classify) KIND(message_loss) KIND(teacher_logit) KIND(recon) KIND(kl) KIND(id_head) KIND(near_head) KIND(edge_loss)
KIND(teacher_latent) KIND(teacher_recon)
#undef KIND
#undef SPACE

#endif
