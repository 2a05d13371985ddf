/* The layout of a capture from its first bytes: each dialect says what it would make of them, and
 * the one that reads most of the lines is right. */
#include <ctype.h>

#include "ci/types.h"
#include "csv_priv.h"

enum { NAME_ROOM = 24 };

ci_layout ci_layout_plain(int columns)
{
    return (ci_layout){.dialect = CI_DIALECT_FOUR_COLUMN, .header = 1, .labelled = columns == 4,
                       .fast = 1, .columns = columns, .time = 0, .id = 1, .payload = 2,
                       .label = columns == 4 ? 3 : -1, .dlc = -1, .extended = -1, .remote = -1,
                       .error = -1, .dir = -1};
}

/* Names that people give the columns, in lower case with _ for blanks. */
static const struct {
    size_t at;
    const char *name[10];
} aliases[] = {
    {offsetof(ci_layout, time), {"timestamp", "time", "ts", "t", "time_stamp", "time_s", "timestamp_s"}},
    {offsetof(ci_layout, id), {"arbitration_id", "id", "can_id", "canid", "arbid", "arb_id", "identifier"}},
    {offsetof(ci_layout, payload), {"data_field", "data", "payload", "data_bytes", "bytes", "d1"}},
    {offsetof(ci_layout, label), {"attack", "label", "class", "flag", "is_attack"}},
    {offsetof(ci_layout, dlc), {"dlc", "len", "length"}},
    {offsetof(ci_layout, extended), {"extended"}},
    {offsetof(ci_layout, remote), {"remote"}},
    {offsetof(ci_layout, error), {"error"}},
    {offsetof(ci_layout, dir), {"dir"}},
};

/* A column's name as the table has it; what is too long is no name. */
static void name_of(const char *s, size_t n, char out[NAME_ROOM])
{
    size_t m = 0;

    while (n > 0 && (ci_is_blank(*s) || *s == '"')) s++, n--;
    while (n > 0 && (ci_is_blank(s[n - 1]) || s[n - 1] == '"')) n--;
    for (; m < n && m < NAME_ROOM - 1; m++)
        out[m] = s[m] == ' ' || s[m] == '-' ? '_' : (char)tolower((unsigned char)s[m]);
    out[n < NAME_ROOM ? m : 0] = 0;
}

static int32_t *role_of(ci_layout *l, const char *name)
{
    for (size_t i = 0; i < CI_COUNT(aliases); i++)
        for (size_t k = 0; k < CI_COUNT(aliases[i].name) && aliases[i].name[k]; k++)
            if (strcmp(aliases[i].name[k], name) == 0)
                return (int32_t *)(void *)((char *)l + aliases[i].at);
    return NULL;
}

/* A header line: time, identifier and payload are named, none of the roles twice. */
static bool header_read(const char *line, size_t n, ci_layout *out)
{
    ci_layout l = {.header = 1, .time = -1, .id = -1, .payload = -1, .label = -1, .dlc = -1,
                   .extended = -1, .remote = -1, .error = -1, .dir = -1};
    bool bytes = false;

    for (size_t from = 0; from <= n; l.columns++) {
        const char *comma = memchr(line + from, ',', n - from);
        const size_t len = comma ? (size_t)(comma - line) - from : n - from;
        char name[NAME_ROOM];
        int32_t *role;
        name_of(line + from, len, name);
        if (strcmp(name, "d1") == 0) bytes = true;
        role = role_of(&l, name);
        if (role && *role >= 0) return false;
        if (role) *role = l.columns;
        from += len + 1;
    }
    if (l.time < 0 || l.id < 0 || l.payload < 0) return false;
    l.labelled = l.label >= 0;
    if (bytes) {
        if (l.extended < 0 || l.dlc < 0 || l.payload < l.dlc || l.payload < l.extended) return false;
        l.dialect = CI_DIALECT_GVRET;
        l.columns = 0;
        l.label = -1;
        l.labelled = 0;
    } else if (l.extended >= 0 && l.remote >= 0 && l.error >= 0 && l.dlc >= 0) {
        l.dialect = CI_DIALECT_PYTHON_CAN;
    } else if (l.dlc >= 0) {
        l.dialect = CI_DIALECT_HCRL_CHALLENGE;
    } else {
        l.dialect = CI_DIALECT_FOUR_COLUMN;
        l.fast = l.time == 0 && l.id == 1 && l.payload == 2
                 && (l.columns == 3 || (l.columns == 4 && l.label == 3));
    }
    *out = l;
    return ci_layout_sound(&l);
}

