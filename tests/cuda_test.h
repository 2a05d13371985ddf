#ifndef CI_CUDA_TEST_H
#define CI_CUDA_TEST_H
/** What tests of a device's kernels share.  The backend is the one that CANIDS_BACKEND names: tests/run.py names the emulation's, and
 *  `make check-gpu` leaves it to the program to find the real one.  A test includes ci_test.h, then this.
 *
 *      static void relu__is_that_of_the_cpu(struct cuda *c) { ... cuda_record(c, host, bytes); ... }
 *      static void relu__is_that_of_the_cpu_in_any_order(void **state) { cuda_each_order(state, relu__is_that_of_the_cpu); }
 *
 *  The case runs once with threads forward, in reverse and shuffled; what it records must have the same bits each time. */
#include <math.h>
#include <string.h>
#include "ci/batch.h"
#include "ci/device.h"
#include "ci/kernels.h"
#include "ci/random.h"

#define CUDA_USED __attribute__((unused)) static

enum { CUDA_BLOCKS = 4096 };

struct cuda {
    ci_device d;
    const ci_runtime *r;
    const ci_kernels *k;
    void *block[CUDA_BLOCKS]; /* device memory, gone with the device */
    int n_block;
    unsigned char *bytes;     /* what was recorded */
    size_t n_byte;
};

/* ---- memory and comparisons ---- */

CUDA_USED void cuda_ok(const struct cuda *c, ci_rc rc)
{
    if (rc != CI_OK) fail_msg("%s: %s", ci_rc_name(rc), c->r->message());
}

CUDA_USED void *cuda_room(struct cuda *c, size_t bytes)
{
    void *p = NULL;
    assert_true(c->n_block < CUDA_BLOCKS);
    cuda_ok(c, c->r->alloc(c->d.dev, bytes ? bytes : 1, &p));
    c->block[c->n_block++] = p;
    return p;
}

CUDA_USED void cuda_wait(struct cuda *c) { cuda_ok(c, c->r->sync(c->d.dev, 60, "test")); }

/** A copy of host memory on the device; NULL for NULL. */
CUDA_USED void *cuda_put(struct cuda *c, const void *host, size_t bytes)
{
    if (!host) return NULL;
    void *p = cuda_room(c, bytes);
    if (bytes) cuda_ok(c, c->r->upload(c->d.dev, p, host, bytes));
    cuda_wait(c);
    return p;
}

CUDA_USED void *cuda_zeros(struct cuda *c, size_t bytes)
{
    void *p = cuda_room(c, bytes);
    if (bytes) cuda_ok(c, c->r->zero(c->d.dev, p, bytes));
    return p;
}

/** Waits for all kernels asked so far, then copies. */
CUDA_USED void cuda_get(struct cuda *c, void *host, const void *dev, size_t bytes)
{
    if (bytes) cuda_ok(c, c->r->download(c->d.dev, host, dev, bytes));
    cuda_wait(c);
}

CUDA_USED float *cuda_get_floats(struct cuda *c, const float *dev, size_t n)
{
    float *v = calloc(n ? n : 1, sizeof *v);
    assert_non_null(v);
    cuda_get(c, v, dev, n * sizeof *v);
    return v;
}

CUDA_USED void cuda_record(struct cuda *c, const void *host, size_t bytes)
{
    c->bytes = realloc(c->bytes, c->n_byte + bytes + 1);
    assert_non_null(c->bytes);
    memcpy(c->bytes + c->n_byte, host, bytes);
    c->n_byte += bytes;
}

/** max|got - want| <= tolerance max(max|want|, floor). */
CUDA_USED void cuda_close(const char *what, const double *got, const double *want, size_t n, double tolerance, double least)
{
    double most = least, worst = 0;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) most = fabs(want[i]) > most ? fabs(want[i]) : most;
    for (size_t i = 0; i < n && worst == worst; i++) { /* what is no number is worst, and stays it */
        const double e = fabs(got[i] - want[i]);
        if (!(e <= worst)) {
            worst = e;
            at = i;
        }
    }
    if (!(worst <= tolerance * most))
        fail_msg("%s: %zu of %zu is %.9g, not %.9g (largest %.9g, tolerance %g)", what, at, n, got[at], want[at], most, tolerance);
}

