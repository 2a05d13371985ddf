/* The chosen checkpoint is checked, windows are scored, and what that is worth is written. */
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/log.h"
#include "ci/signal.h"
#include "ci/split.h"
#include "ci/train.h"
#include "eval_priv.h"

void ci_eval_settings(const ci_conf *conf, char out[CI_SHA256_HEX])
{
    static const char *const reads[] = {"data.train", "data.test", "data.set", "data.duplicates", "window.", "features.", "vocab.",
                                        "contract.", "split.", "model.", "train.", "eval."};

    ci_conf_hash(conf, reads, CI_COUNT(reads), out);
}

static bool is_test(const ci_store *st, int32_t capture)
{
    return st->head.folder[st->head.capture[capture].folder].role == 1;
}

/* Test windows, and those that validation had. */
static ci_rc windows_list(const ci_store *st, const ci_split *split, struct scored *out)
{
    ci_rc rc = CI_OK;
    int64_t v = 0;

    out->graph = ci_new((size_t)st->head.n_graph, sizeof *out->graph);
    out->test = ci_new((size_t)st->head.n_graph, sizeof *out->test);
    out->score = ci_new((size_t)st->head.n_graph, sizeof *out->score);
    if (!out->graph || !out->test || !out->score) CI_FAIL(CI_ENOMEM, "%lld graphs", (long long)st->head.n_graph);
    for (int64_t g = 0; g < st->head.n_graph; g++) {
        const bool test = is_test(st, st->graph_capture[g]), valid = v < split->n_valid && split->valid[v] == g;

        v += valid;
        if (!test && !valid) continue;
        out->test[out->n] = test;
        out->graph[out->n++] = g;
        out->n_test += test;
    }
    if (out->n_test == 0)
        CI_FAIL(CI_ECONF, "data.test: no test window in the store; name test folders, or leave eval out of pipeline");
done:
    return rc;
}

static ci_rc windows(const ci_conf *conf, const ci_store *st, struct scored *out)
{
    ci_rc rc = CI_OK;
    ci_split split = {0};
    ci_split_conf how = ci_train_split(conf);

    how.need_attacks = false;
    CI_TRY(ci_split_make(st, &how, &split));
    CI_TRY(windows_list(st, &split, out));
done:
    ci_split_release(&split);
    return rc;
}

static void scored_release(struct scored *s)
{
    free(s->graph);
    free(s->test);
    free(s->score);
    free(s->output);
}

/* What the rows of outputs say of their windows. */
static void score_fill(const ci_trained *t, struct scored *s)
{
    ci_judge(t->model, t->ck.calibration, t->ck.n_calibration, s->output, s->n, s->score);
    s->probability = t->ck.dim.kind == CI_GAT;
    s->score_name = s->probability ? "probability of attack" : t->ck.n_calibration ? "largest calibrated anomaly measure" : "reconstruction error";
}

static ci_rc score_all(const ci_comm *comm, const ci_conf *conf, const ci_store *st, const ci_trained *t, struct scored *out)
{
    ci_rc rc = CI_OK;
    ci_lid n;
    int64_t stop;

    out->output_name = ci_model_outputs(t->model, &n);
    out->n_output = n;
    CI_TRY(ci_trained_score(comm, t, conf->train.threads, conf->train.shard_rows, st, out->graph, out->n, &out->output));
    stop = ci_signal_seen();
    CI_TRY(ci_comm_max_i64(comm, "eval.signal", &stop, 1));
    if (stop) CI_FAIL(CI_ETEMP, "stopped by signal %d while evaluating; the same command evaluates again", (int)stop);
    score_fill(t, out);
done:
    return rc;
}

/* Is the checkpoint of this store, this model and this training, and does its threshold belong to its weights? */
static ci_rc fits(const ci_conf *conf, const ci_trained *t, const ci_store *st, const char *store_sha)
{
    ci_rc rc = CI_OK;
    const ci_ckpt *ck = &t->ck;
    const char *which = conf->eval.weights;
    char settings[CI_SHA256_HEX];

    if (strcmp(ck->store, store_sha) != 0)
        CI_FAIL(CI_ECONF, "%s.h5 was trained on store %.12s, this one is %.12s; train again", which, ck->store, store_sha);
    CI_TRY(ci_trained_fits(t, which, st, store_sha, NULL));
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

static void stamp(const ci_conf *conf, const ci_store *st, const char *store_sha, const ci_ckpt *ck, struct results *r)
{
    ci_eval_settings(conf, r->settings);
    memcpy(r->store, store_sha, CI_SHA256_HEX);
    ci_ckpt_weights(ck, r->weights);
    r->which = conf->eval.weights;
    r->threshold = ck->at.threshold;
    r->best_epoch = ck->at.best_epoch;
    r->weights_epoch = ck->at.epoch;
    r->leaky = strcmp(conf->split.allow_leak, "reference") == 0;
    r->simulated = st->head.simulated;
    ci_log(CI_INFO, "fixed before the first test score: settings %s, code %s, %s weights, threshold %.6f", r->settings, r->code,
           r->which, r->threshold);
}

/* The results come last: who finds them, finds the rest. */
static ci_rc leave(const ci_conf *conf, const ci_store *st, const ci_trained *t, const struct scored *all, struct results *r)
{
    ci_rc rc = CI_OK;

    r->score = all->score_name;
    CI_TRY(results_tabulate(conf, st, all, r));
    CI_TRY(scores_write(all, st, conf, r));
    CI_TRY(explain_write(t, all, st, conf, r));
    CI_TRY(results_write(r, conf->run.dir));
done:
    return rc;
}

ci_rc ci_eval(const ci_comm *comm, const ci_conf *conf, const ci_store *st, const char *store_sha,
              const char *code)
{
    ci_rc rc = CI_OK;
    struct scored all = {0};
    struct results r = {.code = code};
    ci_trained t = {0};
    const double begun = ci_now_s();

    CI_TRY(ci_trained_open(comm, conf->run.dir, strcmp(conf->eval.weights, "last") == 0 ? "last.h5" : "best.h5", conf->train.isa, &t));
    CI_TRY_ALL(comm, "eval.fits", fits(conf, &t, st, store_sha));
    CI_TRY_ALL(comm, "eval.graphs", windows(conf, st, &all));
    stamp(conf, st, store_sha, &t.ck, &r);
    CI_TRY(score_all(comm, conf, st, &t, &all));
    ci_log(CI_INFO, "%lld test windows scored in %.2f s", (long long)all.n_test, ci_now_s() - begun);
    CI_TRY_ALL(comm, "eval.write", comm->rank == 0 ? leave(conf, st, &t, &all, &r) : CI_OK);
done:
    scored_release(&all);
    results_release(&r);
    ci_trained_release(&t);
    return rc;
}
