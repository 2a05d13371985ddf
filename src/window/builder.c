#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "window_priv.h"

static ci_window_kernel *kernel_choose(bool merged)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
        return merged ? ci_kd11_avx512 : ci_kd35_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
        return merged ? ci_kd11_avx2 : ci_kd35_avx2;
#endif
    return merged ? ci_kd11_generic : ci_kd35_generic;
}

/** The library's long logarithm, rounded once: the double one has a variant for each processor. */
static void nlogn_fill(double *nlogn)
{
    nlogn[0] = 0;
    for (int n = 1; n < SUM_MAX; n++) nlogn[n] = (double)(n * logl(n));
}

static bool builder_reserve(ci_builder *b)
{
    const size_t n = (size_t)b->rows, slots = (size_t)1 << (32 - b->shift);

    b->wide = calloc(slots, sizeof *b->wide);
    b->pair = calloc(slots, sizeof *b->pair);
    b->wide_id = malloc(n * sizeof *b->wide_id);
    b->node = malloc(n * sizeof *b->node);
    b->first = malloc((n + 1) * sizeof *b->first);
    b->next = malloc(n * sizeof *b->next);
    b->early = malloc(n * sizeof *b->early);
    b->data = malloc(n * sizeof *b->data);
    b->t_ns = malloc(n * sizeof *b->t_ns);
    b->entropy = malloc(n * sizeof *b->entropy);
    b->matrix = calloc(DENSE * DENSE, sizeof *b->matrix);
    b->pair_at = malloc(n * sizeof *b->pair_at);
    b->list_first = malloc((n + 1) * sizeof *b->list_first);
    b->list = malloc(2 * n * sizeof *b->list);
    b->mark = malloc(n * sizeof *b->mark);
    b->triangle = malloc(n * sizeof *b->triangle);
    b->clustering = malloc(n * sizeof *b->clustering);
    b->share = malloc((n + 1) * sizeof *b->share);
    b->edge_of = malloc(DENSE * DENSE * sizeof *b->edge_of);
    b->edge_at = malloc(n * sizeof *b->edge_at);
    b->merged = malloc(n * sizeof *b->merged);
    b->sum = malloc(n * sizeof *b->sum);
    return b->wide && b->pair && b->wide_id && b->node && b->first && b->next && b->early && b->data &&
           b->t_ns && b->entropy && b->matrix && b->pair_at && b->list_first && b->list && b->mark &&
           b->triangle && b->clustering && b->share && b->edge_of && b->edge_at && b->merged && b->sum;
}

ci_rc ci_builder_create(const ci_feature_set *set, ci_lid frames, bool compat, ci_builder **out)
{
    ci_rc rc = CI_OK;
    ci_builder *b = NULL;
    const ci_lid least = set->stream ? 4 : compat && !set->merged ? 3 : 2;

    *out = NULL;
    if (frames < least || frames > UINT16_MAX)
        CI_FAIL(CI_ECONF, "window.frames is %d, not %d to %d", frames, least, UINT16_MAX);
    if (set->stream && compat) CI_FAIL(CI_ECONF, "features.compat: reference is for kd35 and kd11, features.set is %s; set it to none", set->name);
    if (!set->stream && (set->n_node != (set->merged ? KD11_NODE : KD35_NODE) || set->n_edge != (set->merged ? KD11_EDGE : KD35_EDGE)))
        CI_FAIL(CI_ECONF, "feature set %s cannot be built from frames", set->name);
    b = calloc(1, sizeof *b);
    if (!b) CI_FAIL(CI_ENOMEM, "builder of windows of %d frames", frames);
    *b = (ci_builder){.set = set, .frames = frames, .rows = ci_feature_rows(set, frames, compat),
                      .first_edge = compat && !set->merged, .n_edge = ci_feature_edges(set, frames, compat)};
    b->kernel = set->stream ? NULL : kernel_choose(set->merged);
    for (b->shift = 31; 1u << (32 - b->shift) < 2u * (uint32_t)b->rows;) b->shift--;
    if (!builder_reserve(b)) CI_FAIL(CI_ENOMEM, "builder of windows of %d frames", frames);
    nlogn_fill(b->nlogn);
    for (ci_lid k = 0; k <= b->n_edge; k++) b->share[k] = (float)((double)k / b->n_edge);
    *out = b;
    b = NULL;
done:
    ci_builder_destroy(&b);
    return rc;
}

void ci_builder_destroy(ci_builder **out)
{
    ci_builder *const b = out ? *out : NULL;

    if (!b) return;
    free(b->wide);
    free(b->pair);
    free(b->wide_id);
    free(b->node);
    free(b->first);
    free(b->next);
    free(b->early);
    free(b->data);
    free(b->t_ns);
    free(b->entropy);
    free(b->matrix);
    free(b->pair_at);
    free(b->list_first);
    free(b->list);
    free(b->mark);
    free(b->triangle);
    free(b->clustering);
    free(b->share);
    free(b->edge_of);
    free(b->edge_at);
    free(b->merged);
    free(b->sum);
    free(b);
    *out = NULL;
}

