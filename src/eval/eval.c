/* Which windows belong to which line of the table, and what their scores are worth. */
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/attack.h"
#include "ci/log.h"
#include "ci/loss.h"
#include "ci/signal.h"
#include "ci/train.h"
#include "eval_priv.h"

/* Scores of all test graphs, in order of captures. */
struct scored {
    int64_t n;
    int64_t *graph; /* (n) */
    double *score;  /* (n) */
};

/* A line's windows, picked from the scored ones. */
struct picked {
    int64_t n;
    double *score;
    uint8_t *label;
    int32_t *capture;
};

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

static ci_rc test_graphs(const ci_store *st, struct scored *out)
{
    ci_rc rc = CI_OK;

    out->graph = ci_new((size_t)st->head.n_graph, sizeof *out->graph);
    out->score = ci_new((size_t)st->head.n_graph, sizeof *out->score);
    if (!out->graph || !out->score) CI_FAIL(CI_ENOMEM, "%lld graphs", (long long)st->head.n_graph);
    for (int64_t g = 0; g < st->head.n_graph; g++)
        if (is_test(st, st->graph_capture[g])) out->graph[out->n++] = g;
    if (out->n == 0)
        CI_FAIL(CI_ECONF, "data.test: no test window in the store; name test folders, or leave eval out of pipeline");
done:
    return rc;
}

static ci_rc score_all(const ci_comm *comm, const ci_conf *conf, const ci_store *st, const ci_model *m,
                       const ci_ckpt *ck, struct scored *out)
{
    ci_rc rc = CI_OK, mine = CI_OK;
    ci_pool *pool = NULL;
    ci_lane *lane = NULL;
    const int32_t rows = conf->train.shard_rows;
    int64_t stop;
    int threads = conf->train.threads;
    float *logit = ci_new((size_t)out->n, 2 * sizeof *logit), *p = ci_new((size_t)out->n, sizeof *p);

    if (!threads) CI_TRY(ci_comm_cores(comm, "eval.cores", &threads));
    if (!logit || !p) mine = ci_fail(CI_ENOMEM, __FILE__, __LINE__, "%lld scores", (long long)out->n);
    if (mine == CI_OK) mine = ci_pool_create(threads, &pool);
    if (mine == CI_OK) mine = ci_lanes_create(m, st, &ck->scaler, rows, ci_pool_size(pool), &lane);
    CI_TRY_ALL(comm, "eval.room", mine);
    CI_TRY(ci_score(comm, pool, lane, m, ck->w, st, out->graph, out->n, rows, logit));
    stop = ci_signal_seen();
    CI_TRY(ci_comm_max_i64(comm, "eval.signal", &stop, 1));
    if (stop) CI_FAIL(CI_ETEMP, "stopped by signal %d while evaluating; the same command evaluates again", (int)stop);
    ci_softmax_attack(logit, (ci_lid)out->n, p);
    for (int64_t i = 0; i < out->n; i++) out->score[i] = (double)p[i];
done:
    if (pool) ci_lanes_destroy(&lane, ci_pool_size(pool));
    ci_pool_destroy(&pool);
    free(logit);
    free(p);
    return rc;
}

/* Folder `folder`, or with folder < 0 the captures of this attack. */
static void pick(const ci_store *st, const struct scored *all, int32_t folder, int32_t attack, struct picked *out)
{
    out->n = 0;
    for (int64_t i = 0; i < all->n; i++) {
        const int32_t c = st->graph_capture[all->graph[i]];
        const ci_store_capture *capture = &st->head.capture[c];
        if (folder >= 0 ? capture->folder != folder : capture->attack != attack) continue;
        out->score[out->n] = all->score[i];
        out->label[out->n] = st->graph_label[all->graph[i]];
        out->capture[out->n++] = c;
    }
}

static ci_rc line_add(const ci_conf *conf, const struct picked *p, const char *kind, const char *name, struct results *r)
{
    ci_rc rc = CI_OK;
    struct line *l = &r->line[r->n];
    const ci_bootstrap boot = {(uint32_t)conf->train.seed, conf->eval.block, conf->eval.draws};

    if (p->n == 0) goto done;
    strncpy(l->kind, kind, sizeof l->kind - 1);
    strncpy(l->name, name, sizeof l->name - 1);
    CI_TRY(ci_scores_compute(p->score, p->label, p->capture, p->n, r->threshold, boot, &l->s));
    r->n++;
done:
    return rc;
}

