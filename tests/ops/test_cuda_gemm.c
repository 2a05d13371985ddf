/* Products and their gradients on a device: the bits of the processor's in fp32, and in tf32 and bf16 those of rounded factors. */
#include "ci_test.h"
#include "cuda_test.h"
#include "ci/ops.h"

/* ---- products ---- */

struct product {
    ci_rows rows;
    int N, K, K2, wider, b_t, add, bias, relu; /* wider: rows are so many floats longer than they need be */
    int aligned;                               /* 0: factors begin 4 bytes behind a multiple of 16         */
    int gate;                                  /* C passes the backward of a relu                          */
};

static const struct product products[] = {
    {CI_ROWS_NODE, 37, 19, 0, 0, 0, 0, 1, 0, 1, 0},  {CI_ROWS_NODE, 64, 64, 0, 0, 0, 0, 0, 0, 1, 0}, {CI_ROWS_GRAPH, 2, 33, 0, 0, 0, 0, 1, 0, 1, 0},
    {CI_ROWS_NODE, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0},    {CI_ROWS_EDGE, 24, 5, 0, 3, 0, 0, 1, 1, 0, 0},  {CI_ROWS_RAW, 130, 7, 0, 0, 0, 1, 0, 0, 1, 0},
    {CI_ROWS_NODE, 48, 96, 0, 4, 1, 1, 0, 0, 1, 1},  {CI_ROWS_NODE, 19, 37, 0, 1, 1, 0, 0, 0, 0, 1}, {CI_ROWS_NODE, 33, 40, 23, 0, 0, 0, 1, 1, 1, 0},
    {CI_ROWS_NODE, 31, 18, 35, 5, 1, 1, 0, 1, 0, 0}, {CI_ROWS_NODE, 72, 1, 0, 0, 0, 0, 1, 1, 1, 0},
};
enum { PRODUCTS = CI_COUNT(products) };

/* One product on both sides. */
struct sides {
    ci_k_gemm g;
    float *a, *b, *a2, *b2, *bias, *c, *gate;
    size_t n_c;
};

/** Of factors, what lies between rows is no number: who reads it is seen. */
static float *line(struct cuda *c, const struct product *p, uint32_t stream, size_t n, size_t row, size_t used, const float **dev)
{
    float *v = cuda_floats(stream, n), *d = cuda_room(c, (n + 1) * sizeof *v);
    for (size_t i = 0; i < n; i++)
        if (i % row >= used) v[i] = NAN;
    cuda_ok(c, c->r->upload(c->d.dev, d + !p->aligned, v, n * sizeof *v));
    cuda_wait(c);
    *dev = d + !p->aligned;
    return v;
}

static struct sides sides_make(struct cuda *c, const struct cuda_batch *t, const struct product *p, uint32_t stream)
{
    struct sides s = {.g = {.rows = p->rows, .N = p->N, .K = p->K, .K2 = p->K2, .a_row = p->K + p->wider, .a2_row = p->K2 + p->wider,
                            .c_row = p->N + p->wider, .b_t = p->b_t, .add = p->add, .relu = {p->relu, stream}}};
    const size_t rows = (size_t)t->step.n[p->rows] + 3;
    s.g.b_row = (p->b_t ? p->K : p->N) + p->wider;
    s.g.b2_row = (p->b_t ? p->K2 : p->N) + p->wider;
    s.n_c = rows * (size_t)s.g.c_row;
    const size_t N = (size_t)p->N, K = (size_t)p->K, K2 = (size_t)p->K2, wider = (size_t)p->wider;
    s.a = line(c, p, stream, rows * (K + wider), K + wider, K, &s.g.a);
    s.b = line(c, p, stream + 100, (p->b_t ? N : K) * (size_t)s.g.b_row, (size_t)s.g.b_row, p->b_t ? K : N, &s.g.b);
    s.a2 = line(c, p, stream + 200, rows * (K2 + wider), K2 + wider, K2, &s.g.a2);
    s.b2 = line(c, p, stream + 300, (p->b_t ? N : K2) * (size_t)s.g.b2_row, (size_t)s.g.b2_row, p->b_t ? K2 : N, &s.g.b2);
    s.c = line(c, p, stream + 400, s.n_c, 1, 1, (const float **)&s.g.c);
    s.bias = line(c, p, stream + 500, N, N, N, &s.g.bias);
    s.gate = line(c, p, stream + 600, s.n_c, 1, 1, &s.g.gate);
    if (!p->bias) s.g.bias = NULL;
    if (!p->gate) s.g.gate = NULL;
    return s;
}

