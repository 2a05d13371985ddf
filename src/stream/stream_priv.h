#ifndef CI_STREAM_PRIV_H
#define CI_STREAM_PRIV_H
/** What the files of stream/ share: how a profile lies in memory. */
#include <string.h>
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

/** What a frame is to guard. */
enum { FAIR, BITS, EARLY, NEW };

/** Odd for good; unless the step that is being learned turns out calm. */
enum odd { NOT_ODD, ODD, ODD_NOW };

/** An identifier.  Where nothing of it was learned (n = 0), it has last frames only: its frames were odd, or came when
 *  nothing more was learned. */
struct known {
    uint32_t id;
    uint16_t lengths;          /**< bit k: a frame had k bytes                                   */
    uint8_t n_last;            /**< 0, 1, 2: how many of last[] there are                        */
    uint8_t last_odd;          /**< enum odd: was last[0]?                                       */
    uint8_t trial;             /**< guard, n = 0: frames of it in calm steps, CI_STREAM_TRIAL at most      */
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
    uint8_t last_odd;          /**< enum odd: was the last one?                                  */
    int64_t first_ns, last_ns;
    int32_t first, last;       /**< positions of their identifiers, -1: not kept                  */
    int64_t n_gap, gap[CI_BINS];

    int64_t n_window, duration[DURATIONS]; /**< sum of duration[]; log2 ns                       */
    int64_t sum[OWN];          /**< of q = the column in units of 2^-16, to the nearest           */
    uint64_t square[OWN];      /**< of q^2                                                        */

    /* what follows from the above; ci_profile_settle */
    uint16_t narrow[NARROW];   /**< position + 1, 0: none                                         */
    uint16_t wide[WIDE];       /**< open hash of the others                                       */
    bool settled;              /**< at[] and below[] are those of interval[]                      */
};

/** Room for n identifiers.  \return CI_OK or CI_ENOMEM */
ci_rc ci_profile_reserve(ci_profile *p, int32_t n);

/** The fields above were filled by hand (known[], n_id, follows, ...; order and all that follows from them not). */
void ci_profile_settle(ci_profile *p);

/** Position of an identifier, -1: it has none. */
int32_t ci_profile_find(const ci_profile *p, uint32_t id);

/** Give an identifier that has none the next position, -1 when CI_PROFILE_IDS have one.  \return CI_OK or CI_ENOMEM */
ci_rc ci_profile_keep(ci_profile *p, uint32_t id, int32_t *out);

void ci_known_requantile(struct known *v);    /**< at[] and below[], from where they were        */
void ci_profile_requantile(ci_profile *p);    /**< all of them; then it is settled                */

/* ---- logarithms and bins */

enum { LOGS = 16384, MANTISSAS = 512 };

struct logs {
    double inverse[MANTISSAS], log[MANTISSAS]; /**< of 1 + i/512                                 */
    double whole[LOGS], half[LOGS], quarter[LOGS]; /**< log2 k (0 at 0), of k + 1/2, of k + 1/4   */
    double inverse_centre[CI_BINS];      /**< 2^-centre of a bin                                  */
    int64_t overdue[CI_BINS];            /**< largest whole number up to 2^(centre + 1/2)         */
};
void ci_logs_fill(struct logs *l);

extern const double ci_sixteenth[16];    /**< 2^(k/16)                                            */

/** log2 x for x >= 2^-1022, whole for powers of 2. */
static inline double ci_log2(const struct logs *l, double x)
{
    uint64_t bits;
    double m;

    memcpy(&bits, &x, sizeof bits);
    const double e = (double)((int64_t)(bits >> 52) - 1023);
    const unsigned i = (unsigned)(bits >> 43) & (MANTISSAS - 1);
    bits = (bits & 0x000FFFFFFFFFFFFFu) | 0x3FF0000000000000u;
    memcpy(&m, &bits, sizeof m);
    const double r = m * l->inverse[i] - 1, r2 = r * r; /* r is below 1/512, r^6 / 6 below 1e-17 */
    const double p = (1.44269504088896338700 - r * (1.44269504088896338700 / 2)) +
                     r2 * ((1.44269504088896338700 / 3 - r * (1.44269504088896338700 / 4)) + r2 * (1.44269504088896338700 / 5));
    return e + (l->log[i] + r * p);
}

