/** Message passing and attention: from records to kernels. */
#include <assert.h>
#include <string.h>
#include "model_priv.h"

static ci_gatv2_dim dim_of(const ci_model *m, const struct record *r)
{
    return (ci_gatv2_dim){r->H, r->C, m->dim.edge_features ? m->dim.n_edge_feature : 0, m->dim.slope};
}

static ci_csr csr(const struct pass *p) { return (ci_csr){p->b->n_node, p->b->in_first, p->b->in_src}; }
static const float *edges(const struct pass *p) { return p->m->dim.edge_features ? edge_values(p) : NULL; }

static void bias_backward(const struct pass *p, const struct record *r, ci_lid k)
{
    const ci_lid D = r->H * r->C;
    if (r->param[k] != NONE) p->m->ops->column_sum(p->s->grad[r->out], p->b->n_node, D, D, gradient(p, r, k));
}

static ci_gatv2_in gatv2_in(const struct pass *p, const struct record *r)
{
    return (ci_gatv2_in){.l = p->s->value[r->in[0]], .r = p->s->value[r->in[1]], .e = edges(p),
                         .w_e = weight(p, r, 0), .a = weight(p, r, 1), .bias = weight(p, r, 2)};
}

ci_rc ci_gatv2_forward(const struct pass *p, const struct record *r)
{
    const ci_csr g = csr(p);
    p->m->ops->gatv2_forward(dim_of(p->m, r), &g, gatv2_in(p, r), p->s->block, p->s->value[r->aux[0]], p->s->value[r->out]);
    return CI_OK;
}

ci_rc ci_gatv2_backward(const struct pass *p, const struct record *r)
{
    const ci_csr g = csr(p);
    const ci_gatv2_grad grad = {.l = p->s->grad[r->in[0]], .r = p->s->grad[r->in[1]], .w_e = gradient(p, r, 0),
                                .a = gradient(p, r, 1)};
    assert(!r->add[0] && !r->add[1]);
    bias_backward(p, r, 2);
    p->m->ops->gatv2_backward(dim_of(p->m, r), &g, gatv2_in(p, r), p->s->value[r->aux[0]], p->s->grad[r->out],
                              p->s->block, p->s->grad[r->aux[0]], grad);
    return CI_OK;
}

size_t ci_gatv1_room(const ci_model *m, const struct record *r, ci_lid G, ci_lid N, ci_lid E, ci_lid R)
{
    (void)G, (void)E, (void)R;
    return CI_GAT_WORK(dim_of(m, r), N);
}

static ci_gat_in gatv1_in(const struct pass *p, const struct record *r)
{
    return (ci_gat_in){.h = p->s->value[r->in[0]], .e = edges(p), .w_e = weight(p, r, 0), .a_src = weight(p, r, 1),
                       .a_dst = weight(p, r, 2), .a_e = weight(p, r, 3), .bias = weight(p, r, 4)};
}

ci_rc ci_gatv1_forward(const struct pass *p, const struct record *r)
{
    const ci_csr g = csr(p);
    p->m->ops->gat_forward(dim_of(p->m, r), &g, gatv1_in(p, r), p->s->work, p->s->value[r->aux[0]], p->s->value[r->out]);
    return CI_OK;
}

ci_rc ci_gatv1_backward(const struct pass *p, const struct record *r)
{
    const ci_csr g = csr(p);
    const ci_gat_grad grad = {.h = p->s->grad[r->in[0]], .w_e = gradient(p, r, 0), .a_src = gradient(p, r, 1),
                              .a_dst = gradient(p, r, 2), .a_e = gradient(p, r, 3)};
    assert(!r->add[0]);
    bias_backward(p, r, 4);
    p->m->ops->gat_backward(dim_of(p->m, r), &g, gatv1_in(p, r), p->s->value[r->aux[0]], p->s->grad[r->out],
                            p->s->work, p->s->grad[r->aux[0]], grad);
    return CI_OK;
}

static ci_transformer_in transformer_in(const struct pass *p, const struct record *r)
{
    return (ci_transformer_in){.q = p->s->value[r->in[0]], .k = p->s->value[r->in[1]], .v = p->s->value[r->in[2]],
                               .skip = p->s->value[r->in[3]], .e = edges(p), .w_e = weight(p, r, 0)};
}

ci_rc ci_transformer_forward(const struct pass *p, const struct record *r)
{
    const ci_csr g = csr(p);
    p->m->ops->transformer_forward(dim_of(p->m, r), &g, transformer_in(p, r), p->s->block, p->s->value[r->aux[0]],
                                   p->s->value[r->out]);
    return CI_OK;
}

ci_rc ci_transformer_backward(const struct pass *p, const struct record *r)
{
    const ci_csr g = csr(p);
    const ci_transformer_grad grad = {.q = p->s->grad[r->in[0]], .k = p->s->grad[r->in[1]], .v = p->s->grad[r->in[2]],
                                      .w_e = gradient(p, r, 0)};
    const float *dy = p->s->grad[r->out];
    assert(!r->add[0] && !r->add[1] && !r->add[2] && !r->add[3]);
    p->m->ops->transformer_backward(dim_of(p->m, r), &g, transformer_in(p, r), p->s->value[r->aux[0]], dy, p->s->block,
                                    p->s->grad[r->aux[0]], grad);
    memcpy(p->s->grad[r->in[3]], dy, (size_t)p->b->n_node * (size_t)(r->H * r->C) * sizeof *dy);
    return CI_OK;
}

size_t ci_attention_room(const ci_model *m, const struct record *r, ci_lid G, ci_lid N, ci_lid E, ci_lid R)
{
    (void)m, (void)G, (void)E, (void)R;
    return CI_ATTENTION_WORK(r->H, N);
}

ci_rc ci_attention_forward(const struct pass *p, const struct record *r)
{
    p->m->ops->attention_forward(r->H, r->C, p->b->n_graph, p->b->first, p->s->value[r->in[0]], p->s->value[r->in[1]],
                                 p->s->value[r->in[2]], p->s->work, p->s->value[r->out]);
    return CI_OK;
}

ci_rc ci_attention_backward(const struct pass *p, const struct record *r)
{
    assert(!r->add[0] && !r->add[1] && !r->add[2]);
    p->m->ops->attention_backward(r->H, r->C, p->b->n_graph, p->b->first, p->s->value[r->in[0]], p->s->value[r->in[1]],
                                  p->s->value[r->in[2]], p->s->grad[r->out], p->s->work, p->s->grad[r->in[0]],
                                  p->s->grad[r->in[1]], p->s->grad[r->in[2]]);
    return CI_OK;
}

ci_rc ci_heads_mean_forward(const struct pass *p, const struct record *r)
{
    p->m->ops->heads_mean(p->b->n_node, r->H, cols_of(p, r->out), p->s->value[r->in[0]], weight(p, r, 0), p->s->value[r->out]);
    return CI_OK;
}

ci_rc ci_heads_mean_backward(const struct pass *p, const struct record *r)
{
    const ci_lid cols = cols_of(p, r->out);
    p->m->ops->column_sum(p->s->grad[r->out], p->b->n_node, cols, cols, gradient(p, r, 0));
    p->m->ops->heads_mean_backward(p->b->n_node, r->H, cols, p->s->grad[r->out], r->add[0], p->s->grad[r->in[0]]);
    return CI_OK;
}
