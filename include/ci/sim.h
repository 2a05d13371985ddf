#ifndef CI_SIM_H
#define CI_SIM_H
/** Simulated vehicles and attacks, as a data set in the folder layout of the real ones.
 *
 *      <data.root>/<data.set>/manifest.json
 *      train_01_attack_free/                    attack-free-car?.csv of every vehicle but the last
 *      train_02_with_attacks/                   of each, every other attack of sim.known, the attack-free files again
 *      test_01_known_vehicle_known_attack/      the others of sim.known
 *      test_02_unknown_vehicle_known_attack/    sim.known, of the last vehicle
 *      test_03_known_vehicle_unknown_attack/    sim.unknown, of all but the last
 *      test_04_unknown_vehicle_unknown_attack/  sim.unknown, of the last
 *
 *  With two vehicles, and so one known one, training and test_01 have all of sim.known.
 *
 *  A vehicle sends sim.ids_min to sim.ids_max identifiers, periodic ones (10 ms to 1 s, with jitter)
 *  and events, sent three times when something happens.  Their fields are constants, counters,
 *  noises, flags, checksums (sum, exclusive or, CRC-8) and signals of one driving state: speed,
 *  wheels, engine, pedals, steering, of a trip that is parked, idle, in a city, on a motorway; a
 *  quarter of the identifiers is silent while parked.  A capture of less than ten minutes has a whole trip.
 *
 *  The bus has sim.bitrate.  A frame takes its bits and stuff bits; of those that wait the lowest
 *  identifier goes first; a sender keeps one message waiting and overwrites it with the next.
 *  A time stamp is the end of the frame, before the pause of 3 bits.
 *
 *  An attack starts after the first quarter of a capture and comes in bursts of about 4 s.
 *
 *      DoS                    000, eight zero bytes, every 280 to 320 us
 *      fuzzing                random identifier of 11 bits, length and payload, every 0.4 to 1.6 ms
 *      systematic             identifiers and lengths swept, zero payload, every 1 to 6 ms
 *      malfunction            an identifier of the vehicle's own that is sent often, every 0.7 to 1.5 ms,
 *                             _random or _constant payload by vehicle; or one that the identifier showed
 *                             up to 1.5 s before the burst: _replayed, or _altered in up to four bits;
 *                             _after: random, 0.2 to 3 ms behind each genuine frame
 *      replay                 all traffic of the 0.3 to 1.5 s before the burst, over and over
 *      suppress               such an identifier is silent
 *      masquerade             it is silent, and another sends it: at its times, with counter and
 *                             checksum as they should be, all else frozen at another value
 *      masquerade_timed       the same by a sender with a clock of its own: at the genuine period, late by up to a
 *                             sixteenth of it, the same for a whole burst, with jitter as wide
 *      correlated             a masquerade of one signal: the message that has speed, engine and pedals is sent
 *                             at its times and as it should be but for the speed, which leaves the true one, is
 *                             another by up to 60 km/h and is back when the burst ends, never steeper than the true
 *                             one is in a city; wheels, engine, gear and other speeds do not follow.  sim.ids_min >= 3
 *      diagnostic             requests of a tester to 7DF and 7E0 to 7E7, every 0.3 to 0.9 ms
 *
 *  The label is 1 for a frame that the attacker sent.  A frame that is suppressed cannot have one:
 *  there it is the next frame on the bus, from which on a listener could know, that is labelled 1.
 *
 *  What the groups of columns of `agnostic` (ci/graph.h, ci_group) can see of those that send no frame too many:
 *
 *      suppress          TIMING: nothing where something is due (overdue, time_z_min), NOVELTY: too small a share
 *                        (share_z_min), EDGE: successions that were rare.  PAYLOAD: nothing but a step behind the burst
 *      masquerade        PAYLOAD alone: the step at both ends of a burst, values and bits never seen, and between
 *                        them too little change.  Nothing where the identifier hardly changes anyway
 *      masquerade_timed  PAYLOAD as above; TIMING next to nothing: the step of a sixteenth of a period at both ends is less
 *                        than the margin of earlyq and lateq, an eighth of an octave; EDGE: neighbours that change
 *                        places with it
 *      correlated        nothing by its design: each frame is as that identifier's are, and no column holds the payloads of
 *                        two identifiers against one another.  Ranking at chance is the expected result
 *
 *  The bytes depend on the settings sim.* alone: integer arithmetic and Philox (vehicle, capture,
 *  stream), no floating point beyond reading the settings, no clock, no number of ranks. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ci/comm.h"
#include "ci/conf.h"
#include "ci/rc.h"

/** Write the set of conf->data.root, conf->data.set as conf->sim says.  Collective: slices of 10 s of
 *  all captures are dealt to ranks, each file is committed (ci/commit.h), the manifest last.  A set
 *  that an earlier simulation left is replaced; files of it that the new one does not have are removed.
 *  Memory: four slices of text, about 1 MiB each, and a vehicle a rank.
 *
 *  manifest.json: state "SIMULATED"; complete, false while files are being written; simulator, a
 *  number that goes up when the same settings make other bytes; the settings
 *  sim.*, sim.rows as asked_rows; files: path (in the set), vehicle, attack (a name as above, or
 *  "none"), rows, attack_rows, bytes, sha256.
 *  \return the same on every rank: CI_OK; CI_ECONF when the settings do not fit together;
 *          CI_ECREATE when a folder or file cannot be created, or when the set's folder holds
 *          something that no simulation wrote; CI_EPERM; CI_EIO (disk full among others);
 *          CI_ETEMP when a signal asked to stop; CI_ENOMEM */
