/* The columns of a window by itself: nothing but its own frames is in them. */
#include <math.h>

#include "stream_priv.h"

static bool same(const struct frames *f, ci_lid a, ci_lid b)
{
    return f->data[a] == f->data[b] && f->len[a] == f->len[b];
}

/* Each node's frames: how many, and where its intervals go. */
static void nodes_begin(struct window *w)
{
    ci_lid at = 0;

    for (ci_lid v = 0; v < w->n_node; v++) w->own[v] = (struct own_node){0};
    for (ci_lid i = 0; i < w->W; i++) w->own[w->node[i]].c++;
    for (ci_lid v = 0; v < w->n_node; v++) {
        w->own[v].first = at;
        at += w->own[v].c - 1;
        w->last[v] = -1;
    }
}

static void frames_look(struct window *w)
{
    const struct frames *const f = &w->f;

    for (ci_lid i = 0; i < w->W; i++) {
        const ci_lid v = w->node[i];
        struct own_node *const o = &w->own[v];
        const int32_t p = w->last[v], p2 = p < 0 ? -1 : w->prev[p];
        w->prev[i] = p;
        w->prev2[i] = p2;
        w->last[v] = i;
        o->zero += f->data[i] == 0;
        if (p < 0) continue;
        o->ham += ci_bits(f->data[i] ^ f->data[p]);
        o->length_changes += f->len[i] != f->len[p];
        o->runs += p == i - 1;
        o->alternations += p2 >= 0 && same(f, i, p2) && !same(f, i, p);
        w->interval[o->first++] = CI_MAX(f->t_ns[i] - f->t_ns[p], 0);
    }
    for (ci_lid v = 0; v < w->n_node; v++) w->own[v].first -= w->own[v].c - 1;
}

static double variation(const int64_t *t, ci_lid n)
{
    double sum = 0, square = 0;

    for (ci_lid i = 0; i < n; i++) sum += (double)t[i];
    const double mean = sum / n;
    for (ci_lid i = 0; i < n; i++) square += ((double)t[i] - mean) * ((double)t[i] - mean);
    return sum > 0 ? sqrt(square / n) / mean : 0;
}

static void intervals_look(struct window *w, const struct logs *l, struct own_node *o)
{
    int64_t *const t = w->interval + o->first;
    const ci_lid n = o->c - 1;

    if (o->c < 3) return;
    if (o->c >= 4) o->cv = variation(t, n);
    ci_sort(t, w->spare, n);
    const int64_t median = t[(n - 1) / 2];
    o->least = ci_log2_ns(l, t[0]) - ci_log2_ns(l, median);
    const uint64_t fast = (3 * (uint64_t)median + 9) / 10; /* ten times an interval may be too much for 64 bits */
    while (o->fast < n && (uint64_t)t[o->fast] < fast) o->fast++;
}

/* Entropy in bits of counts with this sum and sum of n log2 n. */
static double entropy(const struct logs *l, int64_t sum, double sum_nlogn)
{
    return sum ? ci_log2_whole(l, sum) - sum_nlogn / (double)sum : 0;
}

static double byte_entropy(const struct window *w, const struct logs *l)
{
    uint32_t n[256] = {0};
    int64_t sum = 0;
    double nlogn[4] = {0};

    for (ci_lid i = 0; i < w->W; i++) {
        uint64_t data = w->f.data[i];
        for (int k = 0; k < w->f.len[i]; k++, data >>= 8) n[data & 255]++;
        sum += w->f.len[i];
    }
    for (int k = 0; k < 256; k += 4)
        for (int j = 0; j < 4; j++) nlogn[j] += n[k + j] * ci_log2_whole(l, n[k + j]);
    return CI_MAX(entropy(l, sum, (nlogn[0] + nlogn[1]) + (nlogn[2] + nlogn[3])), 0);
}

