/* Models of tests/oracle/model.txt on a device against the processor: what a pass of training leaves, losses, gradients, running
 * statistics, what is said of graphs and frames; shards, one of them empty, graphs of one node, things dropped and hidden. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "cuda_test.h"
#include "ci/devmodel.h"
#include "zoo.h"

enum { EXPONENT = 36 };

static struct zoo zoo[ZOO_MAX];
static int n_zoo;

/** A model, one batch, and both sides' memory. */
struct both {
    struct bench cpu;
    struct cuda_batch b;
    ci_devmodel *dm;
    ci_k_optim optim;
    ci_devmodel_pass pass;
    float *state; /* device */
    ci_precision precision;
};

static struct cuda_shape small(const struct zoo *z)
{
    return (struct cuda_shape){.n_graph = 4, .node = {5, 1, 9, 3}, .n_shard = 3, .graphs = {2, 0, 2}, .F = z->dim.n_feature, .K = z->dim.n_edge_feature,
                               .W = 9, .n_id = z->dim.n_id};
}

/** What shards bring along one by one, all together on the device. */
static float *joined(struct cuda *c, const struct both *t, size_t (*floats)(const struct both *t, int k), const float *(*of)(const ci_model_aid *a))
{
    size_t n = 0;
    float *all;
    if (!of(&t->cpu.aid[0])) return NULL;
    for (int k = 0; k < t->cpu.n_shard; k++) n += floats(t, k);
    all = calloc(n + 1, sizeof *all);
    assert_non_null(all);
    n = 0;
    for (int k = 0; k < t->cpu.n_shard; n += floats(t, k++))
        if (floats(t, k)) memcpy(all + n, of(&t->cpu.aid[k]), floats(t, k) * sizeof *all);
    float *p = cuda_put(c, all, n * sizeof *all);
    free(all);
    return p;
}

static size_t graphs_of(const struct both *t, int k) { return (size_t)t->cpu.b[k]->n_graph; }
static size_t logits_of(const struct both *t, int k) { return 2 * (size_t)t->cpu.b[k]->n_graph; }
static size_t mu_of(const struct both *t, int k) { return (size_t)t->cpu.b[k]->n_node * (size_t)t->cpu.zoo->dim.teacher; }
static size_t recon_of(const struct both *t, int k)
{
    return (size_t)t->cpu.b[k]->n_node * (size_t)(t->cpu.zoo->dim.n_feature - t->cpu.zoo->dim.x_first);
}
static const float *weight(const ci_model_aid *a) { return a->weight; }
static const float *logit(const ci_model_aid *a) { return a->teacher_logit; }
static const float *mu(const ci_model_aid *a) { return a->teacher_mu; }
static const float *recon(const ci_model_aid *a) { return a->teacher_recon; }

static void optim_begin(struct cuda *c, struct both *t)
{
    ci_lid n_param;
    ci_model_params(t->cpu.m, &n_param);
    int32_t *exponent = cuda_ints((size_t)n_param);
    for (ci_lid k = 0; k < n_param; k++) exponent[k] = EXPONENT;
    t->optim = (ci_k_optim){.n = t->cpu.n, .n_tensor = n_param, .sum = cuda_zeros(c, ((size_t)t->cpu.n + CI_TERMS) * sizeof(int64_t)),
                            .exponent = cuda_put_ints(c, exponent, (size_t)n_param), .status = cuda_zeros(c, sizeof(int32_t)),
                            .largest = cuda_zeros(c, ((size_t)n_param + 1) * sizeof(uint32_t))};
}

static ci_devmodel_room room_of(const struct both *t, bool training, size_t budget)
{
    ci_devmodel_room room = {.most_shard = t->b.dev.most_shard, .n_rank = 1, .training = training, .precision = t->precision, .budget = budget};
    memcpy(room.most, t->b.dev.most, sizeof room.most);
    return room;
}

