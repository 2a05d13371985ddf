/* The devices of this host, and which of them the process sees. */
#include "emu_priv.h"
#include <cstdio>

static int current = 0;
static bool opened;

static std::vector<int> visible()
{
    std::vector<int> out;
    const char *v = getenv("CANIDS_EMU_DEVICES"), *chosen = getenv("CUDA_VISIBLE_DEVICES");
    const int n = v ? atoi(v) : 1;
    if (!chosen) {
        for (int i = 0; i < n; i++) out.push_back(i);
        return out;
    }
    /* As CUDA: up to the first one that is none. */
    for (const char *p = chosen; *p;) {
        char *end;
        const long i = strtol(p, &end, 10);
        if (end == p || i < 0 || i >= n) break;
        out.push_back((int)i);
        if (*end != ',') break;
        p = end + 1;
    }
    return out;
}

static cudaError_t can_use()
{
    if (!opened) emu_fault_read();
    if (emu_fault_driver()) return cudaErrorInsufficientDriver;
    if (emu_fault_no_device() || visible().empty()) return cudaErrorNoDevice;
    return cudaSuccess;
}

cudaError_t emu_ready()
{
    if (emu_failed() != cudaSuccess) return emu_failed();
    if (opened) return cudaSuccess;
    const cudaError_t e = can_use();
    if (e != cudaSuccess) return e;
    emu_order_read();
    opened = true;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *out)
{
    *out = 0;
    const cudaError_t e = can_use();
    if (e == cudaSuccess) *out = (int)visible().size();
    return emu_return(e);
}

cudaError_t cudaSetDevice(int index)
{
    /* A process that gave everything back opens the device anew: with what the environment says now, and recovered. */
    if (!emu_streams_any() && !emu_memory_any()) {
        opened = false;
        emu_recover();
    }
    const cudaError_t e = can_use();
    if (e != cudaSuccess) return emu_return(e);
    if (index < 0 || index >= (int)visible().size()) return emu_return(cudaErrorInvalidDevice);
    current = index;
    return emu_return(emu_ready());
}

cudaError_t cudaGetDevice(int *out)
{
    *out = current;
    return emu_return(can_use());
}
cudaError_t cudaSetDeviceFlags(unsigned) { return emu_return(can_use()); }
cudaError_t cudaDeviceReset()
{
    emu_streams_drop();
    opened = false;
    emu_recover();
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *out)
{
    if (!opened) emu_fault_read();
    *out = emu_fault_driver() ? 11040 : CUDART_VERSION;
    return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int *out)
{
    *out = CUDART_VERSION;
    return cudaSuccess;
}

static cudaError_t physical(int index, int *out)
{
    const cudaError_t e = can_use();
    if (e != cudaSuccess) return emu_return(e);
    const std::vector<int> v = visible();
    if (index < 0 || index >= (int)v.size()) return emu_return(cudaErrorInvalidDevice);
    *out = v[(size_t)index];
    return emu_return(cudaSuccess);
}

static int attribute(cudaDeviceAttr what, int device)
{
    switch (what) {
    case cudaDevAttrMaxThreadsPerBlock: return 1024;
    case cudaDevAttrMaxSharedMemoryPerBlock: return 48 << 10;
    case cudaDevAttrWarpSize: return 32;
    case cudaDevAttrClockRate: return 1755000;
    case cudaDevAttrMultiProcessorCount: return 132;
    case cudaDevAttrPciBusId: return 0x10 + device;
    case cudaDevAttrPciDeviceId: return 0;
    case cudaDevAttrMemoryClockRate: return 2619000;
    case cudaDevAttrL2CacheSize: return 50 << 20;
    case cudaDevAttrPciDomainId: return 0;
    case cudaDevAttrComputeCapabilityMajor: return 9;
    case cudaDevAttrComputeCapabilityMinor: return 0;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor: return 228 << 10;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: return 227 << 10;
    case cudaDevAttrMemoryPoolsSupported: return 0;
    }
    return 0;
}

cudaError_t cudaDeviceGetAttribute(int *out, cudaDeviceAttr what, int index)
{
    int device;
    const cudaError_t e = physical(index, &device);
    if (e == cudaSuccess) *out = attribute(what, device);
    return e;
}

cudaError_t cudaDeviceGetPCIBusId(char *out, int size, int index)
{
    int device;
    const cudaError_t e = physical(index, &device);
    if (e != cudaSuccess) return e;
    if (size < 13) return emu_return(cudaErrorInvalidValue);
    snprintf(out, (size_t)size, "0000:%02X:00.0", 0x10 + device);
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *out, int index)
{
    int device;
    const cudaError_t e = physical(index, &device);
    if (e != cudaSuccess) return e;
    *out = cudaDeviceProp();
    snprintf(out->name, sizeof out->name, "emulated device %d", device);
    out->uuid.bytes[15] = (char)device;
    out->totalGlobalMem = emu_memory_total();
    out->sharedMemPerBlock = 48 << 10;
    out->sharedMemPerBlockOptin = 227 << 10;
    out->sharedMemPerMultiprocessor = 228 << 10;
    out->regsPerBlock = out->regsPerMultiprocessor = 65536;
    out->warpSize = 32;
    out->maxThreadsPerBlock = 1024;
    out->maxThreadsDim[0] = out->maxThreadsDim[1] = 1024, out->maxThreadsDim[2] = 64;
    out->maxGridSize[0] = 0x7fffffff, out->maxGridSize[1] = out->maxGridSize[2] = 65535;
    out->maxThreadsPerMultiProcessor = 2048;
    out->totalConstMem = 65536;
    out->major = 9;
    out->multiProcessorCount = 132;
    out->l2CacheSize = 50 << 20;
    out->memoryBusWidth = 5120;
    out->pciBusID = 0x10 + device;
    out->asyncEngineCount = 3;
    out->unifiedAddressing = out->concurrentKernels = out->canMapHostMemory = 1;
    return cudaSuccess;
}
