#define _GNU_SOURCE /* memfd_create */
/** Side-cars of attacks: what is read is in order, and says of any time what its intervals say. */
#include "fuzz.h"

#include "ci/sidecar.h"

/* As the header has it, one interval after the other. */
static bool slow(const ci_sidecar *s, int64_t t, uint32_t id)
{
    for (int32_t i = 0; i < s->n; i++)
        if (t >= s->item[i].from && t <= s->item[i].to
            && (s->item[i].id < 0 || (uint32_t)s->item[i].id == (id & 0x7fffffff)))
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    ci_sidecar s = {0};
    char path[64];
    ci_rc rc;

    file_of(data, n, path);
    rc = ci_sidecar_read(path, &s);
    MUST(rc == CI_OK || (rc == CI_EDATA && ci_message()[0]), "code %d", rc);
    for (int32_t i = 0; i < s.n && rc == CI_OK; i++) {
        const ci_interval *v = &s.item[i];
        MUST(v->from <= v->to && v->from >= 0 && v->latest >= v->to, "interval %d", i);
        MUST(i == 0 || v->id > v[-1].id || (v->id == v[-1].id && v->from >= v[-1].from && v->latest >= v[-1].latest), "interval %d", i);
        MUST(v->id >= -1 && v->id <= 0x1fffffff, "identifier %llx", (long long)v->id);
        for (int k = -1; k <= 1; k++)
            for (uint32_t id = 0; id < 3; id++) {
                const int64_t a = v->from + (v->from > 0 ? k : 0), b = v->to + (v->to < INT64_MAX ? k : 0);
                const uint32_t what = id == 0 ? (uint32_t)(v->id & 0x1fffffff) : id == 1 ? 0x80000123 : 0x7ff;
                MUST(ci_sidecar_attack(&s, a, what) == slow(&s, a, what), "%lld %x", (long long)a, what);
                MUST(ci_sidecar_attack(&s, b, what) == slow(&s, b, what), "%lld %x", (long long)b, what);
            }
    }
    ci_sidecar_release(&s);
    return 0;
}
