/* Frames in order, a step of S of them at a time: a window is looked at when its last frame is there, then the frames
 * of the step that begins with it are learned. */
#include <stdlib.h>

#include "ci/arena.h"
#include "stream_priv.h"

struct ci_stream {
    const ci_feature_set *set;
    ci_past past;
    ci_lid W, S, m;            /**< every m-th window is added to what is known                   */
    int64_t prefix_ns;
    int n_known;               /**< 1, 2 for both (run, guard)                                    */
    ci_profile *known[2];
    struct logs *logs;
    struct window *window;
    struct past *against;
    struct note *note;         /**< (S)                                                           */

    /* frames of this step and behind it */
    int64_t *t_ns;
    uint32_t *id;
    uint64_t *data;
    uint8_t *len, *attack;
    ci_lid cap, at, n;         /**< room; place of the step's first frame; frames                  */
    ci_gid row;                /**< of the step's first frame in the capture                      */
    bool looked;               /**< its window was looked at                                      */

    int64_t prefix_end;        /**< time of the last frame in the prefix at most                   */
    ci_gid behind;             /**< row of the first frame behind the prefix, -1: it did not come  */
    bool begun;                /**< prefix_end is known                                           */

    bool pending, blocked;     /**< a window is to be added; not by guard, for its step had odd frames */
    int64_t q[OWN];
    int duration;
    bool odd;
};

static const char *const names[] = {"none", "run", "guard", "both", "prefix", "profile"};

ci_past ci_past_of(const char *name)
{
    for (int i = 0; i < (int)CI_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0) return (ci_past)i;
    return CI_PAST_NONE;
}

const char *ci_past_name(ci_past past)
{
    return names[past];
}

static ci_rc room_make(ci_stream *s)
{
    ci_rc rc = CI_OK;
    const size_t n = (size_t)s->cap;

    s->logs = ci_new(1, sizeof *s->logs);
    s->note = ci_new((size_t)s->S, sizeof *s->note);
    s->t_ns = ci_new(n, sizeof *s->t_ns);
    s->id = ci_new(n, sizeof *s->id);
    s->data = ci_new(n, sizeof *s->data);
    s->len = ci_new(n, sizeof *s->len);
    s->attack = ci_new(n, sizeof *s->attack);
    if (!s->logs || !s->note || !s->t_ns || !s->id || !s->data || !s->len || !s->attack)
        CI_FAIL(CI_ENOMEM, "stream of windows of %d frames, %d apart", s->W, s->S);
    CI_TRY(ci_window_create(s->W, &s->window));
    CI_TRY(ci_past_create(s->W, &s->against));
    for (int i = 0; i < s->n_known; i++) CI_TRY(ci_profile_create(s->W, s->S, &s->known[i]));
    ci_logs_fill(s->logs);
done:
    return rc;
}

ci_rc ci_stream_create(const ci_feature_set *set, ci_past past, ci_lid frames, ci_lid stride, int64_t prefix_ns, ci_stream **out)
{
    ci_rc rc = CI_OK;
    ci_stream *s = NULL;

    *out = NULL;
    if (frames < 4 || frames > UINT16_MAX) CI_FAIL(CI_ECONF, "window.frames is %d, not 4 to %d", frames, UINT16_MAX);
    if (stride < 1 || stride > INT32_MAX / 4) CI_FAIL(CI_ECONF, "window.stride is %d, not 1 to %d", stride, INT32_MAX / 4);
    if (set != ci_feature_set_of("agnostic", names[past])) CI_FAIL(CI_ECONF, "features.past is %s, which feature set %s is not for", names[past], set->name);
    s = ci_new(1, sizeof *s);
    if (!s) CI_FAIL(CI_ENOMEM, "stream of windows of %d frames", frames);
    *s = (ci_stream){.set = set, .past = past, .W = frames, .S = stride, .m = (frames + stride - 1) / stride, .prefix_ns = prefix_ns,
                     .n_known = past == CI_PAST_BOTH ? 2 : 1, .cap = 2 * CI_MAX(frames, stride), .behind = -1};
    CI_TRY(room_make(s));
    *out = s;
    s = NULL;
done:
    ci_stream_destroy(&s);
    return rc;
}