CUDA_USED void cuda_close_floats(const char *what, const float *got, const float *want, size_t n, double tolerance)
{
    double *a = calloc(2 * n + 1, sizeof *a), *b = a + n;
    assert_non_null(a);
    for (size_t i = 0; i < n; i++) {
        a[i] = (double)got[i];
        b[i] = (double)want[i];
    }
    cuda_close(what, a, b, n, tolerance, 0);
    free(a);
}

/** Downloads, records, compares; frees nothing but its own. */
CUDA_USED void cuda_check(struct cuda *c, const char *what, const float *dev, const float *want, size_t n, double tolerance)
{
    float *got = cuda_get_floats(c, dev, n);
    cuda_record(c, got, n * sizeof *got);
    cuda_close_floats(what, got, want, n, tolerance);
    free(got);
}

/** Downloads, records, compares bit by bit. */
CUDA_USED void cuda_check_bits(struct cuda *c, const char *what, const float *dev, const float *want, size_t n)
{
    float *got = cuda_get_floats(c, dev, n);
    cuda_record(c, got, n * sizeof *got);
    for (size_t i = 0; i < n; i++)
        if (memcmp(&got[i], &want[i], sizeof *got)) fail_msg("%s: %zu of %zu is %.9g, not %.9g", what, i, n, (double)got[i], (double)want[i]);
    free(got);
}

/* ---- gradients and losses as integer sums ---- */

enum { CUDA_EXPONENT = 32 };

CUDA_USED ci_k_grad cuda_grad(struct cuda *c, size_t n)
{
    const int32_t exponent = CUDA_EXPONENT;
    return (ci_k_grad){.sum = cuda_zeros(c, n * sizeof(int64_t)), .exponent = cuda_put(c, &exponent, sizeof exponent),
                       .largest = cuda_zeros(c, sizeof(uint32_t))};
}

/** want: sums over shards, in double. */
CUDA_USED void cuda_check_grad(struct cuda *c, const char *what, ci_k_grad g, const double *want, size_t n, double tolerance)
{
    int64_t *sum = calloc(n + 1, sizeof *sum);
    double *got = calloc(n + 1, sizeof *got);
    assert_true(sum && got);
    cuda_get(c, sum, g.sum, n * sizeof *sum);
    cuda_record(c, sum, n * sizeof *sum);
    for (size_t i = 0; i < n; i++) got[i] = ldexp((double)sum[i], -CUDA_EXPONENT);
    cuda_close(what, got, want, n, tolerance, 1e-6);
    free(sum);
    free(got);
}

CUDA_USED ci_k_loss cuda_loss(struct cuda *c)
{
    return (ci_k_loss){.sum = cuda_zeros(c, sizeof(int64_t)), .bad = cuda_zeros(c, sizeof(uint32_t))};
}

CUDA_USED double cuda_get_loss(struct cuda *c, ci_k_loss l)
{
    int64_t sum = 0;
    cuda_get(c, &sum, l.sum, sizeof sum);
    cuda_record(c, &sum, sizeof sum);
    return ldexp((double)sum, -CI_LOSS_BITS);
}

/* ---- random inputs ---- */

/** Uniform in [-1, 1), the same for the same stream and place. */
CUDA_USED float cuda_random(uint32_t stream, size_t i)
{
    return 2 * ci_unit(ci_philox(99, CI_RANDOM_SIM, stream, (uint32_t)(i / 4), 0, 0).v[i % 4]) - 1;
}

CUDA_USED uint32_t cuda_random_below(uint32_t stream, size_t i, uint32_t n)
{
    return ci_below(ci_philox(98, CI_RANDOM_SIM, stream, (uint32_t)(i / 4), 0, 0).v[i % 4], n);
}

