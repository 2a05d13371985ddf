/** Attention, embedding, and the gradient with respect to the inputs.
 *
 *  The list is the model's own, with two differences: every tensor has memory of its own, so that nothing is gone when it
 *  is asked for, and the gradient of the inputs is wanted in all columns. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ci/explain.h"
#include "model_priv.h"

struct ci_explainer {
    ci_model *m;        /* the list with those differences */
    ci_scratch *s;
    float *wt, *grad;   /* transposed weights; gradients of parameters, which nobody wants */
    float *dx, *de, *embedding;
    char name[CI_EXPLAIN_LAYERS][CI_PARAM_NAME];
    ci_explained shape;
};

static bool is_conv(const struct record *r) { return r->kind == GATV1 || r->kind == GATV2 || r->kind == TRANSFORMER; }

static ci_lid find(const ci_model *m, const char *name)
{
    ci_lid t = 0;
    while (t < m->n_tensor && strcmp(m->tensor[t].name, name) != 0) t++;
    return t;
}

static void keep_all(ci_model *m)
{
    const ci_lid x0 = find(m, "x0");

    for (ci_lid t = 0; t < m->n_tensor; t++) m->tensor[t].value = m->tensor[t].grad = (struct life){0, 2 * m->n_record};
    m->tensor[x0].grad_cols = m->tensor[x0].cols;
    for (ci_lid k = 0; k < m->n_record; k++) {
        struct record *r = &m->record[k];
        if (r->kind != LINEAR || r->in[0] != x0) continue;
        r->prepared = m->prepared_size; /* a larger one than the model has */
        m->prepared_size += (ci_gid)m->tensor[x0].cols * m->tensor[r->out].cols;
    }
}

static void shape_fill(ci_explainer *e)
{
    const ci_model *m = e->m;

    for (ci_lid k = 0; k < m->n_record && e->shape.n_layer < CI_EXPLAIN_LAYERS; k++) {
        if (!is_conv(&m->record[k])) continue;
        const ci_lid n = e->shape.n_layer++;
        const char *tensor = m->tensor[m->record[k].aux[0]].name; /* "conv0.p" */
        memcpy(e->name[n], tensor, strcspn(tensor, "."));
        e->shape.layer[n] = (ci_attention){e->name[n], m->record[k].H, NULL};
    }
    e->shape.n_embedding = m->dim.kind == CI_GAT ? m->tensor[find(m, "pooled")].cols : m->dim.latent;
}

ci_rc ci_explainer_create(const ci_model *m, ci_lid max_graph, ci_lid max_node, ci_lid max_edge, ci_lid max_raw,
                          ci_explainer **out)
{
    ci_rc rc = CI_OK;
    ci_explainer *e = ci_new(1, sizeof *e);

    *out = NULL;
    if (!e) CI_FAIL(CI_ENOMEM, "explainer");
    CI_TRY(ci_model_create(&m->dim, m->ops->name, &e->m));
    keep_all(e->m);
    shape_fill(e);
    CI_TRY(ci_scratch_create(e->m, max_graph, max_node, max_edge, max_raw, &e->s));
    e->wt = ci_new((size_t)e->m->prepared_size, sizeof *e->wt);
    e->grad = ci_new((size_t)e->m->size, sizeof *e->grad);
    e->dx = ci_new((size_t)max_node * (size_t)m->dim.n_feature, sizeof *e->dx);
    e->de = ci_new((size_t)max_edge * (size_t)m->dim.n_edge_feature, sizeof *e->de);
    e->embedding = ci_new((size_t)max_graph * (size_t)e->shape.n_embedding, sizeof *e->embedding);
    if (!e->wt || !e->grad || !e->dx || !e->de || !e->embedding) CI_FAIL(CI_ENOMEM, "explainer of %d nodes", max_node);
    *out = e;
    e = NULL;
done:
    ci_explainer_destroy(&e);
    return rc;
}

void ci_explainer_destroy(ci_explainer **e)
{
    if (!e || !*e) return;
    ci_scratch_destroy(&(*e)->s);
    ci_model_destroy(&(*e)->m);
    free((*e)->wt);
    free((*e)->grad);
    free((*e)->dx);
    free((*e)->de);
    free((*e)->embedding);
    free(*e);
    *e = NULL;
}

void ci_explainer_shape(const ci_explainer *e, ci_explained *out) { *out = e->shape; }

/** Channel d of W_e f, the edge's part of a score. */
static float edge_channel(const float *f, const float *w_e, ci_lid F, ci_lid D, ci_lid d)
{
    float sum = 0;
    for (ci_lid c = 0; c < F; c++) sum += f[c] * w_e[c * D + d];
    return sum;
}

/** What record r asks of an in-edge k = (j -> i) of its head h: with v[d] what the edge brings to y[i,d],
 *
 *      dp = sum_d dy[i,d] v[d]          ds = p (dp - sum over the in-edges of p dp)
 *      df[c] += sum_d dz[d] w_e[c,d]
 *
 *  and dz[d] the gradient of channel d of W_e f, by kind (formulas of the scores: ops.h). */
