/* Which threshold judges test windows: chosen from settings, training and validation, before a test window is scored. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "eval_priv.h"

bool ci_eval_folded(const ci_conf *conf) { return ci_conf_folded(conf) && strcmp(conf->eval.threshold, "youden") != 0; }

const char *injected_name(const ci_store *st, const ci_conf *conf)
{
    for (int32_t i = 0; i < st->head.n_folder; i++)
        if (st->head.folder[i].role == 2) return conf->train.injected;
    return "-";
}

const char *past_name(const ci_store *st) { return *st->head.past ? st->head.past : "-"; }

/* auto: with injected attacks, some of which nothing could detect, F1 is largest at a threshold that is too low (detection.md 3). */
static bool by_quantile(const ci_conf *conf, const ci_store *st, const ci_fold_thresholds *t)
{
    if (strcmp(conf->eval.threshold, "auto") != 0) return strcmp(conf->eval.threshold, "b998") == 0;
    return ci_injected_used(st, conf) || !isfinite(t->t1);
}

static ci_rc of_folds(const ci_conf *conf, const ci_store *st, const char *store_sha, struct results *r)
{
    ci_rc rc = CI_OK;
    ci_fold_thresholds *t = ci_new(1, sizeof *t);
    bool quantile;

    if (!t) CI_FAIL(CI_ENOMEM, "thresholds of folds");
    CI_TRY(ci_folds_read(conf, store_sha, t));
    quantile = by_quantile(conf, st, t);
    r->threshold = quantile ? t->b998 : t->t1;
    if (!isfinite(r->threshold))
        CI_FAIL(CI_ECONF, "eval.threshold: %s needs attacks among the windows that folds leave out, and there are none; write b998", conf->eval.threshold);
    snprintf(r->threshold_from, sizeof r->threshold_from, "%s, %d folds by %.16s", quantile ? "b998: the .998 quantile of benign windows out of fold" :
             "t1: the largest F1 of windows out of fold", t->n, conf->split.folds);
    r->frame_t1 = t->frame_t1;
    r->frame_b998 = t->frame_b998;
    quantile = strcmp(conf->eval.threshold, "b998") == 0 || !isfinite(t->frame_t1); /* auto: t1, for most frames of an attack look like others (detection.md 3) */
    r->frame_threshold = quantile ? t->frame_b998 : t->frame_t1;
    r->frame_from = quantile ? "b998 of frames out of fold" : "t1 of frames out of fold";
    memcpy(r->folds, t->sha, sizeof r->folds);
done:
    free(t);
    return rc;
}

ci_rc rule_choose(const ci_conf *conf, const ci_store *st, const char *store_sha, int64_t n_valid_attack, struct results *r)
{
    ci_rc rc = CI_OK;

    if (ci_eval_folded(conf)) CI_TRY(of_folds(conf, st, store_sha, r));
    else
        snprintf(r->threshold_from, sizeof r->threshold_from, "%s",
                 n_valid_attack ? "Youden-J on validation" : "the .995 quantile on validation, which has no attacks");
done:
    return rc;
}
