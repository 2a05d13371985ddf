/** The feature sets `agnostic`: nothing in them says which identifier or which bytes a frame has, so that a model meets a
 *  vehicle it has never seen; all is relative to the window itself (agnostic-none) or to what the stream did before
 *  (agnostic; agnostic-both has it twice).  Definitions of the names in these formulas: ci/stream.h.
 *  Source: detection.md, section 5. */
#include "graph_priv.h"

#define COLUMN(name, unit, group, formula) {name, unit, formula, 0, CI_SCALE_ALL, CI_GROUP_##group}

/* ---- a frame: X(place, name, unit, group, formula) */
#define FRAME_FIRST(X, P)                                                                                                    \
    X(P, "newid", "1", NOVELTY, "1 if n_v = 0")                                                                              \
    X(P, "idsurp", "bit", NOVELTY, "min(20, log2(N+1) - log2(n_v+1/2)) - H(S)")                                              \
    X(P, "early", "octave", TIMING, "clip(med_v - log2 dt, 0, 6); 5 intervals")                                              \
    X(P, "late", "octave", TIMING, "clip(log2 dt - med_v, 0, 6); 5 intervals")                                               \
    X(P, "early2", "1", TIMING, "1 if log2 dt - med_v < -1; 5 intervals")                                                    \
    X(P, "earlyq", "octave", TIMING, "clip(q01_v - 1/8 - log2 dt, 0, 6); 5 intervals")                                       \
    X(P, "lateq", "octave", TIMING, "clip(log2 dt - q99_v - 1/8, 0, 6); 5 intervals")                                        \
    X(P, "flipx", "bit", PAYLOAD, "clip(sum_b (b flipped ? -log2 p_b : -log2(1-p_b)) - sum_b h(p_b), -32, 200)/64; 5 pairs")  \
    X(P, "const", "1", PAYLOAD, "flipped bits that never flipped, /64; 20 pairs")                                            \
    X(P, "range", "1", PAYLOAD, "bytes outside the least and largest seen, /8; n_v >= 20")                                   \
    X(P, "dlc", "1", PAYLOAD, "1 if v never had this length; n_v >= 5")                                                      \
    X(P, "ham", "1", PAYLOAD, "bits that differ from the previous frame of v, /64; 1 earlier frame")                         \
    X(P, "alt", "1", PAYLOAD, "1 if the payload is the one before the previous, and not the previous; 2 earlier frames")
#define FRAME_LAST(X, P)                                                                                                     \
    X(P, "enov", "1", EDGE, "1 if c_uv = 0; n_u >= 20")                                                                      \
    X(P, "esurp", "bit", EDGE, "min(16, log2(n_u+1) - log2(c_uv+1/2)); n_u >= 20")
#define FRAME(X, P) FRAME_FIRST(X, P) FRAME_LAST(X, P)

/* ---- a node: the window's frames of one identifier */
#define SUM(P, name, unit, group, formula) COLUMN(P name "_share", unit, group, "sum over the node's frames / W: " formula),
#define MOST(P, name, unit, group, formula) COLUMN(P name "_max", unit, group, "largest of the node's frames: " formula),
#define NODE_PAST(P)                                                                                                         \
    FRAME(SUM, P) FRAME(MOST, P)                                                                                             \
    COLUMN(P "expected", "octave", TIMING, "log2(1 + e): e = min(20 W, T / 2^med_v); W n_v/N with less than 5 intervals; 0 if n_v = 0"), \
    COLUMN(P "share_z", "1", NOVELTY, "clip((c - e)/sqrt(e + 1), -30, 30), e = W n_v/N"),                                     \
    COLUMN(P "time_z", "1", TIMING, "clip((c - e)/sqrt(e + 1), -30, 30), e as in expected"),                                  \
    COLUMN(P "known", "1", NONE, "1 if n_v >= 10"),

