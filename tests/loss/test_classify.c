/* Focal loss against PyTorch in float64 (tests/oracle/focal.txt), and where it must refuse. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "ci/loss.h"
#include "ci/types.h"

/** The mean of the focal loss over n_global graphs, its gradient written. */
static ci_rc focal(const float *logit, const uint8_t *label, ci_lid n, double gamma, ci_gid n_global, float *dlogit, double *loss)
{
    const ci_class_loss kind = {.kind = CI_FOCAL, .gamma = gamma};
    for (ci_lid i = 0; i < 2 * n; i++) dlogit[i] = 0;
    return ci_classify(&kind, logit, label, NULL, n, 1 / (double)n_global, dlogit, loss);
}

static void focal__equals_pytorch(void **state)
{
    (void)state;
    FILE *f = fopen("tests/oracle/focal.txt", "r");
    char text[512];
    int lines = 0;
    assert_non_null(f);
    while (fgets(text, sizeof text, f)) {
        double gamma, z[2], loss, want[2], got;
        const uint8_t label = 1;
        float dz[2];
        if (text[0] == '#') continue;
        assert_int_equal(sscanf(text, "%lf %lf %lf %lf %lf %lf", &gamma, &z[0], &z[1], &loss, &want[0], &want[1]), 6);
        const float zf[2] = {(float)z[0], (float)z[1]};
        assert_int_equal(focal(zf, &label, 1, gamma, 1, dz, &got), CI_OK);
        /* Some roundings of float; torch's log_softmax in double loses up to 1e-16 next to 0. */
        assert_true(fabs(got - loss) <= 2e-6 * fabs(loss) + 1e-15);
        for (int k = 0; k < 2; k++) assert_true(fabs(dz[k] - want[k]) <= 3e-6 * fabs(want[k]) + 1e-15);
        lines++;
    }
    fclose(f);
    assert_int_equal(lines, 65);
}

static void focal__is_a_mean_over_the_global_batch(void **state)
{
    (void)state;
    const float z[6] = {1, -1, 0.5f, 0.25f, -2, 3};
    const uint8_t label[3] = {0, 1, 1};
    float all[6], part[6];
    double whole, a, b;
    assert_int_equal(focal(z, label, 3, 2, 3, all, &whole), CI_OK);
    assert_int_equal(focal(z, label, 1, 2, 3, part, &a), CI_OK);
    assert_int_equal(focal(z + 2, label + 1, 2, 2, 3, part + 2, &b), CI_OK);
    assert_memory_equal(all, part, sizeof all);
    assert_true(fabs(a + b - whole) < 1e-15);
    assert_int_equal(focal(z, label, 0, 2, 3, part, &a), CI_OK);
    assert_true(a == 0);
}

static void focal__is_finite_for_extreme_logits(void **state)
{
    (void)state;
    const double gammas[] = {0, 1, 1.5, 2, 5};
    const float logits[] = {-1000, -100, -50, 0, 50, 100, 1000};
    for (size_t g = 0; g < CI_COUNT(gammas); g++)
        for (size_t a = 0; a < CI_COUNT(logits); a++)
            for (size_t b = 0; b < CI_COUNT(logits); b++)
                for (uint8_t label = 0; label < 2; label++) {
                    const float z[2] = {logits[a], logits[b]};
                    float dz[2], p;
                    double loss;
                    assert_int_equal(focal(z, &label, 1, gammas[g], 1, dz, &loss), CI_OK);
                    assert_true(isfinite(loss) && loss >= 0 && isfinite(dz[0]) && isfinite(dz[1]));
                    ci_softmax_attack(z, 1, &p);
                    assert_true(p >= 0 && p <= 1);
                }
}

static void focal__refuses_logits_that_are_not_finite(void **state)
{
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY};
    const uint8_t label[2] = {0, 1};
    for (size_t k = 0; k < CI_COUNT(bad); k++) {
        const float z[4] = {1, 2, 3, bad[k]};
        float dz[4];
        double loss;
        assert_int_equal(focal(z, label, 2, 2, 2, dz, &loss), CI_ENUMERIC);
        assert_non_null(strstr(ci_message(), "graph 1 of the shard"));
    }
    const float z[2] = {3e38f, -3e38f}; /* finite, but their difference is not */
    float dz[2];
    double loss;
    assert_int_equal(focal(z, label + 1, 1, 2, 1, dz, &loss), CI_ENUMERIC);
}

static void focal__refuses_what_it_has_no_gradient_for(void **state)
{
    (void)state;
    const float z[2] = {1, 2};
    const uint8_t label = 0;
    float dz[2];
    double loss;
    assert_int_equal(focal(z, &label, 1, 0.5, 1, dz, &loss), CI_EARG);
    assert_int_equal(focal(z, &label, 1, NAN, 1, dz, &loss), CI_EARG);
    assert_int_equal(focal(z, &label, -1, 2, 1, dz, &loss), CI_EARG);
}

static void softmax__is_the_probability_of_attack(void **state)
{
    (void)state;
    const float z[6] = {0, 0, 1, 3, 30, -30};
    float p[3];
    ci_softmax_attack(z, 3, p);
    assert_true(p[0] == 0.5f);
    assert_true(fabs(p[1] - 1 / (1 + exp(-2.0))) < 1e-7);
    assert_true(fabs(p[2] / exp(-60.0) - 1) < 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(focal__equals_pytorch),
        cmocka_unit_test(focal__is_a_mean_over_the_global_batch),
        cmocka_unit_test(focal__is_finite_for_extreme_logits),
        cmocka_unit_test(focal__refuses_logits_that_are_not_finite),
        cmocka_unit_test(focal__refuses_what_it_has_no_gradient_for),
        cmocka_unit_test(softmax__is_the_probability_of_attack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
