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

ci_level job_level(const char *name)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};

    for (int i = 0; i < 4; i++)
        if (strcmp(name, names[i]) == 0) return (ci_level)i;
    return CI_INFO;
}

void job_comm(ci_comm *comm, const ci_conf *c)
{
    static const struct {
        const char *name;
        ci_inject_kind kind;
    } kinds[] = {{"skip", CI_INJECT_SKIP}, {"delay", CI_INJECT_DELAY}, {"fail", CI_INJECT_FAIL}, {"die", CI_INJECT_DIE}};

    for (size_t i = 0; i < CI_COUNT(kinds); i++)
        if (strcmp(c->inject.kind, kinds[i].name) == 0)
            ci_comm_inject(comm, kinds[i].kind, c->inject.rank, c->inject.site, c->inject.pass, c->inject.seconds);
    ci_comm_deadline(comm, c->comm.deadline_s);
    if (c->comm.trace[0]) ci_comm_trace(comm, c->comm.trace);
    if (c->inject.crash_point > 0 && comm->rank == c->inject.rank) ci_commit_crash_at(c->inject.crash_point);
}

/* What a job does: its own settings and those of its members. */
struct job {
    ci_conf conf;
    ci_conf *member; /* (n_member); owned */
    int32_t n_member;
};

static ci_rc settings_read(const struct options *o, struct job *out, struct doctor *doctor)
{
    ci_rc rc = CI_OK;
    const bool look = strcmp(o->verb, "doctor") == 0;

    CI_TRY(ci_conf_read_all(look && doctor_of_data(o) ? NULL : o->file, o->set, o->n_set, &out->conf, &out->member, &out->n_member));
    if (look) CI_TRY(doctor_settings(o, &out->conf, doctor));
done:
    return rc;
}

static ci_rc members_tell(const ci_comm *comm, struct job *j)
{
    ci_rc rc = CI_OK, mine = CI_OK;

    CI_TRY(ci_comm_bcast(comm, "job.members.count", 0, &j->n_member, sizeof j->n_member));
    if (j->n_member == 0) goto done;
    if (comm->rank != 0) j->member = calloc((size_t)j->n_member, sizeof *j->member);
    if (!j->member) mine = ci_fail(CI_ENOMEM, __FILE__, __LINE__, "settings of %d models", j->n_member);
    CI_TRY_ALL(comm, "job.members.room", mine);
    CI_TRY(ci_comm_bcast(comm, "job.members.tell", 0, j->member, (size_t)j->n_member * sizeof *j->member));
done:
    return rc;
}

static ci_rc settings(ci_comm *comm, const struct options *o, struct job *j, struct doctor *doctor)
{
    ci_rc rc = CI_OK;
    ci_conf *out = &j->conf;
    const bool look = strcmp(o->verb, "doctor") == 0;

    CI_TRY_ALL(comm, "job.settings.read", comm->rank == 0 ? settings_read(o, j, doctor) : CI_OK);
    CI_TRY(ci_comm_bcast(comm, "job.settings.tell", 0, out, sizeof *out));
    CI_TRY(members_tell(comm, j));
    if (look) CI_TRY(ci_comm_bcast(comm, "job.doctor.tell", 0, doctor, sizeof *doctor));
    ci_log_setup(comm->rank, comm->size, look ? CI_WARN : job_level(out->run.log)); /* doctor prints what it has to say */
    job_comm(comm, out);
done:
    return rc;
}

/* A failure that all ranks know of.  HDF5 or a peer may be in a state that nothing can end in order:
 * rank 0 says what happened and takes the job down, the others give it the time to. */
void job_give_up(const ci_comm *comm, ci_rc rc)
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
    struct job *job = calloc(1, sizeof *job);
    struct doctor doctor = {.loose = false};
    bool stops = false;
    int code;

    ci_signal_setup();
    if (!job) CI_FAIL(CI_ENOMEM, "settings");
    CI_TRY(ci_comm_start(argc, argv, &comm));
    CI_TRY(settings(comm, o, job, &doctor));
    if (strcmp(o->verb, "doctor") == 0)
        CI_TRY(doctor_run(comm, &job->conf, o, &doctor, &stops));
    else
        CI_TRY(ci_run(comm, &job->conf, job->member, job->n_member, strcmp(o->verb, "run") == 0 ? job->conf.pipeline : o->verb,
                      code_version(), o->resume));
done:
    if (job) free(job->member);
    free(job);
    if (rc != CI_OK && comm) job_give_up(comm, rc);
    ci_comm_stop(&comm);
    code = ended(rc);
    return code == 0 && stops ? ci_rc_exit(CI_EDATA) : code; /* the findings have said why */
}
