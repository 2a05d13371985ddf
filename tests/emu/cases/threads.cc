/* Barriers, exchanges, atomics and the order of threads.  Run by tests/emu/test_emu.py: argv[1] says what. */
#include "case.h"

static __global__ void reverse_in_block(const int *in, int *out, int barrier)
{
    int *s = (int *)emu_shared();
    const int t = (int)threadIdx.x, i = (int)(blockIdx.x * blockDim.x) + t;
    s[t] = in[i];
    if (barrier) __syncthreads();
    out[i] = s[(int)blockDim.x - 1 - t];
}
static __global__ void plain(int *out) { out[blockIdx.x * blockDim.x + threadIdx.x] = (int)threadIdx.x; }
static __global__ void barrier(int *out)
{
    __syncthreads();
    out[blockIdx.x * blockDim.x + threadIdx.x] = (int)threadIdx.x;
}

int main(int, char **argv)
{
    const std::string what = argv[1];
    cudaStream_t s;
    must(cudaSetDevice(0));
    must(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    enum { N = 100 * 256 };
    int *in, *out;
    must(cudaMalloc(&in, N * sizeof(int)));
    must(cudaMalloc(&out, N * sizeof(int)));
    std::vector<int> v(N), w(N);
    for (int i = 0; i < N; i++) v[i] = i;
    must(cudaMemcpyAsync(in, v.data(), N * sizeof(int), cudaMemcpyHostToDevice, s));
    if (what == "reverse" || what == "nobarrier") {
        emu_launch(s, "reverse_in_block", 100, 256, 256 * sizeof(int), reverse_in_block, in, out, what == "reverse");
        must(cudaMemcpyAsync(w.data(), out, N * sizeof(int), cudaMemcpyDeviceToHost, s));
        must(cudaStreamSynchronize(s));
        int wrong = 0;
        for (int i = 0; i < N; i++) wrong += w[i] != i / 256 * 256 + 255 - i % 256;
        printf("%d wrong\n", wrong);
    }
    if (what == "time") {
        for (int k = 0; k < 2; k++) {
            const double a = now();
            for (int j = 0; j < 20; j++) emu_launch(s, "plain", 100, 256, 0, plain, out);
            must(cudaStreamSynchronize(s));
            const double b = now();
            for (int j = 0; j < 20; j++) emu_launch(s, "barrier", 100, 256, 0, barrier, out);
            must(cudaStreamSynchronize(s));
            if (k) printf("plain %.3f ms, with a barrier %.3f ms\n", (b - a) * 50, (now() - b) * 50);
        }
    }
    must(cudaFree(in));
    must(cudaFree(out));
    must(cudaStreamDestroy(s));
    return 0;
}
