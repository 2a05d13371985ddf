/* From a store and two trained models to states, and from there to a fusion model. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/commit.h"
#include "ci/log.h"
#include "ci/signal.h"
#include "fusion_priv.h"

static ci_rc one_open(const ci_comm *comm, const ci_conf *conf, const ci_compute *at, const char *key, const char *dir, ci_model_kind kind,
                      const ci_store *st, const char *store_sha, ci_trained *out)
{
    static const char *const decides[] = {"split.", "train.seed", "train.injected", "data.vehicles"}; /* what a ci_ckpt.split is of */
    ci_rc rc = CI_OK;
    char split[CI_SHA256_HEX];

    ci_conf_hash(conf, decides, CI_COUNT(decides), split);
    rc = ci_trained_open(comm, dir, "best.h5", ci_train_kernels(conf, at), at, out);
    if (rc == CI_ENOENT) CI_FAIL(CI_ENOENT, "%s: %s has no best.h5; train the %s first", key, dir, key + strlen("fusion."));
    CI_TRY(rc);
    if (out->ck.dim.kind != (ci_lid)kind)
        CI_FAIL(CI_ECONF, "%s: %s is no %s", key, dir, key + strlen("fusion."));
    CI_TRY(ci_trained_fits(out, key, st, store_sha, split));
done:
    return rc;
}

ci_rc both_open(const ci_comm *comm, const ci_conf *conf, const ci_compute *at, const ci_store *st, const char *store_sha, ci_trained *gat, ci_trained *vgae)
{
    ci_rc rc = CI_OK;

    CI_TRY(one_open(comm, conf, at, "fusion.gat", conf->fusion.gat, CI_GAT, st, store_sha, gat));
    CI_TRY(one_open(comm, conf, at, "fusion.vgae", conf->fusion.vgae, CI_VGAE, st, store_sha, vgae));
done:
    return rc;
}

static ci_rc rows_score(const ci_comm *comm, const ci_conf *conf, const ci_trained *t, const ci_store *st, const int64_t *graph,
                 int64_t n, float **v, ci_fusion_rows *out)
{
    ci_rc rc = CI_OK;

    CI_TRY(ci_trained_score(comm, t, conf->train.threads, conf->train.shard_rows, st, graph, n, v));
    *out = (ci_fusion_rows){.v = *v, .n = n};
    out->name = ci_model_outputs(t->model, &out->cols);
done:
    return rc;
}

ci_rc states_make(const ci_comm *comm, const ci_conf *conf, const ci_trained *gat, const ci_trained *vgae, const ci_store *st,
                  const int64_t *graph, int64_t n, ci_fusion_scale *scale, const uint8_t *label, const int32_t *nodes, float *state)
{
    ci_rc rc = CI_OK;
    ci_fusion_rows g, v;
    float *g_rows = NULL, *v_rows = NULL;
    const int64_t most = label ? CI_MAX(n, 1) : WINDOWS_AT_A_TIME;
    int64_t stop;

    for (int64_t from = 0; from < n; from += most) {
        const int64_t k = CI_MIN(most, n - from);
        free(g_rows);
        free(v_rows);
        g_rows = v_rows = NULL;
        CI_TRY(rows_score(comm, conf, gat, st, graph + from, k, &g_rows, &g));
        CI_TRY(rows_score(comm, conf, vgae, st, graph + from, k, &v_rows, &v));
        stop = ci_signal_seen();
        CI_TRY(ci_comm_max_i64(comm, "fusion.states.signal", &stop, 1));
        if (stop) CI_FAIL(CI_ETEMP, "stopped by signal %d while two models judge windows; the same command begins that again", (int)stop);
        if (label) CI_TRY_ALL(comm, "fusion.calibrate", scale ? ci_fusion_calibrate(&v, label, nodes, scale) : CI_OK);
        CI_TRY_ALL(comm, "fusion.states", scale ? ci_fusion_states(scale, &v, &g, state + from * scale->state) : CI_OK);
    }
done:
    free(g_rows);
    free(v_rows);
    return rc;
}

/* Windows and states of a learning; states and the model are rank 0's. */
struct material {
    ci_compute at;
    ci_trained gat, vgae;
    ci_split split;
    int64_t n;      /* training windows that are looked at */
    int64_t *train; /* (n) */
    uint8_t *train_label, *valid_label;
    int32_t *valid_nodes;
    float *train_state, *valid_state;
    ci_fusion *f;
};

static ci_rc windows_choose(const ci_conf *conf, const ci_store *st, struct material *m)
{
    ci_rc rc = CI_OK;
    ci_split_conf how = ci_train_split(conf);

    how.need_attacks = true;
    CI_TRY(ci_split_make(st, &how, &m->split));
    m->n = CI_MIN(m->split.n_train, conf->fusion.max_states);
    m->train = ci_new((size_t)m->n, sizeof *m->train);
    m->train_label = ci_new((size_t)m->n, sizeof *m->train_label);
    m->valid_label = ci_new((size_t)m->split.n_valid, sizeof *m->valid_label);
    m->valid_nodes = ci_new((size_t)m->split.n_valid, sizeof *m->valid_nodes);
    if (!m->train || !m->train_label || !m->valid_label || !m->valid_nodes)
        CI_FAIL(CI_ENOMEM, "%lld windows", (long long)(m->n + m->split.n_valid));
    for (int64_t i = 0; i < m->n; i++) {
        m->train[i] = m->split.train[ci_part(m->split.n_train, i, m->n)];
        m->train_label[i] = st->graph_label[m->train[i]];
    }
    for (int64_t i = 0; i < m->split.n_valid; i++) {
        const int64_t g = m->split.valid[i];
        m->valid_label[i] = st->graph_label[g];
        m->valid_nodes[i] = (int32_t)(st->graph_node[g + 1] - st->graph_node[g]);
    }
done:
    return rc;
}

