/* Scoring: shards forward, without dropout; every rank gets every logit. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/tick.h"
#include "device_priv.h"

struct scoring {
    const ci_model *m;
    const float *w, *state;
    const int64_t *graph, *first;
    float *out; /* of this rank's graphs, the first of them at `base` */
    int64_t base;
    ci_lid K;
    const int64_t *frame; /* (n + 1) first frame's edge of each graph; NULL: frames are not asked for */
    float *odds;          /* of this rank's frames' edges, the first of them at frame[base] */
    atomic_long next;
    long end;
    ci_lane *lane; /* one a thread; on a device the first alone */
    struct desk *desk;       /* on a device: what is judged with ... */
    const ci_trained *alone; /* ... or the model, whose desk is made for this once; NULL */
};

/* What the model says of the frames of the shard that begins with graph `from`. */
static ci_rc frames_take(const struct scoring *s, const ci_scratch *scratch, const ci_batch *b, int64_t from)
{
    ci_rc rc = CI_OK;
    ci_lid cols = 0;
    const float *logit = ci_scratch_tensor(s->m, scratch, "message", &cols);
    float *odds = s->odds + (s->frame[from] - s->frame[s->base]);

    if (!logit || cols != 2 || s->frame[from + b->n_graph] - s->frame[from] != b->n_raw)
        CI_FAIL(CI_EINTERNAL, "%d frames' edges of %d graphs, %d columns", b->n_raw, b->n_graph, cols);
    for (ci_lid i = 0; i < b->n_raw; i++) odds[i] = logit[2 * i + 1] - logit[2 * i];
done:
    return rc;
}

static ci_rc job(void *arg, int thread)
{
    ci_rc rc = CI_OK;
    struct scoring *s = arg;
    long k;

    while ((k = atomic_fetch_add(&s->next, 1)) < s->end) {
        const int64_t from = s->first[k];
        ci_tick();
        const ci_batch *b =
            ci_packer_pack(s->lane[thread].packer, s->graph + from, (ci_lid)(s->first[k + 1] - from));
        CI_TRY(ci_model_score(s->m, s->w, s->state, s->lane[thread].scratch, b, s->out + s->K * (from - s->base)));
        if (s->frame) CI_TRY(frames_take(s, s->lane[thread].scratch, b, from));
    }
done:
    return rc;
}

static ci_rc on_device(ci_pool *pool, struct scoring *s, const ci_store *st, int32_t rows, long begin)
{
    ci_rc rc = CI_OK;
    const struct run r = {s->graph, s->first, begin, s->end};
    const struct judged to = {s->out, s->base, s->frame, s->odds};
    struct desk own = {0};

    if (s->alone) CI_TRY(desk_judge(s->alone->at, s->alone, pool, st, rows, &r, &own));
    CI_TRY(desk_score(s->alone ? &own : s->desk, s->m, s->w, s->lane[0].scratch, &r, &to));
done:
    desk_close(&own);
    return rc;
}

/* This rank's share. */
static ci_rc mine(const ci_comm *comm, ci_pool *pool, struct scoring *s, const ci_store *st, int64_t n, int32_t rows, int64_t *first, int64_t *out_n)
{
    ci_rc rc = CI_OK;
    int64_t bad = 0, n_shard;
    long begin;

    *out_n = 0;
    if (!first) CI_FAIL(CI_ENOMEM, "shards of %lld graphs", (long long)n);
    n_shard = ci_shards_cut(st, s->graph, n, rows, first, &bad);
    if (n_shard < 0)
        CI_FAIL(CI_ECONF, "train.shard_rows: %d is less than the nodes of graph %lld; set it to window.frames or more",
                rows, (long long)s->graph[bad]);
    begin = (long)ci_part(n_shard, comm->rank, comm->size);
    s->end = (long)ci_part(n_shard, comm->rank + 1, comm->size);
    atomic_store(&s->next, begin);
    s->first = first;
    s->base = first[begin];
    s->out = ci_new((size_t)(first[s->end] - s->base), (size_t)s->K * sizeof(float));
    if (s->frame) s->odds = ci_new((size_t)(s->frame[first[s->end]] - s->frame[s->base]), sizeof *s->odds);
    if (!s->out || (s->frame && !s->odds)) CI_FAIL(CI_ENOMEM, "scores of %lld graphs", (long long)n);
    if (s->desk || s->alone) CI_TRY(on_device(pool, s, st, rows, begin));
    else CI_TRY(ci_pool_run(pool, job, s));
    *out_n = first[s->end] - s->base;
done:
    return rc;
}

