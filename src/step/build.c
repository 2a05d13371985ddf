/* Blocks of rows become runs of graphs, each at the place that scan counted out for it. */
#include "ci/build.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/log.h"
#include "ci/signal.h"
#include "ci/table.h"
#include "ci/tick.h"
#include "ci/vocab.h"
#include "ci/window.h"

/* Where a rank is in its blocks: the block in memory and the next window of it. */
struct work {
    const ci_comm *comm;
    const ci_conf *conf;
    const ci_plan *plan;
    ci_store_writer *store;
    ci_contract contract;
    ci_loader *loader;
    ci_builder *builder;
    ci_table table;
    ci_graphs graphs;
    int32_t block, end;          /* the next block to load, behind the last */
    int32_t capture;             /* in the store, of the block in memory */
    int64_t window, last_window; /* of its capture: the next one, behind the last */
    int64_t graph, node, edge;   /* in the store: where the next run goes */
    int64_t done;                /* graphs built */
};

static bool used(const ci_plan *p, int32_t block)
{
    return p->capture[p->block[block].capture].same_as < 0 && p->block[block].graphs > 0;
}

/* Captures of the store are the used ones: their number is what is left when the others go. */
static int32_t stored_number(const ci_plan *p, int32_t capture)
{
    int32_t n = 0;

    for (int32_t i = 0; i < capture; i++) n += p->capture[i].same_as < 0;
    return n;
}

static ci_rc ids_fill(const ci_plan *p, ci_store_head *h)
{
    ci_rc rc = CI_OK;
    ci_vocab *v = NULL;

    CI_TRY(ci_vocab_of(p->vocab, p->n_vocab, &v));
    h->id = ci_new((size_t)p->n_id, sizeof *h->id);
    h->vocab = ci_new((size_t)p->n_id, sizeof *h->vocab);
    if (!h->id || !h->vocab) CI_FAIL(CI_ENOMEM, "%d identifiers", p->n_id);
    h->n_id = p->n_id;
    h->n_vocab = p->n_vocab;
    for (int32_t i = 0; i < p->n_id; i++) {
        h->id[i] = p->id[i];
        h->vocab[i] = ci_vocab_index(v, p->id[i]);
    }
done:
    ci_vocab_destroy(&v);
    return rc;
}

static ci_rc captures_fill(const ci_plan *p, ci_store_head *h)
{
    ci_rc rc = CI_OK;

    h->folder = ci_new((size_t)p->n_folder, sizeof *h->folder);
    h->capture = ci_new((size_t)p->n_capture, sizeof *h->capture);
    if (!h->folder || !h->capture) CI_FAIL(CI_ENOMEM, "%d captures", p->n_capture);
    h->n_folder = p->n_folder;
    for (int32_t i = 0; i < p->n_folder; i++) {
        snprintf(h->folder[i].name, CI_STORE_TEXT, "%s", p->folder[i].name);
        h->folder[i].role = p->folder[i].role;
    }
    for (int32_t i = 0; i < p->n_capture; i++) {
        const ci_capture *c = &p->capture[i];
        ci_store_capture *s = &h->capture[h->n_capture];
        if (c->same_as >= 0) continue;
        if (c->count.graphs != ci_window_count(c->count.rows, p->frames, p->stride))
            CI_FAIL(CI_EINTERNAL, "%s: %lld windows counted in %lld rows", c->path, (long long)c->count.graphs,
                    (long long)c->count.rows);
        snprintf(s->path, CI_STORE_TEXT, "%s", c->path);
        ci_xxh_hex(c->hash, s->hash);
        s->folder = c->folder;
        s->attack = c->attack_type;
        s->rows = c->count.rows;
        s->first_graph = c->first_graph;
        s->n_graph = c->count.graphs;
        h->n_capture++;
    }
done:
    return rc;
}

ci_rc ci_build_head(const ci_plan *p, const ci_conf *conf, ci_store_head *out)
{
    ci_rc rc = CI_OK;
    ci_store_head h = {.frames = p->frames, .stride = p->stride, .n_graph = p->graphs, .n_node = p->nodes};

    if (p->graphs == 0)
        CI_FAIL(CI_ECONF, "window.frames: no capture has %d frames: no graph can be built", p->frames);
    snprintf(h.set, sizeof h.set, "%.31s", conf->features.set);
    h.simulated = p->simulated;
    h.compat = strcmp(conf->features.compat, "reference") == 0;
    h.n_edge = h.n_graph * (h.frames - (h.compat ? 2 : 1));
    ci_plan_digest(p, h.source);
    CI_TRY(captures_fill(p, &h));
    CI_TRY(ids_fill(p, &h));
    *out = h;
    h = (ci_store_head){0};
done:
    ci_store_head_release(&h);
    return rc;
}

