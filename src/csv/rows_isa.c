/** Rows of the common shape, for one instruction set (compiled once for each, with CI_ISA).
 *
 *  A row is classified 64 bytes at once: one bit a byte for newline, comma, point, digit and
 *  hexadecimal digit.  All checks are then arithmetic on those masks, and only values are loaded
 *  from the text again.  A row that fails any check is left to ci_frame_check, so this code may
 *  refuse too much but must never accept what that one refuses, nor read another value. */
#include <stdint.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "csv_priv.h"

#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)
#define NAME(f) PASTE(f, CI_ISA)

#define EACH_BYTE UINT64_C(0x0101010101010101)

static inline uint64_t load_u64(const char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

/* The lowest n bits, n <= 63. */
static inline uint64_t below(unsigned n) { return (UINT64_C(1) << n) - 1; }

struct masks {
    uint64_t newline, comma, point, digit, hex;
};

#if defined(__AVX512BW__)
/* gcc computes with masks in mask registers, where every use costs a move of 3 cycles (8 % of the
 * parser's time).  An empty asm brings a value to the general ones. */
#define IN_GENERAL(m) __asm__("" : "+r"(m))

static inline struct masks classify(const char *p)
{
    const __m512i v = _mm512_loadu_si512(p);
    const __m512i lower = _mm512_or_si512(v, _mm512_set1_epi8(0x20));
    struct masks m;

    m.newline = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\n'));
    m.comma = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8(','));
    m.point = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('.'));
    m.digit = _mm512_cmple_epu8_mask(_mm512_sub_epi8(v, _mm512_set1_epi8('0')),
                                     _mm512_set1_epi8(9));
    m.hex = _mm512_cmple_epu8_mask(_mm512_sub_epi8(lower, _mm512_set1_epi8('a')),
                                   _mm512_set1_epi8(5));
    IN_GENERAL(m.newline);
    IN_GENERAL(m.comma);
    IN_GENERAL(m.point);
    IN_GENERAL(m.digit);
    IN_GENERAL(m.hex);
    m.hex |= m.digit;
    return m;
}
#elif defined(__AVX2__)
static inline uint64_t half_equal(__m256i v, char c)
{
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, _mm256_set1_epi8(c)));
}

/* Bytes of v in [first, first + span]. */
static inline uint64_t half_range(__m256i v, char first, char span)
{
    const __m256i d = _mm256_sub_epi8(v, _mm256_set1_epi8(first));
    const __m256i least = _mm256_min_epu8(d, _mm256_set1_epi8(span));

    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(least, d));
}

static inline struct masks classify_half(const char *p)
{
    const __m256i v = _mm256_loadu_si256((const __m256i *)p);
    struct masks m;

    m.newline = half_equal(v, '\n');
    m.comma = half_equal(v, ',');
    m.point = half_equal(v, '.');
    m.digit = half_range(v, '0', 9);
    m.hex = m.digit | half_range(_mm256_or_si256(v, _mm256_set1_epi8(0x20)), 'a', 5);
    return m;
}

static inline struct masks classify(const char *p)
{
    const struct masks a = classify_half(p), b = classify_half(p + 32);

    return (struct masks){a.newline | b.newline << 32, a.comma | b.comma << 32,
                          a.point | b.point << 32, a.digit | b.digit << 32, a.hex | b.hex << 32};
}
#else
enum { NEWLINE = 1, COMMA = 2, POINT = 4, DIGIT = 8, HEX = 16 };
static const uint8_t class_of[256] = {
    ['\n'] = NEWLINE, [','] = COMMA, ['.'] = POINT,
    ['0' ... '9'] = DIGIT | HEX, ['A' ... 'F'] = HEX, ['a' ... 'f'] = HEX,
};

/* Stops at the newline: what follows has no say in this row. */
static inline struct masks classify(const char *p)
{
    struct masks m = {0};

    for (unsigned i = 0; i < 64; i++) {
        const uint64_t c = class_of[(uint8_t)p[i]];
        m.comma |= (c >> 1 & 1) << i;
        m.point |= (c >> 2 & 1) << i;
        m.digit |= (c >> 3 & 1) << i;
        m.hex |= (c >> 4 & 1) << i;
        m.newline |= (c & 1) << i;
        if (c & NEWLINE) break;
    }
    return m;
}
#endif

