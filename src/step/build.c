/* Blocks of rows become runs of graphs, each at the place that scan counted out for it. */
#include "build_priv.h"
#include <stdio.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/log.h"
#include "ci/signal.h"
#include "ci/table.h"
#include "ci/tick.h"
#include "ci/window.h"

/* Where a rank is: first what it takes over, then its blocks, the one in memory and the next window of it. */
struct work {
    const ci_comm *comm;
    const ci_conf *conf;
    const ci_plan *plan;
    struct reuse reuse;
    ci_store_writer *store;
    bool frames;                 /* the store keeps frames, not graphs */
    ci_contract contract;
    ci_loader *loader;
    ci_builder *builder;
    ci_table table;
    ci_graphs graphs;
    int32_t block, end;          /* the next block to load, behind the last */
    int32_t capture;             /* in the store, of the block in memory */
    int64_t window, last_window; /* of its capture: the next one, behind the last */
    int64_t graph, node, edge;   /* in the store: where the next run goes */
    int32_t taken;               /* capture of the plan that is being taken over */
    int64_t take, last_take;     /* of the graphs taken over, one capture after the other: the next, behind the last */
    int64_t take_first;          /* of these, the first of `taken` */
    int64_t limit, looked;       /* of memory; graphs put when it was last looked at */
    bool tight;                  /* it was said that memory is */
    int64_t done, share;         /* graphs put and blocks read; of so many */
};

/* Does a window that starts before the block need rows of it, or the row that begins before it and ends in it? */
static bool reached(const ci_plan *p, const ci_block *b)
{
    const int64_t last = CI_MIN(ci_window_at(b->first_row, p->stride), p->capture[b->capture].count.graphs) - 1;

    return last >= 0 && last * p->stride + p->rows >= b->first_row;
}

/* Rows behind a block are those that scan read only where the block they are in is loaded, and so compared, too. */
static bool used(const struct work *w, int32_t block)
{
    const ci_block *b = &w->plan->block[block];

    return !w->reuse.skip[b->capture] && (b->graphs > 0 || w->frames || reached(w->plan, b));
}

/* What a rank takes at most, as its settings have it: before anything is taken. */
static ci_rc memory_start(struct work *w)
{
    const ci_plan *p = w->plan;
    const ci_feature_set *set = ci_feature_set_of(w->conf->features.set, w->conf->features.past);
    const int64_t chunk = w->conf->store.chunk, F = set ? set->n_node : 0, K = set ? set->n_edge : 0, H = set ? set->n_window : 0;
    const int64_t node = 4 * (1 + F) + 2 * F, edge = 4 * (2 + K) + (H > 0); /* a node's features in half precision, too: no stored form takes more */
    int64_t rows = 0;

    for (int32_t b = 0; b < p->n_block; b++) rows = CI_MAX(rows, p->block[b].rows);
    w->limit = guard_limit(w->comm, w->conf);
    return guard_start(w->limit, (rows + p->rows) * 22 * 3 / 2, chunk * (p->rows * (node + edge) + 4 * H), CI_STORE_BUFFERS);
}

/* When memory becomes scarce, what is buffered goes to the disk now. */
static ci_rc memory_look(struct work *w)
{
    ci_rc rc = CI_OK;

    w->looked = w->done;
    if (!guard_tight(w->limit)) goto done;
    if (!w->tight) ci_log(CI_INFO, "memory: more than 80 %% of %.1f MiB are taken: buffers go to the disk early", (double)w->limit / (1 << 20));
    w->tight = true;
    CI_TRY(ci_store_flush(w->store, true));
    CI_TRY(guard_hold(w->limit));
done:
    return rc;
}

