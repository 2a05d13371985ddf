/** What is said of a graph. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model_priv.h"

enum gat_column { LOGIT, EMB_MEAN = 2, EMB_STD, EMB_MAX, EMB_MIN, GAT_COLUMNS };
enum vgae_column {
    SEEN, HIDDEN, HIDDEN_MAX, ID, NEAR, DIVERGENCE, AFFINITY, RAYLEIGH, Z_MEAN, Z_STD, Z_MAX, Z_MIN, NODE_MEAN, NODE_STD, VGAE_COLUMNS
};

ci_rc ci_model_name_outputs(ci_model *m)
{
    static const char *const gat[] = {"logit0", "logit1", "emb_mean", "emb_std", "emb_max", "emb_min"};
    static const char *const vgae[] = {"recon", "recon_masked", "recon_max", "id", "neighbour", "kl", "affinity", "rayleigh",
                                       "z_mean", "z_std", "z_max", "z_min", "node_mean", "node_std"};
    ci_rc rc = CI_OK;
    const bool is_gat = m->dim.kind == CI_GAT;
    const ci_lid fixed = is_gat ? (ci_lid)GAT_COLUMNS : (ci_lid)VGAE_COLUMNS;

    m->n_output = is_gat ? fixed : fixed + 2 * m->dim.latent;
    m->output = ci_new((size_t)m->n_output, sizeof *m->output);
    m->output_name = ci_new((size_t)m->n_output, sizeof *m->output_name);
    if (!m->output || !m->output_name) CI_FAIL(CI_ENOMEM, "names of %d outputs", m->n_output);
    for (ci_lid k = 0; k < m->n_output; k++) {
        const ci_lid d = k - fixed;
        if (d < 0) snprintf(m->output[k], sizeof m->output[k], "%s", is_gat ? gat[k] : vgae[k]);
        else if (d < m->dim.latent) snprintf(m->output[k], sizeof m->output[k], "mu_%d", d);
        else snprintf(m->output[k], sizeof m->output[k], "mu2_%d", d - m->dim.latent);
        m->output_name[k] = m->output[k];
    }
done:
    return rc;
}

const char *const *ci_model_outputs(const ci_model *m, ci_lid *out_n)
{
    *out_n = m->n_output;
    return m->output_name;
}

static const float *value(const struct pass *p, const char *name) { return ci_scratch_tensor(p->m, p->s, name, NULL); }

/** Mean, sample spread, largest and least of n numbers, n > 0; sums in double. */
static void statistics(const float *x, size_t n, float *out)
{
    double sum = 0, square = 0;
    float most = x[0], least = x[0];
    for (size_t i = 0; i < n; i++) {
        sum += (double)x[i];
        most = x[i] > most ? x[i] : most;
        least = x[i] < least ? x[i] : least;
    }
    const double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) square += ((double)x[i] - mean) * ((double)x[i] - mean);
    out[0] = (float)mean;
    out[1] = n > 1 ? (float)sqrt(square / (double)(n - 1)) : 0;
    out[2] = most;
    out[3] = least;
}

static void gat_graph(const struct pass *p, ci_lid g, float *out)
{
    ci_lid cols;
    const float *pooled = ci_scratch_tensor(p->m, p->s, "pooled", &cols);
    memcpy(out, value(p, "logit") + (size_t)g * 2, 2 * sizeof *out);
    statistics(pooled + (size_t)g * (size_t)cols, (size_t)cols, out + EMB_MEAN);
}

/** Mean over the rows of graph g of the numbers in s->row. */
static float row_mean(const struct pass *p, ci_lid g)
{
    double sum = 0;
    for (ci_lid i = p->b->first[g]; i < p->b->first[g + 1]; i++) sum += (double)p->s->row[i];
    return (float)(sum / (p->b->first[g + 1] - p->b->first[g]));
}

static void each_mean(const struct pass *p, enum vgae_column column, float *out)
{
    for (ci_lid g = 0; g < p->b->n_graph; g++) out[(size_t)g * (size_t)p->m->n_output + column] = row_mean(p, g);
}

