/* Embeddings, inputs and what works element by element on a device, bit for bit as on the processor. */
#include "ci_test.h"
#include "cuda_test.h"
#include "ci/graph.h"
#include "ci/ops.h"

static const ci_ops *ops(void) { return ci_ops_get("generic"); }

/** A shard of more nodes than all blocks of the table's gradient take at once. */
static struct cuda_shape shape(void)
{
    return (struct cuda_shape){.n_graph = 9, .node = {5, 1, 17, 38, 1, 7, 2, 2091, 3}, .n_shard = 5, .graphs = {3, 0, 2, 1, 3},
                               .F = 7, .K = 5, .W = 3, .n_id = 12, .hub = 1};
}

static void batch(struct cuda *c, struct cuda_batch *t, const struct cuda_shape *s)
{
    cuda_batch_make(c, s, t);
    t->step.seed = 7;
    t->step.epoch = 3;
    t->step.drop = (uint32_t)(0.3 * 4294967296.0);
    t->step.keep = 1 / (1 - 0.3f);
    t->step.unk_drop = (uint32_t)(0.2 * 4294967296.0);
    t->step.mask = (uint32_t)(0.25 * 4294967296.0);
    t->step.group_drop = (uint32_t)(0.4 * 4294967296.0);
    cuda_batch_step(c, t);
}

static float *copy(const float *x, size_t n)
{
    float *y = calloc(n + 1, sizeof *y);
    assert_non_null(y);
    memcpy(y, x, n * sizeof *y);
    return y;
}

static int row_first(const struct cuda_batch *t, ci_rows rows, int g)
{
    const ci_batch *b = &t->all;
    if (rows == CI_ROWS_GRAPH) return g;
    return rows == CI_ROWS_NODE ? b->first[g] : rows == CI_ROWS_EDGE ? b->in_first[b->first[g]] : b->raw_first[g];
}

/* ---- element by element ---- */

typedef void drop_op(float *x, ci_lid n, const ci_dropout *drop, uint32_t graph);

static void by_graph(const struct cuda_batch *t, ci_rows rows, int cols, drop_op *op, uint32_t operation, float *x)
{
    const ci_dropout drop = {t->step.seed, t->step.epoch, operation, t->step.drop, t->step.keep};
    for (int g = 0; g < t->all.n_graph; g++) {
        const int first = row_first(t, rows, g), last = row_first(t, rows, g + 1);
        op(x + (size_t)first * (size_t)cols, (last - first) * cols, t->dev.training ? &drop : NULL, (uint32_t)t->all.graph[g]);
    }
}

static void drops(struct cuda *c, struct cuda_batch *t, ci_rows rows, int cols)
{
    const size_t n = (size_t)t->step.n[rows] * (size_t)cols;
    float *x = cuda_floats(21, n), *y = copy(x, n), *dy = cuda_floats(22, n);
    if (n) x[0] = y[0] = -0.0f;
    float *one = cuda_put(c, x, n * sizeof *x), *two = cuda_put(c, x, n * sizeof *x), *back = cuda_put(c, dy, n * sizeof *x);

    by_graph(t, rows, cols, ops()->relu, 5, y);
    c->k->relu(c->d.dev, &t->dev, rows, cols, 5, one);
    cuda_check_bits(c, "relu", one, y, n);
    ops()->relu_backward(y, (ci_lid)n, t->dev.training ? t->step.keep : 1, dy);
    c->k->relu_back(c->d.dev, &t->dev, rows, cols, one, back);
    cuda_check_bits(c, "relu_back", back, dy, n);
    by_graph(t, rows, cols, ops()->dropout, 6, x);
    c->k->dropout(c->d.dev, &t->dev, rows, cols, 6, two);
    cuda_check_bits(c, "dropout", two, x, n);
    free(x);
    free(y);
    free(dy);
}

