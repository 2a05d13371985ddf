/** Jumping knowledge by LSTM on one core, beside the processor's matrix peak.
 *
 *      bench_lstm
 *
 *  GFLOP/s counts the matrix products alone: forward 2 rows 2 (L D + (L-1) h) 4h, backward twice that.  The peak is
 *  a loop of independent fused multiply-adds in registers, as wide as the kernels'.  Seconds are of processor time of
 *  the thread, so that others on the machine count as little as they can. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/ops.h"
#include "ci/random.h"
#include "peak.h"

enum { RUNS = 20, LAYERS = 3 };

/** On a line of the cache, as pieces of a model's arena are. */
static float *numbers(size_t n, uint32_t seed, float scale)
{
    float *x = aligned_alloc(64, (n * sizeof *x + 63) / 64 * 64);
    if (!x) exit(70);
    for (size_t i = 0; i < n; i++) x[i] = scale * (2.0f * ci_unit(ci_philox(seed, 200, (uint32_t)i, 0, 0, 0).v[0]) - 1.0f);
    return x;
}

static void lstm(const ci_ops *ops, double most, const char *what, ci_lstm_dim dim, ci_lid rows)
{
    const size_t D = (size_t)dim.D, h = (size_t)dim.h, n = D * rows, n_ih = 8 * D * h, n_hh = 8 * h * h;
    const double flop = 2.0 * rows * 2 * ((double)dim.L * dim.D + (dim.L - 1.0) * dim.h) * 4 * dim.h;
    const int loops = (int)(4e8 / flop) + 1;
    float *x[LAYERS], *dx[LAYERS];
    for (int l = 0; l < dim.L; l++) {
        x[l] = numbers(n, 1, 1);
        dx[l] = numbers(n, 1, 1);
    }
    const ci_lstm_w w = {numbers(n_ih, 2, .05f), numbers(n_hh, 3, .05f), numbers(8 * h, 4, .05f), numbers(8 * h, 5, .05f),
                         numbers(2 * h, 6, .05f), numbers(1, 7, 1), numbers(n_ih, 8, .05f), numbers(n_hh, 9, .05f)};
    const ci_lstm_grad grad = {dx, numbers(n_ih, 2, 1), numbers(n_hh, 3, 1), numbers(8 * h, 4, 1), numbers(8 * h, 5, 1),
                               numbers(2 * h, 6, 1), numbers(1, 7, 1)};
    float *keep = numbers((size_t)(rows * ci_lstm_keep(dim)), 1, 1), *work = numbers((size_t)(rows * ci_lstm_work(dim)), 1, 1);
    float *dy = numbers(n, 2, 1e-3f), *y = numbers(n, 1, 1);
    double best[2] = {0};
    for (int run = 0; run < RUNS; run++) {
        double spent[2] = {0};
        for (int k = 0; k < loops; k++) {
            const double t0 = thread_s();
            ops->lstm_forward(dim, rows, (const float *const *)x, w, keep, y);
            const double t1 = thread_s();
            ops->lstm_backward(dim, rows, (const float *const *)x, w, keep, dy, work, grad);
            spent[0] += t1 - t0;
            spent[1] += thread_s() - t1;
        }
        for (int k = 0; k < 2; k++) best[k] = CI_MAX(best[k], (k + 1) * flop * loops / spent[k] / 1e9);
    }
    printf("%-10s L %d D %3d h %3d rows %3d   forward %6.1f GFLOP/s", what, dim.L, dim.D, dim.h, rows, best[0]);
    if (most > 0) printf(", %2.0f %% of peak", 100 * best[0] / most);
    printf("   backward %6.1f", best[1]);
    printf(most > 0 ? ", %2.0f %%\n" : "\n", 100 * best[1] / most);
    const float *const all[] = {w.w_ih, w.w_hh, w.b_ih, w.b_hh, w.att_w, w.att_b, w.wt_ih, w.wt_hh, grad.w_ih, grad.w_hh, grad.b_ih,
                                grad.b_hh, grad.att_w, grad.att_b, keep, work, dy, y};
    for (size_t k = 0; k < CI_COUNT(all); k++) free((void *)(uintptr_t)all[k]);
    for (int l = 0; l < dim.L; l++) {
        free(x[l]);
        free(dx[l]);
    }
}

int main(void)
{
    static const char *const names[] = {"auto", "avx2"};
    for (size_t k = 0; k < CI_COUNT(names); k++) {
        const ci_ops *ops = ci_ops_get(names[k]);
        if (!ops) continue;
        const double most = peak(ops->lanes);
        printf("jumping knowledge by LSTM, %s kernels, one core, peak %.0f GFLOP/s, best of %d\n", ops->name, most, RUNS);
        for (ci_lid rows = 128; rows <= (k ? 128 : 512); rows *= 2) {
            lstm(ops, most, "gat small", (ci_lstm_dim){2, 96, 96}, rows);
            lstm(ops, most, "gat large", (ci_lstm_dim){3, 256, 384}, rows);
        }
    }
    return 0;
}