static ci_rc tabulate(const ci_conf *conf, const ci_store *st, const struct scored *all, struct results *r)
{
    enum { ATTACKS = 32 };
    ci_rc rc = CI_OK;
    struct picked p = {0};

    p.score = ci_new((size_t)all->n, sizeof *p.score);
    p.label = ci_new((size_t)all->n, sizeof *p.label);
    p.capture = ci_new((size_t)all->n, sizeof *p.capture);
    r->line = ci_new((size_t)st->head.n_folder + ATTACKS, sizeof *r->line);
    if (!p.score || !p.label || !p.capture || !r->line) CI_FAIL(CI_ENOMEM, "results");
    for (int32_t f = 0; f < st->head.n_folder; f++) {
        if (st->head.folder[f].role != 1) continue;
        pick(st, all, f, 0, &p);
        CI_TRY(line_add(conf, &p, "folder", st->head.folder[f].name, r));
    }
    for (int32_t a = 1; a < ATTACKS; a++) {
        pick(st, all, -1, a, &p);
        CI_TRY(line_add(conf, &p, "attack", ci_attack_name(a), r));
    }
done:
    free(p.score);
    free(p.label);
    free(p.capture);
    return rc;
}

static ci_rc fits(const ci_conf *conf, const ci_ckpt *ck, const ci_model *m, const ci_store *st, const char *store_sha)
{
    ci_rc rc = CI_OK;
    char settings[CI_SHA256_HEX];

    if (strcmp(ck->store, store_sha) != 0)
        CI_FAIL(CI_ECONF, "best.h5 was trained on store %.12s, this one is %.12s; train again", ck->store, store_sha);
    if (ck->n != ci_model_size(m) || strcmp(ck->set, st->head.set) != 0)
        CI_FAIL(CI_ECONF, "best.h5 has %lld parameters on features %s, model.* asks for %lld on %s; train again",
                (long long)ck->n, ck->set, (long long)ci_model_size(m), st->head.set);
    ci_train_settings(conf, settings);
    if (strcmp(ck->settings, settings) != 0)
        CI_FAIL(CI_ECONF, "best.h5 was trained with other split.*, model.*, vocab.* or train.*: give eval the settings of training, "
                "or train again");
done:
    return rc;
}

ci_rc ci_eval(const ci_comm *comm, const ci_conf *conf, const ci_store *st, const char *store_sha,
              const char *code)
{
    ci_rc rc = CI_OK;
    struct scored all = {0};
    struct results r = {.code = code, .leaky = strcmp(conf->split.allow_leak, "reference") == 0};
    ci_ckpt ck = {0};
    ci_model *m = NULL;
    const ci_model_dim dim = ci_train_dim(conf, st);
    char path[CI_PATH_MAX] = "";
    const double begun = ci_now_s();

    CI_TRY_ALL(comm, "eval.path", ci_path_join(path, conf->run.dir, "best.h5"));
    CI_TRY(ci_ckpt_read_all(comm, path, &ck));
    CI_TRY_ALL(comm, "eval.model", ci_model_create(&dim, conf->train.isa, &m));
    CI_TRY_ALL(comm, "eval.fits", fits(conf, &ck, m, st, store_sha));
    CI_TRY_ALL(comm, "eval.graphs", test_graphs(st, &all));
    ci_eval_settings(conf, r.settings);
    memcpy(r.store, store_sha, CI_SHA256_HEX);
    ci_ckpt_weights(&ck, r.weights);
    r.threshold = ck.at.threshold;
    r.best_epoch = ck.at.best_epoch;
    r.simulated = st->head.simulated;
    ci_log(CI_INFO, "fixed before the first test score: settings %s, code %s, threshold %.6f", r.settings, code, r.threshold);
    CI_TRY(score_all(comm, conf, st, m, &ck, &all));
    ci_log(CI_INFO, "%lld test windows scored in %.2f s", (long long)all.n, ci_now_s() - begun);
    CI_TRY_ALL(comm, "eval.table", comm->rank == 0 ? tabulate(conf, st, &all, &r) : CI_OK);
    CI_TRY_ALL(comm, "eval.write", comm->rank == 0 ? results_write(&r, conf->run.dir) : CI_OK);
done:
    free(all.graph);
    free(all.score);
    free(r.line);
    ci_ckpt_release(&ck);
    ci_model_destroy(&m);
    return rc;
}