void ci_stream_destroy(ci_stream **out)
{
    ci_stream *const s = out ? *out : NULL;

    if (!s) return;
    for (int i = 0; i < 2; i++) ci_profile_destroy(&s->known[i]);
    ci_window_destroy(&s->window);
    ci_past_destroy(&s->against);
    free(s->logs);
    free(s->note);
    free(s->t_ns);
    free(s->id);
    free(s->data);
    free(s->len);
    free(s->attack);
    free(s);
    *out = NULL;
}

/* ---- beginning */

/* What a profile says, as windows of these lengths can use it, without its last frames. */
static ci_rc known_take(ci_stream *s, const ci_profile *from)
{
    ci_rc rc = CI_OK;
    ci_profile *const p = s->known[0];

    CI_TRY(ci_profile_copy(p, from));
    if (p->frames != s->W || p->stride != s->S) {
        p->n_window = 0;
        memset(p->duration, 0, sizeof p->duration);
        memset(p->sum, 0, sizeof p->sum);
        memset(p->square, 0, sizeof p->square);
    }
    p->frames = s->W;
    p->stride = s->S;
    p->any = false;
    p->last_odd = NOT_ODD;
    p->first = p->last = -1;
    p->first_ns = p->last_ns = 0;
    for (int32_t k = 0; k < p->n_id; k++) p->known[k].n_last = p->known[k].last_odd = 0;
done:
    return rc;
}

/* The last frames of `before`, of which nothing else is known to p. */
static ci_rc last_take(ci_profile *p, const ci_profile *before)
{
    ci_rc rc = CI_OK;

    for (int32_t i = 0; i < before->n_id; i++) {
        const struct known *const from = &before->known[i];
        int32_t k = ci_profile_find(p, from->id);
        if (k < 0) CI_TRY(ci_profile_keep(p, from->id, &k));
        if (k < 0) continue;
        memcpy(p->known[k].last, from->last, sizeof from->last);
        p->known[k].n_last = from->n_last;
    }
    p->any = before->any;
    p->first_ns = before->first_ns;
    p->last_ns = before->last_ns;
    p->first = before->first < 0 ? -1 : ci_profile_find(p, before->known[before->first].id);
    p->last = before->last < 0 ? -1 : ci_profile_find(p, before->known[before->last].id);
done:
    return rc;
}

static void start(ci_stream *s, ci_gid row)
{
    for (int i = 0; i < s->n_known; i++) ci_profile_clear(s->known[i]);
    s->at = s->n = 0;
    s->row = row;
    s->looked = s->pending = s->blocked = s->odd = s->begun = false;
    s->behind = -1;
}

ci_rc ci_stream_begin(ci_stream *s, const ci_profile *known)
{
    ci_rc rc = CI_OK;

    start(s, 0);
    if (s->past == CI_PAST_PROFILE && known) CI_TRY(known_take(s, known));
done:
    return rc;
}

ci_rc ci_stream_resume(ci_stream *s, const ci_profile *before, const ci_profile *known, ci_gid row)
{
    ci_rc rc = CI_OK;
    const bool none = s->past == CI_PAST_NONE, frozen = s->past == CI_PAST_PROFILE || (s->past == CI_PAST_PREFIX && known);

    if (row < 0 || row % s->S != 0 || (s->S < s->W && !none) || s->past == CI_PAST_GUARD || s->past == CI_PAST_BOTH)
        CI_FAIL(CI_EARG, "windows of %d frames, %d apart, past %s, cannot begin at frame %lld", s->W, s->S, names[s->past], (long long)row);
    start(s, row);
    if (none) goto done;
    if (before->frames != s->W || before->stride != s->S)
        CI_FAIL(CI_EARG, "windows of %d frames, %d apart, after some of %d, %d apart", s->W, s->S, before->frames, before->stride);
    if (frozen) {
        if (known) CI_TRY(known_take(s, known));
        CI_TRY(last_take(s->known[0], before));
        s->behind = 0;
    } else {
        CI_TRY(ci_profile_copy(s->known[0], before));
    }
    if (before->any) {
        s->begun = true;
        s->prefix_end = ci_prefix_end(before->first_ns, s->prefix_ns);
    }
done:
    return rc;
}

