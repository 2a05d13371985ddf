#include "zoo.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"

static const struct case_graph graphs[ZOO_GRAPHS] = {{0, 17, 99, 'a'}, {3, 1, 0, 'a'},   {4, 30, 99, 's'},
                                                     {5, 5, 9, 'l'},   {6, 12, 40, 'i'}, {8, 26, 99, 'a'}};

static void *room(size_t n, size_t item)
{
    void *p = ci_new(n ? n : 1, item);
    if (!p) abort();
    return p;
}

/** "a=1 b=2\n" as ci_model_dim_parse wants it. */
static void dim_line(struct zoo *z, char *text)
{
    for (char *c = text; *c; c++)
        if (*c == ' ') *c = '\n';
    z->dim_text = strdup(text);
    if (!z->dim_text || ci_model_dim_parse(text, &z->dim) != CI_OK) abort();
}

/** Columns whose groups are as the oracle has them. */
static const ci_feature_set *zoo_set(void)
{
    static ci_feature node[35], edge[11], window[9];
    static const ci_feature_set set = {.name = "zoo", .n_node = CI_COUNT(node), .n_edge = CI_COUNT(edge), .n_window = CI_COUNT(window),
                                       .node = node, .edge = edge, .window = window};
    for (size_t k = 0; k < CI_COUNT(node); k++) node[k].group = (ci_group)(k % CI_GROUP_COUNT);
    for (size_t k = 0; k < CI_COUNT(edge); k++) edge[k].group = (ci_group)((k + 1) % CI_GROUP_COUNT);
    for (size_t k = 0; k < CI_COUNT(window); k++) window[k].group = (ci_group)((k + 2) % CI_GROUP_COUNT);
    return &set;
}

static void step_line(struct zoo *z, const char *text)
{
    double v[19];
    int used;
    for (size_t k = 0; k < CI_COUNT(v); k++, text += used)
        if (sscanf(text, "%lf%n", &v[k], &used) != 1) abort();
    z->step = (ci_model_step){.seed = 7, .epoch = 3, .classify = {.kind = (int)v[0], .gamma = v[1], .weight = {v[2], v[3]}},
                              .temperature = v[11], .latent = v[12], .recon = v[13], .mask = (float)v[14], .graph_weight = v[16],
                              .group_drop = (float)v[18], .set = zoo_set()};
    memcpy(z->step.weight, v + 4, sizeof z->step.weight);
    z->curriculum = (int)v[15];
    z->n_masked = (ci_gid)v[17];
}

int zoo_read(const char *path, struct zoo *out)
{
    static char line[8192];
    FILE *f = fopen(path, "r");
    int n = 0;

    if (!f) abort();
    while (fgets(line, sizeof line, f)) {
        char which[8];
        if (sscanf(line, "model %39s %7s", out[n].name, which) == 2) {
            out[n].few = !strcmp(which, "few");
            if (++n > ZOO_MAX) abort();
        }
        if (!strncmp(line, "dim ", 4)) dim_line(&out[n - 1], line + 4);
        if (!strncmp(line, "step ", 5)) {
            step_line(&out[n - 1], line + 5);
            out[n - 1].at = ftell(f);
        }
    }
    fclose(f);
    return n;
}

void zoo_free(struct zoo *z, int n)
{
    for (int k = 0; k < n; k++) free(z[k].dim_text);
}

const struct zoo *zoo_find(const struct zoo *z, int n, const char *name)
{
    for (int k = 0; k < n; k++)
        if (!strcmp(z[k].name, name)) return &z[k];
    abort();
}

static float *weight_of(const ci_batch *b)
{
    float *w = case_said(b, 7, 1, 1, 1); /* in [-1,1) */
    for (ci_lid g = 0; g < b->n_graph; g++) w[g] = (w[g] + 1) / 2;
    return w;
}

static ci_model_aid aid_of(const struct zoo *z, const ci_batch *b)
{
    const ci_model_dim *d = &z->dim;
    ci_model_aid aid = {0};
    if (z->curriculum) aid.weight = weight_of(b);
    if (d->teacher && d->kind == CI_GAT) aid.teacher_logit = case_said(b, 4, 1, 2, 3);
    if (d->teacher && d->kind == CI_VGAE) {
        aid.teacher_mu = case_said(b, 5, 0, d->teacher, 1);
        aid.teacher_recon = case_said(b, 6, 0, d->n_feature - d->x_first, 1);
    }
    return aid;
}

void bench_shard(struct bench *t, ci_batch *b)
{
    const int k = t->n_shard++;
    t->b[k] = b;
    t->aid[k] = aid_of(t->zoo, b);
    if (ci_scratch_create(t->m, 8, 128, 600, 400, &t->s[k]) != CI_OK) abort();
    t->step.n_graph += b->n_graph;
    t->step.n_node += b->n_node;
    t->step.n_raw += b->n_raw;
    for (ci_lid g = 0; g < b->n_graph; g++)
        t->step.n_masked += ci_model_masked(t->m, &t->step, b->graph[g], b->first[g + 1] - b->first[g]);
}