static ci_rc work_init(struct work *w)
{
    ci_rc rc = CI_OK;
    const ci_plan *p = w->plan;
    const ci_feature_set *set = ci_feature_set_find(w->conf->features.set);
    const ci_lid chunk = (ci_lid)w->conf->store.chunk;

    if (!set) CI_FAIL(CI_ECONF, "features.set: \"%s\" is unknown", w->conf->features.set);
    CI_TRY(ci_builder_create(set, p->frames, strcmp(w->conf->features.compat, "reference") == 0, &w->builder));
    CI_TRY(ci_graphs_init(&w->graphs, set, chunk, p->frames, ci_builder_edges(w->builder)));
    CI_TRY(ci_contract_read(w->conf, &w->contract));
    CI_TRY(ci_loader_create(&w->contract, &w->loader));
    w->block = ci_plan_part(p, w->comm->rank, w->comm->size);
    w->end = ci_plan_part(p, w->comm->rank + 1, w->comm->size);
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
}

/* Runs of graphs this rank will put: all ranks go round the loop as often as the busiest. */
static int64_t chunks(const struct work *w)
{
    const int64_t chunk = w->conf->store.chunk;
    int64_t n = 0;

    for (int32_t b = w->block; b < w->end; b++)
        if (used(w->plan, b)) n += (w->plan->block[b].graphs + chunk - 1) / chunk;
    return n;
}

/* Load the next block that has windows; false when none is left. */
static ci_rc block_next(struct work *w, bool *out_some)
{
    ci_rc rc = CI_OK;
    const ci_plan *p = w->plan;
    const ci_block *b;

    *out_some = w->window < w->last_window;
    if (*out_some) goto done;
    while (w->block < w->end && !used(p, w->block)) w->block++;
    if (w->block == w->end) goto done;
    b = &p->block[w->block];
    CI_TRY(ci_table_load(w->loader, p, w->block, p->frames - 1, &w->table));
    w->window = ci_window_at(b->first_row, p->stride);
    w->last_window = w->window + b->graphs;
    w->graph = b->first_graph;
    w->node = b->first_node;
    w->edge = b->first_graph * ci_builder_edges(w->builder);
    w->capture = stored_number(p, b->capture);
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
    if (!some) goto done;
    ci_graphs_clear(&w->graphs);
    while (w->window < w->last_window && w->graphs.n_graph < w->graphs.cap_graph) {
        const int64_t row = w->window * w->plan->stride - w->table.first_row;
        if (row + w->plan->frames > w->table.n)
            CI_FAIL(CI_EDATA, "%s changed since it was scanned: window at row %lld is cut off; scan again",
                    w->plan->capture[w->plan->block[w->block - 1].capture].path, (long long)(row + w->table.first_row));
        CI_TRY(ci_window_build(w->builder, &w->table, (ci_lid)row, &w->graphs));
        w->window++;
    }
    ci_tick();
    CI_TRY(ci_store_put(w->store, w->capture, w->graph, w->node, w->edge, &w->graphs));
    w->graph += w->graphs.n_graph;
    w->node += w->graphs.n_node;
    w->edge += w->graphs.n_edge;
    w->done += w->graphs.n_graph;
done:
    return rc;
}

ci_rc ci_build(const ci_comm *comm, const ci_conf *conf, const ci_plan *p,
               char out_sha[CI_SHA256_HEX])
{
    ci_rc rc = CI_OK;
    struct work w = {.comm = comm, .conf = conf, .plan = p};
    ci_store_head head = {0};
    char path[CI_PATH_MAX] = "";
    const double begun = ci_now_s();
    ci_heartbeat heart = {begun, 0};
    int64_t most[1], stop[1];

    CI_TRY_ALL(comm, "build.path", ci_path_join(path, conf->run.dir, "store.h5"));
    CI_TRY_ALL(comm, "build.head", ci_build_head(p, conf, &head));
    CI_TRY_ALL(comm, "build.init", work_init(&w));
    CI_TRY(ci_store_create(comm, path, &head, &w.store));
    most[0] = chunks(&w);
    CI_TRY(ci_comm_max_i64(comm, "build.rounds", most, 1));
    for (int64_t i = 0; i < most[0]; i++) {
        CI_TRY_ALL(comm, "build.chunk", chunk_put(&w));
        if (i % 16 == 15) {
            stop[0] = ci_signal_seen();
            CI_TRY(ci_comm_max_i64(comm, "build.signal", stop, 1));
            if (stop[0]) CI_FAIL(CI_ETEMP, "stopped by signal %d while building; the same command builds again", (int)stop[0]);
        }
        if (ci_heartbeat_due(&heart, (double)(i + 1), (double)most[0]) && ci_now_s() - begun > 2)
            ci_log(CI_INFO, "round %lld of %lld, %lld graphs by rank 0", (long long)i + 1, (long long)most[0], (long long)w.done);
    }
    CI_TRY(ci_store_commit(&w.store, out_sha));
    ci_log(CI_INFO, "%lld graphs, %lld nodes, %lld edges in %.2f s: %s", (long long)head.n_graph, (long long)head.n_node,
           (long long)head.n_edge, ci_now_s() - begun, path);
done:
    work_release(&w);
    ci_store_head_release(&head);
    return rc;
}
