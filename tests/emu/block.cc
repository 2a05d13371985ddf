/* The threads of one block.  What can run is a stack: the newest first, so a warp goes on as soon as its lanes have met; shuffled, any of
 * them.  A thread that has not begun is run by whichever fiber has just ended one, so that without barriers no stack is switched. */
#include "emu_priv.h"
#include "block.h"
#include "fiber.h"
#include <algorithm>

uint3 threadIdx, blockIdx;
unsigned emu_now;
dim3 blockDim, gridDim;

enum doing { FRESH, RUNS, AT_BARRIER, IN_EXCHANGE, DONE };

struct thread {
    uint3 idx;
    doing state;
    emu_fiber *fiber;
    emu_at at;
    int kind, value, *out; /* of a barrier that counts */
    unsigned mask;         /* of an exchange */
    void *arg;
};

static struct {
    const emu_kernel *kernel;
    void *shared;
    unsigned n, live, waiting;
    unsigned exchanging[32]; /* of each warp, the lanes that wait in an exchange */
    std::string why;
    bool failed;
} b;
static thread threads[1024];
static unsigned ready[1024], n_ready;

void *emu_shared() { return b.shared; }
unsigned emu_thread_now() { return emu_now; }
unsigned emu_block_threads() { return b.n; }

void emu_block_shape(dim3 grid, dim3 block)
{
    gridDim = grid;
    blockDim = block;
    const unsigned n = block.x * block.y * block.z;
    for (unsigned i = 0; i < n; i++) threads[i].idx = {i % block.x, i / block.x % block.y, i / (block.x * block.y)};
}

/* Mostly one string of one file. */
static inline bool same(emu_at a, emu_at b) { return a.line == b.line && (a.file == b.file || strcmp(a.file, b.file) == 0); }

static std::string place(emu_at at)
{
    const char *slash = strrchr(at.file, '/');
    return std::string(slash ? slash + 1 : at.file) + ":" + std::to_string(at.line);
}
static std::string named(unsigned t)
{
    const uint3 i = threads[t].idx;
    return "thread (" + std::to_string(i.x) + "," + std::to_string(i.y) + "," + std::to_string(i.z) + ")";
}

void emu_fail_launch(const std::string &why)
{
    b.why = named(emu_now) + ": " + why;
    b.failed = true;
    emu_fiber_go(nullptr);
    abort(); /* the host forgets this fiber */
}
void emu_trap(const char *why) { emu_fail_launch(why); }

/* Make the lanes of a warp ready: the first is to run first, or the last. */
static inline void make_ready(unsigned first, unsigned mask)
{
    if (emu_order_now == EMU_REVERSE)
        for (; mask; mask &= mask - 1) ready[n_ready++] = first + (unsigned)__builtin_ctz(mask);
    else
        for (; mask; mask &= ~(0x80000000u >> __builtin_clz(mask))) ready[n_ready++] = first + 31 - (unsigned)__builtin_clz(mask);
}
static void make_all_ready()
{
    const unsigned warps = (b.n + 31) / 32;
    for (unsigned k = 0; k < warps; k++) {
        const unsigned w = emu_order_now == EMU_REVERSE ? k : warps - 1 - k, left = b.n - 32 * w;
        make_ready(32 * w, left < 32 ? (1u << left) - 1 : ~0u);
    }
}

/* Nobody can run, and not all are done: say who waits for whom. */
static void stuck()
{
    unsigned waits = 0;
    while (threads[waits].state != AT_BARRIER && threads[waits].state != IN_EXCHANGE) waits++;
    const thread &w = threads[waits];
    for (unsigned i = 0; i < b.n; i++) /* a barrier is the more telling */
        if (threads[i].state == AT_BARRIER && w.state != AT_BARRIER) {
            waits = i;
            break;
        }
    const thread &a = threads[waits];
    std::string of;
    for (unsigned i = 0; i < b.n && of.empty(); i++) {
        const bool lane = a.state == AT_BARRIER || (i / 32 == waits / 32 && (a.mask >> (i % 32) & 1));
        if (i == waits || !lane) continue;
        if (threads[i].state == DONE) of = named(i) + " has returned";
        else if (threads[i].state != a.state) of = named(i) + " waits at " + place(threads[i].at);
    }
    if (of.empty()) of = "of the mask some lanes are none of the block, or came with another mask";
    b.why = named(waits) + " waits at " + place(a.at) + (a.state == AT_BARRIER ? ", a barrier of all threads, but " : ", an exchange of its warp, but ") + of;
    b.failed = true;
}

