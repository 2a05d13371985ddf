/** Jumping knowledge and pooling. */
#include <assert.h>
#include "model_priv.h"

struct layers { const float *x[CI_MODEL_LAYERS]; float *dx[CI_MODEL_LAYERS]; };

static struct layers layers_of(const struct pass *p, const struct record *r)
{
    struct layers l = {{0}, {0}};
    for (ci_lid k = 0; k < r->n_in; k++) {
        l.x[k] = p->s->value[r->in[k]];
        l.dx[k] = p->s->grad[r->in[k]];
    }
    return l;
}

static ci_lstm_dim lstm_dim(const struct pass *p, const struct record *r)
{
    return (ci_lstm_dim){r->n_in, cols_of(p, r->in[0]), r->C};
}

static ci_lstm_w lstm_w(const struct pass *p, const struct record *r)
{
    const float *wt = p->wt ? p->wt + r->prepared : NULL;
    const ci_lstm_dim d = lstm_dim(p, r);
    return (ci_lstm_w){.w_ih = weight(p, r, 0), .w_hh = weight(p, r, 1), .b_ih = weight(p, r, 2), .b_hh = weight(p, r, 3),
                       .att_w = weight(p, r, 4), .att_b = weight(p, r, 5), .wt_ih = wt,
                       .wt_hh = wt ? wt + 8 * (size_t)d.h * (size_t)d.D : NULL};
}

ci_rc ci_lstm_forward(const struct pass *p, const struct record *r)
{
    const struct layers l = layers_of(p, r);
    p->m->ops->lstm_forward(lstm_dim(p, r), p->b->n_node, l.x, lstm_w(p, r), p->s->value[r->aux[0]], p->s->value[r->out]);
    return CI_OK;
}

ci_rc ci_lstm_backward(const struct pass *p, const struct record *r)
{
    const struct layers l = layers_of(p, r);
    const ci_lstm_grad grad = {.x = l.dx, .w_ih = gradient(p, r, 0), .w_hh = gradient(p, r, 1), .b_ih = gradient(p, r, 2),
                               .b_hh = gradient(p, r, 3), .att_w = gradient(p, r, 4), .att_b = gradient(p, r, 5)};
    p->m->ops->lstm_backward(lstm_dim(p, r), p->b->n_node, l.x, lstm_w(p, r), p->s->value[r->aux[0]], p->s->grad[r->out],
                             p->s->grad[r->aux[0]], grad);
    return CI_OK;
}

ci_rc ci_jk_attention_forward(const struct pass *p, const struct record *r)
{
    const struct layers l = layers_of(p, r);
    p->m->ops->jk_attention_forward(r->n_in, p->b->n_node, cols_of(p, r->out), l.x, weight(p, r, 0), weight(p, r, 1),
                                    p->s->value[r->aux[0]], p->s->value[r->out]);
    return CI_OK;
}

ci_rc ci_jk_attention_backward(const struct pass *p, const struct record *r)
{
    const struct layers l = layers_of(p, r);
    p->m->ops->jk_attention_backward(r->n_in, p->b->n_node, cols_of(p, r->out), l.x, weight(p, r, 0), p->s->value[r->aux[0]],
                                     p->s->grad[r->out], l.dx, gradient(p, r, 0), gradient(p, r, 1));
    return CI_OK;
}

ci_rc ci_jk_max_forward(const struct pass *p, const struct record *r)
{
    const struct layers l = layers_of(p, r);
    p->m->ops->jk_max_forward(r->n_in, p->b->n_node, cols_of(p, r->out), l.x, p->s->value[r->out]);
    return CI_OK;
}

ci_rc ci_jk_max_backward(const struct pass *p, const struct record *r)
{
    const struct layers l = layers_of(p, r);
    p->m->ops->jk_max_backward(r->n_in, p->b->n_node, cols_of(p, r->out), l.x, p->s->grad[r->out], l.dx);
    return CI_OK;
}

/** One graph's rows of one input, and its part of the pooled vector: where a pooling works. */
struct place {
    ci_lid rows, cols, first;
    const float *x, *y, *dy;
    float *out, *dx;
    bool add;
};

static struct place place_of(const struct pass *p, const struct record *r, ci_lid g, ci_lid k, ci_lid column)
{
    const ci_lid cols = cols_of(p, r->in[k]), first = p->b->first[g];
    const size_t at = (size_t)first * (size_t)cols, to = (size_t)g * (size_t)cols_of(p, r->out) + (size_t)column;
    return (struct place){p->b->first[g + 1] - first, cols, first, p->s->value[r->in[k]] + at, p->s->value[r->out] + to,
                          p->s->grad[r->out] + to, p->s->value[r->out] + to, p->s->grad[r->in[k]] + at, r->add[k]};
}

#define EACH(p, r, at, what)                                                          \
    for (ci_lid g = 0; g < (p)->b->n_graph; g++)                                         \
        for (ci_lid k = 0, column = 0; k < (r)->n_in; column += cols_of(p, (r)->in[k]), k++) { \
            const struct place at = place_of(p, r, g, k, column);                     \
            what;                                                                        \
        }                                                                                \
    return CI_OK

ci_rc ci_pool_mean_forward(const struct pass *p, const struct record *r)
{
    EACH(p, r, at, p->m->ops->mean(at.x, at.rows, at.cols, at.out));
}

ci_rc ci_pool_mean_backward(const struct pass *p, const struct record *r)
{
    EACH(p, r, at, p->m->ops->mean_backward(at.dy, at.rows, at.cols, at.add, at.dx));
}

ci_rc ci_pool_sum_forward(const struct pass *p, const struct record *r)
{
    EACH(p, r, at, p->m->ops->pool_sum(at.x, at.rows, at.cols, at.out));
}

ci_rc ci_pool_sum_backward(const struct pass *p, const struct record *r)
{
    EACH(p, r, at, p->m->ops->pool_sum_backward(at.dy, at.rows, at.cols, at.dx));
}

ci_rc ci_pool_max_forward(const struct pass *p, const struct record *r)
{
    EACH(p, r, at, p->m->ops->pool_max(at.x, at.rows, at.cols, at.out));
}

ci_rc ci_pool_max_backward(const struct pass *p, const struct record *r)
{
    EACH(p, r, at, p->m->ops->pool_max_backward(at.x, at.y, at.dy, at.rows, at.cols, at.dx));
}

ci_rc ci_pool_attention_forward(const struct pass *p, const struct record *r)
{
    float *prob = p->s->value[r->aux[0]];
    EACH(p, r, at, p->m->ops->pool_attention(at.x, weight(p, r, 0), weight(p, r, 1), at.rows, at.cols, prob + at.first, at.out));
}

ci_rc ci_pool_attention_backward(const struct pass *p, const struct record *r)
{
    const float *prob = p->s->value[r->aux[0]];
    EACH(p, r, at, p->m->ops->pool_attention_backward(at.x, weight(p, r, 0), prob + at.first, at.dy, at.rows, at.cols, at.dx,
                                                      gradient(p, r, 0), gradient(p, r, 1)));
}
