/** Text to one typed value.  The type is the table's: `no`, 1:30 and null mean nothing here. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf_priv.h"

static bool refuse(ci_why *why, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool refuse(ci_why *why, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(why->text, sizeof why->text, format, ap);
    va_end(ap);
    return false;
}

const char *ci_value_wanted(const ci_setting *s)
{
    switch (s->kind) {
    case CI_I32:
    case CI_I64: return "a whole number";
    case CI_BYTES: return "a number of bytes";
    case CI_F64: return "a number";
    case CI_TEXT: return "a text";
    case CI_PATH: return "a path";
    case CI_NAME: return "a folder's name";
    case CI_CHOICE: return "one word";
    case CI_STEPS: return "steps with commas between";
    case CI_LIST: return *s->allowed ? "a list of known names" : "a list of folder names";
    case CI_INTS: return "a list of whole numbers";
    }
    return "a value";
}

bool ci_value_list(const ci_setting *s) { return s->kind == CI_LIST || s->kind == CI_INTS; }

static bool digit(char c) { return c >= '0' && c <= '9'; }

static size_t digits(const char *t)
{
    size_t n = 0;
    while (digit(t[n])) n++;
    return n;
}

/* `allowed` is an interval: [ and ] include their end, ( and ) do not. */
static bool in_range(const ci_setting *s, double v)
{
    char *end;
    const double lo = strtod(s->allowed + 1, &end);
    const double hi = strtod(end + 1, &end);
    return (*s->allowed == '[' ? v >= lo : v > lo) && (*end == ']' ? v <= hi : v < hi);
}

static bool out_of_range(const ci_setting *s, const char *text, ci_why *why)
{
    return refuse(why, "%s is out of range; write a value in %s%s%s (default %s)",
                  ci_quoted(text, strlen(text)).text, s->allowed, *s->unit ? " " : "", s->unit,
                  s->init);
}

static bool no_number(const ci_setting *s, const char *text, ci_why *why)
{
    const char *t = text + (*text == '-' || *text == '+');
    const ci_quote q = ci_quoted(text, strlen(text));

    if (*text == 0)
        return refuse(why, "no value; write %s, such as %s", ci_value_wanted(s), s->init);
    if (t[0] == '0' && digit(t[1]))
        return refuse(why, "%s has a leading zero; write it without, it would not be octal",
                      q.text);
    if (strcasecmp(t, "nan") == 0 || strcasecmp(t, ".nan") == 0 || strcasecmp(t, "inf") == 0 ||
        strcasecmp(t, ".inf") == 0 || strcasecmp(t, "infinity") == 0)
        return refuse(why, "%s is not finite; write a value in %s", q.text, s->allowed);
    return refuse(why, "\"%s\" is not %s; write digits%s, such as %s", q.text, ci_value_wanted(s),
                  s->kind == CI_F64     ? " with a decimal point or exponent"
                  : s->kind == CI_BYTES ? " and perhaps Ki, Mi or Gi"
                                        : " only",
                  s->init);
}

static int suffix_shift(const char *t)
{
    if (*t == 0) return 0;
    if (strcmp(t, "Ki") == 0) return 10;
    if (strcmp(t, "Mi") == 0) return 20;
    return strcmp(t, "Gi") == 0 ? 30 : -1;
}

/* A whole number of row s as int64. */
static bool whole(const ci_setting *s, const char *text, int64_t *out, ci_why *why)
{
    const char *t = text + (*text == '-');
    const size_t n = digits(t);
    const int shift = s->kind == CI_BYTES ? suffix_shift(t + n) : t[n] ? -1 : 0;
    long long v;

    if (n == 0 || shift < 0 || (t[0] == '0' && n > 1)) return no_number(s, text, why);
    errno = 0;
    v = strtoll(text, NULL, 10);
    if (errno || v > INT64_MAX >> shift || v < INT64_MIN >> shift)
        return out_of_range(s, text, why);
    v *= 1LL << shift;
    if (!in_range(s, (double)v)) return out_of_range(s, text, why);
    *out = v;
    return true;
}

static bool parse_int(const ci_setting *s, const char *text, void *out, ci_why *why)
{
    int64_t v;

    if (!whole(s, text, &v, why)) return false;
    if (s->kind == CI_I32)
        *(int32_t *)out = (int32_t)v; /* every interval of a CI_I32 lies in int32 */
    else
        *(int64_t *)out = v;
    return true;
}

