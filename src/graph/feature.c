#include <string.h>

#include "graph_priv.h"

static const ci_feature_set *const sets[] = {&ci_kd35, &ci_kd11, &ci_agnostic, &ci_agnostic_none, &ci_agnostic_both};

const ci_feature_set *ci_feature_set_at(size_t i)
{
    return i < CI_COUNT(sets) ? sets[i] : NULL;
}

const ci_feature_set *ci_feature_set_find(const char *name)
{
    for (size_t i = 0; i < CI_COUNT(sets); i++)
        if (!strcmp(name, sets[i]->name)) return sets[i];
    return NULL;
}

const ci_feature_set *ci_feature_set_of(const char *set, const char *past)
{
    if (strcmp(set, ci_agnostic.name) != 0) return ci_feature_set_find(set);
    if (strcmp(past, "none") == 0) return &ci_agnostic_none;
    return strcmp(past, "both") == 0 ? &ci_agnostic_both : &ci_agnostic;
}

ci_lid ci_feature_rows(const ci_feature_set *set, ci_lid frames, bool compat)
{
    return frames + (set->merged && compat);
}

ci_lid ci_feature_edges(const ci_feature_set *set, ci_lid frames, bool compat)
{
    return set->merged ? frames - 1 + compat : frames - 1 - compat;
}
