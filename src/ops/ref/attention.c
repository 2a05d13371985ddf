#include <tgmath.h>
#include "ref.h"

static CI_REAL dot(const CI_REAL *a, const CI_REAL *b, ci_lid n)
{
    CI_REAL sum = 0;
    for (ci_lid k = 0; k < n; k++) sum += a[k] * b[k];
    return sum;
}

void CI_REF(attention_forward)(ci_lid H, ci_lid C, ci_lid n_graph, const ci_lid *first, const CI_REAL *q,
                               const CI_REAL *k, const CI_REAL *v, CI_REAL *p, CI_REAL *y)
{
    const ci_lid D = H * C;
    for (ci_lid g = 0; g < n_graph; g++) {
        const ci_lid i0 = first[g], i1 = first[g + 1], n = i1 - i0;
        for (ci_lid i = i0; i < i1; i++)
            for (ci_lid h = 0; h < H; h++, p += n) {
                CI_REAL most = -INFINITY, sum = 0;
                for (ci_lid j = 0; j < n; j++) {
                    p[j] = dot(q + i * D + h * C, k + (i0 + j) * D + h * C, C) / sqrt((CI_REAL)C);
                    most = CI_MAX(most, p[j]);
                }
                for (ci_lid j = 0; j < n; j++) sum += p[j] = exp(p[j] - most);
                for (ci_lid j = 0; j < n; j++) p[j] /= sum;
                for (ci_lid d = h * C; d < (h + 1) * C; d++) {
                    y[i * D + d] = 0;
                    for (ci_lid j = 0; j < n; j++) y[i * D + d] += p[j] * v[(i0 + j) * D + d];
                }
            }
    }
}

void CI_REF(attention_backward)(ci_lid H, ci_lid C, ci_lid n_graph, const ci_lid *first, const CI_REAL *q,
                                const CI_REAL *k, const CI_REAL *v, const CI_REAL *p, const CI_REAL *dy, CI_REAL *dq,
                                CI_REAL *dk, CI_REAL *dv)
{
    const ci_lid D = H * C;
    for (ci_lid x = 0; x < first[n_graph] * D; x++) dq[x] = dk[x] = dv[x] = 0;
    for (ci_lid g = 0; g < n_graph; g++) {
        const ci_lid i0 = first[g], i1 = first[g + 1], n = i1 - i0;
        for (ci_lid i = i0; i < i1; i++)
            for (ci_lid h = 0; h < H; h++, p += n) {
                const CI_REAL *dyh = dy + i * D + h * C;
                CI_REAL mean = 0;
                for (ci_lid j = 0; j < n; j++) mean += p[j] * dot(dyh, v + (i0 + j) * D + h * C, C);
                for (ci_lid j = 0; j < n; j++) {
                    const ci_lid at = (i0 + j) * D + h * C, to = i * D + h * C;
                    const CI_REAL ds = p[j] * (dot(dyh, v + at, C) - mean) / sqrt((CI_REAL)C);
                    for (ci_lid c = 0; c < C; c++) {
                        dq[to + c] += ds * k[at + c];
                        dk[at + c] += ds * q[to + c];
                        dv[at + c] += p[j] * dyh[c];
                    }
                }
            }
    }
}

void CI_REF(heads_mean_forward)(ci_lid rows, ci_lid H, ci_lid C, const CI_REAL *x, const CI_REAL *bias, CI_REAL *y)
{
    for (ci_lid i = 0; i < rows; i++)
        for (ci_lid c = 0; c < C; c++) {
            CI_REAL sum = 0;
            for (ci_lid h = 0; h < H; h++) sum += x[(i * H + h) * C + c];
            y[i * C + c] = sum / (CI_REAL)H + (bias ? bias[c] : 0);
        }
}

void CI_REF(heads_mean_backward)(ci_lid rows, ci_lid H, ci_lid C, const CI_REAL *dy, CI_REAL *dx)
{
    for (ci_lid i = 0; i < rows; i++)
        for (ci_lid h = 0; h < H; h++)
            for (ci_lid c = 0; c < C; c++) dx[(i * H + h) * C + c] = dy[i * C + c] / (CI_REAL)H;
}
