/* Memory of the device: a block of the heap for each allocation, of exactly its size, so that AddressSanitizer sees what lies outside;
 * without it, the bytes around are looked at when the block is freed.  While no stream runs it is poisoned: the host may not touch it. */
#include "emu_priv.h"
#include <cstdio>
#include <map>
#include <sys/mman.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
enum { AROUND = 0 };
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
enum { AROUND = 256 };
#endif

struct block {
    unsigned char *base;
    size_t bytes;
    bool host;
};
static std::map<uintptr_t, block> blocks;
static size_t used;
static int running;

bool emu_memory_any()
{
    for (const auto &b : blocks)
        if (!b.second.host) return true;
    return false;
}
size_t emu_memory_total()
{
    const char *v = getenv("CANIDS_EMU_BYTES");
    return v ? (size_t)strtoull(v, nullptr, 10) : (size_t)8 << 30;
}

static bool inside(const void *p, size_t bytes, bool host)
{
    auto at = blocks.upper_bound((uintptr_t)p);
    if (at == blocks.begin()) return false;
    --at;
    return at->second.host == host && (uintptr_t)p + bytes <= at->first + at->second.bytes;
}
/* Begins in a block of the device: then all of it must lie there. */
static bool begins_inside(const void *p)
{
    auto at = blocks.upper_bound((uintptr_t)p);
    if (at == blocks.begin()) return false;
    --at;
    return !at->second.host && (uintptr_t)p < at->first + at->second.bytes;
}

/* ---- what the host may not touch, and what a kernel may not ---- */
emu_inside::emu_inside()
{
    if (running++ > 0) return;
    for (const auto &b : blocks)
        if (!b.second.host) ASAN_UNPOISON_MEMORY_REGION(b.second.base, b.second.bytes);
}
emu_inside::~emu_inside()
{
    if (--running > 0) return;
    for (const auto &b : blocks)
        if (!b.second.host) ASAN_POISON_MEMORY_REGION(b.second.base, b.second.bytes);
}

/* Addresses of programs, libraries, heaps and stacks begin there; below, pairs of numbers would look like some.  So does a small number
 * before padding that still holds half of an address: most of all under AddressSanitizer, whose heaps are sparse, so it is not asked. */
bool emu_host_memory(uintptr_t v)
{
    static const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    unsigned char there;
    if (AROUND == 0 || v < (uintptr_t)0x55 << 40 || v >> 48 || (uint32_t)v < 1u << 20) return false;
    auto at = blocks.upper_bound(v);
    if (at != blocks.begin()) {
        --at;
        if (v <= at->first + at->second.bytes) return false;
    }
    return mincore((void *)(v & ~(page - 1)), 1, &there) == 0;
}

