/* The Gaussian neighbour loss: sums of shards, the loss and its coefficients in one block, gradients of rows.
 *
 * All in double.  Every element is the chain of operations that gaussian_isa.c has, so the bits are those of the processor; what is
 * added there in one order to one number (determinants, the trace) one thread adds here. */
#include "rows.h"

enum { SUM_THREADS = 128, CLOSE_THREADS = 512, SIDE = CLOSE_THREADS / 2, SHARED_MOST = 48 * 1024 };

CI_BOTH int side_size(int d) { return d + d * (d + 1) / 2; }

/* ---- sums ---- */

/* A thread an element of a side's sums, one chain over the rows of the shard; rows of x lie in the first cache, where threads of a warp
 * meet. */
static __global__ void loss_gaussian_sums(const ci_k_batch b, const ci_k_gaussian a, double *own)
{
    const int shard = (int)blockIdx.y, d = a.d, side = side_size(d);
    int e = (int)(blockIdx.x * SUM_THREADS + threadIdx.x);

    if (shard >= b.step->n_shard || e >= 2 * side) return;
    double *to = own + (int64_t)shard * 2 * side + e;
    const float *x = e < side ? a.p : a.t;
    const int first = ci_shard_first(b, CI_ROWS_NODE, shard), last = ci_shard_first(b, CI_ROWS_NODE, shard + 1);
    double acc = 0;

    e = e < side ? e : e - side;
    if (e < d) {
        for (int r = first; r < last; r++) acc += (double)x[(int64_t)r * d + e];
    } else {
        e -= d;
        int i = (int)((sqrt(8.0 * e + 1) - 1) / 2); /* row i of the triangle begins at i (i + 1) / 2 */
        while (i * (i + 1) / 2 > e) i--;
        while ((i + 1) * (i + 2) / 2 <= e) i++;
        const int j = e - i * (i + 1) / 2;
        for (int r = first; r < last; r++) acc += (double)x[(int64_t)r * d + i] * (double)x[(int64_t)r * d + j];
    }
    *to = acc;
}

void ci_cuda_gaussian_sums(ci_dev *d, const ci_k_batch *b, const ci_k_gaussian *a, double *own)
{
    const dim3 grid(ci_blocks(2 * side_size(a->d), SUM_THREADS), (unsigned)(b->most_shard > 0 ? b->most_shard : 1));
    CI_LAUNCH(d, loss_gaussian_sums, grid, SUM_THREADS, 0, *b, *a, own);
}

/* ---- the loss and its coefficients ---- */

/* What gaussian_close has: results first, then room, as in gaussian_isa.c.  Half of the block works on the side of p, half on t's. */
struct gaussian_room {
    int d, side, k;          /* this thread: number k of SIDE of its side, 0 p, 1 t */
    double *M[2], *c[2];     /* results */
    double *S_p, *P, *A, *B; /* covariance of p; a product; inverses of both */
    double *m[2], *v;
    double *L;               /* covariance of this side, then its factor, then that's inverse */
};

CI_DEVICE gaussian_room gaussian_room_of(const ci_k_gaussian &a, double *shared, int fits)
{
    const int64_t d = a.d, dd = d * d;
    gaussian_room r;

    r.d = a.d;
    r.side = (int)threadIdx.x / SIDE;
    r.k = (int)threadIdx.x % SIDE;
    r.M[0] = a.coef;
    r.c[0] = r.M[0] + dd;
    r.M[1] = r.c[0] + d;
    r.c[1] = r.M[1] + dd;
    r.S_p = r.c[1] + d;
    r.P = r.S_p + dd;
    r.A = r.P + dd;
    r.B = r.A + dd;
    r.m[0] = r.B + dd;
    r.m[1] = r.m[0] + d;
    r.v = r.m[1] + d;
    r.L = fits ? shared + r.side * dd : r.M[r.side];
    return r;
}

