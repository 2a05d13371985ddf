/* The heads in tiles against PyTorch's dense forms (tests/oracle/loss.txt), for every instruction set; and what they refuse. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "ci/loss.h"
#include "oracle.h"

enum { ROWS = 70, K_MAX = 13, WQ_MAX = 3300, Q_MAX = 1100 };
static float h[ROWS * K_MAX], w[WQ_MAX], wt[WQ_MAX], b[Q_MAX], row_scale[ROWS], row[ROWS];
static float dh[ROWS * K_MAX], dw[WQ_MAX], db[Q_MAX];
static int32_t target[2200];
static ci_lid first[ROWS + 1];
static float *work;

/** h, w, wt and b from arrays k, k + 1, k + 2; gradients 0. */
static void inputs(uint32_t k, ci_lid rows, ci_lid K, ci_lid Q, float factor)
{
    oracle_fill(k, (size_t)rows * (size_t)K, 1, h);
    oracle_fill(k + 1, (size_t)K * (size_t)Q, factor, w);
    oracle_fill(k + 2, (size_t)Q, 1, b);
    for (ci_lid i = 0; i < K; i++)
        for (ci_lid q = 0; q < Q; q++) wt[q * K + i] = w[i * Q + q];
    memset(dh, 0, sizeof dh);
    memset(dw, 0, sizeof dw);
    memset(db, 0, sizeof db);
    free(work); /* of the very size, for the sanitizer to see what is beyond */
    work = malloc((size_t)ci_softmax_head_work(K, Q) * sizeof *work);
    assert_non_null(work);
}

static void softmax_inputs(ci_lid rows, ci_lid K, ci_lid Q)
{
    int32_t masked[ROWS];
    int count = 0;
    inputs(12, rows, K, Q, 2);
    oracle_below(15, (size_t)rows, (uint32_t)Q, target);
    oracle_below(16, (size_t)rows, 3, masked);
    for (ci_lid i = 0; i < rows; i++) count += masked[i] == 0;
    for (ci_lid i = 0; i < rows; i++) row_scale[i] = masked[i] == 0 ? 0.1f / (float)count : 0;
}

static void multi_hot_inputs(ci_lid rows, ci_lid K, ci_lid Q, uint32_t share)
{
    static int32_t hot[2200];
    ci_lid n = 0;
    inputs(17, rows, K, Q, 4);
    oracle_below(20, (size_t)rows * (size_t)Q, share, hot);
    for (ci_lid i = 0; i < rows; i++) {
        first[i] = n;
        for (ci_lid q = 0; q < Q; q++)
            if (hot[i * Q + q] == 0) target[n++] = q;
    }
    first[rows] = n;
}

static void named(const char *name, const char *part, const float *got, size_t n)
{
    char whole[64];
    snprintf(whole, sizeof whole, "%s.%s", name, part);
    oracle_same(whole, got, n);
}

static const char *const isas[] = {"generic", "avx2", "avx512"};

static void softmax_head__equals_the_dense_form_for_every_instruction_set(void **state)
{
    (void)state;
    static const struct { const char *name; ci_lid rows, K, Q; } c[] = {{"softmax", 70, 13, 45}, {"softmax_few", 5, 3, 2}};
    for (size_t k = 0; k < CI_COUNT(c); k++) {
        const size_t hs = (size_t)(c[k].rows * c[k].K), ws = (size_t)(c[k].K * c[k].Q);
        float *was = NULL;
        double loss, same, loss_was = 0;
        for (size_t i = 0; i < CI_COUNT(isas); i++) {
            const ci_ops *ops = ci_ops_get(isas[i]);
            if (!ops) continue;
            softmax_inputs(c[k].rows, c[k].K, c[k].Q);
            assert_int_equal(ci_softmax_head(ops, h, c[k].rows, c[k].K, w, b, wt, c[k].Q, target, row_scale, work, dh, dw, db,
                                             &loss, row), CI_OK);
            oracle_value(c[k].name, loss);
            named(c[k].name, "dh", dh, hs);
            named(c[k].name, "dw", dw, ws);
            named(c[k].name, "db", db, (size_t)c[k].Q);
            named(c[k].name, "row", row, (size_t)c[k].rows);
            if (!was) {
                was = malloc(ws * sizeof *was);
                assert_non_null(was);
                memcpy(was, dw, ws * sizeof *was);
                loss_was = loss;
            }
            assert_memory_equal(was, dw, ws * sizeof *was);
            assert_true(loss == loss_was);
            assert_int_equal(ci_softmax_head(ops, h, c[k].rows, c[k].K, w, b, NULL, c[k].Q, target, row_scale, work, NULL, NULL,
                                             NULL, &same, NULL), CI_OK);
            assert_true(same == loss);
        }
        free(was);
    }
}

