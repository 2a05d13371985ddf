/** Kinds of records, and the list run forward and backward over one shard. */
#include <string.h>
#include "ci/random.h"
#include "model_priv.h"

static const float *weight(const struct pass *p, ci_lid k) { return p->w + p->m->param[k].first; }
static float *gradient(const struct pass *p, ci_lid k) { return p->grad + p->m->param[k].first; }

static ci_lid rows_of(const struct pass *p, ci_lid t)
{
    return ci_model_rows(p->m->tensor[t].rows, p->b->n_graph, p->b->n_node, p->b->n_edge);
}

static uint32_t threshold(float probability) { return (uint32_t)((double)probability * 4294967296.0); }

/** Identifiers as this step sees them: some count as unknown. */
static void identifiers(const struct pass *p, uint32_t operation)
{
    const ci_batch *b = p->b;
    const uint32_t drop = p->step ? threshold(p->step->unk_drop) : 0;
    memcpy(p->s->id, b->id, (size_t)b->n_node * sizeof *b->id);
    for (ci_lid g = 0; drop && g < b->n_graph; g++)
        for (ci_lid i = b->first[g]; i < b->first[g + 1]; i++)
            if (ci_philox(p->step->seed, CI_RANDOM_UNK, p->step->epoch, (uint32_t)b->graph[g], operation,
                          (uint32_t)(i - b->first[g])).v[0] < drop)
                p->s->id[i] = 0;
}

static void embed_forward(const struct pass *p, const struct record *r)
{
    const ci_lid n_id = p->m->dim.id_dim, n_x = p->m->dim.n_feature;
    float *y = p->s->value[r->out];
    identifiers(p, r->operation);
    for (ci_lid i = 0; i < p->b->n_node; i++, y += n_id + n_x) {
        memcpy(y, weight(p, r->param[0]) + (size_t)p->s->id[i] * n_id, (size_t)n_id * sizeof *y);
        memcpy(y + n_id, p->b->x + (size_t)i * n_x, (size_t)n_x * sizeof *y);
    }
}

static void embed_backward(const struct pass *p, const struct record *r)
{
    const ci_lid n_id = p->m->dim.id_dim;
    const float *dy = p->s->grad[r->out];
    for (ci_lid i = 0; i < p->b->n_node; i++, dy += n_id) {
        float *row = gradient(p, r->param[0]) + (size_t)p->s->id[i] * n_id;
        for (ci_lid d = 0; d < n_id; d++) row[d] += dy[d];
    }
}

static void linear_forward(const struct pass *p, const struct record *r)
{
    const ci_lid K = p->m->tensor[r->in[0]].cols, N = p->m->tensor[r->out].cols;
    const ci_gemm g = {.M = rows_of(p, r->out), .N = N, .K = K, .a = p->s->value[r->in[0]], .a_row = K, .a_col = 1,
                       .b = weight(p, r->param[0]), .b_row = N, .c = p->s->value[r->out], .c_row = N,
                       .start = CI_GEMM_BIAS, .bias = weight(p, r->param[1])};
    p->m->ops->gemm(&g);
}

static void linear_backward(const struct pass *p, const struct record *r)
{
    const struct tensor *in = &p->m->tensor[r->in[0]];
    const ci_lid rows = rows_of(p, r->out), K = in->cols, N = p->m->tensor[r->out].cols;
    const float *dy = p->s->grad[r->out];
    const ci_gemm dw = {.M = K, .N = N, .K = rows, .a = p->s->value[r->in[0]], .a_row = 1, .a_col = K,
                        .b = dy, .b_row = N, .c = gradient(p, r->param[0]), .c_row = N, .start = CI_GEMM_ADD};
    const ci_gemm dx = {.M = rows, .N = in->grad_cols, .K = N, .a = dy, .a_row = N, .a_col = 1,
                        .b = p->wt + r->prepared, .b_row = in->grad_cols, .c = p->s->grad[r->in[0]],
                        .c_row = in->grad_cols, .start = r->add[0] ? CI_GEMM_ADD : CI_GEMM_ZERO};
    p->m->ops->gemm(&dw);
    p->m->ops->column_sum(dy, rows, N, N, gradient(p, r->param[1]));
    p->m->ops->gemm(&dx);
}

