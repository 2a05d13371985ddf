/** When tensors live, and where: buffers whose lives do not meet share memory. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include "model_priv.h"

void ci_life_reach(struct life *l, ci_lid step)
{
    l->first = CI_MIN(l->first, step);
    l->last = CI_MAX(l->last, step);
}

void ci_model_live(ci_model *m)
{
    const ci_lid R = m->n_record;
    for (ci_lid t = 0; t < m->n_tensor; t++) m->tensor[t].value = m->tensor[t].grad = (struct life){2 * R, -1};
    for (ci_lid k = R - 1; k >= 0; k--) {
        struct record *r = &m->record[k];
        const ci_lid back = 2 * R - 1 - k;
        for (ci_lid j = 0; j < r->n_in; j++) {
            struct tensor *t = &m->tensor[r->in[j]];
            r->add[j] = t->grad.last >= 0; /* a later record has written it: backward went there first */
            ci_life_reach(&t->value, k);
            ci_life_reach(&t->grad, back);
            if (!ci_model_kinds[r->kind].blind) ci_life_reach(&t->value, back);
        }
        if (r->out != NONE) {
            ci_life_reach(&m->tensor[r->out].value, k);
            ci_life_reach(&m->tensor[r->out].grad, back);
            if (r->kind == POOL_MAX) ci_life_reach(&m->tensor[r->out].value, back);
        }
        for (int j = 0; j < AUX_OF && r->aux[j] != NONE; j++) {
            ci_life_reach(&m->tensor[r->aux[j]].value, k);
            ci_life_reach(&m->tensor[r->aux[j]].value, back);
            ci_life_reach(&m->tensor[r->aux[j]].grad, back);
        }
    }
    for (ci_lid t = 0; t < m->n_tensor; t++)
        if (m->tensor[t].kept) ci_life_reach(&m->tensor[t].value, R);
    if (m->edge != NONE) ci_life_reach(&m->tensor[m->edge].value, 2 * R); /* convolutions read it both ways */
}

ci_lid ci_model_rows(enum rows rows, ci_lid n_graph, ci_lid n_node, ci_lid n_edge, ci_lid n_raw)
{
    switch (rows) {
    case PER_GRAPH: return n_graph;
    case PER_NODE: return n_node;
    case PER_EDGE: return n_edge;
    default: return n_raw;
    }
}

static int meet(struct life a, struct life b) { return a.first <= b.last && b.first <= a.last; }

/** The lowest place that is free while b lives; placed buffers are the first n. */
static size_t place(const struct buffer *all, ci_lid n, const struct buffer *b)
{
    size_t at = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (ci_lid k = 0; k < n; k++)
            if (meet(all[k].life, b->life) && at < all[k].at + all[k].size && all[k].at < at + b->size) {
                at = all[k].at + all[k].size;
                moved = true;
            }
    }
    return at;
}

size_t ci_buffers_place(struct buffer *all, ci_lid n)
{
    size_t total = 0;
    for (ci_lid k = 0; k < n; k++) {
        all[k].at = all[k].size ? place(all, k, &all[k]) : 0;
        total = CI_MAX(total, all[k].at + all[k].size);
    }
    return total;
}

/** Places for value (2t) and gradient (2t + 1) of each tensor t.  \return floats in all */
static size_t layout(const ci_model *m, const ci_scratch *s, struct buffer *all)
{
    for (ci_lid k = 0; k < 2 * m->n_tensor; k++) {
        const struct tensor *t = &m->tensor[k / 2];
        const size_t rows = (size_t)ci_model_rows(t->rows, s->max_graph, s->max_node, s->max_edge, s->max_raw);
        struct buffer *b = &all[k];
        b->life = k % 2 ? t->grad : t->value;
        b->size = (rows * (size_t)(k % 2 ? t->grad_cols : t->cols) + 15) & ~(size_t)15; /* lines of 64 bytes */
    }
    return ci_buffers_place(all, 2 * m->n_tensor);
}

/** Floats that the kinds compute in, and ci_affinity in judging graphs: the most that one of them wants. */
static size_t work_floats(const ci_model *m, const ci_scratch *s)
{
    size_t most = 0;
    for (ci_lid k = 0; k < m->n_record; k++) {
        const struct kind_of *kind = &ci_model_kinds[m->record[k].kind];
        const size_t wanted = kind->work ? kind->work(m, &m->record[k], s->max_graph, s->max_node, s->max_edge, s->max_raw) : 0;
        most = CI_MAX(most, wanted);
    }
    return m->dim.kind == CI_VGAE ? CI_MAX(most, 3 * (size_t)s->max_node) : most; /* ci_affinity, of a graph */
}

static size_t block_floats(const ci_model *m)
{
    size_t most = 0;
    for (ci_lid k = 0; k < m->n_record; k++)
        if (m->record[k].kind == GATV2 || m->record[k].kind == TRANSFORMER)
            most = CI_MAX(most, (size_t)CI_GATV2_BLOCK * (size_t)m->record[k].H * (size_t)m->record[k].C);
    return most;
}