/* frame (n + 1) and odds (frame[n]): NULL where frames are not asked for. */
static ci_rc score_all(const ci_comm *comm, ci_pool *pool, struct scoring s, const ci_store *st, int64_t n, int32_t rows, float *out, float *odds)
{
    ci_rc rc = CI_OK;
    const int64_t *frame = s.frame;
    int64_t *first = ci_new((size_t)n + 1, sizeof *first), n_mine = 0;
    void *all = NULL;
    size_t bytes = 0;

    ci_model_outputs(s.m, &s.K);
    CI_TRY_ALL(comm, "score.shards", mine(comm, pool, &s, st, n, rows, first, &n_mine));
    CI_TRY(ci_comm_allgather(comm, "score.outputs", s.out, (size_t)n_mine * (size_t)s.K * sizeof(float), &all, &bytes, NULL));
    if (bytes != (size_t)n * (size_t)s.K * sizeof(float))
        CI_FAIL(CI_EINTERNAL, "%zu bytes of scores for %lld graphs", bytes, (long long)n);
    memcpy(out, all, bytes);
    if (!frame) goto done;
    free(all);
    all = NULL;
    CI_TRY(ci_comm_allgather(comm, "score.frames", s.odds, (size_t)(frame[s.base + n_mine] - frame[s.base]) * sizeof(float), &all, &bytes, NULL));
    if (bytes != (size_t)frame[n] * sizeof(float))
        CI_FAIL(CI_EINTERNAL, "%zu bytes of scores for %lld frames", bytes, (long long)frame[n]);
    if (bytes) memcpy(odds, all, bytes);
done:
    free(s.out);
    free(s.odds);
    free(first);
    free(all);
    return rc;
}

ci_rc ci_score(const ci_comm *comm, ci_pool *pool, ci_lane *lane, const ci_model *m, const float *w, const float *state,
               const ci_store *st, const int64_t *graph, int64_t n, int32_t rows, float *out)
{
    return score_all(comm, pool, (struct scoring){.m = m, .w = w, .state = state, .graph = graph, .lane = lane}, st, n, rows, out, NULL);
}

ci_rc score_valid(struct trainer *t, float *out)
{
    const struct scoring s = {.m = t->model, .w = t->ck.w, .state = t->ck.state, .graph = t->split.valid, .lane = t->lane,
                              .desk = t->device ? &t->device->desk : NULL};

    return score_all(t->comm, t->pool, s, t->st, t->split.n_valid, t->conf->train.shard_rows, out, NULL);
}

/* First frame's edge of each graph, and room for what is said of them. */
static ci_rc frames_room(const ci_store *st, const int64_t *graph, int64_t n, int64_t **frame, float **odds)
{
    ci_rc rc = CI_OK;

    *frame = ci_new((size_t)n + 1, sizeof **frame);
    if (!*frame) CI_FAIL(CI_ENOMEM, "frames of %lld graphs", (long long)n);
    for (int64_t i = 0; i < n; i++) (*frame)[i + 1] = (*frame)[i] + st->graph_edge[graph[i] + 1] - st->graph_edge[graph[i]];
    *odds = ci_new((size_t)(*frame)[n], sizeof **odds);
    if (!*odds) CI_FAIL(CI_ENOMEM, "%lld frames", (long long)(*frame)[n]);
done:
    return rc;
}

ci_rc ci_trained_score(const ci_comm *comm, const ci_trained *t, int threads, int32_t rows, const ci_store *st,
                       const int64_t *graph, int64_t n, float **out)
{
    return ci_trained_score_frames(comm, t, threads, rows, st, graph, n, out, NULL, NULL);
}

ci_rc ci_trained_score_frames(const ci_comm *comm, const ci_trained *t, int threads, int32_t rows, const ci_store *st, const int64_t *graph,
                              int64_t n, float **out, int64_t **out_frame, float **out_odds)
{
    ci_rc rc = CI_OK, mine = CI_OK;
    ci_pool *pool = NULL;
    ci_lane *lane = NULL;
    float *all = NULL, *odds = NULL;
    int64_t *frame = NULL;
    const bool frames = out_frame && t->ck.dim.message, device = t->at && t->at->device.dev;
    int n_lane = 0;
    ci_lid K;

    *out = NULL;
    if (out_frame) *out_frame = NULL;
    if (out_frame) *out_odds = NULL;
    ci_model_outputs(t->model, &K);
    if (!threads) CI_TRY(ci_comm_cores(comm, "trained.cores", &threads));
    all = ci_new((size_t)n, (size_t)K * sizeof *all);
    if (!all) mine = ci_fail(CI_ENOMEM, __FILE__, __LINE__, "%d columns of %lld graphs", K, (long long)n);
    if (mine == CI_OK) mine = ci_pool_create(threads, &pool);
    if (mine == CI_OK) n_lane = device ? 1 : ci_pool_size(pool);
    if (mine == CI_OK) mine = ci_lanes_create(t->model, st, &t->ck.scaler, rows, n_lane, &lane);
    if (mine == CI_OK && frames) mine = frames_room(st, graph, n, &frame, &odds);
    CI_TRY_ALL(comm, "trained.room", mine);
    const struct scoring s = {.m = t->model, .w = t->ck.w, .state = t->ck.state, .graph = graph, .lane = lane, .frame = frame, .alone = device ? t : NULL};
    CI_TRY(score_all(comm, pool, s, st, n, rows, all, odds));
    *out = all;
    all = NULL;
    if (frames) {
        *out_frame = frame;
        *out_odds = odds;
        frame = NULL;
        odds = NULL;
    }
done:
    free(frame);
    free(odds);
    ci_lanes_destroy(&lane, n_lane);
    ci_pool_destroy(&pool);
    free(all);
    return rc;
}
