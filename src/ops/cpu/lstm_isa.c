/** Jumping knowledge by LSTM: matrix products over all rows, and between them the cell.
 *
 *  Kept from forward: gates i f g o after their functions, cell c and output h of each direction d and step t
 *  (backward turns the gates into their gradients), then the softmax of the scores. */
#include "cpu_priv.h"
#include "vec.h"

enum { UNITS = 48 }; /* of a panel of the matrix product */

typedef struct lstm {
    ci_lstm_dim dim;
    ci_lid rows;
    float *keep;
} lstm;

ALWAYS float *gate(lstm q, int d, ci_lid t) { return q.keep + (size_t)(d * q.dim.L + t) * q.rows * 4 * q.dim.h; }

ALWAYS float *cell(lstm q, int d, ci_lid t)
{
    return q.keep + (size_t)q.dim.L * q.rows * 8 * q.dim.h + (size_t)(d * q.dim.L + t) * q.rows * q.dim.h;
}

/** Rows of both directions: 2h. */
ALWAYS float *output(lstm q, ci_lid t)
{
    return q.keep + (size_t)q.dim.L * q.rows * 10 * q.dim.h + (size_t)t * q.rows * 2 * q.dim.h;
}

ALWAYS float *softmax(lstm q) { return q.keep + (size_t)q.dim.L * q.rows * 12 * q.dim.h; }

/** Step k of a direction is at t, and came from `from`. */
ALWAYS ci_lid step(lstm q, int d, ci_lid k) { return d ? q.dim.L - 1 - k : k; }

/** Gates from their products: i, f, o by 1 / (1 + exp(-x)) = 1/2 + tanh(x/2) / 2, u by tanh.  Two quotients cost one division,
 *  which is what the cell waits for: a/b and c/d are a d r and c b r with r = 1 / (b d). */
ALWAYS void gates(vf *i, vf *f, vf *u, vf *o)
{
    const vf half = v_splat(0.5f), one = v_splat(1.0f);
    vf qi, qf, qu, qo;
    const vf pi = v_tanh_parts(half * *i, &qi), pf = v_tanh_parts(half * *f, &qf);
    const vf pu = v_tanh_parts(*u, &qu), po = v_tanh_parts(half * *o, &qo);
    const vf r = one / (qi * qf), s = one / (qu * qo);
    *i = v_fma(half, pi * (qf * r), half);
    *f = v_fma(half, pf * (qi * r), half);
    *u = pu * (qo * s);
    *o = v_fma(half, po * (qu * s), half);
}

/** One row of n_unit cells: c = f c' + i u, h = o tanh(c), from the products and the recurrent bias. */
ALWAYS void cell_forward(ci_lid h, ci_lid n_unit, const float *bias, const float *c0, float *g, float *c, float *out)
{
    for (ci_lid k = 0; k < n_unit; k += VN) {
        const int n = CI_MIN(VN, n_unit - k);
        vf i = v_load_some(g + k, n) + v_load_some(bias + k, n);
        vf f = v_load_some(g + h + k, n) + v_load_some(bias + h + k, n);
        vf u = v_load_some(g + 2 * h + k, n) + v_load_some(bias + 2 * h + k, n);
        vf o = v_load_some(g + 3 * h + k, n) + v_load_some(bias + 3 * h + k, n);
        gates(&i, &f, &u, &o);
        vf now = i * u;
        if (c0) now = v_fma(f, v_load_some(c0 + k, n), now);
        v_store_some(g + k, i, n);
        v_store_some(g + h + k, f, n);
        v_store_some(g + 2 * h + k, u, n);
        v_store_some(g + 3 * h + k, o, n);
        v_store_some(c + k, now, n);
        v_store_some(out + k, o * v_tanh(now), n);
    }
}

