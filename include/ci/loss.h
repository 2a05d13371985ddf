#ifndef CI_LOSS_H
#define CI_LOSS_H
/** Losses and their gradients.  Nothing here is collective; no libm, so the bits are the same everywhere. */
#include <stdint.h>
#include "ci/rc.h"
#include "ci/types.h"

/** Focal cross entropy over two classes, divided by the number of graphs of the global batch:
 *
 *      c[i]    = log(sum_k exp z[i,k]) - z[i,t_i]          cross entropy, t the label
 *      q[i]    = 1 - exp(-c[i])                            what the model gives the other class
 *      loss    = sum_i q[i]^gamma c[i] / n_global
 *      dz[i,k] = (q^gamma + gamma q^(gamma-1) (1 - q) c) (softmax(z[i])_k - [k = t_i]) / n_global
 *
 *  Source: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017; gamma 0 is plain cross entropy.
 *  \param [in]  logit     (n, 2); borrowed
 *  \param [in]  label     (n) 0 or 1; borrowed
 *  \param [in]  gamma     0, or 1 and above: between them the gradient has a pole
 *  \param [in]  n_global  graphs of the global batch, > 0
 *  \param [out] dlogit    (n, 2)
 *  \param [out] loss      this shard's share of the mean; 0 for n == 0
 *  \return CI_OK, CI_EARG, or CI_ENUMERIC when a logit is not finite (the message names the graph's place) */
ci_rc ci_focal(const float *logit, const uint8_t *label, ci_lid n, double gamma, ci_gid n_global,
               float *dlogit, double *loss);

/** Probability of class 1 of each graph, for scores.
 *  \param [out] p  (n) in [0,1] */
void ci_softmax_attack(const float *logit, ci_lid n, float *p);

#endif