CUDA_USED float *cuda_floats(uint32_t stream, size_t n)
{
    float *v = calloc(n ? n : 1, sizeof *v);
    assert_non_null(v);
    for (size_t i = 0; i < n; i++) v[i] = cuda_random(stream, i);
    return v;
}

/* ---- a batch of shards, on both sides ---- */

enum { CUDA_SHARDS = 16 };

/** Nodes of each graph, and how many graphs each shard has (may be 0). */
struct cuda_shape {
    int n_graph, node[96];
    int n_shard, graphs[CUDA_SHARDS];
    int F, K, W, n_id; /* columns of nodes, edges, windows; identifiers */
    int hub;           /* 1: the first node of the largest graph has 99 in-edges beside its self-loop */
};

/** The usual one: five shards, one of them empty, graphs of one node among them. */
CUDA_USED struct cuda_shape cuda_usual(void)
{
    return (struct cuda_shape){.n_graph = 9, .node = {5, 1, 17, 38, 1, 7, 2, 61, 3}, .n_shard = 5, .graphs = {3, 0, 2, 1, 3},
                               .F = 7, .K = 5, .W = 3, .n_id = 12, .hub = 1};
}

/** Nothing at all: one shard without graphs. */
CUDA_USED struct cuda_shape cuda_nothing(void) { return (struct cuda_shape){.n_shard = 1, .F = 7, .K = 5, .W = 3, .n_id = 12}; }

struct cuda_batch {
    ci_batch all;                  /* host: every graph, as one shard */
    ci_batch shard[CUDA_SHARDS];   /* host: each shard, its rows counted from 0 */
    int n_shard, n_id;
    int32_t first[CI_ROWS_COUNT][CUDA_SHARDS + 1]; /* where the rows of shards begin in `all` */
    ci_k_step step;                /* as uploaded */
    ci_k_batch dev;                /* head and body complete */
};

CUDA_USED int32_t *cuda_ints(size_t n)
{
    int32_t *v = calloc(n + 1, sizeof *v);
    assert_non_null(v);
    return v;
}

/** Host part: graphs with random edges; in-edges by target, a self-loop last; raw edges in any order. */
CUDA_USED void cuda_batch_host(const struct cuda_shape *s, struct cuda_batch *t)
{
    ci_batch *b = &t->all;
    int largest = 0, E = 0, R = 0, N = 0;

    memset(t, 0, sizeof *t);
    b->n_graph = s->n_graph;
    b->n_feature = s->F;
    b->n_edge_feature = s->K;
    b->n_window_feature = s->W;
    for (int g = 0; g < s->n_graph; g++) {
        N += s->node[g];
        if (s->node[g] > s->node[largest]) largest = g;
    }
    b->n_node = N;
    b->first = cuda_ints((size_t)s->n_graph + 1);
    b->raw_first = cuda_ints((size_t)s->n_graph + 1);
    b->graph = calloc((size_t)s->n_graph + 1, sizeof *b->graph);
    b->label = calloc((size_t)s->n_graph + 1, 1);
    b->id = cuda_ints((size_t)N);
    b->in_first = cuda_ints((size_t)N + 1);
    b->in_src = cuda_ints((size_t)N * 8 + 200);
    b->raw_src = cuda_ints((size_t)N * 4 + 8);
    b->raw_dst = cuda_ints((size_t)N * 4 + 8);
    b->raw_label = calloc((size_t)N * 4 + 8, 1);
    assert_true(b->graph && b->label && b->raw_label);
    for (int g = 0, base = 0; g < s->n_graph; base += s->node[g++]) {
        const int n = s->node[g];
        b->graph[g] = 1000 + 7 * g;
        b->label[g] = (uint8_t)cuda_random_below(1, (size_t)g, 2);
        for (int i = 0; i < n; i++) {
            const int v = base + i, hub = s->hub && g == largest && i == 0;
            const int in = n == 1 ? 0 : hub ? 99 : (int)cuda_random_below(2, (size_t)v, 6);
            b->id[v] = (int32_t)cuda_random_below(3, (size_t)v, (uint32_t)s->n_id + 1);
            b->in_first[v] = E;
            for (int k = 0; k < in; k++) {
                int from = (int)cuda_random_below(4, (size_t)E, (uint32_t)n);
                if (from == i) from = (i + 1) % n;
                b->in_src[E++] = base + from;
            }
            b->in_src[E++] = v;
        }
        for (int k = 0; k < 2 * n; k++, R++) {
            b->raw_src[R] = base + (int)cuda_random_below(5, (size_t)R, (uint32_t)n);
            b->raw_dst[R] = base + (int)cuda_random_below(6, (size_t)R, (uint32_t)n);
            b->raw_label[R] = (uint8_t)cuda_random_below(7, (size_t)R, 2);
        }
        b->first[g + 1] = base + n;
        b->raw_first[g + 1] = R;
    }
    b->in_first[N] = b->n_edge = E;
    b->n_raw = R;
    b->x = cuda_floats(11, (size_t)N * (size_t)s->F);
    b->e = cuda_floats(12, (size_t)E * (size_t)s->K);
    b->raw_e = cuda_floats(13, (size_t)R * (size_t)s->K);
    b->w = cuda_floats(14, (size_t)s->n_graph * (size_t)s->W);
    t->n_id = s->n_id;
}

