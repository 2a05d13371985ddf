/* Losses on a device against those of the processor, which test_oracle.c and test_head.c hold to PyTorch.  What is one chain of operations
 * an element on both sides has the same bits (tolerance 0); sums of rows differ by their order and by units of 2^-40. */
#include "ci_test.h"
#include "../cuda_test.h"
#include "ci/loss.h"

static void each(struct cuda *c, void (*one)(struct cuda *c, struct cuda_batch *t))
{
    const struct cuda_shape shapes[] = {cuda_usual(), cuda_nothing()};
    for (size_t s = 0; s < CI_COUNT(shapes); s++) {
        struct cuda_batch t;
        cuda_batch_make(c, &shapes[s], &t);
        one(c, &t);
        cuda_batch_free(&t);
    }
}

static uint32_t bad(struct cuda *c, ci_k_loss l)
{
    uint32_t v = 2;
    cuda_get(c, &v, l.bad, sizeof v);
    cuda_record(c, &v, sizeof v);
    return v;
}

static void check_loss(struct cuda *c, const char *what, ci_k_loss l, double want)
{
    const double got = cuda_get_loss(c, l);
    if (!(fabs(got - want) <= 1e-9 * fmax(1, fabs(want)))) fail_msg("%s: loss %.12g, not %.12g", what, got, want);
    assert_int_equal(bad(c, l), 0);
}

static void *put(struct cuda *c, const float *v, size_t n) { return cuda_put(c, v, n * sizeof *v); }

static float *scaled(uint32_t stream, size_t n, float factor)
{
    float *v = cuda_floats(stream, n);
    for (size_t i = 0; i < n; i++) v[i] *= factor;
    return v;
}

/* ---- two classes ---- */

static const ci_class_loss kinds[] = {{CI_CE, 0, {0, 0}}, {CI_FOCAL, 2, {0, 0}}, {CI_FOCAL, 1.5, {0, 0}}, {CI_FOCAL, 0, {0, 0}},
                                      {CI_WEIGHTED_CE, 0, {0.25, 3}}};

static ci_k_classify classify_of(const ci_class_loss *kind, ci_rows rows, ci_scale scale)
{
    return (ci_k_classify){.rows = rows, .kind = kind->kind, .gamma = kind->gamma, .weight = {kind->weight[0], kind->weight[1]}, .scale = scale};
}

static void classify(struct cuda *c, struct cuda_batch *t)
{
    const ci_batch *b = &t->all;
    float *u = cuda_floats(30, (size_t)b->n_graph);
    for (int g = 0; g < b->n_graph; g++) u[g] = g % 3 == 0 ? 0 : fabsf(u[g]);
    float *dev_u = put(c, u, (size_t)b->n_graph);
    for (int raw = 0; raw < 2; raw++)
        for (size_t k = 0; k < CI_COUNT(kinds); k++)
            for (int weighted = 0; weighted < 2 - raw; weighted++) {
                const ci_lid n = raw ? b->n_raw : b->n_graph;
                const ci_scale scale = raw ? CI_SCALE_MESSAGE : CI_SCALE_TASK;
                float *logit = scaled(31, 2 * (size_t)n, 9), *dlogit = cuda_floats(32, 2 * (size_t)n);
                double loss = 0;
                ci_k_classify a = classify_of(&kinds[k], raw ? CI_ROWS_RAW : CI_ROWS_GRAPH, scale);
                a.logit = put(c, logit, 2 * (size_t)n);
                a.dlogit = put(c, dlogit, 2 * (size_t)n);
                a.loss = cuda_loss(c);
                t->dev.graph_weight = weighted ? dev_u : NULL;
                c->k->classify(c->d.dev, &t->dev, &a);
                assert_int_equal(ci_classify(&kinds[k], logit, raw ? b->raw_label : b->label, weighted ? u : NULL, n, t->step.scale[scale],
                                             dlogit, &loss), CI_OK);
                cuda_check(c, "dlogit", a.dlogit, dlogit, 2 * (size_t)n, 0);
                check_loss(c, "classify", a.loss, loss);
                free(logit), free(dlogit);
            }
    t->dev.graph_weight = NULL;
    free(u);
}
static void classes(struct cuda *c) { each(c, classify); }
static void classify__is_that_of_the_processor(void **state) { cuda_each_order(state, classes); }

