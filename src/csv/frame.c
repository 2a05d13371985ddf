/* The plain four columns, strictly. */
#include "csv_priv.h"

static ci_kind field_parse(int k, const char *f, size_t n, ci_frame *out, size_t *stop)
{
    switch (k) {
    case 0: return ci_field_time(f, n, &out->t_ns, stop);
    case 1: return ci_field_id(f, n, &out->id, stop);
    case 2: return ci_field_payload(f, n, &out->data, &out->len, stop);
    default: return ci_field_label(f, n, &out->attack, stop);
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
