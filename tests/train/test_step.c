/* RANKS: 1 2 3 */
/* One step from the inside: its gradient, the units of its sum, and steps that are done again. */
#define CI_TEST_MPI
#include "ci_test.h"

#include <math.h>

#include "ci/loss.h"
#include "train/train_made.h"

static ci_store *store;
static ci_conf conf;
static char sha[CI_SHA256_HEX];

static int group_start(void **state)
{
    (void)state;
    if (small_start()) return 1;
    store = made_store(comm, &small, path_of("step.h5"), sha);
    small_conf("step", NULL, &conf);
    return 0;
}

static int group_end(void **state)
{
    (void)state;
    ci_store_close(&store);
    return 0;
}

static void begin(struct trainer *t)
{
    assert_int_equal(trainer_init(t, comm, &conf, store, sha), CI_OK);
    assert_int_equal(ci_scaler_fit(comm, store, t->split.train, t->split.n_train, CI_SCALER_ZSCORE, &t->ck.scaler), CI_OK);
    ci_model_init(t->model, (uint32_t)conf.train.seed, t->ck.w, t->ck.state);
    assert_int_equal(epoch_begin(t), CI_OK);
}

static void steps(struct trainer *t, int n)
{
    int signal;

    for (int i = 0; i < n; i++) assert_int_equal(step_run(t, &signal), CI_OK);
    assert_int_equal(signal, 0);
}

/* The gradient of the next step, shard after shard in double, with one packer and one scratch. */
static double *gradient(const struct trainer *t, double *out_loss)
{
    const ci_gid P = t->ck.n;
    const int64_t from = t->ck.at.batch * conf.train.batch, n = CI_MIN(conf.train.batch, t->split.n_train - from);
    const ci_lid rows = conf.train.shard_rows, G = CI_SHARD_GRAPHS(rows);
    const ci_model_step step = {.seed = (uint32_t)conf.train.seed, .epoch = (uint32_t)t->ck.at.epoch, .dropout = (float)conf.train.dropout,
                                .unk_drop = (float)conf.train.unk_drop, .classify = {.kind = CI_FOCAL, .gamma = conf.train.gamma},
                                .weight = {[CI_TERM_TASK] = 1}, .n_graph = n, .graph_weight = (double)n};
    double *sum = ci_new((size_t)P, sizeof *sum);
    float *g = ci_new((size_t)P, sizeof *g), *wt = ci_new((size_t)ci_model_prepared_size(t->model), sizeof *wt);
    int64_t first[65], bad, n_shard = ci_shards_cut(store, t->graph + from, n, rows, first, &bad);
    ci_packer *packer = NULL;
    ci_scratch *scratch = NULL;

    assert_int_equal(ci_packer_create(store, &t->ck.scaler, G, rows, false, &packer), CI_OK);
    assert_int_equal(ci_scratch_create(t->model, G, rows, ci_packer_max_edge(store, G, rows), 0, &scratch), CI_OK);
    ci_model_prepare(t->model, t->ck.w, wt);
    *out_loss = 0;
    for (int64_t s = 0; s < n_shard; s++) {
        const ci_batch *b = ci_packer_pack(packer, t->graph + from + first[s], (ci_lid)(first[s + 1] - first[s]));
        const ci_model_pass pass = {.m = t->model, .w = t->ck.w, .wt = wt, .s = scratch, .b = b, .step = &step, .grad = g};
        assert_int_equal(ci_model_run(&pass, 0, 0), CI_OK);
        memset(g, 0, (size_t)P * sizeof *g);
        assert_int_equal(ci_model_run(&pass, 1, 0), CI_OK);
        for (ci_gid i = 0; i < P; i++) sum[i] += (double)g[i];
        *out_loss += ci_scratch_losses(scratch)[CI_TERM_TASK];
    }
    ci_packer_destroy(&packer);
    ci_scratch_destroy(&scratch);
    free(g);
    free(wt);
    return sum;
}

