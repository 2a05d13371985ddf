#define _GNU_SOURCE /* memfd_create */
/** JSON files (vocabulary, manifest, run record): what is read is written as text that reads to the
 *  same text. */
#include "fuzz.h"

#include "ci/json.h"

/* Every reader on every value: a wrong kind is an answer, never a crash. */
static void walk(const ci_json *j, int depth)
{
    static const char *const keys[] = {"what", "ids", "sha256", "count", "scope", "", "bytes"};

    if (!j || depth > 64) return;
    (void)ci_json_as_str(j);
    (void)ci_json_as_int(j);
    for (size_t i = 0; i < ci_json_len(j) && i < 64; i++) walk(ci_json_at(j, i), depth + 1);
    for (size_t i = 0; i < CI_COUNT(keys); i++) {
        (void)ci_json_get_str(j, keys[i]);
        (void)ci_json_get_int(j, keys[i]);
        (void)ci_json_get_num(j, keys[i]);
        (void)ci_json_get_bool(j, keys[i]);
        walk(ci_json_get(j, keys[i]), depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    ci_json *j = NULL, *again = NULL;
    char path[64], *text, *same;
    ci_rc rc;

    file_of(data, n, path);
    rc = ci_json_load(path, &j);
    if (rc != CI_OK) {
        MUST(rc == CI_EFORMAT && !j && ci_message()[0], "code %d", rc);
        return 0;
    }
    walk(j, 0);
    text = ci_json_text(j, n % 2);
    MUST(text, "no text");
    file_of((const uint8_t *)text, strlen(text), path);
    MUST(ci_json_load(path, &again) == CI_OK, "our own text is refused: %s", text);
    same = ci_json_text(again, n % 2);
    MUST(same && strcmp(text, same) == 0, "%s became %s", text, same);
    free(text);
    free(same);
    ci_json_free(&j);
    ci_json_free(&again);
    return 0;
}
