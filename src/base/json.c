#include "ci/json.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base_priv.h"

static const size_t file_max = (size_t)256 << 20;

/* Set for good once a value could not be made: a text without it would be a lie. */
static bool incomplete;

static json_t *in(const ci_json *j) { return (json_t *)(uintptr_t)j; }

static ci_json *made(json_t *j)
{
    if (!j) incomplete = true;
    return (ci_json *)j;
}

ci_json *ci_json_object(void) { return made(json_object()); }

ci_json *ci_json_array(void) { return made(json_array()); }

void ci_json_free(ci_json **j)
{
    if (!j) return;
    json_decref(in(*j));
    *j = NULL;
}

/* Length of the UTF-8 sequence at s, 0 when it is none. */
static size_t utf8_length(const unsigned char *s)
{
    const size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3
                   : s[0] < 0xf5 ? 4 : 0;

    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)) return 0;
    if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) return 0;
    return n;
}

/* A path may hold any byte, JSON only UTF-8: what is none becomes U+FFFD.  The caller frees. */
static char *to_utf8(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    char *out = malloc(3 * strlen(text) + 1), *o = out;

    while (out && *s) {
        const size_t n = utf8_length(s);
        memcpy(o, n ? (const char *)s : "\xef\xbf\xbd", n ? n : 3);
        o += n ? n : 3;
        s += n ? n : 1;
    }
    if (out) *o = 0;
    return out;
}

static bool is_utf8(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;

    while (*s) {
        const size_t n = utf8_length(s);
        if (n == 0) return false;
        s += n;
    }
    return true;
}

bool ci_json_keeps(const char *text) { return is_utf8(text); }

static json_t *string(const char *value)
{
    char *clean;
    json_t *j;

    if (!value) return json_null();
    if (is_utf8(value)) return json_string(value);
    clean = to_utf8(value);
    j = clean ? json_string(clean) : NULL;
    free(clean);
    return j;
}

static json_t *number(double v) { return isfinite(v) ? json_real(v) : json_null(); }

static void put(ci_json *object, const char *key, json_t *value)
{
    char *clean = is_utf8(key) ? NULL : to_utf8(key);

    assert(!object || json_is_object(in(object)));
    if (json_object_set_new(in(object), clean ? clean : key, value) != 0) incomplete = true;
    free(clean);
}

static void add(ci_json *array, json_t *value)
{
    assert(!array || json_is_array(in(array)));
    if (json_array_append_new(in(array), value) != 0) incomplete = true;
}

void ci_json_str(ci_json *object, const char *key, const char *value)
{
    put(object, key, string(value));
}

void ci_json_int(ci_json *object, const char *key, int64_t value)
{
    put(object, key, json_integer(value));
}

void ci_json_num(ci_json *object, const char *key, double value)
{
    put(object, key, number(value));
}

void ci_json_bool(ci_json *object, const char *key, bool value)
{
    put(object, key, json_boolean(value));
}

void ci_json_put(ci_json *object, const char *key, ci_json *child) { put(object, key, in(child)); }

void ci_json_add_str(ci_json *array, const char *value) { add(array, string(value)); }

void ci_json_add_int(ci_json *array, int64_t value) { add(array, json_integer(value)); }

void ci_json_add_num(ci_json *array, double value) { add(array, number(value)); }

void ci_json_add(ci_json *array, ci_json *child) { add(array, in(child)); }

char *ci_json_text(const ci_json *j, bool pretty)
{
    const size_t form = pretty ? JSON_INDENT(2) : JSON_COMPACT;

    if (!j || incomplete) return NULL;
    return json_dumps(in(j), form | JSON_REAL_PRECISION(17) | JSON_PRESERVE_ORDER
                                 | JSON_ENCODE_ANY);
}

/* The whole file, which the caller frees. */
static ci_rc slurp(const char *path, char **out, size_t *out_n)
{
    ci_rc rc = CI_OK;
    int fd = -1;
    char *text = NULL;
    size_t n = 0, got = 0, room = 64 << 10;

    CI_TRY(ci_file_open(path, &fd));
    do {
        room *= 2;
        char *more = realloc(text, room);
        if (!more) CI_FAIL(CI_ENOMEM, "%s: no memory for %zu bytes", path, room);
        text = more;
        CI_TRY(ci_file_read(fd, path, text + n, room - n, &got));
        n += got;
        if (n > file_max) CI_FAIL(CI_EFORMAT, "%s: longer than %zu bytes", path, file_max);
    } while (n == room);
    *out = text;
    *out_n = n;
    text = NULL;
done:
    free(text);
    ci_file_close(&fd);
    return rc;
}

ci_rc ci_json_load(const char *path, ci_json **out)
{
    ci_rc rc = CI_OK;
    char *text = NULL;
    size_t n = 0;
    json_error_t e;
    json_t *j = NULL;

    *out = NULL;
    CI_TRY(slurp(path, &text, &n));
    j = json_loadb(text, n, JSON_REJECT_DUPLICATES, &e);
    if (!j && json_error_code(&e) == json_error_out_of_memory)
        CI_FAIL(CI_ENOMEM, "%s: no memory to parse it", path);
    if (!j) CI_FAIL(CI_EFORMAT, "%s:%d:%d: not JSON: %s", path, e.line, e.column, e.text);
    *out = (ci_json *)j;
done:
    free(text);
    return rc;
}

ci_json *ci_json_get(const ci_json *object, const char *key)
{
    return (ci_json *)json_object_get(in(object), key);
}

ci_json *ci_json_at(const ci_json *array, size_t i)
{
    return (ci_json *)json_array_get(in(array), i);
}

size_t ci_json_len(const ci_json *array)
{
    return json_is_object(in(array)) ? json_object_size(in(array)) : json_array_size(in(array));
}

const char *ci_json_get_str(const ci_json *object, const char *key)
{
    return ci_json_as_str(ci_json_get(object, key));
}

int64_t ci_json_get_int(const ci_json *object, const char *key)
{
    return ci_json_as_int(ci_json_get(object, key));
}

double ci_json_get_num(const ci_json *object, const char *key)
{
    const json_t *v = in(ci_json_get(object, key));

    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

bool ci_json_get_bool(const ci_json *object, const char *key)
{
    return json_is_true(in(ci_json_get(object, key)));
}

const char *ci_json_as_str(const ci_json *j) { return json_string_value(in(j)); }

int64_t ci_json_as_int(const ci_json *j)
{
    return json_is_integer(in(j)) ? json_integer_value(in(j)) : -1;
}
