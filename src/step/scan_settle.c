/* What the ranks found of their blocks becomes one plan. */
#include <stdlib.h>
#include <string.h>

#include "ci/arena.h"
#include "scan_priv.h"

/* The contract leaves rows out, and a file may have lines that are none: a block of such a capture
 * does not begin with the row that its lines promised.  Rows of a block do not depend on where it
 * begins, so that once all are counted, one more pass over those blocks is enough. */
static void blocks_number(ci_scan_state *s, const int64_t *rows, bool *again)
{
    ci_plan *p = &s->plan;

    for (int32_t i = 0; i < p->n_capture; i++) {
        const ci_capture *c = &p->capture[i];
        int64_t row = 0;
        for (int32_t b = c->first_block; b < c->first_block + c->n_block; b++) {
            if (b >= s->first && b < s->end)
                again[b - s->first] = row != p->block[b].first_row && rows[b] > 0;
            p->block[b].first_row = row;
            p->block[b].rows = rows[b];
            row += rows[b];
        }
    }
}

static ci_rc blocks_again(ci_scan_state *s, const bool *again)
{
    ci_rc rc = CI_OK;
    ci_loader *loader = NULL;
    ci_builder *builder = NULL;
    ci_table t = {0};
    ci_rejects known = {0};
    char path[CI_PATH_MAX];

    CI_TRY(ci_loader_create(&s->contract, &loader));
    CI_TRY(ci_scan_builder(s, &builder));
    for (int32_t b = s->first; b < s->end; b++) {
        ci_block_found *f = &s->found[b - s->first], now = *f;
        if (!again[b - s->first]) continue;
        CI_TRY(ci_scan_interrupted());
        CI_TRY(ci_scan_block(s, loader, builder, b, &t, &known, &now));
        if (now.count.rows != f->count.rows || now.hash.lo != f->hash.lo || now.hash.hi != f->hash.hi) {
            CI_TRY(ci_plan_path(&s->plan, s->plan.block[b].capture, path));
            CI_FAIL(CI_EIO, "%s changed while it was scanned", path);
        }
        *f = now;
    }
done:
    ci_rejects_release(&known);
    ci_loader_destroy(&loader);
    ci_builder_destroy(&builder);
    ci_table_release(&t);
    return rc;
}

static ci_rc rows_settle(ci_scan_state *s)
{
    ci_rc rc = CI_OK;
    int64_t *rows = ci_new((size_t)s->plan.n_block, sizeof *rows);
    bool *again = ci_new((size_t)(s->end - s->first), sizeof *again);

    CI_TRY_ALL(s->comm, "scan.settle.memory", rows && again ? CI_OK : ci_fail(CI_ENOMEM, __FILE__, __LINE__,
               "no memory for %d blocks", s->plan.n_block));
    for (int32_t b = s->first; b < s->end; b++) rows[b] = s->found[b - s->first].count.rows;
    CI_TRY(ci_comm_sum_i64(s->comm, "scan.settle.rows", rows, (size_t)s->plan.n_block));
    blocks_number(s, rows, again);
    CI_TRY_ALL(s->comm, "scan.settle.again", blocks_again(s, again));
done:
    free(rows);
    free(again);
    return rc;
}

/* Everything but the rejects themselves is summed; rank 0 gets those, in order. */
static ci_rc rejects_gather(ci_scan_state *s)
{
    ci_rc rc = CI_OK;
    ci_rejects *r = &s->rejects;
    ci_reject *item = NULL, *first = NULL;
    size_t bytes = 0, n_first = 0;
    int64_t sum[2] = {r->total, r->failing};

    CI_TRY(ci_comm_gather(s->comm, "scan.settle.rejects", r->item, (size_t)r->n * sizeof *item,
                          (void **)&item, &bytes, NULL));
    CI_TRY(ci_comm_allgather(s->comm, "scan.settle.first", &r->first,
                             r->failing > 0 ? sizeof *first : 0, (void **)&first, &n_first, NULL));
    CI_TRY(ci_comm_sum_i64(s->comm, "scan.settle.rejected", sum, 2));
    if (s->comm->rank == 0) {
        free(r->item);
        r->item = item;
        item = NULL;
        r->n = (int32_t)(bytes / sizeof *item); /* cut once all are there */
    }
    r->total = sum[0];
    r->failing = sum[1];
    if (n_first) r->first = first[0];
done:
    free(item);
    free(first);
    return rc;
}

