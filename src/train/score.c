/* Scoring: shards forward, without dropout; every rank gets every logit. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/tick.h"
#include "train_priv.h"

struct scoring {
    const ci_model *m;
    const float *w, *state;
    const int64_t *graph, *first;
    float *out; /* of this rank's graphs, the first of them at `base` */
    int64_t base;
    ci_lid K;
    atomic_long next;
    long end;
    ci_lane *lane; /* one a thread */
};

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
    }
done:
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
    if (!s->out) CI_FAIL(CI_ENOMEM, "scores of %lld graphs", (long long)n);
    CI_TRY(ci_pool_run(pool, job, s));
    *out_n = first[s->end] - s->base;
done:
    return rc;
}

ci_rc ci_score(const ci_comm *comm, ci_pool *pool, ci_lane *lane, const ci_model *m, const float *w, const float *state,
               const ci_store *st, const int64_t *graph, int64_t n, int32_t rows, float *out)
{
    ci_rc rc = CI_OK;
    struct scoring s = {.m = m, .w = w, .state = state, .graph = graph, .lane = lane};
    int64_t *first = ci_new((size_t)n + 1, sizeof *first), n_mine = 0;
    void *all = NULL;
    size_t bytes = 0;

    ci_model_outputs(m, &s.K);
    CI_TRY_ALL(comm, "score.shards", mine(comm, pool, &s, st, n, rows, first, &n_mine));
    CI_TRY(ci_comm_allgather(comm, "score.outputs", s.out, (size_t)n_mine * (size_t)s.K * sizeof(float), &all, &bytes, NULL));
    if (bytes != (size_t)n * (size_t)s.K * sizeof(float))
        CI_FAIL(CI_EINTERNAL, "%zu bytes of scores for %lld graphs", bytes, (long long)n);
    memcpy(out, all, bytes);
done:
    free(s.out);
    free(first);
    free(all);
    return rc;
}

ci_rc ci_trained_score(const ci_comm *comm, const ci_trained *t, int threads, int32_t rows, const ci_store *st,
                       const int64_t *graph, int64_t n, float **out)
{
    ci_rc rc = CI_OK, mine = CI_OK;
    ci_pool *pool = NULL;
    ci_lane *lane = NULL;
    float *all = NULL;
    ci_lid K;

    *out = NULL;
    ci_model_outputs(t->model, &K);
    if (!threads) CI_TRY(ci_comm_cores(comm, "trained.cores", &threads));
    all = ci_new((size_t)n, (size_t)K * sizeof *all);
    if (!all) mine = ci_fail(CI_ENOMEM, __FILE__, __LINE__, "%d columns of %lld graphs", K, (long long)n);
    if (mine == CI_OK) mine = ci_pool_create(threads, &pool);
    if (mine == CI_OK) mine = ci_lanes_create(t->model, st, &t->ck.scaler, rows, ci_pool_size(pool), &lane);
    CI_TRY_ALL(comm, "trained.room", mine);
    CI_TRY(ci_score(comm, pool, lane, t->model, t->ck.w, t->ck.state, st, graph, n, rows, all));
    *out = all;
    all = NULL;
done:
    if (pool) ci_lanes_destroy(&lane, ci_pool_size(pool));
    ci_pool_destroy(&pool);
    free(all);
    return rc;
}
