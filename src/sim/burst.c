#include <string.h>
#include "ci/types.h"
#include "sim_priv.h"

/* From one frame's being ready to the next one's. */
static const struct { int64_t low, high; } gap_us[ATTACK_COUNT] = {
    [ATTACK_FLOOD] = {280, 320},           [ATTACK_FUZZ] = {400, 1600},
    [ATTACK_SWEEP] = {1000, 6000},         [ATTACK_SPOOF_RANDOM] = {700, 1500},
    [ATTACK_SPOOF_CONSTANT] = {700, 1500}, [ATTACK_SPOOF_REPLAYED] = {700, 1500},
    [ATTACK_SPOOF_ALTERED] = {700, 1500},  [ATTACK_SPOOF_AFTER] = {200, 3000},
    [ATTACK_DIAGNOSTIC] = {300, 900}};

static void draw_payload(attacker *a)
{
    for (int k = 0; k < a->len; k++) a->payload[k] = (uint8_t)ci_sim_below(&a->dice, 256);
}

/* Requests of ISO 14229 that any tester may send, in single frames of ISO 15765-2. */
static void draw_request(attacker *a)
{
    static const uint8_t request[8][8] = {
        {0x02, 0x10, 0x03}, {0x02, 0x10, 0x02}, {0x02, 0x3E, 0x00}, {0x02, 0x11, 0x01},
        {0x02, 0x27, 0x01}, {0x03, 0x22, 0xF1, 0x90}, {0x04, 0x14, 0xFF, 0xFF, 0xFF}, {0x03, 0x19, 0x02, 0xFF}};

    a->id = ci_sim_below(&a->dice, 4) == 0 ? 0x7DF : 0x7E0 + ci_sim_below(&a->dice, 8);
    memcpy(a->payload, request[ci_sim_below(&a->dice, 8)], 8);
}

/* Something that the identifier itself has shown before the burst. */
static bool recall(attacker *a)
{
    const heard *h;

    if (a->n_heard == 0) return false;
    h = &a->heard[ci_sim_below(&a->dice, (uint32_t)a->n_heard)];
    memcpy(a->payload, h->payload, 8);
    return true;
}

