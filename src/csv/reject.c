#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ci/arena.h"
#include "csv_priv.h"

ci_rc ci_rejects_add(ci_rejects *r, ci_policy policy, int32_t capture, int64_t line, int64_t offset,
                     const char *text, const ci_fault *fault)
{
    ci_rc rc = CI_OK;
    ci_reject item;

    if (!r->item) r->item = ci_new(CI_REJECT_MAX, sizeof *r->item);
    if (!r->item) CI_FAIL(CI_ENOMEM, "no memory for %d rejected lines", CI_REJECT_MAX);
    item = (ci_reject){.capture = capture, .kind = (int32_t)fault->kind, .line = line,
                       .policy = policy == CI_POLICY_QUARANTINE ? policy : CI_POLICY_FAIL,
                       .offset = offset,
                       .column = (int32_t)CI_MIN(fault->col + 1, (size_t)INT32_MAX),
                       .n_value = (int32_t)CI_MIN(fault->n, (size_t)INT32_MAX)};
    if (fault->n) memcpy(item.value, text + fault->from, CI_MIN(fault->n, sizeof item.value));
    if (r->n < CI_REJECT_MAX) r->item[r->n++] = item;
    r->total++;
    r->refused[fault->kind]++;
    if (item.policy == CI_POLICY_FAIL && r->failing++ == 0) r->first = item;
done:
    return rc;
}

void ci_rejects_repaired(ci_rejects *r, uint64_t kinds)
{
    for (int k = 1; kinds && k < CI_KIND_COUNT; k++) r->repaired[k] += (int64_t)(kinds >> k & 1);
}

void ci_rejects_release(ci_rejects *r)
{
    if (!r) return;
    free(r->item);
    *r = (ci_rejects){0};
}

/* The value with `quote` doubled and everything that is not printable ASCII as \xNN. */
static void value_escape(const ci_reject *r, char quote, char out[4 * CI_REJECT_VALUE + 4])
{
    const int n = CI_MIN(r->n_value, CI_REJECT_VALUE);
    char *o = out;

    for (int i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)r->value[i];
        if (c < 0x20 || c > 0x7e)
            o += sprintf(o, "\\x%02X", c);
        else if (c == (unsigned char)quote)
            o += sprintf(o, "%c%c", c, c);
        else
            *o++ = (char)c;
    }
    strcpy(o, r->n_value > n ? "..." : "");
}

/* Of a known dialect that is not read, what to do about it. */
static const char *reason_of(const ci_plan *p, const ci_reject *r)
{
    const char *advice = ci_dialect_advice((ci_dialect)p->capture[r->capture].layout.dialect);

    return r->kind == CI_KIND_DIALECT && advice ? advice : ci_kind_reason((ci_kind)r->kind);
}

void ci_reject_text(const ci_plan *p, const ci_reject *r, char *out, size_t n)
{
    char value[4 * CI_REJECT_VALUE + 4], path[CI_PATH_MAX] = "";

    value_escape(r, 0, value);
    if (ci_plan_path(p, r->capture, path) != CI_OK) snprintf(path, sizeof path, "%s", p->capture[r->capture].path);
    snprintf(out, n, "%s:%lld:%d: %s: '%s': %s", path, (long long)r->line, r->column, ci_kind_name((ci_kind)r->kind), value, reason_of(p, r));
}

void ci_reject_value(const ci_reject *r, char *out, size_t n)
{
    char value[4 * CI_REJECT_VALUE + 4];

    value_escape(r, 0, value);
    snprintf(out, n, "'%s'", value);
}

/* A path in double quotes stays one field: those that it has are doubled. */
static void path_escape(const char *path, char out[2 * CI_TEXT_MAX])
{
    for (; *path; path++) {
        if (*path == '"') *out++ = '"';
        *out++ = *path;
    }
    *out = 0;
}

char *ci_rejects_csv(const ci_plan *p, const ci_rejects *r, size_t *out_n)
{
    const size_t line_max = 2 * CI_TEXT_MAX + 4 * CI_REJECT_VALUE + 256;
    const size_t room = ((size_t)r->n + 1) * line_max;
    char *text = ci_new(room, 1), value[4 * CI_REJECT_VALUE + 4], path[2 * CI_TEXT_MAX];
    size_t n;

    if (!text) return NULL;
    n = (size_t)sprintf(text, "file,line,column,offset,kind,value,reason,policy\n");
    for (int32_t i = 0; i < r->n; i++) {
        const ci_reject *e = &r->item[i];
        value_escape(e, '"', value);
        path_escape(p->capture[e->capture].path, path);
        n += (size_t)snprintf(text + n, room - n, "\"%s\",%lld,%d,%lld,%s,\"%s\",\"%s\",%s\n",
                              path, (long long)e->line, e->column,
                              (long long)e->offset,
                              ci_kind_name((ci_kind)e->kind), value,
                              reason_of(p, e),
                              ci_policy_name((ci_policy)e->policy));
    }
    *out_n = n;
    return text;
}
