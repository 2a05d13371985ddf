/* A store as files that any program reads. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "ci/commit.h"
#include "ci/export.h"
#include "ci/log.h"
#include "cmd_priv.h"

static ci_rc export_it(const struct options *o)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX], sha[CI_SHA256_HEX];
    struct stat s;
    ci_store *st = NULL;

    if (stat(o->file, &s) == 0 && S_ISDIR(s.st_mode)) CI_TRY(ci_path_join(path, o->file, "store.h5"));
    else if (snprintf(path, sizeof path, "%s", o->file) >= (int)sizeof path) CI_FAIL(CI_EUSAGE, "%s: a path that long", o->file);
    CI_TRY(file_check(path, sha));
    CI_TRY(ci_store_open(path, &st));
    CI_TRY(ci_export(st, strcmp(o->to, "npy") == 0 ? CI_EXPORT_NPY : CI_EXPORT_CSV, o->out));
    ci_log(CI_INFO, "%lld graphs, %lld nodes, %lld edges as %s: %s", (long long)st->head.n_graph, (long long)st->head.n_node,
           (long long)st->head.n_edge, o->to, o->out);
done:
    ci_store_close(&st);
    return rc;
}

ci_rc verb_export(const struct options *o)
{
    return in_child(o, export_it);
}
