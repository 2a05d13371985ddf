/* One line of any dialect: what all of them share. */
#include "csv_priv.h"

#include <strings.h>

#include "ci/types.h"

#define BIT(kind) (UINT64_C(1) << (kind))

/* What can be repaired in a line: every other kind is refused, accepted or not. */
static const uint64_t repairs = BIT(CI_KIND_BLANK) | BIT(CI_KIND_COLUMNS) | BIT(CI_KIND_TIME_DIGITS)
                                | BIT(CI_KIND_PAYLOAD_ODD) | BIT(CI_KIND_PAYLOAD_LONG)
                                | BIT(CI_KIND_DLC) | BIT(CI_KIND_FD) | BIT(CI_KIND_REMOTE)
                                | BIT(CI_KIND_ERROR_FRAME);

bool ci_reader_refuse(ci_reader *r, ci_kind kind, ci_slice where, size_t stop)
{
    r->fault = (ci_fault){.kind = kind, .col = where.from + stop, .from = where.from, .n = where.n};
    return false;
}

bool ci_reader_pass(ci_reader *r, ci_kind kind, ci_slice where, size_t stop)
{
    if (kind == CI_KIND_NONE) return true;
    if (r->accepts & repairs & BIT(kind)) {
        r->frame.repaired |= BIT(kind);
        return true;
    }
    return ci_reader_refuse(r, kind, where, stop);
}

ci_slice ci_slice_trim(const ci_reader *r, ci_slice f)
{
    while (f.n > 0 && ci_is_blank(r->s[f.from])) f.from++, f.n--;
    while (f.n > 0 && ci_is_blank(r->s[f.from + f.n - 1])) f.n--;
    return f;
}

bool ci_slice_is(const ci_reader *r, ci_slice f, const char *word)
{
    return f.n == strlen(word) && strncasecmp(r->s + f.from, word, f.n) == 0;
}

ci_slice ci_reader_word(ci_reader *r)
{
    ci_slice f;

    while (r->at < r->n && ci_is_blank(r->s[r->at])) r->at++;
    f = (ci_slice){r->at, 0};
    while (r->at < r->n && !ci_is_blank(r->s[r->at])) r->at++, f.n++;
    return f;
}

size_t ci_reader_split(const ci_reader *r, ci_slice *out, size_t most)
{
    size_t n = 0, from = 0;

    for (;; n++) {
        const char *comma = memchr(r->s + from, ',', r->n - from);
        const size_t len = comma ? (size_t)(comma - r->s) - from : r->n - from;
        if (n < most) out[n] = ci_slice_trim(r, (ci_slice){from, len});
        if (!comma) return n + 1;
        from += len + 1;
    }
}

bool ci_reader_time(ci_reader *r, ci_slice f)
{
    size_t stop = 0;
    const ci_kind kind = r->layout->dialect == CI_DIALECT_GVRET
                             ? ci_field_micros(r->s + f.from, f.n, &r->frame.t_ns, &stop)
                             : ci_field_time(r->s + f.from, f.n, &r->frame.t_ns, &stop);

    return ci_reader_pass(r, kind, f, stop);
}

/* Without 0x in front of it. */
static ci_slice prefix_drop(const ci_reader *r, ci_slice f)
{
    const char *s = r->s + f.from;

    return f.n > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') ? (ci_slice){f.from + 2, f.n - 2}
                                                                : f;
}

bool ci_reader_id(ci_reader *r, ci_slice f, bool extended)
{
    const ci_slice digits = prefix_drop(r, f);
    size_t stop = 0;
    const ci_kind kind = ci_field_id(r->s + digits.from, digits.n, &r->frame.id, &stop);

    if (extended) r->frame.id |= UINT32_C(1) << 31;
    return ci_reader_pass(r, kind, f, stop + (digits.from - f.from));
}

bool ci_reader_id_by_width(ci_reader *r, ci_slice f)
{
    const uint32_t error = 0x20000000;
    uint32_t v = 0;
    size_t i = 0;

    for (; i < f.n && ci_hex_digit(r->s[f.from + i]) >= 0; i++)
        v = v << 4 | (uint32_t)ci_hex_digit(r->s[f.from + i]);
    if (i < f.n || f.n < 3) return ci_reader_pass(r, CI_KIND_ID, f, i);
    if (f.n > 8) return ci_reader_pass(r, CI_KIND_ID_RANGE, f, 8);
    if (f.n != 3 && f.n != 8) return ci_reader_pass(r, CI_KIND_ID, f, f.n);
    if (f.n == 3 ? v > 0x7ff : v >= 2 * error) return ci_reader_pass(r, CI_KIND_ID_RANGE, f, 0);
    if (v & error) r->frame.flags |= CI_FRAME_ERROR;
    r->frame.id = f.n == 8 ? (v & ~error) | UINT32_C(1) << 31 : v;
    return true;
}

void ci_frame_byte_put(ci_frame *f, size_t k, int value)
{
    if (k < 8)
        f->data |= (uint64_t)value << 8 * k;
    else
        f->more[k - 8] = (uint8_t)value;
}

