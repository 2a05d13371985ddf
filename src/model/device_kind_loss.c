/** Losses, and what a step of training is on a device. */
#include "device_priv.h"

static void classify(struct devpass *p, const struct record *r, ci_rows rows, ci_scale scale, ci_term term)
{
    const ci_class_loss *how = &p->a->classify;
    const ci_k_classify a = {.rows = rows, .kind = how->kind, .gamma = how->gamma, .weight = {how->weight[0], how->weight[1]},
                             .scale = scale, .logit = dev_value(p, r->in[0]), .dlogit = dev_grad(p, r->in[0]),
                             .loss = ci_device_loss(p, term)};
    p->k->classify(p->dev, p->b, &a);
}

ci_rc ci_device_classify_back(struct devpass *p, const struct record *r)
{
    classify(p, r, CI_ROWS_GRAPH, CI_SCALE_TASK, CI_TERM_TASK);
    return CI_OK;
}

ci_rc ci_device_message_loss_back(struct devpass *p, const struct record *r)
{
    classify(p, r, CI_ROWS_RAW, CI_SCALE_MESSAGE, CI_TERM_MESSAGE);
    return CI_OK;
}

ci_rc ci_device_teacher_logit_back(struct devpass *p, const struct record *r)
{
    const ci_k_distill a = {.temperature = p->a->temperature, .student = dev_value(p, r->in[0]), .teacher = p->a->teacher_logit,
                            .dstudent = dev_grad(p, r->in[0]), .loss = ci_device_loss(p, CI_TERM_TEACHER)};
    p->k->distill(p->dev, p->b, &a);
    return CI_OK;
}

static ci_rc square(struct devpass *p, const struct record *r, const float *t, ci_lid t_row, ci_scale scale, ci_term term)
{
    const ci_lid cols = dev_cols(p, r->in[0]);
    const ci_k_square a = {.rows = dev_rows(p, r->in[0]), .cols = cols, .y_row = cols, .t_row = t_row, .scale = scale,
                           .y = dev_value(p, r->in[0]), .t = t, .dy = dev_grad(p, r->in[0]), .loss = ci_device_loss(p, term)};
    p->k->square(p->dev, p->b, &a);
    return CI_OK;
}

ci_rc ci_device_recon_back(struct devpass *p, const struct record *r)
{
    return square(p, r, p->b->x + p->m->dim.x_first, p->b->n_feature, CI_SCALE_TASK, CI_TERM_TASK);
}

ci_rc ci_device_edge_loss_back(struct devpass *p, const struct record *r)
{
    return square(p, r, p->b->raw_e, p->b->n_edge_feature, CI_SCALE_EDGE, CI_TERM_EDGE);
}

ci_rc ci_device_teacher_latent_back(struct devpass *p, const struct record *r)
{
    return square(p, r, p->a->teacher_mu, dev_cols(p, r->in[0]), CI_SCALE_LATENT, CI_TERM_TEACHER);
}

ci_rc ci_device_teacher_recon_back(struct devpass *p, const struct record *r)
{
    return square(p, r, p->a->teacher_recon, dev_cols(p, r->in[0]), CI_SCALE_RECON, CI_TERM_TEACHER);
}

ci_rc ci_device_kl_back(struct devpass *p, const struct record *r)
{
    const ci_k_kl a = {.cols = dev_cols(p, r->in[0]), .limit = p->m->dim.logvar_limit, .mu = dev_value(p, r->in[0]),
                       .logvar = dev_value(p, r->in[1]), .dmu = dev_grad(p, r->in[0]), .dlogvar = dev_grad(p, r->in[1]),
                       .loss = ci_device_loss(p, CI_TERM_KL)};
    p->k->kl(p->dev, p->b, &a);
    return CI_OK;
}

void ci_device_head_space(const ci_model *m, const ci_kernels *k, const struct record *r, struct space *out)
{
    (void)k, (void)r;
    out[WORK0] = (struct space){PER_NODE, m->dim.n_id + 1};
}

static void head(struct devpass *p, const struct record *r, ci_term term, void (*kernel)(ci_dev *, const ci_k_batch *, const ci_k_head *))
{
    ci_k_gemm_grad product = {0};
    const ci_k_head a = {.K = dev_cols(p, r->in[0]), .Q = p->m->dim.n_id + 1, .precision = p->dm->room.precision,
                         .h = dev_value(p, r->in[0]), .w = dev_weight(p, r, 0), .b = dev_weight(p, r, 1), .hidden = p->dm->hidden,
                         .dz = dev_keep(p, r, WORK0), .dh = dev_grad(p, r->in[0]), .loss = ci_device_loss(p, term),
                         .w_grad = ci_device_grad(p, r, 0), .b_grad = ci_device_grad(p, r, 1), .out = &product};
    kernel(p->dev, p->b, &a);
    ci_device_product(p, product);
}

