/* The loop: epochs, validation, checkpoints, and going on from where a run stopped. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/commit.h"
#include "ci/json.h"
#include "ci/log.h"
#include "ci/trail.h"
#include "train_priv.h"

/* Files of the run. */
struct files {
    ci_trail trail;
    double saved_s; /* when the last checkpoint was written */
};

static ci_rc metrics_line(const struct trainer *t, struct files *f, const struct validation *v, double loss, bool best)
{
    ci_rc rc = CI_OK;
    ci_json *j = ci_json_object();

    ci_json_int(j, "epoch", t->ck.at.epoch);
    ci_json_int(j, "step", t->ck.at.step);
    ci_json_num(j, "loss", loss);
    ci_json_num(j, "valid_loss", v->loss);
    ci_json_num(j, "valid_auroc", v->auroc);
    ci_json_num(j, "valid_average_precision", v->ap);
    ci_json_num(j, "valid_f1", v->f1);
    ci_json_num(j, "valid_mcc", v->mcc);
    if (ci_model_dims(t->model)->kind == CI_VGAE) {
        ci_json_num(j, "valid_gap", v->gap);
        ci_json_num(j, "valid_max_gap", v->max_gap);
        ci_json_num(j, "valid_ratio", v->ratio);
    }
    ci_json_num(j, "threshold", v->threshold);
    ci_json_bool(j, "best", best);
    CI_TRY(ci_trail_add(&f->trail, j));
done:
    ci_json_free(&j);
    return rc;
}

/* Metrics first, the checkpoint that counts on them last: a kill in between repeats the epoch. */
static ci_rc epoch_save(struct trainer *t, struct files *f, const struct validation *v, double loss, bool best,
                        const ci_progress *next)
{
    ci_rc rc = CI_OK;

    CI_TRY(metrics_line(t, f, v, loss, best));
    t->ck.at = *next;
    t->ck.at.threshold = v->threshold;
    if (best) CI_TRY(ci_ckpt_write(&t->ck, t->model, f->trail.best));
    CI_TRY(ci_ckpt_write(&t->ck, t->model, f->trail.last));
    f->saved_s = ci_now_s();
    t->late = CI_OK; /* what could not be written then is written now */
done:
    return rc;
}

static bool steps_done(const struct trainer *t)
{
    return t->conf->train.steps > 0 && t->ck.at.step >= t->conf->train.steps;
}

/* Whether these weights are the best so far; of equal ones those with the lower loss, and the earlier. */
static bool compare(const struct trainer *t, const struct validation *v, ci_progress *next)
{
    const bool more = more_is_better(t->conf);
    const bool better = next->better_epoch < 0 || (more ? v->value > next->best_value : v->value < next->best_value);
    const bool best = better || (v->value == next->best_value && v->loss < next->best_loss);

    if (better) next->better_epoch = next->epoch;
    if (best) {
        next->best_epoch = next->epoch;
        next->best_value = v->value;
        next->best_loss = v->loss;
    }
    ci_plateau_step(&next->plateau, v->value, more, t->conf->train.schedule_patience, 1e-4);
    return best;
}

/* After the last batch of an epoch: validate, decide, save. */
static ci_rc epoch_end(struct trainer *t, struct files *f, double begun_s)
{
    ci_rc rc = CI_OK;
    const ci_conf *c = t->conf;
    ci_progress next = t->ck.at;
    struct validation v;
    const double loss = (double)next.loss_sum / (double)(1LL << LOSS_BITS) / (double)CI_MAX(next.batch, 1);
    bool best;

    CI_TRY_ALL(t->comm, "train.epoch.fetch", device_fetch(t));
    CI_TRY(validate(t, &v));
    best = compare(t, &v, &next);
    ci_log(CI_INFO, "epoch %lld: loss %.5f, validation loss %.5f AUROC %.5f AP %.5f%s, %.0f graphs/s", (long long)next.epoch + 1,
           loss, v.loss, v.auroc, v.ap, best ? " (best)" : "", (double)t->batch_first[next.batch] / (ci_now_s() - begun_s));
    next.epoch++;
    next.batch = 0;
    next.loss_sum = 0;
    next.finished = ci_train_finished(c, &next) == 1;
    CI_TRY_ALL(t->comm, "train.epoch.save",
               t->comm->rank == 0 ? epoch_save(t, f, &v, loss, best, &next) : CI_OK);
    t->ck.at = next;
    t->ck.at.threshold = v.threshold;
done:
    return rc;
}

