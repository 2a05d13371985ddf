/* Gradients of what a model says, with respect to its inputs, against differences of what it says. */
#include "ci_test.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ci/arena.h"
#include "ci/explain.h"
#include "ci/random.h"
#include "ci/types.h"

enum { G = 3, MAX_NODE = 24, MAX_EDGE = 90, F = 6, K = 5, W = 4, IDS = 9 };

/* A shard of three graphs of 1, 6 and 11 nodes, made by formula. */
struct shard {
    ci_batch b;
    ci_lid first[G + 1], in_first[MAX_NODE + 1], in_src[MAX_EDGE], raw_first[G + 1], raw_src[MAX_EDGE], raw_dst[MAX_EDGE];
    int64_t graph[G];
    uint8_t label[G];
    int32_t id[MAX_NODE];
    float x[MAX_NODE * F], e[MAX_EDGE * K], raw_e[MAX_EDGE * K], w[G * W];
};

static uint32_t seed = 7;

static float number(uint32_t purpose, uint32_t k)
{
    return 2 * ci_unit(ci_philox(seed, 100, purpose, k, 0, 0).v[0]) - 1;
}

static void node_add(struct shard *s, ci_lid first, ci_lid n, ci_lid i)
{
    ci_batch *b = &s->b;

    s->id[i] = i % (IDS + 1);
    s->in_first[i] = b->n_edge;
    for (ci_lid k = 1; k < n; k++) {
        if ((i * 5 + k * 3) % 4) continue;
        s->raw_src[b->n_raw] = s->in_src[b->n_edge] = first + (i - first + k) % n;
        s->raw_dst[b->n_raw++] = i;
        b->n_edge++;
    }
    s->in_src[b->n_edge++] = i; /* the self-loop */
}

static void shard_make(struct shard *s)
{
    static const ci_lid size[G] = {1, 6, 11};
    ci_batch *b = &s->b;

    memset(s, 0, sizeof *s);
    *b = (ci_batch){.n_graph = G, .n_feature = F, .n_edge_feature = K, .first = s->first, .graph = s->graph, .label = s->label,
                    .id = s->id, .x = s->x, .in_first = s->in_first, .in_src = s->in_src, .e = s->e, .raw_first = s->raw_first,
                    .raw_src = s->raw_src, .raw_dst = s->raw_dst, .raw_e = s->raw_e, .n_window_feature = W, .w = s->w};
    for (int g = 0; g < G; g++) {
        s->graph[g] = g;
        for (ci_lid i = 0; i < size[g]; i++) node_add(s, s->first[g], size[g], s->first[g] + i);
        b->n_node = s->first[g + 1] = s->first[g] + size[g];
        s->in_first[b->n_node] = b->n_edge;
        s->raw_first[g + 1] = b->n_raw;
    }
    assert_true(b->n_node <= MAX_NODE && b->n_edge <= MAX_EDGE);
    for (uint32_t k = 0; k < MAX_NODE * F; k++) s->x[k] = number(1, k);
    for (uint32_t k = 0; k < MAX_EDGE * K; k++) s->e[k] = number(2, k);
    for (uint32_t k = 0; k < G * W; k++) s->w[k] = number(4, k);
}

static const ci_model_dim gat = {.kind = CI_GAT, .n_id = IDS, .id_dim = 16, .id_probes = 1, .n_feature = F, .n_edge_feature = K, .edge_features = 1,
                                 .conv = CI_CONV_GATV2, .heads = 2, .channels = 8, .layers = 2, .jk = CI_JK_CAT, .pool = CI_POOL_MEAN,
                                 .head_layers = 2, .head_dim = 16, .n_class = 2, .slope = .2f};
static const ci_model_dim vgae = {.kind = CI_VGAE, .n_id = IDS, .id_dim = 16, .id_probes = 1, .n_feature = F, .n_edge_feature = K, .edge_features = 1,
                                  .conv = CI_CONV_GATV2, .heads = 2, .n_hidden = 2, .hidden = {32, 16}, .inner_heads = 1, .decoder_heads = 2,
                                  .latent = 16, .neighbour = CI_NEIGHBOUR_GAUSSIAN, .edge_head = 1, .masked = 1, .slope = .2f, .logvar_limit = 10};

/* A model with weights, an explainer, and room to ask the model without one. */
struct asked {
    ci_model *m;
    ci_explainer *e;
    ci_scratch *s;
    float *w, *state, *out;
    ci_lid n_out;
};

static void asked_make(const ci_model_dim *dim, struct asked *a)
{
    memset(a, 0, sizeof *a);
    assert_int_equal(ci_model_create(dim, "generic", &a->m), CI_OK);
    assert_int_equal(ci_explainer_create(a->m, G, MAX_NODE, MAX_EDGE, MAX_EDGE, &a->e), CI_OK);
    assert_int_equal(ci_scratch_create(a->m, G, MAX_NODE, MAX_EDGE, MAX_EDGE, &a->s), CI_OK);
    a->w = ci_new((size_t)ci_model_size(a->m), sizeof *a->w);
    a->state = ci_new((size_t)ci_model_state_size(a->m) + 1, sizeof *a->state);
    ci_model_outputs(a->m, &a->n_out);
    a->out = ci_new(G * (size_t)a->n_out, sizeof *a->out);
    assert_true(a->w && a->state && a->out);
    ci_model_init(a->m, 3, a->w, a->state);
    for (ci_gid k = 0; k < ci_model_state_size(a->m); k++) a->state[k] += .3f * number(3, (uint32_t)k); /* statistics that do something */
}

