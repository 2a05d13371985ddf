#include "ci/ops.h"
#include "cpu_priv.h"

static int runs(const ci_ops *ops)
{
    if (ops == &ci_ops_generic) return 1;
#ifdef __x86_64__
    if (ops == &ci_ops_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    if (ops == &ci_ops_avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
#endif
    return 0;
}

const ci_ops *ci_ops_get(const char *name)
{
    if (!strcmp(name, "bf16") || !strcmp(name, "avx512-bf16")) return ci_ops_get_bf16(); /* as a setting, and by its own name */
    static const ci_ops *const widest_first[] = {
#ifdef __x86_64__
        &ci_ops_avx512, &ci_ops_avx2,
#endif
        &ci_ops_generic,
    };
    for (size_t k = 0; k < CI_COUNT(widest_first); k++) {
        const ci_ops *ops = widest_first[k];
        if ((!strcmp(name, "auto") || !strcmp(name, ops->name)) && runs(ops)) return ops;
    }
    return NULL;
}
