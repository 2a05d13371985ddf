/* run.json: every attempt of every step, with what it cost and how it ended. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "ci/commit.h"
#include "ci/json.h"
#include "ci/log.h"
#include "step_priv.h"

static void put_time(ci_json *j)
{
    char text[32];
    const time_t now = time(NULL);
    struct tm t;

    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &t));
    ci_json_str(j, "ended", text);
}

/* The record so far, or an empty one: a broken record is no reason to stop a run. */
static ci_json *load(const char *path)
{
    ci_json *j = NULL;

    if (ci_commit_check(path, NULL) == CI_OK && ci_json_load(path, &j) == CI_OK) return j;
    j = ci_json_object();
    ci_json_put(j, "attempts", ci_json_array());
    return j;
}

/* peak: KiB of the host's memory, and of a device's; 0: not known, none. */
static ci_rc append(const struct record *r, const struct attempt *a, const char *outcome, const char *error, const int64_t peak[2], double device_s)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX], host[64] = "", hash[CI_SHA256_HEX];
    const double wall = ci_now_s() - a->wall_s;
    ci_json *root = NULL, *j = ci_json_object();
    char *text = NULL;

    gethostname(host, sizeof host - 1);
    ci_conf_hash(r->conf, NULL, 0, hash);
    ci_json_str(j, "step", a->step);
    if (r->model) ci_json_str(j, "model", r->model);
    ci_json_str(j, "why", a->why);
    ci_json_str(j, "outcome", outcome);
    if (error) ci_json_str(j, "error", error);
    if (peak[0] > 0) {
        ci_json_num(j, "wall_s", wall);
        ci_json_num(j, "cpu_s_rank0", ci_cpu_s() - a->cpu_s);
        ci_json_int(j, "peak_kib", peak[0]);
    }
    if (peak[1] > 0) {
        ci_json_num(j, "device_s_rank0", device_s);
        ci_json_int(j, "peak_device_kib", peak[1]);
    }
    if (peak[0] > 0 && a->unit) {
        char rate[64];
        snprintf(rate, sizeof rate, "%s_per_s", a->unit);
        ci_json_int(j, a->unit, a->done);
        ci_json_num(j, rate, (double)a->done / wall);
    }
    ci_json_int(j, "ranks", r->comm->size);
    ci_json_int(j, "ranks_of_host", r->comm->node_size);
    ci_json_str(j, "host", host);
    ci_json_str(j, "code", r->code);
    ci_json_str(j, "settings_sha256", hash);
    put_time(j);
    CI_TRY(ci_path_join(path, r->dir, "run.json"));
    root = load(path);
    ci_json_add(ci_json_get(root, "attempts"), j);
    text = ci_json_text(root, true);
    if (!text) CI_FAIL(CI_ENOMEM, "%s", path);
    CI_TRY(ci_commit_bytes(path, text, strlen(text)));
done:
    free(text);
    ci_json_free(&root);
    return rc;
}

static const int64_t none[2];

/* Of this attempt: what a device did before it is forgotten. */
static void peaks(int64_t peak[2], double *device_s)
{
    peak[0] = ci_peak_kib();
    ci_device_noted(&peak[1], device_s);
    peak[1] = (peak[1] + 1023) / 1024;
}

static void phase(const struct record *r, const char *step)
{
    char text[CI_TEXT_MAX];

    snprintf(text, sizeof text, "%s%s%s", step, r->model ? " " : "", r->model ? r->model : "");
    ci_log_phase(text);
}

ci_rc attempt_begin(const struct record *r, struct attempt *a, const char *step, const char *why)
{
    ci_rc rc = CI_OK;

    *a = (struct attempt){step, why, ci_now_s(), ci_cpu_s(), NULL, 0};
    phase(r, step);
    ci_log(CI_INFO, "runs: %s", why);
    CI_TRY_ALL(r->comm, "run.record.begin", r->comm->rank == 0 ? append(r, a, "begun", NULL, none, 0) : CI_OK);
done:
    return rc;
}

ci_rc attempt_skip(const struct record *r, const char *step, const char *why)
{
    ci_rc rc = CI_OK;
    const struct attempt a = {step, why, 0, 0, NULL, 0};

    phase(r, step);
    ci_log(CI_INFO, "skipped: %s", why);
    CI_TRY_ALL(r->comm, "run.record.skip", r->comm->rank == 0 ? append(r, &a, "skipped", NULL, none, 0) : CI_OK);
done:
    return rc;
}

/* The job ends with the step's own failure, whatever becomes of the record. */
static ci_rc failed(const struct record *r, const struct attempt *a, ci_rc outcome)
{
    char message[CI_MESSAGE_MAX];
    int64_t peak[2];
    double device_s;

    if (r->comm->rank != 0) return outcome;
    peaks(peak, &device_s);
    snprintf(message, sizeof message, "%s", ci_message());
    if (append(r, a, ci_rc_name(outcome), message, peak, device_s) != CI_OK)
        ci_log(CI_WARN, "the record could not be written: %s", ci_message());
    ci_message_set(message);
    return outcome;
}

ci_rc attempt_end(const struct record *r, struct attempt *a, ci_rc outcome)
{
    ci_rc rc = CI_OK;
    int64_t peak[2];
    double device_s;
    char device[64] = "";

    if (outcome != CI_OK) return failed(r, a, outcome); /* no more collectives */
    peaks(peak, &device_s);
    CI_TRY(ci_comm_max_i64(r->comm, "run.peak", peak, 2));
    if (peak[1] > 0) snprintf(device, sizeof device, ", of a device %.1f MiB", (double)peak[1] / 1024);
    ci_log(CI_INFO, "done in %.2f s, peak memory of a rank %.1f MiB%s", ci_now_s() - a->wall_s, (double)peak[0] / 1024, device);
    CI_TRY_ALL(r->comm, "run.record.end", r->comm->rank == 0 ? append(r, a, "done", NULL, peak, device_s) : CI_OK);
done:
    return rc;
}
