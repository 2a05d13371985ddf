#ifndef EMU_CASE_H
#define EMU_CASE_H
/* Small programs for the emulation itself: tests/emu/test_emu.py starts `cases NAME`, sets the environment and reads what is printed.
 * A case prints values that the script compares; what must hold in any order is checked here. */
#include <cuda_runtime.h>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

struct emu_case {
    const char *name;
    void (*run)();
    emu_case *next;
    static emu_case *all;
    emu_case(const char *n, void (*r)()) : name(n), run(r), next(all) { all = this; }
};
#define CASE(name)                              \
    static void name();                         \
    static emu_case name##_case(#name, name);   \
    static void name()

static inline void must(cudaError_t e, int line = __builtin_LINE(), const char *file = __builtin_FILE())
{
    if (e == cudaSuccess) return;
    printf("%s:%d: %s: %s\n", file, line, cudaGetErrorName(e), cudaGetErrorString(e));
    fflush(stdout);
    _Exit(3);
}
static inline void expect(bool good, const char *what, int line = __builtin_LINE(), const char *file = __builtin_FILE())
{
    if (good) return;
    printf("%s:%d: not so: %s\n", file, line, what);
    fflush(stdout);
    _Exit(4);
}
#define EXPECT(x) expect((x), #x)
static inline void tell(cudaError_t e) { printf("%s %s\n", cudaGetErrorName(e), cudaGetErrorString(e)); }

/* A device and a stream. */
struct emu_bench {
    cudaStream_t s;
    emu_bench()
    {
        must(cudaSetDevice(0));
        must(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    }
    ~emu_bench() { cudaStreamDestroy(s); }
    template <class T> T *room(size_t n)
    {
        T *p;
        must(cudaMalloc(&p, n * sizeof(T)));
        return p;
    }
    template <class T> T *up(const std::vector<T> &v)
    {
        T *p = room<T>(v.size());
        must(cudaMemcpyAsync(p, v.data(), v.size() * sizeof(T), cudaMemcpyHostToDevice, s));
        must(cudaStreamSynchronize(s));
        return p;
    }
    template <class T> std::vector<T> down(const T *p, size_t n)
    {
        std::vector<T> v(n);
        must(cudaMemcpyAsync(v.data(), p, n * sizeof(T), cudaMemcpyDeviceToHost, s));
        must(cudaStreamSynchronize(s));
        return v;
    }
};
#endif