static void sides_free(struct sides *s)
{
    float *own[] = {s->a, s->b, s->a2, s->b2, s->bias, s->c, s->gate};
    for (size_t i = 0; i < CI_COUNT(own); i++) free(own[i]);
}

/** What C must be on the processor, in s->c. */
static void processor(const struct cuda_batch *t, struct sides *s)
{
    const ci_ops *ops = ci_ops_get("generic");
    const ci_k_gemm *g = &s->g;
    const int M = t->step.n[g->rows];
    for (int part = 0; part < (g->K2 ? 2 : 1); part++) {
        const int K = part ? g->K2 : g->K, row = part ? g->b2_row : g->b_row;
        const float *b = part ? s->b2 : s->b;
        float *plain = calloc((size_t)K * (size_t)g->N, sizeof *plain);
        assert_non_null(plain);
        for (int k = 0; k < K; k++)
            for (int n = 0; n < g->N; n++) plain[k * g->N + n] = g->b_t ? b[n * row + k] : b[k * row + n];
        const ci_gemm_start start = part || g->add ? CI_GEMM_ADD : g->bias ? CI_GEMM_BIAS : CI_GEMM_ZERO;
        ops->gemm(&(ci_gemm){.M = M, .N = g->N, .K = K, .a = part ? s->a2 : s->a, .a_row = part ? g->a2_row : g->a_row, .a_col = 1, .b = plain,
                             .b_row = g->N, .c = s->c, .c_row = g->c_row, .start = start, .bias = s->bias});
        free(plain);
    }
    for (int i = 0; g->gate && i < M; i++)
        ops->relu_backward(s->gate + (size_t)i * (size_t)g->c_row, g->N, t->step.keep, s->c + (size_t)i * (size_t)g->c_row);
    for (int graph = 0; g->relu.on && graph < t->all.n_graph; graph++) {
        const ci_batch *b = &t->all;
        const int32_t first = g->rows == CI_ROWS_GRAPH ? graph : g->rows == CI_ROWS_NODE ? b->first[graph] : b->in_first[b->first[graph]];
        const int32_t last = g->rows == CI_ROWS_GRAPH ? graph + 1 : g->rows == CI_ROWS_NODE ? b->first[graph + 1] : b->in_first[b->first[graph + 1]];
        const size_t n = (size_t)(last - first) * (size_t)g->N;
        const ci_dropout drop = {t->step.seed, t->step.epoch, g->relu.operation, t->step.drop, t->step.keep};
        float *v = calloc(n + 1, sizeof *v);
        for (int i = 0; v && i < last - first; i++) memcpy(v + i * g->N, s->c + (size_t)(first + i) * (size_t)g->c_row, (size_t)g->N * sizeof *v);
        ops->relu(v, (ci_lid)n, &drop, (uint32_t)b->graph[graph]);
        for (int i = 0; v && i < last - first; i++) memcpy(s->c + (size_t)(first + i) * (size_t)g->c_row, v + i * g->N, (size_t)g->N * sizeof *v);
        free(v);
    }
}

static void batch_make(struct cuda *c, const struct cuda_shape *shape, struct cuda_batch *t)
{
    cuda_batch_make(c, shape, t);
    t->step.seed = 5;
    t->step.epoch = 3;
    t->step.drop = 0x40000000u;
    t->step.keep = 4.0f / 3;
    cuda_batch_step(c, t);
}

static void all_products(struct cuda *c, const struct cuda_shape *shape, int most)
{
    struct cuda_batch t;
    struct sides s[PRODUCTS];
    ci_k_gemm g[PRODUCTS];
    batch_make(c, shape, &t);
    ci_k_batch b = t.dev;
    for (int k = 0; most && k < CI_ROWS_COUNT; k++) b.most[k] = most;
    for (int k = 0; k < (int)PRODUCTS; k++) {
        s[k] = sides_make(c, &t, &products[k], 20 + (uint32_t)k);
        g[k] = s[k].g;
    }
    c->k->gemm(c->d.dev, &b, CI_FP32, g, PRODUCTS);
    for (int k = 0; k < (int)PRODUCTS; k++) {
        char what[32];
        snprintf(what, sizeof what, "product %d", k);
        processor(&t, &s[k]);
        cuda_check_bits(c, what, s[k].g.c, s[k].c, s[k].n_c);
        sides_free(&s[k]);
    }
    cuda_batch_free(&t);
}

