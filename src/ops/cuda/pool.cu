/* Pooling of the nodes of each graph. */
#include "ci/kernel.h"

enum { WARPS = 8, THREADS = WARPS * CI_WARP };

CI_BOTH int width_of(const ci_k_pool_rows &a)
{
    int n = 0;
    for (int k = 0; k < a.n; k++) n += a.cols[k];
    return n;
}

/** Where a lane works: column d of input k of a graph, column `to` of y. */
struct place { int graph, k, d, to; };

CI_DEVICE struct place place_of(const ci_k_pool_rows &a, int width)
{
    const int slices = (width + CI_WARP - 1) / CI_WARP, job = (int)(blockIdx.x * WARPS) + ci_warp();
    struct place p;
    p.graph = job / slices;
    p.k = 0;
    p.d = p.to = job % slices * CI_WARP + ci_lane();
    while (p.k < a.n && p.d >= a.cols[p.k]) p.d -= a.cols[p.k++];
    return p;
}

static unsigned grid(const ci_k_batch *b, const ci_k_pool_rows *a)
{
    return ci_blocks((int64_t)b->most[CI_ROWS_GRAPH] * ((width_of(*a) + CI_WARP - 1) / CI_WARP), WARPS);
}

/* ---- mean, sum, max ---- */

/* One warp per (graph, 32 columns), a lane a column, rows ascending: bits as on the processor.  Reads x once. */
static __global__ void pool(const ci_k_batch b, const ci_k_pool_rows a, int width)
{
    const struct place p = place_of(a, width);
    if (p.graph >= ci_rows_here(b, CI_ROWS_GRAPH) || p.k >= a.n) return;
    const struct ci_span r = ci_nodes_of(b, p.graph);
    const int cols = a.cols[p.k];
    const float *x = a.x[p.k] + p.d;
    float v = 0;

    if (a.how == CI_K_MAX) {
        if (r.first < r.last) v = x[(int64_t)r.first * cols];
        for (int i = r.first + 1; i < r.last; i++) v = x[(int64_t)i * cols] > v ? x[(int64_t)i * cols] : v;
    } else {
        for (int i = r.first; i < r.last; i++) v += x[(int64_t)i * cols];
        if (a.how == CI_K_MEAN) v /= (float)(r.last - r.first);
    }
    a.y[(int64_t)p.graph * width + p.to] = v;
}

/* The same mapping; those that are the largest are counted first.  Reads x (max alone, the second time from the cache), writes dx. */
static __global__ void pool_back(const ci_k_batch b, const ci_k_pool_rows a, const ci_k_pool_back g, int width)
{
    const struct place p = place_of(a, width);
    if (p.graph >= ci_rows_here(b, CI_ROWS_GRAPH) || p.k >= a.n) return;
    const struct ci_span r = ci_nodes_of(b, p.graph);
    const int cols = a.cols[p.k];
    const bool overwrite = g.overwrite >> p.k & 1, max = a.how == CI_K_MAX;
    const int64_t at = (int64_t)p.graph * width + p.to;
    const float *x = a.x[p.k] + p.d, y = max ? a.y[at] : 0;
    float *dx = g.dx[p.k] + p.d, share = g.dy[at];

    if (max) {
        float n = 0;
        for (int i = r.first; i < r.last; i++) n += x[(int64_t)i * cols] == y ? 1.0f : 0.0f;
        share /= n;
    } else if (a.how == CI_K_MEAN) {
        share /= (float)(r.last - r.first);
    }
    for (int i = r.first; i < r.last; i++) {
        const float v = max && x[(int64_t)i * cols] != y ? 0.0f : share;
        dx[(int64_t)i * cols] = overwrite ? v : dx[(int64_t)i * cols] + v;
    }
}

/* ---- attention ---- */

CI_DEVICE float dot(const float *a, const float *b, int n)
{
    float sum = 0;
    for (int d = ci_lane(); d < n; d += CI_WARP) sum += a[d] * b[d];
    return ci_warp_sum(sum);
}

/** What each warp has, added in the order of warps, or the largest; every thread has it afterwards. */
CI_DEVICE float over_warps(float *part, float v, bool max)
{
    if (ci_lane() == 0) part[ci_warp()] = v;
    __syncthreads();
    v = part[0];
    for (int k = 1; k < WARPS; k++) v = !max ? v + part[k] : part[k] > v ? part[k] : v;
    __syncthreads();
    return v;
}

/* One block a graph: a warp a node for the scores, which stay in p; all threads for the softmax; a thread a column for y, rows ascending.
 * Reads x from memory once, any number of nodes. */
