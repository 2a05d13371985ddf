#ifndef BENCH_SHARD_H
#define BENCH_SHARD_H
/** Shards like those of hcrl_sa, for tools/bench_*.c: 27 nodes and 99 frames' edges a graph, and self-loops. */
#include <stddef.h>
#include <stdint.h>
#include "ci/batch.h"

enum { SHARD_NODES = 27, SHARD_EDGES = 99, SHARD_X = 35, SHARD_E = 11, SHARD_IDS = 60 };

/** n numbers in [-1,1), on a line of the cache; to free().  Ends the program when memory is short. */
float *numbers(size_t n, uint32_t seed);

/** n graphs, the first one's number `first`, with raw edges; identifiers are 1 to SHARD_NODES. */
ci_batch shard_make(int n, int first);
void shard_release(ci_batch *b);

#endif