/** \param [in] spare  rows more than there are   \param [in] budget  of the device's model */
static void both_open(struct cuda *c, const struct zoo *z, ci_precision precision, int spare, size_t budget, struct both *t)
{
    const struct cuda_shape shape = small(z);
    memset(t, 0, sizeof *t);
    t->precision = precision;
    cuda_batch_host(&shape, &t->b);
    cuda_batch_cut(&shape, &t->b);
    cuda_batch_put(c, &t->b, spare);
    assert_true(bench_begin(z, "generic", &t->cpu));
    t->cpu.step.dropout = 0.2f;
    t->cpu.step.unk_drop = z->dim.id_dim ? 0.1f : 0;
    t->cpu.step.graph_weight = 4;
    for (int k = 0; k < t->b.n_shard; k++) bench_shard(&t->cpu, &t->b.shard[k]);
    ci_devmodel_step(t->cpu.m, &t->cpu.step, &t->b.step);
    cuda_batch_step(c, &t->b);
    optim_begin(c, t);
    t->b.dev.graph_weight = joined(c, t, graphs_of, weight);
    t->state = cuda_put(c, t->cpu.state, (size_t)t->cpu.n_state * sizeof *t->state);
    t->pass = (ci_devmodel_pass){.b = &t->b.dev, .w = cuda_put(c, t->cpu.w, (size_t)t->cpu.n * sizeof(float)), .state = t->state,
                                 .optim = &t->optim, .classify = t->cpu.step.classify, .temperature = t->cpu.step.temperature,
                                 .teacher_logit = joined(c, t, logits_of, logit), .teacher_mu = joined(c, t, mu_of, mu),
                                 .teacher_recon = joined(c, t, recon_of, recon)};
    const ci_devmodel_room room = room_of(t, true, budget);
    if (ci_devmodel_create(&c->d, t->cpu.m, t->cpu.step.set, &room, &t->dm) != CI_OK) fail_msg("%s", ci_message());
}

static void both_shut(struct both *t)
{
    ci_devmodel_destroy(&t->dm);
    for (int k = 0; k < t->cpu.n_shard; k++) t->cpu.b[k] = NULL; /* the batch's own */
    bench_close(&t->cpu);
    cuda_batch_free(&t->b);
}

static void same_losses(struct cuda *c, const struct both *t, const double *want)
{
    int64_t sum[CI_TERMS];
    uint32_t bad;
    cuda_get(c, sum, t->optim.sum + t->optim.n, sizeof sum);
    cuda_get(c, &bad, t->optim.largest + t->optim.n_tensor, sizeof bad);
    assert_int_equal(bad, 0);
    cuda_record(c, sum, sizeof sum);
    for (int k = 0; k < CI_TERMS; k++) {
        const double got = ldexp((double)sum[k], -CI_LOSS_BITS);
        if (!(fabs(got - want[k]) <= 1e-5 * fmax(fabs(want[k]), 1e-3))) fail_msg("%s: loss %d is %.9g, not %.9g", t->cpu.zoo->name, k, got, want[k]);
    }
}

/** Is float32 itself off by more?  A norm of graphs or of the batch takes from its input's bias all that it could do: that gradient is 0 but
 *  for what rounding leaves of large numbers; and a graph norm divides what a graph of one node has by the root of 1e-5. */
static bool normed(const struct both *t)
{
    const ci_model_dim *d = &t->cpu.zoo->dim;
    return d->norm == CI_NORM_GRAPH || d->norm == CI_NORM_BATCH || d->conv == CI_CONV_GPS;
}

