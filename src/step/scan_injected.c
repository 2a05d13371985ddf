/* What injected captures were made of, against what is trained on now: folds go by its number, and of a test capture nothing may
 * be learned. */
#include <string.h>
#include "ci/arena.h"
#include "scan_priv.h"

/* The next capture that is trained on from i, n_capture: none. */
static int32_t trained_on(const ci_plan *p, int32_t i)
{
    while (i < p->n_capture && (p->folder[p->capture[i].folder].role != CI_TRAIN || !ci_capture_used(&p->capture[i]))) i++;
    return i;
}

ci_rc ci_scan_injected(const ci_scan_state *s)
{
    ci_rc rc = CI_OK;
    const ci_plan *p = &s->plan;
    char path[CI_PATH_MAX];
    ci_json *j = NULL, *base;
    int32_t i = 0;

    if (!p->injected[0]) return CI_OK;
    CI_TRY(ci_path_join(path, s->conf->data.injected, "manifest.json"));
    CI_TRY(ci_json_load(path, &j));
    base = ci_json_get(j, "base_files");
    for (size_t k = 0; k < ci_json_len(base) || trained_on(p, i) < p->n_capture; k++, i++) {
        const char *was = k < ci_json_len(base) ? ci_json_get_str(ci_json_at(base, k), "path") : NULL;
        i = trained_on(p, i);
        if (i < p->n_capture && was && strcmp(was, p->capture[i].path) == 0) continue;
        CI_FAIL(CI_EDATA, "data.injected: %s: training capture %zu was %s when it was made, and now is %s: run `canids sim` again with the data.train "
                "of now, or name another folder", path, k + 1, was ? was : "none", i < p->n_capture ? p->capture[i].path : "none");
    }
done:
    ci_json_free(&j);
    return rc;
}
