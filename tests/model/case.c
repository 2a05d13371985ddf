#include "case.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/random.h"

enum { N_X = 35, N_E = 11 };

ci_model_dim case_dim(void)
{
    return (ci_model_dim){.n_id = CASE_IDS, .id_dim = 16, .n_feature = N_X, .n_edge_feature = N_E, .edge_features = 1,
                          .conv = CI_CONV_GATV2, .layers = 2,
                          .heads = 4, .channels = 24, .head_layers = 3, .head_dim = 192, .n_class = 2, .slope = 0.2f};
}

static ci_u32x4 words(int graph, int what, int row, int col)
{
    return ci_philox(CASE_SEED, CASE_TEST, (uint32_t)graph, (uint32_t)what, (uint32_t)row, (uint32_t)col);
}

static float symmetric(uint32_t w) { return 2.0f * ci_unit(w) - 1.0f; }

static void *room(size_t n, size_t item)
{
    void *p = ci_new(n, item);
    if (!p) abort();
    return p;
}

static void ends(const struct case_graph *g, int k, int *src, int *dst)
{
    const ci_u32x4 w = words(g->number, 3, k, 0);
    const uint32_t n = (uint32_t)g->n_node;
    *src = (int)ci_below(w.v[0], n);
    *dst = (int)ci_below(w.v[1], n);
    if (g->shape == 'l') *dst = *src;
    if (g->shape == 's') {
        *src = 1 + (int)ci_below(w.v[0], n - 1);
        *dst = 0;
    }
    if (g->shape == 'i') {
        *src = (int)ci_below(w.v[0], 4);
        *dst = (int)ci_below(w.v[1], 4);
    }
}

/** The in-edges of one node, and its self-loop with their mean. */
static void node_edges(ci_batch *b, const struct case_graph *g, int i, ci_lid first)
{
    double mean[N_E] = {0};
    int n = 0;
    for (int k = 0; k < g->n_edge; k++) {
        int src, dst;
        ends(g, k, &src, &dst);
        if (dst != i || src == i) continue;
        float *e = b->e + (size_t)b->n_edge * N_E;
        for (int f = 0; f < N_E; f++) mean[f] += e[f] = 2.0f * symmetric(words(g->number, 1, k, f).v[0]);
        b->in_src[b->n_edge++] = first + src;
        n++;
    }
    for (int f = 0; f < N_E; f++) b->e[(size_t)b->n_edge * N_E + f] = n ? (float)(mean[f] / n) : 0;
    b->in_src[b->n_edge++] = first + i;
    b->in_first[first + i + 1] = b->n_edge;
}

ci_batch *case_pack(const struct case_graph *g, int n)
{
    ci_batch *b = room(1, sizeof *b);
    int nodes = 0, edges = 0;
    for (int k = 0; k < n; k++) {
        nodes += g[k].n_node;
        edges += g[k].n_edge;
    }
    b->n_graph = n;
    b->n_node = nodes;
    b->n_feature = N_X;
    b->n_edge_feature = N_E;
    b->first = room((size_t)n + 1, sizeof *b->first);
    b->graph = room((size_t)n, sizeof *b->graph);
    b->label = room((size_t)n, sizeof *b->label);
    b->id = room((size_t)nodes, sizeof *b->id);
    b->x = room((size_t)nodes * N_X, sizeof *b->x);
    b->in_first = room((size_t)nodes + 1, sizeof *b->in_first);
    b->in_src = room((size_t)nodes + edges, sizeof *b->in_src);
    b->e = room(((size_t)nodes + edges) * N_E, sizeof *b->e);
    for (int k = 0; k < n; k++) {
        const ci_lid first = b->first[k];
        b->first[k + 1] = first + g[k].n_node;
        b->graph[k] = g[k].number;
        b->label[k] = (uint8_t)(g[k].number % 2);
        for (int i = 0; i < g[k].n_node; i++) {
            b->id[first + i] = (int32_t)ci_below(words(g[k].number, 2, i, 0).v[0], CASE_IDS + 1);
            for (int f = 0; f < N_X; f++)
                b->x[(size_t)(first + i) * N_X + f] = 2.0f * symmetric(words(g[k].number, 0, i, f).v[0]);
            node_edges(b, &g[k], i, first);
        }
    }
    return b;
}

ci_batch *case_named(const char *name)
{
    static const struct { const char *name; int n; struct case_graph g[4]; } cases[] = {
        {"normal", 3, {{0, 17, 99, 'a'}, {1, 30, 99, 'a'}, {2, 23, 99, 'a'}}},
        {"one_node", 1, {{3, 1, 0, 'a'}}},
        {"star", 1, {{4, 30, 99, 's'}}},
        {"mixed", 4, {{5, 5, 9, 'l'}, {6, 12, 40, 'i'}, {7, 1, 3, 'l'}, {8, 26, 99, 'a'}}},
        {"empty", 0, {{0}}},
    };
    for (size_t k = 0; k < CI_COUNT(cases); k++)
        if (!strcmp(name, cases[k].name)) return case_pack(cases[k].g, cases[k].n);
    return NULL;
}

ci_batch *case_many(int first, int n)
{
    struct case_graph *g = room((size_t)n, sizeof *g);
    for (int k = 0; k < n; k++) g[k] = (struct case_graph){first + k, 20 + (first + k) * 7 % 15, 99, 'a'};
    ci_batch *b = case_pack(g, n);
    free(g);
    return b;
}