static void small_tiles(struct cuda *c)
{
    const struct cuda_shape shape = cuda_usual();
    all_products(c, &shape, 0);
}
static void large_tiles(struct cuda *c)
{
    const struct cuda_shape shape = cuda_usual();
    all_products(c, &shape, 128 * 40);
}
static void gemm__has_the_bits_of_the_processor_in_small_tiles(void **state) { cuda_each_order(state, small_tiles); }
static void gemm__has_the_bits_of_the_processor_in_large_tiles(void **state) { cuda_each_order(state, large_tiles); }

/** Row 0 is the same among 1 row and among all, for each precision. */
static void rows_alone(struct cuda *c)
{
    const struct cuda_shape shape = cuda_usual();
    const struct product p = {CI_ROWS_NODE, 50, 45, 0, 0, 0, 0, 1, 0, 1, 0};
    struct cuda_batch t;
    batch_make(c, &shape, &t);
    for (int how = CI_FP32; how <= CI_BF16; how++) {
        struct sides s = sides_make(c, &t, &p, 40);
        const int all = t.step.n[CI_ROWS_NODE];
        ci_k_batch large = t.dev;
        large.most[CI_ROWS_NODE] = 128 * 300;
        c->k->gemm(c->d.dev, &large, (ci_precision)how, &s.g, 1);
        float *want = cuda_get_floats(c, s.g.c, s.n_c);
        cuda_ok(c, c->r->zero(c->d.dev, s.g.c, s.n_c * sizeof(float)));
        t.step.n[CI_ROWS_NODE] = 1;
        cuda_batch_step(c, &t);
        c->k->gemm(c->d.dev, &t.dev, (ci_precision)how, &s.g, 1);
        t.step.n[CI_ROWS_NODE] = all;
        cuda_batch_step(c, &t);
        memset(want + p.N, 0, (s.n_c - (size_t)p.N) * sizeof *want);
        cuda_check_bits(c, "a row alone", s.g.c, want, s.n_c);
        free(want);
        sides_free(&s);
    }
    cuda_batch_free(&t);
}
static void gemm__rows_do_not_depend_on_how_many_there_are(void **state) { cuda_each_order(state, rows_alone); }

/* ---- rounded factors ---- */

/** To so many bits of mantissa, to nearest, ties to even: by adding and taking away a number whose last bit is the place wanted. */
static float rounded(float x, int bits)
{
    int e;
    if (x == 0) return x;
    frexpf(x, &e);
    return (float)(nearbyint(ldexp((double)x, bits + 1 - e)) * ldexp(1, e - bits - 1));
}

static void round_all(float *v, size_t n, int bits)
{
    for (size_t i = 0; i < n; i++) v[i] = rounded(v[i], bits);
}

/** Products of rounded factors are exact in double, sums nearly: a float sum of k terms is within k 2^-24 of them. */
static void rounded_products(struct cuda *c)
{
    const struct cuda_shape shape = cuda_usual();
    struct cuda_batch t;
    batch_make(c, &shape, &t);
    t.step.drop = 0;
    t.step.keep = 1;
    cuda_batch_step(c, &t);
    for (int how = CI_TF32; how <= CI_BF16; how++)
        for (int k = 0; k < 2 * (int)PRODUCTS; k++) {
            struct sides s = sides_make(c, &t, &products[k / 2], 60);
            const int bits = how == CI_TF32 ? 10 : 7, M = t.step.n[s.g.rows];
            ci_k_batch b = t.dev;
            if (k % 2) b.most[s.g.rows] = 128 * 300;
            c->k->gemm(c->d.dev, &b, (ci_precision)how, &s.g, 1);
            float *got = cuda_get_floats(c, s.g.c, s.n_c);
            round_all(s.a, (size_t)M * (size_t)s.g.a_row, bits);
            round_all(s.b, (size_t)(s.g.b_t ? s.g.N : s.g.K) * (size_t)s.g.b_row, bits);
            round_all(s.a2, (size_t)M * (size_t)s.g.a2_row, bits);
            round_all(s.b2, (size_t)(s.g.b_t ? s.g.N : s.g.K2) * (size_t)s.g.b2_row, bits);
            processor(&t, &s);
            cuda_record(c, got, s.n_c * sizeof *got);
            cuda_close_floats(how == CI_TF32 ? "tf32" : "bf16", got, s.c, s.n_c, 2e-6);
            free(got);
            sides_free(&s);
        }
    cuda_batch_free(&t);
}
static void gemm__rounds_factors_alone(void **state) { cuda_each_order(state, rounded_products); }

/* ---- gradients ---- */

struct gradient {
    ci_rows rows;
    int K, N, wider, w, bias, bias2;
};

