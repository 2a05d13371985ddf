#ifndef CI_KERNEL_H
#define CI_KERNEL_H
/** What kernels share on the device: rows of a step, gradients into integer sums, dropout, sums over a warp.  .cu files alone. */
#include "ci/cuda.h"
#include "ci/elementary.h"
#include "ci/kernels.h"
#include "ci/philox.h"

#define CI_DEVICE static __device__ inline

/** This thread's place in its warp, its warp's in a block of one row of threads. */
CI_DEVICE int ci_lane(void) { return (int)threadIdx.x % CI_WARP; }
CI_DEVICE int ci_warp(void) { return (int)threadIdx.x / CI_WARP; }

CI_DEVICE int ci_rows_here(const ci_k_batch &b, ci_rows rows) { return b.step->n[rows]; }

/** Rows of a shard: [first, last). */
CI_DEVICE int ci_shard_first(const ci_k_batch &b, ci_rows rows, int shard)
{
    return rows == CI_ROWS_GRAPH ? b.shard_graph[shard] : b.shard_first[rows][shard];
}

/** The graph of the batch that a row belongs to, and that graph's first row. */
CI_DEVICE int ci_graph_of(const ci_k_batch &b, ci_rows rows, int row) { return rows == CI_ROWS_GRAPH ? row : b.row_graph[rows][row]; }
CI_DEVICE int ci_graph_first(const ci_k_batch &b, ci_rows rows, int graph) { return rows == CI_ROWS_GRAPH ? graph : b.graph_first[rows][graph]; }

/** Nodes of a graph: [first, last). */
struct ci_span { int first, last; };
CI_DEVICE struct ci_span ci_nodes_of(const ci_k_batch &b, int graph)
{
    struct ci_span s;
    s.first = b.graph_first[CI_ROWS_NODE][graph];
    s.last = b.graph_first[CI_ROWS_NODE][graph + 1];
    return s;
}

CI_DEVICE uint32_t ci_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

/** A finished gradient of one shard: in units of 2^-s into the sums, as sum.c of train/ adds it on the processor. */
CI_DEVICE void ci_grad_put(ci_k_grad g, int64_t at, float v)
{
    const uint32_t bits = ci_bits(v) & 0x7fffffffu;
    if (bits == 0) return;
    const double magic = 0x1.8p52, d = (double)v * ci_exp2i(*g.exponent) + magic;
    uint64_t q, zero;
    memcpy(&q, &d, sizeof q);
    memcpy(&zero, &magic, sizeof zero);
    atomicAdd((unsigned long long *)&g.sum[at], (unsigned long long)(q - zero));
    if (bits > *(volatile uint32_t *)g.largest) atomicMax(g.largest, bits);
}

/** The same in two parts, where a warp has many elements: each into its sum (scale is ci_exp2i(*g.exponent), read once), and by all lanes
 *  together the largest bits, without their sign, that a lane has put. */
CI_DEVICE void ci_grad_add(int64_t *sum, double scale, float v)
{
    const double magic = 0x1.8p52, d = (double)v * scale + magic;
    uint64_t q, zero;
    memcpy(&q, &d, sizeof q);
    memcpy(&zero, &magic, sizeof zero);
    if (q != zero) atomicAdd((unsigned long long *)sum, (unsigned long long)(q - zero));
}
CI_DEVICE void ci_grad_largest(ci_k_grad g, uint32_t bits)
{
    for (int k = CI_WARP / 2; k > 0; k >>= 1) {
        const uint32_t other = __shfl_xor_sync(CI_ALL, bits, k);
        bits = other > bits ? other : bits;
    }
    if (threadIdx.x % CI_WARP == 0 && bits > *(volatile uint32_t *)g.largest) atomicMax(g.largest, bits);
}

/** A shard's loss, or a part of it. */
CI_DEVICE void ci_loss_put(ci_k_loss l, double v)
{
    if (!(v < 1024.0 && v > -1024.0)) {
        atomicMax(l.bad, 1u);
        return;
    }
    atomicAdd((unsigned long long *)l.sum, (unsigned long long)(int64_t)(v * (double)(1LL << CI_LOSS_BITS)));
}

/** Is element `element` of a graph, counted from its first, kept by this dropout?  Four elements share one call of Philox. */
CI_DEVICE ci_u32x4 ci_drop_words(const ci_k_step *s, uint32_t operation, int64_t graph, uint32_t quad)
{
    return ci_philox_words(s->seed, CI_RANDOM_DROPOUT, s->epoch, (uint32_t)graph, operation, quad);
}
CI_DEVICE bool ci_kept(const ci_k_step *s, uint32_t operation, int64_t graph, uint32_t element)
{
    return ci_drop_words(s, operation, graph, element / 4).v[element % 4] >= s->drop;
}

/** What relu leaves of x, with dropout in training. */
CI_DEVICE float ci_relu_value(const ci_k_batch &b, ci_rows rows, int cols, uint32_t operation, int row, int col, float x)
{
    if (0.0f > x) return 0; /* not a number and -0 stay what they are */
    if (!b.training || b.step->drop == 0) return b.training ? x * b.step->keep : x;
    const int g = ci_graph_of(b, rows, row);
    const uint32_t element = (uint32_t)(row - ci_graph_first(b, rows, g)) * (uint32_t)cols + (uint32_t)col;
    return ci_kept(b.step, operation, b.graph[g], element) ? x * b.step->keep : 0;
}

/** Bits that are set. */
CI_DEVICE int ci_popc(uint32_t m)
{
#ifdef CI_EMULATED
    return __builtin_popcount(m);
#else
    return __popc(m);
#endif
}

/** Sums over a warp in one order: every lane has it afterwards. */
CI_DEVICE float ci_warp_sum(float v)
{
    for (int k = CI_WARP / 2; k > 0; k >>= 1) v += __shfl_xor_sync(CI_ALL, v, k);
    return v;
}
CI_DEVICE double ci_warp_sum(double v)
{
    for (int k = CI_WARP / 2; k > 0; k >>= 1) v += __shfl_xor_sync(CI_ALL, v, k);
    return v;
}

#endif
