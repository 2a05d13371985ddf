/** The autoencoder as a list of records. */
#include <stdio.h>
#include "model_priv.h"

static ci_lid linear(ci_model *m, ci_lid x, ci_lid cols, const char *name)
{
    const ci_lid y = ci_model_tensor(m, m->tensor[x].rows, cols, "%s", name);
    ci_model_linear(m, x, y, BIAS, false, "%s", name);
    return y;
}

static ci_lid hidden_linear(ci_model *m, ci_lid x, ci_lid cols, const char *name)
{
    const ci_lid y = linear(m, x, cols, name);
    ci_model_record(m, RELU, y, y);
    return y;
}

/** Heads that divide the columns, else one: as the reference chooses. */
static ci_lid layer(ci_model *m, ci_lid x, ci_lid heads, ci_lid cols, bool bare, const char *what, ci_lid k)
{
    const ci_lid H = cols % heads == 0 ? heads : 1;
    char name[16], out[16];
    snprintf(name, sizeof name, "%s%d", what, k);
    snprintf(out, sizeof out, "%s%d.x", what, k);
    return ci_model_layer(m, x, H, cols / H, bare, name, bare ? "recon" : out);
}

/** A linear layer and its loss in one: the logits never exist. */
static void fused_head(ci_model *m, enum kind kind, ci_lid x, const char *name)
{
    const ci_lid K = m->tensor[x].cols, Q = m->dim.n_id + 1;
    struct record *r = ci_model_record(m, kind, x, NONE);
    ci_record_param(r, ci_model_param(m, K, Q, INIT_UNIFORM, ci_glorot(K, Q), "%s.weight", name));
    m->init[m->n_param - 1].bound = __builtin_sqrt(1.0 / K);
    ci_record_param(r, ci_model_param(m, 1, Q, INIT_UNIFORM, __builtin_sqrt(1.0 / K), "%s.bias", name));
    r->prepared = m->prepared_size;
    m->prepared_size += (ci_gid)K * Q;
}

static void neighbourhood(ci_model *m, ci_lid z)
{
    const ci_lid d = m->dim.latent;
    ci_lid x;

    if (m->dim.neighbour == CI_NEIGHBOUR_NONE) return;
    x = hidden_linear(m, hidden_linear(m, z, d, "neigh0"), d, "neigh1");
    if (m->dim.neighbour == CI_NEIGHBOUR_EXACT) {
        fused_head(m, NEIGHBOUR_HEAD, x, "neigh2");
        return;
    }
    x = linear(m, x, d, "neigh2");
    const ci_lid target = ci_model_tensor(m, PER_NODE, d, "near"), at = m->n_record + 1;
    ci_model_record(m, NEIGHBOUR_MEAN, z, target);
    struct record *r = ci_model_record(m, GAUSSIAN, x, NONE);
    r->in[r->n_in++] = target;
    ci_model_cut(m, 0, at, ci_gaussian_sums_size(d));
}

static void edges(ci_model *m, ci_lid z)
{
    const ci_lid pair = ci_model_tensor(m, PER_RAW, 2 * m->dim.latent, "pair");
    ci_lid x;

    ci_model_record(m, EDGE_PAIR, z, pair);
    x = hidden_linear(m, pair, m->dim.latent, "edge0");
    x = linear(m, x, m->dim.n_edge_feature, "edge1");
    ci_model_record(m, EDGE_LOSS, x, NONE);
}

static void teacher(ci_model *m, ci_lid z, ci_lid recon)
{
    if (m->dim.teacher != m->dim.latent) z = linear(m, z, m->dim.teacher, "distill");
    ci_model_record(m, TEACHER_LATENT, z, NONE);
    ci_model_record(m, TEACHER_RECON, recon, NONE);
}

void ci_model_list_vgae(ci_model *m)
{
    const ci_model_dim *d = &m->dim;
    const ci_lid hidden = d->masked != 0; /* a last row, of nodes that are hidden */
    ci_lid x = ci_model_input(m, d->n_id + 1 + hidden), mu, logvar, z, recon;

    for (ci_lid k = 0; k < d->n_hidden; k++)
        x = layer(m, x, k ? d->inner_heads : d->heads, d->hidden[k], false, "enc", k);
    mu = linear(m, x, d->latent, "mu");
    logvar = linear(m, x, d->latent, "logvar");
    z = ci_model_tensor(m, PER_NODE, d->latent, "z");
    struct record *r = ci_model_record(m, SAMPLE, mu, z);
    r->in[r->n_in++] = logvar;
    r->aux[0] = ci_model_tensor(m, PER_NODE, d->latent, "eps");
    m->tensor[r->aux[0]].grad_cols = 0;
    r = ci_model_record(m, KL, mu, NONE);
    r->in[r->n_in++] = logvar;
    x = z;
    for (ci_lid k = d->n_hidden - 1; k > 0; k--)
        x = layer(m, x, d->decoder_heads, d->hidden[k], false, "dec", d->n_hidden - 1 - k);
    recon = layer(m, x, 1, features(m), true, "dec", d->n_hidden - 1);
    if (d->sigmoid) ci_model_record(m, SIGMOID, recon, recon);
    ci_model_record(m, RECON, recon, NONE);
    m->n_recon = m->n_record;
    if (d->id_dim) fused_head(m, ID_HEAD, z, "id");
    if (d->edge_head) edges(m, z);
    if (d->teacher) teacher(m, z, recon);
    for (ci_lid k = m->n_recon; k < m->n_record; k++) m->record[k].training = true;
    neighbourhood(m, z); /* last: its cut is then the only thing behind a forward pass */
}
