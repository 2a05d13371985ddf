/** The head that judges frames: logits of each edge between neighbouring frames, of the frame that it leads to.
 *
 *      y = (x[src] | x[dst] | e) W + b = x[src] W_src + x[dst] W_dst + e W_e + b
 *
 *  Products with x are made once a node, not once an edge, and added where an edge has its ends. */
#include <math.h>
#include "model_priv.h"

ci_lid ci_model_message(ci_model *m, ci_lid x)
{
    static const char *const end[] = {"src", "dst"};
    const ci_lid D = m->dim.heads * m->dim.channels, fan_in = 2 * m->tensor[x].cols + m->dim.n_edge_feature;
    const ci_lid raw = ci_model_tensor(m, PER_RAW, m->dim.n_edge_feature, "raw_e");
    const ci_lid y = ci_model_tensor(m, PER_RAW, D, "message0");
    ci_lid at[2];

    m->tensor[raw].grad_cols = 0; /* data */
    ci_model_record(m, RAW_INPUT, NONE, raw);
    for (int k = 0; k < 2; k++) {
        at[k] = ci_model_tensor(m, PER_NODE, D, "message.%s", end[k]);
        ci_model_linear(m, x, at[k], NO_BIAS, false, "message.%s", end[k]);
        m->init[m->n_param - 1].bound = 1 / sqrt(fan_in);
    }
    ci_model_linear(m, raw, y, BIAS, false, "message0");
    m->init[m->n_param - 1].bound = m->init[m->n_param - 2].bound = 1 / sqrt(fan_in);
    struct record *r = ci_model_record(m, PAIR_ADD, y, y);
    for (int k = 0; k < 2; k++) r->in[r->n_in++] = at[k];
    ci_model_record(m, RELU, y, y);
    const ci_lid logit = ci_model_tensor(m, PER_RAW, 2, "message");
    m->tensor[logit].kept = true;
    ci_model_linear(m, y, logit, BIAS, false, "message1");
    return logit;
}

/** In place: an edge's row y gets what its ends bring. */
ci_rc ci_pair_add_forward(const struct pass *p, const struct record *r)
{
    const size_t D = (size_t)cols_of(p, r->out);
    float *y = p->s->value[r->out];
    for (ci_lid e = 0; e < p->b->n_raw; e++, y += D) {
        const float *src = p->s->value[r->in[1]] + (size_t)p->b->raw_src[e] * D, *dst = p->s->value[r->in[2]] + (size_t)p->b->raw_dst[e] * D;
        for (size_t d = 0; d < D; d++) y[d] = (y[d] + src[d]) + dst[d];
    }
    return CI_OK;
}

ci_rc ci_pair_add_backward(const struct pass *p, const struct record *r)
{
    const size_t D = (size_t)cols_of(p, r->out);
    const float *dy = p->s->grad[r->out];
    for (ci_lid e = 0; e < p->b->n_raw; e++, dy += D) {
        float *src = p->s->grad[r->in[1]] + (size_t)p->b->raw_src[e] * D, *dst = p->s->grad[r->in[2]] + (size_t)p->b->raw_dst[e] * D;
        for (size_t d = 0; d < D; d++) src[d] += dy[d];
        for (size_t d = 0; d < D; d++) dst[d] += dy[d];
    }
    return CI_OK;
}
