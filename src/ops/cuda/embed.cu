/* What a model is given: rows of the table of identifiers beside the nodes' features, and features with groups of columns hidden. */
#include "ci/graph.h"
#include "ci/kernel.h"

enum { THREADS = 256, WARPS = THREADS / CI_WARP };

/** As ci_hash_bucket. */
CI_DEVICE int hash_bucket(int index, int probe, int buckets)
{
    const int64_t left = ((int64_t)index * 2654435761 + 42 + ((int64_t)probe << 30)) % buckets;
    return (int)(left < 0 ? left + buckets : left);
}

CI_DEVICE int table_row(const ci_k_embed &a, int id, int probe) { return a.buckets ? hash_bucket(id, probe, a.buckets) : id; }

CI_BOTH int probes(const ci_k_embed &a) { return a.buckets ? a.probes : 1; }

/* ---- what a step takes away: all a node needs to know by one Philox, each lane a decision of its own ---- */

enum { UNKNOWN, HIDDEN, GROUPS = 8 }; /* lanes; group k is lane GROUPS + k */
static_assert((int)GROUPS + (int)CI_GROUP_COUNT <= (int)CI_WARP, "a lane for each group");

/** Bit `lane`: that lane's number is below its threshold.  All lanes of a warp call. */
CI_DEVICE uint32_t decisions(const ci_k_batch &b, uint32_t graph, uint32_t operation, uint32_t node)
{
    const ci_k_step *s = b.step;
    const int lane = threadIdx.x % CI_WARP, group = lane - GROUPS;
    uint32_t purpose = CI_RANDOM_GROUP, c2 = 0, c3 = 0, below = 0;

    if (lane == UNKNOWN) {
        purpose = CI_RANDOM_UNK;
        c2 = operation;
        c3 = node;
        below = s->unk_drop;
    } else if (lane == HIDDEN) {
        purpose = CI_RANDOM_MASK;
        c2 = node;
        below = s->mask;
    } else if (group > CI_GROUP_NONE && group < CI_GROUP_COUNT) {
        c2 = (uint32_t)group;
        below = s->group_drop;
    }
    return __ballot_sync(CI_ALL, ci_philox_words(s->seed, purpose, s->epoch, graph, c2, c3).v[0] < below);
}

CI_DEVICE bool bit(uint32_t word, int k) { return word >> k & 1; }

/** The identifier of node i as this pass sees it, and what else is taken away. */
CI_DEVICE int identifier(const ci_k_batch &b, const ci_k_embed &a, int i, uint32_t *out_taken)
{
    const int g = b.row_graph[CI_ROWS_NODE][i], k = i - b.graph_first[CI_ROWS_NODE][g];
    uint32_t taken = b.training ? decisions(b, (uint32_t)b.graph[g], a.operation, (uint32_t)k) : 0;

    if (!b.training && b.hide >= 0 && k % CI_MASKS == b.hide) taken |= 1u << HIDDEN;
    if (!a.masked) taken &= ~(1u << HIDDEN);
    *out_taken = taken;
    return bit(taken, HIDDEN) ? a.n_id + 1 : bit(taken, UNKNOWN) ? 0 : b.id[i];
}

/* One warp a node, lanes over columns: reads a row of the table for each probe and one of x, writes one row of y.  Bits as on the
 * processor. */
static __global__ void embed(const ci_k_batch b, const ci_k_embed a)
{
    const int i = (int)(blockIdx.x * WARPS + threadIdx.x / CI_WARP), lane = threadIdx.x % CI_WARP;
    const int F = b.n_feature - a.x_first;
    if (i >= ci_rows_here(b, CI_ROWS_NODE)) return;

    uint32_t taken;
    const int id = identifier(b, a, i, &taken);
    float *y = a.y + (int64_t)i * (a.id_dim + F);
    if (lane == 0) {
        a.id[i] = id;
        a.hidden[i] = bit(taken, HIDDEN);
    }
    for (int d = lane; d < a.id_dim; d += CI_WARP) {
        float v = a.w[(int64_t)table_row(a, id, 0) * a.id_dim + d];
        for (int k = 1; k < probes(a); k++) v += a.w[(int64_t)table_row(a, id, k) * a.id_dim + d];
        y[d] = v;
    }
    for (int d = lane; d < F; d += CI_WARP) {
        const bool gone = bit(taken, HIDDEN) || (a.group && bit(taken, GROUPS + a.group[d]));
        y[a.id_dim + d] = gone ? 0 : b.x[(int64_t)i * b.n_feature + a.x_first + d];
    }
}

void ci_cuda_embed(ci_dev *d, const ci_k_batch *b, const ci_k_embed *a)
{
    CI_LAUNCH(d, embed, ci_blocks(b->most[CI_ROWS_NODE], WARPS), THREADS, 0, *b, *a);
}

/* ---- gradient of the table ---- */

enum { SLICE = 256, SLICES = 8, AHEAD = 8 };

