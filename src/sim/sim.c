#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/log.h"
#include "sim_priv.h"

enum { IDS_MAX = 2000 };
#define SECONDS_MAX 1e7 /* numbers of messages have 32 bits, seconds ten digits */

static ci_rc check(const ci_conf *conf)
{
    ci_rc rc = CI_OK;

    if (conf->sim.vehicles < 2)
        CI_FAIL(CI_ECONF, "sim.vehicles: %d; it takes 2, one to train on and one that is unknown",
                conf->sim.vehicles);
    if (conf->sim.ids_min < 1 || conf->sim.ids_max < conf->sim.ids_min ||
        conf->sim.ids_max > IDS_MAX)
        CI_FAIL(CI_ECONF, "sim.ids_min, sim.ids_max: %d to %d is not within 1 to %d",
                conf->sim.ids_min, conf->sim.ids_max, IDS_MAX);
    if (conf->sim.bitrate < 10000 || conf->sim.bitrate > 1000000)
        CI_FAIL(CI_ECONF, "sim.bitrate: %d is not within 10000 to 1000000", conf->sim.bitrate);
    if (conf->sim.ids_max * 5 > 4 * ci_sim_rate_max(conf->sim.bitrate))
        CI_FAIL(CI_ECONF, "sim.ids_max: a bus of %d bit/s has no room for %d identifiers; at most %lld, or a "
                "higher sim.bitrate", conf->sim.bitrate, conf->sim.ids_max,
                (long long)(4 * ci_sim_rate_max(conf->sim.bitrate) / 5));
    if (!(conf->sim.extended >= 0 && conf->sim.extended <= 1))
        CI_FAIL(CI_ECONF, "sim.extended: %g is not within 0 to 1", conf->sim.extended);
    if (conf->sim.rows < 0)
        CI_FAIL(CI_ECONF, "sim.rows: %lld is not 0 or more", (long long)conf->sim.rows);
    if (!(conf->sim.file_seconds == 0 || conf->sim.file_seconds >= 1))
        CI_FAIL(CI_ECONF, "sim.file_seconds: %g is neither 0 nor at least 1", conf->sim.file_seconds);
    if (!(conf->sim.seconds > 0 && conf->sim.seconds <= SECONDS_MAX))
        CI_FAIL(CI_ECONF, "sim.seconds: %g is not within 0 to 1e7", conf->sim.seconds);
    if (!(conf->sim.attack_share >= 0 && conf->sim.attack_share <= SHARE_MAX))
        CI_FAIL(CI_ECONF, "sim.attack_share: %g is not within 0 to %g: the first quarter of a "
                "capture is benign, and bursts have pauses", conf->sim.attack_share, SHARE_MAX);
done:
    return rc;
}

/* As many frames as sim.rows says must not take a vehicle longer than a capture may be. */
static ci_rc check_rows(const ci_conf *conf)
{
    ci_rc rc = CI_OK;
    vehicle *v = NULL;

    if (conf->sim.rows == 0) return CI_OK;
    v = ci_new(1, sizeof *v);
    if (!v) CI_FAIL(CI_ENOMEM, "a vehicle of %zu bytes", sizeof *v);
    for (int32_t k = 0; k < conf->sim.vehicles; k++) {
        ci_sim_vehicle_draw(conf, k, v);
        if ((double)conf->sim.rows * 1e3 / (double)v->per_1000_s > SECONDS_MAX)
            CI_FAIL(CI_ECONF, "sim.rows: %lld frames take vehicle %d longer than 1e7 s; at most %lld", (long long)conf->sim.rows,
                    k + 1, (long long)(SECONDS_MAX / 1e3 * (double)v->per_1000_s));
    }
done:
    free(v);
    return rc;
}

/* Rank 0. */
static ci_rc finish(const ci_conf *conf, const char *set, const recording *r, int32_t n, const written *w)
{
    ci_rc rc = CI_OK;
    int64_t rows = 0, bytes = 0;

    for (int32_t k = 0; k < n; k++) {
        rows += w[k].rows;
        bytes += w[k].bytes;
    }
    CI_TRY(ci_sim_set_finish(conf, set, NULL, r, w, n));
    ci_log(CI_INFO, "%s: SIMULATED, %d files, %lld frames, %lld bytes", set, n, (long long)rows,
           (long long)bytes);
done:
    return rc;
}

ci_rc ci_sim(const ci_comm *comm, const ci_conf *conf)
{
    ci_rc rc = CI_OK, mine_rc;
    recording *r = NULL;
    written *w = NULL;
    int32_t n = 0;
    char set[CI_PATH_MAX] = "";

    mine_rc = check(conf);
    if (mine_rc == CI_OK) mine_rc = check_rows(conf);
    if (mine_rc == CI_OK) mine_rc = ci_sim_set(conf, set);
    if (mine_rc == CI_OK) mine_rc = ci_sim_plan(conf, &r, &n);
    if (mine_rc == CI_OK && !(w = ci_new((size_t)n, sizeof *w)))
        mine_rc = ci_fail(CI_ENOMEM, __FILE__, __LINE__, "%d files", n);
    if (mine_rc == CI_OK && comm->rank == 0) mine_rc = ci_sim_set_prepare(conf, set, r, n);
    if (mine_rc == CI_OK && comm->rank == 0) ci_sim_files_clear(set, r, n);
    CI_TRY_ALL(comm, "sim.prepare.agree", mine_rc);
    CI_TRY(ci_sim_files(comm, conf, set, r, n, w));
    CI_TRY_ALL(comm, "sim.manifest.agree", comm->rank ? CI_OK : finish(conf, set, r, n, w));
done:
    free(w);
    free(r);
    return rc;
}