/** Twice the same: first on an arena without memory, which counts. */
static void take(const ci_model *m, ci_scratch *s)
{
    struct buffer all[BUFFER_MAX];
    const size_t total = layout(m, s, all), N = (size_t)s->max_node, R = (size_t)s->max_raw;
    float *const base = ci_arena_take(&s->arena, total, sizeof *base);
    s->block = ci_arena_take(&s->arena, block_floats(m), sizeof *s->block);
    s->work = ci_arena_take(&s->arena, work_floats(m, s), sizeof *s->work);
    s->row = ci_arena_take(&s->arena, CI_MAX(N, R), sizeof *s->row);
    s->scale = ci_arena_take(&s->arena, N, sizeof *s->scale);
    s->id = ci_arena_take(&s->arena, N, sizeof *s->id);
    s->hidden = ci_arena_take(&s->arena, N, sizeof *s->hidden);
    s->near_first = ci_arena_take(&s->arena, N + 1, sizeof *s->near_first);
    s->near = ci_arena_take(&s->arena, R, sizeof *s->near);
    for (int back = 0; back < 2; back++)
        for (ci_lid k = 0; k < m->n_cut[back]; k++)
            s->sum[back][k] = ci_arena_take(&s->arena, (size_t)m->cut[back][k].n, sizeof *s->sum[back][k]);
    if (!s->arena.base) return;
    assert(base && s->near);
    for (ci_lid t = 0; t < m->n_tensor; t++) {
        s->value[t] = base + all[2 * t].at;
        s->grad[t] = base + all[2 * t + 1].at;
    }
}

size_t ci_scratch_bytes(const ci_model *m, ci_lid max_graph, ci_lid max_node, ci_lid max_edge, ci_lid max_raw)
{
    ci_scratch s = {.max_graph = max_graph, .max_node = max_node, .max_edge = max_edge, .max_raw = max_raw};
    take(m, &s);
    return s.arena.used;
}

ci_rc ci_scratch_create(const ci_model *m, ci_lid max_graph, ci_lid max_node, ci_lid max_edge, ci_lid max_raw,
                        ci_scratch **out)
{
    ci_rc rc = CI_OK;
    ci_scratch *s = ci_new(1, sizeof *s);

    *out = NULL;
    if (!s) CI_FAIL(CI_ENOMEM, "model: scratch");
    s->max_graph = max_graph;
    s->max_node = max_node;
    s->max_edge = max_edge;
    s->max_raw = max_raw;
    s->n_graph = NONE;
    take(m, s);
    const size_t bytes = s->arena.used;
    s->arena = (ci_arena){0};
    CI_TRY(ci_arena_init(&s->arena, bytes));
    take(m, s);
    *out = s;
    s = NULL;
done:
    ci_scratch_destroy(&s);
    return rc;
}

void ci_scratch_destroy(ci_scratch **s)
{
    if (!s || !*s) return;
    ci_arena_release(&(*s)->arena);
    free(*s);
    *s = NULL;
}

char *ci_model_plan(const ci_model *m, ci_lid max_graph, ci_lid max_node, ci_lid max_edge, ci_lid max_raw)
{
    static const char *const unit[] = {"graphs", "nodes", "edges", "frames' edges"};
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f) return NULL;
    for (ci_lid k = 0; k < m->n_record; k++) {
        const struct record *r = &m->record[k];
        fprintf(f, "%-14s", ci_model_kinds[r->kind].name);
        for (ci_lid j = 0; j < r->n_in; j++) fprintf(f, " %s", m->tensor[r->in[j]].name);
        if (r->out != NONE) {
            const struct tensor *o = &m->tensor[r->out];
            fprintf(f, " -> %s (%s, %d)", o->name, unit[o->rows], o->cols);
        }
        for (ci_lid j = 0; j < r->n_param; j++) {
            if (r->param[j] == NONE) continue;
            const ci_param *p = &m->param[r->param[j]];
            fprintf(f, "  %s (%d, %d)", p->name, p->rows, p->cols);
        }
        for (int back = 0; back < 2; back++)
            for (ci_lid j = 0; j < m->n_cut[back]; j++)
                if (m->cut[back][j].record == k) fprintf(f, "  (%s cut: %d sums)", back ? "backward" : "forward", m->cut[back][j].n);
        fputc('\n', f);
    }
    fprintf(f, "%lld parameters; %zu bytes of scratch for shards of up to %d graphs, %d nodes, %d edges\n", (long long)m->size,
            ci_scratch_bytes(m, max_graph, max_node, max_edge, max_raw), max_graph, max_node, max_edge);
    if (fclose(f)) {
        free(text);
        return NULL;
    }
    return text;
}
