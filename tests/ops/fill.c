#include "fill.h"
#include <stdio.h>
#include <stdlib.h>
#include "ci/arena.h"
#include "ci/random.h"

static void *room(size_t n, size_t item)
{
    void *p = ci_new(n, item);
    if (!p) abort();
    return p;
}

static float number(uint32_t seed, size_t i)
{
    return 2.0f * ci_unit(ci_philox(seed, 200, (uint32_t)i, 0, 0, 0).v[0]) - 1.0f;
}

float *fill_f(size_t n, uint32_t seed)
{
    float *x = room(n, sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = number(seed, i);
    return x;
}

double *fill_d(size_t n, uint32_t seed)
{
    double *x = room(n, sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = (double)number(seed, i);
    return x;
}

fill_graph fill_csr(ci_lid n_node, ci_lid most)
{
    fill_graph g = {.first = room((size_t)n_node + 1, sizeof *g.first),
                    .src = room((size_t)n_node * 8 + most, sizeof *g.src)};
    for (ci_lid i = 0; i < n_node; i++) {
        const ci_lid n = i == n_node - 1 ? most : i % 8;
        for (ci_lid k = 0; k < n; k++)
            g.src[g.n_edge++] = (ci_lid)ci_below(ci_philox(3, 200, (uint32_t)i, (uint32_t)k, 0, 0).v[0], (uint32_t)n_node);
        g.first[i + 1] = g.n_edge;
    }
    g.csr = (ci_csr){n_node, g.first, g.src};
    return g;
}

void fill_release(fill_graph *g)
{
    free(g->first);
    free(g->src);
    *g = (fill_graph){0};
}

size_t fill_tables(const ci_ops *out[3])
{
    static const char *const names[] = {"generic", "avx2", "avx512"};
    size_t n = 0;
    for (size_t k = 0; k < CI_COUNT(names); k++) {
        out[n] = ci_ops_get(names[k]);
        if (out[n]) n++;
        else printf("skip - ops %s: this machine cannot run it\n", names[k]);
    }
    return n;
}
