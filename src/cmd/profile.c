/* `canids profile`: what is normal on a vehicle's bus, learned from captures without attacks, merged, shown. */
#include <string.h>
#include "ci/build.h"
#include "ci/log.h"
#include "ci/signal.h"
#include "cmd_priv.h"

static bool is(const struct options *o, const char *what) { return o->n_file > 0 && strcmp(o->files[0], what) == 0; }

ci_rc profile_complete(const struct options *o)
{
    ci_rc rc = CI_OK;

    if (strcmp(o->verb, "profile") != 0) goto done;
    if (!is(o, "learn") && !is(o, "merge") && !is(o, "inspect"))
        CI_FAIL(CI_EUSAGE, "profile wants learn, merge or inspect%s%s", o->n_file ? ", not " : "", o->n_file ? o->files[0] : "");
    if (is(o, "learn") && o->n_file < 3) CI_FAIL(CI_EUSAGE, "profile learn wants a file of settings and a capture");
    if (is(o, "merge") && o->n_file < 3) CI_FAIL(CI_EUSAGE, "profile merge wants two profiles");
    if (is(o, "inspect") && o->n_file != 2) CI_FAIL(CI_EUSAGE, "profile inspect wants one profile");
    if (is(o, "inspect") != !o->out || (o->out && !o->out[0]))
        CI_FAIL(CI_EUSAGE, is(o, "inspect") ? "profile inspect writes no file: --out is for learn and merge" : "profile %s wants -o FILE", o->files[0]);
    if (o->json && !is(o, "inspect")) CI_FAIL(CI_EUSAGE, "--json is for profile inspect, not for profile %s", o->files[0]);
    if ((o->n_set || o->format) && !is(o, "learn")) CI_FAIL(CI_EUSAGE, "--set is for profile learn, not for profile %s", o->files[0]);
done:
    return rc;
}

static void sum_say(const ci_profile *p, const char *path)
{
    const ci_profile_about a = ci_profile_tell(p);

    ci_log_any(CI_INFO, "%lld frames, %d identifiers, %d successions, %lld windows of %d frames: %s", (long long)a.n, a.n_id, a.n_edge,
               (long long)a.n_window, a.frames, path);
}

static ci_rc learn(ci_comm *comm, const struct options *o)
{
    ci_rc rc = CI_OK;
    static ci_conf c; /* large */
    ci_profile *p = NULL;

    CI_TRY_ALL(comm, "profile.settings", comm->rank == 0 ? ci_conf_read(o->files[1], o->set, o->n_set, &c) : CI_OK);
    CI_TRY(ci_comm_bcast(comm, "profile.settings.tell", 0, &c, sizeof c));
    ci_log_setup(comm->rank, comm->size, job_level(c.run.log));
    job_comm(comm, &c);
    CI_TRY(ci_build_profile(comm, &c, o->files + 2, o->n_file - 2, &p));
    CI_TRY_ALL(comm, "profile.write", comm->rank == 0 ? ci_profile_write(p, o->out) : CI_OK);
    if (comm->rank == 0) sum_say(p, o->out);
done:
    ci_profile_destroy(&p);
    return rc;
}

static ci_rc merge(const struct options *o)
{
    ci_rc rc = CI_OK;
    ci_profile *all = NULL, *one = NULL;
    ci_profile_about a, b;

    CI_TRY(ci_profile_read(o->files[1], &all));
    for (size_t i = 2; i < o->n_file; i++) {
        CI_TRY(ci_profile_read(o->files[i], &one));
        a = ci_profile_tell(all);
        b = ci_profile_tell(one);
        if (a.frames != b.frames || a.stride != b.stride)
            CI_FAIL(CI_EDATA, "%s knows windows of %d frames, one every %d, and %s of %d, one every %d: learn both with the same settings",
                    o->files[1], a.frames, a.stride, o->files[i], b.frames, b.stride);
        CI_TRY(ci_profile_merge(all, one, true));
        ci_profile_destroy(&one);
    }
    CI_TRY(ci_profile_write(all, o->out));
    sum_say(all, o->out);
done:
    ci_profile_destroy(&all);
    ci_profile_destroy(&one);
    return rc;
}

int verb_profile(int *argc, char ***argv, const struct options *o)
{
    ci_rc rc = CI_OK;
    ci_comm *comm = NULL;
    struct options of_file = *o;

    of_file.file = o->n_file > 1 ? o->files[1] : NULL;
    if (is(o, "inspect")) return ended(verb_inspect(&of_file));
    if (is(o, "merge")) return ended(merge(o));
    ci_signal_setup();
    CI_TRY(ci_comm_start(argc, argv, &comm));
    CI_TRY(learn(comm, o));
done:
    if (rc != CI_OK && comm) job_give_up(comm, rc);
    ci_comm_stop(&comm);
    return ended(rc);
}