CI_DEVICE void gaussian_moments(const gaussian_room &r, const double *total, double n)
{
    const double *sum = total + r.side * side_size(r.d), *triangle = sum + r.d;
    double *m = r.m[r.side];

    for (int i = r.k; i < r.d; i += SIDE) m[i] = sum[i] / n;
    __syncthreads();
    for (int at = r.k; at < r.d * r.d; at += SIDE) {
        const int i = at / r.d, j = at % r.d, high = i > j ? i : j, low = i > j ? j : i;
        const double c = (triangle[high * (high + 1) / 2 + low] - sum[high] * m[low]) / (n - 1) + (i == j);
        r.L[at] = c;
        if (r.side == 0) r.S_p[at] = c;
    }
    __syncthreads();
}

/* L becomes the factor, in its lower triangle; returns ln det in thread 0 of the side, NaN when there is none. */
CI_DEVICE double gaussian_factor(const gaussian_room &r)
{
    const int d = r.d;
    double log_det = 0;

    for (int k = 0; k < d; k++) {
        const double pivot = r.L[k * d + k], root = sqrt(pivot);
        if (r.k == 0) log_det += pivot > 0 && loss_is_finite(pivot) ? ci_log64(pivot) : (double)NAN;
        for (int i = k + 1 + r.k; i < d; i += SIDE) r.L[i * d + k] /= root;
        __syncthreads();
        if (r.k == 0) r.L[k * d + k] = root;
        const int rest = d - k - 1;
        for (int at = r.k; at < rest * rest; at += SIDE) {
            const int i = k + 1 + at / rest, j = k + 1 + at % rest;
            if (j <= i) r.L[i * d + j] -= r.L[i * d + k] * r.L[j * d + k];
        }
        __syncthreads();
    }
    return log_det;
}

/* out = (L L^T)^-1: R = L^-1 row by row in its place, then R^T R. */
CI_DEVICE void gaussian_inverse(const gaussian_room &r, double *out)
{
    const int d = r.d;

    for (int i = 0; i < d; i++) {
        double *row = r.L + i * d;
        for (int j = r.k; j < i; j += SIDE) {
            double acc = 0;
            for (int k = j; k < i; k++) acc += row[k] * r.L[k * d + j];
            out[j] = acc;
        }
        const double pivot = 1 / row[i];
        __syncthreads();
        for (int j = r.k; j < i; j += SIDE) row[j] = -pivot * out[j];
        if (r.k == 0) row[i] = pivot;
        __syncthreads();
    }
    for (int at = r.k; at < d * d; at += SIDE) {
        const int i = at / d, j = at % d;
        double acc = 0;
        for (int k = i > j ? i : j; k < d; k++) acc += r.L[k * d + i] * r.L[k * d + j];
        out[at] = acc;
    }
    __syncthreads();
}

/* C = A B by the whole block. */
CI_DEVICE void gaussian_product(int d, const double *A, const double *B, double *C)
{
    for (int at = (int)threadIdx.x; at < d * d; at += CLOSE_THREADS) {
        const int i = at / d, j = at % d;
        double acc = 0;
        for (int k = 0; k < d; k++) acc += A[i * d + k] * B[k * d + j];
        C[at] = acc;
    }
    __syncthreads();
}

/* M and c of both sides, from A, B, A S_p A (in M[1]) and v. */
CI_DEVICE void gaussian_coefficients(const gaussian_room &r, double n, double weight)
{
    const int d = r.d;

    for (int at = r.k; at < d * d; at += SIDE) {
        const double G = r.side == 0 ? weight * 0.5 * (r.A[at] - r.B[at])
                                     : weight * 0.5 * (r.A[at] - r.M[1][at] - r.v[at / d] * r.v[at % d]);
        r.M[r.side][at] = (double)(float)(G * (2 / (n - 1)));
    }
    __syncthreads();
    for (int i = r.k; i < d; i += SIDE) {
        double acc = (r.side == 0 ? 1.0 : -1.0) * (r.v[i] * weight) / n;
        for (int j = 0; j < d; j++) acc -= r.M[r.side][i * d + j] * r.m[r.side][j];
        r.c[r.side][i] = acc;
    }
}