static ci_gatv2_dim gatv2_dim(const ci_model *m)
{
    return (ci_gatv2_dim){m->dim.heads, m->dim.channels, m->dim.n_edge_feature, m->dim.slope};
}

static ci_gatv2_in gatv2_in(const struct pass *p, const struct record *r)
{
    return (ci_gatv2_in){.l = p->s->value[r->in[0]], .r = p->s->value[r->in[1]], .e = p->b->e,
                         .w_e = weight(p, r->param[0]), .a = weight(p, r->param[1]), .bias = weight(p, r->param[2])};
}

static void gatv2_forward(const struct pass *p, const struct record *r)
{
    const ci_csr g = {p->b->n_node, p->b->in_first, p->b->in_src};
    p->m->ops->gatv2_forward(gatv2_dim(p->m), &g, gatv2_in(p, r), p->s->block, p->s->value[r->aux],
                             p->s->value[r->out]);
}

static void gatv2_backward(const struct pass *p, const struct record *r)
{
    const ci_csr g = {p->b->n_node, p->b->in_first, p->b->in_src};
    const ci_lid D = p->m->tensor[r->out].cols;
    const ci_gatv2_grad grad = {.l = p->s->grad[r->in[0]], .r = p->s->grad[r->in[1]],
                                .w_e = gradient(p, r->param[0]), .a = gradient(p, r->param[1])};
    p->m->ops->column_sum(p->s->grad[r->out], p->b->n_node, D, D, gradient(p, r->param[2]));
    p->m->ops->gatv2_backward(gatv2_dim(p->m), &g, gatv2_in(p, r), p->s->value[r->aux], p->s->grad[r->out],
                              p->s->block, p->s->grad[r->aux], grad);
}

static float drop_scale(const struct pass *p)
{
    return p->step && p->step->dropout > 0 ? 1.0f / (1.0f - p->step->dropout) : 1.0f;
}

static void relu_forward(const struct pass *p, const struct record *r)
{
    const struct tensor *t = &p->m->tensor[r->out];
    const ci_batch *b = p->b;
    float *x = p->s->value[r->out];
    if (!p->step) {
        p->m->ops->relu(x, rows_of(p, r->out) * t->cols, NULL, 0);
        return;
    }
    const ci_dropout drop = {p->step->seed, p->step->epoch, r->operation, threshold(p->step->dropout), drop_scale(p)};
    for (ci_lid g = 0; g < b->n_graph; g++) {
        const ci_lid first = t->rows == PER_NODE ? b->first[g] : g, last = t->rows == PER_NODE ? b->first[g + 1] : g + 1;
        p->m->ops->relu(x + (size_t)first * t->cols, (last - first) * t->cols, &drop, (uint32_t)b->graph[g]);
    }
}

static void relu_backward(const struct pass *p, const struct record *r)
{
    p->m->ops->relu_backward(p->s->value[r->out], rows_of(p, r->out) * p->m->tensor[r->out].cols, drop_scale(p),
                             p->s->grad[r->out]);
}

static void pool_forward(const struct pass *p, const struct record *r)
{
    const ci_lid *first = p->b->first;
    float *y = p->s->value[r->out];
    for (ci_lid g = 0; g < p->b->n_graph; g++)
        for (ci_lid k = 0; k < r->n_in; k++) {
            const ci_lid cols = p->m->tensor[r->in[k]].cols;
            p->m->ops->mean(p->s->value[r->in[k]] + (size_t)first[g] * cols, first[g + 1] - first[g], cols, y);
            y += cols;
        }
}

static void pool_backward(const struct pass *p, const struct record *r)
{
    const ci_lid *first = p->b->first;
    const float *dy = p->s->grad[r->out];
    for (ci_lid g = 0; g < p->b->n_graph; g++)
        for (ci_lid k = 0; k < r->n_in; k++) {
            const ci_lid cols = p->m->tensor[r->in[k]].cols;
            p->m->ops->mean_backward(dy, first[g + 1] - first[g], cols, r->add[k],
                                     p->s->grad[r->in[k]] + (size_t)first[g] * cols);
            dy += cols;
        }
}

