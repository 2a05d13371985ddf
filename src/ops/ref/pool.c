#include <tgmath.h>
#include "ref.h"

/* n rows of cols, each by its own pointer: the layers of a node, or the nodes of a graph. */
void CI_REF(weighted_forward)(ci_lid n, ci_lid cols, const CI_REAL *const *x, const CI_REAL *a, const CI_REAL *b,
                              CI_REAL *p, CI_REAL *y)
{
    CI_REAL sum = 0;
    for (ci_lid i = 0; i < n; i++) {
        CI_REAL s = b[0];
        for (ci_lid d = 0; d < cols; d++) s += a[d] * x[i][d];
        sum += p[i] = exp(s);
    }
    for (ci_lid d = 0; d < cols; d++) y[d] = 0;
    for (ci_lid i = 0; i < n; i++) {
        p[i] /= sum;
        for (ci_lid d = 0; d < cols; d++) y[d] += p[i] * x[i][d];
    }
}

void CI_REF(weighted_backward)(ci_lid n, ci_lid cols, const CI_REAL *const *x, const CI_REAL *a, const CI_REAL *p,
                               const CI_REAL *dy, CI_REAL *const *dx, CI_REAL *da, CI_REAL *db)
{
    CI_REAL mean = 0;
    for (ci_lid i = 0; i < n; i++)
        for (ci_lid d = 0; d < cols; d++) mean += p[i] * dy[d] * x[i][d];
    for (ci_lid i = 0; i < n; i++) {
        CI_REAL dp = 0;
        for (ci_lid d = 0; d < cols; d++) dp += dy[d] * x[i][d];
        const CI_REAL ds = p[i] * (dp - mean);
        db[0] += ds;
        for (ci_lid d = 0; d < cols; d++) {
            dx[i][d] += p[i] * dy[d] + ds * a[d];
            da[d] += ds * x[i][d];
        }
    }
}

void CI_REF(max_forward)(ci_lid n, ci_lid cols, const CI_REAL *const *x, CI_REAL *y)
{
    for (ci_lid d = 0; d < cols; d++) {
        y[d] = n ? x[0][d] : 0;
        for (ci_lid i = 1; i < n; i++) y[d] = CI_MAX(y[d], x[i][d]);
    }
}

void CI_REF(max_backward)(ci_lid n, ci_lid cols, int share, const CI_REAL *const *x, const CI_REAL *dy, CI_REAL *const *dx)
{
    for (ci_lid d = 0; d < cols; d++) {
        ci_lid best = 0, equal = 0;
        for (ci_lid i = 1; i < n; i++)
            if (x[i][d] > x[best][d]) best = i;
        for (ci_lid i = 0; i < n; i++) equal += x[i][d] == x[best][d];
        for (ci_lid i = best; i < n; i++)
            if (i == best || (share && x[i][d] == x[best][d])) dx[i][d] += share ? dy[d] / (CI_REAL)equal : dy[d];
    }
}
