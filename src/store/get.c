/* Columns of a store as numbers. */
#include <string.h>
#include "store_priv.h"

void ci_store_node_x(const ci_store *st, int64_t first_node, int64_t n_node, float *x)
{
    const ci_lid F = st->set->n_node;
    float by[128];

    for (ci_lid k = 0; k < F; k++) by[k] = __builtin_ldexpf(1, -st->set->node[k].log2_scale);
    ci_half_to_f32(st->node_x + first_node * F, (size_t)(n_node * F), x);
    for (int64_t i = 0; i < n_node; i++)
        for (ci_lid k = 0; k < F; k++) x[i * F + k] *= by[k];
}

static ci_lid local(const ci_store *st, const void *column, int64_t i)
{
    return st->wide_local ? ((const uint16_t *)column)[i] : ((const uint8_t *)column)[i];
}

void ci_store_ends(const ci_store *st, int64_t edge, ci_lid *src, ci_lid *dst)
{
    *src = local(st, st->edge_src, edge);
    *dst = local(st, st->edge_dst, edge);
}

void ci_store_edge(const ci_store *st, int64_t edge, float *e)
{
    e[0] = st->edge_iat[edge];
    for (int k = 0; k < 8; k++) e[1 + k] = st->edge_byte[8 * edge + k];
    e[9] = st->edge_bidir[edge];
    e[10] = (float)local(st, st->edge_freq, edge);
}

int32_t ci_store_id(const ci_store *st, int64_t node)
{
    return st->wide_id ? (int32_t)((const uint32_t *)st->node_id)[node]
                       : ((const uint16_t *)st->node_id)[node];
}
