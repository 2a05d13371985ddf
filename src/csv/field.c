/* Fields, each read alone. */
#include "csv_priv.h"

int ci_hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

ci_kind ci_field_time(const char *f, size_t n, int64_t *out, size_t *stop)
{
    int64_t second = 0, ns = 0;
    size_t i = 0, digits = 0;

    for (; i < n && ci_is_digit(f[i]); i++)
        if (second <= CI_SECONDS_MAX) second = 10 * second + (f[i] - '0');
    *stop = i;
    if (i == 0) return CI_KIND_TIME;
    if (i < n && f[i] == '.') {
        for (i++; i < n && ci_is_digit(f[i]); i++, digits++)
            if (digits < 9) ns = 10 * ns + (f[i] - '0');
        *stop = i;
        if (digits == 0) return CI_KIND_TIME;
    }
    if (i < n) return CI_KIND_TIME;
    for (size_t k = digits; k < 9; k++) ns *= 10;
    *stop = 0;
    if (second > CI_SECONDS_MAX) return CI_KIND_TIME_RANGE;
    if (second == CI_SECONDS_MAX && ns > INT64_MAX - CI_SECONDS_MAX * 1000000000)
        return CI_KIND_TIME_RANGE;
    *out = second * 1000000000 + ns;
    *stop = n - (digits > 9 ? digits - 9 : 0);
    return digits > 9 ? CI_KIND_TIME_DIGITS : CI_KIND_NONE;
}

ci_kind ci_field_micros(const char *f, size_t n, int64_t *out, size_t *stop)
{
    int64_t v = 0;
    size_t i = 0;

    for (; i < n && ci_is_digit(f[i]); i++)
        if (v <= INT64_MAX / 1000) v = 10 * v + (f[i] - '0');
    *stop = i;
    if (i == 0 || i < n) return CI_KIND_TIME;
    *stop = 0;
    if (v > INT64_MAX / 1000) return CI_KIND_TIME_RANGE;
    *out = v * 1000;
    return CI_KIND_NONE;
}

ci_kind ci_field_id(const char *f, size_t n, uint32_t *out, size_t *stop)
{
    uint32_t v = 0;
    size_t i = 0;

    for (; i < n && ci_hex_digit(f[i]) >= 0; i++) v = v << 4 | (uint32_t)ci_hex_digit(f[i]);
    *stop = i;
    if (i < n || n == 0) return CI_KIND_ID;
    *stop = n > 8 ? 8 : 0;
    if (n > 8 || v > 0x1fffffff) return CI_KIND_ID_RANGE;
    *out = v > 0x7ff ? v | UINT32_C(1) << 31 : v;
    return CI_KIND_NONE;
}

ci_kind ci_field_payload(const char *f, size_t n, uint64_t *out, uint8_t *out_len, size_t *stop)
{
    uint64_t v = 0;
    size_t i = 0;

    while (i < n && ci_hex_digit(f[i]) >= 0) i++;
    *stop = i;
    if (i < n) return CI_KIND_PAYLOAD;
    *stop = 16;
    if (n > 16) return CI_KIND_PAYLOAD_LONG;
    *stop = n;
    if (n % 2) return CI_KIND_PAYLOAD_ODD;
    for (i = 0; i < n; i += 2)
        v |= (uint64_t)(ci_hex_digit(f[i]) << 4 | ci_hex_digit(f[i + 1])) << 4 * i;
    *out = v;
    *out_len = (uint8_t)(n / 2);
    return CI_KIND_NONE;
}

ci_kind ci_field_label(const char *f, size_t n, uint8_t *out, size_t *stop)
{
    *stop = n > 0 && (f[0] == '0' || f[0] == '1');
    if (n != 1 || *stop == 0) return CI_KIND_LABEL;
    *out = f[0] == '1';
    return CI_KIND_NONE;
}
