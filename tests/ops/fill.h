#ifndef TEST_OPS_FILL_H
#define TEST_OPS_FILL_H
/** Arrays of numbers in [-1,1) from Philox, and a graph, for tests of kernels. */
#include <stddef.h>
#include <stdint.h>
#include "ci/ops.h"

/** n floats, or the same numbers as doubles; to free().  Aborts when memory is short. */
float *fill_f(size_t n, uint32_t seed);
double *fill_d(size_t n, uint32_t seed);

/** Nodes with 0, 1, 2, ... in-edges in turn, the last one with `most`; owned by the caller. */
typedef struct fill_graph { ci_csr csr; ci_lid *first, *src, n_edge; } fill_graph;
fill_graph fill_csr(ci_lid n_node, ci_lid most);
void fill_release(fill_graph *g);

/** The table of these names that the machine can run; prints a skip line for the others. */
size_t fill_tables(const ci_ops *out[3]);

#endif
