/** Message passing, attention and norms. */
#include <assert.h>
#include "device_priv.h"

/** The gradient of a bias behind a convolution are column sums, which are made with the other products. */
static void bias_back(struct devpass *p, const struct record *r, ci_lid k)
{
    const ci_lid cols = dev_cols(p, r->out);
    if (r->param[k] == NONE) return;
    const ci_k_gemm_grad g = {.rows = dev_rows(p, r->out), .N = cols, .dy = dev_grad(p, r->out), .dy_row = cols, .bias = ci_device_grad(p, r, k)};
    ci_device_product(p, g);
}

static ci_gatv2_dim dim_of(const struct devpass *p, const struct record *r)
{
    const ci_model_dim *d = &p->m->dim;
    return (ci_gatv2_dim){r->H, r->C, d->edge_features ? d->n_edge_feature : 0, d->slope};
}

void ci_device_gatv2_space(const ci_model *m, const ci_kernels *k, const struct record *r, struct space *out)
{
    (void)m, (void)k;
    out[KEEP0] = (struct space){PER_NODE, 2 * r->H};
    out[WORK0] = (struct space){PER_EDGE, 2 * r->H};
}

void ci_device_attention_space(const ci_model *m, const ci_kernels *k, const struct record *r, struct space *out)
{
    (void)m, (void)k;
    out[KEEP0] = (struct space){PER_NODE, 2 * r->H};
    out[WORK0] = (struct space){PER_NODE, r->H};
}

void ci_device_gatv1_space(const ci_model *m, const ci_kernels *k, const struct record *r, struct space *out)
{
    (void)m, (void)k;
    for (int at = 0; at < KEEP_OF; at++) out[at] = (struct space){at == WORK0 ? PER_EDGE : PER_NODE, 2 * r->H};
}

static ci_k_gatv2 gatv2_of(const struct devpass *p, const struct record *r)
{
    return (ci_k_gatv2){.dim = dim_of(p, r), .l = dev_value(p, r->in[0]), .r = dev_value(p, r->in[1]), .e = dev_edges(p),
                        .w_e = dev_weight(p, r, 0), .a = dev_weight(p, r, 1), .bias = dev_weight(p, r, 2), .stat = dev_keep(p, r, KEEP0),
                        .y = dev_out(p, r->out), .relu = dev_relu(p, r)};
}

ci_rc ci_device_gatv2(struct devpass *p, const struct record *r)
{
    const ci_k_gatv2 a = gatv2_of(p, r);
    p->k->gatv2(p->dev, p->b, &a);
    return CI_OK;
}

ci_rc ci_device_gatv2_back(struct devpass *p, const struct record *r)
{
    const ci_k_gatv2 a = gatv2_of(p, r);
    const ci_k_gatv2_back g = {.dy = dev_grad(p, r->out), .gated = dev_gated(p, r), .edge = dev_keep(p, r, WORK0), .dl = dev_grad(p, r->in[0]),
                               .dr = dev_grad(p, r->in[1]), .w_e = ci_device_grad(p, r, 0), .a = ci_device_grad(p, r, 1)};
    assert(!dev_adds(p, r, 0) && !dev_adds(p, r, 1));
    p->k->gatv2_back(p->dev, p->b, &a, &g);
    bias_back(p, r, 2);
    return CI_OK;
}

static ci_k_gat gatv1_of(const struct devpass *p, const struct record *r)
{
    return (ci_k_gat){.dim = dim_of(p, r), .h = dev_value(p, r->in[0]), .e = dev_edges(p), .w_e = dev_weight(p, r, 0),
                      .a_src = dev_weight(p, r, 1), .a_dst = dev_weight(p, r, 2), .a_e = dev_weight(p, r, 3), .bias = dev_weight(p, r, 4),
                      .key = dev_keep(p, r, KEEP0), .stat = dev_keep(p, r, KEEP1), .y = dev_out(p, r->out), .relu = dev_relu(p, r)};
}

ci_rc ci_device_gatv1(struct devpass *p, const struct record *r)
{
    const ci_k_gat a = gatv1_of(p, r);
    p->k->gat(p->dev, p->b, &a);
    return CI_OK;
}

