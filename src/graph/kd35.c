/** The feature set kd35: 35 columns of a node, 11 of an edge (reference-system.md 4.4; ours where
 *  its worked example 4.6 says so).
 *
 *  Scales.  Half precision holds 11 significant bits between 6.1e-5 and 65504.  A column is scaled by
 *  the power of two that leaves its largest legal value (frames up to 65535) below 65504 and its
 *  smallest non-zero value, where it can, above 6.1e-5:
 *
 *    byte mean   at most 255, at least 1/65535      2^7    32640, 2.0e-3
 *    byte std    at most 255/sqrt(2) = 180.4        2^7    23083
 *    byte range, |difference|, bidir                2^0    integers up to 255 are exact
 *    counts, degrees, edge_freq  at most 65535      2^-1   32767.5; exact up to 2048
 *    entropy     at most ln 8 = 2.08                2^14   34070
 *    skewness, kurtosis  at most 10 in absolute     2^12   40960
 *    clustering  at most d/(d-1) <= 2               2^14   32768
 *    shares      at most 1, at least 1/(8*65534)    2^15   32768, 6.2e-2
 *    times       1 us must keep its 11 bits         2^10   normal from 60 ns; beyond 63.9 s the
 *                                                          column saturates, as no time is bounded */
#include "graph_priv.h"

#define MEAN(k) {"byte" #k "_mean", "1", "sum of byte " #k " over the node's frames / c", 7, CI_SCALE_Z, CI_GROUP_NONE}
#define STD(k) {"byte" #k "_std", "1", "sample standard deviation of byte " #k "; 0 if c < 2", 7, CI_SCALE_Z, CI_GROUP_NONE}
#define RANGE(k) {"byte" #k "_range", "1", "largest - smallest byte " #k, 0, CI_SCALE_Z, CI_GROUP_NONE}
#define DIFF(k) {"byte" #k "_diff", "1", "|byte " #k " of frame t+1 - byte " #k " of frame t|", 0, CI_SCALE_Z, CI_GROUP_NONE}

static const ci_feature node[] = {
    MEAN(0), MEAN(1), MEAN(2), MEAN(3), MEAN(4), MEAN(5), MEAN(6), MEAN(7),
    STD(0), STD(1), STD(2), STD(3), STD(4), STD(5), STD(6), STD(7),
    RANGE(0), RANGE(1), RANGE(2), RANGE(3), RANGE(4), RANGE(5), RANGE(6), RANGE(7),
    {"msg_count", "count", "c: the node's frames in the window", -1, CI_SCALE_Z, CI_GROUP_NONE},
    {"entropy_mean", "nat", "mean over its frames of -sum_k p_k ln p_k, p_k = byte k / sum of the bytes", 14, CI_SCALE_Z, CI_GROUP_NONE},
    {"skewness", "1", "(1/8) sum_k clip(m3 / m2^(3/2), -10, 10), population moments; 0 where m2 = 0", 12, CI_SCALE_Z, CI_GROUP_NONE},
    {"kurtosis", "1", "(1/8) sum_k clip(m4 / m2^2 - 3, -10, 10), population moments; 0 where m2 = 0", 12, CI_SCALE_Z, CI_GROUP_NONE},
    {"clustering_coeff", "1", "2 triangles / (d (d-1)) over undirected pairs, self-pairs kept; 0 if d < 2", 14, CI_SCALE_Z, CI_GROUP_NONE},
    {"split_half_ratio", "1", "share of its frames among the window's first floor(W/2)", 15, CI_SCALE_Z, CI_GROUP_NONE},
    {"change_rate", "1", "(1/8) sum_k share of consecutive frames whose byte k differs; 0 if c < 2", 15, CI_SCALE_Z, CI_GROUP_NONE},
    {"node_iat_mean", "s", "mean time between its consecutive frames; 0 if c < 2", 10, CI_SCALE_Z, CI_GROUP_NONE},
    {"node_iat_std", "s", "sample standard deviation of those times; 0 if c < 3", 10, CI_SCALE_Z, CI_GROUP_NONE},
    {"in_degree", "count", "edges into the node, repeated ones counted", -1, CI_SCALE_Z, CI_GROUP_NONE},
    {"out_degree", "count", "edges out of the node, repeated ones counted", -1, CI_SCALE_Z, CI_GROUP_NONE},
};

static const ci_feature edge[] = {
    {"iat", "s", "time of frame t+1 - time of frame t", 10, CI_SCALE_Z, CI_GROUP_NONE},
    DIFF(0), DIFF(1), DIFF(2), DIFF(3), DIFF(4), DIFF(5), DIFF(6), DIFF(7),
    {"bidir", "1", "1 if the graph has an edge dst -> src, a self-loop included", 0, CI_SCALE_Z, CI_GROUP_NONE},
    {"edge_freq", "count", "edges of the graph with this src and dst", -1, CI_SCALE_Z, CI_GROUP_NONE},
};

const ci_feature_set ci_kd35 = {
    .name = "kd35", .version = 1, .n_node = CI_COUNT(node), .n_edge = CI_COUNT(edge), .node = node, .edge = edge};
