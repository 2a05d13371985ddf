/** Inputs, linear layers, and what works element by element. */
#include <assert.h>
#include <string.h>
#include "ci/random.h"
#include "model_priv.h"

static bool is_hidden(const struct pass *p, uint32_t graph, ci_lid i, uint32_t drop)
{
    if (!p->step) return p->mask != NONE && i % CI_MASKS == p->mask;
    return drop && ci_philox(p->step->seed, CI_RANDOM_MASK, p->step->epoch, graph, (uint32_t)i, 0).v[0] < drop;
}

ci_gid ci_model_masked(const ci_model *m, const ci_model_step *step, int64_t graph, ci_lid n)
{
    const struct pass p = {.m = m, .step = step};
    const uint32_t drop = threshold(step->mask);
    ci_gid sum = 0;
    if (m->dim.kind != CI_VGAE || !m->dim.masked) return 0;
    for (ci_lid i = 0; i < n; i++) sum += is_hidden(&p, (uint32_t)graph, i, drop);
    return sum;
}

/** Identifiers as this pass sees them: some count as unknown, those of hidden nodes are the row behind all others. */
static void identifiers(const struct pass *p, uint32_t operation)
{
    const ci_batch *b = p->b;
    const uint32_t drop = p->step ? threshold(p->step->unk_drop) : 0;
    const bool masked = p->m->dim.kind == CI_VGAE && p->m->dim.masked;
    const uint32_t hide = masked && p->step ? threshold(p->step->mask) : 0;

    memcpy(p->s->id, b->id, (size_t)b->n_node * sizeof *b->id);
    memset(p->s->hidden, 0, (size_t)b->n_node);
    for (ci_lid g = 0; (drop || hide || p->mask != NONE) && g < b->n_graph; g++)
        for (ci_lid i = b->first[g]; i < b->first[g + 1]; i++) {
            const ci_lid k = i - b->first[g];
            if (drop && ci_philox(p->step->seed, CI_RANDOM_UNK, p->step->epoch, (uint32_t)b->graph[g], operation,
                                  (uint32_t)k).v[0] < drop)
                p->s->id[i] = 0;
            if (masked && is_hidden(p, (uint32_t)b->graph[g], k, hide)) {
                p->s->hidden[i] = 1;
                p->s->id[i] = p->m->dim.n_id + 1;
            }
        }
}

static ci_lid embed_row(const struct pass *p, ci_lid id, ci_lid probe)
{
    return p->m->dim.id_buckets ? ci_hash_bucket(id, probe, p->m->dim.id_buckets) : id;
}

static ci_lid probes(const struct pass *p) { return p->m->dim.id_buckets ? p->m->dim.id_probes : 1; }

static void embed_node(const struct pass *p, const struct record *r, ci_lid i, float *y)
{
    const ci_lid n_id = p->m->dim.id_dim;
    memcpy(y, weight(p, r, 0) + (size_t)embed_row(p, p->s->id[i], 0) * n_id, (size_t)n_id * sizeof *y);
    for (ci_lid k = 1; k < probes(p); k++) {
        const float *row = weight(p, r, 0) + (size_t)embed_row(p, p->s->id[i], k) * n_id;
        for (ci_lid d = 0; d < n_id; d++) y[d] += row[d];
    }
}

static void hide_columns(const struct pass *p, const struct record *r)
{
    const ci_lid cols = cols_of(p, r->out);
    for (ci_lid g = 0; g < p->b->n_graph; g++) {
        const uint32_t hidden = ci_hidden_groups(p, g);
        float *y = p->s->value[r->out] + (size_t)p->b->first[g] * (size_t)cols + p->m->dim.id_dim;
        for (ci_lid i = p->b->first[g]; hidden && i < p->b->first[g + 1]; i++, y += cols)
            ci_hide_columns(p->step->set->node + p->m->dim.x_first, features(p->m), hidden, y);
    }
}