static ci_rc model_make(const ci_conf *conf, const char *store_sha, struct material *m)
{
    ci_rc rc = CI_OK;
    ci_fusion_shape shape;
    const size_t S = (size_t)conf->fusion.state;

    ci_fusion_shape_of(conf, &shape);
    CI_TRY(ci_fusion_create(&shape, conf->fusion.buffer, conf->train.isa, &m->f));
    m->train_state = ci_new((size_t)m->n, S * sizeof *m->train_state);
    m->valid_state = ci_new((size_t)m->split.n_valid, S * sizeof *m->valid_state);
    if (!m->train_state || !m->valid_state) CI_FAIL(CI_ENOMEM, "%lld states", (long long)(m->n + m->split.n_valid));
    m->f->scale.percentile = strcmp(conf->fusion.anomaly, "percentile") == 0;
    ci_fusion_init(m->f, (uint32_t)conf->train.seed);
    of_make(conf, store_sha, &m->gat, &m->vgae, &m->f->of);
done:
    return rc;
}

/* "gat_small" or "gat_small/seed_42": what is above says where a run was, not what it is. */
static const char *folder_name(const char *dir)
{
    const char *name = dir, *above = dir;

    for (const char *at = dir; *at; at++)
        if (*at == '/' && at[1] && at[1] != '/') {
            above = name;
            name = at + 1;
        }
    return strncmp(name, "seed_", 5) == 0 ? above : name;
}

void of_make(const ci_conf *conf, const char *store_sha, const ci_trained *gat, const ci_trained *vgae, ci_fusion_of *of)
{
    ci_fusion_settings(conf, of->settings);
    snprintf(of->store, sizeof of->store, "%s", store_sha);
    memcpy(of->gat, gat->weights, sizeof of->gat);
    memcpy(of->vgae, vgae->weights, sizeof of->vgae);
    snprintf(of->gat_dir, sizeof of->gat_dir, "%s", folder_name(conf->fusion.gat));
    snprintf(of->vgae_dir, sizeof of->vgae_dir, "%s", folder_name(conf->fusion.vgae));
}

static void announce(const ci_conf *conf, const struct material *m)
{
    const ci_split *s = &m->split;

    ci_log(CI_INFO, "fusion by %s of gat %.12s and vgae %.12s: %lld parameters, states of %d columns", conf->fusion.method, m->gat.weights,
           m->vgae.weights, (long long)ci_fusion_size(m->f), conf->fusion.state);
    ci_log(CI_INFO, "split: %lld of %lld training windows (%lld attacks), %lld validation (%lld)%s", (long long)m->n, (long long)s->n_train,
           (long long)s->n_train_attack, (long long)s->n_valid, (long long)s->n_valid_attack,
           s->leaky ? "; LEAKY, as split.allow_leak permits" : "");
}

static void material_release(struct material *m)
{
    ci_trained_release(&m->gat);
    ci_trained_release(&m->vgae);
    ci_split_release(&m->split);
    free(m->train);
    free(m->train_label);
    free(m->valid_label);
    free(m->valid_nodes);
    free(m->train_state);
    free(m->valid_state);
    ci_fusion_destroy(&m->f);
    ci_compute_close(&m->at);
}

ci_rc ci_fusion_train(const ci_comm *comm, const ci_conf *conf, const ci_store *st, const char *store_sha, bool must_resume)
{
    ci_rc rc = CI_OK;
    struct material m = {0};
    ci_fusion_scale *scale;
    ci_fusion_data data;

    CI_TRY(ci_compute_open(comm, conf, &m.at));
    CI_TRY(both_open(comm, conf, &m.at, st, store_sha, &m.gat, &m.vgae));
    CI_TRY_ALL(comm, "fusion.windows", windows_choose(conf, st, &m));
    CI_TRY_ALL(comm, "fusion.model", comm->rank == 0 ? model_make(conf, store_sha, &m) : CI_OK);
    if (m.f) announce(conf, &m);
    scale = m.f ? &m.f->scale : NULL;
    CI_TRY(states_make(comm, conf, &m.gat, &m.vgae, st, m.split.valid, m.split.n_valid, scale, m.valid_label, m.valid_nodes, m.valid_state));
    CI_TRY(states_make(comm, conf, &m.gat, &m.vgae, st, m.train, m.n, scale, NULL, NULL, m.train_state));
    CI_TRY_ALL(comm, "fusion.standard", scale ? ci_fusion_standard(m.train_state, m.n, scale) : CI_OK);
    data = (ci_fusion_data){m.n, m.split.n_valid, m.train_state, m.valid_state, m.train_label, m.valid_label};
    CI_TRY(ci_fusion_learn(comm, conf, strcmp(conf->train.device, "cuda") == 0 ? &m.at : NULL, &data, m.f, must_resume));
done:
    material_release(&m);
    return rc;
}
