/* One frame as a line of text: the other way round of ci_line_read. */
#include <stdio.h>

#include "csv_priv.h"

static const char digits[] = "0123456789ABCDEF";

static char *hex_put(char *p, uint32_t v, int n)
{
    for (int i = n; i-- > 0; v >>= 4) p[i] = digits[v & 15];
    return p + n;
}

static char *bytes_put(char *p, const ci_frame *f)
{
    for (size_t k = 0; k < f->len; k++)
        p = hex_put(p, k < 8 ? (uint32_t)(f->data >> 8 * k & 255) : f->more[k - 8], 2);
    return p;
}

/* Microseconds as six digits, which every tool reads; nine where they say more. */
static char *time_put(char *p, int64_t t_ns)
{
    const int64_t second = t_ns / 1000000000, ns = t_ns % 1000000000;
    const int n = ns % 1000 ? snprintf(p, 24, "%lld.%09lld", (long long)second, (long long)ns)
                            : snprintf(p, 24, "%lld.%06lld", (long long)second, (long long)(ns / 1000));

    return p + n;
}

bool ci_fd_length(size_t n)
{
    return n <= 8 || n == 12 || n == 16 || n == 20 || n == 24 || n == 32 || n == 48 || n == 64;
}

static size_t candump_line(const ci_frame *f, bool labelled, char *out)
{
    const bool error = f->flags & CI_FRAME_ERROR, wide = error || f->id >> 31;
    const uint32_t id = (f->id & 0x1fffffff) | (error ? UINT32_C(0x20000000) : 0);
    char *p = out;

    if ((f->flags & CI_FRAME_FD ? !ci_fd_length(f->len) : f->len > 8) || (!wide && id > 0x7ff)) return 0;
    *p++ = '(';
    p = time_put(p, f->t_ns);
    memcpy(p, ") can0 ", 7);
    p = hex_put(p + 7, id, wide ? 8 : 3);
    *p++ = '#';
    if (f->flags & CI_FRAME_REMOTE) {
        *p++ = 'R';
        if (f->dlc) p = hex_put(p, f->dlc, 1);
    } else {
        if (f->flags & CI_FRAME_FD) {
            *p++ = '#';
            p = hex_put(p, (f->flags & CI_FRAME_BRS ? 1 : 0) | (f->flags & CI_FRAME_ESI ? 2 : 0), 1);
        }
        p = bytes_put(p, f);
    }
    if (f->flags & CI_FRAME_SENT) memcpy(p, " T", 2), p += 2;
    if (labelled) *p++ = ' ', *p++ = f->attack ? '1' : '0';
    *p++ = '\n';
    return (size_t)(p - out);
}

static size_t four_line(const ci_frame *f, bool labelled, char *out)
{
    const uint32_t id = f->id & 0x1fffffff;
    const bool wide = f->id >> 31;
    char *p = out;

    /* The kind of an identifier follows from its value here. */
    if (f->flags & (CI_FRAME_REMOTE | CI_FRAME_ERROR) || f->len > 8 || wide != (id > 0x7ff)) return 0;
    p = time_put(p, f->t_ns);
    *p++ = ',';
    p = hex_put(p, id, wide ? 8 : 3);
    *p++ = ',';
    p = bytes_put(p, f);
    if (labelled) *p++ = ',', *p++ = f->attack ? '1' : '0';
    *p++ = '\n';
    return (size_t)(p - out);
}

size_t ci_frame_line(const ci_frame *f, ci_dialect as, bool labelled, char out[CI_FRAME_LINE])
{
    return as == CI_DIALECT_CANDUMP       ? candump_line(f, labelled, out)
           : as == CI_DIALECT_FOUR_COLUMN ? four_line(f, labelled, out)
                                          : 0;
}
