#ifndef EMU_CASE_H
#define EMU_CASE_H
#include <cuda_runtime.h>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

static inline void must(cudaError_t e, int line = __builtin_LINE())
{
    if (e == cudaSuccess) return;
    printf("line %d: %s: %s\n", line, cudaGetErrorName(e), cudaGetErrorString(e));
    exit(3);
}
static inline double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
#endif
