/** Passes: stretches of the list run forward or backward over one shard. */
#include <string.h>
#include "model_priv.h"

ci_rc ci_shard_check(const ci_model *m, const ci_scratch *s, const ci_batch *b, bool raw)
{
    ci_rc rc = CI_OK;
    if (b->n_graph < 0 || b->n_graph > s->max_graph || b->n_node > s->max_node || b->n_edge > s->max_edge || b->n_raw > s->max_raw)
        CI_FAIL(CI_EARG, "shard of %d graphs, %d nodes, %d edges and %d raw in a scratch for %d, %d, %d and %d", b->n_graph, b->n_node,
                b->n_edge, b->n_raw, s->max_graph, s->max_node, s->max_edge, s->max_raw);
    if (!b->n_graph) goto done;
    if (b->n_feature != m->dim.n_feature || b->n_edge_feature != m->dim.n_edge_feature)
        CI_FAIL(CI_EARG, "shard with %d and %d features, the model has %d and %d", b->n_feature, b->n_edge_feature,
                m->dim.n_feature, m->dim.n_edge_feature);
    if (b->first[b->n_graph] != b->n_node || b->in_first[b->n_node] != b->n_edge)
        CI_FAIL(CI_EARG, "shard whose offsets end at %d of %d nodes, %d of %d edges", b->first[b->n_graph], b->n_node,
                b->in_first[b->n_node], b->n_edge);
    if (m->dim.window && b->n_window_feature != m->dim.n_window_feature)
        CI_FAIL(CI_EARG, "shard with %d columns of a window, the model has %d", b->n_window_feature, m->dim.n_window_feature);
    if (raw && (!b->raw_first || b->raw_first[b->n_graph] != b->n_raw))
        CI_FAIL(CI_EARG, "shard without the frames' edges, which a %s needs", m->dim.kind == CI_VGAE ? "vgae" : "message head");
    for (ci_lid g = 0; g < b->n_graph; g++)
        if (b->first[g] >= b->first[g + 1]) CI_FAIL(CI_EARG, "graph %lld of the shard has no node", (long long)b->graph[g]);
    for (ci_lid i = 0; m->dim.id_dim && i < b->n_node; i++)
        if (b->id[i] < 0 || b->id[i] > m->dim.n_id)
            CI_FAIL(CI_EARG, "identifier %d of a vocabulary of %d", b->id[i], m->dim.n_id);
done:
    return rc;
}

static ci_rc check_step(const ci_model *m, const ci_model_step *step, const ci_batch *b)
{
    ci_rc rc = CI_OK;
    const ci_feature_set *set = step->set;
    if (m->dim.message && b->n_graph && !b->raw_label) CI_FAIL(CI_EARG, "shard without labels of its frames, which a message head needs");
    if (!(step->group_drop > 0)) goto done;
    if (!m->dim.group_drop || !set) CI_FAIL(CI_EARG, "a step that hides groups of columns of a model that knows none");
    if (set->n_node != m->dim.n_feature || set->n_edge != m->dim.n_edge_feature || (m->dim.window && set->n_window != m->dim.n_window_feature))
        CI_FAIL(CI_EARG, "groups of %d, %d and %d columns for a model with %d, %d and %d", set->n_node, set->n_edge, set->n_window,
                m->dim.n_feature, m->dim.n_edge_feature, m->dim.n_window_feature);
done:
    return rc;
}

void ci_graph_rows(const struct pass *p, ci_lid tensor, ci_lid graph, ci_lid *first, ci_lid *last)
{
    const ci_batch *b = p->b;
    const ci_lid *offset = NULL;

    switch (p->m->tensor[tensor].rows) {
    case PER_GRAPH:
        *first = graph;
        *last = graph + 1;
        return;
    case PER_NODE: offset = b->first; break;
    case PER_RAW: offset = b->raw_first; break;
    default:
        *first = b->in_first[b->first[graph]];
        *last = b->in_first[b->first[graph + 1]];
        return;
    }
    *first = offset[graph];
    *last = offset[graph + 1];
}

const struct closed *ci_cut_of(const struct pass *p, int backward, const struct record *r)
{
    const ci_lid at = (ci_lid)(r - p->m->record);
    for (ci_lid k = 0; p->cuts && k < p->m->n_cut[backward]; k++)
        if (p->m->cut[backward][k].record == at) return &p->cuts->at[backward][k];
    return NULL;
}

static ci_rc forward_run(const struct pass *p, ci_lid from, ci_lid to)
{
    ci_rc rc = CI_OK;
    for (ci_lid k = from; k < to; k++) {
        const struct record *r = &p->m->record[k];
        const struct kind_of *kind = &ci_model_kinds[r->kind];
        if (kind->forward && (p->step || !r->training)) CI_TRY(kind->forward(p, r));
    }
done:
    return rc;
}

/** Gradients that this record is the first to write start as 0, unless its kind writes them whole. */
static void gradients_begin(const struct pass *p, const struct record *r)
{
    for (ci_lid j = 0; j < r->n_in && !ci_model_kinds[r->kind].overwrite; j++) {
        const struct tensor *t = &p->m->tensor[r->in[j]];
        bool earlier = r->add[j];
        for (ci_lid k = 0; k < j; k++) earlier = earlier || r->in[k] == r->in[j];
        if (!earlier) memset(p->s->grad[r->in[j]], 0, (size_t)rows_of(p, r->in[j]) * (size_t)t->grad_cols * sizeof(float));
    }
}

static ci_rc backward_run(const struct pass *p, ci_lid from, ci_lid down_to)
{
    ci_rc rc = CI_OK;
    for (ci_lid k = from; k >= down_to; k--) {
        const struct record *r = &p->m->record[k];
        gradients_begin(p, r);
        CI_TRY(ci_model_kinds[r->kind].backward(p, r));
    }
done:
    return rc;
}

