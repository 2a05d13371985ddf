/* A fusion model in use: with the two models that make its states. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/commit.h"
#include "fusion_priv.h"

static ci_rc fits(const ci_conf *conf, const char *file, const char *store_sha, const ci_fused *o)
{
    ci_rc rc = CI_OK;
    const ci_fusion *f = o->model;
    ci_fusion_of of;

    of_make(conf, store_sha, &o->gat, &o->vgae, &of);
    if (strcmp(f->of.store, store_sha) != 0)
        CI_FAIL(CI_ECONF, "%s learned from store %.12s, this one is %.12s; train again", file, f->of.store, store_sha);
    if (strcmp(f->of.settings, of.settings) != 0)
        CI_FAIL(CI_ECONF, "%s learned with other fusion.*, split.*, vocab.*, train.seed or train.precision: give eval the settings of "
                "training, or train again", file);
    if (strcmp(f->of.gat, of.gat) != 0 || strcmp(f->of.vgae, of.vgae) != 0)
        CI_FAIL(CI_ECONF, "%s learned from gat %.12s and vgae %.12s, %s and %s have %.12s and %.12s; train again", file, f->of.gat, f->of.vgae,
                conf->fusion.gat, conf->fusion.vgae, of.gat, of.vgae);
    if (f->at.loss_n > 0 || f->at.reward_n > 0 || f->at.best_episode < 0)
        CI_FAIL(CI_ECONF, "%s stands behind episode %lld, which has no threshold yet; train to the end first", file, (long long)f->at.episode);
done:
    return rc;
}

static ci_rc mine_open(const ci_conf *conf, const char *file, const char *store_sha, ci_fused *out)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX];

    CI_TRY(ci_path_join(path, conf->run.dir, file));
    CI_TRY(ci_fusion_read(path, conf->train.isa, &out->model));
    CI_TRY(fits(conf, file, store_sha, out));
    out->shape = out->model->shape;
    out->at = out->model->at;
    ci_fusion_weights(out->model, out->weights);
done:
    return rc;
}

static bool weighs(const ci_fusion_shape *s) { return strcmp(s->method, "mlp") != 0 && strcmp(s->method, "moe") != 0; }

static int32_t policy_cols(const ci_fusion_shape *s)
{
    return strcmp(s->method, "moe") == 0 ? EXPERTS : weighs(s) && strcmp(s->method, "average") != 0 ? s->actions : 0;
}

/* Pointers, and behind them the texts of the policy's names. */
static ci_rc names_make(ci_fused *f)
{
    enum { ROOM = 16 };
    ci_rc rc = CI_OK;
    const int32_t policy = policy_cols(&f->shape), first = 2 + weighs(&f->shape);
    char *text;

    f->n_output = first + policy;
    f->output = ci_new((size_t)f->n_output, sizeof *f->output + ROOM);
    if (!f->output) CI_FAIL(CI_ENOMEM, "%d names", f->n_output);
    f->output[0] = "anomaly";
    f->output[1] = "classifier";
    if (first > 2) f->output[2] = "alpha";
    text = (char *)(f->output + f->n_output);
    for (int32_t k = 0; k < policy; k++, text += ROOM) {
        snprintf(text, ROOM, "%s_%d", strcmp(f->shape.method, "moe") == 0 ? "gate" : "q", k);
        f->output[first + k] = text;
    }
done:
    return rc;
}

ci_rc ci_fused_open(const ci_comm *comm, const ci_conf *conf, const ci_compute *at, const char *file, const ci_store *st, const char *store_sha,
                    ci_fused *out)
{
    ci_rc rc = CI_OK;
    ci_fused f = {0};

    *out = (ci_fused){0};
    CI_TRY(both_open(comm, conf, at, st, store_sha, &f.gat, &f.vgae));
    CI_TRY_ALL(comm, "fused.open", comm->rank == 0 ? mine_open(conf, file, store_sha, &f) : CI_OK);
    CI_TRY(ci_comm_bcast(comm, "fused.shape", 0, &f.shape, sizeof f.shape));
    CI_TRY(ci_comm_bcast(comm, "fused.at", 0, &f.at, sizeof f.at));
    CI_TRY(ci_comm_bcast(comm, "fused.weights", 0, f.weights, sizeof f.weights));
    CI_TRY_ALL(comm, "fused.names", names_make(&f));
    *out = f;
    f = (ci_fused){0};
done:
    ci_fused_release(&f);
    return rc;
}

void ci_fused_release(ci_fused *f)
{
    if (!f) return;
    ci_trained_release(&f->gat);
    ci_trained_release(&f->vgae);
    ci_fusion_destroy(&f->model);
    free(f->output);
    *f = (ci_fused){0};
}

const char *const *ci_fused_outputs(const ci_fused *f, ci_lid *out_n)
{
    *out_n = f->n_output;
    return f->output;
}

/* Rank 0: what is said of n windows of these states. */
static ci_rc said(const ci_fused *f, const float *state, int64_t n, double *score, float *out)
{
    ci_rc rc = CI_OK;
    const int32_t policy = policy_cols(&f->shape), first = 2 + weighs(&f->shape);
    float *alpha = ci_new((size_t)n, sizeof *alpha), *q = ci_new((size_t)n, (size_t)policy * sizeof *q);
    ci_fusion_fact *fact = ci_new((size_t)n, sizeof *fact);

    if (!alpha || !q || !fact) CI_FAIL(CI_ENOMEM, "%lld windows", (long long)n);
    CI_TRY(ci_fusion_score(f->model, state, n, score, alpha, q));
    ci_fusion_facts(&f->model->scale, state, n, fact);
    for (int64_t i = 0; i < n; i++) {
        float *row = out + i * f->n_output;
        row[0] = fact[i].anomaly;
        row[1] = fact[i].attack;
        if (first > 2) row[2] = alpha[i];
        memcpy(row + first, q + i * policy, (size_t)policy * sizeof *q);
    }
done:
    free(alpha);
    free(q);
    free(fact);
    return rc;
}

ci_rc ci_fused_score(const ci_comm *comm, const ci_conf *conf, const ci_fused *f, const ci_store *st, const int64_t *graph,
                     int64_t n, double *score, float *out)
{
    ci_rc rc = CI_OK;
    const bool mine = f->model != NULL;
    float *state = mine ? ci_new((size_t)n, (size_t)f->shape.state * sizeof *state) : NULL;

    CI_TRY_ALL(comm, "fused.room", !mine || state ? CI_OK : ci_fail(CI_ENOMEM, __FILE__, __LINE__, "%lld states", (long long)n));
    CI_TRY(states_make(comm, conf, &f->gat, &f->vgae, st, graph, n, mine ? &f->model->scale : NULL, NULL, NULL, state));
    CI_TRY_ALL(comm, "fused.score", mine ? said(f, state, n, score, out) : CI_OK);
    CI_TRY(ci_comm_bcast(comm, "fused.scores", 0, score, (size_t)n * sizeof *score));
    CI_TRY(ci_comm_bcast(comm, "fused.outputs", 0, out, (size_t)n * (size_t)f->n_output * sizeof *out));
done:
    free(state);
    return rc;
}
