/** The inputs, and one layer of message passing with what follows it. */
#include <math.h>
#include <stdio.h>
#include "model_priv.h"

/** Training that hides columns of edges wants a copy of them. */
static void edges_seen(ci_model *m)
{
    m->edge = NONE;
    if (!m->dim.group_drop || !m->dim.edge_features) return;
    m->edge = ci_model_tensor(m, PER_EDGE, m->dim.n_edge_feature, "e");
    m->tensor[m->edge].grad_cols = 0;
    ci_model_record(m, EDGE_INPUT, NONE, m->edge)->training = true;
}

ci_lid ci_model_input(ci_model *m, ci_lid n_row)
{
    const ci_model_dim *d = &m->dim;
    const ci_lid rows = d->id_buckets ? d->id_buckets : n_row;
    ci_lid x = ci_model_tensor(m, PER_NODE, d->id_dim + features(m), "x0"), y;

    m->tensor[x].grad_cols = d->id_dim; /* the features are data */
    struct record *r = ci_model_record(m, EMBED, NONE, x);
    if (d->id_dim) ci_record_param(r, ci_model_param(m, rows, d->id_dim, INIT_NORMAL, 0, "embed.weight"));
    edges_seen(m);
    if (!d->project) return x;
    y = ci_model_tensor(m, PER_NODE, d->project, "projected");
    ci_model_linear(m, x, y, BIAS, false, "project");
    return y;
}

static ci_lid edge_width(const ci_model *m) { return m->dim.edge_features ? m->dim.n_edge_feature : 0; }

static struct record *attention_record(ci_model *m, enum kind kind, ci_lid in, ci_lid out, ci_lid H, ci_lid C, const char *name)
{
    struct record *r = ci_model_record(m, kind, in, out);
    r->H = H;
    r->C = C;
    r->aux[0] = ci_model_tensor(m, PER_EDGE, H, "%s.p", name);
    return r;
}

static void edge_param(ci_model *m, struct record *r, ci_lid D, bool glorot, const char *name)
{
    const ci_lid F = edge_width(m);
    ci_record_param(r, F ? ci_model_param(m, F, D, INIT_UNIFORM, glorot ? ci_glorot(F, D) : 1 / sqrt(F), "%s.lin_edge.weight", name)
                         : NONE);
}

static void gatv1(ci_model *m, ci_lid x, ci_lid y, ci_lid H, ci_lid C, const char *name)
{
    static const char *const att[] = {"att_src", "att_dst", "att_edge"};
    const ci_lid h = ci_model_tensor(m, PER_NODE, H * C, "%s.h", name);
    ci_model_linear(m, x, h, NO_BIAS, true, "%s.lin", name);
    struct record *r = attention_record(m, GATV1, h, y, H, C, name);
    edge_param(m, r, H * C, true, name);
    for (int k = 0; k < 3; k++)
        ci_record_param(r, k < 2 || edge_width(m) ? ci_model_param(m, H, C, INIT_UNIFORM, ci_glorot(H, C), "%s.%s", name, att[k]) : NONE);
    ci_record_param(r, ci_model_param(m, 1, H * C, INIT_ZERO, 0, "%s.bias", name));
}

/** With `own_bias`; a GPS layer adds one behind the mean over heads instead. */
static void gatv2(ci_model *m, ci_lid x, ci_lid y, ci_lid H, ci_lid C, bool own_bias, const char *name)
{
    const ci_lid l = ci_model_tensor(m, PER_NODE, H * C, "%s.l", name), r = ci_model_tensor(m, PER_NODE, H * C, "%s.r", name);
    ci_model_linear(m, x, l, BIAS, true, "%s.lin_l", name);
    ci_model_linear(m, x, r, BIAS, true, "%s.lin_r", name);
    struct record *conv = attention_record(m, GATV2, l, y, H, C, name);
    conv->in[conv->n_in++] = r;
    edge_param(m, conv, H * C, true, name);
    ci_record_param(conv, ci_model_param(m, H, C, INIT_UNIFORM, ci_glorot(H, C), "%s.att", name));
    ci_record_param(conv, own_bias ? ci_model_param(m, 1, H * C, INIT_ZERO, 0, "%s.bias", name) : NONE);
}

static void transformer(ci_model *m, ci_lid x, ci_lid y, ci_lid H, ci_lid C, const char *name)
{
    static const char *const part[] = {"query", "key", "value", "skip"};
    ci_lid in[4];
    for (int k = 0; k < 4; k++) {
        in[k] = ci_model_tensor(m, PER_NODE, H * C, "%s.%s", name, part[k]);
        ci_model_linear(m, x, in[k], BIAS, false, "%s.lin_%s", name, part[k]);
    }
    struct record *r = attention_record(m, TRANSFORMER, in[0], y, H, C, name);
    for (int k = 1; k < 4; k++) r->in[r->n_in++] = in[k];
    edge_param(m, r, H * C, false, name);
}

