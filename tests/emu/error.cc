/* Codes and their words; the last one; and the failure that a device never recovers from. */
#include "emu_priv.h"
#include <cstdio>

static cudaError_t last, dead;
static std::string dead_why;

#define EACH(X)                                                                                          \
    X(cudaSuccess, "no error")                                                                           \
    X(cudaErrorInvalidValue, "invalid argument")                                                         \
    X(cudaErrorMemoryAllocation, "out of memory")                                                        \
    X(cudaErrorInitializationError, "initialization error")                                              \
    X(cudaErrorInvalidConfiguration, "invalid configuration argument")                                   \
    X(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy")                              \
    X(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version")       \
    X(cudaErrorDevicesUnavailable, "CUDA-capable device(s) is/are busy or unavailable")                  \
    X(cudaErrorInvalidDeviceFunction, "invalid device function")                                         \
    X(cudaErrorNoDevice, "no CUDA-capable device is detected")                                           \
    X(cudaErrorInvalidDevice, "invalid device ordinal")                                                  \
    X(cudaErrorNoKernelImageForDevice, "no kernel image is available for execution on the device")       \
    X(cudaErrorInvalidResourceHandle, "invalid resource handle")                                         \
    X(cudaErrorNotReady, "device not ready")                                                             \
    X(cudaErrorIllegalAddress, "an illegal memory access was encountered")                               \
    X(cudaErrorLaunchOutOfResources, "too many resources requested for launch")                          \
    X(cudaErrorLaunchFailure, "unspecified launch failure")                                              \
    X(cudaErrorNotSupported, "operation not supported")                                                  \
    X(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing")             \
    X(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture")      \
    X(cudaErrorStreamCaptureUnmatched, "attempt to terminate a capture that did not begin in this stream") \
    X(cudaErrorStreamCaptureIsolation, "dependency created on uncaptured work in another stream")        \
    X(cudaErrorStreamCaptureImplicit, "operation would make the legacy stream depend on a capturing blocking stream") \
    X(cudaErrorCapturedEvent, "operation not permitted on an event last recorded in a capturing stream") \
    X(cudaErrorUnknown, "unknown error")

const char *cudaGetErrorName(cudaError_t e)
{
#define NAME(code, words) case code: return #code;
    switch (e) { EACH(NAME) }
#undef NAME
    return "unrecognized error code";
}
static const char *words_of(cudaError_t e)
{
#define WORDS(code, words) case code: return words;
    switch (e) { EACH(WORDS) }
#undef WORDS
    return "unrecognized error code";
}
const char *cudaGetErrorString(cudaError_t e)
{
    static std::string all;
    if (e == cudaSuccess || e != dead || dead_why.empty()) return words_of(e);
    all = std::string(words_of(e)) + ": " + dead_why;
    return all.c_str();
}

cudaError_t emu_return(cudaError_t e)
{
    if (dead != cudaSuccess && e != cudaErrorNotReady) e = dead;
    if (e != cudaSuccess) last = e; /* "not ready", too: so does CUDA */
    return e;
}
cudaError_t cudaGetLastError()
{
    const cudaError_t e = last;
    last = dead;
    return e;
}
cudaError_t cudaPeekAtLastError() { return last; }

cudaError_t emu_failed() { return dead; }
void emu_fail_device(cudaError_t e, const std::string &why)
{
    if (dead != cudaSuccess) return;
    dead = last = e;
    dead_why = why;
    fprintf(stderr, "emulation: %s\n", why.c_str());
    emu_streams_drop();
}
void emu_recover()
{
    dead = last = cudaSuccess;
    dead_why.clear();
}
