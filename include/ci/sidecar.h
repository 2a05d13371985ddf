#ifndef CI_SIDECAR_H
#define CI_SIDECAR_H
/** When a capture without labels was under attack: the file PATH.attacks.csv beside it.
 *
 *  Its header is `start_s,end_s` or `start_s,end_s,arbitration_id`; times are seconds of the
 *  capture's own clock, both ends belong to the attack; without an identifier every frame of the
 *  interval is an injected one.  Identifiers are hexadecimal and mean both widths. */
#include <stdbool.h>
#include <stdint.h>
#include "ci/hash.h"
#include "ci/rc.h"

#define CI_SIDECAR_END ".attacks.csv"

typedef struct ci_interval {
    int64_t from, to;   /**< ns                                                                */
    int64_t latest;     /**< the latest end of this interval and those of its id before it     */
    int64_t id;         /**< without bit 31; -1: every one                                     */
} ci_interval;

typedef struct ci_sidecar {
    ci_interval *item;  /**< (n) by id, then start; owned                                        */
    int32_t n;
    ci_xxh hash;        /**< XXH3-128 of the file                                              */
} ci_sidecar;

/** Read a side-car.  Not collective.
 *  \param [out] out  on CI_OK the caller's, to ci_sidecar_release
 *  \return CI_OK, CI_ENOMEM, CI_ENOENT, CI_EPERM, CI_EIO; CI_EDATA: as path:line:column */
ci_rc ci_sidecar_read(const char *path, ci_sidecar *out);
void ci_sidecar_release(ci_sidecar *s); /**< NULL-safe; leaves *s zero */

/** Is a frame of this time and identifier an injected one? */
bool ci_sidecar_attack(const ci_sidecar *s, int64_t t_ns, uint32_t id);

#endif