/* ---- a window, a step */

/* From the step's first frame. */
static struct frames frames_of(const ci_stream *s)
{
    return (struct frames){s->t_ns + s->at, s->id + s->at, s->data + s->at, s->len + s->at, s->attack + s->at};
}

static bool is_warm(const ci_stream *s)
{
    switch (s->past) {
    case CI_PAST_NONE: return true;
    case CI_PAST_PREFIX: return s->behind >= 0 && s->row >= s->behind && s->known[0]->n >= CI_STREAM_WARM;
    case CI_PAST_PROFILE: return s->known[0]->n >= CI_STREAM_WARM;
    case CI_PAST_RUN:
    case CI_PAST_GUARD:
    case CI_PAST_BOTH: break;
    }
    return s->row >= CI_STREAM_WARM;
}

static void graph_append(ci_stream *s, const double own[OWN], ci_graphs *g)
{
    const bool warm = is_warm(s);

    ci_graph_begin(g, s->window, s->row, warm);
    if (s->past == CI_PAST_NONE) ci_graph_none(g, s->window, s->logs, own);
    else if (warm) {
        ci_past_relate(s->against, s->window, s->logs, s->known[0]);
        for (int i = 0; i < s->n_known; i++) {
            ci_past_fill(s->against, s->window, s->logs, s->known[i], own);
            ci_graph_past(g, s->window, s->against, i);
        }
    }
    ci_graph_end(g, s->window);
}

/* Are windows learned, so that this one may have to be? */
static bool learns_windows(const ci_stream *s)
{
    return s->past != CI_PAST_NONE && s->past != CI_PAST_PROFILE && s->behind != 0 && (s->behind < 0 || s->row < s->behind);
}

/* The window that begins with the step. */
static void look(ci_stream *s, ci_graphs *g)
{
    const struct frames f = frames_of(s);
    const bool due = s->row / s->S % s->m == 0 && learns_windows(s);
    double own[OWN];

    s->looked = true;
    if (!g && !due) return;
    ci_window_number(s->window, &f);
    ci_window_own(s->window, s->logs, own);
    if (due) {
        s->pending = true;
        s->blocked = false;
        s->duration = ci_bin16(CI_MAX(f.t_ns[s->W - 1] - f.t_ns[0], 1000));
        for (int k = 0; k < OWN; k++) s->q[k] = (int64_t)__builtin_rint(own[k] * 65536);
    }
    if (g) graph_append(s, own, g);
}

static void window_add(ci_profile *p, const ci_stream *s)
{
    p->n_window++;
    p->duration[s->duration]++;
    for (int k = 0; k < OWN; k++) {
        p->sum[k] += s->q[k];
        p->square[k] += (uint64_t)(s->q[k] * s->q[k]);
    }
}

/* Learn n frames from the step's first.  The frames of a step are in the prefix up to the first that is behind it. */
static ci_rc frames_learn(ci_stream *s, ci_lid n)
{
    ci_rc rc = CI_OK;
    const struct frames f = frames_of(s);
    const ci_lid judged = (ci_lid)CI_MIN(CI_MAX(CI_STREAM_WARM - s->row, 0), n);
    const ci_lid in = s->past == CI_PAST_PROFILE ? 0 : s->behind < 0 ? n : (ci_lid)CI_MIN(CI_MAX(s->behind - s->row, 0), n);
    const struct frames rest = {f.t_ns + in, f.id + in, f.data + in, f.len + in, f.attack + in};
    bool odd = false, calm = true, rest_odd;

    if (s->past == CI_PAST_NONE) goto done;
    for (int i = 0; i < s->n_known; i++) {
        const bool guarded = s->past == CI_PAST_GUARD || i == 1;
        CI_TRY(ci_learn(s->known[i], guarded ? LEARN_GUARDED : LEARN, &f, in, judged, s->note, &odd, &calm));
    }
    s->odd = odd;
    if (!calm && s->row / s->S % s->m == 0) s->blocked = true;
    if (in < n) CI_TRY(ci_learn(s->known[0], FOLLOW, &rest, n - in, n, s->note, &rest_odd, &calm));
done:
    return rc;
}

