/* What a ticket needs to know: program, libraries, machine, settings. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "ci/comm.h"
#include "ci/conf.h"
#include "ci/graph.h"
#include "ci/h5.h"
#include "ci/json.h"
#include "ci/ops.h"
#include "cmd_priv.h"
#include "version.h"

static const char *const scalings[] = {[CI_SCALE_Z] = "z-score", [CI_SCALE_INDEX] = "index", [CI_SCALE_ALL] = "z-all"};
static const char *const groups[CI_GROUP_COUNT] = {
    [CI_GROUP_NONE] = "-", [CI_GROUP_NOVELTY] = "novelty", [CI_GROUP_EDGE] = "edge", [CI_GROUP_TIMING] = "timing",
    [CI_GROUP_RATE] = "rate", [CI_GROUP_SHAPE] = "shape", [CI_GROUP_PAYLOAD] = "payload"};

static void columns_print(const ci_feature_set *s, const char *of, const ci_feature *f, ci_lid n)
{
    for (ci_lid i = 0; i < n; i++) {
        printf("  %s %2d  %-17s %-6s %-7s ", of, i, f[i].name, f[i].unit, scalings[f[i].scaling]);
        if (s->stream) printf("%-7s ", groups[f[i].group]);
        printf("%s\n", f[i].formula);
    }
}

static ci_json *columns_json(const ci_feature *f, ci_lid n)
{
    ci_json *a = ci_json_array();

    for (ci_lid i = 0; i < n; i++) {
        ci_json *j = ci_json_object();
        ci_json_str(j, "name", f[i].name);
        ci_json_str(j, "unit", f[i].unit);
        ci_json_str(j, "scaling", scalings[f[i].scaling]);
        ci_json_str(j, "group", groups[f[i].group]);
        ci_json_str(j, "formula", f[i].formula);
        ci_json_add(a, j);
    }
    return a;
}

/* The feature sets as they are computed: this table is their documentation. */
static ci_rc features_print(const struct options *o)
{
    ci_rc rc = CI_OK;
    ci_json *all = ci_json_object();
    char *text = NULL;
    const ci_feature_set *s;

    for (size_t i = 0; (s = ci_feature_set_at(i)); i++) {
        ci_json *j = ci_json_object();
        ci_json_int(j, "version", s->version);
        ci_json_bool(j, "merged_edges", s->merged);
        ci_json_put(j, "node", columns_json(s->node, s->n_node));
        ci_json_put(j, "edge", columns_json(s->edge, s->n_edge));
        if (s->stream) ci_json_put(j, "window", columns_json(s->window, s->n_window));
        ci_json_put(all, s->name, j);
        if (o->json) continue;
        printf("%s, version %d: %d columns of a node, %d of an edge", s->name, s->version, s->n_node, s->n_edge);
        if (s->stream) printf(", %d of a window", s->n_window);
        printf("; %s\n", s->merged ? "pairs of frames with the same ends are one edge" : "every pair of frames is an edge");
        columns_print(s, "node", s->node, s->n_node);
        columns_print(s, "edge", s->edge, s->n_edge);
        columns_print(s, "window", s->window, s->n_window);
    }
    text = ci_json_text(all, true);
    if (!text) CI_FAIL(CI_ENOMEM, "info");
    if (o->json) printf("%s\n", text);
    else printf("z-score: (value - mean) / spread of the benign training windows, clipped at 10; index: embedded, 0 as a number; "
                "z-all: as z-score, of all training windows\n");
done:
    free(text);
    ci_json_free(&all);
    return rc;
}

ci_rc verb_info(const struct options *o)
{
    ci_rc rc = CI_OK;
    ci_json *j = ci_json_object();
    char *text = NULL;
    struct utsname u;

    if (o->features) {
        rc = features_print(o);
        goto done;
    }
    ci_json_str(j, "version", CI_VERSION);
    ci_json_str(j, "commit", CI_COMMIT);
    ci_json_str(j, "compiler", __VERSION__);
    ci_json_str(j, "flags", CI_CFLAGS);
    ci_json_str(j, "mpi", ci_comm_library());
    ci_json_str(j, "hdf5", ci_h5_library());
    ci_json_str(j, "kernels", ci_ops_get("auto") ? ci_ops_get("auto")->name : "none");
    ci_json_str(j, "cuda", CI_CUDA);
    device_put(j);
    ci_json_str(j, "settings", ci_conf_folder()[0] ? ci_conf_folder() : "built-in defaults only");
    if (uname(&u) == 0) {
        ci_json_str(j, "system", u.sysname);
        ci_json_str(j, "release", u.release);
        ci_json_str(j, "machine", u.machine);
    }
    ci_json_int(j, "cores", sysconf(_SC_NPROCESSORS_ONLN));
    ci_json_int(j, "memory_mib", sysconf(_SC_PHYS_PAGES) / 1024 * sysconf(_SC_PAGESIZE) / 1024);
    ci_json_str(j, "slurm_job", getenv("SLURM_JOB_ID") ? getenv("SLURM_JOB_ID") : "");
    text = ci_json_text(j, true);
    if (!text) CI_FAIL(CI_ENOMEM, "info");
    if (o->json) {
        printf("%s\n", text);
    } else {
        static const char *const keys[] = {"version", "commit", "compiler", "flags", "mpi", "hdf5", "kernels",
                                           "cuda", "device", "settings", "system", "release", "machine"};
        for (size_t i = 0; i < CI_COUNT(keys); i++) printf("%-10s %s\n", keys[i], ci_json_get_str(j, keys[i]));
        printf("%-10s %lld\n%-10s %lld MiB\n", "cores", (long long)ci_json_get_int(j, "cores"), "memory",
               (long long)ci_json_get_int(j, "memory_mib"));
    }
done:
    free(text);
    ci_json_free(&j);
    return rc;
}

ci_rc verb_config(const struct options *o)
{
    ci_rc rc = CI_OK;
    ci_conf *c = calloc(1, sizeof *c);
    char *text = NULL;

    if (!c) CI_FAIL(CI_ENOMEM, "settings");
    CI_TRY(ci_conf_read(o->file, o->set, o->n_set, c));
    text = ci_conf_yaml(c, true);
    if (!text) CI_FAIL(CI_ENOMEM, "settings");
    fputs(text, stdout);
done:
    free(text);
    free(c);
    return rc;
}