ci_rc ci_device_gatv1_back(struct devpass *p, const struct record *r)
{
    const ci_k_gat a = gatv1_of(p, r);
    const ci_k_gat_back g = {.dy = dev_grad(p, r->out), .gated = dev_gated(p, r), .edge = dev_keep(p, r, WORK0), .ds = dev_keep(p, r, WORK1),
                             .dh = dev_grad(p, r->in[0]), .w_e = ci_device_grad(p, r, 0), .a_src = ci_device_grad(p, r, 1),
                             .a_dst = ci_device_grad(p, r, 2), .a_e = ci_device_grad(p, r, 3), .bias = ci_device_grad(p, r, 4)};
    assert(!dev_adds(p, r, 0));
    p->k->gat_back(p->dev, p->b, &a, &g);
    return CI_OK;
}

static ci_k_transformer transformer_of(const struct devpass *p, const struct record *r)
{
    return (ci_k_transformer){.dim = dim_of(p, r), .q = dev_value(p, r->in[0]), .k = dev_value(p, r->in[1]), .v = dev_value(p, r->in[2]),
                              .e = dev_edges(p), .w_e = dev_weight(p, r, 0), .skip = dev_value(p, r->in[3]),
                              .stat = dev_keep(p, r, KEEP0), .y = dev_out(p, r->out), .relu = dev_relu(p, r)};
}

ci_rc ci_device_transformer(struct devpass *p, const struct record *r)
{
    const ci_k_transformer a = transformer_of(p, r);
    p->k->transformer(p->dev, p->b, &a);
    return CI_OK;
}

ci_rc ci_device_transformer_back(struct devpass *p, const struct record *r)
{
    const ci_k_transformer a = transformer_of(p, r);
    const ci_k_transformer_back g = {.dy = dev_grad(p, r->out), .gated = dev_gated(p, r), .edge = dev_keep(p, r, WORK0), .dq = dev_grad(p, r->in[0]),
                                     .dk = dev_grad(p, r->in[1]), .dv = dev_grad(p, r->in[2]), .dskip = dev_grad(p, r->in[3]),
                                     .w_e = ci_device_grad(p, r, 0)};
    assert(!dev_adds(p, r, 0) && !dev_adds(p, r, 1) && !dev_adds(p, r, 2) && !dev_adds(p, r, 3));
    p->k->transformer_back(p->dev, p->b, &a, &g);
    return CI_OK;
}

static ci_k_attention attention_of(const struct devpass *p, const struct record *r)
{
    return (ci_k_attention){.H = r->H, .C = r->C, .q = dev_value(p, r->in[0]), .k = dev_value(p, r->in[1]), .v = dev_value(p, r->in[2]),
                            .stat = dev_keep(p, r, KEEP0), .y = dev_out(p, r->out)};
}

ci_rc ci_device_attention(struct devpass *p, const struct record *r)
{
    const ci_k_attention a = attention_of(p, r);
    p->k->attention(p->dev, p->b, &a);
    return CI_OK;
}

ci_rc ci_device_attention_back(struct devpass *p, const struct record *r)
{
    const ci_k_attention a = attention_of(p, r);
    const ci_k_attention_back g = {.dy = dev_grad(p, r->out), .t = dev_keep(p, r, WORK0), .dq = dev_grad(p, r->in[0]),
                                   .dk = dev_grad(p, r->in[1]), .dv = dev_grad(p, r->in[2])};
    assert(!dev_adds(p, r, 0) && !dev_adds(p, r, 1) && !dev_adds(p, r, 2));
    p->k->attention_back(p->dev, p->b, &a, &g);
    return CI_OK;
}

ci_rc ci_device_heads_mean(struct devpass *p, const struct record *r)
{
    p->k->heads_mean(p->dev, p->b, r->H, dev_cols(p, r->out), dev_value(p, r->in[0]), dev_weight(p, r, 0), dev_out(p, r->out));
    return CI_OK;
}

ci_rc ci_device_heads_mean_back(struct devpass *p, const struct record *r)
{
    p->k->heads_mean_back(p->dev, p->b, r->H, dev_cols(p, r->out), dev_grad(p, r->out), dev_adds(p, r, 0), dev_grad(p, r->in[0]),
                          (ci_k_grad){0});
    bias_back(p, r, 0);
    return CI_OK;
}

