/** What a model is given of edges, frames and windows, and the groups of columns that training hides of it. */
#include <assert.h>
#include <string.h>
#include "ci/random.h"
#include "model_priv.h"

uint32_t ci_hidden_groups(const struct pass *p, ci_lid graph)
{
    uint32_t hidden = 0;
    if (!p->step || !(p->step->group_drop > 0)) return 0;
    for (uint32_t k = CI_GROUP_NONE + 1; k < CI_GROUP_COUNT; k++)
        if (ci_philox(p->step->seed, CI_RANDOM_GROUP, p->step->epoch, (uint32_t)p->b->graph[graph], k, 0).v[0] < threshold(p->step->group_drop))
            hidden |= 1u << k;
    return hidden;
}

void ci_hide_columns(const ci_feature *column, ci_lid n, uint32_t hidden, float *y)
{
    for (ci_lid k = 0; k < n; k++)
        if (hidden >> column[k].group & 1) y[k] = 0;
}

/** Rows of x, columns of hidden groups 0.  A self-loop's mean is 0 in them like what it is the mean of. */
static void seen(const struct pass *p, const struct record *r, const float *x, const ci_feature *column)
{
    const ci_lid cols = cols_of(p, r->out);
    float *y = p->s->value[r->out];
    memcpy(y, x, (size_t)rows_of(p, r->out) * (size_t)cols * sizeof *y);
    for (ci_lid g = 0; g < p->b->n_graph; g++) {
        const uint32_t hidden = ci_hidden_groups(p, g);
        ci_lid first, last;
        if (!hidden) continue;
        ci_graph_rows(p, r->out, g, &first, &last);
        for (ci_lid i = first; i < last; i++) ci_hide_columns(column, cols, hidden, y + (size_t)i * (size_t)cols);
    }
}

static const ci_feature_set *set_of(const struct pass *p) { return p->step ? p->step->set : NULL; }

ci_rc ci_edge_input_forward(const struct pass *p, const struct record *r)
{
    seen(p, r, p->b->e, set_of(p) ? set_of(p)->edge : NULL);
    return CI_OK;
}

ci_rc ci_raw_input_forward(const struct pass *p, const struct record *r)
{
    seen(p, r, p->b->raw_e, set_of(p) ? set_of(p)->edge : NULL);
    return CI_OK;
}

ci_rc ci_window_input_forward(const struct pass *p, const struct record *r)
{
    seen(p, r, p->b->w, set_of(p) ? set_of(p)->window : NULL);
    return CI_OK;
}

/** Data: nobody wants their gradient. */
static ci_rc data(const struct pass *p, const struct record *r)
{
    assert(p->m->tensor[r->out].grad_cols == 0);
    (void)p, (void)r;
    return CI_OK;
}

ci_rc ci_edge_input_backward(const struct pass *p, const struct record *r) { return data(p, r); }
ci_rc ci_raw_input_backward(const struct pass *p, const struct record *r) { return data(p, r); }
ci_rc ci_window_input_backward(const struct pass *p, const struct record *r) { return data(p, r); }
