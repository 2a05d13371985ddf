/* The integer sum: gradients in units of a power of two, so that order does not matter.
 *
 * Rounding goes by the magic number 1.5 * 2^52: added to a double below 2^51 it leaves the nearest
 * integer in the lower bits, and vectorises everywhere.  Every operation is exact or IEEE, so that
 * the clones for wider registers give the same bits. */
#include <math.h>
#include <string.h>
#include "train_priv.h"

#if defined __x86_64__ && !defined __clang__ && !defined __SANITIZE_ADDRESS__
#define CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CLONES
#endif

static const double magic = 0x1.8p52;

/* Of `BLOCK` gradients, which stay in the first cache between the two loops: a constant count, for a compiler that makes vectors of no
 * other loop at -O2.  Most rows of a table of identifiers are 0, and are left alone. */
enum { BLOCK = 64 };

static inline __attribute__((always_inline)) uint32_t block_add(float *g, ci_lid n, double unit, uint64_t zero, int64_t *sum)
{
    uint32_t largest = 0;

    for (ci_lid i = 0; i < n; i++) {
        uint32_t b;
        memcpy(&b, &g[i], sizeof b);
        b &= 0x7fffffffu;
        largest = b > largest ? b : largest;
    }
    if (largest == 0) return 0;
    for (ci_lid i = 0; i < n; i++) {
        const double d = (double)g[i] * unit + magic;
        uint64_t q;
        memcpy(&q, &d, sizeof q);
        sum[i] = (int64_t)((uint64_t)sum[i] + (q - zero));
        g[i] = 0;
    }
    return largest;
}

CLONES
uint32_t sum_add(float *g, ci_gid n, int exponent, int64_t *sum)
{
    const double unit = ldexp(1, exponent);
    uint64_t zero; /* unsigned: what has outgrown its units is garbage, and may wrap */
    uint32_t largest = 0;
    ci_gid i = 0;

    memcpy(&zero, &magic, sizeof zero);
    for (; i + BLOCK <= n; i += BLOCK) {
        const uint32_t one = block_add(g + i, BLOCK, unit, zero, sum + i);
        largest = one > largest ? one : largest;
    }
    const uint32_t rest = block_add(g + i, (ci_lid)(n - i), unit, zero, sum + i);
    return rest > largest ? rest : largest;
}

CLONES
void sum_float(const int64_t *sum, ci_gid n, int exponent, float *g)
{
    const double unit = ldexp(1, -exponent);

    for (ci_gid i = 0; i < n; i++) g[i] = (float)((double)sum[i] * unit);
}

static float as_float(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

int sum_exponent(uint32_t largest, int old)
{
    int e = 0;

    if (largest == 0) return old;
    frexp((double)as_float(largest), &e); /* below 2^e */
    return SUM_AIM - e;
}

int sum_overflows(uint32_t largest, int exponent)
{
    return !(ldexp((double)as_float(largest), exponent) < ldexp(1, SUM_BITS));
}

int sum_bits(int64_t numbers)
{
    int bits = SUM_BITS;

    while (bits > 0 && numbers > (int64_t)1 << (62 - bits)) bits--;
    return bits;
}
