/* What a step does with the sums of gradients: what ranks have to agree on, the norm, one pass of Adam.
 *
 * Everything is decided on the device, as a step is one captured graph.  Every block of the last launch reads the same agreed values
 * and the same partial squares and so comes to the same verdict; the first alone writes it down. */
#include <math.h>
#include "ci/kernel.h"

enum { THREADS = 256, WARPS = THREADS / CI_WARP, SLICE = 2048, PARTS = 1024, BLOCKS = 1024, RUNNING = 16 };
enum { UPDATED, REDO, NOT_FINITE, RANK_FAILED };

/* Squares are added by slices of the vector: how many and how long hangs on n alone. */
CI_BOTH int64_t parts_of(int64_t n) { return n < (int64_t)SLICE * PARTS ? (n + SLICE - 1) / SLICE : PARTS; }
CI_BOTH int64_t slice_of(int64_t n) { return n < (int64_t)SLICE * PARTS ? SLICE : (n + PARTS - 1) / PARTS; }

static unsigned blocks_of(int64_t n)
{
    const unsigned blocks = ci_blocks(n, THREADS);
    return blocks < BLOCKS ? blocks : BLOCKS;
}

/* ---- before the step ---- */

/* A thread an element, grid-stride; writes 8 bytes a parameter. */
static __global__ void optim_begin(const ci_k_optim o)
{
    const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x, step = (int64_t)gridDim.x * THREADS;

    for (int64_t i = at; i < o.n + CI_TERMS; i += step) o.sum[i] = 0;
    for (int64_t i = at; i <= o.n_tensor; i += step) o.largest[i] = 0;
    for (int64_t i = at; i < o.n_tensor + CI_FLAGS; i += step) o.agreed[i] = 0;
}

void ci_cuda_optim_begin(ci_dev *d, const ci_k_batch *b, const ci_k_optim *o)
{
    (void)b;
    CI_LAUNCH(d, optim_begin, blocks_of(o->n + CI_TERMS), THREADS, 0, *o);
}

/* ---- what this rank brings ---- */

CI_DEVICE float as_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The twin of sum_overflows of train/: a power of two times a float is exact in double. */
CI_DEVICE bool overflows(uint32_t largest, int exponent, int bits)
{
    return !((double)as_float(largest) * ci_exp2i(exponent) < ci_exp2i(bits));
}

/* One block, threads over tensors. */
static __global__ void optim_agree(const ci_k_batch b, const ci_k_optim o)
{
    CI_SHARED(uint32_t, overflow);
    const int T = o.n_tensor;

    if (threadIdx.x == 0) *overflow = 0;
    __syncthreads();
    for (int i = (int)threadIdx.x; i < T; i += THREADS) {
        const uint32_t largest = o.largest[i];
        o.agreed[i] = largest;
        if (overflows(largest, o.exponent[i], o.sum_bits)) atomicOr(overflow, 1u);
    }
    __syncthreads();
    if (threadIdx.x != 0) return;
    o.agreed[T + CI_FLAG_OVERFLOW] = *overflow;
    o.agreed[T + CI_FLAG_FAILED] = b.step->failed != 0;
    o.agreed[T + CI_FLAG_SIGNAL] = b.step->signal; /* its number */
    o.agreed[T + CI_FLAG_BAD_LOSS] = o.largest[T] != 0;
}

void ci_cuda_optim_agree(ci_dev *d, const ci_k_batch *b, const ci_k_optim *o)
{
    CI_LAUNCH(d, optim_agree, 1, THREADS, sizeof(uint32_t), *b, *o);
}

/* ---- sums as floats, and their squares ---- */

/* Which tensor element i belongs to: the last that begins at or before it. */
CI_DEVICE int tensor_at(const ci_k_optim &o, int64_t i)
{
    int low = 0, high = o.n_tensor;
    while (high - low > 1) {
        const int mid = (low + high) / 2;
        if (o.tensor[mid].first <= i) low = mid;
        else high = mid;
    }
    return low;
}

/* Elements first, first + stride, ... below last of the vector; a thread walks upwards and so through the tensors. */
struct walk { int tensor; int64_t begin, end; double unit; };

CI_DEVICE void walk_enter(const ci_k_optim &o, walk &k, int tensor)
{
    k.tensor = tensor;
    k.begin = o.tensor[tensor].first;
    k.end = k.begin + o.tensor[tensor].size;
    k.unit = ci_exp2i(-o.exponent[tensor]);
}

