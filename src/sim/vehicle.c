#include <stdlib.h>
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
    static const field_kind kinds[16] = {
        FIELD_CONSTANT, FIELD_CONSTANT, FIELD_CONSTANT, FIELD_CONSTANT, FIELD_COUNTER, FIELD_COUNTER,
        FIELD_NOISE, FIELD_NOISE, FIELD_NOISE, FIELD_NOISE, FIELD_NOISE, FIELD_NOISE, FIELD_SIGNAL,
        FIELD_SIGNAL, FIELD_FLAGS, FIELD_FLAGS};
    field f = {.kind = kinds[ci_sim_below(d, 16)], .at = at, .len = 1};
    const bool wide = room > 1 && (f.kind == FIELD_NOISE || (f.kind == FIELD_SIGNAL && ci_sim_below(d, 2)));

    if (wide) f.len = 2;
    f.period_us = (uint32_t)ci_sim_between(d, 2000000, 40000000);
    f.range = (uint32_t)(f.len == 2 ? ci_sim_between(d, 256, 16384) : ci_sim_between(d, 16, 128));
    f.low = ci_sim_below(d, (f.len == 2 ? 65536 : 256) - f.range);
    f.step = (uint32_t)1 << (4 * ci_sim_below(d, 2));
    if (f.kind == FIELD_FLAGS) f.range = 1U << ci_sim_below(d, 8) | 1U << ci_sim_below(d, 8);
    if (f.kind == FIELD_FLAGS) f.low &= ~f.range;
    if (f.kind == FIELD_SIGNAL && wide) f.signal = (signal_kind)ci_sim_below(d, SIGNAL_WIDE + 1);
    else f.signal = (signal_kind)ci_sim_between(d, SIGNAL_WIDE + 1, SIGNAL_COUNT - 1);
    return f;
}

/* One message has all wheels, one speed, engine and pedals: what other messages repeat. */
static void draw_known(slot *s, int which)
{
    static const signal_kind known[2][5] = {
        {SIGNAL_WHEEL_1, SIGNAL_WHEEL_2, SIGNAL_WHEEL_3, SIGNAL_WHEEL_4, SIGNAL_COUNT},
        {SIGNAL_SPEED, SIGNAL_ENGINE, SIGNAL_THROTTLE, SIGNAL_BRAKE, SIGNAL_COUNT}};
    uint8_t at = 0;

    s->len = 8;
    for (int k = 0; known[which][k] != SIGNAL_COUNT; k++) {
        field *f = &s->field[s->n_field++];

        *f = (field){.kind = FIELD_SIGNAL, .at = at, .signal = known[which][k],
                     .len = known[which][k] <= SIGNAL_WIDE ? 2 : 1};
        at += f->len;
    }
    if (at == 8) return;
    s->field[s->n_field++] = (field){.kind = FIELD_COUNTER, .at = 6, .len = 1, .step = 1};
    s->field[s->n_field++] = (field){.kind = FIELD_CHECKSUM, .at = 7, .len = 1, .step = 2};
}

static void draw_slot(dice *d, slot *s, int32_t number)
{
    const bool checksum = ci_sim_below(d, 2);
    const uint32_t sum = ci_sim_below(d, SUMS), event = ci_sim_below(d, 4), sleeps = ci_sim_below(d, 4);
    uint8_t at = 0, end;

    s->period_us = draw_period(d);
    s->event = event == 0 && number > 0 && s->period_us >= 100000;
    if (s->event) s->period_us = 1000 * ci_sim_between(d, 1000, 8000);
    s->jitter_us = CI_MIN(s->period_us / 50, 1000);
    s->sleeps = sleeps == 0 && number > 0;
    if (number == SLOT_WHEELS || number == SLOT_SPEED) {
        s->event = s->sleeps = false;
        s->period_us = 10000 * number;
        s->jitter_us = 200 * number;
        draw_known(s, number - 1);
        return;
    }
    s->len = ci_sim_below(d, 10) < 7 ? 8 : (uint8_t)ci_sim_between(d, 2, 7);
    end = s->len - checksum;
    while (at < end) {
        field *f = &s->field[s->n_field++];

        *f = draw_field(d, at, end - at);
        at += f->len;
    }
    if (checksum) s->field[s->n_field++] = (field){.kind = FIELD_CHECKSUM, .at = at, .len = 1, .step = sum};
}

