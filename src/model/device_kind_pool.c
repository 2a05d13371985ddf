/** Jumping knowledge and pooling; the latent space and what hangs on it. */
#include "device_priv.h"

static ci_lstm_dim lstm_dim(const ci_model *m, const struct record *r) { return (ci_lstm_dim){r->n_in, m->tensor[r->in[0]].cols, r->C}; }

void ci_device_lstm_space(const ci_model *m, const ci_kernels *k, const struct record *r, struct space *out)
{
    out[KEEP0] = (struct space){PER_NODE, k->lstm_keep(lstm_dim(m, r))};
    out[WORK0] = (struct space){PER_NODE, k->lstm_work(lstm_dim(m, r))};
}

static ci_k_lstm lstm_of(const struct devpass *p, const struct record *r)
{
    ci_k_lstm a = {.dim = lstm_dim(p->m, r), .precision = p->dm->room.precision, .keep = dev_keep(p, r, KEEP0), .y = dev_out(p, r->out),
                   .w = {.w_ih = dev_weight(p, r, 0), .w_hh = dev_weight(p, r, 1), .b_ih = dev_weight(p, r, 2),
                         .b_hh = dev_weight(p, r, 3), .att_w = dev_weight(p, r, 4), .att_b = dev_weight(p, r, 5)}};
    for (ci_lid k = 0; k < r->n_in; k++) a.x[k] = dev_value(p, r->in[k]);
    return a;
}

ci_rc ci_device_lstm(struct devpass *p, const struct record *r)
{
    const ci_k_lstm a = lstm_of(p, r);
    p->k->lstm(p->dev, p->b, &a);
    return CI_OK;
}

ci_rc ci_device_lstm_back(struct devpass *p, const struct record *r)
{
    const ci_k_lstm a = lstm_of(p, r);
    ci_k_gemm_grad out[CI_LSTM_PRODUCTS];
    int n = 0;
    ci_k_lstm_back g = {.dy = dev_grad(p, r->out), .work = dev_keep(p, r, WORK0), .overwrite = ci_device_overwrite(p, r),
                        .w_ih = ci_device_grad(p, r, 0), .w_hh = ci_device_grad(p, r, 1), .b_ih = ci_device_grad(p, r, 2),
                        .b_hh = ci_device_grad(p, r, 3), .att_w = ci_device_grad(p, r, 4), .out = out, .out_n = &n};
    for (ci_lid k = 0; k < r->n_in; k++) g.dx[k] = dev_grad(p, r->in[k]);
    p->k->lstm_back(p->dev, p->b, &a, &g);
    for (int k = 0; k < n; k++) ci_device_product(p, out[k]);
    return CI_OK;
}

void ci_device_jk_attention_space(const ci_model *m, const ci_kernels *k, const struct record *r, struct space *out)
{
    (void)m, (void)k;
    out[KEEP0] = (struct space){PER_NODE, r->n_in};
}

static ci_k_jump jump_of(const struct devpass *p, const struct record *r, bool attention)
{
    ci_k_jump a = {.L = r->n_in, .D = dev_cols(p, r->out), .y = dev_out(p, r->out), .p = dev_keep(p, r, KEEP0)};
    for (ci_lid k = 0; k < r->n_in; k++) a.x[k] = dev_value(p, r->in[k]);
    if (attention) {
        a.a = dev_weight(p, r, 0);
        a.b = dev_weight(p, r, 1);
    }
    return a;
}

static ci_k_jump_back jump_back_of(const struct devpass *p, const struct record *r, bool attention)
{
    ci_k_jump_back g = {.dy = dev_grad(p, r->out), .overwrite = ci_device_overwrite(p, r),
                        .a = attention ? ci_device_grad(p, r, 0) : (ci_k_grad){0}};
    for (ci_lid k = 0; k < r->n_in; k++) g.dx[k] = dev_grad(p, r->in[k]);
    return g;
}

ci_rc ci_device_jk_attention(struct devpass *p, const struct record *r)
{
    const ci_k_jump a = jump_of(p, r, true);
    p->k->jk_attention(p->dev, p->b, &a);
    return CI_OK;
}

ci_rc ci_device_jk_attention_back(struct devpass *p, const struct record *r)
{
    const ci_k_jump a = jump_of(p, r, true);
    const ci_k_jump_back g = jump_back_of(p, r, true);
    p->k->jk_attention_back(p->dev, p->b, &a, &g);
    return CI_OK;
}

ci_rc ci_device_jk_max(struct devpass *p, const struct record *r)
{
    const ci_k_jump a = jump_of(p, r, false);
    p->k->jk_max(p->dev, p->b, &a);
    return CI_OK;
}

ci_rc ci_device_jk_max_back(struct devpass *p, const struct record *r)
{
    const ci_k_jump a = jump_of(p, r, false);
    const ci_k_jump_back g = jump_back_of(p, r, false);
    p->k->jk_max_back(p->dev, p->b, &a, &g);
    return CI_OK;
}