static void rest(struct cuda *c, struct cuda_batch *t, ci_rows rows, int cols)
{
    const size_t n = (size_t)t->step.n[rows] * (size_t)cols;
    float *x = cuda_floats(23, n), *y = cuda_floats(24, n), *z = copy(x, n);
    float *dx = cuda_put(c, x, n * sizeof *x), *dy = cuda_put(c, y, n * sizeof *x), *dz = cuda_put(c, x, n * sizeof *x);

    c->k->sigmoid(c->d.dev, &t->dev, rows, cols, dz);
    ops()->sigmoid(x, (ci_lid)n, z);
    cuda_check_bits(c, "sigmoid", dz, z, n);
    c->k->sigmoid_back(c->d.dev, &t->dev, rows, cols, dz, dy);
    for (size_t i = 0; i < n; i++) y[i] *= z[i] * (1 - z[i]);
    cuda_check_bits(c, "sigmoid_back", dy, y, n);
    c->k->add(c->d.dev, &t->dev, rows, cols, dx, dy, dz);
    for (size_t i = 0; i < n; i++) z[i] = x[i] + y[i];
    cuda_check_bits(c, "add", dz, z, n);
    c->k->zero(c->d.dev, &t->dev, rows, cols, dz);
    memset(z, 0, n * sizeof *z);
    cuda_check_bits(c, "zero", dz, z, n);
    free(x);
    free(y);
    free(z);
}

static void element_by_element(struct cuda *c)
{
    const struct cuda_shape s = shape(), none = cuda_nothing();
    struct cuda_batch t;
    for (int k = 0; k < 5; k++) {
        batch(c, &t, k == 4 ? &none : &s);
        t.dev.training = k != 3;
        t.step.drop = k == 2 ? 0 : t.step.drop; /* a dropout of 0 in training */
        t.step.keep = k == 2 ? 1 : t.step.keep;
        cuda_batch_step(c, &t);
        for (ci_rows rows = CI_ROWS_GRAPH; rows < CI_ROWS_COUNT; rows++) drops(c, &t, rows, k % 2 ? 7 : 12);
        rest(c, &t, CI_ROWS_NODE, 3 + k);
        cuda_batch_free(&t);
    }
}

/* ---- side by side ---- */

static void columns(struct cuda *c)
{
    enum { N = 10 }; /* more than one launch takes */
    const struct cuda_shape s = shape();
    struct cuda_batch t;
    int32_t cols[N], all = 0, at = 0;
    float *x[N];
    const float *dev[N];

    batch(c, &t, &s);
    const int rows = t.step.n[CI_ROWS_NODE];
    for (int k = 0; k < N; k++) {
        cols[k] = 1 + k % 3;
        all += cols[k];
        x[k] = cuda_floats(30 + (uint32_t)k, (size_t)rows * (size_t)cols[k]);
        dev[k] = cuda_put(c, x[k], (size_t)rows * (size_t)cols[k] * sizeof(float));
    }
    float *want = calloc((size_t)rows * (size_t)all, sizeof *want), *y = cuda_room(c, (size_t)rows * (size_t)all * sizeof *y);
    assert_non_null(want);
    for (int k = 0; k < N; at += cols[k++])
        for (int i = 0; i < rows; i++)
            for (int d = 0; d < cols[k]; d++) want[i * all + at + d] = x[k][i * cols[k] + d];
    c->k->cat(c->d.dev, &t.dev, CI_ROWS_NODE, N, dev, cols, y);
    cuda_check_bits(c, "cat", y, want, (size_t)rows * (size_t)all);
    for (int more = 0; more < 2; more++) { /* the third input's columns of y into the sixth */
        c->k->add_to(c->d.dev, &t.dev, CI_ROWS_NODE, cols[2], y + cols[0] + cols[1], all, (float *)(uintptr_t)dev[5], more);
        for (int i = 0; i < rows * cols[2]; i++) x[5][i] = (more ? x[5][i] : 0) + x[2][i];
        cuda_check_bits(c, "add_to", dev[5], x[5], (size_t)rows * (size_t)cols[2]);
    }
    c->k->add_to(c->d.dev, &t.dev, CI_ROWS_NODE, cols[1], dev[4], cols[1], (float *)(uintptr_t)dev[1], 1);
    for (int i = 0; i < rows * cols[1]; i++) x[1][i] += x[4][i];
    cuda_check_bits(c, "add_to", dev[1], x[1], (size_t)rows * (size_t)cols[1]);
    for (int k = 0; k < N; k++) free(x[k]);
    free(want);
    cuda_batch_free(&t);
}

/* ---- embeddings: what kind_dense.c and kind_input.c of model/ do, by node ---- */

static uint32_t hidden_groups(const struct cuda_batch *t, int g)
{
    uint32_t hidden = 0;
    for (uint32_t k = CI_GROUP_NONE + 1; k < CI_GROUP_COUNT && t->dev.training; k++)
        if (ci_philox(t->step.seed, CI_RANDOM_GROUP, t->step.epoch, (uint32_t)t->all.graph[g], k, 0).v[0] < t->step.group_drop) hidden |= 1u << k;
    return hidden;
}