/** The four gates of units u .. u + n of all rows, and their cells while those are in the second cache. */
static void units_forward(lstm q, int d, ci_lid k, ci_lid u, ci_lid n, const float *x, ci_lstm_w w)
{
    const ci_lid D = q.dim.D, h = q.dim.h, t = step(q, d, k), from = k ? step(q, d, k - 1) : t;
    float *g = gate(q, d, t) + u, *c = cell(q, d, t) + u, *out = output(q, t) + d * h + u;
    const float *bias = w.b_hh + d * 4 * h + u, *c0 = cell(q, d, from) + u;
    for (ci_lid at = 0; at < 4 * h; at += h) {
        const ci_gemm in = {.M = q.rows, .N = n, .K = D, .a = x, .a_row = D, .a_col = 1,
                            .b = w.w_ih + (size_t)d * D * 4 * h + u + at, .b_row = 4 * h, .c = g + at, .c_row = 4 * h,
                            .start = CI_GEMM_BIAS, .bias = w.b_ih + d * 4 * h + u + at};
        const ci_gemm again = {.M = q.rows, .N = n, .K = h, .a = output(q, from) + d * h, .a_row = 2 * h, .a_col = 1,
                               .b = w.w_hh + (size_t)d * h * 4 * h + u + at, .b_row = 4 * h, .c = g + at, .c_row = 4 * h,
                               .start = CI_GEMM_ADD};
        CI_SYM(ci_gemm)(&in);
        if (k) CI_SYM(ci_gemm)(&again);
    }
    for (ci_lid i = 0; i < q.rows; i++, g += 4 * h, c += h, c0 += h, out += 2 * h)
        cell_forward(h, n, bias, k ? c0 : NULL, g, c, out);
}

void CI_SYM(ci_lstm_forward)(ci_lstm_dim dim, ci_lid rows, const float *const *x, ci_lstm_w w, float *keep, float *y)
{
    const lstm q = {dim, rows, keep};
    float *p = softmax(q);
    for (int d = 0; d < 2; d++)
        for (ci_lid k = 0; k < dim.L; k++)
            for (ci_lid u = 0; u < dim.h; u += UNITS)
                units_forward(q, d, k, u, CI_MIN(UNITS, dim.h - u), x[step(q, d, k)], w);
    for (ci_lid t = 0; t < dim.L; t++) {
        const float *out = output(q, t);
        for (ci_lid i = 0; i < rows; i++)
            p[(size_t)i * dim.L + t] = dot8(w.att_w, out + (size_t)i * 2 * dim.h, 2 * dim.h) + w.att_b[0];
    }
    CI_SYM(ci_softmax_rows)(p, rows, dim.L);
    CI_SYM(ci_layers_sum)(dim.L, rows, dim.D, x, p, y);
}

/** From dy to the gradients of the scores, ds (rows, L), and of what made them. */
static void scores_backward(lstm q, const float *const *x, const float *dy, float *ds, ci_lstm_grad grad)
{
    const ci_lid L = q.dim.L, D = q.dim.D, h = q.dim.h;
    const float *p = softmax(q);
    for (ci_lid i = 0; i < q.rows; i++, p += L, dy += D, ds += L) {
        const size_t at = (size_t)i * D;
        float mean = 0;
        for (ci_lid l = 0; l < L; l++) {
            ds[l] = dot8(dy, x[l] + at, D);
            mean += p[l] * ds[l];
            float *dx = grad.x[l] + at;
            for (ci_lid d = 0; d < D; d++) dx[d] += p[l] * dy[d];
        }
        for (ci_lid l = 0; l < L; l++) ds[l] = p[l] * (ds[l] - mean);
    }
    ds -= (size_t)q.rows * L;
    for (ci_lid l = 0; l < L; l++) {
        const ci_gemm att = {.M = 1, .N = 2 * h, .K = q.rows, .a = ds + l, .a_row = 0, .a_col = L, .b = output(q, l),
                             .b_row = 2 * h, .c = grad.att_w, .c_row = 2 * h, .start = CI_GEMM_ADD};
        CI_SYM(ci_gemm)(&att);
    }
}

/** One row of cells: dh to the gradients of the gates before their functions, in their place, and dc to the cell
 *  before.  dh is overwritten by nothing; at the last step of a direction dh and dc come in as zeros. */
ALWAYS void cell_backward(ci_lid h, float ds, const float *att, const float *c, const float *c0, const float *dh,
                          float *g, float *dc)
{
    const vf one = v_splat(1.0f), s = v_splat(ds);
    for (ci_lid k = 0; k < h; k += VN) {
        const int n = CI_MIN(VN, h - k);
        const vf i = v_load_some(g + k, n), f = v_load_some(g + h + k, n), u = v_load_some(g + 2 * h + k, n);
        const vf o = v_load_some(g + 3 * h + k, n), t = v_tanh(v_load_some(c + k, n));
        const vf dout = v_fma(s, v_load_some(att + k, n), v_load_some(dh + k, n));
        const vf d = v_fma(dout * o, one - t * t, v_load_some(dc + k, n));
        const vf before = c0 ? v_load_some(c0 + k, n) : (vf){0};
        v_store_some(g + k, d * u * (i * (one - i)), n);
        v_store_some(g + h + k, d * before * (f * (one - f)), n);
        v_store_some(g + 2 * h + k, d * i * (one - u * u), n);
        v_store_some(g + 3 * h + k, dout * t * (o * (one - o)), n);
        v_store_some(dc + k, d * f, n);
    }
}