/* ---- norms ---- */

void ci_device_graph_norm_space(const ci_model *m, const ci_kernels *k, const struct record *r, struct space *out)
{
    (void)k;
    out[KEEP0] = (struct space){PER_GRAPH, 2 * m->tensor[r->out].cols};
}

void ci_device_layer_norm_space(const ci_model *m, const ci_kernels *k, const struct record *r, struct space *out)
{
    (void)k;
    out[KEEP0] = (struct space){m->tensor[r->out].rows, 2};
}

static ci_k_norm norm_of(const struct devpass *p, const struct record *r, float *stat)
{
    return (ci_k_norm){.rows = dev_rows(p, r->out), .cols = dev_cols(p, r->out), .x = dev_value(p, r->in[0]), .w = dev_weight(p, r, 0),
                       .b = dev_weight(p, r, 1), .s = r->n_param > 2 ? dev_weight(p, r, 2) : NULL, .stat = stat,
                       .y = dev_out(p, r->out), .relu = dev_relu(p, r)};
}

static ci_k_norm_back norm_back_of(const struct devpass *p, const struct record *r, const double *sum)
{
    return (ci_k_norm_back){.dy = dev_grad(p, r->out), .dx = dev_grad(p, r->in[0]), .overwrite = !dev_adds(p, r, 0), .sum = sum,
                            .w = ci_device_grad(p, r, 0), .b = ci_device_grad(p, r, 1),
                            .s = r->n_param > 2 ? ci_device_grad(p, r, 2) : (ci_k_grad){0}};
}

ci_rc ci_device_graph_norm(struct devpass *p, const struct record *r)
{
    const ci_k_norm a = norm_of(p, r, dev_keep(p, r, KEEP0));
    p->k->graph_norm(p->dev, p->b, &a);
    return CI_OK;
}

ci_rc ci_device_graph_norm_back(struct devpass *p, const struct record *r)
{
    const ci_k_norm a = norm_of(p, r, dev_keep(p, r, KEEP0));
    const ci_k_norm_back g = norm_back_of(p, r, NULL);
    p->k->graph_norm_back(p->dev, p->b, &a, &g);
    return CI_OK;
}

ci_rc ci_device_layer_norm(struct devpass *p, const struct record *r)
{
    const ci_k_norm a = norm_of(p, r, dev_keep(p, r, KEEP0));
    p->k->layer_norm(p->dev, p->b, &a);
    return CI_OK;
}

ci_rc ci_device_layer_norm_back(struct devpass *p, const struct record *r)
{
    const ci_k_norm a = norm_of(p, r, dev_keep(p, r, KEEP0));
    const ci_k_norm_back g = norm_back_of(p, r, NULL);
    p->k->layer_norm_back(p->dev, p->b, &a, &g);
    return CI_OK;
}

ci_rc ci_device_batch_norm(struct devpass *p, const struct record *r)
{
    ci_rc rc = CI_OK;
    const struct devcut *cut = ci_device_cut_of(p, 0, r);
    const ci_k_norm a = norm_of(p, r, cut->stat);

    if (p->b->training) {
        p->k->batch_norm_sums(p->dev, p->b, &a, cut->sum.own);
        CI_TRY(ci_device_cut(p, &cut->sum));
        p->k->batch_norm_close(p->dev, p->b, a.cols, cut->sum.total, cut->stat);
    } else {
        p->k->batch_norm_known(p->dev, p->b, a.cols, p->a->state + r->state, cut->stat);
    }
    p->k->batch_norm(p->dev, p->b, &a);
done:
    return rc;
}

ci_rc ci_device_batch_norm_back(struct devpass *p, const struct record *r)
{
    ci_rc rc = CI_OK;
    const struct devcut *back = ci_device_cut_of(p, 1, r);
    const ci_k_norm a = norm_of(p, r, ci_device_cut_of(p, 0, r)->stat);
    const ci_k_norm_back g = norm_back_of(p, r, back->sum.total);

    p->k->batch_norm_back_sums(p->dev, p->b, &a, &g, back->sum.own);
    CI_TRY(ci_device_cut(p, &back->sum));
    p->k->batch_norm_back(p->dev, p->b, &a, &g);
done:
    return rc;
}