ci_rc ci_embed_forward(const struct pass *p, const struct record *r)
{
    const ci_lid n_id = p->m->dim.id_dim, F = features(p->m), x_row = p->m->dim.n_feature;
    float *y = p->s->value[r->out];
    identifiers(p, r->operation);
    for (ci_lid i = 0; i < p->b->n_node; i++, y += n_id + F) {
        if (n_id) embed_node(p, r, i, y);
        if (p->s->hidden[i]) memset(y + n_id, 0, (size_t)F * sizeof *y);
        else memcpy(y + n_id, p->b->x + (size_t)i * x_row + p->m->dim.x_first, (size_t)F * sizeof *y);
    }
    hide_columns(p, r);
    return CI_OK;
}

ci_rc ci_embed_backward(const struct pass *p, const struct record *r)
{
    const ci_lid n_id = p->m->dim.id_dim, row = p->m->tensor[r->out].grad_cols;
    const float *dy = p->s->grad[r->out];
    for (ci_lid i = 0; n_id && i < p->b->n_node; i++, dy += row)
        for (ci_lid k = 0; k < probes(p); k++) {
            float *at = gradient(p, r, 0) + (size_t)embed_row(p, p->s->id[i], k) * n_id;
            for (ci_lid d = 0; d < n_id; d++) at[d] += dy[d];
        }
    return CI_OK;
}

ci_rc ci_linear_forward(const struct pass *p, const struct record *r)
{
    const ci_lid K = cols_of(p, r->in[0]), N = cols_of(p, r->out);
    const ci_gemm g = {.M = rows_of(p, r->out), .N = N, .K = K, .a = p->s->value[r->in[0]], .a_row = K, .a_col = 1,
                       .b = weight(p, r, 0), .b_row = N, .c = p->s->value[r->out], .c_row = N,
                       .start = r->n_param > 1 ? CI_GEMM_BIAS : CI_GEMM_ZERO, .bias = r->n_param > 1 ? weight(p, r, 1) : NULL};
    p->m->ops->gemm(&g);
    return CI_OK;
}

ci_rc ci_linear_backward(const struct pass *p, const struct record *r)
{
    const struct tensor *in = &p->m->tensor[r->in[0]];
    const ci_lid rows = rows_of(p, r->out), K = in->cols, N = cols_of(p, r->out);
    const float *dy = p->s->grad[r->out];
    const ci_gemm dw = {.M = K, .N = N, .K = rows, .a = p->s->value[r->in[0]], .a_row = 1, .a_col = K,
                        .b = dy, .b_row = N, .c = gradient(p, r, 0), .c_row = N, .start = CI_GEMM_ADD};
    const ci_gemm dx = {.M = rows, .N = in->grad_cols, .K = N, .a = dy, .a_row = N, .a_col = 1,
                        .b = p->wt + r->prepared, .b_row = in->grad_cols, .c = p->s->grad[r->in[0]],
                        .c_row = in->grad_cols, .start = r->add[0] ? CI_GEMM_ADD : CI_GEMM_ZERO};
    p->m->ops->gemm(&dw);
    if (r->n_param > 1) p->m->ops->column_sum(dy, rows, N, N, gradient(p, r, 1));
    if (in->grad_cols) p->m->ops->gemm(&dx);
    return CI_OK;
}

ci_rc ci_add_forward(const struct pass *p, const struct record *r)
{
    const size_t n = (size_t)rows_of(p, r->out) * (size_t)cols_of(p, r->out);
    const float *a = p->s->value[r->in[0]], *b = p->s->value[r->in[1]];
    float *y = p->s->value[r->out];
    for (size_t i = 0; i < n; i++) y[i] = a[i] + b[i];
    return CI_OK;
}

ci_rc ci_add_backward(const struct pass *p, const struct record *r)
{
    const size_t n = (size_t)rows_of(p, r->out) * (size_t)cols_of(p, r->out);
    const float *dy = p->s->grad[r->out];
    for (int k = 0; k < 2; k++) {
        float *dx = p->s->grad[r->in[k]];
        for (size_t i = 0; i < n; i++) dx[i] += dy[i];
    }
    return CI_OK;
}

