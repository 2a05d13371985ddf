/* Graph, layer and batch norm; sums at cuts.
 *
 * Sums over rows are a thread's, for a column, in the order of rows; sums over columns a warp's.  Gradients of parameters are of slices of
 * a shard, counted from its first row or graph, each one float. */
#include "ci/kernel.h"

enum { WARPS = 8, THREADS = WARPS * CI_WARP, SLICES = 8 };

static unsigned at_least_one(int32_t n) { return n > 0 ? (unsigned)n : 1; }

/** Blocks for slices of each shard (x, strided), shards (y), 32 columns each (z). */
static dim3 by_shard(const ci_k_batch *b, unsigned slices, int cols) { return dim3(slices, at_least_one(b->most_shard), ci_blocks(cols, CI_WARP)); }

/** Adds the warps' values of a column in the order of warps; all threads call, the first warp's have the sum. */
CI_DEVICE float over_warps(float *part, float v)
{
    part[threadIdx.x] = v;
    __syncthreads();
    for (int k = 1; k < WARPS && ci_warp() == 0; k++) v += part[k * CI_WARP + ci_lane()];
    __syncthreads();
    return v;
}

/* ---- graph norm ---- */

/* One warp per (graph, 32 columns), a lane a column, three times over the rows: the first brings them into the cache.  Reads x once,
 * writes y once, a relu behind it in its place.  Bits as on the processor. */
static __global__ void graph_norm(const ci_k_batch b, const ci_k_norm a)
{
    const int slices = (a.cols + CI_WARP - 1) / CI_WARP, job = (int)(blockIdx.x * WARPS) + ci_warp();
    const int g = job / slices, d = job % slices * CI_WARP + ci_lane();
    if (g >= ci_rows_here(b, CI_ROWS_GRAPH) || d >= a.cols) return;

    const struct ci_span r = ci_nodes_of(b, g);
    const float rows = (float)(r.last - r.first), w = a.w[d], bias = a.b[d];
    float sum = 0, square = 0;
    for (int i = r.first; i < r.last; i++) sum += a.x[(int64_t)i * a.cols + d];
    const float mean = sum / rows, shift = a.s[d] * mean;
    for (int i = r.first; i < r.last; i++) {
        const float o = a.x[(int64_t)i * a.cols + d] - shift;
        square += o * o;
    }
    const float root = 1.0f / sqrtf(square / rows + CI_NORM_EPS);
    for (int i = r.first; i < r.last; i++) {
        const int64_t at = (int64_t)i * a.cols + d;
        const float y = w * ((a.x[at] - shift) * root) + bias;
        a.y[at] = a.relu.on ? ci_relu_value(b, CI_ROWS_NODE, a.cols, a.relu.operation, i, d, y) : y;
    }
    float *stat = a.stat + (int64_t)g * 2 * a.cols + d;
    stat[0] = mean;
    stat[a.cols] = root;
}

void ci_cuda_graph_norm(ci_dev *d, const ci_k_batch *b, const ci_k_norm *a)
{
    const int64_t jobs = (int64_t)b->most[CI_ROWS_GRAPH] * ((a->cols + CI_WARP - 1) / CI_WARP);
    CI_LAUNCH(d, graph_norm, ci_blocks(jobs, WARPS), THREADS, 0, *b, *a);
}

/** What a graph brings to the gradients of a column. */
struct three { float w, b, s; };

/** One graph, one column: as graph_backward on the processor, but do is computed twice, not kept. */
CI_DEVICE struct three graph_back(const ci_k_norm &a, const ci_k_norm_back &g, int graph, struct ci_span r, int d)
{
    const float *stat = a.stat + (int64_t)graph * 2 * a.cols + d;
    const float mean = stat[0], root = stat[a.cols], s = a.s[d], shift = s * mean, w = a.w[d] * root, rows = (float)(r.last - r.first);
    float sum = 0, sum_h = 0, sum_o = 0;
    struct three t = {0, 0, 0};

    if (r.first == r.last) return t;
    for (int i = r.first; i < r.last; i++) {
        const int64_t at = (int64_t)i * a.cols + d;
        const float dy = g.dy[at];
        sum += dy;
        sum_h += dy * ((a.x[at] - shift) * root);
    }
    const float mean_h = sum_h / rows;
    for (int i = r.first; i < r.last; i++) {
        const int64_t at = (int64_t)i * a.cols + d;
        sum_o += w * (g.dy[at] - (a.x[at] - shift) * root * mean_h);
    }
    const float back = sum_o * (s / rows);
    for (int i = r.first; i < r.last; i++) {
        const int64_t at = (int64_t)i * a.cols + d;
        const float one = w * (g.dy[at] - (a.x[at] - shift) * root * mean_h);
        g.dx[at] = (g.overwrite ? one : g.dx[at] + one) - back;
    }
    t.w = sum_h;
    t.b = sum;
    t.s = -(mean * sum_o);
    return t;
}

