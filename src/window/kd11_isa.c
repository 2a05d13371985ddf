/** Rows of features of kd11 (reference-system.md 4.3 and 4.6), compiled once for each instruction set.
 *
 *  Sums are of integers and exact; a column is divided once in double and rounded once, so that all
 *  builds give the same bits. */
#include <math.h>
#include <string.h>

#include "window_priv.h"

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)

typedef uint8_t v8u8 __attribute__((vector_size(8)));
typedef uint32_t v8u32 __attribute__((vector_size(32)));
typedef int32_t v8i32 __attribute__((vector_size(32)));
typedef float v8f __attribute__((vector_size(32)));
typedef double v8d __attribute__((vector_size(64)));

/** Per node: frames that begin a pair (first), the last of them (next) and the sums of their bytes. */
static void nodes_add(ci_builder *b, const uint64_t *data, ci_lid n_node)
{
    memset(b->first, 0, (size_t)n_node * sizeof *b->first);
    memset(b->next, 0, (size_t)n_node * sizeof *b->next);
    memset(b->sum, 0, (size_t)n_node * sizeof *b->sum);
    for (ci_lid i = 0; i < b->n_edge; i++) {
        const ci_lid v = b->node[i];
        v8u8 byte;
        v8u32 sum;
        memcpy(&byte, &data[i], sizeof byte);
        memcpy(&sum, b->sum[v], sizeof sum);
        sum += __builtin_convertvector(byte, v8u32);
        memcpy(b->sum[v], &sum, sizeof sum);
        b->first[v]++;
        b->next[v] = i;
    }
}

/** x[1..8]: sums of up to 65535 bytes are below 2^24, so that signed conversion, which every
 *  instruction set has, is right. */
static inline void means_put(const uint32_t *sums, ci_lid c, float *x)
{
    const double all = 255. * CI_MAX(c, 1);
    v8i32 sum;
    v8d mean;
    v8f single;

    memcpy(&sum, sums, sizeof sum);
    mean = __builtin_convertvector(sum, v8d) / all;
    single = __builtin_convertvector(mean, v8f);
    memcpy(x + 1, &single, sizeof single);
}

static void nodes_put(const ci_builder *b, const uint32_t *id, ci_lid n_node, float *x)
{
    const double last = CI_MAX(b->n_edge - 1, 1);
    ci_lid least = b->first[0], most = b->first[0];

    for (ci_lid v = 1; v < n_node; v++) {
        least = CI_MIN(least, b->first[v]);
        most = CI_MAX(most, b->first[v]);
    }
    for (ci_lid v = 0; v < n_node; v++, x += KD11_NODE) {
        const ci_lid c = b->first[v];
        x[0] = (float)ci_number(b, id[v]);
        means_put(b->sum[v], c, x);
        x[9] = most > least ? (float)((double)(c - least) / (most - least)) : (float)c;
        x[10] = (float)(b->next[v] / last);
    }
}

static void edges_add(ci_builder *b, ci_lid n)
{
    memset(b->merged, 0, (size_t)n * sizeof *b->merged);
    for (ci_lid i = 0; i < b->n_edge; i++) {
        struct merged *const m = &b->merged[b->edge_at[i]];
        const int64_t gap = m->count ? i - m->last : 0;
        m->gap2 += gap * gap;
        m->first = m->count ? m->first : i;
        m->last = i;
        m->count++;
    }
}

/** Ends of pairs that are v: every frame of v begins one and ends one, but for the window's ends. */
static inline double degree(const ci_builder *b, ci_lid v)
{
    return 2 * b->first[v] - (v == b->node[0]) + (v == b->node[b->n_edge]);
}

static void edges_put(const ci_builder *b, ci_lid n_node, ci_lid n, const ci_lid *src, const ci_lid *dst, float *e)
{
    for (ci_lid i = 0; i < n; i++, e += KD11_EDGE) {
        const struct merged *const m = &b->merged[i];
        const double from = degree(b, src[i]), to = degree(b, dst[i]);
        const ci_lid span = m->last - m->first;
        e[0] = (float)m->count;
        e[1] = b->share[m->count];
        e[2] = e[3] = e[4] = 0;
        if (m->count > 1) {
            const int64_t gaps = m->count - 1, var = gaps * m->gap2 - (int64_t)span * span; /* times gaps^2 */
            const double std = sqrt((double)var) / (double)gaps;
            e[2] = (float)((double)span / (double)gaps);
            e[3] = (float)std;
            e[4] = (float)(1 / (1 + std));
        }
        e[5] = b->share[m->first];
        e[6] = b->share[m->last];
        e[7] = b->share[span];
        e[8] = ci_merged_has(b, n_node, dst, dst[i], src[i]);
        e[9] = (float)(from * to);
        e[10] = (float)(from / to);
    }
}

ci_lid JOIN(ci_kd11, CI_ISA)(ci_builder *b, const ci_table *t, ci_lid r, ci_lid n_node, ci_graphs *g)
{
    ci_lid *const src = g->src + g->n_edge, *const dst = g->dst + g->n_edge;
    const ci_lid n = ci_merge(b, n_node, src, dst);

    nodes_add(b, t->data + r, n_node);
    nodes_put(b, g->id + g->n_node, n_node, g->x + (size_t)g->n_node * KD11_NODE);
    edges_add(b, n);
    edges_put(b, n_node, n, src, dst, g->e + (size_t)g->n_edge * KD11_EDGE);
    return n;
}
