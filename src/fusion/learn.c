/* The loop: episodes, validation, checkpoints, and going on from where a run stopped. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/commit.h"
#include "ci/json.h"
#include "ci/log.h"
#include "ci/metric.h"
#include "ci/signal.h"
#include "ci/trail.h"
#include "fusion_priv.h"

enum { VALIDATIONS = 20 }; /* over all episodes, about */

void ci_fusion_settings(const ci_conf *conf, char out[CI_SHA256_HEX])
{
    static const char *const reads[] = {
        "fusion.method",   "fusion.state",  "fusion.reward", "fusion.anomaly", "fusion.actions", "fusion.hidden",
        "fusion.layers",   "fusion.norm",   "fusion.episodes", "fusion.sample", "fusion.steps",  "fusion.batch",
        "fusion.buffer",   "fusion.max_states", "fusion.lr", "fusion.decay",   "fusion.dropout", "fusion.gamma",
        "fusion.target",   "fusion.epsilon", "fusion.balance", "split.",       "vocab.",         "train.seed",
        "train.injected",  "data.vehicles",  "train.precision"};
    const bool rounds = strcmp(conf->train.precision, "fp32") != 0; /* what both models say of windows */

    ci_conf_hash(conf, reads, CI_COUNT(reads) - !rounds, out);
}

struct validation { double auroc, ap, j, threshold; };

static ci_rc validate(struct learner *l, struct validation *out)
{
    ci_rc rc = CI_OK;
    const ci_fusion_data *d = l->data;
    double *score = ci_new((size_t)d->n_valid, sizeof *score);

    if (!score) CI_FAIL(CI_ENOMEM, "%lld validation scores", (long long)d->n_valid);
    CI_TRY(ci_fusion_score(l->f, d->valid, d->n_valid, score, NULL, NULL));
    CI_TRY(ci_auroc(score, d->valid_label, d->n_valid, &out->auroc));
    CI_TRY(ci_average_precision(score, d->valid_label, d->n_valid, &out->ap));
    CI_TRY(ci_youden(score, d->valid_label, d->n_valid, &out->threshold, &out->j));
done:
    free(score);
    return rc;
}

static ci_rc metrics_line(const struct learner *l, ci_trail *s, const struct validation *v, bool best)
{
    ci_rc rc = CI_OK;
    const ci_fusion_progress *p = &l->f->at;
    ci_json *j = ci_json_object();

    ci_json_int(j, "epoch", p->episode - 1);
    ci_json_int(j, "step", p->step);
    ci_json_num(j, "loss", p->loss_n > 0 ? p->loss_sum / p->loss_n : NAN);
    if (p->reward_n > 0) ci_json_num(j, "reward", p->reward_sum / p->reward_n);
    ci_json_num(j, "valid_auroc", v->auroc);
    ci_json_num(j, "valid_average_precision", v->ap);
    ci_json_num(j, "valid_j", v->j);
    ci_json_num(j, "threshold", v->threshold);
    ci_json_bool(j, "best", best);
    CI_TRY(ci_trail_add(s, j));
done:
    ci_json_free(&j);
    return rc;
}

/* Metrics first, the checkpoint that counts on them last: a kill in between repeats the episodes. */
static ci_rc episodes_close(struct learner *l, ci_trail *s)
{
    ci_rc rc = CI_OK;
    ci_fusion_progress *p = &l->f->at;
    struct validation v = {0};
    bool best;

    CI_TRY(validate(l, &v));
    best = p->best_episode < 0 || v.auroc > p->best_auroc || (v.auroc == p->best_auroc && v.j > p->best_j);
    ci_log(CI_INFO, "episode %lld: loss %.5f, reward %.4f, validation AUROC %.5f AP %.5f%s", (long long)p->episode,
           p->loss_n > 0 ? p->loss_sum / p->loss_n : 0, p->reward_n > 0 ? p->reward_sum / p->reward_n : 0, v.auroc, v.ap,
           best ? " (best)" : "");
    CI_TRY(metrics_line(l, s, &v, best));
    p->threshold = v.threshold;
    p->loss_sum = p->loss_n = p->reward_sum = p->reward_n = 0;
    if (best) {
        p->best_episode = p->episode - 1;
        p->best_auroc = v.auroc;
        p->best_j = v.j;
        CI_TRY(ci_fusion_write(l->f, s->best));
    }
    CI_TRY(ci_fusion_write(l->f, s->last));
done:
    return rc;
}

