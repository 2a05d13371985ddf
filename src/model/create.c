#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "model_priv.h"

static ci_rc check_common(const ci_model_dim *d)
{
    ci_rc rc = CI_OK;
    if (d->n_id < 0 || d->id_dim < 0 || d->id_dim > 256 || d->n_feature < 0 || d->n_feature > 1024)
        CI_FAIL(CI_ECONF, "model: %d identifiers, id_dim %d, %d features", d->n_id, d->id_dim, d->n_feature);
    if (d->x_first < 0 || d->x_first > d->n_feature || (d->kind == CI_VGAE && d->x_first == d->n_feature))
        CI_FAIL(CI_ECONF, "model: none of %d features is left from column %d on", d->n_feature, d->x_first);
    if (d->id_dim == 0 && (d->n_id || d->id_buckets))
        CI_FAIL(CI_ECONF, "model: no columns for %d identifiers in %d buckets", d->n_id, d->id_buckets);
    if (d->id_dim == 0 && d->x_first == d->n_feature) CI_FAIL(CI_ECONF, "model: neither identifiers nor features");
    if (d->id_buckets && (d->id_buckets < 1 || d->id_probes < 1 || d->id_probes > 8))
        CI_FAIL(CI_ECONF, "model.id_buckets %d, model.id_probes %d: at least 1 row and 1 to 8 probes can be", d->id_buckets, d->id_probes);
    if (d->n_edge_feature < 1 || d->n_edge_feature > 256)
        CI_FAIL(CI_ECONF, "model: %d edge features, 1 to 256 can be", d->n_edge_feature);
    if (d->project < 0 || d->project > CI_D_MAX) CI_FAIL(CI_ECONF, "model.project %d: 0 to %d can be", d->project, CI_D_MAX);
    if (d->heads < 1 || d->heads > 64) CI_FAIL(CI_ECONF, "model.heads %d: 1 to 64 can be", d->heads);
    if (!(d->slope >= 0 && d->slope <= 1)) CI_FAIL(CI_ECONF, "model.slope %g is not in [0,1]", (double)d->slope);
done:
    return rc;
}

static ci_rc check_gat(const ci_model_dim *d)
{
    ci_rc rc = CI_OK;
    const ci_lid most = d->conv == CI_CONV_GPS ? CI_D_MAX / CI_MAX(1, d->heads) : CI_D_MAX; /* its GATv2 has so many for each head */
    if (d->layers < 1 || d->layers > CI_MODEL_LAYERS || d->head_layers < 1 || d->head_layers > CI_MODEL_LAYERS)
        CI_FAIL(CI_ECONF, "model.layers %d and model.head_layers %d: 1 to %d can be", d->layers, d->head_layers,
                CI_MODEL_LAYERS);
    if (d->channels < 1 || d->channels > most / d->heads)
        CI_FAIL(CI_ECONF, "model.heads * model.channels %d * %d is not 1 to %d", d->heads, d->channels, most);
    if (d->jk == CI_JK_LSTM && d->layers * d->heads * d->channels % 2)
        CI_FAIL(CI_ECONF, "model.jk lstm: model.layers * model.heads * model.channels %d * %d * %d is odd", d->layers, d->heads, d->channels);
    if (d->head_dim < 0 || d->head_dim > 4096) CI_FAIL(CI_ECONF, "model.head_dim %d: 0 to 4096 can be", d->head_dim);
    if (d->pool < CI_POOL_MEAN || d->pool > CI_POOL_MEANMAX) CI_FAIL(CI_ECONF, "model.pool: number %d", d->pool);
    if (d->window < CI_WINDOW_NONE || d->window > CI_WINDOW_BOTH || d->n_window_feature < 0 || d->n_window_feature > 1024 ||
        (d->window && !d->n_window_feature))
        CI_FAIL(CI_ECONF, "model.window: number %d with %d columns of a window", d->window, d->n_window_feature);
    if (d->n_class != 2) CI_FAIL(CI_ECONF, "model: %d classes, 2 can be", d->n_class);
done:
    return rc;
}