/* A block takes eight graphs of a shard, a warp each, 32 columns; the eight's gradients of parameters are added in their order, so that
 * an element gets one integer atomic for eight graphs.  Reads x and dy once and twice from the cache, writes dx once. */
static __global__ void graph_norm_back(const ci_k_batch b, const ci_k_norm a, const ci_k_norm_back g)
{
    CI_SHARED(float, part);
    const int shard = (int)blockIdx.y, d = (int)blockIdx.z * CI_WARP + ci_lane();
    if (shard >= b.step->n_shard) return;
    const int end = b.shard_graph[shard + 1];
    for (int first = b.shard_graph[shard] + (int)blockIdx.x * WARPS; first < end; first += (int)gridDim.x * WARPS) {
        const int graph = first + ci_warp();
        struct three t = {0, 0, 0};
        if (graph < end && d < a.cols) t = graph_back(a, g, graph, ci_nodes_of(b, graph), d);
        t.w = over_warps(part, t.w);
        t.b = over_warps(part, t.b);
        t.s = over_warps(part, t.s);
        if (ci_warp() > 0 || d >= a.cols) continue;
        if (g.w.sum) ci_grad_put(g.w, d, t.w);
        if (g.b.sum) ci_grad_put(g.b, d, t.b);
        if (g.s.sum) ci_grad_put(g.s, d, t.s);
    }
}

void ci_cuda_graph_norm_back(ci_dev *d, const ci_k_batch *b, const ci_k_norm *a, const ci_k_norm_back *g)
{
    CI_LAUNCH(d, graph_norm_back, by_shard(b, SLICES, a->cols), THREADS, THREADS * (int)sizeof(float), *b, *a, *g);
}

/* ---- layer norm ---- */

/* One warp a row, lanes over columns; sums are lanes' partial sums and one tree.  Reads x from memory once, writes y. */
static __global__ void layer_norm(const ci_k_batch b, const ci_k_norm a)
{
    const int i = (int)(blockIdx.x * WARPS) + ci_warp(), lane = ci_lane();
    if (i >= ci_rows_here(b, a.rows)) return;
    const float *x = a.x + (int64_t)i * a.cols, n = (float)a.cols;
    float *y = a.y + (int64_t)i * a.cols, sum = 0, square = 0;

    for (int d = lane; d < a.cols; d += CI_WARP) sum += x[d];
    const float mean = ci_warp_sum(sum) / n;
    for (int d = lane; d < a.cols; d += CI_WARP) square += (x[d] - mean) * (x[d] - mean);
    const float root = 1.0f / sqrtf(ci_warp_sum(square) / n + CI_NORM_EPS);
    for (int d = lane; d < a.cols; d += CI_WARP) y[d] = a.w[d] * ((x[d] - mean) * root) + a.b[d];
    if (lane == 0) {
        a.stat[(int64_t)i * 2] = mean;
        a.stat[(int64_t)i * 2 + 1] = root;
    }
}

void ci_cuda_layer_norm(ci_dev *d, const ci_k_batch *b, const ci_k_norm *a)
{
    CI_LAUNCH(d, layer_norm, ci_blocks(b->most[a->rows], WARPS), THREADS, 0, *b, *a);
}

/** dx of a row by one warp. */
CI_DEVICE void layer_back(const ci_k_norm &a, const ci_k_norm_back &g, int i)
{
    const int64_t at = (int64_t)i * a.cols;
    const float mean = a.stat[(int64_t)i * 2], root = a.stat[(int64_t)i * 2 + 1];
    float sum = 0, sum_h = 0;

    for (int d = ci_lane(); d < a.cols; d += CI_WARP) {
        const float v = a.w[d] * g.dy[at + d];
        sum += v;
        sum_h += v * ((a.x[at + d] - mean) * root);
    }
    const float m = ci_warp_sum(sum) / (float)a.cols, m_h = ci_warp_sum(sum_h) / (float)a.cols;
    for (int d = ci_lane(); d < a.cols; d += CI_WARP) {
        const float one = root * (a.w[d] * g.dy[at + d] - m - (a.x[at + d] - mean) * root * m_h);
        g.dx[at + d] = g.overwrite ? one : g.dx[at + d] + one;
    }
}

enum { LAYER_ROWS = 64 };

/* A block takes LAYER_ROWS rows of a shard: first a thread a column, rows ascending, for w and b (read through the cache a second time
 * by what follows), then a warp a row for dx.  Reads x and dy from memory once, writes dx. */
