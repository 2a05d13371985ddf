#ifndef CI_CKPT_PRIV_H
#define CI_CKPT_PRIV_H
#include "ci/ckpt.h"

/* Positions in the array `score`. */
enum { SCORE_BEST_VALUE, SCORE_BEST_LOSS, SCORE_THRESHOLD, SCORE_PLATEAU, SCORES };

/* Room for as much as `like` says it has, all zero. */
ci_rc ckpt_room(ci_ckpt *c, const ci_ckpt *like);

#endif
