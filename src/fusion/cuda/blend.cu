/* A vector that follows another: the target network of a dqn. */
#include "ci/kernel.h"

enum { THREADS = 256, BLOCKS = 1024 };

/* A thread an element, grid-stride; reads 8 and writes 4 bytes an element. */
static __global__ void blend(int64_t n, float keep, const float *x, float *y)
{
    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < n; i += (int64_t)gridDim.x * THREADS)
        y[i] = keep * y[i] + (1 - keep) * x[i];
}

void ci_cuda_blend(ci_dev *d, int64_t n, float keep, const float *x, float *y)
{
    CI_LAUNCH(d, blend, CI_MIN(ci_blocks(n, THREADS), (unsigned)BLOCKS), THREADS, 0, n, keep, x, y);
}