void ci_device_pool_attention_space(const ci_model *m, const ci_kernels *k, const struct record *r, struct space *out)
{
    (void)m, (void)k, (void)r;
    out[KEEP0] = (struct space){PER_NODE, 1};
}

static ci_k_pool_rows pool_of(const struct devpass *p, const struct record *r)
{
    ci_k_pool_rows a = {.n = r->n_in, .p = dev_keep(p, r, KEEP0), .y = dev_out(p, r->out)};
    a.how = r->kind == POOL_MEAN ? CI_K_MEAN : r->kind == POOL_SUM ? CI_K_SUM : r->kind == POOL_MAX ? CI_K_MAX : CI_K_ATTENTION;
    for (ci_lid k = 0; k < r->n_in; k++) {
        a.x[k] = dev_value(p, r->in[k]);
        a.cols[k] = dev_cols(p, r->in[k]);
    }
    if (a.how == CI_K_ATTENTION) {
        a.a = dev_weight(p, r, 0);
        a.b = dev_weight(p, r, 1);
    }
    return a;
}

ci_rc ci_device_pool(struct devpass *p, const struct record *r)
{
    const ci_k_pool_rows a = pool_of(p, r);
    p->k->pool(p->dev, p->b, &a);
    return CI_OK;
}

ci_rc ci_device_pool_back(struct devpass *p, const struct record *r)
{
    const ci_k_pool_rows a = pool_of(p, r);
    ci_k_pool_back g = {.dy = dev_grad(p, r->out), .overwrite = ci_device_overwrite(p, r),
                        .a = a.how == CI_K_ATTENTION ? ci_device_grad(p, r, 0) : (ci_k_grad){0}};
    for (ci_lid k = 0; k < r->n_in; k++) g.dx[k] = dev_grad(p, r->in[k]);
    p->k->pool_back(p->dev, p->b, &a, &g);
    return CI_OK;
}

/* ---- the latent space ---- */

void ci_device_sample_space(const ci_model *m, const ci_kernels *k, const struct record *r, struct space *out)
{
    (void)k;
    out[KEEP0] = (struct space){PER_NODE, m->tensor[r->out].cols};
}

static ci_k_sample sample_of(const struct devpass *p, const struct record *r)
{
    return (ci_k_sample){.cols = dev_cols(p, r->out), .operation = r->operation, .limit = p->m->dim.logvar_limit,
                         .mu = dev_value(p, r->in[0]), .logvar = dev_value(p, r->in[1]), .eps = dev_keep(p, r, KEEP0),
                         .z = dev_out(p, r->out)};
}

ci_rc ci_device_sample(struct devpass *p, const struct record *r)
{
    const ci_k_sample a = sample_of(p, r);
    p->k->sample(p->dev, p->b, &a);
    return CI_OK;
}

ci_rc ci_device_sample_back(struct devpass *p, const struct record *r)
{
    const ci_k_sample a = sample_of(p, r);
    p->k->sample_back(p->dev, p->b, &a, dev_grad(p, r->out), dev_grad(p, r->in[0]), dev_grad(p, r->in[1]));
    return CI_OK;
}

ci_rc ci_device_neighbour_mean(struct devpass *p, const struct record *r)
{
    p->k->neighbour_mean(p->dev, p->b, dev_cols(p, r->out), dev_value(p, r->in[0]), dev_out(p, r->out));
    return CI_OK;
}

ci_rc ci_device_neighbour_mean_back(struct devpass *p, const struct record *r)
{
    p->k->neighbour_mean_back(p->dev, p->b, dev_cols(p, r->out), dev_grad(p, r->out), dev_grad(p, r->in[0]));
    return CI_OK;
}

ci_rc ci_device_edge_pair(struct devpass *p, const struct record *r)
{
    p->k->edge_pair(p->dev, p->b, dev_cols(p, r->in[0]), dev_value(p, r->in[0]), dev_out(p, r->out));
    return CI_OK;
}

ci_rc ci_device_edge_pair_back(struct devpass *p, const struct record *r)
{
    p->k->edge_pair_back(p->dev, p->b, dev_cols(p, r->in[0]), dev_grad(p, r->out), dev_grad(p, r->in[0]));
    return CI_OK;
}

ci_rc ci_device_pair_add(struct devpass *p, const struct record *r)
{
    p->k->pair_add(p->dev, p->b, dev_cols(p, r->out), dev_value(p, r->in[1]), dev_value(p, r->in[2]), dev_out(p, r->out));
    return CI_OK;
}

ci_rc ci_device_pair_add_back(struct devpass *p, const struct record *r)
{
    p->k->pair_add_back(p->dev, p->b, dev_cols(p, r->out), dev_grad(p, r->out), dev_grad(p, r->in[1]), dev_grad(p, r->in[2]));
    return CI_OK;
}