static void draw_altered(attacker *a)
{
    const uint32_t flips = 1 + ci_sim_below(&a->dice, 4);

    if (a->n_heard) memcpy(a->payload, a->heard[a->n_heard - 1].payload, 8);
    for (uint32_t k = 0; k < flips && a->len; k++) {
        const uint32_t bit = ci_sim_below(&a->dice, 8 * (uint32_t)a->len);

        a->payload[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

static void draw_frame(attacker *a)
{
    switch (a->kind) {
    case ATTACK_FUZZ:
        a->id = ci_sim_below(&a->dice, SLOT_MAX + 1);
        a->len = ci_sim_below(&a->dice, 4) ? 8 : (int)ci_sim_below(&a->dice, 9);
        draw_payload(a);
        break;
    case ATTACK_SWEEP: /* all lengths of an identifier, then the next one */
        a->id = a->sweep / 9 % (SLOT_MAX + 1);
        a->len = (int)(a->sweep++ % 9);
        break;
    case ATTACK_SPOOF_RANDOM: case ATTACK_SPOOF_AFTER: draw_payload(a); break;
    case ATTACK_SPOOF_REPLAYED: if (!recall(a)) draw_payload(a); break;
    case ATTACK_SPOOF_ALTERED: draw_altered(a); break;
    case ATTACK_DIAGNOSTIC: draw_request(a); break;
    default: break;
    }
    a->header = ci_sim_header(a->id, a->len);
}

void ci_sim_burst(const attacker *a, int64_t b, int64_t *out_start, int64_t *out_end)
{
    const ci_u32x4 r = ci_sim_four(&a->key, STREAM_BURSTS, (uint32_t)b);
    const uint64_t room = (uint64_t)(a->cell_us - a->length_us + 1);

    *out_start = a->begin_us + b * a->cell_us + (int64_t)(((uint64_t)r.v[0] << 32 | r.v[1]) % room);
    *out_end = *out_start + a->length_us;
}

static attack resolve(const recording *r)
{
    if (r->attack != ATTACK_SPOOF) return r->attack;
    return r->vehicle % 2 ? ATTACK_SPOOF_CONSTANT : ATTACK_SPOOF_RANDOM;
}

void ci_sim_attacker_plan(const ci_conf *conf, const recording *r, const dice_key *k, const vehicle *v,
                          int64_t all_us, attacker *a)
{
    enum { BURST_US = 4000000 }; /* about so long */
    const int64_t under_us = (int64_t)((double)all_us * conf->sim.attack_share);
    heard *const kept = a->heard;

    *a = (attacker){.key = *k, .kind = resolve(r), .ready_us = INT64_MAX, .heard = kept};
    a->own_id = v->slot[v->spoofed].id;
    a->own_len = v->slot[v->spoofed].len;
    if (r->attack == ATTACK_NONE || under_us == 0) return;
    a->begin_us = all_us * LEAD_IN_PERCENT / 100;
    a->n_burst = CI_MAX(1, (under_us + BURST_US / 2) / BURST_US);
    a->cell_us = (all_us - a->begin_us) / a->n_burst;
    a->length_us = CI_MIN(under_us / a->n_burst, a->cell_us);
}

int64_t ci_sim_burst_after(const attacker *a, int64_t t_us)
{
    int64_t b, start, end;

    if (a->n_burst == 0) return 0;
    b = CI_MAX((t_us - a->begin_us) / a->cell_us - 1, 0);
    for (; b < a->n_burst; b++) {
        ci_sim_burst(a, b, &start, &end);
        if (end > t_us) break;
    }
    return CI_MIN(b, a->n_burst);
}

static void burst_enter(attacker *a, int64_t b)
{
    const attack k = a->kind;

    a->burst = b;
    a->ready_us = a->start_us = a->end_us = INT64_MAX;
    if (b >= a->n_burst) return;
    ci_sim_burst(a, b, &a->start_us, &a->end_us);
    a->dice = (dice){.key = a->key, .stream = STREAM_BURST + (uint32_t)b};
    a->n_heard = a->at_heard = 0;
    a->window_us = LOOKBACK_US;
    a->id = k == ATTACK_FLOOD ? 0 : a->own_id;
    a->len = k == ATTACK_FLOOD || k == ATTACK_DIAGNOSTIC ? 8 : a->own_len;
    a->primed = k != ATTACK_REPLAY && k != ATTACK_SPOOF_REPLAYED && k != ATTACK_SPOOF_ALTERED;
    memset(a->payload, 0, 8);
    for (int i = 0; i < 4; i++) a->forged[i] = ci_sim_word(&a->dice);
    if (k == ATTACK_REPLAY) a->window_us = ci_sim_between(&a->dice, LOOKBACK_US / 5, LOOKBACK_US);
    if (k == ATTACK_SPOOF_CONSTANT) draw_payload(a);
    if (k == ATTACK_SWEEP) a->sweep = 9 * ci_sim_below(&a->dice, SLOT_MAX + 1);
    if ((k >= ATTACK_SUPPRESS && k <= ATTACK_CORRELATED) || k == ATTACK_SPOOF_AFTER) return;
    a->ready_us = a->start_us;
    if (a->primed) draw_frame(a);
}

void ci_sim_attacker_seek(attacker *a, int64_t t_us) { burst_enter(a, ci_sim_burst_after(a, t_us)); }

/* Of a replay: the next frame of the recording, over and over, as far apart as they were. */
static void replay_next(attacker *a)
{
    const heard *h;
    int64_t round;

    a->ready_us = a->end_us;
    if (a->n_heard == 0) return;
    round = a->at_heard / a->n_heard;
    h = &a->heard[a->at_heard++ % a->n_heard];
    a->ready_us = a->start_us + round * a->window_us + h->at_us - (a->start_us - a->window_us);
    a->id = h->id;
    a->len = h->len;
    memcpy(a->payload, h->payload, 8);
    a->header = ci_sim_header(a->id, a->len);
}

void ci_sim_attacker_prime(attacker *a)
{
    a->primed = true;
    if (a->kind == ATTACK_REPLAY) replay_next(a);
    else draw_frame(a);
    if (a->ready_us >= a->end_us) burst_enter(a, a->burst + 1);
}

bool ci_sim_attacker_covers(attacker *a, int64_t t_us)
{
    while (t_us >= a->end_us && a->burst < a->n_burst) burst_enter(a, a->burst + 1);
    return t_us >= a->start_us && t_us < a->end_us;
}

void ci_sim_attacker_next(attacker *a, int64_t now_us)
{
    if (a->kind == ATTACK_REPLAY) {
        replay_next(a);
    } else if (a->kind == ATTACK_SPOOF_AFTER) {
        a->ready_us = INT64_MAX; /* until the next genuine frame */
        return;
    } else {
        a->ready_us = now_us + ci_sim_between(&a->dice, gap_us[a->kind].low, gap_us[a->kind].high);
        draw_frame(a);
    }
    /* A replay may be late, for the bus is full: what is left of it when the burst is over is dropped. */
    if (CI_MAX(a->ready_us, now_us) >= a->end_us) burst_enter(a, a->burst + 1);
}

/* Its clock is up to a sixteenth of a period behind, the same for a whole burst, and its jitter its own. */
int64_t ci_sim_attacker_delay(const attacker *a, const slot *s, const sender *x, int64_t t_us)
{
    const int64_t wide = 2 * s->jitter_us + 1;
    int64_t b, start, end, late;

    if (a->kind != ATTACK_MASQUERADE_TIMED) return 0;
    b = ci_sim_burst_after(a, t_us);
    if (b >= a->n_burst) return 0;
    ci_sim_burst(a, b, &start, &end);
    if (t_us < start) return 0;
    late = 1 + ci_below(ci_sim_four(&a->key, STREAM_BURST + (uint32_t)b, 1).v[0], (uint32_t)(s->period_us / 16));
    return late + CI_MAX((int64_t)ci_below(x->next_words.v[0], (uint32_t)wide) - ci_below(x->next_words.v[1], (uint32_t)wide), -late);
}

int64_t ci_sim_attacker_lookback(const attacker *a)
{
    const bool records = a->kind == ATTACK_REPLAY || a->kind == ATTACK_SPOOF_REPLAYED || a->kind == ATTACK_SPOOF_ALTERED;

    return records ? LOOKBACK_US : 0;
}

static bool listens(const attacker *a, uint32_t id)
{
    if (a->kind == ATTACK_REPLAY) return true;
    return (a->kind == ATTACK_SPOOF_REPLAYED || a->kind == ATTACK_SPOOF_ALTERED) && id == a->own_id;
}

void ci_sim_attacker_hear(attacker *a, int64_t at_us, int64_t end_us, uint32_t id, int len,
                          const uint8_t payload[8])
{
    if (a->kind == ATTACK_SPOOF_AFTER) {
        if (id != a->own_id || !ci_sim_attacker_covers(a, at_us)) return;
        draw_frame(a);
        a->ready_us = end_us + ci_sim_between(&a->dice, gap_us[a->kind].low, gap_us[a->kind].high);
        return;
    }
    if (at_us >= a->start_us || at_us < a->start_us - a->window_us || !listens(a, id)) return;
    if (a->n_heard == HEARD_MAX) return;
    a->heard[a->n_heard] = (heard){.at_us = at_us, .id = id, .len = (uint8_t)len};
    memcpy(a->heard[a->n_heard++].payload, payload, 8);
}
