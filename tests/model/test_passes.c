/* What must hold of every model whatever its numbers are: bits, passes and their order, shapes as text, what cannot be. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "ci/rc.h"
#include "zoo.h"

static struct zoo zoo[ZOO_MAX];
static int n_zoo;

static struct bench bench_of(const char *name, int per)
{
    struct bench t;
    assert_int_equal(bench_open(zoo_find(zoo, n_zoo, name), "auto", per, &t), 1);
    return t;
}

/** Of a model the gradients, losses, running statistics and scores. */
struct outcome {
    double loss[CI_TERM_COUNT];
    float *score;
    size_t n_score;
};

static struct outcome outcome_of(struct bench *t)
{
    struct outcome o = {{0}, NULL, 0};
    ci_lid n;
    ci_model_outputs(t->m, &n);
    if (bench_step(t, o.loss) != CI_OK) fail_msg("%s: %s", t->zoo->name, ci_message());
    o.n_score = (size_t)n * (size_t)t->b[0]->n_graph;
    o.score = calloc(o.n_score, sizeof *o.score);
    assert_int_equal(ci_model_score(t->m, t->w, t->running, t->s[0], t->b[0], o.score), CI_OK);
    return o;
}

static void same_bits(const struct zoo *z, const char *isa)
{
    struct bench a, b;
    assert_int_equal(bench_open(z, "generic", 0, &a), 1);
    if (!bench_open(z, isa, 0, &b)) {
        printf("skip - model %s: this machine cannot run it\n", isa);
        bench_close(&a);
        return;
    }
    struct outcome x = outcome_of(&a), y = outcome_of(&b);
    if (memcmp(a.grad, b.grad, (size_t)a.n * sizeof *a.grad) || memcmp(x.loss, y.loss, sizeof x.loss) ||
        memcmp(a.running, b.running, (size_t)a.n_state * sizeof *a.running) || memcmp(x.score, y.score, x.n_score * sizeof *x.score))
        fail_msg("%s: %s and generic differ", z->name, isa);
    free(x.score);
    free(y.score);
    bench_close(&a);
    bench_close(&b);
}

/** The largest ones have no kind or width of layer that others have not. */
static void step__has_the_same_bits_with_every_instruction_set(void **state)
{
    (void)state;
    for (int k = 0; k < n_zoo; k++)
        for (int i = 0; i < 2 && strcmp(zoo[k].name, "gat_large_g4") && strcmp(zoo[k].name, "gat_large_paper"); i++)
            same_bits(&zoo[k], i ? "avx512" : "avx2");
}

/** Whatever a scratch was used for before, and with dropout, too. */
static void step__leaves_no_trace_in_a_scratch(void **state)
{
    (void)state;
    for (int k = 0; k < n_zoo; k++) {
        if (zoo[k].few) continue;
        struct bench a, b;
        double x[CI_TERM_COUNT], y[CI_TERM_COUNT];
        assert_int_equal(bench_open(&zoo[k], "auto", 2, &a), 1);
        assert_int_equal(bench_open(&zoo[k], "auto", 2, &b), 1);
        a.step.dropout = b.step.dropout = 0.3f;
        a.step.unk_drop = b.step.unk_drop = 0.2f;
        ci_scratch *first = b.s[0]; /* what shard 0 had is now of the last one, and so on */
        assert_int_equal(bench_step(&b, y), CI_OK);
        memmove(b.s, b.s + 1, (size_t)(b.n_shard - 1) * sizeof *b.s);
        b.s[b.n_shard - 1] = first;
        assert_int_equal(bench_step(&a, x), CI_OK);
        assert_int_equal(bench_step(&b, y), CI_OK);
        if (memcmp(a.grad, b.grad, (size_t)a.n * sizeof *a.grad) || memcmp(x, y, sizeof x)) fail_msg("%s", zoo[k].name);
        bench_close(&a);
        bench_close(&b);
    }
}

