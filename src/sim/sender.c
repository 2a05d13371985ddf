#include <string.h>
#include "ci/types.h"
#include "sim_priv.h"

/* Message number UINT32_MAX is never sent: its words say how a slot starts. */
void ci_sim_sender_start(const dice_key *k, const slot *s, int32_t number, sender *out)
{
    const ci_u32x4 r = ci_sim_four(k, 1 + (uint32_t)number, UINT32_MAX);

    memset(out, 0, sizeof *out);
    out->phase_us = s->event ? 0 : ci_below(r.v[0], (uint32_t)s->period_us);
    out->base = r.v[1];
    for (int f = 0; f < FIELD_MAX; f++) out->knot[f].at = -1;
}

/* An event is somewhere in its period, early enough that its repeats are too. */
static int64_t event_us(const slot *s, int64_t k, uint32_t word)
{
    const uint32_t room = (uint32_t)(s->period_us - (REPEATS + 1) * REPEAT_US);

    return k / REPEATS * s->period_us + ci_below(word, room) + k % REPEATS * REPEAT_US;
}

int64_t ci_sim_due(const slot *s, const sender *x, int64_t k)
{
    return s->event ? event_us(s, k, x->words.v[0]) : x->phase_us + k * s->period_us;
}

int64_t ci_sim_sender_seek(const dice_key *key, const slot *s, int32_t number, motion *m, sender *x,
                           int64_t k)
{
    for (;; k++) {
        int64_t at = x->phase_us + k * s->period_us;

        if (!s->event && s->sleeps && ci_sim_driving(m, at) == DRIVING_PARKED) continue;
        x->next = k;
        x->next_words = ci_sim_four(key, 1 + (uint32_t)number, (uint32_t)(s->event ? k / REPEATS : k));
        if (!s->event)
            return at + ci_below(x->next_words.v[1], (uint32_t)(2 * s->jitter_us + 1)) - s->jitter_us;
        at = event_us(s, k, x->next_words.v[0]);
        if (x->next_words.v[1] >> 31 && ci_sim_driving(m, at) != DRIVING_PARKED) return at;
    }
}

/* Straight from one drawn value to the next, with noise in the last bit. */
static uint32_t noise_value(const dice_key *key, const field *f, uint32_t stream, knot *n, int64_t t_us,
                            uint32_t word)
{
    const int64_t at = t_us / f->period_us;
    const int64_t part = (t_us % f->period_us << 16) / f->period_us;

    if (at != n->at) {
        n->from = ci_below(ci_sim_four(key, stream, (uint32_t)at).v[0], f->range - 1);
        n->to = ci_below(ci_sim_four(key, stream, (uint32_t)at + 1).v[0], f->range - 1);
        n->at = at;
    }
    return f->low + (uint32_t)(((int64_t)n->from * (65536 - part) + (int64_t)n->to * part) >> 16) + (word & 1);
}

static uint32_t flags_value(const dice_key *key, const field *f, uint32_t stream, knot *n, int64_t t_us)
{
    const int64_t at = t_us / f->period_us;

    if (at != n->at) n->from = ci_sim_four(key, stream, (uint32_t)at).v[0];
    n->at = at;
    return f->low | (n->from & f->range);
}

static uint32_t checksum(const slot *s, const field *f, const uint8_t *payload)
{
    uint32_t v = f->step == 0 ? s->id : 0;

    if (f->step == 2) return ci_sim_crc8(payload, f->at);
    for (int k = 0; k < f->at; k++) v = f->step ? v ^ payload[k] : v + payload[k];
    return v & 0xFF;
}

/* What happened is new each time; its repeats are equal. */
static uint32_t event_value(const sender *x, int k) { return x->words.v[2] >> 4 * (k % 5); }

void ci_sim_payload(const dice_key *key, const slot *s, int32_t number, motion *m, sender *x,
                    const forgery *forged, uint8_t out[8])
{
    const int64_t t = CI_MAX(ci_sim_due(s, x, x->waiting), 0);

    memset(out, 0, 8);
    for (int k = 0; k < s->n_field; k++) {
        const field *f = &s->field[k];
        const uint32_t stream = STREAM_FIELD + 8 * (uint32_t)number + (uint32_t)k;
        const uint32_t word = x->words.v[2 + k / 4] >> 8 * (k % 4);
        uint32_t v = f->low;

        if (f->kind == FIELD_COUNTER) v = x->base + (uint32_t)(s->event ? x->waiting / REPEATS : x->waiting) * f->step;
        else if (f->kind == FIELD_CHECKSUM) v = checksum(s, f, out);
        else if (forged && forged->words) v = forged->words[k / 2] >> 16 * (k % 2);
        else if (forged && f->kind == FIELD_SIGNAL && f->signal == SIGNAL_SPEED) v = forged->speed;
        else if (f->kind == FIELD_NOISE && s->event) v = event_value(x, k);
        else if (f->kind == FIELD_NOISE) v = noise_value(key, f, stream, &x->knot[k], t, word);
        else if (f->kind == FIELD_FLAGS) v = flags_value(key, f, stream, &x->knot[k], t);
        else if (f->kind == FIELD_SIGNAL) v = ci_sim_signal(m, f->signal, t, word);
        if (f->len == 2) out[f->at] = (uint8_t)(v >> 8);
        out[f->at + f->len - 1] = (uint8_t)v;
    }
}
