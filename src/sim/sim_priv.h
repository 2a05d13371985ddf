#ifndef CI_SIM_PRIV_H
#define CI_SIM_PRIV_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ci/commit.h"
#include "ci/random.h"
#include "ci/sim.h"

/* ---- dice.c: random words of one stream, in order */

typedef struct dice {
    uint32_t seed, vehicle, capture, stream;
    uint64_t n;      /**< words handed out */
    ci_u32x4 four;
} dice;

/** Streams of a capture: 1 + slot for what a slot does, and these. */
enum { STREAM_VEHICLE = 0, STREAM_ATTACK = 1 << 16, STREAM_BURSTS, STREAM_START };

dice ci_sim_stream(const ci_conf *conf, int32_t car, int32_t capture, uint32_t stream);
uint32_t ci_sim_word(dice *d);
uint32_t ci_sim_below(dice *d, uint32_t n);

/** Both ends included; high - low below 2^32 - 1. */
int64_t ci_sim_between(dice *d, int64_t low, int64_t high);

/* ---- plan.c: which files there are */

typedef enum attack { ATTACK_NONE, ATTACK_FLOOD, ATTACK_FUZZ, ATTACK_SPOOF, ATTACK_COUNT } attack;

const char *ci_sim_attack_name(attack a); /**< as in the names of files: "none", "DoS", ... */

typedef struct recording {
    char path[128];   /**< within the set                                               */
    int32_t vehicle;
    int32_t capture;  /**< from 1; two files with the same one have the same bytes      */
    attack attack;
} recording;

extern const char *const ci_sim_folder[6];

/** The name of a vehicle: "carA". */
void ci_sim_vehicle_name(int32_t car, char out[16]);

/** All files in order.  \return CI_OK, or CI_ENOMEM; *out is the caller's, to free() */
ci_rc ci_sim_plan(const ci_conf *conf, recording **out, int32_t *out_n);

/* ---- vehicle.c: what a vehicle sends */

enum { SLOT_MAX = 0x7FF, FIELD_MAX = 8 };

typedef enum field_kind { FIELD_CONSTANT, FIELD_COUNTER, FIELD_WAVE, FIELD_WALK, FIELD_FLAGS,
                          FIELD_CHECKSUM } field_kind;

typedef struct field {
    field_kind kind;
    uint8_t at, len;     /**< first byte and number of bytes, 1 or 2                     */
    uint32_t period_us;  /**< of a wave                                                  */
    uint32_t low, range; /**< smallest value and spread of a wave or walk; a constant is low */
    uint32_t step;       /**< of a counter or walk                                       */
} field;

/** One identifier of a vehicle. */
typedef struct slot {
    uint32_t id;
    int64_t period_us, jitter_us; /**< sent at k period +- jitter                        */
    uint8_t len;                  /**< bytes of payload                                  */
    uint8_t n_field;
    field field[FIELD_MAX];
} slot;

typedef struct vehicle {
    int32_t n;       /**< identifiers                                                    */
    int32_t spoofed; /**< the slot that a malfunction forges                             */
    slot slot[SLOT_MAX]; /**< ascending by identifier                                    */
} vehicle;

void ci_sim_vehicle_draw(const ci_conf *conf, int32_t number, vehicle *out);

/** How far a slot has come in a capture. */
typedef struct sender {
    dice dice;
    int64_t nominal_us;        /**< when its next message is due, before jitter           */
    uint32_t value[FIELD_MAX]; /**< of counters, walks, flags; the phase of waves         */
} sender;

/** \param [out] out_ready  when the first message is ready to be sent */
void ci_sim_sender_start(const slot *s, dice d, sender *out, int64_t *out_ready);
void ci_sim_sender_payload(const slot *s, sender *x, int64_t now_us, uint8_t out[8]);

/** When the next message is ready.  An ECU keeps one message waiting and overwrites it with the
 *  next: what the bus had no room for is lost. */
int64_t ci_sim_sender_next(const slot *s, sender *x, int64_t now_us);

/* ---- burst.c: when and what an attacker sends */

typedef struct attacker {
    dice dice, burst_dice;
    attack kind;
    int64_t begin_us, cell_us, length_us; /**< burst b lies in begin + [b, b+1) cell      */
    int64_t burst, n_burst;
    int64_t end_us;         /**< of the present burst                                     */
    uint32_t id;            /**< of the next frame                                        */
    int len;
    uint8_t payload[8];
    bool varies;            /**< a malfunction with another payload each time             */
} attacker;

/** \return when the first frame is ready, INT64_MAX for never; likewise ci_sim_attacker_next, which
 *          also draws that frame */
int64_t ci_sim_attacker_start(const ci_conf *conf, const recording *r, const vehicle *v,
                              attacker *out);
int64_t ci_sim_attacker_next(attacker *a, int64_t now_us);

/** The share of a capture, in percent, before which there is no attack. */
enum { LEAD_IN_PERCENT = 25 };
#define SHARE_MAX 0.7 /* the rest is for pauses between bursts */

/* ---- csv.c: rows to a file */

typedef struct writer {
    int fd;
    char *buffer;        /**< owned */
    size_t used;
    ci_sha256 *sha;      /**< owned */
    char path[CI_PATH_MAX], temp[CI_PATH_MAX];
    int64_t bytes, rows, attack_rows;
} writer;

/** \return CI_OK, CI_EARG, CI_ENOMEM, CI_ECREATE, CI_EPERM or CI_EIO; the caller's to release */
ci_rc ci_sim_writer_open(const char *path, writer *out);
ci_rc ci_sim_writer_row(writer *w, int64_t t_us, uint32_t id, const uint8_t *payload, int len,
                        int label);

/** Write what is left and commit the file.  \param [out] out_sha  SHA-256 of its bytes */
ci_rc ci_sim_writer_commit(writer *w, char out_sha[CI_SHA256_HEX]);

/** NULL-safe in all parts; removes what was not committed. */
void ci_sim_writer_release(writer *w);

/* ---- bus.c: one capture */

/** What the manifest says of a file; sent between ranks as bytes. */
typedef struct written {
    int64_t file, rows, attack_rows, bytes;
    char sha256[CI_SHA256_HEX + 7]; /**< padded: no byte of the structure is undefined */
} written;

/** Working memory of a capture; large, so on the heap. */
typedef struct bus {
    vehicle vehicle;
    sender sender[SLOT_MAX];
    attacker attacker;
    int64_t ready_us[SLOT_MAX + 1]; /**< of each slot and, behind them, of the attacker */
} bus;

/** Simulate one recording into <set>/<path>.  Not collective. */
ci_rc ci_sim_write(const ci_conf *conf, const char *set, const recording *r, bus *b,
                   written *out);

/* ---- manifest.c: folders and manifest, rank 0 only */

/** Refuse a folder that no simulation wrote, make the folders, commit an incomplete manifest and
 *  remove files of an earlier simulation that are not in the plan. */
ci_rc ci_sim_set_prepare(const ci_conf *conf, const char *set, const recording *r, int32_t n);

/** Commit the complete manifest; w has n entries in the order of r. */
ci_rc ci_sim_set_finish(const ci_conf *conf, const char *set, const recording *r, const written *w,
                 int32_t n);

#endif
