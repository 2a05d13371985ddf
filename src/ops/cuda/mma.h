#ifndef CI_MMA_H
#define CI_MMA_H
/** Products of small matrices by a warp, on tensor cores: c (16, 8) += a (16, k) b (k, 8), sums in float.
 *
 *  A word holds one element of k in tf32 and two adjacent ones in bf16, the lower in the low half; k is 8 words either way, so both
 *  kinds have one layout.  With g = lane / 4 and t = lane % 4 a lane holds
 *
 *      a[0..3]  words (g, t), (g + 8, t), (g, t + 4), (g + 8, t + 4)         b[0..1]  words (t, g), (t + 4, g)
 *      c[0..3]  (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1)
 *
 *  Source: NVIDIA, "Parallel Thread Execution ISA", matrix fragments for mma.m16n8k8 and mma.m16n8k16. */
#include "ci/kernel.h"

enum { MMA_WORDS = 8 }; /* of k in one instruction */

/** Rounded to 10 bits of mantissa, to nearest, ties to even; what is no number stays none. */
CI_DEVICE uint32_t mma_tf32_bits(float x)
{
    const uint32_t u = ci_bits(x);
    return (u & 0x7fffffffu) > 0x7f800000u ? 0x7fffe000u : (u + 0xfffu + (u >> 13 & 1u)) & ~0x1fffu;
}

/** Likewise to 7 bits, in 16. */
CI_DEVICE uint32_t mma_bf16_bits(float x)
{
    const uint32_t u = ci_bits(x);
    return (u & 0x7fffffffu) > 0x7f800000u ? 0x7fffu : (u + 0x7fffu + (u >> 16 & 1u)) >> 16;
}

/** By shuffles alone: what devices before sm_80 do.  k ascending, each step fused. */
template <int P> CI_DEVICE void mma_plain(float *c, const uint32_t *a, const uint32_t *b)
{
    const int lane = threadIdx.x % CI_WARP, g = lane / 4, t = lane % 4, parts = P == CI_BF16 ? 2 : 1;
    for (int k = 0; k < MMA_WORDS; k++) {
        const uint32_t w[4] = {__shfl_sync(CI_ALL, k < 4 ? a[0] : a[2], g * 4 + k % 4), __shfl_sync(CI_ALL, k < 4 ? a[1] : a[3], g * 4 + k % 4),
                               __shfl_sync(CI_ALL, k < 4 ? b[0] : b[1], t * 8 + k % 4), __shfl_sync(CI_ALL, k < 4 ? b[0] : b[1], t * 8 + 4 + k % 4)};
        for (int part = 0; part < parts; part++) {
            float v[4];
            for (int j = 0; j < 4; j++) {
                const uint32_t u = P != CI_BF16 ? w[j] : part ? w[j] & 0xffff0000u : w[j] << 16;
                memcpy(&v[j], &u, sizeof u);
            }
            c[0] = fmaf(v[0], v[2], c[0]);
            c[1] = fmaf(v[0], v[3], c[1]);
            c[2] = fmaf(v[1], v[2], c[2]);
            c[3] = fmaf(v[1], v[3], c[3]);
        }
    }
}

/** The instruction itself.  All lanes of the warp together. */
template <int P> CI_DEVICE void mma(float *c, const uint32_t *a, const uint32_t *b)
{
#if defined CI_EMULATED && !defined CI_MMA_PLAIN
    if (P == CI_BF16) emu_mma_bf16_16816(c, a, b, c);
    else emu_mma_tf32_1688(c, a, b, c);
#elif defined __CUDA_ARCH__ && __CUDA_ARCH__ >= 800
    if (P == CI_BF16)
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    else
        asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    mma_plain<P>(c, a, b);
#endif
}

#endif
