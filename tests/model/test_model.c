/* What must hold of the classifier whatever its numbers are. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "case.h"
#include "ci/loss.h"
#include "ci/rc.h"

static const ci_class_loss focal = {.kind = CI_FOCAL, .gamma = 2};
static const ci_model_step train = {.seed = 3, .epoch = 4, .dropout = 0.2f, .unk_drop = 0.3f, .classify = {.kind = CI_FOCAL, .gamma = 2},
                                    .weight = {[CI_TERM_TASK] = 1}, .n_graph = 1, .graph_weight = 1};

struct bench {
    ci_model *m;
    ci_scratch *s;
    float *w, *wt, *grad;
    ci_gid n;
};

static struct bench open_bench(const char *isa)
{
    const ci_model_dim dim = case_dim();
    struct bench t = {0};
    if (ci_model_create(&dim, isa, &t.m) != CI_OK) return t;
    assert_int_equal(ci_scratch_create(t.m, 16, 512, 3000, 0, &t.s), CI_OK);
    t.n = ci_model_size(t.m);
    t.w = calloc((size_t)t.n, sizeof *t.w);
    t.grad = calloc((size_t)t.n, sizeof *t.grad);
    t.wt = calloc((size_t)ci_model_prepared_size(t.m), sizeof *t.wt);
    ci_model_init(t.m, 42, t.w, NULL);
    ci_model_prepare(t.m, t.w, t.wt);
    return t;
}

static void close_bench(struct bench *t)
{
    ci_scratch_destroy(&t->s);
    ci_model_destroy(&t->m);
    free(t->w);
    free(t->wt);
    free(t->grad);
}

/** Forward, loss, backward; gradients are added to t->grad. */
static double shard(struct bench *t, const ci_batch *b, ci_gid n_global, float *logit)
{
    ci_model_step step = train;
    double loss;
    step.n_graph = n_global;
    step.graph_weight = (double)n_global;
    assert_int_equal(case_shard(t->m, t->w, t->wt, t->s, b, &step, logit, t->grad, &loss), CI_OK);
    return loss;
}

static void create__has_the_documented_number_of_parameters(void **state)
{
    (void)state;
    ci_model_dim dim = case_dim();
    const ci_lid sizes[] = {0, 20, 2048};
    for (size_t k = 0; k < CI_COUNT(sizes); k++) {
        ci_model *m;
        ci_lid n;
        ci_gid sum = 0;
        dim.n_id = sizes[k];
        assert_int_equal(ci_model_create(&dim, "generic", &m), CI_OK);
        assert_int_equal(ci_model_size(m), 105602 + 16 * (sizes[k] + 1));
        const ci_param *p = ci_model_params(m, &n);
        for (ci_lid i = 0; i < n; i++) {
            assert_int_equal(p[i].first, sum);
            sum += (ci_gid)p[i].rows * p[i].cols;
        }
        assert_int_equal(sum, ci_model_size(m));
        ci_model_destroy(&m);
        assert_null(m);
    }
}

static void create__refuses_dimensions_that_cannot_be(void **state)
{
    (void)state;
    const struct { size_t at; ci_lid bad; const char *says; } cases[] = {
        {offsetof(ci_model_dim, n_id), -1, "-1 identifiers"},      {offsetof(ci_model_dim, id_dim), 0, "no columns for 20 identifiers"},
        {offsetof(ci_model_dim, n_edge_feature), 0, "edge features"}, {offsetof(ci_model_dim, layers), 9, "model.layers 9"},
        {offsetof(ci_model_dim, heads), 100, "model.heads"},       {offsetof(ci_model_dim, channels), 0, "model.channels 4 * 0"},
        {offsetof(ci_model_dim, project), -1, "model.project -1"},     {offsetof(ci_model_dim, head_layers), 0, "head_layers 0"},
        {offsetof(ci_model_dim, n_class), 1, "1 classes"},
    };
    for (size_t k = 0; k < CI_COUNT(cases); k++) {
        ci_model_dim dim = case_dim();
        ci_model *m;
        memcpy((char *)&dim + cases[k].at, &cases[k].bad, sizeof cases[k].bad);
        assert_int_equal(ci_model_create(&dim, "auto", &m), CI_ECONF);
        assert_null(m);
        assert_non_null(strstr(ci_message(), cases[k].says));
    }
    ci_model_dim dim = case_dim();
    ci_model *m;
    assert_int_equal(ci_model_create(&dim, "sse9", &m), CI_ECONF);
    assert_non_null(strstr(ci_message(), "sse9"));
    dim.slope = NAN;
    assert_int_equal(ci_model_create(&dim, "auto", &m), CI_ECONF);
}