static void multi_hot_head__equals_the_dense_form_for_every_instruction_set(void **state)
{
    (void)state;
    static const struct { const char *name; ci_lid rows, K, Q; uint32_t share; } c[] = {{"multi_hot", 40, 13, 45, 9},
                                                                                       {"multi_hot_wide", 2, 3, 1100, 50}};
    for (size_t k = 0; k < CI_COUNT(c); k++) {
        const size_t hs = (size_t)(c[k].rows * c[k].K), ws = (size_t)(c[k].K * c[k].Q);
        const double scale = 0.05 / (c[k].rows * c[k].Q);
        float was[ROWS * K_MAX];
        double loss, same;
        int seen = 0;
        for (size_t i = 0; i < CI_COUNT(isas); i++) {
            const ci_ops *ops = ci_ops_get(isas[i]);
            if (!ops) continue;
            multi_hot_inputs(c[k].rows, c[k].K, c[k].Q, c[k].share);
            assert_int_equal(ci_multi_hot_head(ops, h, c[k].rows, c[k].K, w, b, wt, c[k].Q, first, target, scale, work, dh, dw, db,
                                               &loss, row), CI_OK);
            oracle_value(c[k].name, loss);
            named(c[k].name, "dh", dh, hs);
            named(c[k].name, "row", row, (size_t)c[k].rows);
            if (c[k].Q < 100) {
                named(c[k].name, "dw", dw, ws);
                named(c[k].name, "db", db, (size_t)c[k].Q);
            }
            if (!seen++) memcpy(was, dh, hs * sizeof *was);
            assert_memory_equal(was, dh, hs * sizeof *was);
            assert_int_equal(ci_multi_hot_head(ops, h, c[k].rows, c[k].K, w, b, NULL, c[k].Q, first, target, scale, work, NULL, NULL,
                                               NULL, &same, NULL), CI_OK);
            assert_true(same == loss);
        }
    }
}

/* Where a batch is cut shows in no row: the parts of two calls add up to the loss and, row by row, to the gradient of one. */
static void heads__do_not_depend_on_where_rows_are_cut(void **state)
{
    (void)state;
    const ci_ops *ops = ci_ops_get("auto");
    static float one[ROWS * K_MAX];
    double all, a, c;
    const ci_lid K = 13, Q = 45, cut = 37;
    softmax_inputs(70, K, Q);
    assert_int_equal(ci_softmax_head(ops, h, 70, K, w, b, wt, Q, target, row_scale, work, dh, dw, db, &all, NULL), CI_OK);
    memcpy(one, dh, sizeof one);
    memset(dh, 0, sizeof dh);
    assert_int_equal(ci_softmax_head(ops, h, cut, K, w, b, wt, Q, target, row_scale, work, dh, dw, db, &a, NULL), CI_OK);
    assert_int_equal(ci_softmax_head(ops, h + cut * K, 70 - cut, K, w, b, wt, Q, target + cut, row_scale + cut, work, dh + cut * K, dw,
                                     db, &c, NULL), CI_OK);
    assert_memory_equal(one, dh, sizeof one);
    assert_true(fabs(a + c - all) < 1e-14);
    multi_hot_inputs(40, K, Q, 9);
    assert_int_equal(ci_multi_hot_head(ops, h, 40, K, w, b, wt, Q, first, target, 1e-3, work, dh, dw, db, &all, NULL), CI_OK);
    memcpy(one, dh, sizeof one);
    memset(dh, 0, sizeof dh);
    assert_int_equal(ci_multi_hot_head(ops, h, cut, K, w, b, wt, Q, first, target, 1e-3, work, dh, dw, db, &a, NULL), CI_OK);
    assert_int_equal(ci_multi_hot_head(ops, h + cut * K, 40 - cut, K, w, b, wt, Q, first + cut, target, 1e-3, work, dh + cut * K, dw, db, &c,
                                       NULL), CI_OK);
    assert_memory_equal(one, dh, sizeof one);
    assert_true(fabs(a + c - all) < 1e-14);
}

