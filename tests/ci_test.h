#ifndef CI_TEST_H
#define CI_TEST_H
/** What every C test includes first.
 *
 *      #define CI_TEST_MPI          only where the test runs under mpirun or uses ranks
 *      #include "ci_test.h"
 *      static void csv_frame_parse__reads_the_four_columns(void **state) { ... }
 *      static const struct CMUnitTest tests[] = {cmocka_unit_test(csv_frame_parse__...)};
 *      CI_TEST_MAIN(tests)
 *
 *  With CI_TEST_MPI every rank runs every test; ranks above 0 speak on stderr, so that stdout has
 *  each result once, and all ranks return the highest count of failures of any rank. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

/** Folder that holds data/; a test that needs it skips when it is not there. */
__attribute__((unused)) static const char *ci_test_shared(void)
{
    const char *dir = getenv("CANIDS_SHARED");

    return dir && *dir ? dir : "../shared";
}

/** Folder for what a test writes; the runner gives each test its own and removes it. */
__attribute__((unused)) static const char *ci_test_tmp(void)
{
    const char *dir = getenv("TMPDIR");

    return dir && *dir ? dir : "/tmp";
}

#ifdef CI_TEST_MPI
#include "ci/comm.h"

static ci_comm *ci_test_comm; /**< all ranks; NULL outside a run */

static void ci_test_start(int *argc, char ***argv)
{
    if (ci_comm_start(argc, argv, &ci_test_comm) != CI_OK) {
        fprintf(stderr, "ci_comm_start: %s\n", ci_message());
        exit(70);
    }
    ci_comm_deadline(ci_test_comm, 60); /* a rank whose assertion failed strands the others */
    if (ci_test_comm->rank > 0) {
        fflush(stdout);
        dup2(STDERR_FILENO, STDOUT_FILENO);
    }
}

static int ci_test_stop(int failed)
{
    int64_t worst = failed;

    if (ci_comm_max_i64(ci_test_comm, "test.end", &worst, 1) != CI_OK) worst = 1;
    ci_comm_stop(&ci_test_comm);
    return worst > 99 ? 99 : (int)worst;
}
#else
static void ci_test_start(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
}

static int ci_test_stop(int failed)
{
    return failed > 99 ? 99 : failed;
}
#endif

#define CI_TEST_MAIN(tests)                                                                     \
    int main(int argc, char **argv)                                                             \
    {                                                                                           \
        setvbuf(stdout, NULL, _IOLBF, 0);                                                       \
        ci_test_start(&argc, &argv);                                                            \
        return ci_test_stop(cmocka_run_group_tests((tests), NULL, NULL));                       \
    }

#endif
