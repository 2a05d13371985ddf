/** The latent space and what hangs on it. */
#include <stdlib.h>
#include <string.h>
#include "ci/random.h"
#include "model_priv.h"

ci_rc ci_sample_forward(const struct pass *p, const struct record *r)
{
    const ci_lid cols = cols_of(p, r->out);
    const float *mu = p->s->value[r->in[0]], *logvar = p->s->value[r->in[1]];
    float *z = p->s->value[r->out], *eps = p->s->value[r->aux[0]];

    if (!p->step) {
        memcpy(z, mu, (size_t)p->b->n_node * (size_t)cols * sizeof *z);
        return CI_OK;
    }
    for (ci_lid g = 0; g < p->b->n_graph; g++) {
        const ci_lid first = p->b->first[g], n = p->b->first[g + 1] - first;
        ci_normal(p->step->seed, CI_RANDOM_LATENT, p->step->epoch, (uint32_t)p->b->graph[g], r->operation, n * cols,
                  eps + (size_t)first * (size_t)cols);
    }
    ci_sample_normal(mu, logvar, eps, p->b->n_node, cols, (double)p->m->dim.logvar_limit, z);
    return CI_OK;
}

ci_rc ci_sample_backward(const struct pass *p, const struct record *r)
{
    ci_sample_normal_backward(p->s->value[r->in[1]], p->s->value[r->aux[0]], p->s->grad[r->out], p->b->n_node, cols_of(p, r->out),
                              (double)p->m->dim.logvar_limit, p->s->grad[r->in[0]], p->s->grad[r->in[1]]);
    return CI_OK;
}

size_t ci_neighbour_mean_room(const ci_model *m, const struct record *r, ci_lid G, ci_lid N, ci_lid E, ci_lid R)
{
    (void)m, (void)r, (void)G, (void)E, (void)R;
    return (size_t)N;
}

ci_rc ci_neighbour_mean_record_forward(const struct pass *p, const struct record *r)
{
    const ci_batch *b = p->b;
    ci_neighbour_mean(p->s->value[r->in[0]], b->n_node, cols_of(p, r->out), b->n_raw, b->raw_src, b->raw_dst, p->s->work,
                      p->s->value[r->out]);
    return CI_OK;
}

ci_rc ci_neighbour_mean_record_backward(const struct pass *p, const struct record *r)
{
    const ci_batch *b = p->b;
    ci_neighbour_mean_backward(p->s->grad[r->out], b->n_node, cols_of(p, r->out), b->n_raw, b->raw_src, b->raw_dst, p->s->work,
                               p->s->grad[r->in[0]]);
    return CI_OK;
}

/** z of an edge's source beside that of its destination. */
ci_rc ci_edge_pair_forward(const struct pass *p, const struct record *r)
{
    const size_t d = (size_t)cols_of(p, r->in[0]);
    const float *z = p->s->value[r->in[0]];
    float *y = p->s->value[r->out];
    for (ci_lid e = 0; e < p->b->n_raw; e++, y += 2 * d) {
        memcpy(y, z + (size_t)p->b->raw_src[e] * d, d * sizeof *y);
        memcpy(y + d, z + (size_t)p->b->raw_dst[e] * d, d * sizeof *y);
    }
    return CI_OK;
}

ci_rc ci_edge_pair_backward(const struct pass *p, const struct record *r)
{
    const size_t d = (size_t)cols_of(p, r->in[0]);
    const float *dy = p->s->grad[r->out];
    float *dz = p->s->grad[r->in[0]];
    for (ci_lid e = 0; e < p->b->n_raw; e++, dy += 2 * d) {
        float *src = dz + (size_t)p->b->raw_src[e] * d, *dst = dz + (size_t)p->b->raw_dst[e] * d;
        for (size_t k = 0; k < d; k++) src[k] += dy[k];
        for (size_t k = 0; k < d; k++) dst[k] += dy[d + k];
    }
    return CI_OK;
}

static int ascending(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

void ci_near_list(const struct pass *p)
{
    const ci_batch *b = p->b;
    ci_lid *first = p->s->near_first, sum = 0;
    int32_t *near = p->s->near;

    memset(first, 0, ((size_t)b->n_node + 1) * sizeof *first);
    for (ci_lid e = 0; e < b->n_raw; e++) first[b->raw_src[e] + 1]++;
    for (ci_lid i = 0; i < b->n_node; i++) first[i + 1] += first[i];
    for (ci_lid e = 0; e < b->n_raw; e++) near[first[b->raw_src[e]]++] = b->id[b->raw_dst[e]];
    for (ci_lid i = b->n_node; i > 0; i--) first[i] = first[i - 1];
    first[0] = 0;
    for (ci_lid i = 0; i < b->n_node; i++) { /* distinct ones, ascending, moved together */
        const ci_lid from = first[i], to = first[i + 1];
        qsort(near + from, (size_t)(to - from), sizeof *near, ascending);
        first[i] = sum;
        for (ci_lid k = from; k < to; k++)
            if (k == from || near[k] != near[k - 1]) near[sum++] = near[k];
    }
    first[b->n_node] = sum;
}
