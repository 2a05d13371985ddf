/* What a profile says of itself. */
#include <math.h>
#include "stream_priv.h"

ci_profile_about ci_profile_tell(const ci_profile *p)
{
    ci_profile_about a = {.frames = p->frames, .stride = p->stride, .n = p->n, .dropped = p->dropped, .n_window = p->n_window, .n_id = p->n_id};
    const size_t cap = (size_t)p->cap_id;

    for (int32_t u = 0; u < p->n_id; u++)
        for (int32_t v = 0; v < p->n_id; v++) a.n_edge += p->follows[(size_t)u * cap + (size_t)v] > 0;
    a.bytes = (int64_t)(sizeof *p + cap * (sizeof *p->known + sizeof *p->order + cap * sizeof *p->follows));
    return a;
}

/* Centre of the first bin up to which at least `part` hundredths of n are. */
static double quantile(const uint32_t *bin, int64_t n, int part)
{
    int64_t below = 0;
    int k = 0;

    while (k < CI_BINS - 1 && 100 * (below + bin[k]) < part * n) below += bin[k++];
    return 9 + (k + .5) / 8;
}

void ci_profile_id(const ci_profile *p, int32_t i, uint32_t *out_id, int64_t *out_n, double *out_q01, double *out_median,
                   double *out_q99)
{
    const struct known *v = &p->known[p->order[i]];
    const bool few = v->n_interval < 5;

    *out_id = v->id;
    *out_n = v->n;
    *out_q01 = few ? (double)NAN : quantile(v->interval, v->n_interval, 1);
    *out_median = few ? (double)NAN : quantile(v->interval, v->n_interval, 50);
    *out_q99 = few ? (double)NAN : quantile(v->interval, v->n_interval, 99);
}
