/* A grid: its blocks one after another, each with its shared memory poisoned; and what a launch may not ask for. */
#include "emu_priv.h"
#include <cstdio>
#include <map>

enum { SHARED_PLAIN = 48 << 10, SHARED_MOST = 227 << 10, BEHIND = 64 };
static std::map<const void *, int> shared_most; /* of functions that asked for more than 48 KiB */

cudaError_t emu_func_attribute(const void *f, cudaFuncAttribute what, int value)
{
    EMU_NEED_DEVICE;
    if (!f) return emu_return(cudaErrorInvalidDeviceFunction);
    if (what == cudaFuncAttributeMaxDynamicSharedMemorySize) {
        if (value < 0 || value > SHARED_MOST) return emu_return(cudaErrorInvalidValue);
        shared_most[f] = value;
    }
    return cudaSuccess;
}

static std::string triple(unsigned x, unsigned y, unsigned z)
{
    return "(" + std::to_string(x) + "," + std::to_string(y) + "," + std::to_string(z) + ")";
}

void emu_grid_run(const char *name, dim3 grid, dim3 block, size_t shared, const emu_kernel &k)
{
    static std::vector<unsigned> order;
    if (emu_fault_kernel(name)) {
        emu_fail_device(cudaErrorIllegalAddress, std::string("kernel ") + name + ": a fault that was asked for");
        return;
    }
    emu_order_seed();
    emu_block_shape(grid, block);
    emu_arrange(order, grid.x * grid.y * grid.z);
    /* Of exactly the size that was asked for: AddressSanitizer sees what lies behind it, and without it the bytes behind are looked at. */
#ifdef __SANITIZE_ADDRESS__
    const size_t behind = 0;
#else
    const size_t behind = BEHIND;
#endif
    unsigned char *const s = (unsigned char *)malloc(shared + behind); /* 16-byte aligned, as on the device */
    std::string why;
    bool good = s != nullptr;
    if (!good) why = "no memory to be shared";
    for (size_t i = 0; good && i < order.size(); i++) {
        const unsigned at = order[i];
        blockIdx = {at % grid.x, at / grid.x % grid.y, at / (grid.x * grid.y)};
        memset(s, 0xff, shared);
        memset(s + shared, 0xa5, behind);
        good = emu_block_run(k, block.x * block.y * block.z, s, why);
        for (size_t j = 0; good && j < behind; j++)
            if (s[shared + j] != 0xa5) {
                why = "wrote " + std::to_string(j + 1) + " bytes or more behind its " + std::to_string(shared) + " bytes of shared memory";
                good = false;
            }
    }
    if (!good) emu_fail_device(cudaErrorLaunchFailure, std::string("kernel ") + name + ", block " + triple(blockIdx.x, blockIdx.y, blockIdx.z) + ", " + why);
    free(s);
}

bool emu_points_to_host(const void *argument, size_t bytes)
{
    for (size_t at = 0; at + sizeof(uintptr_t) <= bytes; at += sizeof(uintptr_t)) {
        uintptr_t v;
        memcpy(&v, (const char *)argument + at, sizeof v);
        if (emu_host_memory(v)) return true;
    }
    return false;
}

void emu_launch_kernel(cudaStream_t s, const char *name, dim3 grid, dim3 block, size_t shared, const void *f, std::shared_ptr<emu_kernel> k)
{
    const cudaError_t ready = emu_ready();
    if (ready != cudaSuccess) {
        emu_return(ready);
        return;
    }
    const uint64_t threads = (uint64_t)block.x * block.y * block.z, blocks = (uint64_t)grid.x * grid.y * grid.z;
    if (threads == 0 || threads > 1024 || block.z > 64 || blocks == 0 || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535) {
        emu_return(cudaErrorInvalidConfiguration);
        return;
    }
    const auto most = shared_most.find(f);
    if (shared > (size_t)(most == shared_most.end() ? (int)SHARED_PLAIN : std::max(most->second, (int)SHARED_PLAIN))) {
        emu_return(cudaErrorInvalidValue);
        return;
    }
    const int bad = k->host_pointer();
    if (bad) {
        emu_fail_device(cudaErrorIllegalAddress, std::string("kernel ") + name + ": argument " + std::to_string(bad) + " points to memory of the host");
        return;
    }
    const std::string called = name;
    emu_return(emu_ask(s, cudaGraphNodeTypeKernel, name, [=](std::shared_ptr<void> &) {
        emu_grid_run(called.c_str(), grid, block, shared, *k);
        return true;
    }));
}