static void backward__has_the_same_bits_with_every_instruction_set(void **state)
{
    (void)state;
    static const char *const isa[] = {"generic", "avx2", "avx512"};
    ci_batch *b = case_many(0, 8);
    struct bench first = open_bench("generic");
    float want[32], got[32];
    const double loss = shard(&first, b, 8, want);
    for (size_t k = 1; k < CI_COUNT(isa); k++) {
        struct bench t = open_bench(isa[k]);
        if (!t.m) {
            printf("skip - model %s: this machine cannot run it\n", isa[k]);
            continue;
        }
        assert_string_equal(ci_model_isa(t.m), isa[k]);
        assert_true(shard(&t, b, 8, got) == loss);
        assert_memory_equal(got, want, 16 * sizeof *got);
        assert_memory_equal(t.grad, first.grad, (size_t)t.n * sizeof *t.grad);
        close_bench(&t);
    }
    close_bench(&first);
    case_free(b);
}

static void forward__of_a_graph_does_not_depend_on_its_shard(void **state)
{
    (void)state;
    struct bench t = open_bench("auto");
    float all[32], one[2];
    ci_batch *b = case_many(10, 8);
    const ci_model_step *const steps[] = {NULL, &train};
    for (int k = 0; k < 2; k++) {
        assert_int_equal(case_forward(t.m, t.w, t.s, b, steps[k], all), CI_OK);
        for (int g = 0; g < 8; g++) {
            ci_batch *single = case_many(10 + g, 1);
            assert_int_equal(case_forward(t.m, t.w, t.s, single, steps[k], one), CI_OK);
            assert_memory_equal(one, all + 2 * g, sizeof one);
            case_free(single);
        }
    }
    case_free(b);
    close_bench(&t);
}

static void backward__leaves_no_trace_in_the_scratch(void **state)
{
    (void)state;
    struct bench t = open_bench("auto"), u = open_bench("auto");
    ci_batch *b = case_many(0, 6), *other = case_many(50, 9), *empty = case_named("empty");
    float logit[64];
    shard(&u, other, 3, logit);
    assert_true(shard(&u, empty, 3, logit) == 0);
    memset(u.grad, 0, (size_t)u.n * sizeof *u.grad);
    shard(&u, empty, 3, logit);
    for (ci_gid i = 0; i < u.n; i++) assert_true(u.grad[i] == 0); /* an empty shard adds nothing */
    shard(&t, b, 6, logit);
    shard(&u, b, 6, logit);
    assert_memory_equal(t.grad, u.grad, (size_t)t.n * sizeof *t.grad);
    case_free(b);
    case_free(other);
    case_free(empty);
    close_bench(&t);
    close_bench(&u);
}

