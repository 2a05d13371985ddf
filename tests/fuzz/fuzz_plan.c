#define _GNU_SOURCE /* memfd_create */
/** plan.json: what is read can be used, and written and read again it is the same plan.  A commit
 *  record that is not one is refused. */
#include "fuzz.h"

#include "ci/commit.h"
#include "ci/plan.h"

static void plan_use(const ci_plan *p)
{
    char digest[CI_SHA256_HEX], again[CI_SHA256_HEX], path[CI_PATH_MAX];
    ci_plan other = {0};
    int32_t last = 0;

    ci_plan_digest(p, digest);
    for (int32_t i = 0; i < p->n_capture; i++) {
        const ci_rc rc = ci_plan_path(p, i, path);
        MUST(rc == CI_OK || rc == CI_EDATA, "code %d", rc);
    }
    for (int32_t k = 0; k <= 3; k++) {
        const int32_t block = ci_plan_part(p, k, 3);
        MUST(block >= last && block <= p->n_block, "part %d begins at block %d", k, block);
        last = block;
    }
    MUST(ci_plan_write(p, scratch("again.json")) == CI_OK, "not written");
    MUST(ci_plan_read(scratch("again.json"), &other) == CI_OK, "not read again");
    ci_plan_digest(&other, again);
    MUST(strcmp(digest, again) == 0, "another digest");
    MUST(other.n_block == p->n_block && other.n_id == p->n_id && other.graphs == p->graphs,
         "another plan");
    ci_plan_release(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    ci_plan p = {0};
    ci_rc rc;

    MUST(ci_commit_bytes(scratch("plan.json"), data, n) == CI_OK, "not committed");
    rc = ci_plan_read(scratch("plan.json"), &p);
    if (rc == CI_OK)
        plan_use(&p);
    else
        MUST(rc == CI_EFORMAT && ci_message()[0], "code %d", rc);
    ci_plan_release(&p);
    return 0;
}