static void shard_add(struct bench *t, int first, int n)
{
    ci_batch *b = case_pack(graphs + first, n);
    case_raw(b, graphs + first);
    case_narrow(b, t->zoo->dim.n_feature);
    case_window(b, 9);
    bench_shard(t, b);
}

int bench_begin(const struct zoo *z, const char *isa, struct bench *t)
{
    ci_lid n_param;

    *t = (struct bench){.zoo = z, .step = z->step};
    if (ci_model_create(&z->dim, isa, &t->m) != CI_OK) return 0;
    if (ci_cuts_create(t->m, &t->cuts) != CI_OK) abort();
    t->n = ci_model_size(t->m);
    t->n_state = ci_model_state_size(t->m);
    t->w = room((size_t)t->n, sizeof *t->w);
    t->grad = room((size_t)t->n, sizeof *t->grad);
    t->state = room((size_t)t->n_state, sizeof *t->state);
    t->running = room((size_t)t->n_state, sizeof *t->state);
    t->wt = room((size_t)ci_model_prepared_size(t->m), sizeof *t->wt);
    ci_model_init(t->m, CASE_SEED, t->w, t->state);
    const ci_param *p = ci_model_params(t->m, &n_param);
    for (ci_lid k = 0; k < n_param; k++) {
        case_noise(t->w + p[k].first, (ci_gid)p[k].rows * p[k].cols, k);
        for (ci_lid d = 0; strstr(p[k].name, "mean_scale") && d < p[k].cols; d++) t->w[p[k].first + d] -= 0.25f;
    }
    return 1;
}

int bench_open(const struct zoo *z, const char *isa, int per, struct bench *t)
{
    const int n = z->few ? 2 : ZOO_GRAPHS;
    if (!bench_begin(z, isa, t)) return 0;
    for (int first = 0; first < n; first += per ? per : n) {
        shard_add(t, first, CI_MIN(per ? per : n, n - first));
        if (per && !first) shard_add(t, 0, 0);
    }
    return 1;
}

void bench_close(struct bench *t)
{
    for (int k = 0; k < t->n_shard; k++) {
        case_free(t->b[k]);
        ci_scratch_destroy(&t->s[k]);
        free((void *)(uintptr_t)t->aid[k].weight);
        free((void *)(uintptr_t)t->aid[k].teacher_logit);
        free((void *)(uintptr_t)t->aid[k].teacher_mu);
        free((void *)(uintptr_t)t->aid[k].teacher_recon);
    }
    ci_cuts_destroy(&t->cuts);
    ci_model_destroy(&t->m);
    free(t->w);
    free(t->wt);
    free(t->grad);
    free(t->state);
    free(t->running);
}

/** Pass k of all shards, and the cut behind it. */
static ci_rc pass(struct bench *t, int backward, ci_lid k, double *loss)
{
    ci_rc rc = CI_OK;
    double *sum = NULL;

    for (int i = 0; i < t->n_shard; i++) {
        const ci_model_pass p = {.m = t->m, .w = t->w, .wt = t->wt, .s = t->s[i], .b = t->b[i], .step = &t->step, .aid = &t->aid[i],
                                 .cuts = t->cuts, .grad = t->grad};
        CI_TRY(ci_model_run(&p, backward, k));
    }
    if (k == ci_model_cuts(t->m, backward)) goto done;
    for (int i = 0; i < t->n_shard; i++) {
        ci_lid n;
        const double *one = ci_scratch_sums(t->m, t->s[i], backward, k, &n);
        if (!sum) sum = room((size_t)n, sizeof *sum);
        for (ci_lid j = 0; j < n; j++) sum[j] += one[j];
    }
    CI_TRY(ci_cuts_close(t->m, t->cuts, &t->step, backward, k, sum, loss));
done:
    free(sum);
    return rc;
}

ci_rc bench_forward(struct bench *t, double *loss)
{
    ci_rc rc = CI_OK;
    memset(loss, 0, CI_TERM_COUNT * sizeof *loss);
    for (ci_lid k = 0; k <= ci_model_cuts(t->m, 0); k++) CI_TRY(pass(t, 0, k, loss));
done:
    return rc;
}

ci_rc bench_step(struct bench *t, double *loss)
{
    ci_rc rc = CI_OK;

    memset(t->grad, 0, (size_t)t->n * sizeof *t->grad);
    ci_model_prepare(t->m, t->w, t->wt);
    CI_TRY(bench_forward(t, loss));
    for (ci_lid k = 0; k <= ci_model_cuts(t->m, 1); k++) CI_TRY(pass(t, 1, k, loss));
    for (int i = 0; i < t->n_shard; i++)
        for (int k = 0; k < CI_TERM_COUNT; k++) loss[k] += ci_scratch_losses(t->s[i])[k];
    memcpy(t->running, t->state, (size_t)t->n_state * sizeof *t->state);
    ci_cuts_running(t->m, t->cuts, &t->step, t->running);
done:
    return rc;
}

double bench_total(const double *loss)
{
    double sum = 0;
    for (int k = 0; k < CI_TERM_COUNT; k++) sum += loss[k];
    return sum;
}
