/* RANKS: 1 3 */
/* What watches over calls that cannot be left.  test_watch.py starts this with the name of a misbehaviour. */
#define CI_TEST_MPI
#include "ci_test.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#include "ci/log.h"
#include "ci/tick.h"
#include "ci/types.h"
#include "comm/comm_priv.h"

enum { DEADLINE = 2 };

static void guard__that_is_left_in_time_changes_nothing(void **state)
{
    (void)state;
    ci_comm_deadline(ci_test_comm, 0.2);
    for (int i = 0; i < 3; i++) {
        ci_comm_guard(ci_test_comm, "test.guard");
        ci_comm_unguard(ci_test_comm);
    }
    comm_sleep(0.5);
    ci_comm_guard(NULL, "test.guard");
    ci_comm_unguard(NULL);
    ci_comm_deadline(ci_test_comm, 60);
    assert_int_equal(ci_comm_barrier(ci_test_comm, "test.guard"), CI_OK);
    assert_int_equal(ci_test_comm->state->seen[0].pass, 1); /* guards are counted apart */
}

static void count(void *arg)
{
    ++*(int *)arg;
}

static void tick__calls_the_hook(void **state)
{
    int n = 0;

    (void)state;
    ci_tick_hook(NULL, NULL);
    ci_tick();
    ci_tick_hook(count, &n);
    ci_tick();
    ci_tick();
    ci_tick_hook(NULL, NULL);
    ci_tick();
    assert_int_equal(n, 2);
}

/* Variables that launchers set: Open MPI's mpirun, PMIx (srun --mpi=pmix), PMI (Hydra, srun), Slurm. */
static void start__knows_every_launcher(void **state)
{
    static const char *const set[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "SLURM_STEP_ID"};
    char *was[CI_COUNT(set)];

    (void)state;
    for (size_t i = 0; i < CI_COUNT(set); i++) {
        was[i] = getenv(set[i]) ? strdup(getenv(set[i])) : NULL;
        unsetenv(set[i]);
    }
    assert_int_equal(comm_launched(), 0);
    for (size_t i = 0; i < CI_COUNT(set); i++) {
        setenv(set[i], "0", 1);
        assert_int_equal(comm_launched(), 1);
        unsetenv(set[i]);
    }
    for (size_t i = 0; i < CI_COUNT(set); i++) {
        if (was[i]) setenv(set[i], was[i], 1);
        free(was[i]);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(start__knows_every_launcher),
    cmocka_unit_test(tick__calls_the_hook),
    cmocka_unit_test(guard__that_is_left_in_time_changes_nothing),
};

static int stop_here(MPI_Comm comm, int key, void *value, void *extra)
{
    (void)comm;
    (void)key;
    (void)value;
    (void)extra;
    raise(SIGSTOP);
    return MPI_SUCCESS;
}

/* Rank 1 is stopped between MPI_Init and the first copy of the communicator. */
static void start_stopped(int *argc, char ***argv)
{
    ci_comm *c;
    int rank, have;

    MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &have);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank == 1) raise(SIGSTOP);
    comm_start(argc, argv, DEADLINE, 0, &c);
}

/* Rank 1 is stopped when MPI_Finalize begins, which MPI tells by freeing what hangs on MPI_COMM_SELF. */
static void finalize_stopped(const ci_comm *c)
{
    int key;

    MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, stop_here, &key, NULL);
    if (c->rank == 1) MPI_Comm_set_attr(MPI_COMM_SELF, key, NULL);
}

static void guard_left_late(const ci_comm *c)
{
    ci_comm_guard(c, "test.library");
    if (c->rank == 1) comm_sleep(30);
    else MPI_Barrier(*(MPI_Comm *)ci_comm_handle(c));
    ci_comm_unguard(c);
}

/* Work that rank 0 has alone, more than twice as long as the deadline. */
static void work_alone(const ci_comm *c, int ticks)
{
    for (int i = 0; i < 50 && c->rank == 0; i++) {
        if (ticks) ci_tick();
        comm_sleep(0.1);
    }
}

static ci_rc waits(const ci_comm *c, const char *kind)
{
    ci_rc rc = CI_OK;

    if (strcmp(kind, "tick") == 0 || strcmp(kind, "silent") == 0) {
        work_alone(c, kind[0] == 't');
        CI_TRY(ci_comm_barrier(c, "test.work"));
    }
    if (strcmp(kind, "tick-guard") == 0 || strcmp(kind, "silent-guard") == 0) {
        work_alone(c, kind[0] == 't');
        ci_comm_guard(c, "test.library");
        MPI_Barrier(*(MPI_Comm *)ci_comm_handle(c));
        ci_comm_unguard(c);
    }
done:
    return rc;
}

/* Three hosts of one rank each; rank 1 is stopped, rank 2 comes a second later than rank 0. */
static ci_rc hosts(const ci_comm *c, const char *kind)
{
    ci_rc rc = CI_OK;

    for (int i = 0; i < 3; i++) CI_TRY(ci_comm_barrier(c, "test.hosts"));
    if (c->rank == 2) comm_sleep(1);
    if (c->rank == 1 && strcmp(kind, "apart-stop") == 0) raise(SIGSTOP);
    CI_TRY(ci_comm_barrier(c, "test.missing"));
done:
    return rc;
}

static void settings_say(void)
{
    int death = 0;

    prctl(PR_GET_PDEATHSIG, &death);
    printf("pml %s, signal %d\n", getenv("OMPI_MCA_pml") ? getenv("OMPI_MCA_pml") : "none", death);
}

static int misbehave(const char *kind, int *argc, char ***argv)
{
    ci_comm *c = NULL;
    ci_rc rc;

    if (strcmp(kind, "start") == 0) start_stopped(argc, argv);
    rc = comm_start(argc, argv, 60, strncmp(kind, "apart", 5) == 0, &c);
    if (rc != CI_OK) return ci_rc_exit(rc);
    ci_comm_deadline(c, DEADLINE);
    if (strcmp(kind, "finalize") == 0) finalize_stopped(c);
    if (strcmp(kind, "guard") == 0) guard_left_late(c);
    if (strncmp(kind, "apart", 5) == 0 && hosts(c, kind) != CI_OK) return 70;
    if (strcmp(kind, "settings") == 0) settings_say();
    if (waits(c, kind) != CI_OK) return 70;
    if (c->rank == 0) printf("done");
    ci_comm_stop(&c);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1) return misbehave(argv[1], &argc, &argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    ci_test_start(&argc, &argv);
    return ci_test_stop(cmocka_run_group_tests(tests, NULL, NULL));
}