static void dropout__depends_on_seed_epoch_and_graph(void **state)
{
    (void)state;
    struct bench t = open_bench("auto");
    ci_batch *b = case_many(0, 1);
    float base[2], other[2], plain[2];
    ci_model_step step = train;
    assert_int_equal(case_forward(t.m, t.w, t.s, b, NULL, plain), CI_OK);
    assert_int_equal(case_forward(t.m, t.w, t.s, b, &step, base), CI_OK);
    assert_memory_not_equal(plain, base, sizeof base);
    step.epoch++;
    assert_int_equal(case_forward(t.m, t.w, t.s, b, &step, other), CI_OK);
    assert_memory_not_equal(other, base, sizeof base);
    step = train;
    step.seed++;
    assert_int_equal(case_forward(t.m, t.w, t.s, b, &step, other), CI_OK);
    assert_memory_not_equal(other, base, sizeof base);
    b->graph[0]++;
    assert_int_equal(case_forward(t.m, t.w, t.s, b, &train, other), CI_OK);
    assert_memory_not_equal(other, base, sizeof base);
    step = (ci_model_step){.seed = 9}; /* nothing dropped: training is evaluation */
    assert_int_equal(case_forward(t.m, t.w, t.s, b, &step, other), CI_OK);
    assert_memory_equal(other, plain, sizeof plain);
    case_free(b);
    close_bench(&t);
}

/** Loss with w[i] moved by h. */
static double moved(struct bench *t, const ci_batch *b, ci_gid i, float h)
{
    float logit[64];
    double loss;
    const float old = t->w[i];
    t->w[i] = old + h;
    assert_int_equal(case_forward(t->m, t->w, t->s, b, &train, logit), CI_OK);
    assert_int_equal(ci_classify(&focal, logit, b->label, NULL, b->n_graph, 1, NULL, &loss), CI_OK);
    t->w[i] = old;
    return loss;
}

/** The element of tensor p whose gradient is the largest below `limit`; -1 when there is none. */
static ci_gid largest_below(const struct bench *t, const ci_param *p, float limit)
{
    ci_gid most = -1;
    for (ci_gid i = p->first; i < p->first + (ci_gid)p->rows * p->cols; i++)
        if (fabsf(t->grad[i]) < limit && (most < 0 || fabsf(t->grad[i]) > fabsf(t->grad[most]))) most = i;
    return most;
}

static void backward__matches_central_difference_with_dropout(void **state)
{
    (void)state;
    struct bench t = open_bench("auto");
    ci_batch *b = case_many(0, 4);
    float logit[64];
    ci_lid n;
    const ci_param *p = ci_model_params(t.m, &n);
    shard(&t, b, 1, logit);
    for (ci_lid k = 0; k < n; k++) {
        /* Float logits know the loss to about 1e-7, so elements with large gradients are moved, far enough to change it by 1e-4: 2 %
         * for what is left.  Where the differences to both sides disagree, a ReLU turns between them: the next element. */
        float limit = INFINITY;
        int compared = 0;
        for (int tries = 0; tries < 12 && compared < 3; tries++) {
            const ci_gid i = largest_below(&t, &p[k], limit);
            if (i < 0) break;
            limit = fabsf(t.grad[i]);
            const float h = fminf(4e-3f, 1e-4f / limit);
            const double up = moved(&t, b, i, h), at = moved(&t, b, i, 0), down = moved(&t, b, i, -h);
            const double difference = (up - down) / (2 * (double)h), bend = (up - 2 * at + down) / (double)h;
            if (fabs(bend) > 0.02 * fabs(difference)) continue;
            compared++;
            if (fabs(difference - t.grad[i]) > 0.02 * limit + 1e-4)
                fail_msg("%s: %g, the difference says %g", p[k].name, (double)t.grad[i], difference);
        }
        if (!compared) fail_msg("%s: no element could be compared", p[k].name);
    }
    case_free(b);
    close_bench(&t);
}

static void unk_drop__makes_identifiers_unknown(void **state)
{
    (void)state;
    struct bench t = open_bench("auto");
    ci_batch *b = case_many(0, 4);
    float want[8], got[8];
    const ci_model_step all = {.seed = 1, .unk_drop = 0.99999f}; /* keeps one of the 104 nodes with probability .001 */
    assert_int_equal(case_forward(t.m, t.w, t.s, b, &all, got), CI_OK);
    memset(b->id, 0, (size_t)b->n_node * sizeof *b->id);
    assert_int_equal(case_forward(t.m, t.w, t.s, b, NULL, want), CI_OK);
    assert_memory_equal(got, want, sizeof want);
    case_free(b);
    close_bench(&t);
}