static ci_rc work_init(struct work *w, const ci_store_head *head)
{
    ci_rc rc = CI_OK;
    const ci_plan *p = w->plan;
    const ci_feature_set *set = ci_feature_set_of(w->conf->features.set, w->conf->features.past);
    const ci_lid chunk = (ci_lid)w->conf->store.chunk;

    if (!set) CI_FAIL(CI_ECONF, "features.set: \"%s\" is unknown", w->conf->features.set);
    CI_TRY(ci_builder_create(set, p->frames, strcmp(w->conf->features.compat, "reference") == 0, &w->builder));
    ci_builder_number(w->builder, head->id, head->vocab, head->n_id);
    CI_TRY(ci_graphs_init(&w->graphs, set, chunk, p->rows, ci_builder_edges(w->builder)));
    CI_TRY(ci_contract_read(w->conf, &w->contract));
    CI_TRY(ci_loader_create(&w->contract, &w->loader));
    w->block = ci_plan_part_but(p, w->reuse.skip, w->comm->rank, w->comm->size);
    w->end = ci_plan_part_but(p, w->reuse.skip, w->comm->rank + 1, w->comm->size);
    w->take = ci_part(w->reuse.graphs, w->comm->rank, w->comm->size);
    w->last_take = ci_part(w->reuse.graphs, w->comm->rank + 1, w->comm->size);
    w->share = w->last_take - w->take;
    for (int32_t b = w->block; b < w->end; b++) w->share += used(w, b) ? p->block[b].graphs + 1 : 0;
done:
    return rc;
}

static void work_release(struct work *w)
{
    ci_store_abandon(&w->store);
    ci_loader_destroy(&w->loader);
    ci_builder_destroy(&w->builder);
    ci_table_release(&w->table);
    ci_graphs_release(&w->graphs);
    reuse_release(&w->reuse);
}

/* Load the next block that has windows, frames to keep, or rows to compare; false when none is left. */
static ci_rc block_next(struct work *w, bool *out_some)
{
    ci_rc rc = CI_OK;
    const ci_plan *p = w->plan;
    const ci_block *b;

    *out_some = w->window < w->last_window;
    if (*out_some) goto done;
    while (w->block < w->end && !used(w, w->block)) w->block++;
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

static ci_rc chunk_put(struct work *w)
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
    if (!w->frames) CI_TRY(ci_graphs_check(&w->graphs)); /* an outline has no nodes and edges to check */
    CI_TRY(ci_store_put(w->store, w->capture, w->graph, w->node, w->edge, &w->graphs));
    w->graph += w->graphs.n_graph;
    w->node += w->graphs.n_node;
    w->edge += w->graphs.n_edge;
    w->done += w->graphs.n_graph;
done:
    return rc;
}

/* A run of graphs of the next capture that is taken over. */
static ci_rc chunk_take(struct work *w)
{
    ci_rc rc = CI_OK;
    const ci_store *from = w->reuse.from;
    const ci_capture *c = &w->plan->capture[w->taken];
    int64_t at, first, n;

    while (w->reuse.was[w->taken] < 0 || w->take >= w->take_first + c->count.graphs) {
        if (w->reuse.was[w->taken] >= 0) w->take_first += c->count.graphs;
        c = &w->plan->capture[++w->taken];
    }
    at = w->take - w->take_first;
    n = CI_MIN(CI_MIN(w->last_take - w->take, c->count.graphs - at), w->conf->store.chunk);
    first = from->head.capture[w->reuse.was[w->taken]].first_graph;
    CI_TRY(ci_store_copy(w->store, first + at, n, w->reuse.number[w->taken], c->first_graph + at,
                         c->first_node + from->graph_node[first + at] - from->graph_node[first],
                         c->first_edge + from->graph_edge[first + at] - from->graph_edge[first]));
    w->take += n;
    w->done += n;
done:
    return rc;
}

