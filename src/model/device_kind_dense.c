/** Inputs, linear layers, and what works element by element. */
#include "device_priv.h"

ci_rc ci_device_embed(struct devpass *p, const struct record *r)
{
    const ci_model_dim *d = &p->m->dim;
    const ci_k_embed a = {.id_dim = d->id_dim, .n_id = d->n_id, .buckets = d->id_buckets, .probes = d->id_probes, .x_first = d->x_first,
                          .masked = d->kind == CI_VGAE && d->masked, .operation = r->operation,
                          .group = dev_hides(p) ? p->dm->group[0] : NULL, .w = dev_weight(p, r, 0), .id = p->dm->id,
                          .hidden = p->dm->hidden, .y = dev_out(p, r->out)};
    p->k->embed(p->dev, p->b, &a);
    return CI_OK;
}

ci_rc ci_device_embed_back(struct devpass *p, const struct record *r)
{
    const ci_model_dim *d = &p->m->dim;
    const ci_k_embed a = {.id_dim = d->id_dim, .n_id = d->n_id, .buckets = d->id_buckets, .probes = d->id_probes, .x_first = d->x_first,
                          .masked = d->kind == CI_VGAE && d->masked, .operation = r->operation, .w = dev_weight(p, r, 0),
                          .id = p->dm->id, .hidden = p->dm->hidden};
    if (d->id_dim) p->k->embed_back(p->dev, p->b, &a, dev_grad(p, r->out), p->m->tensor[r->out].grad_cols, ci_device_grad(p, r, 0));
    return CI_OK;
}

/** A copy only where columns of it are hidden: dev_value. */
static ci_rc seen(struct devpass *p, const struct record *r, const float *x, const uint8_t *group)
{
    if (dev_hides(p)) p->k->input(p->dev, p->b, dev_rows(p, r->out), dev_cols(p, r->out), x, group, dev_out(p, r->out));
    return CI_OK;
}

ci_rc ci_device_edge_input(struct devpass *p, const struct record *r) { return seen(p, r, p->b->e, p->dm->group[1]); }
ci_rc ci_device_raw_input(struct devpass *p, const struct record *r) { return seen(p, r, p->b->raw_e, p->dm->group[1]); }
ci_rc ci_device_window_input(struct devpass *p, const struct record *r) { return seen(p, r, p->b->w, p->dm->group[2]); }

static ci_k_gemm product(const struct devpass *p, const struct record *r)
{
    const ci_lid K = dev_cols(p, r->in[0]), N = dev_cols(p, r->out);
    return (ci_k_gemm){.rows = dev_rows(p, r->out), .N = N, .K = K, .a = dev_value(p, r->in[0]), .a_row = K, .b = dev_weight(p, r, 0),
                       .b_row = N, .c = dev_out(p, r->out), .c_row = N, .bias = r->n_param > 1 ? dev_weight(p, r, 1) : NULL,
                       .relu = dev_relu(p, r)};
}

void ci_device_linears(struct devpass *p, const ci_lid *record, ci_lid n)
{
    ci_k_gemm g[CI_MODEL_LAYERS];
    for (ci_lid k = 0; k < n; k++) g[k] = product(p, &p->m->record[record[k]]);
    p->k->gemm(p->dev, p->b, p->dm->room.precision, g, n);
}

/** Of the gradient of record r's input, what record r - k and the one before it bring. */
static ci_k_gemm input_gradient(const struct devpass *p, const struct record *r, ci_lid k)
{
    const struct fused *f = &p->dm->fused[dev_at(p, r)];
    const ci_lid x = r->in[0], cols = p->m->tensor[x].grad_cols;
    const struct record *one = r - k, *two = k + 1 < f->n_back ? r - k - 1 : NULL;
    const ci_lid N = dev_cols(p, one->out), N2 = two ? dev_cols(p, two->out) : 0;
    return (ci_k_gemm){.rows = dev_rows(p, x), .N = cols, .K = N, .K2 = N2, .a = dev_grad(p, one->out), .a_row = N,
                       .b = dev_weight(p, one, 0), .b_row = N, .b_t = 1, .a2 = two ? dev_grad(p, two->out) : NULL, .a2_row = N2,
                       .b2 = two ? dev_weight(p, two, 0) : NULL, .b2_row = N2, .c = dev_grad(p, x), .c_row = cols,
                       .add = k || p->dm->add[dev_at(p, r)][0], .gate = k + 2 >= f->n_back && f->gate ? dev_value(p, x) : NULL};
}

