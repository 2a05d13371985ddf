#ifndef CI_JSON_H
#define CI_JSON_H
/** JSON values (Jansson behind it).  Objects keep the order of insertion, numbers are written
 *  with 17 significant digits, a NaN or infinity as null.  Not collective, not thread-safe.
 *
 *  Builders never fail one by one: once memory was short, ci_json_text returns NULL from then on.
 *  Bytes that are not UTF-8 (a path may hold any) become U+FFFD; a NULL string becomes null. */
#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>
#include "ci/rc.h"

typedef struct ci_json ci_json;

ci_json *ci_json_object(void);
ci_json *ci_json_array(void);
void ci_json_free(ci_json **j); /**< NULL-safe; only for a root: children go with it */

bool ci_json_keeps(const char *text); /**< is it UTF-8, so that it is read back as it was written? */
void ci_json_str(ci_json *object, const char *key, const char *value);
void ci_json_int(ci_json *object, const char *key, int64_t value);
void ci_json_num(ci_json *object, const char *key, double value);
void ci_json_bool(ci_json *object, const char *key, bool value);
void ci_json_put(ci_json *object, const char *key, ci_json *child); /**< takes child */

void ci_json_add_str(ci_json *array, const char *value);
void ci_json_add_int(ci_json *array, int64_t value);
void ci_json_add_num(ci_json *array, double value);
void ci_json_add(ci_json *array, ci_json *child); /**< takes child */

/** Text of j: indented when `pretty`, else on one line; no final newline.  The caller frees.
 *  NULL when memory is short. */
char *ci_json_text(const ci_json *j, bool pretty);

/** Parse a file of at most 256 MiB.  \return CI_OK, CI_ENOENT, CI_EPERM, CI_EIO, CI_EFORMAT (with
 *  line and column in the message) or CI_ENOMEM; on CI_OK *out is the caller's */
ci_rc ci_json_load(const char *path, ci_json **out);

/** Children are borrowed from their root.  Wrong kind or missing key: NULL, -1, NAN, false. */
ci_json *ci_json_get(const ci_json *object, const char *key);
ci_json *ci_json_at(const ci_json *array, size_t i);
size_t ci_json_len(const ci_json *array); /**< also the number of keys of an object */
const char *ci_json_get_str(const ci_json *object, const char *key);
int64_t ci_json_get_int(const ci_json *object, const char *key);
double ci_json_get_num(const ci_json *object, const char *key);
bool ci_json_get_bool(const ci_json *object, const char *key);
const char *ci_json_as_str(const ci_json *j);
int64_t ci_json_as_int(const ci_json *j);

#endif
