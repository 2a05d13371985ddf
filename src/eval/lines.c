/* Which windows belong to which line of the table, and what their scores are worth. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/attack.h"
#include "ci/loss.h"
#include "eval_priv.h"

/* A line's windows, picked from the scored ones. */
struct picked {
    struct frames frames; /* of these windows, where frames are judged; of the pick under way */
    int64_t n;
    double *score;
    uint8_t *label, *cold;
    int32_t *capture;
};

/* Folder `folder`, or with folder < 0 the test captures of this attack. */
static ci_rc pick(const ci_store *st, const struct scored *all, int32_t folder, int32_t attack, struct picked *out)
{
    ci_rc rc = CI_OK;

    out->n = 0;
    frames_release(&out->frames);
    for (int64_t i = 0; i < all->n; i++) {
        const int32_t c = st->graph_capture[all->graph[i]];
        const ci_store_capture *capture = &st->head.capture[c];
        if (!all->test[i] || (folder >= 0 ? capture->folder != folder : capture->attack != attack)) continue;
        out->score[out->n] = all->score[i];
        out->label[out->n] = st->graph_label[all->graph[i]];
        out->cold[out->n] = !ci_store_warm(st, all->graph[i]);
        out->capture[out->n++] = c;
        if (all->frame) CI_TRY(frames_add(&out->frames, st, all, i));
    }
done:
    return rc;
}

static ci_rc curves_fill(const struct picked *p, double threshold, int32_t points, struct line *l)
{
    ci_rc rc = CI_OK;

    if (l->s.one_class) goto done;
    CI_TRY(ci_curve_compute(p->score, p->label, p->n, CI_CURVE_ROC, threshold, points, &l->roc));
    CI_TRY(ci_curve_compute(p->score, p->label, p->n, CI_CURVE_PR, threshold, points, &l->pr));
done:
    return rc;
}

/* Only the windows that are judged are left: of these are curves, and scores as probabilities. */
static void cold_drop(struct picked *p)
{
    int64_t n = 0;

    for (int64_t i = 0; i < p->n; i++) {
        if (p->cold[i]) continue;
        p->score[n] = p->score[i];
        p->label[n++] = p->label[i];
    }
    p->n = n;
}

/* Of log-odds, as ci_judge has it of logits. */
static void probabilities(const struct picked *p)
{
    for (int64_t i = 0; i < p->n; i++) {
        const float logit[2] = {0, (float)p->score[i]};
        float probability;

        ci_softmax_attack(logit, 1, &probability);
        p->score[i] = (double)probability;
    }
}

static ci_rc line_add(const ci_conf *conf, struct picked *p, const char *kind, const char *name, bool probability,
                      bool odds, struct results *r)
{
    ci_rc rc = CI_OK;
    struct line *l = &r->line[r->n];
    const ci_bootstrap boot = {(uint32_t)conf->train.seed, conf->eval.block, conf->eval.draws};

    if (p->n == 0) goto done;
    strncpy(l->kind, kind, sizeof l->kind - 1);
    strncpy(l->name, name, sizeof l->name - 1);
    r->n++; /* what it holds is released with the results */
    CI_TRY(ci_scores_compute_cold(p->score, p->label, p->capture, p->cold, p->n, r->threshold, boot, &l->s));
    if (p->frames.n) CI_TRY(frames_worth(&p->frames, r, l));
    cold_drop(p);
    CI_TRY(curves_fill(p, r->threshold, conf->eval.curve, l));
    if (odds) probabilities(p);
    l->calibrated = probability || odds;
    if (l->calibrated) CI_TRY(ci_calibration_compute(p->score, p->label, p->n, &l->cal));
done:
    return rc;
}

ci_rc results_tabulate(const ci_conf *conf, const ci_store *st, const struct scored *all, struct results *r)
{
    ci_rc rc = CI_OK;
    struct picked p = {0};

    p.score = ci_new((size_t)all->n, sizeof *p.score);
    p.label = ci_new((size_t)all->n, sizeof *p.label);
    p.cold = ci_new((size_t)all->n, sizeof *p.cold);
    p.capture = ci_new((size_t)all->n, sizeof *p.capture);
    r->line = ci_new((size_t)st->head.n_folder + ATTACKS, sizeof *r->line);
    if (!p.score || !p.label || !p.cold || !p.capture || !r->line) CI_FAIL(CI_ENOMEM, "results");
    for (int32_t f = 0; f < st->head.n_folder; f++) {
        if (st->head.folder[f].role != 1) continue;
        CI_TRY(pick(st, all, f, 0, &p));
        CI_TRY(line_add(conf, &p, "folder", st->head.folder[f].name, all->probability, all->odds, r));
    }
    for (int32_t a = 1; a < ATTACKS; a++) {
        CI_TRY(pick(st, all, -1, a, &p));
        CI_TRY(line_add(conf, &p, "attack", ci_attack_name(a), all->probability, all->odds, r));
    }
done:
    frames_release(&p.frames);
    free(p.score);
    free(p.label);
    free(p.cold);
    free(p.capture);
    return rc;
}

void results_release(struct results *r)
{
    for (int32_t i = 0; i < r->n && r->line; i++) {
        ci_curve_release(&r->line[i].roc);
        ci_curve_release(&r->line[i].pr);
    }
    free(r->line);
    r->line = NULL;
    r->n = 0;
}

void line_ratios(const struct line *l, struct ratio out[RATIOS])
{
    const ci_scores *s = &l->s;
    const struct ratio ratio[RATIOS] = {
        {"specificity", s->specificity},
        {"fnr", s->fnr},
        {"balanced_accuracy", s->balanced_accuracy},
        {"macro_f1", s->macro_f1},
        {"kappa", s->kappa},
        {"recall_at_fpr_0.05", s->on.recall_at_fpr[0]},
        {"recall_at_fpr_0.01", s->on.recall_at_fpr[1]},
        {"recall_at_fpr_0.001", s->on.recall_at_fpr[2]},
        {"precision_at_recall_0.95", s->on.precision_at_recall},
        {"recall_at_precision_0.99", s->on.recall_at_precision},
        {"brier", l->calibrated ? l->cal.brier : NAN},
        {"calibration_error", l->calibrated ? l->cal.ece : NAN},
    };

    memcpy(out, ratio, sizeof ratio);
}