static int by_place(const void *a, const void *b)
{
    const ci_reject *x = a, *y = b;

    if (x->capture != y->capture) return x->capture < y->capture ? -1 : 1;
    return (x->line > y->line) - (x->line < y->line);
}

/* A header, perhaps blank lines and comments, and nothing else: seen when all blocks were. */
static ci_rc no_rows_add(ci_scan_state *s, int32_t capture)
{
    ci_rc rc = CI_OK;
    ci_capture *c = &s->plan.capture[capture];
    const ci_policy policy = (ci_policy)s->contract.policy[CI_KIND_NO_ROWS];
    ci_rejects *r = &s->rejects, one = {0};
    size_t cap = (size_t)r->n;

    if (policy == CI_POLICY_ACCEPT) {
        c->repaired[CI_KIND_NO_ROWS] = 1;
        goto done;
    }
    CI_TRY(ci_rejects_add(&one, policy, capture, 2, c->bytes, "", &(ci_fault){.kind = CI_KIND_NO_ROWS}));
    CI_TRY(ci_grow((void **)&r->item, &cap, (size_t)r->n + 1, sizeof *r->item));
    r->item[r->n++] = one.item[0];
    r->total++;
    if (policy == CI_POLICY_QUARANTINE) {
        c->refused[CI_KIND_NO_ROWS] = 1;
        c->left_out = CI_KIND_NO_ROWS;
    } else if (r->failing++ == 0 || by_place(one.item, &r->first) < 0) {
        r->first = one.item[0];
    }
done:
    ci_rejects_release(&one);
    return rc;
}

static bool nothing(const ci_capture *c)
{
    for (int k = 0; k < CI_KIND_COUNT; k++)
        if (c->refused[k] || (c->repaired[k] && ci_kind_of_file((ci_kind)k))) return false;
    return c->count.rows == 0;
}

/* Counts of a capture, from its blocks; false when some were not scanned. */
static bool capture_sum(ci_capture *c, const ci_block_found *found)
{
    bool whole = true;

    c->count = ci_count_none();
    for (int32_t b = c->first_block; b < c->first_block + c->n_block; b++) {
        const ci_block_found *f = &found[b];
        whole = whole && f->scanned;
        if (f->scanned) ci_count_append(&c->count, &f->count);
        for (int k = 0; k < CI_KIND_COUNT; k++) {
            c->refused[k] += f->refused[k];
            c->repaired[k] += f->repaired[k];
        }
    }
    return whole;
}

/* Number the graphs, nodes and edges of the store. */
static void blocks_place(ci_plan *p, const ci_capture *c, const ci_block_found *found)
{
    for (int32_t b = c->first_block; b < c->first_block + c->n_block; b++) {
        const ci_count *f = &found[b].count;
        p->block[b].graphs = f->graphs;
        p->block[b].nodes = f->nodes;
        p->block[b].edges = f->edges;
        p->block[b].first_graph = p->graphs;
        p->block[b].first_node = p->nodes;
        p->block[b].first_edge = p->edges;
        p->block[b].hash = found[b].hash;
        if (ci_capture_used(c)) p->graphs += f->graphs;
        if (ci_capture_used(c)) p->nodes += f->nodes;
        if (ci_capture_used(c)) p->edges += f->edges;
    }
}

