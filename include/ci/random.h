#ifndef CI_RANDOM_H
#define CI_RANDOM_H
/** Counter-based random numbers: Philox4x32-10, key (seed, purpose), counter of four words.
 *
 *  A number depends on what it is for, never on the rank, thread or shard that asks.
 *  Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (Random123). */
#include <stdint.h>
#include "ci/types.h"

typedef enum ci_purpose {
    CI_RANDOM_SHUFFLE = 1,   /**< counter (epoch, position, 0, 0)                  */
    CI_RANDOM_INIT,          /**< counter (parameter tensor, element, 0, 0)        */
    CI_RANDOM_DROPOUT,       /**< counter (epoch, graph, operation, element)       */
    CI_RANDOM_UNK,           /**< counter (epoch, graph, operation, node)          */
    CI_RANDOM_BOOTSTRAP,     /**< counter (draw, block, 0, 0)                      */
    CI_RANDOM_SIM,           /**< counter (vehicle, capture, stream, n)            */
    CI_RANDOM_MASK,          /**< counter (epoch, graph, node, 0)                  */
    CI_RANDOM_LATENT,        /**< counter (epoch, graph, operation, element)       */
    CI_RANDOM_GROUP,         /**< counter (epoch, graph, group, 0)                 */
    CI_RANDOM_CURRICULUM = 20, /**< counter (epoch, slot, 0 or 1, 0)               */
    CI_RANDOM_SPLIT = 40,    /**< counter (0, position, 0, 0)                      */
    CI_RANDOM_FUSION = 60    /**< counter (episode or step, element, use, 0)       */
} ci_purpose;

typedef struct ci_u32x4 { uint32_t v[4]; } ci_u32x4;

/** Four independent 32-bit words. */
ci_u32x4 ci_philox(uint32_t seed, uint32_t purpose, uint32_t c0, uint32_t c1, uint32_t c2,
                   uint32_t c3);

/** Uniform in [0,1): the upper 24 bits of w, exact in float. */
CI_BOTH float ci_unit(uint32_t w) { return (float)(w >> 8) * 0x1p-24f; }

/** Uniform in [0,n) without a division; n > 0.  The bias is below n / 2^32. */
CI_BOTH uint32_t ci_below(uint32_t w, uint32_t n)
{
    return (uint32_t)(((uint64_t)w * n) >> 32);
}

/** A permutation of 0..n-1 (Fisher-Yates from (seed, purpose, epoch)); out has n places. */
void ci_permutation(uint32_t seed, uint32_t purpose, uint32_t epoch, int32_t n, int32_t *out);

#endif
