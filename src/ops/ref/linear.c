#include "ref.h"

void CI_REF(linear_forward)(ci_lid M, ci_lid N, ci_lid K, const CI_REAL *x, const CI_REAL *w, const CI_REAL *b,
                            CI_REAL *y)
{
    for (ci_lid m = 0; m < M; m++)
        for (ci_lid n = 0; n < N; n++) {
            CI_REAL sum = b[n];
            for (ci_lid k = 0; k < K; k++) sum += x[m * K + k] * w[k * N + n];
            y[m * N + n] = sum;
        }
}

void CI_REF(linear_backward)(ci_lid M, ci_lid N, ci_lid K, const CI_REAL *x, const CI_REAL *w, const CI_REAL *dy,
                             CI_REAL *dx, CI_REAL *dw, CI_REAL *db)
{
    for (ci_lid m = 0; m < M; m++)
        for (ci_lid k = 0; k < K; k++) {
            dx[m * K + k] = 0;
            for (ci_lid n = 0; n < N; n++) {
                dx[m * K + k] += dy[m * N + n] * w[k * N + n];
                dw[k * N + n] += dy[m * N + n] * x[m * K + k];
            }
        }
    for (ci_lid m = 0; m < M; m++)
        for (ci_lid n = 0; n < N; n++) db[n] += dy[m * N + n];
}

void CI_REF(embed_forward)(ci_lid n, ci_lid cols, const int32_t *id, const CI_REAL *table, CI_REAL *y)
{
    for (ci_lid i = 0; i < n; i++)
        for (ci_lid d = 0; d < cols; d++) y[i * cols + d] = table[id[i] * cols + d];
}

void CI_REF(embed_backward)(ci_lid n, ci_lid cols, const int32_t *id, const CI_REAL *dy, CI_REAL *dtable)
{
    for (ci_lid i = 0; i < n; i++)
        for (ci_lid d = 0; d < cols; d++) dtable[id[i] * cols + d] += dy[i * cols + d];
}