static void distill(struct cuda *c, struct cuda_batch *t)
{
    const size_t n = 2 * (size_t)t->all.n_graph;
    float *s = scaled(31, n, 40), *teacher = scaled(32, n, 40), *ds = cuda_floats(33, n);
    double loss = 0;
    const ci_k_distill a = {.temperature = 2.5, .student = put(c, s, n), .teacher = put(c, teacher, n), .dstudent = put(c, ds, n), .loss = cuda_loss(c)};
    c->k->distill(c->d.dev, &t->dev, &a);
    assert_int_equal(ci_distill_logits(s, teacher, t->all.n_graph, 2.5, t->step.scale[CI_SCALE_LOGIT], ds, &loss), CI_OK);
    cuda_check(c, "dstudent", a.dstudent, ds, n, 0);
    check_loss(c, "distill", a.loss, loss);
    free(s), free(teacher), free(ds);
}
static void distills(struct cuda *c) { each(c, distill); }
static void distill__is_that_of_the_processor(void **state) { cuda_each_order(state, distills); }

/* ---- rows ---- */

static void square(struct cuda *c, struct cuda_batch *t)
{
    static const struct { ci_rows rows; int32_t cols, y_row, t_row; ci_scale scale; } cases[] = {
        {CI_ROWS_NODE, 7, 7, 7, CI_SCALE_TASK}, {CI_ROWS_NODE, 70, 72, 91, CI_SCALE_RECON}, {CI_ROWS_RAW, 1, 3, 5, CI_SCALE_EDGE}};
    for (size_t k = 0; k < CI_COUNT(cases); k++) {
        const ci_lid n = cases[k].rows == CI_ROWS_RAW ? t->all.n_raw : t->all.n_node, cols = cases[k].cols;
        const size_t ny = (size_t)n * (size_t)cases[k].y_row, nt = (size_t)n * (size_t)cases[k].t_row, nd = (size_t)n * (size_t)cols;
        float *y = cuda_floats(31, ny), *target = cuda_floats(32, nt), *dy = cuda_floats(33, nd);
        double loss = 0;
        const ci_k_square a = {.rows = cases[k].rows, .cols = cols, .y_row = cases[k].y_row, .t_row = cases[k].t_row, .scale = cases[k].scale,
                               .y = put(c, y, ny), .t = put(c, target, nt), .dy = put(c, dy, nd), .loss = cuda_loss(c)};
        c->k->square(c->d.dev, &t->dev, &a);
        assert_int_equal(ci_square_error(y, a.y_row, target, a.t_row, n, cols, t->step.scale[a.scale] / cols, dy, cols, &loss, NULL), CI_OK);
        cuda_check(c, "dy", a.dy, dy, nd, 0);
        check_loss(c, "square", a.loss, loss);
        free(y), free(target), free(dy);
    }
}
static void squares(struct cuda *c) { each(c, square); }
static void square__is_that_of_the_processor(void **state) { cuda_each_order(state, squares); }

static void kl(struct cuda *c, struct cuda_batch *t)
{
    static const int32_t columns[] = {1, 16, 50};
    for (size_t k = 0; k < CI_COUNT(columns); k++) {
        const int32_t cols = columns[k];
        const size_t n = (size_t)t->all.n_node * (size_t)cols;
        float *mu = cuda_floats(31, n), *logvar = scaled(32, n, 4), *dmu = cuda_floats(33, n), *dlogvar = cuda_floats(34, n);
        double loss = 0;
        const ci_k_kl a = {.cols = cols, .limit = 3, .mu = put(c, mu, n), .logvar = put(c, logvar, n), .dmu = put(c, dmu, n),
                           .dlogvar = put(c, dlogvar, n), .loss = cuda_loss(c)};
        c->k->kl(c->d.dev, &t->dev, &a);
        assert_int_equal(ci_kl_normal(mu, logvar, t->all.n_node, cols, 3, t->step.scale[CI_SCALE_KL] / cols, dmu, dlogvar, &loss), CI_OK);
        cuda_check(c, "dmu", a.dmu, dmu, n, 0);
        cuda_check(c, "dlogvar", a.dlogvar, dlogvar, n, 0);
        check_loss(c, "kl", a.loss, loss);
        free(mu), free(logvar), free(dmu), free(dlogvar);
    }
}
static void kls(struct cuda *c) { each(c, kl); }
static void kl__is_that_of_the_processor(void **state) { cuda_each_order(state, kls); }

/* ---- heads ---- */

struct head { ci_lid K, Q; size_t nh, nw; float *h, *w, *wt, *b, *dh, *dw, *db, *work; double loss; ci_k_head a; ci_k_gemm_grad out; };