static bool node_hidden(const struct cuda_batch *t, const ci_k_embed *a, int g, int k)
{
    const uint32_t graph = (uint32_t)t->all.graph[g];
    if (!a->masked) return false;
    if (!t->dev.training) return t->dev.hide >= 0 && k % CI_MASKS == t->dev.hide;
    return ci_philox(t->step.seed, CI_RANDOM_MASK, t->step.epoch, graph, (uint32_t)k, 0).v[0] < t->step.mask;
}

static int32_t node_id(const struct cuda_batch *t, const ci_k_embed *a, int g, int k)
{
    const uint32_t graph = (uint32_t)t->all.graph[g];
    if (node_hidden(t, a, g, k)) return a->n_id + 1;
    if (t->dev.training && ci_philox(t->step.seed, CI_RANDOM_UNK, t->step.epoch, graph, a->operation, (uint32_t)k).v[0] < t->step.unk_drop) return 0;
    return t->all.id[t->all.first[g] + k];
}

static int table_row(const ci_k_embed *a, int32_t id, int probe) { return a->buckets ? ci_hash_bucket(id, probe, a->buckets) : id; }

struct seen { int32_t *id; uint8_t *hidden; float *y; };

static void node_embed(const struct cuda_batch *t, const ci_k_embed *a, const uint8_t *group, const float *w, int g, int i, struct seen *s)
{
    const int F = t->all.n_feature - a->x_first;
    float *y = s->y + (size_t)i * (size_t)(a->id_dim + F);
    s->id[i] = node_id(t, a, g, i - t->all.first[g]);
    s->hidden[i] = node_hidden(t, a, g, i - t->all.first[g]);
    for (int d = 0; d < a->id_dim; d++)
        for (int k = 0; k < (a->buckets ? a->probes : 1); k++) {
            const float v = w[(size_t)table_row(a, s->id[i], k) * (size_t)a->id_dim + (size_t)d];
            y[d] = k ? y[d] + v : v;
        }
    for (int d = 0; d < F; d++)
        y[a->id_dim + d] = s->hidden[i] || (group && hidden_groups(t, g) >> group[d] & 1) ? 0 : t->all.x[i * t->all.n_feature + a->x_first + d];
}

static void embed_back(struct cuda *c, const struct cuda_batch *t, const ci_k_embed *a, const struct seen *s, size_t size)
{
    const size_t n = (size_t)t->all.n_node;
    const int row = a->id_dim + 3;
    float *dy = cuda_floats(42, n * (size_t)row);
    double *want = calloc(size + 1, sizeof *want);
    const ci_k_grad grad = cuda_grad(c, size);

    assert_non_null(want);
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < (a->buckets ? a->probes : 1); k++)
            for (int d = 0; d < a->id_dim; d++)
                want[(size_t)table_row(a, s->id[i], k) * (size_t)a->id_dim + (size_t)d] += (double)dy[i * (size_t)row + (size_t)d];
    c->k->embed_back(c->d.dev, &t->dev, a, cuda_put(c, dy, n * (size_t)row * sizeof *dy), row, grad);
    cuda_check_grad(c, "embed_back", grad, want, size, 1e-5);
    free(dy);
    free(want);
}

static void embedded(struct cuda *c, struct cuda_batch *t, ci_k_embed a, const uint8_t *group)
{
    const int F = t->all.n_feature - a.x_first;
    const size_t n = (size_t)t->all.n_node, width = (size_t)(a.id_dim + F), size = (size_t)(a.buckets ? a.buckets : a.n_id + 2) * (size_t)a.id_dim;
    float *w = cuda_floats(41, size);
    struct seen s = {cuda_ints(n), calloc(n + 1, 1), calloc(n * width + 1, sizeof(float))};
    int32_t *id = cuda_ints(n);
    uint8_t *hidden = calloc(n + 1, 1);

    assert_true(s.hidden && s.y && hidden);
    for (int g = 0; g < t->all.n_graph; g++)
        for (int i = t->all.first[g]; i < t->all.first[g + 1]; i++) node_embed(t, &a, group, w, g, i, &s);
    a.group = cuda_put(c, group, (size_t)F);
    a.w = cuda_put(c, w, size * sizeof *w);
    a.id = cuda_room(c, n * sizeof *a.id);
    a.hidden = cuda_room(c, n);
    a.y = cuda_room(c, n * width * sizeof *a.y);
    c->k->embed(c->d.dev, &t->dev, &a);
    cuda_check_bits(c, "embed", a.y, s.y, n * width);
    cuda_get(c, id, a.id, n * sizeof *id);
    cuda_get(c, hidden, a.hidden, n);
    assert_memory_equal(id, s.id, n * sizeof *id);
    assert_memory_equal(hidden, s.hidden, n);
    if (a.id_dim) embed_back(c, t, &a, &s, size);
    void *own[] = {w, s.id, s.hidden, s.y, id, hidden};
    for (size_t k = 0; k < CI_COUNT(own); k++) free(own[k]);
}