static const struct gradient gradients[] = {
    {CI_ROWS_NODE, 37, 19, 0, 1, 1, 0}, {CI_ROWS_NODE, 64, 72, 0, 1, 1, 1}, {CI_ROWS_GRAPH, 33, 2, 0, 1, 1, 0}, {CI_ROWS_EDGE, 5, 96, 3, 1, 0, 0},
    {CI_ROWS_NODE, 1, 1, 0, 1, 1, 0},   {CI_ROWS_RAW, 40, 130, 0, 1, 1, 1}, {CI_ROWS_NODE, 0, 48, 1, 0, 1, 0},  {CI_ROWS_NODE, 45, 68, 4, 0, 1, 0},
    {CI_ROWS_NODE, 1, 70, 2, 1, 0, 0},
};
enum { GRADIENTS = CI_COUNT(gradients), REPEAT = 4 };

struct made {
    ci_k_gemm_grad g;
    float *a, *dy;
};

static struct made made_make(struct cuda *c, const struct cuda_batch *t, const struct gradient *p, uint32_t stream)
{
    struct made s = {.g = {.rows = p->rows, .K = p->K, .N = p->N, .a_row = p->K + p->wider, .dy_row = p->N + p->wider}};
    const size_t rows = (size_t)t->step.n[p->rows], n_a = rows * (size_t)s.g.a_row, n_dy = rows * (size_t)s.g.dy_row;
    s.a = cuda_floats(stream, n_a);
    s.dy = cuda_floats(stream + 100, n_dy);
    s.g.a = cuda_put(c, s.a, n_a * sizeof(float));
    s.g.dy = cuda_put(c, s.dy, n_dy * sizeof(float));
    if (p->w) s.g.w = cuda_grad(c, (size_t)p->K * (size_t)p->N);
    if (p->bias) s.g.bias = cuda_grad(c, (size_t)p->N);
    if (p->bias2) s.g.bias2 = cuda_grad(c, (size_t)p->N);
    return s;
}

/** Gradients of one shard, n floats, are added as integers. */
static void add_shard(const float *v, size_t n, int64_t *sum, float *largest)
{
    for (size_t i = 0; i < n; i++) {
        sum[i] += llrint(ldexp((double)v[i], CUDA_EXPONENT));
        *largest = fabsf(v[i]) > *largest ? fabsf(v[i]) : *largest;
    }
}

static void check_exact(struct cuda *c, const char *what, ci_k_grad g, const int64_t *want, float largest, size_t n)
{
    int64_t *got = calloc(n + 1, sizeof *got);
    float most = 0;
    if (!g.sum) {
        free(got);
        return;
    }
    assert_non_null(got);
    cuda_get(c, got, g.sum, n * sizeof *got);
    cuda_get(c, &most, g.largest, sizeof most);
    cuda_record(c, got, n * sizeof *got);
    for (size_t i = 0; i < n; i++)
        if (got[i] != want[i]) fail_msg("%s: %zu of %zu is %.9g, not %.9g", what, i, n, ldexp((double)got[i], -CUDA_EXPONENT), ldexp((double)want[i], -CUDA_EXPONENT));
    assert_memory_equal(&most, &largest, sizeof most);
    free(got);
}

/** The sums that the processor's shards make. */
static void check_made(struct cuda *c, const struct cuda_batch *t, const struct made *s, int k)
{
    const ci_ops *ops = ci_ops_get("generic");
    const size_t n_w = (size_t)s->g.K * (size_t)s->g.N, n_b = (size_t)s->g.N;
    int64_t *w = calloc(n_w + n_b + 1, sizeof *w), *bias = w + n_w;
    float most_w = 0, most_b = 0;
    char what[48];
    assert_non_null(w);
    for (int shard = 0; shard < t->step.n_shard; shard++) {
        const int first = t->first[s->g.rows][shard], rows = t->first[s->g.rows][shard + 1] - first;
        const float *dy = s->dy + (size_t)first * (size_t)s->g.dy_row;
        float *one = calloc(n_w + n_b + 1, sizeof *one);
        assert_non_null(one);
        ops->gemm(&(ci_gemm){.M = s->g.K, .N = s->g.N, .K = rows, .a = s->a + (size_t)first * (size_t)s->g.a_row, .a_row = 1, .a_col = s->g.a_row, .b = dy,
                             .b_row = s->g.dy_row, .c = one, .c_row = s->g.N, .start = CI_GEMM_ADD});
        ops->column_sum(dy, rows, s->g.N, s->g.dy_row, one + n_w);
        add_shard(one, n_w, w, &most_w);
        add_shard(one + n_w, n_b, bias, &most_b);
        free(one);
    }
    snprintf(what, sizeof what, "gradient %d", k);
    check_exact(c, what, s->g.w, w, most_w, n_w);
    check_exact(c, what, s->g.bias, bias, most_b, n_b);
    check_exact(c, what, s->g.bias2, bias, most_b, n_b);
    free(w);
}

