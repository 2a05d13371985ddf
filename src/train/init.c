/* A training's memory: planned, printed, taken once. */
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/log.h"
#include "train_priv.h"

ci_model_dim ci_train_dim(const ci_conf *c, const ci_store *st)
{
    return (ci_model_dim){
        .n_id = st->head.n_vocab,
        .id_dim = c->model.id_dim,
        .n_feature = st->set->n_node,
        .n_edge_feature = st->set->n_edge,
        .layers = c->model.layers,
        .heads = c->model.heads,
        .channels = c->model.channels,
        .head_layers = c->model.head_layers,
        .head_dim = c->model.head_dim,
        .n_class = 2,
        .slope = (float)c->model.slope,
    };
}

void ci_train_settings(const ci_conf *conf, char out[CI_SHA256_HEX])
{
    static const char *const reads[] = {"split.", "model.", "vocab.", "train.seed", "train.scale", "train.batch", "train.shard_rows",
                                        "train.patience", "train.steps", "train.lr", "train.decay", "train.beta1",
                                        "train.beta2", "train.eps", "train.dropout", "train.gamma", "train.unk_drop",
                                        "train.clip"};

    ci_conf_hash(conf, reads, CI_COUNT(reads), out);
}

int ci_train_finished(const ci_conf *c, const ci_progress *at)
{
    if (at->epoch > c->train.epochs || (at->epoch == c->train.epochs && at->batch > 0)) return -1;
    return at->batch == 0 && at->epoch > 0 &&
           (at->epoch == c->train.epochs || at->epoch - 1 - at->better_epoch >= c->train.patience ||
            (c->train.steps > 0 && at->step >= c->train.steps));
}

ci_rc ci_lanes_create(const ci_model *m, const ci_store *st, const ci_scaler *scaler, int32_t rows, int n, ci_lane **out)
{
    ci_rc rc = CI_OK;
    const ci_lid G = CI_SHARD_GRAPHS(rows);
    ci_lane *lane = ci_new((size_t)n, sizeof *lane);

    *out = NULL;
    if (!lane) CI_FAIL(CI_ENOMEM, "%d threads", n);
    for (int i = 0; i < n; i++) {
        CI_TRY(ci_packer_create(st, scaler, G, rows, false, &lane[i].packer));
        CI_TRY(ci_scratch_create(m, G, rows, ci_packer_max_edge(st, G, rows), &lane[i].scratch));
    }
    *out = lane;
    lane = NULL;
done:
    ci_lanes_destroy(&lane, n);
    return rc;
}

void ci_lanes_destroy(ci_lane **lanes, int n)
{
    for (int i = 0; *lanes && i < n; i++) {
        ci_packer_destroy(&(*lanes)[i].packer);
        ci_scratch_destroy(&(*lanes)[i].scratch);
    }
    free(*lanes);
    *lanes = NULL;
}

static void vectors(struct trainer *t, ci_arena *a)
{
    const size_t P = (size_t)ci_model_size(t->model), T = (size_t)t->ck.n_tensor;
    const size_t G = (size_t)CI_SHARD_GRAPHS(t->conf->train.shard_rows);

    t->wt = ci_arena_take(a, (size_t)ci_model_prepared_size(t->model), sizeof *t->wt);
    t->g = ci_arena_take(a, P, sizeof *t->g);
    t->sum = ci_arena_take(a, P + 1, sizeof *t->sum);
    t->agreed = ci_arena_take(a, T + AGREED_FLAGS, sizeof *t->agreed);
    t->order = ci_arena_take(a, (size_t)t->split.n_train, sizeof *t->order);
    t->graph = ci_arena_take(a, (size_t)t->split.n_train, sizeof *t->graph);
    t->first = ci_arena_take(a, (size_t)t->conf->train.batch + 1, sizeof *t->first);
    for (int i = 0; i < t->n_thread; i++) {
        struct worker *w = &t->worker[i];
        w->grad = ci_arena_take(a, P, sizeof *w->grad);
        w->sum = ci_arena_take(a, P + 1, sizeof *w->sum);
        w->largest = ci_arena_take(a, T, sizeof *w->largest);
        w->logit = ci_arena_take(a, 2 * G, sizeof *w->logit);
        w->dlogit = ci_arena_take(a, 2 * G, sizeof *w->dlogit);
    }
}

