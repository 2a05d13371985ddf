/* run.json: every attempt of every step, with what it cost and how it ended. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "ci/commit.h"
#include "ci/json.h"
#include "ci/log.h"
#include "step_priv.h"

void attempt_begin(struct attempt *a, const char *step, const char *why)
{
    *a = (struct attempt){step, why, ci_now_s(), ci_cpu_s()};
    ci_log_phase(step);
    ci_log(CI_INFO, "runs: %s", why);
}

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

static ci_rc append(const ci_comm *comm, const ci_conf *conf, const char *code, const struct attempt *a, ci_rc outcome,
                    const int64_t *peak)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX], host[64] = "", hash[CI_SHA256_HEX], message[CI_MESSAGE_MAX];
    ci_json *root = NULL, *j = ci_json_object();
    char *text = NULL;

    strncpy(message, ci_message(), sizeof message - 1);
    message[sizeof message - 1] = 0;
    gethostname(host, sizeof host - 1);
    ci_conf_hash(conf, NULL, 0, hash);
    ci_json_str(j, "step", a->step);
    ci_json_str(j, "why", a->why);
    ci_json_str(j, "outcome", ci_rc_name(outcome));
    if (outcome != CI_OK) ci_json_str(j, "error", message);
    ci_json_num(j, "wall_s", ci_now_s() - a->wall_s);
    ci_json_num(j, "cpu_s_rank0", ci_cpu_s() - a->cpu_s);
    ci_json_int(j, "peak_kib", *peak);
    ci_json_int(j, "ranks", comm->size);
    ci_json_str(j, "host", host);
    ci_json_str(j, "code", code);
    ci_json_str(j, "settings_sha256", hash);
    put_time(j);
    CI_TRY(ci_path_join(path, conf->run.dir, "run.json"));
    root = load(path);
    ci_json_add(ci_json_get(root, "attempts"), j);
    text = ci_json_text(root, true);
    if (!text) CI_FAIL(CI_ENOMEM, "%s", path);
    CI_TRY(ci_commit_bytes(path, text, strlen(text)));
done:
    if (outcome != CI_OK) { /* the step's own failure is what the job ends with */
        if (rc != CI_OK) ci_log(CI_WARN, "the record could not be written: %s", ci_message());
        ci_message_set(message);
    }
    free(text);
    ci_json_free(&root);
    return rc;
}

ci_rc attempt_end(const ci_comm *comm, const ci_conf *conf, const char *code, struct attempt *a, ci_rc outcome)
{
    ci_rc rc = CI_OK;
    int64_t peak = ci_peak_kib();

    if (outcome != CI_OK) { /* the job ends: no more collectives */
        if (comm->rank == 0) append(comm, conf, code, a, outcome, &peak);
        return outcome;
    }
    CI_TRY(ci_comm_max_i64(comm, "run.peak", &peak, 1));
    ci_log(CI_INFO, "done in %.2f s, peak memory of a rank %.1f MiB", ci_now_s() - a->wall_s, (double)peak / 1024);
    CI_TRY_ALL(comm, "run.record", comm->rank == 0 ? append(comm, conf, code, a, CI_OK, &peak) : CI_OK);
done:
    return rc;
}