static struct head *head_new(struct cuda *c, const struct cuda_batch *t, ci_lid K, ci_lid Q)
{
    struct head *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->K = K;
    s->Q = Q;
    s->nh = (size_t)t->all.n_node * (size_t)K;
    s->nw = (size_t)K * (size_t)Q;
    s->h = cuda_floats(31, s->nh);
    s->w = cuda_floats(32, s->nw);
    s->b = cuda_floats(33, (size_t)Q);
    s->dh = cuda_floats(34, s->nh);
    s->wt = calloc(s->nw, sizeof *s->wt);
    s->dw = calloc(s->nw, sizeof *s->dw);
    s->db = calloc((size_t)Q, sizeof *s->db);
    s->work = calloc((size_t)ci_softmax_head_work(K, Q), sizeof *s->work);
    assert_true(s->wt && s->dw && s->db && s->work);
    for (ci_lid k = 0; k < K; k++)
        for (ci_lid q = 0; q < Q; q++) s->wt[q * K + k] = s->w[k * Q + q];
    s->a = (ci_k_head){.K = K, .Q = Q, .precision = CI_FP32, .h = put(c, s->h, s->nh), .w = put(c, s->w, s->nw), .b = put(c, s->b, (size_t)Q),
                       .dz = cuda_room(c, (size_t)t->all.n_node * (size_t)Q * sizeof(float)), .dh = put(c, s->dh, s->nh), .loss = cuda_loss(c),
                       .w_grad = cuda_grad(c, s->nw), .b_grad = cuda_grad(c, (size_t)Q), .out = &s->out};
    return s;
}

static void check_grad(struct cuda *c, const char *what, ci_k_grad g, const float *want, size_t n)
{
    double *v = calloc(n + 1, sizeof *v);
    assert_non_null(v);
    for (size_t i = 0; i < n; i++) v[i] = (double)want[i];
    cuda_check_grad(c, what, g, v, n, 1e-5);
    free(v);
}

/* After both sides have run: what the device has, the product that it leaves to the caller among it. */
static void head_check(struct cuda *c, const struct cuda_batch *t, struct head *s)
{
    cuda_check(c, "dh", s->a.dh, s->dh, s->nh, 1e-5);
    check_loss(c, "head", s->a.loss, s->loss);
    c->k->gemm_grad(c->d.dev, &t->dev, CI_FP32, &s->out, 1);
    check_grad(c, "dw", s->a.w_grad, s->dw, s->nw);
    check_grad(c, "db", s->a.b_grad, s->db, (size_t)s->Q);
}

static void head_free(struct head *s)
{
    free(s->h), free(s->w), free(s->wt), free(s->b), free(s->dh), free(s->dw), free(s->db), free(s->work), free(s);
}

static void id_head(struct cuda *c, struct cuda_batch *t)
{
    static const ci_lid wide[] = {13, 77};
    const ci_lid n = t->all.n_node;
    uint8_t *hidden = calloc((size_t)n + 1, 1);
    float *row = calloc((size_t)n + 1, sizeof *row);
    assert_true(hidden && row);
    for (ci_lid i = 0; i < n; i++) hidden[i] = cuda_random_below(60, (size_t)i, 3) == 0;
    const uint8_t *dev_hidden = cuda_put(c, hidden, (size_t)n);
    for (int k = 0; k < 2; k++)
        for (int masked = 0; masked < 2; masked++) {
            struct head *s = head_new(c, t, 9, wide[k]);
            t->step.masked = masked;
            cuda_batch_step(c, t);
            s->a.hidden = masked ? dev_hidden : NULL;
            for (ci_lid i = 0; i < n; i++) row[i] = masked && !hidden[i] ? 0 : (float)t->step.scale[CI_SCALE_ID];
            c->k->id_head(c->d.dev, &t->dev, &s->a);
            assert_int_equal(ci_softmax_head(ci_ops_get("generic"), s->h, n, s->K, s->w, s->b, s->wt, s->Q, t->all.id, row, s->work, s->dh, s->dw,
                                             s->db, &s->loss, NULL), CI_OK);
            head_check(c, t, s);
            head_free(s);
        }
    free(hidden), free(row);
}
static void id_heads(struct cuda *c) { each(c, id_head); }
static void id_head__is_that_of_the_processor(void **state) { cuda_each_order(state, id_heads); }