static void step__sums_the_gradients_of_its_shards(void **state)
{
    struct trainer t;

    (void)state;
    begin(&t);
    for (int k = 0; k < 3; k++) {
        double loss, *want = gradient(&t, &loss);
        const int64_t before = t.ck.at.loss_sum;
        steps(&t, 1);
        for (ci_lid i = 0; i < t.ck.n_tensor; i++) {
            const ci_param *p = &t.param[i];
            double most = 0;
            for (ci_gid j = 0; j < (ci_gid)p->rows * p->cols; j++) most = fmax(most, fabs(want[p->first + j]));
            for (ci_gid j = 0; j < (ci_gid)p->rows * p->cols; j++) { /* units of 2^-44 of the largest, half a unit a shard; one float */
                const double got = (double)t.g[p->first + j], w = want[p->first + j];
                if (fabs(got - w) > most * 0x1p-36 + fabs(w) * 0x1p-23) fail_msg("step %d %s[%lld]: %.9g, wanted %.9g", k, p->name, (long long)j, got, w);
            }
        }
        assert_true(fabs((double)(t.ck.at.loss_sum - before) * 0x1p-40 - loss) < 1e-10);
        free(want);
    }
    trainer_release(&t);
}

/* The first step knows nothing of its gradients: whatever the units are, it is done again in the right ones. */
static void step__of_a_new_training_is_done_again(void **state)
{
    static const int32_t exponents[] = {0, 20, -40, 60, 200};
    struct trainer a, t;

    (void)state;
    begin(&a);
    steps(&a, 1);
    for (size_t k = 0; k < CI_COUNT(exponents); k++) {
        begin(&t);
        for (ci_lid i = 0; i < t.ck.n_tensor; i++) t.ck.exponent[i] = exponents[k] + i % 3;
        steps(&t, 1);
        assert_memory_equal(t.ck.w, a.ck.w, (size_t)a.ck.n * sizeof *a.ck.w);
        assert_memory_equal(t.ck.exponent, a.ck.exponent, (size_t)a.ck.n_tensor * sizeof *a.ck.exponent);
        assert_int_equal(t.ck.at.loss_sum, a.ck.at.loss_sum);
        trainer_release(&t);
    }
    trainer_release(&a);
}

static void step__takes_its_units_from_the_step_before(void **state)
{
    struct trainer t;

    (void)state;
    begin(&t);
    steps(&t, 1);
    for (ci_lid i = 0; i < t.ck.n_tensor; i++) assert_int_equal(t.ck.exponent[i], sum_exponent((uint32_t)t.agreed[i], 0));
    for (ci_lid i = 0; i < t.ck.n_tensor; i++) t.ck.exponent[i] = 20; /* coarse, but no overflow: they are used as they are */
    steps(&t, 1);
    for (ci_gid i = 0; i < t.ck.n; i++) assert_true((double)t.g[i] * 0x1p20 == rint((double)t.g[i] * 0x1p20));
    for (ci_lid i = 0; i < t.ck.n_tensor; i++) assert_int_equal(t.ck.exponent[i], sum_exponent((uint32_t)t.agreed[i], 0));
    trainer_release(&t);
}

/* Overflow in one tensor, on whatever rank it is seen: the step is done again in the units of its own gradients. */
static void step__that_overflowed_equals_one_that_did_not(void **state)
{
    struct trainer a, b, c;

    (void)state;
    begin(&a);
    steps(&a, 2);
    begin(&b);
    steps(&b, 1);
    memcpy(b.ck.exponent, a.ck.exponent, (size_t)a.ck.n_tensor * sizeof *a.ck.exponent); /* the units of step 2 itself */
    steps(&b, 1);
    for (ci_lid tensor = 0; tensor < a.ck.n_tensor; tensor += 5) {
        begin(&c);
        steps(&c, 1);
        c.ck.exponent[tensor] = 120;
        steps(&c, 1);
        assert_memory_equal(c.ck.w, b.ck.w, (size_t)b.ck.n * sizeof *b.ck.w);
        assert_memory_equal(c.ck.m, b.ck.m, (size_t)b.ck.n * sizeof *b.ck.m);
        assert_memory_equal(c.ck.exponent, b.ck.exponent, (size_t)b.ck.n_tensor * sizeof *b.ck.exponent);
        assert_int_equal(c.ck.at.step, 2);
        assert_int_equal(c.ck.at.batch, 2);
        trainer_release(&c);
    }
    trainer_release(&a);
    trainer_release(&b);
}

