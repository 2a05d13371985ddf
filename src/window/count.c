#include "ci/window.h"

ci_gid ci_window_count(ci_gid n_row, ci_gid frames, ci_gid stride)
{
    return n_row < frames ? 0 : (n_row - frames) / stride + 1;
}

ci_gid ci_window_at(ci_gid row, ci_gid stride)
{
    return row / stride + (row % stride != 0);
}
