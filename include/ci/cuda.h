#ifndef CI_CUDA_H
#define CI_CUDA_H
/** What every .cu file includes: how kernels are launched and where they get shared memory.
 *
 *  The same sources are compiled by nvcc and, for tests, for the host under an emulation of blocks and threads (tests/emu): so a kernel
 *  uses only what is named here and the plain built-ins: threadIdx, blockIdx, blockDim, gridDim (all three axes), __syncthreads,
 *  __syncwarp, __shfl_sync, __shfl_xor_sync, __shfl_down_sync, __ballot_sync, __any_sync, __all_sync (masks as they are), atomicAdd on
 *  int, unsigned and unsigned long long, atomicMax, atomicOr, atomicExch, atomicCAS on int and unsigned, __threadfence, __ldg,
 *  fmaf, sqrtf, fabsf, fmaxf, fminf, float2, float4, int2, int4 and make_*.
 *
 *  Shared memory is dynamic alone, of the size that the launch says: CI_SHARED(float, s) is its beginning in every thread.  No float
 *  atomics, no warpSize but CI_WARP, no printf, no recursion, no device malloc, no __restrict__-free aliasing of inputs and outputs
 *  within one launch between threads without a barrier.  Compiled with -fmad=false: what is fused is written fmaf. */
#include <cuda_runtime.h>
#include "ci/device.h"

enum { CI_WARP = 32 };
#define CI_ALL 0xffffffffu /**< the mask of a whole warp */

/** The stream of kernels, and the note that a launch leaves: its name and whether it failed. */
extern cudaStream_t ci_dev_stream(ci_dev *d);
extern void ci_dev_launched(ci_dev *d, const char *kernel);
/** cudaStreamQuery of it.  CUDA keeps "not ready" as its last error, where the next launch would find it: here it is taken away. */
extern cudaError_t ci_dev_query(ci_dev *d);
/** Something on it does not end: nothing that would wait for it is asked any more, memory stays with the process. */
extern void ci_dev_leave(ci_dev *d);
/** Remember a message for ci_runtime.message and return rc: the backend has no ci_fail. */
extern ci_rc ci_dev_fail(ci_rc rc, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** The code of a call of CUDA that failed, its name and words; CI_OK for cudaSuccess. */
extern ci_rc ci_dev_error(cudaError_t error, const char *what);

#ifdef CI_EMULATED
#define CI_SHARED(type, name) type *name = (type *)emu_shared()
#define CI_LAUNCH(dev, kernel, grid, block, shared, ...)                                                  \
    (emu_launch(ci_dev_stream(dev), #kernel, (grid), (block), (size_t)(shared), kernel, __VA_ARGS__), ci_dev_launched((dev), #kernel))
#else
#define CI_SHARED(type, name)                                     \
    extern __shared__ __align__(16) unsigned char ci_shared_[];   \
    type *name = (type *)ci_shared_
#define CI_LAUNCH(dev, kernel, grid, block, shared, ...)                                                  \
    (kernel<<<(grid), (block), (size_t)(shared), ci_dev_stream(dev)>>>(__VA_ARGS__), ci_dev_launched((dev), #kernel))
#endif

/** Blocks of `block` threads for n items; at least one, as a launch of none is an error. */
static inline unsigned ci_blocks(int64_t n, int64_t block) { return (unsigned)(n > 0 ? (n + block - 1) / block : 1); }

#endif
