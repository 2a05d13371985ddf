/* The chosen checkpoint is checked, windows are scored, and what that is worth is written. */
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/log.h"
#include "ci/loss.h"
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
    const ci_split_conf how = {
        .random = strcmp(conf->split.mode, "random") == 0,
        .blocks = conf->split.blocks,
        .every = conf->split.every,
        .share = conf->split.share,
        .seed = (uint32_t)conf->train.seed,
        .allow_leak = strcmp(conf->split.allow_leak, "reference") == 0,
    };

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

/* What a row of outputs says: the softmax's probability of an attack. */
static void score_fill(struct scored *s, float *p)
{
    ci_softmax_attack(s->output, (ci_lid)s->n, p);
    for (int64_t i = 0; i < s->n; i++) s->score[i] = (double)p[i];
    s->score_name = "probability of attack";
    s->probability = true;
}

static ci_rc score_all(const ci_comm *comm, const ci_conf *conf, const ci_store *st, const ci_model *m,
                       const ci_ckpt *ck, struct scored *out)
{
    static const char *const output[] = {"logit0", "logit1"};
    ci_rc rc = CI_OK, mine = CI_OK;
    ci_pool *pool = NULL;
    ci_lane *lane = NULL;
    const int32_t rows = conf->train.shard_rows;
    int64_t stop;
    int threads = conf->train.threads;
    float *p = ci_new((size_t)out->n, sizeof *p);

    out->output_name = output;
    out->n_output = CI_COUNT(output);
    out->output = ci_new((size_t)out->n, (size_t)out->n_output * sizeof *out->output);
    if (!threads) CI_TRY(ci_comm_cores(comm, "eval.cores", &threads));
    if (!out->output || !p) mine = ci_fail(CI_ENOMEM, __FILE__, __LINE__, "%lld scores", (long long)out->n);
    if (mine == CI_OK) mine = ci_pool_create(threads, &pool);
    if (mine == CI_OK) mine = ci_lanes_create(m, st, &ck->scaler, rows, ci_pool_size(pool), &lane);
    CI_TRY_ALL(comm, "eval.room", mine);
    CI_TRY(ci_score(comm, pool, lane, m, ck->w, st, out->graph, out->n, rows, out->output));
    stop = ci_signal_seen();
    CI_TRY(ci_comm_max_i64(comm, "eval.signal", &stop, 1));
    if (stop) CI_FAIL(CI_ETEMP, "stopped by signal %d while evaluating; the same command evaluates again", (int)stop);
    score_fill(out, p);
done:
    if (pool) ci_lanes_destroy(&lane, ci_pool_size(pool));
    ci_pool_destroy(&pool);
    free(p);
    return rc;
}

/* Is the checkpoint of this store, this model and this training, and does its threshold belong to its weights? */
static ci_rc fits(const ci_conf *conf, const ci_ckpt *ck, const ci_model *m, const ci_store *st, const char *store_sha)
{
    ci_rc rc = CI_OK;
    const char *which = conf->eval.weights;
    char settings[CI_SHA256_HEX];

    if (strcmp(ck->store, store_sha) != 0)
        CI_FAIL(CI_ECONF, "%s.h5 was trained on store %.12s, this one is %.12s; train again", which, ck->store, store_sha);
    if (ck->n != ci_model_size(m) || strcmp(ck->set, st->head.set) != 0)
        CI_FAIL(CI_ECONF, "%s.h5 has %lld parameters on features %s, model.* asks for %lld on %s; train again",
                which, (long long)ck->n, ck->set, (long long)ci_model_size(m), st->head.set);
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
static ci_rc leave(const ci_conf *conf, const ci_store *st, const struct scored *all, struct results *r)
{
    ci_rc rc = CI_OK;

    r->score = all->score_name;
    CI_TRY(results_tabulate(conf, st, all, r));
    CI_TRY(scores_write(all, st, conf, r));
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
    ci_ckpt ck = {0};
    ci_model *m = NULL;
    const ci_model_dim dim = ci_train_dim(conf, st);
    char path[CI_PATH_MAX] = "";
    const double begun = ci_now_s();

    CI_TRY_ALL(comm, "eval.path", ci_path_join(path, conf->run.dir, strcmp(conf->eval.weights, "last") == 0 ? "last.h5" : "best.h5"));
    CI_TRY(ci_ckpt_read_all(comm, path, &ck));
    CI_TRY_ALL(comm, "eval.model", ci_model_create(&dim, conf->train.isa, &m));
    CI_TRY_ALL(comm, "eval.fits", fits(conf, &ck, m, st, store_sha));
    CI_TRY_ALL(comm, "eval.graphs", windows(conf, st, &all));
    stamp(conf, st, store_sha, &ck, &r);
    CI_TRY(score_all(comm, conf, st, m, &ck, &all));
    ci_log(CI_INFO, "%lld test windows scored in %.2f s", (long long)all.n_test, ci_now_s() - begun);
    CI_TRY_ALL(comm, "eval.write", comm->rank == 0 ? leave(conf, st, &all, &r) : CI_OK);
done:
    scored_release(&all);
    results_release(&r);
    ci_ckpt_release(&ck);
    ci_model_destroy(&m);
    return rc;
}