static ci_rc recon_rows(const struct pass *p)
{
    const ci_lid F = features(p->m);
    double loss;
    return ci_square_error(value(p, "recon"), F, p->b->x + p->m->dim.x_first, p->b->n_feature, p->b->n_node, F, 1, NULL, 0, &loss,
                           p->s->row);
}

static const struct record *record_of(const ci_model *m, enum kind kind)
{
    for (ci_lid k = 0; k < m->n_record; k++)
        if (m->record[k].kind == kind) return &m->record[k];
    return NULL;
}

static ci_rc id_rows(const struct pass *p)
{
    const struct record *r = record_of(p->m, ID_HEAD);
    double loss;
    memset(p->s->row, 0, (size_t)p->b->n_node * sizeof *p->s->row);
    if (!r) return CI_OK;
    for (ci_lid i = 0; i < p->b->n_node; i++) p->s->scale[i] = 1;
    return ci_softmax_head(p->m->ops, p->s->value[r->in[0]], p->b->n_node, cols_of(p, r->in[0]), weight(p, r, 0), weight(p, r, 1), NULL,
                           p->m->dim.n_id + 1, p->b->id, p->s->scale, p->s->work, NULL, NULL, NULL, &loss, p->s->row);
}

static ci_rc near_rows(const struct pass *p)
{
    const struct record *r = record_of(p->m, NEIGHBOUR_HEAD);
    double loss;

    memset(p->s->row, 0, (size_t)p->b->n_node * sizeof *p->s->row);
    if (r) {
        ci_near_list(p);
        return ci_multi_hot_head(p->m->ops, p->s->value[r->in[0]], p->b->n_node, cols_of(p, r->in[0]), weight(p, r, 0),
                                 weight(p, r, 1), NULL, p->m->dim.n_id + 1, p->s->near_first, p->s->near, 1, p->s->work, NULL, NULL,
                                 NULL, &loss, p->s->row);
    }
    r = record_of(p->m, GAUSSIAN);
    if (!r) return CI_OK;
    const ci_lid d = cols_of(p, r->in[0]);
    return ci_square_error(p->s->value[r->in[0]], d, p->s->value[r->in[1]], d, p->b->n_node, d, 1, NULL, 0, &loss, p->s->row);
}

/** Divergence of each node's latent distribution from the normal one, a mean over columns. */
static void kl_rows(const struct pass *p)
{
    const ci_lid d = p->m->dim.latent;
    const float *mu = value(p, "mu"), *lv = value(p, "logvar"), limit = p->m->dim.logvar_limit;
    for (ci_lid i = 0; i < p->b->n_node; i++, mu += d, lv += d) {
        double sum = 0;
        for (ci_lid k = 0; k < d; k++) {
            const float v = lv[k] > limit ? limit : lv[k] < -limit ? -limit : lv[k];
            sum += 1 + (double)v - (double)(mu[k] * mu[k]) - (double)ci_expf(v);
        }
        p->s->row[i] = (float)(-0.5 * sum / d);
    }
}

static void latent_graph(const struct pass *p, ci_lid g, float *out)
{
    const ci_batch *b = p->b;
    const ci_lid d = p->m->dim.latent, n = b->first[g + 1] - b->first[g];
    const float *mu = value(p, "mu") + (size_t)b->first[g] * (size_t)d;
    double mean = 0, spread = 0;
    float one[4];

    statistics(mu, (size_t)n * (size_t)d, out + Z_MEAN);
    for (ci_lid i = 0; i < n; i++) {
        statistics(mu + (size_t)i * (size_t)d, (size_t)d, one);
        mean += (double)one[0];
        spread += (double)one[1];
    }
    out[NODE_MEAN] = (float)(mean / n);
    out[NODE_STD] = (float)(spread / n);
    for (ci_lid k = 0; k < d; k++) {
        double sum = 0, square = 0;
        for (ci_lid i = 0; i < n; i++) {
            const double v = (double)mu[(size_t)i * (size_t)d + (size_t)k];
            sum += v;
            square += v * v;
        }
        out[VGAE_COLUMNS + k] = (float)(sum / n);
        out[VGAE_COLUMNS + d + k] = (float)(square / n);
    }
}

