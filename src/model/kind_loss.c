/** Losses: each is computed with its gradient when backward begins. */
#include "model_priv.h"

static double mean_of(double weight, ci_gid rows, ci_lid cols) { return rows > 0 ? weight / ((double)rows * cols) : 0; }

ci_rc ci_classify_loss_backward(const struct pass *p, const struct record *r)
{
    ci_rc rc = CI_OK;
    double loss = 0;
    CI_TRY(ci_classify(&p->step->classify, p->s->value[r->in[0]], p->b->label, p->aid ? p->aid->weight : NULL, p->b->n_graph,
                       p->step->weight[CI_TERM_TASK] / p->step->graph_weight, p->s->grad[r->in[0]], &loss));
    p->s->loss[CI_TERM_TASK] += loss;
done:
    return rc;
}

ci_rc ci_message_loss_backward(const struct pass *p, const struct record *r)
{
    ci_rc rc = CI_OK;
    double loss = 0;
    CI_TRY(ci_classify(&p->step->classify, p->s->value[r->in[0]], p->b->raw_label, NULL, p->b->n_raw,
                       mean_of(p->step->weight[CI_TERM_MESSAGE], p->step->n_raw, 1), p->s->grad[r->in[0]], &loss));
    p->s->loss[CI_TERM_MESSAGE] += loss;
done:
    return rc;
}

ci_rc ci_teacher_logit_backward(const struct pass *p, const struct record *r)
{
    ci_rc rc = CI_OK;
    double loss = 0;
    CI_TRY(ci_distill_logits(p->s->value[r->in[0]], p->aid->teacher_logit, p->b->n_graph, p->step->temperature,
                             p->step->weight[CI_TERM_TEACHER] / (double)p->step->n_graph, p->s->grad[r->in[0]], &loss));
    p->s->loss[CI_TERM_TEACHER] += loss;
done:
    return rc;
}

static ci_rc square(const struct pass *p, const struct record *r, const float *t, ci_lid t_row, ci_term term, double weight, ci_gid rows)
{
    ci_rc rc = CI_OK;
    const ci_lid cols = cols_of(p, r->in[0]);
    double loss = 0;
    CI_TRY(ci_square_error(p->s->value[r->in[0]], cols, t, t_row, rows_of(p, r->in[0]), cols, mean_of(weight, rows, cols),
                           p->s->grad[r->in[0]], cols, &loss, NULL));
    p->s->loss[term] += loss;
done:
    return rc;
}

ci_rc ci_recon_backward(const struct pass *p, const struct record *r)
{
    return square(p, r, p->b->x + p->m->dim.x_first, p->b->n_feature, CI_TERM_TASK, p->step->weight[CI_TERM_TASK], p->step->n_node);
}

ci_rc ci_edge_loss_backward(const struct pass *p, const struct record *r)
{
    return square(p, r, p->b->raw_e, p->b->n_edge_feature, CI_TERM_EDGE, p->step->weight[CI_TERM_EDGE], p->step->n_raw);
}

ci_rc ci_teacher_latent_backward(const struct pass *p, const struct record *r)
{
    return square(p, r, p->aid->teacher_mu, cols_of(p, r->in[0]), CI_TERM_TEACHER,
                  p->step->weight[CI_TERM_TEACHER] * p->step->latent, p->step->n_node);
}

ci_rc ci_teacher_recon_backward(const struct pass *p, const struct record *r)
{
    return square(p, r, p->aid->teacher_recon, cols_of(p, r->in[0]), CI_TERM_TEACHER,
                  p->step->weight[CI_TERM_TEACHER] * p->step->recon, p->step->n_node);
}

ci_rc ci_kl_backward(const struct pass *p, const struct record *r)
{
    ci_rc rc = CI_OK;
    const ci_lid cols = cols_of(p, r->in[0]);
    double loss = 0;
    CI_TRY(ci_kl_normal(p->s->value[r->in[0]], p->s->value[r->in[1]], p->b->n_node, cols, (double)p->m->dim.logvar_limit,
                        mean_of(p->step->weight[CI_TERM_KL], p->step->n_node, cols), p->s->grad[r->in[0]], p->s->grad[r->in[1]], &loss));
    p->s->loss[CI_TERM_KL] += loss;
done:
    return rc;
}

size_t ci_head_room(const ci_model *m, const struct record *r, ci_lid G, ci_lid N, ci_lid E, ci_lid R)
{
    (void)G, (void)N, (void)E, (void)R;
    return (size_t)ci_softmax_head_work(m->tensor[r->in[0]].cols, m->dim.n_id + 1);
}

/** Of hidden nodes, or of all where the batch hides none. */
ci_rc ci_id_head_backward(const struct pass *p, const struct record *r)
{
    ci_rc rc = CI_OK;
    const ci_gid n = p->step->n_masked ? p->step->n_masked : p->step->n_node;
    const float scale = (float)(p->step->weight[CI_TERM_ID] / (double)n);
    double loss = 0;
    for (ci_lid i = 0; i < p->b->n_node; i++) p->s->scale[i] = !p->step->n_masked || p->s->hidden[i] ? scale : 0;
    CI_TRY(ci_softmax_head(p->m->ops, p->s->value[r->in[0]], p->b->n_node, cols_of(p, r->in[0]), weight(p, r, 0), weight(p, r, 1),
                           p->wt + r->prepared, p->m->dim.n_id + 1, p->b->id, p->s->scale, p->s->work, p->s->grad[r->in[0]],
                           gradient(p, r, 0), gradient(p, r, 1), &loss, NULL));
    p->s->loss[CI_TERM_ID] += loss;
done:
    return rc;
}

ci_rc ci_neighbour_head_backward(const struct pass *p, const struct record *r)
{
    ci_rc rc = CI_OK;
    const ci_lid Q = p->m->dim.n_id + 1;
    double loss = 0;
    ci_near_list(p);
    CI_TRY(ci_multi_hot_head(p->m->ops, p->s->value[r->in[0]], p->b->n_node, cols_of(p, r->in[0]), weight(p, r, 0), weight(p, r, 1),
                             p->wt + r->prepared, Q, p->s->near_first, p->s->near,
                             mean_of(p->step->weight[CI_TERM_NEIGHBOUR], p->step->n_node, Q), p->s->work, p->s->grad[r->in[0]],
                             gradient(p, r, 0), gradient(p, r, 1), &loss, NULL));
    p->s->loss[CI_TERM_NEIGHBOUR] += loss;
done:
    return rc;
}

void ci_gaussian_sum(const struct pass *p, const struct record *r, double *sum)
{
    ci_gaussian_sums(p->s->value[r->in[0]], p->s->value[r->in[1]], p->b->n_node, cols_of(p, r->in[0]), sum);
}

/** The loss itself is known with the cut: ci_cuts_close. */
ci_rc ci_near_loss_backward(const struct pass *p, const struct record *r)
{
    ci_gaussian_backward(ci_cut_of(p, 0, r)->coef, p->s->value[r->in[0]], p->s->value[r->in[1]], p->b->n_node,
                         cols_of(p, r->in[0]), p->s->grad[r->in[0]], p->s->grad[r->in[1]]);
    return CI_OK;
}