static void step__does_not_depend_on_threads(void **state)
{
    struct trainer a, b;

    (void)state;
    conf.train.threads = 1;
    begin(&a);
    steps(&a, 3);
    conf.train.threads = 5;
    begin(&b);
    steps(&b, 3);
    assert_memory_equal(a.ck.w, b.ck.w, (size_t)a.ck.n * sizeof *a.ck.w);
    trainer_release(&a);
    trainer_release(&b);
    conf.train.threads = 2;
}

static void step__covers_the_epoch(void **state)
{
    struct trainer t;
    uint8_t seen[200] = {0};
    int64_t n_batch, shards;

    (void)state;
    begin(&t);
    n_batch = (t.split.n_train + conf.train.batch - 1) / conf.train.batch;
    for (int64_t b = 0; b < n_batch; b++) {
        steps(&t, 1);
        assert_int_equal(t.first[0], 0);
        assert_int_equal(t.first[t.n_shard], t.n_batch_graph);
        for (int64_t i = 0; i < t.n_batch_graph; i++) seen[t.batch[i]]++;
    }
    for (int64_t i = 0; i < t.split.n_train; i++) assert_int_equal(seen[t.split.train[i]], 1);
    for (int64_t i = 0; i < t.split.n_valid; i++) assert_int_equal(seen[t.split.valid[i]], 0);
    shards = t.shards_done;
    assert_true(shards > 0); /* every rank had some */
    trainer_release(&t);
}

/* ---- what is not finite */

static ci_param tensor(const struct trainer *t, const char *name)
{
    for (ci_lid i = 0; i < t->ck.n_tensor; i++)
        if (strcmp(t->param[i].name, name) == 0) return t->param[i];
    fail_msg("no tensor %s", name);
    return t->param[0];
}

static void step__names_tensor_step_and_rank_of_weights_that_are_not_finite(void **state)
{
    struct trainer t;
    int signal;

    (void)state;
    begin(&t);
    steps(&t, 2);
    t.ck.w[tensor(&t, "conv1.lin_r.weight").first + 5] = NAN;
    assert_int_equal(step_run(&t, &signal), CI_ENUMERIC);
    assert_non_null(strstr(ci_message(), "step 3, rank 0: "));
    assert_non_null(strstr(ci_message(), "conv1.lin_r.weight"));
    assert_int_equal(t.ck.at.step, 2);
    trainer_release(&t);
}

/* Identifiers' columns that are 0 times weights that are huge: the forward pass is 0, the gradient of the columns is not. */
static void step__names_tensor_step_and_rank_of_a_gradient_that_is_not_finite(void **state)
{
    struct trainer t;
    ci_param embed, left;
    int signal;

    (void)state;
    begin(&t);
    steps(&t, 1);
    embed = tensor(&t, "embed.weight");
    left = tensor(&t, "conv0.lin_l.weight");
    for (int64_t r = 0; r < embed.rows; r++) t.ck.w[embed.first + r * embed.cols] = 0;
    for (int64_t c = 0; c < left.cols; c++) t.ck.w[left.first + c] = 3e38f * (c % 2 ? 1.0f : -1.0f);
    for (ci_gid i = 0; i < t.ck.n; i++) /* and a head that makes much of little */
        if (i >= tensor(&t, "head0.weight").first && i < tensor(&t, "head0.bias").first) t.ck.w[i] *= 3000;
    assert_int_equal(step_run(&t, &signal), CI_ENUMERIC);
    if (!strstr(ci_message(), "step 2, rank ") || !strstr(ci_message(), "the gradient of embed.weight is not finite")) fail_msg("%s", ci_message());
    trainer_release(&t);
}

