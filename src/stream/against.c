/* The columns of a window against the past. */
#include <math.h>

#include "stream_priv.h"

/* Mean, largest sum of an identifier, largest of the frames' columns. */
static void frames_sum(const struct past *a, const struct window *w, double *out)
{
    double sum[FRAMES] = {0}, top[FRAMES], most[FRAMES];

    memcpy(top, a->node[0].sum, sizeof top);
    memcpy(most, a->node[0].most, sizeof most);
    for (ci_lid i = 0; i < w->W; i++)
        for (int c = 0; c < FRAMES; c++) sum[c] += a->frame[i][c];
    for (ci_lid v = 1; v < w->n_node; v++)
        for (int c = 0; c < FRAMES; c++) {
            top[c] = CI_MAX(top[c], a->node[v].sum[c]);
            most[c] = CI_MAX(most[c], a->node[v].most[c]);
        }
    for (int c = 0; c < FRAME; c++) {
        out[c] = sum[c] / w->W;
        out[FRAME + c] = top[c] / w->W;
        out[2 * FRAME + c] = most[c];
    }
}

static double divergence(const struct past *a, const struct window *w, const struct logs *l, const ci_profile *p)
{
    const double W = w->W, log2_N = ci_log2_whole(l, p->n + 100) - ci_log2_whole(l, w->W);
    double kl = 0;

    for (ci_lid v = 0; v < w->n_node; v++) {
        const ci_lid c = w->own[v].c;
        kl += c / W * (ci_log2_whole(l, c) + log2_N - ci_log2_half(l, a->node[v].v->n));
    }
    return kl;
}

/* How frames per identifier differ from what is expected: what the columns are made of. */
struct expected {
    double share_max, share_min, time_max, time_min, excess, deficit;
};

static void expected_add(struct expected *x, ci_lid c, double time, double share_z, double time_z)
{
    x->share_max = CI_MAX(x->share_max, share_z);
    x->share_min = CI_MIN(x->share_min, share_z);
    x->time_max = CI_MAX(x->time_max, time_z);
    x->time_min = CI_MIN(x->time_min, time_z);
    x->excess += CI_MAX(c - time - 1, 0);
    x->deficit += CI_MAX(time - c - 1, 0);
}

/* What absent identifiers differ by falls with what is expected of them, so that only the ends of that matter. */
static void absent_add(struct expected *x, const double share[2], const double time[2])
{
    if (share[1] < 0) return; /* there is none */
    x->share_max = CI_MAX(x->share_max, -share[0] / sqrt(share[0] + 1));
    x->share_min = CI_MIN(x->share_min, -share[1] / sqrt(share[1] + 1));
    x->time_max = CI_MAX(x->time_max, -time[0] / sqrt(time[0] + 1));
    x->time_min = CI_MIN(x->time_min, -time[1] / sqrt(time[1] + 1));
}

/* Identifiers known or present, ascending. */
static void expected_sum(const struct past *a, const struct window *w, const struct logs *l, const ci_profile *p, struct expected *x)
{
    const double W = w->W, T = (double)CI_MAX(w->f.t_ns[w->W - 1] - w->f.t_ns[0], 1000), share_of = p->n ? W / (double)p->n : 0;
    double share_ends[2] = {1e300, -1}, time_ends[2] = {1e300, -1};
    ci_lid at = 0;

    for (int32_t i = 0; i <= p->n_id; i++) {
        const struct known *const v = i < p->n_id ? &p->known[p->order[i]] : NULL;
        for (; at < w->n_node && (!v || w->id[at] <= v->id); at++)
            expected_add(x, w->own[at].c, a->node[at].time, a->node[at].share_z, a->node[at].time_z);
        if (!v || v->n == 0 || (at > 0 && w->id[at - 1] == v->id)) continue;
        const double share = share_of * (double)v->n;
        const double time = v->n_interval >= 5 ? CI_MIN(20 * W, T * l->inverse_centre[v->at[1]]) : share;
        share_ends[0] = CI_MIN(share_ends[0], share);
        share_ends[1] = CI_MAX(share_ends[1], share);
        time_ends[0] = CI_MIN(time_ends[0], time);
        time_ends[1] = CI_MAX(time_ends[1], time);
        x->deficit += CI_MAX(time - 1, 0);
    }
    absent_add(x, share_ends, time_ends);
}

static double overdue(struct past *a, const struct window *w, const struct logs *l, const ci_profile *p)
{
    const int64_t end = w->f.t_ns[w->W - 1];
    int64_t n = 0, late = 0;

    for (ci_lid v = 0; v < w->n_node; v++)
        if (a->node[v].k >= 0) a->node_of[a->node[v].k] = v + 1;
    for (int32_t k = 0; k < p->n_id; k++) {
        const struct known *const v = &p->known[k];
        const ci_lid node = a->node_of[k] - 1;
        a->node_of[k] = 0;
        if (v->n_interval < 10) continue;
        n++;
        if (node < 0 && v->n_last == 0) continue;
        late += end - (node < 0 ? v->last[0].t_ns : w->f.t_ns[w->last[node]]) > l->overdue[v->at[2]];
    }
    return n ? (double)late / (double)n : 0;
}

static double duration_change(const struct logs *l, const struct window *w, const ci_profile *p)
{
    int64_t sum = 0;
    int b = 0;

    if (p->n_window == 0) return 0;
    while (b < DURATIONS - 1 && (sum + p->duration[b]) * 2 < p->n_window) sum += p->duration[b++];
    return ci_clip(ci_log2_ns(l, CI_MAX(w->f.t_ns[w->W - 1] - w->f.t_ns[0], 1000)) - (9 + (b + 0.5) / 16), 12);
}

static void own_against(const ci_profile *p, const double own[OWN], double *out)
{
    const double n = (double)p->n_window;
    const ci_feature *const column = ci_feature_set_find("agnostic-none")->window;

    for (int k = 0; k < OWN; k++) {
        const double mean = (double)p->sum[k] / n / 65536, square = (double)p->square[k] / n / 4294967296.0;
        const double spread = sqrt(CI_MAX(square - mean * mean, 0)), least = column[k].unit[0] == '1' ? 0.02 : 0.07;
        out[k] = p->n_window >= 20 ? ci_clip((own[k] - mean) / (spread + least), 30) : 0;
    }
}

void ci_past_window(struct past *a, const struct window *w, const struct logs *l, const ci_profile *p, const double own[OWN], ci_lid odd)
{
    struct expected x = {-1e300, 1e300, -1e300, 1e300, 0, 0};
    double *const out = a->window + 3 * FRAME;
    ci_lid known = 0;

    frames_sum(a, w, a->window);
    expected_sum(a, w, l, p, &x);
    for (ci_lid v = 0; v < w->n_node; v++)
        if (a->node[v].v->n >= 10) known += w->own[v].c;
    out[0] = divergence(a, w, l, p);
    out[1] = ci_clip(x.share_max, 30);
    out[2] = ci_clip(x.share_min, 30);
    out[3] = ci_clip(x.time_max, 30);
    out[4] = ci_clip(x.time_min, 30);
    out[5] = CI_MIN(5, x.excess / w->W);
    out[6] = CI_MIN(5, x.deficit / w->W);
    out[7] = overdue(a, w, l, p);
    out[8] = duration_change(l, w, p);
    out[9] = known / (double)w->W;
    out[10] = odd / (double)w->W;
    own_against(p, own, out + AGAINST);
}
