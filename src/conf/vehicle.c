/** Whose a capture is, going by the name of its file. */
#define _GNU_SOURCE /* strcasestr */
#include <string.h>
#include "ci/conf.h"

int32_t ci_conf_vehicle(const ci_conf *c, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t longest = 0;
    int32_t found = -1;

    for (int32_t i = 0; i < c->data.vehicles.n; i++) {
        const size_t n = strlen(c->data.vehicles.item[i]);

        if (n <= longest || !strcasestr(name, c->data.vehicles.item[i])) continue;
        longest = n;
        found = i;
    }
    return found;
}
