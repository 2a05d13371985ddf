/* Gaps and jumps of time. */
#include "scan_priv.h"

static int log2_of(int64_t ns) { return ns < 2 ? 0 : 63 - __builtin_clzll((unsigned long long)ns); }

ci_look ci_look_none(int32_t capture)
{
    return (ci_look){.capture = capture, .most_ahead = {.row = -1}, .most_back = {.row = -1}};
}

/* Times lie between 0 and 2^63 - 1: their differences fit. */
static void step_add(ci_look *l, int64_t from, int64_t to, int64_t row, int32_t block)
{
    const int64_t ns = to >= from ? to - from : from - to;
    ci_step *most = to >= from ? &l->most_ahead : &l->most_back;

    (to >= from ? l->ahead : l->back)[log2_of(ns)]++;
    if (most->row < 0 || ns > most->ns) *most = (ci_step){ns, row, block};
}

ci_look ci_look_rows(const ci_table *t, int32_t block, int32_t capture)
{
    ci_look l = ci_look_none(capture);

    if (t->n_own == 0) return l;
    l.rows = t->n_own;
    l.t_first = t->t_ns[0];
    l.t_last = t->t_ns[t->n_own - 1];
    for (ci_lid i = 1; i < t->n_own; i++) step_add(&l, t->t_ns[i - 1], t->t_ns[i], i, block);
    l.first_block = block;
    return l;
}

static void most_take(ci_step *a, const ci_step *b)
{
    if (b->row >= 0 && (a->row < 0 || b->ns > a->ns)) *a = *b;
}

void ci_look_append(ci_look *a, const ci_look *b)
{
    if (b->rows == 0) return;
    if (a->rows == 0) {
        *a = *b;
        return;
    }
    step_add(a, a->t_last, b->t_first, 0, b->first_block);
    most_take(&a->most_ahead, &b->most_ahead);
    most_take(&a->most_back, &b->most_back);
    for (int k = 0; k < 64; k++) {
        a->ahead[k] += b->ahead[k];
        a->back[k] += b->back[k];
    }
    a->rows += b->rows;
    a->t_last = b->t_last;
}

int64_t ci_look_beyond(const int64_t steps[64], int k)
{
    int64_t n = 0;

    for (; k < 64; k++) n += steps[k];
    return n;
}

int ci_look_gap(const ci_look *l)
{
    const int64_t all = ci_look_beyond(l->ahead, 0);
    int64_t below = 0;
    int k = 0;

    while (k < 63 && 2 * (below += l->ahead[k]) < all) k++;
    return CI_MAX(CI_GAP_LEAST, CI_MIN(k + 1 + 7, 63));
}