static void sums_put(const struct pass *p, int backward, ci_lid k)
{
    const struct record *r = &p->m->record[p->m->cut[backward][k].record];
    ci_model_kinds[r->kind].sums[backward](p, r, p->s->sum[backward][k]);
}

static ci_rc part(const struct pass *p, int backward, ci_lid k)
{
    ci_rc rc = CI_OK;
    const ci_model *m = p->m;
    const struct cut *cut = m->cut[backward];
    const bool last = k == m->n_cut[backward];

    if (!backward) {
        CI_TRY(forward_run(p, k ? cut[k - 1].record : 0, last ? m->n_record : cut[k].record));
    } else {
        if (k == 0) memset(p->s->loss, 0, sizeof p->s->loss);
        CI_TRY(backward_run(p, k ? cut[k - 1].record : m->n_record - 1, last ? 0 : cut[k].record + 1));
    }
    if (!last) sums_put(p, backward, k);
done:
    return rc;
}

/** An empty shard brings nothing. */
static void empty(ci_scratch *s, const ci_model *m, int backward, ci_lid k)
{
    if (k < m->n_cut[backward]) memset(s->sum[backward][k], 0, (size_t)m->cut[backward][k].n * sizeof(double));
    if (backward && k == 0) memset(s->loss, 0, sizeof s->loss);
}

ci_rc ci_model_run(const ci_model_pass *a, int backward, ci_lid k)
{
    ci_rc rc = CI_OK;
    ci_scratch *s = a->s;
    const ci_batch *b = a->b;
    const struct pass p = {.m = a->m, .w = a->w, .wt = a->wt, .s = s, .b = b, .step = a->step, .aid = a->aid, .cuts = a->cuts,
                           .grad = a->grad, .mask = NONE};

    if (!backward && k == 0) {
        s->n_graph = NONE;
        CI_TRY(ci_shard_check(a->m, s, b, ci_model_wants_raw(a->m)));
        CI_TRY(check_step(a->m, a->step, b));
        s->n_graph = b->n_graph;
        s->n_node = b->n_node;
        s->n_edge = b->n_edge;
        s->n_raw = b->n_raw;
    } else if (s->n_graph != b->n_graph || s->n_node != b->n_node || s->n_edge != b->n_edge || s->n_raw != b->n_raw ||
               s->backward != backward || s->pass != k) {
        CI_FAIL(CI_EARG, "%s pass %d over %d graphs after another pass or over %d", backward ? "backward" : "forward", k, b->n_graph,
                s->n_graph);
    }
    if (b->n_graph) CI_TRY(part(&p, backward, k));
    else empty(s, a->m, backward, k);
    s->pass = k + 1;
    s->backward = backward;
    if (k == a->m->n_cut[backward]) { /* backward uses the memory of activations again: nothing follows it */
        s->pass = 0;
        s->backward = 1;
        if (backward) s->n_graph = NONE;
    }
done:
    if (rc != CI_OK) s->n_graph = NONE;
    return rc;
}

/** The first n records forward as evaluation has it; nodes of mask `mask` hidden. */
static ci_rc evaluate(const ci_model *m, const float *w, const float *state, ci_scratch *s, const ci_batch *b, ci_lid mask, ci_lid n)
{
    const struct pass p = {.m = m, .w = w, .s = s, .b = b, .state = state, .mask = mask};
    return forward_run(&p, 0, n);
}

static ci_rc judged(const ci_model *m, const float *w, const float *state, ci_scratch *s, const ci_batch *b, ci_lid n)
{
    ci_rc rc = CI_OK;

    s->n_graph = NONE; /* no backward pass follows this one */
    CI_TRY(ci_shard_check(m, s, b, m->dim.kind == CI_VGAE || (m->dim.message && n > m->n_recon)));
    if (b->n_graph) CI_TRY(evaluate(m, w, state, s, b, NONE, n));
done:
    return rc;
}

ci_rc ci_model_forward(const ci_model *m, const float *w, const float *state, ci_scratch *s, const ci_batch *b)
{
    return judged(m, w, state, s, b, m->n_recon);
}

ci_rc ci_model_score(const ci_model *m, const float *w, const float *state, ci_scratch *s, const ci_batch *b, float *out)
{
    ci_rc rc = CI_OK;

    CI_TRY(judged(m, w, state, s, b, m->n_record));
    if (!b->n_graph) goto done;
    const struct pass p = {.m = m, .w = w, .s = s, .b = b, .state = state, .mask = NONE};
    CI_TRY(ci_score_seen(&p, out));
    for (ci_lid k = 0; k < CI_MASKS && m->dim.kind == CI_VGAE && m->dim.masked; k++) {
        CI_TRY(evaluate(m, w, state, s, b, k, m->n_recon));
        CI_TRY(ci_score_hidden(&p, k, out));
    }
    if (m->dim.kind == CI_VGAE) ci_score_close(&p, out);
done:
    return rc;
}

const float *ci_scratch_tensor(const ci_model *m, const ci_scratch *s, const char *name, ci_lid *out_cols)
{
    for (ci_lid t = 0; t < m->n_tensor; t++)
        if (!strcmp(m->tensor[t].name, name)) {
            if (out_cols) *out_cols = m->tensor[t].cols;
            return s->value[t];
        }
    return NULL;
}

const double *ci_scratch_losses(const ci_scratch *s) { return s->loss; }

const double *ci_scratch_sums(const ci_model *m, const ci_scratch *s, int backward, ci_lid k, ci_lid *out_n)
{
    *out_n = m->cut[backward][k].n;
    return s->sum[backward][k];
}
