/** What is known of the whole batch at the cuts. */
#include <string.h>
#include <stdlib.h>
#include "model_priv.h"

static ci_lid cols_at(const ci_model *m, int backward, ci_lid k)
{
    return m->tensor[m->record[m->cut[backward][k].record].in[0]].cols;
}

static bool is_gaussian(const ci_model *m, int backward, ci_lid k) { return m->record[m->cut[backward][k].record].kind == GAUSSIAN; }

static void take(const ci_model *m, ci_cuts *c)
{
    for (int back = 0; back < 2; back++)
        for (ci_lid k = 0; k < m->n_cut[back]; k++) {
            struct closed *at = &c->at[back][k];
            const ci_lid cols = cols_at(m, back, k);
            at->sum = ci_arena_take(&c->arena, (size_t)m->cut[back][k].n, sizeof *at->sum);
            if (back) continue;
            if (is_gaussian(m, back, k)) {
                at->coef = ci_arena_take(&c->arena, (size_t)ci_gaussian_coef_size(cols), sizeof *at->coef);
                continue;
            }
            at->mean = ci_arena_take(&c->arena, (size_t)cols, sizeof *at->mean);
            at->rstd = ci_arena_take(&c->arena, (size_t)cols, sizeof *at->rstd);
        }
}

ci_rc ci_cuts_create(const ci_model *m, ci_cuts **out)
{
    ci_rc rc = CI_OK;
    ci_cuts plan = {0}, *c = ci_new(1, sizeof *c);

    *out = NULL;
    if (!c) CI_FAIL(CI_ENOMEM, "cuts of a model");
    take(m, &plan);
    CI_TRY(ci_arena_init(&c->arena, plan.arena.used));
    take(m, c);
    *out = c;
    c = NULL;
done:
    ci_cuts_destroy(&c);
    return rc;
}

void ci_cuts_destroy(ci_cuts **c)
{
    if (!*c) return;
    ci_arena_release(&(*c)->arena);
    free(*c);
    *c = NULL;
}

ci_rc ci_cuts_close(const ci_model *m, ci_cuts *c, const ci_model_step *step, int backward, ci_lid k, const double *sum, double *loss)
{
    ci_rc rc = CI_OK;
    struct closed *at = &c->at[backward][k];
    const ci_lid cols = cols_at(m, backward, k);
    double one = 0;

    memcpy(at->sum, sum, (size_t)m->cut[backward][k].n * sizeof *sum);
    at->rows = step->n_node;
    if (backward) goto done;
    if (is_gaussian(m, backward, k)) {
        CI_TRY(ci_gaussian_close(sum, step->n_node, cols, step->weight[CI_TERM_NEIGHBOUR], at->coef, &one));
        loss[CI_TERM_NEIGHBOUR] += one;
    } else {
        ci_batch_norm_close(cols, step->n_node, sum, at->mean, at->rstd, NULL, NULL);
    }
done:
    return rc;
}

void ci_cuts_running(const ci_model *m, const ci_cuts *c, const ci_model_step *step, float *state)
{
    for (ci_lid k = 0; k < m->n_cut[0]; k++) {
        const struct closed *at = &c->at[0][k];
        const ci_lid cols = cols_at(m, 0, k);
        float *run = state + m->record[m->cut[0][k].record].state;
        if (!is_gaussian(m, 0, k)) ci_batch_norm_close(cols, step->n_node, at->sum, at->mean, at->rstd, run, run + cols);
    }
}
