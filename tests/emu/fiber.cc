/* Stacks and the switch between them: a few registers pushed and popped where we know the machine, ucontext elsewhere. */
#include "fiber.h"
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#if defined __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define ASAN 1
static const size_t stack_bytes = 256 << 10;
#else
#define ASAN 0
static const size_t stack_bytes = 64 << 10;
#endif

#if defined __x86_64__ || defined __aarch64__
#define OWN_SWITCH 1
#else
#define OWN_SWITCH 0
#include <ucontext.h>
#endif

struct emu_fiber {
    void *sp;    /* where it goes on */
    char *stack; /* lowest address   */
    size_t bytes;
    void *base; /* of what was mapped, with the page below that nobody may touch */
    size_t mapped;
    void *fake; /* of AddressSanitizer */
    void (*body)();
#if !OWN_SWITCH
    ucontext_t at;
#endif
};

static emu_fiber host, *now = &host;
static std::vector<emu_fiber *> all, idle;

/* The library may be closed and opened again. */
static struct pool {
    ~pool()
    {
        for (emu_fiber *f : all) {
#if ASAN
            ASAN_UNPOISON_MEMORY_REGION(f->stack, f->bytes); /* what is mapped there next is whole */
#endif
            munmap(f->base, f->mapped);
            delete f;
        }
    }
} pool_end;

#if OWN_SWITCH
extern "C" void emu_fiber_switch(void **save, void *to) __attribute__((visibility("hidden")));
#ifdef __x86_64__
asm(".text\n.p2align 4\n.globl emu_fiber_switch\n.hidden emu_fiber_switch\n.type emu_fiber_switch,@function\nemu_fiber_switch:\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n"
    ".size emu_fiber_switch,.-emu_fiber_switch\n");
enum { KEPT = 6 };
#else
asm(".text\n.p2align 4\n.globl emu_fiber_switch\n.hidden emu_fiber_switch\n.type emu_fiber_switch,%function\nemu_fiber_switch:\n"
    "sub sp,sp,#160\nstp x19,x20,[sp]\nstp x21,x22,[sp,#16]\nstp x23,x24,[sp,#32]\nstp x25,x26,[sp,#48]\nstp x27,x28,[sp,#64]\n"
    "stp x29,x30,[sp,#80]\nstp d8,d9,[sp,#96]\nstp d10,d11,[sp,#112]\nstp d12,d13,[sp,#128]\nstp d14,d15,[sp,#144]\n"
    "mov x9,sp\nstr x9,[x0]\nmov sp,x1\n"
    "ldp x19,x20,[sp]\nldp x21,x22,[sp,#16]\nldp x23,x24,[sp,#32]\nldp x25,x26,[sp,#48]\nldp x27,x28,[sp,#64]\n"
    "ldp x29,x30,[sp,#80]\nldp d8,d9,[sp,#96]\nldp d10,d11,[sp,#112]\nldp d12,d13,[sp,#128]\nldp d14,d15,[sp,#144]\n"
    "add sp,sp,#160\nret\n.size emu_fiber_switch,.-emu_fiber_switch\n");
#endif
#endif

static void arrived()
{
#if ASAN
    const void *bottom;
    size_t bytes;
    __sanitizer_finish_switch_fiber(now->fake, &bottom, &bytes);
    if (!host.stack) host.stack = (char *)const_cast<void *>(bottom), host.bytes = bytes; /* the first one comes from the host */
#endif
}

static void entry()
{
    arrived();
    now->body();
    abort(); /* a body never ends */
}

static void begin_anew(emu_fiber *f)
{
    f->fake = nullptr;
#if ASAN
    ASAN_UNPOISON_MEMORY_REGION(f->stack, f->bytes);
#endif
#if !OWN_SWITCH
    getcontext(&f->at);
    f->at.uc_stack.ss_sp = f->stack;
    f->at.uc_stack.ss_size = f->bytes;
    f->at.uc_link = nullptr;
    makecontext(&f->at, entry, 0);
#elif defined __x86_64__
    uintptr_t *top = (uintptr_t *)(f->stack + f->bytes);
    *--top = 0; /* where entry would return to: at its first instruction the stack is 8 off a multiple of 16 */
    *--top = (uintptr_t)entry;
    for (int i = 0; i < KEPT; i++) *--top = 0;
    f->sp = top;
#else
    uintptr_t *top = (uintptr_t *)(f->stack + f->bytes - 160);
    for (int i = 0; i < 20; i++) top[i] = 0;
    top[11] = (uintptr_t)entry;
    f->sp = top;
#endif
}

emu_fiber *emu_fiber_get(void (*body)())
{
    emu_fiber *f;
    if (!idle.empty()) {
        f = idle.back();
        idle.pop_back();
        f->body = body;
        return f;
    }
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    f = new emu_fiber();
    char *p = (char *)mmap(nullptr, page + stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED || mprotect(p, page, PROT_NONE) != 0) {
        fprintf(stderr, "emulation: no memory for the stack of a thread\n");
        abort();
    }
    f->base = p;
    f->mapped = page + stack_bytes;
    f->stack = p + page;
    f->bytes = stack_bytes - all.size() % 61 * 192; /* their ends in different sets of the caches */
    f->body = body;
    begin_anew(f);
    all.push_back(f);
    return f;
}

void emu_fiber_idle() { idle.push_back(now); }
emu_fiber *emu_fiber_now() { return now == &host ? nullptr : now; }

void emu_fiber_go(emu_fiber *to)
{
    emu_fiber *const from = now;
    if (!to) to = &host;
    if (to == from) return;
    now = to;
#if ASAN
    if (from == &host) host.stack = nullptr; /* which stack that is may have changed since */
    __sanitizer_start_switch_fiber(&from->fake, to->stack, to->bytes);
#endif
#if OWN_SWITCH
    emu_fiber_switch(&from->sp, to->sp);
#else
    swapcontext(&from->at, &to->at);
#endif
    arrived();
}

void emu_fiber_forget()
{
    idle = all;
    for (emu_fiber *f : all) begin_anew(f);
}
