/* A training's memory: planned, printed, taken once. */
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/graph.h"
#include "ci/log.h"
#include "train_priv.h"

static ci_lid word(const char *text, const char *words)
{
    ci_lid k = 0;
    for (const char *at = words; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL, k++)
        if (strncmp(at, text, strlen(text)) == 0 && strchr("|", at[strlen(text)])) return k;
    return 0; /* the table of settings has checked it */
}

/* The first columns of the features that are no index. */
static ci_lid first_value(const ci_feature_set *set)
{
    ci_lid k = 0;
    while (k < set->n_node && set->node[k].scaling == CI_SCALE_INDEX) k++;
    return k;
}

ci_rc ci_train_dim(const ci_conf *c, const ci_store *st, const ci_model_dim *teacher, ci_model_dim *out)
{
    ci_rc rc = CI_OK;
    const bool vgae = strcmp(c->model.name, "vgae") == 0;
    ci_model_dim d = {
        .kind = vgae ? CI_VGAE : CI_GAT,
        .n_id = c->model.id_dim ? st->head.n_vocab : 0, /* a model that sees none fits any vocabulary */
        .id_dim = c->model.id_dim,
        .n_feature = st->set->n_node,
        .x_first = first_value(st->set),
        .n_edge_feature = st->set->n_edge,
        .edge_features = strcmp(c->model.edge_features, "use") == 0,
        .project = c->model.project,
        .conv = word(c->model.conv, "gatv1|gatv2|transformer|gps"),
        .norm = word(c->model.norm, "none|graph|batch|layer"),
        .heads = c->model.heads,
        .slope = (float)c->model.slope,
        .n_window_feature = st->set->n_window,
        .group_drop = c->train.group_drop > 0,
    };

    if (d.id_dim && strcmp(c->model.id_encoding, "hash") == 0) {
        d.id_buckets = c->model.id_buckets;
        d.id_probes = c->model.id_probes;
    }
    if (vgae) {
        if (c->model.hidden.n < 1 || c->model.hidden.n > CI_MODEL_LAYERS)
            CI_FAIL(CI_ECONF, "model.hidden: %d layers; write 1 to %d", c->model.hidden.n, CI_MODEL_LAYERS);
        d.n_hidden = c->model.hidden.n;
        memcpy(d.hidden, c->model.hidden.item, (size_t)d.n_hidden * sizeof *d.hidden);
        d.inner_heads = c->model.inner_heads;
        d.decoder_heads = c->model.decoder_heads;
        d.latent = c->model.latent;
        d.logvar_limit = (float)c->model.logvar_limit;
        d.sigmoid = strcmp(c->model.output, "sigmoid") == 0;
        d.neighbour = word(c->model.neighbour, "none|gaussian|exact");
        d.edge_head = strcmp(c->model.edge_head, "mlp") == 0;
        d.masked = c->train.mask > 0;
        d.teacher = teacher ? teacher->latent : 0;
    } else {
        d.channels = c->model.channels;
        d.layers = c->model.layers;
        d.jk = word(c->model.jk, "cat|lstm|attention|max|last");
        d.pool = word(c->model.pool, "mean|max|sum|attention|meanmax");
        d.window = st->set->n_window ? word(c->model.window, "none|pool|linear|both") : CI_WINDOW_NONE;
        d.message = strcmp(c->model.message_head, "mlp") == 0;
        if (d.message && !st->set->stream)
            CI_FAIL(CI_ECONF, "model.message_head mlp learns from labels of frames, which a store of features %s has not; write none, or build "
                    "features.set: agnostic", st->head.set);
        d.head_layers = c->model.head_layers;
        d.head_dim = c->model.head_dim;
        d.n_class = 2;
        d.teacher = teacher != NULL;
    }
    *out = d;
done:
    return rc;
}

