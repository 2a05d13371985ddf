/** Matrix product: tiles of MR rows by NV registers held in registers while k runs.
 *
 *  B is read in place: its rows are 16 to 192 floats here, and a panel of three registers over all k
 *  stays in the first cache.  Any tile gives the same bits, since an element is one chain over k. */
#include "cpu_priv.h"
#include "vec.h"

/* Accumulators MR * NV, NV of B and one of A: 8 * 3 + 4 of 32 registers, or 4 * 3 + 4 of 16. */
enum { NV_MAX = 3, MR_MAX = VN == 16 ? 8 : 4 };

ALWAYS void tile(const ci_gemm *g, ci_lid m, ci_lid n, int MR, int NV)
{
    vf acc[MR_MAX][NV_MAX];
    const float *a = g->a + (size_t)m * g->a_row, *b = g->b + n;
    float *c = g->c + (size_t)m * g->c_row + n;

    for (int i = 0; i < MR; i++)
        for (int v = 0; v < NV; v++)
            acc[i][v] = g->start == CI_GEMM_ADD    ? v_load(c + (size_t)i * g->c_row + v * VN)
                        : g->start == CI_GEMM_BIAS ? v_load(g->bias + n + v * VN)
                                                   : (vf){0};
    for (ci_lid k = 0; k < g->K; k++) {
        vf bk[NV_MAX];
        for (int v = 0; v < NV; v++) bk[v] = v_load(b + v * VN);
        for (int i = 0; i < MR; i++) {
            const vf ai = v_splat(a[(size_t)i * g->a_row]);
            for (int v = 0; v < NV; v++) acc[i][v] = v_fma(ai, bk[v], acc[i][v]);
        }
        a += g->a_col;
        b += g->b_row;
    }
    for (int i = 0; i < MR; i++)
        for (int v = 0; v < NV; v++) v_store(c + (size_t)i * g->c_row + v * VN, acc[i][v]);
}

/** Columns that fill no register, one element at a time. */
static void columns_left(const ci_gemm *g, ci_lid n0)
{
    for (ci_lid m = 0; m < g->M; m++)
        for (ci_lid n = n0; n < g->N; n++) {
            float *c = g->c + (size_t)m * g->c_row + n;
            const float *a = g->a + (size_t)m * g->a_row, *b = g->b + n;
            float acc = g->start == CI_GEMM_ADD ? *c : g->start == CI_GEMM_BIAS ? g->bias[n] : 0;
            for (ci_lid k = 0; k < g->K; k++) acc = fmaf(a[(size_t)k * g->a_col], b[(size_t)k * g->b_row], acc);
            *c = acc;
        }
}

#define ROWS(NV)                                                                                      \
    static void rows##NV(const ci_gemm *g, ci_lid n)                                                  \
    {                                                                                                 \
        ci_lid m = 0;                                                                                 \
        for (; m + MR_MAX <= g->M; m += MR_MAX) tile(g, m, n, MR_MAX, NV);                            \
        switch (g->M - m) {                                                                           \
        case 7: tile(g, m, n, CI_MIN(7, MR_MAX), NV); break;                                          \
        case 6: tile(g, m, n, CI_MIN(6, MR_MAX), NV); break;                                          \
        case 5: tile(g, m, n, CI_MIN(5, MR_MAX), NV); break;                                          \
        case 4: tile(g, m, n, CI_MIN(4, MR_MAX), NV); break;                                          \
        case 3: tile(g, m, n, 3, NV); break;                                                          \
        case 2: tile(g, m, n, 2, NV); break;                                                          \
        case 1: tile(g, m, n, 1, NV); break;                                                          \
        default: break;                                                                               \
        }                                                                                             \
    }
ROWS(1)
ROWS(2)
ROWS(3)

void CI_SYM(ci_gemm)(const ci_gemm *g)
{
    ci_lid n = 0;
    for (; n + 3 * VN <= g->N; n += 3 * VN) rows3(g, n);
    if (n + 2 * VN <= g->N) {
        rows2(g, n);
        n += 2 * VN;
    } else if (n + VN <= g->N) {
        rows1(g, n);
        n += VN;
    }
    if (n < g->N) columns_left(g, n);
}
