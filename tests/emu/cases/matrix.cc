/* Matrix instructions against plain products, by the layouts of the PTX ISA (mma.m16n8k16, mma.m16n8k8), and copies in flight. */
#include "case.h"

/* PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type": groupID = %laneid >> 2, threadID_in_group = %laneid % 4;
 *   a_i: row = groupID for 0 <= i < 2 || 4 <= i < 6, else groupID + 8; col = threadID_in_group * 2 + (i & 1), + 8 for i >= 4
 *   b_i: row = threadID_in_group * 2 + (i & 1), + 8 for i >= 2; col = groupID
 *   c_i: row = groupID for i < 2, else groupID + 8; col = threadID_in_group * 2 + (i & 1)
 * and for mma.m16n8k8 with .tf32:
 *   a_i: row = groupID for a0 and a2, groupID + 8 for a1 and a3; col = threadID_in_group for a0 and a1, + 4 for a2 and a3
 *   b_i: row = threadID_in_group for b0, + 4 for b1; col = groupID */
static __global__ void bf16_tile(const unsigned short *a, const unsigned short *b, const float *c, float *d)
{
    const int g = (int)threadIdx.x >> 2, t = (int)threadIdx.x % 4;
    uint32_t ra[4] = {0}, rb[2] = {0};
    float rc[4], rd[4];
    for (int i = 0; i < 8; i++) {
        const int row = (i < 2) || (i >= 4 && i < 6) ? g : g + 8, col = t * 2 + (i & 1) + (i >= 4 ? 8 : 0);
        ra[i / 2] |= (uint32_t)a[row * 16 + col] << 16 * (i & 1);
    }
    for (int i = 0; i < 4; i++) rb[i / 2] |= (uint32_t)b[(t * 2 + (i & 1) + (i >= 2 ? 8 : 0)) * 8 + g] << 16 * (i & 1);
    for (int i = 0; i < 4; i++) rc[i] = c[(i < 2 ? g : g + 8) * 8 + t * 2 + (i & 1)];
    emu_mma_bf16_16816(rd, ra, rb, rc);
    for (int i = 0; i < 4; i++) d[(i < 2 ? g : g + 8) * 8 + t * 2 + (i & 1)] = rd[i];
}
static __global__ void tf32_tile(const float *a, const float *b, const float *c, float *d)
{
    const int g = (int)threadIdx.x >> 2, t = (int)threadIdx.x % 4;
    uint32_t ra[4], rb[2];
    float rc[4];
    for (int i = 0; i < 4; i++) ra[i] = __float_as_uint(a[(i % 2 ? g + 8 : g) * 8 + t + (i >= 2 ? 4 : 0)]);
    for (int i = 0; i < 2; i++) rb[i] = __float_as_uint(b[(t + 4 * i) * 8 + g]);
    for (int i = 0; i < 4; i++) rc[i] = c[(i < 2 ? g : g + 8) * 8 + t * 2 + (i & 1)];
    emu_mma_tf32_1688(rc, ra, rb, rc); /* in place */
    for (int i = 0; i < 4; i++) d[(i < 2 ? g : g + 8) * 8 + t * 2 + (i & 1)] = rc[i];
}

static uint32_t dice = 1;
static int small() { return (int)((dice = dice * 1664525 + 1013904223) >> 24) % 17 - 8; }

/* Small integers: every sum is exact. */
CASE(mma)
{
    emu_bench d;
    std::vector<float> c(16 * 8), a(16 * 16), b(16 * 8);
    std::vector<unsigned short> ha(16 * 16), hb(16 * 8);
    for (float &x : c) x = (float)small();
    for (size_t i = 0; i < a.size(); i++) ha[i] = (unsigned short)(__float_as_uint(a[i] = (float)small()) >> 16);
    for (size_t i = 0; i < b.size(); i++) hb[i] = (unsigned short)(__float_as_uint(b[i] = (float)small()) >> 16);
    float *dc = d.up(c), *out = d.room<float>(16 * 8);
    unsigned short *da = d.up(ha), *db = d.up(hb);
    emu_launch(d.s, "bf16_tile", 1, 32, 0, bf16_tile, da, db, dc, out);
    std::vector<float> got = d.down(out, 16 * 8);
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 8; j++) {
            float want = c[(size_t)(i * 8 + j)];
            for (int k = 0; k < 16; k++) want += a[(size_t)(i * 16 + k)] * b[(size_t)(k * 8 + j)];
            EXPECT(got[(size_t)(i * 8 + j)] == want);
        }
    must(cudaFree(da));
    must(cudaFree(db));

    std::vector<float> fa(16 * 8), fb(8 * 8);
    for (float &x : fa) x = (float)small() + 0x1p-20f; /* bits that tf32 does not see */
    for (float &x : fb) x = (float)small();
    float *ga = d.up(fa), *gb = d.up(fb);
    emu_launch(d.s, "tf32_tile", 1, 32, 0, tf32_tile, ga, gb, dc, out);
    got = d.down(out, 16 * 8);
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 8; j++) {
            float want = c[(size_t)(i * 8 + j)];
            for (int k = 0; k < 8; k++) want += __uint_as_float(__float_as_uint(fa[(size_t)(i * 8 + k)]) & 0xffffe000u) * fb[(size_t)(k * 8 + j)];
            EXPECT(fabsf(got[(size_t)(i * 8 + j)] - want) <= 1e-3f);
            EXPECT(fabsf(want - rintf(want)) < 0.1f);
        }
    for (void *p : {(void *)ga, (void *)gb, (void *)dc, (void *)out}) must(cudaFree(p));
    puts("good");
}

static __global__ void staged(const int *in, int *out, int waits)
{
    int *s = (int *)emu_shared();
    const int t = (int)threadIdx.x;
    for (int k = 0; k < 2; k++) {
        if (t % 4 == 0) emu_cp_async(s + 32 * k + t, in + 32 * k + t, 16);
        emu_cp_async_commit();
    }
    if (waits) emu_cp_async_wait(1);
    __syncthreads();
    out[t] = s[31 - t];
    if (waits > 1) emu_cp_async_wait(0);
    __syncthreads();
    out[32 + t] = s[63 - t];
}
CASE(copies)
{
    emu_bench d;
    std::vector<int> v(64);
    for (int i = 0; i < 64; i++) v[(size_t)i] = i;
    int *in = d.up(v), *out = d.room<int>(64);
    for (int waits = 0; waits < 3; waits++) {
        emu_launch(d.s, "staged", 1, 32, 64 * sizeof(int), staged, in, out, waits);
        v = d.down(out, 64);
        for (int i = 0; i < 32; i++) EXPECT(v[(size_t)i] == (waits > 0 ? 31 - i : -1) && v[(size_t)(32 + i)] == (waits > 1 ? 63 - i : -1));
    }
    must(cudaFree(in));
    must(cudaFree(out));
    puts("good");
}