void ci_train_settings(const ci_conf *conf, char out[CI_SHA256_HEX])
{
    /* A prefix reads all keys that begin with it: train.batch is _nodes and _edges, too. */
    static const char *const reads[] = {
        "split.", "model.", "vocab.", "distill.alpha", "distill.temperature", "distill.latent", "distill.recon", "train.seed",
        "train.scale", "train.batch", "train.shard_rows", "train.patience", "train.steps", "train.population", "train.loss",
        "train.gamma", "train.attack_weight", "train.recon", "train.id", "train.neighbour", "train.kl", "train.edge", "train.mask", "train.message", "train.group_drop",
        "train.monitor", "train.anomaly", "train.optimizer", "train.lr", "train.decay", "train.beta1", "train.beta2", "train.eps",
        "train.dropout", "train.unk_drop", "train.clip", "train.schedule", "train.warmup", "train.precision", "train.curriculum",
        "train.injected", "data.vehicles", "train.epochs", "train.reduce"};
    const char *list[CI_COUNT(reads)];
    size_t n = 0;
    const bool fast = strcmp(conf->train.reduce, "fast") == 0; /* exact is what all had before there was a choice: their hashes hold */
    const bool epochs = (strcmp(conf->train.schedule, "cosine") == 0 && conf->train.schedule_epochs == 0) ||
                        strcmp(conf->train.curriculum, "hard") == 0 || strcmp(conf->train.curriculum, "easy") == 0;

    for (size_t i = 0; i < CI_COUNT(reads); i++)
        if ((epochs || strcmp(reads[i], "train.epochs") != 0) && (fast || strcmp(reads[i], "train.reduce") != 0)) list[n++] = reads[i];
    ci_conf_hash(conf, list, n, out);
}

const char *ci_train_kernels(const ci_conf *c, const ci_compute *at)
{
    return strcmp(c->train.precision, "bf16") == 0 && !(at && at->device.dev) ? "bf16" : c->train.isa;
}

ci_split_conf ci_train_split(const ci_conf *c)
{
    return (ci_split_conf){
        .random = strcmp(c->split.mode, "random") == 0,
        .blocks = c->split.blocks,
        .every = c->split.every,
        .share = c->split.share,
        .seed = (uint32_t)c->train.seed,
        .allow_leak = strcmp(c->split.allow_leak, "reference") == 0,
        .need_attacks = strcmp(c->model.name, "gat") == 0,
        .conf = c,
    };
}

int ci_train_finished(const ci_conf *c, const ci_progress *at)
{
    if (at->epoch > c->train.epochs || (at->epoch == c->train.epochs && at->batch > 0)) return -1;
    return at->batch == 0 && at->epoch > 0 &&
           (at->epoch == c->train.epochs || at->epoch - 1 - at->better_epoch >= c->train.patience ||
            (c->train.steps > 0 && at->step >= c->train.steps));
}

static ci_rc lane_create(const ci_model *m, const ci_store *st, const ci_scaler *scaler, int32_t rows, ci_lane *out)
{
    ci_rc rc = CI_OK;
    const ci_lid G = CI_SHARD_GRAPHS(rows);
    const bool raw = ci_model_wants_raw(m);

    CI_TRY(ci_packer_create(st, scaler, G, rows, raw, &out->packer));
    CI_TRY(ci_scratch_create(m, G, rows, ci_packer_max_edge(st, G, rows), raw ? ci_packer_max_raw(st, G) : 0, &out->scratch));
done:
    return rc;
}

static void lane_release(ci_lane *l)
{
    ci_packer_destroy(&l->packer);
    ci_scratch_destroy(&l->scratch);
}

ci_rc ci_lanes_create(const ci_model *m, const ci_store *st, const ci_scaler *scaler, int32_t rows, int n, ci_lane **out)
{
    ci_rc rc = CI_OK;
    ci_lane *lane = ci_new((size_t)n, sizeof *lane);

    *out = NULL;
    if (!lane) CI_FAIL(CI_ENOMEM, "%d threads", n);
    for (int i = 0; i < n; i++) CI_TRY(lane_create(m, st, scaler, rows, &lane[i]));
    *out = lane;
    lane = NULL;
done:
    ci_lanes_destroy(&lane, n);
    return rc;
}

void ci_lanes_destroy(ci_lane **lanes, int n)
{
    for (int i = 0; *lanes && i < n; i++) lane_release(&(*lanes)[i]);
    free(*lanes);
    *lanes = NULL;
}