static ci_rc workers_init(struct trainer *t)
{
    ci_rc rc = CI_OK;
    const ci_lid rows = t->conf->train.shard_rows, G = CI_SHARD_GRAPHS(rows);
    const ci_lid E = ci_packer_max_edge(t->st, G, rows);
    ci_arena plan = {0};

    vectors(t, &plan);
    CI_TRY(ci_arena_init(&t->state, plan.used));
    vectors(t, &t->state);
    CI_TRY(ci_lanes_create(t->model, t->st, &t->ck.scaler, rows, t->n_thread, &t->lane));
    ci_log(CI_INFO, "plan: state %.1f MiB, scratch %.1f MiB, packing %.1f MiB a thread; shards of %d nodes, %d graphs, "
           "%d edges at most", (double)(plan.used + 3 * (size_t)t->ck.n * 4) / 1048576,
           (double)ci_scratch_bytes(t->model, G, rows, E) / 1048576,
           (double)ci_packer_bytes(t->st, G, rows, false) / 1048576, rows, G, E);
done:
    return rc;
}

static ci_rc local_init(struct trainer *t)
{
    ci_rc rc = CI_OK;
    const ci_conf *c = t->conf;
    const ci_model_dim dim = ci_train_dim(c, t->st);
    const ci_split_conf split = {
        .random = strcmp(c->split.mode, "random") == 0,
        .blocks = c->split.blocks,
        .every = c->split.every,
        .share = c->split.share,
        .seed = (uint32_t)c->train.seed,
        .allow_leak = strcmp(c->split.allow_leak, "reference") == 0,
        .need_attacks = true,
    };
    ci_lid n_tensor;

    t->n_thread = c->train.threads;
    if (!t->n_thread) CI_TRY(ci_comm_cores(t->comm, "train.cores", &t->n_thread));
    CI_TRY(ci_pool_create(t->n_thread, &t->pool));
    CI_TRY(ci_split_make(t->st, &split, &t->split));
    if (t->split.n_train > INT32_MAX) CI_FAIL(CI_ECONF, "%lld training graphs", (long long)t->split.n_train);
    CI_TRY(ci_model_create(&dim, c->train.isa, &t->model));
    t->param = ci_model_params(t->model, &n_tensor);
    CI_TRY(ci_ckpt_init(&t->ck, t->model, t->st->head.n_vocab));
    t->worker = ci_new((size_t)t->n_thread, sizeof *t->worker);
    if (!t->worker) CI_FAIL(CI_ENOMEM, "%d threads", t->n_thread);
    for (int32_t i = 0, k = 0; i < t->st->head.n_id; i++)
        if (t->st->head.vocab[i] > 0 && k < t->ck.n_vocab) t->ck.vocab[k++] = t->st->head.id[i];
    memcpy(t->ck.set, t->st->head.set, sizeof t->ck.set);
    CI_TRY(workers_init(t));
done:
    return rc;
}

ci_rc trainer_init(struct trainer *t, const ci_comm *comm, const ci_conf *conf, const ci_store *st)
{
    ci_rc rc = CI_OK;

    *t = (struct trainer){.comm = comm, .conf = conf, .st = st};
    CI_TRY_ALL(comm, "train.init", local_init(t));
done:
    return rc;
}

void trainer_release(struct trainer *t)
{
    ci_lanes_destroy(&t->lane, t->n_thread);
    free(t->worker);
    ci_arena_release(&t->state);
    ci_ckpt_release(&t->ck);
    ci_model_destroy(&t->model);
    ci_split_release(&t->split);
    ci_pool_destroy(&t->pool);
}