static void same_gradients(struct cuda *c, const struct both *t)
{
    ci_lid n_param;
    const ci_param *p = ci_model_params(t->cpu.m, &n_param);
    const size_t n = (size_t)t->cpu.n;
    int64_t *sum = calloc(n, sizeof *sum);
    double *got = calloc(n, sizeof *got), *want = calloc(n, sizeof *want), largest = 0;
    assert_true(sum && got && want);
    cuda_get(c, sum, t->optim.sum, n * sizeof *sum);
    cuda_record(c, sum, n * sizeof *sum);
    for (size_t i = 0; i < n; i++) {
        got[i] = ldexp((double)sum[i], -EXPONENT);
        want[i] = (double)t->cpu.grad[i];
        largest = fmax(largest, fabs(want[i]));
    }
    assert_true(largest > 1e-3);
    for (ci_lid k = 0; k < n_param; k++) {
        char what[96];
        snprintf(what, sizeof what, "%s: gradient of %s", t->cpu.zoo->name, p[k].name);
        cuda_close(what, got + p[k].first, want + p[k].first, (size_t)p[k].rows * (size_t)p[k].cols, normed(t) ? 5e-5 : 1e-5,
                   (normed(t) ? 1e-2 : 1e-3) * largest);
    }
    free(sum);
    free(got);
    free(want);
}

static void same_state(struct cuda *c, struct both *t)
{
    if (!t->cpu.n_state) return;
    if (ci_devmodel_running(t->dm, &t->pass, t->state) != CI_OK) fail_msg("%s", ci_message());
    cuda_check(c, "running statistics", t->state, t->cpu.running, (size_t)t->cpu.n_state, 1e-5);
}

static float *floats(size_t n)
{
    float *v = calloc(n + 1, sizeof *v);
    assert_non_null(v);
    return v;
}

/** What a teacher's pass leaves, of a model without memory for training. */
static void same_teacher(struct cuda *c, struct both *t, ci_devmodel *dm)
{
    static const char *const of_gat[] = {"logit", "pooled"}, *const of_vgae[] = {"mu", "recon"};
    const char *const *name = t->cpu.zoo->dim.kind == CI_GAT ? of_gat : of_vgae;
    const bool graphs = t->cpu.zoo->dim.kind == CI_GAT;
    if (ci_devmodel_forward(dm, &t->pass, false) != CI_OK) fail_msg("%s", ci_message());
    for (int j = 0; j < 2; j++) {
        ci_lid cols, n;
        const float *dev = ci_devmodel_tensor(dm, name[j], &cols);
        size_t used = 0;
        float *want = floats((size_t)(graphs ? t->b.all.n_graph : t->b.all.n_node) * (size_t)cols);
        for (int k = 0; k < t->cpu.n_shard; k++) {
            const ci_batch *b = t->cpu.b[k];
            const size_t rows = (size_t)(graphs ? b->n_graph : b->n_node) * (size_t)cols;
            if (ci_model_forward(t->cpu.m, t->cpu.w, t->cpu.state, t->cpu.s[k], b) != CI_OK) fail_msg("%s", ci_message());
            if (rows) memcpy(want + used, ci_scratch_tensor(t->cpu.m, t->cpu.s[k], name[j], &n), rows * sizeof *want);
            used += rows;
        }
        cuda_check(c, name[j], dev, want, used, 1e-5);
        free(want);
    }
}

/** Each column has a scale of its own. */
static void same_columns(const struct both *t, const float *got, const float *want)
{
    ci_lid n;
    const char *const *name = ci_model_outputs(t->cpu.m, &n);
    for (ci_lid k = 0; k < n; k++) {
        char what[96];
        double a[64], b[64];
        for (ci_lid g = 0; g < t->b.all.n_graph; g++) {
            a[g] = (double)got[(size_t)g * (size_t)n + (size_t)k];
            b[g] = (double)want[(size_t)g * (size_t)n + (size_t)k];
        }
        snprintf(what, sizeof what, "%s: %s", t->cpu.zoo->name, name[k]);
        cuda_close(what, a, b, (size_t)t->b.all.n_graph, 1e-5, 1e-2);
    }
}

