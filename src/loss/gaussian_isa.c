/* The Gaussian neighbour loss.  All in double and in one order: an element of a sum or a gradient is one chain over rows
 * or columns, of products of two floats, which are exact in double, so that a fused step and two are the same. */
#include "loss_priv.h"

#define ALWAYS static inline __attribute__((always_inline))

#if defined(__AVX512F__)
#include <immintrin.h>
enum { L = 8 };
typedef double vd __attribute__((vector_size(64)));
typedef float vh __attribute__((vector_size(32)));
#define FUSED(a, b, c) _mm512_fmadd_pd(a, b, c)
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
enum { L = 4 };
typedef double vd __attribute__((vector_size(32)));
typedef float vh __attribute__((vector_size(16)));
#define FUSED(a, b, c) _mm256_fmadd_pd(a, b, c)
#else
enum { L = 2 };
typedef double vd __attribute__((vector_size(16)));
typedef float vh __attribute__((vector_size(8)));
#define FUSED(a, b, c) ((a) * (b) + (c))
#endif

/** L floats from x, or L times the float x, as doubles. */
#define LOADED(x) ({ vh h_; memcpy(&h_, (x), sizeof h_); __builtin_convertvector(h_, vd); })
#define SPLAT(x) ({ const vh h_ = (x) - (vh){0}; __builtin_convertvector(h_, vd); })

enum { MR = 8, NV = 2, W = NV * L }; /* accumulators of the sums: MR rows of the triangle by NV registers */

/** Rows i..i+MR-1 of the triangle, columns j..j+W-1, of which those up to the diagonal are kept. */
static void products_tile(const float *x, ci_lid rows, ci_lid d, ci_lid i, ci_lid j, double *triangle)
{
    vd acc[MR][NV] = {{{0}}};

    for (ci_lid r = 0; r < rows; r++, x += d) {
        vd b[NV];
        for (int v = 0; v < NV; v++) b[v] = LOADED(x + j + v * L);
        for (int k = 0; k < MR; k++) {
            const vd a = SPLAT(x[i + k]);
            for (int v = 0; v < NV; v++) acc[k][v] = FUSED(a, b[v], acc[k][v]);
        }
    }
    for (int k = 0; k < MR; k++) {
        const ci_lid n = CI_MIN((ci_lid)W, i + k - j + 1);
        if (n > 0) memcpy(triangle + (i + k) * (i + k + 1) / 2 + j, acc[k], (size_t)n * sizeof *triangle);
    }
}

static double product_of_columns(const float *x, ci_lid rows, ci_lid d, ci_lid i, ci_lid j)
{
    double acc = 0;
    for (ci_lid r = 0; r < rows; r++) acc += (double)x[(size_t)r * d + i] * (double)x[(size_t)r * d + j];
    return acc;
}

void CI_SYM(gaussian_sums)(const float *x, ci_lid rows, ci_lid d, double *sum)
{
    double *triangle = sum + d;
    const ci_lid tall = d / MR * MR;

    for (ci_lid k = 0; k < d; k++) sum[k] = 0;
    for (ci_lid r = 0; r < rows; r++)
        for (ci_lid k = 0; k < d; k++) sum[k] += (double)x[(size_t)r * d + k];
    for (ci_lid i = 0; i < tall; i += MR) {
        ci_lid j = 0;
        for (; j + W <= d && j < i + MR; j += W) products_tile(x, rows, d, i, j, triangle);
        for (ci_lid k = i; k < i + MR; k++)
            for (ci_lid c = j; c <= k; c++) triangle[k * (k + 1) / 2 + c] = product_of_columns(x, rows, d, k, c);
    }
    for (ci_lid k = tall; k < d; k++)
        for (ci_lid c = 0; c <= k; c++) triangle[k * (k + 1) / 2 + c] = product_of_columns(x, rows, d, k, c);
}

/** Mean m and covariance + I, the whole square. */
static void moments(const double *sum, double n, ci_lid d, double *m, double *S)
{
    const double *triangle = sum + d;

    for (ci_lid i = 0; i < d; i++) m[i] = sum[i] / n;
    for (ci_lid i = 0; i < d; i++)
        for (ci_lid j = 0; j <= i; j++) {
            const double c = (triangle[i * (i + 1) / 2 + j] - sum[i] * m[j]) / (n - 1) + (i == j);
            S[i * d + j] = S[j * d + i] = c;
        }
}

