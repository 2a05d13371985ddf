#define _GNU_SOURCE /* memfd_create */
/** Four-column text: whatever the fast parsers accept, ci_frame_check accepts and reads alike, on
 *  every instruction set.  The input is a capture, with or without its header. */
#include "fuzz.h"

#include "ci/csv.h"
#include "ci/layout.h"

enum { MOST = 4096 };

static ci_frame want[MOST], got[MOST];

/* Rows of all lines that ci_frame_check accepts, in order. */
static size_t slow(const char *p, const char *end, int columns)
{
    size_t n = 0;

    for (const char *next; p < end && n < MOST; p = next + 1) {
        ci_frame f;
        ci_fault fault = {0};
        const char *stop;
        next = memchr(p, '\n', (size_t)(end - p));
        if (!next) next = end;
        stop = next > p && next[-1] == '\r' ? next - 1 : next;
        memset(&f, 0, sizeof f);
        if (ci_frame_check(p, (size_t)(stop - p), columns, &f, &fault) == CI_KIND_NONE)
            want[n++] = f;
        else
            MUST(fault.kind != CI_KIND_NONE && fault.kind < CI_KIND_COUNT
                 && fault.col <= (size_t)(stop - p) && fault.from + fault.n <= (size_t)(stop - p),
                 "kind %d, column %zu, field %zu + %zu of a line of %td", fault.kind, fault.col,
                 fault.from, fault.n, stop - p);
    }
    return n;
}

/* The same with the fast parser first, a bit of the text and of the room at a time. */
static size_t fast(const char *p, const char *end, int columns, size_t step)
{
    int64_t t[MOST];
    uint32_t id[MOST];
    uint64_t payload[MOST];
    uint8_t len[MOST], attack[MOST];
    ci_rows rows = {t, id, payload, len, attack, 0, 0};
    size_t n = 0;

    while (p < end && rows.n < MOST) {
        const char *before = p, *stop = (size_t)(end - p) > step ? p + step : end, *next;
        ci_frame f;
        ci_fault fault;
        rows.cap = (ci_lid)CI_MIN((size_t)rows.n + 1 + step % 7, (size_t)MOST);
        p = ci_rows_parse(p, stop, end, columns, &rows);
        MUST(p >= before && p <= end && rows.n <= rows.cap, "at %td, %d rows", p - before, rows.n);
        for (; n < (size_t)rows.n; n++) {
            memset(&got[n], 0, sizeof *got);
            got[n].t_ns = t[n];
            got[n].id = id[n];
            got[n].data = payload[n];
            got[n].len = len[n];
            got[n].attack = attack[n];
        }
        if (p != before || n == MOST) continue;
        next = memchr(p, '\n', (size_t)(end - p));
        stop = next ? next : end;
        memset(&f, 0, sizeof f);
        if (ci_frame_check(p, (size_t)(stop - p) - (stop > p && stop[-1] == '\r'), columns, &f,
                           &fault) == CI_KIND_NONE) {
            t[n] = f.t_ns;
            id[n] = f.id;
            payload[n] = f.data;
            len[n] = f.len;
            attack[n] = f.attack;
            got[n++] = f;
            rows.n++;
        }
        p = next ? next + 1 : end;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const isas[] = {"generic", "avx2", "avx512"};
    const uint8_t *line = n ? memchr(data, '\n', n) : NULL;
    ci_layout layout;
    int columns;
    char *room = malloc(CI_ROWS_BEFORE + n + CI_ROWS_BEHIND), *text = room + CI_ROWS_BEFORE;
    size_t n_want;

    MUST(room, "no memory");
    ci_layout_find((const char *)data, CI_MIN(n, CI_LAYOUT_SAMPLE), CI_DIALECT_NONE, &layout);
    columns = layout.fast ? layout.columns : 4;
    memset(room, '7', CI_ROWS_BEFORE);
    if (n) memcpy(text, data, n);
    memset(text + n, n % 2 ? '\n' : '0', CI_ROWS_BEHIND); /* must not count, whatever it is */
    n_want = slow(text, text + n, columns);
    for (size_t i = 0; i < CI_COUNT(isas); i++) {
        size_t n_got;
        if (!ci_csv_isa(isas[i])) continue;
        n_got = fast(text, text + n, columns, i == 0 || n < 2 ? n + 1 : 1 + data[0] % n);
        MUST(n_got == n_want, "%s: %zu rows of %zu", isas[i], n_got, n_want);
        for (size_t k = 0; k < n_want; k++)
            MUST(memcmp(&got[k], &want[k], sizeof *got) == 0, "%s: row %zu", isas[i], k);
        MUST(ci_newlines(text, n) >= (int64_t)(line != NULL), "%s", isas[i]);
    }
    free(room);
    return 0;
}
