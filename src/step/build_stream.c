/* Windows against the stream's past: rows are fed in order, block after block, and graphs come in order of windows. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "build_priv.h"
#include "ci/log.h"
#include "ci/tick.h"

/* Does one rank have to read all of it?  A guard judges frames by all that it judged before; windows that overlap, and
 * identifiers beyond those that are kept, are not the sum of their parts. */
static bool whole(const struct work *w, int32_t capture)
{
    const ci_past past = w->stream.past;

    if (past == CI_PAST_NONE) return false;
    if (past == CI_PAST_GUARD || past == CI_PAST_BOTH) return true;
    return w->plan->stride < w->plan->frames || w->plan->capture[capture].n_id > CI_PROFILE_IDS;
}

int32_t build_part(const struct work *w, int32_t rank)
{
    const ci_plan *p = w->plan;
    const int32_t b = ci_plan_part_but(p, w->reuse.skip, rank, w->comm->size);
    const ci_capture *c;
    int64_t end;

    if (!w->set->stream || b >= p->n_block) return b;
    c = &p->capture[p->block[b].capture];
    if (b == c->first_block || !whole(w, p->block[b].capture)) return b;
    end = p->block[c->first_block + c->n_block - 1].offset + p->block[c->first_block + c->n_block - 1].bytes;
    return p->block[b].offset - p->block[c->first_block].offset <= end - p->block[b].offset ? c->first_block : c->first_block + c->n_block;
}

struct stretch stretch_of(const ci_plan *p, int32_t capture, int32_t first, int32_t end)
{
    const ci_capture *c = &p->capture[capture];
    struct stretch t = {.block = CI_MAX(first, c->first_block), .end = CI_MIN(end, c->first_block + c->n_block)};

    t.window = t.last_window = ci_window_at(p->block[t.block].first_row, p->stride);
    for (int32_t b = t.block; b < t.end; b++) t.last_window += p->block[b].graphs;
    t.row = t.window * p->stride;
    return t;
}

/* At most four at a time: what the stream knows, what came before and what its prefix says; or three while ranks hand them on
 * and their bytes.  An identifier has 1.5 kB and a row of counts. */
int64_t stream_memory(const struct work *w)
{
    int64_t n = 0, room = 64; /* which doubles */

    for (int32_t i = 0; i < w->plan->n_capture; i++) n = CI_MAX(n, w->plan->capture[i].n_id);
    while (room < CI_MIN(n, CI_PROFILE_IDS)) room *= 2;
    return 4 * (64 << 10) + 4 * room * (1536 + 4 * room);
}

ci_rc stream_init(struct work *w, const ci_store_head *head)
{
    ci_rc rc = CI_OK;
    struct streamed *s = &w->stream;
    char source[CI_SHA256_HEX];

    s->past = ci_past_of(w->conf->features.past);
    s->capture = -1;
    s->first_dropping = INT32_MAX;
    CI_TRY(known_of_plan(w->conf, w->plan, &s->known));
    known_source(w->plan, &s->known, source);
    if (strcmp(source, head->source) != 0) CI_FAIL(CI_EIO, "%s (features.profile) changed while it was read: build again", w->conf->features.profile);
    CI_TRY(ci_stream_create(w->set, s->past, w->plan->frames, w->plan->stride, llround(w->conf->features.prefix_s * 1e9), &s->stream));
done:
    return rc;
}

void stream_release(struct work *w)
{
    ci_stream_destroy(&w->stream.stream);
    ci_profile_destroy(&w->stream.before);
    ci_profile_destroy(&w->stream.prefix);
    known_release(&w->stream.known);
}

/* Rows that begin no window are compared with what was scanned all the same. */
bool stream_used(const struct work *w, int32_t block)
{
    const ci_block *b = &w->plan->block[block];

    return !w->reuse.skip[b->capture] && b->rows > 0;
}

static ci_rc capture_begin(struct work *w, int32_t capture)
{
    ci_rc rc = CI_OK;
    struct streamed *s = &w->stream;
    const ci_plan *p = w->plan;
    const struct stretch t = stretch_of(p, capture, w->first, w->end);
    const ci_profile *known = s->past == CI_PAST_PROFILE ? s->known.profile[s->known.of[capture]] : NULL;
    const ci_block *b = &p->block[t.block];

    s->capture = capture;
    s->row = t.row;
    s->stop = t.last_window > t.window ? (t.last_window - 1) * p->stride + p->rows : t.row;
    s->last = t.end - 1;
    while (p->block[s->last].rows == 0) s->last--; /* there is one: a block with rows was just found here */
    w->capture = w->reuse.number[capture];
    w->graph = b->first_graph;
    w->node = b->first_node;
    w->edge = b->first_edge;
    if (t.block == p->capture[capture].first_block) CI_TRY(ci_stream_begin(s->stream, known));
    else if (s->stop > s->row) CI_TRY(ci_stream_resume(s->stream, s->before, s->past == CI_PAST_PREFIX ? s->prefix : known, s->row));
done:
    return rc;
}

