/* ROC and precision-recall curves, thinned to the points that shape them. */
#include <math.h>
#include <stdlib.h>
#include "ci/arena.h"
#include "ci/tick.h"
#include "metric_priv.h"

/* Points that may go, as a heap with the smallest triangle on top. */
struct heap {
    int32_t n;
    int32_t *point; /* (n) in heap order               */
    int32_t *at;    /* (points) place in the heap, -1  */
    double *area;   /* (points) twice the triangle's   */
    int32_t *before, *after; /* (points) neighbours left */
};

static bool goes_first(const struct heap *h, int32_t a, int32_t b)
{
    return h->area[a] != h->area[b] ? h->area[a] < h->area[b] : a < b;
}

static void place(struct heap *h, int32_t k, int32_t point)
{
    h->point[k] = point;
    h->at[point] = k;
}

static void sift(struct heap *h, int32_t k)
{
    const int32_t point = h->point[k];

    for (; k > 0 && goes_first(h, point, h->point[(k - 1) / 2]); k = (k - 1) / 2) place(h, k, h->point[(k - 1) / 2]);
    for (int32_t child; (child = 2 * k + 1) < h->n; k = child) {
        if (child + 1 < h->n && goes_first(h, h->point[child + 1], h->point[child])) child++;
        if (!goes_first(h, h->point[child], point)) break;
        place(h, k, h->point[child]);
    }
    place(h, k, point);
}

static int32_t pop(struct heap *h)
{
    const int32_t top = h->point[0], last = h->point[--h->n];

    h->at[top] = -1;
    if (h->n) {
        place(h, 0, last);
        sift(h, 0);
    }
    return top;
}

static double triangle(const ci_curve *c, const struct heap *h, int32_t k)
{
    const int32_t a = h->before[k], b = h->after[k];

    return fabs((c->x[k] - c->x[a]) * (c->y[b] - c->y[a]) - (c->x[b] - c->x[a]) * (c->y[k] - c->y[a]));
}

/* A point's triangle has grown or shrunk; it never counts less than what went before it, so that a
   corner does not follow its own neighbours out. */
static void weigh(const ci_curve *c, struct heap *h, int32_t k, double least)
{
    if (h->at[k] < 0) return;
    h->area[k] = fmax(least, triangle(c, h, k));
    sift(h, h->at[k]);
}

static void heap_release(struct heap *h)
{
    free(h->point);
    free(h->at);
    free(h->area);
    free(h->before);
    free(h->after);
}

static ci_rc heap_init(const ci_curve *c, int32_t keep, struct heap *h)
{
    ci_rc rc = CI_OK;
    const size_t n = (size_t)c->n;

    h->point = ci_new(n, sizeof *h->point);
    h->at = ci_new(n, sizeof *h->at);
    h->area = ci_new(n, sizeof *h->area);
    h->before = ci_new(n, sizeof *h->before);
    h->after = ci_new(n, sizeof *h->after);
    if (!h->point || !h->at || !h->area || !h->before || !h->after) CI_FAIL(CI_ENOMEM, "curve of %d points", c->n);
    for (int32_t k = 0; k < c->n; k++) {
        h->before[k] = k - 1;
        h->after[k] = k + 1;
        h->at[k] = -1;
    }
    for (int32_t k = 1; k + 1 < c->n; k++) {
        if (k == keep) continue;
        h->area[k] = triangle(c, h, k);
        place(h, h->n++, k);
        sift(h, h->n - 1);
    }
done:
    return rc;
}

/* Leave out points until max are left; keep: one that stays, -1 none. */
static ci_rc thin(ci_curve *c, int32_t keep, int32_t max)
{
    ci_rc rc = CI_OK;
    struct heap h = {0};
    int32_t left = c->n, n = 0;

    if (left <= max) goto done;
    CI_TRY(heap_init(c, max >= 3 ? keep : -1, &h));
    while (left > max) {
        const int32_t gone = pop(&h), a = h.before[gone], b = h.after[gone];

        ci_tick();
        h.after[a] = b;
        h.before[b] = a;
        weigh(c, &h, a, h.area[gone]);
        weigh(c, &h, b, h.area[gone]);
        left--;
    }
    for (int32_t k = 0; k < c->n; k = h.after[k], n++) {
        c->x[n] = c->x[k];
        c->y[n] = c->y[k];
        c->threshold[n] = c->threshold[k];
    }
    c->n = n;
done:
    heap_release(&h);
    return rc;
}

void ci_curve_release(ci_curve *c)
{
    if (!c) return;
    free(c->x);
    free(c->y);
    free(c->threshold);
    *c = (ci_curve){0};
}

static void point_add(ci_curve *c, ci_curve_kind kind, const ranked *r, int64_t tp, int64_t fp, double threshold)
{
    const double recall = (double)tp / r->n_attack, fpr = (double)fp / (r->n - r->n_attack);
    const double precision = tp + fp ? (double)tp / (double)(tp + fp) : 1;

    c->x[c->n] = kind == CI_CURVE_ROC ? fpr : recall;
    c->y[c->n] = kind == CI_CURVE_ROC ? recall : precision;
    c->threshold[c->n++] = threshold;
}

ci_rc ci_curve_compute(const double *score, const uint8_t *label, int64_t n, ci_curve_kind kind, double threshold,
                       int32_t max, ci_curve *out)
{
    ci_rc rc = CI_OK;
    ranked r = {0};
    ci_curve c = {0};
    int64_t tp = 0, fp = 0;
    int32_t keep = 0; /* the point that the threshold is at */

    if (max < 2) CI_FAIL(CI_EARG, "a curve of %d points", max);
    if (!isfinite(threshold)) CI_FAIL(CI_ENUMERIC, "the threshold is %g", threshold);
    CI_TRY(ci_ranked_build(score, label, n, &r));
    if (!r.n_attack || r.n_attack == r.n)
        CI_FAIL(CI_EDATA, "%d windows, %d of them attacks: one class has no curve", r.n, r.n_attack);
    c.x = ci_new((size_t)r.n + 1, sizeof *c.x);
    c.y = ci_new((size_t)r.n + 1, sizeof *c.y);
    c.threshold = ci_new((size_t)r.n + 1, sizeof *c.threshold);
    if (!c.x || !c.y || !c.threshold) CI_FAIL(CI_ENOMEM, "curve of %d points", r.n);
    point_add(&c, kind, &r, 0, 0, INFINITY);
    for (int32_t k = 0; k < r.n; k++) {
        const double s = score[r.place[k]];

        tp += r.label[k];
        fp += !r.label[k];
        if (!r.last[k]) continue;
        if (s >= threshold) keep = c.n;
        point_add(&c, kind, &r, tp, fp, s);
    }
    c.n_whole = c.n;
    CI_TRY(thin(&c, keep, max));
    *out = c;
    c = (ci_curve){0};
done:
    ci_curve_release(&c);
    ci_ranked_release(&r);
    return rc;
}
