/** Weighted sums and maxima: over the layers of a node (jumping knowledge), over the nodes of a graph (pooling). */
#include "cpu_priv.h"
#include "vec.h"

enum { BLOCK = 64 };

void CI_SYM(ci_softmax_rows)(float *p, ci_lid rows, ci_lid n)
{
    for (ci_lid i = 0; i < rows && n; i++) {
        float *row = p + (size_t)i * n, most = row[0];
        for (ci_lid k = 1; k < n; k++) most = CI_MAX(most, row[k]);
        for (ci_lid k = 0; k < n; k++) row[k] -= most;
    }
    CI_SYM(ci_exp)(p, rows * n, p);
    for (ci_lid i = 0; i < rows; i++, p += n) {
        float sum = 0;
        for (ci_lid k = 0; k < n; k++) sum += p[k];
        for (ci_lid k = 0; k < n; k++) p[k] /= sum;
    }
}

void CI_SYM(ci_layers_sum)(ci_lid L, ci_lid rows, ci_lid D, const float *const *x, const float *p, float *y)
{
    for (ci_lid i = 0; i < rows; i++, p += L, y += D)
        for (ci_lid l = 0; l < L; l++) {
            const float *xl = x[l] + (size_t)i * D;
            for (ci_lid d = 0; d < D; d++) y[d] = (l ? y[d] : 0.0f) + p[l] * xl[d];
        }
}

void CI_SYM(ci_jk_attention_forward)(ci_lid L, ci_lid rows, ci_lid D, const float *const *x, const float *a,
                                     const float *b, float *p, float *y)
{
    for (ci_lid i = 0; i < rows; i++)
        for (ci_lid l = 0; l < L; l++) p[(size_t)i * L + l] = dot8(a, x[l] + (size_t)i * D, D) + b[0];
    CI_SYM(ci_softmax_rows)(p, rows, L);
    CI_SYM(ci_layers_sum)(L, rows, D, x, p, y);
}

/** One weighted row: y = p x and s = x . a + b, so dx = p dy + ds a, da = ds x. */
ALWAYS void weighted_backward(ci_lid D, const float *x, const float *a, float p, float ds, const float *dy, float *dx,
                              float *da)
{
    for (ci_lid d = 0; d < D; d++) {
        dx[d] += p * dy[d] + ds * a[d];
        da[d] += ds * x[d];
    }
}

void CI_SYM(ci_jk_attention_backward)(ci_lid L, ci_lid rows, ci_lid D, const float *const *x, const float *a,
                                      const float *p, const float *dy, float *const *dx, float *da, float *db)
{
    (void)db;
    for (ci_lid i = 0; i < rows; i++, p += L, dy += D) {
        const size_t at = (size_t)i * D;
        float mean = 0;
        for (ci_lid l = 0; l < L; l++) mean += p[l] * dot8(dy, x[l] + at, D);
        for (ci_lid l = 0; l < L; l++) {
            const float ds = p[l] * (dot8(dy, x[l] + at, D) - mean);
            weighted_backward(D, x[l] + at, a, p[l], ds, dy, dx[l] + at, da);
        }
    }
}

void CI_SYM(ci_jk_max_forward)(ci_lid L, ci_lid rows, ci_lid D, const float *const *x, float *y)
{
    const size_t n = (size_t)rows * D;
    memcpy(y, x[0], n * sizeof *y);
    for (ci_lid l = 1; l < L; l++)
        for (size_t k = 0; k < n; k++) y[k] = x[l][k] > y[k] ? x[l][k] : y[k];
}

