#ifndef EMU_H
#define EMU_H
/** What a kernel finds on the host: where its thread is, barriers, the exchanges of a warp, atomics, matrix instructions and copies in
 *  flight; and how it is launched.  Included by cuda_runtime.h.
 *
 *  The blocks of a grid run one after another, the threads of a block as fibers: one runs until it returns or waits.  So a kernel's
 *  memory operations are never torn, and what differs between orders is the order alone (CANIDS_EMU_ORDER).  A barrier or exchange is
 *  known by the line it is written in: threads that wait at two different ones fail the launch. */
#include <memory>
#include <tuple>
#include <utility>

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
enum { warpSize = 32 };

/** Where in the source something waits. */
struct emu_at {
    const char *file;
    int line;
};
#define EMU_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

/* ---- launching ---- */
struct emu_kernel {
    virtual void thread() const = 0;
    virtual int host_pointer() const = 0; /* 1 + the first argument that points to memory of the host, or 0 */
    virtual ~emu_kernel() {}
};
void emu_launch_kernel(cudaStream_t s, const char *name, dim3 grid, dim3 block, size_t shared, const void *f, std::shared_ptr<emu_kernel> k);

/* Arguments are looked through word by word: the device cannot follow a pointer of the host. */
bool emu_points_to_host(const void *argument, size_t bytes);

template <class... P> struct emu_bound : emu_kernel {
    void (*const f)(P...);
    const std::tuple<P...> args;
    template <class... A> emu_bound(void (*f_)(P...), A &&...a) : f(f_), args(std::forward<A>(a)...) {}
    void thread() const override { std::apply(f, args); }
    int host_pointer() const override
    {
        int i = 0, bad = 0;
        std::apply([&](const P &...a) { ((i++, bad = !bad && emu_points_to_host(&a, sizeof a) ? i : bad), ...); }, args);
        return bad;
    }
};
template <class... P, class... A>
static inline void emu_launch(cudaStream_t s, const char *name, dim3 grid, dim3 block, size_t shared, void (*f)(P...), A &&...a)
{
    emu_launch_kernel(s, name, grid, block, shared, (const void *)f, std::make_shared<emu_bound<P...>>(f, static_cast<P>(a)...));
}
/** Read CANIDS_EMU_ORDER; opening a device does. */
void emu_order_read();

/* ---- in a kernel ---- */
void *emu_shared(); /**< of this block: exactly the bytes that the launch says */
void emu_barrier(emu_at at, int kind, int value, int *out);
/** All lanes of the mask bring an argument; the last to come calls f with those of all lanes, NULL where one is not of the mask. */
void emu_exchange(unsigned mask, emu_at at, void *arg, void (*f)(void **args, unsigned mask));
[[noreturn]] void emu_trap(const char *why);
extern unsigned emu_now; /* the thread of its block that runs */
static inline int emu_lane() { return (int)(emu_now & 31); }

static inline void __syncthreads(EMU_HERE) { emu_barrier({file, line}, 0, 0, nullptr); }
static inline int __syncthreads_count(int p, EMU_HERE) { return emu_barrier({file, line}, 1, p != 0, &p), p; }
static inline int __syncthreads_or(int p, EMU_HERE) { return emu_barrier({file, line}, 1, p != 0, &p), p != 0; }
static inline int __syncthreads_and(int p, EMU_HERE)
{
    return emu_barrier({file, line}, 1, p != 0, &p), p == (int)(blockDim.x * blockDim.y * blockDim.z);
}
static inline void emu_nothing(void **, unsigned) {}
static inline void __syncwarp(unsigned mask = 0xffffffffu, EMU_HERE) { emu_exchange(mask, {file, line}, (void *)&mask, emu_nothing); }
static inline void __threadfence() {}
static inline void __threadfence_block() {}
[[noreturn]] static inline void __trap() { emu_trap("__trap"); }