bool ci_reader_hex(ci_reader *r, ci_slice f, size_t most)
{
    const ci_slice d = r->layout->dialect == CI_DIALECT_CANDUMP ? f : prefix_drop(r, f);
    size_t n = 0, behind = f.n; /* behind: the first byte too many */
    int high = -1;

    for (size_t i = 0; i < d.n; i++) {
        const char c = r->s[d.from + i];
        const int digit = ci_hex_digit(c);
        if (high < 0 && ci_is_blank(c)) continue;
        if (digit < 0) return ci_reader_pass(r, CI_KIND_PAYLOAD, f, d.from + i - f.from);
        if (n == most && behind == f.n) behind = d.from + i - f.from;
        if (high < 0) {
            high = digit;
            continue;
        }
        if (n < most) ci_frame_byte_put(&r->frame, n++, high << 4 | digit);
        high = -1;
    }
    r->frame.len = (uint8_t)n;
    if (behind < f.n) return ci_reader_pass(r, CI_KIND_PAYLOAD_LONG, f, behind);
    return high < 0 || ci_reader_pass(r, CI_KIND_PAYLOAD_ODD, f, f.n);
}

bool ci_reader_byte(ci_reader *r, ci_slice f, size_t k)
{
    int v[2] = {0, 0};

    for (size_t i = 0; i < f.n && i < 2; i++)
        if ((v[i] = ci_hex_digit(r->s[f.from + i])) < 0)
            return ci_reader_pass(r, CI_KIND_PAYLOAD, f, i);
    if (f.n != 2) return ci_reader_pass(r, CI_KIND_PAYLOAD, f, CI_MIN(f.n, 2));
    ci_frame_byte_put(&r->frame, k, v[0] << 4 | v[1]);
    return true;
}

bool ci_reader_length(ci_reader *r, ci_slice f, int most, int *out)
{
    int v = 0;

    for (size_t i = 0; i < f.n; i++) {
        const char c = r->s[f.from + i];
        if (!ci_is_digit(c) || i == 3) {
            *out = -1;
            return ci_reader_pass(r, CI_KIND_DLC, f, i);
        }
        v = 10 * v + (c - '0');
    }
    *out = f.n == 0 || v > most ? -1 : v;
    return *out >= 0 || ci_reader_pass(r, CI_KIND_DLC, f, 0);
}

bool ci_reader_dlc(ci_reader *r, int dlc, ci_slice where)
{
    return dlc < 0 || dlc == r->frame.len || ci_reader_pass(r, CI_KIND_DLC, where, 0);
}

bool ci_reader_special(ci_reader *r)
{
    const ci_slice all = {0, r->n};
    ci_frame *f = &r->frame;

    if (f->flags & CI_FRAME_REMOTE) { /* no payload, whatever stands there */
        f->len = 0;
        f->data = 0;
        memset(f->more, 0, sizeof f->more);
    }
    if (f->flags & CI_FRAME_ERROR) {
        r->none = true;
        return ci_reader_pass(r, CI_KIND_ERROR_FRAME, all, 0);
    }
    if (f->flags & CI_FRAME_REMOTE) return ci_reader_pass(r, CI_KIND_REMOTE, all, 0);
    if (f->len > 8) f->flags |= CI_FRAME_FD;
    return f->len <= 8 || ci_reader_pass(r, CI_KIND_FD, all, 0);
}

bool ci_reader_label(ci_reader *r, ci_slice f, const char *const *benign, const char *const *attack)
{
    for (; *benign; benign++, attack++) {
        r->frame.attack = ci_slice_is(r, f, *attack);
        if (r->frame.attack || ci_slice_is(r, f, *benign)) return true;
    }
    return ci_reader_pass(r, CI_KIND_LABEL, f, f.n > 0 && (r->s[f.from] == '0' || r->s[f.from] == '1'));
}

/* What concerns the line as a whole.  False: it goes no further. */
static bool whole_check(ci_reader *r)
{
    const ci_slice all = {0, r->n};
    const char *nul = memchr(r->s, 0, r->n);

    if (r->n > CI_LINE_MAX) return ci_reader_pass(r, CI_KIND_LONG_LINE, all, CI_LINE_MAX);
    if (nul) return ci_reader_pass(r, CI_KIND_NUL, all, (size_t)(nul - r->s));
    if (ci_slice_trim(r, all).n == 0) {
        r->none = true;
        return ci_reader_pass(r, CI_KIND_BLANK, all, 0);
    }
    return true;
}

static ci_line_fn *const read_by[CI_DIALECT_READ] = {
    [CI_DIALECT_FOUR_COLUMN] = ci_line_columns,
    [CI_DIALECT_HCRL] = ci_line_hcrl,
    [CI_DIALECT_HCRL_CHALLENGE] = ci_line_columns,
    [CI_DIALECT_HCRL_TEXT] = ci_line_hcrl_text,
    [CI_DIALECT_CANDUMP] = ci_line_candump,
    [CI_DIALECT_CANDUMP_SCREEN] = ci_line_candump_screen,
    [CI_DIALECT_PYTHON_CAN] = ci_line_columns,
    [CI_DIALECT_GVRET] = ci_line_gvret,
};

ci_line ci_line_read(const ci_layout *layout, uint64_t accepts, const char *line, size_t n,
                     ci_frame *out, ci_fault *out_fault)
{
    ci_reader r = {.layout = layout, .accepts = accepts, .s = line, .n = n};
    ci_line_fn *const read = layout->dialect > CI_DIALECT_NONE && layout->dialect < CI_DIALECT_READ
                                 ? read_by[layout->dialect] : NULL;

    if (!read) {
        *out_fault = (ci_fault){.kind = CI_KIND_DIALECT, .n = n};
        return CI_LINE_BAD;
    }
    if (!whole_check(&r) || (!r.none && !read(&r))) {
        *out_fault = r.fault;
        return CI_LINE_BAD;
    }
    *out = r.frame;
    return r.none ? CI_LINE_NONE : CI_LINE_FRAME;
}
