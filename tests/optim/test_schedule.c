/* Step sizes against torch.optim.lr_scheduler (tests/oracle/schedule.txt), and what torch has no word for. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "ci/schedule.h"

static void schedule__follows_torch_epoch_by_epoch(void **state)
{
    (void)state;
    static const struct { const char *name; ci_schedule s; int32_t epochs; } c[] = {
        {"cosine", {.kind = CI_SCHEDULE_COSINE, .lr = 2e-3, .lr_min = 1e-4, .t_max = 10}, 50},
        {"cosine", {.kind = CI_SCHEDULE_COSINE, .lr = 2e-3, .lr_min = 1e-4}, 10}, /* 0: the run's epochs */
        {"step", {.kind = CI_SCHEDULE_STEP, .lr = 2e-3, .gamma = 0.3, .step_size = 3}, 50},
        {"warm", {.kind = CI_SCHEDULE_COSINE, .lr = 2e-3, .warmup = 4}, 11},
    };
    for (size_t k = 0; k < sizeof c / sizeof *c; k++) {
        FILE *f = fopen("tests/oracle/schedule.txt", "r");
        char text[1024];
        int seen = 0;
        assert_non_null(f);
        while (fgets(text, sizeof text, f)) {
            const size_t n = strlen(c[k].name);
            if (strncmp(text, c[k].name, n) != 0 || text[n] != ' ') continue;
            char *at = text + n, *end;
            for (int32_t epoch = 0; epoch < 11; epoch++, at = end, seen++) {
                const double want = strtod(at, &end), got = ci_schedule_lr(&c[k].s, epoch, c[k].epochs, 1, 0);
                if (!(fabs(got - want) <= 1e-8 * 2e-3)) fail_msg("%s, epoch %d: %.10g, torch has %.10g", c[k].name, epoch, got, want);
            }
        }
        fclose(f);
        assert_int_equal(seen, 11);
    }
}

static void plateau__follows_torch(void **state)
{
    (void)state;
    for (int more = 0; more < 2; more++) {
        const ci_schedule s = {.kind = CI_SCHEDULE_PLATEAU, .lr = 2e-3, .lr_min = 3e-4, .gamma = 0.5};
        const char *name = more ? "plateau_max %lf %lf" : "plateau_min %lf %lf";
        ci_plateau p = {0};
        FILE *f = fopen("tests/oracle/schedule.txt", "r");
        char text[1024];
        double value, want;
        int seen = 0;
        assert_non_null(f);
        while (fgets(text, sizeof text, f)) {
            if (sscanf(text, name, &value, &want) != 2) continue;
            ci_plateau_step(&p, value, more, 2, 0.01);
            assert_true(fabs(ci_schedule_lr(&s, seen, 100, 1, p.drops) - want) <= 1e-8 * 2e-3);
            seen++;
        }
        fclose(f);
        assert_int_equal(seen, 40);
        assert_true(p.drops >= 3);
    }
    ci_plateau p = {0};
    ci_plateau_step(&p, NAN, true, 1, 0);
    ci_plateau_step(&p, NAN, true, 1, 0);
    assert_true(p.drops == 1 && !p.seen);
    ci_plateau_step(&p, -3, true, 1, 0);
    assert_true(p.best == -3 && p.bad == 0);
}

static void schedule__rises_within_the_epochs_of_its_warm_up(void **state)
{
    (void)state;
    const ci_schedule s = {.kind = CI_SCHEDULE_NONE, .lr = 0.5, .warmup = 1.5};
    assert_true(ci_schedule_lr(&s, 0, 10, 0.375, 0) == 0.125);
    assert_true(ci_schedule_lr(&s, 1, 10, 0.25, 0) == 0.5 * (1.25 / 1.5));
    assert_true(ci_schedule_lr(&s, 1, 10, 0.5, 0) == 0.5);
    assert_true(ci_schedule_lr(&s, 9, 10, 1, 3) == 0.5);
    const ci_schedule cosine = {.kind = CI_SCHEDULE_COSINE, .lr = 0.5, .lr_min = 0.1, .warmup = 20, .t_max = 2};
    assert_true(ci_schedule_lr(&cosine, 20, 10, 1, 0) == 0.5); /* a warm-up longer than the run */
    assert_true(ci_schedule_lr(&cosine, 22, 10, 1, 0) == 0.1);
    assert_true(ci_schedule_lr(&cosine, 29, 10, 1, 0) == 0.1); /* it stays there */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedule__follows_torch_epoch_by_epoch),
        cmocka_unit_test(plateau__follows_torch),
        cmocka_unit_test(schedule__rises_within_the_epochs_of_its_warm_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