/* Distinct identifiers that raw edges of node i lead to, ascending. */
static void near_list(const ci_batch *b, ci_lid *first, int32_t *near)
{
    first[0] = 0;
    for (ci_lid i = 0; i < b->n_node; i++) {
        uint8_t seen[32] = {0};
        for (ci_lid e = 0; e < b->n_raw; e++)
            if (b->raw_src[e] == i) seen[b->id[b->raw_dst[e]]] = 1;
        first[i + 1] = first[i];
        for (int q = 0; q < 32; q++)
            if (seen[q]) near[first[i + 1]++] = q;
    }
}

static void near_head(struct cuda *c, struct cuda_batch *t)
{
    static const ci_lid wide[] = {13, 300};
    const ci_lid n = t->all.n_node;
    ci_lid *first = calloc((size_t)n + 2, sizeof *first);
    int32_t *near = calloc((size_t)t->all.n_raw + 1, sizeof *near);
    assert_true(first && near);
    near_list(&t->all, first, near);
    for (int k = 0; k < 2; k++) {
        struct head *s = head_new(c, t, 9, wide[k]);
        c->k->near_head(c->d.dev, &t->dev, &s->a);
        assert_int_equal(ci_multi_hot_head(ci_ops_get("generic"), s->h, n, s->K, s->w, s->b, s->wt, s->Q, first, near,
                                           t->step.scale[CI_SCALE_NEIGHBOUR] / s->Q, s->work, s->dh, s->dw, s->db, &s->loss, NULL), CI_OK);
        head_check(c, t, s);
        head_free(s);
    }
    free(first), free(near);
}
static void near_heads(struct cuda *c) { each(c, near_head); }
static void near_head__is_that_of_the_processor(void **state) { cuda_each_order(state, near_heads); }

/* Logits in the hundreds of columns and far from 0: logarithms of long products, and wide bitmaps that leave room for fewer warps. */
static void near_wide(struct cuda *c)
{
    enum { Q = 70000 };
    const struct cuda_shape shape = {.n_graph = 1, .node = {3}, .n_shard = 1, .graphs = {1}, .F = 1, .K = 1, .W = 1, .n_id = 12};
    struct cuda_batch t;
    ci_lid first[4];
    int32_t near[16];
    cuda_batch_make(c, &shape, &t);
    t.step.scale[CI_SCALE_NEIGHBOUR] = 1000; /* a mean over so many outputs is little */
    cuda_batch_step(c, &t);
    near_list(&t.all, first, near);
    struct head *s = head_new(c, &t, 2, Q);
    c->k->near_head(c->d.dev, &t.dev, &s->a);
    assert_int_equal(ci_multi_hot_head(ci_ops_get("generic"), s->h, 3, 2, s->w, s->b, s->wt, Q, first, near,
                                       t.step.scale[CI_SCALE_NEIGHBOUR] / Q, s->work, s->dh, s->dw, s->db, &s->loss, NULL), CI_OK);
    head_check(c, &t, s);
    head_free(s);
    cuda_batch_free(&t);
}
static void near_head__has_room_for_many_outputs(void **state) { cuda_each_order(state, near_wide); }

/* ---- the Gaussian loss ---- */

static void check_doubles(struct cuda *c, const char *what, const double *dev, const double *want, size_t n, double tolerance)
{
    double *got = calloc(n + 1, sizeof *got);
    assert_non_null(got);
    cuda_get(c, got, dev, n * sizeof *got);
    cuda_record(c, got, n * sizeof *got);
    cuda_close(what, got, want, n, tolerance, 0);
    free(got);
}

