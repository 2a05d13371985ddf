/* Memory: said before starting when it cannot do, given back early, and an end of our own before the system's. */
#include "build_priv.h"
#include "ci/log.h"
#include "ci/memory.h"

enum { MIB = 1 << 20 };

static double mib(int64_t bytes) { return (double)bytes / MIB; }

int64_t guard_limit(const ci_comm *comm, const ci_conf *conf)
{
    if (conf->run.memory > 0) return conf->run.memory;
    return ci_memory_limit("/proc", "/sys/fs/cgroup") / comm->node_size;
}

ci_rc guard_start(int64_t limit, int64_t block, int64_t chunk, int64_t buffers)
{
    ci_rc rc = CI_OK;
    const int64_t now = ci_memory_now("/proc"), need = now + block + chunk + buffers;

    if (limit > 0 && need > limit)
        CI_FAIL(CI_ECONF,
                "a rank needs up to %.1f MiB (%.1f already taken, %.1f for the rows of the largest block, %.1f for a run of store.chunk "
                "graphs, %.1f of buffers) and may take %.1f: make data.block and scan again, or store.chunk, smaller, use fewer ranks "
                "of a host, or raise the limit (run.memory or that of the job)",
                mib(need), mib(now), mib(block), mib(chunk), mib(buffers), mib(limit));
    ci_log(CI_DEBUG, "memory: %.1f MiB taken, up to %.1f needed, %.1f is the limit", mib(now), mib(need), mib(limit));
done:
    return rc;
}

bool guard_tight(int64_t limit)
{
    return limit > 0 && (double)ci_memory_now("/proc") > 0.8 * (double)limit;
}

ci_rc guard_hold(int64_t limit)
{
    ci_rc rc = CI_OK;
    int64_t now;

    ci_memory_trim();
    now = ci_memory_now("/proc");
    if ((double)now > 0.95 * (double)limit)
        CI_FAIL(CI_ETEMP, "memory: %.1f MiB of %.1f are taken and nothing is left to give back: stopped before the system does it; the "
                "previous store is intact; give the job more memory, or use fewer ranks of a host", mib(now), mib(limit));
done:
    return rc;
}
