#ifndef CI_LOSS_PRIV_H
#define CI_LOSS_PRIV_H
/** What the files of loss/ share. */
#include <math.h>
#include <stdint.h>
#include <string.h>
#include "ci/elementary.h"
#include "ci/loss.h"

/** 1 - sigmoid and its logarithm: log(1 + exp x), exact to a few units for any x. */
static inline double softplus(double x)
{
    return (x > 0 ? x : 0) + ci_log1p64(ci_exp64(x > 0 ? -x : x));
}

#endif