/* Hexadecimal digits of 8 bytes as nibbles, one a byte; bytes of zero stay zero. */
static inline uint64_t nibbles(uint64_t v)
{
    return (v & 15 * EACH_BYTE) + 9 * (v >> 6 & EACH_BYTE);
}

/* 8 nibbles, the first in the lowest byte, as 4 bytes in the same order. */
static inline uint32_t pairs(uint64_t nib)
{
    uint64_t v = (nib << 4 | nib >> 8) & UINT64_C(0x00ff00ff00ff00ff);

    v = (v | v >> 8) & UINT64_C(0x0000ffff0000ffff);
    return (uint32_t)(v | v >> 16);
}

/* The n <= 8 hexadecimal digits that end at p, the first one the most significant. */
static inline uint32_t id_at(const char *p, unsigned n)
{
    const uint64_t v = load_u64(p - 8) & ~UINT64_C(0) << (64 - 8 * n);

    return __builtin_bswap32(pairs(nibbles(v)));
}

#if defined(__AVX2__)
/* First n lanes of 16 are kept, from lanes + 16 - n. */
static const uint8_t lanes[32] = {255, 255, 255, 255, 255, 255, 255, 255,
                                  255, 255, 255, 255, 255, 255, 255, 255};

static inline __m128i first_lanes(__m128i v, unsigned n)
{
    return _mm_and_si128(v, _mm_loadu_si128((const __m128i *)(lanes + 16 - n)));
}

/* n <= 16 hexadecimal digits as n/2 bytes, the first the lowest. */
static inline uint64_t payload_at(const char *p, unsigned n)
{
    const __m128i v = _mm_loadu_si128((const __m128i *)p);
    const __m128i letter = _mm_and_si128(_mm_cmpgt_epi8(v, _mm_set1_epi8('9')),
                                         _mm_set1_epi8(9));
    const __m128i nib = first_lanes(
        _mm_add_epi8(_mm_and_si128(v, _mm_set1_epi8(15)), letter), n);
    const __m128i wide = _mm_maddubs_epi16(nib, _mm_set1_epi16(0x0110));

    return (uint64_t)_mm_cvtsi128_si64(_mm_packus_epi16(wide, wide));
}

/* n <= 9 fraction digits as nanoseconds. */
static inline int64_t fraction_at(const char *p, unsigned n)
{
    const __m128i v = _mm_loadu_si128((const __m128i *)p);
    const __m128i d = first_lanes(_mm_sub_epi8(v, _mm_set1_epi8('0')), n);
    const __m128i two = _mm_maddubs_epi16(d, _mm_set1_epi16(0x010a));
    const __m128i four = _mm_madd_epi16(two, _mm_set1_epi32(0x00010064));
    const __m128i eight = _mm_madd_epi16(_mm_packus_epi32(four, four),
                                         _mm_set1_epi32(0x00012710));
    const uint64_t both = (uint64_t)_mm_cvtsi128_si64(eight);

    /* The lower half is digits 1 to 8; of the upper only digit 9, times 10^7, is not 0. */
    return (int64_t)(both & 0xffffffff) * 10 + (int64_t)((both >> 32) / 10000000);
}
#else
static inline uint64_t payload_at(const char *p, unsigned n)
{
    const unsigned a = n < 8 ? n : 8, b = n - a;
    const uint64_t lo = a ? load_u64(p) & ~UINT64_C(0) >> (64 - 8 * a) : 0;
    const uint64_t hi = b ? load_u64(p + 8) & ~UINT64_C(0) >> (64 - 8 * b) : 0;

    return pairs(nibbles(lo)) | (uint64_t)pairs(nibbles(hi)) << 32;
}

static inline int64_t fraction_at(const char *p, unsigned n)
{
    static const int32_t scale[10] = {1000000000, 100000000, 10000000, 1000000, 100000,
                                      10000,      1000,      100,      10,      1};
    int32_t v = 0;

    for (unsigned i = 0; i < n; i++) v = 10 * v + (p[i] - '0');
    return (int64_t)v * scale[n];
}
#endif

