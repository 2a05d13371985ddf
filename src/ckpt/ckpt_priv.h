#ifndef CI_CKPT_PRIV_H
#define CI_CKPT_PRIV_H
#include "ci/ckpt.h"

/* Positions in the array `score`. */
enum { SCORE_BEST_VALUE, SCORE_BEST_LOSS, SCORE_THRESHOLD, SCORE_PLATEAU, SCORES };

/* Room for as much as `like` says it has, all zero. */
ci_rc ckpt_room(ci_ckpt *c, const ci_ckpt *like);

/* ci_ckpt_tensors, of n tensors as the file has them: names (n, CI_PARAM_NAME). */
void ckpt_tensors(ci_lid n, const char *name, const int32_t *rows, const int32_t *cols, const int64_t *first, char out[CI_SHA256_HEX]);

#endif