static const uint8_t groups[] = {CI_GROUP_NONE, CI_GROUP_PAYLOAD, CI_GROUP_TIMING, CI_GROUP_NOVELTY, CI_GROUP_RATE, CI_GROUP_EDGE};

static void embeddings(struct cuda *c)
{
    const struct cuda_shape s = shape(), none = cuda_nothing();
    const ci_k_embed plain = {.id_dim = 5, .n_id = s.n_id, .operation = 2}, masked = {.id_dim = 40, .n_id = s.n_id, .x_first = 2, .masked = 1, .operation = 3},
                     hashed = {.id_dim = 6, .n_id = s.n_id, .buckets = 9, .probes = 2, .x_first = 1, .masked = 1}, bare = {.n_id = s.n_id, .x_first = 1};
    struct cuda_batch t;

    batch(c, &t, &s);
    embedded(c, &t, plain, NULL);
    embedded(c, &t, masked, groups);
    embedded(c, &t, hashed, groups);
    embedded(c, &t, bare, groups);
    t.dev.training = 0;
    embedded(c, &t, plain, NULL);
    t.dev.hide = 3;
    embedded(c, &t, masked, NULL);
    embedded(c, &t, plain, NULL);
    cuda_batch_free(&t);
    batch(c, &t, &none);
    embedded(c, &t, hashed, groups);
    cuda_batch_free(&t);
}

static void inputs(struct cuda *c)
{
    const struct cuda_shape s = shape();
    struct cuda_batch t;
    batch(c, &t, &s);
    for (int k = 0; k < 3; k++) {
        const ci_rows rows = k == 0 ? CI_ROWS_EDGE : k == 1 ? CI_ROWS_RAW : CI_ROWS_GRAPH;
        const int cols = k == 2 ? s.W : s.K;
        const float *x = k == 0 ? t.all.e : k == 1 ? t.all.raw_e : t.all.w;
        const size_t n = (size_t)t.step.n[rows] * (size_t)cols;
        float *want = copy(x, n), *y = cuda_room(c, n * sizeof *y);
        const float *dev = cuda_put(c, x, n * sizeof *x);
        c->k->input(c->d.dev, &t.dev, rows, cols, dev, NULL, y);
        cuda_check_bits(c, "input", y, x, n);
        for (int g = 0; g < t.all.n_graph; g++)
            for (int i = row_first(&t, rows, g) * cols; i < row_first(&t, rows, g + 1) * cols; i++)
                if (hidden_groups(&t, g) >> groups[i % cols] & 1) want[i] = 0;
        c->k->input(c->d.dev, &t.dev, rows, cols, dev, cuda_put(c, groups, (size_t)cols), y);
        cuda_check_bits(c, "input with groups hidden", y, want, n);
        free(want);
    }
    cuda_batch_free(&t);
}

static void relu__and_its_like_have_the_bits_of_the_processor(void **state) { cuda_each_order(state, element_by_element); }
static void cat__puts_columns_where_add_to_finds_them(void **state) { cuda_each_order(state, columns); }
static void embed__sees_what_a_pass_on_the_processor_sees(void **state) { cuda_each_order(state, embeddings); }
static void input__hides_groups_of_columns_by_graph(void **state) { cuda_each_order(state, inputs); }

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(relu__and_its_like_have_the_bits_of_the_processor), cmocka_unit_test(cat__puts_columns_where_add_to_finds_them),
    cmocka_unit_test(embed__sees_what_a_pass_on_the_processor_sees), cmocka_unit_test(input__hides_groups_of_columns_by_graph)};
CI_TEST_MAIN(tests)
