/** Matrix product: tiles of MR rows by NV registers held in registers while k runs.
 *
 *  B is read in place: its rows are 16 to 192 floats here, and a panel of three registers over all k
 *  stays in the first cache.  Any tile gives the same bits, since an element is one chain over k. */
#include "cpu_priv.h"
#include "row.h"

/* Accumulators MR * NV, NV of B and one of A: 8 * 3 + 4 of 32 registers, or 4 * 3 + 4 of 16. */
enum { NV_MAX = 3, MR_MAX = VN == 16 ? 8 : 4 };

/** Of the last of NV registers only `last` columns exist. */
ALWAYS vf columns(const float *p, int v, int NV, int last)
{
    return v == NV - 1 && last != VN ? v_load_n(p + v * VN, last) : v_load(p + v * VN);
}

ALWAYS void tile(const ci_gemm *g, ci_lid m, ci_lid n, int MR, int NV, int last)
{
    vf acc[MR_MAX][NV_MAX];
    const float *a = g->a + (size_t)m * g->a_row, *b = g->b + n;
    float *c = g->c + (size_t)m * g->c_row + n;

    for (int i = 0; i < MR; i++)
        for (int v = 0; v < NV; v++)
            acc[i][v] = g->start == CI_GEMM_ADD    ? columns(c + (size_t)i * g->c_row, v, NV, last)
                        : g->start == CI_GEMM_BIAS ? columns(g->bias + n, v, NV, last)
                                                   : (vf){0};
    for (ci_lid k = 0; k < g->K; k++) {
        vf bk[NV_MAX];
        for (int v = 0; v < NV; v++) bk[v] = columns(b, v, NV, last);
        for (int i = 0; i < MR; i++) {
            const vf ai = v_splat(a[(size_t)i * g->a_row]);
            for (int v = 0; v < NV; v++) acc[i][v] = v_fma(ai, bk[v], acc[i][v]);
        }
        a += g->a_col;
        b += g->b_row;
    }
    for (int i = 0; i < MR; i++)
        for (int v = 0; v < NV; v++)
            if (v == NV - 1 && last != VN) v_store_n(c + (size_t)i * g->c_row + v * VN, acc[i][v], last);
            else v_store(c + (size_t)i * g->c_row + v * VN, acc[i][v]);
}

#define ROWS(name, NV, last)                                                                          \
    static void name(const ci_gemm *g, ci_lid n)                                                      \
    {                                                                                                 \
        ci_lid m = 0;                                                                                 \
        for (; m + MR_MAX <= g->M; m += MR_MAX) tile(g, m, n, MR_MAX, NV, last);                      \
        switch (g->M - m) {                                                                           \
        case 7: tile(g, m, n, CI_MIN(7, MR_MAX), NV, last); break;                                    \
        case 6: tile(g, m, n, CI_MIN(6, MR_MAX), NV, last); break;                                    \
        case 5: tile(g, m, n, CI_MIN(5, MR_MAX), NV, last); break;                                    \
        case 4: tile(g, m, n, CI_MIN(4, MR_MAX), NV, last); break;                                    \
        case 3: tile(g, m, n, 3, NV, last); break;                                                    \
        case 2: tile(g, m, n, 2, NV, last); break;                                                    \
        case 1: tile(g, m, n, 1, NV, last); break;                                                    \
        default: break;                                                                               \
        }                                                                                             \
    }
ROWS(rows1, 1, VN)
ROWS(rows2, 2, VN)
ROWS(rows3, 3, VN)
ROWS(rows_part, 1, g->N - n)

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
    if (n < g->N) rows_part(g, n);
}
