#include "ci/types.h"
#include "sim_priv.h"

/* A trip, in percent of its length, each border moved by up to 3 either way.  A capture enters it
   anywhere; one that is shorter than ten minutes sees a trip of its own length. */
static const struct { driving driving; int percent; } phase[PHASES] = {
    {DRIVING_PARKED, 8}, {DRIVING_IDLE, 16}, {DRIVING_CITY, 48}, {DRIVING_MOTORWAY, 78},
    {DRIVING_CITY, 93}, {DRIVING_IDLE, 100}};

enum { LEGS = 60, KMH = 64 };

void ci_sim_motion_start(const dice_key *k, int64_t all_us, motion *out)
{
    const ci_u32x4 r = ci_sim_four(k, STREAM_START, 1);

    *out = (motion){.key = *k, .trip = -1, .leg = -1, .turn = -1};
    out->trip_us = CI_MIN(CI_MAX(all_us, 10000000), 600000000);
    out->leg_us = out->trip_us / LEGS;
    out->offset_us = (int64_t)(((uint64_t)r.v[0] << 32 | r.v[1]) % (uint64_t)out->trip_us);
}

static void trip_enter(motion *m, int64_t trip)
{
    const ci_u32x4 r = ci_sim_four(&m->key, STREAM_TRIP, (uint32_t)trip);

    m->trip = trip;
    for (int k = 0; k < PHASES; k++) {
        const uint32_t word = k < 4 ? r.v[k] : r.v[0] << 16;
        const int shift = (int)ci_below(word, 7) - 3;

        m->border_us[k] = m->trip_us / 100 * (phase[k].percent + shift);
    }
    m->border_us[PHASES - 1] = m->trip_us;
}

/* t counts from the start of the first trip. */
static driving driving_at(motion *m, int64_t t)
{
    const int64_t trip = t / m->trip_us, into = t % m->trip_us;
    int k = 0;

    if (trip != m->trip) trip_enter(m, trip);
    while (into >= m->border_us[k]) k++;
    return phase[k].driving;
}

driving ci_sim_driving(motion *m, int64_t t_us) { return driving_at(m, t_us + m->offset_us); }

static int32_t speed_drawn(motion *m, int64_t leg)
{
    const ci_u32x4 r = ci_sim_four(&m->key, STREAM_LEG, (uint32_t)leg);

    switch (driving_at(m, leg * m->leg_us)) {
    case DRIVING_CITY: return r.v[0] < UINT32_MAX / 4 ? 0 : (int32_t)ci_below(r.v[1], 60 * KMH);
    case DRIVING_MOTORWAY: return 80 * KMH + (int32_t)ci_below(r.v[1], 50 * KMH);
    default: return 0;
    }
}

/* From a to b, smooth at both ends; part: 2^16 the whole way. */
static int32_t between(int32_t a, int32_t b, int64_t part)
{
    const int64_t s = part * part * (3 * 65536 - 2 * part) >> 32;

    return a + (int32_t)((b - a) * s >> 16);
}

static int32_t speed_at(motion *m, int64_t t)
{
    const int64_t leg = t / m->leg_us;

    if (leg != m->leg) {
        m->speed[0] = leg == m->leg + 1 ? m->speed[1] : speed_drawn(m, leg);
        m->speed[1] = speed_drawn(m, leg + 1);
        m->leg = leg;
    }
    return between(m->speed[0], m->speed[1], (t % m->leg_us << 16) / m->leg_us);
}

/* Degrees and speeds go together: nobody turns sharply on a motorway.  About 32768. */
static int32_t steering_at(motion *m, int64_t t, int32_t speed)
{
    const int64_t turn = t / m->leg_us;

    if (turn != m->turn)
        for (uint32_t k = 0; k < 2; k++)
            m->angle[k] = (int32_t)(ci_sim_four(&m->key, STREAM_STEER, (uint32_t)turn + k).v[0] >> 18) - 8192;
    m->turn = turn;
    return 32768 + between(m->angle[0], m->angle[1], (t % m->leg_us << 16) / m->leg_us) * 1024 / (1024 + speed);
}

static int gear_of(int32_t speed)
{
    static const int32_t up[5] = {20 * KMH, 40 * KMH, 60 * KMH, 85 * KMH, INT32_MAX};
    int g = 0;

    while (speed >= up[g]) g++;
    return g;
}

static int32_t engine_of(driving d, int32_t speed) /* 1/4 turns a minute */
{
    static const int32_t turns[5] = {110, 65, 45, 34, 26}; /* a minute for a km/h */
    const int32_t n = speed * turns[gear_of(speed)] * 4 / KMH;

    return d == DRIVING_PARKED ? 0 : CI_MAX(n, 800 * 4);
}

uint32_t ci_sim_signal(motion *m, signal_kind s, int64_t t_us, uint32_t noise)
{
    const int64_t t = t_us + m->offset_us;
    const int32_t v = speed_at(m, t), gain = m->speed[1] - m->speed[0];
    const int32_t rough = v > 0 ? (int32_t)(noise & 3) : 0;

    switch (s) {
    case SIGNAL_SPEED: return (uint32_t)v;
    case SIGNAL_WHEEL_1: case SIGNAL_WHEEL_3:
        return (uint32_t)CI_MAX(0, v + v * (steering_at(m, t, v) - 32768) / 200000 + rough);
    case SIGNAL_WHEEL_2: case SIGNAL_WHEEL_4:
        return (uint32_t)CI_MAX(0, v - v * (steering_at(m, t, v) - 32768) / 200000 + rough);
    case SIGNAL_ENGINE: {
        const int32_t n = engine_of(driving_at(m, t), v);

        return (uint32_t)(n + (n ? (int32_t)(noise & 31) : 0));
    }
    case SIGNAL_STEERING: return (uint32_t)steering_at(m, t, v);
    case SIGNAL_THROTTLE: return (uint32_t)CI_MIN(255, CI_MAX(0, gain / 16) + v / 128 + rough);
    case SIGNAL_BRAKE: return (uint32_t)CI_MIN(255, CI_MAX(0, -gain / 16));
    case SIGNAL_COOLANT: return 40 + (uint32_t)(CI_MIN(t % m->trip_us * 100 / m->trip_us, 50)); /* degrees */
    default: return (uint32_t)(v ? gear_of(v) + 1 : 0);
    }
}

uint32_t ci_sim_speed_other(motion *m, int64_t from_us, int64_t to_us, int64_t t_us, bool up)
{
    const int32_t from = (int32_t)ci_sim_signal(m, SIGNAL_SPEED, from_us, 0), to = (int32_t)ci_sim_signal(m, SIGNAL_SPEED, to_us, 0);
    const int64_t half = CI_MAX((to_us - from_us) / 2, 1);
    const int32_t reach = (int32_t)CI_MIN(60 * KMH * half / m->leg_us, 60 * KMH), low = CI_MIN(from, to), high = CI_MAX(from, to);
    const bool can_up = low + reach <= 150 * KMH, can_down = high - reach >= 0;
    const int32_t far = (up ? can_up : !can_down) ? low + reach : high - reach;
    const int64_t into = CI_MIN(CI_MAX(t_us - from_us, 0), 2 * half);

    return (uint32_t)(into < half ? between(from, far, (into << 16) / half) : between(far, to, ((into - half) << 16) / half));
}
