/* Blocks of rows become runs of graphs, each at the place that scan counted out for it. */
#include "build_priv.h"
#include <stdio.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/log.h"
#include "ci/signal.h"
#include "ci/tick.h"

/* What a rank takes at most, as its settings have it: before anything is taken. */
static ci_rc memory_start(struct work *w)
{
    const ci_plan *p = w->plan;
    const int64_t chunk = w->conf->store.chunk, F = w->set ? w->set->n_node : 0, K = w->set ? w->set->n_edge : 0, H = w->set ? w->set->n_window : 0;
    const int64_t node = 4 * (1 + F) + 2 * F, edge = 4 * (2 + K) + (H > 0); /* a node's features in half precision, too: no stored form takes more */
    int64_t rows = 0;

    for (int32_t b = 0; b < p->n_block; b++) rows = CI_MAX(rows, p->block[b].rows);
    if (w->set && w->set->stream) rows += p->stride;
    w->limit = guard_limit(w->comm, w->conf);
    return guard_start(w->limit, (rows + p->rows) * 22 * 3 / 2, chunk * (p->rows * (node + edge) + 4 * H),
                       CI_STORE_BUFFERS + (w->set && w->set->stream ? stream_memory(w) : 0));
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

    if (!w->set) CI_FAIL(CI_ECONF, "features.set: \"%s\" is unknown", w->conf->features.set);
    CI_TRY(w->set->stream ? stream_init(w, head) : window_init(w, head));
    CI_TRY(ci_graphs_init(&w->graphs, w->set, (ci_lid)w->conf->store.chunk, p->rows, ci_feature_edges(w->set, p->frames, head->compat)));
    CI_TRY(ci_contract_read(w->conf, &w->contract));
    CI_TRY(ci_loader_create(&w->contract, &w->loader));
    w->block = w->first = build_part(w, w->comm->rank);
    w->end = build_part(w, w->comm->rank + 1);
    w->take = ci_part(w->reuse.graphs, w->comm->rank, w->comm->size);
    w->last_take = ci_part(w->reuse.graphs, w->comm->rank + 1, w->comm->size);
    w->share = w->last_take - w->take;
    for (int32_t b = w->block; b < w->end; b++)
        w->share += (w->set->stream ? stream_used : window_used)(w, b) ? p->block[b].graphs + 1 : 0;
done:
    return rc;
}

static void work_release(struct work *w)
{
    ci_store_abandon(&w->store);
    ci_loader_destroy(&w->loader);
    ci_builder_destroy(&w->builder);
    stream_release(w);
    ci_table_release(&w->table);
    ci_graphs_release(&w->graphs);
    reuse_release(&w->reuse);
}

ci_rc graphs_put(struct work *w)
{
    ci_rc rc = CI_OK;

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
        CI_TRY(w->take < w->last_take ? chunk_take(w) : w->set->stream ? stream_put(w) : window_put(w));
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
    int64_t good = previous && comm->rank == 0 ? reuse_reads_same(conf, h, previous_sha) : 0;

    CI_TRY(ci_comm_max_i64(comm, "build.reuse.reading", &good, 1));
    if (previous && !good)
        ci_log(CI_INFO, "build.json does not say that the previous store was read with this data.format and contract: nothing of it is used");
    CI_TRY_ALL(comm, "build.reuse.find", reuse_find(conf, p, h, good ? previous : NULL, out));
done:
    return rc;
}

ci_rc ci_build(const ci_comm *comm, const ci_conf *conf, const ci_plan *p, const ci_store *previous, const char *previous_sha,
               char out_sha[CI_SHA256_HEX])
{
    ci_rc rc = CI_OK;
    struct work w = {.comm = comm, .conf = conf, .plan = p, .set = ci_feature_set_of(conf->features.set, conf->features.past)};
    ci_store_head head = {0};
    char path[CI_PATH_MAX] = "";
    const double begun = ci_now_s();

    CI_TRY_ALL(comm, "build.path", ci_path_join(path, conf->run.dir, "store.h5"));
    CI_TRY_ALL(comm, "build.head", ci_build_head(p, conf, &head));
    CI_TRY(reuse_agree(comm, conf, p, &head, previous, previous_sha, &w.reuse));
    w.frames = head.layout == CI_MESSAGES;
    CI_TRY_ALL(comm, "build.memory", memory_start(&w));
    CI_TRY_ALL(comm, "build.init", work_init(&w, &head));
    if (w.set->stream) CI_TRY(stream_before(&w));
    CI_TRY(ci_store_create(comm, path, &head, &w.store));
    CI_TRY_ALL(comm, "build.reuse", w.reuse.from ? ci_store_reuse(w.store, w.reuse.from) : CI_OK);
    CI_TRY(rounds_do(&w));
    if (w.set->stream) CI_TRY(stream_told(&w));
    CI_TRY(ci_store_commit(&w.store, out_sha));
    CI_TRY_ALL(comm, "build.record", comm->rank == 0 ? reuse_record(conf, &w.reuse, &head, w.set->stream ? w.stream.dropped : -1, out_sha) : CI_OK);
    ci_log(CI_INFO, "%lld graphs, %lld nodes, %lld edges in %.2f s: %s", (long long)head.n_graph, (long long)head.n_node,
           (long long)head.n_edge, ci_now_s() - begun, path);
done:
    work_release(&w);
    ci_store_head_release(&head);
    return rc;
}