/* Up to store.flush graphs, or the rest. */
static ci_rc round_do(struct work *w)
{
    ci_rc rc = CI_OK;
    const int64_t until = CI_MIN(w->share, w->done + w->conf->store.flush);

    while (w->done < until) {
        CI_TRY(w->take < w->last_take ? chunk_take(w) : chunk_put(w));
        ci_tick();
        if (w->done - w->looked >= 4096) CI_TRY(memory_look(w));
    }
    CI_TRY(ci_store_flush(w->store, false));
    CI_TRY(memory_look(w));
done:
    return rc;
}

/* Ranks agree after every round, and go round as often as the busiest. */
static ci_rc rounds_do(struct work *w)
{
    ci_rc rc = CI_OK;
    const double begun = ci_now_s();
    ci_heartbeat heart = {begun, 0};
    int64_t left, all[2] = {1, 0}; /* somebody has work left; a signal came */

    while (all[0]) {
        CI_TRY_ALL(w->comm, "build.chunk", round_do(w));
        left = all[0] = w->done < w->share;
        all[1] = ci_signal_seen();
        CI_TRY(ci_comm_max_i64(w->comm, "build.round", all, 2));
        if (all[1]) CI_FAIL(CI_ETEMP, "stopped by signal %d while building; the same command builds again", (int)all[1]);
        if (left && ci_heartbeat_due(&heart, (double)w->done, (double)w->share) && ci_now_s() - begun > 2)
            ci_log(CI_INFO, "%lld %% of the graphs of rank 0", (long long)(100 * w->done / w->share));
    }
done:
    return rc;
}

/* Rank 0 knows whether the previous store was made by reading captures as now. */
static ci_rc reuse_agree(const ci_comm *comm, const ci_conf *conf, const ci_plan *p, const ci_store_head *h,
                         const ci_store *previous, const char *previous_sha, struct reuse *out)
{
    ci_rc rc = CI_OK;
    int64_t good = previous && comm->rank == 0 ? reuse_reads_same(conf, previous_sha) : 0;

    CI_TRY(ci_comm_max_i64(comm, "build.reuse.reading", &good, 1));
    if (previous && !good)
        ci_log(CI_INFO, "build.json does not say that the previous store was read with this data.format and contract: nothing of it is used");
    CI_TRY_ALL(comm, "build.reuse.find", reuse_find(p, h, good ? previous : NULL, out));
done:
    return rc;
}

ci_rc ci_build(const ci_comm *comm, const ci_conf *conf, const ci_plan *p, const ci_store *previous, const char *previous_sha,
               char out_sha[CI_SHA256_HEX])
{
    ci_rc rc = CI_OK;
    struct work w = {.comm = comm, .conf = conf, .plan = p};
    ci_store_head head = {0};
    char path[CI_PATH_MAX] = "";
    const double begun = ci_now_s();

    CI_TRY_ALL(comm, "build.path", ci_path_join(path, conf->run.dir, "store.h5"));
    CI_TRY_ALL(comm, "build.head", ci_build_head(p, conf, &head));
    CI_TRY(reuse_agree(comm, conf, p, &head, previous, previous_sha, &w.reuse));
    w.frames = head.layout == CI_MESSAGES;
    CI_TRY_ALL(comm, "build.memory", memory_start(&w));
    CI_TRY_ALL(comm, "build.init", work_init(&w, &head));
    CI_TRY(ci_store_create(comm, path, &head, &w.store));
    CI_TRY_ALL(comm, "build.reuse", w.reuse.from ? ci_store_reuse(w.store, w.reuse.from) : CI_OK);
    CI_TRY(rounds_do(&w));
    CI_TRY(ci_store_commit(&w.store, out_sha));
    CI_TRY_ALL(comm, "build.record", comm->rank == 0 ? reuse_record(conf, &w.reuse, &head, out_sha) : CI_OK);
    ci_log(CI_INFO, "%lld graphs, %lld nodes, %lld edges in %.2f s: %s", (long long)head.n_graph, (long long)head.n_node,
           (long long)head.n_edge, ci_now_s() - begun, path);
done:
    work_release(&w);
    ci_store_head_release(&head);
    return rc;
}
