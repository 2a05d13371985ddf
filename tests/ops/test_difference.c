/* Every reference operation in double against central differences. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "fill.h"
#define CI_REAL double
#include "ops/ref/ref.h"

/* Step 1e-6 in double: the difference is off by about 1e-12 (its square) + 1e-16 / 1e-6 (rounding) of numbers near 1.
 * 1e-7 leaves room for sums of some hundred terms. */
static const double h = 1e-6, tolerance = 1e-7;

/** All inputs of an operation and what it needs; evaluate() gives the dot product of its output with `dy`. */
struct problem {
    double *in[6], *grad[6];
    size_t n[6];
    const char *name[6];
    int n_in;
    double *y, *p, *dy;
    size_t n_y;
    fill_graph g;
    double (*evaluate)(struct problem *q);
};

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void input(struct problem *q, const char *name, size_t n)
{
    const int k = q->n_in++;
    q->name[k] = name;
    q->n[k] = n;
    q->in[k] = fill_d(n, (uint32_t)k + 1);
    q->grad[k] = calloc(n, sizeof(double));
}

static void output(struct problem *q, size_t n)
{
    q->n_y = n;
    q->y = calloc(n, sizeof *q->y);
    q->dy = fill_d(n, 77);
}

static void check(struct problem *q)
{
    for (int k = 0; k < q->n_in; k++)
        for (size_t i = 0; i < q->n[k]; i++) {
            double *x = &q->in[k][i];
            const double old = *x;
            *x = old + h;
            const double up = q->evaluate(q);
            *x = old - h;
            const double down = q->evaluate(q);
            *x = old;
            const double difference = (up - down) / (2 * h);
            if (fabs(difference - q->grad[k][i]) > tolerance * fmax(1, fabs(difference)))
                fail_msg("d%s[%zu] is %.12g, the difference says %.12g", q->name[k], i, q->grad[k][i], difference);
        }
    for (int k = 0; k < q->n_in; k++) {
        free(q->in[k]);
        free(q->grad[k]);
    }
    free(q->y);
    free(q->dy);
    free(q->p);
    fill_release(&q->g);
}

enum { M = 5, N = 6, K = 7 };

static double linear(struct problem *q)
{
    ci_ref_linear_forward_double(M, N, K, q->in[0], q->in[1], q->in[2], q->y);
    return dot(q->y, q->dy, q->n_y);
}

static void linear_backward__matches_central_difference(void **state)
{
    (void)state;
    struct problem q = {.evaluate = linear};
    input(&q, "x", M * K);
    input(&q, "w", K * N);
    input(&q, "b", N);
    output(&q, M * N);
    ci_ref_linear_backward_double(M, N, K, q.in[0], q.in[1], q.dy, q.grad[0], q.grad[1], q.grad[2]);
    check(&q);
}

static const ci_gatv2_dim dim = {.H = 2, .C = 3, .F = 4, .slope = 0.2f};
enum { NODES = 10, D = 6 };

static double gatv2(struct problem *q)
{
    ci_ref_gatv2_forward_double(dim, &q->g.csr, q->in[0], q->in[1], q->in[2], q->in[3], q->in[4], q->in[5], q->p, q->y);
    return dot(q->y, q->dy, q->n_y);
}

static void gatv2_backward__matches_central_difference(void **state)
{
    (void)state;
    struct problem q = {.evaluate = gatv2, .g = fill_csr(NODES, 25)};
    input(&q, "l", NODES * D);
    input(&q, "r", NODES * D);
    input(&q, "e", (size_t)q.g.n_edge * 4);
    input(&q, "w_e", 4 * D);
    input(&q, "a", D);
    input(&q, "bias", D);
    output(&q, NODES * D);
    q.p = calloc((size_t)q.g.n_edge * 2, sizeof *q.p);
    gatv2(&q);
    ci_ref_gatv2_backward_double(dim, &q.g.csr, q.in[0], q.in[1], q.in[2], q.in[3], q.in[4], q.p, q.dy, q.grad[0],
                                 q.grad[1], q.grad[3], q.grad[4], q.grad[5]);
    q.n[2] = 0; /* edge features are data: nobody wants their gradient */
    check(&q);
}

static const uint8_t keep[12] = {1, 0, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1};

static double relu(struct problem *q)
{
    ci_ref_relu_forward_double(12, q->in[0], keep, 1.25, q->y);
    return dot(q->y, q->dy, q->n_y);
}

static void relu_backward__matches_central_difference(void **state)
{
    (void)state;
    struct problem q = {.evaluate = relu};
    input(&q, "x", 12);
    output(&q, 12);
    ci_ref_relu_backward_double(12, q.in[0], keep, 1.25, q.dy, q.grad[0]);
    check(&q);
}

static double mean(struct problem *q)
{
    ci_ref_mean_forward_double(M, N, q->in[0], q->y);
    return dot(q->y, q->dy, q->n_y);
}

static void mean_backward__matches_central_difference(void **state)
{
    (void)state;
    struct problem q = {.evaluate = mean};
    input(&q, "x", M * N);
    output(&q, N);
    ci_ref_mean_backward_double(M, N, q.dy, q.grad[0]);
    check(&q);
}

static const int32_t id[6] = {3, 0, 3, 1, 0, 3};

static double embed(struct problem *q)
{
    ci_ref_embed_forward_double(6, N, id, q->in[0], q->y);
    return dot(q->y, q->dy, q->n_y);
}

static void embed_backward__matches_central_difference(void **state)
{
    (void)state;
    struct problem q = {.evaluate = embed};
    input(&q, "table", 4 * N);
    output(&q, 6 * N);
    ci_ref_embed_backward_double(6, N, id, q.dy, q.grad[0]);
    check(&q);
}

static double gamma_now;
static const uint8_t label[8] = {0, 1, 1, 0, 0, 1, 0, 1};

static double focal(struct problem *q)
{
    double unused[16];
    return ci_ref_focal_double(8, q->in[0], label, gamma_now, 11, unused);
}

static void focal__matches_central_difference(void **state)
{
    (void)state;
    const double gammas[] = {0, 1, 1.5, 2, 3};
    for (size_t k = 0; k < CI_COUNT(gammas); k++) {
        struct problem q = {.evaluate = focal};
        gamma_now = gammas[k];
        input(&q, "z", 16);
        for (int i = 0; i < 16; i++) q.in[0][i] *= 4;
        ci_ref_focal_double(8, q.in[0], label, gamma_now, 11, q.grad[0]);
        check(&q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_backward__matches_central_difference),
        cmocka_unit_test(gatv2_backward__matches_central_difference),
        cmocka_unit_test(relu_backward__matches_central_difference),
        cmocka_unit_test(mean_backward__matches_central_difference),
        cmocka_unit_test(embed_backward__matches_central_difference),
        cmocka_unit_test(focal__matches_central_difference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
