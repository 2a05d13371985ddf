#ifndef CI_OPTIM_H
#define CI_OPTIM_H
/** Optimisers: one pass over the flat vector of parameters in fixed order.  Not collective; no libm. */
#include <stdbool.h>
#include <stdint.h>
#include "ci/rc.h"
#include "ci/types.h"

typedef struct ci_adam {
    double lr;           /**< step size                                                        */
    double beta1, beta2; /**< decay of the two moments                                         */
    double eps;          /**< added to the root of the second moment                           */
    double decay;        /**< of the weights: as `decoupled` says                              */
    double clip;         /**< largest norm of the gradient; 0: no limit                        */
    bool decoupled;      /**< AdamW: w -= lr decay w first; else L2: decay w joins the gradient, after clipping */
} ci_adam;

/** Norm of v in double, in a fixed order of eight partial sums.  Not finite when v is not. */
double ci_norm(const float *v, ci_gid n);

/** One step of Adam, or of AdamW, where w loses lr decay w first and g' has no decay:
 *
 *      g' = g min(1, clip / (|g| + 1e-6)) + decay w
 *      m  = beta1 m + (1 - beta1) g'              v = beta2 v + (1 - beta2) g'^2
 *      w -= lr / (1 - beta1^t)  m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
 *
 *  Source: Kingma, Ba, "Adam", ICLR 2015; Loshchilov, Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, as
 *  torch.optim.Adam, torch.optim.AdamW and torch.nn.utils.clip_grad_norm_ have them.
 *  \param [in]     t         number of this step, 1 for the first
 *  \param [in]     n         floats of each vector
 *  \param [in]     g         (n) gradient; borrowed
 *  \param [in,out] w, m, v   (n) weights and moments; moments start as 0
 *  \param [out]    out_norm  |g| before clipping; may be NULL
 *  \return CI_OK; CI_EARG; CI_ENUMERIC when |g| is not finite: then nothing has changed */
ci_rc ci_adam_step(const ci_adam *a, ci_gid t, ci_gid n, const float *g, float *w, float *m,
                   float *v, double *out_norm);

#endif
