#ifndef CI_LOSS_CUDA_ROWS_H
#define CI_LOSS_CUDA_ROWS_H
/* What kernels of losses share: sums of rows that depend on no order.
 *
 * A row's loss is computed in double in one order, rounded to units of 2^-CI_LOSS_BITS, and from there on everything is integers: so
 * rows may be added by any threads, blocks and ranks. */
#include <math.h>
#include "ci/kernel.h"

enum { LOSS_THREADS = 256, LOSS_WARPS = LOSS_THREADS / CI_WARP, LOSS_BLOCKS = 1024 };
#define LOSS_MAX 1024.0     /* of a row: as that of a shard on the processor */
#define CLOSED_MAX 0x1p20   /* of what a cut says of the whole batch */

CI_DEVICE bool loss_is_finite(double x) { return x - x == 0; }

/* A loss in units; one that is not finite or out of bounds is told. */
CI_DEVICE int64_t loss_units(ci_k_loss l, double v, double most)
{
    if (!(v < most && v > -most)) {
        atomicMax(l.bad, 1u);
        return 0;
    }
    const double units = v * (double)(1LL << CI_LOSS_BITS);
    return (int64_t)(units < 0 ? units - 0.5 : units + 0.5);
}

/* The units of every thread of a block into the sum: one atomic a block.  All threads call. */
CI_DEVICE void loss_add(ci_k_loss l, int64_t units)
{
    CI_SHARED(unsigned long long, all);

    if (threadIdx.x == 0) *all = 0;
    __syncthreads();
    if (units != 0) atomicAdd(all, (unsigned long long)units);
    __syncthreads();
    if (threadIdx.x == 0 && *all != 0 && l.sum) atomicAdd((unsigned long long *)l.sum, *all);
}
enum { LOSS_SHARED = sizeof(unsigned long long) };

/* log(1 + exp x), exact to a few units for any x. */
CI_DEVICE double loss_softplus(double x) { return (x > 0 ? x : 0) + ci_log1p64(ci_exp64(x > 0 ? -x : x)); }

/* Blocks for so many rows, a thread or a warp each: those of the grid walk on where there are more. */
static inline unsigned loss_blocks(int64_t rows, int64_t a_block)
{
    const unsigned blocks = ci_blocks(rows, a_block);
    return blocks < LOSS_BLOCKS ? blocks : LOSS_BLOCKS;
}

#endif