static void all_gradients(struct cuda *c, const struct cuda_shape *shape, int most, int repeat)
{
    struct cuda_batch t;
    static struct made s[GRADIENTS * REPEAT];
    static ci_k_gemm_grad g[GRADIENTS * REPEAT];
    const int n = (int)GRADIENTS * repeat;
    batch_make(c, shape, &t);
    ci_k_batch b = t.dev;
    if (most) b.most_shard = most;
    for (int k = 0; k < n; k++) {
        s[k] = made_make(c, &t, &gradients[k % (int)GRADIENTS], 80 + (uint32_t)k);
        g[k] = s[k].g;
    }
    c->k->gemm_grad(c->d.dev, &b, CI_FP32, g, n);
    for (int k = 0; k < n; k++) {
        check_made(c, &t, &s[k], k);
        free(s[k].a);
        free(s[k].dy);
    }
    cuda_batch_free(&t);
}

static void gradients_small(struct cuda *c)
{
    const struct cuda_shape shape = cuda_usual();
    all_gradients(c, &shape, 0, 1);
}
static void gradients_large(struct cuda *c)
{
    const struct cuda_shape shape = cuda_usual();
    all_gradients(c, &shape, 20, REPEAT); /* 36 products: two launches */
}
static void of_nothing(struct cuda *c)
{
    const struct cuda_shape shape = cuda_nothing();
    all_gradients(c, &shape, 0, 1);
    all_products(c, &shape, 0);
}
static void gemm_grad__has_the_bits_of_the_processor_s_shards_in_small_tiles(void **state) { cuda_each_order(state, gradients_small); }
static void gemm_grad__has_the_bits_of_the_processor_s_shards_in_large_tiles(void **state) { cuda_each_order(state, gradients_large); }
static void gemm__and_gemm_grad_do_nothing_without_rows(void **state) { cuda_each_order(state, of_nothing); }

static void rounded_gradients(struct cuda *c)
{
    const struct cuda_shape shape = cuda_usual();
    struct cuda_batch t;
    batch_make(c, &shape, &t);
    for (int how = CI_TF32; how <= CI_BF16; how++)
        for (int k = 0; k < 2 * (int)GRADIENTS; k++) {
            struct made s = made_make(c, &t, &gradients[k / 2], 120);
            const int bits = how == CI_TF32 ? 10 : 7, rows = t.step.n[s.g.rows], K = s.g.K, N = s.g.N;
            double *w = calloc((size_t)(K * N + N + 1), sizeof *w), *bias = w + K * N;
            ci_k_batch b = t.dev;
            assert_non_null(w);
            if (k % 2) b.most_shard = 300;
            c->k->gemm_grad(c->d.dev, &b, (ci_precision)how, &s.g, 1);
            for (int i = 0; i < rows; i++)
                for (int n = 0; n < N; n++) {
                    const float dy = s.dy[i * s.g.dy_row + n];
                    bias[n] += (double)dy;
                    for (int m = 0; m < K; m++) w[m * N + n] += (double)rounded(s.a[i * s.g.a_row + m], bits) * (double)rounded(dy, bits);
                }
            if (s.g.w.sum) cuda_check_grad(c, "rounded", s.g.w, w, (size_t)(K * N), 3e-6);
            if (s.g.bias.sum) cuda_check_grad(c, "sums are not", s.g.bias, bias, (size_t)N, 3e-6);
            free(w);
            free(s.a);
            free(s.dy);
        }
    cuda_batch_free(&t);
}
static void gemm_grad__rounds_factors_of_products_alone(void **state) { cuda_each_order(state, rounded_gradients); }

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(gemm__has_the_bits_of_the_processor_in_small_tiles),
    cmocka_unit_test(gemm__has_the_bits_of_the_processor_in_large_tiles),
    cmocka_unit_test(gemm__rows_do_not_depend_on_how_many_there_are),
    cmocka_unit_test(gemm__rounds_factors_alone),
    cmocka_unit_test(gemm_grad__has_the_bits_of_the_processor_s_shards_in_small_tiles),
    cmocka_unit_test(gemm_grad__has_the_bits_of_the_processor_s_shards_in_large_tiles),
    cmocka_unit_test(gemm__and_gemm_grad_do_nothing_without_rows),
    cmocka_unit_test(gemm_grad__rounds_factors_of_products_alone),
};
CI_TEST_MAIN(tests)
