/** The classifier as a list of records. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include "model_priv.h"

static __attribute__((format(printf, 4, 5))) ci_lid param(ci_model *m, ci_lid rows, ci_lid cols, const char *format, ...)
{
    assert(m->n_param < PARAM_MAX);
    ci_param *p = &m->param[m->n_param];
    va_list list;
    va_start(list, format);
    vsnprintf(p->name, sizeof p->name, format, list);
    va_end(list);
    p->rows = rows;
    p->cols = cols;
    p->first = m->size;
    m->size += (ci_gid)rows * cols;
    return m->n_param++;
}

static __attribute__((format(printf, 4, 5))) ci_lid tensor(ci_model *m, enum rows rows, ci_lid cols, const char *format, ...)
{
    assert(m->n_tensor < TENSOR_MAX);
    struct tensor *t = &m->tensor[m->n_tensor];
    va_list list;
    va_start(list, format);
    vsnprintf(t->name, sizeof t->name, format, list);
    va_end(list);
    t->rows = rows;
    t->cols = t->grad_cols = cols;
    return m->n_tensor++;
}

static struct record *record(ci_model *m, enum kind kind, ci_lid in, ci_lid out)
{
    assert(m->n_record < RECORD_MAX);
    struct record *r = &m->record[m->n_record];
    r->kind = kind;
    r->n_in = in != NONE;
    r->in[0] = in;
    r->out = out;
    r->aux = NONE;
    r->operation = (uint32_t)m->n_record++;
    return r;
}

/** out = in W + b, W named `name`. */
static void linear(ci_model *m, ci_lid in, ci_lid out, const char *name)
{
    struct record *r = record(m, LINEAR, in, out);
    r->param[0] = param(m, m->tensor[in].cols, m->tensor[out].cols, "%s.weight", name);
    r->param[1] = param(m, 1, m->tensor[out].cols, "%s.bias", name);
    r->prepared = m->prepared_size;
    m->prepared_size += (ci_gid)m->tensor[in].grad_cols * m->tensor[out].cols;
}

static ci_lid gat_layer(ci_model *m, ci_lid k, ci_lid x)
{
    const ci_model_dim *d = &m->dim;
    const ci_lid D = d->heads * d->channels;
    const ci_lid l = tensor(m, PER_NODE, D, "l%d", k), r = tensor(m, PER_NODE, D, "r%d", k);
    char name[CI_PARAM_NAME];
    snprintf(name, sizeof name, "conv%d.lin_l", k);
    linear(m, x, l, name);
    snprintf(name, sizeof name, "conv%d.lin_r", k);
    linear(m, x, r, name);

    const ci_lid p = tensor(m, PER_EDGE, d->heads, "p%d", k), y = tensor(m, PER_NODE, D, "x%d", k + 1);
    struct record *conv = record(m, GATV2, l, y);
    conv->in[conv->n_in++] = r;
    conv->aux = p;
    conv->param[0] = param(m, d->n_edge_feature, D, "conv%d.lin_edge.weight", k);
    conv->param[1] = param(m, d->heads, d->channels, "conv%d.att", k);
    conv->param[2] = param(m, 1, D, "conv%d.bias", k);
    record(m, RELU, y, y);
    return y;
}

static void head(ci_model *m, ci_lid x)
{
    const ci_model_dim *d = &m->dim;
    for (ci_lid k = 0; k < d->head_layers; k++) {
        const bool last = k == d->head_layers - 1;
        const ci_lid y = tensor(m, PER_GRAPH, last ? d->n_class : d->head_dim, last ? "logit" : "head%d", k);
        char name[CI_PARAM_NAME];
        snprintf(name, sizeof name, "head%d", k);
        linear(m, x, y, name);
        if (!last) record(m, RELU, y, y);
        x = y;
    }
}

void ci_model_list_gat(ci_model *m)
{
    const ci_model_dim *d = &m->dim;
    ci_lid layer[CI_MODEL_LAYERS];
    ci_lid x = tensor(m, PER_NODE, d->id_dim + d->n_feature, "x0");
    m->tensor[x].grad_cols = d->id_dim; /* the features are data */
    record(m, EMBED, NONE, x)->param[0] = param(m, d->n_id + 1, d->id_dim, "embed.weight");

    for (ci_lid k = 0; k < d->layers; k++) layer[k] = x = gat_layer(m, k, x);
    const ci_lid pooled = tensor(m, PER_GRAPH, d->layers * d->heads * d->channels, "pooled");
    struct record *pool = record(m, POOL, layer[0], pooled);
    for (ci_lid k = 1; k < d->layers; k++) pool->in[pool->n_in++] = layer[k];
    head(m, pooled);
}
