#include "ci/schedule.h"
#include <math.h>
#include "ci/elementary.h"

/** x^k by squaring: the same on every machine, as libm's pow need not be. */
static double power(double x, int64_t k)
{
    double y = 1;
    for (; k > 0; k >>= 1, x *= x)
        if (k & 1) y *= x;
    return y;
}

double ci_schedule_lr(const ci_schedule *s, int32_t epoch, int32_t epochs, double fraction_of_epoch,
                      int32_t plateau_drops)
{
    const double x = epoch + fraction_of_epoch, begin = ceil(s->warmup);
    const double e = epoch > begin ? epoch - begin : 0, left = epochs > begin ? epochs - begin : 1;

    if (x < s->warmup) return s->lr * (x / s->warmup);
    switch (s->kind) {
    case CI_SCHEDULE_COSINE: {
        const double t_max = s->t_max > 0 ? s->t_max : left;
        return e >= t_max ? s->lr_min : s->lr_min + (s->lr - s->lr_min) * (1 + ci_cospi64(e / t_max)) / 2;
    }
    case CI_SCHEDULE_STEP: return s->lr * power(s->gamma, (int64_t)e / s->step_size);
    case CI_SCHEDULE_PLATEAU: return fmax(s->lr * power(s->gamma, plateau_drops), s->lr_min);
    case CI_SCHEDULE_NONE: break;
    }
    return s->lr;
}

void ci_plateau_step(ci_plateau *p, double value, bool more_is_better, int32_t patience, double threshold)
{
    const bool better = isfinite(value) && (!p->seen || (more_is_better ? value > p->best * (1 + threshold)
                                                                         : value < p->best * (1 - threshold)));
    if (better) {
        p->best = value;
        p->seen = 1;
        p->bad = 0;
    } else if (++p->bad > patience) {
        p->drops++;
        p->bad = 0;
    }
}
