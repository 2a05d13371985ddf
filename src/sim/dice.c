#include "sim_priv.h"

uint32_t ci_sim_word(dice *d)
{
    const unsigned place = d->n % 4;

    if (place == 0) d->four = ci_sim_four(&d->key, d->stream, (uint32_t)(d->n / 4));
    d->n++;
    return d->four.v[place];
}

uint32_t ci_sim_below(dice *d, uint32_t n) { return ci_below(ci_sim_word(d), n); }

int64_t ci_sim_between(dice *d, int64_t low, int64_t high)
{
    return low + ci_sim_below(d, (uint32_t)(high - low + 1));
}
