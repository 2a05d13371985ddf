/* A teacher's part in a step, and the vgae that a curriculum asks what is difficult. */
#include <stdlib.h>
#include <string.h>
#include "ci/log.h"
#include "train_priv.h"

#define SCALED_OTHERWISE "distill.teacher: %s feature %d was scaled by %g and %g when it was trained, by %g and %g here, and it sees the " \
                         "same columns as its student; give both the same train.scale, and train it again"

/* Means of what a window of the store has. */
static double flops_of(const struct trainer *t, const ci_model *m)
{
    int64_t nodes, edges;

    ci_graphs_count(t->st, t->split.train, t->split.n_train, &nodes, &edges);
    const double n = (double)t->split.n_train, per_node = (double)nodes / n, per_edge = (double)edges / n;
    return ci_model_flops(m, per_node, per_edge + per_node, per_edge);
}

/* What the teacher costs is said before anything is computed: a step is three forward passes' worth without it. */
static ci_rc price(struct trainer *t)
{
    ci_rc rc = CI_OK;
    ci_model *student = NULL;
    ci_model_dim dim;

    CI_TRY(ci_train_dim(t->conf, t->st, &t->teacher.ck.dim, &dim));
    CI_TRY(ci_model_create(&dim, ci_train_kernels(t->conf, &t->at), &student));
    const double own = 3 * flops_of(t, student), more = flops_of(t, t->teacher.model);
    ci_log(CI_INFO, "teacher %.12s of %lld parameters: %.2f MFLOP a window beside the student's %.2f, a step takes about %.1f times as long",
           t->teacher.weights, (long long)t->teacher.ck.n, more / 1e6, own / 1e6, 1 + more / own);
done:
    ci_model_destroy(&student);
    return rc;
}

ci_rc teacher_open(struct trainer *t, const char *store_sha)
{
    ci_rc rc = CI_OK;
    const ci_conf *c = t->conf;
    const ci_model_kind kind = strcmp(c->model.name, "vgae") == 0 ? CI_VGAE : CI_GAT;

    if (c->distill.alpha <= 0) goto done;
    if (!c->distill.teacher[0])
        CI_FAIL(CI_ECONF, "distill.alpha %g without a teacher; set distill.teacher to the run directory of a trained %s", c->distill.alpha,
                c->model.name);
    rc = ci_trained_open(t->comm, c->distill.teacher, "best.h5", ci_train_kernels(c, &t->at), &t->at, &t->teacher);
    if (rc == CI_ENOENT) CI_FAIL(CI_ENOENT, "distill.teacher: %s has no best.h5; train the teacher first", c->distill.teacher);
    CI_TRY(rc);
    if (t->teacher.ck.dim.kind != (ci_lid)kind)
        CI_FAIL(CI_ECONF, "distill.teacher: %s is a %s, and no teacher of a %s", c->distill.teacher,
                t->teacher.ck.dim.kind == CI_VGAE ? "vgae" : "gat", c->model.name);
    CI_TRY(ci_trained_fits(&t->teacher, "distill.teacher", t->st, store_sha, t->split_sha));
    CI_TRY(price(t));
done:
    return rc;
}

ci_rc teacher_scaled(const struct trainer *t)
{
    ci_rc rc = CI_OK;
    const ci_scaler *own = &t->ck.scaler, *its = &t->teacher.ck.scaler;

    if (!t->teacher.model) goto done;
    for (ci_lid k = 0; k < own->n_node; k++)
        if (its->clip != own->clip || its->node_mean[k] != own->node_mean[k] || its->node_spread[k] != own->node_spread[k])
            CI_FAIL(CI_ECONF, SCALED_OTHERWISE, "node", k, its->node_mean[k], its->node_spread[k], own->node_mean[k], own->node_spread[k]);
    for (ci_lid k = 0; k < own->n_edge; k++)
        if (its->edge_mean[k] != own->edge_mean[k] || its->edge_spread[k] != own->edge_spread[k])
            CI_FAIL(CI_ECONF, SCALED_OTHERWISE, "edge", k, its->edge_mean[k], its->edge_spread[k], own->edge_mean[k], own->edge_spread[k]);
done:
    return rc;
}

