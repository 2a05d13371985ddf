/* What lanes of a warp do together, and the copies that a thread has in flight. */
#include "emu_priv.h"
#include "block.h"

void emu_shuffle_all(void **args, unsigned mask)
{
    for (int l = 0; l < 32; l++) {
        emu_shuffle *const s = (emu_shuffle *)args[l];
        if (!s) continue;
        /* What a lane that does not take part would give is not defined: poison. */
        s->got = mask >> (s->from & 31) & 1 ? ((emu_shuffle *)args[s->from & 31])->mine : ~(uint64_t)0;
    }
}

struct vote {
    bool mine;
    unsigned all;
};
static void vote_all(void **args, unsigned)
{
    unsigned all = 0;
    for (int l = 0; l < 32; l++)
        if (args[l] && ((vote *)args[l])->mine) all |= 1u << l;
    for (int l = 0; l < 32; l++)
        if (args[l]) ((vote *)args[l])->all = all;
}
unsigned emu_ballot(unsigned mask, bool p, emu_at at)
{
    vote v = {p, 0};
    emu_exchange(mask, at, &v, vote_all);
    return v.all;
}

/* ---- matrix instructions ---- */
struct fragment {
    float *d;
    const uint32_t *a, *b;
    const float *c;
};

/* Lane l is in group l/4, its place there l%4.  Of a 16-bit type a register holds columns k and k+1, the lower one in its lower half. */
static float bf16(uint32_t pair, int high) { return __uint_as_float(high ? pair & 0xffff0000u : pair << 16); }

template <int K> static void product(void **args, const float (*a)[K], const float (*b)[8])
{
    for (int l = 0; l < 32; l++)
        for (int i = 0; i < 4; i++) {
            const fragment *const f = (fragment *)args[l];
            const int row = l / 4 + 8 * (i / 2), col = 2 * (l % 4) + i % 2;
            float sum = f->c[i];
            for (int k = 0; k < K; k++) sum = fmaf(a[row][k], b[k][col], sum);
            f->d[i] = sum;
        }
}
static void mma_bf16(void **args, unsigned)
{
    float a[16][16], b[16][8];
    for (int l = 0; l < 32; l++) {
        const fragment *const f = (fragment *)args[l];
        const int g = l / 4, t = l % 4;
        for (int i = 0; i < 4; i++)
            for (int h = 0; h < 2; h++) a[g + 8 * (i % 2)][2 * t + h + 8 * (i / 2)] = bf16(f->a[i], h);
        for (int i = 0; i < 2; i++)
            for (int h = 0; h < 2; h++) b[2 * t + h + 8 * i][g] = bf16(f->b[i], h);
    }
    product<16>(args, a, b);
}
static void mma_tf32(void **args, unsigned)
{
    float a[16][8], b[8][8];
    for (int l = 0; l < 32; l++) {
        const fragment *const f = (fragment *)args[l];
        const int g = l / 4, t = l % 4;
        for (int i = 0; i < 4; i++) a[g + 8 * (i % 2)][t + 4 * (i / 2)] = __uint_as_float(f->a[i] & 0xffffe000u);
        for (int i = 0; i < 2; i++) b[t + 4 * i][g] = __uint_as_float(f->b[i] & 0xffffe000u);
    }
    product<8>(args, a, b);
}
/* d may be c, of one lane alone: every lane's d is written from its own c. */
void emu_mma_bf16_16816(float d[4], const uint32_t a[4], const uint32_t b[2], const float c[4], const char *file, int line)
{
    fragment f = {d, a, b, c};
    emu_exchange(0xffffffffu, {file, line}, &f, mma_bf16);
}
void emu_mma_tf32_1688(float d[4], const uint32_t a[4], const uint32_t b[2], const float c[4], const char *file, int line)
{
    fragment f = {d, a, b, c};
    emu_exchange(0xffffffffu, {file, line}, &f, mma_tf32);
}

/* ---- cp.async ---- */
struct copy {
    void *to;
    const void *from;
    int bytes, group;
};
struct copies {
    std::vector<copy> flight;
    int group = 0; /* of what is asked for now */
};
static std::vector<copies> mine;
static bool any;

static copies &of_thread()
{
    if (mine.size() < emu_block_threads()) mine.resize(1024);
    any = true;
    return mine[emu_thread_now()];
}
void emu_cp_async(void *shared, const void *global, int bytes)
{
    if (bytes != 4 && bytes != 8 && bytes != 16) emu_fail_launch("cp.async of " + std::to_string(bytes) + " bytes: it has 4, 8 and 16");
    if ((uintptr_t)shared % (unsigned)bytes || (uintptr_t)global % (unsigned)bytes)
        emu_fail_launch("cp.async of " + std::to_string(bytes) + " bytes, from or to an address that is no multiple of it");
    copies &c = of_thread();
    c.flight.push_back({shared, global, bytes, c.group});
    memset(shared, 0xff, (size_t)bytes); /* may hold anything until it has arrived */
}
void emu_cp_async_commit() { of_thread().group++; }
void emu_cp_async_wait(int pending)
{
    copies &c = of_thread();
    size_t left = 0;
    for (const copy &x : c.flight) {
        if (x.group < c.group - pending) memcpy(x.to, x.from, (size_t)x.bytes);
        else c.flight[left++] = x;
    }
    c.flight.resize(left);
}
void emu_copies_end(unsigned thread)
{
    if (!any) return;
    if (thread < mine.size()) {
        mine[thread].flight.clear();
        mine[thread].group = 0;
    }
}
void emu_copies_forget() { mine.clear(); }
