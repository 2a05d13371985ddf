#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/random.h"
#include "ci/tick.h"
#include "ci/types.h"
#include "metric_priv.h"

struct blocks {
    int32_t n;
    int32_t *of;     /* (windows) block of each window                     */
    ci_counts *at;   /* (n) counts of each block at the threshold          */
    int32_t *times;  /* (n) how often the present draw took it             */
};

static void blocks_release(struct blocks *b)
{
    free(b->of);
    free(b->at);
    free(b->times);
}

/* Cut the windows into blocks; a block ends where it is full or its capture ends. */
static ci_rc blocks_cut(const int32_t *capture, int32_t n, int32_t size, struct blocks *b)
{
    int32_t in = 0;

    b->of = ci_new((size_t)n, sizeof *b->of);
    if (!b->of) return ci_fail(CI_ENOMEM, __FILE__, __LINE__, "%d windows", n);
    for (int32_t k = 0; k < n; k++, in++) {
        if (k == 0 || in == size || (capture && capture[k] != capture[k - 1])) {
            b->n++;
            in = 0;
        }
        b->of[k] = b->n - 1;
    }
    b->at = ci_new((size_t)b->n, sizeof *b->at);
    b->times = ci_new((size_t)b->n, sizeof *b->times);
    if (!b->at || !b->times) return ci_fail(CI_ENOMEM, __FILE__, __LINE__, "%d blocks", b->n);
    return CI_OK;
}

static void blocks_count(struct blocks *b, const double *score, const uint8_t *label, const uint8_t *cold, int32_t n,
                         double threshold)
{
    for (int32_t k = 0; k < n; k++) {
        ci_counts *c = &b->at[b->of[k]];
        const bool called = !(cold && cold[k]) && score[k] >= threshold;

        if (label[k]) *(called ? &c->tp : &c->fn) += 1;
        else *(called ? &c->fp : &c->tn) += 1;
    }
}

static ci_counts blocks_draw(struct blocks *b, uint32_t seed, uint32_t draw)
{
    ci_counts sum = {0};

    memset(b->times, 0, (size_t)b->n * sizeof *b->times);
    for (int32_t k = 0; k < b->n; k++) {
        const ci_u32x4 w = ci_philox(seed, CI_RANDOM_BOOTSTRAP, draw, (uint32_t)k, 0, 0);
        const uint32_t taken = ci_below(w.v[0], (uint32_t)b->n);
        const ci_counts *c = &b->at[taken];

        b->times[taken]++;
        sum.tp += c->tp;
        sum.fp += c->fp;
        sum.tn += c->tn;
        sum.fn += c->fn;
    }
    return sum;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

double ci_percentile(const double *v, int32_t n, double share)
{
    const double at = share * (n - 1);
    const int32_t k = (int32_t)floor(at);
    const double low = v[k], high = v[CI_MIN(k + 1, n - 1)], t = at - k;

    return t < 0.5 ? low + (high - low) * t : high - (high - low) * (1 - t);
}

/* Column m of value has room for boot.draws values; returns how many draws had both classes. */
static int32_t draw_all(const ranked *r, struct blocks *b, ci_bootstrap boot, double *value)
{
    int32_t kept = 0;

    for (int32_t draw = 0; draw < boot.draws; draw++) {
        const ci_counts c = blocks_draw(b, boot.seed, (uint32_t)draw);
        double *v = value + kept;
        areas a;

        ci_tick();
        if (!ci_ranked_areas(r, b->of, b->times, &a)) continue;
        v[(size_t)boot.draws * CI_METRIC_AUROC] = a.auroc;
        v[(size_t)boot.draws * CI_METRIC_AP] = a.ap;
        v[(size_t)boot.draws * CI_METRIC_F1] = ci_f1(c);
        v[(size_t)boot.draws * CI_METRIC_MCC] = ci_mcc(c);
        v[(size_t)boot.draws * CI_METRIC_FPR] = ci_fpr(c);
        v[(size_t)boot.draws * CI_METRIC_ACCURACY] = ci_accuracy(c);
        kept++;
    }
    return kept;
}

ci_rc ci_metric_intervals_fill(const ranked *r, const double *score, const uint8_t *label, const int32_t *capture,
                               const uint8_t *cold, ci_bootstrap boot, ci_scores *s)
{
    ci_rc rc = CI_OK;
    struct blocks b = {0};
    double *value = NULL;

    CI_TRY(blocks_cut(capture, (int32_t)s->n, boot.block, &b));
    blocks_count(&b, score, label, cold, (int32_t)s->n, s->threshold);
    value = ci_new((size_t)boot.draws * CI_METRIC_COUNT, sizeof *value);
    if (!value) CI_FAIL(CI_ENOMEM, "%d draws", boot.draws);
    s->n_block = b.n;
    s->draws = draw_all(r, &b, boot, value);
    for (int m = 0; m < CI_METRIC_COUNT && s->draws; m++) {
        double *v = value + (size_t)boot.draws * (size_t)m;

        ci_tick();
        qsort(v, (size_t)s->draws, sizeof *v, ascending);
        s->lo[m] = ci_percentile(v, s->draws, 0.025);
        s->hi[m] = ci_percentile(v, s->draws, 0.975);
    }
done:
    free(value);
    blocks_release(&b);
    return rc;
}
