#include <string.h>
#include "ci/types.h"
#include "sim_priv.h"

/* Identifiers of short period are few but send most of the frames, as in the real captures. */
static int64_t draw_period(dice *d)
{
    static const int16_t ms[32] = {10, 10, 10, 10, 10, 20, 20, 20, 20, 20, 20, 50, 50, 50, 50, 100,
                                   100, 100, 100, 100, 100, 100, 100, 200, 200, 200, 200, 500, 500,
                                   1000, 1000, 1000};

    return (int64_t)1000 * ms[ci_sim_below(d, 32)];
}

static field draw_field(dice *d, uint8_t at, uint8_t room)
{
    static const field_kind kinds[8] = {FIELD_CONSTANT, FIELD_CONSTANT, FIELD_COUNTER, FIELD_WAVE,
                                        FIELD_WAVE, FIELD_WALK, FIELD_WALK, FIELD_FLAGS};
    field f = {.kind = kinds[ci_sim_below(d, 8)], .at = at, .len = 1};
    const bool slow = f.kind == FIELD_WAVE || f.kind == FIELD_WALK;

    if (slow && room > 1) f.len = 2;
    f.period_us = (uint32_t)ci_sim_between(d, 2000000, 40000000);
    f.range = (uint32_t)(f.len == 2 ? ci_sim_between(d, 256, 16384) : ci_sim_between(d, 16, 128));
    f.low = ci_sim_below(d, (f.len == 2 ? 65536 : 256) - f.range);
    f.step = f.kind == FIELD_COUNTER ? (uint32_t)1 << (4 * ci_sim_below(d, 2)) : 1 + f.range / 64;
    return f;
}

static void draw_slot(dice *d, slot *s)
{
    const bool checksum = ci_sim_below(d, 2);
    uint8_t at = 0, end;

    s->period_us = draw_period(d);
    s->jitter_us = CI_MIN(s->period_us / 50, 1000);
    s->len = ci_sim_below(d, 10) < 7 ? 8 : (uint8_t)ci_sim_between(d, 2, 7);
    end = s->len - checksum;
    while (at < end) {
        field *f = &s->field[s->n_field++];

        *f = draw_field(d, at, end - at);
        at += f->len;
    }
    if (checksum) s->field[s->n_field++] = (field){.kind = FIELD_CHECKSUM, .at = at, .len = 1};
}

/* n distinct identifiers of 1 .. 7FF, ascending (000 is the flood's): selection sampling, Knuth,
   "The Art of Computer Programming", volume 2, 3.4.2, algorithm S. */
static void draw_ids(dice *d, vehicle *v)
{
    int32_t have = 0;

    for (uint32_t id = 1; id <= SLOT_MAX; id++)
        if (ci_sim_below(d, SLOT_MAX + 1 - id) < (uint32_t)(v->n - have)) v->slot[have++].id = id;
}

/* A malfunction is of an identifier that is sent often: one of those of shortest period,
   of at least five. */
static int32_t draw_spoofed(dice *d, const vehicle *v)
{
    int64_t limit = 0;
    int32_t under = 0;

    while (under < CI_MIN(v->n, 5)) {
        limit += 10000;
        under = 0;
        for (int32_t k = 0; k < v->n; k++) under += v->slot[k].period_us <= limit;
    }
    under = (int32_t)ci_sim_below(d, (uint32_t)under);
    for (int32_t k = 0;; k++)
        if (v->slot[k].period_us <= limit && under-- == 0) return k;
}

void ci_sim_vehicle_draw(const ci_conf *conf, int32_t number, vehicle *out)
{
    enum { RATE_MAX = 2500 }; /* frames a second: a bus at about half its capacity */
    dice d = ci_sim_stream(conf, number, 0, STREAM_VEHICLE);
    int64_t per_1000_s = 0;

    memset(out, 0, sizeof *out);
    out->n = (int32_t)ci_sim_between(&d, conf->sim.ids_min, conf->sim.ids_max);
    draw_ids(&d, out);
    for (int32_t k = 0; k < out->n; k++) {
        slot *s = &out->slot[k];

        draw_slot(&d, s);
        if (per_1000_s + 1000000000 / s->period_us > (int64_t)1000 * RATE_MAX)
            s->period_us = 1000000;
        per_1000_s += 1000000000 / s->period_us;
    }
    out->spoofed = draw_spoofed(&d, out);
}

void ci_sim_sender_start(const slot *s, dice d, sender *out, int64_t *out_ready)
{
    *out = (sender){.dice = d};
    out->nominal_us = *out_ready = ci_sim_between(&out->dice, 0, s->period_us - 1);
    for (int k = 0; k < s->n_field; k++) {
        const field *f = &s->field[k];
        const uint32_t word = ci_sim_word(&out->dice);

        if (f->kind == FIELD_WAVE) out->value[k] = word & 0xFFFF;
        else if (f->kind == FIELD_WALK) out->value[k] = ci_below(word, f->range);
        else if (f->kind == FIELD_COUNTER) out->value[k] = word & 0xFF;
        else out->value[k] = f->low;
    }
}

int64_t ci_sim_sender_next(const slot *s, sender *x, int64_t now_us)
{
    x->nominal_us += s->period_us;
    if (x->nominal_us + s->period_us <= now_us)
        x->nominal_us += (now_us - x->nominal_us) / s->period_us * s->period_us;
    return x->nominal_us + ci_sim_between(&x->dice, -s->jitter_us, s->jitter_us);
}

/* One hump of a parabola up, one down: a sine within 6 %, in integers.  phase: 2^16 a turn;
   0 .. 65535. */
static uint32_t wave(uint32_t phase)
{
    const uint32_t x = phase & 0x7FFF;
    const uint32_t hump = x * (0x8000 - x) >> 13; /* 0 .. 32768 */

    return phase & 0x8000 ? 32768 - hump : 32767 + hump;
}

static uint32_t field_value(const field *f, sender *x, int k, int64_t now_us)
{
    const bool sure = f->kind == FIELD_CONSTANT || f->kind == FIELD_COUNTER;
    const uint32_t word = sure ? 0 : ci_sim_word(&x->dice);
    uint32_t *v = &x->value[k];

    switch (f->kind) {
    case FIELD_COUNTER: return *v = (*v + f->step) & 0xFF;
    case FIELD_WAVE: {
        const uint64_t turn = ((uint64_t)now_us << 16) / f->period_us + *v;

        return f->low + (wave(turn & 0xFFFF) * (f->range - 1) >> 16) + (word & 1); /* with noise */
    }
    case FIELD_WALK: {
        const int64_t to = (int64_t)*v + (int32_t)ci_below(word, 2 * f->step + 1) - f->step;

        *v = (uint32_t)CI_MIN(CI_MAX(to, 0), (int64_t)f->range - 1);
        return f->low + *v;
    }
    case FIELD_FLAGS: /* now and then one bit turns over */
        if (word < UINT32_MAX / 200) *v ^= 1U << (word % 8);
        return *v;
    default: return *v;
    }
}

void ci_sim_sender_payload(const slot *s, sender *x, int64_t now_us, uint8_t out[8])
{
    uint32_t sum = s->id;

    memset(out, 0, 8);
    for (int k = 0; k < s->n_field; k++) {
        const field *f = &s->field[k];
        const bool check = f->kind == FIELD_CHECKSUM;
        const uint32_t value = check ? sum & 0xFF : field_value(f, x, k, now_us);

        if (f->len == 2) out[f->at] = (uint8_t)(value >> 8);
        out[f->at + f->len - 1] = (uint8_t)value;
        sum += value + (value >> 8);
    }
}
