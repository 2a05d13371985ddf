/* Frames one by one, of a model with a message head. */
#include <math.h>
#include <stdlib.h>
#include "ci/arena.h"
#include "eval_priv.h"

void frames_release(struct frames *f)
{
    if (!f) return;
    free(f->score);
    free(f->label);
    free(f->cold);
    *f = (struct frames){0};
}

static ci_rc room(struct frames *f, int64_t more)
{
    ci_rc rc = CI_OK;
    const size_t n = (size_t)(f->n + more);
    void *score = f->score, *label = f->label, *cold = f->cold;

    rc = ci_grow(&score, &f->cap_score, n, sizeof *f->score);
    f->score = score;
    CI_TRY(rc);
    rc = ci_grow(&label, &f->cap_label, n, 1);
    f->label = label;
    CI_TRY(rc);
    rc = ci_grow(&cold, &f->cap_cold, n, 1);
    f->cold = cold;
    CI_TRY(rc);
done:
    return rc;
}

static void put(struct frames *f, double score, uint8_t label, bool cold)
{
    f->score[f->n] = score;
    f->label[f->n] = label;
    f->cold[f->n++] = cold;
    f->n_attack += label;
}

ci_rc frames_add(struct frames *f, const ci_store *st, const struct scored *all, int64_t i)
{
    ci_rc rc = CI_OK;
    const int64_t g = all->graph[i], edges = all->frame[i + 1] - all->frame[i], stride = st->head.stride;
    const bool cold = !ci_store_warm(st, g), begins = g == st->head.capture[st->graph_capture[g]].first_graph;
    const uint8_t *label = st->edge_label + st->graph_edge[g]; /* of frame 1 and on */
    const float *odds = all->frame_odds + all->frame[i], *logit = all->output + i * all->n_output;
    int64_t seen = begins || stride > edges ? 0 : edges + 1 - stride, others = 0; /* frames that the window before has had */

    CI_TRY(room(f, edges + 1));
    for (int64_t k = 0; k < edges; k++) others += label[k];
    if (seen == 0) {
        if (others && st->graph_label[g]) f->n_unknown++;
        else put(f, (double)logit[1] - (double)logit[0], st->graph_label[g], cold);
        seen = 1;
    }
    for (int64_t k = seen; k <= edges; k++) put(f, (double)odds[k - 1], label[k - 1], cold);
done:
    return rc;
}

ci_rc frames_rule(const ci_store *st, const struct scored *all, struct results *r)
{
    ci_rc rc = CI_OK;
    struct frames f = {0};

    if (!all->frame || *r->folds) goto done;
    for (int64_t i = 0; i < all->n; i++)
        if (!all->test[i]) CI_TRY(frames_add(&f, st, all, i));
    r->frame_t1 = r->frame_b998 = NAN;
    r->frame_from = f.n_attack ? "Youden-J on frames of validation" : "the .995 quantile of frames of validation, which has no attacks";
    if (f.n_attack && f.n_attack < f.n) CI_TRY(ci_youden(f.score, f.label, f.n, &r->frame_threshold, NULL));
    else CI_TRY(ci_above_benign(f.score, f.label, f.n, 0.995, &r->frame_threshold));
done:
    frames_release(&f);
    return rc;
}

static ci_rc counts_at(const struct frames *f, double threshold, ci_counts *out)
{
    ci_rc rc = CI_OK;
    ci_scores s;

    if (!isfinite(threshold)) goto done;
    CI_TRY(ci_scores_compute_cold(f->score, f->label, NULL, f->cold, f->n, threshold, (ci_bootstrap){0}, &s));
    *out = s.at;
done:
    return rc;
}

ci_rc frames_worth(const struct frames *f, const struct results *r, struct line *l)
{
    ci_rc rc = CI_OK;

    CI_TRY(ci_scores_compute_cold(f->score, f->label, NULL, f->cold, f->n, r->frame_threshold, (ci_bootstrap){0}, &l->frames));
    CI_TRY(counts_at(f, r->frame_t1, &l->frames_t1));
    CI_TRY(counts_at(f, r->frame_b998, &l->frames_b998));
    l->n_unknown = f->n_unknown;
    l->framed = true;
done:
    return rc;
}