/* A bias of the last layer: no weight and no gradient is too large, the loss is. */
static void step__stops_at_a_loss_that_no_classifier_has(void **state)
{
    struct trainer t;
    int signal;

    (void)state;
    begin(&t);
    steps(&t, 1);
    t.ck.w[t.ck.n - 1] = 1e12f;
    assert_int_equal(step_run(&t, &signal), CI_ENUMERIC);
    if (!strstr(ci_message(), "step 2, rank ") || !strstr(ci_message(), "the loss is ")) fail_msg("%s", ci_message());
    trainer_release(&t);
}

static void step__wants_shards_that_hold_a_graph(void **state)
{
    struct trainer t;
    int signal;

    (void)state;
    conf.train.shard_rows = 16; /* some graphs have 20 nodes */
    begin(&t);
    assert_int_equal(step_run(&t, &signal), CI_ECONF);
    assert_non_null(strstr(ci_message(), "train.shard_rows: 16 is less than the nodes of graph"));
    trainer_release(&t);
    conf.train.shard_rows = 64;
}

/* ---- scores */

static ci_rc score(const struct trainer *t, const int64_t *graph, int64_t n, int threads, int32_t rows, float *out)
{
    ci_rc rc = CI_OK;
    ci_pool *pool = NULL;
    ci_lane *lane = NULL;

    CI_TRY(ci_pool_create(threads, &pool));
    CI_TRY(ci_lanes_create(t->model, store, &t->ck.scaler, rows, threads, &lane));
    CI_TRY(ci_score(comm, pool, lane, t->model, t->ck.w, t->ck.state, store, graph, n, rows, out));
done:
    ci_lanes_destroy(&lane, threads);
    ci_lanes_destroy(&lane, threads);
    ci_pool_destroy(&pool);
    return rc;
}

static void score__is_the_forward_pass_of_each_graph_alone(void **state)
{
    struct trainer t;
    int64_t graph[140];
    float all[6 * 140], other[6 * 140], alone[6];
    ci_lane *lane = NULL;

    (void)state;
    begin(&t);
    steps(&t, 1);
    for (int64_t i = 0; i < 140; i++) graph[i] = i * 11 % 140;
    assert_int_equal(score(&t, graph, 140, 1, 64, all), CI_OK);
    assert_int_equal(score(&t, graph, 140, 3, 1000, other), CI_OK);
    assert_memory_equal(all, other, sizeof all);
    assert_int_equal(ci_lanes_create(t.model, store, &t.ck.scaler, 20, 1, &lane), CI_OK);
    for (int64_t i = 0; i < 140; i++) {
        const ci_batch *b = ci_packer_pack(lane->packer, &graph[i], 1);
        assert_int_equal(ci_model_score(t.model, t.ck.w, t.ck.state, lane->scratch, b, alone), CI_OK);
        assert_memory_equal(alone, all + 6 * i, sizeof alone);
    }
    ci_lanes_destroy(&lane, 1);
    assert_int_equal(score(&t, graph, 0, 2, 64, all), CI_OK);
    assert_int_equal(score(&t, graph, 140, 2, 10, all), CI_ECONF);
    trainer_release(&t);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(step__sums_the_gradients_of_its_shards),
    cmocka_unit_test(step__of_a_new_training_is_done_again),
    cmocka_unit_test(step__takes_its_units_from_the_step_before),
    cmocka_unit_test(step__that_overflowed_equals_one_that_did_not),
    cmocka_unit_test(step__does_not_depend_on_threads),
    cmocka_unit_test(step__covers_the_epoch),
    cmocka_unit_test(step__names_tensor_step_and_rank_of_weights_that_are_not_finite),
    cmocka_unit_test(step__names_tensor_step_and_rank_of_a_gradient_that_is_not_finite),
    cmocka_unit_test(step__stops_at_a_loss_that_no_classifier_has),
    cmocka_unit_test(step__wants_shards_that_hold_a_graph),
    cmocka_unit_test(score__is_the_forward_pass_of_each_graph_alone),
};

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    ci_test_start(&argc, &argv);
    return ci_test_stop(cmocka_run_group_tests(tests, group_start, group_end));
}