struct conv {
    const ci_batch *b;
    ci_lid kind, H, C, F;
    const float *a, *b_in, *v;   /* GATv2 l, r, l; GATv1 h, h, h; transformer k, q, v */
    const float *w_e, *att, *att_src, *att_dst;
    const float *p, *dy;
    float slope;
};

static float brings(const struct conv *c, ci_lid k, ci_lid d)
{
    const ci_lid D = c->H * c->C;
    const float own = c->v[(size_t)c->b->in_src[k] * (size_t)D + (size_t)d];
    return c->kind == TRANSFORMER ? own + edge_channel(c->b->e + (size_t)k * (size_t)c->F, c->w_e, c->F, D, d) : own;
}

/** The slope of the leaky ReLU at the score of a GATv1's edge. */
static float gatv1_slope(const struct conv *c, ci_lid i, ci_lid k, ci_lid h)
{
    const ci_lid D = c->H * c->C, j = c->b->in_src[k];
    float z = 0;
    for (ci_lid d = h * c->C; d < (h + 1) * c->C; d++)
        z += c->att_src[d] * c->a[(size_t)j * (size_t)D + (size_t)d] + c->att_dst[d] * c->a[(size_t)i * (size_t)D + (size_t)d] +
             c->att[d] * edge_channel(c->b->e + (size_t)k * (size_t)c->F, c->w_e, c->F, D, d);
    return z > 0 ? 1 : c->slope;
}

static void edge_add(const struct conv *c, ci_lid i, ci_lid k, ci_lid h, float ds, float *de)
{
    const ci_lid D = c->H * c->C, j = c->b->in_src[k];
    const float *f = c->b->e + (size_t)k * (size_t)c->F, w = c->p[k * c->H + h];
    const float bend = c->kind == GATV1 ? gatv1_slope(c, i, k, h) : 1;

    for (ci_lid d = h * c->C; d < (h + 1) * c->C; d++) {
        const size_t jd = (size_t)j * (size_t)D + (size_t)d, id = (size_t)i * (size_t)D + (size_t)d;
        float dz;
        if (c->kind == GATV1) dz = ds * bend * c->att[d];
        else if (c->kind == GATV2) dz = ds * c->att[d] * (c->a[jd] + c->b_in[id] + edge_channel(f, c->w_e, c->F, D, d) > 0 ? 1 : c->slope);
        else dz = ds * c->b_in[id] / sqrtf((float)c->C) + w * c->dy[id];
        for (ci_lid q = 0; q < c->F; q++) de[(size_t)k * (size_t)c->F + (size_t)q] += dz * c->w_e[q * D + d];
    }
}

static void edges_add(const struct conv *c, float *de)
{
    const ci_lid D = c->H * c->C;

    for (ci_lid i = 0; i < c->b->n_node; i++)
        for (ci_lid h = 0; h < c->H; h++) {
            const ci_lid first = c->b->in_first[i], last = c->b->in_first[i + 1];
            float mean = 0;
            for (int second = 0; second < 2; second++)
                for (ci_lid k = first; k < last; k++) {
                    float dp = 0;
                    for (ci_lid d = h * c->C; d < (h + 1) * c->C; d++) dp += c->dy[(size_t)i * (size_t)D + (size_t)d] * brings(c, k, d);
                    if (second) edge_add(c, i, k, h, c->p[k * c->H + h] * (dp - mean), de);
                    else mean += c->p[k * c->H + h] * dp;
                }
        }
}

static void edges_of(const struct pass *p, const struct record *r, float *de)
{
    const ci_model *m = p->m;
    struct conv c = {.b = p->b, .kind = (ci_lid)r->kind, .H = r->H, .C = r->C, .F = m->dim.n_edge_feature, .w_e = weight(p, r, 0),
                     .p = p->s->value[r->aux[0]], .dy = p->s->grad[r->out], .slope = m->dim.slope};

    if (!m->dim.edge_features) return;
    c.a = c.b_in = c.v = p->s->value[r->in[0]];
    if (r->kind == GATV1) {
        c.att_src = weight(p, r, 1);
        c.att_dst = weight(p, r, 2);
        c.att = weight(p, r, 3);
    } else if (r->kind == GATV2) {
        c.att = weight(p, r, 1);
        c.b_in = p->s->value[r->in[1]];
    } else {
        c.a = p->s->value[r->in[1]];
        c.v = p->s->value[r->in[2]];
    }
    edges_add(&c, de);
}

/** In evaluation batch norm is a line: its slope is weight / sqrt(variance + eps). */
static void batch_norm_backward(const struct pass *p, const struct record *r)
{
    const ci_lid cols = cols_of(p, r->out);
    const float *variance = p->state + r->state + cols, *w = weight(p, r, 0), *dy = p->s->grad[r->out];
    float *dx = p->s->grad[r->in[0]];

    for (ci_lid i = 0; i < p->b->n_node; i++)
        for (ci_lid d = 0; d < cols; d++)
            dx[(size_t)i * (size_t)cols + (size_t)d] += dy[(size_t)i * (size_t)cols + (size_t)d] * w[d] / sqrtf(variance[d] + CI_NORM_EPS);
}

