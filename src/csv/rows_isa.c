/** Rows of the common shape, for one instruction set (compiled once for each, with CI_ISA).
 *
 *  In a good row the bytes that are no hexadecimal digit are the point, the commas and the line
 *  end, in this order.  So one mask, a bit for each of 64 bytes that is none, gives the layout of
 *  the row; then the separators are compared, the lengths of the fields, and that the time has
 *  digits only.  A row that fails any check is left to ci_frame_check, so this code may refuse too
 *  much but must never accept what that one refuses, nor read another value. */
#include <stdint.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "csv_priv.h"

#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)
#define NAME(f) PASTE(f, CI_ISA)
#define INLINE static inline __attribute__((always_inline))

#define EACH_BYTE UINT64_C(0x0101010101010101)

INLINE uint64_t load_u64(const char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

INLINE uint32_t load_u32(const char *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

/* Where the commas of a good row are, or other bytes that are no hexadecimal digit; from 64 on when
 * they are not among the first 64. */
struct layout {
    unsigned c1, c2, c3;
};

#if defined(__AVX2__)
/* A byte is a digit when the bits of its two halves meet: 1 for 3x, 2 for 4x and 6x. */
#define LOW_HALF 1, 3, 3, 3, 3, 3, 3, 1, 1, 1, 0, 0, 0, 0, 0, 0
#define HIGH_HALF 0, 0, 0, 1, 2, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0

#if defined(__AVX512BW__)
INLINE uint64_t not_hex(const char *p)
{
    const __m512i low = _mm512_broadcast_i32x4(_mm_setr_epi8(LOW_HALF));
    const __m512i high = _mm512_broadcast_i32x4(_mm_setr_epi8(HIGH_HALF));
    const __m512i v = _mm512_loadu_si512(p);
    const __m512i shifted = _mm512_and_si512(_mm512_srli_epi16(v, 4), _mm512_set1_epi8(15));

    /* The shuffle yields 0 for bytes above 7F. */
    return _mm512_testn_epi8_mask(_mm512_shuffle_epi8(low, v), _mm512_shuffle_epi8(high, shifted));
}
#else
INLINE uint64_t not_hex_half(const char *p)
{
    const __m256i low = _mm256_broadcastsi128_si256(_mm_setr_epi8(LOW_HALF));
    const __m256i high = _mm256_broadcastsi128_si256(_mm_setr_epi8(HIGH_HALF));
    const __m256i v = _mm256_loadu_si256((const __m256i *)p);
    const __m256i shifted = _mm256_and_si256(_mm256_srli_epi16(v, 4), _mm256_set1_epi8(15));
    const __m256i meet = _mm256_and_si256(_mm256_shuffle_epi8(low, v),
                                          _mm256_shuffle_epi8(high, shifted));

    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(meet, _mm256_setzero_si256()));
}

INLINE uint64_t not_hex(const char *p)
{
    return not_hex_half(p) | not_hex_half(p + 32) << 32;
}
#endif

/* `point` is where the first such byte is. */
INLINE struct layout layout_of(const char *p, unsigned point)
{
    struct layout l;
    uint64_t m = _blsr_u64(not_hex(p));

    (void)point;
    l.c1 = (unsigned)_tzcnt_u64(m);
    m = _blsr_u64(m);
    l.c2 = (unsigned)_tzcnt_u64(m);
    m = _blsr_u64(m);
    l.c3 = (unsigned)_tzcnt_u64(m);
    return l;
}

/* The lowest n bits of v, n < 256. */
INLINE uint64_t lowest(uint64_t v, unsigned n) { return _bzhi_u64(v, n); }
#else
static const uint8_t is_hex[256] = {['0' ... '9'] = 1, ['A' ... 'F'] = 1, ['a' ... 'f'] = 1};

INLINE unsigned skip_hex(const char *p, unsigned i)
{
    while (i < 64 && is_hex[(uint8_t)p[i]]) i++;
    return i;
}

INLINE struct layout layout_of(const char *p, unsigned point)
{
    struct layout l;

    l.c1 = skip_hex(p, point + 1);
    l.c2 = skip_hex(p, l.c1 + 1);
    l.c3 = skip_hex(p, l.c2 + 1);
    return l;
}

INLINE uint64_t lowest(uint64_t v, unsigned n)
{
    return n < 64 ? v & ((UINT64_C(1) << n) - 1) : v;
}
#endif

struct hex {
    uint32_t id;
    uint64_t payload;
};

#if defined(__AVX2__)
/* The n_id <= 8 digits that end at p, the first one the most significant; and the n_payload <= 16
 * digits behind the comma there as bytes, the first the lowest.  One lane for each: digits to
 * nibbles, pairs to bytes, and what does not belong to the field is cut off at last. */
INLINE struct hex hex_at(const char *p, unsigned n_id, unsigned n_payload)
{
    const __m256i order = _mm256_setr_epi8(14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 15,
                                           0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m256i weight = _mm256_setr_m128i(_mm_set1_epi16(0x1001), _mm_set1_epi16(0x0110));
    const __m256i v = _mm256_and_si256(_mm256_loadu_si256((const __m256i *)(p - 15)),
                                       _mm256_set1_epi8(0x4f));
    /* 0..9 stay, as they wrap to something large; 41..46 become 10..15. */
    const __m256i nib = _mm256_min_epu8(v, _mm256_sub_epi8(v, _mm256_set1_epi8('A' - 10)));
    const __m256i wide = _mm256_maddubs_epi16(_mm256_shuffle_epi8(nib, order), weight);
    const __m256i narrow = _mm256_packus_epi16(wide, wide);
    const __m128i id = _mm256_castsi256_si128(narrow), data = _mm256_extracti128_si256(narrow, 1);

    return (struct hex){(uint32_t)lowest((uint64_t)_mm_cvtsi128_si64(id), 4 * n_id),
                        lowest((uint64_t)_mm_cvtsi128_si64(data), 4 * n_payload)};
}

/* 8 digits, one a byte, the first the lowest byte. */
INLINE uint32_t decimal_of(uint64_t v)
{
    const __m128i two = _mm_maddubs_epi16(_mm_cvtsi64_si128((int64_t)v), _mm_set1_epi16(0x010a));
    const __m128i four = _mm_madd_epi16(two, _mm_set1_epi32(0x00010064));
    const __m128i pair = _mm_packus_epi32(four, four);

    return (uint32_t)_mm_cvtsi128_si32(_mm_madd_epi16(pair, _mm_set1_epi32(0x00012710)));
}
#else
/* Hexadecimal digits of 8 bytes as nibbles, one a byte. */
INLINE uint64_t nibbles(uint64_t v) { return (v & 15 * EACH_BYTE) + 9 * (v >> 6 & EACH_BYTE); }

/* 8 nibbles, the first in the lowest byte, as 4 bytes in the same order. */
INLINE uint32_t pairs(uint64_t nib)
{
    uint64_t v = (nib << 4 | nib >> 8) & UINT64_C(0x00ff00ff00ff00ff);

    v = (v | v >> 8) & UINT64_C(0x0000ffff0000ffff);
    return (uint32_t)(v | v >> 16);
}

INLINE struct hex hex_at(const char *p, unsigned n_id, unsigned n_payload)
{
    const uint32_t id = __builtin_bswap32(pairs(nibbles(load_u64(p - 8))));
    const uint64_t data = pairs(nibbles(load_u64(p + 1)))
                          | (uint64_t)pairs(nibbles(load_u64(p + 9))) << 32;

    return (struct hex){(uint32_t)lowest(id, 4 * n_id), lowest(data, 4 * n_payload)};
}

INLINE uint32_t decimal_of(uint64_t v)
{
    v = v * 10 + (v >> 8); /* pairs of digits in the even bytes */
    return (uint32_t)(((v & UINT64_C(0x000000ff000000ff)) * (100 + (UINT64_C(1000000) << 32))
                       + (v >> 16 & UINT64_C(0x000000ff000000ff)) * (1 + (UINT64_C(10000) << 32)))
                      >> 32);
}
#endif

/* n = 1..9 fraction digits as nanoseconds; -1 when one of them is a letter. */
INLINE int64_t fraction_at(const char *p, unsigned n)
{
    /* No byte of the field is below '0', so nothing is borrowed from what stays. */
    const uint64_t v = lowest(load_u64(p) - '0' * EACH_BYTE, 8 * n);
    const unsigned ninth = n == 9 ? (unsigned)(p[8] - '0') : 0;

    if (__builtin_expect((v & 0x10 * EACH_BYTE) != 0 || ninth > 9, 0)) return -1;
    return (int64_t)decimal_of(v) * 10 + ninth;
}

/* Neighbouring rows mostly share their second: its digits and the point are the key of the last
 * conversion. */
struct second {
    uint64_t mask[2], key[2];
    int64_t ns;
    unsigned n; /* digits */
};

INLINE int second_same(const char *p, const struct second *last)
{
    return (((load_u64(p) & last->mask[0]) ^ last->key[0])
            | ((load_u64(p + 8) & last->mask[1]) ^ last->key[1])) == 0;
}

/* 1 to 10 digits and a point.  \return 0 when p does not begin so, or time has no room for it */
static __attribute__((noinline)) int second_new(const char *p, struct second *last)
{
    struct second s = {.n = 0};
    int64_t v = 0;

    for (; s.n < 11 && p[s.n] >= '0' && p[s.n] <= '9'; s.n++) v = 10 * v + (p[s.n] - '0');
    if (s.n < 1 || s.n > 10 || p[s.n] != '.' || v >= CI_SECONDS_MAX) return 0;
    s.ns = v * 1000000000;
    for (unsigned i = 0; i <= s.n; i++) s.mask[i / 8] |= UINT64_C(255) << i % 8 * 8;
    for (unsigned i = 0; i < 2; i++) s.key[i] = load_u64(p + 8 * i) & s.mask[i];
    *last = s;
    return 1;
}

/* Bytes from the third comma, or where the payload ends, on: what they must be, what may differ,
 * and how long the line is from there. */
struct tail {
    uint32_t lf, lf_mask, crlf, crlf_mask;
    unsigned lf_bytes, crlf_bytes;
};
/* ",0\n", ",0\r\n" and without a label "\n", "\r\n"; the label may be 1 as well. */
static const struct tail tail_label = {0x000a302c, 0x00fffeff, 0x0a0d302c, 0xfffffeff, 3, 4};
static const struct tail tail_plain = {0x0000000a, 0x000000ff, 0x00000a0d, 0x0000ffff, 1, 2};

/* Rows that begin before `stop`; none may reach behind `end`, which is known of all those that
 * begin 64 bytes before it. */
INLINE const char *rows_parse(const char *p, const char *stop, const char *end,
                              const struct tail tail, ci_rows *out)
{
    /* Copies: stores of bytes could change *out, for all the compiler knows. */
    int64_t *const restrict t_ns = out->t_ns;
    uint32_t *const restrict ids = out->id;
    uint64_t *const restrict data = out->data;
    uint8_t *const restrict len = out->len, *const restrict attack = out->attack;
    const ci_lid cap = out->cap;
    struct second last = {.key = {1}}; /* no text is like this */
    ci_lid n = out->n;

    for (; p < stop && n < cap; n++) {
        struct layout l;
        unsigned n_fraction, n_id, n_payload, bytes;
        uint32_t behind;
        int64_t fraction;
        struct hex hex;

        if (__builtin_expect(!second_same(p, &last), 0) && !second_new(p, &last)) break;
        l = layout_of(p, last.n);
        n_fraction = l.c1 - last.n - 1;
        n_id = l.c2 - l.c1 - 1;
        n_payload = l.c3 - l.c2 - 1;
        if (n_fraction - 1 > 8 || n_id - 1 > 7 || n_payload > 16 || n_payload % 2) break;
        if (p[l.c1] != ',' || p[l.c2] != ',') break;
        behind = load_u32(p + l.c3);
        bytes = l.c3 + tail.lf_bytes;
        if ((behind & tail.lf_mask) != tail.lf) {
            if ((behind & tail.crlf_mask) != tail.crlf) break;
            bytes = l.c3 + tail.crlf_bytes;
        }
        if (bytes > (size_t)(end - p)) break;
        fraction = fraction_at(p + last.n + 1, n_fraction);
        hex = hex_at(p + l.c2, n_id, n_payload);
        if (fraction < 0 || hex.id > 0x1fffffff) break;

        t_ns[n] = last.ns + fraction;
        ids[n] = hex.id | (uint32_t)(hex.id > 0x7ff) << 31;
        data[n] = hex.payload;
        len[n] = (uint8_t)(n_payload / 2);
        attack[n] = tail.lf_bytes == 3 ? behind >> 8 & 1 : 0; /* without a label the line is shorter */
        p += bytes;
    }
    out->n = n;
    return p;
}

const char *NAME(ci_rows_parse)(const char *p, const char *stop, const char *end, int columns,
                                ci_rows *out)
{
    /* One loop for each number of columns, with its constants. */
    return columns == 4 ? rows_parse(p, stop, end, tail_label, out)
                        : rows_parse(p, stop, end, tail_plain, out);
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