const struct kind_of ci_model_kind[KIND_COUNT] = {
    [EMBED] = {"embed", embed_forward, embed_backward},   [LINEAR] = {"linear", linear_forward, linear_backward},
    [GATV2] = {"gatv2", gatv2_forward, gatv2_backward},   [RELU] = {"relu", relu_forward, relu_backward},
    [POOL] = {"pool", pool_forward, pool_backward},
};

static ci_rc check(const ci_model *m, const ci_scratch *s, const ci_batch *b)
{
    ci_rc rc = CI_OK;
    if (b->n_graph < 0 || b->n_graph > s->max_graph || b->n_node > s->max_node || b->n_edge > s->max_edge)
        CI_FAIL(CI_EARG, "shard of %d graphs, %d nodes, %d edges in a scratch for %d, %d, %d", b->n_graph, b->n_node,
                b->n_edge, s->max_graph, s->max_node, s->max_edge);
    if (!b->n_graph) goto done;
    if (b->n_feature != m->dim.n_feature || b->n_edge_feature != m->dim.n_edge_feature)
        CI_FAIL(CI_EARG, "shard with %d and %d features, the model has %d and %d", b->n_feature, b->n_edge_feature,
                m->dim.n_feature, m->dim.n_edge_feature);
    if (b->first[b->n_graph] != b->n_node || b->in_first[b->n_node] != b->n_edge)
        CI_FAIL(CI_EARG, "shard whose offsets end at %d of %d nodes, %d of %d edges", b->first[b->n_graph], b->n_node,
                b->in_first[b->n_node], b->n_edge);
    for (ci_lid g = 0; g < b->n_graph; g++)
        if (b->first[g] >= b->first[g + 1]) CI_FAIL(CI_EARG, "graph %lld of the shard has no node", (long long)b->graph[g]);
    for (ci_lid i = 0; i < b->n_node; i++)
        if (b->id[i] < 0 || b->id[i] > m->dim.n_id)
            CI_FAIL(CI_EARG, "identifier %d of a vocabulary of %d", b->id[i], m->dim.n_id);
done:
    return rc;
}

ci_rc ci_model_forward(const ci_model *m, const float *w, ci_scratch *s, const ci_batch *b,
                       const ci_model_step *step, float *logit)
{
    ci_rc rc = CI_OK;
    const struct pass p = {.m = m, .w = w, .s = s, .b = b, .step = step};
    const ci_lid last = m->record[m->n_record - 1].out;

    s->n_graph = NONE;
    CI_TRY(check(m, s, b));
    for (ci_lid k = 0; b->n_graph && k < m->n_record; k++) ci_model_kind[m->record[k].kind].forward(&p, &m->record[k]);
    if (b->n_graph) memcpy(logit, s->value[last], (size_t)b->n_graph * m->dim.n_class * sizeof *logit);
    s->n_graph = b->n_graph;
    s->n_node = b->n_node;
    s->n_edge = b->n_edge;
done:
    return rc;
}

ci_rc ci_model_backward(const ci_model *m, const float *w, const float *wt, ci_scratch *s,
                        const ci_batch *b, const ci_model_step *step, const float *dlogit, float *grad)
{
    ci_rc rc = CI_OK;
    const struct pass p = {.m = m, .w = w, .wt = wt, .s = s, .b = b, .step = step, .grad = grad};
    const ci_lid last = m->record[m->n_record - 1].out;

    if (s->n_graph != b->n_graph || (b->n_graph && (s->n_node != b->n_node || s->n_edge != b->n_edge)))
        CI_FAIL(CI_EARG, "backward of %d graphs after forward of %d", b->n_graph, s->n_graph);
    s->n_graph = NONE; /* backward uses the memory of activations again */
    if (!b->n_graph) goto done;
    memcpy(s->grad[last], dlogit, (size_t)b->n_graph * m->dim.n_class * sizeof *dlogit);
    for (ci_lid k = m->n_record - 1; k >= 0; k--) ci_model_kind[m->record[k].kind].backward(&p, &m->record[k]);
done:
    return rc;
}
