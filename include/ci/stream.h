#ifndef CI_STREAM_H
#define CI_STREAM_H
/** Frames in order -> windows relative to what the stream did before: the feature sets `agnostic`.
 *
 *  Window k is the frames r .. r+W-1, r = kS, of a capture.  S is what is known strictly before frame r: a profile
 *  (ci/profile.h) and of each identifier its last two frames.  T is the time from the window's first frame to its last,
 *  at least 1 us.  Logarithms of times are those of nanoseconds, at least 2^9 of them (0.512 us), which a step back in
 *  time counts as, too.  v is the identifier of a frame, u that of the frame before (for a window's first frame: the
 *  last one before the window); dt the time since the previous frame of v, which may lie in the window, before it, or
 *  not be; c the frames of v in the window.
 *
 *      p_b   = min(.98, (flips_b + 1/4)/(pairs + 1/2))                        of bit b of v
 *      h(p)  = -p log2 p - (1-p) log2(1-p)
 *      H(S)  = -sum_v p_v log2 p_v, p_v = n_v/N
 *      q_v   = centre of the first bin of the histogram of v's intervals up to which at least q of them lie: q01, med, q99
 *      floor = .02 for columns of unit 1, .07 for octaves;  spread: sqrt(max(0, mean of squares - square of the mean))
 *
 *  Intervals and gaps that a window has in itself count as 0 when time steps back; the median of a window's own n values
 *  is number floor((n-1)/2) in ascending order, from 0.  Payload bits behind a frame's last byte are 0; payloads are the
 *  same when length and bytes are; a byte that v never had is outside what was seen.
 *
 *  Sums that a column is made of run over the window's frames in order, or over identifiers ascending, in double; the
 *  result is rounded once to float.  A column that lacks what it needs is 0.
 *
 *  What is known (features.past):
 *
 *      none     nothing; each window alone                                    columns of agnostic-none
 *      run      all frames of the capture before r
 *      guard    the same without odd frames, from frame CI_STREAM_WARM of the capture on:
 *                   new    of an identifier of which nothing was learned, and which has not come CI_STREAM_TRIAL times
 *                          in calm steps
 *                   early  earlyq > 1/2, or a length that the identifier never had
 *                   bits   const >= 3/64, and none of the above
 *               S steps of S frames: their frames are judged by what was known at the step's start, then learned.  A step
 *               with less than CI_STREAM_INTRUDERS new and early frames is calm; its early frames are learned like
 *               others.  An odd frame that is not learned becomes the previous frame of its identifier and of the bus, and
 *               nothing else: no interval, flip, gap or succession that it has a part in is counted.  A step that is not
 *               calm adds no gaps, and the window that begins with it nothing to what is known of windows.
 *               (Without the trial an identifier that first comes late, of a long period or an event, was new for ever.)
 *      both     run and guard side by side                                    columns of agnostic-both
 *      prefix   what run knows at the capture's first frame that is more than prefix_ns behind its first one (the prefix is
 *               the frames before it, whatever times come later); then nothing more is learned
 *      profile  what a profile says (features.profile), nothing more is learned; previous frames are this capture's alone
 *
 *  Where nothing more is learned, the last two frames of each identifier and the last one of the bus still follow.
 *
 *  With S < W windows overlap; of these only every m-th, m = ceil(W/S), is added to what is known of windows: window k, k a
 *  multiple of m, when the frames before window k+m are there.  Of an identifier that is not kept (ci/profile.h) the
 *  previous frames are those in the window alone.  The column odd has no frame CI_STREAM_WARM to wait for: a warm window's frames
 *  are judged.
 *
 *  A window is `warm`, and its columns but those of agnostic-none are not all 0, when: none: always; run, guard,
 *  both: r >= CI_STREAM_WARM; prefix: its first frame is behind the prefix and N >= CI_STREAM_WARM; profile:
 *  N >= CI_STREAM_WARM.  Causal: no column depends on a frame behind its window, none on labels.
 *  Source: detection.md, section 5. */
#include "ci/graph.h"
#include "ci/profile.h"
#include "ci/table.h"

enum { CI_STREAM_WARM = 2000, CI_STREAM_TRIAL = 10, CI_STREAM_INTRUDERS = 3 };

typedef enum ci_past { CI_PAST_NONE, CI_PAST_RUN, CI_PAST_GUARD, CI_PAST_BOTH, CI_PAST_PREFIX, CI_PAST_PROFILE } ci_past;

ci_past ci_past_of(const char *name);          /**< features.past: none run guard both prefix profile */
const char *ci_past_name(ci_past past);

/** Time of the last frame that can be in a prefix, whose first frame is at first_ns >= 0. */
static inline int64_t ci_prefix_end(int64_t first_ns, int64_t prefix_ns)
{
    return first_ns > INT64_MAX - prefix_ns ? INT64_MAX : first_ns + prefix_ns;
}

/** One stream's state, and room for the frames of one window; one a thread. */
typedef struct ci_stream ci_stream;

/** \param [in] set  ci_feature_set_of "agnostic" and past
 *  \return CI_OK; CI_ENOMEM; CI_ECONF when W is below 4 or above 65535 */
ci_rc ci_stream_create(const ci_feature_set *set, ci_past past, ci_lid frames, ci_lid stride, int64_t prefix_ns,
                       ci_stream **out);
void ci_stream_destroy(ci_stream **s); /**< NULL-safe; leaves *s NULL */

/** Begin a capture at its first frame.
 *  \param [in] known  for CI_PAST_PROFILE what is known, of any S and W (then columns about windows are 0); copied; else NULL
 *  \return CI_OK, CI_ENOMEM */
ci_rc ci_stream_begin(ci_stream *s, const ci_profile *known);

/** Begin inside a capture, at frame `row`, a multiple of S; with CI_PAST_NONE anywhere, else S >= W, and not guard or both.
 *  \param [in] before  of all frames before `row`, the ci_stream_known of a stream with CI_PAST_RUN that was given those (merged, where they were several streams'); copied;
 *                      not looked at with CI_PAST_NONE
 *  \param [in] known   as above; for CI_PAST_PREFIX what the prefix says, when `row` is behind it
 *  \return CI_OK, CI_ENOMEM; CI_EARG for what cannot begin there */
ci_rc ci_stream_resume(ci_stream *s, const ci_profile *before, const ci_profile *known, ci_gid row);

/** Take frames [from, to) of the table, the next ones of the capture, until g has no room for another graph.  Each
 *  window is appended to g as soon as its last frame is there.
 *  \param [in]  g          NULL: nothing is built, frames are only learned, and that is several times as fast
 *  \param [out] out_taken  how many frames were taken
 *  \return CI_OK, CI_ENOMEM */
ci_rc ci_stream_push(ci_stream *s, const ci_table *t, ci_lid from, ci_lid to, ci_graphs *g, ci_lid *out_taken);

/** The capture has no more frames: those behind the last whole step are learned, too (as frames; they are no window). */
ci_rc ci_stream_end(ci_stream *s);

/** What is known now, as a profile of its own: of both what run knows, of none nothing.  Frames behind the last whole step
 *  are not in it before the end.  Borrowed, until the next call. */
const ci_profile *ci_stream_known(const ci_stream *s);
bool ci_stream_odd(const ci_stream *s); /**< guard: was a frame of the last step odd? */

#endif