ci_rc ci_cat_forward(const struct pass *p, const struct record *r)
{
    const ci_lid rows = rows_of(p, r->out), width = cols_of(p, r->out);
    float *y = p->s->value[r->out];
    for (ci_lid k = 0; k < r->n_in; k++) {
        const ci_lid cols = cols_of(p, r->in[k]);
        for (ci_lid i = 0; i < rows; i++)
            memcpy(y + (size_t)i * width, p->s->value[r->in[k]] + (size_t)i * cols, (size_t)cols * sizeof *y);
        y += cols;
    }
    return CI_OK;
}

ci_rc ci_cat_backward(const struct pass *p, const struct record *r)
{
    const ci_lid rows = rows_of(p, r->out), width = cols_of(p, r->out);
    const float *dy = p->s->grad[r->out];
    for (ci_lid k = 0; k < r->n_in; k++) {
        const ci_lid cols = cols_of(p, r->in[k]);
        float *dx = p->s->grad[r->in[k]];
        assert(p->m->tensor[r->in[k]].grad_cols == cols);
        for (ci_lid i = 0; i < rows; i++)
            for (ci_lid d = 0; d < cols; d++) dx[(size_t)i * cols + d] += dy[(size_t)i * width + d];
        dy += cols;
    }
    return CI_OK;
}

static float drop_scale(const struct pass *p)
{
    return p->step && p->step->dropout > 0 ? 1.0f / (1.0f - p->step->dropout) : 1.0f;
}

static ci_dropout dropping(const struct pass *p, const struct record *r)
{
    return (ci_dropout){p->step->seed, p->step->epoch, r->operation, threshold(p->step->dropout), drop_scale(p)};
}

ci_rc ci_relu_forward(const struct pass *p, const struct record *r)
{
    const ci_lid cols = cols_of(p, r->out);
    float *x = p->s->value[r->out];
    if (!p->step) {
        p->m->ops->relu(x, rows_of(p, r->out) * cols, NULL, 0);
        return CI_OK;
    }
    const ci_dropout drop = dropping(p, r);
    for (ci_lid g = 0; g < p->b->n_graph; g++) {
        ci_lid first, last;
        ci_graph_rows(p, r->out, g, &first, &last);
        p->m->ops->relu(x + (size_t)first * cols, (last - first) * cols, &drop, (uint32_t)p->b->graph[g]);
    }
    return CI_OK;
}

ci_rc ci_relu_backward(const struct pass *p, const struct record *r)
{
    p->m->ops->relu_backward(p->s->value[r->out], rows_of(p, r->out) * cols_of(p, r->out), drop_scale(p), p->s->grad[r->out]);
    return CI_OK;
}

static void drop(const struct pass *p, const struct record *r, float *x, void (*one)(float *, ci_lid, const ci_dropout *, uint32_t))
{
    const ci_lid cols = cols_of(p, r->out);
    if (!p->step || p->step->dropout <= 0) return;
    const ci_dropout how = dropping(p, r);
    for (ci_lid g = 0; g < p->b->n_graph; g++) {
        ci_lid first, last;
        ci_graph_rows(p, r->out, g, &first, &last);
        one(x + (size_t)first * cols, (last - first) * cols, &how, (uint32_t)p->b->graph[g]);
    }
}

ci_rc ci_dropout_record_forward(const struct pass *p, const struct record *r)
{
    drop(p, r, p->s->value[r->out], p->m->ops->dropout);
    return CI_OK;
}

ci_rc ci_dropout_record_backward(const struct pass *p, const struct record *r)
{
    drop(p, r, p->s->grad[r->out], p->m->ops->dropout_backward);
    return CI_OK;
}

ci_rc ci_sigmoid_forward(const struct pass *p, const struct record *r)
{
    float *x = p->s->value[r->out];
    p->m->ops->sigmoid(x, rows_of(p, r->out) * cols_of(p, r->out), x);
    return CI_OK;
}

ci_rc ci_sigmoid_backward(const struct pass *p, const struct record *r)
{
    const size_t n = (size_t)rows_of(p, r->out) * (size_t)cols_of(p, r->out);
    const float *y = p->s->value[r->out];
    float *dx = p->s->grad[r->out]; /* in place: dy becomes dx */
    for (size_t i = 0; i < n; i++) dx[i] *= y[i] * (1 - y[i]);
    return CI_OK;
}
