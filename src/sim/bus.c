#include <stdio.h>
#include <string.h>
#include "ci/signal.h"
#include "sim_priv.h"

/* 47 bits of frame and pause and 8 a byte, at 500 kbit/s; bit stuffing is left out. */
static int64_t frame_us(int len) { return 2 * (47 + 8 * len); }

/* When the bus takes its next frame, and whose that is: of those waiting, the lowest identifier
   wins; the attacker wins over an equal one. */
static int32_t arbitrate(const bus *b, int64_t free_us, int64_t *out_us)
{
    const int32_t n = b->vehicle.n;
    int64_t at = b->ready_us[n];

    for (int32_t k = 0; k < n; k++)
        if (b->ready_us[k] < at) at = b->ready_us[k];
    if (at < free_us) at = free_us;
    *out_us = at;
    for (int32_t k = 0; k < n; k++) {
        if (b->ready_us[n] <= at && b->attacker.id <= b->vehicle.slot[k].id) return n;
        if (b->ready_us[k] <= at) return k;
    }
    return n;
}

/* Before its first message a slot is silent for up to a period, as after the ignition. */
static void start(const ci_conf *conf, const recording *r, bus *b)
{
    ci_sim_vehicle_draw(conf, r->vehicle, &b->vehicle);
    for (int32_t k = 0; k < b->vehicle.n; k++)
        ci_sim_sender_start(&b->vehicle.slot[k],
                            ci_sim_stream(conf, r->vehicle, r->capture, 1 + (uint32_t)k),
                            &b->sender[k], &b->ready_us[k]);
    b->ready_us[b->vehicle.n] = ci_sim_attacker_start(conf, r, &b->vehicle, &b->attacker);
}

/* A recording's clock: each begins 1,000,000 s after the one before, at a broken second. */
static int64_t clock_start(const ci_conf *conf, const recording *r)
{
    dice d = ci_sim_stream(conf, r->vehicle, r->capture, STREAM_START);

    return (1600000000 + (int64_t)r->capture * 1000000) * 1000000 + ci_sim_below(&d, 1000000);
}

static ci_rc transmit(bus *b, int32_t who, int64_t at, int64_t clock_us, writer *w,
                      int64_t *out_free)
{
    const bool injected = who == b->vehicle.n;
    uint8_t payload[8];
    uint32_t id;
    int len;

    if (injected) {
        id = b->attacker.id;
        len = b->attacker.len;
        memcpy(payload, b->attacker.payload, 8);
        b->ready_us[who] = ci_sim_attacker_next(&b->attacker, at);
    } else {
        const slot *s = &b->vehicle.slot[who];

        id = s->id;
        len = s->len;
        ci_sim_sender_payload(s, &b->sender[who], at, payload);
        b->ready_us[who] = ci_sim_sender_next(s, &b->sender[who], at);
    }
    *out_free = at + frame_us(len);
    return ci_sim_writer_row(w, clock_us + *out_free, id, payload, len, injected);
}

ci_rc ci_sim_write(const ci_conf *conf, const char *set, const recording *r, bus *b,
                   written *out)
{
    ci_rc rc = CI_OK;
    writer w = {.fd = -1};
    char path[CI_PATH_MAX];
    const int64_t clock_us = clock_start(conf, r), all_us = (int64_t)(conf->sim.seconds * 1e6);
    int64_t free_us = 0, at;

    CI_TRY(ci_path_join(path, set, r->path));
    CI_TRY(ci_sim_writer_open(path, &w));
    start(conf, r, b);
    for (;;) {
        const int32_t who = arbitrate(b, free_us, &at);

        if (w.rows % 65536 == 0 && ci_signal_seen())
            CI_FAIL(CI_ETEMP, "signal %d while simulating %s; start again", ci_signal_seen(), path);
        if (at >= all_us) break;
        CI_TRY(transmit(b, who, at, clock_us, &w, &free_us));
    }
    CI_TRY(ci_sim_writer_commit(&w, out->sha256));
    out->rows = w.rows;
    out->attack_rows = w.attack_rows;
    out->bytes = w.bytes;
done:
    ci_sim_writer_release(&w);
    return rc;
}
