/* Windows that stand alone: a block of rows, behind it those that its last windows need, and graph after graph of it. */
#include <stdio.h>
#include <string.h>
#include "build_priv.h"
#include "ci/tick.h"

/* Does a window that starts before the block need rows of it, or the row that begins before it and ends in it? */
static bool reached(const ci_plan *p, const ci_block *b)
{
    const int64_t last = CI_MIN(ci_window_at(b->first_row, p->stride), p->capture[b->capture].count.graphs) - 1;

    return last >= 0 && last * p->stride + p->rows >= b->first_row;
}

/* Rows behind a block are those that scan read only where the block they are in is loaded, and so compared, too. */
bool window_used(const struct work *w, int32_t block)
{
    const ci_block *b = &w->plan->block[block];

    return !w->reuse.skip[b->capture] && (b->graphs > 0 || w->frames || reached(w->plan, b));
}

/* Load the next block that has windows, frames to keep, or rows to compare; false when none is left. */
static ci_rc block_next(struct work *w, bool *out_some)
{
    ci_rc rc = CI_OK;
    const ci_plan *p = w->plan;
    const ci_block *b;

    *out_some = w->window < w->last_window;
    if (*out_some) goto done;
    while (w->block < w->end && !window_used(w, w->block)) w->block++;
    if (w->block == w->end) goto done;
    b = &p->block[w->block];
    CI_TRY(ci_table_load(w->loader, p, w->block, p->rows - 1, &w->table));
    ci_tick();
    w->window = ci_window_at(b->first_row, p->stride);
    w->last_window = w->window + b->graphs;
    w->graph = b->first_graph;
    w->node = b->first_node;
    w->edge = b->first_edge;
    w->capture = w->reuse.number[b->capture];
    if (w->frames) CI_TRY(ci_store_put_frames(w->store, w->capture, &w->table));
    w->done++;
    w->block++;
    *out_some = true;
done:
    return rc;
}

ci_rc window_init(struct work *w, const ci_store_head *head)
{
    ci_rc rc = CI_OK;

    CI_TRY(ci_builder_create(w->set, w->plan->frames, head->compat, &w->builder));
    ci_builder_number(w->builder, head->id, head->vocab, head->n_id);
done:
    return rc;
}

ci_rc window_put(struct work *w)
{
    ci_rc rc = CI_OK;
    bool some = false;

    CI_TRY(block_next(w, &some));
    if (!some) CI_FAIL(CI_EINTERNAL, "%lld graphs and blocks of %lld are done and no block is left", (long long)w->done, (long long)w->share);
    ci_graphs_clear(&w->graphs);
    while (w->window < w->last_window && w->graphs.n_graph < w->graphs.cap_graph) {
        const int64_t row = w->window * w->plan->stride - w->table.first_row;
        if (row + w->plan->rows > w->table.n)
            CI_FAIL(CI_EDATA, "%s changed since it was scanned: window at row %lld is cut off; scan again",
                    w->plan->capture[w->plan->block[w->block - 1].capture].path, (long long)(row + w->table.first_row));
        CI_TRY((w->frames ? ci_window_outline : ci_window_build)(w->builder, &w->table, (ci_lid)row, &w->graphs));
        w->window++;
    }
    CI_TRY(graphs_put(w));
done:
    return rc;
}