ci_rc slots_have(struct trainer *t, size_t n)
{
    ci_rc rc = CI_OK;
    const size_t said = teacher_room(t);

    if (n <= t->n_slot) goto done;
    CI_TRY(ci_grow((void **)&t->slot, &t->slot_cap, n, sizeof *t->slot));
    while (t->n_slot < n) {
        struct slot *s = &t->slot[t->n_slot];
        *s = (struct slot){0};
        t->n_slot++; /* from here on it is released with the others */
        CI_TRY(lane_create(t->model, t->st, &t->ck.scaler, t->conf->train.shard_rows, &s->lane));
        if (said) s->said = ci_new(said, sizeof *s->said);
        if (said && !s->said) CI_FAIL(CI_ENOMEM, "what a teacher says of a shard");
    }
done:
    return rc;
}

static void vectors(struct trainer *t, ci_arena *a)
{
    const size_t P = (size_t)ci_model_size(t->model), T = (size_t)t->ck.n_tensor;
    const size_t room = (size_t)t->n_train + (size_t)t->n_train / 5; /* ci_curriculum_momentum repeats a fifth */

    t->wt = ci_arena_take(a, (size_t)ci_model_prepared_size(t->model), sizeof *t->wt);
    t->g = ci_arena_take(a, P, sizeof *t->g);
    t->sum = ci_arena_take(a, P + CI_TERM_COUNT, sizeof *t->sum);
    t->agreed = ci_arena_take(a, T + AGREED_FLAGS, sizeof *t->agreed);
    t->order = ci_arena_take(a, room, sizeof *t->order);
    t->graph = ci_arena_take(a, room, sizeof *t->graph);
    t->chosen = ci_arena_take(a, room, sizeof *t->chosen);
    t->batch_first = ci_arena_take(a, room + 1, sizeof *t->batch_first);
    t->first = ci_arena_take(a, (size_t)t->conf->train.batch + 1, sizeof *t->first);
    if (strcmp(t->conf->train.curriculum, "easy") == 0) t->weight = ci_arena_take(a, (size_t)t->conf->train.batch, sizeof *t->weight);
    for (int i = 0; i < t->n_worker; i++) {
        struct worker *w = &t->worker[i];
        w->grad = ci_arena_take(a, P, sizeof *w->grad);
        w->sum = ci_arena_take(a, P + CI_TERM_COUNT, sizeof *w->sum);
        w->largest = ci_arena_take(a, T, sizeof *w->largest);
    }
}

static ci_rc workers_init(struct trainer *t)
{
    ci_rc rc = CI_OK;
    const ci_lid rows = t->conf->train.shard_rows, G = CI_SHARD_GRAPHS(rows);
    const ci_lid E = ci_packer_max_edge(t->st, G, rows);
    const bool raw = ci_model_wants_raw(t->model);
    const ci_lid R = raw ? ci_packer_max_raw(t->st, G) : 0;
    ci_arena plan = {0};

    vectors(t, &plan);
    CI_TRY(ci_arena_init(&t->state, plan.used));
    vectors(t, &t->state);
    CI_TRY(ci_lanes_create(t->model, t->st, &t->ck.scaler, rows, t->n_worker, &t->lane));
    for (int i = 0; i < t->n_worker && t->teacher.model; i++)
        CI_TRY(ci_scratch_create(t->teacher.model, G, rows, E, R, &t->worker[i].teacher));
    ci_log(CI_INFO, "plan: state %.1f MiB, scratch %.1f MiB, packing %.1f MiB a %s; shards of %d nodes, %d graphs, "
           "%d edges at most", (double)(plan.used + 3 * (size_t)t->ck.n * 4) / 1048576,
           (double)ci_scratch_bytes(t->model, G, rows, E, R) / 1048576, (double)ci_packer_bytes(t->st, G, rows, raw) / 1048576,
           t->n_pass > 1 ? "shard" : "thread", rows, G, E);
done:
    return rc;
}

/* The training windows that are learned from. */
static ci_rc population(struct trainer *t)
{
    ci_rc rc = CI_OK;
    const bool benign = strcmp(t->conf->train.population, "benign") == 0;

    t->train = ci_new((size_t)t->split.n_train, sizeof *t->train);
    if (!t->train) CI_FAIL(CI_ENOMEM, "%lld training graphs", (long long)t->split.n_train);
    for (int64_t i = 0; i < t->split.n_train; i++)
        if (!benign || !t->st->graph_label[t->split.train[i]]) t->train[t->n_train++] = t->split.train[i];
    if (t->n_train == 0)
        CI_FAIL(CI_EDATA, "train.population benign: all %lld training windows are attacks; declare captures without", (long long)t->split.n_train);
    if (t->n_train > INT32_MAX / 2) CI_FAIL(CI_ECONF, "%lld training graphs", (long long)t->n_train);
done:
    return rc;
}

