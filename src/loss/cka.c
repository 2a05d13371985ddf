/* Linear centred kernel alignment: how alike two representations of the same rows are. */
#include <stdlib.h>
#include "loss_priv.h"

/** Column-centred copy, transposed to (p, n) so that products of columns are products of rows; NULL without memory. */
static double *centred(const float *x, ci_lid p, ci_lid n)
{
    double *c = malloc((size_t)p * (size_t)n * sizeof *c);

    for (ci_lid k = 0; c && k < p; k++) {
        double *row = c + (size_t)k * n, sum = 0;
        for (ci_lid i = 0; i < n; i++) sum += x[(size_t)i * p + k];
        for (ci_lid i = 0; i < n; i++) row[i] = (double)x[(size_t)i * p + k] - sum / n;
    }
    return c;
}

/** |b^T a|^2 in the norm of Frobenius. */
static double alignment(const double *a, ci_lid p, const double *b, ci_lid q, ci_lid n)
{
    double sum = 0;

    for (ci_lid k = 0; k < p; k++)
        for (ci_lid l = 0; l < q; l++) {
            const double *u = a + (size_t)k * n, *v = b + (size_t)l * n;
            double part[4] = {0};
            ci_lid i = 0;
            for (; i + 4 <= n; i += 4)
                for (int j = 0; j < 4; j++) part[j] += u[i + j] * v[i + j];
            for (; i < n; i++) part[i % 4] += u[i] * v[i];
            const double dot = (part[0] + part[2]) + (part[1] + part[3]);
            sum += dot * dot;
        }
    return sum;
}

ci_rc ci_cka(const float *x, ci_lid p, const float *y, ci_lid q, ci_lid n, double *out)
{
    ci_rc rc = CI_OK;
    double *a = NULL, *b = NULL;

    if (p < 1 || q < 1 || n < 1) CI_FAIL(CI_EARG, "alignment of %d rows of %d and %d columns", n, p, q);
    a = centred(x, p, n);
    b = centred(y, q, n);
    if (!a || !b) CI_FAIL(CI_ENOMEM, "alignment of %d rows of %d and %d columns", n, p, q);
    const double xy = alignment(a, p, b, q, n), xx = alignment(a, p, a, p, n), yy = alignment(b, q, b, q, n);
    if (!isfinite(xy) || !isfinite(xx) || !isfinite(yy))
        CI_FAIL(CI_ENUMERIC, "alignment: products %g of the sides, %g and %g with themselves", xy, xx, yy);
    *out = xx > 0 && yy > 0 ? xy / (sqrt(xx) * sqrt(yy)) : 0;
done:
    free(a);
    free(b);
    return rc;
}
