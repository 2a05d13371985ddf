#ifndef CI_GRAPH_PRIV_H
#define CI_GRAPH_PRIV_H
#include "ci/graph.h"

extern const ci_feature_set ci_kd35; /**< version 1 of "kd35" */
extern const ci_feature_set ci_kd11; /**< version 1 of "kd11" */

#endif