static bool is_flag(int32_t v) { return v == 0 || v == 1; }

bool ci_layout_sound(const ci_layout *l)
{
    const int32_t column[] = {l->time, l->id, l->payload, l->label, l->dlc, l->extended, l->remote,
                              l->error, l->dir};
    const bool gvret = l->dialect == CI_DIALECT_GVRET;
    const bool columns = gvret || l->dialect == CI_DIALECT_FOUR_COLUMN
                         || l->dialect == CI_DIALECT_HCRL_CHALLENGE
                         || l->dialect == CI_DIALECT_PYTHON_CAN;
    const int32_t end = gvret ? CI_LAYOUT_COLUMNS : l->columns;

    if (l->dialect < 0 || l->dialect >= CI_DIALECT_COUNT || l->fault < 0 || l->fault >= CI_KIND_COUNT
        || (l->bom != 0 && l->bom != 3) || !is_flag(l->header) || !is_flag(l->crlf)
        || !is_flag(l->labelled) || !is_flag(l->fast) || l->columns < 0
        || l->columns > CI_LAYOUT_COLUMNS)
        return false;
    if (l->dialect == CI_DIALECT_NONE || l->dialect >= CI_DIALECT_READ)
        return l->fault == CI_KIND_DIALECT;
    if (l->fast && (l->dialect != CI_DIALECT_FOUR_COLUMN || l->columns != 3 + l->labelled))
        return false;
    for (size_t i = 0; i < CI_COUNT(column) && columns; i++)
        if (column[i] < (i < 3 ? 0 : -1) || column[i] >= end) return false;
    return !columns || (gvret ? l->extended >= 0 && l->dlc >= 0 : l->labelled == (l->label >= 0));
}

struct sample {
    const char *text, *end;
    bool whole; /**< the file ends here: the last line may lack its newline */
};

static const char *line_next(const struct sample *s, const char *p, size_t *out_n)
{
    const char *stop = memchr(p, '\n', (size_t)(s->end - p));

    if (!stop && (!s->whole || p == s->end)) return NULL;
    if (!stop) stop = s->end;
    *out_n = (size_t)(stop - p) - (stop > p && stop[-1] == '\r');
    return stop < s->end ? stop + 1 : stop;
}

/* Whether the line would be read; frames that only some policies accept count, too. */
static bool line_fits(const ci_layout *l, const char *p, size_t n)
{
    static const uint64_t fits = UINT64_C(1) << CI_KIND_REMOTE | UINT64_C(1) << CI_KIND_FD
                                 | UINT64_C(1) << CI_KIND_TIME_DIGITS | UINT64_C(1) << CI_KIND_ERROR_FRAME;
    ci_frame f;
    ci_fault fault;

    return ci_line_read(l, fits, p, n, &f, &fault) != CI_LINE_BAD;
}

static int lines_fit(const struct sample *s, const ci_layout *l)
{
    int fit = 0, k = 0;
    size_t n;

    for (const char *p = s->text, *next; (next = line_next(s, p, &n)); p = next)
        if (k++ >= l->header) fit += line_fits(l, p, n);
    return fit;
}

