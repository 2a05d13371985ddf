/* `canids doctor`: what a scan of the data would find, as advice. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "ci/commit.h"
#include "ci/scan.h"
#include "cmd_priv.h"

bool doctor_of_data(const struct options *o)
{
    const size_t n = o->file ? strlen(o->file) : 0;

    return n > 0 && !(n > 5 && strcmp(o->file + n - 5, ".yaml") == 0) && !(n > 4 && strcmp(o->file + n - 4, ".yml") == 0);
}

/* Cut the last name off a path: "a/b" becomes "a", and *out_name is "b". */
static ci_rc name_cut(char *path, const char **out_name)
{
    ci_rc rc = CI_OK;
    char *slash = strrchr(path, '/');

    if (!slash || !slash[1]) CI_FAIL(CI_EDATA, "%s lies in no folder of a folder: put the captures into one", path);
    *slash = 0;
    *out_name = slash + 1;
done:
    return rc;
}

static ci_rc text_put(char *to, size_t n, const char *text)
{
    ci_rc rc = CI_OK;

    if ((size_t)snprintf(to, n, "%s", text) >= n) CI_FAIL(CI_EDATA, "%s: a path of more than %zu bytes", text, n - 1);
done:
    return rc;
}

static bool has_training(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *e;
    bool has = false;

    while (dir && !has && (e = readdir(dir))) has = strncmp(e->d_name, "train_", 6) == 0;
    if (dir) closedir(dir);
    return has;
}

/* A folder with train_* in it is a set; any other one holds captures. */
static bool is_set(const char *path, const ci_conf *c)
{
    char train[2 * CI_PATH_MAX];
    struct stat s;

    for (int32_t i = 0; i < c->data.train.n; i++) {
        snprintf(train, sizeof train, "%s/%s", path, c->data.train.item[i]);
        if (stat(train, &s) == 0 && S_ISDIR(s.st_mode)) return true;
    }
    return c->data.train.n == 0 && has_training(path);
}

ci_rc doctor_settings(const struct options *o, ci_conf *c, struct doctor *out)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX], *whole = NULL;
    const char *name;
    struct stat s;

    *out = (struct doctor){.loose = false};
    if (!doctor_of_data(o)) goto done;
    whole = realpath(o->file, NULL);
    if (!whole || stat(whole, &s) != 0) CI_FAIL(CI_ENOENT, "%s: there is no such file or folder", o->file);
    CI_TRY(text_put(path, sizeof path, whole));
    if (!S_ISDIR(s.st_mode)) {
        CI_TRY(name_cut(path, &name));
        CI_TRY(text_put(out->only, sizeof out->only, name));
    }
    out->loose = out->only[0] || !is_set(path, c);
    if (out->loose) {
        CI_TRY(name_cut(path, &name));
        c->data.train.n = 1;
        c->data.test.n = 0;
        CI_TRY(text_put(c->data.train.item[0], sizeof c->data.train.item[0], name));
    }
    CI_TRY(name_cut(path, &name));
    CI_TRY(text_put(c->data.set, sizeof c->data.set, name));
    CI_TRY(text_put(c->data.root, sizeof c->data.root, path[0] ? path : "/"));
done:
    free(whole);
    return rc;
}

/* One line a finding. */
static void advise(const ci_json *j)
{
    const ci_json *findings = ci_json_get(j, "findings"), *totals = ci_json_get(j, "totals");
    char text[4096];

    for (size_t i = 0; i < ci_json_len(findings); i++) {
        const ci_json *f = ci_json_at(findings, i);
        ci_finding_text(f, text, sizeof text);
        printf("%s: %s; %s; to do: %s\n", ci_json_get_str(f, "severity"), text, ci_json_get_str(f, "why"), ci_json_get_str(f, "do"));
    }
    printf("%lld files, %lld rows, %lld of them attacks, %lld windows, %lld identifiers: %s\n",
           (long long)ci_json_get_int(totals, "files"), (long long)ci_json_get_int(totals, "rows"),
           (long long)ci_json_get_int(totals, "attack_rows"), (long long)ci_json_get_int(totals, "windows"),
           (long long)ci_json_get_int(totals, "distinct_ids"),
           ci_json_get_int(j, "errors") ? "a run would stop" : "nothing would stop a run");
}

/* Where training would run.  True: nowhere. */
static bool advise_device(ci_json *j, const ci_conf *conf, bool say)
{
    const bool any = device_put(j), none = !any && strcmp(conf->train.device, "cuda") == 0;

    if (!say) return none;
    if (none) printf("error: train.device is cuda; %s; to do: set train.device: cpu\n", ci_json_get_str(j, "device"));
    else if (!any) printf("training would run on the CPU: %s\n", ci_json_get_str(j, "device"));
    else if (strcmp(conf->train.device, "cpu") == 0) printf("training would run on the CPU, as train.device says, though there is %s\n", ci_json_get_str(j, "device"));
    else printf("training would run on %s\n", ci_json_get_str(j, "device"));
    return none;
}

ci_rc doctor_run(const ci_comm *comm, const ci_conf *conf, const struct options *o, const struct doctor *d, bool *out_stops)
{
    ci_rc rc = CI_OK;
    ci_json *j = NULL;
    char *text = NULL;
    bool nowhere = false;

    CI_TRY(ci_scan_doctor(comm, conf, d->only[0] ? d->only : NULL, d->loose, &j, out_stops));
    if (comm->rank == 0) nowhere = advise_device(j, conf, !o->json);
    CI_TRY(ci_comm_bcast(comm, "doctor.device", 0, &nowhere, sizeof nowhere));
    *out_stops |= nowhere;
    if (comm->rank != 0) goto done;
    if (o->json) {
        text = ci_json_text(j, false);
        if (!text) CI_FAIL(CI_ENOMEM, "the findings as text");
        printf("%s\n", text);
    } else {
        advise(j);
    }
done:
    free(text);
    ci_json_free(&j);
    return rc;
}
