/* The Gaussian neighbour loss, by phases: sums of shards, their loss and its coefficients, gradients of shards.
 * All in double and in one order: an element of a sum or a gradient is one chain over rows or columns. */
#include "loss_priv.h"

enum { T = 4 }; /* of a tile of T x T held in registers */
typedef double v4d __attribute__((vector_size(32)));

static ci_lid side_size(ci_lid d) { return d + d * (d + 1) / 2; }
ci_lid ci_gaussian_sums_size(ci_lid d) { return 2 * side_size(d); }

/* coef: a matrix and a vector for each side, then the room of ci_gaussian_close. */
enum { ROOM_MATRICES = 4, ROOM_VECTORS = 3 };
ci_lid ci_gaussian_coef_size(ci_lid d) { return (2 + ROOM_MATRICES) * d * d + (2 + ROOM_VECTORS) * d; }

/** T rows of the triangle from i and T columns from j, none of it beyond d. */
static void products_tile(const float *x, ci_lid rows, ci_lid d, ci_lid i, ci_lid j, double *triangle)
{
    v4d acc[T] = {{0}};

    for (ci_lid r = 0; r < rows; r++, x += d) {
        const v4d xj = {x[j], x[j + 1], x[j + 2], x[j + 3]};
        for (int k = 0; k < T; k++) acc[k] += (double)x[i + k] * xj;
    }
    for (int k = 0; k < T; k++)
        for (int v = 0; v < T && j + v <= i + k; v++) triangle[(i + k) * (i + k + 1) / 2 + j + v] = acc[k][v];
}

static void side_sums(const float *x, ci_lid rows, ci_lid d, double *sum)
{
    double *triangle = sum + d;
    const ci_lid whole = d / T * T;

    for (ci_lid k = 0; k < d; k++) sum[k] = 0;
    for (ci_lid r = 0; r < rows; r++)
        for (ci_lid k = 0; k < d; k++) sum[k] += x[(size_t)r * d + k];
    for (ci_lid i = 0; i < whole; i += T)
        for (ci_lid j = 0; j <= i; j += T) products_tile(x, rows, d, i, j, triangle);
    for (ci_lid i = whole; i < d; i++)
        for (ci_lid j = 0; j <= i; j++) {
            double acc = 0;
            for (ci_lid r = 0; r < rows; r++) acc += (double)x[(size_t)r * d + i] * x[(size_t)r * d + j];
            triangle[i * (i + 1) / 2 + j] = acc;
        }
}

void ci_gaussian_sums(const float *p, const float *t, ci_lid rows, ci_lid d, double *sum)
{
    side_sums(p, rows, d, sum);
    side_sums(t, rows, d, sum + side_size(d));
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
        for (ci_lid j = 0; j < i; j++) {
            double acc = 0;
            for (ci_lid k = j; k < i; k++) acc += row[k] * S[k * d + j]; /* row[k >= j] is still L, rows above are R */
            out[j] = acc;
        }
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
 *  gradient of its covariance and g of its mean: x - m has mean 0, so what m takes from G is nothing. */
static void side_close(ci_lid d, double n, const double *g, double sign, const double *m, double *M, double *c)
{
    for (ci_lid i = 0; i < d; i++) {
        double acc = sign * g[i] / n;
        for (ci_lid j = 0; j < d; j++) {
            M[i * d + j] *= 2 / (n - 1);
            acc -= M[i * d + j] * m[j];
        }
        c[i] = acc;
    }
}

ci_rc ci_gaussian_close(const double *sum, ci_gid rows_global, ci_lid d, double weight, double *coef, double *loss)
{
    ci_rc rc = CI_OK;
    const double n = (double)rows_global;
    const size_t dd = (size_t)d * (size_t)d;
    double *M_p = coef, *c_p = M_p + dd, *M_t = c_p + d, *c_t = M_t + dd;         /* the result */
    double *S_p = c_t + d, *S_t = S_p + dd, *A = S_t + dd, *B = A + dd;           /* room */
    double *m_p = B + dd, *m_t = m_p + d, *v = m_t + d;

    if (d < 1 || rows_global < 0) CI_FAIL(CI_EARG, "Gaussian loss of %lld rows of %d", (long long)rows_global, d);
    if (rows_global < 2) {
        memset(coef, 0, (size_t)ci_gaussian_coef_size(d) * sizeof *coef);
        *loss = 0;
        return CI_OK;
    }
    moments(sum, n, d, m_p, S_p);
    moments(sum + side_size(d), n, d, m_t, S_t);
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

/** dx[r] += c + M x[r], M symmetric, for T columns from j and up to T rows. */
static void gradient_tile(const double *M, const double *c, const float *x, ci_lid rows, ci_lid d, ci_lid j, float *dx)
{
    v4d cj, acc[T];

    memcpy(&cj, c + j, sizeof cj);
    for (int r = 0; r < T; r++) acc[r] = cj;
    for (ci_lid k = 0; k < d; k++) {
        v4d mk;
        memcpy(&mk, M + (size_t)k * d + j, sizeof mk);
        for (ci_lid r = 0; r < rows; r++) acc[r] += (double)x[(size_t)r * d + k] * mk;
    }
    for (ci_lid r = 0; r < rows; r++)
        for (int v = 0; v < T; v++) dx[(size_t)r * d + j + v] += (float)acc[r][v];
}

static void side_backward(const double *M, const float *x, ci_lid rows, ci_lid d, float *dx)
{
    const double *c = M + (size_t)d * d;
    const ci_lid whole = d / T * T;

    for (ci_lid r = 0; r < rows; r += T, x += (size_t)T * d, dx += (size_t)T * d) {
        const ci_lid n = CI_MIN((ci_lid)T, rows - r);
        if (n == T)
            for (ci_lid j = 0; j < whole; j += T) gradient_tile(M, c, x, T, d, j, dx);
        else
            for (ci_lid j = 0; j < whole; j += T) gradient_tile(M, c, x, n, d, j, dx);
        for (ci_lid i = 0; i < n; i++)
            for (ci_lid j = whole; j < d; j++) {
                double acc = c[j];
                for (ci_lid k = 0; k < d; k++) acc += (double)x[(size_t)i * d + k] * M[(size_t)k * d + j];
                dx[(size_t)i * d + j] += (float)acc;
            }
    }
}

void ci_gaussian_backward(const double *coef, const float *p, const float *t, ci_lid rows, ci_lid d, float *dp,
                          float *dt)
{
    side_backward(coef, p, rows, d, dp);
    side_backward(coef + (size_t)d * d + d, t, rows, d, dt);
}
