/* The body of a batch on a device, against the lists that tests make on the host: pool and batch have their graphs in different orders. */
#include "ci_test.h"
#include "cuda_test.h"

/** The batch's graphs as a pool has them, the last one first. */
struct pool { int32_t *slot; ci_k_pool dev; };

static int32_t graph_rows(const ci_batch *b, ci_rows rows, int g)
{
    if (rows == CI_ROWS_NODE) return b->first[g];
    return rows == CI_ROWS_EDGE ? b->in_first[b->first[g]] : b->raw_first[g];
}

/** Rows of `size` bytes in the pool's order. */
static void *turned(struct cuda *c, const ci_batch *b, ci_rows rows, const void *from, size_t size)
{
    const int G = b->n_graph;
    char *to = calloc((size_t)graph_rows(b, rows, G) + 1, size ? size : 1), *at = to;
    assert_non_null(to);
    for (int g = G - 1; g >= 0; g--) {
        const size_t first = (size_t)graph_rows(b, rows, g) * size, last = (size_t)graph_rows(b, rows, g + 1) * size;
        memcpy(at, (const char *)from + first, last - first);
        at += last - first;
    }
    void *dev = cuda_put(c, to, (size_t)(at - to));
    free(to);
    return dev;
}

/** Node numbers within their graph, in the pool's order. */
static int32_t *local(struct cuda *c, const ci_batch *b, ci_rows rows, const int32_t *node)
{
    const int n = graph_rows(b, rows, b->n_graph);
    int32_t *own = cuda_ints((size_t)n);
    for (int g = 0; g < b->n_graph; g++)
        for (int e = graph_rows(b, rows, g); e < graph_rows(b, rows, g + 1); e++) own[e] = node[e] - b->first[g];
    int32_t *dev = turned(c, b, rows, own, sizeof *own);
    free(own);
    return dev;
}

static struct pool pool_put(struct cuda *c, const struct cuda_batch *t)
{
    const ci_batch *b = &t->all;
    const int G = b->n_graph;
    struct pool p = {.slot = cuda_ints((size_t)G)};
    int32_t *in_first = cuda_ints((size_t)b->n_node + (size_t)G), *at = in_first;
    uint8_t *label = calloc((size_t)G + 1, 1);
    float *w = calloc((size_t)G * (size_t)b->n_window_feature + 1, sizeof *w);

    assert_true(label && w);
    for (ci_rows rows = CI_ROWS_NODE; rows < CI_ROWS_COUNT; rows++) {
        int64_t *first = calloc((size_t)G + 1, sizeof *first);
        assert_non_null(first);
        for (int k = 0; k < G; k++) first[k + 1] = first[k] + graph_rows(b, rows, G - k) - graph_rows(b, rows, G - 1 - k);
        p.dev.first[rows] = cuda_put(c, first, ((size_t)G + 1) * sizeof *first);
        free(first);
    }
    for (int k = 0; k < G; k++) {
        const int g = G - 1 - k;
        p.slot[g] = k;
        label[k] = b->label[g];
        memcpy(w + k * b->n_window_feature, b->w + g * b->n_window_feature, (size_t)b->n_window_feature * sizeof *w);
        for (int i = b->first[g]; i <= b->first[g + 1]; i++) *at++ = b->in_first[i] - b->in_first[b->first[g]];
    }
    p.dev.label = cuda_put(c, label, (size_t)G);
    p.dev.w = cuda_put(c, w, (size_t)G * (size_t)b->n_window_feature * sizeof *w);
    p.dev.in_first = cuda_put_ints(c, in_first, (size_t)(at - in_first));
    p.dev.id = turned(c, b, CI_ROWS_NODE, b->id, sizeof *b->id);
    p.dev.x = turned(c, b, CI_ROWS_NODE, b->x, (size_t)b->n_feature * sizeof *b->x);
    p.dev.in_src = local(c, b, CI_ROWS_EDGE, b->in_src);
    p.dev.e = turned(c, b, CI_ROWS_EDGE, b->e, (size_t)b->n_edge_feature * sizeof *b->e);
    p.dev.raw_src = local(c, b, CI_ROWS_RAW, b->raw_src);
    p.dev.raw_dst = local(c, b, CI_ROWS_RAW, b->raw_dst);
    p.dev.raw_e = turned(c, b, CI_ROWS_RAW, b->raw_e, (size_t)b->n_edge_feature * sizeof *b->raw_e);
    p.dev.raw_label = turned(c, b, CI_ROWS_RAW, b->raw_label, 1);
    free(label);
    free(w);
    return p;
}

