#ifndef CI_SIM_PRIV_H
#define CI_SIM_PRIV_H
/* A slice of a capture is computed from nothing but the settings and its place: whatever changes
   with time is a function of the time or of the number of a message, with random numbers whose
   counter is that number.  So ranks share a capture, and the bytes do not depend on how. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ci/commit.h"
#include "ci/random.h"
#include "ci/sim.h"

/* ---- dice.c: random words */

/** Whose random numbers: the first words of every counter. */
typedef struct dice_key { uint32_t seed, vehicle, capture; } dice_key;

/** Streams of a capture: 1 + slot for the messages of a slot, 2^20 + 8 slot + field for what its
 *  fields show, 2^24 + burst for what an attacker does in a burst, and these. */
enum { STREAM_VEHICLE = 0, STREAM_BURSTS = (1 << 16) + 1, STREAM_START, STREAM_TRIP, STREAM_LEG,
       STREAM_STEER, STREAM_FIELD = 1 << 20, STREAM_BURST = 1 << 24 };

static inline ci_u32x4 ci_sim_four(const dice_key *k, uint32_t stream, uint32_t n)
{
    return ci_philox(k->seed, CI_RANDOM_SIM, k->vehicle, k->capture, stream, n);
}

/** Words of one stream, in order. */
typedef struct dice {
    dice_key key;
    uint32_t stream;
    uint64_t n;      /**< words handed out */
    ci_u32x4 four;
} dice;

uint32_t ci_sim_word(dice *d);
uint32_t ci_sim_below(dice *d, uint32_t n);

/** Both ends included; high - low below 2^32 - 1. */
int64_t ci_sim_between(dice *d, int64_t low, int64_t high);

/* ---- plan.c: which files there are */

typedef enum attack {
    ATTACK_NONE, ATTACK_FLOOD, ATTACK_FUZZ, ATTACK_SWEEP, ATTACK_SPOOF, ATTACK_SPOOF_RANDOM,
    ATTACK_SPOOF_CONSTANT, ATTACK_SPOOF_REPLAYED, ATTACK_SPOOF_ALTERED, ATTACK_SPOOF_AFTER,
    ATTACK_REPLAY, ATTACK_SUPPRESS, ATTACK_MASQUERADE, ATTACK_MASQUERADE_TIMED, ATTACK_CORRELATED, ATTACK_DIAGNOSTIC,
    ATTACK_COUNT,
    ATTACK_MIXED = ATTACK_COUNT /**< several, in real traffic; cannot be asked for by name */
} attack;

const char *ci_sim_attack_name(attack a); /**< as in the names of files: "none", "DoS", ... */

typedef struct recording {
    char path[160];   /**< within the set                                               */
    int32_t vehicle;
    int32_t capture;  /**< from 1                                                       */
    int32_t track;    /**< from 0; two files with the same one have the same bytes      */
    attack attack;
    int64_t from_us, to_us; /**< the part of the capture that the file has              */
    char name[CI_ITEM_MAX]; /**< of the vehicle, where it is not simulated: then vehicle is -1 */
    int32_t base;     /**< of an injected one: which capture of the base ...            */
    int32_t segment;  /**< ... and which of all segments                                */
} recording;

extern const char *const ci_sim_folder[6];

/** Where the set is that is made: data.injected, else data.root/data.set.  \return CI_OK or CI_EARG */
ci_rc ci_sim_set(const ci_conf *conf, char out[CI_PATH_MAX]);

/** The name of a vehicle: "carA". */
void ci_sim_vehicle_name(int32_t car, char out[16]);

/** The attacks that a list of names has, in order.  \return CI_OK or CI_ECONF */
ci_rc ci_sim_attacks(const char *setting, const char *list, attack out[ATTACK_COUNT], int *out_n);

/** All files in order.  \return CI_OK, CI_ECONF or CI_ENOMEM; *out is the caller's, to free() */
ci_rc ci_sim_plan(const ci_conf *conf, recording **out, int32_t *out_n);

/* ---- motion.c: how the vehicle drives, one state that many identifiers speak of */

typedef enum driving { DRIVING_PARKED, DRIVING_IDLE, DRIVING_CITY, DRIVING_MOTORWAY } driving;