CUDA_USED int32_t *cuda_minus(const int32_t *v, int32_t n, int32_t by)
{
    int32_t *u = cuda_ints((size_t)n);
    for (int32_t i = 0; i < n; i++) u[i] = v[i] - by;
    return u;
}

/** Shards of `all`: rows shared where they need not change. */
CUDA_USED void cuda_batch_cut(const struct cuda_shape *s, struct cuda_batch *t)
{
    const ci_batch *b = &t->all;
    int g = 0;

    t->n_shard = s->n_shard;
    for (int k = 0; k < s->n_shard; g += s->graphs[k++]) {
        const int G = s->graphs[k], n0 = b->first[g], n1 = b->first[g + G], e0 = b->in_first[n0], e1 = b->in_first[n1];
        const int r0 = b->raw_first[g], r1 = b->raw_first[g + G];
        t->shard[k] = (ci_batch){.n_graph = G, .n_node = n1 - n0, .n_edge = e1 - e0, .n_raw = r1 - r0, .n_feature = b->n_feature,
                                 .n_edge_feature = b->n_edge_feature, .n_window_feature = b->n_window_feature,
                                 .first = cuda_minus(b->first + g, G + 1, n0), .graph = b->graph + g, .label = b->label + g,
                                 .w = b->w + (size_t)g * (size_t)s->W, .id = b->id + n0, .x = b->x + (size_t)n0 * (size_t)s->F,
                                 .in_first = cuda_minus(b->in_first + n0, n1 - n0 + 1, e0), .in_src = cuda_minus(b->in_src + e0, e1 - e0, n0),
                                 .e = b->e + (size_t)e0 * (size_t)s->K, .raw_first = cuda_minus(b->raw_first + g, G + 1, r0),
                                 .raw_src = cuda_minus(b->raw_src + r0, r1 - r0, n0), .raw_dst = cuda_minus(b->raw_dst + r0, r1 - r0, n0),
                                 .raw_e = b->raw_e + (size_t)r0 * (size_t)s->K, .raw_label = b->raw_label + r0};
        t->first[CI_ROWS_GRAPH][k + 1] = g + G;
        t->first[CI_ROWS_NODE][k + 1] = n1;
        t->first[CI_ROWS_EDGE][k + 1] = e1;
        t->first[CI_ROWS_RAW][k + 1] = r1;
    }
    assert_int_equal(g, s->n_graph);
}

