/* A communicator's life: MPI, the ranks of this host and their board. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <signal.h>
#include <unistd.h>
#include "ci/arena.h"
#include "ci/log.h"
#include "ci/tick.h"
#include "ci/types.h"
#include "comm_priv.h"

enum { STOP_S = 60, ABORT_S = 10 }; /* what MPI gets to end in, seconds */

/* mpirun says so itself, the others through PMIx, PMI or Slurm. */
int comm_launched(void)
{
    static const char *const said[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "SLURM_STEP_ID"};

    for (size_t i = 0; i < CI_COUNT(said); i++)
        if (getenv(said[i])) return 1;
    return 0;
}

/* Measured on Debian 12 (Open MPI 4.1.4): two of its collective file components lose data on a full
 * disk, ranks that wait spin unless told otherwise, and one rank alone needs no network. */
static void tune_open_mpi(void)
{
    setenv("OMPI_MCA_fcoll", "individual", 0);
    setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0);
    if (!comm_launched()) setenv("OMPI_MCA_pml", "ob1", 0);
}

/* A rank whose launcher died must not go on alone. */
static void die_with_launcher(void)
{
    if (comm_launched()) prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void ticked(void *place)
{
    atomic_fetch_add_explicit(&((struct place *)place)->tick, 1, memory_order_relaxed);
}

static ci_rc board_make(ci_comm *c)
{
    ci_rc rc = CI_OK;
    struct ci_comm_state *s = c->state;
    MPI_Aint bytes = c->node_rank == 0 ? (MPI_Aint)sizeof(struct place) * c->node_size : 0;
    void *mine = NULL;
    int unit, code;

    code = MPI_Win_allocate_shared(bytes, 1, MPI_INFO_NULL, s->node, &mine, &s->win);
    if (code != MPI_SUCCESS) CI_TRY(comm_error("comm.start", code));
    code = MPI_Win_shared_query(s->win, 0, &bytes, &unit, &s->board);
    if (code != MPI_SUCCESS) CI_TRY(comm_error("comm.start", code));
    memset(&s->board[c->node_rank], 0, sizeof s->board[0]);
    s->board[c->node_rank].rank = c->rank;
    s->board[c->node_rank].pid = (int32_t)getpid();
    ci_tick_hook(ticked, &s->board[c->node_rank]);
done:
    return rc;
}

/* sbatch users start N single processes by mistake when srun and MPI do not speak the same PMI. */
static ci_rc singletons(const ci_comm *c)
{
    ci_rc rc = CI_OK;
    const char *tasks = getenv("SLURM_NTASKS"), *step = getenv("SLURM_STEP_ID");

    if (c->size == 1 && tasks && step && atoi(tasks) > 1 && !getenv("OMPI_COMM_WORLD_SIZE"))
        CI_FAIL(CI_ECONF,
                "srun started %s tasks, but each sees itself alone: use srun --mpi=pmix, or mpirun",
                tasks);
done:
    return rc;
}

static ci_rc mpi_start(ci_comm *c, int *argc, char ***argv)
{
    ci_rc rc = CI_OK;
    int up = 0, have;

    c->state->by_mpirun = getenv("OMPI_COMM_WORLD_SIZE") != NULL; /* MPI_Init may set it for others */
    MPI_Initialized(&up);
    if (up) goto done;
    tune_open_mpi();
    die_with_launcher();
    watch_arm(c, "MPI_Init", c->state->deadline, ci_rc_exit(CI_ETEMP));
    if (MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &have) != MPI_SUCCESS)
        CI_FAIL(CI_EMPI, "MPI_Init_thread failed");
    watch_disarm(c);
    c->state->own_mpi = 1;
done:
    return rc;
}

static ci_rc ranks_meet(ci_comm *c, int apart)
{
    ci_rc rc = CI_OK;
    struct ci_comm_state *s = c->state;

    MPI_Comm_rank(MPI_COMM_WORLD, &c->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &c->size);
    ci_log_setup(c->rank, c->size, CI_INFO);
    watch_arm(c, "MPI_Comm_dup", s->deadline, ci_rc_exit(CI_ETEMP));
    MPI_Comm_dup(MPI_COMM_WORLD, &s->all);
    MPI_Comm_set_errhandler(s->all, MPI_ERRORS_RETURN);
    MPI_Comm_dup(s->all, &s->alarm);
    watch_arm(c, "MPI_Comm_split_type", s->deadline, ci_rc_exit(CI_ETEMP));
    if (apart) MPI_Comm_split(s->all, c->rank, 0, &s->node);
    else MPI_Comm_split_type(s->all, MPI_COMM_TYPE_SHARED, c->rank, MPI_INFO_NULL, &s->node);
    MPI_Comm_rank(s->node, &c->node_rank);
    MPI_Comm_size(s->node, &c->node_size);
    watch_arm(c, "MPI_Win_allocate_shared", s->deadline, ci_rc_exit(CI_ETEMP));
    CI_TRY(board_make(c));
    watch_disarm(c);
done:
    return rc;
}