static ci_rc checkpoint(struct trainer *t, const struct files *f)
{
    ci_rc rc = CI_OK;

    CI_TRY(device_fetch(t));
    CI_TRY(ci_ckpt_write(&t->ck, t->model, f->trail.last));
done:
    return rc;
}

/* Inside an epoch: a checkpoint when one is due or a signal came. */
static ci_rc interrupted(struct trainer *t, struct files *f, int signal)
{
    ci_rc rc = CI_OK;
    const double every = t->conf->train.checkpoint_s;

    if (signal) {
        CI_TRY_ALL(t->comm, "train.signal.save", t->comm->rank == 0 ? checkpoint(t, f) : CI_OK);
        CI_FAIL(CI_ETEMP, "stopped by signal %d after step %lld; %s has it all, the same command goes on from there",
                signal, (long long)t->ck.at.step, f->trail.last);
    }
    if (t->comm->rank == 0 && every > 0 && ci_now_s() - f->saved_s > every) {
        t->late = checkpoint(t, f); /* a failure is told at the next step */
        if (t->late != CI_OK) snprintf(t->late_message, sizeof t->late_message, "%s", ci_message());
        f->saved_s = ci_now_s();
    }
done:
    return rc;
}

static ci_rc epoch_run(struct trainer *t, struct files *f)
{
    ci_rc rc = CI_OK;
    const double begun = ci_now_s();
    ci_heartbeat heart = {begun, 0};
    int signal = 0;

    CI_TRY_ALL(t->comm, "train.epoch.begin", epoch_begin(t));
    CI_TRY(device_epoch(t));
    while (t->ck.at.batch < t->n_batch && !steps_done(t)) {
        CI_TRY(step_run(t, &signal));
        CI_TRY(interrupted(t, f, signal));
        if (ci_now_s() - heart.last_s > 60 && ci_heartbeat_due(&heart, (double)t->ck.at.batch, (double)t->n_batch))
            ci_log(CI_INFO, "epoch %lld: batch %lld of %lld", (long long)t->ck.at.epoch + 1, (long long)t->ck.at.batch,
                   (long long)t->n_batch);
    }
    CI_TRY(epoch_end(t, f, begun));
done:
    return rc;
}

/* Take up last.h5 when it is of this training; say why not when it is not. */
static ci_rc resume(struct trainer *t, struct files *f, bool must, bool *out_resumed)
{
    ci_rc rc = CI_OK;
    ci_ckpt c = {0};
    int64_t usable = 0;
    ci_rc got = CI_OK;

    if (t->comm->rank == 0) {
        got = ci_ckpt_read(f->trail.last, &c);
        if (got == CI_OK) {
            usable = ci_train_finished(t->conf, &c.at) >= 0 && strcmp(c.settings, t->ck.settings) == 0 && strcmp(c.store, t->ck.store) == 0 &&
                     c.n == t->ck.n && strcmp(c.tensors, t->ck.tensors) == 0 && c.n_vocab == t->ck.n_vocab &&
                     c.n_calibration == t->ck.n_calibration && strcmp(c.teacher, t->ck.teacher) == 0 &&
                     strcmp(c.difficulty, t->ck.difficulty) == 0;
            if (!usable) ci_log(CI_WARN, "%s is of other settings, another teacher, another store or other tensors: training starts anew", f->trail.last);
            if (usable && c.at.best_epoch >= 0 &&
                (ci_commit_check(f->trail.best, NULL) != CI_OK || ci_commit_check(f->trail.metrics, NULL) != CI_OK)) {
                ci_log(CI_WARN, "%s or %s is gone or damaged: training starts anew", f->trail.best, f->trail.metrics);
                usable = 0;
            }
        } else if (got == CI_EFORMAT) {
            ci_log(CI_WARN, "%s; training starts anew", ci_message());
        }
        if (got == CI_ENOENT || got == CI_EFORMAT) got = CI_OK;
    }
    ci_ckpt_release(&c);
    CI_TRY_ALL(t->comm, "train.resume.read", got);
    CI_TRY(ci_comm_bcast(t->comm, "train.resume.usable", 0, &usable, sizeof usable));
    if (!usable && must)
        CI_FAIL(CI_ENOENT, "--resume: %s is no checkpoint of these settings and this store", f->trail.last);
    if (!usable) goto done;
    CI_TRY(ci_ckpt_read_all(t->comm, f->trail.last, &c));
    ci_ckpt_release(&t->ck);
    t->ck = c;
    t->ck.at.finished = ci_train_finished(t->conf, &t->ck.at) == 1;
    *out_resumed = true;
    if (t->comm->rank == 0) got = ci_trail_restore(&f->trail, t->ck.at.epoch);
    CI_TRY_ALL(t->comm, "train.resume.metrics", got);
    if (!t->ck.at.finished)
        ci_log(CI_INFO, "going on from %s: epoch %lld, step %lld", f->trail.last, (long long)t->ck.at.epoch + 1,
               (long long)t->ck.at.step);
done:
    return rc;
}

