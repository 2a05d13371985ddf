#include <stdbool.h>
#include <string.h>

#include "csv_priv.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Each field's parser gets the field alone and returns where in it reading stopped. */

static ci_kind time_parse(const char *f, size_t n, int64_t *out, size_t *stop)
{
    int64_t second = 0, ns = 0;
    size_t i = 0, digits = 0;

    for (; i < n && is_digit(f[i]); i++)
        if (second <= CI_SECONDS_MAX) second = 10 * second + (f[i] - '0');
    *stop = i;
    if (i == 0) return CI_KIND_TIME;
    if (i < n && f[i] == '.') {
        for (i++; i < n && is_digit(f[i]); i++, digits++)
            if (digits < 9) ns = 10 * ns + (f[i] - '0');
        *stop = i;
        if (digits == 0) return CI_KIND_TIME;
    }
    if (i < n) return CI_KIND_TIME;
    *stop = n - (digits > 9 ? digits - 9 : 0);
    if (digits > 9) return CI_KIND_TIME_DIGITS;
    for (; digits < 9; digits++) ns *= 10;
    *stop = 0;
    if (second > CI_SECONDS_MAX) return CI_KIND_TIME_RANGE;
    if (second == CI_SECONDS_MAX && ns > INT64_MAX - CI_SECONDS_MAX * 1000000000)
        return CI_KIND_TIME_RANGE;
    *out = second * 1000000000 + ns;
    return CI_KIND_NONE;
}

static ci_kind id_parse(const char *f, size_t n, uint32_t *out, size_t *stop)
{
    uint32_t v = 0;
    size_t i = 0;

    for (; i < n && hex_digit(f[i]) >= 0; i++) v = v << 4 | (uint32_t)hex_digit(f[i]);
    *stop = i;
    if (i < n || n == 0) return CI_KIND_ID;
    *stop = n > 8 ? 8 : 0;
    if (n > 8 || v > 0x1fffffff) return CI_KIND_ID_RANGE;
    *out = v > 0x7ff ? v | UINT32_C(1) << 31 : v;
    return CI_KIND_NONE;
}

static ci_kind payload_parse(const char *f, size_t n, uint64_t *out, uint8_t *out_len,
                             size_t *stop)
{
    uint64_t v = 0;
    size_t i = 0;

    while (i < n && hex_digit(f[i]) >= 0) i++;
    *stop = i;
    if (i < n) return CI_KIND_PAYLOAD;
    *stop = 16;
    if (n > 16) return CI_KIND_PAYLOAD_LONG;
    *stop = n;
    if (n % 2) return CI_KIND_PAYLOAD_ODD;
    for (i = 0; i < n; i += 2)
        v |= (uint64_t)(hex_digit(f[i]) << 4 | hex_digit(f[i + 1])) << 4 * i;
    *out = v;
    *out_len = (uint8_t)(n / 2);
    return CI_KIND_NONE;
}

static ci_kind label_parse(const char *f, size_t n, uint8_t *out, size_t *stop)
{
    *stop = n > 0 && (f[0] == '0' || f[0] == '1');
    if (n != 1 || *stop == 0) return CI_KIND_LABEL;
    *out = f[0] == '1';
    return CI_KIND_NONE;
}

static ci_kind field_parse(int k, const char *f, size_t n, ci_frame *out, size_t *stop)
{
    switch (k) {
    case 0: return time_parse(f, n, &out->t_ns, stop);
    case 1: return id_parse(f, n, &out->id, stop);
    case 2: return payload_parse(f, n, &out->data, &out->len, stop);
    default: return label_parse(f, n, &out->attack, stop);
    }
}

/* What concerns the line as a whole. */
static ci_kind line_check(const char *line, size_t n, int columns, ci_fault *fault)
{
    const char *nul = memchr(line, 0, n);
    int commas = 0;

    *fault = (ci_fault){.kind = CI_KIND_NONE, .n = n};
    if (n > CI_LINE_MAX) {
        fault->col = CI_LINE_MAX;
        return fault->kind = CI_KIND_LONG_LINE;
    }
    if (nul) {
        fault->col = (size_t)(nul - line);
        return fault->kind = CI_KIND_NUL;
    }
    if (n == 0) return fault->kind = CI_KIND_BLANK;
    for (size_t i = 0; i < n; i++) {
        commas += line[i] == ',';
        fault->col = i;
        if (commas == columns) return fault->kind = CI_KIND_COLUMNS;
    }
    fault->col = n;
    return fault->kind = commas < columns - 1 ? CI_KIND_COLUMNS : CI_KIND_NONE;
}

ci_kind ci_frame_check(const char *line, size_t n, int columns, ci_frame *out,
                       ci_fault *out_fault)
{
    ci_frame frame = {0};
    ci_fault fault;
    size_t from = 0;

    if (line_check(line, n, columns, &fault) != CI_KIND_NONE) {
        *out_fault = fault;
        return fault.kind;
    }
    for (int k = 0; k < columns; k++) {
        const char *comma = memchr(line + from, ',', n - from);
        const size_t len = comma ? (size_t)(comma - line) - from : n - from;
        size_t stop = 0;
        const ci_kind kind = field_parse(k, line + from, len, &frame, &stop);

        if (kind != CI_KIND_NONE) {
            *out_fault = (ci_fault){.kind = kind, .col = from + stop, .from = from, .n = len};
            return kind;
        }
        from += len + 1;
    }
    *out = frame;
    return CI_KIND_NONE;
}

ci_rc ci_frame_parse(const char *line, size_t n, ci_frame *out, size_t *out_col)
{
    ci_rc rc = CI_OK;
    ci_fault fault;

    if (ci_frame_check(line, n, 4, out, &fault) != CI_KIND_NONE) {
        *out_col = fault.col;
        CI_FAIL(CI_EFORMAT, "column %zu: %s: %s", fault.col + 1, ci_kind_name(fault.kind),
                ci_kind_reason(fault.kind));
    }
done:
    return rc;
}

int ci_header_columns(const char *line, size_t n)
{
    static const char header[] = "timestamp,arbitration_id,data_field,attack";
    const size_t without_label = strlen("timestamp,arbitration_id,data_field");

    if (n == strlen(header) && memcmp(line, header, n) == 0) return 4;
    if (n == without_label && memcmp(line, header, n) == 0) return 3;
    return 0;
}
