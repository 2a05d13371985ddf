/* Which instruction set's loops run: those whose kernels the machine can run. */
#include "loss_priv.h"

#ifdef __x86_64__
extern const struct loss_loops loss_loops_avx512, loss_loops_avx2;
#endif
extern const struct loss_loops loss_loops_generic;

const struct loss_loops *loss_loops(const char *name)
{
    const ci_ops *ops = ci_ops_get(name);

    if (!ops) return NULL;
#ifdef __x86_64__
    if (!strncmp(ops->name, "avx512", 6)) return &loss_loops_avx512;
    if (!strcmp(ops->name, "avx2")) return &loss_loops_avx2;
#endif
    return &loss_loops_generic;
}
