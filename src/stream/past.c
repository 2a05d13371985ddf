/* The frames of a window against what is known: columns of frames and nodes. */
#include <math.h>
#include <stdlib.h>

#include "ci/arena.h"
#include "stream_priv.h"

static const struct known unknown = {.id = 0};

ci_rc ci_past_create(ci_lid W, struct past **out)
{
    ci_rc rc = CI_OK;
    struct past *a = ci_new(1, sizeof *a);
    const size_t n = (size_t)W;

    *out = NULL;
    if (!a) CI_FAIL(CI_ENOMEM, "window of %d frames", W);
    a->relation = ci_new(n, sizeof *a->relation);
    a->node = ci_new(n, sizeof *a->node);
    a->frame = ci_new(n, sizeof *a->frame);
    a->gap = ci_new(n, sizeof *a->gap);
    if (!a->relation || !a->node || !a->frame || !a->gap) CI_FAIL(CI_ENOMEM, "window of %d frames", W);
    *out = a;
    a = NULL;
done:
    ci_past_destroy(&a);
    return rc;
}

void ci_past_destroy(struct past **out)
{
    struct past *const a = out ? *out : NULL;

    if (!a) return;
    free(a->relation);
    free(a->node);
    free(a->frame);
    free(a->gap);
    free(a);
    *out = NULL;
}

/* Has frame i, whose payload is not that of the frame of v before it, that of the one before that? */
static bool alternates(const struct window *w, ci_lid i, const struct known *v)
{
    const int32_t p = w->prev[i], p2 = w->prev2[i];
    const int at = p < 0; /* in v->last[] */

    if (p2 >= 0) return w->f.data[i] == w->f.data[p2] && w->f.len[i] == w->f.len[p2];
    return v->n_last > at && w->f.data[i] == v->last[at].data && w->f.len[i] == v->last[at].len;
}

void ci_past_relate(struct past *a, const struct window *w, const struct logs *l, const ci_profile *p)
{
    for (ci_lid v = 0; v < w->n_node; v++) {
        const int32_t k = ci_profile_find(p, w->id[v]);
        a->node[v].k = k;
        a->node[v].v = k < 0 ? &unknown : &p->known[k];
    }
    for (ci_lid i = 0; i < w->W; i++) {
        const struct known *const v = a->node[w->node[i]].v;
        const int32_t before = w->prev[i];
        struct relation *const r = &a->relation[i];
        r->log2_gap = i ? ci_log2_ns(l, w->f.t_ns[i] - w->f.t_ns[i - 1]) : 0;
        r->has_last = before >= 0 || v->n_last > 0;
        r->x = 0;
        r->alt = false;
        if (!r->has_last) continue;
        r->dt = w->f.t_ns[i] - (before >= 0 ? w->f.t_ns[before] : v->last[0].t_ns);
        r->log2_dt = ci_log2_ns(l, r->dt);
        r->x = w->f.data[i] ^ (before >= 0 ? w->f.data[before] : v->last[0].data);
        if (r->x || w->f.len[i] != (before >= 0 ? w->f.len[before] : v->last[0].len)) r->alt = alternates(w, i, v);
    }
}

/* log2 p_b - log2 (1 - p_b): both are over pairs + 1/2. */
static double flip_odds(const struct logs *l, int64_t flips, int64_t pairs)
{
    if ((double)flips + 0.25 > 0.98 * ((double)pairs + 0.5)) return 5.614709844115208; /* log2 49 */
    return ci_log2_quarter(l, flips) - ci_log2_quarter(l, pairs - flips);
}