static void gaussian_of(struct cuda *c, struct cuda_batch *t, ci_lid d)
{
    const size_t n = (size_t)t->all.n_node * (size_t)d, size = (size_t)ci_gaussian_sums_size(d), results = 2 * (size_t)(d * d + d);
    float *p = cuda_floats(31, n), *u = cuda_floats(32, n), *dp = cuda_floats(33, n), *dt = cuda_floats(34, n);
    double *own = calloc((size_t)t->n_shard * size + 1, sizeof *own), *total = calloc(size, sizeof *total), loss = 0;
    double *coef = calloc((size_t)ci_gaussian_coef_size(d), sizeof *coef);
    assert_true(own && total && coef);
    ci_k_gaussian a = {.d = d, .p = put(c, p, n), .t = put(c, u, n), .dp = put(c, dp, n), .dt = put(c, dt, n),
                       .coef = cuda_room(c, (size_t)ci_gaussian_coef_size(d) * sizeof *coef), .loss = cuda_loss(c)};
    double *dev_own = cuda_room(c, (size_t)t->dev.most_shard * size * sizeof *own);
    c->k->gaussian_sums(c->d.dev, &t->dev, &a, dev_own);
    for (int k = 0; k < t->n_shard; k++) {
        const size_t at = (size_t)t->first[CI_ROWS_NODE][k] * (size_t)d;
        ci_gaussian_sums(p + at, u + at, t->shard[k].n_node, d, own + (size_t)k * size);
        for (size_t i = 0; i < size; i++) total[i] += own[(size_t)k * size + i];
    }
    check_doubles(c, "sums", dev_own, own, (size_t)t->n_shard * size, 0);

    a.total = cuda_put(c, total, size * sizeof *total);
    c->k->gaussian_close(c->d.dev, &t->dev, &a);
    assert_int_equal(ci_gaussian_close(total, t->step.n_node, d, t->step.scale[CI_SCALE_NEIGHBOUR], coef, &loss), CI_OK);
    check_doubles(c, "coefficients", a.coef, coef, results, 0);
    check_loss(c, "gaussian", a.loss, loss);
    int64_t *sum = a.loss.sum;
    a.loss.sum = NULL; /* another rank than the first */
    c->k->gaussian_close(c->d.dev, &t->dev, &a);
    a.loss.sum = sum;
    check_loss(c, "gaussian of another rank", a.loss, loss);

    c->k->gaussian_back(c->d.dev, &t->dev, &a);
    ci_gaussian_backward(coef, p, u, t->all.n_node, d, dp, dt);
    cuda_check(c, "dp", a.dp, dp, n, 0);
    cuda_check(c, "dt", a.dt, dt, n, 0);
    free(p), free(u), free(dp), free(dt), free(own), free(total), free(coef);
}

static void gaussian(struct cuda *c, struct cuda_batch *t)
{
    static const ci_lid columns[] = {1, 7, 16};
    for (size_t k = 0; k < CI_COUNT(columns); k++) gaussian_of(c, t, columns[k]);
}
static void gaussians(struct cuda *c) { each(c, gaussian); }
static void gaussian__has_the_bits_of_the_processor(void **state) { cuda_each_order(state, gaussians); }

/* Factors that do not fit into shared memory. */
static void gaussian_wide(struct cuda *c)
{
    const struct cuda_shape shape = cuda_usual();
    struct cuda_batch t;
    cuda_batch_make(c, &shape, &t);
    gaussian_of(c, &t, 57);
    cuda_batch_free(&t);
}
static void gaussian__has_room_for_many_columns(void **state) { cuda_each_order(state, gaussian_wide); }

/* ---- what is not finite ---- */

static void numbers(struct cuda *c)
{
    const struct cuda_shape shape = cuda_usual();
    struct cuda_batch t;
    cuda_batch_make(c, &shape, &t);
    t.step.n_node = t.all.n_node;
    const size_t n = (size_t)t.all.n_node * 8;
    static const float strange[] = {NAN, INFINITY, -INFINITY, 1e6f};
    for (size_t k = 0; k < CI_COUNT(strange); k++) {
        float *x = cuda_floats(31, n), *y = cuda_floats(32, n), *dx = cuda_zeros(c, n * sizeof *x);
        x[11] = strange[k];
        float *dev_x = put(c, x, n), *dev_y = put(c, y, n);
        ci_k_loss loss[6];
        for (int i = 0; i < 6; i++) loss[i] = cuda_loss(c);
        ci_k_classify classed = classify_of(&kinds[0], CI_ROWS_GRAPH, CI_SCALE_TASK);
        classed.logit = dev_x, classed.dlogit = dx, classed.loss = loss[0];
        c->k->classify(c->d.dev, &t.dev, &classed);
        c->k->distill(c->d.dev, &t.dev, &(ci_k_distill){1, dev_x, dev_y, dx, loss[1]});
        c->k->square(c->d.dev, &t.dev, &(ci_k_square){CI_ROWS_NODE, 8, 8, 8, CI_SCALE_TASK, dev_x, dev_y, dx, loss[2]});
        c->k->kl(c->d.dev, &t.dev, &(ci_k_kl){8, 3, dev_x, dev_y, dx, dx, loss[3]});
        for (int i = 0; i < 4; i++) /* 1e6 is a number: refused are rows beyond what the sums have room for */
            if (k < 3 || i >= 2) assert_int_equal(bad(c, loss[i]), 1);

        struct head *s = head_new(c, &t, 8, 13);
        s->a.h = dev_x;
        s->a.loss = loss[4];
        c->k->id_head(c->d.dev, &t.dev, &s->a);
        s->a.loss = loss[5];
        c->k->near_head(c->d.dev, &t.dev, &s->a);
        for (int i = 4; i < 6; i++) assert_int_equal(bad(c, loss[i]), 1);
        head_free(s);
        free(x), free(y);
    }
    double *total = calloc((size_t)ci_gaussian_sums_size(3), sizeof *total);
    assert_non_null(total);
    total[3] = -1e6; /* of a triangle: no covariance is below 0 */
    const ci_k_gaussian g = {.d = 3, .total = cuda_put(c, total, (size_t)ci_gaussian_sums_size(3) * sizeof *total),
                             .coef = cuda_room(c, (size_t)ci_gaussian_coef_size(3) * sizeof(double)), .loss = cuda_loss(c)};
    c->k->gaussian_close(c->d.dev, &t.dev, &g);
    assert_int_equal(bad(c, g.loss), 1);
    free(total);
    cuda_batch_free(&t);
}
static void losses__tell_what_is_not_finite(void **state) { cuda_each_order(state, numbers); }