typedef enum signal_kind {
    SIGNAL_SPEED, SIGNAL_WHEEL_1, SIGNAL_WHEEL_2, SIGNAL_WHEEL_3, SIGNAL_WHEEL_4, SIGNAL_ENGINE,
    SIGNAL_STEERING, SIGNAL_WIDE = SIGNAL_STEERING, /* up to here two bytes, from here one */
    SIGNAL_THROTTLE, SIGNAL_BRAKE, SIGNAL_COOLANT, SIGNAL_GEAR, SIGNAL_COUNT
} signal_kind;

enum { PHASES = 6 };

typedef struct motion {
    dice_key key;
    int64_t trip_us, leg_us, offset_us;
    int64_t trip, border_us[PHASES]; /**< ends of the phases of this trip               */
    int64_t leg;
    int32_t speed[2];                /**< where this leg begins and ends, 1/64 km/h      */
    int64_t turn;
    int32_t angle[2];
} motion;

void ci_sim_motion_start(const dice_key *k, int64_t all_us, motion *out);
driving ci_sim_driving(motion *m, int64_t t_us);
uint32_t ci_sim_signal(motion *m, signal_kind s, int64_t t_us, uint32_t noise);

/** A speed that the vehicle could have and has not: from the true one at from_us away, up or, where there is room,
 *  down, and back to the true one at to_us, by at most 60 km/h a leg: as steep as the true one is in a city. */
uint32_t ci_sim_speed_other(motion *m, int64_t from_us, int64_t to_us, int64_t t_us, bool up);

/* ---- wire.c: what a frame is on the bus */

enum { EXTENDED = 1 << 29 }; /**< of an identifier of 29 bits, in `id` below */

typedef struct header {
    uint32_t rank;       /**< lower ones win arbitration                                  */
    uint16_t crc;        /**< after the header                                            */
    uint8_t stuff;       /**< state of the stuffing after the header                      */
    uint8_t bits;        /**< of the header, stuffed                                      */
} header;

uint32_t ci_sim_rank(uint32_t id);
header ci_sim_header(uint32_t id, int len);

/** Bits of a frame with its stuff bits and the pause of 3 behind it.
 *  Source: ISO 11898-1 (2015), 10.4 and 10.5: 15-bit check sequence 0x4599, a stuff bit after five
 *  equal ones from the start bit to the end of the check sequence. */
int ci_sim_frame_bits(const header *h, const uint8_t *payload, int len);

/** CRC-8 of SAE J1850: 0x1D, from FF, the result inverted. */
uint8_t ci_sim_crc8(const uint8_t *bytes, int n);

/* ---- vehicle.c: what a vehicle sends */

enum { SLOT_MAX = 0x7FF, FIELD_MAX = 8, SUMS = 3 };

enum { SLOT_WHEELS = 1, SLOT_SPEED = 2 }; /**< slots that every vehicle has that has so many */

typedef enum field_kind { FIELD_CONSTANT, FIELD_COUNTER, FIELD_NOISE, FIELD_SIGNAL, FIELD_FLAGS,
                          FIELD_CHECKSUM } field_kind;

typedef struct field {
    field_kind kind;
    uint8_t at, len;     /**< first byte and number of bytes, 1 or 2                     */
    uint32_t period_us;  /**< from one turning point of a noise, or change of a flag, to the next */
    uint32_t low, range; /**< smallest value and spread of a noise; a constant is low;
                              flags: the bits that never change, the others               */
    uint32_t step;       /**< of a counter; of a checksum: 0 sum, 1 exclusive or, 2 CRC-8 */
    signal_kind signal;
} field;

/** One identifier of a vehicle. */
typedef struct slot {
    uint32_t id;                  /**< EXTENDED set for the 29-bit kind                   */
    header header;
    int64_t period_us, jitter_us; /**< sent at k period +- jitter; of an event: one chance a period */
    bool event;                   /**< sent when something happens, three times           */
    bool sleeps;                  /**< silent while parked                                */
    uint8_t len;                  /**< bytes of payload                                   */
    uint8_t n_field;
    field field[FIELD_MAX];
} slot;

typedef struct vehicle {
    int32_t n;          /**< identifiers                                                  */
    int32_t spoofed;    /**< the slot that is forged or silenced                          */
    int64_t per_1000_s; /**< messages, on average                                         */
    slot slot[SLOT_MAX]; /**< ascending by header.rank                                    */
} vehicle;

/** Messages a second that a vehicle may have at a bit rate: about half the bus. */
static inline int64_t ci_sim_rate_max(int32_t bitrate) { return bitrate / 200; }

