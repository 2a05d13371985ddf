#ifndef LINE_H
#define LINE_H
/** One dialect: the input is a capture of it.  What a line says is consistent; a repair changes
 *  nothing in lines that need none; and a frame written in another dialect reads as the same. */
#include "fuzz.h"

#include "ci/csv.h"
#include "ci/layout.h"

static void fault_check(const ci_fault *f, size_t n)
{
    MUST(f->kind > CI_KIND_NONE && f->kind < CI_KIND_COUNT, "kind %d", f->kind);
    MUST(f->col <= n && f->from + f->n <= n, "column %zu, field %zu + %zu of %zu bytes", f->col,
         f->from, f->n, n);
}

static void frame_check(const ci_frame *f)
{
    const uint32_t id = f->id & 0x7fffffff;

    MUST(f->t_ns >= 0 && f->attack <= 1 && f->len <= 64 && f->dlc <= 64, "length %d, label %d", f->len,
         f->attack);
    MUST(id <= 0x1fffffff && (f->id >> 31 || id <= 0x7ff), "identifier %x", f->id);
    MUST(f->len <= 8 || f->flags & CI_FRAME_FD, "%d bytes", f->len);
    MUST(f->len >= 8 || f->data >> 8 * f->len == 0, "%d bytes and more", f->len);
    for (size_t k = CI_MAX(f->len, 8); k < 64; k++)
        MUST(f->more[k - 8] == 0, "%d bytes, but byte %zu is there", f->len, k);
}

static int same_frame(const ci_frame *a, const ci_frame *b, unsigned flags)
{
    return a->t_ns == b->t_ns && a->id == b->id && a->data == b->data && a->len == b->len
           && a->attack == b->attack && (a->flags & flags) == (b->flags & flags) && a->dlc == b->dlc
           && memcmp(a->more, b->more, sizeof a->more) == 0;
}

/* Written in a dialect and read again. */
static void through(const ci_frame *f, ci_dialect as, int labelled, unsigned flags)
{
    ci_layout l = {.dialect = CI_DIALECT_CANDUMP, .labelled = labelled};
    char line[CI_FRAME_LINE];
    const size_t n = ci_frame_line(f, as, labelled, line);
    ci_frame g = {0}, want = *f;
    ci_fault fault;
    ci_line what;

    if (as == CI_DIALECT_FOUR_COLUMN) l = ci_layout_plain(3 + labelled);
    if (n == 0) {
        MUST(as != CI_DIALECT_CANDUMP || f->len > 8, "candump has no word for it");
        return;
    }
    MUST(n <= CI_FRAME_LINE && line[n - 1] == '\n', "%zu bytes", n);
    if (!labelled) want.attack = 0;
    what = ci_line_read(&l, ~UINT64_C(0), line, n - 1, &g, &fault);
    MUST(what == (f->flags & CI_FRAME_ERROR ? CI_LINE_NONE : CI_LINE_FRAME), "%.*s", (int)n, line);
    MUST(same_frame(&g, &want, flags), "%.*s", (int)n, line);
}

static void line_check(const ci_layout *l, const char *s, size_t n)
{
    ci_frame strict, lenient;
    ci_fault fault = {0};
    ci_line what, again;

    memset(&strict, 0, sizeof strict);
    memset(&lenient, 0, sizeof lenient);
    what = ci_line_read(l, 0, s, n, &strict, &fault);
    if (what == CI_LINE_BAD)
        fault_check(&fault, n);
    else
        MUST(strict.repaired == 0, "repaired without leave: %llx", (unsigned long long)strict.repaired);
    again = ci_line_read(l, ~UINT64_C(0), s, n, &lenient, &fault);
    if (again == CI_LINE_BAD)
        fault_check(&fault, n);
    if (what != CI_LINE_BAD)
        MUST(again == what && (what == CI_LINE_NONE || (same_frame(&strict, &lenient, 255) && !lenient.repaired)),
             "a good line is repaired: %d, %d", what, again);
    else
        MUST(again == CI_LINE_BAD || lenient.repaired, "a bad line passes without a repair");
    if (again == CI_LINE_FRAME) frame_check(&lenient);
    if (again == CI_LINE_BAD || !(again == CI_LINE_FRAME || lenient.flags & CI_FRAME_ERROR)) return;
    through(&lenient, CI_DIALECT_CANDUMP, (int)(n % 2), 255);
    through(&lenient, CI_DIALECT_FOUR_COLUMN, (int)(n % 2), CI_FRAME_REMOTE | CI_FRAME_ERROR);
}

static int capture_check(const uint8_t *data, size_t n, ci_dialect format)
{
    char *text = malloc(n + 1); /* not one byte more than may be read */
    ci_layout l;
    const char *p, *end;

    MUST(text, "no memory");
    if (n) memcpy(text, data, n);
    text = realloc(text, n ? n : 1);
    ci_layout_find(text, CI_MIN(n, (size_t)CI_LAYOUT_SAMPLE), format, &l);
    MUST(ci_layout_sound(&l), "dialect %d, fault %d", l.dialect, l.fault);
    p = text + CI_MIN((size_t)l.bom, n);
    end = text + n;
    for (int first = l.header; p < end; first = 0) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        const size_t all = (size_t)((stop ? stop : end) - p);
        if (!first) line_check(&l, p, all - (all && p[all - 1] == '\r'));
        p += all + (stop != NULL);
    }
    free(text);
    return 0;
}

#endif