static ci_rc backward_alone(struct bench *t, const ci_batch *b)
{
    const ci_model_pass pass = {.m = t->m, .w = t->w, .wt = t->wt, .s = t->s, .b = b, .step = &train, .grad = t->grad};
    return ci_model_run(&pass, 1, 0);
}

static void forward__refuses_a_shard_that_does_not_fit(void **state)
{
    (void)state;
    struct bench t = open_bench("auto");
    float logit[64];
    ci_batch *b = case_many(0, 17);
    assert_int_equal(case_forward(t.m, t.w, t.s, b, NULL, logit), CI_EARG);
    assert_int_equal(backward_alone(&t, b), CI_EARG);
    case_free(b);
    b = case_many(0, 2);
    assert_int_equal(backward_alone(&t, b), CI_EARG);
    shard(&t, b, 2, logit); /* backward has used the memory of the activations: not twice */
    assert_int_equal(backward_alone(&t, b), CI_EARG);
    b->id[3] = CASE_IDS + 1;
    assert_int_equal(case_forward(t.m, t.w, t.s, b, NULL, logit), CI_EARG);
    assert_non_null(strstr(ci_message(), "identifier 21 of a vocabulary of 20"));
    b->id[3] = 0;
    b->n_feature = 11;
    assert_int_equal(case_forward(t.m, t.w, t.s, b, NULL, logit), CI_EARG);
    b->n_feature = 35;
    b->n_node--;
    assert_int_equal(case_forward(t.m, t.w, t.s, b, NULL, logit), CI_EARG);
    case_free(b);
    close_bench(&t);
}

static void finite__names_the_tensor(void **state)
{
    (void)state;
    struct bench t = open_bench("auto");
    ci_lid n;
    const ci_param *p = ci_model_params(t.m, &n);
    assert_int_equal(ci_model_finite(t.m, t.w, "weights"), CI_OK);
    t.w[p[12].first + 5] = NAN;
    assert_int_equal(ci_model_finite(t.m, t.w, "weights"), CI_ENUMERIC);
    assert_non_null(strstr(ci_message(), p[12].name));
    float logit[64];
    double loss;
    ci_batch *b = case_many(0, 2);
    assert_int_equal(case_forward(t.m, t.w, t.s, b, NULL, logit), CI_OK);
    assert_int_equal(ci_classify(&focal, logit, b->label, NULL, 2, 0.5, NULL, &loss), CI_ENUMERIC); /* it reaches the loss */
    case_free(b);
    close_bench(&t);
}

static void plan__says_what_it_takes(void **state)
{
    (void)state;
    struct bench t = open_bench("auto");
    char *text = ci_model_plan(t.m, 16, 512, 3000, 0), bytes[64];
    assert_non_null(strstr(text, "conv0.l conv0.r -> x1 (nodes, 96)"));
    snprintf(bytes, sizeof bytes, "%zu bytes", ci_scratch_bytes(t.m, 16, 512, 3000, 0));
    assert_non_null(strstr(text, bytes));
    free(text);
    close_bench(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create__has_the_documented_number_of_parameters),
        cmocka_unit_test(create__refuses_dimensions_that_cannot_be),
        cmocka_unit_test(backward__has_the_same_bits_with_every_instruction_set),
        cmocka_unit_test(forward__of_a_graph_does_not_depend_on_its_shard),
        cmocka_unit_test(backward__leaves_no_trace_in_the_scratch),
        cmocka_unit_test(dropout__depends_on_seed_epoch_and_graph),
        cmocka_unit_test(backward__matches_central_difference_with_dropout),
        cmocka_unit_test(unk_drop__makes_identifiers_unknown),
        cmocka_unit_test(forward__refuses_a_shard_that_does_not_fit),
        cmocka_unit_test(finite__names_the_tensor),
        cmocka_unit_test(plan__says_what_it_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