/** Sum of dy at column `col` of the entries whose bits are set, ascending: the loads of AHEAD of them are under way together. */
CI_DEVICE float add_entries(float sum, uint32_t set, const float *dy, int row, int n_probe, int first, int col, bool mine)
{
    while (set) {
        float v[AHEAD];
        int n = 0;
#pragma unroll
        for (int k = 0; k < AHEAD; k++) {
            v[k] = 0;
            if (!set) continue;
            const int lowest = ci_popc((set & (0u - set)) - 1u);
            set &= set - 1u;
            if (mine) v[k] = dy[(int64_t)((first + lowest) / n_probe) * row + col];
            n = k + 1;
        }
#pragma unroll
        for (int k = 0; k < AHEAD; k++)
            if (k < n) sum += v[k];
    }
    return sum;
}

/** Is entry `at` the first with its key?  All lanes of a warp have the same answer. */
CI_DEVICE bool is_first(const int *key, int at)
{
    const int lane = threadIdx.x % CI_WARP;
    for (int k = 0; k < at; k += CI_WARP)
        if (__any_sync(CI_ALL, k + lane < at && key[k + lane] == key[at])) return false;
    return true;
}

/** Nodes [first, first + n) of a shard: the rows that they see are in `key`, a warp takes those that its entries are the first of. */
CI_DEVICE void slice_back(const ci_k_embed &a, const int *key, int first, int n, const float *dy, int dy_row, ci_k_grad w)
{
    const int lane = threadIdx.x % CI_WARP, col = (int)blockIdx.z * CI_WARP + lane, n_probe = probes(a);
    const bool mine = col < a.id_dim;
    for (int at = threadIdx.x / CI_WARP; at < n * n_probe; at += WARPS) {
        float sum = 0;
        if (!is_first(key, at)) continue;
        for (int k = at / CI_WARP * CI_WARP; k < n * n_probe; k += CI_WARP) {
            const uint32_t set = __ballot_sync(CI_ALL, k + lane >= at && k + lane < n * n_probe && key[k + lane] == key[at]);
            sum = add_entries(sum, set, dy + (int64_t)first * dy_row, dy_row, n_probe, k, col, mine);
        }
        if (mine) ci_grad_put(w, (int64_t)key[at] * a.id_dim + col, sum);
    }
}

/* A block takes slices of SLICE nodes of a shard, counted from the shard's first, 32 columns: each (slice, row of the table that occurs
 * in it, column) is one float, summed in the order of nodes and probes, and one integer atomic.  A warp finds the nodes that see its row
 * by votes over keys in shared memory; most rows that are not the first are known to be so after a graph or two.  Reads dy once. */
static __global__ void embed_back(const ci_k_batch b, const ci_k_embed a, const float *dy, int dy_row, ci_k_grad w)
{
    CI_SHARED(int, key);
    const int shard = (int)blockIdx.y, n_probe = probes(a);
    if (shard >= b.step->n_shard) return;
    const int end = ci_shard_first(b, CI_ROWS_NODE, shard + 1);
    for (int first = ci_shard_first(b, CI_ROWS_NODE, shard) + (int)blockIdx.x * SLICE; first < end; first += (int)gridDim.x * SLICE) {
        const int n = end - first < SLICE ? end - first : SLICE;
        for (int k = threadIdx.x; k < n * n_probe; k += THREADS) key[k] = table_row(a, a.id[first + k / n_probe], k % n_probe);
        __syncthreads();
        slice_back(a, key, first, n, dy, dy_row, w);
        __syncthreads();
    }
}

void ci_cuda_embed_back(ci_dev *d, const ci_k_batch *b, const ci_k_embed *a, const float *dy, int32_t dy_row, ci_k_grad w)
{
    const dim3 grid(SLICES, b->most_shard > 0 ? (unsigned)b->most_shard : 1, ci_blocks(a->id_dim, CI_WARP));
    if (a->id_dim == 0 || !w.sum) return;
    CI_LAUNCH(d, embed_back, grid, THREADS, SLICE * probes(*a) * (int)sizeof(int), *b, *a, dy, dy_row, w);
}

/* ---- features of edges and windows ---- */

/* One warp a row, lanes over columns; the groups that a graph lacks by one Philox.  Reads and writes each element once. */
static __global__ void input(const ci_k_batch b, ci_rows rows, int cols, const float *x, const uint8_t *group, float *y)
{
    const int i = (int)(blockIdx.x * WARPS + threadIdx.x / CI_WARP);
    if (i >= ci_rows_here(b, rows)) return;
    const bool some = group && b.training && b.step->group_drop;
    const uint32_t taken = some ? decisions(b, (uint32_t)b.graph[ci_graph_of(b, rows, i)], 0, 0) : 0;
    for (int d = threadIdx.x % CI_WARP; d < cols; d += CI_WARP) {
        const int64_t at = (int64_t)i * cols + d;
        y[at] = some && bit(taken, GROUPS + group[d]) ? 0 : x[at];
    }
}

void ci_cuda_input(ci_dev *d, const ci_k_batch *b, ci_rows rows, int32_t cols, const float *x, const uint8_t *group, float *y)
{
    CI_LAUNCH(d, input, ci_blocks(b->most[rows], WARPS), THREADS, 0, *b, rows, cols, x, group, y);
}