/** A model with memory for training, and one without: the same bits, which are nearly the processor's. */
static void same_outputs(struct cuda *c, struct both *t)
{
    const ci_devmodel_room room = room_of(t, false, 0);
    ci_devmodel *judge;
    const ci_batch *shard[CUDA_SHARDS];
    ci_lid n;
    ci_model_outputs(t->cpu.m, &n);
    const size_t size = (size_t)n * (size_t)t->b.all.n_graph, raw = 2 * (size_t)t->b.all.n_raw;
    float *want = floats(size), *one = floats(size), *two = floats(size), *at = want;
    float *message = floats(raw), *message1 = floats(raw), *message2 = floats(raw), *to = message;

    for (int k = 0; k < t->cpu.n_shard; at += (size_t)n * (size_t)t->cpu.b[k++]->n_graph) {
        const ci_batch *b = shard[k] = t->cpu.b[k];
        if (ci_model_score(t->cpu.m, t->cpu.w, t->cpu.state, t->cpu.s[k], b, at) != CI_OK) fail_msg("%s", ci_message());
        if (!t->cpu.zoo->dim.message || !b->n_raw) continue;
        memcpy(to, ci_scratch_tensor(t->cpu.m, t->cpu.s[k], "message", NULL), 2 * (size_t)b->n_raw * sizeof *to);
        to += 2 * b->n_raw;
    }
    cuda_ok(c, c->r->upload(c->d.dev, t->state, t->cpu.state, (size_t)t->cpu.n_state * sizeof(float)));
    t->b.dev.training = 0;
    if (ci_devmodel_create(&c->d, t->cpu.m, NULL, &room, &judge) != CI_OK) fail_msg("%s", ci_message());
    if (ci_devmodel_score(t->dm, &t->pass, shard, t->cpu.n_shard, t->cpu.w, t->cpu.s[0], one, message1) != CI_OK) fail_msg("%s", ci_message());
    if (ci_devmodel_score(judge, &t->pass, shard, t->cpu.n_shard, t->cpu.w, t->cpu.s[0], two, message2) != CI_OK) fail_msg("%s", ci_message());
    same_columns(t, one, want);
    cuda_close_floats("message", message1, message, raw, 1e-5);
    assert_memory_equal(one, two, size * sizeof *one);
    assert_memory_equal(message1, message2, raw * sizeof *message);
    cuda_record(c, one, size * sizeof *one);
    same_teacher(c, t, judge);
    t->b.dev.training = 1;
    ci_devmodel_destroy(&judge);
    float *own[] = {want, one, two, message, message1, message2};
    for (size_t k = 0; k < CI_COUNT(own); k++) free(own[k]);
}

static void train(struct cuda *c, struct both *t, bool kept)
{
    if (ci_devmodel_train(t->dm, &t->pass) != CI_OK) fail_msg("%s", ci_message());
    if (!kept) cuda_wait(c);
}

static void everything(struct cuda *c, const struct zoo *z)
{
    struct both t;
    double loss[CI_TERM_COUNT];
    both_open(c, z, CI_FP32, 2, 0, &t);
    if (bench_step(&t.cpu, loss) != CI_OK) fail_msg("%s", ci_message());
    train(c, &t, false);
    same_losses(c, &t, loss);
    same_gradients(c, &t);
    same_state(c, &t);
    same_outputs(c, &t);
    both_shut(&t);
}

static void one_model(void **state)
{
    struct cuda c;
    cuda_open(&c, "forward");
    everything(&c, *state);
    cuda_shut(&c);
    free(c.bytes);
}

static void gat_in_order(struct cuda *c) { everything(c, zoo_find(zoo, n_zoo, "gat_agnostic")); }
static void vgae_in_order(struct cuda *c) { everything(c, zoo_find(zoo, n_zoo, "vgae_masks")); }
static void devmodel__has_the_same_bits_in_any_order_of_threads_gat(void **state) { cuda_each_order(state, gat_in_order); }
static void devmodel__has_the_same_bits_in_any_order_of_threads_vgae(void **state) { cuda_each_order(state, vgae_in_order); }

