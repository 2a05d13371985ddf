/* What judges windows: one trained model, or the fusion of two. */
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "eval_priv.h"

/* Is the checkpoint of this store, this model and this training, and does its threshold belong to its weights? */
static ci_rc fits(const ci_conf *conf, const ci_trained *t, const ci_store *st, const char *store_sha)
{
    ci_rc rc = CI_OK;
    const ci_ckpt *ck = &t->ck;
    const char *which = conf->eval.weights;
    char settings[CI_SHA256_HEX];

    CI_TRY(ci_trained_fits(t, strcmp(which, "last") == 0 ? "last.h5" : "best.h5", st, store_sha, NULL));
    ci_train_settings(conf, settings);
    if (strcmp(ck->settings, settings) != 0)
        CI_FAIL(CI_ECONF, "%s.h5 was trained with other split.*, model.*, vocab.* or train.*: give eval the settings of training, "
                "or train again", which);
    if (ck->at.batch > 0)
        CI_FAIL(CI_ECONF, "%s.h5 stands inside epoch %lld, which has no threshold yet; train to its end first", which,
                (long long)ck->at.epoch + 1);
done:
    return rc;
}

ci_rc judge_open(const ci_comm *comm, const ci_conf *conf, const ci_store *st, const char *store_sha, struct judge *j)
{
    ci_rc rc = CI_OK;
    const char *file = strcmp(conf->eval.weights, "last") == 0 ? "last.h5" : "best.h5";

    *j = (struct judge){.fusion = strcmp(conf->model.name, "dqn") == 0};
    CI_TRY(ci_compute_open(comm, conf, &j->at));
    if (j->fusion) {
        CI_TRY(ci_fused_open(comm, conf, &j->at, file, st, store_sha, &j->both));
        goto done;
    }
    CI_TRY(ci_trained_open(comm, conf->run.dir, file, ci_train_kernels(conf, &j->at), &j->at, &j->one));
    CI_TRY_ALL(comm, "eval.fits", fits(conf, &j->one, st, store_sha));
done:
    return rc;
}

void judge_release(struct judge *j)
{
    ci_trained_release(&j->one);
    ci_fused_release(&j->both);
    ci_compute_close(&j->at);
}

const char *judge_weights(const struct judge *j) { return j->fusion ? j->both.weights : j->one.weights; }
int64_t judge_epoch(const struct judge *j) { return j->fusion ? j->both.at.episode : j->one.ck.at.epoch; }

void trained_settings(const ci_conf *conf, char out[CI_SHA256_HEX])
{
    (strcmp(conf->model.name, "dqn") == 0 ? ci_fusion_settings : ci_train_settings)(conf, out);
}

void judge_stamp(const struct judge *j, struct results *r)
{
    memcpy(r->weights, judge_weights(j), sizeof r->weights);
    r->threshold = j->fusion ? j->both.at.threshold : j->one.ck.at.threshold;
    r->best_epoch = j->fusion ? j->both.at.best_episode : j->one.ck.at.best_epoch;
    r->weights_epoch = judge_epoch(j);
}

/* What the rows of outputs say of their windows. */
static void score_fill(const ci_trained *t, struct scored *s)
{
    ci_judge(t->model, t->ck.calibration, t->ck.n_calibration, s->output, s->n, s->score);
    s->probability = t->ck.dim.kind == CI_GAT;
    if (s->probability && s->odds) {
        for (int64_t i = 0; i < s->n; i++) s->score[i] = (double)s->output[i * s->n_output + 1] - (double)s->output[i * s->n_output];
        s->probability = false;
        s->score_name = "log-odds of attack";
        return;
    }
    s->odds = false;
    s->score_name = s->probability ? "probability of attack" : t->ck.n_calibration ? "largest calibrated anomaly measure" : "reconstruction error";
}

static ci_rc fusion_score(const ci_comm *comm, const ci_conf *conf, const ci_store *st, const struct judge *j, struct scored *out)
{
    ci_rc rc = CI_OK;

    out->output_name = ci_fused_outputs(&j->both, &out->n_output);
    out->output = ci_new((size_t)out->n, (size_t)out->n_output * sizeof *out->output);
    CI_TRY_ALL(comm, "eval.room", out->output ? CI_OK : ci_fail(CI_ENOMEM, __FILE__, __LINE__, "%lld windows", (long long)out->n));
    out->odds = false;
    CI_TRY(ci_fused_score(comm, conf, &j->both, st, out->graph, out->n, out->score, out->output));
    out->probability = strcmp(j->both.shape.method, "dqn") != 0 && strcmp(j->both.shape.method, "linucb") != 0; /* those weigh, the others learn one */
    out->score_name = out->probability ? "probability of attack" : "fused score";
done:
    return rc;
}

ci_rc judge_score(const ci_comm *comm, const ci_conf *conf, const ci_store *st, const struct judge *j, struct scored *out)
{
    ci_rc rc = CI_OK;

    if (j->fusion) {
        CI_TRY(fusion_score(comm, conf, st, j, out));
        goto done;
    }
    out->output_name = ci_model_outputs(j->one.model, &out->n_output);
    CI_TRY(ci_trained_score_frames(comm, &j->one, conf->train.threads, conf->train.shard_rows, st, out->graph, out->n, &out->output, &out->frame,
                                   &out->frame_odds));
    score_fill(&j->one, out);
done:
    return rc;
}
