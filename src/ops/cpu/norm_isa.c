/** Graph, layer and batch norm.
 *
 *  Sums over rows take columns in blocks, so that those of a block are in registers or the first cache;
 *  rows ascend.  Sums over columns are eight partial sums and one tree. */
#include "cpu_priv.h"
#include "vec.h"

enum { BLOCK = 64 };

ALWAYS void graph_forward(ci_lid rows, ci_lid cols, ci_lid n, const float *x, const float *w, const float *b,
                          const float *s, float *stat, float *y)
{
    float shift[BLOCK] = {0}, square[BLOCK] = {0};
    for (ci_lid i = 0; i < rows; i++)
        for (ci_lid d = 0; d < n; d++) shift[d] += x[(size_t)i * cols + d];
    for (ci_lid d = 0; d < n; d++) {
        stat[d] = shift[d] / (float)rows;
        shift[d] = s[d] * stat[d];
    }
    for (ci_lid i = 0; i < rows; i++)
        for (ci_lid d = 0; d < n; d++) {
            const float o = x[(size_t)i * cols + d] - shift[d];
            square[d] += o * o;
        }
    for (ci_lid d = 0; d < n; d++) stat[cols + d] = 1.0f / sqrtf(square[d] / (float)rows + CI_NORM_EPS);
    for (ci_lid i = 0; i < rows; i++)
        for (ci_lid d = 0; d < n; d++)
            y[(size_t)i * cols + d] = w[d] * ((x[(size_t)i * cols + d] - shift[d]) * stat[cols + d]) + b[d];
}

void CI_SYM(ci_graph_norm_forward)(ci_lid n_graph, const ci_lid *first, ci_lid cols, const float *x, const float *w,
                                   const float *b, const float *s, float *stat, float *y)
{
    for (ci_lid g = 0; g < n_graph; g++)
        for (ci_lid c = 0; c < cols; c += BLOCK) {
            const size_t at = (size_t)first[g] * cols + c;
            graph_forward(first[g + 1] - first[g], cols, CI_MIN(BLOCK, cols - c), x + at, w + c, b + c, s + c,
                          stat + (size_t)g * 2 * cols + c, y + at);
        }
}

/** With o = x - s m and h = o r: do = w r (dy - h mean(dy h)); dx = do - s mean(do); ds = -m sum(do). */
ALWAYS void graph_backward(ci_lid rows, ci_lid cols, ci_lid n, const float *x, const float *w, const float *s,
                           const float *stat, const float *dy, float *dx, float *dw, float *db, float *ds)
{
    float sum[BLOCK] = {0}, sum_h[BLOCK] = {0}, shift[BLOCK], sum_o[BLOCK] = {0};
    for (ci_lid d = 0; d < n; d++) shift[d] = s[d] * stat[d];
    for (ci_lid i = 0; i < rows; i++)
        for (ci_lid d = 0; d < n; d++) {
            const size_t at = (size_t)i * cols + d;
            sum[d] += dy[at];
            sum_h[d] += dy[at] * ((x[at] - shift[d]) * stat[cols + d]);
        }
    for (ci_lid d = 0; d < n; d++) {
        dw[d] += sum_h[d];
        db[d] += sum[d];
        sum_h[d] /= (float)rows;
    }
    for (ci_lid i = 0; i < rows; i++)
        for (ci_lid d = 0; d < n; d++) {
            const size_t at = (size_t)i * cols + d;
            const float one = w[d] * stat[cols + d] * (dy[at] - (x[at] - shift[d]) * stat[cols + d] * sum_h[d]);
            sum_o[d] += one;
            dx[at] += one;
        }
    for (ci_lid d = 0; d < n; d++) {
        ds[d] -= stat[d] * sum_o[d];
        sum_o[d] *= s[d] / (float)rows;
    }
    for (ci_lid i = 0; i < rows; i++)
        for (ci_lid d = 0; d < n; d++) dx[(size_t)i * cols + d] -= sum_o[d];
}

void CI_SYM(ci_graph_norm_backward)(ci_lid n_graph, const ci_lid *first, ci_lid cols, const float *x, const float *w,
                                    const float *s, const float *stat, const float *dy, float *dx, float *dw,
                                    float *db, float *ds)
{
    for (ci_lid g = 0; g < n_graph; g++)
        for (ci_lid c = 0; c < cols && first[g] < first[g + 1]; c += BLOCK) {
            const size_t at = (size_t)first[g] * cols + c;
            graph_backward(first[g + 1] - first[g], cols, CI_MIN(BLOCK, cols - c), x + at, w + c, s + c,
                           stat + (size_t)g * 2 * cols + c, dy + at, dx + at, dw + c, db + c, ds + c);
        }
}

