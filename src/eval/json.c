/* Results as JSON. */
#include <math.h>
#include <stdlib.h>
#include "ci/json.h"
#include "eval_priv.h"

static void numbers_put(ci_json *j, const char *key, const double *v, int32_t n)
{
    ci_json *a = ci_json_array();

    for (int32_t i = 0; i < n; i++) ci_json_add_num(a, v[i]);
    ci_json_put(j, key, a);
}

static void counts_put(ci_json *j, const char *key, const int64_t *v, int32_t n)
{
    ci_json *a = ci_json_array();

    for (int32_t i = 0; i < n; i++) ci_json_add_int(a, v[i]);
    ci_json_put(j, key, a);
}

/* null where there is none; the first threshold, at which nothing is called an attack, is null too. */
static void curve_put(ci_json *j, const char *key, const ci_curve *c, const char *x, const char *y)
{
    ci_json *v;

    if (c->n == 0) {
        ci_json_str(j, key, NULL);
        return;
    }
    v = ci_json_object();
    ci_json_int(v, "points_before_thinning", c->n_whole);
    numbers_put(v, x, c->x, c->n);
    numbers_put(v, y, c->y, c->n);
    numbers_put(v, "threshold", c->threshold, c->n);
    ci_json_put(j, key, v);
}

static void reliability_put(ci_json *j, const ci_calibration *c)
{
    ci_json *v = ci_json_object();

    counts_put(v, "n", c->n, CI_CALIBRATION_BINS);
    counts_put(v, "attacks", c->n_attack, CI_CALIBRATION_BINS);
    numbers_put(v, "mean_score", c->mean, CI_CALIBRATION_BINS);
    ci_json_put(j, "reliability", v);
}

static ci_json *called_json(const ci_counts *c, double threshold)
{
    ci_json *j = ci_json_object();

    ci_json_num(j, "threshold", threshold);
    ci_json_num(j, "f1", ci_f1(*c));
    ci_json_num(j, "precision", ci_precision(*c));
    ci_json_num(j, "recall", ci_recall(*c));
    ci_json_num(j, "fpr", ci_fpr(*c));
    return j;
}

/* Frame by frame, of a model that judges them. */
static void frames_put(ci_json *j, const struct results *r, const struct line *l)
{
    ci_json *v;

    if (!l->framed) return;
    v = called_json(&l->frames.at, r->frame_threshold);
    ci_json_str(v, "threshold_from", r->frame_from);
    ci_json_int(v, "n", l->frames.n);
    ci_json_int(v, "attacks", l->frames.n_attack);
    ci_json_int(v, "cold", l->frames.n_cold);
    ci_json_int(v, "unlabelled", l->n_unknown);
    ci_json_num(v, "auroc", l->frames.auroc);
    ci_json_num(v, "average_precision", l->frames.ap);
    if (isfinite(r->frame_t1)) ci_json_put(v, "t1", called_json(&l->frames_t1, r->frame_t1));
    if (isfinite(r->frame_b998)) ci_json_put(v, "b998", called_json(&l->frames_b998, r->frame_b998));
    ci_json_put(j, "frames", v);
}

static void line_put(ci_json *j, const struct results *r, const struct line *l)
{
    const ci_scores *s = &l->s;
    struct ratio ratio[RATIOS];

    ci_json_str(j, "kind", l->kind);
    ci_json_str(j, "name", l->name);
    ci_json_str(j, "past", r->past);
    ci_json_str(j, "injected", r->injected);
    ci_json_int(j, "n", s->n);
    ci_json_int(j, "attacks", s->n_attack);
    ci_json_int(j, "cold", s->n_cold);
    ci_json_num(j, "attack_share", s->n ? (double)s->n_attack / (double)s->n : 0);
    for (int m = 0; m < CI_METRIC_COUNT; m++) {
        ci_json *v = ci_json_object();
        ci_json_num(v, "value", ci_scores_value(s, (ci_metric)m));
        ci_json_num(v, "lo", s->lo[m]);
        ci_json_num(v, "hi", s->hi[m]);
        ci_json_put(j, ci_metric_name((ci_metric)m), v);
    }
    ci_json_num(j, "precision", s->precision);
    ci_json_num(j, "recall", s->recall);
    ci_json_int(j, "tp", s->at.tp);
    ci_json_int(j, "fp", s->at.fp);
    ci_json_int(j, "tn", s->at.tn);
    ci_json_int(j, "fn", s->at.fn);
    line_ratios(l, ratio);
    for (int i = 0; i < RATIOS; i++) ci_json_num(j, ratio[i].name, ratio[i].value);
    frames_put(j, r, l);
    if (l->calibrated) reliability_put(j, &l->cal);
    else ci_json_str(j, "reliability", NULL);
    curve_put(j, "roc", &l->roc, "fpr", "recall");
    curve_put(j, "precision_recall", &l->pr, "recall", "precision");
}

char *results_json(const struct results *r)
{
    ci_json *j = ci_json_object(), *lines = ci_json_array();
    char *text;

    ci_json_str(j, "settings_sha256", r->settings);
    ci_json_str(j, "code", r->code);
    ci_json_str(j, "store_tree_sha256", r->store);
    ci_json_str(j, "weights", r->which);
    ci_json_str(j, "weights_sha256", r->weights);
    ci_json_int(j, "weights_epoch", r->weights_epoch);
    ci_json_int(j, "best_epoch", r->best_epoch + 1);
    ci_json_str(j, "score", r->score);
    ci_json_num(j, "threshold", r->threshold);
    ci_json_str(j, "threshold_from", r->threshold_from);
    if (*r->folds) ci_json_str(j, "folds_sha256", r->folds);
    ci_json_str(j, "past", r->past);
    ci_json_str(j, "injected", r->injected);
    ci_json_bool(j, "leak_allowed", r->leaky);
    ci_json_bool(j, "simulated", r->simulated);
    for (int32_t i = 0; i < r->n; i++) {
        ci_json *l = ci_json_object();
        line_put(l, r, &r->line[i]);
        ci_json_add(lines, l);
    }
    ci_json_put(j, "results", lines);
    text = ci_json_text(j, true);
    ci_json_free(&j);
    return text;
}
