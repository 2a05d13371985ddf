/* A capture read line by line with its dialect's reader and written in another one. */
#include "ci/convert.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "ci/arena.h"
#include "ci/sidecar.h"
#include "ci/source.h"
#include "ci/tick.h"
#include "csv_priv.h"

enum { PIECE = 256 << 10 };

struct ci_convert {
    ci_source *source;
    ci_layout layout;
    ci_sidecar sidecar;
    bool has_sidecar;
    int64_t at;        /**< offset of what is read next                              */
    int64_t line;      /**< number of the line at p                                  */
    char *p, *end;     /**< text that was read and not yet taken                     */
    bool last;         /**< the file ends at `end`                                   */
    char text[CI_LINE_MAX + 2 + PIECE];
};

/* Frames that are no violation here: another dialect may have words for them. */
static const uint64_t accepts = UINT64_C(1) << CI_KIND_FD | UINT64_C(1) << CI_KIND_REMOTE
                                | UINT64_C(1) << CI_KIND_ERROR_FRAME;

static ci_rc refuse(const ci_convert *c, const ci_fault *f)
{
    ci_rc rc = CI_OK;
    char value[CI_REJECT_VALUE / 2 + 1];
    size_t n = 0;

    for (; n < f->n && n < sizeof value - 1; n++) {
        const char b = c->p[f->from + n];
        value[n] = b < 0x20 || b > 0x7e ? '?' : b;
    }
    value[n] = 0;
    CI_FAIL(CI_EDATA, "%s:%lld:%zu: %s: '%s%s': %s", ci_source_path(c->source), (long long)c->line,
            f->col + 1, ci_kind_name(f->kind), value, n < f->n ? "..." : "", ci_kind_reason(f->kind));
done:
    return rc;
}

static ci_rc fill(ci_convert *c)
{
    ci_rc rc = CI_OK;
    const size_t left = (size_t)(c->end - c->p);
    size_t n = 0;

    memmove(c->text, c->p, left);
    c->p = c->text;
    c->end = c->text + left;
    CI_TRY(ci_source_read(c->source, c->at, c->end, PIECE, &n));
    ci_tick();
    c->at += (int64_t)n;
    c->end += n;
    c->last = n < PIECE;
done:
    return rc;
}

/* What is wrong with the capture as a whole. */
static ci_rc layout_check(const ci_convert *c)
{
    ci_rc rc = CI_OK;
    const ci_kind fault = (ci_kind)c->layout.fault;
    const char *advice = ci_dialect_advice((ci_dialect)c->layout.dialect);

    if (fault == CI_KIND_NONE) goto done;
    if (advice) CI_FAIL(CI_EDATA, "%s:1:1: %s: %s", ci_source_path(c->source), ci_kind_name(fault), advice);
    CI_FAIL(CI_EDATA, "%s:1:1: %s: %s", ci_source_path(c->source), ci_kind_name(fault), ci_kind_reason(fault));
done:
    return rc;
}

static ci_rc sidecar_read(ci_convert *c, const char *path)
{
    ci_rc rc = CI_OK;
    char name[CI_PATH_MAX];

    if ((size_t)snprintf(name, sizeof name, "%s" CI_SIDECAR_END, path) >= sizeof name) goto done;
    if (c->layout.labelled && access(name, F_OK) == 0)
        CI_FAIL(CI_EDATA, "%s: the capture has labels of its own; one of the two must go", name);
    if (c->layout.labelled) goto done;
    rc = ci_sidecar_read(name, &c->sidecar);
    c->has_sidecar = rc == CI_OK;
    if (rc == CI_ENOENT) rc = CI_OK;
done:
    return rc;
}

