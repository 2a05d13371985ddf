/* What a node's out-edges say: means of neighbours, affinity, Rayleigh quotient. */
#include "loss_priv.h"

static void degrees(ci_lid rows, ci_lid n_edge, const ci_lid *src, float *degree)
{
    memset(degree, 0, (size_t)rows * sizeof *degree);
    for (ci_lid e = 0; e < n_edge; e++) degree[src[e]] += 1;
}

void ci_neighbour_mean(const float *z, ci_lid rows, ci_lid d, ci_lid n_edge, const ci_lid *src, const ci_lid *dst,
                       float *work, float *m)
{
    degrees(rows, n_edge, src, work);
    memset(m, 0, (size_t)rows * (size_t)d * sizeof *m);
    for (ci_lid e = 0; e < n_edge; e++) {
        float *to = m + (size_t)src[e] * d;
        const float *from = z + (size_t)dst[e] * d;
        for (ci_lid k = 0; k < d; k++) to[k] += from[k];
    }
    for (ci_lid i = 0; i < rows; i++)
        for (ci_lid k = 0; k < d && work[i] > 1; k++) m[(size_t)i * d + k] /= work[i];
}

void ci_neighbour_mean_backward(const float *dm, ci_lid rows, ci_lid d, ci_lid n_edge, const ci_lid *src,
                                const ci_lid *dst, float *work, float *dz)
{
    degrees(rows, n_edge, src, work);
    for (ci_lid e = 0; e < n_edge; e++) {
        const float *from = dm + (size_t)src[e] * d, share = 1 / work[src[e]];
        float *to = dz + (size_t)dst[e] * d;
        for (ci_lid k = 0; k < d; k++) to[k] += share * from[k];
    }
}

static double dot(const float *a, const float *b, ci_lid d)
{
    double sum = 0;
    for (ci_lid k = 0; k < d; k++) sum += (double)a[k] * b[k];
    return sum;
}

float ci_affinity(const float *z, ci_lid n_node, ci_lid d, ci_lid n_edge, const ci_lid *src, const ci_lid *dst,
                  float *work)
{
    float *degree = work, *norm = degree + n_node, *like = norm + n_node;
    double sum = 0;

    degrees(n_node, n_edge, src, degree);
    for (ci_lid i = 0; i < n_node; i++) {
        norm[i] = (float)sqrt(dot(z + (size_t)i * d, z + (size_t)i * d, d));
        like[i] = 0;
    }
    for (ci_lid e = 0; e < n_edge; e++) {
        const double both = (double)norm[src[e]] * norm[dst[e]];
        like[src[e]] += (float)(dot(z + (size_t)src[e] * d, z + (size_t)dst[e] * d, d) / (both > 1e-8 ? both : 1e-8));
    }
    for (ci_lid i = 0; i < n_node; i++) sum += 1 - (degree[i] > 0 ? (double)like[i] / degree[i] : 0);
    return n_node > 0 ? (float)(sum / n_node) : 0;
}

float ci_rayleigh(const float *x, ci_lid x_row, ci_lid cols, ci_lid n_node, ci_lid n_edge, const ci_lid *src,
                  const ci_lid *dst)
{
    double edges = 0, nodes = 0;

    for (ci_lid e = 0; e < n_edge; e++) {
        const float *a = x + (size_t)src[e] * x_row, *b = x + (size_t)dst[e] * x_row;
        for (ci_lid k = 0; k < cols; k++) edges += ((double)a[k] - b[k]) * ((double)a[k] - b[k]);
    }
    for (ci_lid i = 0; i < n_node; i++) nodes += dot(x + (size_t)i * x_row, x + (size_t)i * x_row, cols);
    return (float)(edges / (nodes + 1e-8));
}