CI_DEVICE float walk_float(const ci_k_optim &o, walk &k, int64_t i)
{
    while (i >= k.end && k.tensor + 1 < o.n_tensor && i >= o.tensor[k.tensor + 1].first) walk_enter(o, k, k.tensor + 1);
    return i >= k.begin && i < k.end ? (float)((double)o.sum[i] * k.unit) : 0;
}

/* A thread an element, grid-stride; reads 8 bytes and writes 4 a parameter. */
static __global__ void optim_float(const ci_k_optim o)
{
    const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    walk k;

    if (at >= o.n) return;
    walk_enter(o, k, tensor_at(o, at));
    for (int64_t i = at; i < o.n; i += (int64_t)gridDim.x * THREADS) o.g[i] = walk_float(o, k, i);
}

void ci_cuda_optim_float(ci_dev *d, const ci_k_batch *b, const ci_k_optim *o)
{
    (void)b;
    CI_LAUNCH(d, optim_float, blocks_of(o->n), THREADS, 0, *o);
}

/* Sum over a block in one order; every thread has it.  `part`: WARPS + 1 doubles. */
CI_DEVICE double block_sum(double v, double *part)
{
    const int lane = (int)threadIdx.x % CI_WARP, warp = (int)threadIdx.x / CI_WARP;

    v = ci_warp_sum(v);
    if (lane == 0) part[warp] = v;
    __syncthreads();
    if (threadIdx.x == 0) {
        double sum = part[0];
        for (int k = 1; k < WARPS; k++) sum += part[k];
        part[WARPS] = sum;
    }
    __syncthreads();
    return part[WARPS];
}

/* One block a slice, threads over its elements: g of the sums, and the slice's sum of squares in double, one chain a thread and then
 * a tree.  Reads 8 (4 with fast) and writes 4 bytes a parameter. */
static __global__ void optim_norm(const ci_k_optim o)
{
    CI_SHARED(double, part);
    const int64_t slice = slice_of(o.n), first = (int64_t)blockIdx.x * slice, last = first + slice < o.n ? first + slice : o.n;
    const int64_t at = first + threadIdx.x;
    double sum = 0;
    walk k = {};

    if (at < last && !o.fast) walk_enter(o, k, tensor_at(o, at));
    for (int64_t i = at; i < last; i += THREADS) {
        const float g = o.fast ? o.g[i] : walk_float(o, k, i);
        if (!o.fast) o.g[i] = g;
        sum += (double)g * (double)g;
    }
    sum = block_sum(sum, part);
    if (threadIdx.x == 0) o.work[blockIdx.x] = sum;
}

int64_t ci_cuda_optim_work(int64_t n) { return parts_of(n) + 1; }

/* ---- the verdict and the update ---- */

/* The twin of sum_exponent of train/: a largest gradient below 2^e goes to 2^aim. */
CI_DEVICE int exponent_of(uint32_t largest, int old, int aim)
{
    int e = (int)(largest >> 23) - 126;

    if (largest == 0) return old;
    if (largest < 0x00800000u) { /* gradual underflow: bits of 2^-149 */
        e = -149;
        for (uint32_t m = largest; m; m >>= 1) e++;
    }
    return aim - e;
}

/* x^k by squaring, as adam.c has it. */
CI_DEVICE double power(double x, int64_t k)
{
    double y = 1;
    for (; k; k >>= 1, x *= x)
        if (k & 1) y *= x;
    return y;
}

CI_DEVICE bool is_finite(double x) { return x - x == 0; }

struct factors { float scale, decay, keep, b1, c1, b2, c2, rate, root, eps; };

/* As ci_adam_step has them. */
CI_DEVICE struct factors factors_of(const ci_k_optim &o, const ci_k_step *s, double norm)
{
    struct factors f;

    f.scale = o.clip > 0 && norm + 1e-6 > o.clip ? (float)(o.clip / (norm + 1e-6)) : 1;
    f.decay = o.decoupled ? 0 : (float)o.decay;
    f.keep = o.decoupled ? (float)(1 - s->lr * o.decay) : 1;
    f.b1 = (float)o.beta1;
    f.c1 = (float)(1 - o.beta1);
    f.b2 = (float)o.beta2;
    f.c2 = (float)(1 - o.beta2);
    f.rate = (float)(s->lr / (1 - power(o.beta1, s->t)));
    f.root = (float)sqrt(1 - power(o.beta2, s->t));
    f.eps = (float)o.eps;
    return f;
}