ci_rc ci_convert_open(const char *path, ci_dialect format, ci_convert **out)
{
    ci_rc rc = CI_OK;
    ci_convert *c = ci_new(1, sizeof *c);

    *out = NULL;
    if (!c) CI_FAIL(CI_ENOMEM, "%s: no memory to read it", path);
    CI_TRY(ci_source_open(path, &c->source));
    c->p = c->end = c->text;
    c->line = 1;
    CI_TRY(fill(c));
    ci_layout_find(c->p, CI_MIN((size_t)(c->end - c->p), (size_t)CI_LAYOUT_SAMPLE), format, &c->layout);
    CI_TRY(layout_check(c));
    CI_TRY(sidecar_read(c, path));
    c->p += c->layout.bom;
    *out = c;
    c = NULL;
done:
    ci_convert_close(&c);
    return rc;
}

void ci_convert_close(ci_convert **c)
{
    if (!c || !*c) return;
    ci_source_close(&(*c)->source);
    ci_sidecar_release(&(*c)->sidecar);
    free(*c);
    *c = NULL;
}

const ci_layout *ci_convert_layout(const ci_convert *c) { return &c->layout; }

bool ci_convert_labelled(const ci_convert *c) { return c->layout.labelled || c->has_sidecar; }

const char *ci_convert_header(ci_dialect to, bool labelled)
{
    if (to != CI_DIALECT_FOUR_COLUMN) return "";
    return labelled ? "timestamp,arbitration_id,data_field,attack\n" : "timestamp,arbitration_id,data_field\n";
}

/* Why the dialect had no word for the frame. */
static void left_out(const ci_frame *f, ci_converted *sum)
{
    if (f->flags & CI_FRAME_ERROR) sum->error++;
    else if (f->flags & CI_FRAME_REMOTE) sum->remote++;
    else if (f->len > 8) sum->fd++;
    else sum->narrow++;
}

static ci_rc frame_write(const ci_convert *c, ci_frame *f, ci_dialect to, bool labelled, FILE *out,
                         ci_converted *sum)
{
    ci_rc rc = CI_OK;
    char line[CI_FRAME_LINE];
    size_t n;

    if (c->has_sidecar) f->attack = ci_sidecar_attack(&c->sidecar, f->t_ns, f->id);
    n = ci_frame_line(f, to, labelled, line);
    if (n == 0) left_out(f, sum);
    else if (fwrite(line, 1, n, out) != n) CI_FAIL(CI_EIO, "cannot write: %s", strerror(errno));
    sum->frames += n > 0;
    sum->flags += n > 0 && to == CI_DIALECT_FOUR_COLUMN && f->flags & CI_FRAME_FD;
done:
    return rc;
}

/* The line of n bytes at p. */
static ci_rc line_write(const ci_convert *c, size_t n, ci_dialect to, bool labelled, FILE *out,
                        ci_converted *sum)
{
    ci_rc rc = CI_OK;
    ci_frame frame = {0};
    ci_fault fault;
    const ci_line what = ci_line_read(&c->layout, accepts, c->p, n, &frame, &fault);

    if (what == CI_LINE_BAD) CI_TRY(refuse(c, &fault));
    if (what == CI_LINE_FRAME || (what == CI_LINE_NONE && frame.flags & CI_FRAME_ERROR))
        CI_TRY(frame_write(c, &frame, to, labelled, out, sum));
done:
    return rc;
}

ci_rc ci_convert_write(ci_convert *c, ci_dialect to, bool labelled, FILE *out, ci_converted *sum)
{
    ci_rc rc = CI_OK;

    for (;; c->line++) {
        char *stop = memchr(c->p, '\n', (size_t)(c->end - c->p));
        size_t n;
        if ((!stop || stop + 1 == c->end) && !c->last && c->end - c->p <= CI_LINE_MAX + 1) {
            CI_TRY(fill(c)); /* also to know whether this is the last line */
            stop = memchr(c->p, '\n', (size_t)(c->end - c->p));
        }
        if (c->p == c->end && c->last) break;
        n = (size_t)((stop ? stop : c->end) - c->p);
        if (n > 0 && c->p[n - 1] == '\r') n--;
        const bool blank_end = n == 0 && c->last && (!stop || stop + 1 == c->end);
        if (!blank_end && !(c->line == 1 && c->layout.header)) CI_TRY(line_write(c, n, to, labelled, out, sum));
        c->p = stop ? stop + 1 : c->end;
    }
done:
    return rc;
}