static __global__ void layer_norm_back(const ci_k_batch b, const ci_k_norm a, const ci_k_norm_back g)
{
    const int shard = (int)blockIdx.y;
    if (shard >= b.step->n_shard) return;
    const int end = ci_shard_first(b, a.rows, shard + 1);
    for (int first = ci_shard_first(b, a.rows, shard) + (int)blockIdx.x * LAYER_ROWS; first < end; first += (int)gridDim.x * LAYER_ROWS) {
        const int last = end - first < LAYER_ROWS ? end : first + LAYER_ROWS;
        for (int d = threadIdx.x; d < a.cols; d += THREADS) {
            float dw = 0, db = 0;
            for (int i = first; i < last; i++) {
                const int64_t at = (int64_t)i * a.cols + d;
                dw += g.dy[at] * ((a.x[at] - a.stat[(int64_t)i * 2]) * a.stat[(int64_t)i * 2 + 1]);
                db += g.dy[at];
            }
            if (g.w.sum) ci_grad_put(g.w, d, dw);
            if (g.b.sum) ci_grad_put(g.b, d, db);
        }
        __syncthreads(); /* dx may be dy */
        for (int i = first + ci_warp(); i < last; i += WARPS) layer_back(a, g, i);
    }
}

void ci_cuda_layer_norm_back(ci_dev *d, const ci_k_batch *b, const ci_k_norm *a, const ci_k_norm_back *g)
{
    CI_LAUNCH(d, layer_norm_back, dim3(4 * SLICES, at_least_one(b->most_shard)), THREADS, 0, *b, *a, *g);
}

/* ---- batch norm ---- */

/** Rows of a shard by warps, each a column's sums in its lanes; the warps' in their order, two doubles an element of shared memory. */
CI_DEVICE void shard_sums(const ci_k_batch &b, const ci_k_norm &a, const float *dy, double *own, const ci_k_norm_back *g)
{
    CI_SHARED(double, part);
    const int shard = (int)blockIdx.x, d = (int)blockIdx.y * CI_WARP + ci_lane();
    if (shard >= b.step->n_shard) return;
    double one = 0, two = 0;
    if (d < a.cols) {
        const float mean = dy ? a.stat[d] : 0, root = dy ? a.stat[a.cols + d] : 0;
        for (int i = ci_shard_first(b, a.rows, shard) + ci_warp(); i < ci_shard_first(b, a.rows, shard + 1); i += WARPS) {
            const float x = a.x[(int64_t)i * a.cols + d], v = dy ? dy[(int64_t)i * a.cols + d] : x;
            one += (double)v;
            two += (double)v * (double)(dy ? (x - mean) * root : x);
        }
    }
    part[2 * threadIdx.x] = one;
    part[2 * threadIdx.x + 1] = two;
    __syncthreads();
    if (ci_warp() > 0 || d >= a.cols) return;
    for (int k = 1; k < WARPS; k++) {
        one += part[2 * (k * CI_WARP + ci_lane())];
        two += part[2 * (k * CI_WARP + ci_lane()) + 1];
    }
    own[((int64_t)shard * 2) * a.cols + d] = one;
    own[((int64_t)shard * 2 + 1) * a.cols + d] = two;
    if (g && g->b.sum) ci_grad_put(g->b, d, (float)one);
    if (g && g->w.sum) ci_grad_put(g->w, d, (float)two);
}

/* A block per (shard, 32 columns), rows by eight warps, all in double.  Reads x, and dy, once; writes 16 bytes a column and shard. */
static __global__ void batch_norm_sums(const ci_k_batch b, const ci_k_norm a, double *own) { shard_sums(b, a, NULL, own, NULL); }
static __global__ void batch_norm_back_sums(const ci_k_batch b, const ci_k_norm a, const ci_k_norm_back g, double *own)
{
    shard_sums(b, a, g.dy, own, &g);
}

static dim3 shards_columns(const ci_k_batch *b, int cols) { return dim3(at_least_one(b->most_shard), ci_blocks(cols, CI_WARP)); }

void ci_cuda_batch_norm_sums(ci_dev *d, const ci_k_batch *b, const ci_k_norm *a, double *own)
{
    CI_LAUNCH(d, batch_norm_sums, shards_columns(b, a->cols), THREADS, 2 * THREADS * (int)sizeof(double), *b, *a, own);
}

void ci_cuda_batch_norm_back_sums(ci_dev *d, const ci_k_batch *b, const ci_k_norm *a, const ci_k_norm_back *g, double *own)
{
    CI_LAUNCH(d, batch_norm_back_sums, shards_columns(b, a->cols), THREADS, 2 * THREADS * (int)sizeof(double), *b, *a, *g, own);
}

/* A thread a column; as ci_batch_norm_close. */
static __global__ void batch_norm_close(const ci_k_batch b, int cols, const double *total, float *stat)
{
    const int d = (int)(blockIdx.x * THREADS + threadIdx.x);
    if (d >= cols) return;
    const double n = (double)b.step->n_node, m = total[d] / n, var = total[cols + d] / n - m * m;
    stat[d] = (float)m;
    stat[cols + d] = (float)(1 / sqrt((var > 0.0 ? var : 0.0) + (double)CI_NORM_EPS));
}