/** Nothing but an empty shard: no loss, no gradient, whatever the model. */
static void step__of_nothing_is_nothing(void **state)
{
    (void)state;
    for (int k = 0; k < n_zoo; k++) {
        if (zoo[k].few) continue;
        struct bench t;
        double loss[CI_TERM_COUNT];
        assert_int_equal(bench_open(&zoo[k], "auto", 2, &t), 1);
        const int n = t.n_shard;
        ci_batch *b = t.b[0];
        t.b[0] = t.b[1]; /* the empty one */
        t.n_shard = 1;
        t.step.n_node = t.step.n_raw = t.step.n_masked = 0;
        assert_int_equal(bench_step(&t, loss), CI_OK);
        assert_true(bench_total(loss) == 0);
        for (ci_gid i = 0; i < t.n; i++) assert_true(t.grad[i] == 0);
        t.b[0] = b;
        t.n_shard = n;
        bench_close(&t);
    }
}

static double loss_moved(struct bench *t, ci_gid i, float h)
{
    double loss[CI_TERM_COUNT];
    float *grad = t->grad;
    const float old = t->w[i];
    t->grad = calloc((size_t)t->n, sizeof *grad);
    t->w[i] = old + h;
    assert_int_equal(bench_step(t, loss), CI_OK);
    t->w[i] = old;
    free(t->grad);
    t->grad = grad;
    return bench_total(loss);
}

/** The element of tensor p whose gradient is the largest below `limit`; -1 when there is none. */
static ci_gid largest_below(const float *grad, const ci_param *p, float limit)
{
    ci_gid most = -1;
    for (ci_gid i = p->first; i < p->first + (ci_gid)p->rows * p->cols; i++)
        if (fabsf(grad[i]) < limit && (most < 0 || fabsf(grad[i]) > fabsf(grad[most]))) most = i;
    return most;
}

/** As in test_model.c: moved far enough to change the loss by 1e-4, where a float of each activation knows it to about 1e-6; 2 % for what is
 *  left.  Where the differences to both sides disagree, a ReLU turns between them: the next element. */
static void differences(const char *name)
{
    struct bench t = bench_of(name, 2);
    double loss[CI_TERM_COUNT];
    ci_lid n;
    const ci_param *p = ci_model_params(t.m, &n);
    float most = 0;

    t.step.dropout = 0.2f;
    t.step.unk_drop = 0.2f;
    assert_int_equal(bench_step(&t, loss), CI_OK);
    for (ci_gid i = 0; i < t.n; i++) most = fmaxf(most, fabsf(t.grad[i]));
    for (ci_lid k = 0; k < n; k++) {
        float limit = INFINITY;
        int compared = 0, tries = 0;
        for (; tries < 12 && compared < 2; tries++) {
            const ci_gid i = largest_below(t.grad, &p[k], limit);
            if (i < 0 || fabsf(t.grad[i]) < 1e-2f * most) break; /* nothing a float of the loss could tell */
            limit = fabsf(t.grad[i]);
            const float h = fminf(4e-3f, 2e-4f / limit);
            const double up = loss_moved(&t, i, h), at = loss_moved(&t, i, 0), down = loss_moved(&t, i, -h);
            const double difference = (up - down) / (2 * (double)h), bend = (up - 2 * at + down) / (double)h;
            if (fabs(bend) > 0.02 * fabs(difference)) continue;
            compared++;
            if (fabs(difference - (double)t.grad[i]) > 0.02 * (double)limit + 1e-4)
                fail_msg("%s %s: %g, the difference says %g", name, p[k].name, (double)t.grad[i], difference);
        }
        if (tries && !compared) printf("# %s %s: no element could be compared\n", name, p[k].name);
    }
    bench_close(&t);
}

static void gradients__of_an_autoencoder_are_central_differences(void **state)
{
    (void)state;
    differences("vgae_teacher_wider");
    differences("vgae_exact");
}