/** S = L L^T in place, in the lower triangle.  \return ln det S, NaN when S is not positive definite */
static double cholesky(ci_lid d, double *S)
{
    double log_det = 0;

    for (ci_lid k = 0; k < d; k++) {
        double *row = S + k * d;
        if (!(row[k] > 0 && isfinite(row[k]))) return NAN;
        log_det += ci_log64(row[k]);
        row[k] = sqrt(row[k]);
        for (ci_lid i = k + 1; i < d; i++) S[i * d + k] /= row[k];
        for (ci_lid i = k + 1; i < d; i++)
            for (ci_lid j = k + 1; j <= i; j++) S[i * d + j] -= S[i * d + k] * S[j * d + k];
    }
    return log_det;
}

/** The inverse of S = L L^T, L in the lower triangle of S: R = L^-1 in place, then R^T R. */
static void inverse(ci_lid d, double *S, double *out)
{
    for (ci_lid i = 0; i < d; i++) {
        double *row = S + i * d;
        const double pivot = 1 / row[i];
        for (ci_lid j = 0; j < i; j++) out[j] = 0;
        for (ci_lid k = 0; k < i; k++)
            for (ci_lid j = 0; j <= k; j++) out[j] += row[k] * S[k * d + j]; /* row is still L, the rows above are R */
        for (ci_lid j = 0; j < i; j++) row[j] = -pivot * out[j];
        row[i] = pivot;
    }
    memset(out, 0, (size_t)d * (size_t)d * sizeof *out);
    for (ci_lid k = 0; k < d; k++)
        for (ci_lid i = 0; i <= k; i++)
            for (ci_lid j = 0; j <= i; j++) out[i * d + j] += S[k * d + i] * S[k * d + j];
    for (ci_lid i = 0; i < d; i++)
        for (ci_lid j = 0; j < i; j++) out[j * d + i] = out[i * d + j];
}

/** C = A B, all (d, d). */
static void product(ci_lid d, const double *A, const double *B, double *C)
{
    memset(C, 0, (size_t)d * (size_t)d * sizeof *C);
    for (ci_lid i = 0; i < d; i++)
        for (ci_lid k = 0; k < d; k++)
            for (ci_lid j = 0; j < d; j++) C[i * d + j] += A[i * d + k] * B[k * d + j];
}

/** Coefficients of one side: its gradient is M x + c, with M = 2/(n-1) G and c = g/n - M m where G is the
 *  gradient of its covariance and g of its mean: x - m has mean 0, so what m takes from G is nothing.  M is rounded to
 *  float, for products with floats to be exact; c goes with what M then is. */
static void side_close(ci_lid d, double n, const double *g, double sign, const double *m, double *M, double *c)
{
    for (ci_lid i = 0; i < d; i++) {
        double acc = sign * g[i] / n;
        for (ci_lid j = 0; j < d; j++) {
            M[i * d + j] = (double)(float)(M[i * d + j] * (2 / (n - 1)));
            acc -= M[i * d + j] * m[j];
        }
        c[i] = acc;
    }
}