static ci_rc split_init(struct trainer *t)
{
    static const char *const reads[] = {"split.", "train.seed", "train.injected", "data.vehicles"};
    ci_rc rc = CI_OK;
    const ci_split_conf how = ci_train_split(t->conf);

    t->n_thread = t->conf->train.threads;
    if (!t->n_thread) CI_TRY(ci_comm_cores(t->comm, "train.cores", &t->n_thread));
    t->n_worker = t->at.device.dev ? 1 : t->n_thread;
    CI_TRY(ci_pool_create(t->n_thread, &t->pool));
    CI_TRY(ci_split_make(t->st, &how, &t->split));
    CI_TRY(monitor_check(t->conf, &t->split));
    ci_conf_hash(t->conf, reads, CI_COUNT(reads), t->split_sha);
    CI_TRY(population(t));
done:
    return rc;
}

static ci_rc model_init(struct trainer *t)
{
    ci_rc rc = CI_OK;
    const ci_conf *c = t->conf;
    ci_model_dim dim;
    ci_lid n_tensor;

    CI_TRY(ci_train_dim(c, t->st, t->teacher.model ? &t->teacher.ck.dim : NULL, &dim));
    CI_TRY(ci_model_create(&dim, ci_train_kernels(c, &t->at), &t->model));
    t->param = ci_model_params(t->model, &n_tensor);
    t->n_pass = ci_model_cuts(t->model, 0) + ci_model_cuts(t->model, 1) + 1;
    if (t->n_pass > 1) CI_TRY(ci_cuts_create(t->model, &t->cuts));
    CI_TRY(ci_ckpt_init(&t->ck, t->model, dim.n_id, dim.kind == CI_VGAE && strcmp(c->train.anomaly, "calibrated") == 0 ? 4 : 0));
    memcpy(t->ck.split, t->split_sha, sizeof t->ck.split);
    memcpy(t->ck.teacher, t->teacher.weights, sizeof t->ck.teacher);
    t->worker = ci_new((size_t)t->n_worker, sizeof *t->worker);
    if (!t->worker) CI_FAIL(CI_ENOMEM, "%d threads", t->n_thread);
    for (int32_t i = 0, k = 0; i < t->st->head.n_id; i++)
        if (t->st->head.vocab[i] > 0 && k < t->ck.n_vocab) t->ck.vocab[k++] = t->st->head.id[i];
    memcpy(t->ck.set, t->st->head.set, sizeof t->ck.set);
    CI_TRY(workers_init(t));
done:
    return rc;
}

ci_rc trainer_init(struct trainer *t, const ci_comm *comm, const ci_conf *conf, const ci_store *st, const char *store_sha)
{
    ci_rc rc = CI_OK;

    *t = (struct trainer){.comm = comm, .conf = conf, .st = st};
    CI_TRY(ci_compute_open(comm, conf, &t->at));
    CI_TRY_ALL(comm, "train.init.split", split_init(t));
    CI_TRY(teacher_open(t, store_sha));
    CI_TRY_ALL(comm, "train.init", model_init(t));
    CI_TRY(difficulty_open(t, store_sha));
    ci_train_settings(conf, t->ck.settings);
    memcpy(t->ck.store, store_sha, CI_SHA256_HEX);
done:
    return rc;
}

void trainer_release(struct trainer *t)
{
    device_end(t);
    ci_lanes_destroy(&t->lane, t->n_worker);
    for (size_t i = 0; i < t->n_slot; i++) {
        lane_release(&t->slot[i].lane);
        free(t->slot[i].said);
    }
    free(t->slot);
    for (int i = 0; t->worker && i < t->n_worker; i++) ci_scratch_destroy(&t->worker[i].teacher);
    free(t->worker);
    ci_cuts_destroy(&t->cuts);
    ci_arena_release(&t->state);
    ci_ckpt_release(&t->ck);
    ci_trained_release(&t->teacher);
    ci_model_destroy(&t->model);
    ci_split_release(&t->split);
    ci_pool_destroy(&t->pool);
    free(t->train);
    free(t->difficulty);
}