/* sum_b (-log2 (1 - p_b) - h(p_b)) = sum_b p_b (log2 p_b - log2 (1 - p_b)): what a frame without a flip has. */
static double flip_base(const struct logs *l, const struct known *v)
{
    const double per = 1 / ((double)v->n_pair + 0.5);
    double sum = (64 - ci_bits(v->flipped)) * 0.25 * per * flip_odds(l, 0, v->n_pair);

    for (uint64_t b = v->flipped; b; b &= b - 1) {
        const uint32_t flips = v->flips[__builtin_ctzll(b)];
        sum += CI_MIN((flips + 0.25) * per, 0.98) * flip_odds(l, flips, v->n_pair);
    }
    return sum;
}

static double flipx(const struct logs *l, const struct known *v, double base, uint64_t x)
{
    const int never = ci_bits(x & ~v->flipped);
    double sum = base;

    if (never) sum -= never * flip_odds(l, 0, v->n_pair);
    for (uint64_t b = x & v->flipped; b; b &= b - 1) sum -= flip_odds(l, v->flips[__builtin_ctzll(b)], v->n_pair);
    return CI_MIN(CI_MAX(sum, -32), 200) / 64;
}

static double outside(const struct known *v, uint64_t data, uint8_t len)
{
    typedef uint8_t eight __attribute__((vector_size(8)));
    eight byte, least, most;
    uint64_t bits;

    memcpy(&byte, &data, sizeof byte);
    memcpy(&least, v->least, sizeof least);
    memcpy(&most, v->most, sizeof most);
    const eight out = (eight)((byte < least) | (byte > most));
    memcpy(&bits, &out, sizeof bits);
    return ci_bits(len < 8 ? bits & ((UINT64_C(1) << 8 * len) - 1) : bits) / 64.0;
}

static double clip6(double x)
{
    return CI_MIN(CI_MAX(x, 0), 6);
}

/* Columns of a frame but those of its edge. */
static void frame_fill(const struct logs *l, const struct node_past *n, const struct relation *r, uint64_t data, uint8_t len,
                       double out[FRAMES])
{
    const struct known *const v = n->v;

    memset(out, 0, FRAMES * sizeof *out);
    out[0] = v->n == 0;
    out[1] = n->idsurp;
    if (r->has_last && v->n_interval >= 5) {
        out[2] = clip6(n->median - r->log2_dt);
        out[3] = clip6(r->log2_dt - n->median);
        out[4] = r->log2_dt - n->median < -1;
        out[5] = clip6(n->q01 - 0.125 - r->log2_dt);
        out[6] = clip6(r->log2_dt - n->q99 - 0.125);
    }
    if (r->has_last && v->n_pair >= 5) out[7] = flipx(l, v, n->flip_base, r->x);
    if (r->has_last && v->n_pair >= 20) out[8] = ci_bits(r->x & ~v->flipped) / 64.0;
    if (v->n >= 20) out[9] = outside(v, data, len);
    out[10] = v->n >= 5 && !(v->lengths >> len & 1);
    out[11] = ci_bits(r->x) / 64.0;
    out[12] = r->alt;
}

/* Columns of the succession from u to v. */
static void edge_fill(const struct logs *l, const ci_profile *p, int32_t u, int32_t v, int64_t n_u, double log2_n1, double out[2])
{
    out[0] = out[1] = 0;
    if (n_u < 20) return; /* u may be -1 */
    const uint32_t c = v < 0 ? 0 : p->follows[(size_t)u * (size_t)p->cap_id + (size_t)v];
    out[0] = c == 0;
    out[1] = CI_MIN(16, log2_n1 - ci_log2_half(l, c));
}

/* The centre of the bin up to which half of the n lie. */
static double median_of(const int64_t *bins, int n_bin, int64_t n, int per_octave)
{
    int64_t sum = 0;
    int b = 0;

    while (b < n_bin - 1 && (sum + bins[b]) * 2 < n) sum += bins[b++];
    return 9 + (b + 0.5) / per_octave;
}