static __global__ void pool_attention(const ci_k_batch b, const ci_k_pool_rows a)
{
    CI_SHARED(float, part);
    const int g = (int)blockIdx.x, cols = a.cols[0];
    if (g >= ci_rows_here(b, CI_ROWS_GRAPH)) return;
    const struct ci_span r = ci_nodes_of(b, g);
    float *p = a.p + r.first, most = -INFINITY, sum = 0;
    const float *x = a.x[0] + (int64_t)r.first * cols;
    const int n = r.last - r.first;

    for (int i = ci_warp(); i < n; i += WARPS) {
        const float s = dot(a.a, x + (int64_t)i * cols, cols) + a.b[0];
        if (ci_lane() == 0) p[i] = s;
        most = s > most ? s : most;
    }
    most = over_warps(part, most, true); /* and every score is seen by every thread */
    for (int i = threadIdx.x; i < n; i += THREADS) {
        p[i] = ci_expf(p[i] - most);
        sum += p[i];
    }
    sum = over_warps(part, ci_warp_sum(sum), false);
    for (int i = threadIdx.x; i < n; i += THREADS) p[i] /= sum;
    __syncthreads();
    for (int d = threadIdx.x; d < cols; d += THREADS) {
        float y = 0;
        for (int i = 0; i < n; i++) y += p[i] * x[(int64_t)i * cols + d];
        a.y[(int64_t)g * cols + d] = y;
    }
}

enum { CHUNK = 64 };

/* One block a graph: the mean of dy . x under p, then CHUNK nodes at a time, a warp a node for ds and dx, and a thread a column for what
 * a gets of them.  a's gradient is a float for each graph.  Reads x once, twice more from the cache; writes dx. */
static __global__ void pool_attention_back(const ci_k_batch b, const ci_k_pool_rows a, const ci_k_pool_back g)
{
    CI_SHARED(float, part); /* (WARPS), ds (CHUNK), da (cols) */
    const int graph = (int)blockIdx.x, cols = a.cols[0];
    if (graph >= ci_rows_here(b, CI_ROWS_GRAPH)) return;
    const struct ci_span r = ci_nodes_of(b, graph);
    const float *p = a.p + r.first, *x = a.x[0] + (int64_t)r.first * cols, *dy = g.dy + (int64_t)graph * cols;
    float *dx = g.dx[0] + (int64_t)r.first * cols, *ds = part + WARPS, *da = ds + CHUNK, mean = 0;
    const int n = r.last - r.first;

    for (int i = ci_warp(); i < n; i += WARPS) mean += p[i] * dot(dy, x + (int64_t)i * cols, cols);
    mean = over_warps(part, mean, false);
    for (int d = threadIdx.x; d < cols; d += THREADS) da[d] = 0;
    for (int first = 0; first < n; first += CHUNK) {
        const int last = n - first < CHUNK ? n : first + CHUNK;
        for (int i = first + ci_warp(); i < last; i += WARPS) {
            const int64_t at = (int64_t)i * cols;
            const float s = p[i] * (dot(dy, x + at, cols) - mean);
            for (int d = ci_lane(); d < cols; d += CI_WARP) {
                const float v = p[i] * dy[d] + s * a.a[d];
                dx[at + d] = g.overwrite & 1 ? v : dx[at + d] + v;
            }
            if (ci_lane() == 0) ds[i - first] = s;
        }
        __syncthreads();
        for (int d = threadIdx.x; d < cols; d += THREADS)
            for (int i = first; i < last; i++) da[d] += ds[i - first] * x[(int64_t)i * cols + d];
        __syncthreads();
    }
    for (int d = threadIdx.x; d < cols && g.a.sum; d += THREADS) ci_grad_put(g.a, d, da[d]);
}

static unsigned graphs(const ci_k_batch *b) { return ci_blocks(b->most[CI_ROWS_GRAPH], 1); }

void ci_cuda_pool(ci_dev *d, const ci_k_batch *b, const ci_k_pool_rows *a)
{
    if (a->how == CI_K_ATTENTION) CI_LAUNCH(d, pool_attention, graphs(b), THREADS, WARPS * sizeof(float), *b, *a);
    else CI_LAUNCH(d, pool, grid(b, a), THREADS, 0, *b, *a, width_of(*a));
}

void ci_cuda_pool_back(ci_dev *d, const ci_k_batch *b, const ci_k_pool_rows *a, const ci_k_pool_back *g)
{
    const size_t shared = ((size_t)WARPS + CHUNK + (size_t)a->cols[0]) * sizeof(float);
    if (a->how == CI_K_ATTENTION) CI_LAUNCH(d, pool_attention_back, graphs(b), THREADS, shared, *b, *a, *g);
    else CI_LAUNCH(d, pool_back, grid(b, a), THREADS, 0, *b, *a, *g, width_of(*a));
}