static ci_rc check_vgae(const ci_model_dim *d)
{
    ci_rc rc = CI_OK;
    if (d->n_hidden < 1 || d->n_hidden > CI_MODEL_LAYERS)
        CI_FAIL(CI_ECONF, "model.hidden: %d layers, 1 to %d can be", d->n_hidden, CI_MODEL_LAYERS);
    for (ci_lid k = 0; k < d->n_hidden; k++)
        if (d->hidden[k] < 1 || d->hidden[k] > CI_D_MAX)
            CI_FAIL(CI_ECONF, "model.hidden: %d columns, 1 to %d can be", d->hidden[k], CI_D_MAX);
    if (d->conv == CI_CONV_GPS) CI_FAIL(CI_ECONF, "model.conv: gps is for gat, not for vgae; choose gatv1, gatv2 or transformer");
    if (d->inner_heads < 1 || d->decoder_heads < 1) CI_FAIL(CI_ECONF, "model.inner_heads %d, model.decoder_heads %d", d->inner_heads, d->decoder_heads);
    if (d->latent < 1 || d->latent > CI_D_MAX) CI_FAIL(CI_ECONF, "model.latent %d: 1 to %d can be", d->latent, CI_D_MAX);
    if (!(d->logvar_limit > 0 && d->logvar_limit <= 80)) CI_FAIL(CI_ECONF, "model.logvar_limit %g is not in (0,80]", (double)d->logvar_limit);
    if (d->id_dim == 0 && d->neighbour != CI_NEIGHBOUR_NONE)
        CI_FAIL(CI_ECONF, "model.neighbour: neighbours are known by their identifiers, which model.id_dim 0 does not see; write none");
    if (d->teacher < 0 || d->teacher > CI_D_MAX) CI_FAIL(CI_ECONF, "distill.teacher: %d latent columns", d->teacher);
done:
    return rc;
}

/** Batch norm is cut in both directions; backward meets the last first. */
static void backward_cuts(ci_model *m)
{
    for (ci_lid k = m->n_cut[0] - 1; k >= 0; k--)
        if (m->record[m->cut[0][k].record].kind == BATCH_NORM) ci_model_cut(m, 1, m->cut[0][k].record, m->cut[0][k].n);
}

ci_rc ci_model_create(const ci_model_dim *dim, const char *isa, ci_model **out)
{
    ci_rc rc = CI_OK;
    ci_model *m = NULL;

    *out = NULL;
    CI_TRY(check_common(dim));
    CI_TRY(dim->kind == CI_GAT ? check_gat(dim) : check_vgae(dim));
    m = ci_new(1, sizeof *m);
    if (!m) CI_FAIL(CI_ENOMEM, "model: %zu bytes", sizeof *m);
    m->dim = *dim;
    m->ops = ci_ops_get(isa);
    if (!m->ops && strcmp(isa, "bf16") == 0)
        CI_FAIL(CI_ECONF, "train.precision: bf16 needs a processor with AVX512-BF16 on every rank, and this one has none; write fp32");
    if (!m->ops) CI_FAIL(CI_ECONF, "train.isa: this machine or build has no kernels named \"%s\"", isa);
    if (dim->kind == CI_GAT) ci_model_list_gat(m);
    else ci_model_list_vgae(m);
    backward_cuts(m);
    ci_model_live(m);
    CI_TRY(ci_model_name_outputs(m));
    *out = m;
    m = NULL;
done:
    ci_model_destroy(&m);
    return rc;
}

void ci_model_destroy(ci_model **m)
{
    if (!m || !*m) return;
    free((*m)->output);
    free((*m)->output_name);
    free(*m);
    *m = NULL;
}

