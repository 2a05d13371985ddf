#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/log.h"
#include "sim_priv.h"

static ci_rc check(const ci_conf *conf)
{
    ci_rc rc = CI_OK;

    if (conf->sim.vehicles < 2)
        CI_FAIL(CI_ECONF, "sim.vehicles: %d; it takes 2, one to train on and one that is unknown",
                conf->sim.vehicles);
    if (conf->sim.ids_min < 1 || conf->sim.ids_max < conf->sim.ids_min ||
        conf->sim.ids_max > SLOT_MAX)
        CI_FAIL(CI_ECONF, "sim.ids_min, sim.ids_max: %d to %d is not within 1 to %d",
                conf->sim.ids_min, conf->sim.ids_max, SLOT_MAX);
    if (!(conf->sim.seconds > 0 && conf->sim.seconds <= 1e7))
        CI_FAIL(CI_ECONF, "sim.seconds: %g is not within 0 to 1e7", conf->sim.seconds);
    if (!(conf->sim.attack_share >= 0 && conf->sim.attack_share <= SHARE_MAX))
        CI_FAIL(CI_ECONF, "sim.attack_share: %g is not within 0 to %g: the first quarter of a "
                "capture is benign, and bursts have pauses", conf->sim.attack_share, SHARE_MAX);
done:
    return rc;
}

/* Recordings are of about equal length: every size-th is mine. */
static ci_rc write_mine(const ci_comm *comm, const ci_conf *conf, const char *set,
                        const recording *r, int32_t n, written *mine, int32_t *out_n)
{
    ci_rc rc = CI_OK;
    bus *b = ci_new(1, sizeof *b);

    if (!b) CI_FAIL(CI_ENOMEM, "a vehicle of %zu bytes", sizeof *b);
    for (int32_t k = comm->rank; k < n; k += comm->size) {
        mine[*out_n].file = k;
        CI_TRY(ci_sim_write(conf, set, &r[k], b, &mine[*out_n]));
        ++*out_n;
    }
done:
    free(b);
    return rc;
}

/* Rank 0: reports of all ranks, in the order of the plan. */
static ci_rc finish(const ci_conf *conf, const char *set, const recording *r, int32_t n,
                    const written *all, size_t n_all)
{
    ci_rc rc = CI_OK;
    written *w = ci_new((size_t)n, sizeof *w);
    int64_t rows = 0, bytes = 0;

    if (!w) CI_FAIL(CI_ENOMEM, "a manifest of %d files", n);
    if (n_all != (size_t)n) CI_FAIL(CI_EINTERNAL, "%zu of %d files were written", n_all, n);
    for (size_t k = 0; k < n_all; k++) {
        w[all[k].file] = all[k];
        rows += all[k].rows;
        bytes += all[k].bytes;
    }
    CI_TRY(ci_sim_set_finish(conf, set, r, w, n));
    ci_log(CI_INFO, "%s: SIMULATED, %d files, %lld frames, %lld bytes", set, n, (long long)rows,
           (long long)bytes);
done:
    free(w);
    return rc;
}

ci_rc ci_sim(const ci_comm *comm, const ci_conf *conf)
{
    ci_rc rc = CI_OK, mine_rc;
    recording *r = NULL;
    written *mine = NULL;
    void *all = NULL;
    size_t all_bytes = 0;
    int32_t n = 0, n_mine = 0;
    char set[CI_PATH_MAX] = "";

    mine_rc = check(conf);
    if (mine_rc == CI_OK) mine_rc = ci_path_join(set, conf->data.root, conf->data.set);
    if (mine_rc == CI_OK) mine_rc = ci_sim_plan(conf, &r, &n);
    if (mine_rc == CI_OK && !(mine = ci_new((size_t)n, sizeof *mine)))
        mine_rc = ci_fail(CI_ENOMEM, __FILE__, __LINE__, "%d files", n);
    if (mine_rc == CI_OK && comm->rank == 0) mine_rc = ci_sim_set_prepare(conf, set, r, n);
    CI_TRY_ALL(comm, "sim.prepare.agree", mine_rc);
    CI_TRY_ALL(comm, "sim.files.agree", write_mine(comm, conf, set, r, n, mine, &n_mine));
    CI_TRY(ci_comm_gather(comm, "sim.files.gather", mine, (size_t)n_mine * sizeof *mine, &all,
                          &all_bytes, NULL));
    mine_rc = comm->rank ? CI_OK : finish(conf, set, r, n, all, all_bytes / sizeof *mine);
    CI_TRY_ALL(comm, "sim.manifest.agree", mine_rc);
done:
    free(all);
    free(mine);
    free(r);
    return rc;
}
