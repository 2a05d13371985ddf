#include <math.h>
#include "ci/ops.h"

void ci_batch_norm_close(ci_lid cols, ci_gid rows_global, const double *sum, float *mean, float *rstd, float *run_mean,
                         float *run_var)
{
    const double n = (double)rows_global, unbiased = rows_global > 1 ? n / (n - 1) : 1;
    for (ci_lid d = 0; d < cols; d++) {
        const double m = sum[d] / n, var = CI_MAX(sum[cols + d] / n - m * m, 0.0);
        mean[d] = (float)m;
        rstd[d] = (float)(1 / sqrt(var + (double)CI_NORM_EPS));
        if (run_mean) run_mean[d] = (float)(0.9 * (double)run_mean[d] + 0.1 * m);
        if (run_var) run_var[d] = (float)(0.9 * (double)run_var[d] + 0.1 * var * unbiased);
    }
}