CI_DEVICE double gaussian_value(const gaussian_room &r, double det_p, double det_t, double weight)
{
    double trace = 0, square = 0;

    for (int i = 0; i < r.d; i++) trace += r.P[i * r.d + i];
    for (int i = 0; i < r.d; i++) square += r.v[i] * (r.m[0][i] - r.m[1][i]);
    return weight * 0.5 * ((det_t - det_p) + (trace - r.d) + square);
}

/* One block; about 2 d barriers for the factors and as many for their inverses, threads over the elements of a matrix.  The factors are in
 * shared memory where both fit (d <= 55), everything else in the room of coef. */
static __global__ void loss_gaussian_close(const ci_k_batch b, const ci_k_gaussian a, int fits)
{
    CI_SHARED(double, shared);
    const double n = (double)b.step->n_node, weight = b.step->scale[CI_SCALE_NEIGHBOUR];
    const gaussian_room r = gaussian_room_of(a, shared + 2, fits);

    if (b.step->n_node < 2) {
        for (int at = (int)threadIdx.x; at < 2 * (a.d * a.d + a.d); at += CLOSE_THREADS) a.coef[at] = 0;
        return;
    }
    gaussian_moments(r, a.total, n);
    const double det = gaussian_factor(r);
    if (r.k == 0) shared[r.side] = det;
    gaussian_inverse(r, r.side == 0 ? r.B : r.A);
    for (int i = (int)threadIdx.x; i < r.d; i += CLOSE_THREADS) {
        double acc = 0;
        for (int j = 0; j < r.d; j++) acc += r.A[i * r.d + j] * (r.m[0][j] - r.m[1][j]);
        r.v[i] = acc;
    }
    gaussian_product(r.d, r.A, r.S_p, r.P);
    if (threadIdx.x == 0) {
        const int64_t units = loss_units(a.loss, gaussian_value(r, shared[0], shared[1], weight), CLOSED_MAX);
        if (a.loss.sum) atomicAdd((unsigned long long *)a.loss.sum, (unsigned long long)units);
    }
    gaussian_product(r.d, r.P, r.A, r.M[1]);
    gaussian_coefficients(r, n, weight);
}

void ci_cuda_gaussian_close(ci_dev *d, const ci_k_batch *b, const ci_k_gaussian *a)
{
    const size_t factors = 2 * (size_t)a->d * (size_t)a->d * sizeof(double), own = 2 * sizeof(double);
    const int fits = factors + own <= SHARED_MOST;
    CI_LAUNCH(d, loss_gaussian_close, 1, CLOSE_THREADS, own + (fits ? factors : 0), *b, *a, fits);
}

/* ---- gradients ---- */

/* A thread an element of p (y of the grid 0) or t (1), one chain over the d products of its row; M is read along its rows and stays in
 * the first cache. */
static __global__ void loss_gaussian_back(const ci_k_batch b, const ci_k_gaussian a)
{
    const int d = a.d, side = (int)blockIdx.y;
    const int64_t n = (int64_t)ci_rows_here(b, CI_ROWS_NODE) * d, at = (int64_t)blockIdx.x * LOSS_THREADS + threadIdx.x;
    const double *M = a.coef + side * ((int64_t)d * d + d), *c = M + (int64_t)d * d;
    float *dx = side == 0 ? a.dp : a.dt;

    if (at >= n || !dx) return;
    const float *x = (side == 0 ? a.p : a.t) + at / d * d;
    const int j = (int)(at % d);
    double acc = c[j];
    for (int k = 0; k < d; k++) acc += (double)x[k] * M[(int64_t)k * d + j];
    dx[at] += (float)acc;
}

void ci_cuda_gaussian_back(ci_dev *d, const ci_k_batch *b, const ci_k_gaussian *a)
{
    const dim3 grid(ci_blocks((int64_t)b->most[CI_ROWS_NODE] * a->d, LOSS_THREADS), 2);
    CI_LAUNCH(d, loss_gaussian_back, grid, LOSS_THREADS, 0, *b, *a);
}