/** Items 0..n-1 listed by key, ascending: what the device has for edges by source. */
CUDA_USED void cuda_list(const int32_t *key, int n, int n_key, int32_t *first, int32_t *item)
{
    memset(first, 0, ((size_t)n_key + 1) * sizeof *first);
    for (int i = 0; i < n; i++) first[key[i] + 1]++;
    for (int k = 0; k < n_key; k++) first[k + 1] += first[k];
    for (int k = 0; k < n_key; k++) {
        int at = first[k];
        for (int i = 0; i < n; i++)
            if (key[i] == k) item[at++] = i;
    }
}

CUDA_USED int32_t *cuda_put_ints(struct cuda *c, int32_t *v, size_t n)
{
    int32_t *p = cuda_put(c, v, n * sizeof *v);
    free(v);
    return p;
}

/** The same on the device, with room for `spare` rows more of each kind. */
CUDA_USED void cuda_batch_put(struct cuda *c, struct cuda_batch *t, int spare)
{
    const ci_batch *b = &t->all;
    const int32_t n[CI_ROWS_COUNT] = {b->n_graph, b->n_node, b->n_edge, b->n_raw};
    ci_k_batch *d = &t->dev;
    int32_t *row[CI_ROWS_COUNT] = {0}, *edge_first = cuda_ints((size_t)n[0] + 1), *dst = cuda_ints((size_t)n[2]), *first, *item;

    *d = (ci_k_batch){.most_shard = t->n_shard + spare, .n_feature = b->n_feature, .n_edge_feature = b->n_edge_feature,
                      .n_window_feature = b->n_window_feature, .training = 1, .hide = -1};
    t->step = (ci_k_step){.n_shard = t->n_shard, .all_shard = t->n_shard, .n_rank = 1, .keep = 1, .t = 1, .n_node = n[1]};
    for (int k = 0; k < CI_ROWS_COUNT; k++) {
        t->step.n[k] = n[k];
        d->most[k] = n[k] + spare;
        d->shard_first[k] = cuda_put(c, t->first[k], ((size_t)t->n_shard + 1) * sizeof(int32_t));
        if (k) row[k] = cuda_ints((size_t)n[k]);
    }
    for (int s = 0; s < CI_SCALE_COUNT; s++) t->step.scale[s] = 0.5 + 0.125 * s;
    for (int g = 0; g < n[0]; g++) {
        for (int i = b->first[g]; i < b->first[g + 1]; i++) {
            row[1][i] = g;
            for (int e = b->in_first[i]; e < b->in_first[i + 1]; e++) {
                row[2][e] = g;
                dst[e] = i;
            }
        }
        for (int e = b->raw_first[g]; e < b->raw_first[g + 1]; e++) row[3][e] = g;
        edge_first[g + 1] = b->in_first[b->first[g + 1]];
    }
    d->step = cuda_put(c, &t->step, sizeof t->step);
    d->graph = cuda_put(c, b->graph, (size_t)n[0] * sizeof *b->graph);
    d->graph_first[1] = cuda_put(c, b->first, ((size_t)n[0] + 1) * sizeof(int32_t));
    d->graph_first[2] = cuda_put_ints(c, edge_first, (size_t)n[0] + 1);
    d->graph_first[3] = cuda_put(c, b->raw_first, ((size_t)n[0] + 1) * sizeof(int32_t));
    d->shard_graph = d->shard_first[0];
    d->label = cuda_put(c, b->label, (size_t)n[0]);
    d->w = cuda_put(c, b->w, (size_t)n[0] * (size_t)b->n_window_feature * sizeof(float));
    d->id = cuda_put(c, b->id, (size_t)n[1] * sizeof(int32_t));
    d->x = cuda_put(c, b->x, (size_t)n[1] * (size_t)b->n_feature * sizeof(float));
    d->in_first = cuda_put(c, b->in_first, ((size_t)n[1] + 1) * sizeof(int32_t));
    d->in_src = cuda_put(c, b->in_src, (size_t)n[2] * sizeof(int32_t));
    d->e = cuda_put(c, b->e, (size_t)n[2] * (size_t)b->n_edge_feature * sizeof(float));
    d->raw_src = cuda_put(c, b->raw_src, (size_t)n[3] * sizeof(int32_t));
    d->raw_dst = cuda_put(c, b->raw_dst, (size_t)n[3] * sizeof(int32_t));
    d->raw_e = cuda_put(c, b->raw_e, (size_t)n[3] * (size_t)b->n_edge_feature * sizeof(float));
    d->raw_label = cuda_put(c, b->raw_label, (size_t)n[3]);
#define LISTS(key, count, to_first, to_item)                       \
    first = cuda_ints((size_t)n[1] + 1);                           \
    item = cuda_ints((size_t)(count));                             \
    cuda_list(key, count, n[1], first, item);                      \
    to_first = cuda_put_ints(c, first, (size_t)n[1] + 1);          \
    to_item = cuda_put_ints(c, item, (size_t)(count))
    LISTS(b->in_src, n[2], d->out_first, d->out_edge);
    LISTS(b->raw_src, n[3], d->raw_out_first, d->raw_out);
    LISTS(b->raw_dst, n[3], d->raw_in_first, d->raw_in);
#undef LISTS
    d->in_dst = cuda_put_ints(c, dst, (size_t)n[2]);
    for (int k = 1; k < CI_ROWS_COUNT; k++) d->row_graph[k] = cuda_put_ints(c, row[k], (size_t)n[k]);
}