ci_rc comm_start(int *argc, char ***argv, double deadline, int apart, ci_comm **out)
{
    ci_rc rc = CI_OK;
    ci_comm *c = ci_new(1, sizeof *c);
    struct ci_comm_state *s = ci_new(1, sizeof *s);

    *out = NULL;
    if (!c || !s) CI_FAIL(CI_ENOMEM, "a communicator");
    c->state = s;
    s->deadline = deadline;
    s->all = s->node = MPI_COMM_NULL;
    CI_TRY(watch_start(c));
    CI_TRY(mpi_start(c, argc, argv));
    CI_TRY(ranks_meet(c, apart));
    s->seen = ci_new((size_t)c->size, sizeof *s->seen);
    s->last = ci_new((size_t)c->size, sizeof *s->last);
    if (!s->seen || !s->last) CI_FAIL(CI_ENOMEM, "a communicator of %d ranks", c->size);
    CI_TRY(singletons(c));
    CI_TRY(ci_comm_barrier(c, "comm.start"));
    *out = c;
    c = NULL;
    s = NULL;
done:
    if (c && s) {
        ci_tick_hook(NULL, NULL);
        watch_stop(c);
        free(s->seen);
        free(s->last);
    }
    free(s);
    free(c);
    return rc;
}

ci_rc ci_comm_start(int *argc, char ***argv, ci_comm **out)
{
    return comm_start(argc, argv, 600, 0, out);
}

static void trace_write(const ci_comm *c)
{
    const struct ci_comm_state *s = c->state;
    FILE *f;

    if (!s->trace[0] || c->rank != 0 || !(f = fopen(s->trace, "w"))) return;
    for (int i = 0; i < s->n_site; i++)
        if (!s->site[i].guard) fprintf(f, "%s %lld\n", s->site[i].name, (long long)s->site[i].pass);
    fclose(f);
}

void ci_comm_stop(ci_comm **comm)
{
    ci_comm *c = *comm;
    struct ci_comm_state *s;

    if (!c) return;
    s = c->state;
    ci_comm_barrier(c, "comm.stop");
    trace_write(c);
    ci_tick_hook(NULL, NULL);
    watch_arm(c, "the end of MPI", CI_MIN(s->deadline, STOP_S), 0);
    MPI_Win_free(&s->win);
    MPI_Comm_free(&s->node);
    MPI_Comm_free(&s->alarm);
    MPI_Comm_free(&s->all);
    if (s->own_mpi) MPI_Finalize();
    watch_stop(c);
    free(s->seen);
    free(s->last);
    free(s);
    free(c);
    *comm = NULL;
}

void ci_comm_deadline(ci_comm *comm, double seconds)
{
    comm->state->deadline = seconds;
}

void ci_comm_inject(ci_comm *comm, ci_inject_kind kind, int rank, const char *site, int pass,
                    double seconds)
{
    struct injection *i = &comm->state->inject;

    i->kind = kind;
    i->rank = rank;
    i->pass = pass;
    i->seconds = seconds;
    snprintf(i->site, sizeof i->site, "%s", site);
}

void ci_comm_trace(ci_comm *comm, const char *path)
{
    snprintf(comm->state->trace, sizeof comm->state->trace, "%s", path);
}

void ci_comm_abort(const ci_comm *comm, int exit_code)
{
    watch_arm(comm, "", ABORT_S, exit_code);
    MPI_Abort(comm->state->all, exit_code);
    _exit(exit_code);
}

void *ci_comm_handle(const ci_comm *comm)
{
    return &comm->state->all;
}

const char *ci_comm_library(void)
{
    static char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int n = 0;

    MPI_Get_library_version(text, &n);
    text[strcspn(text, "\n")] = 0;
    return text;
}