static const ci_feature node[] = {COLUMN("share", "1", NONE, "c/W"), NODE_PAST("")};
static const ci_feature node_both[] = {COLUMN("share", "1", NONE, "c/W"), NODE_PAST("") NODE_PAST("guard_")};
static const ci_feature node_none[] = {
    COLUMN("share", "1", NONE, "c/W"),
    COLUMN("rank", "1", SHAPE, "place of the identifier among those present, ascending from 0 / (distinct - 1); 0 if it is alone"),
    COLUMN("ham", "1", PAYLOAD, "mean over neighbouring frames of the node of the bits that differ, /64"),
    COLUMN("interval_cv", "1", TIMING, "population standard deviation / mean of the node's c-1 intervals, each at least 0; c >= 4, mean > 0"),
    COLUMN("interval_least", "octave", TIMING, "log2(least / median) of the node's intervals; c >= 3"),
    COLUMN("zero", "1", PAYLOAD, "frames whose bytes are all 0 (none are, too) / c"),
    COLUMN("length_changes", "1", PAYLOAD, "frames with another length than the node's frame before / c"),
    COLUMN("runs", "1", EDGE, "frames right behind one of the node's / c"),
    COLUMN("alternations", "1", PAYLOAD, "frames with the payload of the one before the previous and not that of the previous / c"),
};

/* ---- an edge: a frame of the window (but its first) and the one before; W-1 of them, in order of time */
#define FRAME_OF(P, name, unit, group, formula) COLUMN(P name, unit, group, "of the frame that the edge leads to: " formula),
#define EDGE_SELF                                                                                                            \
    COLUMN("frequency", "1", EDGE, "edges of the graph with these ends / W"),                                                 \
    COLUMN("bidir", "1", EDGE, "1 if the graph has an edge back, a self-loop included"),
#define EDGE_PAST(P)                                                                                                         \
    COLUMN(P "gap", "octave", RATE, "clip(log2 of the time between both frames - median in S of log2 of gaps, -12, 12); 20 gaps"),  \
    FRAME_LAST(FRAME_OF, P) FRAME_FIRST(FRAME_OF, P)
static const ci_feature edge[] = {EDGE_SELF EDGE_PAST("")};
static const ci_feature edge_both[] = {EDGE_SELF EDGE_PAST("") EDGE_PAST("guard_")};
static const ci_feature edge_none[] = {
    EDGE_SELF
    COLUMN("gap", "octave", RATE, "log2 of the time between both frames - median in the window"),
    COLUMN("ham", "1", PAYLOAD, "bits of the frame that differ from the node's frame before in the window, /64; 0 for its first"),
    COLUMN("length_change", "1", PAYLOAD, "1 if its length differs from that one's"),
};

/* ---- a window by itself: X(place, name, unit, group, formula) */
#define WINDOW_SELF(X, P)                                                                                                    \
    X(P, "distinct", "1", SHAPE, "distinct / W")                                                                             \
    X(P, "entropy", "1", SHAPE, "entropy of the identifiers / log2 W")                                                       \
    X(P, "top_share", "1", SHAPE, "c1/W")                                                                                    \
    X(P, "top_ratio", "octave", SHAPE, "log2((c1+1)/(c2+1)), the two largest counts; c2 = 0 if there is one")                \
    X(P, "longest_run", "1", SHAPE, "longest run of frames of one identifier / W")                                           \
    X(P, "self_loops", "1", EDGE, "pairs of neighbouring frames of one identifier / (W-1)")                                  \
    X(P, "singletons", "1", SHAPE, "identifiers with one frame / distinct")                                                  \
    X(P, "edges", "1", EDGE, "distinct ordered pairs of neighbours / (W-1)")                                                 \
    X(P, "reverse", "1", EDGE, "share of the distinct pairs whose reverse is there, too; a self-loop is its own")            \
    X(P, "zero", "1", PAYLOAD, "frames whose bytes are all 0 (none are, too) / W")                                           \
    X(P, "byte_entropy", "1", PAYLOAD, "entropy in bits of all payload bytes / 8; 0 without any")                            \
    X(P, "ham_mean", "1", PAYLOAD, "mean over pairs of neighbouring frames of one identifier of the bits that differ, /64")  \
    X(P, "ham_max", "1", PAYLOAD, "largest over identifiers of their own such mean")                                         \
    X(P, "cv_max", "1", TIMING, "largest interval_cv over identifiers with c >= 4")                                          \
    X(P, "least_min", "octave", TIMING, "least interval_least over identifiers with c >= 3")                                 \
    X(P, "gap_50_10", "octave", RATE, "log2(g50/g10), quantiles of the W-1 gaps: g_q is number floor(q (W-2)/100) in ascending order, from 0") \
    X(P, "gap_90_50", "octave", RATE, "log2(g90/g50)")                                                                       \
    X(P, "gap_98_50", "octave", RATE, "log2(g98/g50)")                                                                       \
    X(P, "duration", "octave", RATE, "log2(T / 1 s)")                                                                        \
    X(P, "length_changes", "1", PAYLOAD, "frames with another length than the identifier's frame before / W")                \
    X(P, "lowest_share", "1", SHAPE, "c of the lowest identifier / W")                                                       \
    X(P, "top_rank", "1", SHAPE, "rank of the identifier with most frames, the lowest of equals")                            \
    X(P, "alternations", "1", PAYLOAD, "frames with the payload of the identifier's one before the previous and not the previous / W") \
    X(P, "alternations_max", "1", PAYLOAD, "the same of the identifier that has most")                                       \
    X(P, "fast", "1", TIMING, "frames that come within 0.3 of their identifier's median interval in the window / W; c >= 3")  \
    X(P, "burst", "1", RATE, "gaps below 1.5 times the third smallest / (W-1); W >= 4")