static void gradients__of_a_gps_model_are_central_differences(void **state)
{
    (void)state;
    differences("gat_gps");
}

static void gradients__of_a_model_with_all_of_agnostic_are_central_differences(void **state)
{
    (void)state;
    differences("gat_agnostic");
}

static ci_rc run(struct bench *t, int shard, int backward, ci_lid k)
{
    const ci_model_pass p = {.m = t->m, .w = t->w, .wt = t->wt, .s = t->s[shard], .b = t->b[shard], .step = &t->step, .aid = &t->aid[shard],
                             .cuts = t->cuts, .grad = t->grad};
    return ci_model_run(&p, backward, k);
}

static void passes__are_made_in_order(void **state)
{
    (void)state;
    static const char *const names[] = {"gat_lstm", "gat_gps", "gat_agnostic", "vgae_gaussian", "vgae_exact"};
    for (size_t k = 0; k < CI_COUNT(names); k++) {
        struct bench t = bench_of(names[k], 2);
        double loss[CI_TERM_COUNT];
        const ci_lid F = ci_model_cuts(t.m, 0), B = ci_model_cuts(t.m, 1);
        ci_batch *const own = t.b[0];
        float score[6 * 64];
        ci_model_prepare(t.m, t.w, t.wt);
        assert_int_equal(run(&t, 0, 1, 0), CI_EARG); /* nothing went forward */
        assert_int_equal(run(&t, 0, 0, 1), CI_EARG);
        assert_int_equal(bench_forward(&t, loss), CI_OK);
        if (F) assert_int_equal(run(&t, 0, 0, F), CI_EARG); /* that one was made */
        assert_int_equal(bench_forward(&t, loss), CI_OK); /* from the beginning it may always be */
        t.b[0] = t.b[2];
        assert_int_equal(run(&t, 0, 1, 0), CI_EARG); /* another shard's */
        assert_non_null(strstr(ci_message(), "backward pass 0"));
        t.b[0] = own;
        assert_int_equal(run(&t, 0, 1, 0), CI_EARG); /* after a mistake it begins anew */
        assert_int_equal(bench_forward(&t, loss), CI_OK);
        assert_int_equal(run(&t, 0, 1, 0), CI_OK);
        assert_int_equal(run(&t, 0, 1, B ? 0 : 1), CI_EARG);
        assert_int_equal(bench_step(&t, loss), CI_OK);
        assert_int_equal(run(&t, 0, 1, B), CI_EARG); /* backward has used the memory of the activations */
        assert_int_equal(bench_forward(&t, loss), CI_OK);
        assert_int_equal(ci_model_score(t.m, t.w, t.running, t.s[0], own, score), CI_OK);
        assert_int_equal(run(&t, 0, 1, 0), CI_EARG); /* scoring came between */
        bench_close(&t);
    }
}

static void passes__refuse_what_does_not_fit(void **state)
{
    (void)state;
    struct bench t = bench_of("vgae_gaussian", 0);
    ci_batch *b = t.b[0];
    ci_lid *raw = b->raw_first;
    b->raw_first = NULL;
    assert_int_equal(run(&t, 0, 0, 0), CI_EARG);
    assert_non_null(strstr(ci_message(), "which a vgae needs"));
    b->raw_first = raw;
    b->n_raw = 401;
    assert_int_equal(run(&t, 0, 0, 0), CI_EARG);
    assert_non_null(strstr(ci_message(), "401 raw"));
    b->n_raw = raw[b->n_graph];
    b->n_edge_feature = 3;
    assert_int_equal(run(&t, 0, 0, 0), CI_EARG);
    b->n_edge_feature = 11;
    assert_int_equal(run(&t, 0, 0, 0), CI_OK);
    bench_close(&t);
}