/* All graphs of the rank's part of a capture are at their places: they end where those of the next part begin. */
static ci_rc capture_end(struct work *w)
{
    ci_rc rc = CI_OK;
    struct streamed *s = &w->stream;
    const ci_plan *p = w->plan;
    const ci_capture *c = &p->capture[s->capture];
    const struct stretch t = stretch_of(p, s->capture, w->first, w->end);
    const ci_block *last = &p->block[t.end - 1];
    int64_t dropped;

    if (s->row < s->stop)
        CI_FAIL(CI_EDATA, "%s changed since it was scanned: row %lld of %lld is not there; scan again", c->path, (long long)s->row, (long long)s->stop);
    if (w->graph != last->first_graph + last->graphs || w->node != last->first_node + last->nodes || w->edge != last->first_edge + last->edges)
        CI_FAIL(CI_EINTERNAL, "%s: graphs end at %lld, %lld nodes, %lld edges; counted were %lld, %lld, %lld", c->path, (long long)w->graph,
                (long long)w->node, (long long)w->edge, (long long)(last->first_graph + last->graphs),
                (long long)(last->first_node + last->nodes), (long long)(last->first_edge + last->edges));
    if (s->past == CI_PAST_NONE || s->past == CI_PAST_PROFILE || c->n_id <= CI_PROFILE_IDS || t.block != c->first_block) goto done;
    dropped = ci_profile_tell(ci_stream_known(s->stream)).dropped;
    if (dropped == 0) goto done;
    s->dropped += dropped;
    s->dropping++;
    s->first_dropping = CI_MIN(s->first_dropping, s->capture);
done:
    return rc;
}

/* Load the next block; the last of a capture here with the rows that its last window needs. */
static ci_rc block_next(struct work *w)
{
    ci_rc rc = CI_OK;
    const ci_plan *p = w->plan;
    const struct streamed *s = &w->stream;

    while (w->block < w->end && !stream_used(w, w->block)) w->block++;
    if (w->block == w->end)
        CI_FAIL(CI_EINTERNAL, "%lld graphs and blocks of %lld are done and no block is left", (long long)w->done, (long long)w->share);
    if (p->block[w->block].capture != s->capture) CI_TRY(capture_begin(w, p->block[w->block].capture));
    CI_TRY(ci_table_load(w->loader, p, w->block, w->block == s->last ? p->rows - 1 : 0, &w->table));
    ci_tick();
    w->done++;
    w->block++;
done:
    return rc;
}

/* Rows of the table that are to be fed; none: the table is used up. */
static bool rows_left(const struct work *w, ci_lid *from, ci_lid *to)
{
    const struct streamed *s = &w->stream;
    const ci_table *t = &w->table;
    const ci_lid end = w->block - 1 == s->last ? t->n : t->n_own;

    *from = (ci_lid)CI_MIN(s->row - t->first_row, end);
    *to = (ci_lid)CI_MIN(s->stop - t->first_row, end);
    return s->capture >= 0 && *from < *to;
}

ci_rc stream_put(struct work *w)
{
    ci_rc rc = CI_OK;
    struct streamed *s = &w->stream;
    ci_lid from, to, taken = 0;

    if (!rows_left(w, &from, &to)) CI_TRY(block_next(w));
    ci_graphs_clear(&w->graphs);
    if (rows_left(w, &from, &to)) {
        CI_TRY(ci_stream_push(s->stream, &w->table, from, to, &w->graphs, &taken));
        if (taken <= 0) CI_FAIL(CI_EINTERNAL, "a stream took none of %d rows", to - from);
        s->row += taken;
        if (w->graphs.n_graph > 0) CI_TRY(graphs_put(w));
    }
    if (w->block - 1 == s->last && !rows_left(w, &from, &to)) CI_TRY(capture_end(w));
done:
    return rc;
}

ci_rc stream_told(struct work *w)
{
    ci_rc rc = CI_OK;
    struct streamed *s = &w->stream;
    int64_t sum[2] = {s->dropped, s->dropping}, first = -(int64_t)s->first_dropping;

    CI_TRY(ci_comm_sum_i64(w->comm, "build.dropped.sum", sum, 2));
    CI_TRY(ci_comm_max_i64(w->comm, "build.dropped.first", &first, 1));
    s->dropped = sum[0];
    if (s->dropped > 0)
        ci_log(CI_WARN, "%lld frames have identifiers beyond the first %d of their capture, of which nothing is learned: they stay new for ever; "
               "in %lld captures, the first is %s", (long long)sum[0], CI_PROFILE_IDS, (long long)sum[1], w->plan->capture[-first].path);
done:
    return rc;
}
