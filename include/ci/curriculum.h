#ifndef CI_CURRICULUM_H
#define CI_CURRICULUM_H
/** Which graphs an epoch trains on, and with which weight.  Pure: not collective; the same for the same
 *  arguments on every machine.  Ties of scores are broken by index, the lower one first. */
#include <stdint.h>
#include "ci/rc.h"

/** Hardest benign graphs of an epoch, growing more and harder ones.  With progress p = min(epoch / epochs, 1):
 *
 *      threshold = scores ascending [floor(n_benign (75 + 20 p) / 100)]
 *      hard      = benign graphs with score >= threshold, in the order of the data set
 *      n         = min(floor(n_attack (1 + 9 p)), |hard|)           the first n of them; with them, all attacks
 *
 *  Source: reference-system.md 6.3, G2, there with an epoch that never counts.
 *  \param [in]  score  (n_benign) difficulty in the order of the data set; borrowed
 *  \param [out] out    (n_benign) places of the chosen ones in score, ascending
 *  \param [out] out_n  how many
 *  \return CI_OK, CI_EARG, CI_ENOMEM, or CI_ENUMERIC when a score is not finite */
ci_rc ci_curriculum_hard(const double *score, int64_t n_benign, int64_t n_attack, int32_t epoch, int32_t epochs,
                         int64_t *out, int64_t *out_n);

/** Weights of the graphs of one batch: of the benign ones, the easiest ceil(f n) (at least one) have 1 and the
 *  others 0, f = (1 + 9 min(epoch / (epochs - 1), 1)) / 10; attacks always 1.  The loss is then
 *  sum w l / max(sum w, 1).  Source: reference-system.md 6.3, G4.
 *  \param [in]  score, label  (n) difficulty and 1 attack, 0 benign, of the whole batch; borrowed
 *  \param [out] weight        (n) 0 or 1
 *  \return CI_OK, CI_EARG, CI_ENOMEM, or CI_ENUMERIC when a benign score is not finite */
ci_rc ci_curriculum_weight(const double *score, const uint8_t *label, int64_t n, int32_t epoch, int32_t epochs,
                           float *weight);

/** The sample of an epoch that goes from balanced classes to natural ones, with p = 1 - exp(-t / tau):
 *
 *      natural   k = floor(p n + 1/2) graphs, without repetition: the first k of the permutation of
 *                (seed, CI_RANDOM_CURRICULUM, t)
 *      balanced  n - k graphs, with repetition: slot j = 0, 1, ... takes an attack when j is odd and a benign one when
 *                it is even, each graph of that class being equally likely (word 0 of Philox, counter (t, j, 1, 0));
 *                a class without graphs leaves its slots to the other one
 *      hard      the floor(n / 5) graphs of the highest score, each once more
 *
 *  in that order; who trains on them shuffles.  Source: the momentum schedule of the paper in reference-system.md 6.3,
 *  B_t = (1 - p_t) balanced + p_t natural + 0.2 hard; what is drawn is our choice, as nothing implements it.
 *  \param [in]  label, score  (n) of the training graphs; borrowed
 *  \param [in]  t, tau        epoch and time constant in epochs, tau > 0
 *  \param [out] out           (n + n / 5) graphs as places in label
 *  \param [out] out_n         how many: n + floor(n / 5)
 *  \return CI_OK, CI_EARG, CI_ENOMEM, or CI_ENUMERIC when a score is not finite */
ci_rc ci_curriculum_momentum(uint32_t seed, const uint8_t *label, const double *score, int64_t n, int32_t t, double tau,
                             int64_t *out, int64_t *out_n);

#endif