static void dim__as_text_and_back(void **state)
{
    (void)state;
    for (int k = 0; k < n_zoo; k++) {
        char *text = ci_model_dim_text(&zoo[k].dim);
        ci_model_dim back;
        assert_string_equal(text, zoo[k].dim_text); /* written by the oracle */
        assert_int_equal(ci_model_dim_parse(text, &back), CI_OK);
        assert_memory_equal(&back, &zoo[k].dim, sizeof back);
        free(text);
    }
}

/** Weights of 0.4 have no columns of windows. */
static void dim__of_an_earlier_version_is_read(void **state)
{
    (void)state;
    for (int k = 0; k < n_zoo; k++) {
        char *text = ci_model_dim_text(&zoo[k].dim);
        ci_model_dim back, want = zoo[k].dim;
        *strstr(text, "n_window_feature=") = 0;
        want.n_window_feature = want.window = want.message = want.group_drop = 0;
        assert_int_equal(ci_model_dim_parse(text, &back), CI_OK);
        assert_memory_equal(&back, &want, sizeof back);
        free(text);
    }
}

/** The text with line `k` left out, or with `value` in it. */
static char *damaged(const char *text, int k, const char *value)
{
    char *out = calloc(strlen(text) + 64, 1), *to = out;
    for (int line = 0; *text; line++) {
        const char *equals = strchr(text, '='), *end = strchr(text, '\n') + 1;
        if (line != k) to += sprintf(to, "%.*s", (int)(end - text), text);
        else if (value) to += sprintf(to, "%.*s%s\n", (int)(equals + 1 - text), text, value);
        text = end;
    }
    return out;
}

static void dim__refuses_each_field_missing_or_no_number(void **state)
{
    (void)state;
    char *text = ci_model_dim_text(&zoo[0].dim), *more = NULL;
    const char *at = text;
    ci_model_dim back;
    for (int k = 0; *at; k++, at = strchr(at, '\n') + 1) {
        char field[32], *none = damaged(text, k, NULL), *no = damaged(text, k, "many");
        snprintf(field, sizeof field, "%.*s", (int)(strchr(at, '=') - at), at);
        assert_int_equal(ci_model_dim_parse(none, &back), CI_EFORMAT);
        assert_non_null(strstr(ci_message(), field));
        assert_int_equal(ci_model_dim_parse(no, &back), CI_EFORMAT);
        assert_non_null(strstr(ci_message(), field));
        assert_non_null(strstr(ci_message(), "many"));
        free(none);
        free(no);
    }
    more = calloc(strlen(text) + 16, 1);
    sprintf(more, "%sdepth=3\n", text);
    assert_int_equal(ci_model_dim_parse(more, &back), CI_EFORMAT);
    assert_non_null(strstr(ci_message(), "depth=3"));
    free(more);
    free(text);
}

static void refused(struct bench *t, const char *says)
{
    assert_int_equal(run(t, 0, 0, 0), CI_EARG);
    if (!strstr(ci_message(), says)) fail_msg("\"%s\" is not in \"%s\"", says, ci_message());
}

static void passes__refuse_what_agnostic_models_lack(void **state)
{
    (void)state;
    struct bench t = bench_of("gat_agnostic", 0);
    ci_batch *b = t.b[0];
    ci_lid *raw = b->raw_first;
    uint8_t *label = b->raw_label;
    const ci_feature_set *set = t.step.set, other = {.n_node = 34, .n_edge = set->n_edge, .n_window = set->n_window};
    float score[6 * ZOO_GRAPHS];

    b->raw_first = NULL;
    refused(&t, "without the frames' edges, which a message head needs");
    assert_int_equal(ci_model_score(t.m, t.w, t.running, t.s[0], b, score), CI_EARG);
    assert_int_equal(ci_model_forward(t.m, t.w, t.running, t.s[0], b), CI_OK); /* a teacher judges no frames */
    b->raw_first = raw;
    b->raw_label = NULL;
    refused(&t, "without labels of its frames");
    assert_int_equal(ci_model_score(t.m, t.w, t.running, t.s[0], b, score), CI_OK); /* labels are for learning */
    b->raw_label = label;
    b->n_window_feature = 8;
    refused(&t, "with 8 columns of a window, the model has 9");
    b->n_window_feature = 9;
    t.step.set = &other;
    refused(&t, "groups of 34, 11 and 9 columns for a model with 35, 11 and 9");
    t.step.set = NULL;
    refused(&t, "a model that knows none");
    t.step.set = set;
    assert_int_equal(run(&t, 0, 0, 0), CI_OK);
    bench_close(&t);
    t = bench_of("gat_jk_max", 0);
    t.step.group_drop = 0.1f;
    refused(&t, "a model that knows none");
    bench_close(&t);
}

