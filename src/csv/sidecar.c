#include "ci/sidecar.h"

#include <stdio.h>
#include <stdlib.h>

#include "ci/arena.h"
#include "ci/source.h"
#include "csv_priv.h"

enum { BYTES_MAX = 16 << 20 };

static ci_rc file_read(const char *path, char **out, size_t *out_n)
{
    ci_rc rc = CI_OK;
    ci_source *s = NULL;
    int64_t bytes = 0;
    char *text = NULL;

    CI_TRY(ci_source_open(path, &s));
    CI_TRY(ci_source_measure(s, BYTES_MAX, &bytes));
    if (bytes > BYTES_MAX)
        CI_FAIL(CI_EDATA, "%s: %lld bytes; %d are the most", path, (long long)bytes, BYTES_MAX);
    text = ci_new((size_t)bytes + 1, 1);
    if (!text) CI_FAIL(CI_ENOMEM, "%s: no memory for %lld bytes", path, (long long)bytes);
    CI_TRY(ci_source_read(s, 0, text, (size_t)bytes, out_n));
    *out = text;
    text = NULL;
done:
    free(text);
    ci_source_close(&s);
    return rc;
}

/* 2 or 3 columns, 0: another header. */
static int header_columns(const char *line, size_t n)
{
    static const char header[] = "start_s,end_s,arbitration_id";
    const size_t two = strlen("start_s,end_s");

    if (n == strlen(header) && memcmp(line, header, n) == 0) return 3;
    return n == two && memcmp(line, header, n) == 0 ? 2 : 0;
}

static ci_rc interval_read(const char *path, int32_t number, const char *line, size_t n, int columns,
                           ci_interval *out)
{
    ci_rc rc = CI_OK;
    const ci_layout layout = {0};
    ci_reader r = {.layout = &layout, .s = line, .n = n};
    ci_slice f[3] = {{0}};
    const size_t n_field = ci_reader_split(&r, f, 3);
    ci_interval v = {.id = -1};
    size_t stop = 0;
    uint32_t id = 0;
    ci_kind kind;
    int k = 0;

    if (n_field != (size_t)columns)
        CI_FAIL(CI_EDATA, "%s:%d:%zu: %zu columns; the header names %d", path, number, n + 1, n_field,
                columns);
    kind = ci_field_time(line + f[0].from, f[0].n, &v.from, &stop);
    if (kind == CI_KIND_NONE) k = 1, kind = ci_field_time(line + f[1].from, f[1].n, &v.to, &stop);
    if (kind == CI_KIND_NONE && columns == 3) {
        k = 2;
        kind = ci_field_id(line + f[2].from, f[2].n, &id, &stop);
        v.id = id & 0x1fffffff;
    }
    if (kind != CI_KIND_NONE)
        CI_FAIL(CI_EDATA, "%s:%d:%zu: %s: '%.*s': %s", path, number, f[k].from + stop + 1,
                ci_kind_name(kind), (int)(f[k].n < 80 ? f[k].n : 80), line + f[k].from,
                ci_kind_reason(kind));
    if (v.to < v.from)
        CI_FAIL(CI_EDATA, "%s:%d:%zu: the attack ends before it starts", path, number, f[1].from + 1);
    *out = v;
done:
    return rc;
}

static int by_id_and_start(const void *a, const void *b)
{
    const ci_interval *x = a, *y = b;

    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return x->from < y->from ? -1 : x->from > y->from;
}

static ci_rc intervals_read(const char *path, const char *text, size_t n, ci_sidecar *out)
{
    ci_rc rc = CI_OK;
    size_t cap = 0;
    int columns = 0;
    int32_t number = 1;

    for (size_t at = 0; at < n || number == 1; number++) {
        const char *line = text + at, *stop = memchr(line, '\n', n - at);
        size_t len = stop ? (size_t)(stop - line) : n - at;

        at += len + (stop != NULL);
        if (len && line[len - 1] == '\r') len--;
        if (number == 1) {
            columns = header_columns(line, len);
            if (columns == 0)
                CI_FAIL(CI_EDATA, "%s:1:1: header: the first line is neither start_s,end_s nor "
                        "start_s,end_s,arbitration_id", path);
            continue;
        }
        CI_TRY(ci_grow((void **)&out->item, &cap, (size_t)out->n + 1, sizeof *out->item));
        CI_TRY(interval_read(path, number, line, len, columns, &out->item[out->n]));
        out->n++;
    }
    if (out->n) qsort(out->item, (size_t)out->n, sizeof *out->item, by_id_and_start);
    for (int32_t i = 0; i < out->n; i++) {
        const int64_t before = i && out->item[i - 1].id == out->item[i].id ? out->item[i - 1].latest : 0;
        out->item[i].latest = before > out->item[i].to ? before : out->item[i].to;
    }
done:
    return rc;
}

ci_rc ci_sidecar_read(const char *path, ci_sidecar *out)
{
    ci_rc rc = CI_OK;
    ci_sidecar s = {0};
    char *text = NULL;
    size_t n = 0;

    CI_TRY(file_read(path, &text, &n));
    s.hash = ci_xxh_of(text, n);
    CI_TRY(intervals_read(path, text, n, &s));
    *out = s;
    s = (ci_sidecar){0};
done:
    ci_sidecar_release(&s);
    free(text);
    return rc;
}

void ci_sidecar_release(ci_sidecar *s)
{
    if (!s) return;
    free(s->item);
    *s = (ci_sidecar){0};
}

/* Of the intervals of one identifier that start by then, does any last until then? */
static bool lasts(const ci_sidecar *s, int64_t id, int64_t t_ns)
{
    int32_t low = 0, high = s->n; /* intervals from `low` on are of larger identifiers or start later */

    while (low < high) {
        const int32_t mid = low + (high - low) / 2;
        const ci_interval *v = &s->item[mid];
        if (v->id < id || (v->id == id && v->from <= t_ns)) low = mid + 1;
        else high = mid;
    }
    return low > 0 && s->item[low - 1].id == id && s->item[low - 1].latest >= t_ns;
}

bool ci_sidecar_attack(const ci_sidecar *s, int64_t t_ns, uint32_t id)
{
    return lasts(s, -1, t_ns) || lasts(s, id & 0x1fffffff, t_ns);
}
