#include <stdbool.h>
#include <string.h>

#include "csv_priv.h"

struct isa {
    const char *name;
    ci_rows_fn *rows;
    ci_newlines_fn *newlines;
};

/* The best first. */
static const struct isa isas[] = {
#if defined(__x86_64__)
    {"avx512", ci_rows_parse_avx512, ci_newlines_avx512},
    {"avx2", ci_rows_parse_avx2, ci_newlines_avx2},
#endif
    {"generic", ci_rows_parse_generic, ci_newlines_generic},
};

static const struct isa *chosen;

static bool processor_has(const char *name)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (strcmp(name, "avx512") == 0)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
               && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")
               && processor_has("avx2");
    if (strcmp(name, "avx2") == 0)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
               && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
#endif
    return strcmp(name, "generic") == 0;
}

const char *ci_csv_isa(const char *name)
{
    for (size_t i = 0; i < CI_COUNT(isas); i++) {
        if (strcmp(name, "auto") != 0 && strcmp(name, isas[i].name) != 0) continue;
        if (!processor_has(isas[i].name)) continue;
        chosen = &isas[i];
        return chosen->name;
    }
    return NULL;
}

static const struct isa *isa(void)
{
    if (!chosen) ci_csv_isa("auto");
    return chosen;
}

const char *ci_rows_parse(const char *p, const char *stop, const char *end, int columns,
                          ci_rows *out)
{
    return isa()->rows(p, stop, end, columns, out);
}

int64_t ci_newlines(const char *p, size_t n) { return isa()->newlines(p, n); }