/* Rows are the same units wherever they are added: in one block that walks, or on two ranks. */
static void anywhere(struct cuda *c)
{
    const struct cuda_shape shape = cuda_usual();
    struct cuda_batch t;
    cuda_batch_make(c, &shape, &t);
    const int32_t n = t.all.n_node, cut = t.first[CI_ROWS_NODE][2];
    const size_t size = (size_t)n * 8;
    float *y = cuda_floats(31, size), *x = cuda_floats(32, size);
    ci_k_square a = {CI_ROWS_NODE, 8, 8, 8, CI_SCALE_TASK, put(c, y, size), put(c, x, size), cuda_zeros(c, size * sizeof *y), cuda_loss(c)};
    ci_k_square one = a, two = a;
    one.loss = cuda_loss(c);
    two.loss = cuda_loss(c);
    c->k->square(c->d.dev, &t.dev, &a);
    const double want = cuda_get_loss(c, a.loss);

    ci_k_batch narrow = t.dev;
    narrow.most[CI_ROWS_NODE] = 1;
    c->k->square(c->d.dev, &narrow, &one);
    assert_true(cuda_get_loss(c, one.loss) == want);

    t.step.n[CI_ROWS_NODE] = cut;
    cuda_batch_step(c, &t);
    c->k->square(c->d.dev, &t.dev, &two);
    cuda_wait(c);
    t.step.n[CI_ROWS_NODE] = n - cut;
    cuda_batch_step(c, &t);
    two.y += (size_t)cut * 8, two.t += (size_t)cut * 8, two.dy += (size_t)cut * 8;
    c->k->square(c->d.dev, &t.dev, &two);
    assert_true(cuda_get_loss(c, two.loss) == want);
    free(y), free(x);
    cuda_batch_free(&t);
}
static void losses__do_not_hang_on_blocks_or_ranks(void **state) { cuda_each_order(state, anywhere); }

/* An identifier that the head does not know. */
static void unknown(struct cuda *c)
{
    const struct cuda_shape shape = cuda_usual();
    struct cuda_batch t;
    cuda_batch_make(c, &shape, &t);
    struct head *s = head_new(c, &t, 3, 4);
    c->k->id_head(c->d.dev, &t.dev, &s->a);
    assert_int_equal(bad(c, s->a.loss), 1);
    s->a.loss = cuda_loss(c);
    c->k->near_head(c->d.dev, &t.dev, &s->a);
    assert_int_equal(bad(c, s->a.loss), 1);
    head_free(s);
    cuda_batch_free(&t);
}
static void heads__tell_an_identifier_out_of_range(void **state) { cuda_each_order(state, unknown); }

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(classify__is_that_of_the_processor),
    cmocka_unit_test(distill__is_that_of_the_processor),
    cmocka_unit_test(square__is_that_of_the_processor),
    cmocka_unit_test(kl__is_that_of_the_processor),
    cmocka_unit_test(id_head__is_that_of_the_processor),
    cmocka_unit_test(near_head__is_that_of_the_processor),
    cmocka_unit_test(near_head__has_room_for_many_outputs),
    cmocka_unit_test(gaussian__has_the_bits_of_the_processor),
    cmocka_unit_test(gaussian__has_room_for_many_columns),
    cmocka_unit_test(losses__tell_what_is_not_finite),
    cmocka_unit_test(losses__do_not_hang_on_blocks_or_ranks),
    cmocka_unit_test(heads__tell_an_identifier_out_of_range),
};
CI_TEST_MAIN(tests)
