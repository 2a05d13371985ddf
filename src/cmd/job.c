/* The verbs that need ranks: settings to all of them, then the steps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ci/comm.h"
#include "ci/commit.h"
#include "ci/conf.h"
#include "ci/log.h"
#include "ci/run.h"
#include "ci/signal.h"
#include "cmd_priv.h"

static ci_level level_of(const char *name)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};

    for (int i = 0; i < 4; i++)
        if (strcmp(name, names[i]) == 0) return (ci_level)i;
    return CI_INFO;
}

static void inject(ci_comm *comm, const ci_conf *c)
{
    static const struct {
        const char *name;
        ci_inject_kind kind;
    } kinds[] = {{"skip", CI_INJECT_SKIP}, {"delay", CI_INJECT_DELAY}, {"fail", CI_INJECT_FAIL}, {"die", CI_INJECT_DIE}};

    for (size_t i = 0; i < CI_COUNT(kinds); i++)
        if (strcmp(c->inject.kind, kinds[i].name) == 0)
            ci_comm_inject(comm, kinds[i].kind, c->inject.rank, c->inject.site, c->inject.pass, c->inject.seconds);
    if (c->inject.crash_point > 0 && comm->rank == c->inject.rank) ci_commit_crash_at(c->inject.crash_point);
}

static ci_rc settings_read(const struct options *o, ci_conf *out, struct doctor *doctor)
{
    ci_rc rc = CI_OK;
    const bool look = strcmp(o->verb, "doctor") == 0;

    CI_TRY(ci_conf_read(look && doctor_of_data(o) ? NULL : o->file, o->set, o->n_set, out));
    if (look) CI_TRY(doctor_settings(o, out, doctor));
done:
    return rc;
}

static ci_rc settings(ci_comm *comm, const struct options *o, ci_conf *out, struct doctor *doctor)
{
    ci_rc rc = CI_OK;
    const bool look = strcmp(o->verb, "doctor") == 0;

    CI_TRY_ALL(comm, "job.settings.read", comm->rank == 0 ? settings_read(o, out, doctor) : CI_OK);
    CI_TRY(ci_comm_bcast(comm, "job.settings.tell", 0, out, sizeof *out));
    if (look) CI_TRY(ci_comm_bcast(comm, "job.doctor.tell", 0, doctor, sizeof *doctor));
    ci_log_setup(comm->rank, comm->size, look ? CI_WARN : level_of(out->run.log)); /* doctor prints what it has to say */
    ci_comm_deadline(comm, out->comm.deadline_s);
    if (out->comm.trace[0]) ci_comm_trace(comm, out->comm.trace);
    inject(comm, out);
done:
    return rc;
}

/* A failure that all ranks know of.  HDF5 or a peer may be in a state that nothing can end in order:
 * rank 0 says what happened and takes the job down, the others give it the time to. */
static void give_up(const ci_comm *comm, ci_rc rc) __attribute__((noreturn));
static void give_up(const ci_comm *comm, ci_rc rc)
{
    unsigned left = comm->rank != 0 ? 5 : 0;

    while (left > 0) left = sleep(left); /* mpirun's TERM is no reason to say it again; who sleeps it all is alone with the failure */
    failure_say();
    fflush(NULL);
    if (comm->size == 1) _exit(ci_rc_exit(rc));
    ci_comm_abort(comm, ci_rc_exit(rc));
}

int verb_job(int *argc, char ***argv, const struct options *o)
{
    ci_rc rc = CI_OK;
    ci_comm *comm = NULL;
    ci_conf *conf = calloc(1, sizeof *conf);
    struct doctor doctor = {.loose = false};
    bool stops = false;
    int code;

    ci_signal_setup();
    if (!conf) CI_FAIL(CI_ENOMEM, "settings");
    CI_TRY(ci_comm_start(argc, argv, &comm));
    CI_TRY(settings(comm, o, conf, &doctor));
    if (strcmp(o->verb, "doctor") == 0)
        CI_TRY(doctor_run(comm, conf, o, &doctor, &stops));
    else
        CI_TRY(ci_run(comm, conf, strcmp(o->verb, "run") == 0 ? conf->pipeline : o->verb, code_version(), o->resume));
done:
    free(conf);
    if (rc != CI_OK && comm) give_up(comm, rc);
    ci_comm_stop(&comm);
    code = ended(rc);
    return code == 0 && stops ? ci_rc_exit(CI_EDATA) : code; /* the findings have said why */
}
