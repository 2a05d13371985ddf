#define _GNU_SOURCE /* memfd_create */
/** Settings: what is accepted is written back as YAML that reads to the same settings; what is not
 *  is an error of the settings with a message. */
#include "fuzz.h"

#include "conf/conf_priv.h"

/* Is it good YAML with good values?  Cheaper than composing all layers, and most inputs are not. */
static int good(const uint8_t *data, size_t n)
{
    static ci_layer layer;
    ci_faults faults = {{0}, 0, 0, 0, false};

    memset(&layer, 0, sizeof layer);
    if (n > CI_YAML_BYTES) return 0;
    ci_yaml_read((const char *)data, n, &layer, &faults);
    return faults.n == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static ci_conf first, second; /* compared as bytes */
    char path[64], *text;
    ci_rc rc;

    if (!good(data, n)) return 0;
    file_of(data, n, path);
    rc = ci_conf_read(path, NULL, 0, &first);
    if (rc != CI_OK) {
        MUST(rc == CI_ECONF && ci_message()[0], "code %d", rc);
        return 0;
    }
    text = ci_conf_yaml(&first, n % 2);
    MUST(text, "no text");
    file_of((const uint8_t *)text, strlen(text), path);
    rc = ci_conf_read(path, NULL, 0, &second);
    MUST(rc == CI_OK, "our own text is refused:\n%s", text);
    MUST(memcmp(&first, &second, sizeof first) == 0, "our own text reads differently:\n%s", text);
    free(text);
    return 0;
}
