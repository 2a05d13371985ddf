#ifndef CI_LOSS_PRIV_H
#define CI_LOSS_PRIV_H
/** What the files of loss/ share.  Every *_isa.c is compiled once for each instruction set, with CI_ISA its name; all
 *  give the same bits, as nothing in them is fused but products that are exact. */
#include <math.h>
#include <stdint.h>
#include <string.h>
#include "ci/elementary.h"
#include "ci/loss.h"

/** log(1 + exp x), exact to a few units for any x. */
static inline double softplus(double x)
{
    return (x > 0 ? x : 0) + ci_log1p64(ci_exp64(x > 0 ? -x : x));
}

/** Eight partial sums in the one order they are added in. */
static inline double eight(const double *part)
{
    return ((part[0] + part[4]) + (part[2] + part[6])) + ((part[1] + part[5]) + (part[3] + part[7]));
}

/** The loops that cost something, of one instruction set.  Arguments are those of the functions in ci/loss.h. */
struct loss_loops {
    /** Cross entropy of one row of logits; z becomes scale (softmax(z) - [q = target]) when d. */
    double (*softmax_row)(const ci_ops *ops, float *z, ci_lid Q, int32_t target, double scale, int d);
    /** Sum over q of one row; z becomes scale (sigmoid(z) - y) when d. */
    double (*multi_hot_row)(const ci_ops *ops, float *z, ci_lid Q, const int32_t *target, ci_lid n_target, float scale, int d);
    /** Sum over one row of exp v - 1 - v + mu^2; dmu and dlogvar may be NULL. */
    double (*kl_row)(const float *mu, const float *logvar, ci_lid cols, float limit, float scale, float *dmu, float *dlogvar);
    void (*sample)(const float *mu, const float *logvar, const float *eps, size_t n, float limit, float *z);
    void (*sample_backward)(const float *logvar, const float *eps, const float *dz, size_t n, float limit, float *dmu,
                            float *dlogvar);
    /** Sums of one side: x, and the lower triangle of x x^T. */
    void (*gaussian_sums)(const float *x, ci_lid rows, ci_lid d, double *sum);
    ci_rc (*gaussian_close)(const double *sum, ci_gid rows_global, ci_lid d, double weight, double *coef, double *loss);
    /** dx += c + M x for each row, c behind M. */
    void (*gaussian_backward)(const double *M, const float *x, ci_lid rows, ci_lid d, float *dx);
};

/** \param [in] name  as ci_ops_get has it  \return NULL when this machine cannot run it */
const struct loss_loops *loss_loops(const char *name);

#ifdef CI_ISA
#define CI_PASTE2(a, b) a##_##b
#define CI_PASTE(a, b) CI_PASTE2(a, b)
#define CI_SYM(name) CI_PASTE(loss_##name, CI_ISA)

enum { PART = 8 }; /* partial sums */
typedef float f8 __attribute__((vector_size(32)));
typedef double d8 __attribute__((vector_size(64)));

/** Eight floats as doubles: compilers leave loops with conversions to single numbers. */
#define EIGHT(x) ({ f8 f_; memcpy(&f_, (x), sizeof f_); __builtin_convertvector(f_, d8); })

double CI_SYM(softmax_row)(const ci_ops *ops, float *z, ci_lid Q, int32_t target, double scale, int d);
double CI_SYM(multi_hot_row)(const ci_ops *ops, float *z, ci_lid Q, const int32_t *target, ci_lid n_target, float scale, int d);
double CI_SYM(kl_row)(const float *mu, const float *logvar, ci_lid cols, float limit, float scale, float *dmu, float *dlogvar);
void CI_SYM(sample)(const float *mu, const float *logvar, const float *eps, size_t n, float limit, float *z);
void CI_SYM(sample_backward)(const float *logvar, const float *eps, const float *dz, size_t n, float limit, float *dmu,
                             float *dlogvar);
void CI_SYM(gaussian_sums)(const float *x, ci_lid rows, ci_lid d, double *sum);
ci_rc CI_SYM(gaussian_close)(const double *sum, ci_gid rows_global, ci_lid d, double weight, double *coef, double *loss);
void CI_SYM(gaussian_backward)(const double *M, const float *x, ci_lid rows, ci_lid d, float *dx);
#endif
#endif