static inline double ci_log2_whole(const struct logs *l, int64_t k) { return k < LOGS ? l->whole[k] : ci_log2(l, (double)k); }
static inline double ci_log2_half(const struct logs *l, int64_t k) { return k < LOGS ? l->half[k] : ci_log2(l, (double)k + 0.5); }
static inline double ci_log2_quarter(const struct logs *l, int64_t k) { return k < LOGS ? l->quarter[k] : ci_log2(l, (double)k + 0.25); }
static inline double ci_log2_ns(const struct logs *l, int64_t ns) { return ci_log2(l, (double)CI_MAX(ns, 512)); }
static inline double ci_centre(int bin) { return 9 + (2 * bin + 1) / 16.0; }

extern const uint64_t ci_cut[17];        /**< 2^63 2^(k/16), the last one beyond all             */
extern const uint8_t ci_cut_below[128];  /**< floor(16 log2 (1 + i/128))                         */

/** Bin of 1/16 octave from 2^9 ns of a duration: floor(16 (log2 ns - 9)), within 0 and DURATIONS - 1; exact: there is at most
 *  one border between two neighbours of 128 mantissas. */
static inline int ci_bin16(int64_t ns)
{
    const uint64_t t = (uint64_t)CI_MAX(ns, 512);
    const int e = 63 - __builtin_clzll(t);
    const uint64_t m = t << (63 - e);
    const int k = ci_cut_below[m >> 56 & 127];

    return CI_MIN((e - 9) * 16 + k + (m >= ci_cut[k + 1]), DURATIONS - 1);
}

/** Bin of 1/8 octave of an interval or gap, within 0 and CI_BINS - 1. */
static inline int ci_bin(int64_t ns) { return ci_bin16(ns) / 2; }