static void asked_release(struct asked *a)
{
    ci_explainer_destroy(&a->e);
    ci_scratch_destroy(&a->s);
    ci_model_destroy(&a->m);
    free(a->w);
    free(a->state);
    free(a->out);
}

/* Sum over graphs of what is differentiated: inputs of one graph touch no other. */
static double said(struct asked *a, const ci_batch *b)
{
    double sum = 0;

    assert_int_equal(ci_model_score(a->m, a->w, a->state, a->s, b, a->out), CI_OK);
    for (ci_lid g = 0; g < b->n_graph; g++) {
        const float *o = a->out + g * a->n_out;
        sum += ci_model_dims(a->m)->kind == CI_GAT ? (double)o[1] - (double)o[0] : (double)o[0];
    }
    return sum;
}

static double difference(struct asked *a, const ci_batch *b, float *at, float step)
{
    const float was = *at;
    double up, down;

    *at = was + step;
    up = said(a, b);
    *at = was - step;
    down = said(a, b);
    *at = was;
    return (up - down) / (2 * (double)step);
}

/* Single precision leaves about 1e-4 of the largest gradient at the larger step.  Where that step crosses the bend of a ReLU the
   difference is another number; the smaller step crosses fewer, and a few of a hundred may remain.  \return are there more? */
static bool differs(struct asked *a, const ci_batch *b, float *input, const float *gradient, size_t n, const char *what)
{
    double largest = 0;
    size_t off = 0;

    for (size_t k = 0; k < n; k++) largest = fmax(largest, fabs((double)gradient[k]));
    assert_true(largest > 1e-5);
    for (size_t k = 0; k < n; k++)
        if (fabs(difference(a, b, &input[k], 0x1p-8f) - (double)gradient[k]) > 5e-3 * largest)
            off += fabs(difference(a, b, &input[k], 0x1p-11f) - (double)gradient[k]) > 1e-2 * largest;
    if (off > n / 25) print_message("%s, seed %u: %zu of %zu gradients are not the differences\n", what, seed, off, n);
    return off > n / 25;
}

static void check_attention(const ci_batch *b, const ci_explained *x)
{
    for (ci_lid l = 0; l < x->n_layer; l++)
        for (ci_lid i = 0; i < b->n_node; i++)
            for (ci_lid h = 0; h < x->layer[l].heads; h++) {
                double sum = 0;
                for (ci_lid k = b->in_first[i]; k < b->in_first[i + 1]; k++) sum += (double)x->layer[l].p[k * x->layer[l].heads + h];
                assert_true(fabs(sum - 1) < 1e-5);
            }
}

/* False where a difference is not the gradient. */
static bool agrees(const ci_model_dim *dim, ci_lid layers, const char *first, const char *what)
{
    bool wrong;
    static struct shard s;
    static float dx[MAX_NODE * F], de[MAX_EDGE * K], embedding[G * 4 * 64];
    struct asked a;
    ci_explained x, shape;

    shard_make(&s);
    asked_make(dim, &a);
    ci_explainer_shape(a.e, &shape);
    assert_int_equal(ci_explain(a.e, a.w, a.state, &s.b, &x), CI_OK);
    assert_int_equal(x.n_layer, layers);
    assert_int_equal(shape.n_layer, layers);
    assert_int_equal(shape.n_embedding, x.n_embedding);
    assert_string_equal(x.layer[0].name, first);
    check_attention(&s.b, &x);
    memcpy(dx, x.dx, sizeof(float) * (size_t)s.b.n_node * F);
    memcpy(de, x.de, sizeof(float) * (size_t)s.b.n_edge * K);
    assert_true((size_t)x.n_embedding * G <= CI_COUNT(embedding));
    memcpy(embedding, x.embedding, sizeof(float) * G * (size_t)x.n_embedding);
    wrong = differs(&a, &s.b, s.x, dx, (size_t)s.b.n_node * F, what);
    if (dim->edge_features) wrong = differs(&a, &s.b, s.e, de, (size_t)s.b.n_edge * K, what) || wrong;
    else for (size_t k = 0; k < (size_t)s.b.n_edge * K; k++) assert_true(de[k] == 0);
    assert_int_equal(ci_explain(a.e, a.w, a.state, &s.b, &x), CI_OK); /* nothing is left of the first time */
    assert_memory_equal(dx, x.dx, sizeof(float) * (size_t)s.b.n_node * F);
    assert_memory_equal(de, x.de, sizeof(float) * (size_t)s.b.n_edge * K);
    if (dim->kind == CI_GAT) { /* emb_mean is the mean of the pooled vector */
        said(&a, &s.b);
        for (int g = 0; g < G; g++) {
            double sum = 0;
            for (ci_lid k = 0; k < x.n_embedding; k++) sum += (double)embedding[g * x.n_embedding + k];
            assert_true(fabs(sum / x.n_embedding - (double)a.out[g * a.n_out + 2]) < 1e-6);
        }
    }
    asked_release(&a);
    return !wrong;
}

