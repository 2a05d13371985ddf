#ifndef CI_GRAPH_PRIV_H
#define CI_GRAPH_PRIV_H
#include "ci/graph.h"

extern const ci_feature_set ci_kd35; /**< version 1 of "kd35" */
extern const ci_feature_set ci_kd11; /**< version 1 of "kd11" */
extern const ci_feature_set ci_agnostic, ci_agnostic_none, ci_agnostic_both; /**< version 1 of each */

#endif
