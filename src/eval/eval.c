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
    static const char *const reads[] = {"data.train", "data.test", "data.set", "data.duplicates", "data.vehicles", "data.injected", "window.", "features.", "vocab.",
                                        "contract.", "split.", "model.", "train.", "distill.alpha", "distill.temperature",
                                        "distill.latent", "distill.recon", "eval.", "fusion."};

    ci_conf_hash(conf, reads, CI_COUNT(reads) - (strcmp(conf->model.name, "dqn") != 0), out);
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
    out->n_valid_attack = split.n_valid_attack;
done:
    ci_split_release(&split);
    return rc;
}

void scored_release(struct scored *s)
{
    free(s->graph);
    free(s->test);
    free(s->score);
    free(s->output);
    free(s->frame);
    free(s->frame_odds);
}

static void stamp(const ci_conf *conf, const ci_store *st, const char *store_sha, struct results *r)
{
    ci_eval_settings(conf, r->settings);
    memcpy(r->store, store_sha, CI_SHA256_HEX);
    r->which = conf->eval.weights;
    r->leaky = strcmp(conf->split.allow_leak, "reference") == 0;
    r->past = past_name(st);
    r->injected = injected_name(st, conf);
    r->simulated = st->head.simulated;
    ci_log(CI_INFO, "fixed before the first test score: settings %s, code %s, %s weights, threshold %.6f from %s%s%s", r->settings, r->code,
           r->which, r->threshold, r->threshold_from, *r->folds ? ", folds.json " : "", r->folds);
}

/* Rank 0 reads, all know. */
static ci_rc rule_all(const ci_comm *comm, const ci_conf *conf, const ci_store *st, const char *store_sha, struct scored *all, struct results *r)
{
    ci_rc rc = CI_OK;

    CI_TRY_ALL(comm, "eval.rule", comm->rank == 0 ? rule_choose(conf, st, store_sha, all->n_valid_attack, r) : CI_OK);
    CI_TRY(ci_comm_bcast(comm, "eval.rule.threshold", 0, &r->threshold, sizeof r->threshold));
    CI_TRY(ci_comm_bcast(comm, "eval.rule.from", 0, r->threshold_from, sizeof r->threshold_from));
    CI_TRY(ci_comm_bcast(comm, "eval.rule.folds", 0, r->folds, sizeof r->folds));
    all->odds = *r->folds;
done:
    return rc;
}

static ci_rc score_all(const ci_comm *comm, const ci_conf *conf, const ci_store *st, const struct judge *j, struct scored *out)
{
    ci_rc rc = CI_OK;
    int64_t stop;

    CI_TRY(judge_score(comm, conf, st, j, out));
    stop = ci_signal_seen();
    CI_TRY(ci_comm_max_i64(comm, "eval.signal", &stop, 1));
    if (stop) CI_FAIL(CI_ETEMP, "stopped by signal %d while evaluating; the same command evaluates again", (int)stop);
done:
    return rc;
}

/* The results come last: who finds them, finds the rest. */
static ci_rc leave(const ci_conf *conf, const ci_store *st, const ci_trained *t, const struct scored *all, struct results *r)
{
    ci_rc rc = CI_OK;

    r->score = all->score_name;
    CI_TRY(frames_rule(st, all, r));
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
    struct judge j = {0};
    const double begun = ci_now_s();

    CI_TRY(judge_open(comm, conf, st, store_sha, &j));
    CI_TRY_ALL(comm, "eval.graphs", windows(conf, st, &all));
    judge_stamp(&j, &r);
    CI_TRY(rule_all(comm, conf, st, store_sha, &all, &r));
    stamp(conf, st, store_sha, &r);
    CI_TRY(score_all(comm, conf, st, &j, &all));
    ci_log(CI_INFO, "%lld test windows scored in %.2f s", (long long)all.n_test, ci_now_s() - begun);
    CI_TRY_ALL(comm, "eval.write", comm->rank == 0 ? leave(conf, st, j.fusion ? NULL : &j.one, &all, &r) : CI_OK);
done:
    scored_release(&all);
    results_release(&r);
    judge_release(&j);
    return rc;
}
