#include <tgmath.h>
#include "ref.h"

static const CI_REAL eps = (CI_REAL)1e-5;

void CI_REF(graph_norm_forward)(ci_lid n_graph, const ci_lid *first, ci_lid cols, const CI_REAL *x, const CI_REAL *w,
                                const CI_REAL *b, const CI_REAL *s, CI_REAL *y)
{
    for (ci_lid g = 0; g < n_graph; g++)
        for (ci_lid d = 0; d < cols; d++) {
            const CI_REAL n = (CI_REAL)(first[g + 1] - first[g]);
            CI_REAL mean = 0, square = 0;
            for (ci_lid i = first[g]; i < first[g + 1]; i++) mean += x[i * cols + d] / n;
            for (ci_lid i = first[g]; i < first[g + 1]; i++) {
                const CI_REAL o = x[i * cols + d] - s[d] * mean;
                square += o * o / n;
            }
            for (ci_lid i = first[g]; i < first[g + 1]; i++)
                y[i * cols + d] = w[d] * (x[i * cols + d] - s[d] * mean) / sqrt(square + eps) + b[d];
        }
}

void CI_REF(graph_norm_backward)(ci_lid n_graph, const ci_lid *first, ci_lid cols, const CI_REAL *x, const CI_REAL *w,
                                 const CI_REAL *s, const CI_REAL *dy, CI_REAL *dx, CI_REAL *dw, CI_REAL *db, CI_REAL *ds)
{
    for (ci_lid g = 0; g < n_graph; g++)
        for (ci_lid d = 0; d < cols; d++) {
            const CI_REAL n = (CI_REAL)(first[g + 1] - first[g]);
            CI_REAL mean = 0, square = 0, dsquare = 0, dmean = 0;
            for (ci_lid i = first[g]; i < first[g + 1]; i++) mean += x[i * cols + d] / n;
            for (ci_lid i = first[g]; i < first[g + 1]; i++) {
                const CI_REAL o = x[i * cols + d] - s[d] * mean;
                square += o * o / n;
            }
            const CI_REAL r = 1 / sqrt(square + eps);
            for (ci_lid i = first[g]; i < first[g + 1]; i++) {
                const CI_REAL o = x[i * cols + d] - s[d] * mean, dyi = dy[i * cols + d];
                db[d] += dyi;
                dw[d] += dyi * o * r;
                dsquare += dyi * w[d] * o * r * r * r / -2; /* of y by the square under the root */
            }
            for (ci_lid i = first[g]; i < first[g + 1]; i++) {
                const CI_REAL o = x[i * cols + d] - s[d] * mean;
                const CI_REAL d_o = dy[i * cols + d] * w[d] * r + dsquare * 2 * o / n;
                dx[i * cols + d] += d_o;
                ds[d] -= d_o * mean;
                dmean -= d_o * s[d];
            }
            for (ci_lid i = first[g]; i < first[g + 1]; i++) dx[i * cols + d] += dmean / n;
        }
}

void CI_REF(layer_norm_forward)(ci_lid rows, ci_lid cols, const CI_REAL *x, const CI_REAL *w, const CI_REAL *b, CI_REAL *y)
{
    for (ci_lid i = 0; i < rows; i++, x += cols, y += cols) {
        CI_REAL mean = 0, var = 0;
        for (ci_lid d = 0; d < cols; d++) mean += x[d] / (CI_REAL)cols;
        for (ci_lid d = 0; d < cols; d++) var += (x[d] - mean) * (x[d] - mean) / (CI_REAL)cols;
        for (ci_lid d = 0; d < cols; d++) y[d] = w[d] * (x[d] - mean) / sqrt(var + eps) + b[d];
    }
}

void CI_REF(layer_norm_backward)(ci_lid rows, ci_lid cols, const CI_REAL *x, const CI_REAL *w, const CI_REAL *dy,
                                 CI_REAL *dx, CI_REAL *dw, CI_REAL *db)
{
    for (ci_lid i = 0; i < rows; i++, x += cols, dy += cols, dx += cols) {
        CI_REAL mean = 0, var = 0, dmean = 0, dvar = 0;
        for (ci_lid d = 0; d < cols; d++) mean += x[d] / (CI_REAL)cols;
        for (ci_lid d = 0; d < cols; d++) var += (x[d] - mean) * (x[d] - mean) / (CI_REAL)cols;
        const CI_REAL r = 1 / sqrt(var + eps);
        for (ci_lid d = 0; d < cols; d++) {
            db[d] += dy[d];
            dw[d] += dy[d] * (x[d] - mean) * r;
            dmean -= dy[d] * w[d] * r;
            dvar += dy[d] * w[d] * (x[d] - mean) * r * r * r / -2;
        }
        for (ci_lid d = 0; d < cols; d++)
            dx[d] += dy[d] * w[d] * r + (dmean + dvar * 2 * (x[d] - mean)) / (CI_REAL)cols;
    }
}

void CI_REF(batch_norm_forward)(ci_lid rows, ci_lid cols, const CI_REAL *x, const CI_REAL *w, const CI_REAL *b, CI_REAL *y)
{
    for (ci_lid d = 0; d < cols; d++) {
        CI_REAL mean = 0, var = 0;
        for (ci_lid i = 0; i < rows; i++) mean += x[i * cols + d] / (CI_REAL)rows;
        for (ci_lid i = 0; i < rows; i++) var += (x[i * cols + d] - mean) * (x[i * cols + d] - mean) / (CI_REAL)rows;
        for (ci_lid i = 0; i < rows; i++) y[i * cols + d] = w[d] * (x[i * cols + d] - mean) / sqrt(var + eps) + b[d];
    }
}

void CI_REF(batch_norm_backward)(ci_lid rows, ci_lid cols, const CI_REAL *x, const CI_REAL *w, const CI_REAL *dy,
                                 CI_REAL *dx, CI_REAL *dw, CI_REAL *db)
{
    for (ci_lid d = 0; d < cols; d++) {
        CI_REAL mean = 0, var = 0, dmean = 0, dvar = 0;
        for (ci_lid i = 0; i < rows; i++) mean += x[i * cols + d] / (CI_REAL)rows;
        for (ci_lid i = 0; i < rows; i++) var += (x[i * cols + d] - mean) * (x[i * cols + d] - mean) / (CI_REAL)rows;
        const CI_REAL r = 1 / sqrt(var + eps);
        for (ci_lid i = 0; i < rows; i++) {
            const CI_REAL o = x[i * cols + d] - mean, dyi = dy[i * cols + d];
            db[d] += dyi;
            dw[d] += dyi * o * r;
            dmean -= dyi * w[d] * r;
            dvar += dyi * w[d] * o * r * r * r / -2;
        }
        for (ci_lid i = 0; i < rows; i++)
            dx[i * cols + d] += dy[i * cols + d] * w[d] * r + (dmean + dvar * 2 * (x[i * cols + d] - mean)) / (CI_REAL)rows;
    }
}