/* v, at `from` of what the slot keeps: the passes that follow come when this thread's teacher has seen other shards. */
static const float *kept(struct slot *s, size_t from, const float *v, ci_lid rows, ci_lid cols)
{
    if (!s->said) return v;
    return memcpy(s->said + from, v, (size_t)rows * (size_t)cols * sizeof *v);
}

ci_rc teacher_ask(const struct trainer *t, const struct worker *w, struct slot *s)
{
    ci_rc rc = CI_OK;
    const ci_trained *e = &t->teacher;
    ci_lid cols;

    CI_TRY(ci_model_forward(e->model, e->ck.w, e->ck.state, w->teacher, s->b));
    if (e->ck.dim.kind == CI_GAT) {
        s->aid.teacher_logit = kept(s, 0, ci_scratch_tensor(e->model, w->teacher, "logit", &cols), s->b->n_graph, e->ck.dim.n_class);
        goto done;
    }
    const float *mu = ci_scratch_tensor(e->model, w->teacher, "mu", &cols);
    s->aid.teacher_mu = kept(s, 0, mu, s->b->n_node, cols);
    const size_t n_mu = (size_t)s->b->n_node * (size_t)cols;
    const float *recon = ci_scratch_tensor(e->model, w->teacher, "recon", &cols);
    s->aid.teacher_recon = kept(s, n_mu, recon, s->b->n_node, cols);
done:
    return rc;
}

size_t teacher_room(const struct trainer *t)
{
    const ci_model_dim *d = &t->teacher.ck.dim;
    const int32_t rows = t->conf->train.shard_rows;

    if (!t->teacher.model) return 0;
    if (d->kind == CI_GAT) return (size_t)CI_SHARD_GRAPHS(rows) * (size_t)d->n_class;
    return (size_t)rows * (size_t)(d->latent + d->n_feature - d->x_first);
}

ci_rc difficulty_open(struct trainer *t, const char *store_sha)
{
    enum { RECON = 0, ID = 3 };
    ci_rc rc = CI_OK;
    const ci_conf *c = t->conf;
    ci_trained e = {0};
    float *out = NULL;
    ci_lid K;

    if (strcmp(c->train.curriculum, "none") == 0) goto done;
    if (!c->train.difficulty[0])
        CI_FAIL(CI_ECONF, "train.curriculum %s needs to know what is difficult; set train.difficulty to the run directory of a trained vgae",
                c->train.curriculum);
    rc = ci_trained_open(t->comm, c->train.difficulty, "best.h5", ci_train_kernels(c, &t->at), &t->at, &e);
    if (rc == CI_ENOENT) CI_FAIL(CI_ENOENT, "train.difficulty: %s has no best.h5; train the vgae first", c->train.difficulty);
    CI_TRY(rc);
    if (e.ck.dim.kind != CI_VGAE) CI_FAIL(CI_ECONF, "train.difficulty: %s is no vgae", c->train.difficulty);
    CI_TRY(ci_trained_fits(&e, "train.difficulty", t->st, store_sha, t->split_sha));
    memcpy(t->ck.difficulty, e.weights, sizeof t->ck.difficulty);
    CI_TRY(ci_trained_score(t->comm, &e, c->train.threads, c->train.shard_rows, t->st, t->train, t->n_train, &out));
    ci_model_outputs(e.model, &K);
    t->difficulty = ci_new((size_t)t->n_train, sizeof *t->difficulty);
    CI_TRY_ALL(t->comm, "train.difficulty", t->difficulty ? CI_OK : ci_fail(CI_ENOMEM, __FILE__, __LINE__, "difficulties"));
    for (int64_t i = 0; i < t->n_train; i++) t->difficulty[i] = (double)out[i * K + RECON] + 0.1 * (double)out[i * K + ID];
done:
    free(out);
    ci_trained_release(&e);
    return rc;
}