ci_rc ci_device_id_head_back(struct devpass *p, const struct record *r)
{
    head(p, r, CI_TERM_ID, p->k->id_head);
    return CI_OK;
}

ci_rc ci_device_near_head_back(struct devpass *p, const struct record *r)
{
    head(p, r, CI_TERM_NEIGHBOUR, p->k->near_head);
    return CI_OK;
}

/** The loss of the whole batch is one number: rank 0 adds it. */
static ci_k_gaussian gaussian_of(const struct devpass *p, const struct record *r)
{
    const struct devcut *cut = ci_device_cut_of(p, 0, r);
    const bool mine = !p->a->ring || !p->a->ring->comm || p->a->ring->comm->rank == 0;
    ci_k_loss loss = ci_device_loss(p, CI_TERM_NEIGHBOUR);
    if (!mine) loss.sum = NULL;
    return (ci_k_gaussian){.d = dev_cols(p, r->in[0]), .p = dev_value(p, r->in[0]), .t = dev_value(p, r->in[1]),
                           .dp = dev_grad(p, r->in[0]), .dt = dev_grad(p, r->in[1]), .total = cut->sum.total, .coef = cut->coef,
                           .loss = loss};
}

ci_rc ci_device_gaussian(struct devpass *p, const struct record *r)
{
    ci_rc rc = CI_OK;
    if (!p->b->training) goto done;
    const struct devcut *cut = ci_device_cut_of(p, 0, r);
    const ci_k_gaussian a = gaussian_of(p, r);
    p->k->gaussian_sums(p->dev, p->b, &a, cut->sum.own);
    CI_TRY(ci_device_cut(p, &cut->sum));
    p->k->gaussian_close(p->dev, p->b, &a);
done:
    return rc;
}

ci_rc ci_device_gaussian_back(struct devpass *p, const struct record *r)
{
    const ci_k_gaussian a = gaussian_of(p, r);
    p->k->gaussian_back(p->dev, p->b, &a);
    return CI_OK;
}

static double over(double weight, double rows) { return rows > 0 ? weight / rows : 0; }

void ci_devmodel_step(const ci_model *m, const ci_model_step *step, ci_k_step *out)
{
    const double *weight = step->weight, nodes = (double)step->n_node;
    const bool gat = m->dim.kind == CI_GAT;

    out->seed = step->seed;
    out->epoch = step->epoch;
    out->drop = threshold(step->dropout);
    out->keep = step->dropout > 0 ? 1.0f / (1.0f - step->dropout) : 1.0f;
    out->unk_drop = threshold(step->unk_drop);
    out->mask = m->dim.kind == CI_VGAE && m->dim.masked ? threshold(step->mask) : 0;
    out->group_drop = step->group_drop > 0 ? threshold(step->group_drop) : 0;
    out->masked = step->n_masked > 0;
    out->n_node = step->n_node;
    out->scale[CI_SCALE_TASK] = gat ? over(weight[CI_TERM_TASK], step->graph_weight) : over(weight[CI_TERM_TASK], nodes);
    out->scale[CI_SCALE_ID] = over(weight[CI_TERM_ID], step->n_masked ? (double)step->n_masked : nodes);
    out->scale[CI_SCALE_NEIGHBOUR] = m->dim.neighbour == CI_NEIGHBOUR_GAUSSIAN ? weight[CI_TERM_NEIGHBOUR] : over(weight[CI_TERM_NEIGHBOUR], nodes);
    out->scale[CI_SCALE_KL] = over(weight[CI_TERM_KL], nodes);
    out->scale[CI_SCALE_EDGE] = over(weight[CI_TERM_EDGE], (double)step->n_raw);
    out->scale[CI_SCALE_LOGIT] = over(weight[CI_TERM_TEACHER], (double)step->n_graph);
    out->scale[CI_SCALE_MESSAGE] = over(weight[CI_TERM_MESSAGE], (double)step->n_raw);
    out->scale[CI_SCALE_LATENT] = over(weight[CI_TERM_TEACHER] * step->latent, nodes);
    out->scale[CI_SCALE_RECON] = over(weight[CI_TERM_TEACHER] * step->recon, nodes);
}
