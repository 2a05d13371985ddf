/* Threads of a block: barriers, exchanges of a warp, atomics, and what each order makes of them. */
#include "case.h"

/* ---- barriers ---- */
static __global__ void turn(const int *in, int *out, int barrier)
{
    int *s = (int *)emu_shared();
    const int t = (int)threadIdx.x, i = (int)(blockIdx.x * blockDim.x) + t;
    s[t] = in[i];
    if (barrier) __syncthreads();
    out[i] = s[(int)blockDim.x - 1 - t];
}
static void turned(int barrier)
{
    enum { N = 7 * 96 };
    emu_bench d;
    std::vector<int> v(N);
    for (int i = 0; i < N; i++) v[i] = i;
    int *in = d.up(v), *out = d.room<int>(N);
    emu_launch(d.s, "turn", 7, 96, 96 * sizeof(int), turn, in, out, barrier);
    v = d.down(out, N);
    unsigned hash = 0;
    int wrong = 0;
    for (int i = 0; i < N; i++) {
        wrong += v[i] != i / 96 * 96 + 95 - i % 96;
        hash = hash * 31 + (unsigned)v[i];
    }
    printf("%d wrong %u\n", wrong, hash);
    must(cudaFree(in));
    must(cudaFree(out));
}
CASE(barrier) { turned(1); }
CASE(barrier_missing) { turned(0); }

static __global__ void some_skip(int *out)
{
    if (threadIdx.x < 40) __syncthreads();
    out[threadIdx.x] = 1;
}
static __global__ void some_return(int *out)
{
    if (threadIdx.x == 3 && blockIdx.x == 2) return;
    __syncthreads();
    out[threadIdx.x] = 1;
}
static __global__ void two_barriers(int *out)
{
    if (threadIdx.x == 5) __syncthreads();
    else __syncthreads();
    out[threadIdx.x] = 1;
}
static void fails(const char *name, void (*kernel)(int *))
{
    emu_bench d;
    int *out = d.room<int>(64);
    emu_launch(d.s, name, 4, 64, 0, kernel, out);
    EXPECT(cudaPeekAtLastError() == cudaSuccess); /* it has not run yet */
    const cudaError_t e = cudaStreamSynchronize(d.s);
    tell(e);
    EXPECT(cudaStreamSynchronize(d.s) == e && cudaGetLastError() == e); /* for ever */
    EXPECT(cudaMalloc(&out, 16) == e);
}
CASE(barrier_skipped) { fails("some_skip", some_skip); }
CASE(barrier_returned) { fails("some_return", some_return); }
CASE(barrier_other) { fails("two_barriers", two_barriers); }

/* ---- exchanges ---- */
static __global__ void half_comes(int *out)
{
    int v = (int)threadIdx.x;
    if (threadIdx.x % 2) v = __shfl_xor_sync(0xffffffffu, v, 2);
    out[threadIdx.x] = v;
}
static __global__ void not_of_mask(int *out) { out[threadIdx.x] = __shfl_sync(0xffffu, 1, 0); }
static __global__ void other_masks(int *out)
{
    out[threadIdx.x] = __shfl_sync(threadIdx.x % 2 ? 0xffffffffu : 0x0fffffffu | 1u << threadIdx.x % 32, 1, 0);
}
CASE(lanes_missing) { fails("half_comes", half_comes); }
CASE(lane_not_of_mask) { fails("not_of_mask", not_of_mask); }
CASE(lanes_other_masks) { fails("other_masks", other_masks); }

enum { EACH = 16, LANES = 64 };
static __global__ void exchanges(long long *out)
{
    const int t = (int)threadIdx.x, l = t % 32;
    long long *o = out + t * EACH;
    const double x = 1000.5 + t;
    *o++ = __shfl_sync(0xffffffffu, t, 5);
    *o++ = __shfl_sync(0xffffffffu, t, l + 3, 8);
    *o++ = (long long)(__shfl_xor_sync(0xffffffffu, x, 16) * 2);
    *o++ = __shfl_xor_sync(0xffffffffu, (unsigned)t, 4, 4); /* a higher segment: its own */
    *o++ = (long long)__shfl_down_sync(0xffffffffu, (float)t, 7);
    *o++ = (long long)__shfl_up_sync(0xffffffffu, (unsigned long long)t, 9u);
    *o++ = __shfl_down_sync(0xffffffffu, t, 3, 8);
    *o++ = __ballot_sync(0xffffffffu, t % 3 == 0);
    *o++ = __any_sync(0xffffffffu, t == 40);
    *o++ = __all_sync(0xffffffffu, t < 32);
    if (l < 8) *o = __shfl_sync(0xffu, t, 2);
    else *o = __ballot_sync(0xffffff00u, l > 20);
    o++;
    __syncwarp();
    *o++ = __syncthreads_count(t % 5 == 0);
    *o++ = __syncthreads_or(t == 63);
    *o++ = __syncthreads_and(t < 63);
    *o++ = emu_lane();
    *o++ = 0;
}
CASE(exchange)
{
    emu_bench d;
    long long *out = d.room<long long>(LANES * EACH);
    emu_launch(d.s, "exchanges", 1, LANES, 0, exchanges, out);
    const std::vector<long long> v = d.down(out, LANES * EACH);
    for (int t = 0; t < LANES; t++) {
        const long long *o = &v[(size_t)t * EACH];
        const int l = t % 32, w = t - l;
        EXPECT(o[0] == w + 5);
        EXPECT(o[1] == t / 8 * 8 + (l + 3) % 8);
        EXPECT(o[2] == 2001 + 2 * (t ^ 16));
        EXPECT(o[3] == (l & 4 ? t ^ 4 : t));
        EXPECT(o[4] == (l + 7 < 32 ? t + 7 : t));
        EXPECT(o[5] == (l >= 9 ? t - 9 : t));
        EXPECT(o[6] == (t % 8 + 3 < 8 ? t + 3 : t));
        unsigned thirds = 0, high = 0;
        for (int k = 0; k < 32; k++) {
            thirds |= (unsigned)((w + k) % 3 == 0) << k;
            high |= (unsigned)(k > 20) << k;
        }
        EXPECT(o[7] == thirds);
        EXPECT(o[8] == (w == 32));
        EXPECT(o[9] == (w == 0));
        EXPECT(o[10] == (l < 8 ? w + 2 : (long long)high));
        EXPECT(o[11] == 13 && o[12] == 1 && o[13] == 0 && o[14] == l);
    }
    must(cudaFree(out));
    puts("good");
}