CUDA_USED void cuda_batch_make(struct cuda *c, const struct cuda_shape *s, struct cuda_batch *t)
{
    cuda_batch_host(s, t);
    cuda_batch_cut(s, t);
    cuda_batch_put(c, t, 3);
}

/** After a change of t->step. */
CUDA_USED void cuda_batch_step(struct cuda *c, struct cuda_batch *t)
{
    cuda_ok(c, c->r->upload(c->d.dev, t->dev.step, &t->step, sizeof t->step));
    cuda_wait(c);
}

CUDA_USED void cuda_batch_free(struct cuda_batch *t)
{
    ci_batch *b = &t->all;
    for (int k = 0; k < t->n_shard; k++) {
        ci_batch *s = &t->shard[k];
        void *own[] = {s->first, s->in_first, s->in_src, s->raw_first, s->raw_src, s->raw_dst};
        for (size_t i = 0; i < CI_COUNT(own); i++) free(own[i]);
    }
    void *own[] = {b->first, b->graph, b->label, b->w, b->id, b->x, b->in_first, b->in_src, b->e, b->raw_first, b->raw_src, b->raw_dst, b->raw_e, b->raw_label};
    for (size_t i = 0; i < CI_COUNT(own); i++) free(own[i]);
}

/* ---- running a case ---- */

CUDA_USED void cuda_open(struct cuda *c, const char *order)
{
    memset(c, 0, sizeof *c);
    setenv("CANIDS_EMU_ORDER", order, 1);
    if (ci_device_open(0, &c->d) != CI_OK) {
        print_message("no device: %s\n", ci_message());
        skip();
    }
    c->r = c->d.backend->runtime;
    c->k = c->d.backend->kernels;
}

CUDA_USED void cuda_shut(struct cuda *c)
{
    for (int k = 0; k < c->n_block; k++) c->r->release(c->d.dev, c->block[k]);
    ci_device_close(&c->d);
    c->n_block = 0;
}

CUDA_USED void cuda_each_order(void **state, void (*one)(struct cuda *c))
{
    static const char *const order[] = {"forward", "reverse", "shuffle"};
    unsigned char *bytes = NULL;
    size_t n = 0;

    (void)state;
    for (int k = 0; k < 3; k++) {
        struct cuda c;
        cuda_open(&c, order[k]);
        one(&c);
        cuda_shut(&c);
        if (k == 0) {
            bytes = c.bytes;
            n = c.n_byte;
            continue;
        }
        assert_int_equal(c.n_byte, n);
        for (size_t i = 0; i < n; i++)
            if (bytes[i] != c.bytes[i]) fail_msg("byte %zu of %zu differs with threads in order %s", i, n, order[k]);
        free(c.bytes);
    }
    free(bytes);
}

#endif