/* Only decimal notation: strtod alone would also take hexadecimal, "nan" and "infinity". */
static bool decimal(const char *t)
{
    size_t whole, part = 0;

    t += *t == '-';
    whole = digits(t);
    if (whole > 1 && t[0] == '0') return false;
    t += whole;
    if (*t == '.') {
        part = digits(t + 1);
        t += 1 + part;
    }
    if (whole + part == 0) return false;
    if (*t == 'e' || *t == 'E') {
        t += 1 + (t[1] == '-' || t[1] == '+');
        if (digits(t) == 0) return false;
        t += digits(t);
    }
    return *t == 0;
}

static bool parse_real(const ci_setting *s, const char *text, double *out, ci_why *why)
{
    double v;

    if (!decimal(text)) return no_number(s, text, why);
    errno = 0;
    v = strtod(text, NULL);
    if (errno == ERANGE && fabs(v) < 1)
        return refuse(why, "%s is too small for a double; write 0 or a value in %s",
                      ci_quoted(text, strlen(text)).text, s->allowed);
    if (errno || !isfinite(v) || !in_range(s, v)) return out_of_range(s, text, why);
    *out = v + 0.0; /* -0 becomes 0: equal settings have equal bytes */
    return true;
}

/* Is word (n bytes) in "a|b|c"? */
static bool choice(const char *allowed, const char *word, size_t n, int *out_at)
{
    int at = 0;
    for (const char *a = allowed; a; a = strchr(a, '|') ? strchr(a, '|') + 1 : NULL, at++) {
        const size_t len = strcspn(a, "|");
        if (len == n && n > 0 && memcmp(a, word, n) == 0) {
            *out_at = at;
            return true;
        }
    }
    return false;
}

void ci_value_choices(const char *allowed, char out[CI_CHOICES_MAX])
{
    size_t used = 0;
    out[0] = 0;
    for (const char *a = allowed; a; a = strchr(a, '|') ? strchr(a, '|') + 1 : NULL)
        used += (size_t)snprintf(out + used, CI_CHOICES_MAX - used, "%s%.*s", used ? ", " : "",
                                 (int)strcspn(a, "|"), a);
}

static bool check_choice(const ci_setting *s, const char *word, size_t n, int *out_at,
                         ci_why *why)
{
    char list[CI_CHOICES_MAX];

    if (choice(s->allowed, word, n, out_at)) return true;
    ci_value_choices(s->allowed, list);
    return refuse(why, "\"%s\" is not known; write %s%s", ci_quoted(word, n).text, strchr(list, ',') ? "one of " : "", list);
}

/* Text fields are zero to their end: equal settings have equal bytes. */
static void put_text(char *out, size_t size, const char *text, size_t n)
{
    memset(out, 0, size);
    memcpy(out, text, n);
}

static bool check_text(const char *text, size_t n, size_t size, ci_why *why)
{
    if (n >= size)
        return refuse(why, "%zu bytes of text, \"%s\"; at most %zu fit", n,
                      ci_quoted(text, n).text, size - 1);
    for (size_t at = 0; at < n;) {
        uint32_t cp = 0;
        const size_t len = ci_utf8_next(text + at, n - at, &cp);
        if (len == 0) return refuse(why, "the value is not UTF-8; write it in UTF-8");
        if (cp < 0x20 || cp == 0x85 || cp == 0x2028 || cp == 0x2029 || !ci_utf8_yaml(cp))
            return refuse(why, "character U+%04X in \"%s\"; write printable characters on one line",
                          (unsigned)cp, ci_quoted(text, n).text);
        at += len;
    }
    return true;
}

static bool check_name(const char *text, size_t n, ci_why *why)
{
    if (memchr(text, '/', n) || memchr(text, ',', n) || (n == 1 && *text == '.') ||
        (n == 2 && memcmp(text, "..", 2) == 0))
        return refuse(why, "\"%s\" is not a folder's name; write one name without / and comma",
                      ci_quoted(text, n).text);
    return true;
}

/* Next piece of a comma list without the blanks around it; false at the end. */
static bool piece(const char **at, const char **out, size_t *out_n)
{
    const char *t = *at;
    size_t n;

    if (!t) return false;
    n = strcspn(t, ",");
    *at = t[n] ? t + n + 1 : NULL;
    for (; n > 0 && *t == ' '; t++) n--;
    while (n > 0 && t[n - 1] == ' ') n--;
    *out = t;
    *out_n = n;
    return true;
}

