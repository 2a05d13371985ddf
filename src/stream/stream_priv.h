#ifndef CI_STREAM_PRIV_H
#define CI_STREAM_PRIV_H
/** What the files of stream/ share: how a profile lies in memory. */
#include "ci/profile.h"
#include "ci/stream.h"

enum {
    OWN = 26,        /**< columns of a window by itself                                         */
    DURATIONS = 464, /**< bins of 1/16 octave of log2 T, from 2^9 ns                             */
    NARROW = 2048,   /**< identifiers below are found in a table, the others hashed              */
    WIDE = 8192,     /**< room of the hash                                                      */
    LENGTHS = 9      /**< 0 .. 8 bytes                                                          */
};

/** Of a frame what is compared with the next one of its identifier. */
struct seen {
    int64_t t_ns;
    uint64_t data;
    uint8_t len;
};

/** An identifier.  Where nothing of it was learned (n = 0), it has last frames only: its frames were odd, or came when
 *  nothing more was learned. */
struct known {
    uint32_t id;
    uint16_t lengths;          /**< bit k: a frame had k bytes                                   */
    uint8_t n_last;            /**< 0, 1, 2: how many of last[] there are                        */
    uint8_t last_odd;          /**< last[0] was not learned                                      */
    int64_t n, n_interval, n_pair; /**< frames; sum of interval; pairs of frames that flips are of */
    uint32_t interval[CI_BINS]; /**< log2 ns                                                     */
    uint32_t flips[64];
    uint8_t least[8], most[8]; /**< of each byte; 255 and 0 while no frame had it                 */
    struct seen first;         /**< when n > 0                                                   */
    struct seen last[2];       /**< the last frame, the one before                               */

    /* what follows from the above; ci_profile_settle */
    uint64_t flipped;          /**< bit b: flips[b] > 0                                          */
    int64_t below[3];          /**< intervals in bins below at[]                                 */
    uint8_t at[3];             /**< bins of q01, median, q99; meaningless without an interval     */
};

struct ci_profile {
    ci_lid frames, stride;
    int64_t n, dropped;

    int32_t n_id, cap_id;
    struct known *known;       /**< (cap_id) in the order in which they came (which merge needs, so that pack keeps it); owned */
    uint32_t *follows;         /**< (cap_id, cap_id) c_uv of known[u] and known[v]; owned         */
    uint16_t *order;           /**< (cap_id) positions in known[], identifiers ascending; owned   */

    bool any;                  /**< there was a frame: first_ns, last_ns                         */
    bool last_odd;             /**< the last one was not learned                                 */
    int64_t first_ns, last_ns;
    int32_t first, last;       /**< positions of their identifiers, -1: not kept                  */
    int64_t n_gap, gap[CI_BINS];

    int64_t n_window, duration[DURATIONS]; /**< sum of duration[]; log2 ns                       */
    int64_t sum[OWN];          /**< of q = the column in units of 2^-16, to the nearest           */
    uint64_t square[OWN];      /**< of q^2                                                        */

    /* what follows from the above; ci_profile_settle */
    uint16_t narrow[NARROW];   /**< position + 1, 0: none                                         */
    uint16_t wide[WIDE];       /**< open hash of the others                                       */
};

/** Room for n identifiers.  \return CI_OK or CI_ENOMEM */
ci_rc ci_profile_reserve(ci_profile *p, int32_t n);

/** The fields above were filled by hand (known[], n_id, follows, ...; order and all that follows from them not). */
void ci_profile_settle(ci_profile *p);

/** Position of an identifier, -1: it has none. */
int32_t ci_profile_find(const ci_profile *p, uint32_t id);

#endif
