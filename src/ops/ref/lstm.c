#include <assert.h>
#include <tgmath.h>
#include "ref.h"

/* A row at a time.  Of each row `keep` has the gates (2, L, 4h), cells (2, L, h), outputs (L, 2h) and the softmax (L). */
typedef struct row {
    CI_REAL *gate, *cell, *out, *p;
} row;

static row row_at(ci_lstm_dim dim, ci_lid i, CI_REAL *keep)
{
    const ci_lid Lh = dim.L * dim.h;
    keep += (size_t)i * (size_t)ci_lstm_keep(dim);
    return (row){keep, keep + 8 * Lh, keep + 10 * Lh, keep + 12 * Lh};
}

static ci_lid step(ci_lid L, int d, ci_lid k) { return d ? L - 1 - k : k; }

static void cells(ci_lstm_dim dim, int d, ci_lid k, const CI_REAL *x, CI_REF(lstm_w) w, row q)
{
    const ci_lid h = dim.h, n = 4 * h, t = step(dim.L, d, k), from = step(dim.L, d, k - 1);
    CI_REAL *g = q.gate + (d * dim.L + t) * n;
    for (ci_lid j = 0; j < n; j++) {
        CI_REAL a = w.b_ih[d * n + j] + w.b_hh[d * n + j];
        for (ci_lid m = 0; m < dim.D; m++) a += x[m] * w.w_ih[(d * dim.D + m) * n + j];
        for (ci_lid m = 0; k && m < h; m++) a += q.out[from * 2 * h + d * h + m] * w.w_hh[(d * h + m) * n + j];
        g[j] = j / h == 2 ? tanh(a) : 1 / (1 + exp(-a));
    }
    for (ci_lid j = 0; j < h; j++) {
        const CI_REAL before = k ? q.cell[(d * dim.L + from) * h + j] : 0;
        const CI_REAL c = g[h + j] * before + g[j] * g[2 * h + j];
        q.cell[(d * dim.L + t) * h + j] = c;
        q.out[t * 2 * h + d * h + j] = g[3 * h + j] * tanh(c);
    }
}

void CI_REF(lstm_forward)(ci_lstm_dim dim, ci_lid rows, const CI_REAL *const *x, CI_REF(lstm_w) w, CI_REAL *keep, CI_REAL *y)
{
    for (ci_lid i = 0; i < rows; i++) {
        const row q = row_at(dim, i, keep);
        CI_REAL sum = 0;
        for (int d = 0; d < 2; d++)
            for (ci_lid k = 0; k < dim.L; k++) cells(dim, d, k, x[step(dim.L, d, k)] + i * dim.D, w, q);
        for (ci_lid l = 0; l < dim.L; l++) {
            CI_REAL s = w.att_b[0];
            for (ci_lid j = 0; j < 2 * dim.h; j++) s += w.att_w[j] * q.out[l * 2 * dim.h + j];
            sum += q.p[l] = exp(s);
        }
        for (ci_lid l = 0; l < dim.L; l++) q.p[l] /= sum;
        for (ci_lid d = 0; d < dim.D; d++) {
            y[i * dim.D + d] = 0;
            for (ci_lid l = 0; l < dim.L; l++) y[i * dim.D + d] += q.p[l] * x[l][i * dim.D + d];
        }
    }
}

/** dh and dc (h), of this step's output and cell, become those of the step before. */
static void cells_backward(ci_lstm_dim dim, int d, ci_lid k, const CI_REAL *x, CI_REF(lstm_w) w, row q, CI_REAL ds,
                           CI_REAL *dh, CI_REAL *dc, CI_REAL *dx, CI_REF(lstm_grad) grad)
{
    const ci_lid h = dim.h, n = 4 * h, t = step(dim.L, d, k), from = step(dim.L, d, k - 1);
    const CI_REAL *g = q.gate + (d * dim.L + t) * n;
    CI_REAL da[4 * CI_REF_H];
    for (ci_lid j = 0; j < h; j++) {
        const CI_REAL i = g[j], f = g[h + j], u = g[2 * h + j], o = g[3 * h + j];
        const CI_REAL tc = tanh(q.cell[(d * dim.L + t) * h + j]), before = k ? q.cell[(d * dim.L + from) * h + j] : 0;
        const CI_REAL out = dh[j] + ds * w.att_w[d * h + j], c = dc[j] + out * o * (1 - tc * tc);
        da[j] = c * u * i * (1 - i);
        da[h + j] = c * before * f * (1 - f);
        da[2 * h + j] = c * i * (1 - u * u);
        da[3 * h + j] = out * tc * o * (1 - o);
        dc[j] = c * f;
        dh[j] = 0;
    }
    for (ci_lid j = 0; j < n; j++) {
        grad.b_ih[d * n + j] += da[j];
        grad.b_hh[d * n + j] += da[j];
        for (ci_lid m = 0; m < dim.D; m++) {
            grad.w_ih[(d * dim.D + m) * n + j] += x[m] * da[j];
            dx[m] += w.w_ih[(d * dim.D + m) * n + j] * da[j];
        }
        for (ci_lid m = 0; k && m < h; m++) {
            grad.w_hh[(d * h + m) * n + j] += q.out[from * 2 * h + d * h + m] * da[j];
            dh[m] += w.w_hh[(d * h + m) * n + j] * da[j];
        }
    }
}

void CI_REF(lstm_backward)(ci_lstm_dim dim, ci_lid rows, const CI_REAL *const *x, CI_REF(lstm_w) w, CI_REAL *keep,
                           const CI_REAL *dy, CI_REF(lstm_grad) grad)
{
    assert(dim.h <= CI_REF_H && dim.L <= CI_REF_L);
    for (ci_lid i = 0; i < rows; i++) {
        const row q = row_at(dim, i, keep);
        const ci_lid at = i * dim.D;
        CI_REAL ds[CI_REF_L], mean = 0;
        for (ci_lid l = 0; l < dim.L; l++) {
            ds[l] = 0;
            for (ci_lid d = 0; d < dim.D; d++) {
                ds[l] += dy[at + d] * x[l][at + d];
                grad.x[l][at + d] += q.p[l] * dy[at + d];
            }
            mean += q.p[l] * ds[l];
        }
        for (ci_lid l = 0; l < dim.L; l++) {
            ds[l] = q.p[l] * (ds[l] - mean);
            grad.att_b[0] += ds[l];
            for (ci_lid j = 0; j < 2 * dim.h; j++) grad.att_w[j] += ds[l] * q.out[l * 2 * dim.h + j];
        }
        for (int d = 0; d < 2; d++) {
            CI_REAL dh[CI_REF_H] = {0}, dc[CI_REF_H] = {0};
            for (ci_lid k = dim.L; k-- > 0;) {
                const ci_lid t = step(dim.L, d, k);
                cells_backward(dim, d, k, x[t] + at, w, q, ds[t], dh, dc, grad.x[t] + at, grad);
            }
        }
    }
}