static ci_lid norm(ci_model *m, ci_lid x, ci_norm_kind kind, const char *name)
{
    const ci_lid cols = m->tensor[x].cols, y = ci_model_tensor(m, PER_NODE, cols, "%s.y", name), at = m->n_record;
    struct record *r = ci_model_record(m, kind == CI_NORM_GRAPH ? GRAPH_NORM : kind == CI_NORM_BATCH ? BATCH_NORM : LAYER_NORM, x, y);
    ci_record_param(r, ci_model_param(m, 1, cols, INIT_ONE, 0, "%s.weight", name));
    ci_record_param(r, ci_model_param(m, 1, cols, INIT_ZERO, 0, "%s.bias", name));
    if (kind == CI_NORM_GRAPH) {
        ci_record_param(r, ci_model_param(m, 1, cols, INIT_ONE, 0, "%s.mean_scale", name));
        r->aux[0] = ci_model_tensor(m, PER_GRAPH, 2 * cols, "%s.stat", name);
    }
    if (kind == CI_NORM_LAYER) r->aux[0] = ci_model_tensor(m, PER_NODE, 2, "%s.stat", name);
    if (kind != CI_NORM_GRAPH && kind != CI_NORM_LAYER) {
        r->state = m->state_size;
        m->state_size += 2 * cols;
        ci_model_cut(m, 0, at, 2 * cols);
    }
    return y;
}

static ci_lid sum_of(ci_model *m, ci_lid a, ci_lid b, const char *name)
{
    const ci_lid y = ci_model_tensor(m, PER_NODE, m->tensor[a].cols, "%s", name);
    struct record *r = ci_model_record(m, ADD, a, y);
    r->in[r->n_in++] = b;
    return y;
}

/** dropout(y), plus x, normed: how a GPS layer ends each of its parts. */
static ci_lid residual(ci_model *m, ci_lid y, ci_lid x, const char *name, int part)
{
    char sum[CI_PARAM_NAME - 8], normed[CI_PARAM_NAME - 12];
    snprintf(sum, sizeof sum, "%.12s.sum%d", name, part);
    snprintf(normed, sizeof normed, "%.12s.norm%d", name, part);
    ci_model_record(m, DROPOUT, y, y);
    return norm(m, sum_of(m, y, x, sum), CI_NORM_BATCH, normed);
}

/** \return D columns a node: GATv2 with the mean over heads, attention within the graph, and a small network. */
static ci_lid gps(ci_model *m, ci_lid x, ci_lid H, ci_lid C, const char *name)
{
    static const char *const part[] = {"query", "key", "value"};
    const ci_lid D = H * C;
    ci_lid in[3], local, global, both, hidden, y;

    if (m->tensor[x].cols != D || m->tensor[x].grad_cols != D) { /* what is added to wants its whole gradient */
        y = ci_model_tensor(m, PER_NODE, D, "%s.in", name);
        ci_model_linear(m, x, y, BIAS, false, "%s.lin_in", name);
        x = y;
    }
    y = ci_model_tensor(m, PER_NODE, H * D, "%s.heads", name);
    gatv2(m, x, y, H, D, false, name);
    local = ci_model_tensor(m, PER_NODE, D, "%s.local", name);
    ci_record_param(ci_model_record(m, HEADS_MEAN, y, local), ci_model_param(m, 1, D, INIT_ZERO, 0, "%s.bias", name));
    m->record[m->n_record - 1].H = H;
    local = residual(m, local, x, name, 1);

    for (int k = 0; k < 3; k++) {
        in[k] = ci_model_tensor(m, PER_NODE, D, "%s.att_%s", name, part[k]);
        ci_model_linear(m, x, in[k], ZERO_BIAS, false, "%s.att_%s", name, part[k]);
        m->init[m->n_param - 2].bound = sqrt(6.0 / (4.0 * D)); /* the three are one matrix there */
    }
    y = ci_model_tensor(m, PER_NODE, D, "%s.attended", name);
    struct record *r = ci_model_record(m, ATTENTION, in[0], y);
    for (int k = 1; k < 3; k++) r->in[r->n_in++] = in[k];
    r->H = H;
    r->C = C;
    global = ci_model_tensor(m, PER_NODE, D, "%s.global", name);
    ci_model_linear(m, y, global, ZERO_BIAS, false, "%s.att_out", name);
    global = residual(m, global, x, name, 2);

    both = ci_model_tensor(m, PER_NODE, D, "%s.both", name);
    r = ci_model_record(m, ADD, local, both);
    r->in[r->n_in++] = global;
    hidden = ci_model_tensor(m, PER_NODE, 2 * D, "%s.hidden", name);
    ci_model_linear(m, both, hidden, BIAS, false, "%s.mlp0", name);
    ci_model_record(m, RELU, hidden, hidden);
    y = ci_model_tensor(m, PER_NODE, D, "%s.mlp", name);
    ci_model_linear(m, hidden, y, BIAS, false, "%s.mlp1", name);
    return residual(m, y, both, name, 3);
}

ci_lid ci_model_layer(ci_model *m, ci_lid x, ci_lid H, ci_lid C, bool bare, const char *name, const char *out)
{
    const ci_conv conv = (ci_conv)m->dim.conv;
    const ci_norm_kind kind = (ci_norm_kind)m->dim.norm;
    char normed[CI_PARAM_NAME - 12];
    ci_lid y;

    if (conv == CI_CONV_GPS) {
        y = gps(m, x, H, C, name);
    } else {
        y = ci_model_tensor(m, PER_NODE, H * C, "%s", out);
        if (conv == CI_CONV_GATV1) gatv1(m, x, y, H, C, name);
        else if (conv == CI_CONV_GATV2) gatv2(m, x, y, H, C, true, name);
        else transformer(m, x, y, H, C, name);
    }
    if (bare) return y;
    snprintf(normed, sizeof normed, "%.12s.norm", name);
    if (kind != CI_NORM_NONE) y = norm(m, y, kind, normed);
    ci_model_record(m, RELU, y, y);
    return y;
}
