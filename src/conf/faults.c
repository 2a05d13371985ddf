/** All errors of all sources, one a line. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "conf_priv.h"

enum { TAIL = 48 }; /* bytes kept for the line that counts what did not fit */

bool ci_faults_full(const ci_faults *f) { return f->n_left > 0; }

/* Models of one run read the same sources, and what is wrong there is said once. */
static bool said(const ci_faults *f, const char *line, size_t n)
{
    for (const char *at = f->text; (at = strstr(at, line)); at += n)
        if ((at == f->text || at[-1] == '\n') && (at[n] == 0 || at[n] == '\n')) return true;
    return false;
}

void ci_faults_add(ci_faults *f, const char *where, const char *key, const char *format, ...)
{
    char what[640], line[CI_MESSAGE_MAX - TAIL - 1];
    va_list ap;
    int n;

    va_start(ap, format);
    vsnprintf(what, sizeof what, format, ap);
    va_end(ap);
    n = snprintf(line, sizeof line, "%s%s: %s%s%s", f->used ? "\n" : "", where, key,
                 *key ? ": " : "", what);
    if ((size_t)n >= sizeof line) n = (int)sizeof line - 1;
    if (f->used && said(f, line + 1, (size_t)n - 1)) return;
    f->n++;
    if (f->n_left > 0) {
        f->n_left++;
        return;
    }
    if (f->used + (size_t)n + TAIL >= sizeof f->text) {
        f->n_left = 1;
        return;
    }
    memcpy(f->text + f->used, line, (size_t)n + 1);
    f->used += (size_t)n;
}

ci_rc ci_faults_fail(ci_faults *f)
{
    if (f->no_memory) return ci_fail(CI_ENOMEM, __FILE__, __LINE__, "reading the settings");
    if (f->n == 0) return CI_OK;
    if (f->n_left > 0)
        snprintf(f->text + f->used, sizeof f->text - f->used, "\n... and %ld more errors",
                 f->n_left);
    return ci_fail(CI_ECONF, __FILE__, __LINE__, "%s", f->text);
}

void ci_place_text(const char *source, ci_place p, char out[CI_WHERE_MAX])
{
    if (p.column > 0)
        snprintf(out, CI_WHERE_MAX, "%s:%d:%d", source, p.line, p.column);
    else
        snprintf(out, CI_WHERE_MAX, "%s:%d", source, p.line);
}
