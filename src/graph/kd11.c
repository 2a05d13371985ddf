/** The feature set kd11: 11 columns of a node, 11 of a merged edge (reference-system.md 4.3; ours where
 *  its worked example 4.6 says so).
 *
 *  The W frames of a window are w = W-1 pairs, frame i with frame i+1, i = 0 .. w-1.  R is the set of
 *  pairs whose first frame is the node's, c how many those are: the window's last frame is nobody's
 *  first, so a node that is only there has c = 0.  p_1 < ... < p_c are the positions of the pairs from
 *  src to dst, d_j = p_{j+1} - p_j, deg(v) the ends of pairs that are v.
 *
 *  Products of degrees reach 4 w^2, below 2^36, and shares need all of their bits: single precision only. */
#include "graph_priv.h"

#define MEAN(k) {"byte" #k "_mean", "1", "mean of byte " #k " / 255 over the c frames of the node but the window's last; 0 if c = 0", 0, CI_SCALE_Z, CI_GROUP_NONE}

static const ci_feature node[] = {
    {"vocabulary", "index", "number of the identifier in the vocabulary, 0 unknown", 0, CI_SCALE_INDEX, CI_GROUP_NONE},
    MEAN(0), MEAN(1), MEAN(2), MEAN(3), MEAN(4), MEAN(5), MEAN(6), MEAN(7),
    {"msg_share", "1", "(c - c_min) / (c_max - c_min) over the graph's nodes; c where those are equal", 0, CI_SCALE_Z, CI_GROUP_NONE},
    {"last_position", "1", "position of the last of these frames / max(w-1, 1); 0 if c = 0; w: pairs of frames in the window", 0, CI_SCALE_Z, CI_GROUP_NONE},
};

static const ci_feature edge[] = {
    {"count", "count", "c: pairs of frames from src to dst", 0, CI_SCALE_Z, CI_GROUP_NONE},
    {"frequency", "1", "c / w", 0, CI_SCALE_Z, CI_GROUP_NONE},
    {"gap_mean", "frames", "mean of the gaps p_{j+1} - p_j between its positions p_1 < ... < p_c; 0 if c = 1", 0, CI_SCALE_Z, CI_GROUP_NONE},
    {"gap_std", "frames", "population standard deviation of these gaps; 0 if c = 1", 0, CI_SCALE_Z, CI_GROUP_NONE},
    {"regularity", "1", "1 / (1 + gap_std); 0 if c = 1", 0, CI_SCALE_Z, CI_GROUP_NONE},
    {"first_position", "1", "p_1 / w", 0, CI_SCALE_Z, CI_GROUP_NONE},
    {"last_position", "1", "p_c / w", 0, CI_SCALE_Z, CI_GROUP_NONE},
    {"duration", "1", "(p_c - p_1) / w", 0, CI_SCALE_Z, CI_GROUP_NONE},
    {"bidir", "1", "1 if the graph has an edge dst -> src, a self-loop included", 0, CI_SCALE_Z, CI_GROUP_NONE},
    {"degree_product", "1", "deg(src) deg(dst), deg: ends of pairs that are the node", -16, CI_SCALE_Z, CI_GROUP_NONE},
    {"degree_ratio", "1", "deg(src) / deg(dst)", 0, CI_SCALE_Z, CI_GROUP_NONE},
};

const ci_feature_set ci_kd11 = {.name = "kd11", .version = 1, .merged = true, .single = true, .n_node = CI_COUNT(node),
                                .n_edge = CI_COUNT(edge), .node = node, .edge = edge};
