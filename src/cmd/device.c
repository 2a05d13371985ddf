/* The devices that this process sees, as `canids info` and `canids doctor` tell of them. */
#include <stdio.h>
#include "ci/device.h"
#include "cmd_priv.h"

bool device_put(ci_json *j)
{
    const ci_backend *b;
    void *library;
    char text[512];
    ci_json *all = ci_json_array();
    int n = 0, at = 0;

    if (ci_backend_find(&b, &library, &n, text, sizeof text)) {
        text[0] = 0;
        for (int i = 0; i < n; i++) {
            ci_dev_info d;
            ci_json *one;
            if (b->runtime->info(i, &d) != CI_OK) continue;
            one = ci_json_object();
            ci_json_str(one, "name", d.name);
            ci_json_str(one, "bus", d.bus);
            ci_json_int(one, "arch", d.arch);
            ci_json_int(one, "memory_mib", (int64_t)(d.bytes >> 20));
            ci_json_int(one, "driver", d.driver);
            ci_json_int(one, "runtime", d.runtime);
            ci_json_str(one, "backend", b->name);
            ci_json_str(one, "code", b->arch);
            ci_json_add(all, one);
            if (at < (int)sizeof text)
                at += snprintf(text + at, sizeof text - (size_t)at, "%s%s sm_%d %s, driver %d.%d", at ? "; " : "", d.name, d.arch, d.bus, d.driver / 1000, d.driver % 1000 / 10);
        }
    }
    ci_json_str(j, "device", text);
    ci_json_put(j, "devices", all);
    return n > 0;
}
