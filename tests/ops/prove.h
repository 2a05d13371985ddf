#ifndef TEST_OPS_PROVE_H
#define TEST_OPS_PROVE_H
/** One operation, proven: its reference in double against central differences, then the kernels of each
 *  instruction set against the reference and among themselves.  Gradients start at numbers of their own, so
 *  that one that is overwritten shows. */
#include "fill.h"

enum { PROVE_INPUTS = 12 };

typedef struct prove {
    int n_in;
    struct prove_input {
        const char *name; /**< NULL ends the list                     */
        size_t n;
        float scale;      /**< inputs are in [-scale,scale); 0 is 1   */
        int constant;     /**< has no gradient                        */
    } in[PROVE_INPUTS];
    size_t n_y;
    int skip_differences; /**< of a case too large for them           */
    const void *shape;
    void (*forward)(const void *shape, double *const *in, double *y);
    void (*backward)(const void *shape, double *const *in, const double *dy, double *const *grad);
    void (*kernel)(const void *shape, const ci_ops *ops, float *const *in, float *y, const float *dy, float *const *grad);
} prove;

/** Fails the test where something is not as it has to be. */
void prove_all(const prove *q);

/** Each element within 1e-5 of the largest of want, or of `least`; sums of some hundred products in another order. */
void prove_near(const char *what, const float *got, const double *want, size_t n, double least);

#endif
