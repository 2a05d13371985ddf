#include "prove.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* Step 1e-6 in double: the difference is off by about 1e-12 (its square) + 1e-16 / 1e-6 (rounding) of numbers near 1.
 * 1e-7 leaves room for sums of some hundred terms. */
static const double step = 1e-6, tolerance = 1e-7;

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void differences(const prove *q, double *const *in, const double *dy)
{
    double *y = fill_d(q->n_y, 1), *grad[PROVE_INPUTS] = {0};
    for (int k = 0; k < q->n_in; k++) grad[k] = calloc(q->in[k].n + 1, sizeof(double));
    q->forward(q->shape, in, y);
    q->backward(q->shape, in, dy, grad);
    for (int k = 0; k < q->n_in; k++)
        for (size_t i = 0; i < q->in[k].n && !q->in[k].constant; i++) {
            const double old = in[k][i];
            in[k][i] = old + step;
            q->forward(q->shape, in, y);
            const double up = dot(y, dy, q->n_y);
            in[k][i] = old - step;
            q->forward(q->shape, in, y);
            const double difference = (up - dot(y, dy, q->n_y)) / (2 * step);
            in[k][i] = old;
            if (!(fabs(difference - grad[k][i]) <= tolerance * fmax(1, fabs(difference))))
                fail_msg("d%s[%zu] is %.12g, the difference says %.12g", q->in[k].name, i, grad[k][i], difference);
        }
    for (int k = 0; k < q->n_in; k++) free(grad[k]);
    free(y);
}

void prove_near(const char *what, const float *got, const double *want, size_t n, double least)
{
    double most = least;
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs(want[i]));
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= 1e-5 * most))
            fail_msg("%s[%zu] is %.9g, the reference has %.12g", what, i, (double)got[i], want[i]);
}

static void same(const char *ops, const char *what, const float *got, const float *want, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(&got[i], &want[i], sizeof *got))
            fail_msg("%s: %s[%zu] is %a, elsewhere %a", ops, what, i, (double)got[i], (double)want[i]);
}

/** n numbers as doubles and as the floats they are. */
static float *floats(const double *x, size_t n)
{
    float *y = fill_f(n, 1);
    for (size_t i = 0; i < n; i++) y[i] = (float)x[i];
    return y;
}

static void kernels(const prove *q, double *const *in, const double *dy)
{
    const ci_ops *table[3];
    const size_t n_table = fill_tables(table);
    double *y = fill_d(q->n_y, 1), *grad[PROVE_INPUTS] = {0}, most = 0;
    float *fin[PROVE_INPUTS] = {0}, *fdy = floats(dy, q->n_y), *first[PROVE_INPUTS + 1] = {0};
    for (int k = 0; k < q->n_in; k++) {
        grad[k] = fill_d(q->in[k].n, 50 + (uint32_t)k);
        fin[k] = floats(in[k], q->in[k].n);
    }
    q->forward(q->shape, in, y);
    q->backward(q->shape, in, dy, grad);
    for (int k = 0; k < q->n_in; k++)
        for (size_t i = 0; i < q->in[k].n && !q->in[k].constant; i++) most = fmax(most, fabs(grad[k][i]));
    for (size_t t = 0; t < n_table; t++) {
        float *got[PROVE_INPUTS + 1] = {0};
        for (int k = 0; k < q->n_in; k++) got[k] = fill_f(q->in[k].n, 50 + (uint32_t)k);
        got[q->n_in] = fill_f(q->n_y, 3);
        q->kernel(q->shape, table[t], fin, got[q->n_in], fdy, got);
        prove_near("y", got[q->n_in], y, q->n_y, 0);
        if (t) same(table[t]->name, "y", got[q->n_in], first[q->n_in], q->n_y);
        for (int k = 0; k < q->n_in; k++) {
            if (!q->in[k].constant) prove_near(q->in[k].name, got[k], grad[k], q->in[k].n, 1e-3 * most);
            if (t) same(table[t]->name, q->in[k].name, got[k], first[k], q->in[k].n);
        }
        for (int k = 0; k <= q->n_in; k++)
            if (t) free(got[k]);
            else first[k] = got[k];
    }
    for (int k = 0; k < q->n_in; k++) {
        free(grad[k]);
        free(fin[k]);
        free(first[k]);
    }
    free(first[q->n_in]);
    free(fdy);
    free(y);
}

void prove_all(const prove *given)
{
    prove q = *given;
    double *in[PROVE_INPUTS] = {0}, *dy = fill_d(q.n_y, 77);
    for (q.n_in = 0; q.in[q.n_in].name; q.n_in++) {
        const struct prove_input *each = &q.in[q.n_in];
        in[q.n_in] = fill_d(each->n, (uint32_t)q.n_in + 1);
        for (size_t i = 0; i < each->n && each->scale != 0; i++) in[q.n_in][i] = (double)(float)(in[q.n_in][i] * (double)each->scale);
    }
    if (!q.skip_differences) differences(&q, in, dy);
    kernels(&q, in, dy);
    for (int k = 0; k < q.n_in; k++) free(in[k]);
    free(dy);
}