ci_rc CI_SYM(gaussian_close)(const double *sum, ci_gid rows_global, ci_lid d, double weight, double *coef, double *loss)
{
    ci_rc rc = CI_OK;
    const double n = (double)rows_global;
    const size_t dd = (size_t)d * (size_t)d;
    double *M_p = coef, *c_p = M_p + dd, *M_t = c_p + d, *c_t = M_t + dd;         /* the result */
    double *S_p = c_t + d, *S_t = S_p + dd, *A = S_t + dd, *B = A + dd;           /* room */
    double *m_p = B + dd, *m_t = m_p + d, *v = m_t + d;

    moments(sum, n, d, m_p, S_p);
    moments(sum + ci_gaussian_sums_size(d) / 2, n, d, m_t, S_t);
    memcpy(M_p, S_p, dd * sizeof *M_p);
    const double det_t = cholesky(d, S_t), det_p = cholesky(d, M_p);
    if (!isfinite(det_t) || !isfinite(det_p))
        CI_FAIL(CI_ENUMERIC, "neighbour loss: ln det of the covariance is %g predicted and %g found", det_p, det_t);
    inverse(d, S_t, A);
    inverse(d, M_p, B);
    product(d, A, S_p, S_t);

    double trace = 0, square = 0;
    for (ci_lid i = 0; i < d; i++) trace += S_t[(size_t)i * d + i];
    for (ci_lid i = 0; i < d; i++) {
        v[i] = 0;
        for (ci_lid j = 0; j < d; j++) v[i] += A[(size_t)i * d + j] * (m_p[j] - m_t[j]);
        square += v[i] * (m_p[i] - m_t[i]);
    }
    const double value = weight * 0.5 * ((det_t - det_p) + (trace - d) + square);
    if (!isfinite(value)) CI_FAIL(CI_ENUMERIC, "neighbour loss is %g", value);

    product(d, S_t, A, M_t); /* A S_p A */
    for (ci_lid i = 0; i < d; i++)
        for (ci_lid j = 0; j < d; j++) {
            const size_t at = (size_t)i * d + j;
            M_p[at] = weight * 0.5 * (A[at] - B[at]);
            M_t[at] = weight * 0.5 * (A[at] - M_t[at] - v[i] * v[j]);
        }
    for (ci_lid i = 0; i < d; i++) v[i] *= weight;
    side_close(d, n, v, 1, m_p, M_p, c_p);
    side_close(d, n, v, -1, m_t, M_t, c_t);
    *loss = value;
done:
    return rc;
}

/** dx[r] += c + M x[r], M symmetric, for `wide` registers of columns from j and `tall` rows. */
ALWAYS void gradient_tile(const double *M, const float *x, ci_lid d, ci_lid j, int tall, int wide, float *dx)
{
    const double *c = M + (size_t)d * d;
    vd acc[4][4];

    for (int r = 0; r < tall; r++)
        for (int v = 0; v < wide; v++) memcpy(&acc[r][v], c + j + v * L, sizeof(vd));
    for (ci_lid k = 0; k < d; k++) {
        vd b[4];
        for (int v = 0; v < wide; v++) memcpy(&b[v], M + (size_t)k * d + j + v * L, sizeof(vd));
        for (int r = 0; r < tall; r++) {
            const vd a = SPLAT(x[(size_t)r * d + k]);
            for (int v = 0; v < wide; v++) acc[r][v] = FUSED(a, b[v], acc[r][v]);
        }
    }
    for (int r = 0; r < tall; r++)
        for (int v = 0; v < wide; v++) {
            float *to = dx + (size_t)r * d + j + v * L;
            vh h;
            memcpy(&h, to, sizeof h);
            h += __builtin_convertvector(acc[r][v], vh);
            memcpy(to, &h, sizeof h);
        }
}

ALWAYS void gradient_rows(const double *M, const float *x, ci_lid d, int tall, float *dx)
{
    const double *c = M + (size_t)d * d;
    ci_lid j = 0;

    for (; j + 4 * L <= d; j += 4 * L) gradient_tile(M, x, d, j, tall, 4, dx);
    for (; j + L <= d; j += L) gradient_tile(M, x, d, j, tall, 1, dx);
    for (; j < d; j++)
        for (int r = 0; r < tall; r++) {
            double acc = c[j];
            for (ci_lid k = 0; k < d; k++) acc += (double)x[(size_t)r * d + k] * M[(size_t)k * d + j];
            dx[(size_t)r * d + j] += (float)acc;
        }
}

void CI_SYM(gaussian_backward)(const double *M, const float *x, ci_lid rows, ci_lid d, float *dx)
{
    ci_lid r = 0;
    for (; r + 4 <= rows; r += 4) gradient_rows(M, x + (size_t)r * d, d, 4, dx + (size_t)r * d);
    for (; r < rows; r++) gradient_rows(M, x + (size_t)r * d, d, 1, dx + (size_t)r * d);
}