/** DESIGN.md, "Shapes"; reference-system.md 5.2 and 5.3; n rows of the id table, of a vgae the classes of its head. */
static void create__has_the_documented_number_of_parameters(void **state)
{
    (void)state;
    static const struct { const char *model; ci_gid base, each; } cases[] = {
        {"gat_small_default", 105602, 16}, {"gat_small_paper", 187555, 8}, {"gat_large_paper", 2471235, 8}, {"gat_small_g4", 199107, 16},
        {"gat_large_g4", 9528323, 16},     {"gat_small_g2", 48962, 8},     {"gat_large_g2", 310658, 16},    {"vgae_small_paper", 23616, 25},
        {"vgae_large_paper", 389312, 73},  {"vgae_small_g4", 44536, 97},   {"vgae_large_g4", 145848, 161},  {"vgae_small_g2", 8046, 38},
        {"vgae_large_g2", 181950, 130},
    };
    static const ci_lid rows[] = {1, 30, 64, 2049};
    for (size_t k = 0; k < CI_COUNT(cases); k++)
        for (size_t i = 0; i < CI_COUNT(rows); i++) {
            ci_model_dim dim = zoo_find(zoo, n_zoo, cases[k].model)->dim;
            ci_model *m;
            dim.n_id = rows[i] - 1;
            assert_int_equal(ci_model_create(&dim, "generic", &m), CI_OK);
            if (ci_model_size(m) != cases[k].base + cases[k].each * rows[i])
                fail_msg("%s, %d rows: %lld", cases[k].model, rows[i], (long long)ci_model_size(m));
            ci_model_destroy(&m);
        }
}

#define AT(field) offsetof(ci_model_dim, field)