static bool parse_steps(const ci_setting *s, const char *text, char *out, ci_why *why)
{
    char plain[CI_TEXT_MAX] = "", list[CI_CHOICES_MAX];
    const char *word;
    size_t n, used = 0;
    int at = 0, last = -1;

    while (piece(&text, &word, &n)) {
        if (!check_choice(s, word, n, &at, why)) return false;
        if (at <= last) {
            ci_value_choices(s->allowed, list);
            return refuse(why, "\"%.*s\" comes twice or after a later step; keep the order %s",
                          (int)n, word, list);
        }
        last = at;
        used += (size_t)snprintf(plain + used, sizeof plain - used, "%s%.*s", used ? "," : "",
                                 (int)n, word);
    }
    put_text(out, CI_TEXT_MAX, plain, used);
    return true;
}

static bool number_item(const ci_setting *s, const char *text, ci_int_list *list, ci_why *why)
{
    ci_setting one = *s; /* for the words of a refusal */
    int64_t v;

    one.kind = CI_I32;
    one.init = "1";
    if (list->n == CI_INTS_MAX) return refuse(why, "more than %d items; leave some out", CI_INTS_MAX);
    if (!whole(&one, text, &v, why)) return false;
    list->item[list->n++] = (int32_t)v; /* every interval of a CI_INTS lies in int32 */
    return true;
}

bool ci_value_item(const ci_setting *s, const char *text, size_t n, ci_conf *c, ci_why *why)
{
    ci_text_list *list = (ci_text_list *)((char *)c + s->at);
    int at;

    if (s->kind == CI_INTS) return number_item(s, text, (ci_int_list *)((char *)c + s->at), why);
    if (n == 0) return refuse(why, "an empty item; write a name or leave it out");
    if (!check_text(text, n, CI_ITEM_MAX, why) || !check_name(text, n, why)) return false;
    if (*s->allowed && !check_choice(s, text, n, &at, why)) return false;
    if (list->n == CI_LIST_MAX)
        return refuse(why, "more than %d items; leave some out", CI_LIST_MAX);
    for (int32_t i = 0; i < list->n; i++)
        if (strcmp(list->item[i], text) == 0)
            return refuse(why, "\"%s\" is in the list twice; write it once", text);
    put_text(list->item[list->n++], CI_ITEM_MAX, text, n);
    return true;
}

static bool parse_list(const ci_setting *s, const char *text, ci_conf *c, ci_why *why);

/* --set models=[a, b] and =[] as in a file. */
static bool parse_bracketed(const ci_setting *s, const char *text, size_t n, ci_conf *c, ci_why *why)
{
    char *inner = strndup(text + 1, n - 2);
    const bool good = inner ? parse_list(s, inner, c, why) : refuse(why, "no memory for a list");

    free(inner);
    return good;
}

static bool parse_list(const ci_setting *s, const char *text, ci_conf *c, ci_why *why)
{
    const char *word;
    size_t n = strlen(text);

    if (n >= 2 && text[0] == '[' && text[n - 1] == ']') return parse_bracketed(s, text, n, c, why);
    memset((char *)c + s->at, 0, s->size);
    if (*text == 0) return true;
    while (piece(&text, &word, &n)) {
        char item[CI_TEXT_MAX];
        if (n >= sizeof item) return check_text(word, n, CI_ITEM_MAX, why);
        put_text(item, sizeof item, word, n);
        if (!ci_value_item(s, item, n, c, why)) return false;
    }
    return true;
}

bool ci_value_parse(const ci_setting *s, const char *text, size_t n, bool quoted, ci_conf *c,
                    ci_why *why)
{
    void *out = (char *)c + s->at;
    const bool number = s->kind <= CI_F64;
    int at;

    if (number && quoted)
        return refuse(why, "\"%s\" in quotes is a text; write %s without quotes",
                      ci_quoted(text, n).text, ci_value_wanted(s));
    if (number && memchr(text, 0, n))
        return refuse(why, "character U+0000; write %s", ci_value_wanted(s));
    switch (s->kind) {
    case CI_I32:
    case CI_I64:
    case CI_BYTES: return parse_int(s, text, out, why);
    case CI_F64: return parse_real(s, text, out, why);
    case CI_LIST:
    case CI_INTS: return parse_list(s, text, c, why);
    default: break;
    }
    if (!check_text(text, n, s->size, why)) return false;
    if (s->kind == CI_PATH && n == 0) return refuse(why, "an empty path; write a folder's path");
    if (s->kind == CI_NAME && !check_name(text, n, why)) return false;
    if (s->kind == CI_STEPS) return parse_steps(s, text, out, why);
    if (s->kind == CI_CHOICE && !check_choice(s, text, n, &at, why)) return false;
    put_text(out, s->size, text, n);
    return true;
}
