/* Squared error of rows. */
#include "loss_priv.h"

ci_rc ci_square_error(const float *y, ci_lid y_row, const float *t, ci_lid t_row, ci_lid rows, ci_lid cols,
                      double scale, float *dy, ci_lid dy_row, double *loss, float *out_row)
{
    ci_rc rc = CI_OK;
    const float slope = (float)(2 * scale);
    double sum = 0;

    if (rows < 0 || cols < 1) CI_FAIL(CI_EARG, "squared error of %d rows of %d", rows, cols);
    for (ci_lid i = 0; i < rows; i++) {
        const float *yi = y + (size_t)i * y_row, *ti = t + (size_t)i * t_row;
        double row = 0;
        for (ci_lid j = 0; j < cols; j++) {
            const double d = (double)yi[j] - ti[j];
            row += d * d;
        }
        if (!isfinite(row)) CI_FAIL(CI_ENUMERIC, "squared error: %g in row %d of the shard", row, i);
        sum += row;
        if (out_row) out_row[i] = (float)(row / cols);
        if (!dy) continue;
        float *di = dy + (size_t)i * dy_row;
        for (ci_lid j = 0; j < cols; j++) di[j] += slope * (yi[j] - ti[j]);
    }
    *loss = scale * sum;
done:
    return rc;
}