ci_lid ci_builder_edges(const ci_builder *b)
{
    return b->n_edge;
}

void ci_builder_number(ci_builder *b, const uint32_t *id, const int32_t *number, int32_t n)
{
    b->known = id;
    b->number = number;
    b->n_known = n;
    memset(b->of_narrow, 0, sizeof b->of_narrow);
    for (int32_t i = 0; i < n && id[i] < NARROW; i++) b->of_narrow[id[i]] = number[i];
}

int32_t ci_number(const ci_builder *b, uint32_t id)
{
    int32_t lo = 0, hi = b->n_known;

    if (id < NARROW) return b->of_narrow[id];
    while (lo < hi) {
        const int32_t mid = lo + (hi - lo) / 2;
        if (b->known[mid] < id) lo = mid + 1;
        else hi = mid;
    }
    return lo < b->n_known && b->known[lo] == id ? b->number[lo] : 0;
}

/** A new stamp empties both hashes; after 2^32 windows they are emptied by hand. */
static void stamp_next(ci_builder *b)
{
    const size_t slots = (size_t)1 << (32 - b->shift);

    if (++b->stamp) return;
    memset(b->wide, 0, slots * sizeof *b->wide);
    memset(b->pair, 0, slots * sizeof *b->pair);
    b->stamp = 1;
}

static uint8_t any_attack(const uint8_t *attack, ci_lid n)
{
    uint8_t any = 0;

    for (ci_lid t = 0; t < n; t++) any |= attack[t];
    return any != 0;
}

ci_lid ci_window_nodes(ci_builder *b, const ci_table *t, ci_lid r, uint8_t *out_attack)
{
    assert(r >= 0 && r <= t->n - b->rows);
    stamp_next(b);
    *out_attack = any_attack(t->attack + r, b->frames);
    return ci_distinct_mark(b, t->id + r);
}

ci_lid ci_window_edges(ci_builder *b, const ci_table *t, ci_lid r, ci_lid n_node)
{
    if (!b->set->merged) return b->n_edge;
    ci_distinct_order(b, t->id + r, b->sum[0]); /* room for 8 identifiers a row */
    return ci_merge(b, n_node, b->list, b->list + b->rows);
}

/** Count the nodes of the window and see that its graph has room behind those of g. */
static ci_rc window_begin(ci_builder *b, const ci_table *t, ci_lid r, const ci_graphs *g, ci_lid *out_node, uint8_t *out_attack)
{
    ci_rc rc = CI_OK;

    if (r < 0 || r > t->n - b->rows)
        CI_FAIL(CI_EARG, "rows %d to %d of a table of %d", r, r + b->rows - 1, t->n);
    *out_node = ci_window_nodes(b, t, r, out_attack);
    if (g->set != b->set || g->n_graph == g->cap_graph || *out_node > g->cap_node - g->n_node ||
        b->n_edge > g->cap_edge - g->n_edge)
        CI_FAIL(CI_EARG, "no room for a graph of %d nodes and %d edges after %d graphs", *out_node, b->n_edge,
                g->n_graph);
done:
    return rc;
}

static void window_end(const ci_table *t, ci_lid r, ci_lid n_node, ci_lid n_edge, uint8_t attack, ci_graphs *g)
{
    g->row[g->n_graph] = t->first_row + r;
    g->attack[g->n_graph] = attack;
    g->n_graph++;
    g->n_node += n_node;
    g->n_edge += n_edge;
    g->node_first[g->n_graph] = g->n_node;
    g->edge_first[g->n_graph] = g->n_edge;
}

ci_rc ci_window_build(ci_builder *b, const ci_table *t, ci_lid r, ci_graphs *g)
{
    ci_rc rc = CI_OK;
    ci_lid n_node;
    uint8_t attack;

    if (!b->kernel) CI_FAIL(CI_ECONF, "features %s are built from the stream, not from a window", b->set->name);
    CI_TRY(window_begin(b, t, r, g, &n_node, &attack));
    ci_distinct_order(b, t->id + r, g->id + g->n_node);
    window_end(t, r, n_node, b->kernel(b, t, r, n_node, g), attack, g);
done:
    return rc;
}

ci_rc ci_window_outline(ci_builder *b, const ci_table *t, ci_lid r, ci_graphs *g)
{
    ci_rc rc = CI_OK;
    ci_lid n_node;
    uint8_t attack;

    CI_TRY(window_begin(b, t, r, g, &n_node, &attack));
    window_end(t, r, n_node, ci_window_edges(b, t, r, n_node), attack, g);
done:
    return rc;
}
