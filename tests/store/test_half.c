/* Half precision by the vector path and the portable one; with arguments, a converter for tests/store/test_half_numpy.py:
 * `test_half from|to IN OUT` turns a file of floats into halves, or of halves into floats. */
#include "ci_test.h"

#include <math.h>
#include <string.h>

#include "ci/arena.h"
#include "ci/random.h"
#include "ci/store.h"

enum { FLOATS = 1 << 20 };

static float float_of(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Floats of every sign and exponent, ties between halves and their neighbours among them. */
static float *floats(void)
{
    float *x = ci_new(FLOATS, sizeof *x);
    uint16_t h = 0;
    float low, high = 0;

    for (uint32_t i = 0; i < FLOATS; i++) {
        const ci_u32x4 r = ci_philox(1, 95, i, 0, 0, 0);
        uint32_t u = r.v[0];
        if (r.v[1] % 4 == 0) u = (u & 0x80ffffffu) | (100 + u % 50) << 23;      /* near the halves */
        if (r.v[1] % 8 == 1) u = (u & 0xffffe000u) | 0x1000;                    /* ties */
        if (r.v[1] % 8 == 2) u = ((u & 0xffffe000u) | 0x1000) + (r.v[2] & 1) * 2 - 1;
        x[i] = float_of(u);
    }
    for (uint32_t i = 0; i < 0x7bff; i++) { /* and the middle between each half and the next, subnormal ones too */
        low = high;
        h = (uint16_t)(i + 1);
        ci_half_to_f32(&h, 1, &high);
        x[i] = low / 2 + high / 2;
    }
    return x;
}

static void half__of_eight_is_half_of_one(void **state)
{
    float *x = floats();
    uint16_t *all = ci_new(FLOATS, sizeof *all), one;

    (void)state;
    ci_half_from_f32(x, FLOATS, all); /* eight at a time where the processor can */
    for (size_t i = 0; i < FLOATS; i++) {
        ci_half_from_f32(&x[i], 1, &one); /* never eight */
        if (one != all[i]) fail_msg("%a becomes %04x alone, %04x among others", (double)x[i], one, all[i]);
    }
    free(x);
    free(all);
}

static void half__to_eight_is_half_to_one(void **state)
{
    uint16_t *h = ci_new(65536, sizeof *h);
    float *x = ci_new(65536, sizeof *x), one;

    (void)state;
    for (uint32_t i = 0; i < 65536; i++) h[i] = (uint16_t)i;
    ci_half_to_f32(h, 65536, x);
    for (uint32_t i = 0; i < 65536; i++) {
        ci_half_to_f32(&h[i], 1, &one);
        assert_memory_equal(&one, &x[i], sizeof one);
    }
    free(h);
    free(x);
}

static void half__goes_there_and_back_for_all_that_are_finite(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 65536; i++) {
        const uint16_t h = (uint16_t)i;
        uint16_t again;
        float x;
        ci_half_to_f32(&h, 1, &x);
        ci_half_from_f32(&x, 1, &again);
        if ((h & 0x7fff) < 0x7c00) assert_int_equal(again, h);
        else if ((h & 0x7fff) == 0x7c00) assert_int_equal(again, (h & 0x8000) | 0x7bff); /* infinite becomes the largest */
        else assert_true((again & 0x7fff) > 0x7c00 && isnan(x));
    }
}

static void half__has_no_infinity(void **state)
{
    const float x[] = {65504.0f, 65519.996f, 65520.0f, 1e9f, INFINITY, -65520.0f, -INFINITY, 0x1p-25f, 0x1.000002p-25f, -0.0f, 0};
    const uint16_t want[] = {0x7bff, 0x7bff, 0x7bff, 0x7bff, 0x7bff, 0xfbff, 0xfbff, 0, 1, 0x8000, 0};
    uint16_t got[CI_COUNT(x)];

    (void)state;
    ci_half_from_f32(x, CI_COUNT(x), got);
    for (size_t i = 0; i < CI_COUNT(x); i++) assert_int_equal(got[i], want[i]);
    ci_half_from_f32(&x[9], 1, got); /* the portable path */
    assert_int_equal(got[0], 0x8000);
}

static int convert(const char *what, const char *in, const char *out)
{
    const bool from = strcmp(what, "from") == 0;
    const size_t a = from ? 4 : 2, b = from ? 2 : 4;
    FILE *f = fopen(in, "rb");
    void *x = ci_new(8 << 20, 1), *y = ci_new(16 << 20, 1);
    size_t n;

    if (!f || !x || !y) return 1;
    n = fread(x, a, (8 << 20) / a, f);
    fclose(f);
    if (from) ci_half_from_f32(x, n, y);
    else ci_half_to_f32(x, n, y);
    f = fopen(out, "wb");
    if (!f || fwrite(y, b, n, f) != n || fclose(f) != 0) return 1;
    free(x);
    free(y);
    return 0;
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(half__of_eight_is_half_of_one),
    cmocka_unit_test(half__to_eight_is_half_to_one),
    cmocka_unit_test(half__goes_there_and_back_for_all_that_are_finite),
    cmocka_unit_test(half__has_no_infinity),
};

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    ci_test_start(&argc, &argv);
    if (argc > 3) return convert(argv[1], argv[2], argv[3]);
    return ci_test_stop(cmocka_run_group_tests(tests, NULL, NULL));
}
