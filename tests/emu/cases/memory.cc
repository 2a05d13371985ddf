/* Memory: poison, overruns, sides of a copy, limits. */
#include "case.h"

static __global__ void read_shared(unsigned *out)
{
    const unsigned *s = (const unsigned *)emu_shared();
    out[blockIdx.x * 2 + threadIdx.x] = s[threadIdx.x];
    __syncthreads();
    ((unsigned *)emu_shared())[threadIdx.x] = 5; /* what the next block must not see */
}
CASE(poison)
{
    emu_bench d;
    unsigned *out = d.room<unsigned>(9);
    for (unsigned u : d.down(out, 9)) EXPECT(u == 0xffffffffu);
    emu_launch(d.s, "read_shared", 4, 2, 8, read_shared, out);
    for (unsigned u : d.down(out, 8)) EXPECT(u == 0xffffffffu);
    EXPECT((uintptr_t)out % 256 == 0);
    must(cudaFree(out));
    puts("good");
}

static __global__ void beyond_shared(int n) { ((char *)emu_shared())[n] = (char)threadIdx.x; }
static __global__ void beyond_device(char *p, int n) { p[n] = 1; }
CASE(overrun_shared)
{
    emu_bench d;
    emu_launch(d.s, "beyond_shared", 1, 32, 100, beyond_shared, 100);
    tell(cudaStreamSynchronize(d.s));
}
CASE(overrun_device)
{
    emu_bench d;
    char *p = d.room<char>(99);
    emu_launch(d.s, "beyond_device", 1, 1, 0, beyond_device, p, 99);
    must(cudaStreamSynchronize(d.s));
    tell(cudaFree(p));
}

/* What a device cannot do, and a host cannot. */
struct place { int n; const int *at; };
static __global__ void follow(place p, int *out) { *out = p.at[p.n]; }
CASE(host_pointer)
{
    emu_bench d;
    int *out = d.room<int>(1), *good = d.up(std::vector<int>{5, 6}), bad[2] = {7, 8};
    emu_launch(d.s, "follow", 1, 1, 0, follow, (place{1, good}), out);
    EXPECT(d.down(out, 1)[0] == 6);
    emu_launch(d.s, "follow", 1, 1, 0, follow, (place{1, bad}), out);
    tell(cudaGetLastError());
}
CASE(host_reads)
{
    emu_bench d;
    int *out = d.up(std::vector<int>{5, 6});
    printf("%d\n", out[1]);
}

CASE(sides)
{
    emu_bench d;
    char *p = d.room<char>(64), *q = d.room<char>(64), h[64] = {0};
    EXPECT(cudaMemcpyAsync(p, h, 64, cudaMemcpyHostToDevice, d.s) == cudaSuccess);
    EXPECT(cudaMemcpyAsync(q, p, 64, cudaMemcpyDeviceToDevice, d.s) == cudaSuccess);
    EXPECT(cudaMemcpyAsync(h, h, 64, cudaMemcpyHostToDevice, d.s) == cudaErrorInvalidValue);
    EXPECT(cudaMemcpyAsync(p, q, 64, cudaMemcpyDeviceToHost, d.s) == cudaErrorInvalidValue);
    EXPECT(cudaMemcpyAsync(p + 1, h, 64, cudaMemcpyHostToDevice, d.s) == cudaErrorInvalidValue);
    EXPECT(cudaMemsetAsync(h, 0, 64, d.s) == cudaErrorInvalidValue);
    EXPECT(cudaFree(p + 1) == cudaErrorInvalidValue);
    must(cudaFree(p));
    EXPECT(cudaFree(p) == cudaErrorInvalidValue);
    EXPECT(cudaGetLastError() == cudaErrorInvalidValue && cudaGetLastError() == cudaSuccess);
    must(cudaFree(q));
    must(cudaFree(nullptr));
    puts("good");
}

CASE(limits)
{
    emu_bench d;
    size_t left, total;
    char *p, *q = nullptr;
    must(cudaMemGetInfo(&left, &total));
    printf("%zu of %zu\n", left, total);
    p = d.room<char>(600000);
    tell(cudaMalloc(&q, 600000));
    EXPECT(!q);
    must(cudaMemGetInfo(&left, &total));
    printf("%zu of %zu\n", left, total);
    must(cudaFree(p));
    tell(cudaMalloc(&q, 600000));
    must(cudaFree(q));
    void *pinned;
    must(cudaMallocHost(&pinned, 100));
    must(cudaFreeHost(pinned));
}

CASE(device)
{
    int n = -1, version = 0, mine = -1;
    const cudaError_t e = cudaGetDeviceCount(&n);
    printf("%d ", n);
    tell(e);
    must(cudaDriverGetVersion(&version));
    printf("driver %d\n", version);
    for (int i = 0; i < n; i++) {
        char bus[32];
        cudaDeviceProp p;
        must(cudaDeviceGetPCIBusId(bus, sizeof bus, i));
        must(cudaGetDeviceProperties(&p, i));
        must(cudaDeviceGetAttribute(&mine, cudaDevAttrComputeCapabilityMajor, i));
        printf("%s %d.%d\n", bus, p.major, p.minor);
        EXPECT(mine == p.major);
    }
    void *p = nullptr;
    cudaStream_t s;
    if (n == 0) EXPECT(cudaMalloc(&p, 1) == e && cudaStreamCreate(&s) == e && cudaSetDevice(0) == e);
    else EXPECT(cudaSetDevice(n) == cudaErrorInvalidDevice);
}