/* Learn the step; a window is added where the one that does not overlap with it could begin. */
static ci_rc step(ci_stream *s)
{
    ci_rc rc = CI_OK;

    CI_TRY(frames_learn(s, s->S));
    s->at += s->S;
    s->row += s->S;
    s->looked = false;
    if (!s->pending || s->row / s->S % s->m != 0) goto done;
    s->pending = false;
    if (s->behind >= 0 && s->row > s->behind) goto done;
    for (int i = 0; i < s->n_known; i++)
        if (!s->blocked || (s->past == CI_PAST_BOTH && i == 0)) window_add(s->known[i], s);
done:
    return rc;
}

/* ---- frames come */

static void copy(ci_stream *s, const ci_table *t, ci_lid from, ci_lid n)
{
    if (s->n + n > s->cap) {
        const size_t have = (size_t)(s->n - s->at), at = (size_t)s->at;
        memmove(s->t_ns, s->t_ns + at, have * sizeof *s->t_ns);
        memmove(s->id, s->id + at, have * sizeof *s->id);
        memmove(s->data, s->data + at, have * sizeof *s->data);
        memmove(s->len, s->len + at, have);
        memmove(s->attack, s->attack + at, have);
        s->n -= s->at;
        s->at = 0;
    }
    memcpy(s->t_ns + s->n, t->t_ns + from, (size_t)n * sizeof *s->t_ns);
    memcpy(s->id + s->n, t->id + from, (size_t)n * sizeof *s->id);
    memcpy(s->data + s->n, t->data + from, (size_t)n * sizeof *s->data);
    memcpy(s->len + s->n, t->len + from, (size_t)n);
    memcpy(s->attack + s->n, t->attack + from, (size_t)n);
    s->n += n;
}

/* Where the prefix ends, as soon as it is seen among n new frames. */
static void prefix_look(ci_stream *s, const int64_t *t_ns, ci_lid n)
{
    const ci_gid row = s->row + s->n - s->at;

    if (s->past != CI_PAST_PREFIX || s->behind >= 0 || n == 0) return;
    if (!s->begun) s->prefix_end = ci_prefix_end(t_ns[0], s->prefix_ns);
    s->begun = true;
    for (ci_lid i = 0; i < n && s->behind < 0; i++)
        if (t_ns[i] > s->prefix_end) s->behind = row + i;
}

static bool has_room(const ci_stream *s, const ci_graphs *g)
{
    return g->n_graph < g->cap_graph && s->W <= g->cap_node - g->n_node && s->W - 1 <= g->cap_edge - g->n_edge;
}

ci_rc ci_stream_push(ci_stream *s, const ci_table *t, ci_lid from, ci_lid to, ci_graphs *g, ci_lid *out_taken)
{
    ci_rc rc = CI_OK;
    ci_lid at = from;
    bool room = true;

    if (!g && s->past != CI_PAST_GUARD) s->known[0]->settled = false;
    while (at < to && room) {
        const ci_lid want = (s->looked ? s->S : s->W) - (s->n - s->at);
        ci_lid n = CI_MIN(want, to - at);
        if (n == want && !s->looked && g && !has_room(s, g)) {
            room = false;
            n--;
        }
        prefix_look(s, t->t_ns + at, n);
        copy(s, t, at, n);
        at += n;
        if (!s->looked && s->n - s->at >= s->W) look(s, g);
        while (s->looked && s->n - s->at >= s->S) {
            CI_TRY(step(s));
            if (s->n - s->at >= s->W) CI_FAIL(CI_EINTERNAL, "a window was passed over at frame %lld", (long long)s->row);
        }
    }
done:
    *out_taken = at - from;
    return rc;
}

ci_rc ci_stream_end(ci_stream *s)
{
    ci_rc rc = CI_OK;

    while (s->n - s->at >= s->S) CI_TRY(step(s));
    CI_TRY(frames_learn(s, s->n - s->at));
    s->row += s->n - s->at;
    s->at = s->n;
done:
    return rc;
}

const ci_profile *ci_stream_known(const ci_stream *s)
{
    return s->known[0];
}

bool ci_stream_odd(const ci_stream *s)
{
    return s->odd;
}
