#include <string.h>

#include "graph_priv.h"

const ci_feature_set *ci_feature_set_find(const char *name)
{
    static const ci_feature_set *const sets[] = {&ci_kd35};

    for (size_t i = 0; i < CI_COUNT(sets); i++)
        if (!strcmp(name, sets[i]->name)) return sets[i];
    return NULL;
}