/** Bits that are set: what a processor without the instruction would be called for. */
static inline int ci_bits(uint64_t x)
{
    x -= x >> 1 & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
    x = (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
    return (int)(x * 0x0101010101010101u >> 56);
}

/* ---- learning */

/** Frames as columns, as in ci_table; borrowed. */
struct frames {
    const int64_t *t_ns;
    const uint32_t *id;
    const uint64_t *data;
    const uint8_t *len, *attack;
};

/** What is learned of a frame. */
struct note {
    uint64_t x;        /**< bits that flipped                                                     */
    int32_t k, u;      /**< positions of its identifier, of that of the frame before; -1: none     */
    uint8_t bin, gap;  /**< of its interval, of its gap                                           */
    bool pair, next;   /**< there is an interval and flips, a gap, to a frame that was not odd in an earlier step */
    bool pair_odd, next_odd; /**< that frame is odd in this one                                    */
    uint8_t odd;       /**< as ci_known_odd says                                                  */
};

/** Is a frame odd by what is known of its identifier?  dt and x, the bits that flipped, when it has a last frame.
 *  \return FAIR, or why it is odd */
uint8_t ci_known_odd(const struct known *v, bool has_last, int64_t dt, uint64_t x, uint8_t len);

enum learning { LEARN, LEARN_GUARDED, FOLLOW };

/** Learn frames [0, n) of f, as one step: which are odd is judged by what is known at its beginning; from frame `judged` on.
 *  \param [out] note      (n) working memory
 *  \param [out] out_odd   was a frame odd?
 *  \param [out] out_calm  was the step calm, so that odd frames were learned, too?
 *  \return CI_OK or CI_ENOMEM */
ci_rc ci_learn(ci_profile *p, enum learning how, const struct frames *f, ci_lid n, ci_lid judged, struct note *note, bool *out_odd, bool *out_calm);

/* ---- a window by itself */

/** One node of a window, by the window alone. */
struct own_node {
    ci_lid c, first;   /**< frames; its first interval among those of all nodes                   */
    ci_lid zero, length_changes, runs, alternations, fast;
    int64_t ham;       /**< bits that differ between neighbouring frames                          */
    double cv, least;  /**< columns interval_cv, interval_least                                   */
};

/** A pair of neighbours that a window has. */
struct pair {
    uint16_t u, v;
    ci_lid at;         /**< in count[]                                                            */
};

enum { DENSE = 128 };  /**< up to this many nodes, pairs are counted in a matrix                   */

struct window {
    ci_lid W;
    struct frames f;         /**< of the window                                                   */

    /* numbering */
    uint64_t seen[NARROW / 64];
    uint16_t rank[NARROW];   /**< node of each identifier below NARROW                            */
    uint32_t *wide;          /**< (room) open hash of the other identifiers                       */
    uint16_t *wide_node;     /**< (room) their nodes, 65535: no identifier here                   */
    uint32_t room;           /**< a power of 2, at least 2 W                                      */
    ci_lid n_node;
    uint32_t *id;            /**< (W) identifiers, ascending                                      */
    uint16_t *node;          /**< (W) of each frame                                               */
    struct own_node *own;    /**< (W)                                                             */

    /* frames */
    int32_t *prev, *prev2;   /**< (W) the frame of this node before, the one before that; -1       */
    int32_t *last;           /**< (W) of each node, working memory                                */
    int64_t *interval;       /**< (W) by node: its intervals in order of time, then ascending      */
    int64_t *gap, *spare;    /**< (W), ascending; working memory                                  */
    double gap_median;       /**< log2 ns                                                         */

    /* pairs of neighbours */
    ci_lid n_pair;
    struct pair *pair;       /**< (W) distinct ones                                               */
    uint16_t *count;         /**< (DENSE^2, or room) times each is there; 0 between windows         */
    uint32_t *key;           /**< (room) of count[] as an open hash                               */
    ci_lid *pair_at;         /**< (W) of frame i and the one before, in count[]                    */
};

ci_rc ci_window_create(ci_lid W, struct window **out);
void ci_window_destroy(struct window **w);

/** Number the nodes of the window that begins at f and count its pairs of neighbours. */
void ci_window_number(struct window *w, const struct frames *f);
ci_lid ci_window_pairs(const struct window *w, ci_lid u, ci_lid v); /**< edges from node u to node v */

/** After that: the columns of the window by itself, in the order of agnostic-none, and own[]. */
void ci_window_own(struct window *w, const struct logs *l, double out[OWN]);

void ci_sort(int64_t *v, int64_t *spare, ci_lid n); /**< ascending; none below 0 */

/* ---- a window against the past */

enum { FRAME = 15, FRAMES = 16 /* room */, AGAINST = 11, FROM_GAP = 1 + FRAME, NODE_PAST = 2 * FRAME + 4, WINDOW_PAST = 3 * FRAME + AGAINST + OWN };

/** What frame i of a window is to the one of its identifier before it, wherever that was. */
struct relation {
    int64_t dt;
    double log2_dt, log2_gap; /**< the latter to the frame before it, 0 for the window's first   */
    uint64_t x;          /**< bits that differ                                                    */
    bool has_last, alt;  /**< there is such a frame; column alt                                   */
};

/** A node of a window against what is known. */
struct node_past {
    const struct known *v;
    int32_t k;           /**< its position, -1: none                                              */
    double idsurp, median, q01, q99, flip_base, log2_n1;
    double share, time;  /**< frames expected by either rule                                       */
    double expected, share_z, time_z; /**< columns, the last two not clipped                      */
    double sum[FRAMES], most[FRAMES];
};

/** Working memory for windows of W frames, of one past at a time. */
struct past {
    struct relation *relation; /**< (W)                                                           */
    struct node_past *node;    /**< (W)                                                           */
    double (*frame)[FRAMES];   /**< (W) columns of each frame                                      */
    double *gap;               /**< (W) columns of the edges                                       */
    double window[WINDOW_PAST];
    ci_lid node_of[CI_PROFILE_IDS]; /**< node + 1 of known identifiers, 0 between windows          */
};

ci_rc ci_past_create(ci_lid W, struct past **out);
void ci_past_destroy(struct past **a);

/** The relations of the frames of w, whose own columns are there; last frames before the window are p's. */
void ci_past_relate(struct past *a, const struct window *w, const struct logs *l, const ci_profile *p);

/** After that: all else of the past, of the window and its own columns. */
void ci_past_fill(struct past *a, const struct window *w, const struct logs *l, ci_profile *p, const double own[OWN]);
void ci_past_window(struct past *a, const struct window *w, const struct logs *l, const ci_profile *p, const double own[OWN], ci_lid odd);

static inline double ci_clip(double x, double at) { return CI_MIN(CI_MAX(x, -at), at); }

/* ---- a graph */

/* A window is appended to g, which has room for it, in between of begin and end: first all columns of a past are 0. */
void ci_graph_begin(ci_graphs *g, const struct window *w, ci_gid row, bool warm);
void ci_graph_none(ci_graphs *g, const struct window *w, const struct logs *l, const double own[OWN]);
void ci_graph_past(ci_graphs *g, const struct window *w, const struct past *a, int which); /**< columns of past number `which` */
void ci_graph_end(ci_graphs *g, const struct window *w);

#endif