void ci_sim_vehicle_draw(const ci_conf *conf, int32_t number, vehicle *out);

/* ---- sender.c: the messages of a slot, by number */

enum { REPEATS = 3, REPEAT_US = 20000 }; /**< of an event */

typedef struct knot { int64_t at; uint32_t from, to; } knot;

typedef struct sender {
    int64_t phase_us;
    uint32_t base;          /**< of counters                                               */
    int64_t next;           /**< number of the next message                                */
    int64_t genuine_us;     /**< when the next one is ready, were it not an attacker's     */
    int64_t waiting;        /**< number of the one that waits for the bus                  */
    ci_u32x4 next_words, words;
    knot knot[FIELD_MAX];
} sender;

void ci_sim_sender_start(const dice_key *k, const slot *s, int32_t number, sender *out);

/** When message k is due, before jitter. */
int64_t ci_sim_due(const slot *s, const sender *x, int64_t k);

/** Make the first existing message from number k on the next one.  \return when it is ready */
int64_t ci_sim_sender_seek(const dice_key *key, const slot *s, int32_t number, motion *m, sender *x,
                           int64_t k);

/** What an attacker puts in the place of what a message would say: either everything but counters and checksums, or
 *  the speed. */
typedef struct forgery {
    const uint32_t *words; /**< (4) that fields are made of; NULL: the speed                */
    uint32_t speed;
} forgery;

/** Payload of message x->waiting.  forged NULL for the genuine one. */
void ci_sim_payload(const dice_key *key, const slot *s, int32_t number, motion *m, sender *x,
                    const forgery *forged, uint8_t out[8]);

/* ---- burst.c: when and what an attacker sends */

enum { LOOKBACK_US = 1500000, HEARD_MAX = 1 << 15 };

/** A frame that was on the bus. */
typedef struct heard {
    int64_t at_us;
    uint32_t id;
    uint8_t len, payload[8];
} heard;

typedef struct attacker {
    dice_key key;
    attack kind;
    int64_t begin_us, cell_us, length_us; /**< burst b lies in begin + [b, b+1) cell      */
    int64_t n_burst;
    int64_t burst, start_us, end_us;      /**< the present or next burst                  */
    dice dice;
    uint32_t own_id;                      /**< the identifier that is forged              */
    int own_len;
    int64_t ready_us;                     /**< when the frame below is ready; INT64_MAX: never */
    uint32_t id;
    int len;
    uint8_t payload[8];
    header header;
    bool primed;                          /**< false: the first frame is drawn when the burst begins */
    uint32_t sweep;
    int64_t window_us;                    /**< of a replay: so much is recorded ...       */
    heard *heard;                         /**< (HEARD_MAX) frames before the burst; owned */
    int32_t n_heard, at_heard;
    uint32_t forged[4];                   /**< of a masquerade                            */
} attacker;

/** Bursts of a capture; a->heard stays as it is. */
void ci_sim_attacker_plan(const ci_conf *conf, const recording *r, const dice_key *k, const vehicle *v,
                          int64_t all_us, attacker *a);

/** Start and end of burst b. */
void ci_sim_burst(const attacker *a, int64_t b, int64_t *out_start, int64_t *out_end);

/** The first burst that ends after t_us; n_burst when there is none. */
int64_t ci_sim_burst_after(const attacker *a, int64_t t_us);

/** Prepare the first burst that ends after t_us. */
void ci_sim_attacker_seek(attacker *a, int64_t t_us);

/** The burst begins: draw a first frame that depends on what was heard. */
void ci_sim_attacker_prime(attacker *a);

/** Is there a burst at t_us?  t_us never goes back between calls. */
bool ci_sim_attacker_covers(attacker *a, int64_t t_us);

/** How much later than the genuine message, ready at t_us, a timed masquerade's is; 0 where there is no burst.
 *  Any order of calls. */
int64_t ci_sim_attacker_delay(const attacker *a, const slot *s, const sender *x, int64_t t_us);

/** How long before a burst the attacker records. */
int64_t ci_sim_attacker_lookback(const attacker *a);

/** The frame was sent at now_us: draw the next one. */
void ci_sim_attacker_next(attacker *a, int64_t now_us);

/** A genuine frame was sent, from at_us to end_us. */
void ci_sim_attacker_hear(attacker *a, int64_t at_us, int64_t end_us, uint32_t id, int len,
                          const uint8_t payload[8]);