/* The norm of all slices: every block adds the same numbers in the same order. */
CI_DEVICE double norm_of(const ci_k_optim &o, double *part)
{
    double sum = 0;
    for (int64_t i = threadIdx.x; i < parts_of(o.n); i += THREADS) sum += o.work[i];
    return sqrt(block_sum(sum, part));
}

CI_DEVICE int verdict(const ci_k_optim &o, const ci_k_step *s, double norm, uint32_t *strange)
{
    if (threadIdx.x == 0) *strange = 0;
    __syncthreads();
    for (int i = (int)threadIdx.x; i < o.n_tensor; i += THREADS)
        if (o.agreed[i] >= 0x7f800000) atomicOr(strange, 1u);
    __syncthreads();
    const int64_t *flag = o.agreed + o.n_tensor;
    if (flag[CI_FLAG_FAILED]) return RANK_FAILED;
    if (*strange || flag[CI_FLAG_BAD_LOSS]) return NOT_FINITE;
    if (s->redo || flag[CI_FLAG_OVERFLOW]) return REDO;
    return is_finite(norm) ? UPDATED : NOT_FINITE;
}

struct finish_shared { double part[WARPS + 1]; struct factors f; uint32_t strange; };

/* A thread an element, grid-stride; each block first adds up to 1024 partial squares and looks at the agreed values.  Reads 16 and
 * writes 12 bytes a parameter. */
static __global__ void optim_adam(const ci_k_batch b, const ci_k_optim o)
{
    CI_SHARED(finish_shared, s);
    const double norm = norm_of(o, s->part);
    const int status = verdict(o, b.step, norm, &s->strange);

    if (blockIdx.x == 0) {
        for (int i = (int)threadIdx.x; i < o.n_tensor && status <= REDO; i += THREADS)
            o.exponent[i] = exponent_of((uint32_t)o.agreed[i], o.exponent[i], o.sum_aim);
        if (threadIdx.x == 0) {
            o.work[parts_of(o.n)] = norm;
            *o.status = status;
        }
    }
    if (status != UPDATED) return;
    if (threadIdx.x == 0) s->f = factors_of(o, b.step, norm);
    __syncthreads();
    const struct factors f = s->f;
    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < o.n; i += (int64_t)gridDim.x * THREADS) {
        const float w = o.w[i], d = o.g[i] * f.scale + f.decay * w;
        const float m = f.b1 * o.m[i] + f.c1 * d, v = f.b2 * o.v[i] + f.c2 * (d * d);
        o.m[i] = m;
        o.v[i] = v;
        o.w[i] = f.keep * w - f.rate * (m / (sqrtf(v) / f.root + f.eps));
    }
}

void ci_cuda_optim_finish(ci_dev *d, const ci_k_batch *b, const ci_k_optim *o)
{
    if (o->n > 0) CI_LAUNCH(d, optim_norm, (unsigned)parts_of(o->n), THREADS, (WARPS + 1) * sizeof(double), *o);
    CI_LAUNCH(d, optim_adam, blocks_of(o->n), THREADS, sizeof(finish_shared), *b, *o);
}

/* ---- running statistics ---- */

struct running_list { int n; ci_k_running at[RUNNING]; };

/* One block a norm, threads over columns; as ci_batch_norm_close has it. */
static __global__ void optim_running(const ci_k_batch b, const ci_k_optim o, const running_list list)
{
    const ci_k_running r = list.at[blockIdx.x];
    const double n = (double)b.step->n_node, unbiased = b.step->n_node > 1 ? n / (n - 1) : 1;

    if (*o.status != UPDATED) return;
    for (int c = (int)threadIdx.x; c < r.cols; c += THREADS) {
        const double mean = r.total[c] / n, rest = r.total[r.cols + c] / n - mean * mean, var = rest > 0.0 ? rest : 0.0;
        r.mean[c] = (float)(0.9 * (double)r.mean[c] + 0.1 * mean);
        r.var[c] = (float)(0.9 * (double)r.var[c] + 0.1 * var * unbiased);
    }
}

void ci_cuda_running(ci_dev *d, const ci_k_batch *b, const ci_k_optim *o, const ci_k_running *r, int n)
{
    for (int from = 0; from < n; from += RUNNING) {
        running_list list = {};
        list.n = n - from < RUNNING ? n - from : RUNNING;
        memcpy(list.at, r + from, (size_t)list.n * sizeof *r);
        CI_LAUNCH(d, optim_running, (unsigned)list.n, THREADS, 0, *b, *o, list);
    }
}
