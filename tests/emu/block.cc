/* The threads of one block.  What can run is a stack: the newest first, so a warp goes on as soon as its lanes have met; shuffled, any of
 * them.  A thread that has not begun is run by whichever fiber has just ended one, so that without barriers no stack is switched. */
#include "emu_priv.h"
#include "block.h"
#include "fiber.h"
#include <algorithm>

uint3 threadIdx, blockIdx;
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
    unsigned n, now, live, waiting;
    unsigned exchanging[32]; /* of each warp, the lanes that wait in an exchange */
    std::string why;
    bool failed;
} b;
static std::vector<thread> threads;
static std::vector<unsigned> ready;

void *emu_shared() { return b.shared; }
int emu_lane() { return (int)(b.now & 31); }
unsigned emu_thread_now() { return b.now; }
unsigned emu_block_threads() { return b.n; }

void emu_block_shape(dim3 grid, dim3 block)
{
    gridDim = grid;
    blockDim = block;
    const unsigned n = block.x * block.y * block.z;
    threads.resize(n);
    for (unsigned i = 0; i < n; i++) threads[i].idx = {i % block.x, i / block.x % block.y, i / (block.x * block.y)};
}

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
    b.why = named(b.now) + ": " + why;
    b.failed = true;
    emu_fiber_go(nullptr);
    abort(); /* the host forgets this fiber */
}
void emu_trap(const char *why) { emu_fail_launch(why); }

/* Make n threads ready, at[] in the order of a block: the first is to run first. */
static void make_ready(const std::vector<unsigned> &who)
{
    const size_t n = who.size();
    if (emu_order_now == EMU_REVERSE) ready.insert(ready.end(), who.begin(), who.end());
    else for (size_t i = n; i-- > 0;) ready.push_back(who[i]);
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
static int pick()
{
    if (ready.empty()) {
        if (b.live) stuck();
        return -1;
    }
    if (emu_order_now == EMU_SHUFFLE) std::swap(ready[emu_below((unsigned)ready.size())], ready.back());
    const unsigned t = ready.back();
    ready.pop_back();
    return (int)t;
}

static void turn_to(unsigned t)
{
    b.now = t;
    threadIdx = threads[t].idx;
}

static void body()
{
    for (;;) {
        threads[b.now].fiber = emu_fiber_now();
        b.kernel->thread();
        emu_copies_end(b.now);
        threads[b.now].state = DONE;
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
    const unsigned me = b.now;
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
    static std::vector<unsigned> who;
    thread &me = threads[b.now];
    me.state = AT_BARRIER;
    me.at = at;
    me.kind = kind;
    me.value = value;
    me.out = out;
    if (++b.waiting == b.n) {
        int sum = 0;
        for (unsigned i = 0; i < b.n; i++) {
            if (threads[i].at.line != at.line || strcmp(threads[i].at.file, at.file) != 0)
                emu_fail_launch("waits at the barrier of " + place(at) + ", but " + named(i) + " at that of " + place(threads[i].at));
            sum += threads[i].value;
        }
        who.resize(b.n);
        for (unsigned i = 0; i < b.n; i++) {
            if (threads[i].out) *threads[i].out = sum;
            threads[i].state = RUNS;
            who[i] = i;
        }
        b.waiting = 0;
        make_ready(who);
    }
    give_way();
}

void emu_exchange(unsigned mask, emu_at at, void *arg, void (*f)(void **, unsigned))
{
    static std::vector<unsigned> who;
    thread &me = threads[b.now];
    const unsigned first = b.now & ~31u;
    if (!(mask >> (b.now & 31) & 1)) emu_fail_launch("is not of the mask that it brings to " + place(at));
    me.state = IN_EXCHANGE;
    me.at = at;
    me.mask = mask;
    me.arg = arg;
    unsigned &in = b.exchanging[b.now / 32];
    in |= 1u << (b.now & 31);
    if ((in & mask) == mask) {
        void *args[32] = {nullptr};
        who.clear();
        for (unsigned m = mask; m; m &= m - 1) {
            const unsigned t = first + (unsigned)__builtin_ctz(m);
            if (threads[t].mask != mask || threads[t].at.line != at.line || strcmp(threads[t].at.file, at.file) != 0)
                emu_fail_launch("exchanges at " + place(at) + ", but " + named(t) + " at " + place(threads[t].at) +
                                (threads[t].mask != mask ? " with another mask" : ""));
            args[t - first] = threads[t].arg;
            threads[t].state = RUNS;
            who.push_back(t);
        }
        f(args, mask);
        in &= ~mask;
        make_ready(who);
    }
    give_way();
}

bool emu_block_run(const emu_kernel &k, unsigned n, void *shared, std::string &why)
{
    static std::vector<unsigned> who;
    b.kernel = &k;
    b.shared = shared;
    b.n = b.live = n;
    b.waiting = 0;
    b.failed = false;
    memset(b.exchanging, 0, sizeof b.exchanging);
    ready.clear();
    who.resize(n);
    for (unsigned i = 0; i < n; i++) {
        threads[i].state = FRESH;
        who[i] = i;
    }
    make_ready(who);
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