static cudaError_t make(void **out, size_t bytes, bool host)
{
    *out = nullptr;
    if (bytes == 0) return cudaSuccess;
    void *base = nullptr;
    if (posix_memalign(&base, 256, bytes + 2 * AROUND) != 0) return cudaErrorMemoryAllocation;
    unsigned char *const p = (unsigned char *)base;
    memset(p, 0xa5, AROUND);
    memset(p + AROUND, 0xff, bytes); /* nobody may count on zeros */
    memset(p + AROUND + bytes, 0xa5, AROUND);
    *out = p + AROUND;
    blocks[(uintptr_t)*out] = {p, bytes, host};
    if (!host && !running) ASAN_POISON_MEMORY_REGION(p, bytes);
    return cudaSuccess;
}
static cudaError_t drop(void *p, bool host)
{
    const auto at = blocks.find((uintptr_t)p);
    if (at == blocks.end() || at->second.host != host) return cudaErrorInvalidValue;
    const block b = at->second;
    ASAN_UNPOISON_MEMORY_REGION(b.base, b.bytes);
    for (size_t i = 0; i < AROUND; i++)
        if (b.base[i] != 0xa5 || b.base[AROUND + b.bytes + i] != 0xa5) {
            fprintf(stderr, "emulation: something wrote %s %zu bytes of %s memory\n", b.base[i] != 0xa5 ? "before" : "behind", b.bytes, host ? "host" : "device");
            abort();
        }
    memset(p, 0xff, b.bytes);
    free(b.base);
    blocks.erase(at);
    if (!host) used -= b.bytes;
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **out, size_t bytes)
{
    EMU_NEED_DEVICE;
    const cudaError_t busy = emu_no_capture();
    if (busy != cudaSuccess) return emu_return(busy);
    if (bytes > emu_memory_total() - used || emu_fault_memory(used, bytes)) return emu_return(cudaErrorMemoryAllocation);
    const cudaError_t e = make(out, bytes, false);
    if (e == cudaSuccess) used += bytes;
    return emu_return(e);
}
cudaError_t cudaFree(void *p)
{
    if (!p) return emu_return(emu_ready());
    const cudaError_t busy = emu_no_capture();
    if (busy != cudaSuccess) return emu_return(busy);
    emu_wait_all();
    const cudaError_t e = drop(p, false);
    return emu_return(e);
}
cudaError_t cudaMallocHost(void **out, size_t bytes, unsigned)
{
    EMU_NEED_DEVICE;
    const cudaError_t busy = emu_no_capture();
    return emu_return(busy != cudaSuccess ? busy : make(out, bytes, true));
}
cudaError_t cudaHostAlloc(void **out, size_t bytes, unsigned flags) { return cudaMallocHost(out, bytes, flags); }
cudaError_t cudaFreeHost(void *p)
{
    if (!p) return cudaSuccess;
    emu_run_all();
    return emu_return(drop(p, true));
}
cudaError_t cudaMemGetInfo(size_t *out_free, size_t *out_total)
{
    EMU_NEED_DEVICE;
    *out_total = emu_memory_total();
    *out_free = *out_total - used;
    return cudaSuccess;
}

/* Which side each pointer must be on; a host pointer is any that is none of the device. */
static cudaError_t sides(const void *to, const void *from, size_t bytes, cudaMemcpyKind kind)
{
    const bool to_device = begins_inside(to), from_device = begins_inside(from);
    if ((to_device && !inside(to, bytes, false)) || (from_device && !inside(from, bytes, false))) return cudaErrorInvalidValue;
    switch (kind) {
    case cudaMemcpyHostToHost: return !to_device && !from_device ? cudaSuccess : cudaErrorInvalidValue;
    case cudaMemcpyHostToDevice: return to_device && !from_device ? cudaSuccess : cudaErrorInvalidValue;
    case cudaMemcpyDeviceToHost: return !to_device && from_device ? cudaSuccess : cudaErrorInvalidValue;
    case cudaMemcpyDeviceToDevice: return to_device && from_device ? cudaSuccess : cudaErrorInvalidValue;
    case cudaMemcpyDefault: return cudaSuccess;
    }
    return cudaErrorInvalidMemcpyDirection;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t s)
{
    EMU_NEED_DEVICE;
    if (bytes == 0) return cudaSuccess;
    const cudaError_t e = sides(to, from, bytes, kind);
    if (e != cudaSuccess) return emu_return(e);
    return emu_return(emu_ask(s, cudaGraphNodeTypeMemcpy, "copy", [=](std::shared_ptr<void> &) {
        memmove(to, from, bytes);
        return true;
    }));
}
cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind)
{
    const cudaError_t e = cudaMemcpyAsync(to, from, bytes, kind, nullptr);
    return e != cudaSuccess ? e : cudaStreamSynchronize(nullptr);
}
cudaError_t cudaMemsetAsync(void *to, int byte, size_t bytes, cudaStream_t s)
{
    EMU_NEED_DEVICE;
    if (bytes == 0) return cudaSuccess;
    if (!inside(to, bytes, false)) return emu_return(cudaErrorInvalidValue);
    return emu_return(emu_ask(s, cudaGraphNodeTypeMemset, "set", [=](std::shared_ptr<void> &) {
        memset(to, byte, bytes);
        return true;
    }));
}
cudaError_t cudaMemset(void *to, int byte, size_t bytes)
{
    const cudaError_t e = cudaMemsetAsync(to, byte, bytes, nullptr);
    return e != cudaSuccess ? e : cudaStreamSynchronize(nullptr);
}