static void announce(const struct trainer *t)
{
    const ci_split *s = &t->split;
    char more[96] = "";
    int n = 0;

    if (s->n_cold) n += snprintf(more, sizeof more, ", %lld too early in their stream", (long long)s->n_cold);
    if (s->n_out) snprintf(more + n, sizeof more - (size_t)n, ", %lld left out", (long long)s->n_out);
    ci_log(CI_INFO, "%s %s: %lld parameters, identifiers %d; kernels %s, %d rank%s of %d thread%s", t->conf->model.name,
           t->conf->model.scale, (long long)t->ck.n, t->ck.n_vocab, ci_model_isa(t->model), t->comm->size,
           t->comm->size == 1 ? "" : "s", t->n_thread, t->n_thread == 1 ? "" : "s");
    ci_log(CI_INFO, "split: %lld training windows (%lld attacks), %lld validation (%lld), %lld embargoed%s%s%s",
           (long long)s->n_train, (long long)s->n_train_attack, (long long)s->n_valid, (long long)s->n_valid_attack,
           (long long)s->n_embargo, more, t->n_train < s->n_train ? "; benign ones are learned from" : "",
           s->leaky ? "; LEAKY, as split.allow_leak permits" : "");
    if (t->conf->split.fold >= 0 && t->conf->model.id_dim > 0)
        ci_log(CI_WARN, "model.id_dim: %d: identifiers of captures left out by split.folds are in the vocabulary, those of a vehicle that is new are "
               "not: thresholds may not hold there; write 0", t->conf->model.id_dim);
}

ci_rc ci_train(const ci_comm *comm, const ci_conf *conf, const ci_store *st, const char *store_sha,
               bool must_resume)
{
    ci_rc rc = CI_OK;
    struct trainer t = {0};
    struct files f = {0};
    char weights[CI_SHA256_HEX];
    bool resumed = false;

    CI_TRY(ci_trail_init(&f.trail, conf->run.dir));
    CI_TRY(trainer_init(&t, comm, conf, st, store_sha));
    announce(&t);
    CI_TRY(resume(&t, &f, must_resume, &resumed));
    if (!resumed) {
        CI_TRY(ci_scaler_fit(comm, st, t.split.train, t.split.n_train,
                             ci_scaler_kind_of(conf->train.scale), &t.ck.scaler));
        ci_model_init(t.model, (uint32_t)conf->train.seed, t.ck.w, t.ck.state);
    }
    CI_TRY(teacher_scaled(&t));
    CI_TRY(device_begin(&t));
    f.saved_s = ci_now_s();
    while (!t.ck.at.finished) CI_TRY(epoch_run(&t, &f));
    CI_TRY_ALL(comm, "train.cka", comm->rank == 0 ? cka_report(&t) : CI_OK);
    ci_ckpt_weights(&t.ck, weights);
    ci_log(CI_INFO, "trained: %lld steps, best epoch %lld (validation %s %.5f), last weights %s", (long long)t.ck.at.step,
           (long long)t.ck.at.best_epoch + 1, conf->train.monitor, t.ck.at.best_value, weights);
    if (strcmp(conf->run.log, "debug") == 0)
        ci_log_any(CI_DEBUG, "rank %d computed %lld shards", comm->rank, (long long)t.shards_done);
done:
    trainer_release(&t);
    ci_trail_release(&f.trail);
    return rc;
}
