/* RANKS: 1 3 */
/* What watches over calls that cannot be left.  test_watch.py starts this with the name of a misbehaviour. */
#define CI_TEST_MPI
#include "ci_test.h"

#include <signal.h>
#include <string.h>

#include "ci/log.h"
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

static const struct CMUnitTest tests[] = {
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
    comm_start(argc, argv, DEADLINE, &c);
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

static int misbehave(const char *kind, int *argc, char ***argv)
{
    ci_comm *c = NULL;
    ci_rc rc;

    if (strcmp(kind, "start") == 0) start_stopped(argc, argv);
    rc = ci_comm_start(argc, argv, &c);
    if (rc != CI_OK) return ci_rc_exit(rc);
    ci_comm_deadline(c, DEADLINE);
    if (strcmp(kind, "finalize") == 0) finalize_stopped(c);
    if (strcmp(kind, "guard") == 0) guard_left_late(c);
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