/** Two products of one input in a launch, and those of other inputs beside them. */
void ci_device_linears_back(struct devpass *p, const ci_lid *record, ci_lid n)
{
    ci_k_gemm g[CI_MODEL_LAYERS];
    ci_lid some = 1;
    for (ci_lid k = 0; k < n; k++) {
        const struct record *r = &p->m->record[record[k]];
        const ci_lid K = dev_cols(p, r->in[0]), N = dev_cols(p, r->out);
        ci_device_product(p, (ci_k_gemm_grad){.rows = dev_rows(p, r->out), .K = K, .N = N, .a = dev_value(p, r->in[0]), .a_row = K,
                                              .dy = dev_grad(p, r->out), .dy_row = N, .w = ci_device_grad(p, r, 0),
                                              .bias = r->n_param > 1 ? ci_device_grad(p, r, 1) : (ci_k_grad){0}});
    }
    for (ci_lid from = 0; some; from += 2) {
        some = 0;
        for (ci_lid k = 0; k < n; k++) {
            const struct record *r = &p->m->record[record[k]];
            if (p->dm->fused[record[k]].n_back > from && p->m->tensor[r->in[0]].grad_cols) g[some++] = input_gradient(p, r, from);
        }
        if (some) p->k->gemm(p->dev, p->b, p->dm->room.precision, g, some);
    }
}

ci_rc ci_device_add(struct devpass *p, const struct record *r)
{
    p->k->add(p->dev, p->b, dev_rows(p, r->out), dev_cols(p, r->out), dev_value(p, r->in[0]), dev_value(p, r->in[1]), dev_out(p, r->out));
    return CI_OK;
}

/** The gradient of input k are columns of that of the output. */
static void part_back(struct devpass *p, const struct record *r, ci_lid k, ci_lid column)
{
    const ci_lid x = r->in[k];
    if (p->m->tensor[x].grad_cols)
        p->k->add_to(p->dev, p->b, dev_rows(p, r->out), dev_cols(p, x), dev_grad(p, r->out) + column, dev_cols(p, r->out), dev_grad(p, x),
                     !(ci_device_overwrite(p, r) >> k & 1));
}

ci_rc ci_device_add_back(struct devpass *p, const struct record *r)
{
    for (ci_lid k = 0; k < 2; k++) part_back(p, r, k, 0);
    return CI_OK;
}

ci_rc ci_device_cat(struct devpass *p, const struct record *r)
{
    const float *x[CI_MODEL_LAYERS];
    int32_t cols[CI_MODEL_LAYERS];
    for (ci_lid k = 0; k < r->n_in; k++) {
        x[k] = dev_value(p, r->in[k]);
        cols[k] = dev_cols(p, r->in[k]);
    }
    p->k->cat(p->dev, p->b, dev_rows(p, r->out), r->n_in, x, cols, dev_out(p, r->out));
    return CI_OK;
}

ci_rc ci_device_cat_back(struct devpass *p, const struct record *r)
{
    for (ci_lid k = 0, column = 0; k < r->n_in; column += dev_cols(p, r->in[k++])) part_back(p, r, k, column);
    return CI_OK;
}

ci_rc ci_device_relu(struct devpass *p, const struct record *r)
{
    p->k->relu(p->dev, p->b, dev_rows(p, r->out), dev_cols(p, r->out), r->operation, dev_out(p, r->out));
    return CI_OK;
}

ci_rc ci_device_relu_back(struct devpass *p, const struct record *r)
{
    if (!p->dm->fused[dev_at(p, r)].gated)
        p->k->relu_back(p->dev, p->b, dev_rows(p, r->out), dev_cols(p, r->out), dev_value(p, r->out), dev_grad(p, r->out));
    return CI_OK;
}

ci_rc ci_device_dropout(struct devpass *p, const struct record *r)
{
    if (p->b->training) p->k->dropout(p->dev, p->b, dev_rows(p, r->out), dev_cols(p, r->out), r->operation, dev_out(p, r->out));
    return CI_OK;
}

ci_rc ci_device_dropout_back(struct devpass *p, const struct record *r)
{
    p->k->dropout(p->dev, p->b, dev_rows(p, r->out), dev_cols(p, r->out), r->operation, dev_grad(p, r->out));
    return CI_OK;
}

ci_rc ci_device_sigmoid(struct devpass *p, const struct record *r)
{
    p->k->sigmoid(p->dev, p->b, dev_rows(p, r->out), dev_cols(p, r->out), dev_out(p, r->out));
    return CI_OK;
}

ci_rc ci_device_sigmoid_back(struct devpass *p, const struct record *r)
{
    p->k->sigmoid_back(p->dev, p->b, dev_rows(p, r->out), dev_cols(p, r->out), dev_value(p, r->out), dev_grad(p, r->out));
    return CI_OK;
}