static void heads__are_finite_for_extreme_logits(void **state)
{
    (void)state;
    const ci_ops *ops = ci_ops_get("auto");
    const float logits[] = {-3e38f, -1000, -100, 0, 100, 1000, 3e38f};
    for (size_t i = 0; i < CI_COUNT(logits); i++) {
        double loss;
        softmax_inputs(5, 3, 2);
        memset(h, 0, sizeof h);
        b[0] = logits[i];
        b[1] = -1;
        for (int k = 0; k < 5; k++) row_scale[k] = 0.2f;
        assert_int_equal(ci_softmax_head(ops, h, 5, 3, w, b, wt, 2, target, row_scale, work, dh, dw, db, &loss, row), CI_OK);
        assert_true(isfinite(loss) && loss >= 0 && isfinite(db[0]) && isfinite(db[1]));
        const ci_lid ones[] = {0, 1, 1};
        target[0] = 0;
        assert_int_equal(ci_multi_hot_head(ops, h, 2, 3, w, b, wt, 2, ones, target, 0.25, work, dh, dw, db, &loss, row), CI_OK);
        assert_true(isfinite(loss) && loss >= 0 && isfinite(db[0]) && isfinite(db[1]));
    }
}

/* 1100 outputs at 0 are 2^1100 as a product, which a double is not. */
static void multi_hot_head__sums_more_outputs_than_a_product_holds(void **state)
{
    (void)state;
    const ci_lid none[] = {0, 0, 0};
    double loss;
    multi_hot_inputs(2, 3, 1100, 50);
    memset(h, 0, sizeof h);
    memset(b, 0, sizeof b);
    assert_int_equal(ci_multi_hot_head(ci_ops_get("auto"), h, 2, 3, w, b, wt, 1100, none, target, 1 / 2200.0, work, NULL, NULL, NULL, &loss,
                                       row), CI_OK);
    assert_true(fabs(loss - log(2)) < 1e-12 && row[0] == (float)log(2));
    b[1000] = -INFINITY; /* its entropy is 0, but it is no logit */
    assert_int_equal(ci_multi_hot_head(ci_ops_get("auto"), h, 2, 3, w, b, wt, 1100, none, target, 1, work, NULL, NULL, NULL, &loss, row),
                     CI_ENUMERIC);
}

static void heads__add_to_gradients(void **state)
{
    (void)state;
    const ci_ops *ops = ci_ops_get("auto");
    static float one[ROWS * K_MAX], one_w[WQ_MAX], one_b[Q_MAX];
    double loss;
    for (int which = 0; which < 2; which++) {
        if (which) multi_hot_inputs(40, 13, 45, 9);
        else softmax_inputs(40, 13, 45);
        for (int time = 0; time < 2; time++) {
            if (which) assert_int_equal(ci_multi_hot_head(ops, h, 40, 13, w, b, wt, 45, first, target, 1, work, dh, dw, db, &loss, NULL), CI_OK);
            else assert_int_equal(ci_softmax_head(ops, h, 40, 13, w, b, wt, 45, target, row_scale, work, dh, dw, db, &loss, NULL), CI_OK);
            if (time == 1) continue;
            memcpy(one, dh, sizeof dh);
            memcpy(one_w, dw, sizeof dw);
            memcpy(one_b, db, sizeof db);
        }
        for (int k = 0; k < 40 * 13; k++) assert_true(dh[k] == 2 * one[k]);
        /* The second sum starts where the first ended: other roundings of numbers up to 40. */
        for (int k = 0; k < 13 * 45; k++) assert_true(fabsf(dw[k] - 2 * one_w[k]) <= 1e-4f);
        for (int k = 0; k < 45; k++) assert_true(fabsf(db[k] - 2 * one_b[k]) <= 1e-4f);
    }
}