void case_free(ci_batch *b)
{
    if (!b) return;
    free(b->first);
    free(b->graph);
    free(b->label);
    free(b->id);
    free(b->x);
    free(b->in_first);
    free(b->in_src);
    free(b->e);
    free(b->raw_first);
    free(b->raw_src);
    free(b->raw_dst);
    free(b->raw_e);
    free(b->raw_label);
    free(b->w);
    free(b);
}

void case_raw(ci_batch *b, const struct case_graph *g)
{
    int edges = 0;
    for (ci_lid k = 0; k < b->n_graph; k++) edges += g[k].n_edge;
    b->raw_first = room((size_t)b->n_graph + 1, sizeof *b->raw_first);
    b->raw_src = room((size_t)edges, sizeof *b->raw_src);
    b->raw_dst = room((size_t)edges, sizeof *b->raw_dst);
    b->raw_e = room((size_t)edges * N_E, sizeof *b->raw_e);
    b->raw_label = room((size_t)edges, sizeof *b->raw_label);
    for (ci_lid k = 0; k < b->n_graph; k++) {
        for (int e = 0; e < g[k].n_edge; e++, b->n_raw++) {
            int src, dst;
            ends(&g[k], e, &src, &dst);
            b->raw_src[b->n_raw] = b->first[k] + src;
            b->raw_label[b->n_raw] = (uint8_t)(words(g[k].number, 9, e, 0).v[0] >> 31);
            b->raw_dst[b->n_raw] = b->first[k] + dst;
            for (int f = 0; f < N_E; f++) b->raw_e[(size_t)b->n_raw * N_E + f] = 2.0f * symmetric(words(g[k].number, 1, e, f).v[0]);
        }
        b->raw_first[k + 1] = b->n_raw;
    }
}

void case_window(ci_batch *b, ci_lid n)
{
    b->n_window_feature = n;
    b->w = case_said(b, 8, 1, n, 2);
}

void case_narrow(ci_batch *b, ci_lid n)
{
    for (ci_lid i = 0; i < b->n_node; i++)
        for (ci_lid f = 0; f < n; f++) b->x[(size_t)i * (size_t)n + (size_t)f] = b->x[(size_t)i * (size_t)b->n_feature + (size_t)f];
    b->n_feature = n;
}

float *case_said(const ci_batch *b, int what, int rows, int cols, float scale)
{
    float *v = room((size_t)(rows ? rows * b->n_graph : b->n_node) * (size_t)cols, sizeof *v), *at = v;
    for (ci_lid g = 0; g < b->n_graph; g++) {
        const ci_lid n = rows ? rows : b->first[g + 1] - b->first[g];
        for (ci_lid i = 0; i < n; i++)
            for (ci_lid d = 0; d < cols; d++) *at++ = scale * symmetric(words((int)b->graph[g], what, i, d).v[0]);
    }
    return v;
}

void case_noise(float *w, ci_gid n, ci_lid number)
{
    for (ci_gid i = 0; i < n; i += 4) {
        const ci_u32x4 r = ci_philox(CASE_SEED, CASE_NOISE, (uint32_t)number, (uint32_t)(i / 4), 0, 0);
        for (ci_gid k = 0; k < 4 && i + k < n; k++) w[i + k] += 0.1f * symmetric(r.v[k]);
    }
}

double case_project(const float *v, ci_gid n, ci_lid number, int k)
{
    double sum = 0;
    for (ci_gid i = 0; i < n; i += 4) {
        const ci_u32x4 r = ci_philox((uint32_t)k, CASE_PROJECT, (uint32_t)number, (uint32_t)(i / 4), 0, 0);
        for (ci_gid j = 0; j < 4 && i + j < n; j++) sum += (double)v[i + j] * symmetric(r.v[j]);
    }
    return sum;
}

double case_norm(const float *v, ci_gid n)
{
    double sum = 0;
    for (ci_gid i = 0; i < n; i++) sum += (double)v[i] * v[i];
    return sqrt(sum);
}

ci_model_step case_step(uint32_t seed, uint32_t epoch, float dropout, float unk_drop, ci_gid n_global)
{
    return (ci_model_step){.seed = seed, .epoch = epoch, .dropout = dropout, .unk_drop = unk_drop,
                           .classify = {.kind = CI_FOCAL, .gamma = 2}, .weight = {[CI_TERM_TASK] = 1}, .n_graph = n_global,
                           .graph_weight = (double)n_global};
}

ci_rc case_forward(const ci_model *m, const float *w, ci_scratch *s, const ci_batch *b, const ci_model_step *step, float *logit)
{
    ci_rc rc = CI_OK;
    const ci_model_pass pass = {.m = m, .w = w, .s = s, .b = b, .step = step};
    CI_TRY(step ? ci_model_run(&pass, 0, 0) : ci_model_forward(m, w, NULL, s, b));
    if (b->n_graph) memcpy(logit, ci_scratch_tensor(m, s, "logit", NULL), 2 * (size_t)b->n_graph * sizeof *logit);
done:
    return rc;
}

ci_rc case_shard(const ci_model *m, const float *w, const float *wt, ci_scratch *s, const ci_batch *b, const ci_model_step *step,
                 float *logit, float *grad, double *loss)
{
    ci_rc rc = CI_OK;
    const ci_model_pass pass = {.m = m, .w = w, .wt = wt, .s = s, .b = b, .step = step, .grad = grad};
    CI_TRY(case_forward(m, w, s, b, step, logit));
    CI_TRY(ci_model_run(&pass, 1, 0));
    *loss = ci_scratch_losses(s)[CI_TERM_TASK];
done:
    return rc;
}