/* Rank 0.  Blocks in order of ranks are blocks in order. */
static ci_rc found_take(ci_scan_state *s, const ci_block_found *found, size_t n)
{
    ci_rc rc = CI_OK;
    ci_plan *p = &s->plan;

    if (n != (size_t)p->n_block)
        CI_FAIL(CI_EINTERNAL, "%zu of %d blocks were counted", n, p->n_block);
    for (int32_t i = 0; i < p->n_capture; i++) {
        ci_capture *c = &p->capture[i];
        c->first_graph = p->graphs;
        c->first_node = p->nodes;
        c->first_edge = p->edges;
        if (capture_sum(c, found) && nothing(c)) CI_TRY(no_rows_add(s, i));
        blocks_place(p, c, found);
        for (int32_t b = c->first_block; b < c->first_block + c->n_block && p->folder[c->folder].role != CI_INJECTED; b++) {
            s->n_line += s->lines[b];
            if (c->left_out) s->n_quarantine += s->lines[b];
        }
        for (int k = 0; k < CI_KIND_COUNT && !c->left_out; k++) s->n_quarantine += c->refused[k];
    }
    if (s->rejects.n) qsort(s->rejects.item, (size_t)s->rejects.n, sizeof *s->rejects.item, by_place);
    s->rejects.n = CI_MIN(s->rejects.n, CI_REJECT_MAX);
done:
    return rc;
}

/* Looks at the parts of captures that ranks had, in order of ranks. */
static ci_rc looks_gather(ci_scan_state *s)
{
    ci_rc rc = CI_OK;
    ci_look *mine = ci_new((size_t)s->plan.n_capture, sizeof *mine), *all = NULL;
    size_t n = 0, bytes = 0;

    CI_TRY_ALL(s->comm, "scan.settle.look", mine ? CI_OK : ci_fail(CI_ENOMEM, __FILE__, __LINE__,
               "no memory for %d captures", s->plan.n_capture));
    for (int32_t i = 0; i < s->plan.n_capture; i++)
        if (s->look[i].rows > 0) mine[n++] = s->look[i];
    CI_TRY(ci_comm_gather(s->comm, "scan.settle.looks", mine, n * sizeof *mine, (void **)&all, &bytes, NULL));
    if (s->comm->rank != 0) goto done;
    for (int32_t i = 0; i < s->plan.n_capture; i++) s->look[i] = ci_look_none(i);
    for (size_t i = 0; i < bytes / sizeof *all; i++) ci_look_append(&s->look[all[i].capture], &all[i]);
    for (int32_t i = 0; i < s->plan.n_capture; i++) {
        ci_look *l = &s->look[i];
        if (l->most_ahead.row >= 0) l->most_ahead.row += s->plan.block[l->most_ahead.block].first_row;
        if (l->most_back.row >= 0) l->most_back.row += s->plan.block[l->most_back.block].first_row;
    }
done:
    free(mine);
    free(all);
    return rc;
}

ci_rc ci_scan_settle(ci_scan_state *s)
{
    ci_rc rc = CI_OK;
    ci_block_found *found = NULL;
    int64_t tell[4];
    size_t bytes = 0;

    CI_TRY(rejects_gather(s));
    if (s->rejects.failing == 0) CI_TRY(rows_settle(s));
    CI_TRY(ci_comm_gather(s->comm, "scan.settle.found", s->found,
                          (size_t)(s->end - s->first) * sizeof *found, (void **)&found, &bytes, NULL));
    CI_TRY_ALL(s->comm, "scan.settle.merge",
               s->comm->rank == 0 ? found_take(s, found, bytes / sizeof *found) : CI_OK);
    CI_TRY(looks_gather(s));
    tell[0] = s->rejects.total;
    tell[1] = s->rejects.failing;
    tell[2] = s->n_line;
    tell[3] = s->n_quarantine;
    CI_TRY(ci_comm_bcast(s->comm, "scan.settle.tell", 0, tell, sizeof tell));
    s->rejects.total = tell[0];
    s->rejects.failing = tell[1];
    s->n_line = tell[2];
    s->n_quarantine = tell[3];
done:
    free(found);
    return rc;
}
