#include "ref.h"

void CI_REF(relu_forward)(ci_lid n, const CI_REAL *x, const uint8_t *keep, CI_REAL scale, CI_REAL *y)
{
    for (ci_lid i = 0; i < n; i++) y[i] = keep[i] && x[i] > 0 ? scale * x[i] : 0;
}

void CI_REF(relu_backward)(ci_lid n, const CI_REAL *x, const uint8_t *keep, CI_REAL scale, const CI_REAL *dy,
                           CI_REAL *dx)
{
    for (ci_lid i = 0; i < n; i++) dx[i] = keep[i] && x[i] > 0 ? scale * dy[i] : 0;
}

void CI_REF(mean_forward)(ci_lid rows, ci_lid cols, const CI_REAL *x, CI_REAL *y)
{
    for (ci_lid d = 0; d < cols; d++) {
        y[d] = 0;
        for (ci_lid i = 0; i < rows; i++) y[d] += x[i * cols + d] / (CI_REAL)rows;
    }
}

void CI_REF(mean_backward)(ci_lid rows, ci_lid cols, const CI_REAL *dy, CI_REAL *dx)
{
    for (ci_lid i = 0; i < rows; i++)
        for (ci_lid d = 0; d < cols; d++) dx[i * cols + d] = dy[d] / (CI_REAL)rows;
}