void CI_SYM(ci_layer_norm_forward)(ci_lid rows, ci_lid cols, const float *x, const float *w, const float *b,
                                   float *stat, float *y)
{
    for (ci_lid i = 0; i < rows; i++, x += cols, y += cols, stat += 2) {
        float part[8] = {0};
        ci_lid at = 0;
        for (; at + 8 <= cols; at += 8)
            for (int k = 0; k < 8; k++) part[k] += x[at + k];
        for (int k = 0; at + k < cols; k++) part[k] += x[at + k];
        const float mean = tree8(part) / (float)cols;
        for (ci_lid d = 0; d < cols; d++) y[d] = x[d] - mean;
        const float rstd = 1.0f / sqrtf(dot8(y, y, cols) / (float)cols + CI_NORM_EPS);
        for (ci_lid d = 0; d < cols; d++) y[d] = w[d] * (y[d] * rstd) + b[d];
        stat[0] = mean;
        stat[1] = rstd;
    }
}

/** Adds eight gradients g = w dy, or n, and their products with h = (x - mean) rstd to partial sums. */
ALWAYS void eight(int n, const float *x, const float *w, const float *dy, float mean, float rstd, float *part, float *part_h)
{
    for (int k = 0; k < n; k++) {
        const float g = w[k] * dy[k];
        part[k] += g;
        part_h[k] += g * ((x[k] - mean) * rstd);
    }
}

/** With h = (x - mean) rstd and g = w dy: dx = rstd (g - mean(g) - h mean(g h)). */
void CI_SYM(ci_layer_norm_backward)(ci_lid rows, ci_lid cols, const float *x, const float *w, const float *stat,
                                    const float *dy, float *dx, float *dw, float *db)
{
    for (ci_lid i = 0; i < rows; i++, x += cols, dy += cols, dx += cols, stat += 2) {
        const float mean = stat[0], rstd = stat[1];
        float part[8] = {0}, part_h[8] = {0};
        ci_lid at = 0;
        for (; at + 8 <= cols; at += 8) eight(8, x + at, w + at, dy + at, mean, rstd, part, part_h);
        eight(cols - at, x + at, w + at, dy + at, mean, rstd, part, part_h);
        const float m = tree8(part) / (float)cols, m_h = tree8(part_h) / (float)cols;
        for (ci_lid d = 0; d < cols; d++) dx[d] += rstd * (w[d] * dy[d] - m - (x[d] - mean) * rstd * m_h);
        for (ci_lid d = 0; d < cols; d++) { /* a loop of its own: fewer pointers that could meet, and it is vectorised */
            dw[d] += dy[d] * ((x[d] - mean) * rstd);
            db[d] += dy[d];
        }
    }
}

void CI_SYM(ci_batch_norm_sums)(ci_lid rows, ci_lid cols, const float *x, double *sum)
{
    memset(sum, 0, 2 * (size_t)cols * sizeof *sum);
    for (ci_lid i = 0; i < rows; i++, x += cols)
        for (ci_lid d = 0; d < cols; d++) {
            sum[d] += (double)x[d];
            sum[cols + d] += (double)x[d] * (double)x[d];
        }
}

void CI_SYM(ci_batch_norm_apply)(ci_lid rows, ci_lid cols, const float *x, const float *mean, const float *rstd,
                                 const float *w, const float *b, float *y)
{
    for (ci_lid i = 0; i < rows; i++, x += cols, y += cols)
        for (ci_lid d = 0; d < cols; d++) y[d] = w[d] * ((x[d] - mean[d]) * rstd[d]) + b[d];
}

void CI_SYM(ci_batch_norm_backward_sums)(ci_lid rows, ci_lid cols, const float *x, const float *mean,
                                         const float *rstd, const float *dy, double *sum)
{
    memset(sum, 0, 2 * (size_t)cols * sizeof *sum);
    for (ci_lid i = 0; i < rows; i++, x += cols, dy += cols)
        for (ci_lid d = 0; d < cols; d++) {
            sum[d] += (double)dy[d];
            sum[cols + d] += (double)dy[d] * (double)((x[d] - mean[d]) * rstd[d]);
        }
}

/** With h = (x - mean) rstd: dx = w rstd (dy - mean(dy) - h mean(dy h)). */
void CI_SYM(ci_batch_norm_backward)(ci_lid rows, ci_lid cols, ci_gid rows_global, const float *x, const float *mean,
                                    const float *rstd, const float *w, const double *sum, const float *dy, float *dx)
{
    for (ci_lid c = 0; c < cols; c += BLOCK) {
        const ci_lid n = CI_MIN(BLOCK, cols - c);
        float m[BLOCK], m_h[BLOCK];
        for (ci_lid d = 0; d < n; d++) {
            m[d] = (float)(sum[c + d] / (double)rows_global);
            m_h[d] = (float)(sum[cols + c + d] / (double)rows_global);
        }
        for (ci_lid i = 0; i < rows; i++)
            for (ci_lid d = 0; d < n; d++) {
                const size_t at = (size_t)i * cols + c + d;
                const float h = (x[at] - mean[c + d]) * rstd[c + d];
                dx[at] += w[c + d] * rstd[c + d] * (dy[at] - m[d] - h * m_h[d]);
            }
    }
}