static void gaps_look(struct window *w, const struct logs *l, double *out)
{
    const ci_lid n = w->W - 1;
    const int64_t T = CI_MAX(w->f.t_ns[w->W - 1] - w->f.t_ns[0], 1000);
    ci_lid burst = 0;

    for (ci_lid i = 0; i < n; i++) w->gap[i] = CI_MAX(w->f.t_ns[i + 1] - w->f.t_ns[i], 0);
    ci_sort(w->gap, w->spare, n);
    const double g50 = ci_log2_ns(l, w->gap[(int64_t)50 * (n - 1) / 100]);
    const uint64_t close = (3 * (uint64_t)w->gap[2] + 1) / 2;
    while (burst < n && (uint64_t)w->gap[burst] < close) burst++;
    w->gap_median = ci_log2_ns(l, w->gap[(n - 1) / 2]);
    out[15] = g50 - ci_log2_ns(l, w->gap[(int64_t)10 * (n - 1) / 100]);
    out[16] = ci_log2_ns(l, w->gap[(int64_t)90 * (n - 1) / 100]) - g50;
    out[17] = ci_log2_ns(l, w->gap[(int64_t)98 * (n - 1) / 100]) - g50;
    out[18] = ci_log2_ns(l, T) - ci_log2(l, 1e9);
    out[25] = (double)burst / n;
}

static ci_lid longest_run(const struct window *w)
{
    ci_lid run = 1, longest = 1;

    for (ci_lid i = 1; i < w->W; i++) {
        run = w->node[i] == w->node[i - 1] ? run + 1 : 1;
        longest = CI_MAX(longest, run);
    }
    return longest;
}

static void pairs_look(const struct window *w, double *out)
{
    ci_lid back = 0;

    for (ci_lid k = 0; k < w->n_pair; k++) back += ci_window_pairs(w, w->pair[k].v, w->pair[k].u) > 0;
    out[7] = (double)w->n_pair / (w->W - 1);
    out[8] = (double)back / w->n_pair;
}

/* What sums over the nodes, and the largest of them. */
static void nodes_look(const struct window *w, const struct logs *l, double *out)
{
    const double W = w->W;
    ci_lid c1 = 0, c2 = 0, top = 0, single = 0, zero = 0, changes = 0, alternations = 0, most = 0, fast = 0, runs = 0;
    int64_t ham = 0;
    double nlogn = 0, ham_max = 0, cv = 0, least = 0;

    for (ci_lid v = 0; v < w->n_node; v++) {
        const struct own_node *const o = &w->own[v];
        c2 = CI_MAX(c2, CI_MIN(c1, o->c));
        if (o->c > c1) top = v;
        c1 = CI_MAX(c1, o->c);
        nlogn += o->c * ci_log2_whole(l, o->c);
        single += o->c == 1;
        zero += o->zero;
        changes += o->length_changes;
        alternations += o->alternations;
        most = CI_MAX(most, o->alternations);
        fast += o->fast;
        runs += o->runs;
        ham += o->ham;
        if (o->c > 1) ham_max = CI_MAX(ham_max, (double)o->ham / (64.0 * (o->c - 1)));
        cv = CI_MAX(cv, o->cv);
        least = CI_MIN(least, o->least);
    }
    out[0] = w->n_node / W;
    out[1] = CI_MAX(entropy(l, w->W, nlogn), 0) / ci_log2_whole(l, w->W);
    out[2] = c1 / W;
    out[3] = ci_log2_whole(l, c1 + 1) - ci_log2_whole(l, c2 + 1);
    out[5] = runs / (W - 1);
    out[6] = (double)single / w->n_node;
    out[9] = zero / W;
    out[11] = w->W > w->n_node ? (double)ham / (64.0 * (w->W - w->n_node)) : 0;
    out[12] = ham_max;
    out[13] = cv;
    out[14] = least;
    out[19] = changes / W;
    out[20] = w->own[0].c / W;
    out[21] = w->n_node > 1 ? (double)top / (w->n_node - 1) : 0;
    out[22] = alternations / W;
    out[23] = most / W;
    out[24] = fast / W;
}

void ci_window_own(struct window *w, const struct logs *l, double out[OWN])
{
    nodes_begin(w);
    frames_look(w);
    for (ci_lid v = 0; v < w->n_node; v++) intervals_look(w, l, &w->own[v]);
    gaps_look(w, l, out);
    nodes_look(w, l, out);
    pairs_look(w, out);
    out[4] = longest_run(w) / (double)w->W;
    out[10] = byte_entropy(w, l) / 8;
}