/** The arrays of a body: how many bytes each has. */
#define BODY(b, n, S, X)                                                                                                             \
    X(label, (n)[0]) X(w, (n)[0] * (b)->n_window_feature * 4) X(shard_first[1], ((S) + 1) * 4) X(shard_first[2], ((S) + 1) * 4)    \
    X(row_graph[1], (n)[1] * 4) X(row_graph[2], (n)[2] * 4) X(id, (n)[1] * 4) X(x, (n)[1] * (b)->n_feature * 4)                    \
    X(in_first, ((n)[1] + 1) * 4) X(in_src, (n)[2] * 4) X(in_dst, (n)[2] * 4) X(e, (n)[2] * (b)->n_edge_feature * 4)               \
    X(out_first, ((n)[1] + 1) * 4) X(out_edge, (n)[2] * 4)
#define RAW(b, n, S, X)                                                                                                              \
    X(shard_first[3], ((S) + 1) * 4) X(row_graph[3], (n)[3] * 4) X(raw_src, (n)[3] * 4) X(raw_dst, (n)[3] * 4)                     \
    X(raw_e, (n)[3] * (b)->n_edge_feature * 4) X(raw_label, (n)[3]) X(raw_out_first, ((n)[1] + 1) * 4) X(raw_out, (n)[3] * 4)      \
    X(raw_in_first, ((n)[1] + 1) * 4) X(raw_in, (n)[3] * 4)

static void same(struct cuda *c, const char *what, const void *got, const void *want, int bytes)
{
    unsigned char *a = calloc((size_t)bytes + 1, 1), *b = calloc((size_t)bytes + 1, 1);
    assert_true(a && b);
    cuda_get(c, a, got, (size_t)bytes);
    cuda_get(c, b, want, (size_t)bytes);
    cuda_record(c, a, (size_t)bytes);
    for (int i = 0; i < bytes; i++)
        if (a[i] != b[i]) fail_msg("%s: byte %d of %d is %d, not %d", what, i, bytes, a[i], b[i]);
    free(a);
    free(b);
}

static void assembled(struct cuda *c, const struct cuda_shape *shape, bool raw)
{
    struct cuda_batch t;
    cuda_batch_make(c, shape, &t);
    const struct pool p = pool_put(c, &t);
    const int32_t *n = t.step.n;
    ci_k_batch got = t.dev;

    got.slot = cuda_put_ints(c, p.slot, (size_t)n[0]);
#define FRESH(field, bytes) got.field = cuda_room(c, (size_t)(bytes));
    BODY(&t.all, n, t.n_shard, FRESH)
    RAW(&t.all, n, t.n_shard, FRESH)
    if (!raw) got.raw_src = got.raw_dst = NULL;
    c->k->assemble(c->d.dev, &got, &p.dev);
    cuda_wait(c);
#define SAME(field, bytes) same(c, #field, got.field, t.dev.field, bytes);
    BODY(&t.all, n, t.n_shard, SAME)
    if (raw) {
        RAW(&t.all, n, t.n_shard, SAME)
    }
    cuda_batch_free(&t);
}

static void usual(struct cuda *c)
{
    const struct cuda_shape s = cuda_usual();
    assembled(c, &s, true);
    assembled(c, &s, false);
}

/** More nodes than a block has threads, more edges than a warp looks at once. */
static void large(struct cuda *c)
{
    const struct cuda_shape s = {.n_graph = 2, .node = {301, 33}, .n_shard = 3, .graphs = {1, 0, 1}, .F = 1, .K = 1, .W = 1, .n_id = 400, .hub = 1};
    assembled(c, &s, true);
}

static void nothing(struct cuda *c)
{
    const struct cuda_shape s = cuda_nothing(), bare = {.n_graph = 3, .node = {4, 1, 6}, .n_shard = 1, .graphs = {3}, .n_id = 3};
    assembled(c, &s, true);
    assembled(c, &bare, true);
}

static void assemble__lists_what_the_host_lists(void **state) { cuda_each_order(state, usual); }
static void assemble__has_no_limit_of_size(void **state) { cuda_each_order(state, large); }
static void assemble__takes_no_rows_and_no_columns(void **state) { cuda_each_order(state, nothing); }

static const struct CMUnitTest tests[] = {cmocka_unit_test(assemble__lists_what_the_host_lists), cmocka_unit_test(assemble__has_no_limit_of_size),
                                          cmocka_unit_test(assemble__takes_no_rows_and_no_columns)};
CI_TEST_MAIN(tests)