/** Gradient of t with respect to the tensor it is read from; for a vgae dx begins with what the features are as a target. */
static void target_begin(const struct pass *p, float *dx)
{
    const ci_model *m = p->m;
    const ci_batch *b = p->b;
    const ci_lid F = features(m), x_row = m->dim.n_feature;

    memset(dx, 0, (size_t)b->n_node * (size_t)x_row * sizeof *dx);
    if (m->dim.kind == CI_GAT) {
        float *logit = p->s->grad[find(m, "logit")];
        for (ci_lid g = 0; g < b->n_graph; g++) {
            logit[g * m->dim.n_class] = -1;
            logit[g * m->dim.n_class + 1] = 1;
        }
        return;
    }
    const float *recon = p->s->value[find(m, "recon")];
    float *d = p->s->grad[find(m, "recon")];
    for (ci_lid g = 0; g < b->n_graph; g++)
        for (ci_lid i = b->first[g]; i < b->first[g + 1]; i++)
            for (ci_lid k = 0; k < F; k++) {
                const size_t at = (size_t)i * (size_t)F + (size_t)k, x = (size_t)i * (size_t)x_row + (size_t)(m->dim.x_first + k);
                d[at] = 2 * (recon[at] - b->x[x]) / (float)((b->first[g + 1] - b->first[g]) * F);
                dx[x] = -d[at];
            }
}

static void features_end(const struct pass *p, float *dx)
{
    const ci_model *m = p->m;
    const ci_lid x0 = find(m, "x0"), cols = m->tensor[x0].cols, F = features(m);

    for (ci_lid i = 0; i < p->b->n_node; i++)
        for (ci_lid k = 0; k < F; k++)
            dx[(size_t)i * (size_t)m->dim.n_feature + (size_t)(m->dim.x_first + k)] +=
                p->s->grad[x0][(size_t)i * (size_t)cols + (size_t)(m->dim.id_dim + k)];
}

static ci_rc backward(const struct pass *p, ci_explainer *e)
{
    ci_rc rc = CI_OK;
    const ci_model *m = p->m;

    for (ci_lid t = 0; t < m->n_tensor; t++)
        memset(p->s->grad[t], 0, (size_t)rows_of(p, t) * (size_t)m->tensor[t].grad_cols * sizeof(float));
    memset(e->de, 0, (size_t)p->b->n_edge * (size_t)m->dim.n_edge_feature * sizeof *e->de);
    target_begin(p, e->dx);
    for (ci_lid k = m->n_recon - 1; k >= 0; k--) {
        const struct record *r = &m->record[k];
        if (r->out == NONE) continue; /* a loss */
        if (is_conv(r)) edges_of(p, r, e->de);
        if (r->kind == SAMPLE) memset(p->s->value[r->aux[0]], 0, (size_t)p->b->n_node * (size_t)m->tensor[r->out].cols * sizeof(float));
        if (r->kind == BATCH_NORM) batch_norm_backward(p, r);
        else CI_TRY(ci_model_kinds[r->kind].backward(p, r));
    }
    features_end(p, e->dx);
done:
    return rc;
}

static void embedding_fill(const struct pass *p, ci_lid cols, float *out)
{
    const ci_batch *b = p->b;

    if (p->m->dim.kind == CI_GAT) {
        memcpy(out, p->s->value[find(p->m, "pooled")], (size_t)b->n_graph * (size_t)cols * sizeof *out);
        return;
    }
    const float *mu = p->s->value[find(p->m, "mu")];
    for (ci_lid g = 0; g < b->n_graph; g++)
        for (ci_lid k = 0; k < cols; k++) {
            double sum = 0;
            for (ci_lid i = b->first[g]; i < b->first[g + 1]; i++) sum += (double)mu[(size_t)i * (size_t)cols + (size_t)k];
            out[(size_t)g * (size_t)cols + (size_t)k] = (float)(sum / (b->first[g + 1] - b->first[g]));
        }
}

ci_rc ci_explain(ci_explainer *e, const float *w, const float *state, const ci_batch *b, ci_explained *out)
{
    ci_rc rc = CI_OK;
    const struct pass p = {.m = e->m, .w = w, .wt = e->wt, .s = e->s, .b = b, .grad = e->grad, .state = state, .mask = NONE};

    CI_TRY(ci_model_forward(e->m, w, state, e->s, b));
    *out = e->shape;
    out->embedding = e->embedding;
    out->dx = e->dx;
    out->de = e->de;
    for (ci_lid k = 0, n = 0; k < e->m->n_record && n < out->n_layer; k++)
        if (is_conv(&e->m->record[k])) out->layer[n++].p = e->s->value[e->m->record[k].aux[0]];
    if (!b->n_graph) goto done;
    embedding_fill(&p, out->n_embedding, e->embedding); /* before backward: some of it works in place */
    ci_model_prepare(e->m, w, e->wt);
    CI_TRY(backward(&p, e));
done:
    return rc;
}