/** Norm of what the whole gradient is off by: an element near the bend of a relu may change sides, so that single ones are off by more. */
static double off_by(struct cuda *c, const char *name, ci_precision precision)
{
    struct both t;
    double loss[CI_TERM_COUNT], off = 0, all = 0;
    both_open(c, zoo_find(zoo, n_zoo, name), precision, 2, 0, &t);
    if (bench_step(&t.cpu, loss) != CI_OK) fail_msg("%s", ci_message());
    train(c, &t, false);
    int64_t *sum = calloc((size_t)t.cpu.n, sizeof *sum);
    assert_non_null(sum);
    cuda_get(c, sum, t.optim.sum, (size_t)t.cpu.n * sizeof *sum);
    for (ci_gid i = 0; i < t.cpu.n; i++) {
        const double want = (double)t.cpu.grad[i], d = ldexp((double)sum[i], -EXPONENT) - want;
        off += d * d;
        all += want * want;
    }
    free(sum);
    both_shut(&t);
    return sqrt(off / all);
}

static void devmodel__rounds_what_products_are_of(void **state)
{
    static const char *const name[] = {"gat_lstm", "gat_transformer", "vgae_alone"};
    struct cuda c;
    (void)state;
    cuda_open(&c, "forward");
    for (size_t k = 0; k < CI_COUNT(name); k++) {
        const double tf32 = off_by(&c, name[k], CI_TF32), bf16 = off_by(&c, name[k], CI_BF16);
        print_message("%s: gradient off by %.2g with tf32, %.2g with bf16\n", name[k], tf32, bf16);
        assert_true(tf32 > 1e-6 && tf32 < 2e-3 && bf16 > tf32 && bf16 < 1e-2);
    }
    cuda_shut(&c);
    free(c.bytes);
}

static void record_sums(struct cuda *c, const struct both *t)
{
    const size_t n = (size_t)t->optim.n + CI_TERMS;
    int64_t *sum = calloc(n, sizeof *sum);
    assert_non_null(sum);
    cuda_get(c, sum, t->optim.sum, n * sizeof *sum);
    cuda_record(c, sum, n * sizeof *sum);
    free(sum);
}

/** \param [in] kept  asked once, then launched as a graph */
static void sums_of(struct cuda *c, const struct zoo *z, int spare, size_t budget, bool kept)
{
    struct both t;
    ci_dev_graph *graph = NULL;
    both_open(c, z, CI_FP32, spare, budget, &t);
    if (kept) cuda_ok(c, c->r->capture_begin(c->d.dev));
    train(c, &t, kept);
    if (kept) {
        cuda_ok(c, c->r->capture_end(c->d.dev, &graph));
        cuda_ok(c, c->r->launch(c->d.dev, graph));
        cuda_wait(c);
        c->r->graph_destroy(&graph);
    }
    record_sums(c, &t);
    both_shut(&t);
}

/** Shard by shard into the same sums: gradients of a shard know nothing of those beside it. */
static void sums_one_by_one(struct cuda *c, const struct zoo *z)
{
    struct both t;
    both_open(c, z, CI_FP32, 0, 0, &t);
    const ci_k_batch all = t.b.dev;
    for (int k = 0; k < t.b.n_shard; k++) {
        struct cuda_batch one = {.all = t.b.shard[k], .n_shard = 1, .n_id = t.b.n_id};
        const int32_t n[CI_ROWS_COUNT] = {one.all.n_graph, one.all.n_node, one.all.n_edge, one.all.n_raw};
        for (int j = 0; j < CI_ROWS_COUNT; j++) one.first[j][1] = n[j];
        cuda_batch_put(c, &one, 0);
        one.step = t.b.step;
        memcpy(one.step.n, n, sizeof n);
        one.step.n_shard = one.step.all_shard = 1;
        cuda_batch_step(c, &one);
        t.b.dev = one.dev; /* what the pass looks at */
        train(c, &t, false);
    }
    t.b.dev = all;
    record_sums(c, &t);
    both_shut(&t);
}