const ci_model_dim *ci_model_dims(const ci_model *m) { return &m->dim; }
const char *ci_model_isa(const ci_model *m) { return m->ops->name; }
bool ci_model_wants_raw(const ci_model *m) { return m->dim.kind == CI_VGAE || m->dim.message; }
ci_gid ci_model_size(const ci_model *m) { return m->size; }
ci_gid ci_model_state_size(const ci_model *m) { return m->state_size; }
ci_gid ci_model_prepared_size(const ci_model *m) { return m->prepared_size; }
ci_lid ci_model_cuts(const ci_model *m, int backward) { return m->n_cut[backward]; }

const ci_param *ci_model_params(const ci_model *m, ci_lid *out_n)
{
    *out_n = m->n_param;
    return m->param;
}

/** t (cols, wanted) of w (rows, cols), its first `wanted` rows. */
static void transpose(const float *w, ci_lid cols, ci_lid wanted, float *t)
{
    for (ci_lid o = 0; o < cols; o++)
        for (ci_lid i = 0; i < wanted; i++) t[(size_t)o * (size_t)wanted + (size_t)i] = w[(size_t)i * (size_t)cols + (size_t)o];
}

static void prepare_lstm(const ci_model *m, const struct record *r, const float *w, float *t)
{
    for (int part = 0; part < 2; part++) { /* w_ih, then w_hh; two directions each */
        const ci_param *p = &m->param[r->param[part]];
        const ci_lid rows = p->rows / 2;
        for (int k = 0; k < 2; k++, t += (size_t)rows * (size_t)p->cols)
            transpose(w + p->first + (ci_gid)k * rows * p->cols, p->cols, rows, t);
    }
}

void ci_model_prepare(const ci_model *m, const float *w, float *wt)
{
    for (ci_lid k = 0; k < m->n_record; k++) {
        const struct record *r = &m->record[k];
        if (r->kind == LSTM) prepare_lstm(m, r, w, wt + r->prepared);
        if (r->kind != LINEAR && r->kind != ID_HEAD && r->kind != NEIGHBOUR_HEAD) continue;
        const ci_param *p = &m->param[r->param[0]];
        transpose(w + p->first, p->cols, r->kind == LINEAR ? m->tensor[r->in[0]].grad_cols : p->rows, wt + r->prepared);
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

/** The attention's own work on an edge: projection, score, softmax and sum. */
static double attention_flops(const ci_model *m, const struct record *r)
{
    const double D = (double)r->H * r->C, F = m->dim.edge_features ? m->dim.n_edge_feature : 0;
    return r->kind == GATV1 ? 2 * F * r->H + 10 * r->H + 2 * D : 2 * F * D + 8 * D + 10 * r->H;
}

double ci_model_flops(const ci_model *m, double nodes, double edges, double raw)
{
    double sum = 0;
    for (ci_lid k = 0; k < m->n_record; k++) {
        const struct record *r = &m->record[k];
        const double cols = m->tensor[r->n_in ? r->in[0] : r->out].cols;
        const enum rows rows = m->tensor[r->n_in ? r->in[0] : r->out].rows;
        const double n = rows == PER_GRAPH ? 1 : rows == PER_NODE ? nodes : rows == PER_EDGE ? edges : raw;
        switch (r->kind) {
        case LINEAR: sum += 2 * n * cols * m->tensor[r->out].cols; break;
        case ID_HEAD:
        case NEIGHBOUR_HEAD: sum += 2 * n * cols * (m->dim.n_id + 1); break;
        case GATV1:
        case GATV2:
        case TRANSFORMER: sum += edges * attention_flops(m, r); break;
        case ATTENTION: sum += 4 * nodes * nodes * r->H * r->C; break;
        case LSTM: sum += nodes * (16.0 * r->C * (cols * r->n_in + (double)r->C * (r->n_in - 1)) + 80.0 * r->n_in * r->C); break;
        default: break;
        }
    }
    return sum;
}