/* Dialects without a header, with and without label. */
static const ci_layout bare[] = {
    {.dialect = CI_DIALECT_FOUR_COLUMN, .labelled = 1, .fast = 1, .columns = 4, .id = 1, .payload = 2,
     .label = 3, .dlc = -1, .extended = -1, .remote = -1, .error = -1, .dir = -1},
    {.dialect = CI_DIALECT_FOUR_COLUMN, .fast = 1, .columns = 3, .id = 1, .payload = 2, .label = -1,
     .dlc = -1, .extended = -1, .remote = -1, .error = -1, .dir = -1},
    {.dialect = CI_DIALECT_HCRL, .labelled = 1},
    {.dialect = CI_DIALECT_HCRL},
    {.dialect = CI_DIALECT_HCRL_TEXT},
    {.dialect = CI_DIALECT_CANDUMP},
    {.dialect = CI_DIALECT_CANDUMP, .labelled = 1},
    {.dialect = CI_DIALECT_CANDUMP_SCREEN},
};

/* The layout without header that reads most lines, the first of equals.  A first line that begins
 * with a letter is a header all the same: of hcrl, which never names its columns alike, any; of
 * four columns, a wrong one. */
static int bare_find(const struct sample *s, ci_dialect format, ci_layout *out)
{
    const bool letter = isalpha((unsigned char)s->text[0]) != 0;
    int best = 0;

    for (size_t i = 0; i < CI_COUNT(bare); i++) {
        ci_layout l = bare[i];
        int fit;
        if (format != CI_DIALECT_NONE && l.dialect != (int32_t)format) continue;
        l.header = letter && l.dialect != CI_DIALECT_HCRL_TEXT;
        if (letter && l.columns > 0) l.fault = CI_KIND_HEADER;
        fit = lines_fit(s, &l);
        if (fit > best) {
            best = fit;
            *out = l;
        }
    }
    return best;
}

/* Text with commas and no other signature is taken for a capture whose header is wrong. */
static ci_layout unknown(const char *line, size_t n, ci_dialect format)
{
    ci_layout l = {.fault = CI_KIND_DIALECT};

    for (size_t i = 0; i < n; i++)
        if (!ci_is_blank(line[i]) && (line[i] < 0x20 || line[i] == 0x7f)) return l;
    if (format == CI_DIALECT_NONE && !memchr(line, ',', n)) return l;
    if (format != CI_DIALECT_NONE && format != CI_DIALECT_FOUR_COLUMN) {
        for (size_t i = 0; i < CI_COUNT(bare); i++)
            if (bare[i].dialect == (int32_t)format) return bare[i]; /* its lines say what is wrong */
        return l;
    }
    l = ci_layout_plain(4);
    l.fault = CI_KIND_HEADER;
    return l;
}

void ci_layout_find(const char *text, size_t n, ci_dialect format, ci_layout *out)
{
    const bool bom = n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0;
    const struct sample s = {text + (bom ? 3 : 0), text + CI_MIN(n, CI_LAYOUT_SAMPLE),
                             n < CI_LAYOUT_SAMPLE};
    const ci_dialect known = ci_dialect_by_signature(s.text, (size_t)(s.end - s.text));
    const char *stop = memchr(s.text, '\n', (size_t)(s.end - s.text));
    const char *const end = stop ? stop : s.end;
    const bool crlf = end > s.text && end[-1] == '\r';
    const size_t first = (size_t)(end - s.text) - crlf;
    ci_layout l = {0}, bytes = {0};

    if (s.text == s.end)
        l = ci_layout_plain(4), l.fault = CI_KIND_EMPTY_FILE;
    else if (known != CI_DIALECT_NONE && format == CI_DIALECT_NONE)
        l = (ci_layout){.dialect = (int32_t)known, .fault = CI_KIND_DIALECT};
    else if (!(header_read(s.text, first, &l)
               && (format == CI_DIALECT_NONE || l.dialect == (int32_t)format))) {
        if (bare_find(&s, format, &l) == 0) l = unknown(s.text, first, format);
    } else if (l.dialect == CI_DIALECT_HCRL_CHALLENGE && lines_fit(&s, &l) == 0
               && bare_find(&s, CI_DIALECT_HCRL, &bytes) > 0
               && format == CI_DIALECT_NONE) {
        l = bytes; /* somebody named the columns of hcrl, the bytes as one */
    }
    l.bom = bom ? 3 : 0;
    l.crlf = crlf;
    *out = l;
}