/* A unit that sits on its bend spoils one shard; a wrong formula spoils all. */
static void check(const ci_model_dim *dim, ci_lid layers, const char *first, const char *what)
{
    for (seed = 7; seed < 11; seed++)
        if (agrees(dim, layers, first, what)) return;
    fail_msg("%s", what);
}

static void explain__is_the_gradient_of_a_classifier(void **state)
{
    static const struct { const char *what; ci_conv conv; ci_norm_kind norm; ci_jk jk; ci_pooling pool; ci_lid project, edges; } c[] = {
        {"gatv2", CI_CONV_GATV2, CI_NORM_NONE, CI_JK_CAT, CI_POOL_MEAN, 0, 1},
        {"gatv2, projected, batch norm, lstm", CI_CONV_GATV2, CI_NORM_BATCH, CI_JK_LSTM, CI_POOL_MEAN, 16, 1},
        {"gatv2 without edges, layer norm", CI_CONV_GATV2, CI_NORM_LAYER, CI_JK_LAST, CI_POOL_SUM, 0, 0},
        {"gatv1, graph norm, pooled by attention", CI_CONV_GATV1, CI_NORM_GRAPH, CI_JK_CAT, CI_POOL_ATTENTION, 0, 1},
        {"transformer, jumping by attention", CI_CONV_TRANSFORMER, CI_NORM_NONE, CI_JK_ATTENTION, CI_POOL_MEAN, 0, 1},
        {"gps", CI_CONV_GPS, CI_NORM_NONE, CI_JK_LAST, CI_POOL_MEAN, 0, 1},
    };

    (void)state;
    for (size_t k = 0; k < CI_COUNT(c); k++) {
        ci_model_dim dim = gat;
        dim.conv = c[k].conv;
        dim.norm = c[k].norm;
        dim.jk = c[k].jk;
        dim.pool = c[k].pool;
        dim.project = c[k].project;
        dim.edge_features = c[k].edges;
        check(&dim, 2, "conv0", c[k].what);
    }
}

static void explain__is_the_gradient_of_a_classifier_of_unknown_vehicles(void **state)
{
    ci_model_dim dim = gat;

    (void)state;
    dim.n_id = dim.id_dim = 0;
    dim.n_window_feature = W;
    dim.window = CI_WINDOW_BOTH;
    dim.pool = CI_POOL_MEANMAX;
    dim.norm = CI_NORM_LAYER;
    dim.message = dim.group_drop = 1;
    check(&dim, 2, "conv0", "no identifiers");
    dim.project = 16;
    check(&dim, 2, "conv0", "no identifiers, projected");
}

static void explain__is_the_gradient_of_a_reconstruction_error(void **state)
{
    ci_model_dim dim = vgae;

    (void)state;
    check(&dim, 4, "enc0", "vgae");
    dim.norm = CI_NORM_GRAPH;
    dim.x_first = 1; /* column 0 is an index there: it is neither seen nor reconstructed */
    {
        struct shard s;
        struct asked a;
        ci_explained x;
        shard_make(&s);
        asked_make(&dim, &a);
        assert_int_equal(ci_explain(a.e, a.w, a.state, &s.b, &x), CI_OK);
        for (ci_lid i = 0; i < s.b.n_node; i++) assert_true(x.dx[i * F] == 0);
        asked_release(&a);
    }
    dim = vgae;
    dim.conv = CI_CONV_GATV1;
    dim.norm = CI_NORM_BATCH;
    dim.sigmoid = 1;
    dim.neighbour = CI_NEIGHBOUR_EXACT;
    check(&dim, 4, "enc0", "vgae of gatv1, batch norm, sigmoid");
}

static void explain__refuses_a_shard_that_does_not_fit(void **state)
{
    struct shard s;
    struct asked a;
    ci_explained x;

    (void)state;
    shard_make(&s);
    asked_make(&gat, &a);
    s.b.n_feature--;
    assert_int_equal(ci_explain(a.e, a.w, a.state, &s.b, &x), CI_EARG);
    s.b.n_feature++;
    ci_explainer_destroy(&a.e);
    assert_int_equal(ci_explainer_create(a.m, G, 2, MAX_EDGE, MAX_EDGE, &a.e), CI_OK);
    assert_int_equal(ci_explain(a.e, a.w, a.state, &s.b, &x), CI_EARG);
    asked_release(&a);
    ci_explainer_destroy(NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(explain__is_the_gradient_of_a_classifier),
    cmocka_unit_test(explain__is_the_gradient_of_a_classifier_of_unknown_vehicles),
    cmocka_unit_test(explain__is_the_gradient_of_a_reconstruction_error),
    cmocka_unit_test(explain__refuses_a_shard_that_does_not_fit),
};

CI_TEST_MAIN(tests)