/** The same bits with room for these rows alone and for more, products gathered and one by one, asked again or launched again. */
static void devmodel__has_the_same_bits_in_any_room(void **state)
{
    static const char *const name[] = {"gat_lstm", "gat_gps", "vgae_masks"};
    static const struct { int spare; size_t budget; bool kept; } way[] = {{0, 0, false}, {300, 0, false}, {0, 1, false}, {0, 0, true}};
    struct cuda c;
    (void)state;
    cuda_open(&c, "forward");
    for (size_t k = 0; k < CI_COUNT(name); k++) {
        const size_t from = c.n_byte;
        for (size_t j = 0; j < CI_COUNT(way); j++) sums_of(&c, zoo_find(zoo, n_zoo, name[k]), way[j].spare, way[j].budget, way[j].kept);
        const size_t n = (c.n_byte - from) / CI_COUNT(way);
        for (size_t j = 1; j < CI_COUNT(way); j++) assert_memory_equal(c.bytes + from, c.bytes + from + j * n, n);
    }
    cuda_shut(&c);
    free(c.bytes);
}

static void devmodel__has_the_same_bits_shard_by_shard(void **state)
{
    static const char *const name[] = {"gat_lstm", "gat_message", "gat_layer_norm"}; /* of which none is cut */
    struct cuda c;
    (void)state;
    cuda_open(&c, "forward");
    for (size_t k = 0; k < CI_COUNT(name); k++) {
        const size_t from = c.n_byte;
        sums_of(&c, zoo_find(zoo, n_zoo, name[k]), 0, 0, false);
        sums_one_by_one(&c, zoo_find(zoo, n_zoo, name[k]));
        const size_t n = (c.n_byte - from) / 2;
        assert_memory_equal(c.bytes + from, c.bytes + from + n, n);
    }
    cuda_shut(&c);
    free(c.bytes);
}

static void devmodel__plans_less_where_products_do_not_wait(void **state)
{
    struct cuda c;
    size_t all, few;
    ci_model *m;
    ci_devmodel_room room = {.most = {300, 8000, 40000, 30000}, .most_shard = 40, .n_rank = 1, .training = true};
    (void)state;
    cuda_open(&c, "forward");
    assert_int_equal(ci_model_create(&zoo_find(zoo, n_zoo, "gat_large_paper")->dim, "generic", &m), CI_OK);
    assert_int_equal(ci_devmodel_bytes(m, c.k, &room, &all), CI_OK);
    room.budget = all - 1;
    assert_int_equal(ci_devmodel_bytes(m, c.k, &room, &few), CI_OK);
    assert_true(few < all);
    print_message("gat_large_paper, 8000 nodes: %zu bytes, %zu where products do not wait\n", all, few);
    ci_model_destroy(&m);
    cuda_shut(&c);
}

static void devmodel__refuses_shards_that_it_has_no_room_for(void **state)
{
    struct cuda c;
    struct both t;
    float out[64];
    (void)state;
    cuda_open(&c, "forward");
    both_open(&c, zoo_find(zoo, n_zoo, "gat_jk_last"), CI_FP32, 0, 0, &t);
    const ci_batch *const twice[] = {&t.b.shard[0], &t.b.shard[2], &t.b.shard[2]};
    assert_int_equal(ci_devmodel_score(t.dm, &t.pass, twice, 3, t.cpu.w, t.cpu.s[0], out, NULL), CI_EARG);
    both_shut(&t);
    cuda_shut(&c);
}

