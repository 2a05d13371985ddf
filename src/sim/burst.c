#include <string.h>
#include "ci/types.h"
#include "sim_priv.h"

/* From the start of one frame to the start of the next, where the bus lets it. */
static const struct { int64_t low, high; } gap_us[ATTACK_COUNT] = {
    [ATTACK_FLOOD] = {280, 320}, [ATTACK_FUZZ] = {400, 1600}, [ATTACK_SPOOF] = {700, 1500}};

static void draw_payload(attacker *a)
{
    for (int k = 0; k < a->len; k++) a->payload[k] = (uint8_t)ci_sim_below(&a->dice, 256);
}

static void draw_frame(attacker *a)
{
    if (a->kind == ATTACK_FUZZ) a->id = ci_sim_below(&a->dice, SLOT_MAX + 1);
    if (a->kind == ATTACK_FUZZ || a->varies) draw_payload(a);
}

static int64_t burst_start(attacker *a)
{
    const uint64_t high = ci_sim_word(&a->burst_dice), low = ci_sim_word(&a->burst_dice);
    const uint64_t room = (uint64_t)(a->cell_us - a->length_us + 1);
    const int64_t into = (int64_t)((high << 32 | low) % room);
    const int64_t start = a->begin_us + a->burst * a->cell_us + into;

    a->end_us = start + a->length_us;
    return start;
}

int64_t ci_sim_attacker_start(const ci_conf *conf, const recording *r, const vehicle *v,
                              attacker *out)
{
    enum { BURST_US = 4000000 }; /* about so long */
    const int64_t all_us = (int64_t)(conf->sim.seconds * 1e6);
    const int64_t under_us = (int64_t)(conf->sim.seconds * 1e6 * conf->sim.attack_share);
    const slot *own = &v->slot[v->spoofed];

    *out = (attacker){.kind = r->attack, .len = 8};
    if (r->attack == ATTACK_NONE || under_us == 0) return INT64_MAX;
    out->dice = ci_sim_stream(conf, r->vehicle, r->capture, STREAM_ATTACK);
    out->burst_dice = ci_sim_stream(conf, r->vehicle, r->capture, STREAM_BURSTS);
    out->begin_us = all_us * LEAD_IN_PERCENT / 100;
    out->n_burst = CI_MAX(1, (under_us + BURST_US / 2) / BURST_US);
    out->cell_us = (all_us - out->begin_us) / out->n_burst;
    out->length_us = CI_MIN(under_us / out->n_burst, out->cell_us);
    if (r->attack == ATTACK_SPOOF) {
        out->id = own->id;
        out->len = own->len;
        out->varies = r->vehicle % 2 == 0;
        draw_payload(out);
    }
    draw_frame(out);
    return burst_start(out);
}

int64_t ci_sim_attacker_next(attacker *a, int64_t now_us)
{
    const int64_t gap = ci_sim_between(&a->dice, gap_us[a->kind].low, gap_us[a->kind].high);
    const int64_t next = now_us + gap;

    draw_frame(a);
    if (next < a->end_us) return next;
    if (++a->burst == a->n_burst) return INT64_MAX;
    return CI_MAX(burst_start(a), next);
}