/* Neighbouring rows mostly share their second: its text is the key of the last conversion. */
struct second {
    uint64_t key[2];
    int64_t ns;
};

static inline int64_t second_at(const char *p, unsigned n, struct second *last)
{
    const uint64_t a = n < 8 ? load_u64(p) & below(8 * n) : load_u64(p);
    const uint64_t b = n > 8 ? load_u64(p + 8) & below(8 * (n - 8)) : 0;

    if (__builtin_expect(a != last->key[0] || b != last->key[1], 0)) {
        int64_t v = 0;
        for (unsigned i = 0; i < n; i++) v = 10 * v + (p[i] - '0');
        *last = (struct second){{a, b}, v < CI_SECONDS_MAX ? v * 1000000000 : -1};
    }
    return last->ns;
}

const char *NAME(ci_rows_parse)(const char *p, const char *stop, const char *end, int columns,
                                ci_rows *out)
{
    /* Copies: stores of bytes could change *out, for all the compiler knows. */
    int64_t *const restrict t_ns = out->t_ns;
    uint32_t *const restrict ids = out->id;
    uint64_t *const restrict data = out->data;
    uint8_t *const restrict len = out->len, *const restrict attack = out->attack;
    const ci_lid cap = out->cap;
    struct second last = {{0, 0}, -1};
    ci_lid n = out->n;

    for (; p < stop && n < cap; n++) {
        const struct masks m = classify(p);
        const unsigned line = m.newline ? (unsigned)__builtin_ctzll(m.newline) : 63;
        const unsigned tail = line && p[line - 1] == '\r' ? line - 1 : line;
        uint64_t comma = m.comma & below(line);
        unsigned c1, c2, c3, point;
        uint64_t range;

        if (!m.newline || line >= (size_t)(end - p)) break;
        if (!comma) break;
        c1 = (unsigned)__builtin_ctzll(comma);
        comma &= comma - 1;
        if (!comma) break;
        c2 = (unsigned)__builtin_ctzll(comma);
        comma &= comma - 1;
        if (columns == 4) {
            if (!comma) break;
            c3 = (unsigned)__builtin_ctzll(comma);
            comma &= comma - 1;
            if (tail != c3 + 2 || (p[c3 + 1] & ~1) != '0') break;
        } else {
            c3 = tail;
        }
        if (comma) break;

        range = m.point & below(c1);
        if (!range || (range & (range - 1)) || ((m.digit | range) & below(c1)) != below(c1)) break;
        point = (unsigned)__builtin_ctzll(range);
        if (point - 1 > 9 || c1 - point - 2 > 8) break;

        range = below(c3) & ~below(c1 + 1) & ~(UINT64_C(1) << c2);
        if ((m.hex & range) != range || c2 - c1 - 2 > 7 || c3 - c2 - 1 > 16 || (c3 - c2 - 1) % 2)
            break;
        const uint32_t id = id_at(p + c2, c2 - c1 - 1);
        const int64_t second = second_at(p, point, &last);
        if (id > 0x1fffffff || second < 0) break;

        t_ns[n] = second + fraction_at(p + point + 1, c1 - point - 1);
        ids[n] = id | (uint32_t)(id > 0x7ff) << 31;
        data[n] = payload_at(p + c2 + 1, c3 - c2 - 1);
        len[n] = (uint8_t)((c3 - c2 - 1) / 2);
        attack[n] = columns == 4 ? p[c3 + 1] & 1 : 0;
        p += line + 1;
    }
    out->n = n;
    return p;
}

int64_t NAME(ci_newlines)(const char *p, size_t n)
{
    int64_t sum = 0;
    size_t i = 0;

    while (n - i >= 64) { /* 64 counters of 8 bits, emptied before one can overflow */
        uint8_t count[64] = {0};
        for (int k = 0; k < 255 && n - i >= 64; k++, i += 64)
            for (int j = 0; j < 64; j++) count[j] = (uint8_t)(count[j] + (p[i + j] == '\n'));
        for (int j = 0; j < 64; j++) sum += count[j];
    }
    for (; i < n; i++) sum += p[i] == '\n';
    return sum;
}