/** One launch a step; how many kernels are in it is what the host no longer pays for, and what the device still does. */
static int kernels_of(struct cuda *c, const char *name)
{
    struct both t;
    ci_dev_graph *graph = NULL;
    const ci_k_pool pool = {0};
    both_open(c, zoo_find(zoo, n_zoo, name), CI_FP32, 2, 0, &t);
    t.optim.g = cuda_zeros(c, (size_t)t.optim.n * sizeof(float));
    t.optim.w = cuda_zeros(c, (size_t)t.optim.n * sizeof(float));
    t.optim.m = cuda_zeros(c, (size_t)t.optim.n * sizeof(float));
    t.optim.v = cuda_zeros(c, (size_t)t.optim.n * sizeof(float));
    t.optim.agreed = cuda_zeros(c, ((size_t)t.optim.n_tensor + CI_FLAGS) * sizeof(int64_t));
    t.optim.work = cuda_zeros(c, (size_t)c->k->optim_work(t.optim.n) * sizeof(double));
    cuda_wait(c);
    cuda_ok(c, c->r->capture_begin(c->d.dev));
    c->k->assemble(c->d.dev, &t.b.dev, &pool);
    c->k->optim_begin(c->d.dev, &t.b.dev, &t.optim);
    assert_int_equal(ci_devmodel_train(t.dm, &t.pass), CI_OK);
    c->k->optim_agree(c->d.dev, &t.b.dev, &t.optim);
    c->k->optim_finish(c->d.dev, &t.b.dev, &t.optim);
    cuda_ok(c, c->r->capture_end(c->d.dev, &graph));
    const int n = c->r->graph_kernels(graph);
    c->r->graph_destroy(&graph);
    both_shut(&t);
    return n;
}

static void devmodel__is_few_kernels_a_step(void **state)
{
    static const struct { const char *name; int most; } model[] = {
        {"gat_small_default", 27}, {"gat_large_default", 30}, {"gat_small_paper", 33}, {"gat_large_paper", 44}, {"vgae_small_paper", 54},
        {"vgae_large_paper", 54}};
    (void)state;
    for (size_t k = 0; k < CI_COUNT(model); k++) {
        struct cuda c;
        cuda_open(&c, "forward");
        const int n = kernels_of(&c, model[k].name);
        print_message("%s: %d kernels a step\n", model[k].name, n);
        assert_true(n <= model[k].most);
        cuda_shut(&c);
    }
}

/** With an argument: the tests of names like it, "*vgae*". */
int main(int argc, char **argv)
{
    static struct CMUnitTest tests[ZOO_MAX + 8] = {cmocka_unit_test(devmodel__has_the_same_bits_in_any_order_of_threads_gat),
                                                   cmocka_unit_test(devmodel__has_the_same_bits_in_any_order_of_threads_vgae),
                                                   cmocka_unit_test(devmodel__has_the_same_bits_in_any_room),
                                                   cmocka_unit_test(devmodel__has_the_same_bits_shard_by_shard),
                                                   cmocka_unit_test(devmodel__rounds_what_products_are_of),
                                                   cmocka_unit_test(devmodel__plans_less_where_products_do_not_wait),
                                                   cmocka_unit_test(devmodel__refuses_shards_that_it_has_no_room_for),
                                                   cmocka_unit_test(devmodel__is_few_kernels_a_step)};
    static char name[ZOO_MAX][80];
    int n = 8, failed;

    n_zoo = zoo_read("tests/oracle/model.txt", zoo);
    for (int k = 0; k < n_zoo; k++) {
        if (strstr(zoo[k].name, "small") || strstr(zoo[k].name, "large")) continue; /* the shapes of the presets; the kinds are in the others */
        snprintf(name[k], sizeof name[k], "devmodel__is_the_processor_s_%.39s", zoo[k].name);
        tests[n++] = (struct CMUnitTest){name[k], one_model, NULL, NULL, &zoo[k]};
    }
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    failed = _cmocka_run_group_tests("device", tests, (size_t)n, NULL, NULL);
    zoo_free(zoo, n_zoo);
    return failed;
}