static double surprise_mean(const struct logs *l, const ci_profile *p)
{
    const double N = (double)p->n, log2_N = ci_log2_whole(l, p->n);
    double h = 0;

    for (int32_t i = 0; i < p->n_id; i++) {
        const int64_t n = p->known[p->order[i]].n;
        if (n) h += (double)n / N * (log2_N - ci_log2_whole(l, n));
    }
    return h;
}

static void node_begin(const struct window *w, ci_lid frames, const struct logs *l, const ci_profile *p, double T, double log2_N1, double h,
                       struct node_past *n)
{
    const struct known *const v = n->v;

    n->idsurp = CI_MIN(20, log2_N1 - ci_log2_half(l, v->n)) - h;
    n->log2_n1 = ci_log2_whole(l, v->n + 1);
    n->share = p->n ? (double)w->W * (double)v->n / (double)p->n : 0;
    n->time = n->share;
    if (v->n_interval >= 5) {
        n->q01 = ci_centre(v->at[0]);
        n->median = ci_centre(v->at[1]);
        n->q99 = ci_centre(v->at[2]);
        n->time = CI_MIN(20.0 * w->W, T * l->inverse_centre[v->at[1]]);
    }
    n->expected = ci_log2(l, 1 + n->time);
    n->share_z = (frames - n->share) / sqrt(n->share + 1);
    n->time_z = (frames - n->time) / sqrt(n->time + 1);
    if (v->n_pair >= 5) n->flip_base = flip_base(l, v);
    for (int c = 0; c < FRAMES; c++) {
        n->sum[c] = 0;
        n->most[c] = -1e300;
    }
}

/* Two columns at a time: the compiler does not see that these rows have nothing in common. */
typedef double two __attribute__((vector_size(16), aligned(8), may_alias));
typedef int64_t two_masks __attribute__((vector_size(16)));

static void columns_add(double *sum, double *most, const double *x)
{
    for (int c = 0; c < FRAMES; c += 2) {
        const two now = *(const two *)(x + c), old = *(two *)(most + c);
        const two_masks keep = old > now;
        *(two *)(sum + c) += now;
        *(two *)(most + c) = (two)(((two_masks)old & keep) | ((two_masks)now & ~keep));
    }
}

void ci_past_fill(struct past *a, const struct window *w, const struct logs *l, ci_profile *p, const double own[OWN])
{
    const struct frames *const f = &w->f;
    const double h = p->n ? surprise_mean(l, p) : 0, log2_N1 = ci_log2_whole(l, p->n + 1);
    const double gap = median_of(p->gap, CI_BINS, p->n_gap, 8);
    const double T = (double)CI_MAX(f->t_ns[w->W - 1] - f->t_ns[0], 1000);
    ci_lid odd = 0;

    if (!p->settled) ci_profile_requantile(p);
    for (ci_lid v = 0; v < w->n_node; v++) {
        a->node[v].v = a->node[v].k < 0 ? &unknown : &p->known[a->node[v].k];
        node_begin(w, w->own[v].c, l, p, T, log2_N1, h, &a->node[v]);
    }
    for (ci_lid i = 0; i < w->W; i++) {
        struct node_past *const n = &a->node[w->node[i]];
        const int32_t u = i ? a->node[w->node[i - 1]].k : p->any ? p->last : -1;
        double *const out = a->frame[i];
        frame_fill(l, n, &a->relation[i], f->data[i], f->len[i], out);
        edge_fill(l, p, u, n->k, u < 0 ? 0 : p->known[u].n, i ? a->node[w->node[i - 1]].log2_n1 : u < 0 ? 0 : ci_log2_whole(l, p->known[u].n + 1),
                  out + 13);
        columns_add(n->sum, n->most, out);
        odd += ci_known_odd(n->v, a->relation[i].has_last, a->relation[i].dt, a->relation[i].x, f->len[i]) != FAIR;
        a->gap[i] = i && p->n_gap >= 20 ? ci_clip(a->relation[i].log2_gap - gap, 12) : 0;
    }
    ci_past_window(a, w, l, p, own, odd);
}
