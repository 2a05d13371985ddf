#include <math.h>
#include <stdlib.h>
#include "ci/arena.h"
#include "metric_priv.h"

struct item { double score; int32_t place; };

static int descending(const void *a, const void *b)
{
    const struct item *x = a, *y = b;

    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

void ci_ranked_release(ranked *r)
{
    free(r->place);
    free(r->label);
    free(r->last);
    *r = (ranked){0};
}

ci_rc ci_ranked_build(const double *score, const uint8_t *label, int64_t n, ranked *out)
{
    ci_rc rc = CI_OK;
    ranked r = {0};
    struct item *item = NULL;

    if (n < 0 || n > INT32_MAX) CI_FAIL(CI_EARG, "%lld scores", (long long)n);
    r.n = (int32_t)n;
    item = ci_new((size_t)n, sizeof *item);
    r.place = ci_new((size_t)n, sizeof *r.place);
    r.label = ci_new((size_t)n, 1);
    r.last = ci_new((size_t)n, 1);
    if (!item || !r.place || !r.label || !r.last) CI_FAIL(CI_ENOMEM, "%lld scores", (long long)n);
    for (int32_t k = 0; k < r.n; k++) {
        if (!isfinite(score[k])) CI_FAIL(CI_ENUMERIC, "score %d of %d is %g", k, r.n, score[k]);
        if (label[k] > 1) CI_FAIL(CI_EARG, "label %d of %d is %d", k, r.n, label[k]);
        item[k] = (struct item){score[k], k};
        r.n_attack += label[k];
    }
    qsort(item, (size_t)n, sizeof *item, descending);
    for (int32_t k = 0; k < r.n; k++) {
        r.place[k] = item[k].place;
        r.label[k] = label[item[k].place];
        r.last[k] = k + 1 == r.n || item[k + 1].score != item[k].score;
    }
    *out = r;
    r = (ranked){0};
done:
    free(item);
    ci_ranked_release(&r);
    return rc;
}

/* A bootstrap draw is at most n blocks of at most n windows, far below 2^62 pairs in practice;
   the sum of pairs is kept in 128 bits so that no input can make it wrong. */
bool ci_ranked_areas(const ranked *r, const int32_t *block, const int32_t *times, areas *out)
{
    int64_t tp = 0, fp = 0, step_tp = 0, step_fp = 0;
    unsigned __int128 twice = 0; /* 2 per pair in order, 1 per tie */
    double sum = 0;

    for (int32_t k = 0; k < r->n; k++) {
        const int32_t w = block ? times[block[r->place[k]]] : 1;

        if (r->label[k]) step_tp += w;
        else step_fp += w;
        if (!r->last[k]) continue;
        twice += (unsigned __int128)step_fp * (uint64_t)(2 * tp + step_tp);
        tp += step_tp;
        fp += step_fp;
        if (step_tp) sum += (double)step_tp * ((double)tp / (double)(tp + fp));
        step_tp = step_fp = 0;
    }
    if (!tp || !fp) return false;
    out->auroc = (double)twice / (2 * (double)tp * (double)fp);
    out->ap = sum / (double)tp;
    return true;
}

static ci_rc areas_of(const double *score, const uint8_t *label, int64_t n, areas *out)
{
    ci_rc rc = CI_OK;
    ranked r = {0};

    CI_TRY(ci_ranked_build(score, label, n, &r));
    if (!ci_ranked_areas(&r, NULL, NULL, out))
        CI_FAIL(CI_EDATA, "%d windows, %d of them attacks: one class has no curve", r.n,
                r.n_attack);
done:
    ci_ranked_release(&r);
    return rc;
}

ci_rc ci_auroc(const double *score, const uint8_t *label, int64_t n, double *out)
{
    areas a;
    const ci_rc rc = areas_of(score, label, n, &a);

    if (rc == CI_OK) *out = a.auroc;
    return rc;
}

ci_rc ci_average_precision(const double *score, const uint8_t *label, int64_t n, double *out)
{
    areas a;
    const ci_rc rc = areas_of(score, label, n, &a);

    if (rc == CI_OK) *out = a.ap;
    return rc;
}