/** Both biases have the sum over rows of g (rows, n). */
static void bias_backward(ci_lid rows, ci_lid n, const float *g, float *b_ih, float *b_hh)
{
    enum { BLOCK = 64 };
    for (ci_lid c = 0; c < n; c += BLOCK) {
        const ci_lid m = CI_MIN(BLOCK, n - c);
        float sum[BLOCK] = {0};
        for (ci_lid i = 0; i < rows; i++)
            for (ci_lid k = 0; k < m; k++) sum[k] += g[(size_t)i * n + c + k];
        for (ci_lid k = 0; k < m; k++) {
            b_ih[c + k] += sum[k];
            b_hh[c + k] += sum[k];
        }
    }
}

static void step_backward(lstm q, int d, ci_lid k, const float *x, ci_lstm_w w, const float *ds, float *dh, float *dc,
                          float *dx, ci_lstm_grad grad)
{
    const ci_lid D = q.dim.D, h = q.dim.h, n = 4 * h, t = step(q, d, k), from = k ? step(q, d, k - 1) : t;
    const size_t ih = (size_t)d * D * n, hh = (size_t)d * h * n;
    float *g = gate(q, d, t);
    for (ci_lid i = 0; i < q.rows; i++) {
        const size_t at = (size_t)i * h;
        cell_backward(h, ds[(size_t)i * q.dim.L + t], w.att_w + d * h, cell(q, d, t) + at,
                      k ? cell(q, d, from) + at : NULL, dh + at, g + 4 * at, dc + at);
    }
    const ci_gemm in = {.M = q.rows, .N = D, .K = n, .a = g, .a_row = n, .a_col = 1, .b = w.wt_ih + ih, .b_row = D,
                        .c = dx, .c_row = D, .start = CI_GEMM_ADD};
    const ci_gemm w_ih = {.M = D, .N = n, .K = q.rows, .a = x, .a_row = 1, .a_col = D, .b = g, .b_row = n,
                          .c = grad.w_ih + ih, .c_row = n, .start = CI_GEMM_ADD};
    const ci_gemm again = {.M = q.rows, .N = h, .K = n, .a = g, .a_row = n, .a_col = 1, .b = w.wt_hh + hh, .b_row = h,
                           .c = dh, .c_row = h, .start = CI_GEMM_ZERO};
    const ci_gemm w_hh = {.M = h, .N = n, .K = q.rows, .a = output(q, from) + d * h, .a_row = 1, .a_col = 2 * h,
                          .b = g, .b_row = n, .c = grad.w_hh + hh, .c_row = n, .start = CI_GEMM_ADD};
    CI_SYM(ci_gemm)(&in);
    CI_SYM(ci_gemm)(&w_ih);
    bias_backward(q.rows, n, g, grad.b_ih + d * n, grad.b_hh + d * n);
    if (!k) return;
    CI_SYM(ci_gemm)(&again);
    CI_SYM(ci_gemm)(&w_hh);
}

void CI_SYM(ci_lstm_backward)(ci_lstm_dim dim, ci_lid rows, const float *const *x, ci_lstm_w w, float *keep,
                              const float *dy, float *work, ci_lstm_grad grad)
{
    const lstm q = {dim, rows, keep};
    const size_t n = (size_t)rows * dim.h;
    float *dh = work, *dc = work + n, *ds = work + 2 * n;
    scores_backward(q, x, dy, ds, grad);
    for (int d = 0; d < 2; d++) {
        memset(dh, 0, 2 * n * sizeof *dh);
        for (ci_lid k = dim.L; k-- > 0;) {
            const ci_lid t = step(q, d, k);
            step_backward(q, d, k, x[t], w, ds, dh, dc, grad.x[t], grad);
        }
    }
}