/** The share of a capture, in percent, before which there is no attack. */
enum { LEAD_IN_PERCENT = 25 };
#define SHARE_MAX 0.7 /* the rest is for pauses between bursts */

/* ---- text.c: rows as text */

typedef struct lines {
    char *bytes;         /**< owned */
    size_t used, cap;
    int64_t rows, attack_rows;
    int64_t second;      /**< that `digits` has */
    char digits[16];
} lines;

extern const char ci_sim_text_header[];

/** \return CI_OK or CI_ENOMEM */
ci_rc ci_sim_text_header_put(lines *t);
ci_rc ci_sim_text_row(lines *t, int64_t t_us, uint32_t id, const uint8_t *payload, int len,
                      int label);
void ci_sim_text_clear(lines *t);

/** Keep only the first `rows` rows.  \param [in] header  is there a header line before them? */
void ci_sim_text_cut(lines *t, int64_t rows, bool headed);
void ci_sim_text_release(lines *t); /**< NULL-safe in its parts */

/* ---- bus.c: a slice of a capture */

enum { SLICE_US = 10000000, BITS_MAX = 192 };

typedef struct release { int64_t at_us; int32_t slot; } release;

/** Working memory; large, so on the heap. */
typedef struct bus {
    dice_key key;                       /**< vehicle and capture that the rest speaks of     */
    attack attack;
    bool loaded;
    int64_t all_us, clock_us, drain_us;
    int64_t us[BITS_MAX];          /**< how long so many bits take                      */
    vehicle vehicle;
    motion motion;
    attacker attacker;
    sender sender[SLOT_MAX];
    int32_t n_heap;
    release heap[SLOT_MAX];        /**< of every slot the next message                  */
    uint64_t waiting[SLOT_MAX / 64 + 1]; /**< slots that wait for the bus               */
    bool omitted;                  /**< a suppressed message was due                    */
    bool forged;                   /**< what waits in the attacked slot is the attacker's */
} bus;

ci_rc ci_sim_bus_new(bus **out);
void ci_sim_bus_free(bus **b); /**< NULL-safe */

/** Vehicle, trip and bursts of a recording; nothing when b has them already. */
void ci_sim_bus_load(const ci_conf *conf, const recording *r, bus *b);

/** Frames that start in [from_us, to_us), appended to out. */
ci_rc ci_sim_bus_run(bus *b, int64_t from_us, int64_t to_us, lines *out);

/* ---- files.c: slices of all captures, dealt to ranks, into files */

/** What the manifest says of a file; sent between ranks as bytes. */
typedef struct written {
    int64_t file, rows, attack_rows, bytes;
    char sha256[CI_SHA256_HEX + 7]; /**< padded: no byte of the structure is undefined */
} written;

/** Write every recording into <set>/<path> and commit it.  Collective.
 *  \param [out] out  (n), complete on rank 0 */
ci_rc ci_sim_files(const ci_comm *comm, const ci_conf *conf, const char *set, const recording *r,
                   int32_t n, written *out);

/** Remove what writing these files has left unfinished.  Not collective. */
void ci_sim_files_clear(const char *set, const recording *r, int32_t n);

/* ---- manifest.c: folders and manifest, rank 0 only */

/** Refuse a folder that no simulation wrote, make the folders, commit an incomplete manifest and
 *  remove files of an earlier simulation that are not in the plan. */
ci_rc ci_sim_set_prepare(const ci_conf *conf, const char *set, const recording *r, int32_t n);

/** Commit the complete manifest; w has n entries in the order of r.
 *  \param [in] base  what was injected into; NULL for none */
ci_rc ci_sim_set_finish(const ci_conf *conf, const char *set, const ci_sim_base *base, const recording *r,
                        const written *w, int32_t n);

/* ---- mix.c: attacks into traffic that is there already */

/** The frames of a segment with bursts of attacks among them, one at a time on the bus: 0.22 ms from
 *  one to the next at least.
 *  Source: detection.md, section 6.
 *  \param [in] base, copy  whose random numbers
 *  \param [out] out        replaced; grows; the caller's to free
 *  \return CI_OK or CI_ENOMEM */
ci_rc ci_sim_mix(uint32_t seed, int32_t base, int32_t copy, const ci_sim_frame *in, size_t n,
                 ci_sim_frames *out);

#endif
