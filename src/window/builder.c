#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "window_priv.h"

static ci_window_kernel *kernel_choose(void)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("fma"))
        return ci_kd35_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return ci_kd35_avx2;
#endif
    return ci_kd35_generic;
}

/** The library's long logarithm, rounded once: the double one has a variant for each processor. */
static void nlogn_fill(double *nlogn)
{
    nlogn[0] = 0;
    for (int n = 1; n < SUM_MAX; n++) nlogn[n] = (double)(n * logl(n));
}

static bool builder_reserve(ci_builder *b)
{
    const size_t n = (size_t)b->frames, slots = (size_t)1 << (32 - b->shift);

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
    return b->wide && b->pair && b->wide_id && b->node && b->first && b->next && b->early && b->data &&
           b->t_ns && b->entropy && b->matrix && b->pair_at && b->list_first && b->list && b->mark &&
           b->triangle && b->clustering;
}

ci_rc ci_builder_create(const ci_feature_set *set, ci_lid frames, bool compat, ci_builder **out)
{
    ci_rc rc = CI_OK;
    ci_builder *b = NULL;
    const ci_lid least = compat ? 3 : 2;

    *out = NULL;
    if (frames < least || frames > UINT16_MAX)
        CI_FAIL(CI_ECONF, "window.frames is %d, not %d to %d", frames, least, UINT16_MAX);
    if (set->n_node != KD35_NODE || set->n_edge != KD35_EDGE)
        CI_FAIL(CI_ECONF, "feature set %s cannot be built from frames", set->name);
    b = calloc(1, sizeof *b);
    if (!b) CI_FAIL(CI_ENOMEM, "builder of windows of %d frames", frames);
    *b = (ci_builder){.set = set, .frames = frames, .first_edge = compat, .n_edge = frames - 1 - compat};
    b->kernel = kernel_choose();
    for (b->shift = 31; 1u << (32 - b->shift) < 2u * (uint32_t)frames;) b->shift--;
    if (!builder_reserve(b)) CI_FAIL(CI_ENOMEM, "builder of windows of %d frames", frames);
    nlogn_fill(b->nlogn);
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
    free(b);
    *out = NULL;
}

ci_lid ci_builder_edges(const ci_builder *b)
{
    return b->n_edge;
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
    assert(r >= 0 && r <= t->n - b->frames);
    stamp_next(b);
    *out_attack = any_attack(t->attack + r, b->frames);
    return ci_distinct_mark(b, t->id + r);
}

ci_rc ci_window_build(ci_builder *b, const ci_table *t, ci_lid r, ci_graphs *g)
{
    ci_rc rc = CI_OK;
    ci_lid n_node;
    uint8_t attack;

    if (r < 0 || r > t->n - b->frames)
        CI_FAIL(CI_EARG, "rows %d to %d of a table of %d", r, r + b->frames - 1, t->n);
    n_node = ci_window_nodes(b, t, r, &attack);
    if (g->set != b->set || g->n_graph == g->cap_graph || n_node > g->cap_node - g->n_node ||
        b->n_edge > g->cap_edge - g->n_edge)
        CI_FAIL(CI_EARG, "no room for a graph of %d nodes and %d edges after %d graphs", n_node, b->n_edge,
                g->n_graph);
    ci_distinct_order(b, t->id + r, g->id + g->n_node);
    b->kernel(b, t, r, n_node, g);
    g->row[g->n_graph] = t->first_row + r;
    g->attack[g->n_graph] = attack;
    g->n_graph++;
    g->n_node += n_node;
    g->n_edge += b->n_edge;
    g->node_first[g->n_graph] = g->n_node;
    g->edge_first[g->n_graph] = g->n_edge;
done:
    return rc;
}