/* Rank 0's share of the loop. */
static ci_rc episode_run(struct learner *l, ci_trail *s)
{
    ci_rc rc = CI_OK;
    ci_fusion_progress *p = &l->f->at;
    const int64_t n = l->conf->fusion.episodes, every = CI_MAX(1, n / VALIDATIONS);

    CI_TRY(l->f->method == DQN ? dqn_episode(l) : l->f->method == LINUCB ? linucb_episode(l) : supervised_epoch(l));
    if (l->dev) CI_TRY(devnet_pull(l->dev));
    p->episode++;
    p->finished = p->episode >= n;
    if (p->episode % every == 0 || p->finished) CI_TRY(episodes_close(l, s));
done:
    return rc;
}

/* The learning that last.h5 speaks of takes the place of `f`, when it is the same. */
static ci_rc resume(const ci_conf *conf, ci_trail *s, ci_fusion *f, bool must)
{
    ci_rc rc = CI_OK;
    ci_fusion *old = NULL, swap;
    bool usable = false;

    rc = ci_fusion_read(s->last, conf->train.isa, &old);
    if (rc == CI_OK) {
        usable = strcmp(old->of.settings, f->of.settings) == 0 && strcmp(old->of.store, f->of.store) == 0 &&
                 strcmp(old->of.gat, f->of.gat) == 0 && strcmp(old->of.vgae, f->of.vgae) == 0 && old->n == f->n &&
                 old->memory == f->memory;
        if (!usable) ci_log(CI_WARN, "%s is of other settings, another store or other models: learning starts anew", s->last);
        if (usable && old->at.best_episode >= 0 &&
            (ci_commit_check(s->best, NULL) != CI_OK || ci_commit_check(s->metrics, NULL) != CI_OK)) {
            ci_log(CI_WARN, "%s or %s is gone or damaged: learning starts anew", s->best, s->metrics);
            usable = false;
        }
    } else if (rc == CI_EFORMAT) {
        ci_log(CI_WARN, "%s; learning starts anew", ci_message());
    } else if (rc != CI_ENOENT) {
        goto done;
    }
    rc = CI_OK;
    if (!usable && must) CI_FAIL(CI_ENOENT, "--resume: %s is no checkpoint of these settings, this store and these models", s->last);
    if (!usable) goto done;
    swap = *f;
    *f = *old;
    *old = swap;
    f->of = swap.of; /* folders may have moved */
    CI_TRY(ci_trail_restore(s, f->at.episode));
    if (!f->at.finished) ci_log(CI_INFO, "going on from %s: episode %lld, step %lld", s->last, (long long)f->at.episode + 1,
                                (long long)f->at.step);
done:
    ci_fusion_destroy(&old);
    return rc;
}

/* What ranks hear of rank 0 after each episode. */
enum { TOLD_FINISHED, TOLD_SIGNAL, TOLD };

ci_rc ci_fusion_learn(const ci_comm *comm, const ci_conf *conf, const ci_compute *at, const ci_fusion_data *data, ci_fusion *f,
                      bool must_resume)
{
    ci_rc rc = CI_OK;
    struct learner l = {0};
    ci_trail s = {0};
    const bool mine = comm->rank == 0;
    int64_t told[TOLD] = {0};
    char weights[CI_SHA256_HEX];

    CI_TRY_ALL(comm, "fusion.files", ci_trail_init(&s, conf->run.dir));
    CI_TRY_ALL(comm, "fusion.resume", mine ? resume(conf, &s, f, must_resume) : CI_OK);
    CI_TRY_ALL(comm, "fusion.init", mine ? learner_init(&l, conf, at, data, f) : CI_OK);
    told[TOLD_FINISHED] = mine && f->at.finished;
    CI_TRY(ci_comm_max_i64(comm, "fusion.begin", told, TOLD));
    while (!told[TOLD_FINISHED]) {
        CI_TRY_ALL(comm, "fusion.episode", mine ? episode_run(&l, &s) : CI_OK);
        told[TOLD_FINISHED] = mine && f->at.finished;
        told[TOLD_SIGNAL] = ci_signal_seen();
        CI_TRY(ci_comm_max_i64(comm, "fusion.told", told, TOLD));
        if (!told[TOLD_SIGNAL] || told[TOLD_FINISHED]) continue;
        CI_TRY_ALL(comm, "fusion.signal.save", mine ? ci_fusion_write(f, s.last) : CI_OK);
        CI_FAIL(CI_ETEMP, "stopped by signal %d; %s has it all, the same command goes on from there", (int)told[TOLD_SIGNAL], s.last);
    }
    if (!mine) goto done;
    ci_fusion_weights(f, weights);
    ci_log(CI_INFO, "learned: %lld episodes, best %lld (validation AUROC %.5f), last weights %s", (long long)f->at.episode,
           (long long)f->at.best_episode + 1, f->at.best_auroc, weights);
done:
    learner_release(&l);
    ci_trail_release(&s);
    return rc;
}