void ci_cuda_batch_norm_close(ci_dev *d, const ci_k_batch *b, int32_t cols, const double *total, float *stat)
{
    CI_LAUNCH(d, batch_norm_close, ci_blocks(cols, THREADS), THREADS, 0, *b, cols, total, stat);
}

static __global__ void batch_norm_known(int cols, const float *state, float *stat)
{
    const int d = (int)(blockIdx.x * THREADS + threadIdx.x);
    if (d >= cols) return;
    stat[d] = state[d];
    stat[cols + d] = 1.0f / sqrtf(state[cols + d] + CI_NORM_EPS);
}

void ci_cuda_batch_norm_known(ci_dev *d, const ci_k_batch *b, int32_t cols, const float *state, float *stat)
{
    (void)b;
    CI_LAUNCH(d, batch_norm_known, ci_blocks(cols, THREADS), THREADS, 0, cols, state, stat);
}

enum { BATCH_ROWS = 8 };

/* One warp per (BATCH_ROWS rows, 32 columns), a lane a column, so that what is of the column is read once.  Bits as on the processor,
 * given the statistics. */
static __global__ void batch_norm(const ci_k_batch b, const ci_k_norm a)
{
    const int d = (int)blockIdx.y * CI_WARP + ci_lane(), n = ci_rows_here(b, a.rows), first = ((int)blockIdx.x * WARPS + ci_warp()) * BATCH_ROWS;
    if (d >= a.cols || first >= n) return;
    const float mean = a.stat[d], root = a.stat[a.cols + d], w = a.w[d], bias = a.b[d];
    for (int i = first; i < first + BATCH_ROWS && i < n; i++) {
        const int64_t at = (int64_t)i * a.cols + d;
        a.y[at] = w * ((a.x[at] - mean) * root) + bias;
    }
}

static __global__ void batch_norm_back(const ci_k_batch b, const ci_k_norm a, const ci_k_norm_back g)
{
    const int d = (int)blockIdx.y * CI_WARP + ci_lane(), n = ci_rows_here(b, a.rows), first = ((int)blockIdx.x * WARPS + ci_warp()) * BATCH_ROWS;
    if (d >= a.cols || first >= n) return;
    const double all = (double)b.step->n_node;
    const float mean = a.stat[d], root = a.stat[a.cols + d], w = a.w[d] * root;
    const float m = (float)(g.sum[d] / all), m_h = (float)(g.sum[a.cols + d] / all);
    for (int i = first; i < first + BATCH_ROWS && i < n; i++) {
        const int64_t at = (int64_t)i * a.cols + d;
        const float one = w * (g.dy[at] - m - (a.x[at] - mean) * root * m_h);
        g.dx[at] = g.overwrite ? one : g.dx[at] + one;
    }
}

static dim3 rows_columns(const ci_k_batch *b, const ci_k_norm *a)
{
    return dim3(ci_blocks(b->most[a->rows], (int)WARPS * (int)BATCH_ROWS), ci_blocks(a->cols, CI_WARP));
}

void ci_cuda_batch_norm(ci_dev *d, const ci_k_batch *b, const ci_k_norm *a)
{
    CI_LAUNCH(d, batch_norm, rows_columns(b, a), THREADS, 0, *b, *a);
}

void ci_cuda_batch_norm_back(ci_dev *d, const ci_k_batch *b, const ci_k_norm *a, const ci_k_norm_back *g)
{
    CI_LAUNCH(d, batch_norm_back, rows_columns(b, a), THREADS, 0, *b, *a, *g);
}

/* ---- cuts ---- */

/* A thread a sum: adds the shards of all ranks in the order of their numbers.  Reads n doubles a shard. */
static __global__ void cut_total(const ci_k_batch b, const ci_k_cut c)
{
    const int j = (int)(blockIdx.x * THREADS + threadIdx.x), V = b.step->all_shard, ranks = b.step->n_rank;
    double sum = 0;
    if (j >= c.n) return;
    for (int r = 0; r < ranks; r++) {
        const int n = (int)(ci_part(V, r + 1, ranks) - ci_part(V, r, ranks));
        const double *at = c.all + (int64_t)r * b.most_shard * c.n + j;
        for (int k = 0; k < n; k++) sum += at[(int64_t)k * c.n];
    }
    c.total[j] = sum;
}

void ci_cuda_cut_total(ci_dev *d, const ci_k_batch *b, const ci_k_cut *c)
{
    CI_LAUNCH(d, cut_total, ci_blocks(c->n, THREADS), THREADS, 0, *b, *c);
}