/* ---- a window against the past */
#define MEAN(P, name, unit, group, formula) COLUMN(P name "_mean", unit, group, "mean over the window's frames: " formula),
#define TOP(P, name, unit, group, formula) COLUMN(P name "_top", unit, group, "largest over identifiers of the sum over their frames / W: " formula),
#define LARGEST(P, name, unit, group, formula) COLUMN(P name "_max", unit, group, "largest of the window's frames: " formula),
#define RAW(P, name, unit, group, formula) COLUMN(P name, unit, group, formula),
#define Z(P, name, unit, group, formula) COLUMN(P name "_z", "1", group, "clip((x - mean)/(spread + floor), -30, 30) over the windows before, 20 at least: " formula),
#define WINDOW_PAST(P)                                                                                                       \
    FRAME(MEAN, P) FRAME(TOP, P) FRAME(LARGEST, P)                                                                           \
    COLUMN(P "kl", "bit", NOVELTY, "sum over identifiers present of c/W log2((c/W) / ((n_v+1/2)/(N+100)))"),                  \
    COLUMN(P "share_z_max", "1", NOVELTY, "clip(largest over v known or present of (c-e)/sqrt(e+1), -30, 30), e = W n_v/N"),  \
    COLUMN(P "share_z_min", "1", NOVELTY, "the least of them"),                                                              \
    COLUMN(P "time_z_max", "1", TIMING, "the same, e as in the node's expected"),                                            \
    COLUMN(P "time_z_min", "1", TIMING, "the least of them"),                                                                \
    COLUMN(P "excess", "1", TIMING, "min(5, sum over v known or present of max(0, c - e - 1)/W), e as in expected"),          \
    COLUMN(P "deficit", "1", TIMING, "min(5, sum over v known or present of max(0, e - c - 1)/W)"),                           \
    COLUMN(P "overdue", "1", TIMING, "share of the v with 10 intervals whose last frame, at the window's end, is longer ago than 2^(q99_v + 1/2); not when this capture had none yet"), \
    COLUMN(P "duration_change", "octave", RATE, "clip(log2 T - median in S of log2 T, -12, 12)"),                            \
    COLUMN(P "known", "1", NOVELTY, "frames with n_v >= 10 / W"),                                                            \
    COLUMN(P "odd", "1", NOVELTY, "odd frames / W"),                                                                         \
    WINDOW_SELF(Z, P)
static const ci_feature window[] = {WINDOW_PAST("")};
static const ci_feature window_both[] = {WINDOW_PAST("") WINDOW_PAST("guard_")};
static const ci_feature window_none[] = {WINDOW_SELF(RAW, "")};

/* Another version whenever what ci/stream.h learns is another: stores of the one before are built anew. */
#define SET(NAME, VERSION, n, e, w)                                                                                                   \
    {.name = NAME, .version = VERSION, .single = true, .stream = true, .n_node = CI_COUNT(n), .n_edge = CI_COUNT(e),                \
     .n_window = CI_COUNT(w), .node = n, .edge = e, .window = w}
const ci_feature_set ci_agnostic = SET("agnostic", 2, node, edge, window);
const ci_feature_set ci_agnostic_none = SET("agnostic-none", 1, node_none, edge_none, window_none);
const ci_feature_set ci_agnostic_both = SET("agnostic-both", 2, node_both, edge_both, window_both);