static void heads__refuse_bad_input(void **state)
{
    (void)state;
    const ci_ops *ops = ci_ops_get("auto");
    const float bad[] = {NAN, INFINITY};
    double loss = 7;
    for (size_t i = 0; i < CI_COUNT(bad); i++) {
        softmax_inputs(70, 13, 45);
        for (int k = 0; k < 70; k++) row_scale[k] = 1;
        h[50 * 13 + 2] = bad[i];
        assert_int_equal(ci_softmax_head(ops, h, 70, 13, w, b, wt, 45, target, row_scale, work, dh, dw, db, &loss, NULL), CI_ENUMERIC);
        assert_non_null(strstr(ci_message(), "in row 50 of the shard"));
        multi_hot_inputs(40, 13, 45, 9);
        h[35 * 13] = bad[i];
        assert_int_equal(ci_multi_hot_head(ops, h, 40, 13, w, b, wt, 45, first, target, 1, work, dh, dw, db, &loss, NULL), CI_ENUMERIC);
        assert_non_null(strstr(ci_message(), "in row 35 of the shard"));
    }
    softmax_inputs(5, 3, 2);
    for (int k = 0; k < 5; k++) row_scale[k] = 1;
    target[3] = 2;
    assert_int_equal(ci_softmax_head(ops, h, 5, 3, w, b, wt, 2, target, row_scale, work, dh, dw, db, &loss, NULL), CI_EARG);
    assert_non_null(strstr(ci_message(), "class 2 of row 3"));
    row_scale[3] = 0; /* of a row that is left out nobody asks */
    assert_int_equal(ci_softmax_head(ops, h, 5, 3, w, b, wt, 2, target, row_scale, work, dh, dw, db, &loss, NULL), CI_OK);
    assert_int_equal(ci_softmax_head(ops, h, 0, 3, w, b, wt, 2, target, row_scale, work, dh, dw, db, &loss, NULL), CI_OK);
    assert_true(loss == 0);
    const struct { int32_t t[3]; ci_lid n; ci_rc rc; } c[] = {{{0, 1, 2}, 2, CI_OK}, {{0, 1, 2}, 3, CI_EARG}, {{1, 0, 0}, 2, CI_EARG},
                                                              {{1, 1, 0}, 2, CI_EARG}, {{-1, 0, 0}, 1, CI_EARG}, {{0, 0, 0}, -1, CI_EARG}};
    for (size_t i = 0; i < CI_COUNT(c); i++) {
        const ci_lid ones[] = {0, c[i].n};
        assert_int_equal(ci_multi_hot_head(ops, h, 1, 3, w, b, wt, 2, ones, c[i].t, 1, work, dh, dw, db, &loss, NULL), c[i].rc);
    }
    assert_int_equal(ci_multi_hot_head(ops, h, 0, 3, w, b, wt, 2, first, target, 1, work, dh, dw, db, &loss, NULL), CI_OK);
    assert_true(loss == 0);
    assert_int_equal(ci_softmax_head(ops, h, 5, 3, w, b, NULL, 2, target, row_scale, work, dh, dw, db, &loss, NULL), CI_EARG);
    free(work);
    work = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softmax_head__equals_the_dense_form_for_every_instruction_set),
        cmocka_unit_test(multi_hot_head__equals_the_dense_form_for_every_instruction_set),
        cmocka_unit_test(heads__do_not_depend_on_where_rows_are_cut),
        cmocka_unit_test(heads__are_finite_for_extreme_logits),
        cmocka_unit_test(multi_hot_head__sums_more_outputs_than_a_product_holds),
        cmocka_unit_test(heads__add_to_gradients),
        cmocka_unit_test(heads__refuse_bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
