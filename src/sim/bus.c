#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/types.h"
#include "sim_priv.h"

ci_rc ci_sim_bus_new(bus **out)
{
    ci_rc rc = CI_OK;
    bus *b = ci_new(1, sizeof *b);

    if (b) b->attacker.heard = ci_new(HEARD_MAX, sizeof *b->attacker.heard);
    if (!b || !b->attacker.heard) CI_FAIL(CI_ENOMEM, "a vehicle of %zu bytes", sizeof *b);
    *out = b;
    b = NULL;
done:
    ci_sim_bus_free(&b);
    return rc;
}

void ci_sim_bus_free(bus **b)
{
    if (*b) free((*b)->attacker.heard);
    free(*b);
    *b = NULL;
}

/* A recording's clock: each begins 1,000,000 s after the one before, at a broken second; after
   7000 the calendar starts again, so that seconds keep ten digits. */
static int64_t clock_start(const dice_key *k)
{
    const uint32_t us = ci_below(ci_sim_four(k, STREAM_START, 0).v[0], 1000000);

    return (1600000000 + (int64_t)(k->capture % 7000) * 1000000) * 1000000 + us;
}

static int bits_most(const slot *s)
{
    const int head = s->id & EXTENDED ? 54 : 34;

    return head + 8 * s->len + (head + 8 * s->len - 1) / 4 + 13;
}

/* After so long a bus that was busy has been idle: all messages at once take `sum`, and meanwhile
   others come; twice for good measure. */
static int64_t drain(const bus *b)
{
    int64_t sum = 0, ppm = 0;

    for (int32_t k = 0; k < b->vehicle.n; k++) {
        const slot *s = &b->vehicle.slot[k];
        const int64_t us = b->us[bits_most(s)];

        sum += us;
        ppm += us * 1000000 * (s->event ? REPEATS : 1) / s->period_us;
    }
    return 20000 + 2 * sum * 1000000 / CI_MAX(1000000 - ppm, 100000);
}

void ci_sim_bus_load(const ci_conf *conf, const recording *r, bus *b)
{
    const dice_key k = {(uint32_t)conf->sim.seed, (uint32_t)r->vehicle, (uint32_t)r->capture};

    if (b->loaded && !memcmp(&b->key, &k, sizeof k) && b->attack == r->attack) return;
    b->loaded = true;
    b->key = k;
    b->attack = r->attack;
    b->clock_us = clock_start(&k);
    for (int n = 0; n < BITS_MAX; n++)
        b->us[n] = ((int64_t)n * 1000000 + conf->sim.bitrate - 1) / conf->sim.bitrate;
    ci_sim_vehicle_draw(conf, r->vehicle, &b->vehicle);
    if (r->attack == ATTACK_CORRELATED) b->vehicle.spoofed = SLOT_SPEED;
    b->drain_us = drain(b);
    b->all_us = (int64_t)(conf->sim.seconds * 1e6);
    if (conf->sim.rows) b->all_us = (int64_t)((double)conf->sim.rows * 1e9 / (double)b->vehicle.per_1000_s);
    ci_sim_motion_start(&k, b->all_us, &b->motion);
    ci_sim_attacker_plan(conf, r, &k, &b->vehicle, b->all_us, &b->attacker);
}

/* ---- what is ready, in order of time */

static void sift_down(bus *b, int32_t at)
{
    const release moved = b->heap[at];

    for (;;) {
        int32_t child = 2 * at + 1;

        if (child >= b->n_heap) break;
        if (child + 1 < b->n_heap && b->heap[child + 1].at_us < b->heap[child].at_us) child++;
        if (b->heap[child].at_us >= moved.at_us) break;
        b->heap[at] = b->heap[child];
        at = child;
    }
    b->heap[at] = moved;
}

static int64_t seek(bus *b, int32_t k, int64_t number)
{
    const slot *s = &b->vehicle.slot[k];
    sender *x = &b->sender[k];

    x->genuine_us = ci_sim_sender_seek(&b->key, s, k, &b->motion, x, number);
    return x->genuine_us + (k == b->vehicle.spoofed ? ci_sim_attacker_delay(&b->attacker, s, x, x->genuine_us) : 0);
}

/* Every slot's first message that is ready at t_us or later. */
static void senders_start(bus *b, int64_t t_us)
{
    b->n_heap = b->vehicle.n;
    for (int32_t k = 0; k < b->vehicle.n; k++) {
        const slot *s = &b->vehicle.slot[k];
        sender *x = &b->sender[k];
        int64_t number, at;

        ci_sim_sender_start(&b->key, s, k, x);
        number = CI_MAX((t_us - x->phase_us) / s->period_us - 1, 0) * (s->event ? REPEATS : 1);
        at = seek(b, k, number);
        while (at < t_us) at = seek(b, k, x->next + 1);
        b->heap[k] = (release){at, k};
    }
    for (int32_t k = b->n_heap / 2; k-- > 0;) sift_down(b, k);
}

/* The first message of all is ready.  An ECU keeps one waiting and overwrites it with the next:
   what the bus had no room for is lost. */
