#include "ci/ops.h"

ci_gid ci_lstm_keep(ci_lstm_dim dim)
{
    const ci_gid L = dim.L, h = dim.h;
    return 2 * L * (4 * h + h + h) + L; /* gates, cell and output of each direction and step; the softmax */
}

ci_gid ci_lstm_work(ci_lstm_dim dim) { return 2 * (ci_gid)dim.h + dim.L; } /* gradients of output, cell and scores */