/** Edges of graph g, its nodes counted from 0: in place, for the two functions that want that, and back. */
static void edges_shift(const ci_batch *b, ci_lid g, ci_lid by)
{
    for (ci_lid e = b->raw_first[g]; e < b->raw_first[g + 1]; e++) {
        b->raw_src[e] += by;
        b->raw_dst[e] += by;
    }
}

static void shape_graph(const struct pass *p, ci_lid g, float *out)
{
    const ci_batch *b = p->b;
    const ci_lid first = b->first[g], n = b->first[g + 1] - first, e = b->raw_first[g], n_edge = b->raw_first[g + 1] - e;
    const ci_lid d = p->m->dim.latent;

    edges_shift(b, g, -first);
    out[AFFINITY] = ci_affinity(value(p, "mu") + (size_t)first * (size_t)d, n, d, n_edge, b->raw_src + e, b->raw_dst + e, p->s->work);
    out[RAYLEIGH] = ci_rayleigh(b->x + (size_t)first * (size_t)b->n_feature + p->m->dim.x_first, b->n_feature, features(p->m), n, n_edge,
                                b->raw_src + e, b->raw_dst + e);
    edges_shift(b, g, first);
}

ci_rc ci_score_seen(const struct pass *p, float *out)
{
    ci_rc rc = CI_OK;
    const size_t K = (size_t)p->m->n_output;

    if (p->m->dim.kind == CI_GAT) {
        for (ci_lid g = 0; g < p->b->n_graph; g++) gat_graph(p, g, out + (size_t)g * K);
        goto done;
    }
    CI_TRY(recon_rows(p));
    each_mean(p, SEEN, out);
    for (ci_lid g = 0; g < p->b->n_graph; g++) { /* of a model that knows no hidden nodes: what it makes of seen ones */
        float *row = out + (size_t)g * K, most = 0;
        for (ci_lid i = p->b->first[g]; i < p->b->first[g + 1]; i++) most = p->s->row[i] > most ? p->s->row[i] : most;
        row[HIDDEN] = p->m->dim.masked ? 0 : row[SEEN];
        row[HIDDEN_MAX] = p->m->dim.masked ? 0 : most;
    }
    CI_TRY(id_rows(p));
    each_mean(p, ID, out);
    CI_TRY(near_rows(p));
    each_mean(p, NEAR, out);
    kl_rows(p);
    each_mean(p, DIVERGENCE, out);
    for (ci_lid g = 0; g < p->b->n_graph; g++) {
        latent_graph(p, g, out + (size_t)g * K);
        shape_graph(p, g, out + (size_t)g * K);
    }
done:
    return rc;
}

ci_rc ci_score_hidden(const struct pass *p, ci_lid mask, float *out)
{
    ci_rc rc = CI_OK;

    CI_TRY(recon_rows(p));
    for (ci_lid g = 0; g < p->b->n_graph; g++) {
        float *row = out + (size_t)g * (size_t)p->m->n_output;
        for (ci_lid i = p->b->first[g] + mask; i < p->b->first[g + 1]; i += CI_MASKS) {
            row[HIDDEN] += p->s->row[i];
            row[HIDDEN_MAX] = p->s->row[i] > row[HIDDEN_MAX] ? p->s->row[i] : row[HIDDEN_MAX];
        }
    }
done:
    return rc;
}

void ci_score_close(const struct pass *p, float *out)
{
    for (ci_lid g = 0; g < p->b->n_graph && p->m->dim.masked; g++)
        out[(size_t)g * (size_t)p->m->n_output + HIDDEN] /= (float)(p->b->first[g + 1] - p->b->first[g]);
}
