/** When records are made on a device: linear layers wait until somebody wants one of them, and go together with all that are ready.
 *
 *  All other records keep the order of the list, but that both ends of raw edges are looked at right behind the latent sample: so what
 *  hangs on the latent space goes along with the decoder.  Steps of time are those of the list: a launch is at the step of who wants it. */
#include <assert.h>
#include "device_priv.h"

/** What has been made so far. */
struct made { ci_devmodel *dm; const ci_model *m; int back; ci_lid group, now; bool done[RECORD_MAX]; };

static bool reads(const struct record *r, ci_lid tensor)
{
    for (ci_lid j = 0; j < r->n_in; j++)
        if (r->in[j] == tensor) return true;
    return false;
}

static void put(struct made *s, ci_lid k)
{
    struct order *o = &s->dm->order[s->back];
    o->record[o->n] = k;
    o->group[o->n++] = s->group;
    o->at[k] = s->now;
    s->done[k] = true;
}

/* ---- forward ---- */

/** Is all made that record k reads or writes over? */
static bool ready(const struct made *s, ci_lid k)
{
    const struct record *r = &s->m->record[k];
    for (ci_lid j = 0; j < k; j++) {
        const struct record *o = &s->m->record[j];
        if (!s->done[j] && ((o->out != NONE && reads(r, o->out)) || (r->out != NONE && reads(o, r->out)))) return false;
    }
    return true;
}

static void put_forward(struct made *s, ci_lid k)
{
    put(s, k);
    if (!s->dm->fused[k].relu) return;
    s->done[k + 1] = true;
    s->dm->order[0].at[k + 1] = s->now;
}

/** A launch of all linear layers that are ready. */
static bool together(struct made *s)
{
    bool found[RECORD_MAX] = {false};
    ci_lid n = 0;
    for (ci_lid k = 0; k < s->m->n_record && n < CI_MODEL_LAYERS; k++) {
        found[k] = s->m->record[k].kind == LINEAR && !s->done[k] && ready(s, k);
        n += found[k];
    }
    for (ci_lid k = 0; k < s->m->n_record; k++)
        if (found[k]) put_forward(s, k);
    s->group++;
    return n > 0;
}

static void one_forward(struct made *s, ci_lid k)
{
    while (!ready(s, k) && together(s)) {}
    assert(ready(s, k));
    put_forward(s, k);
    s->group++;
}

/** Both ends of raw edges, of a latent sample. */
static bool of_ends(const ci_model *m, ci_lid k, ci_lid sample)
{
    const struct record *r = &m->record[k];
    return (r->kind == EDGE_PAIR || r->kind == NEIGHBOUR_MEAN) && m->record[sample].kind == SAMPLE && r->in[0] == m->record[sample].out;
}

static void forward(struct made *s)
{
    for (ci_lid k = 0; k < s->m->n_record; k++) {
        if (s->m->record[k].kind == LINEAR || s->done[k] || s->dm->fused[k].forward) continue;
        s->now = k;
        one_forward(s, k);
        for (ci_lid j = k + 1; s->m->record[k].kind == SAMPLE && j < s->m->n_record; j++)
            if (of_ends(s->m, j, k)) one_forward(s, j);
    }
    while (together(s)) {}
}

/* ---- backward ---- */

/** Has everybody behind record k who reads this tensor brought what there is to its gradient? */
static bool gathered(const struct made *s, ci_lid tensor, ci_lid k)
{
    for (ci_lid j = k + 1; j < s->m->n_record; j++)
        if (!s->done[j] && reads(&s->m->record[j], tensor)) return false;
    return true;
}

/** Layers first .. k of one input. */
static bool ready_back(const struct made *s, ci_lid k)
{
    const ci_lid first = k + 1 - s->dm->fused[k].n_back;
    for (ci_lid j = first; j <= k; j++)
        if (!gathered(s, s->m->record[j].out, j)) return false;
    return !s->dm->fused[k].gate || gathered(s, s->m->record[k].in[0], k);
}

/** Nobody is the first to write a gradient twice. */
static void note_first(struct made *s, ci_lid k, bool *written)
{
    const struct record *r = &s->m->record[k];
    for (ci_lid j = 0; j < r->n_in; j++) s->dm->add[k][j] = written[r->in[j]];
    for (ci_lid j = 0; j < r->n_in; j++) written[r->in[j]] = true;
}

static bool together_back(struct made *s, bool *written)
{
    ci_lid found[CI_MODEL_LAYERS], n = 0;
    for (ci_lid k = s->m->n_record - 1; k >= 0 && n < CI_MODEL_LAYERS; k--) {
        bool other = s->m->record[k].kind != LINEAR || s->done[k] || s->dm->fused[k].backward || !ready_back(s, k);
        for (ci_lid j = 0; j < n; j++) other = other || s->m->record[found[j]].in[0] == s->m->record[k].in[0];
        if (!other) found[n++] = k;
    }
    for (ci_lid j = 0; j < n; j++) {
        note_first(s, found[j], written);
        for (ci_lid k = found[j], last = k - s->dm->fused[k].n_back; k > last; k--) put(s, k);
    }
    s->group++;
    return n > 0;
}

static void one_backward(struct made *s, ci_lid k, bool *written)
{
    const ci_lid y = s->m->record[k].out;
    while (y != NONE && !gathered(s, y, k) && together_back(s, written)) {}
    assert(y == NONE || gathered(s, y, k));
    note_first(s, k, written);
    put(s, k);
    s->group++;
}

static bool later(const struct made *s, ci_lid k)
{
    for (ci_lid j = 0; j < k; j++)
        if (of_ends(s->m, k, j)) return true;
    return false;
}

static void backward(struct made *s)
{
    bool written[TENSOR_MAX] = {false};
    for (ci_lid k = 0; k < s->m->n_record; k++) s->done[k] = s->dm->fused[k].gated; /* of itself, with another */
    for (ci_lid k = s->m->n_record - 1; k >= 0; k--) {
        if (s->m->record[k].kind == LINEAR || s->done[k] || later(s, k)) continue;
        s->now = 2 * s->m->n_record - 1 - k;
        for (ci_lid j = s->m->n_record - 1; s->m->record[k].kind == SAMPLE && j > k; j--)
            if (of_ends(s->m, j, k)) one_backward(s, j, written);
        one_backward(s, k, written);
    }
    while (together_back(s, written)) {}
}

void ci_device_order(ci_devmodel *dm)
{
    for (int back = 0; back < 2; back++) {
        struct made s = {.dm = dm, .m = dm->m, .back = back};
        dm->order[back].n = 0;
        if (back) backward(&s);
        else forward(&s);
    }
}
