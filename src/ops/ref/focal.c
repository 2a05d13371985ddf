#include <tgmath.h>
#include "ref.h"

CI_REAL CI_REF(focal)(ci_lid n, const CI_REAL *z, const uint8_t *label, CI_REAL gamma, ci_gid n_global, CI_REAL *dz)
{
    CI_REAL loss = 0;
    for (ci_lid i = 0; i < n; i++) {
        const CI_REAL *zi = z + 2 * i, most = CI_MAX(zi[0], zi[1]);
        const CI_REAL e0 = exp(zi[0] - most), e1 = exp(zi[1] - most), sum = e0 + e1;
        const int t = label[i];
        const CI_REAL c = most + log(sum) - zi[t], q = (t ? e0 : e1) / sum;
        const CI_REAL slope = pow(q, gamma) + (gamma > 0 ? gamma * pow(q, gamma - 1) * (1 - q) * c : 0);
        loss += pow(q, gamma) * c;
        dz[2 * i + 0] = slope * (e0 / sum - (t == 0)) / (CI_REAL)n_global;
        dz[2 * i + 1] = slope * (e1 / sum - (t == 1)) / (CI_REAL)n_global;
    }
    return loss / (CI_REAL)n_global;
}