/* The next to run; -1 when there is none, and then why says so unless all are done. */
static inline int pick()
{
    if (n_ready == 0) {
        if (b.live) stuck();
        return -1;
    }
    if (emu_order_now == EMU_SHUFFLE) std::swap(ready[emu_below(n_ready)], ready[n_ready - 1]);
    return (int)ready[--n_ready];
}

static inline void turn_to(unsigned t)
{
    emu_now = t;
    threadIdx = threads[t].idx;
}

static void body()
{
    for (;;) {
        threads[emu_now].fiber = emu_fiber_now();
        b.kernel->thread();
        emu_copies_end(emu_now);
        threads[emu_now].state = DONE;
        b.live--;
        const int t = pick();
        if (t >= 0 && threads[t].state == FRESH) {
            threads[t].state = RUNS;
            turn_to((unsigned)t);
            continue;
        }
        emu_fiber_idle();
        if (t >= 0) turn_to((unsigned)t);
        emu_fiber_go(t < 0 ? nullptr : threads[t].fiber);
    }
}

static emu_fiber *fiber_of(unsigned t)
{
    if (threads[t].state != FRESH) return threads[t].fiber;
    threads[t].state = RUNS;
    return emu_fiber_get(body);
}

/* The running thread waits, or is itself among the ready ones. */
static void give_way()
{
    const unsigned me = emu_now;
    const int t = pick();
    if (t == (int)me) return;
    if (t < 0) {
        emu_fiber_go(nullptr);
        abort();
    }
    emu_fiber *const f = fiber_of((unsigned)t);
    turn_to((unsigned)t);
    emu_fiber_go(f);
    turn_to(me);
}

void emu_barrier(emu_at at, int kind, int value, int *out)
{
    thread &me = threads[emu_now];
    me.state = AT_BARRIER;
    me.at = at;
    me.kind = kind;
    me.value = value;
    me.out = out;
    if (++b.waiting == b.n) {
        int sum = 0;
        for (unsigned i = 0; i < b.n; i++) {
            if (!same(threads[i].at, at))
                emu_fail_launch("waits at the barrier of " + place(at) + ", but " + named(i) + " at that of " + place(threads[i].at));
            sum += threads[i].value;
        }
        for (unsigned i = 0; i < b.n; i++) {
            if (threads[i].out) *threads[i].out = sum;
            threads[i].state = RUNS;
        }
        b.waiting = 0;
        make_all_ready();
    }
    give_way();
}

void emu_exchange(unsigned mask, emu_at at, void *arg, void (*f)(void **, unsigned))
{
    thread &me = threads[emu_now];
    const unsigned first = emu_now & ~31u;
    if (!(mask >> (emu_now & 31) & 1)) emu_fail_launch("is not of the mask that it brings to " + place(at));
    me.state = IN_EXCHANGE;
    me.at = at;
    me.mask = mask;
    me.arg = arg;
    unsigned &in = b.exchanging[emu_now / 32];
    in |= 1u << (emu_now & 31);
    if ((in & mask) == mask) {
        void *args[32] = {nullptr};
        for (unsigned m = mask; m; m &= m - 1) {
            const unsigned t = first + (unsigned)__builtin_ctz(m);
            if (threads[t].mask != mask || !same(threads[t].at, at))
                emu_fail_launch("exchanges at " + place(at) + ", but " + named(t) + " at " + place(threads[t].at) +
                                (threads[t].mask != mask ? " with another mask" : ""));
            args[t - first] = threads[t].arg;
            threads[t].state = RUNS;
        }
        f(args, mask);
        in &= ~mask;
        make_ready(first, mask);
    }
    give_way();
}

bool emu_block_run(const emu_kernel &k, unsigned n, void *shared, std::string &why)
{
    b.kernel = &k;
    b.shared = shared;
    b.n = b.live = n;
    b.waiting = 0;
    b.failed = false;
    memset(b.exchanging, 0, sizeof b.exchanging);
    n_ready = 0;
    for (unsigned i = 0; i < n; i++) threads[i].state = FRESH;
    make_all_ready();
    const unsigned t = (unsigned)pick();
    emu_fiber *const f = fiber_of(t);
    turn_to(t);
    emu_fiber_go(f);
    if (!b.failed) return true;
    why = b.why;
    emu_fiber_forget();
    emu_copies_forget();
    return false;
}