static void create__refuses_dimensions_that_cannot_be(void **state)
{
    (void)state;
    const struct { const char *model; size_t at; ci_lid bad; const char *says; } cases[] = {
        {"gat_gps", AT(n_id), -1, "-1 identifiers"},
        {"gat_gps", AT(id_dim), 257, "id_dim 257"},
        {"gat_gps", AT(n_feature), 1025, "1025 features"},
        {"gat_gps", AT(x_first), 36, "from column 36"},
        {"vgae_exact", AT(x_first), 35, "from column 35"},
        {"gat_hash", AT(id_probes), 9, "model.id_probes 9"},
        {"gat_hash", AT(id_buckets), -1, "model.id_buckets -1"},
        {"gat_gps", AT(n_edge_feature), 257, "257 edge features"},
        {"gat_gps", AT(project), 100000, "model.project 100000"},
        {"gat_gps", AT(heads), 65, "model.heads 65"},
        {"gat_gps", AT(channels), 0, "model.channels"},
        {"gat_gps", AT(channels), 300, "2 * 300"}, /* its GATv2 has heads * heads * channels */
        {"gat_lstm", AT(channels), 600, "2 * 600"},
        {"gat_gps", AT(layers), 9, "model.layers 9"},
        {"gat_gps", AT(head_layers), 0, "model.head_layers 0"},
        {"gat_gps", AT(head_dim), 4097, "model.head_dim 4097"},
        {"gat_gps", AT(n_class), 3, "3 classes"},
        {"vgae_exact", AT(n_hidden), 0, "model.hidden: 0 layers"},
        {"vgae_exact", AT(n_hidden), 9, "model.hidden: 9 layers"},
        {"vgae_exact", AT(hidden[1]), 0, "model.hidden: 0 columns"},
        {"vgae_exact", AT(conv), CI_CONV_GPS, "gps is for gat"},
        {"vgae_exact", AT(inner_heads), 0, "model.inner_heads 0"},
        {"vgae_exact", AT(decoder_heads), -3, "model.decoder_heads -3"},
        {"vgae_exact", AT(latent), 0, "model.latent 0"},
        {"vgae_exact", AT(teacher), -1, "-1 latent columns"},
        {"gat_gps", AT(id_dim), 0, "no columns for 20 identifiers"},
        {"gat_no_id", AT(id_buckets), 5, "no columns for 0 identifiers in 5 buckets"},
        {"gat_no_id", AT(x_first), 35, "neither identifiers nor features"},
        {"gat_no_id", AT(pool), 5, "model.pool: number 5"},
        {"gat_no_id", AT(window), CI_WINDOW_POOL, "model.window: number 1 with 0 columns"},
        {"gat_window_pool", AT(window), 4, "model.window: number 4"},
        {"gat_window_pool", AT(n_window_feature), 1025, "with 1025 columns"},
        {"vgae_no_id", AT(neighbour), CI_NEIGHBOUR_GAUSSIAN, "model.neighbour: neighbours are known by their identifiers"},
    };
    for (size_t k = 0; k < CI_COUNT(cases); k++) {
        ci_model_dim dim = zoo_find(zoo, n_zoo, cases[k].model)->dim;
        ci_model *m;
        memcpy((char *)&dim + cases[k].at, &cases[k].bad, sizeof cases[k].bad);
        const ci_rc rc = ci_model_create(&dim, "auto", &m);
        if (rc != CI_ECONF || m || !strstr(ci_message(), cases[k].says)) fail_msg("case %zu: %d %s", k, rc, ci_message());
    }
    ci_model_dim odd = zoo_find(zoo, n_zoo, "gat_lstm")->dim, loud = zoo_find(zoo, n_zoo, "vgae_exact")->dim;
    ci_model *m;
    odd.heads = 1;
    odd.channels = 7;
    assert_int_equal(ci_model_create(&odd, "auto", &m), CI_ECONF);
    assert_non_null(strstr(ci_message(), "3 * 1 * 7 is odd"));
    loud.logvar_limit = NAN;
    assert_int_equal(ci_model_create(&loud, "auto", &m), CI_ECONF);
    assert_non_null(strstr(ci_message(), "model.logvar_limit"));
}

static int start(void **state)
{
    (void)state;
    n_zoo = zoo_read("tests/oracle/model.txt", zoo);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    zoo_free(zoo, n_zoo);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(step__has_the_same_bits_with_every_instruction_set),
        cmocka_unit_test(step__leaves_no_trace_in_a_scratch),
        cmocka_unit_test(step__of_nothing_is_nothing),
        cmocka_unit_test(gradients__of_an_autoencoder_are_central_differences),
        cmocka_unit_test(gradients__of_a_gps_model_are_central_differences),
        cmocka_unit_test(gradients__of_a_model_with_all_of_agnostic_are_central_differences),
        cmocka_unit_test(passes__are_made_in_order),
        cmocka_unit_test(passes__refuse_what_does_not_fit),
        cmocka_unit_test(passes__refuse_what_agnostic_models_lack),
        cmocka_unit_test(dim__as_text_and_back),
        cmocka_unit_test(dim__of_an_earlier_version_is_read),
        cmocka_unit_test(dim__refuses_each_field_missing_or_no_number),
        cmocka_unit_test(create__has_the_documented_number_of_parameters),
        cmocka_unit_test(create__refuses_dimensions_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
