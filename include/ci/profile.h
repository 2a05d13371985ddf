#ifndef CI_PROFILE_H
#define CI_PROFILE_H
/** What is known of a stream of frames: of each identifier, each succession, and of windows.
 *
 *  A profile is a sum over frames and windows, in whole numbers: what is learned from A and then from B is the merge of
 *  what is learned from each, bit for bit.
 *
 *  Of an identifier v: frames n_v; a histogram of log2 of its intervals (CI_BINS bins of 1/8 octave from 2^9 ns; what is
 *  below or above counts in the first or last); of each of 64 payload bits how often it flipped from one frame to the
 *  next, of so many pairs; least and largest of each byte that a frame has; lengths seen; its last two frames and its
 *  first (in the last recording, where it has any).  Of a succession u -> v of neighbouring frames: c_uv.  Of the bus:
 *  frames N; a histogram of the gaps between neighbours, the same bins; of windows: a histogram of log2 T (bins of 1/16
 *  octave), number, sums and sums of squares of the columns of a window by itself: of rint(2^16 x), x before it is
 *  rounded to float.
 *
 *  At most CI_PROFILE_IDS identifiers are kept, the first ones that come; frames of others count in N and as dropped,
 *  and stay new for ever (the merge is that of learning both, bit for bit, as long as b dropped none).
 *  Memory: 1.5 kB an identifier, 4 B a pair of them, whatever comes: below 60 MB. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ci/rc.h"
#include "ci/types.h"

enum { CI_PROFILE_IDS = 2048, CI_BINS = 232, CI_PROFILE_VERSION = 1 };

typedef struct ci_profile ci_profile;

/** \param [in] frames, stride  of the windows that it learns: window columns of other lengths are not comparable
 *  \return CI_OK or CI_ENOMEM; on CI_OK *out is the caller's, to ci_profile_destroy; it knows nothing yet */
ci_rc ci_profile_create(ci_lid frames, ci_lid stride, ci_profile **out);
void ci_profile_destroy(ci_profile **p);       /**< NULL-safe; leaves *p NULL */
void ci_profile_clear(ci_profile *p);          /**< knows nothing, memory kept */
ci_rc ci_profile_copy(ci_profile *to, const ci_profile *from); /**< CI_OK or CI_ENOMEM */

/** a becomes what is known after a's frames and then b's.  With `apart`, b is another recording: no interval,
 *  flip, gap or succession from a's last frames to b's first.
 *  \return CI_OK, CI_ENOMEM; CI_EARG when frames or stride differ */
ci_rc ci_profile_merge(ci_profile *a, const ci_profile *b, bool apart);

/** The one row of bytes of a profile: little-endian, identifiers ascending, so that equal profiles are equal bytes.
 *  \return of pack: bytes to free(), or NULL when memory is short; of unpack: CI_OK, CI_ENOMEM; CI_EFORMAT: not a
 *          profile, of another version, cut off, or with numbers that cannot be */
void *ci_profile_pack(const ci_profile *p, size_t *out_n);
ci_rc ci_profile_unpack(const void *bytes, size_t n, ci_profile **out);

/** As a file: the bytes of pack and their SHA-256, committed (ci/commit.h).
 *  \return of reading: CI_OK; CI_ENOENT, CI_EPERM, CI_EIO; CI_EFORMAT with path and what is wrong; CI_ENOMEM */
ci_rc ci_profile_write(const ci_profile *p, const char *path);
ci_rc ci_profile_read(const char *path, ci_profile **out);

/** What inspect says of it. */
typedef struct ci_profile_about {
    ci_lid frames, stride;
    int64_t n, dropped;        /**< frames; of identifiers that are not kept                   */
    int64_t n_window;
    int32_t n_id, n_edge;      /**< identifiers, successions                                   */
    int64_t bytes;             /**< memory                                                     */
} ci_profile_about;
ci_profile_about ci_profile_tell(const ci_profile *p);

/** One identifier, i < n_id, ascending: its id, frames, and quantiles of its intervals in log2 ns (NAN with less than
 *  5 of them). */
void ci_profile_id(const ci_profile *p, int32_t i, uint32_t *out_id, int64_t *out_n, double *out_q01, double *out_median,
                   double *out_q99);

#endif
