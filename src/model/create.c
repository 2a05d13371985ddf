#include <math.h>
#include <stdlib.h>
#include "model_priv.h"

static ci_rc check(const ci_model_dim *d)
{
    ci_rc rc = CI_OK;
    if (d->n_id < 0 || d->id_dim < 1 || d->id_dim > 256 || d->n_feature < 0 || d->n_feature > 1024)
        CI_FAIL(CI_ECONF, "model: %d identifiers, id_dim %d, %d features", d->n_id, d->id_dim, d->n_feature);
    if (d->n_edge_feature < 1 || d->n_edge_feature > 256)
        CI_FAIL(CI_ECONF, "model: %d edge features, 1 to 256 can be", d->n_edge_feature);
    if (d->layers < 1 || d->layers > CI_MODEL_LAYERS || d->head_layers < 1 || d->head_layers > CI_MODEL_LAYERS)
        CI_FAIL(CI_ECONF, "model.layers %d and model.head_layers %d: 1 to %d can be", d->layers, d->head_layers,
                CI_MODEL_LAYERS);
    if (d->channels < 8 || d->channels > D_MAX || d->channels % 8)
        CI_FAIL(CI_ECONF, "model.channels %d is not a multiple of 8 up to %d", d->channels, D_MAX);
    if (d->heads < 1 || d->heads > D_MAX / d->channels || d->heads * d->channels % 16)
        CI_FAIL(CI_ECONF, "model.heads * model.channels %d * %d is not a multiple of 16 up to %d", d->heads,
                d->channels, D_MAX);
    if (d->head_dim < 1 || d->head_dim > 4096 || d->n_class < 2 || d->n_class > 64)
        CI_FAIL(CI_ECONF, "model: head_dim %d, %d classes", d->head_dim, d->n_class);
    if (!(d->slope >= 0 && d->slope <= 1)) CI_FAIL(CI_ECONF, "model.slope %g is not in [0,1]", (double)d->slope);
done:
    return rc;
}

ci_rc ci_model_create(const ci_model_dim *dim, const char *isa, ci_model **out)
{
    ci_rc rc = CI_OK;
    ci_model *m = NULL;

    *out = NULL;
    CI_TRY(check(dim));
    m = ci_new(1, sizeof *m);
    if (!m) CI_FAIL(CI_ENOMEM, "model: %zu bytes", sizeof *m);
    m->dim = *dim;
    m->ops = ci_ops_get(isa);
    if (!m->ops) CI_FAIL(CI_ECONF, "train.isa: this machine or build has no kernels named \"%s\"", isa);
    ci_model_list_gat(m);
    ci_model_live(m);
    *out = m;
    m = NULL;
done:
    free(m);
    return rc;
}

void ci_model_destroy(ci_model **m)
{
    if (!m) return;
    free(*m);
    *m = NULL;
}

const char *ci_model_isa(const ci_model *m) { return m->ops->name; }
ci_gid ci_model_size(const ci_model *m) { return m->size; }
ci_gid ci_model_prepared_size(const ci_model *m) { return m->prepared_size; }

const ci_param *ci_model_params(const ci_model *m, ci_lid *out_n)
{
    *out_n = m->n_param;
    return m->param;
}

void ci_model_prepare(const ci_model *m, const float *w, float *wt)
{
    for (ci_lid k = 0; k < m->n_record; k++) {
        const struct record *r = &m->record[k];
        if (r->kind != LINEAR) continue;
        const ci_param *p = &m->param[r->param[0]];
        const ci_lid wanted = m->tensor[r->in[0]].grad_cols;
        float *t = wt + r->prepared;
        for (ci_lid o = 0; o < p->cols; o++)
            for (ci_lid i = 0; i < wanted; i++) t[(size_t)o * wanted + i] = w[p->first + (ci_gid)i * p->cols + o];
    }
}

ci_rc ci_model_finite(const ci_model *m, const float *v, const char *what)
{
    ci_rc rc = CI_OK;
    for (ci_lid k = 0; k < m->n_param; k++) {
        const ci_param *p = &m->param[k];
        for (ci_gid i = 0; i < (ci_gid)p->rows * p->cols; i++)
            if (!isfinite(v[p->first + i]))
                CI_FAIL(CI_ENUMERIC, "%s: %s[%lld,%lld] is %g", what, p->name, (long long)(i / p->cols),
                        (long long)(i % p->cols), (double)v[p->first + i]);
    }
done:
    return rc;
}