void CI_SYM(ci_jk_max_backward)(ci_lid L, ci_lid rows, ci_lid D, const float *const *x, const float *dy,
                                float *const *dx)
{
    const size_t all = (size_t)rows * D;
    for (size_t at = 0; at < all; at += BLOCK) {
        const int n = (int)CI_MIN((size_t)BLOCK, all - at);
        float most[BLOCK], left[BLOCK]; /* what nobody has had yet of dy */
        memcpy(most, x[0] + at, (size_t)n * sizeof *most);
        memcpy(left, dy + at, (size_t)n * sizeof *left);
        for (ci_lid l = 1; l < L; l++)
            for (int k = 0; k < n; k++) most[k] = x[l][at + k] > most[k] ? x[l][at + k] : most[k];
        for (ci_lid l = 0; l < L; l++) {
            const float *xl = x[l] + at;
            float *dxl = dx[l] + at;
            for (int k = 0; k < n; k++) {
                dxl[k] += xl[k] == most[k] ? left[k] : 0.0f;
                left[k] = xl[k] == most[k] ? 0.0f : left[k];
            }
        }
    }
}

void CI_SYM(ci_pool_sum)(const float *x, ci_lid rows, ci_lid cols, float *y)
{
    memset(y, 0, (size_t)cols * sizeof *y);
    for (ci_lid i = 0; i < rows; i++, x += cols)
        for (ci_lid d = 0; d < cols; d++) y[d] += x[d];
}

void CI_SYM(ci_pool_sum_backward)(const float *dy, ci_lid rows, ci_lid cols, float *dx)
{
    for (ci_lid i = 0; i < rows; i++, dx += cols)
        for (ci_lid d = 0; d < cols; d++) dx[d] += dy[d];
}

void CI_SYM(ci_pool_max)(const float *x, ci_lid rows, ci_lid cols, float *y)
{
    if (rows) memcpy(y, x, (size_t)cols * sizeof *y);
    else memset(y, 0, (size_t)cols * sizeof *y);
    for (ci_lid i = 1; i < rows; i++) {
        x += cols;
        for (ci_lid d = 0; d < cols; d++) y[d] = x[d] > y[d] ? x[d] : y[d];
    }
}

void CI_SYM(ci_pool_max_backward)(const float *x, const float *y, const float *dy, ci_lid rows, ci_lid cols, float *dx)
{
    for (ci_lid c = 0; c < cols; c += BLOCK) {
        const ci_lid n = CI_MIN(BLOCK, cols - c);
        float share[BLOCK] = {0};
        for (ci_lid i = 0; i < rows; i++)
            for (ci_lid d = 0; d < n; d++) share[d] += x[(size_t)i * cols + c + d] == y[c + d] ? 1.0f : 0.0f;
        for (ci_lid d = 0; d < n; d++) share[d] = dy[c + d] / share[d];
        for (ci_lid i = 0; i < rows; i++)
            for (ci_lid d = 0; d < n; d++)
                dx[(size_t)i * cols + c + d] += x[(size_t)i * cols + c + d] == y[c + d] ? share[d] : 0.0f;
    }
}

void CI_SYM(ci_pool_attention)(const float *x, const float *a, const float *b, ci_lid rows, ci_lid cols, float *p,
                               float *y)
{
    for (ci_lid i = 0; i < rows; i++) p[i] = dot8(a, x + (size_t)i * cols, cols) + b[0];
    CI_SYM(ci_softmax_rows)(p, 1, rows);
    memset(y, 0, (size_t)cols * sizeof *y);
    for (ci_lid i = 0; i < rows; i++, x += cols)
        for (ci_lid d = 0; d < cols; d++) y[d] += p[i] * x[d];
}

void CI_SYM(ci_pool_attention_backward)(const float *x, const float *a, const float *p, const float *dy, ci_lid rows,
                                        ci_lid cols, float *dx, float *da, float *db)
{
    float mean = 0;
    (void)db;
    for (ci_lid i = 0; i < rows; i++) mean += p[i] * dot8(dy, x + (size_t)i * cols, cols);
    for (ci_lid i = 0; i < rows; i++, x += cols, dx += cols) {
        const float ds = p[i] * (dot8(dy, x, cols) - mean);
        weighted_backward(cols, x, a, p[i], ds, dy, dx, da);
    }
}