struct emu_shuffle {
    uint64_t mine, got;
    int from;
};
void emu_shuffle_all(void **args, unsigned mask);
template <class T> static inline T emu_shuffle_from(unsigned mask, T v, int from, emu_at at)
{
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "the device shuffles 4 and 8 bytes");
    emu_shuffle s = {0, 0, from};
    memcpy(&s.mine, &v, sizeof v);
    emu_exchange(mask, at, &s, emu_shuffle_all);
    memcpy(&v, &s.got, sizeof v);
    return v;
}
/* A lane outside the segment of `width` lanes: one's own value. */
template <class T> static inline T __shfl_sync(unsigned mask, T v, int from, int width = 32, EMU_HERE)
{
    return emu_shuffle_from(mask, v, (emu_lane() & ~(width - 1)) | (from & (width - 1)), {file, line});
}
template <class T> static inline T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32, EMU_HERE)
{
    const int l = emu_lane(), from = l ^ bits;
    return emu_shuffle_from(mask, v, from < (l & ~(width - 1)) + width ? from : l, {file, line});
}
template <class T> static inline T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32, EMU_HERE)
{
    const int l = emu_lane();
    return emu_shuffle_from(mask, v, (l & (width - 1)) + (int)by < width ? l + (int)by : l, {file, line});
}
template <class T> static inline T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32, EMU_HERE)
{
    const int l = emu_lane();
    return emu_shuffle_from(mask, v, (l & (width - 1)) - (int)by >= 0 ? l - (int)by : l, {file, line});
}
unsigned emu_ballot(unsigned mask, bool p, emu_at at);
static inline unsigned __ballot_sync(unsigned mask, int p, EMU_HERE) { return emu_ballot(mask, p != 0, {file, line}); }
static inline int __any_sync(unsigned mask, int p, EMU_HERE) { return emu_ballot(mask, p != 0, {file, line}) != 0; }
static inline int __all_sync(unsigned mask, int p, EMU_HERE) { return emu_ballot(mask, p != 0, {file, line}) == mask; }
static inline unsigned __activemask() { emu_trap("__activemask is not emulated: say the mask"); }

#define EMU_ATOMIC(type)                                                                                                  \
    static inline type atomicAdd(type *p, type v) { type old = *p; *p = (type)((uint64_t)old + (uint64_t)v); return old; } \
    static inline type atomicMax(type *p, type v) { type old = *p; if (v > old) *p = v; return old; }                      \
    static inline type atomicMin(type *p, type v) { type old = *p; if (v < old) *p = v; return old; }                      \
    static inline type atomicOr(type *p, type v) { type old = *p; *p = old | v; return old; }                              \
    static inline type atomicAnd(type *p, type v) { type old = *p; *p = old & v; return old; }                             \
    static inline type atomicExch(type *p, type v) { type old = *p; *p = v; return old; }                                  \
    static inline type atomicCAS(type *p, type is, type v) { type old = *p; if (old == is) *p = v; return old; }
EMU_ATOMIC(int)
EMU_ATOMIC(unsigned)
EMU_ATOMIC(unsigned long long)
#undef EMU_ATOMIC

template <class T> static inline T __ldg(const T *p) { return *p; }
template <class T> static inline T __ldcg(const T *p) { return *p; }
template <class T> static inline T __ldcs(const T *p) { return *p; }
template <class T> static inline void __stcs(T *p, T v) { *p = v; }

template <class To, class From> static inline To emu_same_bits(From v)
{
    static_assert(sizeof(To) == sizeof(From));
    To to;
    memcpy(&to, &v, sizeof to);
    return to;
}
static inline unsigned __float_as_uint(float v) { return emu_same_bits<unsigned>(v); }
static inline int __float_as_int(float v) { return emu_same_bits<int>(v); }
static inline float __uint_as_float(unsigned v) { return emu_same_bits<float>(v); }
static inline float __int_as_float(int v) { return emu_same_bits<float>(v); }
static inline long long __double_as_longlong(double v) { return emu_same_bits<long long>(v); }
static inline double __longlong_as_double(long long v) { return emu_same_bits<double>(v); }
static inline int __popc(unsigned v) { return __builtin_popcount(v); }
static inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
static inline int __clz(int v) { return v ? __builtin_clz((unsigned)v) : 32; }
static inline int __ffs(int v) { return __builtin_ffs(v); }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((uint64_t)a * b >> 32); }
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) { return (unsigned long long)((unsigned __int128)a * b >> 64); }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fsqrt_rn(float a) { return sqrtf(a); }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
#define EMU_MIN_MAX(type)                                             \
    static inline type min(type a, type b) { return b < a ? b : a; } \
    static inline type max(type a, type b) { return a < b ? b : a; }
EMU_MIN_MAX(int)
EMU_MIN_MAX(unsigned)
EMU_MIN_MAX(long)
EMU_MIN_MAX(unsigned long)
EMU_MIN_MAX(long long)
EMU_MIN_MAX(unsigned long long)
#undef EMU_MIN_MAX

/* ---- matrix instructions: all lanes of a warp, fragments as PTX has them for mma.sync.aligned ---- */
/** m16n8k16.row.col.f32.bf16.bf16.f32: d = a b + c, each sum in order of k, fused. */
void emu_mma_bf16_16816(float d[4], const uint32_t a[4], const uint32_t b[2], const float c[4], EMU_HERE);
/** m16n8k8.row.col.f32.tf32.tf32.f32; of a and b the low 13 bits are not looked at. */
void emu_mma_tf32_1688(float d[4], const uint32_t a[4], const uint32_t b[2], const float c[4], EMU_HERE);

/* ---- cp.async: what was asked for arrives when this thread waits for it, not before ---- */
void emu_cp_async(void *shared, const void *global, int bytes); /**< 4, 8 or 16, aligned to as many */
void emu_cp_async_commit();
void emu_cp_async_wait(int pending); /**< all groups but the last `pending` */

#endif
