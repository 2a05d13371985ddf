#ifndef CI_SIM_H
#define CI_SIM_H
/** Simulated vehicles and attacks, as a data set in the folder layout of the real ones.
 *
 *      <data.root>/<data.set>/manifest.json
 *      train_01_attack_free/                    attack-free-car?.csv of every vehicle but the last
 *      train_02_with_attacks/                   DoS or fuzzing of each, the attack-free files again
 *      test_01_known_vehicle_known_attack/      the other one of DoS and fuzzing
 *      test_02_unknown_vehicle_known_attack/    DoS and fuzzing of the last vehicle
 *      test_03_known_vehicle_unknown_attack/    malfunction (spoofing) of all but the last
 *      test_04_unknown_vehicle_unknown_attack/  malfunction of the last
 *
 *  With two vehicles, and so one known one, training and test_01 have both DoS and fuzzing.
 *
 *  A vehicle sends sim.ids_min to sim.ids_max 11-bit identifiers, each in its own period with
 *  jitter, over a bus of 500 kbit/s on which the lowest waiting identifier goes first.  An attack
 *  starts after the first quarter of a capture and comes in bursts; its frames are labelled 1.
 *
 *  The bytes depend on the settings sim.* alone: integer arithmetic and Philox (vehicle, capture,
 *  stream), no floating point beyond reading the settings, no clock, no number of ranks. */
#include <stdbool.h>
#include "ci/comm.h"
#include "ci/conf.h"
#include "ci/rc.h"

/** Write the set of conf->data.root, conf->data.set as conf->sim says.  Collective: captures are
 *  dealt to ranks, each file is committed (ci/commit.h), the manifest last.  A set that an
 *  earlier simulation left is replaced; files of it that the new one does not have are removed.
 *  Memory: a buffer of 1 MiB and a vehicle a rank.
 *
 *  manifest.json: state "SIMULATED"; complete, false while files are being written; the settings
 *  seed, vehicles, ids_min, ids_max, seconds, attack_share; files: path (in the set), vehicle,
 *  attack ("none", "DoS", "fuzzing", "malfunction"), rows, attack_rows, bytes, sha256.
 *  \return the same on every rank: CI_OK; CI_ECONF when the settings do not fit together;
 *          CI_ECREATE when a folder or file cannot be created, or when the set's folder holds
 *          something that no simulation wrote; CI_EPERM; CI_EIO (disk full among others);
 *          CI_ETEMP when a signal asked to stop; CI_ENOMEM */
ci_rc ci_sim(const ci_comm *comm, const ci_conf *conf);

/** Is the set there, whole, and of these settings?  Reads every file.  Not collective. */
bool ci_sim_true(const ci_conf *conf);

#endif