/* Two different warp sums one after another, in three dimensions, and a sum by atomics. */
static __global__ void sums(int *out, unsigned long long *all)
{
    const int t = (int)(threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z));
    int v = t;
    for (int k = 16; k > 0; k >>= 1) v += __shfl_xor_sync(0xffffffffu, v, k);
    atomicAdd(all, (unsigned long long)t);
    atomicMax(out + 2, t);
    atomicOr(out + 3, 1 << t % 20);
    if (t % 32 == 0) atomicAdd(out, v);
    if (atomicCAS(out + 4, -1, t) == -1) atomicExch(out + 1, 7);
}
CASE(sum)
{
    emu_bench d;
    int *out = d.up(std::vector<int>{0, 0, -5, 0, -1});
    unsigned long long *all = d.up(std::vector<unsigned long long>{1ull << 40});
    emu_launch(d.s, "sums", dim3(2, 3), dim3(8, 4, 6), 0, sums, out, all);
    const std::vector<int> v = d.down(out, 5);
    EXPECT(v[0] == 6 * (192 * 191 / 2) && v[1] == 7 && v[2] == 191 && v[3] == (1 << 20) - 1 && v[4] >= 0);
    EXPECT(d.down(all, 1)[0] == (1ull << 40) + 6 * (192 * 191 / 2));
    must(cudaFree(out));
    must(cudaFree(all));
    puts("good");
}

/* ---- launches ---- */
static __global__ void nothing(int) {}
static void asked(dim3 grid, dim3 block, size_t shared, cudaStream_t s, cudaError_t want)
{
    emu_launch(s, "nothing", grid, block, shared, nothing, 1);
    const cudaError_t e = cudaGetLastError();
    if (e != want) tell(e);
    EXPECT(e == want && cudaGetLastError() == cudaSuccess);
}
CASE(launches)
{
    emu_bench d;
    asked(1, 1024, 48 << 10, d.s, cudaSuccess);
    asked(1, 1025, 0, d.s, cudaErrorInvalidConfiguration);
    asked(1, dim3(1, 1, 65), 0, d.s, cudaErrorInvalidConfiguration);
    asked(0, 32, 0, d.s, cudaErrorInvalidConfiguration);
    asked(1, 0, 0, d.s, cudaErrorInvalidConfiguration);
    asked(dim3(1, 65536), 1, 0, d.s, cudaErrorInvalidConfiguration);
    asked(1, 32, (48 << 10) + 1, d.s, cudaErrorInvalidValue);
    EXPECT(cudaFuncSetAttribute(nothing, cudaFuncAttributeMaxDynamicSharedMemorySize, (227 << 10) + 1) == cudaErrorInvalidValue);
    cudaGetLastError();
    must(cudaFuncSetAttribute(nothing, cudaFuncAttributeMaxDynamicSharedMemorySize, 227 << 10));
    asked(1, 32, 227 << 10, d.s, cudaSuccess);
    asked(1, 32, (227 << 10) + 1, d.s, cudaErrorInvalidValue);
    must(cudaStreamSynchronize(d.s));
    puts("good");
}

static __global__ void plain(int *out) { out[blockIdx.x * blockDim.x + threadIdx.x] = (int)threadIdx.x; }
static __global__ void with_barrier(int *out)
{
    __syncthreads();
    out[blockIdx.x * blockDim.x + threadIdx.x] = (int)threadIdx.x;
}
static double clock_ms() { return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
CASE(price)
{
    emu_bench d;
    int *out = d.room<int>(100 * 256);
    double best[2] = {1e9, 1e9};
    for (int k = 0; k < 40; k++) {
        const double begin = clock_ms();
        if (k % 2) emu_launch(d.s, "with_barrier", 100, 256, 0, with_barrier, out);
        else emu_launch(d.s, "plain", 100, 256, 0, plain, out);
        must(cudaStreamSynchronize(d.s));
        best[k % 2] = std::min(best[k % 2], clock_ms() - begin);
    }
    printf("100 blocks of 256 threads: %.3f ms, with a barrier %.3f ms\n", best[0], best[1]);
    must(cudaFree(out));
}