ci_rc ci_sim(const ci_comm *comm, const ci_conf *conf);

/** One frame of real traffic. */
typedef struct ci_sim_frame {
    int64_t t_ns;
    uint64_t data;   /**< byte k in bits 8k..8k+7, 0 beyond its length                         */
    uint32_t id;     /**< bit 31 set for the 29-bit kind                                       */
    uint8_t len, attack;
} ci_sim_frame;

typedef struct ci_sim_frames { ci_sim_frame *v; size_t n, cap; } ci_sim_frames; /**< v is owned */

/** About 45 s of one capture, at least 20: rows from one in the file to another. */
typedef struct ci_sim_segment {
    int32_t capture, number;  /**< of the capture, from 0                                      */
    int64_t part;             /**< of the capture, from 0: a clock that goes back by 10 s begins another */
    int64_t from_ns, to_ns;   /**< rows of that part whose time, or the latest one before them in the file, is
                                   in [from, to)                                               */
} ci_sim_segment;

enum { CI_SIM_SEGMENT_S = 45, CI_SIM_SEGMENT_LEAST_S = 20 };

/** Real captures, and who can read them. */
typedef struct ci_sim_base {
    const char (*path)[CI_TEXT_MAX];  /**< (n) below data.root/<ci_sim_base_name>; borrowed    */
    int32_t n, n_segment;
    const ci_sim_segment *segment;    /**< (n_segment) by capture, then number; borrowed       */
    const char *reading;              /**< hash of what else decides which frames are read; borrowed */
    /** Append the frames of a segment, in file order, that no attacker sent. */
    ci_rc (*read)(void *arg, const ci_sim_segment *s, ci_sim_frames *out);
    void *arg;
} ci_sim_base;

#define CI_SIM_INJECTED "train_02_with_attacks" /* folder of the captures with injected attacks */

/** Does the step sim inject attacks into captures, instead of simulating vehicles too? */
static inline bool ci_sim_injects(const ci_conf *conf) { return conf->data.injected[0] || conf->sim.base[0]; }

/** The data set below data.root that is injected into: with data.injected data.set itself, else sim.base.  Borrowed. */
static inline const char *ci_sim_base_name(const ci_conf *conf)
{
    return conf->data.injected[0] ? conf->data.set : conf->sim.base;
}

/** Inject simulated attacks into the training captures of a data set.  Either the set is data.set and what is made
 *  is the folder data.injected, whose captures a scan of data.set adds to the training folders (ci/plan.h, CI_INJECTED);
 *  or the set is sim.base and what is made is a set of its own, data.root/data.set, that has
 *
 *      train_01_attack_free/attack-free-<vehicle>-b<base>-s<segment>.csv    a segment of 45 s as it is
 *
 *  too, which data.injected has not, for there the captures themselves are trained on.  In both
 *
 *      train_02_with_attacks/mixed-<vehicle>-b<base>-c<copy>.csv            one with bursts of attacks,
 *                                                     sim.copies of each base, spread over its segments
 *
 *  <base> counts, from 1, the captures of the training folders that are used, in order of folder and path: copies
 *  of equal content and captures in quarantine have no number.  base_files of the manifest has them in that
 *  order, and "base" of each of its files says which.  So b002 is of the second training capture that a store has.
 *  <vehicle> is the entry of data.vehicles that ci_conf_vehicle finds for the base, and finds again for the injected
 *  capture; where it finds none, what follows the last '-' of the base's name.
 *
 *  First burst after 11 to 15 s, bursts and pauses of 0.8 to 4 s; flood, fuzzing, spoofing, replay and
 *  masquerade 1:1:2:1:1 (detection.md, section 6); then all frames one at a time, 0.22 ms from one to the
 *  next at least.  Attack rows of the base are left out.  Identifiers, payloads and order of the rows that
 *  are labelled 0 are the base's; times are cut to microseconds.  Collective; the bytes do not depend on ranks.
 *
 *  A capture starts cold.  Its first burst is behind the 2,000 frames that features relative to the past (ci/stream.h)
 *  ask for, on a bus of 182 frames a second and more; where it is not, a warning says so.
 *
 *  manifest.json: as above with base, copies, base_reading, and base_files: path and sha256 of each.
 *  \return as ci_sim; CI_ECONF, too, when data.vehicles has names by which an injected capture would be another
 *          vehicle's than its base; CI_EDATA when no base is long enough; what base->read returns */
ci_rc ci_sim_inject(const ci_comm *comm, const ci_conf *conf, const ci_sim_base *base);

/** Is the set there, whole, and of these settings, and is its base what it was?  Reads every file.  Not collective.
 *  \param [in] reading  of the base as it would be read now; NULL unless ci_sim_injects */
bool ci_sim_true(const ci_conf *conf, const char *reading);

#endif