static int by_rank(const void *a, const void *b)
{
    const uint32_t x = ci_sim_rank(((const slot *)a)->id), y = ci_sim_rank(((const slot *)b)->id);

    return (x > y) - (x < y);
}

static void draw_extended(dice *d, vehicle *v, int32_t from)
{
    for (int32_t k = from; k < v->n; k++) {
        bool again = true;

        while (again) {
            v->slot[k].id = EXTENDED | 0x18000000 | ci_sim_below(d, 1 << 24);
            again = false;
            for (int32_t j = from; j < k; j++) again |= v->slot[j].id == v->slot[k].id;
        }
    }
}

enum { ID_MAX = 0x7DE }; /* behind it are those of diagnosis */

/* Distinct identifiers of 1 .. 7DE (000 is the flood's): selection sampling, Knuth, "The Art of
   Computer Programming", volume 2, 3.4.2, algorithm S; the others are of the 29-bit kind. */
static void draw_ids(dice *d, vehicle *v, double extended)
{
    const int32_t n = v->n - (int32_t)(v->n * extended);
    int32_t have = 0;

    for (uint32_t id = 1; id <= ID_MAX; id++)
        if (ci_sim_below(d, ID_MAX + 1 - id) < (uint32_t)(n - have)) v->slot[have++].id = id;
    draw_extended(d, v, n);
    qsort(v->slot, (size_t)v->n, sizeof v->slot[0], by_rank);
}

static bool often(const slot *s, int64_t limit)
{
    return s->period_us <= limit && !s->event && !s->sleeps;
}

/* An attacker forges an identifier that is sent often: one of those of shortest period, of at
   least five where there are so many. */
static int32_t draw_spoofed(dice *d, const vehicle *v)
{
    int64_t limit = 0;
    int32_t under = 0;

    while (under < CI_MIN(v->n, 5) && limit < 1000000) {
        limit += 10000;
        under = 0;
        for (int32_t k = 0; k < v->n; k++) under += often(&v->slot[k], limit);
    }
    if (under == 0) return 0;
    under = (int32_t)ci_sim_below(d, (uint32_t)under);
    for (int32_t k = 0;; k++)
        if (often(&v->slot[k], limit) && under-- == 0) return k;
}

/* At most: an event happens every other period. */
static int64_t per_1000_s(const slot *s)
{
    return (s->event ? REPEATS : 1) * (1000000000 / s->period_us);
}

void ci_sim_vehicle_draw(const ci_conf *conf, int32_t number, vehicle *out)
{
    dice d = {.key = {(uint32_t)conf->sim.seed, (uint32_t)number, 0}, .stream = STREAM_VEHICLE};
    const int64_t most = 1000 * ci_sim_rate_max(conf->sim.bitrate);
    int64_t most_so_far = 0;

    memset(out, 0, sizeof *out);
    out->n = (int32_t)ci_sim_between(&d, conf->sim.ids_min, conf->sim.ids_max);
    draw_ids(&d, out, conf->sim.extended);
    for (int32_t k = 0; k < out->n; k++) {
        slot *s = &out->slot[k];
        const int64_t others = 1000 * (int64_t)(out->n - 1 - k); /* one a second for each to come */

        draw_slot(&d, s, k);
        if (most_so_far + others + per_1000_s(s) > most) {
            s->period_us = 1000000;
            s->event = false;
            s->jitter_us = 1000;
        }
        most_so_far += per_1000_s(s);
        out->per_1000_s += per_1000_s(s) * (s->event ? 46 : s->sleeps ? 92 : 100) / 100; /* 8 % of a trip is parked */
        s->header = ci_sim_header(s->id, s->len);
    }
    out->spoofed = draw_spoofed(&d, out);
}
