#ifndef CI_CKPT_PRIV_H
#define CI_CKPT_PRIV_H
#include "ci/ckpt.h"

/* Positions in the array `score`. */
enum { SCORE_BEST_AUROC, SCORE_BEST_LOSS, SCORE_THRESHOLD, SCORES };

/* Room for n parameters in n_tensor tensors and a vocabulary, all zero. */
ci_rc ckpt_room(ci_ckpt *c, ci_gid n, ci_lid n_tensor, int32_t n_vocab);

#endif
