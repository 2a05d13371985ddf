/** Norms; batch norm by way of its cuts, or of the running statistics in evaluation. */
#include <assert.h>
#include <math.h>
#include "model_priv.h"

ci_rc ci_graph_norm_forward(const struct pass *p, const struct record *r)
{
    p->m->ops->graph_norm_forward(p->b->n_graph, p->b->first, cols_of(p, r->out), p->s->value[r->in[0]], weight(p, r, 0),
                                  weight(p, r, 1), weight(p, r, 2), p->s->value[r->aux[0]], p->s->value[r->out]);
    return CI_OK;
}

ci_rc ci_graph_norm_backward(const struct pass *p, const struct record *r)
{
    p->m->ops->graph_norm_backward(p->b->n_graph, p->b->first, cols_of(p, r->out), p->s->value[r->in[0]], weight(p, r, 0),
                                   weight(p, r, 2), p->s->value[r->aux[0]], p->s->grad[r->out], p->s->grad[r->in[0]],
                                   gradient(p, r, 0), gradient(p, r, 1), gradient(p, r, 2));
    return CI_OK;
}

ci_rc ci_layer_norm_forward(const struct pass *p, const struct record *r)
{
    p->m->ops->layer_norm_forward(p->b->n_node, cols_of(p, r->out), p->s->value[r->in[0]], weight(p, r, 0), weight(p, r, 1),
                                  p->s->value[r->aux[0]], p->s->value[r->out]);
    return CI_OK;
}

ci_rc ci_layer_norm_backward(const struct pass *p, const struct record *r)
{
    p->m->ops->layer_norm_backward(p->b->n_node, cols_of(p, r->out), p->s->value[r->in[0]], weight(p, r, 0),
                                   p->s->value[r->aux[0]], p->s->grad[r->out], p->s->grad[r->in[0]], gradient(p, r, 0),
                                   gradient(p, r, 1));
    return CI_OK;
}

void ci_batch_norm_sum(const struct pass *p, const struct record *r, double *sum)
{
    p->m->ops->batch_norm_sums(p->b->n_node, cols_of(p, r->out), p->s->value[r->in[0]], sum);
}

ci_rc ci_batch_norm_forward(const struct pass *p, const struct record *r)
{
    const ci_lid cols = cols_of(p, r->out);
    const struct closed *c = p->step ? ci_cut_of(p, 0, r) : NULL;
    const float *mean = p->step ? c->mean : p->state + r->state, *rstd = p->step ? c->rstd : NULL;
    float own[CI_D_MAX];

    assert(cols <= CI_D_MAX);
    if (!rstd) {
        for (ci_lid d = 0; d < cols; d++) own[d] = 1.0f / sqrtf(p->state[r->state + cols + d] + CI_NORM_EPS);
        rstd = own;
    }
    p->m->ops->batch_norm_apply(p->b->n_node, cols, p->s->value[r->in[0]], mean, rstd, weight(p, r, 0), weight(p, r, 1),
                                p->s->value[r->out]);
    return CI_OK;
}

/** A shard's own sums are its gradients of bias and weight. */
void ci_batch_norm_back_sum(const struct pass *p, const struct record *r, double *sum)
{
    const ci_lid cols = cols_of(p, r->out);
    const struct closed *c = ci_cut_of(p, 0, r);
    p->m->ops->batch_norm_backward_sums(p->b->n_node, cols, p->s->value[r->in[0]], c->mean, c->rstd, p->s->grad[r->out], sum);
    for (ci_lid d = 0; d < cols; d++) {
        gradient(p, r, 1)[d] += (float)sum[d];
        gradient(p, r, 0)[d] += (float)sum[cols + d];
    }
}

ci_rc ci_batch_norm_backward(const struct pass *p, const struct record *r)
{
    const struct closed *c = ci_cut_of(p, 0, r), *back = ci_cut_of(p, 1, r);
    p->m->ops->batch_norm_backward(p->b->n_node, cols_of(p, r->out), c->rows, p->s->value[r->in[0]], c->mean, c->rstd,
                                   weight(p, r, 0), back->sum, p->s->grad[r->out], p->s->grad[r->in[0]]);
    return CI_OK;
}
