#ifndef CI_TYPES_H
#define CI_TYPES_H
/** Integer kinds: ci_lid counts within a rank, block or batch; ci_gid across ranks and files. */
#include <stdint.h>

/** Of an inline function that device code calls, too. */
#ifdef __CUDACC__
#define CI_BOTH static inline __host__ __device__
#else
#define CI_BOTH static inline
#endif

typedef int32_t ci_lid;
typedef int64_t ci_gid;

#define CI_MIN(a, b) ((a) < (b) ? (a) : (b))
#define CI_MAX(a, b) ((a) > (b) ? (a) : (b))
#define CI_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/** First item of part `part` when n items are cut into n_part contiguous parts of nearly equal
 *  size: the one rule for ranks, threads, blocks and folds. */
CI_BOTH ci_gid ci_part(ci_gid n, ci_gid part, ci_gid n_part)
{
    return n / n_part * part + n % n_part * part / n_part;
}

#endif