static void make_ready(bus *b)
{
    const release first = b->heap[0];
    sender *x = &b->sender[first.slot];
    bool send = true;

    if (first.slot == b->vehicle.spoofed && b->attacker.kind >= ATTACK_SUPPRESS && b->attacker.kind <= ATTACK_CORRELATED) {
        const bool attacked = ci_sim_attacker_covers(&b->attacker, x->genuine_us);

        b->forged = attacked && b->attacker.kind != ATTACK_SUPPRESS;
        if (attacked && b->attacker.kind == ATTACK_SUPPRESS) {
            b->omitted = true;
            send = false;
        }
    }
    if (send) {
        x->waiting = x->next;
        x->words = x->next_words;
        b->waiting[first.slot / 64] |= (uint64_t)1 << first.slot % 64;
    }
    b->heap[0].at_us = seek(b, first.slot, x->next + 1);
    sift_down(b, 0);
}

/* ---- who sends */

/* The waiting slot that wins arbitration, -1 when none waits: slots are in order of rank. */
static int32_t first_waiting(const bus *b)
{
    const int32_t n = (b->vehicle.n + 63) / 64;

    for (int32_t k = 0; k < n; k++)
        if (b->waiting[k]) return 64 * k + __builtin_ctzll(b->waiting[k]);
    return -1;
}

/* A frame on the bus. */
typedef struct frame {
    uint32_t id;
    int len;
    bool attack;
    uint8_t payload[8];
} frame;

static int frame_of_attacker(bus *b, int64_t at_us, frame *out)
{
    attacker *a = &b->attacker;
    const int bits = ci_sim_frame_bits(&a->header, a->payload, a->len);

    *out = (frame){.id = a->id, .len = a->len, .attack = true};
    memcpy(out->payload, a->payload, 8);
    ci_sim_attacker_next(a, at_us);
    return bits;
}

/* What the attacker says in the message that waits. */
static forgery forgery_of(bus *b, const slot *s, const sender *x)
{
    const attacker *a = &b->attacker;
    const int64_t t = CI_MAX(ci_sim_due(s, x, x->waiting), 0);

    if (a->kind != ATTACK_CORRELATED) return (forgery){.words = a->forged};
    return (forgery){.speed = ci_sim_speed_other(&b->motion, a->start_us, a->end_us, t, a->forged[0] & 1)};
}

static int frame_of_slot(bus *b, int32_t k, frame *out)
{
    const slot *s = &b->vehicle.slot[k];
    const bool forged = b->forged && k == b->vehicle.spoofed;
    const forgery instead = forged ? forgery_of(b, s, &b->sender[k]) : (forgery){0};

    out->id = s->id;
    out->len = s->len;
    out->attack = forged || b->omitted;
    b->omitted = false;
    b->waiting[k / 64] &= ~((uint64_t)1 << k % 64);
    ci_sim_payload(&b->key, s, k, &b->motion, &b->sender[k], forged ? &instead : NULL, out->payload);
    return ci_sim_frame_bits(&s->header, out->payload, s->len);
}

/* How long after a burst there may be something left of it: a queue; of a suppression, the label of
   the next frame, which is at the latest the first message that is not suppressed. */
static int64_t tail_of(const bus *b)
{
    const slot *s = &b->vehicle.slot[b->vehicle.spoofed];

    return b->drain_us + (b->attacker.kind == ATTACK_SUPPRESS ? s->period_us + 2 * s->jitter_us : 0);
}

/* A bus that is idle at some time carries the same frames from then on, whatever was before.  So
   start before from_us by the time in which any queue drains, and before a burst and what its
   attacker listens to, when from_us may still feel it. */
static int64_t start_of(const bus *b, int64_t from_us)
{
    const attacker *a = &b->attacker;
    const int64_t tail = tail_of(b);
    int64_t t = from_us - b->drain_us, start, end;

    for (int64_t k = ci_sim_burst_after(a, from_us); k >= 0; k--) {
        if (k >= a->n_burst) continue;
        ci_sim_burst(a, k, &start, &end);
        if (end + tail <= t) break;
        if (start - ci_sim_attacker_lookback(a) - b->drain_us < from_us)
            t = CI_MIN(t, start - ci_sim_attacker_lookback(a) - b->drain_us);
    }
    return CI_MAX(t, 0);
}

static void start(bus *b, int64_t from_us)
{
    memset(b->waiting, 0, sizeof b->waiting);
    b->omitted = b->forged = false;
    senders_start(b, from_us);
    ci_sim_attacker_seek(&b->attacker, from_us);
}

ci_rc ci_sim_bus_run(bus *b, int64_t from_us, int64_t to_us, lines *out)
{
    ci_rc rc = CI_OK;
    attacker *a = &b->attacker;
    int64_t at = start_of(b, from_us);

    start(b, at);
    for (;;) {
        frame f;
        int32_t who;
        int bits;

        while (b->heap[0].at_us <= at) make_ready(b);
        who = first_waiting(b);
        if (a->ready_us <= at && !a->primed) {
            ci_sim_attacker_prime(a);
            continue;
        }
        if (who < 0 && a->ready_us > at) { /* idle */
            at = CI_MIN(b->heap[0].at_us, a->ready_us);
            if (at >= to_us) break;
            continue;
        }
        if (at >= to_us) break;
        if (a->ready_us <= at && (who < 0 || a->header.rank <= b->vehicle.slot[who].header.rank)) {
            bits = frame_of_attacker(b, at, &f);
        } else {
            bits = frame_of_slot(b, who, &f);
            ci_sim_attacker_hear(a, at, at + b->us[bits], f.id, f.len, f.payload);
        }
        if (at >= from_us)
            CI_TRY(ci_sim_text_row(out, b->clock_us + at + b->us[bits - 3], f.id, f.payload, f.len, f.attack));
        at += b->us[bits];
    }
done:
    return rc;
}
