/* The latent normal distribution of an autoencoder: its divergence from N(0,1), and samples of it. */
#include "loss_priv.h"

ci_rc ci_kl_normal(const float *mu, const float *logvar, ci_lid rows, ci_lid cols, double limit, double scale,
                   float *dmu, float *dlogvar, double *loss)
{
    ci_rc rc = CI_OK;
    const struct loss_loops *loops = loss_loops("auto");
    double sum = 0;

    if (rows < 0 || cols < 1) CI_FAIL(CI_EARG, "divergence of %d rows of %d", rows, cols);
    if (!(limit > 0 && limit <= 80)) CI_FAIL(CI_EARG, "divergence with logvar clamped at %g: above 0, at most 80", limit);
    for (ci_lid i = 0; i < rows; i++) {
        const size_t at = (size_t)i * cols;
        const double row = loops->kl_row(mu + at, logvar + at, cols, (float)limit, (float)scale, dmu ? dmu + at : NULL,
                                         dmu ? dlogvar + at : NULL);
        if (!isfinite(row)) CI_FAIL(CI_ENUMERIC, "divergence from the normal distribution: %g in row %d of the shard", row, i);
        sum += row;
    }
    *loss = scale * 0.5 * sum;
done:
    return rc;
}

void ci_sample_normal(const float *mu, const float *logvar, const float *eps, ci_lid rows, ci_lid cols, double limit,
                      float *z)
{
    loss_loops("auto")->sample(mu, logvar, eps, (size_t)rows * (size_t)cols, (float)limit, z);
}

void ci_sample_normal_backward(const float *logvar, const float *eps, const float *dz, ci_lid rows, ci_lid cols,
                               double limit, float *dmu, float *dlogvar)
{
    loss_loops("auto")->sample_backward(logvar, eps, dz, (size_t)rows * (size_t)cols, (float)limit, dmu, dlogvar);
}
