#define _GNU_SOURCE /* memfd_create */
/** --set: each line of the input is one.  What is accepted is accepted again when written back. */
#include "fuzz.h"

#include "ci/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static ci_conf first, second;
    const char *set[64];
    char *text = malloc(n + 1), *yaml, path[64];
    size_t n_set = 0;
    ci_rc rc;

    MUST(text, "no memory");
    if (n) memcpy(text, data, n);
    text[n] = 0;
    for (char *rest = text, *line; n_set < CI_COUNT(set) && (line = strsep(&rest, "\n"));)
        set[n_set++] = line;
    rc = ci_conf_read(NULL, set, n_set, &first);
    if (rc == CI_OK) {
        yaml = ci_conf_yaml(&first, false);
        MUST(yaml, "no text");
        file_of((const uint8_t *)yaml, strlen(yaml), path);
        MUST(ci_conf_read(path, NULL, 0, &second) == CI_OK, "refused:\n%s", yaml);
        MUST(memcmp(&first, &second, sizeof first) == 0, "reads differently:\n%s", yaml);
        free(yaml);
    } else {
        MUST(rc == CI_ECONF && ci_message()[0], "code %d", rc);
    }
    free(text);
    return 0;
}
