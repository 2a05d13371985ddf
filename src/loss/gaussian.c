/* The Gaussian neighbour loss, by phases: sums of shards, their loss and its coefficients, gradients of shards. */
#include "loss_priv.h"

static ci_lid side_size(ci_lid d) { return d + d * (d + 1) / 2; }
ci_lid ci_gaussian_sums_size(ci_lid d) { return 2 * side_size(d); }

/* coef: a matrix and a vector for each side, then the room of gaussian_close. */
enum { ROOM_MATRICES = 4, ROOM_VECTORS = 3 };
ci_lid ci_gaussian_coef_size(ci_lid d) { return (2 + ROOM_MATRICES) * d * d + (2 + ROOM_VECTORS) * d; }

void ci_gaussian_sums(const float *p, const float *t, ci_lid rows, ci_lid d, double *sum)
{
    const struct loss_loops *loops = loss_loops("auto");

    loops->gaussian_sums(p, rows, d, sum);
    loops->gaussian_sums(t, rows, d, sum + side_size(d));
}

ci_rc ci_gaussian_close(const double *sum, ci_gid rows_global, ci_lid d, double weight, double *coef, double *loss)
{
    ci_rc rc = CI_OK;

    if (d < 1 || rows_global < 0) CI_FAIL(CI_EARG, "Gaussian loss of %lld rows of %d", (long long)rows_global, d);
    if (rows_global < 2) {
        memset(coef, 0, (size_t)ci_gaussian_coef_size(d) * sizeof *coef);
        *loss = 0;
    } else {
        CI_TRY(loss_loops("auto")->gaussian_close(sum, rows_global, d, weight, coef, loss));
    }
done:
    return rc;
}

void ci_gaussian_backward(const double *coef, const float *p, const float *t, ci_lid rows, ci_lid d, float *dp,
                          float *dt)
{
    const struct loss_loops *loops = loss_loops("auto");

    loops->gaussian_backward(coef, p, rows, d, dp);
    loops->gaussian_backward(coef + (size_t)d * d + d, t, rows, d, dt);
}
