#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "ci/random.h"
#include "oracle.h"

enum { SEED = 1, PURPOSE = 100 };

static uint32_t word(uint32_t k, size_t i) { return ci_philox(SEED, PURPOSE, k, (uint32_t)(i / 4), 0, 0).v[i % 4]; }

void oracle_fill(uint32_t k, size_t n, float factor, float *out)
{
    for (size_t i = 0; i < n; i++) out[i] = (2 * ci_unit(word(k, i)) - 1) * factor;
}

void oracle_below(uint32_t k, size_t n, uint32_t limit, int32_t *out)
{
    for (size_t i = 0; i < n; i++) out[i] = (int32_t)ci_below(word(k, i), limit);
}

/** The values of the line of this name; to free(). */
static double *values(const char *name, size_t n)
{
    static char text[1 << 18];
    const size_t length = strlen(name);
    FILE *f = fopen("tests/oracle/loss.txt", "r");
    double *v = malloc(n * sizeof *v);

    assert_non_null(f);
    assert_non_null(v);
    while (fgets(text, sizeof text, f)) {
        if (strncmp(text, name, length) != 0 || text[length] != ' ') continue;
        char *at = text + length, *end = at;
        for (size_t k = 0; k < n; k++, at = end) {
            v[k] = strtod(at, &end);
            assert_true(end > at);
        }
        assert_true(*end == '\n');
        fclose(f);
        return v;
    }
    fail_msg("%s is not in tests/oracle/loss.txt", name);
    return NULL;
}

void oracle_same(const char *name, const float *got, size_t n)
{
    double *want = values(name, n), most = 0;
    for (size_t k = 0; k < n; k++) most = fmax(most, fabs(want[k]));
    for (size_t k = 0; k < n; k++)
        if (!(fabs(got[k] - want[k]) <= 1e-5 * most)) fail_msg("%s: element %zu is %.9g, PyTorch has %.9g", name, k, (double)got[k], want[k]);
    free(want);
}

void oracle_value(const char *name, double got)
{
    double *want = values(name, 1);
    if (!(fabs(got - *want) <= 1e-6 * fabs(*want))) fail_msg("%s: %.9g, PyTorch has %.9g", name, got, *want);
    free(want);
}
