/* Streams, events, graphs, and faults that are asked for. */
#include "case.h"
#include <functional>

static __global__ void twice(const int *in, int *out) { out[threadIdx.x] = 2 * in[threadIdx.x]; }
static __global__ void add(int *p, int v) { p[threadIdx.x] += v; }

/* One stream fills what the other reads. */
static void two(bool event)
{
    emu_bench d;
    cudaStream_t copies;
    cudaEvent_t there;
    must(cudaStreamCreateWithFlags(&copies, cudaStreamNonBlocking));
    must(cudaEventCreateWithFlags(&there, cudaEventDisableTiming));
    int h[32], *in = d.room<int>(32), *out = d.room<int>(32);
    std::string seen;
    for (int k = 0; k < 4; k++) {
        for (int i = 0; i < 32; i++) h[i] = 100 * k + i;
        must(cudaMemcpyAsync(in, h, sizeof h, cudaMemcpyHostToDevice, copies));
        must(cudaEventRecord(there, copies));
        if (event) must(cudaStreamWaitEvent(d.s, there, 0));
        emu_launch(d.s, "twice", 1, 32, 0, twice, in, out);
        const int got = d.down(out, 32)[7];
        seen += got == 2 * (100 * k + 7) ? "y" : "n";
        must(cudaStreamSynchronize(copies));
    }
    puts(seen.c_str());
    must(cudaEventDestroy(there));
    must(cudaStreamDestroy(copies));
    must(cudaFree(in));
    must(cudaFree(out));
}
CASE(event) { two(true); }
CASE(event_missing) { two(false); }

/* Nothing runs before somebody waits; memory of the host is read when the copy runs; arguments are those of the launch. */
CASE(lazy)
{
    emu_bench d;
    int h[32] = {0}, v = 5, *p = d.room<int>(32);
    must(cudaMemcpyAsync(p, h, sizeof h, cudaMemcpyHostToDevice, d.s));
    emu_launch(d.s, "add", 1, 32, 0, add, p, v);
    v = 1000;
    h[3] = 70;
    EXPECT(cudaStreamQuery(d.s) == cudaErrorNotReady && cudaStreamQuery(d.s) == cudaSuccess);
    EXPECT(d.down(p, 32)[3] == 75);
    must(cudaMemset(p, 0, 32 * sizeof *p)); /* waits */
    emu_launch(d.s, "add", 1, 32, 0, add, p, 1);
    EXPECT(d.down(p, 32)[31] == 1);
    must(cudaFree(p));
    puts("good");
}

CASE(graph)
{
    emu_bench d;
    cudaGraph_t g;
    cudaGraphExec_t x;
    cudaStreamCaptureStatus status;
    int h[32] = {0}, *p = d.up(std::vector<int>(32, 0));
    must(cudaStreamBeginCapture(d.s, cudaStreamCaptureModeThreadLocal));
    must(cudaMemcpyAsync(p, h, sizeof h, cudaMemcpyHostToDevice, d.s));
    emu_launch(d.s, "add", 1, 32, 0, add, p, 3);
    emu_launch(d.s, "add", 1, 32, 0, add, p, 4);
    must(cudaMemsetAsync(p, 0, sizeof *p, d.s));
    must(cudaStreamIsCapturing(d.s, &status));
    EXPECT(status == cudaStreamCaptureStatusActive);
    must(cudaStreamEndCapture(d.s, &g));
    must(cudaGraphInstantiate(&x, g, 0));
    size_t n = 0;
    must(cudaGraphGetNodes(g, nullptr, &n));
    EXPECT(n == 4);
    cudaGraphNode_t node[4];
    cudaGraphNodeType type;
    must(cudaGraphGetNodes(g, node, &n));
    must(cudaGraphNodeGetType(node[0], &type));
    EXPECT(type == cudaGraphNodeTypeMemcpy);
    must(cudaGraphNodeGetType(node[2], &type));
    EXPECT(type == cudaGraphNodeTypeKernel);
    must(cudaGraphDestroy(g));
    EXPECT(d.down(p, 32)[1] == 0); /* nothing was done yet */
    for (int k = 0; k < 3; k++) {
        h[1] = 10 * k;
        must(cudaGraphLaunch(x, d.s));
        const std::vector<int> v = d.down(p, 32);
        EXPECT(v[0] == 0 && v[1] == 10 * k + 7 && v[31] == 7);
    }
    must(cudaGraphExecDestroy(x));
    must(cudaFree(p));
    puts("good");
}

CASE(capture_refuses)
{
    emu_bench d;
    void *p = d.room<char>(8), *q = nullptr;
    char h[8];
    const std::vector<std::function<cudaError_t()>> forbidden = {
        [&] { return cudaMalloc(&q, 8); },
        [&] { return cudaFree(p); },
        [&] { return cudaStreamSynchronize(d.s); },
        [&] { return cudaStreamQuery(d.s); },
        [&] { return cudaDeviceSynchronize(); },
        [&] { return cudaMemcpy(p, h, 8, cudaMemcpyHostToDevice); },
    };
    for (const auto &f : forbidden) {
        cudaGraph_t g;
        must(cudaStreamBeginCapture(d.s, cudaStreamCaptureModeThreadLocal));
        must(cudaMemsetAsync(p, 0, 8, d.s));
        printf("%s ", cudaGetErrorName(f()));
        EXPECT(cudaStreamEndCapture(d.s, &g) == cudaErrorStreamCaptureInvalidated && !g);
        cudaGetLastError();
    }
    puts("");
    must(cudaFree(p));
}

/* Three launches of two kernels, each waited for. */
CASE(kernels)
{
    emu_bench d;
    int *p = d.room<int>(32);
    must(cudaMemsetAsync(p, 0, 32 * sizeof *p, d.s));
    for (int k = 0; k < 3; k++) {
        emu_launch(d.s, "twice", 1, 32, 0, twice, p, p);
        emu_launch(d.s, "add", 1, 32, 0, add, p, 1);
        const cudaError_t e = cudaStreamSynchronize(d.s);
        printf("%d ", k);
        tell(e);
    }
    /* A process that gives all back may open the device anew. */
    cudaFree(p);
    cudaStreamDestroy(d.s);
    setenv("CANIDS_EMU_FAULT", "", 1);
    must(cudaSetDevice(0));
    must(cudaStreamCreate(&d.s));
}
